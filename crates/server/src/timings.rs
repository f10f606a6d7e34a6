//! How long answers take, by route. The routes are those of the table, so that there are never more series than these.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Upper bounds of the buckets.
const LADDER_MS: &[u64] = &[1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];

pub struct Timing {
    route: &'static str,
    buckets: [AtomicU64; LADDER_MS.len()],
    count: AtomicU64,
    sum_ns: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Timing {
    pub fn new(route: &'static str) -> Self {
        let zero = || AtomicU64::new(0);
        let buckets = std::array::from_fn(|_| zero());
        Timing { route, buckets, count: zero(), sum_ns: zero(), refused: zero(), failed: zero() }
    }

    fn record(&self, took_ns: u64, status: StatusCode) {
        let add = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        if let Some(at) = LADDER_MS.iter().position(|bound| took_ns <= bound * 1_000_000) {
            add(&self.buckets[at], 1);
        }
        add(&self.count, 1);
        add(&self.sum_ns, took_ns);
        if status.is_client_error() {
            add(&self.refused, 1);
        } else if status.is_server_error() {
            add(&self.failed, 1);
        }
    }
}

pub async fn measure(State(timing): State<Arc<Timing>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = next.run(request).await;
    timing.record(began.elapsed().as_nanos() as u64, response.status());
    response
}

#[derive(Default)]
pub struct Timings {
    routes: Mutex<Vec<Arc<Timing>>>,
}

impl Timings {
    pub fn add(&self, timing: Arc<Timing>) {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner).push(timing);
    }

    /// The series of routes that were asked for.
    fn asked(&self) -> Vec<Arc<Timing>> {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.iter().filter(|timing| timing.count.load(Ordering::Relaxed) > 0).cloned().collect()
    }

    pub fn write_durations(&self, name: &str, out: &mut String) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for timing in self.asked() {
            let (route, mut below) = (timing.route, 0);
            for (bound, bucket) in LADDER_MS.iter().zip(&timing.buckets) {
                below += load(bucket);
                let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"{}\"}} {below}", *bound as f64 / 1000.0);
            }
            let (count, sum) = (load(&timing.count), load(&timing.sum_ns) as f64 / 1e9);
            let _ = writeln!(out, "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}");
            let _ = writeln!(out, "{name}_sum{{route=\"{route}\"}} {sum}\n{name}_count{{route=\"{route}\"}} {count}");
        }
    }

    pub fn write_errors(&self, name: &str, out: &mut String) {
        for timing in self.asked() {
            for (class, counter) in [("4xx", &timing.refused), ("5xx", &timing.failed)] {
                let count = counter.load(Ordering::Relaxed);
                let _ = writeln!(out, "{name}{{route=\"{}\",class=\"{class}\"}} {count}", timing.route);
            }
        }
    }
}
