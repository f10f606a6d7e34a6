//! Selectors: which series, and which of their samples belong to a step.

use super::eval::Context;
use super::labels;
use super::source::{RawSample, RawSeries, RawValue};
use super::steps::{Grid, Sample, StepSeries};
use crate::QueryError;
use promql_parser::parser::{AtModifier, Expr, MatrixSelector, Offset, SubqueryExpr, VectorSelector};
use rustc_hash::FxHashMap;
use std::ops::Range;
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

/// A range selector's or subquery's series and the window that slides over them.
pub struct Ranged {
    pub series: Vec<RawSeries>,
    pub window: Window,
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

    fn read(&mut self, selector: &VectorSelector, window: Window, grid: Grid) -> Result<Vec<RawSeries>, QueryError> {
        // The stretch is open to the left.
        let (start, end) = (window.start(grid.start_ms).saturating_add(1), window.end(grid.end_ms()));
        let branches = labels::matchers(selector);
        let several = branches.len() > 1;
        let mut found = Vec::new();
        for matchers in branches {
            self.check_time()?;
            found.extend(self.source.select(&matchers, start, end)?);
        }
        if several {
            // A series may match several branches of `or`.
            let mut seen = rustc_hash::FxHashSet::default();
            found.retain(|series| seen.insert(series.labels.clone()));
        }
        self.charge_series(found.len())?;
        for series in &found {
            self.charge(series.samples.len())?;
        }
        Ok(found)
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
        for series in self.read(selector, window, grid)? {
            self.check_time()?;
            let values = latest_values(&series.samples, window, grid, timestamps);
            if values.iter().any(Option::is_some) {
                sink(self, StepSeries { labels: series.labels, drop_name: false, values })?;
            }
        }
        Ok(())
    }

    /// The samples behind an expression of type range vector.
    pub fn ranged(&mut self, expr: &Expr, grid: Grid) -> Result<Ranged, QueryError> {
        match expr {
            Expr::Paren(paren) => self.ranged(&paren.expr, grid),
            Expr::MatrixSelector(selector) => self.ranged_selector(selector, grid),
            Expr::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Err(QueryError::bad_data("expected a range vector, such as x[5m]")),
        }
    }

    fn ranged_selector(&mut self, selector: &MatrixSelector, grid: Grid) -> Result<Ranged, QueryError> {
        let window = self.window(millis(selector.range), &selector.vs.offset, &selector.vs.at);
        let mut series = self.read(&selector.vs, window, grid)?;
        for one in &mut series {
            one.samples.retain(|sample| !sample.value.is_stale());
        }
        Ok(Ranged { series, window })
    }

    fn subquery(&mut self, subquery: &SubqueryExpr, grid: Grid) -> Result<Ranged, QueryError> {
        let window = self.window(millis(subquery.range), &subquery.offset, &subquery.at);
        let step_ms = subquery.step.map_or(self.default_step_ms, millis).max(1);
        let (from, to) = (window.start(grid.start_ms), window.end(grid.end_ms()));
        // Steps are multiples of the step width whatever the query's own start; the left end is excluded.
        let start_ms = from.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        if to < start_ms {
            return Ok(Ranged { series: Vec::new(), window });
        }
        let len = (to - start_ms) / step_ms + 1;
        self.charge(usize::try_from(len).unwrap_or(usize::MAX))?;
        let inner = Grid { start_ms, step_ms, len: len as usize };
        let mut series = Vec::new();
        for one in self.vector(&subquery.expr, inner)? {
            let samples = inner.times().zip(one.values);
            let sample = |(time_ms, value): (i64, Option<Sample>)| {
                value.map(|value| RawSample { time_ms, value: RawValue::from(value) })
            };
            let samples = samples.filter_map(sample).collect();
            series.push(RawSeries { labels: one.labels, drop_name: one.drop_name, samples });
        }
        Ok(Ranged { series, window })
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
