//! TCP connections of a capture: sequence numbers become offsets in the stream, holes that were acknowledged become
//! gaps, and everything goes through the same engine as live traffic.

use super::layers::{FIN, RST, SYN, Segment};
use limpid_model::{Direction, Unanswered};
use limpid_protocols::{Connection, Hints, Options, Sink};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

pub type Endpoint = (IpAddr, u16);

/// Where the offsets of a direction begin when its SYN was not seen: room for segments that come late.
const JOINED_AT: u64 = 1 << 32;
/// Segments beyond a hole that are remembered.
const MAX_RANGES: usize = 1024;
/// An acknowledged hole may still be filled by a segment that the capture has in the wrong order.
const HOLE_PATIENCE_NS: u64 = 500_000_000;
const HOLE_PATIENCE_SEGMENTS: u32 = 32;

/// What `replay` knows of a request's connection.
#[derive(Clone, Copy)]
pub struct Ends {
    pub client: Endpoint,
    pub server: Endpoint,
}

#[derive(Default)]
struct Half {
    /// Sequence number of offset `base_offset`.
    base: Option<(u32, u64)>,
    /// Everything below has been handed on.
    next: u64,
    /// Seen beyond a hole: start to end.
    beyond: BTreeMap<u64, u64>,
    /// When the present hole was first seen, and the segments since.
    hole: Option<(u64, u32)>,
    /// How far the other side has acknowledged.
    acknowledged: u64,
    fin: Option<u64>,
    ended: bool,
}

impl Half {
    /// The offset of a sequence number near the present place.
    fn offset(&mut self, sequence: u32, from_start: bool) -> u64 {
        let start = if from_start { 0 } else { JOINED_AT };
        let (base, base_offset) = *self.base.get_or_insert_with(|| {
            self.next = start;
            (sequence, start)
        });
        // Unwrapped against what is next, so that streams longer than 4 GiB go on.
        let expected = base.wrapping_add((self.next.wrapping_sub(base_offset)) as u32);
        self.next.saturating_add_signed(i64::from(sequence.wrapping_sub(expected) as i32))
    }

    /// Notes that `start..end` has passed.
    fn note(&mut self, start: u64, end: u64) {
        if start <= self.next {
            self.next = self.next.max(end);
        } else if self.beyond.len() < MAX_RANGES {
            let known = self.beyond.entry(start).or_insert(end);
            *known = (*known).max(end);
        }
        while let Some((start, end)) = self.beyond.first_key_value().map(|(start, end)| (*start, *end)) {
            if start > self.next {
                break;
            }
            self.next = self.next.max(end);
            self.beyond.pop_first();
        }
        if self.beyond.is_empty() {
            self.hole = None;
        }
    }
}

struct Flow {
    ends: Ends,
    from_start: bool,
    client_isn: Option<u32>,
    connection: Connection,
    halves: [Half; 2],
    reason: Unanswered,
    last_ns: u64,
}

/// A sink that is told whose requests come next.
pub trait FlowSink: Sink {
    fn on_connection(&mut self, ends: Ends);
}

pub struct Flows {
    flows: HashMap<(Endpoint, Endpoint), Flow>,
    options: Options,
}

impl Flows {
    pub fn new(options: Options) -> Self {
        Flows { flows: HashMap::new(), options }
    }

    pub fn segment(&mut self, segment: &Segment<'_>, time_ns: u64, sink: &mut impl FlowSink) {
        let key = (segment.source.min(segment.destination), segment.source.max(segment.destination));
        let syn = segment.flags & SYN != 0;
        if syn
            && let Some(old) = self.flows.get(&key)
            && old.is_another(segment)
            && let Some(mut old) = self.flows.remove(&key)
        {
            old.close(sink);
        }
        if !self.flows.contains_key(&key) && !syn && segment.payload.is_empty() && segment.missing == 0 {
            return;
        }
        let options = &self.options;
        let flow = self.flows.entry(key).or_insert_with(|| Flow::new(segment, options));
        sink.on_connection(flow.ends());
        flow.segment(segment, time_ns, sink);
    }

    pub fn finish(self, sink: &mut impl FlowSink) {
        let mut flows: Vec<Flow> = self.flows.into_values().collect();
        flows.sort_by_key(|flow| flow.last_ns);
        flows.iter_mut().for_each(|flow| flow.close(sink));
    }
}

impl Flow {
    fn new(segment: &Segment<'_>, options: &Options) -> Self {
        let syn = segment.flags & SYN != 0;
        let accepts = syn && segment.acknowledgement.is_some();
        // Without the SYN, the lower port is more often the server's; the engine finds out if it is not.
        let to_server = if syn { !accepts } else { segment.destination.1 <= segment.source.1 };
        let (client, server) =
            if to_server { (segment.source, segment.destination) } else { (segment.destination, segment.source) };
        let hints = Hints { client_port: client.1, server_port: server.1, from_start: syn };
        Flow {
            ends: Ends { client, server },
            from_start: syn,
            client_isn: (syn && !accepts).then_some(segment.sequence),
            connection: Connection::new(hints, options),
            halves: [Half::default(), Half::default()],
            reason: Unanswered::Closed,
            last_ns: 0,
        }
    }

    /// Whether a SYN opens another connection between the same ends, and is no repetition.
    fn is_another(&self, segment: &Segment<'_>) -> bool {
        if segment.acknowledgement.is_some() {
            let isn = self.halves[Direction::ToClient as usize].base.map(|(base, _)| base.wrapping_sub(1));
            return isn.is_some_and(|isn| isn != segment.sequence) && segment.source == self.ends.server;
        }
        self.client_isn != Some(segment.sequence)
    }

    fn ends(&self) -> Ends {
        if self.connection.swapped() { Ends { client: self.ends.server, server: self.ends.client } } else { self.ends }
    }

    fn segment(&mut self, segment: &Segment<'_>, time_ns: u64, sink: &mut impl FlowSink) {
        self.last_ns = self.last_ns.max(time_ns);
        let direction = if segment.source == self.ends.client { Direction::ToServer } else { Direction::ToClient };
        let sequence = if segment.flags & SYN != 0 { segment.sequence.wrapping_add(1) } else { segment.sequence };
        let half = &mut self.halves[direction as usize];
        let offset = half.offset(sequence, self.from_start);
        let captured = offset + segment.payload.len() as u64;
        let end = captured + segment.missing as u64;
        if !segment.payload.is_empty() {
            self.connection.data(direction, offset, time_ns, segment.payload, sink);
        }
        if segment.missing > 0 {
            self.connection.gap(direction, captured, segment.missing as u64, time_ns, sink);
        }
        if end > offset {
            half.note(offset, end);
        }
        if segment.flags & FIN != 0 {
            half.fin = Some(end);
        }
        if segment.flags & RST != 0 {
            self.reason = Unanswered::Reset;
        }
        if let Some(acknowledgement) = segment.acknowledgement {
            self.acknowledge(direction.reverse(), acknowledgement);
        }
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.fill_hole(direction, time_ns, sink);
            self.end_half(direction, time_ns, sink);
        }
        sink.on_connection(self.ends());
    }

    fn acknowledge(&mut self, direction: Direction, acknowledgement: u32) {
        let half = &mut self.halves[direction as usize];
        if half.base.is_some() {
            half.acknowledged = half.acknowledged.max(half.offset(acknowledgement, self.from_start));
        }
    }

    /// A hole that the receiver has acknowledged is a loss of the capture, not of the network.
    fn fill_hole(&mut self, direction: Direction, time_ns: u64, sink: &mut impl FlowSink) {
        let half = &mut self.halves[direction as usize];
        let Some((start, _)) = half.beyond.first_key_value().map(|(start, end)| (*start, *end)) else { return };
        let (since, segments) = *half.hole.get_or_insert((time_ns, 0));
        half.hole = Some((since, segments + 1));
        let waited = time_ns.saturating_sub(since) > HOLE_PATIENCE_NS || segments > HOLE_PATIENCE_SEGMENTS;
        if half.acknowledged >= start && waited {
            let (from, length) = (half.next, start - half.next);
            half.note(from, start);
            half.hole = None;
            self.connection.gap(direction, from, length, time_ns, sink);
        }
    }

    fn end_half(&mut self, direction: Direction, time_ns: u64, sink: &mut impl FlowSink) {
        let half = &mut self.halves[direction as usize];
        if !half.ended && half.fin.is_some_and(|fin| half.next >= fin) {
            half.ended = true;
            self.connection.end(direction, time_ns, sink);
        }
    }

    /// The end of the capture, or another connection between the same ends.
    fn close(&mut self, sink: &mut impl FlowSink) {
        sink.on_connection(self.ends());
        for direction in [Direction::ToServer, Direction::ToClient] {
            while let Some((start, _)) = self.halves[direction as usize].beyond.first_key_value().map(|(s, e)| (*s, *e))
            {
                let half = &mut self.halves[direction as usize];
                let (from, length) = (half.next, start - half.next);
                half.note(from, start);
                self.connection.gap(direction, from, length, self.last_ns, sink);
            }
            self.end_half(direction, self.last_ns, sink);
        }
        self.connection.close(self.reason, self.last_ns, sink);
    }
}
