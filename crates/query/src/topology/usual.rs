//! What is usual for a node or an edge: the half day before the range, without what was bad in it.
//!
//! A failure that lasts must not become what is usual. So the stretches before the range are gone through from the oldest to
//! the newest, and one that fails, or is slow compared with those before it, is left out. Only after nearly half a day with
//! nothing else is a failure what is usual. All of it is read from the store, so that a restart forgets nothing.

use super::figures::{Figures, View};
use super::increase::Moments;
use super::judge::{self, MIN_REQUESTS};

/// Of a system that is so young that nothing was before the range, this many quiet buckets of it tell what is usual.
const ENOUGH_BUCKETS: usize = 4;

#[derive(Clone, Debug, Default)]
pub struct Usual {
    pub figures: Figures,
    /// The median of the stretches' p95: one of them that was slow and could not be told is no matter.
    pub p95_ms: Option<f64>,
    /// In which the requests came.
    pub seconds: f64,
}

impl View {
    pub fn usual(&self, moments: &Moments) -> Usual {
        let mut good = accepted(&self.past);
        if good.is_empty() {
            // It has always been so: then that is what is usual, and what is bad about it is said all the same.
            good = (0..self.past.len()).collect();
        }
        let mut usual = Usual::default();
        for at in &good {
            usual.figures.merge(&self.past[*at]);
            usual.seconds += moments.past_seconds(*at);
        }
        usual.p95_ms = self.usual_p95_ms(&good, &usual.figures);
        usual
    }

    fn usual_p95_ms(&self, good: &[usize], figures: &Figures) -> Option<f64> {
        if figures.latency.count >= MIN_REQUESTS {
            return median_p95_ms(&self.past, good).or_else(|| figures.quantile_ms(0.95));
        }
        let good = accepted(&self.buckets);
        let told = good.iter().filter(|at| p95_ms(&self.buckets[**at]).is_some()).count();
        median_p95_ms(&self.buckets, &good).filter(|_| told >= ENOUGH_BUCKETS)
    }

    /// What the hour before has seen, good or bad.
    pub fn hour_before(&self, moments: &Moments) -> Figures {
        let mut sum = Figures::default();
        self.past.get(moments.hour_before()).unwrap_or_default().iter().for_each(|stretch| sum.merge(stretch));
        sum
    }
}

/// The stretches that were good, compared with the good ones before them.
fn accepted(stretches: &[Figures]) -> Vec<usize> {
    let mut good: Vec<usize> = Vec::new();
    for (at, figures) in stretches.iter().enumerate().filter(|(_, figures)| figures.requests > 0.0) {
        let is_slow = median_p95_ms(stretches, &good)
            .zip(p95_ms(figures))
            .is_some_and(|(usual, p95)| p95 > judge::slow_above_ms(usual));
        if !is_slow && !judge::is_failing(figures) {
            good.push(at);
        }
    }
    good
}

fn p95_ms(figures: &Figures) -> Option<f64> {
    figures.quantile_ms(0.95).filter(|_| figures.latency.count >= MIN_REQUESTS)
}

/// The lower one of two: a window that begins with something slow has it next to something quick.
fn median_p95_ms(stretches: &[Figures], good: &[usize]) -> Option<f64> {
    let mut all: Vec<f64> = good.iter().filter_map(|at| p95_ms(stretches.get(*at)?)).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len().saturating_sub(1) / 2).copied()
}
