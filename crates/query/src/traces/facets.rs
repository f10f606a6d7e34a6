//! How the traces found spread over what is known of them, and what sets a selection apart from the rest.

use super::census::{Census, Counted, Outcome};
use super::counts::{Count, Counts};
use super::heat::{Heat, heat};
use super::plan::{self, Rest};
use super::search::TraceQuery;
use super::slices::SLICES;
use super::whole::{FAILED_AT, MOST_TIME, PASSES, add_whole};
use crate::QueryError;
use limpid_store::{SpanQuery, Store};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

const MOST_FACETS: usize = 16;
const MOST_VALUES: usize = 8;
/// Of a facet that was asked for by name.
const MOST_VALUES_ASKED: usize = 50;
const MOST_DIFFERENCES: usize = 4;
/// Smaller differences are chance.
const LEAST_DIFFERENCE: f64 = 0.1;
/// With more values than this for a third of the traces, a property names each of them and groups nothing.
const FEW_VALUES: usize = 20;
const ID_SHARE: usize = 3;

/// In this order they come before the attributes.
const FIRST: &[&str] =
    &["code", MOST_TIME, FAILED_AT, "name", "service", "instance", "host", "peer", "protocol", PASSES];

/// A rectangle of the heat map: Unix nanoseconds, and durations.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle {
    pub start_ns: u64,
    pub end_ns: u64,
    pub min_duration_ns: u64,
    pub max_duration_ns: u64,
}

impl Rectangle {
    fn holds(&self, trace: &Counted) -> bool {
        (self.start_ns..=self.end_ns).contains(&trace.start_ns)
            && (self.min_duration_ns..=self.max_duration_ns).contains(&trace.duration_ns)
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Exploration {
    /// Traces that the search means, whatever came out.
    pub traces: u64,
    /// Of them those with the outcome asked for, in the rectangle.
    pub selected: u64,
    pub failed: u64,
    /// How many requests the traces stand for: not all are kept.
    pub requests: u64,
    /// Whether an outcome or a rectangle selects at all.
    pub selects: bool,
    pub spans_read: u64,
    /// False when there are more spans than are read: then an equal part of each slice of the time was.
    pub complete: bool,
    /// The share of the time that was read.
    pub share: f64,
    pub facets: Vec<Facet>,
    pub apart: Vec<Difference>,
    pub heat: Heat,
}

#[derive(Clone, Debug, Serialize)]
pub struct Facet {
    /// A column, an attribute, or one of `limpid.most_time`, `limpid.failed_at`, `limpid.passes`.
    pub key: String,
    /// Selected traces in which it is known.
    pub traces: u64,
    pub distinct: u64,
    pub values: Vec<FacetValue>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FacetValue {
    pub value: String,
    pub traces: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub key: String,
    pub value: String,
    /// Shares among the selected traces and among the others.
    pub selected: f64,
    pub others: f64,
}

/// Facets, differences and the heat map of a search. `by` asks for facets, separated by commas, with more of
/// their values.
pub fn explore(
    store: &dyn Store,
    query: &TraceQuery,
    rectangle: Option<Rectangle>,
    by: Option<&str>,
) -> Result<Exploration, QueryError> {
    let (outcome_terms, base_terms): (Vec<_>, Vec<_>) = query.terms()?.into_iter().partition(plan::Term::is_outcome);
    let outcome = Outcome::of(&outcome_terms)?;
    let mut base = SpanQuery { start_ns: query.start_ns, end_ns: query.end_ns, ..SpanQuery::default() };
    let mut rest = Rest::default();
    for term in &base_terms {
        plan::apply(term, &mut base, &mut rest)?;
    }
    let mut census = Census::default();
    census.take(store, &base, &rest, &outcome)?;
    add_whole(&mut census);
    let chosen: Vec<bool> =
        census.traces.iter().map(|trace| trace.fits && rectangle.is_none_or(|part| part.holds(trace))).collect();
    let selects = outcome.is_asked || rectangle.is_some();
    let counts = Counts::of(&census, &chosen);
    let with = |wanted: fn(&Counted) -> bool| {
        let both = census.traces.iter().zip(&chosen);
        both.filter(|(trace, chosen)| **chosen && wanted(trace)).count() as u64
    };
    Ok(Exploration {
        traces: census.traces.len() as u64,
        selected: with(|_| true),
        failed: with(|trace| trace.failed),
        requests: census.traces.iter().map(|trace| trace.weight).sum::<f64>() as u64,
        selects,
        spans_read: census.spans_read,
        complete: census.is_complete(),
        share: census.read.iter().sum::<f64>() / SLICES as f64,
        facets: facets(&census, &counts, by),
        apart: if selects { differences(&census, &counts) } else { Vec::new() },
        heat: heat(&census, &base),
    })
}

/// Those that group: the first ones in their order, then attributes that most traces know.
fn facets(census: &Census, counts: &Counts, by: Option<&str>) -> Vec<Facet> {
    let is_asked = |key: &str| by.is_some_and(|by| by.split(',').any(|asked| asked == key));
    let rank = |key: &str| match is_asked(key) {
        true => 0,
        false => FIRST.iter().position(|first| *first == key).map_or(FIRST.len() + 1, |at| at + 1),
    };
    let mut facets: Vec<Facet> = Vec::new();
    for (key, values) in &counts.of_key {
        let text = census.names.text(*key);
        let known = counts.known.get(key).copied().unwrap_or_default();
        let distinct = values.values().filter(|count| count.selected > 0).count();
        let asked = is_asked(text);
        let groups = distinct > 0 && (asked || !is_id(values.len(), known.all) && (values.len() > 1 || text == "code"));
        if groups {
            let most = if asked { MOST_VALUES_ASKED } else { MOST_VALUES };
            let values = top(census, values, most);
            facets.push(Facet { key: text.to_string(), traces: known.selected, distinct: distinct as u64, values });
        }
    }
    facets
        .sort_by(|a, b| rank(&a.key).cmp(&rank(&b.key)).then(b.traces.cmp(&a.traces)).then_with(|| a.key.cmp(&b.key)));
    facets.truncate(MOST_FACETS);
    facets
}

fn is_id(distinct: usize, traces: u64) -> bool {
    distinct > FEW_VALUES && distinct * ID_SHARE > traces as usize
}

fn top(census: &Census, values: &FxHashMap<u32, Count>, most: usize) -> Vec<FacetValue> {
    let seen = values.iter().filter(|(_, count)| count.selected > 0);
    let value = |(value, count): (&u32, &Count)| FacetValue {
        value: census.names.text(*value).to_string(),
        traces: count.selected,
        failed: count.failed,
    };
    let mut found: Vec<FacetValue> = seen.map(value).collect();
    found.sort_by(|a, b| b.traces.cmp(&a.traces).then_with(|| a.value.cmp(&b.value)));
    found.truncate(most);
    found
}

/// The largest first; of several that hold for the very same traces, one.
fn differences(census: &Census, counts: &Counts) -> Vec<Difference> {
    let others = counts.all - counts.selected;
    if counts.selected == 0 || others == 0 {
        return Vec::new();
    }
    let mut found: Vec<(usize, u64, Difference)> = Vec::new();
    for (key, values) in &counts.of_key {
        let text = census.names.text(*key);
        if is_id(values.len(), counts.known.get(key).map_or(0, |known| known.all)) {
            continue;
        }
        let rank = FIRST.iter().position(|first| *first == text).unwrap_or(FIRST.len());
        for (value, count) in values {
            let elsewhere = count.all - count.selected;
            let difference = Difference {
                key: text.to_string(),
                value: census.names.text(*value).to_string(),
                selected: count.selected as f64 / counts.selected as f64,
                others: elsewhere as f64 / others as f64,
            };
            if difference.selected - difference.others > LEAST_DIFFERENCE {
                found.push((rank, count.mark, difference));
            }
        }
    }
    let gap = |difference: &Difference| difference.selected - difference.others;
    found.sort_by(|a, b| {
        gap(&b.2)
            .total_cmp(&gap(&a.2))
            .then(a.0.cmp(&b.0))
            .then_with(|| (&a.2.key, &a.2.value).cmp(&(&b.2.key, &b.2.value)))
    });
    let mut told = FxHashSet::default();
    let once = found.into_iter().filter(|(_, mark, _)| told.insert(*mark));
    once.map(|(.., difference)| difference).take(MOST_DIFFERENCES).collect()
}
