//! The agent's own HTTP endpoint: `/metrics` in Prometheus' text and protobuf formats, `/status`, `/-/healthy` and
//! `/-/ready`. It needs no server: an agent alone serves an existing Prometheus.

pub mod native;
mod server;
pub mod text;

pub use server::{Endpoint, EndpointState, StatusSource};

use limpid_model::ExpHistogram;
use limpid_model::histogram::upper_bound;

/// Upper bounds of the classic buckets, in the unit of the histogram (seconds).
pub const LADDER: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// How many values are at most `bound`. A bucket that spans the bound is shared out by where the bound stands in it on
/// the logarithmic scale.
pub fn cumulative(histogram: &ExpHistogram, bound: f64) -> u64 {
    let mut below = histogram.zero_count as f64;
    for (at, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let index = histogram.offset + at as i32;
        let (low, high) = (upper_bound(index - 1, histogram.scale), upper_bound(index, histogram.scale));
        if low >= bound {
            break;
        }
        let share = if high <= bound { 1.0 } else { (bound / low).ln() / (high / low).ln() };
        below += *count as f64 * share;
    }
    (below.round() as u64).min(histogram.count)
}

/// `http.route` is `http_route` here.
pub fn label_name(name: &str) -> std::borrow::Cow<'_, str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(fits) {
        return name.into();
    }
    name.chars().map(|c| if fits(c) { c } else { '_' }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_counts_what_lies_below() {
        let mut histogram = ExpHistogram::default();
        (1..=1000u64).for_each(|value| histogram.record_ns(value * 1_000_000));
        let below = cumulative(&histogram, 0.5);
        assert!((480..=520).contains(&below), "{below}");
        assert_eq!(cumulative(&histogram, 60.0), 1000);
        assert_eq!(cumulative(&histogram, 0.0005), 0);
        let ladder: Vec<u64> = LADDER.iter().map(|bound| cumulative(&histogram, *bound)).collect();
        assert!(ladder.is_sorted());
    }
}
