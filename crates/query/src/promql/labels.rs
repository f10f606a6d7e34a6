//! Label sets as the evaluator changes them, and the metadata queries of the Prometheus API (series, label names and
//! values) over them.

use super::source::{self, Adapter};
use crate::QueryError;
use limpid_model::series::MatchOp;
use limpid_model::{Labels, Matcher, SeriesSource};
use promql_parser::label as parsed;
use promql_parser::parser::{self, Expr};
use std::collections::BTreeSet;

pub const NAME: &str = "__name__";
pub const BUCKET_BOUND: &str = "le";

pub fn without(labels: &Labels, names: &[String]) -> Labels {
    Labels::from_pairs(labels.iter().filter(|(name, _)| !names.iter().any(|drop| drop == name)))
}

pub fn without_name(labels: &Labels) -> Labels {
    if labels.get(NAME).is_none() {
        return labels.clone();
    }
    Labels::from_pairs(labels.iter().filter(|(name, _)| *name != NAME))
}

pub fn keep(labels: &Labels, names: &[String]) -> Labels {
    Labels::from_pairs(labels.iter().filter(|(name, _)| names.iter().any(|keep| keep == name)))
}

/// An empty value removes the label.
pub fn set(labels: &Labels, name: &str, value: &str) -> Labels {
    let others = labels.iter().filter(|(have, _)| *have != name);
    Labels::from_pairs(others.chain((!value.is_empty()).then_some((name, value))))
}

/// `{a="x", b="y"}`, as Prometheus writes label sets in its messages.
pub fn display(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The matchers of a parsed selector, one list for each branch of `or`.
pub fn matchers(selector: &parser::VectorSelector) -> Vec<Vec<Matcher>> {
    let name = selector.name.as_ref().map(|name| Matcher::equal(NAME, name.as_str()));
    let branches = match selector.matchers.or_matchers.is_empty() {
        true => std::slice::from_ref(&selector.matchers.matchers),
        false => selector.matchers.or_matchers.as_slice(),
    };
    let branch = |list: &Vec<parsed::Matcher>| name.iter().cloned().chain(list.iter().map(matcher)).collect();
    branches.iter().map(branch).collect()
}

fn matcher(from: &parsed::Matcher) -> Matcher {
    let op = match &from.op {
        parsed::MatchOp::Equal => MatchOp::Equal,
        parsed::MatchOp::NotEqual => MatchOp::NotEqual,
        parsed::MatchOp::Re(_) => MatchOp::Regex,
        parsed::MatchOp::NotRe(_) => MatchOp::NotRegex,
    };
    Matcher { name: from.name.as_str().into(), op, value: from.value.as_str().into() }
}

/// Reads a `match[]` parameter such as `up{job="x"}`.
pub fn parse_selector(text: &str) -> Result<Vec<Vec<Matcher>>, QueryError> {
    match parser::parse(text) {
        Ok(Expr::VectorSelector(selector)) if selector.offset.is_none() && selector.at.is_none() => {
            Ok(matchers(&selector))
        }
        Ok(_) => {
            Err(QueryError::bad_data(format!("{text:?} is not a series selector; use one such as up{{job=\"x\"}}")))
        }
        Err(error) => Err(QueryError::bad_data(format!("cannot parse selector {text:?}: {error}"))),
    }
}

/// The label sets that any of the selectors matches; the computed `x_bucket`, `x_count` and `x_sum` among them when
/// they are asked for by name.
pub fn series(
    source: &dyn SeriesSource,
    selectors: &[String],
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<Labels>, QueryError> {
    let mut found = BTreeSet::new();
    for selector in selectors {
        for matchers in parse_selector(selector)? {
            found.extend(Adapter(source).series(&matchers, start_ms, end_ms)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// Names of the labels of the matching series; of all series when no selector is given.
pub fn label_names(
    source: &dyn SeriesSource,
    selectors: &[String],
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<String>, QueryError> {
    let found = select_or_all(source, selectors, start_ms, end_ms)?;
    let names: BTreeSet<&str> = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    Ok(names.into_iter().map(String::from).collect())
}

/// Values of one label. For `__name__`, every native histogram `x` also counts as `x_bucket`, `x_count` and `x_sum`.
pub fn label_values(
    source: &dyn SeriesSource,
    label: &str,
    selectors: &[String],
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<String>, QueryError> {
    let found = select_or_all(source, selectors, start_ms, end_ms)?;
    let mut values: BTreeSet<String> = found.iter().filter_map(|labels| labels.get(label)).map(String::from).collect();
    if label == NAME {
        let computed = source::computed_names(source);
        let computed = computed.into_iter().filter(|(native, _)| values.contains(native)).map(|(_, name)| name);
        let computed: Vec<String> = computed.collect();
        values.extend(computed);
    }
    Ok(values.into_iter().collect())
}

fn select_or_all(
    source: &dyn SeriesSource,
    selectors: &[String],
    start_ms: i64,
    end_ms: i64,
) -> Result<Vec<Labels>, QueryError> {
    if selectors.is_empty() {
        return Ok(source.series(&[], start_ms, end_ms)?);
    }
    series(source, selectors, start_ms, end_ms)
}
