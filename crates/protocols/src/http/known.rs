//! Heads that come again byte for byte, as many do on a connection that stays open: what they say is read once.

use super::Asked;
use super::head::StatusLine;
use limpid_model::{Details, Text};

/// A connection keeps little: there may be thousands.
const MAX_KNOWN_BYTES: usize = 512;
/// Where no head comes again it is not worth keeping each: after so many that differ, only every so-many-th.
const MANY: u8 = 16;

/// The last whole head of a direction, and what it said.
pub(super) struct Known<T> {
    head: Vec<u8>,
    said: Option<T>,
    misses: u8,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Known { head: Vec::new(), said: None, misses: 0 }
    }
}

impl<T> Known<T> {
    /// The length of the head that `data` begins with and what it says, if it is the known one.
    #[inline]
    pub fn get(&self, data: &[u8]) -> Option<(usize, &T)> {
        let said = self.said.as_ref()?;
        data.starts_with(&self.head).then_some((self.head.len(), said))
    }

    /// A head that was not known.
    pub fn learn(&mut self, head: &[u8], said: impl FnOnce() -> T) {
        self.misses = self.misses.wrapping_add(1).max(1);
        let worth_it = self.misses < MANY || self.misses.is_multiple_of(MANY);
        if head.len() <= MAX_KNOWN_BYTES && worth_it {
            self.head.clear();
            self.head.extend_from_slice(head);
            self.said = Some(said());
        }
    }

    pub fn is_known(&mut self) {
        self.misses = 0;
    }
}

/// What a request's head says.
#[derive(Clone)]
pub(super) struct RequestHead {
    pub operation: Text,
    pub route: Text,
    pub asked: Asked,
    /// `None`: chunked.
    pub body_bytes: Option<u64>,
    pub details: Option<Box<Details>>,
}

/// What the head of an answer says that upgrades nothing.
#[derive(Clone, Copy)]
pub(super) struct AnswerHead {
    pub line: StatusLine,
    /// `None`: chunked; `u64::MAX`: until the connection ends.
    pub body_bytes: Option<u64>,
}
