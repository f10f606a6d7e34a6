//! The names of attributes, each looked at once a message.

use crate::attributes::key_value;
use hashbrown::HashMap;

/// What is known of an attribute's name.
#[derive(Clone, Copy)]
struct Name<'a, T> {
    text: &'a str,
    /// Which one came after it the last time.
    next: usize,
    what: T,
    /// The last `KeyValue` with this name, and the `AnyValue` in it.
    last: (&'a [u8], &'a [u8]),
}

/// The names of attributes. Spans of one kind have them in the same order, and most with the same values: so the one that
/// came after this one before is tried first, and mostly nothing has to be parsed or looked up.
pub struct Names<'a, T> {
    names: Vec<Name<'a, T>>,
    known: HashMap<&'a str, usize>,
    previous: usize,
}

/// Beyond it a name is looked at anew every time.
const MAX_NAMES: usize = 4096;

/// An attribute as it was found: its name, its encoded `AnyValue`, and what was learnt of the name.
pub type Found<'a, T> = (&'a str, &'a [u8], T);

impl<'a, T: Copy> Names<'a, T> {
    pub fn new() -> Self {
        Names { names: Vec::new(), known: HashMap::new(), previous: 0 }
    }

    /// Reads a `KeyValue`; `learn` says what an unknown name is.
    #[inline]
    pub fn get(&mut self, message: &'a [u8], learn: impl FnOnce(&'a str, &'a [u8]) -> T) -> Found<'a, T> {
        let guess = self.names.get(self.previous).map_or(0, |name| name.next);
        if let Some(name) = self.names.get_mut(guess) {
            if name.last.0 == message {
                self.previous = guess;
                return (name.text, name.last.1, name.what);
            }
            let (key, value) = pair(message);
            if name.text.as_bytes() == key {
                name.last = (message, value);
                self.previous = guess;
                return (name.text, value, name.what);
            }
        }
        self.look_up(message, learn)
    }

    fn look_up(&mut self, message: &'a [u8], learn: impl FnOnce(&'a str, &'a [u8]) -> T) -> Found<'a, T> {
        let (key, value) = pair(message);
        let text = std::str::from_utf8(key).unwrap_or_default();
        let found = match self.known.get(text) {
            Some(found) => *found,
            None if self.names.len() >= MAX_NAMES => return (text, value, learn(text, value)),
            None => {
                self.names.push(Name { text, next: 0, what: learn(text, value), last: (message, value) });
                self.known.insert(text, self.names.len() - 1);
                self.names.len() - 1
            }
        };
        if let Some(previous) = self.names.get_mut(self.previous) {
            previous.next = found;
        }
        self.previous = found;
        (self.names[found].text, value, self.names[found].what)
    }
}

/// A `KeyValue`: its key's bytes and the encoded `AnyValue`.
#[inline]
fn pair(message: &[u8]) -> (&[u8], &[u8]) {
    // Nearly all of them: the key first, then the value, both lengths in one byte.
    if let [0x0a, key_length @ 0..=0x7f, rest @ ..] = message
        && let Some((key, [0x12, value_length @ 0..=0x7f, value @ ..])) =
            rest.split_at_checked(usize::from(*key_length))
        && value.len() == usize::from(*value_length)
    {
        return (key, value);
    }
    let (key, value) = key_value(message);
    (key.as_bytes(), value)
}
