//! What a protocol implements.

use crate::Certificate;
use limpid_model::{Direction, Request, Unanswered};
use std::net::IpAddr;

/// Where finished requests go.
pub trait Sink {
    fn request(&mut self, request: Request);
    /// An answer whose request was not seen: counted, never a request.
    fn orphan(&mut self, protocol: &'static str);
    /// An answer that was asked for says which addresses `name` has (lower case, without a final dot), each with the
    /// seconds for which it may be kept.
    fn resolved(&mut self, _name: &str, _addresses: &[(IpAddr, u32)]) {}
    /// A server has shown its certificate in clear to who asked for `server_name`.
    fn certificate(&mut self, _server_name: Option<&str>, _certificate: &Certificate) {}
}

/// The bytes of one direction that are next to be parsed: contiguous, from where the parser left off.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub data: &'a [u8],
    /// Offset of `data[0]` in the stream of this direction.
    pub offset: u64,
    /// When the pieces of `data` were seen: (position in `data` where the piece begins, time). The first is at 0.
    pub times: &'a [(usize, u64)],
    /// 0 while more bytes may follow. Otherwise this many bytes after `data` were never captured (lost or elided) and
    /// will not come: the parser takes what it can from `data` and skips by length, or gives up the message (`Need`).
    /// Only then `data` can be empty.
    pub gap_after: u64,
    /// `data[0]` is the first byte of a call (or segment): the only place where a parser that lost its way may start
    /// to look for a message.
    pub at_call: bool,
}

impl Input<'_> {
    /// When the byte at `position` was seen.
    #[inline]
    pub fn time_at(&self, position: usize) -> u64 {
        if let [(_, time_ns)] = self.times {
            return *time_ns;
        }
        let piece = self.times.partition_point(|(start, _)| *start <= position);
        self.times.get(piece.saturating_sub(1)).map_or(0, |(_, time_ns)| *time_ns)
    }
}

/// What a parser did with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing was taken: it needs at least this many bytes in `data`.
    Need(usize),
    /// This many bytes were taken, more than `data` holds when a body is skipped by its length; the engine then calls
    /// `skipped` as soon as the last of them has passed, captured or not.
    Taken(u64),
    /// This is not the protocol, or the stream is damaged here. Enough of them in a row un-pin the protocol.
    Invalid(&'static str),
    /// The connection goes on in another protocol (an upgrade, TLS): its name if it is in the table.
    Upgrade(Option<&'static str>),
    /// All that can be known of the connection is known: nothing more of it is wanted, in either direction.
    Done,
}

/// Requests that are complete and of whose answers nothing has come, without those that are meant to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    pub requests: usize,
    /// When the oldest of them began.
    pub since_ns: u64,
}

/// One connection's state in one protocol. Must survive any input: every length and depth is capped.
pub trait Parser: Send {
    /// Called again and again until it needs more.
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step;
    /// The bytes that a `Taken` beyond the input stood for have passed; the last of them at `time_ns`.
    fn skipped(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink);
    /// Bytes were lost where the parser needed them. What was in flight in this direction is unknown now; the next
    /// input begins behind the gap.
    fn gap(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink);
    /// This direction ended (FIN, EOF): an answer that lasts until the end is complete. While a `Taken` is still being
    /// skipped, `time_ns` is that of the last byte.
    fn end(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink);
    /// The connection is gone: whatever still waits is unanswered for this reason.
    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink);
    /// Reports, once, what has waited since before `before_ns` as unanswered by time-out. The request stays in flight:
    /// should its answer come, it is reported again with `corrects`.
    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink);
    /// How much the server still owes: requests, the rest of an answer, marks that are answered too. While this is 0,
    /// what the server says is held back for up to 100 ms, since its request may be seen a little later than it.
    fn in_flight(&self) -> usize;
    /// Of a protocol that is `unordered`: bytes of this direction before this offset are not asked for by what is in
    /// flight.
    fn needed_from(&self, _direction: Direction) -> u64 {
        u64::MAX
    }
    /// What a server that has stopped to work leaves its clients with. A request whose answer has begun, that is still
    /// being sent, or that blocks by design (BLPOP) is none of it.
    fn outstanding(&self) -> Outstanding;
    /// The client was seen to ask before it had its answer: one call may then hold many messages, and the front of a
    /// call is not enough.
    fn overlaps(&self) -> bool {
        false
    }
    /// From each call's front so many bytes suffice, by what this connection has shown: less than `Capture::Head` allows.
    fn head_bytes(&self) -> Option<u32> {
        None
    }
}

/// What the first bytes of one direction say about a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detection {
    No,
    /// Too short to say.
    More,
    /// Could be: needs the other direction, or a known port, to agree.
    Maybe,
    Yes,
}
