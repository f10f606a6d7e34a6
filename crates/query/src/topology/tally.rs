//! Spans of calls, counted by who saw them, whom they called, how it went and when, each for as many requests as it
//! stands for.

use super::figures::Outcome;
use super::graph::Seen;
use super::increase::{BUCKETS, Moments};
use super::span_columns::{Call, SpanColumns};
use crate::QueryError;
use crate::traces::names::Names;
use limpid_model::histogram::{SCALE, bucket_index};
use limpid_model::{Growth, Side};
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::{IpAddr, SocketAddr};

/// Who calls whom differs between so many; more are no map.
const MAX_CALLS: usize = 20_000;
/// So many counts are held in all of them together; what needs more is counted at a coarser scale.
const MAX_COUNTS: usize = 4_000_000;
/// Two buckets an octave: what is coarser says little.
const COARSEST: i8 = 1;
/// Of the agent's own spans: the entity of a process, or its word for one that lived a few seconds.
const OF_AGENT: [&str; 2] = ["process:", "short-lived"];

/// What was counted of one kind of call.
struct Counted {
    spans: u64,
    /// Of each bucket of the range, where something is in it.
    buckets: Vec<Option<Box<Bucket>>>,
}

#[derive(Default)]
struct Bucket {
    count: f64,
    zero_count: f64,
    /// Index of the first.
    offset: i32,
    counts: Vec<f64>,
}

#[derive(Default)]
pub struct Tally {
    names: Names,
    places: FxHashMap<Call, usize>,
    calls: Vec<(Call, Counted)>,
    counts: usize,
    /// How many times the scale was made coarser.
    coarser: i8,
    pub spans: u64,
    /// Spans that do not say how likely they were kept.
    pub spans_without_probability: u64,
    pub lowest_probability: Option<f64>,
}

impl Tally {
    /// Counts all rows that fit.
    pub fn add(&mut self, columns: &mut SpanColumns<'_>, moments: &Moments) -> Result<(), QueryError> {
        columns.number(&mut self.names);
        for row in 0..columns.rows() {
            if let (true, Some(call)) = (columns.fits(row), columns.call(row)) {
                let probability = columns.probability(row);
                self.note_probability(probability);
                let weight = 1.0 / probability.unwrap_or(1.0);
                self.count(call, columns.time_ms(row), columns.duration_ns(row), weight, moments)?;
            }
        }
        Ok(())
    }

    fn note_probability(&mut self, probability: Option<f64>) {
        self.spans += 1;
        match probability {
            None => self.spans_without_probability += 1,
            Some(one) => self.lowest_probability = Some(self.lowest_probability.map_or(one, |lowest| lowest.min(one))),
        }
    }

    fn count(
        &mut self,
        call: Call,
        time_ms: i64,
        duration_ns: u64,
        weight: f64,
        moments: &Moments,
    ) -> Result<(), QueryError> {
        let at = match self.places.get(&call) {
            Some(at) => *at,
            None => self.place(call)?,
        };
        let Some((_, counted)) = self.calls.get_mut(at) else { return Ok(()) };
        counted.spans += 1;
        let bucket = &mut counted.buckets[moments.bucket(time_ms)];
        self.counts += bucket.get_or_insert_default().add(duration_ns, weight, self.coarser);
        match self.counts > MAX_COUNTS {
            true => self.make_coarser(),
            false => Ok(()),
        }
    }

    /// Two neighbours become one, everywhere.
    fn make_coarser(&mut self) -> Result<(), QueryError> {
        if SCALE - self.coarser <= COARSEST {
            return Err(too_many("durations"));
        }
        self.coarser += 1;
        let buckets = self.calls.iter_mut().flat_map(|(_, counted)| &mut counted.buckets);
        self.counts = buckets.flatten().map(|bucket| bucket.make_coarser()).sum();
        Ok(())
    }

    fn place(&mut self, call: Call) -> Result<usize, QueryError> {
        if self.calls.len() >= MAX_CALLS {
            return Err(too_many("different calls"));
        }
        let buckets = (0..BUCKETS).map(|_| None).collect();
        self.calls.push((call, Counted { spans: 0, buckets }));
        self.places.insert(call, self.calls.len() - 1);
        Ok(self.calls.len() - 1)
    }

    /// What the graph is made of, and what is no call but has a place in it.
    ///
    /// A request that both the agent and an SDK tell of counts once: where spans of the agent match, those that an SDK
    /// made on the same side of the same service are left out.
    pub fn seen(&mut self, moments: &Moments) -> (Vec<Seen>, Vec<Seen>) {
        // What is made into something else is not held twice.
        let calls = std::mem::take(&mut self.calls);
        let is_agents = |call: &Call| OF_AGENT.iter().any(|of| self.names.text(call.instance).starts_with(of));
        let watched: FxHashSet<(u32, Option<Side>)> =
            calls.iter().filter(|(call, _)| is_agents(call)).map(|(call, _)| (call.service, call.side)).collect();
        let counts = |call: &Call| is_agents(call) || !watched.contains(&(call.service, call.side));
        let (mut seen, mut alone) = (Vec::new(), Vec::new());
        for (call, counted) in calls.into_iter().filter(|(call, _)| counts(call)) {
            let one = self.seen_of(&call, counted, is_agents(&call), moments);
            if call.side.is_some() { seen.push(one) } else { alone.push(one) }
        }
        (seen, alone)
    }

    fn seen_of(&self, call: &Call, counted: Counted, of_agent: bool, moments: &Moments) -> Seen {
        let text = |number: u32| self.names.text(number).to_owned();
        let side = call.side.unwrap_or(Side::Client);
        // The agent names a peer that it does not know by its address.
        let peer = text(call.peer);
        let is_address = peer.parse::<IpAddr>().is_ok() || peer.parse::<SocketAddr>().is_ok();
        let (peer, peer_address) = match (peer.is_empty(), is_address) {
            (true, _) => (peer, self.address(call, side)),
            (_, true) => (String::new(), peer),
            _ => (peer, String::new()),
        };
        let protocol = text(call.protocol);
        Seen {
            side,
            service: text(call.service),
            peer,
            peer_address,
            protocol: if protocol.is_empty() { "unknown".to_owned() } else { protocol },
            instance: if of_agent { text(call.instance) } else { String::new() },
            host: text(call.host),
            outcome: if call.failed { Outcome::Error } else { Outcome::Ok },
            code: text(call.code),
            growth: counted.growth(SCALE - self.coarser, moments),
            spans: Some(counted.spans),
        }
    }

    fn address(&self, call: &Call, side: Side) -> String {
        let (address, port) = (self.names.text(call.address), self.names.text(call.port));
        match (side, address.contains(':')) {
            (Side::Server, _) => address.to_owned(),
            _ if address.is_empty() || port.is_empty() => address.to_owned(),
            (_, true) => format!("[{address}]:{port}"),
            (_, false) => format!("{address}:{port}"),
        }
    }
}

fn too_many(what: &str) -> QueryError {
    QueryError::execution(format!(
        "the spans that match have too many {what} for a map; filter more, or ask for a shorter time"
    ))
}

impl Counted {
    fn growth(&self, scale: i8, moments: &Moments) -> Growth {
        let mut growth = Growth::default();
        for (at, bucket) in self.buckets.iter().enumerate() {
            let Some(Bucket { count, zero_count, offset, counts }) = bucket.as_deref() else { continue };
            growth.push(moments.bucket_end_ms(at), *count, *zero_count, scale, (*offset, counts));
        }
        growth
    }
}

impl Bucket {
    /// Gives how many counts it has more for it.
    fn add(&mut self, duration_ns: u64, weight: f64, coarser: i8) -> usize {
        self.count += weight;
        if duration_ns == 0 {
            self.zero_count += weight;
            return 0;
        }
        let (index, before) = (bucket_index(duration_ns as f64 / 1e9) >> coarser, self.counts.len());
        if before == 0 {
            self.offset = index;
        }
        if index < self.offset {
            self.counts.splice(0..0, std::iter::repeat_n(0.0, (self.offset - index) as usize));
            self.offset = index;
        }
        let at = (index - self.offset) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0.0);
        }
        self.counts[at] += weight;
        self.counts.len() - before
    }

    /// Gives how many counts are left.
    fn make_coarser(&mut self) -> usize {
        let (odd, before) = ((self.offset & 1) as usize, std::mem::take(&mut self.counts));
        self.counts = vec![0.0; (before.len() + odd).div_ceil(2)];
        before.iter().enumerate().for_each(|(at, count)| self.counts[(at + odd) / 2] += count);
        self.offset >>= 1;
        self.counts.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coarser_scale_keeps_what_was_counted_and_where() {
        let (mut fine, mut coarse) = (Bucket::default(), Bucket::default());
        for duration_ns in (1..4_000u64).map(|at| at * at * 977) {
            fine.add(duration_ns, 2.5, 0);
            coarse.add(duration_ns, 2.5, 1);
        }
        assert_eq!(fine.make_coarser(), coarse.counts.len());
        assert_eq!((fine.offset, &fine.counts, fine.count), (coarse.offset, &coarse.counts, coarse.count));
    }
}
