//! The moments at which a range is read, and the bucket that what grew between two of them belongs to.

use crate::QueryError;
use std::ops::Range;

/// Fine enough to say since when, coarse enough to count in.
pub const BUCKETS: usize = 60;
/// What was usual is taken from the half day before the range, in stretches: the last of them are ten of six minutes (of
/// twelve before a long range), so that a system that is young has several too.
pub const PAST: usize = 15;
const RECENT_PAST: i64 = 10;
const RECENT_PAST_MS: i64 = 360_000;
const FAR_PAST_HOURS: [i64; PAST - RECENT_PAST as usize] = [12, 9, 6, 4, 3];
/// Rates are compared with those of the hour before.
const USUAL_MS: i64 = 3_600_000;
/// A sample this old still tells the count: agents report every five seconds, and may be late.
pub const LOOKBACK_MS: i64 = 300_000;
const SHORTEST_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;
/// The store has samples at these grains apart, and reads them many times faster than all.
const MINUTE_MS: i64 = 60_000;
const TWELVE_MINUTES_MS: i64 = 720_000;

/// When the counters are read: at the beginnings of the stretches before the range, at its start, and at the end of each
/// bucket.
#[derive(Clone, Debug)]
pub struct Moments {
    pub times_ms: Vec<i64>,
    pub start_ms: i64,
    pub end_ms: i64,
    /// From when on anything can be known: rates are of this time, not of the time before the first agent.
    covered_from_ms: i64,
    /// From when on in the hour before anything can be known.
    usual_from_ms: i64,
    oldest_ms: i64,
}

/// Where an increase belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A stretch before the range, the oldest first.
    Past(usize),
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
        let times_ms = past(start_ms, grain_ms).into_iter().chain((0..=BUCKETS).map(bucket)).collect();
        let usual_from_ms = start_ms.saturating_sub(USUAL_MS);
        Ok(Moments { times_ms, start_ms, end_ms, covered_from_ms: start_ms, usual_from_ms, oldest_ms: i64::MIN })
    }

    pub fn bucket_start_ns(&self, bucket: usize) -> u64 {
        self.range_ms().get(bucket).map_or(0, |time_ms| *time_ms as u64 * 1_000_000)
    }

    pub fn bucket_ns(&self) -> u64 {
        (self.end_ms - self.start_ms).max(0) as u64 * 1_000_000 / BUCKETS as u64
    }

    /// The range's start, and the end of each bucket.
    pub fn range_ms(&self) -> &[i64] {
        self.times_ms.get(PAST..).unwrap_or_default()
    }

    /// Whether a series, by its first and last sample, was there in the hour before the range or in it. What has gone before
    /// that only tells what was usual.
    pub fn is_recent(&self, first_and_last_ms: Option<(i64, i64)>) -> bool {
        let from_ms = self.start_ms.saturating_sub(USUAL_MS + LOOKBACK_MS);
        first_and_last_ms.is_some_and(|(_, last_ms)| last_ms >= from_ms)
    }

    /// The stretches of the hour before, or of what comes nearest to it.
    pub fn hour_before(&self) -> Range<usize> {
        let from_ms = self.start_ms.saturating_sub(USUAL_MS + MINUTE_MS);
        self.times_ms.partition_point(|time_ms| *time_ms < from_ms)..PAST
    }

    /// How long a stretch before the range is, as far as it is known.
    pub fn past_seconds(&self, stretch: usize) -> f64 {
        let bound = |at: usize| self.times_ms.get(at).copied().unwrap_or(self.start_ms);
        (bound(stretch + 1) - bound(stretch).max(self.oldest_ms)).max(0) as f64 / 1000.0
    }

    /// The store's oldest data is from `oldest_ns`.
    pub fn known_since(mut self, oldest_ns: Option<u64>) -> Self {
        let oldest_ms = oldest_ns.map_or(self.start_ms, |ns| (ns / 1_000_000) as i64);
        self.covered_from_ms = oldest_ms.clamp(self.start_ms, self.end_ms - SHORTEST_MS);
        self.usual_from_ms = oldest_ms.clamp(self.usual_from_ms, self.start_ms);
        self.oldest_ms = oldest_ms;
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
        let end = self.range_ms().partition_point(|moment| *moment <= time_ms);
        end.saturating_sub(1).min(BUCKETS - 1)
    }

    pub fn bucket_end_ms(&self, bucket: usize) -> i64 {
        self.range_ms().get(bucket + 1).copied().unwrap_or(self.end_ms)
    }

    pub fn slot(&self, time_ms: i64) -> Slot {
        // The first moment at or after the sample ends its stretch or its bucket.
        let end = self.times_ms.partition_point(|moment| *moment < time_ms).saturating_sub(1);
        if end < PAST { Slot::Past(end) } else { Slot::Bucket((end - PAST).min(BUCKETS - 1)) }
    }
}

/// Where the stretches before the range begin: at moments that the store has apart, whatever the range's are.
fn past(start_ms: i64, grain_ms: i64) -> Vec<i64> {
    let aligned = |time_ms: i64, grain_ms: i64| time_ms - time_ms.rem_euclid(grain_ms);
    let far = FAR_PAST_HOURS.iter().map(|hours| aligned(start_ms.saturating_sub(hours * HOUR_MS), TWELVE_MINUTES_MS));
    let (grain_ms, each_ms) = (grain_ms.max(MINUTE_MS), RECENT_PAST_MS.max(grain_ms));
    let near = (1..=RECENT_PAST).rev().map(|back| aligned(start_ms.saturating_sub(back * each_ms), grain_ms));
    far.chain(near).collect()
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
            assert_eq!((moments.times_ms.len(), moments.range_ms().len()), (PAST + BUCKETS + 1, BUCKETS + 1));
            assert!(moments.times_ms.is_sorted() && moments.times_ms.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(moments.times_ms[..PAST + BUCKETS].iter().all(|moment| moment % grain_ms == 0), "{hours} h");
            assert_eq!(moments.times_ms[PAST + BUCKETS], (end / 1_000_000) as i64);
            assert!((0..grain_ms).contains(&((start / 1_000_000) as i64 - moments.start_ms)));
        }
        let short = Moments::new(1_700_000_000_123_000_000, 1_700_000_600_123_000_000).expect("ten minutes");
        assert_eq!(short.start_ms, 1_700_000_000_123);
    }

    #[test]
    fn what_was_counted_before_is_no_increase() {
        assert_eq!(increase(&[(601, 50, -300), (602, 53, -300)]), [(Slot::Bucket(1), 3)]);
    }

    #[test]
    fn a_counter_that_began_in_the_range_counts_from_zero() {
        assert_eq!(increase(&[(601, 50, 600), (602, 53, 600)]), [(Slot::Bucket(0), 50), (Slot::Bucket(1), 3)]);
    }

    #[test]
    fn a_new_start_is_a_reset_even_when_the_count_is_higher() {
        assert_eq!(increase(&[(600, 5, -300), (601, 7, 600)]), [(Slot::Bucket(0), 7)]);
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
    fn the_half_day_before_has_its_stretches() {
        let samples = [(-119, 1, -600), (300, 2, -600), (541, 4, -600), (600, 9, -600), (660, 10, -600)];
        let found = [(Slot::Past(2), 1), (Slot::Past(5), 2), (Slot::Past(14), 5), (Slot::Bucket(59), 1)];
        assert_eq!(increase(&samples), found);
        let moments = Moments::new(10 * HOUR, 11 * HOUR).expect("a range of an hour");
        assert_eq!((moments.past_seconds(0), moments.past_seconds(14)), (3.0 * 3600.0, 360.0));
        assert_eq!(moments.hour_before(), 5..15);
        let short = Moments::new(1_700_000_000_123_000_000, 1_700_000_600_123_000_000).expect("ten minutes");
        assert!(short.times_ms[..PAST].iter().all(|moment| moment % MINUTE_MS == 0), "the store has them apart");
    }
}
