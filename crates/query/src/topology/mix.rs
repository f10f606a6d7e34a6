//! Slower requests, or other requests? Where the operations that were there before are as quick as ever, an edge is slow by
//! what is newly asked of it: an export beside quick pages. That is no trouble of the callee, and explains none of its
//! caller's.

use super::figures::{Figures, View};
use super::graph::{EdgeParts, Seen};
use super::increase::Moments;
use super::judge;
use limpid_model::Side;
use rustc_hash::FxHashMap;

/// Operations of one edge that are looked at.
const MOST_OPERATIONS: usize = 1_000;
/// Of all requests so many must be of those that are quick: fewer could be what is left of them.
const QUICK_SHARE: f64 = 0.2;

impl EdgeParts {
    /// Whether one side sees what was asked before still being asked, and none of it slower.
    pub fn is_as_quick_as_ever(&self, side: Side, all: &[Seen], moments: &Moments) -> bool {
        let mut by_operation: FxHashMap<(&str, &str), View> = FxHashMap::default();
        let of_side = self.series.iter().filter_map(|at| all.get(*at)).filter(|seen| seen.side == side);
        for seen in of_side {
            let label = |name| seen.growth.labels.get(name).unwrap_or_default();
            let operation = (label("operation"), label("resource"));
            if by_operation.len() < MOST_OPERATIONS || by_operation.contains_key(&operation) {
                seen.fill(by_operation.entry(operation).or_default(), moments);
            }
        }
        let whole = by_operation.values().fold(View::default(), |mut sum, view| {
            sum.merge(view);
            sum
        });
        let limit_ms = judge::slow_limit_ms(&whole, moments);
        let is_quick = |view: &View| view.total().quantile_ms(0.95).is_some_and(|p95| p95 <= limit_ms);
        // Only what is asked while the whole is slow says that it is as quick as ever.
        let slow_bucket = |figures: &Figures| figures.quantile_ms(0.95).is_some_and(|p95| p95 > limit_ms);
        let slow: Vec<bool> = whole.buckets.iter().map(slow_bucket).collect();
        let requests = |view: &View| -> f64 {
            let while_slow = view.buckets.iter().zip(&slow).filter(|(_, slow)| **slow);
            while_slow.map(|(figures, _)| figures.requests).sum()
        };
        let known = by_operation.values().filter_map(|view| Some((view, judge::is_slower(view, moments)?)));
        let (slower, as_ever): (Vec<_>, Vec<_>) = known.partition(|(_, is_slower)| *is_slower);
        let quick: f64 = as_ever.iter().filter(|(view, _)| is_quick(view)).map(|(view, _)| requests(view)).sum();
        slower.is_empty() && quick > 0.0 && quick >= QUICK_SHARE * requests(&whole)
    }
}
