//! The Prometheus HTTP API. Source: prometheus.io, "HTTP API".

use crate::error::ApiError;
use crate::times::{self, Parameters};
use crate::{Server, blocking};
use axum::Json;
use axum::extract::{Path, Query, RawForm, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use limpid_query::promql::{self, Answer};
use limpid_query::{ErrorKind, QueryError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

type Shared = State<Arc<Server>>;

/// Answers of metadata queries are cut here, with a warning.
const MAX_ITEMS: usize = 100_000;

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error.kind {
            ErrorKind::BadData => ApiError::bad_data(error.text),
            ErrorKind::Execution => ApiError::execution(error.text),
            ErrorKind::Timeout => ApiError::timeout(error.text),
            ErrorKind::Internal => ApiError::internal(error.text),
        }
    }
}

#[derive(Serialize)]
struct Success<T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<String>,
}

fn success<T: Serialize>(data: T) -> Response {
    Json(Success { status: "success", data, warnings: Vec::new(), infos: Vec::new() }).into_response()
}

fn answer(answer: Answer) -> Response {
    let Answer { value, warnings, infos } = answer;
    Json(Success { status: "success", data: value, warnings, infos }).into_response()
}

/// A form in the body is what Grafana sends; the same parameters as in the URL.
fn form(RawForm(body): RawForm) -> Result<Parameters, ApiError> {
    let uri = format!("/?{}", String::from_utf8_lossy(&body))
        .parse()
        .map_err(|_| ApiError::bad_data("the form cannot be read"))?;
    Query::<Parameters>::try_from_uri(&uri)
        .map(|Query(parameters)| parameters)
        .map_err(|error| ApiError::bad_data(format!("the form cannot be read: {error}")))
}

pub async fn query(state: Shared, Query(parameters): Query<Parameters>) -> Result<Response, ApiError> {
    instant(state, parameters).await
}

pub async fn query_form(state: Shared, body: RawForm) -> Result<Response, ApiError> {
    instant(state, form(body)?).await
}

pub async fn query_range(state: Shared, Query(parameters): Query<Parameters>) -> Result<Response, ApiError> {
    range(state, parameters).await
}

pub async fn query_range_form(state: Shared, body: RawForm) -> Result<Response, ApiError> {
    range(state, form(body)?).await
}

fn required<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, ApiError> {
    parameters.get(name).map(String::as_str).ok_or_else(|| ApiError::bad_data(format!("`{name}` is missing")))
}

fn time_ms(parameters: &Parameters, name: &str) -> Result<i64, ApiError> {
    Ok((times::parse(name, required(parameters, name)?)? / 1_000_000) as i64)
}

async fn instant(State(server): Shared, parameters: Parameters) -> Result<Response, ApiError> {
    let expr = required(&parameters, "query")?.to_owned();
    let time_ms = match parameters.contains_key("time") {
        true => time_ms(&parameters, "time")?,
        false => (crate::now_ns() / 1_000_000) as i64,
    };
    blocking(move || Ok(server.engine.instant(&*server.store, &expr, time_ms)?)).await.map(answer)
}

async fn range(State(server): Shared, parameters: Parameters) -> Result<Response, ApiError> {
    let expr = required(&parameters, "query")?.to_owned();
    let (start, end) = (time_ms(&parameters, "start")?, time_ms(&parameters, "end")?);
    let step = times::duration_ms("step", required(&parameters, "step")?)?;
    blocking(move || Ok(server.engine.range(&*server.store, &expr, start, end, step)?)).await.map(answer)
}

/// What the metadata queries have in common: `match[]` may be repeated, which a map of parameters cannot hold.
struct Scope {
    selectors: Vec<String>,
    start_ms: i64,
    end_ms: i64,
}

fn scope(query: Option<String>) -> Result<Scope, ApiError> {
    let uri = format!("/?{}", query.unwrap_or_default())
        .parse()
        .map_err(|_| ApiError::bad_data("the query cannot be read"))?;
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&uri)
        .map_err(|error| ApiError::bad_data(format!("the query cannot be read: {error}")))?;
    let time = |name: &str, default: i64| match pairs.iter().find(|(have, _)| have == name) {
        Some((_, text)) => times::parse(name, text).map(|ns| (ns / 1_000_000) as i64),
        None => Ok(default),
    };
    let (start_ms, end_ms) = (time("start", 0)?, time("end", i64::MAX)?);
    let selectors = pairs.iter().filter(|(name, _)| name == "match[]").map(|(_, value)| value.clone()).collect();
    Ok(Scope { selectors, start_ms, end_ms })
}

fn cut<T: Serialize>(mut items: Vec<T>) -> Response {
    let warnings = match items.len() > MAX_ITEMS {
        true => vec![format!("{} of {} shown", MAX_ITEMS, items.len())],
        false => Vec::new(),
    };
    items.truncate(MAX_ITEMS);
    Json(Success { status: "success", data: items, warnings, infos: Vec::new() }).into_response()
}

pub async fn series(State(server): Shared, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let scope = scope(query)?;
    if scope.selectors.is_empty() {
        return Err(ApiError::bad_data("`match[]` is missing"));
    }
    let found =
        blocking(move || Ok(promql::series(&*server.store, &scope.selectors, scope.start_ms, scope.end_ms)?)).await?;
    let object = |labels: &limpid_model::Labels| -> Map<String, Value> {
        labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    };
    Ok(cut(found.iter().map(object).collect()))
}

pub async fn labels(State(server): Shared, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let scope = scope(query)?;
    let work = move || Ok(promql::label_names(&*server.store, &scope.selectors, scope.start_ms, scope.end_ms)?);
    blocking(work).await.map(cut)
}

pub async fn label_values(
    State(server): Shared,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let scope = scope(query)?;
    let work = move || Ok(promql::label_values(&*server.store, &name, &scope.selectors, scope.start_ms, scope.end_ms)?);
    blocking(work).await.map(cut)
}

pub async fn metadata(State(server): Shared) -> Response {
    let mut data = Map::new();
    for metadata in server.store.metadata() {
        let entry =
            json!({"type": metadata.kind.as_str(), "help": metadata.help.as_str(), "unit": metadata.unit.as_str()});
        data.insert(metadata.name.to_string(), json!([entry]));
    }
    success(data)
}

pub async fn build_info() -> (StatusCode, Response) {
    let data = json!({"version": env!("CARGO_PKG_VERSION"), "application": "limpid", "revision": "", "branch": "", "goVersion": ""});
    (StatusCode::OK, success(data))
}
