//! Drives the pinned parser: what it is shown, what it leaves, and where it loses and finds its way.

use super::{Connection, HOLD_NS, MAX_INVALID, MAX_STEPS_IN_GAP, State};
use crate::stream::{MAX_KEPT_BYTES, Piece};
use crate::{Input, Sink, Step};
use limpid_model::Direction;

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
    /// Nothing more is wanted.
    Enough,
}

impl Connection {
    /// Hands a piece to the pinned parser, except what it does not need of it.
    pub(super) fn read(&mut self, direction: Direction, piece: Piece<'_>, sink: &mut dyn Sink) {
        let mut piece = piece;
        for _ in 0..MAX_STEPS_IN_GAP {
            let State::Pinned(_, parser) = &mut self.state else {
                // Un-pinned while the journal was read: the rest begins a new detection.
                self.pass_on(direction, piece, sink);
                return;
            };
            let stream = &mut self.streams[direction as usize];
            if stream.skip_to > 0 {
                if piece.end() < stream.skip_to {
                    return;
                }
                let skip_to = std::mem::take(&mut stream.skip_to);
                // Where the end of what is skipped was not seen, the last that was seen of it is the nearest that is known.
                let end_ns = if piece.offset < skip_to { piece.time_ns } else { stream.before_ns };
                parser.skipped(direction, end_ns, sink);
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

    /// `read` for a piece that its stream `takes_next`: the usual case, without the questions that are answered already.
    #[inline]
    pub(super) fn read_next(&mut self, direction: Direction, piece: &Piece<'_>, bytes: &[u8], sink: &mut dyn Sink) {
        let stream = &mut self.streams[direction as usize];
        stream.pass(piece);
        stream.note(0, piece);
        let (taken, end) = self.run(direction, bytes, piece.offset, 0, true, sink);
        if matches!(end, End::Done) && self.held_since_ns.is_none() {
            self.streams[direction as usize].clear();
            return;
        }
        self.settle(direction, Rest::Slice(bytes.get(taken..).unwrap_or_default()), end, piece.end(), sink);
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
                Step::Done => return (data.len(), End::Enough),
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
            End::Enough => return self.finish(sink),
            End::Other(to) => return self.upgrade(direction, to, rest, end_offset, sink),
        }
        self.answer_held(direction, sink);
    }

    /// A request was read: the answers that were there before it can be read now.
    pub(super) fn answer_held(&mut self, direction: Direction, sink: &mut dyn Sink) {
        if direction == Direction::ToServer && self.held_since_ns.is_some() && self.in_flight() > 0 {
            self.held_since_ns = None;
            self.read_held(true, sink);
        }
    }

    /// Reads answers that were held back for too long all the same.
    pub(super) fn release(&mut self, now_ns: u64, all: bool, sink: &mut dyn Sink) {
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
}

/// What the parser left of its input.
pub(super) enum Rest<'a> {
    Slice(&'a [u8]),
    Owned(Vec<u8>),
}

impl Rest<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
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
