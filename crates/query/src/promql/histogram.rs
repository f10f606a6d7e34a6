//! Histograms with float counts, as PromQL computes with them.
//!
//! Bucket indices follow Prometheus: bucket `i` of schema `s` holds `(2^((i-1)/2^s), 2^(i/2^s)]`, one more than OTLP's
//! index of the same bucket. Schema -53 marks custom bounds (a classic histogram in native form). Adding histograms of
//! different resolution gives the coarser one; what would grow beyond [`MAX_BUCKETS`] is made coarser first, so that
//! two histograms with far-apart offsets cannot fill the memory.

use limpid_model::ExpHistogram;
use limpid_model::growth::Stretch;
use std::sync::Arc;

pub const CUSTOM_SCHEMA: i32 = -53;
const MAX_SCHEMA: i32 = 8;
const MIN_SCHEMA: i32 = -10;
/// Above every index that a float64 can have at `MAX_SCHEMA`.
const MAX_INDEX: i32 = 1 << 20;
/// All float64 values at schema 4, all latencies from 1 ns to a year at schema 8.
const MAX_BUCKETS: i64 = 40_000;

/// What is known about the sample before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResetHint {
    #[default]
    Unknown,
    Reset,
    NotReset,
    Gauge,
}

/// Consecutive buckets from index `offset` on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    pub offset: i32,
    pub counts: Vec<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    pub schema: i32,
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub count: f64,
    pub sum: f64,
    pub positive: Buckets,
    pub negative: Buckets,
    /// Upper bounds with `CUSTOM_SCHEMA`, without +Inf.
    pub bounds: Option<Arc<[f64]>>,
    pub hint: ResetHint,
}

/// One bucket with its bounds; `lower` is excluded for positive values and included for negative ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
}

/// Exponential and custom buckets do not mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incompatible;

/// What happened while two histograms were combined, for the annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    pub reset_collision: bool,
    pub bounds_reconciled: bool,
}

impl Buckets {
    fn end(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64
    }

    pub fn get(&self, index: i64) -> f64 {
        let at = index - i64::from(self.offset);
        usize::try_from(at).ok().and_then(|at| self.counts.get(at)).copied().unwrap_or(0.0)
    }

    fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0.0)
    }

    /// Adds `factor` times the other's counts.
    fn add(&mut self, other: &Buckets, factor: f64) {
        if other.counts.is_empty() {
            return;
        }
        self.cover(other.offset, other.end());
        let from = (i64::from(other.offset) - i64::from(self.offset)) as usize;
        for (mine, theirs) in self.counts[from..].iter_mut().zip(&other.counts) {
            *mine += factor * theirs;
        }
    }

    fn cover(&mut self, start: i32, end: i64) {
        if self.counts.is_empty() {
            self.offset = start;
        }
        if start < self.offset {
            let missing = (i64::from(self.offset) - i64::from(start)) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.offset = start;
        }
        let needed = (end - i64::from(self.offset)).max(0) as usize;
        if needed > self.counts.len() {
            self.counts.resize(needed, 0.0);
        }
    }

    fn coarser(&self, shift: u32) -> Buckets {
        let mut out = Buckets::default();
        let Some(last) = self.counts.len().checked_sub(1) else { return out };
        let first_index = coarser_index(i64::from(self.offset), shift);
        let last_index = coarser_index(i64::from(self.offset) + last as i64, shift);
        out.offset = first_index as i32;
        out.counts = vec![0.0; (last_index - first_index + 1) as usize];
        for (at, count) in self.counts.iter().enumerate() {
            out.counts[(coarser_index(i64::from(self.offset) + at as i64, shift) - first_index) as usize] += count;
        }
        out
    }

    /// Drops empty buckets at both ends.
    fn trim(&mut self) {
        let leading = self.counts.iter().take_while(|count| **count == 0.0).count();
        if leading == self.counts.len() {
            *self = Buckets::default();
            return;
        }
        let trailing = self.counts.iter().rev().take_while(|count| **count == 0.0).count();
        self.counts.truncate(self.counts.len() - trailing);
        self.counts.drain(..leading);
        self.offset += leading as i32;
    }

    /// First and last index once made coarser by `shift`.
    fn span_at(&self, shift: i32) -> Option<(i64, i64)> {
        let shift = shift.max(0) as u32;
        let last = self.end() - 1;
        (!self.counts.is_empty()).then(|| (coarser_index(i64::from(self.offset), shift), coarser_index(last, shift)))
    }
}

fn coarser_index(index: i64, shift: u32) -> i64 {
    ((index - 1) >> shift.min(62)) + 1
}

impl From<&ExpHistogram> for Histogram {
    fn from(from: &ExpHistogram) -> Self {
        let counts: Vec<f64> = from.counts.iter().map(|count| *count as f64).collect();
        let mut histogram = Histogram {
            schema: i32::from(from.scale),
            zero_count: from.zero_count as f64,
            count: from.count as f64,
            sum: from.sum,
            positive: Buckets { offset: from.offset.saturating_add(1), counts },
            ..Histogram::default()
        };
        histogram.bound();
        histogram
    }
}

impl Histogram {
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    pub fn custom_bounds(&self) -> &[f64] {
        self.bounds.as_deref().unwrap_or(&[])
    }

    /// Roughly how many floats it takes, for the limits.
    pub fn size(&self) -> usize {
        4 + self.positive.counts.len() + self.negative.counts.len()
    }

    /// What comes from outside, bounded.
    fn bound(&mut self) {
        self.bound_size();
        // No float lies beyond; an index from outside may say anything.
        self.positive.offset = self.positive.offset.clamp(-MAX_INDEX, MAX_INDEX);
    }

    fn bound_size(&mut self) {
        while !self.is_custom() && self.schema > MIN_SCHEMA {
            let width = self.positive.counts.len().max(self.negative.counts.len()) as i64;
            if self.schema <= MAX_SCHEMA && width <= MAX_BUCKETS {
                return;
            }
            self.reduce_to(self.schema - 1);
        }
    }

    /// Makes it coarser; a finer schema leaves it as it is.
    pub fn reduce_to(&mut self, schema: i32) {
        if self.is_custom() || schema >= self.schema {
            return;
        }
        let shift = (self.schema - schema) as u32;
        self.positive = self.positive.coarser(shift);
        self.negative = self.negative.coarser(shift);
        self.schema = schema;
    }

    pub fn upper_bound(&self, index: i64) -> f64 {
        if self.is_custom() {
            let bounds = self.custom_bounds();
            return match usize::try_from(index) {
                Ok(index) => bounds.get(index).copied().unwrap_or(f64::INFINITY),
                Err(_) => f64::NEG_INFINITY,
            };
        }
        exponential_bound(index, self.schema)
    }

    fn positive_bucket(&self, at: usize) -> Bucket {
        let index = i64::from(self.positive.offset) + at as i64;
        Bucket { lower: self.upper_bound(index - 1), upper: self.upper_bound(index), count: self.positive.counts[at] }
    }

    fn negative_bucket(&self, at: usize) -> Bucket {
        let index = i64::from(self.negative.offset) + at as i64;
        Bucket { lower: -self.upper_bound(index), upper: -self.upper_bound(index - 1), count: self.negative.counts[at] }
    }

    fn zero_bucket(&self) -> Option<Bucket> {
        (self.zero_count != 0.0).then_some(Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
        })
    }

    /// All buckets from the lowest to the highest, empty ones inside a run included.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        let negative = (0..self.negative.counts.len()).rev().map(|at| self.negative_bucket(at));
        let positive = (0..self.positive.counts.len()).map(|at| self.positive_bucket(at));
        negative.chain(self.zero_bucket()).chain(positive)
    }

    pub fn scale(&mut self, factor: f64) {
        self.zero_count *= factor;
        self.count *= factor;
        self.sum *= factor;
        self.positive.counts.iter_mut().chain(&mut self.negative.counts).for_each(|count| *count *= factor);
        if factor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    pub fn divide(&mut self, divisor: f64) {
        self.zero_count /= divisor;
        self.count /= divisor;
        self.sum /= divisor;
        if divisor == 0.0 {
            // Every bucket would be NaN or infinite: Prometheus leaves none.
            self.positive = Buckets::default();
            self.negative = Buckets::default();
            return;
        }
        self.positive.counts.iter_mut().chain(&mut self.negative.counts).for_each(|count| *count /= divisor);
        if divisor < 0.0 {
            self.hint = ResetHint::Gauge;
        }
    }

    pub fn add(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.combine(other, 1.0)
    }

    pub fn subtract(&mut self, other: &Histogram) -> Result<Combined, Incompatible> {
        self.combine(other, -1.0)
    }

    /// Adds `factor` times a stored histogram; of the same scale, without a copy.
    pub fn add_native(&mut self, other: &ExpHistogram, factor: f64) {
        let in_place = self.takes_in_place(other.scale, other.offset, other.counts.len());
        self.count += factor * other.count as f64;
        self.sum += factor * other.sum;
        if !in_place {
            self.combine_exponential(&Histogram::from(other), factor);
            return;
        }
        self.zero_count += factor * other.zero_count as f64;
        if other.counts.is_empty() {
            return;
        }
        let start = other.offset + 1;
        self.positive.cover(start, i64::from(start) + other.counts.len() as i64);
        let from = (start - self.positive.offset) as usize;
        for (mine, theirs) in self.positive.counts[from..].iter_mut().zip(&other.counts) {
            *mine += factor * *theirs as f64;
        }
    }

    /// Adds what a series grew by.
    pub fn add_stretch(&mut self, stretch: &Stretch, counts: &[f64]) {
        self.count += stretch.count;
        self.sum += stretch.sum;
        if !self.takes_in_place(stretch.scale, stretch.offset, counts.len()) {
            let mut other = Histogram {
                schema: i32::from(stretch.scale),
                zero_count: stretch.zero_count,
                positive: Buckets { offset: stretch.offset.saturating_add(1), counts: counts.to_vec() },
                ..Histogram::default()
            };
            other.bound();
            return self.combine_exponential(&other, 1.0);
        }
        self.zero_count += stretch.zero_count;
        if counts.is_empty() {
            return;
        }
        let start = stretch.offset + 1;
        self.positive.cover(start, i64::from(start) + counts.len() as i64);
        let from = (start - self.positive.offset) as usize;
        self.positive.counts[from..].iter_mut().zip(counts).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// Do the buckets of a stored histogram of this schema fit without making anything coarser?
    fn takes_in_place(&self, scale: i8, offset: i32, buckets: usize) -> bool {
        let within = |index: i64| index.abs() < i64::from(MAX_INDEX);
        let near = self.positive.counts.is_empty()
            || (i64::from(offset) - i64::from(self.positive.offset)).abs() < MAX_BUCKETS / 4;
        i32::from(scale) == self.schema
            && self.zero_threshold == 0.0
            && within(i64::from(offset))
            && near
            && buckets < MAX_BUCKETS as usize / 4
    }

    /// For two that are known to be exponential.
    pub fn merge_exponential(&mut self, other: &Histogram) {
        self.count += other.count;
        self.sum += other.sum;
        self.combine_exponential(other, 1.0);
    }

    fn combine(&mut self, other: &Histogram, factor: f64) -> Result<Combined, Incompatible> {
        if self.is_custom() != other.is_custom() {
            return Err(Incompatible);
        }
        let mut combined = Combined { reset_collision: self.adjust_hint(other), bounds_reconciled: false };
        self.count += factor * other.count;
        self.sum += factor * other.sum;
        if self.is_custom() {
            combined.bounds_reconciled = self.combine_custom(other, factor);
            return Ok(combined);
        }
        self.combine_exponential(other, factor);
        Ok(combined)
    }

    fn combine_exponential(&mut self, other: &Histogram, factor: f64) {
        let zero = self.reconcile_zero_bucket(other);
        let other = zero.as_ref().unwrap_or(other);
        self.zero_count += factor * other.zero_count;
        let schema = self.common_schema(other);
        self.reduce_to(schema);
        if other.schema == schema {
            self.positive.add(&other.positive, factor);
            self.negative.add(&other.negative, factor);
            return;
        }
        let shift = (other.schema - schema) as u32;
        self.positive.add(&other.positive.coarser(shift), factor);
        self.negative.add(&other.negative.coarser(shift), factor);
    }

    /// The finest schema at which both fit together.
    fn common_schema(&self, other: &Histogram) -> i32 {
        let mut schema = self.schema.min(other.schema);
        while schema > MIN_SCHEMA && self.width_with(other, schema) > MAX_BUCKETS {
            schema -= 1;
        }
        schema
    }

    fn width_with(&self, other: &Histogram, schema: i32) -> i64 {
        let width = |mine: &Buckets, theirs: &Buckets| {
            let spans = [mine.span_at(self.schema - schema), theirs.span_at(other.schema - schema)];
            let spans = spans.into_iter().flatten();
            let whole = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            whole.map_or(0, |(first, last)| last - first + 1)
        };
        width(&self.positive, &other.positive).max(width(&self.negative, &other.negative))
    }

    /// Both sides get the larger zero bucket, widened over buckets that it would cut in two. Gives the other side if
    /// it had to change.
    fn reconcile_zero_bucket(&mut self, other: &Histogram) -> Option<Histogram> {
        if self.zero_threshold == other.zero_threshold {
            return None;
        }
        let mut other = other.clone();
        for _ in 0..64 {
            let threshold = self.zero_threshold.max(other.zero_threshold);
            self.widen_zero_bucket(threshold);
            other.widen_zero_bucket(self.zero_threshold);
            if self.zero_threshold == other.zero_threshold {
                break;
            }
        }
        Some(other)
    }

    fn widen_zero_bucket(&mut self, threshold: f64) {
        if threshold <= self.zero_threshold {
            return;
        }
        let mut threshold = threshold;
        // A populated bucket that reaches over the threshold goes into the zero bucket whole, and moves the threshold.
        for buckets in [&self.positive, &self.negative] {
            for (at, count) in buckets.counts.iter().enumerate() {
                let index = i64::from(buckets.offset) + at as i64;
                let (lower, upper) = (exponential_bound(index - 1, self.schema), exponential_bound(index, self.schema));
                if *count != 0.0 && lower < threshold && upper > threshold {
                    threshold = upper;
                }
            }
        }
        let schema = self.schema;
        let mut absorbed = 0.0;
        for buckets in [&mut self.positive, &mut self.negative] {
            let covered = (0..buckets.counts.len())
                .take_while(|at| exponential_bound(i64::from(buckets.offset) + *at as i64, schema) <= threshold)
                .count();
            absorbed += buckets.counts.drain(..covered).sum::<f64>();
            buckets.offset += covered as i32;
        }
        self.zero_count += absorbed;
        self.zero_threshold = threshold;
    }

    /// Different custom bounds meet at those they share.
    fn combine_custom(&mut self, other: &Histogram, factor: f64) -> bool {
        if self.custom_bounds() == other.custom_bounds() {
            self.positive.add(&other.positive, factor);
            return false;
        }
        let theirs = other.custom_bounds();
        let shared: Vec<f64> = self.custom_bounds().iter().filter(|bound| theirs.contains(bound)).copied().collect();
        let mut mine = self.with_bounds(&shared);
        mine.add(&other.with_bounds(&shared), factor);
        self.positive = mine;
        self.bounds = Some(shared.into());
        true
    }

    fn with_bounds(&self, bounds: &[f64]) -> Buckets {
        let mut counts = vec![0.0; bounds.len() + 1];
        for (at, count) in self.positive.counts.iter().enumerate() {
            let upper = self.upper_bound(i64::from(self.positive.offset) + at as i64);
            let to = bounds.iter().take_while(|bound| **bound < upper).count();
            counts[to] += count;
        }
        Buckets { offset: 0, counts }
    }

    /// True when one side says "reset" and the other "no reset".
    fn adjust_hint(&mut self, other: &Histogram) -> bool {
        use ResetHint::{Gauge, Unknown};
        if self.hint == other.hint || self.hint == Gauge {
            return false;
        }
        if other.hint == Gauge {
            self.hint = Gauge;
            return false;
        }
        let collision = self.hint != Unknown && other.hint != Unknown;
        self.hint = Unknown;
        collision
    }

    /// Did the counter start anew between `previous` and this sample?
    pub fn is_reset_after(&self, previous: &Histogram) -> bool {
        match self.hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count || self.is_custom() != previous.is_custom() {
            return true;
        }
        if self.is_custom() {
            return self.custom_decreased(previous);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let mut previous = std::borrow::Cow::Borrowed(previous);
        if self.zero_threshold > previous.zero_threshold {
            previous.to_mut().widen_zero_bucket(self.zero_threshold);
            if previous.zero_threshold != self.zero_threshold {
                return true;
            }
        }
        if self.zero_count < previous.zero_count {
            return true;
        }
        if self.schema < previous.schema {
            previous.to_mut().reduce_to(self.schema);
        }
        decreased(&self.positive, &previous.positive) || decreased(&self.negative, &previous.negative)
    }

    fn custom_decreased(&self, previous: &Histogram) -> bool {
        if self.custom_bounds() == previous.custom_bounds() {
            return decreased(&self.positive, &previous.positive);
        }
        let theirs = previous.custom_bounds();
        let shared: Vec<f64> = self.custom_bounds().iter().filter(|bound| theirs.contains(bound)).copied().collect();
        decreased(&self.with_bounds(&shared), &previous.with_bounds(&shared))
    }

    /// Equal as Prometheus' `==` sees it: bits of the floats, empty buckets ignored.
    pub fn equals(&self, other: &Histogram) -> bool {
        let (mut a, mut b) = (self.clone(), other.clone());
        a.compact();
        b.compact();
        let same = |x: f64, y: f64| x.to_bits() == y.to_bits();
        let all = |x: &Buckets, y: &Buckets| {
            x.offset == y.offset
                && x.counts.len() == y.counts.len()
                && x.counts.iter().zip(&y.counts).all(|(x, y)| same(*x, *y))
        };
        a.schema == b.schema
            && a.custom_bounds() == b.custom_bounds()
            && same(a.count, b.count)
            && same(a.sum, b.sum)
            && same(a.zero_count, b.zero_count)
            && same(a.zero_threshold, b.zero_threshold)
            && all(&a.positive, &b.positive)
            && all(&a.negative, &b.negative)
    }

    pub fn compact(&mut self) {
        self.positive.trim();
        self.negative.trim();
    }

    pub fn only_positive(&self) -> bool {
        self.negative.is_empty() && !self.positive.is_empty()
    }

    pub fn only_negative(&self) -> bool {
        self.positive.is_empty() && !self.negative.is_empty()
    }
}

fn decreased(now: &Buckets, before: &Buckets) -> bool {
    before.counts.iter().enumerate().any(|(at, count)| now.get(i64::from(before.offset) + at as i64) < *count)
}

pub fn exponential_bound(index: i64, schema: i32) -> f64 {
    if schema > 0 && schema <= MAX_SCHEMA {
        // The exponent apart, so that powers of two come out exact.
        let per_octave = 1i64 << schema;
        let fraction = (index.rem_euclid(per_octave)) as f64 / per_octave as f64;
        return fraction.exp2() * power_of_two(index.div_euclid(per_octave));
    }
    let shift = schema.unsigned_abs().min(30);
    power_of_two(index.saturating_mul(1i64 << shift))
}

fn power_of_two(exponent: i64) -> f64 {
    // Prometheus gives the largest float, not +Inf, for the last bucket that is finite.
    match exponent {
        1024 => f64::MAX,
        ..-1100 => 0.0,
        1025.. => f64::INFINITY,
        _ => (exponent as f64).exp2(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(values: impl IntoIterator<Item = f64>) -> ExpHistogram {
        let mut histogram = ExpHistogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram
    }

    #[test]
    fn otlp_buckets_keep_their_bounds() {
        let from = recorded([0.1, 0.2, 5.0]);
        let histogram = Histogram::from(&from);
        let filled: Vec<Bucket> = histogram.buckets().filter(|bucket| bucket.count > 0.0).collect();
        assert_eq!(filled.len(), 3);
        for (bucket, value) in filled.iter().zip([0.1, 0.2, 5.0]) {
            assert!(bucket.lower < value && value <= bucket.upper, "{value} is not in {bucket:?}");
        }
    }

    #[test]
    fn adding_then_subtracting_gives_the_first_again() {
        let (a, b) = (Histogram::from(&recorded([0.1, 0.2])), Histogram::from(&recorded([0.0001, 70.0])));
        let mut both = a.clone();
        both.add(&b).expect("same kind");
        assert_eq!(both.count, 4.0);
        both.subtract(&b).expect("same kind");
        both.sum = a.sum;
        assert!(both.equals(&a), "{both:?} {a:?}");
    }

    #[test]
    fn a_decreasing_bucket_is_a_reset() {
        let before = Histogram::from(&recorded([0.1, 0.2]));
        let after = Histogram::from(&recorded([0.1, 0.3, 0.3]));
        assert!(after.is_reset_after(&before));
        assert!(!Histogram::from(&recorded([0.1, 0.2, 0.3])).is_reset_after(&before));
    }

    #[test]
    fn far_apart_offsets_cannot_fill_the_memory() {
        let at = |offset: i32| ExpHistogram { scale: 8, count: 1, offset, counts: vec![1], ..ExpHistogram::default() };
        let mut histogram = Histogram::from(&at(i32::MIN));
        histogram.add(&Histogram::from(&at(i32::MAX - 1))).expect("same kind");
        assert!(histogram.size() < 100_000, "{} buckets", histogram.size());
        assert_eq!(histogram.count, 2.0);
    }

    #[test]
    fn coarser_keeps_counts_and_covers_the_values() {
        let mut histogram = Histogram::from(&recorded((1..200).map(f64::from)));
        histogram.reduce_to(0);
        assert_eq!(histogram.positive.counts.iter().sum::<f64>(), 199.0);
        assert_eq!(histogram.positive.get(0), 1.0, "1 is in (0.5, 1]");
        assert_eq!(histogram.positive.get(1), 1.0, "2 is in (1, 2]");
        assert_eq!(histogram.positive.get(2), 2.0, "3 and 4 are in (2, 4]");
    }
}
