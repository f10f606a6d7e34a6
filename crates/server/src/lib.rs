//! The HTTP API, its guard and the console. The only crate that knows the API's JSON.

mod api;
mod console;
mod error;
mod figures;
mod guard;
pub mod privileges;
mod times;

use limpid_ingest::Ingest;
use limpid_query::promql;
use limpid_store::Store;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub use guard::{Access, AuthError, AuthFile, read_auth_file};

/// What all handlers share.
pub struct Server {
    pub store: Arc<dyn Store>,
    pub ingest: Arc<Ingest>,
    pub engine: promql::Engine,
    pub access: Access,
    pub listen: SocketAddr,
    pub started_ns: u64,
    /// What is degraded, in words, for the status page: `127.0.0.1:4317 is taken …`.
    problems: Mutex<Vec<String>>,
}

impl Server {
    pub fn new(store: Arc<dyn Store>, ingest: Arc<Ingest>, access: Access, listen: SocketAddr) -> Arc<Self> {
        let engine = promql::Engine::new(promql::Limits::default());
        let problems = Mutex::new(Vec::new());
        Arc::new(Server { store, ingest, engine, access, listen, started_ns: now_ns(), problems })
    }

    pub fn degraded(&self, problem: String) {
        log::warn!("{problem}");
        self.problems.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(problem);
    }

    fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }
}

/// Everything that is served on the console's address.
pub fn router(server: Arc<Server>) -> axum::Router {
    axum::Router::new()
        .merge(api::router())
        .fallback(console::serve)
        .layer(axum::middleware::from_fn_with_state(server.clone(), guard::check))
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
