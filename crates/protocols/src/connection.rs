//! The engine of one connection.

use crate::protocols::Capture;
use crate::{Protocol, Sink};
use limpid_model::{Direction, Unanswered};

/// How requests are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fill `attributes` and `resource_raw` (spans, replay). Metrics alone need neither.
    pub details: bool,
    /// Switches the redaction of statement literals, query strings and keys off (`replay --raw`).
    pub raw: bool,
    pub timeout_ns: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { details: false, raw: false, timeout_ns: 30_000_000_000 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Hints {
    pub client_port: u16,
    pub server_port: u16,
    /// The connection was seen from its first byte on (offset 0 in both directions).
    pub from_start: bool,
}

/// What the capture should do from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Undecided,
    Pinned(Capture),
}

pub struct Connection {
    _todo: (),
}

impl Connection {
    pub fn new(_hints: Hints, _options: &Options) -> Self {
        Connection { _todo: () }
    }
    /// Captured bytes of one call or segment, at their place in the stream; pieces may overlap, repeat and come out of
    /// order. `call_bytes` ≥ `bytes.len()` is the length of the whole call: what was not captured of it is a gap.
    pub fn data(&mut self, _direction: Direction, _offset: u64, _time_ns: u64, _bytes: &[u8], _sink: &mut dyn Sink) {}
    /// Bytes that passed uncaptured.
    pub fn gap(&mut self, _direction: Direction, _offset: u64, _length: u64, _time_ns: u64, _sink: &mut dyn Sink) {}
    pub fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}
    pub fn close(&mut self, _reason: Unanswered, _time_ns: u64, _sink: &mut dyn Sink) {}
    pub fn expire(&mut self, _now_ns: u64, _sink: &mut dyn Sink) {}
    pub fn verdict(&self) -> Verdict {
        Verdict::Undecided
    }
    pub fn protocol(&self) -> Option<&'static Protocol> {
        None
    }
    /// Up to which offset of this direction bytes are not needed (the rest of a long body), if they are not.
    pub fn skip_until(&self, _direction: Direction) -> Option<u64> {
        None
    }
    /// The connection's client and server are the wrong way round: found from what was said.
    pub fn swapped(&self) -> bool {
        false
    }
    pub fn in_flight(&self) -> usize {
        0
    }
}
