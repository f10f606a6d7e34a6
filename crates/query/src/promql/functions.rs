//! Functions over instant vectors and scalars, and the calls of those over ranges.

use super::annotations::Annotations;
use super::eval::{Context, same_labelset};
use super::histogram::Histogram;
use super::labels::{self, NAME};
use super::over_time::{self, Call as RangeCall, Row};
use super::rate::Resets;
use super::selector::windows;
use super::steps::{Evaluated, Grid, Sample, StepSeries};
use super::{calendar, classic, histogram_stats};
use crate::QueryError;
use limpid_model::Labels;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Call, Expr, VectorSelector, token::T_EQL_REGEX};
use std::cmp::Ordering;

type FloatFunction = fn(f64) -> f64;
type HistogramFunction = fn(&Histogram) -> f64;

/// Functions of one float; histograms have no value under them.
static OF_FLOATS: &[(&str, FloatFunction)] = &[
    ("abs", f64::abs),
    ("ceil", f64::ceil),
    ("floor", f64::floor),
    ("exp", f64::exp),
    ("sqrt", f64::sqrt),
    ("ln", f64::ln),
    ("log2", f64::log2),
    ("log10", f64::log10),
    ("sgn", |value| {
        if value > 0.0 {
            1.0
        } else if value < 0.0 {
            -1.0
        } else {
            value
        }
    }),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("sinh", f64::sinh),
    ("cosh", f64::cosh),
    ("tanh", f64::tanh),
    ("asinh", f64::asinh),
    ("acosh", f64::acosh),
    ("atanh", f64::atanh),
    ("rad", |value| value * std::f64::consts::PI / 180.0),
    ("deg", |value| value * 180.0 / std::f64::consts::PI),
];

/// Functions of one native histogram; floats have no value under them.
static OF_HISTOGRAMS: &[(&str, HistogramFunction)] = &[
    ("histogram_count", |histogram| histogram.count),
    ("histogram_sum", |histogram| histogram.sum),
    ("histogram_avg", |histogram| histogram.sum / histogram.count),
    ("histogram_stddev", |histogram| histogram_stats::variance(histogram).sqrt()),
    ("histogram_stdvar", histogram_stats::variance),
];

fn lookup<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(have, _)| *have == name).map(|(_, function)| *function)
}

pub fn is_over_range(call: &Call) -> bool {
    over_time::find(call.func.name).is_some()
}

pub fn clamp_quantile_note(q: f64, notes: &mut Annotations) {
    if !(0.0..=1.0).contains(&q) {
        notes.bad_quantile(q);
    }
}

fn argument<'e>(call: &'e Call, at: usize) -> Result<&'e Expr, QueryError> {
    let missing = || QueryError::bad_data(format!("{}() needs an argument more", call.func.name));
    call.args.args.get(at).map(|arg| &**arg).ok_or_else(missing)
}

fn unwrapped(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(paren) = expr {
        expr = &paren.expr;
    }
    expr
}

impl Context<'_> {
    pub fn call(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let name = call.func.name;
        if is_over_range(call) {
            return self.collect_ranged(call, grid);
        }
        if let Some(function) = lookup(OF_FLOATS, name) {
            return self.map_floats(argument(call, 0)?, grid, |_, value| Some(function(value)));
        }
        if let Some(function) = lookup(OF_HISTOGRAMS, name) {
            return self.map_histograms(argument(call, 0)?, grid, |_, histogram| function(histogram));
        }
        if let Some(field) = calendar::find(name) {
            return self.calendar(call, grid, field);
        }
        match name {
            "time" => Ok(Evaluated::Scalar(grid.times().map(seconds).collect())),
            "start" => Ok(Evaluated::Scalar(vec![seconds(self.query_start_ms); grid.len])),
            "end" => Ok(Evaluated::Scalar(vec![seconds(self.query_end_ms); grid.len])),
            "range" => Ok(Evaluated::Scalar(vec![seconds(self.query_end_ms - self.query_start_ms); grid.len])),
            "step" => Ok(Evaluated::Scalar(vec![seconds(self.query_step_ms); grid.len])),
            "min_of" | "max_of" => self.best_of(call, grid),
            "pi" => Ok(Evaluated::Scalar(vec![std::f64::consts::PI; grid.len])),
            "vector" => self.to_vector(call, grid),
            "scalar" => self.to_scalar(call, grid),
            "timestamp" => self.timestamp(call, grid),
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(call, grid),
            "round" => self.round(call, grid),
            "sort" | "sort_desc" => self.sort(call, grid),
            "sort_by_label" | "sort_by_label_desc" => self.sort_by_label(call, grid),
            "absent" => self.absent(call, grid),
            "absent_over_time" => self.absent_over_time(call, grid),
            "label_replace" => self.label_replace(call, grid),
            "label_join" => self.label_join(call, grid),
            "histogram_quantile" => self.histogram_quantile(call, grid),
            "histogram_fraction" => self.histogram_fraction(call, grid),
            _ => Err(QueryError::bad_data(format!("the function {name}() is not supported"))),
        }
    }

    fn map_floats(
        &mut self,
        expr: &Expr,
        grid: Grid,
        function: impl Fn(usize, f64) -> Option<f64>,
    ) -> Result<Evaluated, QueryError> {
        let mut series = self.vector(expr, grid)?;
        for one in &mut series {
            one.drop_name = true;
            for (step, value) in one.values.iter_mut().enumerate() {
                let mapped = value.as_ref().and_then(Sample::float).and_then(|value| function(step, value));
                *value = mapped.map(Sample::Float);
            }
        }
        series.retain(|series| !series.is_empty());
        Ok(Evaluated::Vector(series))
    }

    fn map_histograms(
        &mut self,
        expr: &Expr,
        grid: Grid,
        function: impl Fn(usize, &Histogram) -> f64,
    ) -> Result<Evaluated, QueryError> {
        let mut series = self.vector(expr, grid)?;
        for one in &mut series {
            one.drop_name = true;
            for (step, value) in one.values.iter_mut().enumerate() {
                *value = match value {
                    Some(Sample::Histogram(histogram)) => Some(Sample::Float(function(step, histogram))),
                    _ => None,
                };
            }
        }
        series.retain(|series| !series.is_empty());
        Ok(Evaluated::Vector(series))
    }

    fn collect_ranged(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut all = Vec::new();
        self.for_each_ranged(call, grid, &mut |context, series| {
            let size = |value: &Sample| match value {
                Sample::Float(_) => 1,
                // A sample is two words, a histogram some hundred.
                Sample::Histogram(histogram) => histogram.size() / 4,
            };
            context.charge(series.values.iter().flatten().map(size).sum())?;
            all.push(series);
            Ok(())
        })?;
        Ok(Evaluated::Vector(all))
    }

    /// A function over a range vector, series by series.
    pub fn for_each_ranged(
        &mut self,
        call: &Call,
        grid: Grid,
        sink: &mut dyn FnMut(&mut Self, StepSeries) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let Some(row) = over_time::find(call.func.name) else {
            return Err(QueryError::bad_data(format!("{}() takes no range vector", call.func.name)));
        };
        let is_range = |expr: &&Box<Expr>| matches!(unwrapped(expr), Expr::MatrixSelector(_) | Expr::Subquery(_));
        let mut scalars = Vec::new();
        for arg in call.args.args.iter().filter(|arg| !is_range(arg)) {
            scalars.push(self.scalar(arg, grid)?);
        }
        check_smoothing(row, &scalars)?;
        let Some(range) = call.args.args.iter().find(is_range) else {
            return Err(QueryError::bad_data(format!("{}() needs a range vector such as x[5m]", call.func.name)));
        };
        self.for_each_range(range, grid, &mut |context, series, window| {
            let values = context.windowed(row, &series, window, &scalars, grid);
            if values.iter().all(Option::is_none) {
                return Ok(());
            }
            let drop_name = series.drop_name || !row.keeps_name;
            sink(context, StepSeries { labels: series.labels, drop_name, values })
        })
    }

    fn windowed(
        &mut self,
        row: &Row,
        series: &super::source::RawSeries,
        window: super::selector::Window,
        scalars: &[Vec<f64>],
        grid: Grid,
    ) -> Vec<Option<Sample>> {
        let resets = Resets::default();
        let name = series.labels.get(NAME).unwrap_or_default();
        let mut args = vec![f64::NAN; scalars.len()];
        let values = windows(&series.samples, window, grid).enumerate().map(|(step, (time_ms, range))| {
            if range.is_empty() {
                return None;
            }
            for (arg, values) in args.iter_mut().zip(scalars) {
                *arg = values.get(step).copied().unwrap_or(f64::NAN);
            }
            (row.function)(&mut RangeCall {
                all: &series.samples,
                range,
                resets: &resets,
                start_ms: window.start(time_ms),
                end_ms: window.end(time_ms),
                range_ms: window.range_ms,
                time_ms,
                args: &args,
                name,
                notes: &mut self.notes,
            })
        });
        values.collect()
    }

    fn calendar(&mut self, call: &Call, grid: Grid, field: calendar::Field) -> Result<Evaluated, QueryError> {
        let of = move |value: f64| if value.is_nan() { value } else { field(value.floor() as i64) };
        if call.args.is_empty() {
            let values = grid.times().map(|time_ms| Some(Sample::Float(of(seconds(time_ms))))).collect();
            return Ok(Evaluated::Vector(vec![StepSeries { labels: Labels::default(), drop_name: false, values }]));
        }
        self.map_floats(argument(call, 0)?, grid, |_, value| Some(of(value)))
    }

    fn to_vector(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let values = self.scalar(argument(call, 0)?, grid)?;
        let values = values.into_iter().map(|value| Some(Sample::Float(value))).collect();
        Ok(Evaluated::Vector(vec![StepSeries { labels: Labels::default(), drop_name: false, values }]))
    }

    fn best_of(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let (left, right) = (self.scalar(argument(call, 0)?, grid)?, self.scalar(argument(call, 1)?, grid)?);
        let best = |(a, b): (&f64, &f64)| match call.func.name {
            _ if a.is_nan() || b.is_nan() => f64::NAN,
            "min_of" => a.min(*b),
            _ => a.max(*b),
        };
        Ok(Evaluated::Scalar(left.iter().zip(&right).map(best).collect()))
    }

    /// The only float of a step, or NaN.
    fn to_scalar(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let series = self.vector(argument(call, 0)?, grid)?;
        let value = |step: usize| {
            let mut floats = series.iter().filter_map(|one| one.values.get(step)?.as_ref()?.float());
            match (floats.next(), floats.next()) {
                (Some(value), None) => value,
                _ => f64::NAN,
            }
        };
        Ok(Evaluated::Scalar((0..grid.len).map(value).collect()))
    }

    fn timestamp(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let arg = argument(call, 0)?;
        let mut out = Vec::new();
        if let Expr::VectorSelector(selector) = unwrapped(arg) {
            self.for_each_selected(selector, grid, true, &mut |context, mut series| {
                context.charge(grid.len)?;
                series.drop_name = true;
                out.push(series);
                Ok(())
            })?;
            return Ok(Evaluated::Vector(out));
        }
        let mut series = self.vector(arg, grid)?;
        for one in &mut series {
            one.drop_name = true;
            for (value, time_ms) in one.values.iter_mut().zip(grid.times()).filter(|(value, _)| value.is_some()) {
                *value = Some(Sample::Float(seconds(time_ms)));
            }
        }
        Ok(Evaluated::Vector(series))
    }

    fn clamp(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let unbounded = |limit: f64| vec![limit; grid.len];
        let (low, high) = match call.func.name {
            "clamp_min" => (self.scalar(argument(call, 1)?, grid)?, unbounded(f64::INFINITY)),
            "clamp_max" => (unbounded(f64::NEG_INFINITY), self.scalar(argument(call, 1)?, grid)?),
            _ => (self.scalar(argument(call, 1)?, grid)?, self.scalar(argument(call, 2)?, grid)?),
        };
        self.map_floats(argument(call, 0)?, grid, |step, value| {
            let (low, high) = (*low.get(step)?, *high.get(step)?);
            if low > high {
                return None;
            }
            if low.is_nan() || high.is_nan() || value.is_nan() {
                return Some(f64::NAN);
            }
            Some(value.min(high).max(low))
        })
    }

    fn round(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let to = match call.args.len() {
            1 => vec![1.0; grid.len],
            _ => self.scalar(argument(call, 1)?, grid)?,
        };
        self.map_floats(argument(call, 0)?, grid, |step, value| {
            // Ties go up; multiplying by the inverse is more exact than dividing by a fraction.
            let inverse = 1.0 / to.get(step)?;
            Some((value * inverse + 0.5).floor() / inverse)
        })
    }

    fn sort(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut series = self.vector(argument(call, 0)?, grid)?;
        if grid.step_ms != 0 {
            // Over time there is no one order.
            return Ok(Evaluated::Vector(series));
        }
        let value = |series: &StepSeries| series.values.first().cloned().flatten().and_then(|value| value.float());
        series.retain(|series| value(series).is_some());
        let descending = call.func.name == "sort_desc";
        series.sort_by(|a, b| compare(value(a), value(b), descending));
        Ok(Evaluated::Vector(series))
    }

    fn sort_by_label(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut series = self.vector(argument(call, 0)?, grid)?;
        let mut names = Vec::new();
        for arg in call.args.args.iter().skip(1) {
            names.push(self.string(arg, grid)?);
        }
        let by_names = |a: &StepSeries, b: &StepSeries| {
            let get = |series: &StepSeries, name: &str| series.labels.get(name).unwrap_or_default().to_string();
            let orders = names.iter().map(|name| natural_order(&get(a, name), &get(b, name)));
            orders.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels))
        };
        series.sort_by(by_names);
        if call.func.name == "sort_by_label_desc" {
            series.reverse();
        }
        Ok(Evaluated::Vector(series))
    }

    fn absent(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let arg = argument(call, 0)?;
        let mut present = vec![false; grid.len];
        self.for_each(arg, grid, &mut |_, series| {
            present.iter_mut().zip(&series.values).for_each(|(present, value)| *present |= value.is_some());
            Ok(())
        })?;
        Ok(absent_series(arg, present))
    }

    fn absent_over_time(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let arg = argument(call, 0)?;
        let mut present = vec![false; grid.len];
        self.for_each_range(arg, grid, &mut |_, series, window| {
            let here = windows(&series.samples, window, grid).map(|(_, range)| !range.is_empty());
            present.iter_mut().zip(here).for_each(|(present, here)| *present |= here);
            Ok(())
        })?;
        Ok(absent_series(arg, present))
    }

    fn label_replace(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let mut texts = Vec::new();
        for at in 1..5 {
            texts.push(self.string(argument(call, at)?, grid)?);
        }
        let [to, replacement, from, pattern] = texts.as_slice() else {
            return Err(QueryError::bad_data("label_replace() needs four texts"));
        };
        let matcher = Matcher::new_matcher(T_EQL_REGEX, from.clone(), pattern.clone())
            .map_err(|_| QueryError::bad_data(format!("invalid regular expression in label_replace(): {pattern}")))?;
        let MatchOp::Re(regex) = &matcher.op else {
            return Err(QueryError::bad_data(format!("invalid regular expression in label_replace(): {pattern}")));
        };
        check_label_name(to, "label_replace")?;
        let mut series = self.vector(argument(call, 0)?, grid)?;
        for one in &mut series {
            let source = one.labels.get(from).unwrap_or_default();
            let Some(captures) = regex.captures(source) else { continue };
            let mut value = String::new();
            captures.expand(replacement, &mut value);
            relabel(one, to, &value);
        }
        no_duplicates(series)
    }

    fn label_join(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let to = self.string(argument(call, 1)?, grid)?;
        let separator = self.string(argument(call, 2)?, grid)?;
        check_label_name(&to, "label_join")?;
        let mut sources = Vec::new();
        for arg in call.args.args.iter().skip(3) {
            sources.push(self.string(arg, grid)?);
        }
        let mut series = self.vector(argument(call, 0)?, grid)?;
        for one in &mut series {
            let parts: Vec<&str> = sources.iter().map(|name| one.labels.get(name).unwrap_or_default()).collect();
            let joined = parts.join(&separator);
            relabel(one, &to, &joined);
        }
        no_duplicates(series)
    }

    fn histogram_quantile(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let q = self.scalar(argument(call, 0)?, grid)?;
        q.iter().for_each(|q| clamp_quantile_note(*q, &mut self.notes));
        let series = self.vector(argument(call, 1)?, grid)?;
        let of_native = |step: usize, histogram: &Histogram, name: &str, notes: &mut Annotations| {
            let (value, skewed) = histogram_stats::quantile(q.get(step).copied().unwrap_or(f64::NAN), histogram);
            if skewed && value.is_nan() {
                notes.info(format!(
                    "input to histogram_quantile has NaN observations, result is NaN for metric name {name:?}"
                ));
            } else if skewed {
                notes.info(format!(
                    "input to histogram_quantile has NaN observations, result is skewed higher for metric name {name:?}"
                ));
            }
            value
        };
        let of_classic = |step: usize, buckets: &mut Vec<classic::Bucket>| {
            classic::quantile(q.get(step).copied().unwrap_or(f64::NAN), buckets)
        };
        Ok(Evaluated::Vector(classic::for_each_histogram(self, series, grid, of_native, of_classic)?))
    }

    fn histogram_fraction(&mut self, call: &Call, grid: Grid) -> Result<Evaluated, QueryError> {
        let (lower, upper) = (self.scalar(argument(call, 0)?, grid)?, self.scalar(argument(call, 1)?, grid)?);
        let series = self.vector(argument(call, 2)?, grid)?;
        let bounds = |step: usize| {
            let at = |values: &[f64]| values.get(step).copied().unwrap_or(f64::NAN);
            (at(&lower), at(&upper))
        };
        let of_native = |step: usize, histogram: &Histogram, name: &str, notes: &mut Annotations| {
            if histogram.sum.is_nan() {
                notes.info(format!(
                    "input to histogram_fraction has NaN observations, which are excluded from all fractions for metric name {name:?}"
                ));
            }
            histogram_stats::fraction(bounds(step).0, bounds(step).1, histogram)
        };
        let of_classic = |step: usize, buckets: &mut Vec<classic::Bucket>| {
            (classic::fraction(bounds(step).0, bounds(step).1, buckets), None)
        };
        Ok(Evaluated::Vector(classic::for_each_histogram(self, series, grid, of_native, of_classic)?))
    }
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

fn check_smoothing(row: &Row, scalars: &[Vec<f64>]) -> Result<(), QueryError> {
    if row.name != "double_exponential_smoothing" {
        return Ok(());
    }
    match scalars.iter().flatten().find(|factor| !(**factor > 0.0 && **factor < 1.0)) {
        Some(factor) => {
            Err(QueryError::execution(format!("invalid smoothing or trend factor: 0 < factor < 1, got {factor}")))
        }
        None => Ok(()),
    }
}

/// Ascending or descending with NaN last in both.
fn compare(a: Option<f64>, b: Option<f64>, descending: bool) -> Ordering {
    let (a, b) = (a.unwrap_or(f64::NAN), b.unwrap_or(f64::NAN));
    let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let order = if descending { order.reverse() } else { order };
    a.is_nan().cmp(&b.is_nan()).then(order)
}

/// `node10` after `node9`: runs of digits compare as numbers.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        if !(x.is_ascii_digit() && y.is_ascii_digit()) {
            if x != y {
                return x.cmp(y);
            }
            (a, b) = (&a[1..], &b[1..]);
            continue;
        }
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ((x, rest_a), (y, rest_b)) = (a.split_at(digits(a)), b.split_at(digits(b)));
        let significant = |text: &[u8]| text.iter().position(|byte| *byte != b'0').unwrap_or(text.len());
        let (x, y) = (&x[significant(x)..], &y[significant(y)..]);
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.len().cmp(&b.len())
}

/// The labels that an absent series would surely have: those its selector asks for with `=`, once each.
fn absent_series(expr: &Expr, present: Vec<bool>) -> Evaluated {
    let selector: Option<&VectorSelector> = match unwrapped(expr) {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(selector) => Some(&selector.vs),
        _ => None,
    };
    let matchers = selector.map_or(&[][..], |selector| &selector.matchers.matchers);
    let once = |name: &str| matchers.iter().filter(|matcher| matcher.name == name).count() == 1;
    let known = matchers
        .iter()
        .filter(|matcher| matcher.op == MatchOp::Equal && matcher.name != NAME && once(&matcher.name))
        .map(|matcher| (matcher.name.as_str(), matcher.value.as_str()));
    let values = present.into_iter().map(|present| (!present).then_some(Sample::Float(1.0))).collect();
    let series = StepSeries { labels: Labels::from_pairs(known), drop_name: false, values };
    Evaluated::Vector(if series.is_empty() { Vec::new() } else { vec![series] })
}

fn check_label_name(name: &str, function: &str) -> Result<(), QueryError> {
    // Any UTF-8 text may be a label name, except none at all.
    if name.is_empty() {
        return Err(QueryError::execution(format!("invalid destination label name in {function}(): {name}")));
    }
    Ok(())
}

/// Setting the name keeps it from being dropped.
fn relabel(series: &mut StepSeries, name: &str, value: &str) {
    if name == NAME {
        series.drop_name = false;
    }
    series.labels = labels::set(&series.labels, name, value);
}

fn no_duplicates(series: Vec<StepSeries>) -> Result<Evaluated, QueryError> {
    let mut seen = super::selector::ByLabels::<Vec<bool>>::default();
    for one in &series {
        let present = seen.entry(one.labels.clone()).or_insert_with(|| vec![false; one.values.len()]);
        for (present, value) in present.iter_mut().zip(&one.values) {
            if *present && value.is_some() {
                return Err(same_labelset());
            }
            *present |= value.is_some();
        }
    }
    Ok(Evaluated::Vector(series))
}
