//! What grew between two readings: requests, failures and latencies.

use super::registry::Outcome;
use limpid_model::ExpHistogram;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub requests: u64,
    pub errors: u64,
    pub unanswered: u64,
    /// Of answered requests: how long one waited for what never came is no latency.
    pub latency: ExpHistogram,
}

impl Figures {
    pub fn add(&mut self, outcome: Outcome, now: &ExpHistogram, before: Option<&ExpHistogram>) {
        // A count that fell began anew.
        let before = before.filter(|before| before.count <= now.count);
        let grown = now.count - before.map_or(0, |before| before.count);
        self.requests += grown;
        match outcome {
            Outcome::Unanswered => self.unanswered += grown,
            Outcome::Error => self.errors += grown,
            Outcome::Ok => {}
        }
        if outcome != Outcome::Unanswered && grown > 0 {
            add_growth(&mut self.latency, now, before);
        }
    }

    pub fn merge(&mut self, other: &Figures) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.latency.merge(&other.latency);
    }

    pub fn failed(&self) -> u64 {
        self.errors + self.unanswered
    }

    pub fn failed_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failed() as f64 / self.requests as f64)
    }

    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        self.latency.quantile(q).map(|seconds| seconds * 1000.0)
    }
}

/// Adds what `now` has more than `before`.
pub fn add_growth(into: &mut ExpHistogram, now: &ExpHistogram, before: Option<&ExpHistogram>) {
    // A histogram that has become coarser is compared at its own scale.
    let coarser = before.filter(|before| before.scale > now.scale).map(|before| {
        let mut before = before.clone();
        before.downscale(now.scale);
        before
    });
    let Some(before) = coarser.as_ref().or(before).filter(|before| before.count > 0) else {
        return into.merge(now);
    };
    let mut grown = ExpHistogram { scale: now.scale, offset: now.offset, ..ExpHistogram::default() };
    grown.count = now.count.saturating_sub(before.count);
    grown.sum = (now.sum - before.sum).max(0.0);
    grown.zero_count = now.zero_count.saturating_sub(before.zero_count);
    grown.counts = now
        .counts
        .iter()
        .enumerate()
        .map(|(at, count)| count.saturating_sub(at_index(before, now.offset + at as i32)))
        .collect();
    into.merge(&grown);
}

fn at_index(histogram: &ExpHistogram, index: i32) -> u64 {
    let at = usize::try_from(index - histogram.offset);
    at.ok().and_then(|at| histogram.counts.get(at)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(values_ms: impl Iterator<Item = u64>) -> ExpHistogram {
        let mut histogram = ExpHistogram::default();
        values_ms.for_each(|ms| histogram.record_ns(ms * 1_000_000));
        histogram
    }

    #[test]
    fn only_what_grew_counts() {
        let before = recorded((1..=100).map(|_| 900));
        let mut now = before.clone();
        now.merge(&recorded((1..=50).map(|_| 10)));
        let mut figures = Figures::default();
        figures.add(Outcome::Ok, &now, Some(&before));
        figures.add(Outcome::Error, &recorded([20, 20].into_iter()), None);
        figures.add(Outcome::Unanswered, &recorded([30_000].into_iter()), None);
        assert_eq!((figures.requests, figures.errors, figures.unanswered), (53, 2, 1));
        let p95 = figures.quantile_ms(0.95).expect("there were requests");
        assert!((9.0..11.0).contains(&p95), "the old 900 ms and the 30 s in vain are not in it: {p95}");
        assert!((figures.latency.sum - 0.54).abs() < 1e-9, "{}", figures.latency.sum);
    }

    #[test]
    fn a_count_that_began_anew_counts_whole() {
        let mut figures = Figures::default();
        figures.add(Outcome::Ok, &recorded([5, 5].into_iter()), Some(&recorded((0..10).map(|_| 5))));
        assert_eq!((figures.requests, figures.latency.count), (2, 2));
    }

    #[test]
    fn a_coarser_histogram_is_compared_at_its_own_scale() {
        let before = recorded((1..=100).map(|_| 3));
        let mut now = before.clone();
        now.merge(&recorded((1..=10).map(|_| 7)));
        now.downscale(0);
        let mut into = ExpHistogram::default();
        add_growth(&mut into, &now, Some(&before));
        assert_eq!((into.count, into.counts.iter().sum::<u64>(), into.scale), (10, 10, 0));
    }
}
