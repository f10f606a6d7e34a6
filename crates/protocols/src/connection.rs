//! The engine of one connection.
//!
//! What the capture delivers is put in order (`stream`), shown to the table of protocols until one fits (`detect`),
//! and then driven through that protocol's [`Parser`]. In the usual case, in order and nothing left over, the parser
//! reads straight from the caller's slice.

use crate::detect::{Decision, Detector};
use crate::protocols::Capture;
use crate::stream::{MAX_KEPT_BYTES, Piece, Stream, Turn};
use crate::{Input, Parser, Protocol, Sink, Step};
use limpid_model::{Direction, Unanswered};

/// `Invalid`s in a row after which this is not the protocol.
const MAX_INVALID: u32 = 8;
/// Times that a connection may turn out to be something else than it looked like.
const MAX_UNPINNED: u32 = 2;
/// Upgrades of one connection; a tunnel in a tunnel has two.
const MAX_UPGRADES: u32 = 4;
/// An answer may be seen before its request, when they come from different CPUs; not for longer than this.
const HOLD_NS: u64 = 100_000_000;
/// Below this a verdict costs more than the bytes it saves.
const MIN_SKIP_BYTES: u64 = 16 * 1024;
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

enum State {
    Detecting(Box<Detector>),
    Pinned(&'static Protocol, Box<dyn Parser>),
    /// Not a protocol of ours.
    Unknown,
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

/// Why a run of the parser ended.
enum End {
    /// Everything was taken.
    Done,
    /// The rest is too short for the parser.
    Need(usize),
    /// The rest waits for a request.
    Held,
    /// Everything was taken, and bytes up to this offset are not needed.
    Skip(u64),
    Lost,
    /// The rest is of another protocol.
    Other(Option<&'static str>),
    /// Too much of it was not the protocol.
    Unpin,
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
            State::Pinned(protocol, _) => Verdict::Pinned(protocol.capture),
            State::Unknown => Verdict::Pinned(Capture::Nothing),
        }
    }

    pub fn protocol(&self) -> Option<&'static Protocol> {
        match &self.state {
            State::Pinned(protocol, _) => Some(protocol),
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

    /// How often the protocol was un-pinned because the stream was not what it had looked like.
    pub fn given_up(&self) -> u32 {
        self.unpinned
    }

    fn oriented(&self, direction: Direction) -> Direction {
        if self.swapped { direction.reverse() } else { direction }
    }

    fn arrive(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        if matches!(self.state, State::Unknown) || piece.end() > MAX_OFFSET {
            return;
        }
        let direction = self.oriented(direction);
        if self.held_since_ns.is_some() {
            self.release(piece.time_ns, false, sink);
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
        let stream = &mut self.streams[direction as usize];
        stream.next = piece.end();
        stream.last_ns = stream.last_ns.max(piece.time_ns);
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
            State::Unknown => direction,
        }
    }

    /// From now on the connection speaks this protocol: what was kept meanwhile is read first.
    fn pin(&mut self, protocol: &'static Protocol, swapped: bool, sink: &mut dyn Sink) {
        let pinned = State::Pinned(protocol, (protocol.parser)(&self.options));
        let State::Detecting(mut detector) = std::mem::replace(&mut self.state, pinned) else { return };
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

    /// Hands a piece to the pinned parser, except what it does not need of it.
    fn read(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        let mut piece = piece;
        for _ in 0..MAX_STEPS_IN_GAP {
            let State::Pinned(_, parser) = &mut self.state else {
                // Un-pinned while the journal was read: the rest begins a new detection.
                self.pass_on(direction, piece, sink);
                return;
            };
            let stream = &mut self.streams[direction as usize];
            if stream.skip_to > piece.offset {
                if piece.end() < stream.skip_to {
                    return;
                }
                let skip_to = std::mem::take(&mut stream.skip_to);
                parser.skipped(direction, piece.time_ns, sink);
                let Some(rest) = piece.from(skip_to) else {
                    self.answer_held(direction, sink);
                    return;
                };
                piece = rest;
                continue;
            }
            if piece.bytes.is_some() {
                self.read_bytes(direction, piece, sink);
                return;
            }
            if !self.read_gap(direction, piece, sink) {
                return;
            }
        }
        self.lose(direction, piece.time_ns, true, sink);
    }

    fn pass_on(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        if let State::Detecting(_) = self.state {
            self.pass(direction, piece, sink);
        }
    }

    fn read_bytes(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        let Some(bytes) = piece.bytes else { return };
        let stream = &mut self.streams[direction as usize];
        if stream.lost {
            if !piece.at_call {
                return;
            }
            (stream.lost, stream.searching) = (false, true);
        }
        if stream.kept.is_empty() {
            stream.note(0, &piece);
            let (taken, end) = self.run(direction, bytes, piece.offset, 0, true, sink);
            let rest = bytes.get(taken..).unwrap_or_default();
            self.settle(direction, Rest::Slice(rest), end, piece.end(), sink);
            return;
        }
        let mut kept = std::mem::take(&mut stream.kept);
        let start = stream.kept_from;
        if start + kept.len() as u64 != piece.offset {
            // Never to be: what was kept and what comes have bytes missing between them.
            self.lose(direction, piece.time_ns, false, sink);
            return self.read_bytes(direction, piece, sink);
        }
        stream.note(kept.len(), &piece);
        kept.extend_from_slice(bytes);
        if kept.len() < stream.need {
            stream.kept = kept;
            return;
        }
        let (taken, end) = self.run(direction, &kept, start, 0, true, sink);
        kept.drain(..taken);
        self.settle(direction, Rest::Owned(kept), end, piece.end(), sink);
    }

    /// A gap where the parser stands. Returns whether it wants to skip into it.
    fn read_gap(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) -> bool {
        let stream = &mut self.streams[direction as usize];
        if stream.lost {
            return false;
        }
        let kept = std::mem::take(&mut stream.kept);
        let start = piece.offset.saturating_sub(kept.len() as u64);
        stream.note(kept.len(), &piece);
        let (taken, end) = self.run(direction, &kept, start, piece.length, false, sink);
        match end {
            End::Skip(_) => {
                self.settle(direction, Rest::Slice(&[]), end, piece.offset, sink);
                return true;
            }
            End::Done | End::Need(_) | End::Held => self.lose(direction, piece.time_ns, false, sink),
            _ => self.settle(direction, Rest::Slice(kept.get(taken..).unwrap_or_default()), end, piece.offset, sink),
        }
        false
    }

    /// Calls the parser until it needs more. Returns how many bytes it took.
    fn run(
        &mut self,
        direction: Direction,
        data: &[u8],
        start: u64,
        gap_after: u64,
        hold: bool,
        sink: &mut dyn Sink,
    ) -> (usize, End) {
        let State::Pinned(_, parser) = &mut self.state else { return (0, End::Done) };
        let stream = &mut self.streams[direction as usize];
        let hold = hold && self.holds && direction == Direction::ToClient;
        let (mut taken, mut idle) = (0, false);
        loop {
            let rest = data.get(taken..).unwrap_or_default();
            if rest.is_empty() && (gap_after == 0 || idle) {
                return (taken, End::Done);
            }
            if hold && parser.in_flight() == 0 {
                return (taken, End::Held);
            }
            let offset = start.saturating_add(taken as u64);
            let at_call = stream.begins_call(offset);
            idle = rest.is_empty();
            match parser.parse(direction, Input { data: rest, offset, times: &stream.times, gap_after, at_call }, sink)
            {
                Step::Need(need) => return (taken, End::Need(need)),
                Step::Taken(count) if count > rest.len() as u64 => {
                    (stream.searching, stream.invalid) = (false, 0);
                    self.holds = true;
                    return (data.len(), End::Skip(offset.saturating_add(count)));
                }
                Step::Taken(count) if count > 0 => {
                    taken += count as usize;
                    stream.took(count as usize);
                    (stream.searching, stream.invalid) = (false, 0);
                    self.holds |= direction == Direction::ToServer;
                }
                Step::Upgrade(to) => return (taken, End::Other(to)),
                Step::Taken(_) | Step::Invalid(_) => {
                    if !stream.searching || stream.damaged {
                        stream.invalid += 1;
                    }
                    if stream.invalid >= MAX_INVALID {
                        return (taken, End::Unpin);
                    }
                    if !stream.searching {
                        parser.gap(direction, stream.last_ns, sink);
                        (stream.searching, stream.damaged) = (true, true);
                    }
                    let Some(call) = stream.next_call(offset) else { return (taken, End::Lost) };
                    let count = rest.len().min((call - offset) as usize);
                    taken += count;
                    stream.took(count);
                }
            }
        }
    }

    /// Keeps what the parser left, and does what it asked for. `end_offset` is just behind the bytes.
    fn settle(&mut self, direction: Direction, rest: Rest<'_>, end: End, end_offset: u64, sink: &mut dyn Sink) {
        let stream = &mut self.streams[direction as usize];
        match end {
            End::Done => stream.clear(),
            End::Skip(to) => {
                stream.clear();
                stream.skip_to = to;
            }
            End::Need(need) => {
                if need.max(rest.len()) > MAX_KEPT_BYTES {
                    self.lose(direction, self.streams[direction as usize].last_ns, false, sink);
                    return;
                }
                stream.kept_from = end_offset.saturating_sub(rest.len() as u64);
                rest.keep_in(&mut stream.kept);
                stream.need = need;
            }
            End::Held => {
                let full = rest.len() > MAX_KEPT_BYTES;
                stream.kept_from = end_offset.saturating_sub(rest.len() as u64);
                rest.keep_in(&mut stream.kept);
                let since_ns = stream.times.first().map_or(stream.last_ns, |(_, time_ns)| *time_ns);
                self.held_since_ns.get_or_insert(since_ns);
                if full {
                    self.release(u64::MAX, true, sink);
                }
                return;
            }
            End::Lost => {
                let damaged = stream.damaged;
                stream.lose(damaged);
            }
            End::Unpin => return self.unpin(sink),
            End::Other(to) => return self.upgrade(direction, to, rest, end_offset, sink),
        }
        self.answer_held(direction, sink);
    }

    /// A request was read: the answers that were there before it can be read now.
    fn answer_held(&mut self, direction: Direction, sink: &mut dyn Sink) {
        if direction == Direction::ToServer && self.held_since_ns.is_some() && self.in_flight() > 0 {
            self.held_since_ns = None;
            self.read_held(true, sink);
        }
    }

    /// Reads answers that were held back for too long all the same.
    fn release(&mut self, now_ns: u64, all: bool, sink: &mut dyn Sink) {
        let Some(since_ns) = self.held_since_ns else { return };
        if !all && since_ns.saturating_add(HOLD_NS) > now_ns {
            return;
        }
        // The server has answered, so it has read what is missing here: it will not be sent again.
        self.fill_holes(Direction::ToServer, now_ns, true, sink);
        if self.held_since_ns.take().is_some() {
            self.read_held(false, sink);
        }
    }

    fn read_held(&mut self, hold: bool, sink: &mut dyn Sink) {
        let stream = &mut self.streams[Direction::ToClient as usize];
        let mut kept = std::mem::take(&mut stream.kept);
        let start = stream.kept_from;
        let end_offset = start.saturating_add(kept.len() as u64);
        let (taken, end) = self.run(Direction::ToClient, &kept, start, 0, hold, sink);
        kept.drain(..taken);
        self.settle(Direction::ToClient, Rest::Owned(kept), end, end_offset, sink);
    }

    /// Bytes are missing where the parser needs them.
    fn lose(&mut self, direction: Direction, time_ns: u64, damaged: bool, sink: &mut dyn Sink) {
        let stream = &mut self.streams[direction as usize];
        let known = stream.searching;
        stream.lose(damaged);
        if let State::Pinned(_, parser) = &mut self.state
            && !known
        {
            parser.gap(direction, time_ns, sink);
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
            Some(protocol) if self.upgrades <= MAX_UPGRADES => {
                State::Pinned(protocol, (protocol.parser)(&self.options))
            }
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

/// What the parser left of its input.
enum Rest<'a> {
    Slice(&'a [u8]),
    Owned(Vec<u8>),
}

impl Rest<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Rest::Slice(bytes) => bytes,
            Rest::Owned(bytes) => bytes,
        }
    }

    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn keep_in(self, kept: &mut Vec<u8>) {
        match self {
            Rest::Slice(bytes) => kept.extend_from_slice(bytes),
            Rest::Owned(bytes) => *kept = bytes,
        }
    }
}
