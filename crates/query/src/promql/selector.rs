//! Selectors: which series, and which of their samples belong to a step.

use super::eval::Context;
use super::histogram::ResetHint;
use super::labels;
use super::source::{RawSample, RawSeries, RawValue};
use super::steps::{Grid, Sample, StepSeries};
use crate::QueryError;
use promql_parser::parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Which stretch of time belongs to a step: left end excluded, right end included.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub range_ms: i64,
    offset_ms: i64,
    /// The same stretch for every step.
    at_ms: Option<i64>,
}

impl Window {
    pub fn end(&self, time_ms: i64) -> i64 {
        self.at_ms.unwrap_or(time_ms).saturating_sub(self.offset_ms)
    }

    pub fn start(&self, time_ms: i64) -> i64 {
        self.end(time_ms).saturating_sub(self.range_ms)
    }
}

pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

fn signed_millis(offset: &Option<Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(duration)) => millis(*duration),
        Some(Offset::Neg(duration)) => -millis(*duration),
    }
}

fn unix_millis(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

impl Context<'_> {
    fn window(&self, range_ms: i64, offset: &Option<Offset>, at: &Option<AtModifier>) -> Window {
        let at_ms = at.as_ref().map(|at| match at {
            AtModifier::Start => self.query_start_ms,
            AtModifier::End => self.query_end_ms,
            AtModifier::At(time) => unix_millis(*time),
        });
        Window { range_ms, offset_ms: signed_millis(offset), at_ms }
    }

    /// Gives the selected series to `sink` one at a time, however the source holds them.
    fn read(
        &mut self,
        selector: &VectorSelector,
        window: Window,
        grid: Grid,
        sink: &mut dyn FnMut(&mut Self, RawSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        // The stretch is open to the left.
        let (start, end) = (window.start(grid.start_ms).saturating_add(1), window.end(grid.end_ms()));
        let branches = labels::matchers(selector);
        // A series may match several branches of `or`.
        let mut seen = (branches.len() > 1).then(FxHashSet::default);
        let source = self.source;
        for matchers in branches {
            let mut result = Ok(());
            source.select_each(&matchers, start, end, &mut |series| {
                if seen.as_mut().is_some_and(|seen| !seen.insert(series.labels.clone())) {
                    return true;
                }
                result = self.take(series, sink);
                result.is_ok()
            })?;
            result?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        series: RawSeries,
        sink: &mut dyn FnMut(&mut Self, RawSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        self.check_time()?;
        self.charge_series(1)?;
        self.charge_read(series.samples.len())?;
        sink(self, series)
    }

    /// The series of a vector selector, one at a time. With `timestamps`, the time of the sample in place of its value.
    pub fn for_each_selected(
        &mut self,
        selector: &VectorSelector,
        grid: Grid,
        timestamps: bool,
        sink: &mut dyn FnMut(&mut Self, StepSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let window = self.window(millis(self.limits.lookback), &selector.offset, &selector.at);
        self.read(selector, window, grid, &mut |context, series| {
            let values = latest_values(&series.samples, window, grid, timestamps);
            if values.iter().all(Option::is_none) {
                return Ok(());
            }
            sink(context, StepSeries { labels: series.labels, drop_name: false, values })
        })
    }

    /// Gives the series behind an expression of type range vector, and the window that slides over them.
    pub fn for_each_range(
        &mut self,
        expr: &Expr,
        grid: Grid,
        sink: &mut dyn FnMut(&mut Self, RawSeries, Window) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match expr {
            Expr::Paren(paren) => self.for_each_range(&paren.expr, grid, sink),
            Expr::MatrixSelector(selector) => {
                let window = self.window(millis(selector.range), &selector.vs.offset, &selector.vs.at);
                self.read(&selector.vs, window, grid, &mut |context, mut series| {
                    series.samples.retain(|sample| !sample.value.is_stale());
                    sink(context, series, window)
                })
            }
            Expr::Subquery(subquery) => {
                let (series, window) = self.subquery(subquery, grid)?;
                series.into_iter().try_for_each(|series| sink(self, series, window))
            }
            _ => Err(QueryError::bad_data("expected a range vector, such as x[5m]")),
        }
    }

    fn subquery(&mut self, subquery: &SubqueryExpr, grid: Grid) -> Result<(Vec<RawSeries>, Window), QueryError> {
        let window = self.window(millis(subquery.range), &subquery.offset, &subquery.at);
        let step_ms = subquery.step.map_or(self.default_step_ms, millis).max(1);
        let (from, to) = (window.start(grid.start_ms), window.end(grid.end_ms()));
        // Steps are multiples of the step width whatever the query's own start; the left end is excluded.
        let start_ms = from.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        if to < start_ms {
            return Ok((Vec::new(), window));
        }
        let len = (to - start_ms) / step_ms + 1;
        self.charge(usize::try_from(len).unwrap_or(usize::MAX))?;
        let inner = Grid { start_ms, step_ms, len: len as usize };
        let mut series = Vec::new();
        for one in self.vector(&subquery.expr, inner)? {
            let samples = inner.times().zip(one.values);
            let sample = |(time_ms, value): (i64, Option<Sample>)| {
                value.map(|value| RawSample { time_ms, value: RawValue::from(unhinted(value)) })
            };
            let samples = samples.filter_map(sample).collect();
            series.push(RawSeries { labels: one.labels, drop_name: one.drop_name, samples });
        }
        Ok((series, window))
    }
}

/// What a sample says of the one before it in its series says nothing of the one before it in a subquery.
fn unhinted(value: Sample) -> Sample {
    match value {
        Sample::Histogram(mut histogram) if histogram.hint != ResetHint::Gauge => {
            if histogram.hint != ResetHint::Unknown {
                Arc::make_mut(&mut histogram).hint = ResetHint::Unknown;
            }
            Sample::Histogram(histogram)
        }
        value => value,
    }
}

/// For each step the latest sample in the window, if it is no staleness marker.
fn latest_values(samples: &[RawSample], window: Window, grid: Grid, timestamps: bool) -> Vec<Option<Sample>> {
    let mut next = 0;
    // Steps finer than the samples meet the same histogram again: convert it once.
    let mut last: Option<(usize, Sample)> = None;
    let value_at = |time_ms: i64| {
        let (start, end) = (window.start(time_ms), window.end(time_ms));
        while samples.get(next).is_some_and(|sample| sample.time_ms <= end) {
            next += 1;
        }
        let at = next.checked_sub(1)?;
        let sample = &samples[at];
        if sample.time_ms <= start || sample.value.is_stale() {
            return None;
        }
        if timestamps {
            return Some(Sample::Float(sample.time_ms as f64 / 1000.0));
        }
        if last.as_ref().is_none_or(|(have, _)| *have != at) {
            last = Some((at, sample.value.sample()));
        }
        last.as_ref().map(|(_, value)| value.clone())
    };
    grid.times().map(value_at).collect()
}

/// For each step the indices of the samples in its window.
pub fn windows(samples: &[RawSample], window: Window, grid: Grid) -> impl Iterator<Item = (i64, Range<usize>)> + '_ {
    let (mut low, mut high) = (0, 0);
    grid.times().map(move |time_ms| {
        let (start, end) = (window.start(time_ms), window.end(time_ms));
        while samples.get(high).is_some_and(|sample| sample.time_ms <= end) {
            high += 1;
        }
        while low < high && samples[low].time_ms <= start {
            low += 1;
        }
        (time_ms, low..high)
    })
}

/// Series by their labels, for what must tell whether a label set exists.
pub type ByLabels<T> = FxHashMap<limpid_model::Labels, T>;
