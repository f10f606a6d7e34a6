//! Which protocol a connection speaks.
//!
//! The first bytes of both directions are shown to every row of `PROTOCOLS`; what they say must agree. What passes
//! meanwhile is kept, so that the parser misses nothing. A connection that was joined in the middle gets a new chance
//! at each call, since any of them may begin a message; one that says nothing known for long enough is given up.

use crate::stream::Piece;
use crate::{Detection, Outstanding, PROTOCOLS, Protocol, tls};
use limpid_model::Direction;

/// Of each direction, shown to the protocols.
const MAX_WINDOW_BYTES: usize = 4 * 1024;
/// Kept for the parser.
const MAX_JOURNAL_BYTES: usize = 64 * 1024;
const MAX_JOURNAL: usize = 128;
/// Without a candidate after this much in both directions there is none.
const ENOUGH_CALLS: u32 = 16;
const ENOUGH_BYTES: u64 = 4 * 1024;
/// The same when one direction is silent: the rest of a long answer may pass before the next request shows itself.
const ENOUGH_CALLS_ONE_WAY: u32 = 4096;

#[derive(Clone, Copy)]
pub(crate) enum Decision {
    Wait,
    /// The protocol, and whether client and server are the other way round than they were said to be.
    Pin(&'static Protocol, bool),
    Nothing,
}

/// A piece that passed before the decision.
pub(crate) struct Kept {
    pub direction: Direction,
    offset: u64,
    length: u64,
    time_ns: u64,
    at_call: bool,
    bytes: Option<Box<[u8]>>,
}

impl Kept {
    fn new(direction: Direction, piece: &Piece<'_>) -> Self {
        let Piece { offset, length, time_ns, at_call, bytes } = *piece;
        Kept { direction, offset, length, time_ns, at_call, bytes: bytes.map(Box::from) }
    }

    pub fn piece(&self) -> Piece<'_> {
        let Kept { offset, length, time_ns, at_call, .. } = *self;
        Piece { offset, length, time_ns, at_call, bytes: self.bytes.as_deref() }
    }
}

/// What one direction has said since it began, or since its last unintelligible call.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    calls: u32,
    total_bytes: u64,
    /// A gap follows: there will be no more bytes in it.
    closed: bool,
    /// No protocol begins like this.
    rejected: bool,
    /// The window began later than the connection.
    moved: bool,
}

pub(crate) struct Detector {
    windows: [Window; 2],
    journal: Vec<Kept>,
    journal_bytes: usize,
    /// Who is client and who is server is known.
    from_start: bool,
    /// What is seen first need not be the first that was said.
    joined: bool,
    ports: [u16; 2],
}

impl Detector {
    /// `ports`: of the client and of the server.
    pub fn new(from_start: bool, ports: [u16; 2]) -> Self {
        Detector {
            windows: Default::default(),
            journal: Vec::new(),
            journal_bytes: 0,
            from_start,
            joined: !from_start,
            ports,
        }
    }

    /// Takes the next piece of a direction. On `Pin` the caller feeds `take_journal` and then this piece, which is not
    /// in the journal yet.
    pub fn push(&mut self, direction: Direction, piece: &Piece<'_>) -> Decision {
        let Some(bytes) = piece.bytes else {
            self.push_gap(direction, piece);
            return Decision::Wait;
        };
        self.open_window(direction, piece);
        let window = &mut self.windows[direction as usize];
        window.calls = window.calls.saturating_add(u32::from(piece.at_call));
        window.total_bytes = window.total_bytes.saturating_add(piece.length);
        if !window.closed && !window.rejected {
            let room = MAX_WINDOW_BYTES.saturating_sub(window.bytes.len());
            window.bytes.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or(bytes));
            let decision = self.decide();
            if !matches!(decision, Decision::Wait) {
                return decision;
            }
        }
        if self.windows[direction as usize].rejected {
            // Kept pieces must have no holes, and this one is not kept.
            self.forget(direction);
        } else {
            self.keep(direction, piece);
        }
        if self.is_enough() { Decision::Nothing } else { Decision::Wait }
    }

    /// The connection ended undecided: a lone "could be" on a port of that protocol is taken for one.
    pub fn decide_at_end(&self) -> Option<(&'static Protocol, bool)> {
        let [to_server, to_client] = &self.windows;
        let one_sided = to_client.bytes.is_empty() && !to_server.bytes.is_empty() && !to_server.rejected;
        let protocol = PROTOCOLS.iter().find(|protocol| {
            protocol.ports.contains(&self.ports[1])
                && (protocol.detect)(Direction::ToServer, &to_server.bytes) == Detection::Maybe
        })?;
        (one_sided && self.from_start && !to_server.moved).then_some((protocol, false))
    }

    /// What was kept begins where both sides begin a message; else a parser must look for its first one.
    pub fn begins_with_a_message(&self) -> bool {
        !self.joined && !self.windows.iter().any(|window| window.moved || window.rejected)
    }

    pub fn take_journal(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.journal)
    }

    /// A client that has said something and has heard nothing.
    pub fn outstanding(&self) -> Outstanding {
        let [to_server, to_client] = &self.windows;
        let asked = self.journal.first().filter(|kept| kept.direction == Direction::ToServer);
        match asked {
            Some(asked) if !self.joined && to_server.total_bytes > 0 && to_client.total_bytes == 0 => {
                Outstanding { requests: 1, since_ns: asked.time_ns }
            }
            _ => Outstanding::default(),
        }
    }

    fn push_gap(&mut self, direction: Direction, piece: &Piece<'_>) {
        let window = &mut self.windows[direction as usize];
        window.total_bytes = window.total_bytes.saturating_add(piece.length);
        if window.bytes.is_empty() {
            // The beginning was not seen: from here on the rules are those of a connection joined in the middle.
            window.rejected = true;
            self.joined = true;
            return;
        }
        window.closed = true;
        self.keep(direction, piece);
    }

    /// Begins anew where a call begins, if what came before was nothing.
    fn open_window(&mut self, direction: Direction, piece: &Piece<'_>) {
        let window = &mut self.windows[direction as usize];
        if window.bytes.is_empty() && !piece.at_call {
            window.rejected = true;
        }
        // STARTTLS, in whichever protocol: what came before may still look like the beginning of something.
        let hello = !window.bytes.is_empty() && tls::is_hello(direction, piece.bytes.unwrap_or_default());
        if (window.rejected || hello) && piece.at_call {
            window.bytes.clear();
            (window.closed, window.rejected, window.moved) = (false, false, true);
            self.forget(direction);
        }
    }

    fn forget(&mut self, direction: Direction) {
        self.journal.retain(|kept| kept.direction != direction);
        self.journal_bytes = self.journal.iter().map(|kept| kept.bytes.as_ref().map_or(0, |bytes| bytes.len())).sum();
    }

    fn keep(&mut self, direction: Direction, piece: &Piece<'_>) {
        let length = piece.bytes.map_or(0, <[u8]>::len);
        if self.journal.len() < MAX_JOURNAL && self.journal_bytes + length <= MAX_JOURNAL_BYTES {
            self.journal_bytes += length;
            self.journal.push(Kept::new(direction, piece));
            return;
        }
        // Too much to keep: a gap in the window, as if the capture had lost it.
        match self.journal.iter_mut().rev().find(|kept| kept.direction == direction) {
            Some(last) if last.bytes.is_none() => last.length = last.length.saturating_add(piece.length),
            _ => self.journal.push(Kept::new(direction, &Piece { bytes: None, ..*piece })),
        }
    }

    fn decide(&mut self) -> Decision {
        let mut best: Option<(u8, &'static Protocol, bool)> = None;
        let mut possible = [false; 2];
        for protocol in PROTOCOLS {
            let as_told = self.ask(protocol, false);
            for swapped in [false, true] {
                if swapped && self.from_start {
                    continue;
                }
                let said = if swapped { self.ask(protocol, true) } else { as_told };
                for (possible, said) in possible.iter_mut().zip(said) {
                    *possible |= said.is_some_and(|said| said != Detection::No);
                }
                // One side alone, and it may well be who it was said to be: a list in an answer of Redis looks like a command.
                let doubtful = swapped
                    && said.contains(&None)
                    && as_told.iter().any(|said| said.is_some_and(|said| said != Detection::No));
                let score = if doubtful { 0 } else { self.score(protocol, swapped, said) };
                if score > 0 && best.is_none_or(|(best, ..)| score > best) {
                    best = Some((score, protocol, swapped));
                }
            }
        }
        if let Some((_, protocol, swapped)) = best {
            return Decision::Pin(protocol, swapped);
        }
        for (window, possible) in self.windows.iter_mut().zip(possible) {
            window.rejected |= !window.bytes.is_empty() && !possible;
        }
        Decision::Wait
    }

    /// What a protocol says of the two windows; `None` where there is nothing to look at.
    fn ask(&self, protocol: &Protocol, swapped: bool) -> [Option<Detection>; 2] {
        [Direction::ToServer, Direction::ToClient].map(|direction| {
            let window = &self.windows[direction as usize];
            let direction = if swapped { direction.reverse() } else { direction };
            (!window.bytes.is_empty()).then(|| match (protocol.detect)(direction, &window.bytes) {
                // It will not get longer.
                Detection::More if window.closed || window.bytes.len() >= MAX_WINDOW_BYTES => Detection::No,
                said => said,
            })
        })
    }

    /// 0 is no; certainty counts most, then a known port, then that nobody need be swapped.
    fn score(&self, protocol: &Protocol, swapped: bool, said: [Option<Detection>; 2]) -> u8 {
        use Detection::{Maybe, No, Yes};
        let moved = self.windows.iter().any(|window| window.moved);
        let server_port = self.ports[usize::from(!swapped)];
        let known_port = protocol.ports.contains(&server_port);
        let certainty = match said {
            [Some(Yes), Some(Yes)] => 3,
            // Joined in the middle, or after something else: the other side may be inside of a message.
            [Some(Yes), Some(No)] | [Some(No), Some(Yes)] if !self.joined && !moved => 0,
            [Some(Yes), _] | [_, Some(Yes)] => 2,
            // In the middle of something a mere likeness proves nothing.
            [Some(Maybe), Some(Maybe)] if known_port && self.joined || !self.joined && !moved => 1,
            _ => 0,
        };
        if certainty == 0 { 0 } else { certainty * 4 + u8::from(known_port) * 2 + u8::from(!swapped) }
    }

    fn is_enough(&self) -> bool {
        let [a, b] = &self.windows;
        let bytes_tell = !self.joined;
        let each = |window: &Window| window.calls >= ENOUGH_CALLS || bytes_tell && window.total_bytes >= ENOUGH_BYTES;
        let candidate = [a, b].iter().any(|window| !window.bytes.is_empty() && !window.rejected);
        let both = each(a) && each(b) && (!candidate || a.calls.min(b.calls) >= ENOUGH_CALLS);
        both || a.calls.saturating_add(b.calls) >= ENOUGH_CALLS_ONE_WAY
    }
}
