//! What a service serves, operation by operation.

use crate::QueryError;
use crate::topology::{Figures, LOOKBACK_MS, Moments, Outcome, Slot};
use limpid_model::Matcher;
use limpid_model::names::{REQUEST_DURATION, prometheus_name};
use limpid_store::Store;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize)]
pub struct Operation {
    pub protocol: String,
    pub operation: String,
    pub resource: String,
    pub requests: u64,
    pub errors: u64,
    pub requests_per_second: f64,
    pub error_ratio: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Whose view the figures are: the service's own (`server`), or its callers' (`client`).
    pub side: &'static str,
}

/// The operations of a service (`service:scope/name` or its bare name), busiest first.
pub fn operations(store: &dyn Store, service: &str, start_ns: u64, end_ns: u64) -> Result<Vec<Operation>, QueryError> {
    let name = service.strip_prefix("service:").and_then(|id| id.split_once('/')).map_or(service, |(_, name)| name);
    let moments = Moments::new(start_ns, end_ns)?.known_since(store.status().oldest_ns);
    let served = read(store, &moments, "service", name, "server")?;
    if !served.is_empty() {
        return Ok(served);
    }
    read(store, &moments, "peer", name, "client")
}

fn read(
    store: &dyn Store,
    moments: &Moments,
    label: &str,
    service: &str,
    side: &'static str,
) -> Result<Vec<Operation>, QueryError> {
    let matchers = [
        Matcher::equal("__name__", prometheus_name(REQUEST_DURATION, "s", false)),
        Matcher::equal(label, service),
        Matcher::equal("side", side),
    ];
    let mut by: BTreeMap<[String; 3], Figures> = BTreeMap::new();
    for series in store.growth_at(&matchers, moments.range_ms(), LOOKBACK_MS)? {
        let key =
            ["protocol", "operation", "resource"].map(|name| series.labels.get(name).unwrap_or_default().to_string());
        let outcome = Outcome::from_label(series.labels.get("status").unwrap_or_default());
        let figures = by.entry(key).or_default();
        for (stretch, counts) in series.stretches() {
            if let Slot::Bucket(_) = moments.slot(stretch.time_ms) {
                figures.add(outcome, stretch, counts);
            }
        }
    }
    let seen = by.into_iter().filter(|(_, figures)| figures.requests > 0.0);
    let mut operations: Vec<Operation> = seen.map(|(key, figures)| row(key, &figures, moments, side)).collect();
    operations.sort_by_key(|operation| std::cmp::Reverse(operation.requests));
    Ok(operations)
}

fn row(
    [protocol, operation, resource]: [String; 3],
    figures: &Figures,
    moments: &Moments,
    side: &'static str,
) -> Operation {
    Operation {
        protocol,
        operation,
        resource,
        requests: figures.requests as u64,
        errors: figures.failed() as u64,
        requests_per_second: figures.requests / moments.seconds(),
        error_ratio: figures.error_ratio(),
        p50_ms: figures.quantile_ms(0.5),
        p95_ms: figures.quantile_ms(0.95),
        p99_ms: figures.quantile_ms(0.99),
        side,
    }
}
