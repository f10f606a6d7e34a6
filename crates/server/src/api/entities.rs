//! Entities, their way round, and events.

use crate::error::ApiError;
use crate::times::{self, Parameters};
use crate::{Server, blocking};
use axum::Json;
use axum::extract::{Path, Query, State};
use limpid_query::entities as query;
use limpid_store::EventQuery;
use serde_json::{Value, json};
use std::sync::Arc;

const MAX_EVENTS: usize = 1000;

/// Ids contain slashes, so `/related` is told by its end.
pub async fn one(
    State(server): State<Arc<Server>>,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, ApiError> {
    let (start, end) = times::range(&parameters)?;
    if let Some(id) = path.strip_suffix("/related").map(str::to_owned) {
        let by = parameters.get("by").map_or("", String::as_str);
        let relation = query::Relation::from_name(by).ok_or_else(|| {
            ApiError::bad_data(format!("`by` is `{by}`, expected upstream, downstream, instances or host"))
        })?;
        let work = move || Ok(Json(json!({"entities": query::related(&*server.store, &id, relation, start, end)?})));
        return blocking(work).await;
    }
    let id = path.clone();
    let found = blocking(move || Ok(query::entity(&*server.store, &id, start, end)?)).await?;
    let found = found.ok_or_else(|| ApiError::not_found(format!("nothing is known of `{path}` in this time")))?;
    Ok(Json(serde_json::to_value(found).map_err(|error| ApiError::internal(error.to_string()))?))
}

pub async fn events(
    State(server): State<Arc<Server>>,
    Query(parameters): Query<Parameters>,
) -> Result<Json<Value>, ApiError> {
    let (start_ns, end_ns) = times::range(&parameters)?;
    let (name, entity) = (parameters.get("name").cloned(), parameters.get("entity").cloned());
    let asked = EventQuery { start_ns, end_ns, name, entity, limit: MAX_EVENTS };
    blocking(move || Ok(Json(json!({"events": query::events(&*server.store, &asked)?})))).await
}
