//! `limpid server`: opens what needs rights, gives them up, and serves.

mod listeners;

use super::{CommandError, resolve, resolve_again};
use crate::config::reload::Reloader;
use crate::config::table::Role;
use crate::config::{Config, ConfigError};
use crate::{privileges, signals};
use clap::ArgMatches;
use limpid_ingest::{Admits, Ingest};
use limpid_server::{Access, Server, Starting, access};
use limpid_store::Store;
use limpid_store::embedded::{EmbeddedStore, Limit, LogSync, Options, Retention};
use limpid_tls::{Listener, ServerTls};
use listeners::{Bound, Listeners};
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long requests that run may take to end at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

pub fn run(arguments: &ArgMatches) -> Result<ExitCode, CommandError> {
    limpid_store::memory::bound();
    let config = resolve(Role::Server, arguments)?;
    crate::log::start("server", config.text("log"));
    let access = Arc::new(match config.path("auth_file") {
        Some(path) => Access::from_file(&path).map_err(|error| error.0)?,
        None => Access::open(),
    });
    let listen = listeners::address(&config, "listen")
        .ok_or("`listen` is off, and a server without an address serves nobody")?;
    listeners::require_authentication(&config, &access)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let hang_ups = runtime.block_on(async { signals::HangUps::listen() });
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
    let serving = runtime.block_on(Serving::start(listeners.console, listen))?;
    // Reading the log may take a while; the console's address answers meanwhile that it does.
    let store = Arc::new(EmbeddedStore::open(&path, options(&config), limpid_ingest::decode)?);
    let parts = Parts { otlp: listeners.otlp, problems: listeners.problems, store: store.clone(), access };
    let reloader = Reloader::new(Role::Server, config, || resolve_again(Role::Server, arguments));
    let served = runtime.block_on(serving.until_stopped(parts, hang_ups, reloader));
    store.close();
    served.map(|()| ExitCode::SUCCESS)
}

/// Whether the file of tokens is one, for who has to know it before the server does.
#[cfg(feature = "agent")]
pub fn check(config: &Config) -> Result<(), CommandError> {
    match config.path("auth_file") {
        Some(path) => Ok(Access::from_file(&path).map(drop).map_err(|error| error.0)?),
        None => Ok(()),
    }
}

/// What takes up changed settings while the server runs.
struct TakenUp {
    store: Arc<EmbeddedStore>,
    access: Arc<Access>,
    server: Arc<Server>,
    certificates: Vec<Arc<ServerTls>>,
}

impl TakenUp {
    fn take_up(&self, config: &Config) -> Result<(), String> {
        self.access.take_up(config.path("auth_file").as_deref()).map_err(|error| error.0)?;
        self.server.reload_certificates(&self.certificates);
        self.store.set_retention(retention(config));
        crate::log::set_level(config.text("log"));
        Ok(())
    }
}

fn retention(config: &Config) -> Retention {
    Retention {
        age: Duration::from_secs(config.number("retention_days").saturating_mul(86_400)),
        max_bytes: config.number("retention_size"),
        spans: limit(config, "spans"),
        metrics: limit(config, "metrics"),
        events: limit(config, "events"),
    }
}

fn options(config: &Config) -> Options {
    let Retention { age: retention, max_bytes, spans, metrics, events } = retention(config);
    Options {
        retention,
        max_bytes,
        spans,
        metrics,
        events,
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

/// What is needed once the store is open.
struct Parts {
    otlp: listeners::Otlp,
    problems: Vec<String>,
    store: Arc<EmbeddedStore>,
    access: Arc<Access>,
}

fn admits(access: Arc<Access>) -> Admits {
    Arc::new(move |token| {
        let role = || access.role_of_token(token?);
        access.is_open() || role().is_some_and(|role| role.may(access::Role::Ingest))
    })
}

/// The tasks that serve, and what ends them.
struct Serving {
    tasks: JoinSet<Result<(), CommandError>>,
    stop: watch::Sender<bool>,
    starting: Starting,
    listen: SocketAddr,
    tls: Option<Arc<ServerTls>>,
}

impl Serving {
    async fn start(console: Bound, listen: SocketAddr) -> Result<Self, CommandError> {
        let (tasks, stop, starting) = (JoinSet::new(), watch::Sender::new(false), Starting::default());
        let tls = console.tls.clone();
        let mut serving = Serving { tasks, stop, starting: starting.clone(), listen, tls };
        let listener = Listener::new(console.listener, console.tls)?;
        let until = serving.until();
        serving.tasks.spawn(async move { Ok(limpid_server::serve(listener, starting.router(listen), until).await?) });
        Ok(serving)
    }

    fn until(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopped = self.stop.subscribe();
        async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }
    }

    async fn until_stopped<R: Fn() -> Result<Config, ConfigError>>(
        mut self,
        parts: Parts,
        hang_ups: signals::HangUps,
        mut reloader: Reloader<R>,
    ) -> Result<(), CommandError> {
        let ingest = Ingest::new(parts.store.clone(), Some(admits(parts.access.clone())));
        let (store, access) = (parts.store.clone(), parts.access.clone());
        let server = Server::new(parts.store, ingest.clone(), parts.access, self.tls.clone(), self.listen);
        parts.problems.into_iter().for_each(|problem| server.degraded(problem));
        let certificates = parts.otlp.certificates();
        self.receive(parts.otlp, &ingest)?;
        let taken_up = TakenUp { store, access, server: server.clone(), certificates };
        self.starting.is_over(limpid_server::router(server));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        log::info!("serving on {scheme}://{}", self.listen);
        let reload = async || reloader.reload(|config| taken_up.take_up(config));
        let stop = async {
            tokio::select! {
                () = signals::terminated() => {}
                () = hang_ups.each(reload) => {}
            }
        };
        self.wait(stop).await
    }

    /// OTLP in. A Unix socket is guarded by its permissions, and who shows a certificate needs no token besides.
    fn receive(&mut self, otlp: listeners::Otlp, ingest: &Arc<Ingest>) -> Result<(), CommandError> {
        let guarded = |bound: &Bound| match &bound.tls {
            Some(tls) if tls.asks_for_certificates() => ingest.trusted(),
            _ => ingest.clone(),
        };
        if let Some(bound) = otlp.grpc {
            let (ingest, until) = (guarded(&bound), self.until());
            let listener = Listener::new(bound.listener, bound.tls)?;
            self.tasks.spawn(async { Ok(limpid_ingest::serve_tcp(listener, ingest, until).await?) });
        }
        if let Some(listener) = otlp.unix {
            let serve = limpid_ingest::serve_unix(listener, ingest.trusted(), self.until());
            self.tasks.spawn(async { Ok(serve.await?) });
        }
        if let Some(bound) = otlp.http {
            let (router, until) = (limpid_ingest::router(guarded(&bound)), self.until());
            let listener = Listener::new(bound.listener, bound.tls)?;
            self.tasks.spawn(async { Ok(limpid_server::serve(listener, router, until).await?) });
        }
        Ok(())
    }

    /// Until somebody ends it, or a listener fails.
    async fn wait(mut self, stop: impl Future<Output = ()>) -> Result<(), CommandError> {
        let ended = tokio::select! {
            () = stop => None,
            ended = self.tasks.join_next() => ended,
        };
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(STOP_TIMEOUT, async { while self.tasks.join_next().await.is_some() {} }).await;
        match ended {
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(format!("a listener failed: {error}").into()),
            _ => Ok(()),
        }
    }
}
