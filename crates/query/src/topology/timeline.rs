//! Requests and failures of everything over a range, for the ribbon.

use super::increase::LOOKBACK_MS;
use crate::QueryError;
use limpid_model::Matcher;
use limpid_model::names::{REQUEST_DURATION, prometheus_name};
use limpid_store::Store;
use serde::Serialize;

const MAX_BUCKETS: usize = 1_000;

/// `start` and `end` in Unix seconds, as they were asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    pub start: f64,
    pub end: f64,
    /// `None`: no agent reported.
    pub buckets: Vec<Option<TimelineBucket>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TimelineBucket {
    pub requests: u64,
    pub errors: u64,
}

pub fn timeline(store: &dyn Store, start_ns: u64, end_ns: u64, buckets: usize) -> Result<Timeline, QueryError> {
    if buckets == 0 || buckets > MAX_BUCKETS {
        return Err(QueryError::bad_data(format!("buckets must be between 1 and {MAX_BUCKETS}")));
    }
    let (start_ms, end_ms) = ((start_ns / 1_000_000) as i64, (end_ns / 1_000_000) as i64);
    if end_ms <= start_ms {
        return Err(QueryError::bad_data("the range's end must be after its start"));
    }
    let bound = |at: usize| start_ms + ((end_ms - start_ms) as i128 * at as i128 / buckets as i128) as i64;
    let times_ms: Vec<i64> = (0..=buckets).map(bound).collect();
    let mut out: Vec<Option<TimelineBucket>> = vec![None; buckets];
    for status in ["ok", "error", "unanswered"] {
        let name = prometheus_name(REQUEST_DURATION, "s", false);
        let matchers = [Matcher::equal("__name__", name), Matcher::equal("status", status)];
        for series in store.growth_at(&matchers, &times_ms, LOOKBACK_MS)? {
            // A call that both sides saw is counted once: by the server, unless only the client is watched.
            if series.labels.get("side") == Some("client") && series.labels.get("peer").is_some() {
                continue;
            }
            let bucket = |time_ms: i64| times_ms.partition_point(|time| *time < time_ms).checked_sub(1);
            for at in series.sampled_ms.iter().filter_map(|time_ms| bucket(*time_ms)) {
                if let Some(bucket) = out.get_mut(at) {
                    bucket.get_or_insert_default();
                }
            }
            for (stretch, _) in series.stretches() {
                let count = stretch.count as u64;
                let Some(Some(bucket)) = bucket(stretch.time_ms).and_then(|at| out.get_mut(at)) else { continue };
                bucket.requests += count;
                bucket.errors += if status == "ok" { 0 } else { count };
            }
        }
    }
    Ok(Timeline { start: start_ns as f64 / 1e9, end: end_ns as f64 / 1e9, buckets: out })
}
