//! The evaluator: walks the parsed expression and gives its value on a time grid.

use super::annotations::Annotations;
use super::labels::{self, NAME};
use super::source::{RawSample, RawValue, SampleSource};
use super::steps::{Evaluated, Grid, Sample, StepSeries};
use super::value::{Answer, MatrixSeries, QueryValue, VectorSample};
use super::{Limits, functions};
use crate::QueryError;
use promql_parser::parser::{self, Expr, value::ValueType};
use std::collections::hash_map::Entry;
use std::time::Instant;

/// Prometheus' default evaluation interval: the step of a subquery that names none.
const DEFAULT_SUBQUERY_STEP_MS: i64 = 60_000;
/// The parser recurses once a token at most, so this bounds its stack and that of dropping the tree.
const MAX_TOKENS: usize = 4_000;

pub struct Context<'a> {
    pub source: &'a dyn SampleSource,
    pub limits: &'a Limits,
    pub query_start_ms: i64,
    pub query_end_ms: i64,
    pub query_step_ms: i64,
    pub default_step_ms: i64,
    pub notes: Annotations,
    deadline: Instant,
    samples: usize,
    read: usize,
    series: usize,
}

pub fn parse(text: &str, limits: &Limits) -> Result<Expr, QueryError> {
    if text.len() > limits.max_query_bytes {
        return Err(QueryError::bad_data(format!(
            "the query has {} bytes, more than the {} that are allowed",
            text.len(),
            limits.max_query_bytes
        )));
    }
    if tokens(text) > MAX_TOKENS {
        return Err(QueryError::bad_data(format!("the query has more than {MAX_TOKENS} words and signs")));
    }
    let expr = parser::parse(text).map_err(|error| QueryError::bad_data(format!("cannot parse the query: {error}")))?;
    if depth(&expr) > limits.max_depth {
        return Err(QueryError::bad_data(format!("the query nests deeper than {} levels", limits.max_depth)));
    }
    Ok(expr)
}

/// An upper bound of the number of tokens, strings counted by their words.
fn tokens(text: &str) -> usize {
    let mut in_word = false;
    let mut count = 0;
    for byte in text.bytes() {
        let word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        if (!word && !byte.is_ascii_whitespace()) || (word && !in_word) {
            count += 1;
        }
        in_word = word;
    }
    count
}

fn depth(expr: &Expr) -> usize {
    let below = match expr {
        Expr::Aggregate(aggregate) => depth(&aggregate.expr).max(aggregate.param.as_deref().map_or(0, depth)),
        Expr::Unary(unary) => depth(&unary.expr),
        Expr::Binary(binary) => depth(&binary.lhs).max(depth(&binary.rhs)),
        Expr::Paren(paren) => depth(&paren.expr),
        Expr::Subquery(subquery) => depth(&subquery.expr),
        Expr::Call(call) => call.args.args.iter().map(|arg| depth(arg)).max().unwrap_or(0),
        _ => 0,
    };
    below + 1
}

pub fn instant(source: &dyn SampleSource, limits: &Limits, expr: &Expr, time_ms: i64) -> Result<Answer, QueryError> {
    let mut context = Context::new(source, limits, Grid::instant(time_ms));
    let value = match expr.value_type() {
        ValueType::Matrix => context.instant_matrix(expr, time_ms)?,
        _ => context.instant_value(expr, time_ms)?,
    };
    Ok(context.answer(value))
}

pub fn range(source: &dyn SampleSource, limits: &Limits, expr: &Expr, grid: Grid) -> Result<Answer, QueryError> {
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        return Err(QueryError::bad_data(format!(
            "invalid expression type {:?} for range query, must be Scalar or instant Vector",
            expr.value_type().to_string()
        )));
    }
    let mut context = Context::new(source, limits, grid);
    let series = match context.eval(expr, grid)? {
        Evaluated::Scalar(values) => {
            let values = values.into_iter().map(|value| Some(Sample::Float(value))).collect();
            vec![StepSeries { labels: Default::default(), drop_name: false, values }]
        }
        Evaluated::Vector(series) => context.drop_names(series)?,
        Evaluated::String(_) => return Err(QueryError::bad_data("a string has no values over time")),
    };
    let mut matrix: Vec<MatrixSeries> = series.into_iter().map(|series| matrix_series(series, grid)).collect();
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(context.answer(QueryValue::Matrix(matrix)))
}

fn matrix_series(series: StepSeries, grid: Grid) -> MatrixSeries {
    let points = grid
        .times()
        .zip(series.values)
        .filter_map(|(time_ms, value)| value.map(|value| RawSample { time_ms, value: RawValue::from(value) }));
    MatrixSeries { labels: series.labels, points: points.collect() }
}

impl<'a> Context<'a> {
    fn new(source: &'a dyn SampleSource, limits: &'a Limits, grid: Grid) -> Self {
        Context {
            source,
            limits,
            query_start_ms: grid.start_ms,
            query_end_ms: grid.end_ms(),
            query_step_ms: grid.step_ms,
            default_step_ms: DEFAULT_SUBQUERY_STEP_MS,
            notes: Annotations::default(),
            deadline: Instant::now() + limits.timeout,
            samples: 0,
            read: 0,
            series: 0,
        }
    }

    fn answer(self, value: QueryValue) -> Answer {
        let (warnings, infos) = self.notes.take();
        Answer { value, warnings, infos }
    }

    fn instant_value(&mut self, expr: &Expr, time_ms: i64) -> Result<QueryValue, QueryError> {
        match self.eval(expr, Grid::instant(time_ms))? {
            Evaluated::Scalar(values) => {
                Ok(QueryValue::Scalar { time_ms, value: values.first().copied().unwrap_or(f64::NAN) })
            }
            Evaluated::String(value) => Ok(QueryValue::String { time_ms, value }),
            Evaluated::Vector(series) => {
                let sample = |mut series: StepSeries| {
                    let value = series.values.pop().flatten()?;
                    Some(VectorSample { labels: series.labels, time_ms, value })
                };
                Ok(QueryValue::Vector(self.drop_names(series)?.into_iter().filter_map(sample).collect()))
            }
        }
    }

    fn instant_matrix(&mut self, expr: &Expr, time_ms: i64) -> Result<QueryValue, QueryError> {
        let mut matrix = Vec::new();
        self.for_each_range(expr, Grid::instant(time_ms), &mut |context, mut series, window| {
            let (start, end) = (window.start(time_ms), window.end(time_ms));
            series.samples.retain(|sample| sample.time_ms > start && sample.time_ms <= end);
            if series.drop_name {
                series.labels = labels::without_name(&series.labels);
            }
            context.charge(series.samples.len())?;
            if !series.samples.is_empty() {
                matrix.push(MatrixSeries { labels: series.labels, points: series.samples });
            }
            Ok(())
        })?;
        matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
        if matrix.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
            return Err(same_labelset());
        }
        Ok(QueryValue::Matrix(matrix))
    }

    pub fn check_time(&self) -> Result<(), QueryError> {
        if Instant::now() > self.deadline {
            let limit = self.limits.timeout.as_secs_f64();
            return Err(QueryError::timeout(format!(
                "query timed out in expression evaluation after {limit} s; ask for a shorter range or fewer series"
            )));
        }
        Ok(())
    }

    /// Samples that are read and let go: only their number is limited, not the room they take.
    pub fn charge_read(&mut self, samples: usize) -> Result<(), QueryError> {
        self.read = self.read.saturating_add(samples);
        if self.read > self.limits.max_read {
            return Err(QueryError::execution(format!(
                "the query would read more than {} samples; ask for a shorter range or fewer series",
                self.limits.max_read
            )));
        }
        Ok(())
    }

    pub fn charge(&mut self, samples: usize) -> Result<(), QueryError> {
        self.samples = self.samples.saturating_add(samples);
        if self.samples > self.limits.max_samples {
            return Err(QueryError::execution(format!(
                "query processing would load too many samples into memory: more than {}",
                self.limits.max_samples
            )));
        }
        Ok(())
    }

    pub fn charge_series(&mut self, series: usize) -> Result<(), QueryError> {
        self.series = self.series.saturating_add(series);
        if self.series > self.limits.max_series {
            return Err(QueryError::execution(format!(
                "the query selects more than {} series; add label matchers",
                self.limits.max_series
            )));
        }
        Ok(())
    }

    pub fn eval(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
        self.check_time()?;
        match expr {
            Expr::Paren(paren) => self.eval(&paren.expr, grid),
            Expr::NumberLiteral(number) => Ok(Evaluated::Scalar(vec![number.val; grid.len])),
            Expr::StringLiteral(string) => Ok(Evaluated::String(string.val.clone())),
            Expr::Unary(unary) => self.negate(&unary.expr, grid),
            Expr::Binary(binary) => self.binary(binary, grid),
            Expr::Aggregate(aggregate) => Ok(Evaluated::Vector(self.aggregate(aggregate, grid)?)),
            Expr::Call(call) => self.call(call, grid),
            Expr::VectorSelector(_) => {
                let mut all = Vec::new();
                self.for_each(expr, grid, &mut |context, series| {
                    context.charge(grid.len)?;
                    all.push(series);
                    Ok(())
                })?;
                Ok(Evaluated::Vector(all))
            }
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                Err(QueryError::bad_data("a range vector is only allowed as the argument of a function such as rate()"))
            }
            Expr::Extension(_) => Err(QueryError::bad_data("this expression is not supported")),
        }
    }

    /// Gives the series of a vector expression to `sink` as they come, so that what folds them needs no room for all.
    pub fn for_each(
        &mut self,
        expr: &Expr,
        grid: Grid,
        sink: &mut dyn FnMut(&mut Self, StepSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        match expr {
            Expr::Paren(paren) => self.for_each(&paren.expr, grid, sink),
            Expr::VectorSelector(selector) => self.for_each_selected(selector, grid, false, sink),
            Expr::Call(call) if functions::is_over_range(call) => self.for_each_ranged(call, grid, sink),
            _ => self.vector(expr, grid)?.into_iter().try_for_each(|series| sink(self, series)),
        }
    }

    pub fn vector(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Vector(series) => Ok(series),
            Evaluated::Scalar(values) => {
                // Only a subquery over a scalar comes here; Prometheus takes it as a series without labels.
                let values = values.into_iter().map(|value| Some(Sample::Float(value))).collect();
                Ok(vec![StepSeries { labels: Default::default(), drop_name: false, values }])
            }
            Evaluated::String(_) => Err(QueryError::bad_data("expected an instant vector, got a string")),
        }
    }

    pub fn scalar(&mut self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(QueryError::bad_data("expected a scalar")),
        }
    }

    pub fn string(&mut self, expr: &Expr, grid: Grid) -> Result<String, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::String(value) => Ok(value),
            _ => Err(QueryError::bad_data("expected a string")),
        }
    }

    fn negate(&mut self, expr: &Expr, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut series = match self.eval(expr, grid)? {
            Evaluated::Scalar(values) => {
                return Ok(Evaluated::Scalar(values.into_iter().map(|value| -value).collect()));
            }
            Evaluated::Vector(series) => series,
            Evaluated::String(_) => return Err(QueryError::bad_data("a string has no sign")),
        };
        for one in &mut series {
            one.drop_name = true;
            for value in one.values.iter_mut().flatten() {
                match value {
                    Sample::Float(value) => *value = -*value,
                    Sample::Histogram(histogram) => std::sync::Arc::make_mut(histogram).scale(-1.0),
                }
            }
        }
        Ok(Evaluated::Vector(series))
    }

    /// Drops the names that were to be dropped. Series that are then the same are one if they never meet, else the
    /// query has no answer.
    fn drop_names(&mut self, series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
        let mut places = super::selector::ByLabels::<usize>::default();
        let mut out: Vec<StepSeries> = Vec::with_capacity(series.len());
        for mut one in series {
            if one.is_empty() {
                continue;
            }
            if one.drop_name && one.labels.get(NAME).is_some() {
                one.labels = labels::without_name(&one.labels);
            }
            match places.entry(one.labels.clone()) {
                Entry::Vacant(place) => {
                    place.insert(out.len());
                    out.push(one);
                }
                Entry::Occupied(place) => merge(&mut out[*place.get()], one)?,
            }
        }
        Ok(out)
    }
}

fn merge(into: &mut StepSeries, from: StepSeries) -> Result<(), QueryError> {
    for (mine, theirs) in into.values.iter_mut().zip(from.values) {
        match (&mine, theirs) {
            (_, None) => {}
            (None, theirs) => *mine = theirs,
            (Some(_), Some(_)) => return Err(same_labelset()),
        }
    }
    Ok(())
}

pub fn same_labelset() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}
