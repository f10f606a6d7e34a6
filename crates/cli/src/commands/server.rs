//! `limpid server`: opens what needs rights, gives them up, and serves.

use super::{CommandError, resolve};
use crate::config::Config;
use crate::config::table::Role;
use crate::privileges;
use clap::ArgMatches;
use limpid_ingest::Ingest;
use limpid_server::{Access, Server};
use limpid_store::Store;
use limpid_store::embedded::{EmbeddedStore, Limit, LogSync, Options};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long requests that run may take to end at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    let config = resolve(Role::Server, arguments)?;
    crate::log::start("server", config.text("log"));
    let access = match config.path("auth_file") {
        Some(path) => limpid_server::read_auth_file(&path).map_err(|error| error.0)?,
        None => Access::default(),
    };
    let listen = address(&config, "listen").ok_or("`listen` is off, and a server without an address serves nobody")?;
    for key in ["listen", "otlp_listen", "otlp_http_listen"] {
        require_authentication(&config, key, &access)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listeners = runtime.block_on(Listeners::bind(&config, listen))?;
    let path = config.path("store").ok_or("`store` names no folder")?;
    if let Some((scheme, _)) = config.text("store").split_once("://") {
        let source = config.source("store");
        return Err(format!(
            "`store` in {source} begins with {scheme}://, and this version keeps its data in a folder only: name one"
        )
        .into());
    }
    privileges::become_user(config.text("user"), &path)?;
    let store = Arc::new(EmbeddedStore::open(&path, options(&config), limpid_ingest::decode)?);
    let served = runtime.block_on(serve(listeners, store.clone(), access, listen));
    store.close();
    served.map(|()| ExitCode::SUCCESS)
}

fn options(config: &Config) -> Options {
    Options {
        retention: Duration::from_secs(config.number("retention_days").saturating_mul(86_400)),
        max_bytes: config.number("retention_size"),
        spans: limit(config, "spans"),
        metrics: limit(config, "metrics"),
        events: limit(config, "events"),
        sync: if config.is_on("sync") { LogSync::Always } else { LogSync::Relaxed },
        ..Options::default()
    }
}

/// The limits of one signal; 0 stands for those of all.
fn limit(config: &Config, signal: &str) -> Limit {
    let some = |key: &str| Some(config.number(&format!("{key}_{signal}"))).filter(|number| *number > 0);
    Limit {
        retention: some("retention_days").map(|days| Duration::from_secs(days.saturating_mul(86_400))),
        max_bytes: some("retention_size"),
    }
}

fn address(config: &Config, key: &str) -> Option<SocketAddr> {
    config.text(key).parse().ok()
}

fn require_authentication(config: &Config, key: &str, access: &Access) -> Result<(), CommandError> {
    match address(config, key) {
        Some(address) if !address.ip().is_loopback() && access.is_open() => Err(format!(
            "{address} (`{key}` in {}) can be reached from elsewhere and nobody would be asked who they are: name tokens with \
             --auth-file, or listen on 127.0.0.1",
            config.source(key)
        )
        .into()),
        _ => Ok(()),
    }
}

/// Everything that is listened on. The console's address must be had; OTLP's ports may be somebody else's already,
/// which degrades the server and is shown.
struct Listeners {
    console: tokio::net::TcpListener,
    grpc: Option<tokio::net::TcpListener>,
    http: Option<tokio::net::TcpListener>,
    unix: Option<tokio::net::UnixListener>,
    problems: Vec<String>,
}

impl Listeners {
    async fn bind(config: &Config, listen: SocketAddr) -> Result<Self, CommandError> {
        let console = tokio::net::TcpListener::bind(listen).await.map_err(|error| {
            format!("{listen} cannot be listened on: {error}; choose another address with --listen")
        })?;
        let mut problems = Vec::new();
        let grpc = optional(config, "otlp_listen", &mut problems).await;
        let http = optional(config, "otlp_http_listen", &mut problems).await;
        let unix = config.path("otlp_socket").map(|path| bind_unix(&path)).transpose()?;
        Ok(Listeners { console, grpc, http, unix, problems })
    }
}

async fn optional(config: &Config, key: &str, problems: &mut Vec<String>) -> Option<tokio::net::TcpListener> {
    let address = address(config, key)?;
    match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => Some(listener),
        Err(error) => {
            problems.push(format!("OTLP is not received on {address} (`{key}`): {error}"));
            None
        }
    }
}

fn bind_unix(path: &Path) -> Result<tokio::net::UnixListener, CommandError> {
    // A socket that a killed server left behind.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("the old socket {} cannot be removed: {error}", path.display()).into());
        }
        _ => {}
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(|error| {
        format!("the socket {} cannot be made: {error}; choose another folder with --data", path.display())
    })?;
    // Only root's agent and the server itself may write to it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(
    listeners: Listeners,
    store: Arc<EmbeddedStore>,
    access: Access,
    listen: SocketAddr,
) -> Result<(), CommandError> {
    let ingest = Ingest::new(store.clone(), access.ingest_tokens());
    // The Unix socket is guarded by its permissions.
    let local = if access.is_open() { ingest.clone() } else { ingest.trusted() };
    let server = Server::new(store, ingest.clone(), access, listen);
    listeners.problems.into_iter().for_each(|problem| server.degraded(problem));
    let (stop, stopped) = watch::channel(false);
    let until = || {
        let mut stopped = stopped.clone();
        async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    };
    let mut tasks = tokio::task::JoinSet::<Result<(), CommandError>>::new();
    if let Some(listener) = listeners.grpc {
        let serve = limpid_ingest::serve_tcp(listener, ingest.clone(), until());
        tasks.spawn(async { Ok(serve.await?) });
    }
    if let Some(listener) = listeners.unix {
        let serve = limpid_ingest::serve_unix(listener, local, until());
        tasks.spawn(async { Ok(serve.await?) });
    }
    if let Some(listener) = listeners.http {
        let serve = axum::serve(listener, limpid_ingest::router(ingest)).with_graceful_shutdown(until());
        tasks.spawn(async { Ok(serve.await?) });
    }
    let serve = axum::serve(listeners.console, limpid_server::router(server)).with_graceful_shutdown(until());
    tasks.spawn(async { Ok(serve.await?) });
    log::info!("serving on http://{listen}");
    let ended = tokio::select! {
        _ = crate::signals::terminated() => None,
        ended = tasks.join_next() => ended,
    };
    let _ = stop.send(true);
    let _ = tokio::time::timeout(STOP_TIMEOUT, async { while tasks.join_next().await.is_some() {} }).await;
    match ended {
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(format!("a listener failed: {error}").into()),
        _ => Ok(()),
    }
}
