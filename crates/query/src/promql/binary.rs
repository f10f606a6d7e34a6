//! Binary operators: between scalars, between a vector and a scalar, and between vectors with their matching.

use super::eval::Context;
use super::histogram::{Histogram, ResetHint};
use super::labels::{NAME, display, keep, set, without};
use super::selector::ByLabels;
use super::steps::{Evaluated, Grid, Sample, StepSeries};
use crate::QueryError;
use limpid_model::Labels;
use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW,
    T_SUB, TokenId, TokenType,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};
use std::sync::Arc;

/// What an operator makes of two values.
enum Outcome {
    Value(Sample),
    /// A comparison that holds: the left value stays.
    Keep,
    /// A comparison that does not hold.
    Drop,
    /// The operator means nothing for these kinds of samples.
    Incompatible,
}

#[derive(Clone, Copy)]
struct Operator {
    id: TokenId,
    token: TokenType,
    returns_bool: bool,
}

impl Operator {
    fn is_comparison(self) -> bool {
        self.token.is_comparison_operator()
    }

    /// The result is another quantity than the operands.
    fn drops_name(self) -> bool {
        !self.is_comparison() || self.returns_bool
    }
}

fn arithmetic(id: TokenId, left: f64, right: f64) -> f64 {
    match id {
        T_ADD => left + right,
        T_SUB => left - right,
        T_MUL => left * right,
        T_DIV => left / right,
        T_MOD => left % right,
        T_POW => left.powf(right),
        T_ATAN2 => left.atan2(right),
        _ => f64::NAN,
    }
}

fn compare(id: TokenId, left: f64, right: f64) -> bool {
    match id {
        T_EQLC => left == right,
        T_NEQ => left != right,
        T_GTR => left > right,
        T_LSS => left < right,
        T_GTE => left >= right,
        T_LTE => left <= right,
        _ => false,
    }
}

fn kind(sample: &Sample) -> &'static str {
    match sample {
        Sample::Float(_) => "float",
        Sample::Histogram(_) => "histogram",
    }
}

/// Which labels decide whether two series belong together.
struct Matching<'a> {
    modifier: &'a BinModifier,
    ignored: Vec<String>,
}

impl<'a> Matching<'a> {
    fn new(modifier: &'a BinModifier) -> Self {
        let ignored = match &modifier.matching {
            Some(LabelModifier::Exclude(list)) => list.labels.clone(),
            _ => Vec::new(),
        };
        Matching { modifier, ignored: ignored.into_iter().chain([NAME.to_string()]).collect() }
    }

    fn signature(&self, labels: &Labels) -> Labels {
        match &self.modifier.matching {
            Some(LabelModifier::Include(list)) => keep(labels, &list.labels),
            _ => without(labels, &self.ignored),
        }
    }

    fn result(&self, many: &Labels, one: &Labels, drop_name: bool) -> Labels {
        let mut labels = many.clone();
        if drop_name {
            labels = without(&labels, &[NAME.to_string()]);
        }
        if self.modifier.card == VectorMatchCardinality::OneToOne {
            labels = match &self.modifier.matching {
                Some(LabelModifier::Include(list)) => keep(&labels, &list.labels),
                Some(LabelModifier::Exclude(list)) => without(&labels, &list.labels),
                None => labels,
            };
        }
        let included = self.modifier.card.labels().map_or(&[][..], |list| &list.labels);
        included.iter().fold(labels, |labels, name| set(&labels, name, one.get(name).unwrap_or_default()))
    }
}

/// What goes wrong in a matching is known only when two values meet at a step; the texts are Prometheus'.
enum Conflict {
    Duplicate { side: &'static str, group: Labels, series: [Labels; 2] },
    ManyToOne,
    NotUnique,
}

impl From<Conflict> for QueryError {
    fn from(conflict: Conflict) -> Self {
        QueryError::execution(match conflict {
            Conflict::Duplicate { side, group, mut series } => {
                series.sort();
                format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    display(&group),
                    display(&series[0]),
                    display(&series[1])
                )
            }
            Conflict::ManyToOne => {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)".into()
            }
            Conflict::NotUnique => "multiple matches for labels: grouping labels must ensure unique matches".into(),
        })
    }
}

impl Context<'_> {
    pub fn binary(&mut self, expr: &BinaryExpr, grid: Grid) -> Result<Evaluated, QueryError> {
        let operator = Operator { id: expr.op.id(), token: expr.op, returns_bool: expr.return_bool() };
        let default = BinModifier::default();
        let modifier = expr.modifier.as_ref().unwrap_or(&default);
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err(QueryError::bad_data("fill, fill_left and fill_right are not supported"));
        }
        let left = self.eval(&expr.lhs, grid)?;
        let right = self.eval(&expr.rhs, grid)?;
        match (left, right) {
            (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
                Ok(Evaluated::Scalar(left.iter().zip(&right).map(|(a, b)| of_scalars(operator, *a, *b)).collect()))
            }
            (Evaluated::Vector(series), Evaluated::Scalar(scalar)) => {
                self.with_scalar(operator, series, &scalar, false)
            }
            (Evaluated::Scalar(scalar), Evaluated::Vector(series)) => self.with_scalar(operator, series, &scalar, true),
            (Evaluated::Vector(left), Evaluated::Vector(right)) => {
                self.charge(left.len().saturating_add(right.len()).saturating_mul(grid.len))?;
                let matching = Matching::new(modifier);
                match operator.id {
                    T_LAND => Ok(Evaluated::Vector(and_unless(left, &right, &matching, grid, true))),
                    T_LUNLESS => Ok(Evaluated::Vector(and_unless(left, &right, &matching, grid, false))),
                    T_LOR => Ok(Evaluated::Vector(or(left, right, &matching, grid))),
                    _ => self.between_vectors(operator, left, right, &matching, grid),
                }
            }
            _ => Err(QueryError::bad_data(format!("the operator {} does not take strings", expr.op))),
        }
    }

    fn with_scalar(
        &mut self,
        operator: Operator,
        mut series: Vec<StepSeries>,
        scalar: &[f64],
        scalar_left: bool,
    ) -> Result<Evaluated, QueryError> {
        for one in &mut series {
            one.drop_name |= operator.drops_name();
            for (value, scalar) in one.values.iter_mut().zip(scalar) {
                let Some(sample) = value.take() else { continue };
                let scalar = Sample::Float(*scalar);
                let (left, right) = if scalar_left { (&scalar, &sample) } else { (&sample, &scalar) };
                *value = match self.apply(operator, left, right) {
                    Outcome::Value(value) => Some(value),
                    Outcome::Keep if operator.returns_bool => Some(Sample::Float(1.0)),
                    // What stays is the vector's value, on whichever side it stands.
                    Outcome::Keep => Some(sample),
                    Outcome::Drop if operator.returns_bool => Some(Sample::Float(0.0)),
                    Outcome::Drop | Outcome::Incompatible => None,
                };
            }
        }
        series.retain(|series| !series.is_empty());
        Ok(Evaluated::Vector(series))
    }

    fn apply(&mut self, operator: Operator, left: &Sample, right: &Sample) -> Outcome {
        let outcome = match (left, right) {
            (Sample::Float(a), Sample::Float(b)) if operator.is_comparison() => {
                comparison(compare(operator.id, *a, *b))
            }
            (Sample::Float(a), Sample::Float(b)) => Outcome::Value(Sample::Float(arithmetic(operator.id, *a, *b))),
            (Sample::Histogram(a), Sample::Float(b)) => scaled(operator.id, a, *b),
            (Sample::Float(a), Sample::Histogram(b)) if operator.id == T_MUL => scaled(T_MUL, b, *a),
            (Sample::Float(_), Sample::Histogram(_)) => Outcome::Incompatible,
            (Sample::Histogram(a), Sample::Histogram(b)) => self.of_histograms(operator, a, b),
        };
        if matches!(outcome, Outcome::Incompatible) {
            self.notes.incompatible_types(kind(left), &operator.token.to_string(), kind(right));
        }
        outcome
    }

    fn of_histograms(&mut self, operator: Operator, left: &Arc<Histogram>, right: &Arc<Histogram>) -> Outcome {
        let mut result = match operator.id {
            T_EQLC => return comparison(left.equals(right)),
            T_NEQ => return comparison(!left.equals(right)),
            T_ADD | T_SUB => (**left).clone(),
            _ => return Outcome::Incompatible,
        };
        let (combined, during) = match operator.id {
            T_ADD => (result.add(right), "addition"),
            _ => (result.subtract(right), "subtraction"),
        };
        let Ok(combined) = combined else {
            self.notes.warn(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"\""
                    .into(),
            );
            return Outcome::Drop;
        };
        if combined.reset_collision {
            self.notes.reset_collision(during);
        }
        if combined.bounds_reconciled {
            self.notes.bounds_reconciled(during);
        }
        if operator.id == T_SUB {
            result.hint = ResetHint::Gauge;
        }
        result.compact();
        Outcome::Value(Sample::Histogram(Arc::new(result)))
    }

    /// Arithmetic and comparison between vectors. The side of the many is on the left from here on; the operands are
    /// turned back for the operator.
    fn between_vectors(
        &mut self,
        operator: Operator,
        left: Vec<StepSeries>,
        right: Vec<StepSeries>,
        matching: &Matching,
        grid: Grid,
    ) -> Result<Evaluated, QueryError> {
        let swapped = matches!(matching.modifier.card, VectorMatchCardinality::OneToMany(_));
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let one_side = if swapped { "left" } else { "right" };
        let ones = by_signature(&one, matching);
        let exclusive = matching.modifier.card == VectorMatchCardinality::OneToOne;
        let mut matched = ByLabels::<Vec<bool>>::default();
        let mut results = Results::default();
        for series in &many {
            self.check_time()?;
            let signature = matching.signature(&series.labels);
            let Some(partners) = ones.get(&signature) else { continue };
            for step in 0..grid.len {
                let Some(value) = &series.values[step] else { continue };
                let Some(partner) = partner(&one, partners, step, one_side, &signature)? else { continue };
                let Some(other) = &one[partner].values[step] else { continue };
                if exclusive {
                    let seen = matched.entry(signature.clone()).or_insert_with(|| vec![false; grid.len]);
                    if std::mem::replace(&mut seen[step], true) {
                        return Err(Conflict::ManyToOne.into());
                    }
                }
                let (left, right) = if swapped { (other, value) } else { (value, other) };
                let kept = match self.apply(operator, left, right) {
                    Outcome::Value(value) => Some(value),
                    Outcome::Keep if operator.returns_bool => Some(Sample::Float(1.0)),
                    Outcome::Keep => Some(left.clone()),
                    Outcome::Drop if operator.returns_bool && !mixed(left, right) => Some(Sample::Float(0.0)),
                    Outcome::Drop | Outcome::Incompatible => None,
                };
                let Some(kept) = kept else { continue };
                results.put(series, &one[partner], step, kept, operator, matching, grid)?;
            }
        }
        Ok(Evaluated::Vector(results.series))
    }
}

/// Adding exponential and custom buckets fails although both are histograms: no 0 for it.
fn mixed(left: &Sample, right: &Sample) -> bool {
    matches!((left, right), (Sample::Histogram(a), Sample::Histogram(b)) if a.is_custom() != b.is_custom())
}

/// Result series by their labels; one pair of series nearly always gives one.
#[derive(Default)]
struct Results {
    places: ByLabels<usize>,
    series: Vec<StepSeries>,
    last: Option<(Labels, Labels, usize)>,
}

impl Results {
    #[allow(clippy::too_many_arguments)]
    fn put(
        &mut self,
        many: &StepSeries,
        one: &StepSeries,
        step: usize,
        value: Sample,
        operator: Operator,
        matching: &Matching,
        grid: Grid,
    ) -> Result<(), QueryError> {
        let known = self.last.as_ref().filter(|(a, b, _)| *a == many.labels && *b == one.labels).map(|last| last.2);
        let place = match known {
            Some(place) => place,
            None => {
                let drop_name = !operator.is_comparison();
                let labels = matching.result(&many.labels, &one.labels, drop_name);
                let place = *self.places.entry(labels.clone()).or_insert(self.series.len());
                if place == self.series.len() {
                    let drop_name = many.drop_name || operator.drops_name();
                    self.series.push(StepSeries { labels, drop_name, values: vec![None; grid.len] });
                }
                self.last = Some((many.labels.clone(), one.labels.clone(), place));
                place
            }
        };
        let slot = &mut self.series[place].values[step];
        if slot.is_some() {
            return Err(Conflict::NotUnique.into());
        }
        *slot = Some(value);
        Ok(())
    }
}

fn of_scalars(operator: Operator, left: f64, right: f64) -> f64 {
    if operator.is_comparison() {
        return f64::from(u8::from(compare(operator.id, left, right)));
    }
    arithmetic(operator.id, left, right)
}

fn comparison(holds: bool) -> Outcome {
    if holds { Outcome::Keep } else { Outcome::Drop }
}

fn scaled(id: TokenId, histogram: &Arc<Histogram>, factor: f64) -> Outcome {
    let mut result = (**histogram).clone();
    match id {
        T_MUL => result.scale(factor),
        T_DIV => result.divide(factor),
        _ => return Outcome::Incompatible,
    }
    Outcome::Value(Sample::Histogram(Arc::new(result)))
}

fn by_signature(series: &[StepSeries], matching: &Matching) -> ByLabels<Vec<usize>> {
    let mut by = ByLabels::<Vec<usize>>::default();
    for (at, one) in series.iter().enumerate() {
        by.entry(matching.signature(&one.labels)).or_default().push(at);
    }
    by
}

/// The one series of a group that has a value at this step.
fn partner(
    series: &[StepSeries],
    group: &[usize],
    step: usize,
    side: &'static str,
    signature: &Labels,
) -> Result<Option<usize>, Conflict> {
    let mut present = group.iter().filter(|at| series[**at].values[step].is_some());
    match (present.next(), present.next()) {
        (Some(first), Some(second)) => {
            let labels = |at: &usize| series[*at].labels.clone();
            Err(Conflict::Duplicate { side, group: signature.clone(), series: [labels(first), labels(second)] })
        }
        (first, _) => Ok(first.copied()),
    }
}

/// For each signature, the steps at which any of its series has a value.
fn presence(series: &[StepSeries], matching: &Matching, grid: Grid) -> ByLabels<Vec<bool>> {
    let mut by = ByLabels::<Vec<bool>>::default();
    for one in series {
        let present = by.entry(matching.signature(&one.labels)).or_insert_with(|| vec![false; grid.len]);
        present.iter_mut().zip(&one.values).for_each(|(present, value)| *present |= value.is_some());
    }
    by
}

fn and_unless(
    mut left: Vec<StepSeries>,
    right: &[StepSeries],
    matching: &Matching,
    grid: Grid,
    wanted: bool,
) -> Vec<StepSeries> {
    let present = presence(right, matching, grid);
    for one in &mut left {
        let here = present.get(&matching.signature(&one.labels));
        for (step, value) in one.values.iter_mut().enumerate() {
            if here.is_some_and(|here| here[step]) != wanted {
                *value = None;
            }
        }
    }
    left.retain(|series| !series.is_empty());
    left
}

fn or(mut left: Vec<StepSeries>, right: Vec<StepSeries>, matching: &Matching, grid: Grid) -> Vec<StepSeries> {
    let present = presence(&left, matching, grid);
    for mut one in right {
        if let Some(here) = present.get(&matching.signature(&one.labels)) {
            one.values.iter_mut().zip(here).filter(|(_, here)| **here).for_each(|(value, _)| *value = None);
        }
        if !one.is_empty() {
            left.push(one);
        }
    }
    left
}
