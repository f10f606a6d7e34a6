//! Everything that is listened on, bound before any rights are given up.

use crate::commands::CommandError;
use crate::config::Config;
use limpid_server::Access;
use limpid_tls::{HTTP1, HTTP2, ServerFiles, ServerTls};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};

pub fn address(config: &Config, key: &str) -> Option<SocketAddr> {
    config.text(key).parse().ok()
}

/// Whoever can reach an address from elsewhere must be asked who they are.
pub fn require_authentication(config: &Config, access: &Access) -> Result<(), CommandError> {
    let by_certificate = config.path("otlp_client_ca").is_some();
    for (key, asked) in [("listen", false), ("otlp_listen", by_certificate), ("otlp_http_listen", by_certificate)] {
        let Some(address) = address(config, key) else { continue };
        if address.ip().is_loopback() || !access.is_open() || asked {
            continue;
        }
        let or = if key == "listen" { "" } else { ", ask for certificates with --otlp-client-ca" };
        return Err(format!(
            "{address} (`{key}` in {}) can be reached from elsewhere and nobody would be asked who they are: name tokens with \
             --auth-file{or}, or listen on 127.0.0.1",
            config.source(key)
        )
        .into());
    }
    Ok(())
}

/// A port, and the certificate that is shown there.
pub struct Bound {
    pub listener: TcpListener,
    pub tls: Option<Arc<ServerTls>>,
}

/// OTLP's ways in. Its ports may be somebody else's already, which degrades the server and is shown.
pub struct Otlp {
    pub grpc: Option<Bound>,
    pub http: Option<Bound>,
    pub unix: Option<UnixListener>,
}

impl Otlp {
    /// To be read again when that is asked for.
    pub fn certificates(&self) -> Vec<Arc<ServerTls>> {
        [&self.grpc, &self.http].into_iter().flatten().filter_map(|bound| bound.tls.clone()).collect()
    }
}

pub struct Listeners {
    /// Must be had.
    pub console: Bound,
    pub otlp: Otlp,
    pub problems: Vec<String>,
}

impl Listeners {
    pub async fn bind(config: &Config, listen: SocketAddr) -> Result<Self, CommandError> {
        let listener = TcpListener::bind(listen).await.map_err(|error| {
            format!("{listen} cannot be listened on: {error}; choose another address with --listen")
        })?;
        let console = Bound { listener, tls: certificate(config, HTTP1, false)? };
        let mut problems = Vec::new();
        let grpc = optional(config, "otlp_listen", HTTP2, &mut problems).await?;
        let http = optional(config, "otlp_http_listen", HTTP1, &mut problems).await?;
        let unix = config.path("otlp_socket").map(|path| bind_unix(&path)).transpose()?;
        Ok(Listeners { console, otlp: Otlp { grpc, http, unix }, problems })
    }
}

async fn optional(
    config: &Config,
    key: &str,
    protocol: &'static [u8],
    problems: &mut Vec<String>,
) -> Result<Option<Bound>, CommandError> {
    let Some(address) = address(config, key) else { return Ok(None) };
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(Some(Bound { listener, tls: certificate(config, protocol, true)? })),
        Err(error) => {
            problems.push(format!("OTLP is not received on {address} (`{key}`): {error}"));
            Ok(None)
        }
    }
}

fn certificate(
    config: &Config,
    protocol: &'static [u8],
    of_agents: bool,
) -> Result<Option<Arc<ServerTls>>, CommandError> {
    let client_ca = config.path("otlp_client_ca");
    let (cert, key) = match (config.path("tls_cert"), config.path("tls_key")) {
        (Some(cert), Some(key)) => (cert, key),
        (None, None) if client_ca.is_none() => return Ok(None),
        (None, None) => {
            let source = config.source("otlp_client_ca");
            return Err(format!(
                "`otlp_client_ca` in {source} asks for certificates, which only TLS can: name `tls_cert` and `tls_key`"
            )
            .into());
        }
        (cert, _) => {
            let (given, missing) = if cert.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
            return Err(format!("`{given}` in {} needs `{missing}` beside it", config.source(given)).into());
        }
    };
    let files = ServerFiles { cert, key, client_ca: client_ca.filter(|_| of_agents) };
    Ok(Some(Arc::new(ServerTls::load(files, protocol)?)))
}

fn bind_unix(path: &Path) -> Result<UnixListener, CommandError> {
    // A socket that a killed server left behind.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("the old socket {} cannot be removed: {error}", path.display()).into());
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|error| {
        format!("the socket {} cannot be made: {error}; choose another folder with --data", path.display())
    })?;
    // Only root's agent and the server itself may write to it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}
