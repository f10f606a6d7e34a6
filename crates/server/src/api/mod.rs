//! The table of routes.

mod entities;
mod prometheus;
mod status;
mod topology;
mod traces;

use crate::{Server, figures};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

pub fn router() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/v1/query", get(prometheus::query).post(prometheus::query_form))
        .route("/api/v1/query_range", get(prometheus::query_range).post(prometheus::query_range_form))
        .route("/api/v1/series", get(prometheus::series))
        .route("/api/v1/labels", get(prometheus::labels))
        .route("/api/v1/label/{name}/values", get(prometheus::label_values))
        .route("/api/v1/metadata", get(prometheus::metadata))
        .route("/api/v1/status/buildinfo", get(prometheus::build_info))
        .route("/api/topology", get(topology::topology))
        .route("/api/timeline", get(topology::timeline))
        .route("/api/services", get(topology::services))
        .route("/api/services/{scope}/{name}/operations", get(topology::operations))
        .route("/api/traces", get(traces::search))
        .route("/api/traces/facets", get(traces::facets))
        .route("/api/traces/{trace_id}", get(traces::one))
        .route("/api/entities/{*id}", get(entities::one))
        .route("/api/events", get(entities::events))
        .route("/api/status", get(status::status))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(status::ready))
        .route("/metrics", get(figures::metrics))
}
