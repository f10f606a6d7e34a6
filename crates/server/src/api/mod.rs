//! The table of routes: path, handlers, and what the caller needs.

mod entities;
mod prometheus;
mod session;
mod status;
mod topology;
mod traces;

use crate::access::Role::{Admin, Read};
use crate::guard::Needs::{Nothing, Role};
use crate::routes::Routes;
use crate::{Server, figures};
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;

pub fn routes(server: Arc<Server>) -> Routes {
    Routes::new(server)
        .route("/api/v1/query", get(prometheus::query).post(prometheus::query_form), Role(Read))
        .route("/api/v1/query_range", get(prometheus::query_range).post(prometheus::query_range_form), Role(Read))
        .route("/api/v1/series", get(prometheus::series), Role(Read))
        .route("/api/v1/labels", get(prometheus::labels), Role(Read))
        .route("/api/v1/label/{name}/values", get(prometheus::label_values), Role(Read))
        .route("/api/v1/metadata", get(prometheus::metadata), Role(Read))
        .route("/api/v1/status/buildinfo", get(prometheus::build_info), Role(Read))
        .route("/api/topology", get(topology::topology), Role(Read))
        .route("/api/timeline", get(topology::timeline), Role(Read))
        .route("/api/services", get(topology::services), Role(Read))
        .route("/api/services/{scope}/{name}/operations", get(topology::operations), Role(Read))
        .route("/api/traces", get(traces::search), Role(Read))
        .route("/api/traces/facets", get(traces::facets), Role(Read))
        .route("/api/traces/{trace_id}", get(traces::one), Role(Read))
        .route("/api/entities/{*id}", get(entities::one), Role(Read))
        .route("/api/events", get(entities::events), Role(Read))
        .route("/api/status", get(status::status), Role(Read))
        .route("/api/session", get(session::session), Nothing)
        .route("/api/login", post(session::login).layer(DefaultBodyLimit::max(8 << 10)), Nothing)
        .route("/api/logout", post(session::logout), Nothing)
        .route("/api/sessions", get(session::count).delete(session::end_all), Role(Admin))
        .route("/-/healthy", get(|| async { "healthy\n" }), Nothing)
        .route("/-/ready", get(status::ready), Nothing)
        .route("/metrics", get(figures::metrics), Role(Read))
}
