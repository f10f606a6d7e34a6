//! One trace as a waterfall draws it: parents before children, children in order of time, the client's and the
//! server's view of one call next to each other.

use crate::QueryError;
use crate::span_rows::{SpanKind, SpanRow, SpanStatus, hex, rows};
use crate::topology::as_text;
use limpid_store::Store;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// A trace this large is cut, and says so.
const MAX_SPANS: usize = 20_000;

#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    pub trace_id: String,
    pub spans: Vec<Span>,
    /// How many spans are left out because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[derive(Clone, Debug, Serialize)]
pub struct Span {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    /// The other view of the same call: of a client's span the server's, and the other way round.
    pub paired_span_id: Option<String>,
    pub depth: u32,
    pub name: String,
    pub service: String,
    pub instance: Option<String>,
    pub host: Option<String>,
    pub kind: SpanKind,
    #[serde(serialize_with = "as_text")]
    pub start_ns: u64,
    #[serde(serialize_with = "as_text")]
    pub duration_ns: u64,
    pub status: SpanStatus,
    pub status_message: Option<String>,
    pub protocol: Option<String>,
    pub operation: Option<String>,
    pub resource: Option<String>,
    pub code: Option<String>,
    pub peer: Option<String>,
    pub attributes: BTreeMap<String, serde_json::Value>,
    pub resource_attributes: serde_json::Value,
}

/// Reads 32 hex digits.
pub fn parse_trace_id(text: &str) -> Result<[u8; 16], QueryError> {
    let wrong = || QueryError::bad_data(format!("{text:?} is no trace id; it has 32 hex digits"));
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    u128::from_str_radix(text, 16).map(u128::to_be_bytes).map_err(|_| wrong())
}

/// `None` when there is no such trace.
pub fn trace(store: &dyn Store, trace_id: [u8; 16]) -> Result<Option<Trace>, QueryError> {
    let mut spans = rows(&store.trace(trace_id)?);
    if spans.is_empty() {
        return Ok(None);
    }
    // A span that was sent again, or corrected later, is one span: the last wins.
    let mut places = FxHashMap::default();
    spans.iter().enumerate().for_each(|(at, span)| {
        places.insert(span.span_id, at);
    });
    let mut at = 0;
    spans.retain(|span| {
        at += 1;
        places.get(&span.span_id) == Some(&(at - 1))
    });
    spans.sort_by_key(|span| (span.start_ns, span.kind != SpanKind::Client));
    let omitted = spans.len().saturating_sub(MAX_SPANS) as u64;
    spans.truncate(MAX_SPANS);
    let order = depth_first(&spans);
    let pairs = pairs(&spans);
    let spans = order.into_iter().filter_map(|(at, depth)| Some(span(spans.get(at)?, depth, &pairs))).collect();
    Ok(Some(Trace { trace_id: hex(&trace_id), spans, omitted }))
}

/// Client and server span of one call: the server's parent is the client's span, and both speak of one protocol.
fn pairs(spans: &[SpanRow]) -> FxHashMap<[u8; 8], [u8; 8]> {
    let clients: FxHashMap<[u8; 8], &SpanRow> =
        spans.iter().filter(|span| span.kind == SpanKind::Client).map(|span| (span.span_id, span)).collect();
    let mut pairs = FxHashMap::default();
    for server in spans.iter().filter(|span| span.kind == SpanKind::Server) {
        let Some(client) = server.parent_span_id.and_then(|parent| clients.get(&parent)) else { continue };
        if client.promoted("protocol") == server.promoted("protocol") && !pairs.contains_key(&client.span_id) {
            pairs.insert(client.span_id, server.span_id);
            pairs.insert(server.span_id, client.span_id);
        }
    }
    pairs
}

/// (place, depth) of all spans; those without a known parent are roots. Parents that form a ring are roots too.
fn depth_first(spans: &[SpanRow]) -> Vec<(usize, u32)> {
    let ids: FxHashSet<[u8; 8]> = spans.iter().map(|span| span.span_id).collect();
    let mut children: FxHashMap<[u8; 8], Vec<usize>> = FxHashMap::default();
    let mut stack: Vec<(usize, u32)> = Vec::new();
    for (at, span) in spans.iter().enumerate() {
        match span.parent_span_id.filter(|parent| ids.contains(parent) && *parent != span.span_id) {
            Some(parent) => children.entry(parent).or_default().push(at),
            None => stack.push((at, 0)),
        }
    }
    stack.reverse();
    let mut order = Vec::with_capacity(spans.len());
    let mut visited = vec![false; spans.len()];
    let mut ring = 0..spans.len();
    loop {
        while let Some((at, depth)) = stack.pop() {
            if std::mem::replace(&mut visited[at], true) {
                continue;
            }
            order.push((at, depth));
            let below = children.get(&spans[at].span_id).into_iter().flatten().rev();
            stack.extend(below.map(|child| (*child, depth + 1)));
        }
        match ring.find(|at| !visited[*at]) {
            Some(at) => stack.push((at, 0)),
            None => return order,
        }
    }
}

fn span(row: &SpanRow, depth: u32, pairs: &FxHashMap<[u8; 8], [u8; 8]>) -> Span {
    let text = |name: &str| row.promoted(name).map(String::from);
    let json = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::from(text.as_str()));
    Span {
        span_id: hex(&row.span_id),
        parent_span_id: row.parent_span_id.map(|id| hex(&id)),
        paired_span_id: pairs.get(&row.span_id).map(|id| hex(id)),
        depth,
        name: row.name.clone(),
        service: row.service().to_string(),
        instance: text("instance"),
        host: text("host"),
        kind: row.kind,
        start_ns: row.start_ns,
        duration_ns: row.duration_ns,
        status: row.status,
        status_message: row.status_message.clone(),
        protocol: text("protocol"),
        operation: text("operation"),
        resource: text("resource"),
        code: text("code"),
        peer: text("peer"),
        attributes: row.attributes.iter().map(|(name, value)| (name.clone(), json(value))).collect(),
        resource_attributes: row.resource_attributes.as_ref().map_or(serde_json::Value::Null, json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u8, parent: Option<u8>, kind: SpanKind, start_ns: u64) -> SpanRow {
        SpanRow {
            trace_id: [1; 16],
            span_id: [id; 8],
            parent_span_id: parent.map(|id| [id; 8]),
            start_ns,
            duration_ns: 10,
            kind,
            status: SpanStatus::Unset,
            status_message: None,
            name: format!("span {id}"),
            promoted: [("service", "s".to_string()), ("protocol", "http".to_string())].into(),
            resource_attributes: None,
            attributes: Vec::new(),
        }
    }

    #[test]
    fn children_follow_their_parent_in_order_of_time() {
        let spans = [
            row(1, None, SpanKind::Client, 0),
            row(2, Some(1), SpanKind::Server, 1),
            row(3, Some(2), SpanKind::Client, 2),
            row(4, Some(2), SpanKind::Client, 5),
            row(5, Some(3), SpanKind::Server, 3),
        ];
        let order: Vec<(u8, u32)> =
            depth_first(&spans).into_iter().map(|(at, depth)| (spans[at].span_id[0], depth)).collect();
        assert_eq!(order, [(1, 0), (2, 1), (3, 2), (5, 3), (4, 2)]);
        let pairs = pairs(&spans);
        assert_eq!(pairs.get(&[3; 8]), Some(&[5; 8]));
        assert_eq!(pairs.get(&[2; 8]), Some(&[1; 8]));
        assert_eq!(pairs.get(&[4; 8]), None);
    }

    #[test]
    fn parents_in_a_ring_lose_no_span() {
        let spans = [
            row(1, Some(2), SpanKind::Internal, 0),
            row(2, Some(1), SpanKind::Internal, 1),
            row(3, Some(3), SpanKind::Internal, 2),
        ];
        assert_eq!(depth_first(&spans).len(), 3);
    }

    #[test]
    fn trace_ids_are_hex() {
        assert_eq!(parse_trace_id("000102030405060708090a0b0c0d0e0f").map(|id| id[15]), Ok(15));
        assert!(parse_trace_id("+00102030405060708090a0b0c0d0e0f").is_err());
        assert!(parse_trace_id("00").is_err());
    }
}
