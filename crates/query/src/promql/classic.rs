//! Classic histograms, one float series a bucket (`le`), and their meeting with native ones in `histogram_quantile`
//! and `histogram_fraction`.

use super::annotations::Annotations;
use super::eval::Context;
use super::histogram::Histogram;
use super::labels::{BUCKET_BOUND, NAME, without};
use super::selector::ByLabels;
use super::steps::{Grid, Sample, StepSeries};
use crate::QueryError;

/// Differences of this size come from summing in another order.
const TOLERANCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub upper: f64,
    pub count: f64,
}

/// Where buckets had to be lifted because a count was below the one before it.
pub struct Lifted {
    pub lowest: f64,
    pub highest: f64,
    pub by: f64,
}

#[derive(Default)]
struct Group {
    name: String,
    /// Bound and place in the input.
    classic: Vec<(f64, usize)>,
    native: Vec<usize>,
}

/// Sorts the series into histograms and gives each one's value at each step.
pub fn for_each_histogram(
    context: &mut Context,
    series: Vec<StepSeries>,
    grid: Grid,
    of_native: impl Fn(usize, &Histogram, &str, &mut Annotations) -> f64,
    of_classic: impl Fn(usize, &mut Vec<Bucket>) -> (f64, Option<Lifted>),
) -> Result<Vec<StepSeries>, QueryError> {
    let (keys, groups) = group(&series, &mut context.notes);
    let mut out = Vec::new();
    for (labels, group) in keys.into_iter().zip(groups) {
        context.check_time()?;
        let value = |step: usize| one_value(step, &series, &group, &of_native, &of_classic, &mut context.notes);
        let values: Vec<Option<Sample>> = (0..grid.len).map(value).collect();
        let result = StepSeries { labels, drop_name: true, values };
        if !result.is_empty() {
            out.push(result);
        }
    }
    Ok(out)
}

fn group(series: &[StepSeries], notes: &mut Annotations) -> (Vec<limpid_model::Labels>, Vec<Group>) {
    let mut places = ByLabels::<usize>::default();
    let (mut keys, mut groups) = (Vec::new(), Vec::<Group>::new());
    for (at, one) in series.iter().enumerate() {
        let has_floats = one.values.iter().flatten().any(|value| value.float().is_some());
        let has_histograms = one.values.iter().flatten().any(|value| value.float().is_none());
        let bound = one.labels.get(BUCKET_BOUND).and_then(parse_bound);
        let name = one.labels.get(NAME).unwrap_or_default();
        if has_floats && bound.is_none() {
            notes.bad_bucket_label(one.labels.get(BUCKET_BOUND).unwrap_or_default(), name);
        }
        let mut place = |labels: limpid_model::Labels| {
            *places.entry(labels.clone()).or_insert_with(|| {
                keys.push(labels);
                groups.push(Group { name: name.to_string(), ..Group::default() });
                groups.len() - 1
            })
        };
        let key = match bound {
            Some(_) if has_floats => Some(place(without(&one.labels, &[BUCKET_BOUND.to_string()]))),
            _ => None,
        };
        // A native histogram may have a label `le` of its own.
        let native = has_histograms.then(|| place(one.labels.clone()));
        if let (Some(key), Some(bound)) = (key, bound) {
            groups[key].classic.push((bound, at));
        }
        if let Some(native) = native {
            groups[native].native.push(at);
        }
    }
    (keys, groups)
}

fn parse_bound(text: &str) -> Option<f64> {
    let bound: f64 = match text {
        "+Inf" | "+inf" | "Inf" | "inf" => f64::INFINITY,
        "-Inf" | "-inf" => f64::NEG_INFINITY,
        text => text.parse().ok()?,
    };
    Some(bound)
}

fn one_value(
    step: usize,
    series: &[StepSeries],
    group: &Group,
    of_native: &impl Fn(usize, &Histogram, &str, &mut Annotations) -> f64,
    of_classic: &impl Fn(usize, &mut Vec<Bucket>) -> (f64, Option<Lifted>),
    notes: &mut Annotations,
) -> Option<Sample> {
    let at = |place: usize| series.get(place)?.values.get(step)?.as_ref();
    let bucket = |(upper, place): &(f64, usize)| Some(Bucket { upper: *upper, count: at(*place)?.float()? });
    let mut buckets: Vec<Bucket> = group.classic.iter().filter_map(bucket).collect();
    let native = group.native.iter().find_map(|place| match at(*place)? {
        Sample::Histogram(histogram) => Some(histogram),
        Sample::Float(_) => None,
    });
    match native {
        Some(_) if !buckets.is_empty() => {
            notes.mixed_classic_native(&group.name);
            None
        }
        Some(histogram) => Some(Sample::Float(of_native(step, histogram, &group.name, notes))),
        None if buckets.is_empty() => None,
        None => {
            let (value, lifted) = of_classic(step, &mut buckets);
            if let Some(lifted) = lifted {
                note_lifted(&group.name, &lifted, notes);
            }
            Some(Sample::Float(value))
        }
    }
}

fn note_lifted(name: &str, lifted: &Lifted, notes: &mut Annotations) {
    notes.info(format!(
        "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name {name:?}, from buckets {} to {}, with a max diff of {}",
        lifted.lowest, lifted.highest, lifted.by
    ));
}

/// Sorted, without doubles, the last one at +Inf; else there is no telling.
fn prepared(buckets: &mut Vec<Bucket>) -> Option<()> {
    buckets.sort_by(|a, b| a.upper.total_cmp(&b.upper));
    if buckets.last()?.upper != f64::INFINITY {
        return None;
    }
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets.drain(..) {
        match merged.last_mut() {
            Some(last) if last.upper == bucket.upper => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    *buckets = merged;
    Some(())
}

fn lift(buckets: &mut [Bucket]) -> Option<Lifted> {
    let mut lifted: Option<Lifted> = None;
    let mut before = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        let difference = (before - bucket.count).abs();
        if difference <= TOLERANCE * before.abs().max(bucket.count.abs()) {
            bucket.count = before;
        } else if bucket.count < before {
            let by = before - bucket.count;
            let so_far = lifted.get_or_insert(Lifted { lowest: bucket.upper, highest: bucket.upper, by });
            so_far.highest = bucket.upper;
            so_far.by = so_far.by.max(by);
            bucket.count = before;
        }
        before = bucket.count;
    }
    lifted
}

pub fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Lifted>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if prepared(buckets).is_none() {
        return (f64::NAN, None);
    }
    let lifted = lift(buckets);
    (quantile_of(q, buckets), lifted)
}

fn quantile_of(q: f64, buckets: &[Bucket]) -> f64 {
    let [.., next_to_last, last] = buckets else { return f64::NAN };
    if last.count == 0.0 || last.count.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * last.count;
    let finite = &buckets[..buckets.len() - 1];
    let at = finite.partition_point(|bucket| bucket.count < rank);
    let Some(bucket) = finite.get(at) else { return next_to_last.upper };
    let below = at.checked_sub(1).and_then(|at| finite.get(at));
    let Some(below) = below else {
        if bucket.upper <= 0.0 {
            return bucket.upper;
        }
        return bucket.upper * (rank / bucket.count);
    };
    rank -= below.count;
    below.upper + (bucket.upper - below.upper) * (rank / (bucket.count - below.count))
}

pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepared(buckets).is_none() {
        return f64::NAN;
    }
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| count_below(value, buckets).min(count);
    (below(upper) - below(lower)) / count
}

fn count_below(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    let first = buckets.first().map_or(0.0, |bucket| bucket.upper);
    let mut start = if first > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets {
        if start >= value {
            return rank;
        }
        if bucket.upper > value {
            if start == f64::NEG_INFINITY {
                return bucket.count;
            }
            return rank + (bucket.count - rank) * (value - start) / (bucket.upper - start);
        }
        rank = bucket.count;
        start = bucket.upper;
    }
    rank
}
