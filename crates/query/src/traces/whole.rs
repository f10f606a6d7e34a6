//! What only a whole trace tells: where most of its time was, where it failed, whom it passes through.

use super::census::{Bare, Census};
use super::parts::{Piece, parts};
use crate::span_rows::SpanKind;
use rustc_hash::{FxHashMap, FxHashSet};

/// What is told of a whole trace, not of one call.
pub const MOST_TIME: &str = "limpid.most_time";
pub const FAILED_AT: &str = "limpid.failed_at";
pub const PASSES: &str = "limpid.passes";
const BETWEEN: &str = "network or queue";
/// More of one trace are not looked at.
const MAX_SPANS_OF_TRACE: usize = 20_000;

/// Adds what only the whole trace tells: where most of its time was, where it failed, whom it passes through.
pub fn add_whole(census: &mut Census) {
    let mut of_trace: FxHashMap<u32, Vec<Bare>> = FxHashMap::default();
    for span in std::mem::take(&mut census.bare) {
        let spans = of_trace.entry(span.trace).or_default();
        if spans.len() < MAX_SPANS_OF_TRACE {
            spans.push(span);
        }
    }
    for (trace, spans) in of_trace {
        let ids: FxHashSet<[u8; 8]> = spans.iter().map(|span| span.span_id).collect();
        let is_whole = spans.iter().all(|span| span.parent_span_id.is_none_or(|parent| ids.contains(&parent)));
        if !is_whole {
            continue;
        }
        let mut found: Vec<(&str, String)> = Vec::new();
        let pieces: Vec<Piece> = spans.iter().map(|span| span.piece(&census.names)).collect();
        if let Some(most) = parts(&pieces).into_iter().next() {
            found.push((MOST_TIME, most.service.unwrap_or_else(|| BETWEEN.to_string())));
        }
        found.extend(failed_at(&spans, census).map(|place| (FAILED_AT, place)));
        let services: FxHashSet<&str> = pieces.iter().map(|piece| piece.service).collect();
        found.extend(services.into_iter().map(|service| (PASSES, service.to_string())));
        let numbers: Vec<(u32, u32)> = found
            .iter()
            .filter_map(|(key, value)| Some((census.names.number(key)?, census.names.number(value)?)))
            .collect();
        if let Some(trace) = census.traces.get_mut(trace as usize) {
            trace.values.extend(numbers);
        }
    }
}

/// The failed call below which nothing else failed, the earliest of them.
fn failed_at(spans: &[Bare], census: &Census) -> Option<String> {
    let above: FxHashSet<[u8; 8]> =
        spans.iter().filter(|span| span.failed).filter_map(|span| span.parent_span_id).collect();
    let deepest = spans.iter().filter(|span| span.failed && !above.contains(&span.span_id));
    let span = deepest.min_by_key(|span| span.start_ns)?;
    let owner = if span.kind == SpanKind::Client { span.peer.unwrap_or(span.service) } else { span.service };
    Some(format!("{} {}", census.names.text(owner), census.names.text(span.name)))
}
