//! Aggregations: series folded into groups as they come, and those that pick series (`topk`, `bottomk`).

use super::eval::Context;
use super::histogram::Histogram;
use super::labels::{NAME, keep, set, without};
use super::over_time::quantile;
use super::selector::ByLabels;
use super::steps::{Evaluated, Grid, Sample, StepSeries};
use super::summation::{HistogramSum, Mean, Sum};
use crate::QueryError;
use limpid_model::Labels;
use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
}

impl Fold {
    fn of(expr: &AggregateExpr) -> Option<Fold> {
        Some(match expr.op.id() {
            T_SUM => Fold::Sum,
            T_AVG => Fold::Avg,
            T_MIN => Fold::Min,
            T_MAX => Fold::Max,
            T_COUNT => Fold::Count,
            T_GROUP => Fold::Group,
            T_STDDEV => Fold::Stddev,
            T_STDVAR => Fold::Stdvar,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Fold::Sum => "sum",
            Fold::Avg => "avg",
            Fold::Min => "min",
            Fold::Max => "max",
            Fold::Count => "count",
            Fold::Group => "group",
            Fold::Stddev => "stddev",
            Fold::Stdvar => "stdvar",
        }
    }

    fn only_counts(self) -> bool {
        matches!(self, Fold::Count | Fold::Group)
    }

    fn takes_histograms(self) -> bool {
        matches!(self, Fold::Sum | Fold::Avg | Fold::Count | Fold::Group)
    }
}

/// One group at one step.
#[derive(Default)]
enum Folded {
    #[default]
    Nothing,
    Floats(Floats),
    Histograms(Box<HistogramSum>),
    /// Floats met histograms, or exponential buckets custom ones: no value.
    Spoiled,
}

struct Floats {
    count: f64,
    /// Sum, or minimum or maximum.
    value: Sum,
    mean: Mean,
    squares: Sum,
}

struct Group {
    labels: Labels,
    drop_name: bool,
    steps: Vec<Folded>,
}

/// How an aggregation finds the group of a series.
struct Grouping<'a> {
    modifier: &'a Option<LabelModifier>,
    without: Vec<String>,
}

impl<'a> Grouping<'a> {
    fn new(modifier: &'a Option<LabelModifier>) -> Self {
        let without = match modifier {
            Some(LabelModifier::Exclude(list)) => list.labels.iter().cloned().chain([NAME.to_string()]).collect(),
            _ => Vec::new(),
        };
        Grouping { modifier, without }
    }

    fn of(&self, labels: &Labels) -> Labels {
        match self.modifier {
            None => Labels::default(),
            Some(LabelModifier::Include(list)) => keep(labels, &list.labels),
            Some(LabelModifier::Exclude(_)) => without(labels, &self.without),
        }
    }
}

impl Context<'_> {
    pub fn aggregate(&mut self, expr: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        if let Some(fold) = Fold::of(expr) {
            return self.fold(fold, expr, grid);
        }
        match expr.op.id() {
            T_TOPK | T_BOTTOMK => self.pick(expr, grid),
            T_QUANTILE => self.quantiles(expr, grid),
            T_COUNT_VALUES => self.count_values(expr, grid),
            _ => Err(QueryError::bad_data(format!("the aggregation {} is not supported", expr.op))),
        }
    }

    fn fold(&mut self, fold: Fold, expr: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let grouping = Grouping::new(&expr.modifier);
        let mut places = ByLabels::<usize>::default();
        let mut groups: Vec<Group> = Vec::new();
        self.for_each(&expr.expr, grid, &mut |context, series| {
            let labels = grouping.of(&series.labels);
            let place = match places.get(&labels) {
                Some(place) => *place,
                None => {
                    context.charge(grid.len)?;
                    places.insert(labels.clone(), groups.len());
                    let steps = (0..grid.len).map(|_| Folded::Nothing).collect();
                    groups.push(Group { labels, drop_name: series.drop_name, steps });
                    groups.len() - 1
                }
            };
            for (folded, value) in groups[place].steps.iter_mut().zip(series.values) {
                if let Some(value) = value {
                    add(folded, value, fold, context);
                }
            }
            Ok(())
        })?;
        let mut out = Vec::with_capacity(groups.len());
        for group in groups {
            let values = group.steps.into_iter().map(|folded| finish(folded, fold, self)).collect();
            out.push(StepSeries { labels: group.labels, drop_name: group.drop_name, values });
        }
        out.retain(|series| !series.is_empty());
        Ok(out)
    }

    /// `topk` and `bottomk`: the series themselves, at the steps at which they are among the first.
    fn pick(&mut self, expr: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let top = expr.op.id() == T_TOPK;
        let wanted = self.parameter(expr, grid)?;
        if wanted.iter().any(|wanted| wanted.is_nan()) {
            return Err(QueryError::execution("Parameter value is NaN"));
        }
        let series = self.vector(&expr.expr, grid)?;
        let groups = grouped(&series, &Grouping::new(&expr.modifier));
        let mut kept: Vec<Vec<Option<Sample>>> = series.iter().map(|series| vec![None; series.values.len()]).collect();
        let mut order = Vec::new();
        for members in groups {
            for (step, wanted) in wanted.iter().enumerate() {
                let picked = self.picked(&series, &members, step, top, *wanted);
                for at in &picked {
                    kept[*at][step] = series[*at].values[step].clone();
                }
                if grid.len == 1 {
                    order.extend(picked);
                }
            }
        }
        let mut out: Vec<StepSeries> =
            series.into_iter().zip(kept).map(|(series, values)| StepSeries { values, ..series }).collect();
        if grid.len == 1 {
            let mut taken: Vec<Option<StepSeries>> = out.into_iter().map(Some).collect();
            out = order.into_iter().filter_map(|at| taken.get_mut(at)?.take()).collect();
        }
        out.retain(|series| !series.is_empty());
        Ok(out)
    }

    fn picked(&mut self, series: &[StepSeries], members: &[usize], step: usize, top: bool, wanted: f64) -> Vec<usize> {
        let mut values = Vec::new();
        for at in members {
            match &series[*at].values[step] {
                Some(Sample::Float(value)) => values.push((*at, *value)),
                Some(Sample::Histogram(_)) => {
                    self.notes.histograms_ignored_in(&format!("{} aggregation", if top { "topk" } else { "bottomk" }));
                }
                None => {}
            }
        }
        values.sort_by(|(_, a), (_, b)| {
            let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
            a.is_nan().cmp(&b.is_nan()).then(if top { order.reverse() } else { order })
        });
        let wanted = if wanted < 1.0 { 0 } else { wanted as usize };
        values.into_iter().take(wanted).map(|(at, _)| at).collect()
    }

    fn quantiles(&mut self, expr: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let q = self.parameter(expr, grid)?;
        q.iter().for_each(|q| super::functions::clamp_quantile_note(*q, &mut self.notes));
        let series = self.vector(&expr.expr, grid)?;
        let mut ignored = false;
        let grouping = Grouping::new(&expr.modifier);
        let mut out = Vec::new();
        for members in grouped(&series, &grouping) {
            let first = &series[members[0]];
            let mut value = |step: usize| {
                let samples: Vec<&Sample> = members.iter().filter_map(|at| series[*at].values[step].as_ref()).collect();
                let floats: Vec<f64> = samples.iter().filter_map(|sample| sample.float()).collect();
                ignored |= floats.len() < samples.len();
                (!floats.is_empty()).then(|| Sample::Float(quantile(q[step], floats)))
            };
            let values = (0..grid.len).map(&mut value).collect();
            out.push(StepSeries { labels: grouping.of(&first.labels), drop_name: first.drop_name, values });
        }
        if ignored {
            self.notes.histograms_ignored_in("quantile aggregation");
        }
        out.retain(|series| !series.is_empty());
        Ok(out)
    }

    fn count_values(&mut self, expr: &AggregateExpr, grid: Grid) -> Result<Vec<StepSeries>, QueryError> {
        let param = expr.param.as_deref().ok_or_else(|| QueryError::bad_data("count_values needs a label name"))?;
        let label = self.string(param, grid)?;
        if label.is_empty() {
            return Err(QueryError::execution(format!("invalid label name {label:?}")));
        }
        let grouping = Grouping::new(&expr.modifier);
        let mut places = ByLabels::<usize>::default();
        let mut out: Vec<StepSeries> = Vec::new();
        for series in self.vector(&expr.expr, grid)? {
            let group = grouping.of(&series.labels);
            for (step, value) in series.values.iter().enumerate() {
                let Some(value) = value else { continue };
                let labels = set(&group, &label, &text_of(value));
                let place = *places.entry(labels.clone()).or_insert(out.len());
                if place == out.len() {
                    self.charge(grid.len)?;
                    let drop_name = series.drop_name && label != NAME;
                    out.push(StepSeries { labels, drop_name, values: vec![None; grid.len] });
                }
                let count = &mut out[place].values[step];
                let before = count.as_ref().and_then(Sample::float).unwrap_or(0.0);
                *count = Some(Sample::Float(before + 1.0));
            }
        }
        Ok(out)
    }

    fn parameter(&mut self, expr: &AggregateExpr, grid: Grid) -> Result<Vec<f64>, QueryError> {
        let missing = || QueryError::bad_data(format!("{} needs a number", expr.op));
        let param: &Expr = expr.param.as_deref().ok_or_else(missing)?;
        match self.eval(param, grid)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(missing()),
        }
    }
}

fn text_of(value: &Sample) -> String {
    match value {
        Sample::Float(value) => super::serialize::number(*value),
        Sample::Histogram(histogram) => display(histogram),
    }
}

/// As Prometheus writes a histogram: `{count:2, sum:3, (1,2]:2}`.
fn display(histogram: &Histogram) -> String {
    let mut parts = vec![format!("count:{}", histogram.count), format!("sum:{}", histogram.sum)];
    for bucket in histogram.buckets().filter(|bucket| bucket.count != 0.0) {
        let (open, close) = match (bucket.lower, bucket.upper) {
            (lower, upper) if lower <= 0.0 && upper >= 0.0 && !histogram.is_custom() => ('[', ']'),
            (_, upper) if upper <= 0.0 && !histogram.is_custom() => ('[', ')'),
            _ => ('(', ']'),
        };
        let bound = super::serialize::number;
        parts.push(format!("{open}{},{}{close}:{}", bound(bucket.lower), bound(bucket.upper), bucket.count));
    }
    format!("{{{}}}", parts.join(", "))
}

fn grouped(series: &[StepSeries], grouping: &Grouping) -> Vec<Vec<usize>> {
    let mut places = ByLabels::<usize>::default();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, one) in series.iter().enumerate() {
        let place = *places.entry(grouping.of(&one.labels)).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(at);
    }
    groups
}

fn add(folded: &mut Folded, value: Sample, fold: Fold, context: &mut Context) {
    if !fold.takes_histograms() && value.float().is_none() {
        context.notes.histograms_ignored_in(&format!("{} aggregation", fold.name()));
        return;
    }
    match (&mut *folded, value) {
        (Folded::Spoiled, _) => {}
        (Folded::Nothing, Sample::Float(value)) => *folded = Folded::Floats(Floats::new(value, fold)),
        (Folded::Nothing, Sample::Histogram(histogram)) => {
            *folded = Folded::Histograms(Box::new(HistogramSum::new(Arc::unwrap_or_clone(histogram))));
        }
        (Folded::Floats(floats), Sample::Float(value)) => floats.add(value, fold),
        // Counting takes anything.
        (Folded::Floats(floats), Sample::Histogram(_)) if fold.only_counts() => floats.count += 1.0,
        (Folded::Histograms(sum), _) if fold.only_counts() => sum.count += 1.0,
        (Folded::Histograms(sum), Sample::Histogram(histogram)) => {
            if sum.add(&histogram, fold == Fold::Avg).is_err() {
                context.notes.mixed_schemas("");
                *folded = Folded::Spoiled;
            }
        }
        _ => {
            context.notes.mixed_in_aggregation();
            *folded = Folded::Spoiled;
        }
    }
}

impl Floats {
    fn new(value: f64, fold: Fold) -> Self {
        let mut floats = Floats { count: 0.0, value: Sum::default(), mean: Mean::default(), squares: Sum::default() };
        match fold {
            Fold::Min | Fold::Max => floats.set(value),
            _ => floats.add(value, fold),
        }
        floats
    }

    fn set(&mut self, value: f64) {
        self.value = Sum::default();
        self.value.add(value);
    }

    fn add(&mut self, value: f64, fold: Fold) {
        self.count += 1.0;
        match fold {
            Fold::Sum => self.value.add(value),
            Fold::Avg => self.mean.add(value),
            Fold::Min if value < self.value.value() || self.value.value().is_nan() => self.set(value),
            Fold::Max if value > self.value.value() || self.value.value().is_nan() => self.set(value),
            Fold::Stddev | Fold::Stdvar => {
                let delta = value - self.value.value();
                self.value.add(delta / self.count);
                self.squares.add(delta * (value - self.value.value()));
            }
            _ => {}
        }
    }

    fn finish(&self, fold: Fold) -> f64 {
        match fold {
            Fold::Sum | Fold::Min | Fold::Max => self.value.value(),
            Fold::Avg => self.mean.value(),
            Fold::Count => self.count,
            Fold::Group => 1.0,
            Fold::Stdvar => self.squares.value() / self.count,
            Fold::Stddev => (self.squares.value() / self.count).sqrt(),
        }
    }
}

fn finish(folded: Folded, fold: Fold, context: &mut Context) -> Option<Sample> {
    match folded {
        Folded::Nothing | Folded::Spoiled => None,
        Folded::Floats(floats) => Some(Sample::Float(floats.finish(fold))),
        Folded::Histograms(sum) => match fold {
            Fold::Count => Some(Sample::Float(sum.count)),
            Fold::Group => Some(Sample::Float(1.0)),
            _ => {
                if sum.resets_collide() {
                    context.notes.reset_collision("aggregation");
                }
                if sum.bounds_reconciled {
                    context.notes.bounds_reconciled("aggregation");
                }
                Some(Sample::Histogram(Arc::new(sum.finish(fold == Fold::Avg))))
            }
        },
    }
}
