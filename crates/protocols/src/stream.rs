//! One direction of a connection: puts pieces in order, and keeps what the parser has not taken yet.
//!
//! Pieces come with absolute offsets and may overlap, repeat and come out of order. What is next in order passes
//! straight through; what is early waits, bounded in number, bytes and time, after which the hole in front of it
//! counts as a gap.

/// Bytes of a message that the parser has not taken; more is a gap.
pub(crate) const MAX_KEPT_BYTES: usize = 64 * 1024;
const MAX_EARLY: usize = 64;
const MAX_EARLY_BYTES: usize = 256 * 1024;
/// A retransmission takes some round trips, an event of another CPU some microseconds; longer is lost.
const EARLY_NS: u64 = 2_000_000_000;
/// Pieces of one message whose times are told apart.
const MAX_TIMES: usize = 256;
const MAX_CALLS: usize = 64;

/// Bytes at their place in the stream; without `bytes` a gap: they passed and will never be had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub offset: u64,
    pub length: u64,
    pub time_ns: u64,
    /// The first byte is the first of a call or segment.
    pub at_call: bool,
    pub bytes: Option<&'a [u8]>,
}

impl<'a> Piece<'a> {
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// What is left of it from `offset` on; `None` if nothing.
    pub fn from(mut self, offset: u64) -> Option<Piece<'a>> {
        if offset >= self.end() {
            return None;
        }
        let cut = offset.saturating_sub(self.offset);
        if cut > 0 {
            self.offset = offset;
            self.length -= cut;
            self.at_call = false;
            self.bytes = self.bytes.and_then(|bytes| bytes.get(cut as usize..));
        }
        Some(self)
    }
}

struct Early {
    offset: u64,
    length: u64,
    time_ns: u64,
    at_call: bool,
    bytes: Option<Box<[u8]>>,
}

impl Early {
    fn piece(&self) -> Piece<'_> {
        let Early { offset, length, time_ns, at_call, .. } = *self;
        Piece { offset, length, time_ns, at_call, bytes: self.bytes.as_deref() }
    }
}

/// An early piece whose turn has come.
pub(crate) struct Due(Early);

impl Due {
    pub fn piece(&self) -> Piece<'_> {
        self.0.piece()
    }
}

pub(crate) enum Turn<'a> {
    /// Seen before.
    Late,
    /// Kept until what is before it has come.
    Early,
    Next(Piece<'a>),
}

#[derive(Default)]
pub(crate) struct Stream {
    started: bool,
    /// Offset of the next byte in order.
    pub next: u64,
    /// Sorted by offset.
    early: Vec<Early>,
    early_bytes: usize,
    /// Bytes before this offset are not needed.
    pub skip_to: u64,
    /// The bytes just before `next` that the parser has not taken.
    pub kept: Vec<u8>,
    /// Offset of the first of them.
    pub kept_from: u64,
    /// When the pieces of `kept` (or of what is being parsed) came.
    pub times: Vec<(usize, u64)>,
    /// Offsets in there where a call begins.
    pub calls: Vec<u64>,
    /// The parser asked for at least this many bytes.
    pub need: usize,
    /// The parser has lost its way: it may try again where a call begins.
    pub lost: bool,
    /// It is trying: what it does not understand is no new damage.
    pub searching: bool,
    /// It lost its way because of what it read and not because of a gap.
    pub damaged: bool,
    /// `Invalid`s in a row.
    pub invalid: u32,
    pub last_ns: u64,
    /// `last_ns` as it was before the present piece.
    pub before_ns: u64,
    pub ended: bool,
}

impl Stream {
    pub fn starting_at_zero() -> Self {
        Stream { started: true, ..Stream::default() }
    }

    /// Sorts a piece into the order.
    pub fn turn<'a>(&mut self, piece: Piece<'a>) -> Turn<'a> {
        if !self.started {
            self.started = true;
            self.next = piece.offset;
        }
        if piece.offset > self.next && piece.offset > self.skip_to {
            self.keep_early(piece);
            return Turn::Early;
        }
        // A hole in what is skipped anyway is no loss.
        self.next = self.next.max(piece.offset);
        piece.from(self.next).map_or(Turn::Late, Turn::Next)
    }

    fn keep_early(&mut self, piece: Piece<'_>) {
        let at = self.early.partition_point(|early| early.offset <= piece.offset);
        let known = at.checked_sub(1).and_then(|before| self.early.get(before));
        if known.is_some_and(|known| known.piece().end() >= piece.end()) {
            return;
        }
        self.early_bytes += piece.bytes.map_or(0, <[u8]>::len);
        let Piece { offset, length, time_ns, at_call, bytes } = piece;
        self.early.insert(at, Early { offset, length, time_ns, at_call, bytes: bytes.map(Box::from) });
    }

    /// The first early piece, once nothing is missing before it.
    pub fn due(&mut self) -> Option<Due> {
        let first = self.early.first()?;
        if first.offset > self.next && first.offset > self.skip_to {
            return None;
        }
        let first = self.early.remove(0);
        self.early_bytes -= first.bytes.as_deref().map_or(0, <[u8]>::len);
        Some(Due(first))
    }

    /// The hole before the first early piece, when it will not be filled any more.
    pub fn hole(&self, now_ns: u64, all: bool) -> Option<Piece<'static>> {
        let first = self.early.first()?;
        let overfull = self.early.len() > MAX_EARLY || self.early_bytes > MAX_EARLY_BYTES;
        let old = || self.early.iter().any(|early| early.time_ns.saturating_add(EARLY_NS) <= now_ns);
        if !(all || overfull || old()) {
            return None;
        }
        let length = first.offset.saturating_sub(self.next);
        Some(Piece { offset: self.next, length, time_ns: first.time_ns, at_call: false, bytes: None })
    }

    /// The bytes of a piece that is next in order, while nothing is kept, skipped, awaited or searched for: nearly all.
    #[inline]
    pub fn takes_next<'a>(&self, piece: &Piece<'a>) -> Option<&'a [u8]> {
        let plain = self.started
            && piece.offset == self.next
            && piece.at_call
            && self.skip_to == 0
            && !self.lost
            && self.kept.is_empty()
            && self.early.is_empty();
        piece.bytes.filter(|bytes| plain && !bytes.is_empty())
    }

    /// The piece is the next in order.
    #[inline]
    pub fn pass(&mut self, piece: &Piece<'_>) {
        self.next = piece.end();
        self.before_ns = self.last_ns;
        self.last_ns = self.last_ns.max(piece.time_ns);
    }

    /// Notes where and when a piece joins what is being parsed, `at` bytes behind its front.
    pub fn note(&mut self, at: usize, piece: &Piece<'_>) {
        if piece.at_call && self.calls.len() < MAX_CALLS {
            self.calls.push(piece.offset);
        }
        if self.times.last().is_some_and(|(_, time_ns)| *time_ns == piece.time_ns) {
            return;
        }
        if self.times.len() >= MAX_TIMES {
            self.times.pop();
        }
        self.times.push((at, piece.time_ns));
    }

    /// The parser took this many bytes from the front.
    #[inline]
    pub fn took(&mut self, count: usize) {
        if self.times.len() <= 1 {
            return;
        }
        let passed = self.times.partition_point(|(at, _)| *at <= count).saturating_sub(1);
        self.times.drain(..passed);
        self.times.iter_mut().for_each(|(at, _)| *at = at.saturating_sub(count));
    }

    #[inline]
    pub fn begins_call(&self, offset: u64) -> bool {
        self.calls.contains(&offset)
    }

    pub fn next_call(&self, behind: u64) -> Option<u64> {
        self.calls.iter().copied().filter(|call| *call > behind).min()
    }

    /// Forgets what was kept.
    #[inline]
    pub fn clear(&mut self) {
        self.kept.clear();
        self.times.clear();
        self.calls.clear();
        self.need = 0;
        if self.kept.capacity() > MAX_KEPT_BYTES {
            self.kept.shrink_to(0);
        }
    }

    pub fn lose(&mut self, damaged: bool) {
        self.clear();
        self.lost = true;
        self.searching = false;
        self.damaged = damaged;
    }

    pub fn waits(&self) -> bool {
        !self.early.is_empty()
    }
}
