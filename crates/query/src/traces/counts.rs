//! Traces by key and value, the selected and the failed ones among them apart.

use super::census::{Census, Counted};
use rustc_hash::FxHashMap;

#[derive(Clone, Copy, Default)]
pub struct Count {
    pub all: u64,
    pub selected: u64,
    pub failed: u64,
    /// Equal for two values that hold for the very same traces.
    pub mark: u64,
}

/// By key and value; and by key alone, how many traces know it.
pub struct Counts {
    pub of_key: FxHashMap<u32, FxHashMap<u32, Count>>,
    pub known: FxHashMap<u32, Count>,
    pub all: u64,
    pub selected: u64,
}

impl Counts {
    pub fn of(census: &Census, chosen: &[bool]) -> Counts {
        let mut counts = Counts {
            of_key: FxHashMap::default(),
            known: FxHashMap::default(),
            all: census.traces.len() as u64,
            selected: chosen.iter().filter(|chosen| **chosen).count() as u64,
        };
        for (at, (trace, chosen)) in census.traces.iter().zip(chosen).enumerate() {
            let mut keys: Vec<u32> = trace.values.iter().map(|(key, _)| *key).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                counts.known.entry(key).or_default().add(at, trace, *chosen);
            }
            for (key, value) in &trace.values {
                counts.of_key.entry(*key).or_default().entry(*value).or_default().add(at, trace, *chosen);
            }
        }
        counts
    }
}

impl Count {
    fn add(&mut self, at: usize, trace: &Counted, chosen: bool) {
        // Any mixing will do; the constant is the golden ratio's.
        self.mark ^=
            (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        self.all += 1;
        self.selected += u64::from(chosen);
        self.failed += u64::from(chosen && trace.failed);
    }
}
