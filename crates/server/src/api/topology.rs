//! The map, the ribbon above it, and services.

use crate::error::ApiError;
use crate::times::{self, Parameters};
use crate::{Server, blocking};
use axum::Json;
use axum::extract::{Path, Query, State};
use limpid_query::{entities, topology as query};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DEFAULT_BUCKETS: usize = 120;
const MAX_BUCKETS: usize = 1000;

type Shared = State<Arc<Server>>;

/// `a,b` as a list; nothing as an empty one.
fn list(parameters: &Parameters, name: &str) -> Vec<String> {
    let text = parameters.get(name).map_or("", String::as_str);
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Whoever asked has gone away once this is dropped: axum drops the future of a closed connection.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `q` asks only for requests whose spans match, in the language of `/api/traces`.
pub async fn topology(
    State(server): Shared,
    Query(parameters): Query<Parameters>,
) -> Result<Json<query::Topology>, ApiError> {
    let (start, end) = times::range(&parameters)?;
    let level = match parameters.get("level") {
        None => query::Level::default(),
        Some(name) => query::Level::from_name(name)
            .ok_or_else(|| ApiError::bad_data(format!("`level` is `{name}`, expected service, process or host")))?,
    };
    let asked = query::TopologyQuery {
        level,
        protocols: list(&parameters, "protocol"),
        hosts: list(&parameters, "host"),
        filter: parameters.get("q").cloned().unwrap_or_default(),
        stopped: Arc::default(),
    };
    let _waiting = Waiting(asked.stopped.clone());
    blocking(move || Ok(Json(query::topology(&*server.store, start, end, &asked)?))).await
}

pub async fn timeline(
    State(server): Shared,
    Query(parameters): Query<Parameters>,
) -> Result<Json<query::Timeline>, ApiError> {
    let (start, end) = times::range(&parameters)?;
    let buckets = match parameters.get("buckets") {
        None => DEFAULT_BUCKETS,
        Some(text) => text
            .parse()
            .ok()
            .filter(|buckets| (1..=MAX_BUCKETS).contains(buckets))
            .ok_or_else(|| ApiError::bad_data(format!("`buckets` is `{text}`, expected 1 to {MAX_BUCKETS}")))?,
    };
    blocking(move || Ok(Json(query::timeline(&*server.store, start, end, buckets)?))).await
}

pub async fn services(State(server): Shared, Query(parameters): Query<Parameters>) -> Result<Json<Value>, ApiError> {
    let (start, end) = times::range(&parameters)?;
    blocking(move || Ok(Json(json!({"services": query::services(&*server.store, start, end)?})))).await
}

pub async fn operations(
    State(server): Shared,
    Path((scope, name)): Path<(String, String)>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, ApiError> {
    let (start, end) = times::range(&parameters)?;
    let id = limpid_model::entity::service_id(&scope, &name);
    blocking(move || Ok(Json(json!({"operations": entities::operations(&*server.store, &id, start, end)?})))).await
}
