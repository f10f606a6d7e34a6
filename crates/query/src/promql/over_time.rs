//! Functions over a range vector: one value from the samples in a step's window.

use super::annotations::Annotations;
use super::functions::clamp_quantile_note;
use super::rate::{self, Resets};
use super::source::{RawSample, RawValue};
use super::steps::Sample;
use super::summation::{HistogramSum, Mean, Sum};
use std::ops::Range;
use std::sync::Arc;

/// What a function sees of one window of one series.
pub struct Call<'a> {
    /// All samples of the series.
    pub all: &'a [RawSample],
    pub range: Range<usize>,
    pub resets: &'a Resets,
    /// The window, left end excluded.
    pub start_ms: i64,
    pub end_ms: i64,
    pub range_ms: i64,
    /// When the expression is evaluated.
    pub time_ms: i64,
    /// The other arguments at this step.
    pub args: &'a [f64],
    pub name: &'a str,
    pub notes: &'a mut Annotations,
}

impl<'a> Call<'a> {
    pub fn samples(&self) -> &'a [RawSample] {
        self.all.get(self.range.clone()).unwrap_or_default()
    }

    fn floats(&self) -> impl Iterator<Item = (i64, f64)> + 'a {
        self.samples().iter().filter_map(|sample| match sample.value {
            RawValue::Float(value) => Some((sample.time_ms, value)),
            _ => None,
        })
    }

    fn values(&self) -> impl Iterator<Item = f64> + 'a {
        self.floats().map(|(_, value)| value)
    }

    /// The floats, for functions that mean nothing for histograms: a note is made when some are left out.
    fn only_floats(&mut self) -> Option<Vec<(i64, f64)>> {
        let floats: Vec<(i64, f64)> = self.floats().collect();
        if floats.is_empty() {
            return None;
        }
        if floats.len() < self.samples().len() {
            self.notes.histograms_ignored(self.name);
        }
        Some(floats)
    }
}

pub type Function = fn(&mut Call) -> Option<Sample>;

/// How a function over a range behaves beside its value.
pub struct Row {
    pub name: &'static str,
    /// `first_over_time` and `last_over_time` give samples as they are, name included.
    pub keeps_name: bool,
    pub function: Function,
}

const fn row(name: &'static str, function: Function) -> Row {
    Row { name, keeps_name: false, function }
}

pub static FUNCTIONS: &[Row] = &[
    row("rate", rate::rate),
    row("increase", rate::increase),
    row("delta", rate::delta),
    row("irate", rate::irate),
    row("idelta", rate::idelta),
    row("sum_over_time", sum_over_time),
    row("avg_over_time", avg_over_time),
    row("min_over_time", min_over_time),
    row("max_over_time", max_over_time),
    row("count_over_time", count_over_time),
    row("stddev_over_time", stddev_over_time),
    row("stdvar_over_time", stdvar_over_time),
    row("quantile_over_time", quantile_over_time),
    row("mad_over_time", mad_over_time),
    row("present_over_time", present_over_time),
    Row { name: "last_over_time", keeps_name: true, function: last_over_time },
    Row { name: "first_over_time", keeps_name: true, function: first_over_time },
    row("ts_of_first_over_time", ts_of_first_over_time),
    row("ts_of_last_over_time", ts_of_last_over_time),
    row("ts_of_min_over_time", ts_of_min_over_time),
    row("ts_of_max_over_time", ts_of_max_over_time),
    row("changes", changes),
    row("resets", resets),
    row("deriv", deriv),
    row("predict_linear", predict_linear),
    row("double_exponential_smoothing", double_exponential_smoothing),
];

pub fn find(name: &str) -> Option<&'static Row> {
    FUNCTIONS.iter().find(|row| row.name == name)
}

fn float(value: f64) -> Option<Sample> {
    Some(Sample::Float(value))
}

fn sum_over_time(call: &mut Call) -> Option<Sample> {
    add_up(call, false)
}

fn avg_over_time(call: &mut Call) -> Option<Sample> {
    add_up(call, true)
}

fn add_up(call: &mut Call, mean: bool) -> Option<Sample> {
    let samples = call.samples();
    let floats = call.values().count();
    if floats > 0 && floats < samples.len() {
        call.notes.mixed_floats_histograms(call.name);
        return None;
    }
    if floats == 0 {
        return add_up_histograms(call, mean);
    }
    if mean {
        let mut total = Mean::default();
        call.values().for_each(|value| total.add(value));
        return float(total.value());
    }
    let mut total = Sum::default();
    call.values().for_each(|value| total.add(value));
    float(total.value())
}

fn add_up_histograms(call: &mut Call, mean: bool) -> Option<Sample> {
    let mut histograms = call.samples().iter().filter_map(|sample| sample.value.histogram());
    let mut sum = HistogramSum::new((*histograms.next()?).clone());
    for histogram in histograms {
        if sum.add(&histogram, mean).is_err() {
            call.notes.mixed_schemas(call.name);
            return None;
        }
    }
    if sum.bounds_reconciled {
        call.notes.bounds_reconciled("aggregation");
    }
    if sum.resets_collide() {
        call.notes.reset_collision("aggregation");
    }
    Some(Sample::Histogram(Arc::new(sum.finish(mean))))
}

fn min_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    float(floats.iter().fold(f64::NAN, |best, (_, value)| if *value < best || best.is_nan() { *value } else { best }))
}

fn max_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    float(floats.iter().fold(f64::NAN, |best, (_, value)| if *value > best || best.is_nan() { *value } else { best }))
}

fn count_over_time(call: &mut Call) -> Option<Sample> {
    let count = call.samples().len();
    if count == 0 { None } else { float(count as f64) }
}

fn stdvar_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    float(variance(floats.iter().map(|(_, value)| *value)))
}

fn stddev_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    float(variance(floats.iter().map(|(_, value)| *value)).sqrt())
}

/// Welford's algorithm with compensated sums.
pub fn variance(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Sum::default(), Sum::default());
    for value in values {
        count += 1.0;
        let delta = value - mean.value();
        mean.add(delta / count);
        squares.add(delta * (value - mean.value()));
    }
    squares.value() / count
}

fn quantile_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    let q = call.args.first().copied().unwrap_or(f64::NAN);
    clamp_quantile_note(q, call.notes);
    float(quantile(q, floats.iter().map(|(_, value)| *value).collect()))
}

/// The quantile of single values, between neighbours linearly. NaN sorts first.
pub fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)));
    let rank = q * (values.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

fn mad_over_time(call: &mut Call) -> Option<Sample> {
    let floats = call.only_floats()?;
    let values: Vec<f64> = floats.iter().map(|(_, value)| *value).collect();
    let median = quantile(0.5, values.clone());
    float(quantile(0.5, values.iter().map(|value| (value - median).abs()).collect()))
}

fn present_over_time(call: &mut Call) -> Option<Sample> {
    if call.samples().is_empty() { None } else { float(1.0) }
}

fn last_over_time(call: &mut Call) -> Option<Sample> {
    call.samples().last().map(|sample| sample.value.sample())
}

fn first_over_time(call: &mut Call) -> Option<Sample> {
    call.samples().first().map(|sample| sample.value.sample())
}

fn ts_of_first_over_time(call: &mut Call) -> Option<Sample> {
    call.samples().first().and_then(|sample| float(sample.time_ms as f64 / 1000.0))
}

fn ts_of_last_over_time(call: &mut Call) -> Option<Sample> {
    call.samples().last().and_then(|sample| float(sample.time_ms as f64 / 1000.0))
}

fn ts_of_min_over_time(call: &mut Call) -> Option<Sample> {
    time_of_best(call, |value, best| value <= best)
}

fn ts_of_max_over_time(call: &mut Call) -> Option<Sample> {
    time_of_best(call, |value, best| value >= best)
}

fn time_of_best(call: &mut Call, better: fn(f64, f64) -> bool) -> Option<Sample> {
    let floats = call.only_floats()?;
    let best =
        floats.into_iter().reduce(|best, next| if better(next.1, best.1) || best.1.is_nan() { next } else { best });
    best.and_then(|(time_ms, _)| float(time_ms as f64 / 1000.0))
}

fn changes(call: &mut Call) -> Option<Sample> {
    let samples = call.samples();
    let changed = |pair: &[RawSample]| match (&pair[0].value, &pair[1].value) {
        (RawValue::Float(before), RawValue::Float(now)) => before != now && !(before.is_nan() && now.is_nan()),
        (before, now) => match (before.histogram(), now.histogram()) {
            (Some(before), Some(now)) => !now.equals(&before),
            _ => true,
        },
    };
    samples.first()?;
    float(samples.windows(2).filter(|pair| changed(pair)).count() as f64)
}

fn resets(call: &mut Call) -> Option<Sample> {
    let samples = call.samples();
    let reset = |pair: &[RawSample]| match (&pair[0].value, &pair[1].value) {
        (RawValue::Float(before), RawValue::Float(now)) => now < before,
        (before, now) => match (before.histogram(), now.histogram()) {
            (Some(before), Some(now)) => now.is_reset_after(&before),
            _ => true,
        },
    };
    samples.first()?;
    float(samples.windows(2).filter(|pair| reset(pair)).count() as f64)
}

fn deriv(call: &mut Call) -> Option<Sample> {
    if call.values().count() < 2 {
        note_if_mixed(call);
        return None;
    }
    let floats = call.only_floats()?;
    // Times from the first sample on: Unix times would lose precision.
    let (slope, _) = linear_regression(&floats, floats.first()?.0);
    float(slope)
}

fn predict_linear(call: &mut Call) -> Option<Sample> {
    if call.values().count() < 2 {
        note_if_mixed(call);
        return None;
    }
    let floats = call.only_floats()?;
    let (slope, intercept) = linear_regression(&floats, call.time_ms);
    float(slope * call.args.first().copied().unwrap_or(f64::NAN) + intercept)
}

fn note_if_mixed(call: &mut Call) {
    let floats = call.values().count();
    if floats > 0 && floats < call.samples().len() {
        call.notes.histograms_ignored(call.name);
    }
}

fn linear_regression(samples: &[(i64, f64)], intercept_ms: i64) -> (f64, f64) {
    let first = samples.first().map_or(f64::NAN, |(_, value)| *value);
    if samples.iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [Sum::default(); 4];
    for (time_ms, value) in samples {
        let x = (time_ms - intercept_ms) as f64 / 1000.0;
        sum_x.add(x);
        sum_y.add(*value);
        sum_xy.add(x * value);
        sum_xx.add(x * x);
    }
    let count = samples.len() as f64;
    let covariance = sum_xy.value() - sum_x.value() * sum_y.value() / count;
    let variance = sum_xx.value() - sum_x.value() * sum_x.value() / count;
    let slope = covariance / variance;
    (slope, sum_y.value() / count - slope * sum_x.value() / count)
}

fn double_exponential_smoothing(call: &mut Call) -> Option<Sample> {
    let [smoothing, trend] = call.args else { return None };
    if call.values().count() < 2 {
        note_if_mixed(call);
        return None;
    }
    let values: Vec<f64> = call.only_floats()?.into_iter().map(|(_, value)| value).collect();
    let [first, second, ..] = values.as_slice() else { return None };
    let (mut level, mut slope) = (*first, second - first);
    let mut before = 0.0;
    for (at, value) in values.iter().enumerate().skip(1) {
        if at > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        before = level;
        level = smoothing * value + (1.0 - smoothing) * (level + slope);
    }
    float(level)
}
