//! Keys from a terminal's bytes.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Control(char),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    /// A sequence that means nothing here.
    Other,
}

/// Bytes that are no whole key yet.
#[derive(Default)]
pub struct Keys {
    bytes: Vec<u8>,
}

/// Longer sequences are garbage.
const LONGEST: usize = 32;

impl Keys {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether it hangs on what comes next: Esc alone, or the beginning of a sequence.
    pub fn is_waiting(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next whole key. `ended`: nothing more will come for this one.
    pub fn next(&mut self, ended: bool) -> Option<Key> {
        let (key, length) = match self.bytes.first()? {
            0x1b => self.escape(ended)?,
            b'\r' | b'\n' => (Key::Enter, 1),
            b'\t' => (Key::Tab, 1),
            0x7f | 0x08 => (Key::Backspace, 1),
            byte @ 1..=26 => (Key::Control((byte - 1 + b'a') as char), 1),
            byte @ 0x20..=0x7e => (Key::Char(*byte as char), 1),
            0x80.. => self.wide(ended)?,
            _ => (Key::Other, 1),
        };
        self.bytes.drain(..length);
        Some(key)
    }

    fn escape(&self, ended: bool) -> Option<(Key, usize)> {
        match self.bytes.get(1) {
            None => ended.then_some((Key::Esc, 1)),
            Some(b'[') => {
                let end = self.bytes.iter().skip(2).position(|byte| (0x40..=0x7e).contains(byte));
                match end {
                    Some(at) => Some((sequence(&self.bytes[2..at + 3]), at + 3)),
                    None if ended || self.bytes.len() > LONGEST => Some((Key::Other, self.bytes.len())),
                    None => None,
                }
            }
            Some(b'O') => match self.bytes.get(2) {
                Some(byte) => Some((letter(*byte), 3)),
                None => ended.then_some((Key::Other, 2)),
            },
            Some(0x1b) => Some((Key::Esc, 1)),
            // Alt with a key.
            Some(_) => Some((Key::Other, 2)),
        }
    }

    fn wide(&self, ended: bool) -> Option<(Key, usize)> {
        let length = match self.bytes[0] {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return Some((Key::Other, 1)),
        };
        match self.bytes.get(..length).map(std::str::from_utf8) {
            Some(Ok(text)) => text.chars().next().map(|c| (Key::Char(c), length)),
            Some(Err(_)) => Some((Key::Other, 1)),
            None => ended.then_some((Key::Other, self.bytes.len())),
        }
    }
}

/// What stands behind ESC [, its last byte included.
fn sequence(body: &[u8]) -> Key {
    match body {
        [.., b'~'] => match body.split(|byte| *byte == b';' || *byte == b'~').next() {
            Some(b"1" | b"7") => Key::Home,
            Some(b"4" | b"8") => Key::End,
            Some(b"5") => Key::PageUp,
            Some(b"6") => Key::PageDown,
            _ => Key::Other,
        },
        [.., last] => letter(*last),
        [] => Key::Other,
    }
}

fn letter(byte: u8) -> Key {
    match byte {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'Z' => Key::BackTab,
        b'M' => Key::Enter,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        // One byte at a time: how they are cut must not matter.
        let mut found = Vec::new();
        for byte in bytes {
            keys.feed(&[*byte]);
            found.extend(std::iter::from_fn(|| keys.next(false)));
        }
        found.extend(std::iter::from_fn(|| keys.next(true)));
        assert!(!keys.is_waiting());
        found
    }

    #[test]
    fn keys_and_sequences() {
        use Key::*;
        assert_eq!(
            all(b"q\x1b[A\x1bOB\x1b[5~\x1b[1;5C\r\t\x1b[Z\x7f"),
            [Char('q'), Up, Down, PageUp, Right, Enter, Tab, BackTab, Backspace]
        );
        assert_eq!(all("é\x03".as_bytes()), [Char('é'), Control('c')]);
        assert_eq!(all(b"\x1b"), [Esc]);
        assert_eq!(all(b"\x1b\x1b[H"), [Esc, Home]);
        assert_eq!(all(b"\x1b[12"), [Other]);
        assert_eq!(all(&[0xff, b'a', 0xe2, 0x82]), [Other, Char('a'), Other]);
    }
}
