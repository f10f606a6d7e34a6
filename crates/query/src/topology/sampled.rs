//! The map of what a filter means: no metric knows a span's attributes, so it is made from the spans that were kept.
//!
//! Each span counts for as many requests as it stands for. That is an estimate and the answer says so; too few spans
//! are not judged at all.

use super::answer::TopologyQuery;
use super::graph::Seen;
use super::increase::Moments;
use super::span_columns::{COLUMNS, SpanColumns, column_of};
use super::tally::Tally;
use crate::QueryError;
use crate::traces::plan::{self, Rest};
use limpid_store::{SpanQuery, Store};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// What the figures of a filtered map are made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sampled {
    /// The filter, as it was asked for.
    pub filter: String,
    /// How many spans matched.
    pub spans: u64,
    /// Of these, how many do not say how likely they were kept: each counts for one request.
    pub spans_without_probability: u64,
    /// How likely the least likely of the others was kept: one of them stands for one over this.
    pub lowest_probability: Option<f64>,
}

/// What matches.
pub struct Matching {
    pub seen: Vec<Seen>,
    /// Spans that are no calls, of services that are to be shown nevertheless.
    pub alone: Vec<Seen>,
    pub sampled: Sampled,
}

pub fn read(store: &dyn Store, moments: &Moments, query: &TopologyQuery) -> Result<Matching, QueryError> {
    let (spans, rest) = plan(moments, query)?;
    let more: Vec<String> = rest.names().into_iter().map(column_of).collect();
    let mut columns = COLUMNS.to_vec();
    columns.extend(more.iter().map(String::as_str).filter(|name| !COLUMNS.contains(name)));
    let (mut tally, mut failed) = (Tally::default(), None);
    store.each_span(&spans, &columns, &mut |batch| {
        if query.stopped.load(Ordering::Relaxed) {
            failed = Some(QueryError::timeout("nobody waits for the answer any more"));
        } else {
            failed = tally.add(&mut SpanColumns::new(batch, &rest), moments).err();
        }
        failed.is_none()
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let (mut seen, mut alone) = tally.seen(moments);
    seen.retain(|seen| is_wanted(seen, query));
    alone.retain(|seen| is_wanted(seen, query));
    let Tally { spans, spans_without_probability, lowest_probability, .. } = tally;
    let sampled = Sampled { filter: query.filter.clone(), spans, spans_without_probability, lowest_probability };
    Ok(Matching { seen, alone, sampled })
}

fn is_wanted(seen: &Seen, query: &TopologyQuery) -> bool {
    let wanted = |list: &[String], value: &String| list.is_empty() || list.contains(value);
    wanted(&query.protocols, &seen.protocol) && wanted(&query.hosts, &seen.host)
}

fn plan(moments: &Moments, query: &TopologyQuery) -> Result<(SpanQuery, Rest), QueryError> {
    let ns = |ms: i64| ms.max(0) as u64 * 1_000_000;
    let mut spans = SpanQuery { start_ns: ns(moments.start_ms), end_ns: ns(moments.end_ms), ..SpanQuery::default() };
    let mut rest = Rest::default();
    for term in plan::parse(&query.filter)? {
        plan::apply(&term, &mut spans, &mut rest)?;
    }
    for (column, wanted) in [("protocol", &query.protocols), ("host", &query.hosts)] {
        if let [only] = wanted.as_slice() {
            spans.columns.push((column.to_owned(), only.clone()));
        }
    }
    Ok((spans, rest))
}
