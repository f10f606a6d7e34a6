//! A route is a path, its handlers and what it needs of its caller: one cannot be added without saying the last.

use crate::Server;
use crate::guard::{self, Needs};
use crate::timings::{self, Timing};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use std::sync::Arc;

pub struct Routes {
    server: Arc<Server>,
    router: Router<Arc<Server>>,
    /// What was added, for the test that asks every route.
    pub table: Vec<(&'static str, Needs)>,
}

impl Routes {
    pub fn new(server: Arc<Server>) -> Self {
        Routes { server, router: Router::new(), table: Vec::new() }
    }

    pub fn route(mut self, path: &'static str, handlers: MethodRouter<Arc<Server>>, needs: Needs) -> Self {
        let timing = Arc::new(Timing::new(path));
        self.server.timings.add(timing.clone());
        let guarded = handlers
            .layer(from_fn_with_state((self.server.clone(), needs), guard::admit))
            .layer(from_fn_with_state(timing, timings::measure));
        self.router = self.router.route(path, guarded);
        self.table.push((path, needs));
        self
    }

    pub fn into_router(self) -> Router<Arc<Server>> {
        self.router
    }
}
