//! Whose time a trace was: of each span what its children do not explain, summed up by service.

use crate::span_rows::{SpanKind, SpanRow};
use crate::topology::as_text;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// More than this is not told apart in a bar.
const MOST: usize = 6;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TimePart {
    /// The service; `None` is the time between the caller's view of a call and the server's: network or queue.
    pub service: Option<String>,
    #[serde(serialize_with = "as_text")]
    pub duration_ns: u64,
}

/// What is needed of a span to say whose time it was.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub kind: SpanKind,
    pub service: &'a str,
    pub peer: Option<&'a str>,
}

impl<'a> Piece<'a> {
    pub fn of(span: &'a SpanRow) -> Self {
        Piece {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            start_ns: span.start_ns,
            duration_ns: span.duration_ns,
            kind: span.kind,
            service: span.service(),
            peer: span.promoted("peer"),
        }
    }

    fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }
}

/// The largest first. What runs side by side counts twice, so the sum may exceed the trace's duration.
pub fn parts(spans: &[Piece<'_>]) -> Vec<TimePart> {
    let mut children: FxHashMap<[u8; 8], Vec<&Piece<'_>>> = FxHashMap::default();
    for span in spans {
        if let Some(parent) = span.parent_span_id.filter(|parent| *parent != span.span_id) {
            children.entry(parent).or_default().push(span);
        }
    }
    let mut sums: FxHashMap<Option<&str>, u64> = FxHashMap::default();
    for span in spans {
        let below = children.get(&span.span_id).map_or(&[][..], Vec::as_slice);
        *sums.entry(owner(span, below)).or_default() += own_ns(span, below);
    }
    let part =
        |(service, duration_ns): (Option<&str>, u64)| TimePart { service: service.map(String::from), duration_ns };
    let mut parts: Vec<TimePart> = sums.into_iter().filter(|(_, ns)| *ns > 0).map(part).collect();
    parts.sort_by(|a, b| b.duration_ns.cmp(&a.duration_ns).then_with(|| a.service.cmp(&b.service)));
    parts.truncate(MOST);
    parts
}

fn owner<'a>(span: &Piece<'a>, below: &[&Piece<'_>]) -> Option<&'a str> {
    if span.kind != SpanKind::Client {
        return Some(span.service);
    }
    match below.iter().any(|child| child.kind == SpanKind::Server) {
        true => None,
        false => Some(span.peer.unwrap_or(span.service)),
    }
}

fn own_ns(span: &Piece<'_>, below: &[&Piece<'_>]) -> u64 {
    let clip = |at: u64| at.clamp(span.start_ns, span.end_ns());
    let mut busy: Vec<(u64, u64)> = below.iter().map(|child| (clip(child.start_ns), clip(child.end_ns()))).collect();
    busy.sort_unstable();
    let mut covered = 0;
    let mut until = span.start_ns;
    for (start, end) in busy {
        covered += end.saturating_sub(start.max(until));
        until = until.max(end);
    }
    span.duration_ns.saturating_sub(covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(
        id: u8,
        parent: Option<u8>,
        kind: SpanKind,
        service: &'static str,
        start_ns: u64,
        end_ns: u64,
    ) -> Piece<'static> {
        let parent_span_id = parent.map(|id| [id; 8]);
        Piece { span_id: [id; 8], parent_span_id, start_ns, duration_ns: end_ns - start_ns, kind, service, peer: None }
    }

    fn named(parts: &[TimePart]) -> Vec<(&str, u64)> {
        parts.iter().map(|part| (part.service.as_deref().unwrap_or("between"), part.duration_ns)).collect()
    }

    #[test]
    fn each_service_has_what_its_callees_do_not_explain() {
        let spans = [
            row(1, None, SpanKind::Client, "web", 0, 100),
            row(2, Some(1), SpanKind::Server, "shop", 10, 90),
            // Two calls that overlap cover 50 of the 80 that the server took.
            row(3, Some(2), SpanKind::Client, "shop", 20, 50),
            row(4, Some(2), SpanKind::Client, "shop", 40, 70),
            row(5, Some(3), SpanKind::Server, "db", 20, 50),
        ];
        let parts = parts(&spans);
        assert_eq!(named(&parts), [("shop", 30 + 30), ("db", 30), ("between", 20)]);
    }

    #[test]
    fn children_outside_of_their_parent_take_nothing_away() {
        let spans =
            [row(1, None, SpanKind::Server, "web", 50, 100), row(2, Some(1), SpanKind::Internal, "web", 100, 400)];
        assert_eq!(named(&parts(&spans)), [("web", 350)]);
        assert!(parts(&[]).is_empty());
    }
}
