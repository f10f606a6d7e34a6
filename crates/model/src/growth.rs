//! What a series of cumulative histograms grew by, stretch by stretch: of a range this is all that a total needs, and
//! many times smaller than the histograms themselves.

use crate::ExpHistogram;
use crate::series::{Labels, Series, Value};

/// Of histograms whose buckets lie further apart than this, neighbours are put together.
const MAX_WIDTH: i64 = 4_096;

/// One series, and what it grew by between each two of its samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Growth {
    pub labels: Labels,
    /// When its samples were taken, ascending.
    pub sampled_ms: Vec<i64>,
    stretches: Vec<Stretch>,
    /// The buckets of all stretches, one stretch after the other.
    counts: Vec<f64>,
}

/// The time between two samples. Bucket `offset + i` of `scale` grew by the `i`-th of its counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// Of the sample that ends it.
    pub time_ms: i64,
    pub count: f64,
    pub zero_count: f64,
    pub sum: f64,
    pub scale: i8,
    pub offset: i32,
    /// Where its counts are, and how many.
    from: u32,
    length: u32,
}

impl Growth {
    pub fn new(labels: Labels) -> Growth {
        Growth { labels, ..Growth::default() }
    }

    /// Of samples that are all to be counted. `first_ms` is where reading began: see [`Counter`].
    pub fn of(series: Series, first_ms: i64) -> Growth {
        let mut counter = Counter::new(series.labels, first_ms);
        for (at, sample) in series.samples.into_iter().enumerate() {
            let start_ms = series.starts.get(at).copied().unwrap_or(0);
            match sample.value {
                Value::Histogram(histogram) => {
                    counter.histogram(sample.time_ms, start_ms, &mut ExpHistogram::clone(&histogram));
                }
                Value::Float(_) => counter.other(sample.time_ms),
            }
        }
        counter.finish()
    }

    pub fn stretches(&self) -> impl Iterator<Item = (&Stretch, &[f64])> {
        self.stretches.iter().map(|stretch| {
            let from = stretch.from as usize;
            (stretch, self.counts.get(from..from + stretch.length as usize).unwrap_or_default())
        })
    }

    /// Adds a stretch of a histogram that was counted otherwise; `sum` is not known of it.
    pub fn push(&mut self, time_ms: i64, count: f64, zero_count: f64, scale: i8, (offset, counts): (i32, &[f64])) {
        let from = self.counts.len() as u32;
        self.counts.extend_from_slice(counts);
        let length = counts.len() as u32;
        self.stretches.push(Stretch { time_ms, count, zero_count, sum: 0.0, scale, offset, from, length });
    }
}

/// Counts what histograms grew by, which come in the order of time and are only lent.
///
/// A counter that begins anew has a later start (or, without one, a smaller count): what it holds then is all new. A
/// first sample that began before `first_ms` holds a past that is not part of what is read.
#[derive(Debug, Default)]
pub struct Counter {
    growth: Growth,
    first_ms: i64,
    /// The start of `last`; none before the first histogram.
    last_start_ms: Option<i64>,
    last: ExpHistogram,
}

impl Counter {
    pub fn new(labels: Labels, first_ms: i64) -> Counter {
        Counter { growth: Growth::new(labels), first_ms, ..Counter::default() }
    }

    /// The next series: buffers are used again.
    pub fn restart(&mut self, labels: Labels) {
        self.growth.labels = labels;
        self.growth.sampled_ms.clear();
        self.growth.stretches.clear();
        self.growth.counts.clear();
        self.last_start_ms = None;
    }

    /// A sample that is no histogram.
    pub fn other(&mut self, time_ms: i64) {
        self.growth.sampled_ms.push(time_ms);
    }

    /// The next histogram. What `now` holds afterwards is of no meaning: it is exchanged and not copied.
    pub fn histogram(&mut self, time_ms: i64, start_ms: i64, now: &mut ExpHistogram) {
        self.growth.sampled_ms.push(time_ms);
        let (last, before) = (&self.last, self.last_start_ms);
        let goes_on = before.is_some_and(|last_start_ms| is_same_count(last, last_start_ms, now, start_ms));
        let is_new = before.is_some() || (start_ms > 0 && start_ms >= self.first_ms);
        if goes_on && now.count > last.count {
            self.growth.add(time_ms, now, Some(last));
        } else if is_new && !goes_on {
            self.growth.add(time_ms, now, None);
        }
        self.last_start_ms = Some(start_ms);
        std::mem::swap(&mut self.last, now);
    }

    /// The growth of the series, in no more room than it needs; `restart` begins another one.
    pub fn finish(&mut self) -> Growth {
        let Growth { sampled_ms, stretches, counts, .. } = &self.growth;
        let (sampled_ms, stretches, counts) = (sampled_ms.clone(), stretches.clone(), counts.clone());
        Growth { labels: std::mem::take(&mut self.growth.labels), sampled_ms, stretches, counts }
    }
}

/// Is `now` a later state of the same count?
pub fn is_same_count(before: &ExpHistogram, before_start_ms: i64, now: &ExpHistogram, now_start_ms: i64) -> bool {
    now.count >= before.count && (now_start_ms == before_start_ms || now_start_ms == 0 || before_start_ms == 0)
}

impl Growth {
    fn add(&mut self, time_ms: i64, now: &ExpHistogram, before: Option<&ExpHistogram>) {
        let from = self.counts.len();
        let (scale, offset) = match before {
            None => (now.scale, put_difference(&mut self.counts, now, &ExpHistogram::default())),
            Some(before) if now.scale == before.scale && width(now, before) <= MAX_WIDTH => {
                (now.scale, put_difference(&mut self.counts, now, before))
            }
            Some(before) => self.add_coarser(now, before),
        };
        let had = |get: fn(&ExpHistogram) -> u64| before.map_or(0.0, |before| get(before) as f64);
        self.stretches.push(Stretch {
            time_ms,
            count: now.count as f64 - had(|one| one.count),
            zero_count: now.zero_count as f64 - had(|one| one.zero_count),
            sum: now.sum - before.map_or(0.0, |before| before.sum),
            scale,
            offset,
            from: from as u32,
            length: (self.counts.len() - from) as u32,
        });
    }

    /// At the finest scale at which both have one, and near enough to each other.
    fn add_coarser(&mut self, now: &ExpHistogram, before: &ExpHistogram) -> (i8, i32) {
        let mut scale = now.scale.min(before.scale);
        loop {
            let (now, before) = (coarser(now, scale), coarser(before, scale));
            if width(&now, &before) <= MAX_WIDTH {
                return (scale, put_difference(&mut self.counts, &now, &before));
            }
            let Some(next) = scale.checked_sub(1) else {
                // No values are that far apart: the buckets say nothing.
                return (scale, 0);
            };
            scale = next;
        }
    }
}

fn end(histogram: &ExpHistogram) -> i64 {
    i64::from(histogram.offset) + histogram.counts.len() as i64
}

/// Of the buckets of both together.
fn width(now: &ExpHistogram, before: &ExpHistogram) -> i64 {
    match before.counts.is_empty() || now.counts.is_empty() {
        true => now.counts.len().max(before.counts.len()) as i64,
        false => end(now).max(end(before)) - i64::from(now.offset.min(before.offset)),
    }
}

/// Appends what each bucket grew by, without the ones at both ends that stood still; gives the index of the first.
fn put_difference(out: &mut Vec<f64>, now: &ExpHistogram, before: &ExpHistogram) -> i32 {
    let low = match (now.counts.is_empty(), before.counts.is_empty()) {
        (_, true) => now.offset,
        (true, false) => before.offset,
        (false, false) => now.offset.min(before.offset),
    };
    let from = out.len();
    out.resize(from + width(now, before) as usize, 0.0);
    let place = |histogram: &ExpHistogram| from + (i64::from(histogram.offset) - i64::from(low)).max(0) as usize;
    if !now.counts.is_empty() {
        out[place(now)..].iter_mut().zip(&now.counts).for_each(|(sum, count)| *sum = *count as f64);
    }
    if !before.counts.is_empty() {
        out[place(before)..].iter_mut().zip(&before.counts).for_each(|(sum, count)| *sum -= *count as f64);
    }
    let still = out[from..].iter().take_while(|grown| **grown == 0.0).count();
    out.drain(from..from + still);
    let still_behind = out[from..].iter().rev().take_while(|grown| **grown == 0.0).count();
    out.truncate(out.len() - still_behind);
    (i64::from(low) + still as i64) as i32
}

/// The same at a coarser scale; one from outside may have any index.
fn coarser(histogram: &ExpHistogram, scale: i8) -> ExpHistogram {
    let shift = (i32::from(histogram.scale) - i32::from(scale)).clamp(0, 31);
    if shift == 0 || histogram.counts.is_empty() {
        return ExpHistogram { scale, ..histogram.clone() };
    }
    let first = i64::from(histogram.offset) >> shift;
    let last = (end(histogram) - 1) >> shift;
    let mut counts = vec![0u64; (last - first + 1) as usize];
    for (index, count) in (i64::from(histogram.offset)..).zip(&histogram.counts) {
        let sum = &mut counts[((index >> shift) - first) as usize];
        *sum = sum.wrapping_add(*count);
    }
    ExpHistogram { scale, offset: first as i32, counts, ..histogram.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sample;
    use std::sync::Arc;

    struct Noise(u64);

    impl Noise {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 33) % limit
        }
    }

    fn series(samples: Vec<(i64, i64, ExpHistogram)>) -> Series {
        let sample = |(time_ms, _, histogram): &(i64, i64, ExpHistogram)| Sample {
            time_ms: *time_ms,
            value: Value::Histogram(Arc::new(histogram.clone())),
        };
        Series {
            labels: Labels::default(),
            samples: samples.iter().map(sample).collect(),
            starts: samples.iter().map(|(_, start_ms, _)| *start_ms).collect(),
        }
    }

    /// The sum of all stretches, bucket by bucket.
    fn total(growth: &Growth) -> (f64, std::collections::BTreeMap<i64, f64>) {
        let (mut count, mut buckets) = (0.0, std::collections::BTreeMap::new());
        for (stretch, counts) in growth.stretches() {
            count += stretch.count;
            for (index, grown) in (i64::from(stretch.offset)..).zip(counts) {
                *buckets.entry(index).or_default() += grown;
            }
        }
        buckets.retain(|_, count| *count != 0.0);
        (count, buckets)
    }

    #[test]
    fn stretches_add_up_to_what_was_recorded_through_restarts() {
        for seed in 0..50 {
            let mut noise = Noise(seed);
            let (mut now, mut all, mut samples) = (ExpHistogram::default(), ExpHistogram::default(), Vec::new());
            let mut start_ms = 1_000;
            for at in 0..60 {
                if noise.below(12) == 0 {
                    (now, start_ms) = (ExpHistogram::default(), 2_000 + at * 1_000);
                }
                for _ in 0..noise.below(40) {
                    let duration_ns = 1 << noise.below(40);
                    now.record_ns(duration_ns);
                    all.record_ns(duration_ns);
                }
                samples.push((at * 1_000 + 500, start_ms, now.clone()));
            }
            let (count, buckets) = total(&Growth::of(series(samples), 1_000));
            assert_eq!(count, all.count as f64);
            let expected = (i64::from(all.offset)..).zip(&all.counts).filter(|(_, count)| **count > 0);
            assert_eq!(buckets, expected.map(|(index, count)| (index, *count as f64)).collect());
        }
    }

    #[test]
    fn a_count_that_becomes_coarser_goes_on() {
        let mut fine = ExpHistogram::default();
        (1..100u64).for_each(|ms| fine.record_ns(ms * 1_000_000));
        let mut coarse = fine.clone();
        coarse.downscale(1);
        coarse.count += 2;
        coarse.add(coarse.offset + 1, 2);
        let growth = Growth::of(series(vec![(10, 1, fine), (20, 1, coarse.clone())]), 5);
        let found: Vec<_> = growth.stretches().map(|(stretch, counts)| (*stretch, counts.to_vec())).collect();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0.scale, found[0].0.offset, &found[0].1), (1, coarse.offset + 1, &vec![2.0]));
    }

    #[test]
    fn indexes_from_outside_cost_no_memory_and_no_panic() {
        let wide = |offset: i32, scale: i8| ExpHistogram {
            scale,
            count: 7,
            offset,
            counts: vec![7],
            ..ExpHistogram::default()
        };
        for (one, other) in [(i32::MIN, i32::MAX), (i32::MAX, i32::MIN), (0, i32::MAX), (5, 5)] {
            for (scale, next) in [(3, 3), (i8::MAX, i8::MIN), (i8::MIN, i8::MAX)] {
                let mut more = wide(other, next);
                more.count = 8;
                let growth = Growth::of(series(vec![(10, 1, wide(one, scale)), (20, 1, more)]), 5);
                assert!(growth.stretches().all(|(_, counts)| counts.len() as i64 <= MAX_WIDTH));
            }
        }
    }
}
