//! Handshake messages: they may be split over records, and a record may hold several.

/// Of one message at most; of a longer one the front is told. A chain of certificates begins with the one that matters.
const MAX_MESSAGE_BYTES: usize = 24 * 1024;
/// A message that says to be longer is none: its bytes are encrypted, or damaged.
const MAX_LENGTH: usize = 1 << 18;
const HEADER_BYTES: usize = 4;

#[derive(Default)]
pub(crate) struct Messages {
    kept: Vec<u8>,
    /// Bytes that still belong to a message which was told of.
    skip: usize,
}

impl Messages {
    /// Takes the next bytes. Calls `each` with a message's type and what there is of its body; returns whether they are
    /// messages at all.
    pub fn push(&mut self, bytes: &[u8], is_message: fn(u8) -> bool, mut each: impl FnMut(u8, &[u8])) -> bool {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.kept.extend_from_slice(bytes.get(skipped..).unwrap_or_default());
        let mut done = 0;
        let sound = loop {
            let Some([kind, a, b, c, rest @ ..]) = self.kept.get(done..) else { break true };
            let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
            if !is_message(*kind) || length > MAX_LENGTH {
                break false;
            }
            if let Some(body) = rest.get(..length) {
                each(*kind, body);
                done += HEADER_BYTES + length;
            } else if rest.len() >= MAX_MESSAGE_BYTES {
                each(*kind, rest);
                self.skip = length - rest.len();
                done = self.kept.len();
            } else {
                break true;
            }
        };
        if sound {
            drop(self.kept.drain(..done))
        } else {
            self.kept.clear()
        }
        sound
    }

    /// What follows is lost: tells what there is of the message that has begun.
    pub fn cut(&mut self, mut each: impl FnMut(u8, &[u8])) {
        if let [kind, _, _, _, body @ ..] = self.kept.as_slice() {
            each(*kind, body);
        }
        *self = Messages::default();
    }
}
