//! Requests that wait for an answer at the range's end: a callee that hangs, told long before anything is counted as
//! unanswered.
//!
//! Agents tell how many wait on each link, and how long the oldest has waited. Some calls wait by design (a long poll), and
//! then those before them did so too: what is unusual is told by what the edge's own requests took.

use super::answer::{Level, Reason, Severity, TopologyQuery};
use super::connects;
use super::figures::{Figures, View};
use super::graph::{EdgeKey, EdgeParts, Graph, Seen, seen, select_at};
use super::increase::Moments;
use super::judge::MIN_REQUESTS;
use super::resolve::Resolver;
use super::text;
use crate::QueryError;
use limpid_model::names::{REQUESTS_PENDING, REQUESTS_PENDING_AGE, prometheus_name};
use limpid_model::{Labels, Side, Value};
use limpid_store::Store;
use rustc_hash::FxHashMap;

pub const KIND: &str = "pending";
/// Agents report every five seconds: what is older than this is no longer so.
const STILL_MS: i64 = 15_000;
/// Nobody waits longer than this for what usually is quick.
const FLOOR_SECONDS: f64 = 5.0;
/// Where nothing is known of what is usual.
const UNKNOWN_SECONDS: f64 = 10.0;
/// Times the usual p99.
const UNUSUAL_FACTOR: f64 = 5.0;
/// A few requests that wait may be of the rare slow kind, up to this many times the slowest.
const SLOWEST_FACTOR: f64 = 1.5;
/// More than this many at once, beside as many as often wait this long, are no rare kind.
const FEW: f64 = 3.0;
/// What agents call a connection whose protocol is not known (yet).
const UNDECIDED: [&str; 3] = [connects::PROTOCOL, "unix", "udp"];

/// What waits on an edge.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    pub requests: f64,
    pub age_seconds: f64,
}

impl Pending {
    /// On top of another link's.
    pub fn add(&mut self, other: Pending) {
        self.requests += other.requests;
        self.age_seconds = self.age_seconds.max(other.age_seconds);
    }

    fn is_any(self) -> bool {
        self.requests > 0.0 && self.age_seconds > 0.0
    }

    /// "12 requests wait for an answer, the oldest for 14 s".
    pub fn reason(self, noun: &str, usual_seconds: Option<f64>, moments: &Moments, link: String) -> Reason {
        let value = text::duration((self.age_seconds * 1000.0).round());
        let one = noun.strip_suffix('s').unwrap_or(noun);
        let text = match self.requests {
            ..1.5 => format!("1 {one} waits for an answer, for {value} so far"),
            many => format!("{} {noun} wait for an answer, the oldest for {value}", text::count(many)),
        };
        let usual = usual_seconds.map(|seconds| text::duration(seconds * 1000.0));
        let compared = usual.as_ref().map_or(String::new(), |usual| format!(", usually {usual}"));
        let since_ms = moments.end_ms.saturating_sub((self.age_seconds * 1000.0) as i64).max(0);
        Reason {
            kind: KIND,
            severity: Severity::Critical,
            text: format!("{text}{compared}"),
            value,
            usual,
            since_ns: since_ms as u64 * 1_000_000,
            link,
        }
    }
}

/// What both sides of an edge tell of the same requests.
#[derive(Clone, Copy, Debug, Default)]
pub struct BothSides {
    client: Pending,
    server: Pending,
}

impl BothSides {
    pub fn add(&mut self, side: Side, pending: Pending) {
        match side {
            Side::Client => self.client.add(pending),
            Side::Server => self.server.add(pending),
        }
    }

    /// The side that knows of more.
    fn larger(self) -> Pending {
        Pending {
            requests: self.client.requests.max(self.server.requests),
            age_seconds: self.client.age_seconds.max(self.server.age_seconds),
        }
    }
}

impl EdgeParts {
    /// What waits here for clearly longer than usual, and the usual p99 in seconds.
    pub fn hung(&self, moments: &Moments) -> Option<(Pending, Option<f64>)> {
        let pending = self.pending.larger();
        if !pending.is_any() {
            return None;
        }
        let (usual, seconds) = self.answered(moments);
        let Some(p99) = usual.quantile_ms(0.99).filter(|_| usual.latency.count >= MIN_REQUESTS) else {
            return (pending.age_seconds >= UNKNOWN_SECONDS).then_some((pending, None));
        };
        let p99 = p99 / 1000.0;
        let limit = (p99 * UNUSUAL_FACTOR).max(FLOOR_SECONDS);
        let slowest = usual.quantile_ms(1.0).unwrap_or_default() / 1000.0;
        // As many wait at a time as come in the time that one of them takes.
        let as_often = usual.slower_than(FLOOR_SECONDS * 1000.0) * slowest / seconds.max(1.0);
        let many = pending.requests > FEW + FEW * as_often;
        let unusual = pending.age_seconds > limit && (many || pending.age_seconds > slowest * SLOWEST_FACTOR);
        unusual.then_some((pending, Some(p99)))
    }

    /// The requests that say what is usual, as the caller saw them where it is watched: those before the range, or, where
    /// these are too few, the range's own. And the seconds in which they came.
    fn answered(&self, moments: &Moments) -> (Figures, f64) {
        let Some(view) = self.client.as_ref().or(self.server.as_ref()) else { return (Figures::default(), 1.0) };
        let usual = view.usual(moments);
        match usual.figures.latency.count >= MIN_REQUESTS {
            true => (usual.figures, usual.seconds),
            false => (View::total(view), moments.seconds()),
        }
    }
}

impl Graph {
    pub fn add_pending(
        &mut self,
        store: &dyn Store,
        moments: &Moments,
        query: &TopologyQuery,
        resolver: &Resolver,
    ) -> Result<(), QueryError> {
        for (seen, pending) in read(store, moments, query)? {
            let key = self.edge_of(&seen, pending, resolver);
            if let Some(edge) = key.and_then(|key| self.edges.get_mut(&key)) {
                edge.pending.add(seen.side, pending);
            }
        }
        Ok(())
    }

    /// The edge on which it waits; one that has seen nothing yet but waiting is made.
    fn edge_of(&mut self, seen: &Seen, pending: Pending, resolver: &Resolver) -> Option<EdgeKey> {
        if UNDECIDED.contains(&seen.protocol.as_str()) {
            return self.undecided(seen, resolver);
        }
        let known = self.key_of(seen, resolver).or_else(|| self.only_edge_of(seen));
        let is_new = known.is_none() && self.level == Level::Service && pending.age_seconds >= UNKNOWN_SECONDS;
        known.or_else(|| is_new.then(|| self.begin_edge(seen, resolver)).flatten())
    }

    /// Nothing was said from which the protocol could be told: it is the one that is spoken at that address.
    fn undecided(&self, seen: &Seen, resolver: &Resolver) -> Option<EdgeKey> {
        let key = self.key_between(seen, resolver)?;
        let mut parts = EdgeParts::default();
        parts.addresses.extend((!seen.peer_address.is_empty()).then(|| seen.peer_address.clone()));
        self.edge_beside(&key, &parts, &[connects::PROTOCOL])
    }

    /// Below the level of services a link cannot say which edge it is, unless there is one.
    fn only_edge_of(&self, seen: &Seen) -> Option<EdgeKey> {
        let services = match seen.side {
            Side::Client => (&seen.service, &seen.peer),
            Side::Server => (&seen.peer, &seen.service),
        };
        let is_between = |edge: &EdgeParts| edge.services.as_ref().is_some_and(|(from, to)| (from, to) == services);
        let mut found = self.edges.iter().filter(|(key, edge)| key.protocol == seen.protocol && is_between(edge));
        match (found.next(), found.next()) {
            (Some((key, _)), None) => Some(key.clone()),
            _ => None,
        }
    }
}

/// What waits at the range's end, by link.
fn read(store: &dyn Store, moments: &Moments, query: &TopologyQuery) -> Result<Vec<(Seen, Pending)>, QueryError> {
    let mut ages: FxHashMap<Labels, f64> = FxHashMap::default();
    for series in select_at(store, prometheus_name(REQUESTS_PENDING_AGE, "s", false), &[moments.end_ms], query)? {
        if let Some(age) = newest(&series.samples, moments).filter(|age| *age > 0.0) {
            ages.insert(link(&series.labels), age);
        }
    }
    if ages.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for series in select_at(store, prometheus_name(REQUESTS_PENDING, "{request}", false), &[moments.end_ms], query)? {
        let Some(requests) = newest(&series.samples, moments) else { continue };
        let Some(age_seconds) = ages.get(&link(&series.labels)).copied() else { continue };
        found.extend(seen(&series.labels).map(|seen| (seen, Pending { requests, age_seconds })));
    }
    Ok(found)
}

/// The labels of a link, whichever family they stand on.
fn link(labels: &Labels) -> Labels {
    Labels::from_pairs(labels.iter().filter(|(name, _)| *name != "__name__"))
}

fn newest(samples: &[limpid_model::Sample], moments: &Moments) -> Option<f64> {
    let last = samples.last().filter(|last| last.time_ms >= moments.end_ms - STILL_MS)?;
    if let Value::Float(value) = last.value { Some(value).filter(|value| value.is_finite()) } else { None }
}
