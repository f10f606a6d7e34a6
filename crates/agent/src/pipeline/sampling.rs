//! Which requests become spans.
//!
//! The decision is a comparison of the trace id's 56 random bits with a threshold (OpenTelemetry's consistent
//! probability sampling, `ot=th:`), so both views of a request, and both agents of a connection, decide alike, and an
//! agent under more load keeps a subset of what the other keeps. The thresholds follow the load: one for all requests,
//! and one of its own for those that failed, had no answer or were slow, which therefore are shed last.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// Randomness and thresholds have 56 bits: kept is what is not below the threshold.
const RANGE: u64 = 1 << 56;
/// At most one in a million is the least that is kept.
const LEAST: u64 = RANGE >> 20;
/// How often a threshold is set anew.
const WINDOW_NS: u64 = 500_000_000;

/// What of the requests goes out as spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Metrics alone.
    Off,
    /// About this many spans a second and agent, and this many more of requests that failed or were slow.
    PerSecond {
        spans: u64,
        important: u64,
    },
    All,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling::PerSecond { spans: 100, important: 50 }
    }
}

/// The share of requests that this one stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    threshold: u64,
}

impl Kept {
    pub fn probability(self) -> f64 {
        (RANGE - self.threshold) as f64 / RANGE as f64
    }

    /// The value of `th` in OpenTelemetry's trace state: 14 hex digits without the trailing zeros.
    pub fn tracestate_threshold(self) -> String {
        let digits = format!("{:014x}", self.threshold);
        let short = digits.trim_end_matches('0');
        if short.is_empty() { "0".into() } else { short.into() }
    }
}

/// The modes of [`Sampling`] without their figures, which are the targets of the thresholds.
const OFF: u8 = 0;
const ALL: u8 = 1;
const PER_SECOND: u8 = 2;

/// Its mode can change while threads ask it.
pub(super) struct Sampler {
    mode: AtomicU8,
    all: Adaptive,
    important: Adaptive,
}

impl Sampler {
    pub fn new(mode: Sampling) -> Self {
        let sampler = Sampler { mode: AtomicU8::new(OFF), all: Adaptive::default(), important: Adaptive::default() };
        sampler.set(mode);
        sampler
    }

    pub fn set(&self, mode: Sampling) {
        let (mode, spans, important) = match mode {
            Sampling::Off => (OFF, 0, 0),
            Sampling::All => (ALL, 0, 0),
            Sampling::PerSecond { spans, important } => (PER_SECOND, spans, important),
        };
        self.all.set(spans);
        self.important.set(important);
        self.mode.store(mode, Relaxed);
    }

    pub fn wanted(&self) -> bool {
        self.mode.load(Relaxed) != OFF
    }

    /// `spans` is how many spans the request makes.
    pub fn decide(&self, randomness: u64, important: bool, spans: u64) -> Option<Kept> {
        match self.mode.load(Relaxed) {
            OFF => None,
            ALL => Some(Kept { threshold: 0 }),
            _ => {
                let kept = self.all.decide(randomness, spans);
                if kept.is_some() || !important { kept } else { self.important.decide(randomness, spans) }
            }
        }
    }

    pub fn tick(&self, now_ns: u64) {
        self.all.tick(now_ns);
        self.important.tick(now_ns);
    }
}

/// A threshold that follows the load. Shared by all consumer threads.
#[derive(Default)]
struct Adaptive {
    /// Spans that a window may keep; 0 keeps none.
    target: AtomicU64,
    threshold: AtomicU64,
    kept: AtomicU64,
    /// How many spans those that were kept stood for (each 1 / its probability): what was offered.
    offered: AtomicU64,
    /// `offered` a window, smoothed.
    usual: AtomicU64,
    window_ns: AtomicU64,
}

impl Adaptive {
    fn set(&self, per_second: u64) {
        let target = per_second.saturating_mul(WINDOW_NS) / 1_000_000_000;
        self.target.store(if per_second == 0 { 0 } else { target.max(1) }, Relaxed);
    }

    fn decide(&self, randomness: u64, spans: u64) -> Option<Kept> {
        let (threshold, target) = (self.threshold.load(Relaxed), self.target.load(Relaxed));
        if target == 0 || randomness < threshold {
            return None;
        }
        let chance = RANGE - threshold;
        self.offered.fetch_add(spans.saturating_mul(RANGE / chance), Relaxed);
        let before = self.kept.fetch_add(spans, Relaxed);
        // A burst does not wait for the window's end: every target's worth that was kept halves what follows.
        if (before + spans) / target > before / target {
            self.threshold.store(RANGE - (chance / 2).max(LEAST), Relaxed);
        }
        Some(Kept { threshold })
    }

    fn tick(&self, now_ns: u64) {
        let (began_ns, target) = (self.window_ns.load(Relaxed), self.target.load(Relaxed));
        if target == 0 || now_ns.saturating_sub(began_ns) < WINDOW_NS {
            return;
        }
        if self.window_ns.compare_exchange(began_ns, now_ns, Relaxed, Relaxed).is_err() {
            return;
        }
        self.kept.store(0, Relaxed);
        let usual = (self.usual.load(Relaxed) + self.offered.swap(0, Relaxed)) / 2;
        self.usual.store(usual, Relaxed);
        let chance = if usual <= target { RANGE } else { (RANGE / usual).saturating_mul(target) };
        self.threshold.store(RANGE - chance.clamp(LEAST, RANGE), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers `per_second` requests of one span for `seconds`; how many were kept a second in the second half.
    fn run(sampler: &Sampler, per_second: u64, seconds: u64, important: bool) -> f64 {
        let (mut kept, mut state) = (0u64, 1u64);
        for at in 0..per_second * seconds {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            sampler.tick(1_000_000_000 + at * 1_000_000_000 / per_second);
            let decision = sampler.decide(state >> 8, important, 1);
            kept += u64::from(decision.is_some() && at >= per_second * seconds / 2);
        }
        kept as f64 / (seconds as f64 / 2.0)
    }

    #[test]
    fn the_budget_holds_whatever_the_load() {
        for per_second in [10, 1_000, 100_000] {
            let sampler = Sampler::new(Sampling::default());
            let kept = run(&sampler, per_second, 20, false);
            let most = 100f64.min(per_second as f64);
            assert!(kept >= most * 0.6 && kept <= most * 1.4, "{kept} a second of {per_second}");
        }
    }

    #[test]
    fn failures_have_a_budget_of_their_own() {
        let sampler = Sampler::new(Sampling::default());
        let kept = run(&sampler, 20_000, 20, true);
        assert!((90.0..210.0).contains(&kept), "{kept} a second");
    }

    #[test]
    fn a_burst_out_of_silence_is_bounded() {
        let sampler = Sampler::new(Sampling::default());
        sampler.tick(1_000_000_000);
        let kept = (0..100_000u64)
            .filter(|at| sampler.decide(at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8, false, 1).is_some());
        assert!(kept.count() < 1_500);
    }

    #[test]
    fn less_chance_keeps_a_subset() {
        let (calm, busy) = (Sampler::new(Sampling::default()), Sampler::new(Sampling::default()));
        run(&calm, 1_000, 10, false);
        run(&busy, 50_000, 10, false);
        for at in 0..10_000u64 {
            let randomness = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
            let kept = busy.all.threshold.load(Relaxed) <= randomness;
            assert!(!kept || calm.all.threshold.load(Relaxed) <= randomness);
        }
    }

    #[test]
    fn the_threshold_is_written_as_opentelemetry_does() {
        assert_eq!(Kept { threshold: 0 }.tracestate_threshold(), "0");
        assert_eq!(Kept { threshold: RANGE / 2 }.tracestate_threshold(), "8");
        assert_eq!(Kept { threshold: RANGE / 2 }.probability(), 0.5);
    }
}
