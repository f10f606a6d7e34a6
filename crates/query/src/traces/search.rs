//! Search: terms such as `service:checkout duration:>1s status:error` become one query on spans; the traces of the
//! spans found are summed up whole.

use super::parts::{TimePart, parts};
use crate::QueryError;
use crate::span_rows::{SpanKind, SpanRow, SpanStatus, hex, rows};
use crate::topology::as_text;
use limpid_store::{Order, SpanQuery, Store};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::time::{Duration, Instant};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
const MAX_TERMS: usize = 32;
/// A trace has several spans that match: so many are read for each trace wanted.
const SPANS_FOR_EACH: usize = 8;
/// So many spans round those found are read at once.
const MOST_AROUND: usize = 20_000;
/// A trace begins before the span that was found in it, most often by less than this.
const MARGIN_NS: u64 = 1_000_000_000;
/// Whole traces are looked up for so long; the rest are summed up from the spans that were found.
const LOOK_UP_FOR: Duration = Duration::from_secs(2);

/// Terms that are columns of a span; the first name is the column.
const COLUMNS: &[(&str, &str)] = &[
    ("service", "service"),
    ("operation", "operation"),
    ("resource", "resource"),
    ("route", "resource"),
    ("protocol", "protocol"),
    ("proto", "protocol"),
    ("code", "code"),
    ("peer", "peer"),
    ("host", "host"),
    ("instance", "instance"),
    ("name", "name"),
];

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

/// What the store cannot filter by.
#[derive(Default)]
struct Rest {
    words: Vec<String>,
    only_ok: bool,
}

impl Rest {
    fn fits(&self, span: &SpanRow) -> bool {
        let has = |word: &String| {
            let resource = span.promoted("resource").unwrap_or_default();
            [span.name.as_str(), span.service(), resource]
                .iter()
                .any(|text| text.to_lowercase().contains(word.as_str()))
        };
        (!self.only_ok || span.status != SpanStatus::Error) && self.words.iter().all(has)
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty() && !self.only_ok
    }
}

pub fn search(store: &dyn Store, query: &TraceQuery) -> Result<Vec<TraceSummary>, QueryError> {
    let limit = if query.limit == 0 { DEFAULT_LIMIT } else { query.limit.min(MAX_LIMIT) };
    let (spans, rest) = plan(query, limit)?;
    let found = rows(&store.spans(&spans)?);
    let mut seen = FxHashSet::default();
    let fitting: Vec<&SpanRow> = found.iter().filter(|span| rest.fits(span)).collect();
    let firsts = fitting.iter().filter(|span| seen.insert(span.trace_id));
    let ids: Vec<[u8; 16]> = firsts.map(|span| span.trace_id).take(limit).collect();
    let pool = Pool::read(store, &spans, &rest, &found)?;
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
    fn read(store: &dyn Store, query: &SpanQuery, rest: &Rest, found: &[SpanRow]) -> Result<Pool, QueryError> {
        let mut pool = Pool { of_trace: FxHashMap::default(), end_ns: query.end_ns };
        if !is_filtered(query, rest) {
            found.iter().for_each(|span| pool.add(span.clone()));
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
            ..SpanQuery::default()
        };
        rows(&store.spans(&around)?).into_iter().for_each(|span| pool.add(span));
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
        time: parts(spans),
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
    let given = [
        ("service", &query.service),
        ("protocol", &query.protocol),
        ("operation", &query.operation),
        ("status", &query.status),
    ];
    for (key, value) in given {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            apply(key, value, &mut spans, &mut rest)?;
        }
    }
    let terms = terms(&query.q)?;
    for term in &terms {
        match term.split_once(':').filter(|(key, _)| is_key(key)) {
            Some((key, value)) => apply(key, value, &mut spans, &mut rest)?,
            None => rest.words.push(term.to_lowercase()),
        }
    }
    // What is filtered afterwards needs more to choose from.
    let more = if rest.is_empty() { 1 } else { 4 };
    spans.limit = limit * SPANS_FOR_EACH * more;
    Ok((spans, rest))
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn apply(key: &str, value: &str, spans: &mut SpanQuery, rest: &mut Rest) -> Result<(), QueryError> {
    if value.is_empty() {
        return Err(QueryError::bad_data(format!("`{key}:` has no value")));
    }
    if let Some((_, column)) = COLUMNS.iter().find(|(name, _)| *name == key) {
        spans.columns.push((column.to_string(), value.to_string()));
        return Ok(());
    }
    match key {
        "duration" => limit_duration(value, spans),
        "status" => match value {
            "error" => {
                spans.errors = true;
                Ok(())
            }
            "ok" | "unset" => {
                rest.only_ok = true;
                Ok(())
            }
            _ => Err(QueryError::bad_data(format!("`status:{value}` is not known; use status:error or status:ok"))),
        },
        _ => {
            spans.attributes.push((key.to_string(), value.to_string()));
            Ok(())
        }
    }
}

/// `>1s`, `>=250ms`, `<2m`, or `1s` for "at least".
fn limit_duration(text: &str, spans: &mut SpanQuery) -> Result<(), QueryError> {
    let amount = text.trim_start_matches(['>', '<', '=']);
    let sign = &text[..text.len() - amount.len()];
    let ns = duration_ns(amount).ok_or_else(|| {
        QueryError::bad_data(format!("`duration:{text}` is no duration; use one such as duration:>250ms"))
    })?;
    match sign {
        "" | ">" | ">=" => spans.min_duration_ns = Some(spans.min_duration_ns.map_or(ns, |have| have.max(ns))),
        "<" | "<=" => spans.max_duration_ns = Some(spans.max_duration_ns.map_or(ns, |have| have.min(ns))),
        _ => return Err(QueryError::bad_data(format!("`{sign}` is no comparison; use > or <"))),
    }
    Ok(())
}

fn duration_ns(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ns" => 1.0,
        "us" | "µs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" | "min" => 60e9,
        "h" => 3600e9,
        _ => return None,
    };
    let ns = number.parse::<f64>().ok()? * factor;
    (ns.is_finite() && ns >= 0.0).then_some(ns as u64)
}

/// Splits at spaces outside of double quotes; the quotes themselves go.
fn terms(text: &str) -> Result<Vec<String>, QueryError> {
    let mut terms = Vec::new();
    let mut term = String::new();
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => terms.extend((!term.is_empty()).then(|| std::mem::take(&mut term))),
            c => term.push(c),
        }
    }
    if quoted {
        return Err(QueryError::bad_data("a quote is not closed"));
    }
    terms.extend((!term.is_empty()).then_some(term));
    if terms.len() > MAX_TERMS {
        return Err(QueryError::bad_data(format!("more than {MAX_TERMS} terms")));
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(q: &str) -> Result<SpanQuery, QueryError> {
        plan(&TraceQuery { q: q.into(), ..TraceQuery::default() }, 10).map(|(spans, _)| spans)
    }

    #[test]
    fn terms_become_filters() {
        let spans =
            planned(r#"service:checkout duration:>1s status:error route:"/a b" http.route:/x"#).expect("a query");
        assert_eq!(spans.columns, [("service".into(), "checkout".into()), ("resource".into(), "/a b".into())]);
        assert_eq!(spans.attributes, [("http.route".into(), "/x".into())]);
        assert_eq!((spans.min_duration_ns, spans.errors), (Some(1_000_000_000), true));
    }

    #[test]
    fn what_is_no_term_is_a_clear_error() {
        for (q, part) in [
            ("duration:>soon", "no duration"),
            ("status:bad", "not known"),
            ("\"a", "not closed"),
            ("service:", "no value"),
        ] {
            let error = planned(q).expect_err(q);
            assert!(error.text.contains(part), "{q}: {error}");
        }
    }

    #[test]
    fn durations_have_units() {
        for (text, ns) in [
            ("1.5s", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("3", None),
            ("µs", None),
            ("2m", Some(120_000_000_000)),
        ] {
            assert_eq!(duration_ns(text), ns, "{text}");
        }
    }
}
