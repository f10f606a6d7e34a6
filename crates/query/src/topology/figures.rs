//! Requests, failures and latencies of a node or of one side of an edge, bucket by bucket.

use super::answer::{EdgeSide, PulseBucket, Waiting};
use super::increase::{BUCKETS, PAST, Slot};
use crate::promql::histogram::Histogram;
use crate::promql::histogram_stats;
use limpid_model::ExpHistogram;

pub const PULSE: usize = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Error,
    Unanswered,
}

impl Outcome {
    pub fn from_label(status: &str) -> Outcome {
        match status {
            "error" => Outcome::Error,
            "unanswered" => Outcome::Unanswered,
            _ => Outcome::Ok,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub requests: f64,
    pub errors: f64,
    pub unanswered: f64,
    /// Of answered requests: how long one waited for what never came is no latency.
    pub latency: Histogram,
}

impl Figures {
    pub fn add(&mut self, outcome: Outcome, now: &ExpHistogram, before: Option<&ExpHistogram>) {
        let count = now.count as f64 - before.map_or(0.0, |before| before.count as f64);
        self.requests += count;
        match outcome {
            Outcome::Unanswered => {
                self.unanswered += count;
                return;
            }
            Outcome::Error => self.errors += count,
            Outcome::Ok => {}
        }
        if self.latency.count == 0.0 {
            self.latency.schema = i32::from(now.scale).clamp(-4, 8);
        }
        self.latency.add_growth(now, before);
    }

    pub fn merge(&mut self, other: &Figures) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        if other.latency.count == 0.0 {
            return;
        }
        if self.latency.count == 0.0 {
            self.latency = other.latency.clone();
            return;
        }
        // Both are exponential, so they always add up.
        debug_assert!(!self.latency.is_custom() && !other.latency.is_custom());
        self.latency.merge_exponential(&other.latency);
    }

    pub fn failed(&self) -> f64 {
        self.errors + self.unanswered
    }

    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let (seconds, _) = histogram_stats::quantile(q, &self.latency);
        seconds.is_finite().then_some(seconds * 1000.0)
    }

    pub fn side(&self) -> EdgeSide {
        EdgeSide {
            requests: self.requests as u64,
            errors: self.failed() as u64,
            p50_ms: self.quantile_ms(0.5),
            p95_ms: self.quantile_ms(0.95),
            p99_ms: self.quantile_ms(0.99),
        }
    }

    pub fn waiting(&self) -> Option<Waiting> {
        let waiting = Waiting { p50_ms: self.quantile_ms(0.5), p95_ms: self.quantile_ms(0.95) };
        (self.requests > 0.0).then_some(waiting)
    }

    pub fn slower_than(&self, limit_ms: f64) -> f64 {
        self.latency.count - histogram_stats::count_below(limit_ms / 1000.0, &self.latency)
    }

    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0.0).then(|| self.failed() / self.requests)
    }
}

/// One view over time, and over the half day before.
#[derive(Clone, Debug)]
pub struct View {
    /// By stretch, the oldest first.
    pub past: Vec<Figures>,
    pub buckets: Vec<Figures>,
}

impl Default for View {
    fn default() -> Self {
        View { past: vec![Figures::default(); PAST], buckets: vec![Figures::default(); BUCKETS] }
    }
}

impl View {
    pub fn add(&mut self, slot: Slot, outcome: Outcome, now: &ExpHistogram, before: Option<&ExpHistogram>) {
        let figures = match slot {
            Slot::Past(at) => self.past.get_mut(at),
            Slot::Bucket(at) => self.buckets.get_mut(at),
        };
        if let Some(figures) = figures {
            figures.add(outcome, now, before);
        }
    }

    pub fn merge(&mut self, other: &View) {
        self.past.iter_mut().zip(&other.past).for_each(|(mine, theirs)| mine.merge(theirs));
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    pub fn total(&self) -> Figures {
        self.sum(0..BUCKETS)
    }

    pub fn sum(&self, buckets: std::ops::Range<usize>) -> Figures {
        let mut total = Figures::default();
        self.buckets.get(buckets).unwrap_or_default().iter().for_each(|bucket| total.merge(bucket));
        total
    }

    /// Thirty buckets; none where `seen` says that no agent reported.
    pub fn pulse(&self, slow_ms: f64, seen: &[bool]) -> Vec<Option<PulseBucket>> {
        let each = BUCKETS / PULSE;
        let bucket = |at: usize| {
            let range = at * each..(at + 1) * each;
            let figures = self.sum(range.clone());
            let was_seen = seen.get(range).is_some_and(|seen| seen.iter().any(|seen| *seen));
            (was_seen || figures.requests > 0.0).then(|| PulseBucket {
                requests: figures.requests as u64,
                errors: figures.failed() as u64,
                slow: figures.slower_than(slow_ms).round() as u64,
            })
        };
        (0..PULSE).map(bucket).collect()
    }
}
