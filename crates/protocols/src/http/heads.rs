//! How long the heads of a connection are. Most connections repeat themselves: once that is known, far fewer bytes of
//! each call need be copied than a head could have.

/// Heads after which the longest of them says something.
const ENOUGH_HEADS: u32 = 16;
/// Room for the next one to be longer, and the step in which more is asked for.
const ROOM_BYTES: usize = 64;
const STEP_BYTES: usize = 128;
/// More than this is not worth a limit of its own.
const MOST_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Heads {
    seen: u32,
    longest: usize,
    /// Something else than heads is looked for in the bytes, or a head was longer than what was copied.
    varies: bool,
}

impl Heads {
    /// A head was read. A body without a length is read itself: its end must be seen.
    #[inline]
    pub fn note(&mut self, head_length: usize, body_bytes: Option<u64>) {
        self.seen = self.seen.saturating_add(1);
        self.longest = self.longest.max(head_length);
        self.varies |= body_bytes.is_none_or(|bytes| bytes > u64::MAX / 2);
    }

    pub fn vary(&mut self) {
        self.varies = true;
    }

    /// So many bytes of each call suffice; `None` as long as nobody knows.
    pub fn enough(&self) -> Option<u32> {
        let bytes = self.longest.saturating_add(ROOM_BYTES).next_multiple_of(STEP_BYTES);
        let known = self.seen >= ENOUGH_HEADS && !self.varies && bytes <= MOST_BYTES;
        known.then_some(bytes as u32)
    }
}
