//! The engine of one conversation in datagrams (UDP), between one client's and one server's socket address.
//!
//! Each datagram is one message: nothing has to be put in order, and a lost one is nothing special. Two sides may be seen
//! out of order by some microseconds, so an answer that nobody asked for waits a moment for its question.
//!
//! What is sent to a multicast address is no request to a server: callers do not make a conversation of it.

use crate::connection::{HOLD_NS, Verdict};
use crate::protocols::{Capture, DATAGRAMS, Datagram};
use crate::{Detection, Hints, Input, Options, Outstanding, Parser, Protocol, Sink, Step};
use limpid_model::{Direction, Unanswered};
use std::collections::VecDeque;

/// Datagrams in a row that are not the protocol, after which it is not spoken here. A few prove nothing: anybody can
/// send anything to anybody's socket.
const MAX_ODD: u32 = 16;
/// Times that a conversation may turn out to be something else than it looked like.
const MAX_UNPINNED: u32 = 4;
/// Datagrams that say nothing known, after which there is nothing to expect.
const ENOUGH: u32 = 16;
/// Answers that wait for their questions.
const MAX_HELD: usize = 16;
const MAX_HELD_BYTES: usize = 4096;

enum State {
    /// Datagrams that were looked at.
    Detecting(u32),
    Pinned(&'static Datagram, Box<dyn Parser>),
    /// Its parser wants nothing more.
    Done(&'static Datagram),
    /// A protocol of ours that is switched off.
    Off(&'static Datagram),
    /// Not a protocol of ours.
    Unknown,
}

#[derive(Clone, Copy)]
struct Piece<'a> {
    offset: u64,
    length: u64,
    time_ns: u64,
    bytes: &'a [u8],
}

/// An answer before its question.
struct Held {
    offset: u64,
    length: u64,
    time_ns: u64,
    bytes: Box<[u8]>,
}

impl Held {
    fn piece(&self) -> Piece<'_> {
        let Held { offset, length, time_ns, .. } = *self;
        Piece { offset, length, time_ns, bytes: &self.bytes }
    }
}

pub struct Datagrams {
    options: Options,
    /// Client and server as they are understood now.
    hints: Hints,
    state: State,
    swapped: bool,
    /// Bytes that have passed in each direction.
    offsets: [u64; 2],
    held: VecDeque<Held>,
    /// Datagrams in a row that were not the protocol.
    odd: u32,
    unpinned: u32,
}

impl Datagrams {
    pub fn new(hints: Hints, options: &Options) -> Self {
        Datagrams {
            options: options.clone(),
            hints,
            state: State::Detecting(0),
            swapped: false,
            offsets: [0; 2],
            held: VecDeque::new(),
            odd: 0,
            unpinned: 0,
        }
    }

    /// One datagram of `length` bytes, of which the first `bytes` were captured. Offsets count the bytes of the
    /// datagrams that came this way.
    pub fn datagram(&mut self, direction: Direction, time_ns: u64, bytes: &[u8], length: u64, sink: &mut dyn Sink) {
        let length = length.max(bytes.len() as u64);
        let oriented = if self.swapped { direction.reverse() } else { direction };
        let offset = self.offsets[oriented as usize];
        self.offsets[oriented as usize] = offset.saturating_add(length);
        self.datagram_at(direction, offset, time_ns, bytes, length, sink);
    }

    /// The same with an offset of the caller's own: it stands in the requests, and is not looked at.
    pub fn datagram_at(
        &mut self,
        direction: Direction,
        offset: u64,
        time_ns: u64,
        bytes: &[u8],
        length: u64,
        sink: &mut dyn Sink,
    ) {
        if matches!(self.state, State::Done(_) | State::Unknown | State::Off(_)) {
            return;
        }
        self.release(time_ns, false, sink);
        let mut direction = if self.swapped { direction.reverse() } else { direction };
        if let State::Detecting(seen) = self.state {
            let Some((row, swapped)) = self.detect(direction, bytes) else {
                self.state = if seen + 1 >= ENOUGH { State::Unknown } else { State::Detecting(seen + 1) };
                return;
            };
            if swapped {
                self.swap();
                direction = direction.reverse();
            }
            if self.options.off.has(row.protocol) {
                self.state = State::Off(row);
                return;
            }
            self.state = State::Pinned(row, (row.parser)(&self.options));
        }
        self.read(direction, Piece { offset, length, time_ns, bytes }, sink);
    }

    /// Gives up what has waited too long. To be called now and then.
    pub fn expire(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        self.release(now_ns, false, sink);
        if let State::Pinned(_, parser) = &mut self.state {
            parser.expire(now_ns.saturating_sub(self.options.timeout_ns), now_ns, sink);
        }
    }

    /// The socket is gone, or the capture ends.
    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        self.release(time_ns, true, sink);
        if let State::Pinned(_, parser) = &mut self.state {
            parser.close(reason, time_ns, sink);
        }
        self.state = State::Unknown;
    }

    pub fn verdict(&self) -> Verdict {
        match &self.state {
            State::Detecting(_) => Verdict::Undecided,
            State::Pinned(row, _) => Verdict::Pinned(row.protocol.capture),
            State::Done(_) | State::Off(_) | State::Unknown => Verdict::Pinned(Capture::Nothing),
        }
    }

    pub fn protocol(&self) -> Option<&'static Protocol> {
        match &self.state {
            State::Pinned(row, _) | State::Done(row) | State::Off(row) => Some(row.protocol),
            _ => None,
        }
    }

    /// The one who was said to be the server asks: found from what was said. Requests are reported the right way round;
    /// the caller goes on with its own directions.
    pub fn swapped(&self) -> bool {
        self.swapped
    }

    /// It speaks a protocol that is switched off.
    pub fn is_off(&self) -> bool {
        matches!(self.state, State::Off(_))
    }

    pub fn in_flight(&self) -> usize {
        match &self.state {
            State::Pinned(_, parser) => parser.in_flight(),
            _ => 0,
        }
    }

    pub fn outstanding(&self) -> Outstanding {
        match &self.state {
            State::Pinned(_, parser) => parser.outstanding(),
            _ => Outstanding::default(),
        }
    }

    /// Which protocol a datagram is of, and whether it comes from the other side than was said.
    fn detect(&self, direction: Direction, bytes: &[u8]) -> Option<(&'static Datagram, bool)> {
        let Hints { client_port, server_port, .. } = self.hints;
        let sides =
            [(false, direction, client_port, server_port), (true, direction.reverse(), server_port, client_port)];
        for (swapped, direction, client_port, server_port) in sides {
            let speaks = |row: &&Datagram| match (row.detect)(direction, bytes) {
                _ if (row.excludes)(client_port, server_port) => false,
                Detection::Yes => true,
                Detection::Maybe => row.protocol.ports.contains(&server_port),
                Detection::More | Detection::No => false,
            };
            if let Some(row) = DATAGRAMS.iter().find(speaks) {
                return Some((row, swapped));
            }
        }
        None
    }

    fn swap(&mut self) {
        self.swapped = !self.swapped;
        self.offsets.reverse();
        let Hints { client_port, server_port, .. } = self.hints;
        (self.hints.client_port, self.hints.server_port) = (server_port, client_port);
    }

    fn read(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        match self.show(direction, piece, sink) {
            Step::Taken(_) => {
                self.odd = 0;
                if direction == Direction::ToServer && !self.held.is_empty() {
                    self.show_held(sink);
                }
            }
            Step::Need(_) if direction == Direction::ToClient => {
                self.odd = 0;
                self.hold(piece, sink);
            }
            Step::Done => self.finish(piece.time_ns, sink),
            _ => self.count_odd(piece.time_ns, sink),
        }
    }

    /// The parser has told all there is to tell.
    fn finish(&mut self, time_ns: u64, sink: &mut dyn Sink) {
        if let State::Pinned(row, _) = self.state
            && let State::Pinned(_, mut parser) = std::mem::replace(&mut self.state, State::Done(row))
        {
            parser.close(Unanswered::Closed, time_ns, sink);
        }
        self.held.clear();
    }

    fn show(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) -> Step {
        let State::Pinned(_, parser) = &mut self.state else { return Step::Taken(0) };
        let Piece { offset, length, time_ns, bytes } = piece;
        let gap_after = length.saturating_sub(bytes.len() as u64);
        let times = [(0, time_ns)];
        parser.parse(direction, Input { data: bytes, offset, times: &times, gap_after, at_call: true }, sink)
    }

    fn hold(&mut self, piece: Piece<'_>, sink: &mut dyn Sink) {
        if self.held.len() >= MAX_HELD {
            self.let_go(sink);
        }
        let Piece { offset, length, time_ns, bytes } = piece;
        let bytes = bytes.get(..MAX_HELD_BYTES).unwrap_or(bytes).into();
        self.held.push_back(Held { offset, length, time_ns, bytes });
    }

    /// More was asked: it may be what they answer.
    fn show_held(&mut self, sink: &mut dyn Sink) {
        for _ in 0..self.held.len() {
            let Some(held) = self.held.pop_front() else { return };
            if let Step::Need(_) = self.show(Direction::ToClient, held.piece(), sink) {
                self.held.push_back(held);
            }
        }
    }

    /// The questions of the oldest answers will not come any more.
    fn release(&mut self, now_ns: u64, all: bool, sink: &mut dyn Sink) {
        let old = |held: &Held| all || held.time_ns.saturating_add(HOLD_NS) <= now_ns;
        while self.held.front().is_some_and(old) {
            self.let_go(sink);
        }
    }

    fn let_go(&mut self, sink: &mut dyn Sink) {
        if self.held.pop_front().is_some()
            && let State::Pinned(row, _) = &self.state
        {
            sink.orphan(row.protocol.name);
        }
    }

    fn count_odd(&mut self, time_ns: u64, sink: &mut dyn Sink) {
        self.odd += 1;
        if self.odd < MAX_ODD {
            return;
        }
        self.release(time_ns, true, sink);
        self.odd = 0;
        self.unpinned += 1;
        let next = if self.unpinned > MAX_UNPINNED { State::Unknown } else { State::Detecting(0) };
        if let State::Pinned(_, mut parser) = std::mem::replace(&mut self.state, next) {
            parser.close(Unanswered::Gap, time_ns, sink);
        }
    }
}

#[cfg(test)]
#[path = "datagrams/tests.rs"]
mod tests;
