//! The engine of one connection.
//!
//! What the capture delivers is put in order (`stream`), shown to the table of protocols until one fits (`detect`),
//! and then driven through that protocol's [`Parser`]. In the usual case, in order and nothing left over, the parser
//! reads straight from the caller's slice.

mod drive;

use self::drive::Rest;
use crate::detect::{Decision, Detector};
use crate::protocols::{Capture, SwitchedOff};
use crate::stream::{Piece, Stream, Turn};
use crate::{Outstanding, Parser, Protocol, Sink, proxy};
use limpid_model::{Direction, Unanswered};

/// `Invalid`s in a row after which this is not the protocol.
const MAX_INVALID: u32 = 8;
/// Times that a connection may turn out to be something else than it looked like.
const MAX_UNPINNED: u32 = 2;
/// Upgrades of one connection; a tunnel in a tunnel has two.
const MAX_UPGRADES: u32 = 4;
/// An answer may be seen before its request, when they come from different CPUs; not for longer than this.
pub(crate) const HOLD_NS: u64 = 100_000_000;
/// Below this a verdict costs more than the bytes it saves.
const MIN_SKIP_BYTES: u64 = 16 * 1024;
/// Of each call of a client that does not wait for its answers: many heads can stand in one.
const OVERLAPPING_BYTES: u32 = 256 * 1024;
/// No stream is as long as this: what claims to lie behind it is damaged, and sums of offsets cannot overflow.
const MAX_OFFSET: u64 = 1 << 62;
/// How often a parser may skip within one gap before the gap counts as damage.
const MAX_STEPS_IN_GAP: u32 = 64;

/// How requests are read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Fill `attributes` and `resource_raw` (spans, replay). Metrics alone need neither.
    pub details: bool,
    /// Switches the redaction of statement literals, query strings and keys off (`replay --raw`).
    pub raw: bool,
    pub timeout_ns: u64,
    pub off: SwitchedOff,
}

impl Default for Options {
    fn default() -> Self {
        Options { details: false, raw: false, timeout_ns: 30_000_000_000, off: SwitchedOff::default() }
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

enum State {
    Detecting(Box<Detector>),
    Pinned(&'static Protocol, Box<dyn Parser>),
    /// Its parser wants nothing more.
    Done(&'static Protocol),
    /// Not a protocol of ours.
    Unknown,
    /// One of ours that is switched off.
    Off,
}

pub struct Connection {
    options: Options,
    hints: Hints,
    state: State,
    streams: [Stream; 2],
    swapped: bool,
    /// Answers are worth holding back: their requests can still come.
    holds: bool,
    held_since_ns: Option<u64>,
    unpinned: u32,
    upgrades: u32,
}

impl Connection {
    pub fn new(hints: Hints, options: &Options) -> Self {
        let ports = [hints.client_port, hints.server_port];
        let stream = || if hints.from_start { Stream::starting_at_zero() } else { Stream::default() };
        Connection {
            options: options.clone(),
            hints,
            state: State::Detecting(Box::new(Detector::new(hints.from_start, ports))),
            streams: [stream(), stream()],
            swapped: false,
            holds: hints.from_start,
            held_since_ns: None,
            unpinned: 0,
            upgrades: 0,
        }
    }

    /// Captured bytes at their place in the stream, from the first byte of a call or segment on; they may overlap,
    /// repeat and come out of order. What was not captured of the call is reported by `gap`.
    pub fn data(&mut self, direction: Direction, offset: u64, time_ns: u64, bytes: &[u8], sink: &mut dyn Sink) {
        let length = bytes.len() as u64;
        self.arrive(direction, Piece { offset, length, time_ns, at_call: true, bytes: Some(bytes) }, sink);
    }

    /// More bytes of the same call, behind a part of it that was not captured: no message need begin here.
    pub fn data_inside_call(
        &mut self,
        direction: Direction,
        offset: u64,
        time_ns: u64,
        bytes: &[u8],
        sink: &mut dyn Sink,
    ) {
        let length = bytes.len() as u64;
        self.arrive(direction, Piece { offset, length, time_ns, at_call: false, bytes: Some(bytes) }, sink);
    }

    /// Bytes that passed uncaptured.
    pub fn gap(&mut self, direction: Direction, offset: u64, length: u64, time_ns: u64, sink: &mut dyn Sink) {
        self.arrive(direction, Piece { offset, length, time_ns, at_call: false, bytes: None }, sink);
    }

    /// The direction ended (FIN, EOF): nothing comes behind what was delivered.
    pub fn end(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        let direction = self.oriented(direction);
        self.end_stream(direction, time_ns, sink);
    }

    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.fill_holes(direction, time_ns, true, sink);
        }
        self.decide_at_end(sink);
        self.release(time_ns, true, sink);
        if reason == Unanswered::Closed {
            self.end_stream(Direction::ToServer, time_ns, sink);
            self.end_stream(Direction::ToClient, time_ns, sink);
        }
        if let State::Pinned(_, parser) = &mut self.state {
            parser.close(reason, time_ns, sink);
        }
        self.state = State::Unknown;
    }

    /// Gives up what has waited too long: requests, answers held back, holes. To be called now and then.
    pub fn expire(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        for direction in [Direction::ToServer, Direction::ToClient] {
            self.fill_holes(direction, now_ns, false, sink);
        }
        self.release(now_ns, false, sink);
        if let State::Pinned(_, parser) = &mut self.state {
            parser.expire(now_ns.saturating_sub(self.options.timeout_ns), now_ns, sink);
        }
    }

    pub fn verdict(&self) -> Verdict {
        match &self.state {
            State::Detecting(_) => Verdict::Undecided,
            State::Pinned(protocol, parser) => match protocol.capture {
                Capture::Head(_) if parser.overlaps() => Verdict::Pinned(Capture::All(OVERLAPPING_BYTES)),
                Capture::Head(most) => {
                    Verdict::Pinned(Capture::Head(parser.head_bytes().map_or(most, |bytes| bytes.min(most))))
                }
                capture => Verdict::Pinned(capture),
            },
            State::Done(_) | State::Unknown | State::Off => Verdict::Pinned(Capture::Nothing),
        }
    }

    /// It speaks a protocol that is switched off: nothing of it is read any more.
    pub fn is_off(&self) -> bool {
        matches!(self.state, State::Off)
    }

    pub fn protocol(&self) -> Option<&'static Protocol> {
        match &self.state {
            State::Pinned(protocol, _) | State::Done(protocol) => Some(protocol),
            _ => None,
        }
    }

    /// Up to which offset of this direction bytes are not needed (the rest of a long body), if they are not.
    pub fn skip_until(&self, direction: Direction) -> Option<u64> {
        let stream = &self.streams[self.oriented(direction) as usize];
        (stream.skip_to.saturating_sub(stream.next) >= MIN_SKIP_BYTES).then_some(stream.skip_to)
    }

    /// The connection's client and server are the wrong way round: found from what was said. Requests are reported
    /// the right way round; the caller goes on with its own directions.
    pub fn swapped(&self) -> bool {
        self.swapped
    }

    pub fn in_flight(&self) -> usize {
        match &self.state {
            State::Pinned(_, parser) => parser.in_flight(),
            _ => 0,
        }
    }

    /// See `Parser::needed_from`.
    pub fn needed_from(&self, direction: Direction) -> u64 {
        match &self.state {
            State::Pinned(_, parser) => parser.needed_from(direction),
            _ => u64::MAX,
        }
    }

    /// Requests without any answer. What cannot be told yet and got no answer at all is one.
    pub fn outstanding(&self) -> Outstanding {
        match &self.state {
            State::Pinned(_, parser) => parser.outstanding(),
            State::Detecting(detector) => detector.outstanding(),
            State::Done(_) | State::Unknown | State::Off => Outstanding::default(),
        }
    }

    /// How often the protocol was un-pinned because the stream was not what it had looked like.
    pub fn given_up(&self) -> u32 {
        self.unpinned
    }

    fn oriented(&self, direction: Direction) -> Direction {
        if self.swapped { direction.reverse() } else { direction }
    }

    #[inline]
    fn arrive(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        if matches!(self.state, State::Done(_) | State::Unknown | State::Off) || piece.end() > MAX_OFFSET {
            return;
        }
        let direction = self.oriented(direction);
        if self.held_since_ns.is_some() {
            self.release(piece.time_ns, false, sink);
        }
        if let State::Pinned(..) = self.state
            && let Some(bytes) = self.streams[direction as usize].takes_next(&piece)
        {
            return self.read_next(direction, &piece, bytes, sink);
        }
        let stream = &mut self.streams[direction as usize];
        match stream.turn(piece) {
            Turn::Late => {}
            Turn::Early => self.fill_holes(direction, piece.time_ns, false, sink),
            Turn::Next(piece) => {
                let waits = stream.waits();
                let direction = self.pass(direction, piece, sink);
                if waits {
                    self.fill_holes(direction, piece.time_ns, false, sink);
                }
            }
        }
    }

    /// Passes the early pieces whose turn has come; holes that will not be filled any more become gaps.
    fn fill_holes(&mut self, direction: Direction, now_ns: u64, all: bool, sink: &mut dyn Sink) {
        let mut direction = direction;
        loop {
            let stream = &mut self.streams[direction as usize];
            if let Some(due) = stream.due() {
                if let Turn::Next(piece) = stream.turn(due.piece()) {
                    direction = self.pass(direction, piece, sink);
                }
            } else if let Some(hole) = stream.hole(now_ns, all) {
                direction = self.pass(direction, hole, sink);
            } else {
                return;
            }
        }
    }

    /// The next piece in order. Returns its direction, which detection may have turned round.
    fn pass(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) -> Direction {
        self.streams[direction as usize].pass(&piece);
        let opens = self.hints.from_start && direction == Direction::ToServer && piece.offset == 0;
        let piece = match self.state {
            State::Detecting(_) if opens => match proxy::without_header(piece) {
                Some(piece) => piece,
                None => return direction,
            },
            _ => piece,
        };
        match &mut self.state {
            State::Pinned(..) => {
                self.read(direction, piece, sink);
                direction
            }
            State::Detecting(detector) => match detector.push(direction, &piece) {
                Decision::Wait => direction,
                Decision::Nothing => {
                    self.state = State::Unknown;
                    direction
                }
                Decision::Pin(protocol, swapped) => {
                    self.pin(protocol, swapped, sink);
                    let direction = if swapped { direction.reverse() } else { direction };
                    self.read(direction, piece, sink);
                    direction
                }
            },
            State::Done(_) | State::Unknown | State::Off => direction,
        }
    }

    /// From now on the connection speaks this protocol: what was kept meanwhile is read first.
    fn pin(&mut self, protocol: &'static Protocol, swapped: bool, sink: &mut dyn Sink) {
        let pinned = self.pinned(protocol);
        let State::Detecting(mut detector) = std::mem::replace(&mut self.state, pinned) else { return };
        if self.is_off() {
            return;
        }
        if swapped {
            self.swapped = !self.swapped;
            self.streams.reverse();
        }
        // Answers that were there before anything could be understood have lost their requests.
        self.holds &= detector.begins_with_a_message();
        if !detector.begins_with_a_message() {
            self.join(sink);
        }
        for kept in detector.take_journal() {
            let direction = if swapped { kept.direction.reverse() } else { kept.direction };
            self.read(direction, kept.piece(), sink);
        }
    }

    fn pinned(&self, protocol: &'static Protocol) -> State {
        match self.options.off.has(protocol) {
            true => State::Off,
            false => State::Pinned(protocol, (protocol.parser)(&self.options)),
        }
    }

    /// The parser does not see the beginning: both sides may be in the middle of something.
    fn join(&mut self, sink: &mut dyn Sink) {
        let State::Pinned(_, parser) = &mut self.state else { return };
        for direction in [Direction::ToServer, Direction::ToClient] {
            let stream = &mut self.streams[direction as usize];
            stream.searching = true;
            parser.gap(direction, stream.last_ns, sink);
        }
    }

    fn decide_at_end(&mut self, sink: &mut dyn Sink) {
        let State::Detecting(detector) = &self.state else { return };
        if let Some((protocol, swapped)) = detector.decide_at_end() {
            self.pin(protocol, swapped, sink);
        }
    }

    fn end_stream(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        self.fill_holes(direction, time_ns, true, sink);
        if direction == Direction::ToClient {
            self.release(time_ns, true, sink);
        }
        let stream = &mut self.streams[direction as usize];
        if std::mem::replace(&mut stream.ended, true) {
            return;
        }
        if let State::Pinned(_, parser) = &mut self.state {
            // What lasts until the end was complete with its last byte.
            let time_ns = if stream.skip_to > stream.next { stream.last_ns } else { time_ns };
            parser.end(direction, time_ns, sink);
        }
    }

    /// The parser has told all there is to tell.
    fn finish(&mut self, sink: &mut dyn Sink) {
        if let State::Pinned(protocol, _) = self.state {
            self.leave(State::Done(protocol), Unanswered::Closed, sink);
        }
    }

    fn unpin(&mut self, sink: &mut dyn Sink) {
        self.unpinned += 1;
        let next = if self.unpinned > MAX_UNPINNED { State::Unknown } else { self.detecting(false) };
        self.leave(next, Unanswered::Gap, sink);
    }

    fn detecting(&self, from_start: bool) -> State {
        let mut ports = [self.hints.client_port, self.hints.server_port];
        if self.swapped {
            ports.reverse();
        }
        State::Detecting(Box::new(Detector::new(from_start, ports)))
    }

    fn leave(&mut self, next: State, reason: Unanswered, sink: &mut dyn Sink) {
        let last_ns = self.streams.iter().map(|stream| stream.last_ns).max().unwrap_or_default();
        if let State::Pinned(_, mut parser) = std::mem::replace(&mut self.state, next) {
            parser.close(reason, last_ns, sink);
        }
        for stream in &mut self.streams {
            stream.clear();
            (stream.skip_to, stream.lost, stream.searching, stream.damaged, stream.invalid) =
                (0, false, false, false, 0);
        }
        self.held_since_ns = None;
    }

    /// The connection goes on in another protocol: what is left of both directions is the beginning of that.
    fn upgrade(
        &mut self,
        direction: Direction,
        to: Option<&'static str>,
        rest: Rest<'_>,
        end_offset: u64,
        sink: &mut dyn Sink,
    ) {
        self.upgrades += 1;
        let next = match to.and_then(|name| crate::PROTOCOLS.iter().find(|protocol| protocol.name == name)) {
            Some(protocol) if self.upgrades <= MAX_UPGRADES => self.pinned(protocol),
            _ if to.is_some() || self.upgrades > MAX_UPGRADES => State::Unknown,
            _ => self.detecting(true),
        };
        let other = direction.reverse();
        let other_kept = std::mem::take(&mut self.streams[other as usize].kept);
        let (other_next, times) =
            (self.streams[other as usize].next, self.streams.each_ref().map(|stream| stream.last_ns));
        self.leave(next, Unanswered::Closed, sink);
        for (direction, bytes, end) in [(direction, rest.bytes(), end_offset), (other, &other_kept[..], other_next)] {
            let length = bytes.len() as u64;
            if length > 0 {
                let (offset, time_ns) = (end.saturating_sub(length), times[direction as usize]);
                self.pass(direction, Piece { offset, length, time_ns, at_call: true, bytes: Some(bytes) }, sink);
            }
        }
    }
}
