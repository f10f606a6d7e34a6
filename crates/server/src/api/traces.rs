//! Search, and one trace.

use crate::error::ApiError;
use crate::times::{self, Parameters};
use crate::{Server, blocking};
use axum::Json;
use axum::extract::{Path, Query, State};
use limpid_query::traces as query;
use serde_json::{Value, json};
use std::sync::Arc;

type Shared = State<Arc<Server>>;

fn number(parameters: &Parameters, name: &str) -> Result<Option<f64>, ApiError> {
    let parse = |text: &String| {
        let valid = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        valid.ok_or_else(|| ApiError::bad_data(format!("`{name}` is `{text}`, expected a number")))
    };
    parameters.get(name).filter(|text| !text.is_empty()).map(parse).transpose()
}

pub async fn search(State(server): Shared, Query(parameters): Query<Parameters>) -> Result<Json<Value>, ApiError> {
    let (start_ns, end_ns) = times::range(&parameters)?;
    let text = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
    let duration_ns = |name: &str| Ok::<_, ApiError>(number(&parameters, name)?.map(|ms| (ms * 1e6) as u64));
    let asked = query::TraceQuery {
        start_ns,
        end_ns,
        q: text("q").unwrap_or_default(),
        service: text("service"),
        protocol: text("protocol"),
        operation: text("operation").or_else(|| text("route")),
        status: text("status"),
        min_duration_ns: duration_ns("min_duration_ms")?,
        max_duration_ns: duration_ns("max_duration_ms")?,
        slowest_first: text("order").as_deref() == Some("slowest"),
        limit: number(&parameters, "limit")?.unwrap_or_default() as usize,
    };
    blocking(move || Ok(Json(json!({"traces": query::search(&*server.store, &asked)?})))).await
}

pub async fn one(State(server): Shared, Path(id): Path<String>) -> Result<Json<query::Trace>, ApiError> {
    let trace_id = query::parse_trace_id(&id)?;
    let found = blocking(move || Ok(query::trace(&*server.store, trace_id)?)).await?;
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("no trace {id}: it was not sampled, or retention has removed it")))
}
