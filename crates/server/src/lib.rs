//! The HTTP API, its guard and the console. The only crate that knows the API's JSON.

pub mod access;
mod api;
mod console;
mod error;
pub mod figures;
mod guard;
mod listen;
pub mod privileges;
mod routes;
mod sessions;
mod starting;
#[cfg(test)]
mod tests;
mod times;
mod timings;

use limpid_ingest::Ingest;
use limpid_query::promql;
use limpid_store::Store;
use limpid_tls::ServerTls;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub use access::{Access, AuthError};
pub use listen::serve;
pub use starting::Starting;

/// What all handlers share.
pub struct Server {
    pub store: Arc<dyn Store>,
    pub ingest: Arc<Ingest>,
    pub engine: promql::Engine,
    pub access: Arc<Access>,
    sessions: sessions::Sessions,
    failed_logins: AtomicU64,
    timings: timings::Timings,
    /// Of the console's address, if it is encrypted.
    pub tls: Option<Arc<ServerTls>>,
    pub listen: SocketAddr,
    pub started_ns: u64,
    /// What is degraded, in words, for the status page: `127.0.0.1:4317 is taken …`.
    problems: Mutex<Vec<String>>,
}

impl Server {
    pub fn new(
        store: Arc<dyn Store>,
        ingest: Arc<Ingest>,
        access: Arc<Access>,
        tls: Option<Arc<ServerTls>>,
        listen: SocketAddr,
    ) -> Arc<Self> {
        Arc::new(Server {
            store,
            ingest,
            engine: promql::Engine::new(promql::Limits::default()),
            access,
            sessions: sessions::Sessions::default(),
            failed_logins: AtomicU64::new(0),
            timings: timings::Timings::default(),
            tls,
            listen,
            started_ns: now_ns(),
            problems: Mutex::default(),
        })
    }

    pub fn degraded(&self, problem: String) {
        log::warn!("{problem}");
        self.problems.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(problem);
    }

    /// Reads certificates anew, those of `more` too. What cannot be read leaves the old in place, and is said.
    pub fn reload_certificates(&self, more: &[Arc<ServerTls>]) {
        for error in self.tls.iter().chain(more).filter_map(|tls| tls.reload().err()) {
            log::warn!("{}; what was read before is still used", error.0);
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        problems.extend(self.tls.iter().filter_map(|tls| tls.problem()));
        problems
    }
}

/// Everything that is served on the console's address.
pub fn router(server: Arc<Server>) -> axum::Router {
    let listen = server.listen;
    api::routes(server.clone())
        .into_router()
        .fallback(console::serve)
        .layer(axum::middleware::from_fn_with_state(listen, guard::check_origin))
        .with_state(server)
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

/// Runs work that reads the store off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, error::ApiError> + Send + 'static,
) -> Result<T, error::ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(error::ApiError::internal(format!("the query failed: {error}"))),
    }
}
