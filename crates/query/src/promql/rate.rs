//! `rate`, `increase`, `delta`, `irate` and `idelta`: from cumulative samples to what happened in between, extrapolated
//! to the window's ends as Prometheus does.

use super::histogram::{Histogram, ResetHint};
use super::over_time::Call;
use super::source::{RawSample, RawValue};
use super::steps::Sample;
use limpid_model::ExpHistogram;
use std::cell::OnceCell;
use std::sync::Arc;

/// Where in a series a counter of native histograms starts anew, found once for all windows.
#[derive(Default)]
pub struct Resets(OnceCell<Option<Vec<bool>>>);

impl Resets {
    /// `None` unless all samples are stored native histograms of one scale, the usual case by far.
    fn of(&self, samples: &[RawSample]) -> Option<&[bool]> {
        self.0.get_or_init(|| find_resets(samples)).as_deref()
    }
}

fn find_resets(samples: &[RawSample]) -> Option<Vec<bool>> {
    let native = |sample: &RawSample| match &sample.value {
        RawValue::Native(histogram) => Some(histogram.clone()),
        _ => None,
    };
    let histograms: Vec<Arc<ExpHistogram>> = samples.iter().map(native).collect::<Option<_>>()?;
    let scale = histograms.first()?.scale;
    if histograms.iter().any(|histogram| histogram.scale != scale) || !(-4..=8).contains(&scale) {
        return None;
    }
    let mut resets = vec![false];
    resets.extend(histograms.windows(2).map(|pair| is_reset(&pair[0], &pair[1])));
    Some(resets)
}

fn is_reset(before: &ExpHistogram, now: &ExpHistogram) -> bool {
    if now.count < before.count || now.zero_count < before.zero_count {
        return true;
    }
    if now.count == before.count && now.offset == before.offset && now.counts == before.counts {
        return false;
    }
    let shift = i64::from(before.offset) - i64::from(now.offset);
    let get = |at: usize| usize::try_from(at as i64 + shift).ok().and_then(|at| now.counts.get(at)).copied();
    before.counts.iter().enumerate().any(|(at, count)| *count > 0 && get(at).unwrap_or(0) < *count)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rate,
    Increase,
    Delta,
}

pub fn rate(call: &mut Call) -> Option<Sample> {
    extrapolated(call, Kind::Rate)
}

pub fn increase(call: &mut Call) -> Option<Sample> {
    extrapolated(call, Kind::Increase)
}

pub fn delta(call: &mut Call) -> Option<Sample> {
    extrapolated(call, Kind::Delta)
}

fn extrapolated(call: &mut Call, kind: Kind) -> Option<Sample> {
    let samples = call.samples();
    let floats = samples.iter().filter(|sample| sample.value.is_float()).count();
    if floats > 0 && kind != Kind::Delta {
        call.notes.possibly_not_a_counter(call.name);
    }
    if floats > 0 && floats < samples.len() {
        call.notes.mixed_floats_histograms(call.name);
        return None;
    }
    let (first, last) = (samples.first()?, samples.last()?);
    if samples.len() < 2 || last.time_ms <= first.time_ms {
        return None;
    }
    let counter = kind != Kind::Delta;
    if floats > 0 {
        let (change, start) = float_change(samples, counter);
        let factor = factor(call, kind, change, start);
        return Some(Sample::Float(change * factor));
    }
    let (mut change, start) = histogram_change(call, counter)?;
    let factor = factor(call, kind, change.count, start);
    change.scale(factor);
    change.hint = ResetHint::Gauge;
    Some(Sample::Histogram(Arc::new(change)))
}

fn float_change(samples: &[RawSample], counter: bool) -> (f64, f64) {
    let value = |sample: &RawSample| match sample.value {
        RawValue::Float(value) => value,
        _ => f64::NAN,
    };
    let first = samples.first().map_or(f64::NAN, value);
    let last = samples.last().map_or(f64::NAN, value);
    let mut change = last - first;
    if counter {
        let resets = samples.windows(2).map(|pair| (value(&pair[0]), value(&pair[1])));
        change += resets.filter(|(before, now)| now < before).map(|(before, _)| before).sum::<f64>();
    }
    (change, first)
}

/// How much of the window the samples stand for. `change` and `start` (the first value, or count) tell where a counter
/// was zero: nothing is extrapolated to before that.
fn factor(call: &Call, kind: Kind, change: f64, start: f64) -> f64 {
    let samples = call.samples();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return f64::NAN };
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let sampled = seconds(first.time_ms, last.time_ms);
    let between = sampled / (samples.len() - 1) as f64;
    let threshold = between * 1.1;
    let mut to_start = seconds(call.start_ms, first.time_ms);
    let mut to_end = seconds(last.time_ms, call.end_ms);
    if to_start >= threshold {
        to_start = between / 2.0;
    }
    if kind != Kind::Delta && change > 0.0 && start >= 0.0 {
        to_start = to_start.min(sampled * (start / change));
    }
    if to_end >= threshold {
        to_end = between / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    if kind == Kind::Rate { factor / (call.range_ms as f64 / 1000.0) } else { factor }
}

/// The change and the first sample's count.
fn histogram_change(call: &mut Call, counter: bool) -> Option<(Histogram, f64)> {
    if counter {
        if let Some(found) = native_change(call) {
            return Some(found);
        }
    }
    let points: Vec<Arc<Histogram>> = call.samples().iter().filter_map(|sample| sample.value.histogram()).collect();
    let start = points.first()?.count;
    check_hints(call, &points, counter);
    Some((change_of(call, &points, counter)?, start))
}

/// The quick way: stored histograms of one scale, whose resets are known.
fn native_change(call: &Call) -> Option<(Histogram, f64)> {
    let resets = call.resets.of(call.all)?;
    let native = |at: usize| match &call.all.get(at)?.value {
        RawValue::Native(histogram) => Some(histogram),
        _ => None,
    };
    let range = call.range.clone();
    let first = native(range.start)?;
    let mut change = Histogram::from(&**native(range.end - 1)?);
    change.add_native(first, -1.0);
    for at in range.start + 1..range.end {
        if resets[at] {
            change.add_native(native(at - 1)?, 1.0);
        }
    }
    Some((change, first.count as f64))
}

fn check_hints(call: &mut Call, points: &[Arc<Histogram>], counter: bool) {
    let gauge = |point: &Arc<Histogram>| point.hint == ResetHint::Gauge;
    if counter && points.iter().any(gauge) {
        call.notes.not_a_counter(call.name);
    }
    let ends = [points.first(), points.last()];
    if !counter && ends.into_iter().flatten().any(|point| !gauge(point)) {
        call.notes.not_a_gauge(call.name);
    }
}

fn change_of(call: &mut Call, points: &[Arc<Histogram>], counter: bool) -> Option<Histogram> {
    let (first, second, last) = (points.first()?, points.get(1)?, points.last()?);
    // When the counter starts anew right after the first sample, nothing of its layout matters.
    let mut before = match counter && second.is_reset_after(first) {
        true => Arc::new(Histogram { schema: second.schema, bounds: second.bounds.clone(), ..Histogram::default() }),
        false => first.clone(),
    };
    let custom = before.is_custom();
    let between = &points[1..points.len() - 1];
    if last.is_custom() != custom || (counter && between.iter().any(|point| point.is_custom() != custom)) {
        call.notes.mixed_schemas(call.name);
        return None;
    }
    let relevant = if counter { between } else { &[] };
    let schema = relevant.iter().chain([&before, last]).map(|point| point.schema).min()?;
    let mut change = (**last).clone();
    change.reduce_to(schema);
    let mut reconciled = change.subtract(&before).ok()?.bounds_reconciled;
    if counter {
        for now in &points[1..] {
            if now.is_reset_after(&before) {
                reconciled |= change.add(&before).ok()?.bounds_reconciled;
            }
            before = now.clone();
        }
    }
    if reconciled {
        call.notes.bounds_reconciled("subtraction");
    }
    change.compact();
    Some(change)
}

pub fn irate(call: &mut Call) -> Option<Sample> {
    last_change(call, true)
}

pub fn idelta(call: &mut Call) -> Option<Sample> {
    last_change(call, false)
}

/// What happened between the last two samples; per second if `counter`.
fn last_change(call: &mut Call, counter: bool) -> Option<Sample> {
    let [.., before, now] = call.samples() else { return None };
    let seconds = (now.time_ms - before.time_ms) as f64 / 1000.0;
    if seconds == 0.0 {
        return None;
    }
    match (before.value.sample(), now.value.sample()) {
        (Sample::Float(before), Sample::Float(now)) => {
            if !counter {
                return Some(Sample::Float(now - before));
            }
            let change = if now < before { now } else { now - before };
            Some(Sample::Float(change / seconds))
        }
        (Sample::Histogram(before), Sample::Histogram(now)) => {
            let mut change = last_histogram_change(call, &before, &now, counter)?;
            if counter {
                change.divide(seconds);
            }
            Some(Sample::Histogram(Arc::new(change)))
        }
        _ => {
            call.notes.mixed_floats_histograms(call.name);
            None
        }
    }
}

fn last_histogram_change(call: &mut Call, before: &Histogram, now: &Histogram, counter: bool) -> Option<Histogram> {
    let gauge = |histogram: &Histogram| histogram.hint == ResetHint::Gauge;
    if counter && (gauge(before) || gauge(now)) {
        call.notes.not_a_counter(call.name);
    }
    if !counter && (!gauge(before) || !gauge(now)) {
        call.notes.not_a_gauge(call.name);
    }
    let mut change = now.clone();
    if !counter || !now.is_reset_after(before) {
        match change.subtract(before) {
            Err(_) => {
                call.notes.mixed_schemas(call.name);
                return None;
            }
            Ok(combined) if combined.bounds_reconciled => call.notes.bounds_reconciled("subtraction"),
            Ok(_) => {}
        }
    }
    change.hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}
