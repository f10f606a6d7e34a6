//! The moments at which a range is read, and the bucket that what grew between two of them belongs to.

use crate::QueryError;

/// Fine enough to say since when, coarse enough to count in.
pub const BUCKETS: usize = 60;
/// What was usual is taken from the hour before the range.
const USUAL_MS: i64 = 3_600_000;
/// A sample this old still tells the count: agents report every five seconds, and may be late.
pub const LOOKBACK_MS: i64 = 300_000;
const SHORTEST_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;
/// The store has samples at these grains apart, and reads them many times faster than all.
const MINUTE_MS: i64 = 60_000;
const TWELVE_MINUTES_MS: i64 = 720_000;

/// When the counters are read: an hour before the range, at its start, and at the end of each bucket.
#[derive(Clone, Debug)]
pub struct Moments {
    pub times_ms: Vec<i64>,
    pub start_ms: i64,
    pub end_ms: i64,
    /// From when on anything can be known: rates are of this time, not of the time before the first agent.
    covered_from_ms: i64,
    /// From when on in the hour before anything can be known.
    usual_from_ms: i64,
}

/// Where an increase belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Usual,
    Bucket(usize),
}

impl Moments {
    pub fn new(start_ns: u64, end_ns: u64) -> Result<Self, QueryError> {
        let (start_ms, end_ms) = ((start_ns / 1_000_000) as i64, (end_ns / 1_000_000) as i64);
        if end_ms < start_ms.saturating_add(SHORTEST_MS) {
            return Err(QueryError::bad_data("the range must be a second or longer, and its end after its start"));
        }
        let grain_ms = grain_ms(end_ms - start_ms);
        let start_ms = start_ms - start_ms % grain_ms;
        let length = end_ms - start_ms;
        let bucket = |at: usize| {
            let bound = start_ms + (length as i128 * at as i128 / BUCKETS as i128) as i64;
            if at == BUCKETS { end_ms } else { bound - bound % grain_ms }
        };
        let times_ms = std::iter::once(start_ms.saturating_sub(USUAL_MS)).chain((0..=BUCKETS).map(bucket)).collect();
        let usual_from_ms = start_ms.saturating_sub(USUAL_MS);
        Ok(Moments { times_ms, start_ms, end_ms, covered_from_ms: start_ms, usual_from_ms })
    }

    pub fn bucket_start_ns(&self, bucket: usize) -> u64 {
        self.times_ms.get(bucket + 1).map_or(0, |time_ms| *time_ms as u64 * 1_000_000)
    }

    /// The store's oldest data is from `oldest_ns`.
    pub fn known_since(mut self, oldest_ns: Option<u64>) -> Self {
        let oldest_ms = oldest_ns.map_or(self.start_ms, |ns| (ns / 1_000_000) as i64);
        self.covered_from_ms = oldest_ms.clamp(self.start_ms, self.end_ms - SHORTEST_MS);
        self.usual_from_ms = oldest_ms.clamp(self.usual_from_ms, self.start_ms);
        self
    }

    pub fn seconds(&self) -> f64 {
        (self.end_ms - self.covered_from_ms) as f64 / 1000.0
    }

    /// How much of the hour before is known.
    pub fn usual_seconds(&self) -> f64 {
        (self.start_ms - self.usual_from_ms) as f64 / 1000.0
    }

    /// Of something that happened in the range.
    pub fn bucket(&self, time_ms: i64) -> usize {
        let end = self.times_ms.partition_point(|moment| *moment <= time_ms);
        end.saturating_sub(2).min(BUCKETS - 1)
    }

    pub fn bucket_end_ms(&self, bucket: usize) -> i64 {
        self.times_ms.get(bucket + 2).copied().unwrap_or(self.end_ms)
    }

    pub fn slot(&self, time_ms: i64) -> Slot {
        if time_ms <= self.start_ms {
            return Slot::Usual;
        }
        // The first moment at or after the sample ends its bucket.
        let end = self.times_ms.partition_point(|moment| *moment < time_ms);
        Slot::Bucket(end.saturating_sub(2).min(BUCKETS - 1))
    }
}

/// The bounds of a long range's buckets are multiples of this; its beginning is at most so much earlier than asked for.
fn grain_ms(length_ms: i64) -> i64 {
    match length_ms {
        ..HOUR_MS => 1,
        HOUR_MS..43_200_000 => MINUTE_MS,
        _ => TWELVE_MINUTES_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_model::{ExpHistogram, Growth, Labels, Sample, Series, Value};
    use std::sync::Arc;

    const HOUR: u64 = 3_600_000_000_000;

    fn counted(count: u64) -> Value {
        let mut histogram = ExpHistogram::default();
        (0..count).for_each(|_| histogram.record(0.1));
        Value::Histogram(Arc::new(histogram))
    }

    fn increase(samples: &[(i64, u64, i64)]) -> Vec<(Slot, u64)> {
        let sample = |(minute, count, _): &(i64, u64, i64)| Sample { time_ms: minute * 60_000, value: counted(*count) };
        let series = Series {
            labels: Labels::default(),
            samples: samples.iter().map(sample).collect(),
            starts: samples.iter().map(|(_, _, start)| start * 60_000).collect(),
        };
        let mut found = Vec::new();
        let moments = Moments::new(10 * HOUR, 11 * HOUR).expect("a range of an hour");
        for (stretch, _) in Growth::of(series, moments.times_ms[0]).stretches() {
            found.push((moments.slot(stretch.time_ms), stretch.count as u64));
        }
        found
    }

    #[test]
    fn the_buckets_of_a_long_range_are_whole_minutes_and_end_where_it_ends() {
        for (hours, grain_ms) in [(1, 60_000), (6, 60_000), (24, 720_000), (168, 720_000)] {
            let (start, end) = (1_700_000_000_123_000_000, 1_700_000_000_123_000_000 + hours * HOUR);
            let moments = Moments::new(start, end).expect("a range");
            assert_eq!(moments.times_ms.len(), BUCKETS + 2);
            assert!(moments.times_ms.is_sorted() && moments.times_ms.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(moments.times_ms[..=BUCKETS].iter().all(|moment| moment % grain_ms == 0), "{hours} h");
            assert_eq!(moments.times_ms[BUCKETS + 1], (end / 1_000_000) as i64);
            assert!((0..grain_ms).contains(&((start / 1_000_000) as i64 - moments.start_ms)));
        }
        let short = Moments::new(1_700_000_000_123_000_000, 1_700_000_600_123_000_000).expect("ten minutes");
        assert_eq!(short.start_ms, 1_700_000_000_123);
    }

    #[test]
    fn what_was_counted_before_is_no_increase() {
        assert_eq!(increase(&[(601, 50, 1), (602, 53, 1)]), [(Slot::Bucket(1), 3)]);
    }

    #[test]
    fn a_counter_that_began_in_the_range_counts_from_zero() {
        assert_eq!(increase(&[(601, 50, 600), (602, 53, 600)]), [(Slot::Bucket(0), 50), (Slot::Bucket(1), 3)]);
    }

    #[test]
    fn a_new_start_is_a_reset_even_when_the_count_is_higher() {
        assert_eq!(increase(&[(600, 5, 1), (601, 7, 600)]), [(Slot::Bucket(0), 7)]);
    }

    #[test]
    fn a_smaller_count_is_a_reset_without_start_times() {
        assert_eq!(increase(&[(600, 5, 0), (601, 2, 0)]), [(Slot::Bucket(0), 2)]);
    }

    #[test]
    fn rates_are_of_the_time_that_is_known() {
        let moments = || Moments::new(10 * HOUR, 11 * HOUR).expect("a range of an hour");
        assert_eq!(moments().known_since(None).seconds(), 3600.0);
        assert_eq!(moments().known_since(Some(HOUR)).seconds(), 3600.0);
        assert_eq!(moments().known_since(Some(11 * HOUR - HOUR / 60)).seconds(), 60.0);
        assert_eq!(moments().known_since(Some(12 * HOUR)).seconds(), 1.0);
        assert_eq!(moments().known_since(Some(HOUR)).usual_seconds(), 3600.0);
        assert_eq!(moments().known_since(Some(10 * HOUR - HOUR / 60)).usual_seconds(), 60.0);
        assert_eq!(moments().known_since(Some(12 * HOUR)).usual_seconds(), 0.0);
    }

    #[test]
    fn the_hour_before_is_what_was_usual() {
        assert_eq!(increase(&[(540, 1, 1), (600, 9, 1), (660, 10, 1)]), [(Slot::Usual, 8), (Slot::Bucket(59), 1)]);
    }
}
