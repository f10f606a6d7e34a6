//! Search: terms such as `service:checkout duration:>1s status:error` become one query on spans; the traces of the
//! spans found are summed up whole.

use super::parts::{Piece, TimePart, parts};
use super::plan::{self, Rest, Term};
use crate::QueryError;
use crate::span_rows::{SpanKind, SpanRow, SpanStatus, hex, rows, rows_of_traces};
use crate::topology::as_text;
use limpid_store::{Order, SpanQuery, Store};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::time::{Duration, Instant};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// A trace has several spans that match: so many are read for each trace wanted.
const SPANS_FOR_EACH: usize = 8;
/// So many spans round those found are read at once.
const MOST_AROUND: usize = 20_000;
/// What a summary is made of. Attributes, most of a span's bytes, are not.
pub(super) const SUMMED_UP: &[&str] = &[
    "start",
    "duration_ns",
    "trace_id",
    "span_id",
    "parent_span_id",
    "kind",
    "status",
    "name",
    "service",
    "peer",
    "code",
];
/// A trace begins before the span that was found in it, most often by less than this.
const MARGIN_NS: u64 = 1_000_000_000;
/// Whole traces are looked up for so long; the rest are summed up from the spans that were found.
const LOOK_UP_FOR: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Default)]
pub struct TraceQuery {
    pub start_ns: u64,
    pub end_ns: u64,
    /// `key:value` terms; a word alone is part of the span's name. Quotes keep spaces together.
    pub q: String,
    pub service: Option<String>,
    pub protocol: Option<String>,
    pub operation: Option<String>,
    /// `error` or `ok`.
    pub status: Option<String>,
    pub min_duration_ns: Option<u64>,
    pub max_duration_ns: Option<u64>,
    pub slowest_first: bool,
    /// 0 is the default, 100.
    pub limit: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct TraceSummary {
    pub trace_id: String,
    /// Name of the first span.
    pub root: String,
    pub service: String,
    #[serde(serialize_with = "as_text")]
    pub start_ns: u64,
    #[serde(serialize_with = "as_text")]
    pub duration_ns: u64,
    pub spans: u64,
    pub errors: u64,
    /// The first call's result: an HTTP status, a database's code.
    pub code: Option<String>,
    /// How many services took part.
    pub services: u64,
    /// Whose time it was, the largest part first.
    pub time: Vec<TimePart>,
}

pub fn search(store: &dyn Store, query: &TraceQuery) -> Result<Vec<TraceSummary>, QueryError> {
    let limit = if query.limit == 0 { DEFAULT_LIMIT } else { query.limit.min(MAX_LIMIT) };
    let (spans, rest) = plan(query, limit)?;
    let found = rows(&store.spans(&spans)?);
    let mut seen = FxHashSet::default();
    let fitting: Vec<&SpanRow> = found.iter().filter(|span| rest.fits_row(span)).collect();
    let firsts = fitting.iter().filter(|span| seen.insert(span.trace_id));
    let ids: Vec<[u8; 16]> = firsts.map(|span| span.trace_id).take(limit).collect();
    let pool = Pool::read(store, &spans, &rest, &found, &ids)?;
    let deadline = Instant::now() + LOOK_UP_FOR;
    let mut out = Vec::with_capacity(ids.len());
    for id in ids {
        let here = pool.whole(&id);
        let looked_up = if here.is_none() && Instant::now() < deadline { rows(&store.trace(id)?) } else { Vec::new() };
        let as_found = || found.iter().filter(|span| span.trace_id == id).cloned().collect::<Vec<_>>();
        out.extend(match here {
            Some(spans) => summary(spans),
            None if looked_up.is_empty() => summary(&as_found()),
            None => summary(&looked_up),
        });
    }
    Ok(out)
}

/// All spans round those that were found, read at once: a look-up for each trace would take longer by far.
struct Pool {
    of_trace: FxHashMap<[u8; 16], Vec<SpanRow>>,
    end_ns: u64,
}

impl Pool {
    /// Of the spans round those found, the ones of the traces that are wanted.
    fn read(
        store: &dyn Store,
        query: &SpanQuery,
        rest: &Rest,
        found: &[SpanRow],
        ids: &[[u8; 16]],
    ) -> Result<Pool, QueryError> {
        let wanted: FxHashSet<[u8; 16]> = ids.iter().copied().collect();
        let mut pool = Pool { of_trace: FxHashMap::default(), end_ns: query.end_ns };
        if !is_filtered(query, rest) {
            found.iter().filter(|span| wanted.contains(&span.trace_id)).for_each(|span| pool.add(span.clone()));
            return Ok(pool);
        }
        let first_ns = found.iter().map(|span| span.start_ns).min().unwrap_or(query.end_ns);
        let last_ns = found.iter().map(SpanRow::end_ns).max().unwrap_or(query.end_ns);
        let longest_ns = found.iter().map(|span| span.duration_ns).max().unwrap_or_default();
        pool.end_ns = last_ns.saturating_add(longest_ns);
        let around = SpanQuery {
            start_ns: first_ns.saturating_sub(longest_ns.max(MARGIN_NS)),
            end_ns: pool.end_ns,
            limit: MOST_AROUND,
            select: Some(SUMMED_UP),
            ..SpanQuery::default()
        };
        rows_of_traces(&store.spans(&around)?, &wanted).into_iter().for_each(|span| pool.add(span));
        Ok(pool)
    }

    fn add(&mut self, span: SpanRow) {
        self.of_trace.entry(span.trace_id).or_default().push(span);
    }

    /// The newest spans were read first: a trace whose first span is there, and with it every parent, is there whole.
    fn whole(&self, id: &[u8; 16]) -> Option<&[SpanRow]> {
        let spans = self.of_trace.get(id)?;
        let ids: FxHashSet<[u8; 8]> = spans.iter().map(|span| span.span_id).collect();
        let is_known = |span: &SpanRow| span.parent_span_id.is_none_or(|parent| ids.contains(&parent));
        spans.iter().all(|span| is_known(span) && span.end_ns() <= self.end_ns).then_some(spans.as_slice())
    }
}

fn is_filtered(query: &SpanQuery, rest: &Rest) -> bool {
    let by_duration = query.min_duration_ns.is_some() || query.max_duration_ns.is_some();
    let by_value = !query.columns.is_empty() || !query.attributes.is_empty() || query.errors;
    by_duration || by_value || !rest.is_empty() || matches!(query.order, Order::Slowest)
}

fn summary(spans: &[SpanRow]) -> Option<TraceSummary> {
    let ids: FxHashSet<[u8; 8]> = spans.iter().map(|span| span.span_id).collect();
    let is_root = |span: &&SpanRow| span.parent_span_id.is_none_or(|parent| !ids.contains(&parent));
    let root = spans.iter().filter(is_root).min_by_key(|span| span.start_ns).or_else(|| spans.first())?;
    let start_ns = spans.iter().map(|span| span.start_ns).min()?;
    let end_ns = spans.iter().map(SpanRow::end_ns).max()?;
    Some(TraceSummary {
        trace_id: hex(&root.trace_id),
        root: root.name.clone(),
        service: root.service().to_string(),
        start_ns,
        duration_ns: end_ns - start_ns,
        spans: spans.len() as u64,
        errors: spans.iter().filter(|span| span.status == SpanStatus::Error).count() as u64,
        code: code(root, spans),
        services: spans.iter().map(SpanRow::service).collect::<FxHashSet<&str>>().len() as u64,
        time: parts(&spans.iter().map(Piece::of).collect::<Vec<_>>()),
    })
}

/// Of the root, else of the other view of the same call.
fn code(root: &SpanRow, spans: &[SpanRow]) -> Option<String> {
    let is_other_view = |span: &&SpanRow| span.parent_span_id == Some(root.span_id) && span.kind == SpanKind::Server;
    let other = || spans.iter().find(is_other_view).and_then(|span| span.promoted("code"));
    root.promoted("code").or_else(other).map(String::from)
}

fn plan(query: &TraceQuery, limit: usize) -> Result<(SpanQuery, Rest), QueryError> {
    let mut spans = SpanQuery {
        start_ns: query.start_ns,
        end_ns: query.end_ns,
        min_duration_ns: query.min_duration_ns,
        max_duration_ns: query.max_duration_ns,
        order: if query.slowest_first { Order::Slowest } else { Order::Newest },
        ..SpanQuery::default()
    };
    let mut rest = Rest::default();
    for term in query.terms()? {
        plan::apply(&term, &mut spans, &mut rest)?;
    }
    // What is filtered afterwards needs more to choose from.
    let more = if rest.is_empty() { 1 } else { 4 };
    spans.limit = limit * SPANS_FOR_EACH * more;
    spans.select = rest.is_empty().then_some(SUMMED_UP);
    Ok((spans, rest))
}

impl TraceQuery {
    /// What is given by name and what stands in `q`, as terms.
    pub(super) fn terms(&self) -> Result<Vec<Term>, QueryError> {
        let given = [
            ("service", &self.service),
            ("protocol", &self.protocol),
            ("operation", &self.operation),
            ("status", &self.status),
        ];
        let named = |(key, value): (&str, &Option<String>)| {
            let value = value.clone().filter(|value| !value.is_empty())?;
            Some(Term { key: key.to_string(), value, negated: false })
        };
        Ok(given.into_iter().filter_map(named).chain(plan::parse(&self.q)?).collect())
    }
}
