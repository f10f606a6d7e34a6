//! Requests, failures and latencies of a node or of one side of an edge, bucket by bucket.

use super::answer::{EdgeSide, PulseBucket, Waiting};
use super::increase::{BUCKETS, PAST, Slot};
use crate::promql::histogram::Histogram;
use crate::promql::histogram_stats;
use limpid_model::growth::Stretch;

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
    pub fn add(&mut self, outcome: Outcome, stretch: &Stretch, counts: &[f64]) {
        self.requests += stretch.count;
        match outcome {
            Outcome::Unanswered => {
                self.unanswered += stretch.count;
                return;
            }
            Outcome::Error => self.errors += stretch.count,
            Outcome::Ok => {}
        }
        if self.latency.count == 0.0 {
            self.latency.schema = i32::from(stretch.scale).clamp(-4, 8);
        }
        self.latency.add_stretch(stretch, counts);
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
    /// Of a view that was made from sampled spans: how many.
    pub spans: Option<u64>,
}

impl Default for View {
    fn default() -> Self {
        View { past: vec![Figures::default(); PAST], buckets: vec![Figures::default(); BUCKETS], spans: None }
    }
}

impl View {
    pub fn add(&mut self, slot: Slot, outcome: Outcome, stretch: &Stretch, counts: &[f64]) {
        let figures = match slot {
            Slot::Past(at) => self.past.get_mut(at),
            Slot::Bucket(at) => self.buckets.get_mut(at),
        };
        if let Some(figures) = figures {
            figures.add(outcome, stretch, counts);
        }
    }

    pub fn merge(&mut self, other: &View) {
        self.past.iter_mut().zip(&other.past).for_each(|(mine, theirs)| mine.merge(theirs));
        self.add_spans(other.spans);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    pub fn add_spans(&mut self, spans: Option<u64>) {
        if let Some(more) = spans {
            *self.spans.get_or_insert(0) += more;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_model::growth::is_same_count;
    use limpid_model::{ExpHistogram, Growth, Labels, Sample, Series, Value};
    use std::sync::Arc;

    struct Noise(u64);

    impl Noise {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % limit
        }
    }

    /// A counter that grows, begins anew, becomes coarser, and sometimes has no start.
    fn series(noise: &mut Noise) -> Series {
        let (mut now, mut start_ms) = (ExpHistogram::default(), 500);
        let mut series = Series { labels: Labels::default(), samples: Vec::new(), starts: Vec::new() };
        for at in 0..40 {
            match noise.below(20) {
                0 => (now, start_ms) = (ExpHistogram::default(), at * 1000),
                1 => now.downscale(now.scale - 1),
                _ => {}
            }
            for _ in 0..noise.below(30) {
                let mut one = ExpHistogram::default();
                let limit_ns = 2 << noise.below(30);
                one.record_ns(1 + noise.below(limit_ns));
                now.merge(&one);
            }
            series.samples.push(Sample { time_ms: at * 1000 + 900, value: Value::Histogram(Arc::new(now.clone())) });
            series.starts.push(if noise.below(9) == 0 { 0 } else { start_ms });
        }
        series
    }

    /// The long way: whole histograms, one taken off the next.
    fn subtracted(series: &Series, first_ms: i64) -> Figures {
        let (mut figures, mut before) = (Figures::default(), None::<(&ExpHistogram, i64)>);
        for (sample, start_ms) in series.samples.iter().zip(&series.starts) {
            let Value::Histogram(now) = &sample.value else { continue };
            let had = match before {
                Some((last, last_start_ms)) if is_same_count(last, last_start_ms, now, *start_ms) => Some(last),
                None if *start_ms == 0 || *start_ms < first_ms => Some(&**now),
                _ => None,
            };
            figures.requests += now.count as f64 - had.map_or(0.0, |had| had.count as f64);
            if figures.latency.count == 0.0 {
                figures.latency.schema = i32::from(now.scale);
            }
            figures.latency.add_native(now, 1.0);
            had.into_iter().for_each(|had| figures.latency.add_native(had, -1.0));
            before = Some((now, *start_ms));
        }
        figures
    }

    #[test]
    fn what_series_grew_by_is_the_difference_of_their_histograms() {
        for seed in 0..200 {
            let series = series(&mut Noise(seed));
            for first_ms in [0, 20_000] {
                let expected = subtracted(&series, first_ms);
                let mut found = Figures::default();
                for (stretch, counts) in Growth::of(series.clone(), first_ms).stretches() {
                    found.add(Outcome::Ok, stretch, counts);
                }
                assert_eq!((found.requests, found.latency.count), (expected.requests, expected.latency.count));
                for q in [0.0, 0.5, 0.95, 0.99, 1.0] {
                    let (found, expected) = (found.quantile_ms(q), expected.quantile_ms(q));
                    let near =
                        found.zip(expected).is_none_or(|(found, expected)| (found - expected).abs() <= expected * 1e-9);
                    assert!(near && found.is_some() == expected.is_some(), "{seed} {q}: {found:?} {expected:?}");
                }
            }
        }
    }
}
