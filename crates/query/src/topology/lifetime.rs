//! What is new in a range, and what is gone at its end.
//!
//! New is only what could have been seen before: while nobody watched a host, nothing of it is known, and what the
//! agent finds in its first minutes was there already. Gone is only what could still be seen: with its agent silent, a
//! node has no data, and that is something else.

use super::attributes::Known;
use super::graph::{EdgeKey, EdgeParts, Graph, NodeParts};
use super::increase::Moments;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is seen in this time after watching began may have been there before.
const SETTLED_MS: i64 = 120_000;
/// Agents tell once a minute what lives; what was not told of twice is gone.
const GONE_MS: i64 = 150_000;
/// A host whose agent reported this shortly before the end is watched.
const WATCHED_MS: i64 = 60_000;
const MS: u64 = 1_000_000;

pub struct Lifetimes<'a> {
    graph: &'a Graph,
    known: &'a Known<'a>,
    moments: &'a Moments,
    /// The range's end, or now if that is earlier.
    end_ms: i64,
}

impl<'a> Lifetimes<'a> {
    pub fn new(graph: &'a Graph, known: &'a Known<'a>, moments: &'a Moments) -> Self {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(i64::MAX, |now| now.as_millis() as i64);
        Lifetimes { graph, known, moments, end_ms: moments.end_ms.min(now_ms) }
    }

    pub fn node_first_ns(&self, id: &str, parts: &NodeParts) -> Option<u64> {
        let began_before = self.known.life_ns(id).is_some_and(|(start, _)| start <= self.moments.start_ms as u64 * MS);
        if began_before {
            return None;
        }
        self.new_since(parts.first_ms, [parts])
    }

    pub fn edge_first_ns(&self, key: &EdgeKey, parts: &EdgeParts) -> Option<u64> {
        let ends = [&key.source, &key.target].into_iter().filter_map(|id| self.graph.nodes.get(id));
        self.new_since(parts.first_ms, ends)
    }

    /// `first_ms`, if it lies in the range and after the time in which everything is seen for the first time.
    fn new_since<'n>(&self, first_ms: Option<i64>, nodes: impl IntoIterator<Item = &'n NodeParts>) -> Option<u64> {
        let first_ms = first_ms.filter(|first_ms| *first_ms > self.moments.start_ms)?;
        let hosts = nodes.into_iter().flat_map(|node| &node.hosts);
        let watched_ms = hosts.filter_map(|host| self.graph.hosts_ms.get(host)).map(|(first_ms, _)| *first_ms).max()?;
        let settled_ms = if watched_ms <= self.moments.start_ms { i64::MIN } else { watched_ms + SETTLED_MS };
        (first_ms > settled_ms).then_some(first_ms as u64 * MS)
    }

    /// When a service or a process that is no longer there was there last.
    pub fn node_last_ns(&self, id: &str, parts: &NodeParts) -> Option<u64> {
        if !matches!(parts.kind, "service" | "process") || !self.is_watched(parts) {
            return None;
        }
        let told_ms = self.known.life_ns(id).map(|(_, end)| (end / MS) as i64);
        let last_ms = told_ms.unwrap_or(parts.last_ms);
        (last_ms > 0 && last_ms < self.end_ms - GONE_MS).then_some(last_ms as u64 * MS)
    }

    fn is_watched(&self, parts: &NodeParts) -> bool {
        let seen = parts.hosts.iter().filter_map(|host| self.graph.hosts_ms.get(host));
        seen.map(|(_, last_ms)| *last_ms).max().is_some_and(|last_ms| last_ms >= self.end_ms - WATCHED_MS)
    }
}
