//! A server's certificate, read again when its files change.

use crate::files::{self, Named, Stamp, TlsError};
use crate::provider;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The files are looked at no more often than this, and only when somebody connects.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub struct ServerFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Who connects must show a certificate of one of these authorities.
    pub client_ca: Option<PathBuf>,
}

/// What is served until the next reading.
struct State {
    config: Arc<ServerConfig>,
    stamp: Stamp,
    looked: Instant,
    until: i64,
    problem: Option<String>,
}

pub struct ServerTls {
    cert: Named,
    key: Named,
    client_ca: Option<Named>,
    protocol: &'static [u8],
    state: Mutex<State>,
}

impl ServerTls {
    pub fn load(files: ServerFiles, protocol: &'static [u8]) -> Result<Self, TlsError> {
        let cert = Named::new("tls_cert", files.cert);
        let key = Named::new("tls_key", files.key);
        let client_ca = files.client_ca.map(|path| Named::new("otlp_client_ca", path));
        let stamp = files::stamp(paths(&cert, &key, client_ca.as_ref()));
        let (config, until) = read(&cert, &key, client_ca.as_ref(), protocol)?;
        let state = State { config, stamp, looked: Instant::now(), until, problem: None };
        Ok(ServerTls { cert, key, client_ca, protocol, state: Mutex::new(state) })
    }

    /// Reads the files now. What was served before stays when they cannot be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let stamp = self.stamp();
        let read = read(&self.cert, &self.key, self.client_ca.as_ref(), self.protocol);
        let mut state = self.state();
        (state.stamp, state.looked) = (stamp, Instant::now());
        match read {
            Ok((config, until)) => {
                (state.config, state.until, state.problem) = (config, until, None);
                Ok(())
            }
            Err(error) => {
                state.problem = Some(format!("{error}; the certificate that was read before is still used"));
                Err(error)
            }
        }
    }

    /// For the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        if self.has_changed() {
            match self.reload() {
                Ok(()) => log::info!("{} was read again", self.cert.path.display()),
                Err(error) => log::warn!("{error}; the certificate that was read before is still used"),
            }
        }
        self.state().config.clone()
    }

    fn has_changed(&self) -> bool {
        let before = {
            let mut state = self.state();
            if state.looked.elapsed() < LOOK_EVERY {
                return false;
            }
            state.looked = Instant::now();
            state.stamp.clone()
        };
        before != self.stamp()
    }

    /// Unix seconds.
    pub fn valid_until(&self) -> i64 {
        self.state().until
    }

    /// Why the certificate needs somebody's attention, if it does.
    pub fn problem(&self) -> Option<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let state = self.state();
        let expired = || self.cert.error(format!("expired on {}: renew it", crate::validity::date(state.until))).0;
        state.problem.clone().or_else(|| (state.until < now).then(expired))
    }

    pub fn asks_for_certificates(&self) -> bool {
        self.client_ca.is_some()
    }

    fn stamp(&self) -> Stamp {
        files::stamp(paths(&self.cert, &self.key, self.client_ca.as_ref()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn paths<'a>(cert: &'a Named, key: &'a Named, ca: Option<&'a Named>) -> impl Iterator<Item = &'a Path> {
    [Some(cert), Some(key), ca].into_iter().flatten().map(|file| &*file.path)
}

fn read(
    cert: &Named,
    key: &Named,
    client_ca: Option<&Named>,
    protocol: &[u8],
) -> Result<(Arc<ServerConfig>, i64), TlsError> {
    let (chain, until) = files::chain(cert)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| cert.error(error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(files::authorities(file)?), provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|error| file.error(error))?)
        }
    };
    let mut config =
        builder.with_single_cert(chain, files::key(key)?).map_err(|error| files::pair_error(error, cert, key))?;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok((Arc::new(config), until))
}
