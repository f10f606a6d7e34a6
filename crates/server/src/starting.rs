//! Before the store is open: somebody answers already, and says that it is not ready and why.

use crate::error::ApiError;
use crate::{console, guard};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tower::ServiceExt;

/// Holds the place of the real routes until there are any.
#[derive(Clone, Default)]
pub struct Starting {
    ready: Arc<OnceLock<Router>>,
}

impl Starting {
    pub fn is_over(&self, router: Router) {
        let _ = self.ready.set(router);
    }

    pub fn router(&self, listen: SocketAddr) -> Router {
        let early = Router::new().fallback(answer).with_state(self.clone());
        early.layer(axum::middleware::from_fn_with_state(listen, guard::check_origin))
    }
}

const WHY: &str = "starting: the store's log is read";

async fn answer(State(starting): State<Starting>, request: Request) -> Response {
    if let Some(router) = starting.ready.get() {
        return router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    }
    let uri = request.uri().clone();
    match uri.path() {
        "/-/healthy" => "healthy\n".into_response(),
        "/-/ready" => (StatusCode::SERVICE_UNAVAILABLE, format!("{WHY}\n")).into_response(),
        path if path.starts_with("/api/") || path == "/metrics" => {
            let refused = ApiError::refused(StatusCode::SERVICE_UNAVAILABLE, WHY);
            ([(header::RETRY_AFTER, "1")], refused).into_response()
        }
        _ => console::serve(uri, request.headers().clone()).await,
    }
}
