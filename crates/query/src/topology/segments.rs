//! TCP segments that had to be sent again, as both ends of an edge tell of theirs.
//!
//! Read at a few moments of the range only: the share of a sixth of it says well enough since when the network is bad.

use super::answer::{Reason, Severity, TopologyQuery};
use super::graph::{EdgeKey, Graph, seen, select_at};
use super::increase::{BUCKETS, Moments};
use super::resolve::Resolver;
use super::text;
use crate::QueryError;
use limpid_model::names::{TCP_RETRANSMITS, TCP_SEGMENTS, prometheus_name};
use limpid_model::{Series, Value};
use limpid_store::Store;

const STRETCHES: usize = 6;
const BUCKETS_EACH: usize = BUCKETS / STRETCHES;
/// From this share on a connection is slower for it.
const WARNING_SHARE: f64 = 0.01;
/// Fewer segments than this tell nothing about a share.
const MIN_SEGMENTS: f64 = 100.0;
/// One lost segment is no finding, whatever share it is of a few.
const MIN_RETRANSMITS: f64 = 3.0;

type Grown = [f64; STRETCHES];

#[derive(Clone, Debug, Default)]
pub struct Segments {
    sent: Grown,
    again: Grown,
}

impl Segments {
    pub fn retransmits(&self) -> f64 {
        self.again.iter().sum()
    }

    pub fn reason(&self, moments: &Moments, link: String) -> Option<Reason> {
        let (sent, again) = (self.sent.iter().sum::<f64>(), self.retransmits());
        if sent < MIN_SEGMENTS || again < MIN_RETRANSMITS || again / sent < WARNING_SHARE {
            return None;
        }
        let bad = |(sent, again): (&f64, &f64)| *again > 0.0 && again / sent.max(1.0) >= WARNING_SHARE;
        let since = self.sent.iter().zip(&self.again).position(bad).unwrap_or_default();
        let value = text::share((again / sent).min(1.0));
        Some(Reason {
            kind: "retransmits",
            severity: Severity::Warning,
            text: format!("{value} of the TCP segments had to be sent again"),
            value,
            usual: None,
            since_ns: moments.bucket_start_ns(since * BUCKETS_EACH),
            link,
        })
    }
}

impl Graph {
    /// Without a single retransmission the segments are not even read.
    pub fn add_segments(
        &mut self,
        store: &dyn Store,
        moments: &Moments,
        query: &TopologyQuery,
        resolver: &Resolver,
    ) -> Result<(), QueryError> {
        let again = self.grown(store, TCP_RETRANSMITS, moments, query, resolver)?;
        if again.is_empty() {
            return Ok(());
        }
        let sent = self.grown(store, TCP_SEGMENTS, moments, query, resolver)?;
        for (of_again, grown) in [(true, again), (false, sent)] {
            for (key, grown) in grown {
                let Some(edge) = self.edges.get_mut(&key) else { continue };
                let into = if of_again { &mut edge.segments.again } else { &mut edge.segments.sent };
                into.iter_mut().zip(grown).for_each(|(sum, more)| *sum += more);
            }
        }
        Ok(())
    }

    /// What grew in the range, by edge.
    fn grown(
        &self,
        store: &dyn Store,
        name: &str,
        moments: &Moments,
        query: &TopologyQuery,
        resolver: &Resolver,
    ) -> Result<Vec<(EdgeKey, Grown)>, QueryError> {
        let times_ms: Vec<i64> = moments.range_ms().iter().step_by(BUCKETS_EACH).copied().collect();
        let name = prometheus_name(name, "{segment}", true);
        let mut found = Vec::new();
        for series in select_at(store, name, &times_ms, query)? {
            let grown = increase(&series, &times_ms);
            if grown.iter().all(|count| *count <= 0.0) {
                continue;
            }
            if let Some(key) = seen(&series.labels).and_then(|seen| self.key_of(&seen, resolver)) {
                found.push((key, grown));
            }
        }
        Ok(found)
    }
}

fn increase(series: &Series, times_ms: &[i64]) -> Grown {
    let first_ms = times_ms.first().copied().unwrap_or_default();
    let (mut grown, mut before): (Grown, Option<(f64, i64)>) = (Grown::default(), None);
    for (at, sample) in series.samples.iter().enumerate() {
        let Value::Float(now) = sample.value else { continue };
        let start_ms = series.starts.get(at).copied().unwrap_or_default();
        let more = match before {
            Some((last, last_start)) if now >= last && start_ms == last_start => now - last,
            Some(_) => now,
            None if start_ms > 0 && start_ms >= first_ms => now,
            None => 0.0,
        };
        let stretch = times_ms.partition_point(|moment| *moment < sample.time_ms).saturating_sub(1);
        if let Some(sum) = grown.get_mut(stretch).filter(|_| more.is_finite()) {
            *sum += more;
        }
        before = Some((now, start_ms));
    }
    grown
}
