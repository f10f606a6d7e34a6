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

fn asked(parameters: &Parameters) -> Result<query::TraceQuery, ApiError> {
    let (start_ns, end_ns) = times::range(parameters)?;
    let text = |name: &str| parameters.get(name).filter(|text| !text.is_empty()).cloned();
    let duration_ns = |name: &str| Ok::<_, ApiError>(number(parameters, name)?.map(|ms| (ms * 1e6) as u64));
    Ok(query::TraceQuery {
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
        limit: number(parameters, "limit")?.unwrap_or_default() as usize,
    })
}

pub async fn search(State(server): Shared, Query(parameters): Query<Parameters>) -> Result<Json<Value>, ApiError> {
    let asked = asked(&parameters)?;
    blocking(move || Ok(Json(json!({"traces": query::search(&*server.store, &asked)?})))).await
}

/// How the traces of a search spread over what is known of them. `sel=t0,t1,d0,d1` selects a part of the heat map (Unix
/// seconds, milliseconds), `by` properties, separated by commas, with more of their values.
pub async fn facets(
    State(server): Shared,
    Query(parameters): Query<Parameters>,
) -> Result<Json<query::Exploration>, ApiError> {
    let asked = asked(&parameters)?;
    let part = parameters.get("sel").filter(|text| !text.is_empty()).map(|text| rectangle(text)).transpose()?;
    let by = parameters.get("by").filter(|text| !text.is_empty()).cloned();
    blocking(move || Ok(Json(query::explore(&*server.store, &asked, part, by.as_deref())?))).await
}

fn rectangle(text: &str) -> Result<query::Rectangle, ApiError> {
    let wrong = || ApiError::bad_data(format!("`sel` is `{text}`, expected two times and two durations in ms"));
    let numbers: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    match numbers[..] {
        [t0, t1, d0, d1] if t0 >= 0.0 && d0 >= 0.0 && t1 > t0 && d1 > d0 => Ok(query::Rectangle {
            start_ns: (t0 * 1e9) as u64,
            end_ns: (t1 * 1e9) as u64,
            min_duration_ns: (d0 * 1e6) as u64,
            max_duration_ns: (d1 * 1e6) as u64,
        }),
        _ => Err(wrong()),
    }
}

pub async fn one(State(server): Shared, Path(id): Path<String>) -> Result<Json<query::Trace>, ApiError> {
    let trace_id = query::parse_trace_id(&id)?;
    let found = blocking(move || Ok(query::trace(&*server.store, trace_id)?)).await?;
    found
        .map(Json)
        .ok_or_else(|| ApiError::not_found(format!("no trace {id}: it was not sampled, or retention has removed it")))
}
