//! Names as they stand in messages: labels with their lengths, compressed by pointers to earlier names.

use limpid_model::Text;
use std::fmt::Write;

/// RFC 1035 section 2.3.4, with the lengths of the labels.
const MAX_BYTES: usize = 255;
/// Each pointer of a name can save at least one label: more than these are a loop.
const MAX_POINTERS: usize = 127;
const ID: &str = "{id}";
/// Names of addresses: as many as there are addresses.
const REVERSE: [&str; 2] = [".in-addr.arpa", ".ip6.arpa"];

/// The labels of one name in lower case, each behind its length.
pub struct Name {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Name { bytes: [0; MAX_BYTES], length: 0 }
    }
}

impl Name {
    /// Reads the name at `at`, and returns where what follows it begins.
    pub fn read(&mut self, message: &[u8], at: usize) -> Option<usize> {
        let (mut at, mut end, mut pointers) = (at, None, 0);
        self.length = 0;
        loop {
            let first = *message.get(at)?;
            match first >> 6 {
                0 if first == 0 => return Some(end.unwrap_or(at + 1)),
                0 => {
                    let label = message.get(at..at + 1 + usize::from(first))?;
                    self.push(label)?;
                    at += label.len();
                }
                3 => {
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return None;
                    }
                    end = end.or(Some(at + 2));
                    at = usize::from(first & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                }
                // Kinds of labels that were given up (RFC 6891 section 5).
                _ => return None,
            }
        }
    }

    fn push(&mut self, label: &[u8]) -> Option<()> {
        // One more for the root's own length.
        let place = self
            .bytes
            .get_mut(self.length..self.length + label.len())
            .filter(|_| self.length + label.len() < MAX_BYTES)?;
        place.copy_from_slice(label);
        place.make_ascii_lowercase();
        self.length += label.len();
        Some(())
    }

    /// Labels behind their lengths: what makes two names the same.
    pub fn wire(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.wire();
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(*length))?;
            rest = behind;
            Some(label)
        })
    }

    /// For people: UTF-8 as it is, what is none as one mark a sequence.
    pub fn readable(&self) -> Text {
        self.plain(|_| true).unwrap_or_else(|| self.join(push_readable))
    }

    /// Nearly all names: letters, digits, hyphens and underscores, which need no second look; if the labels are right.
    fn plain(&self, right: impl Fn(&[u8]) -> bool) -> Option<Text> {
        let mut text = self.bytes;
        let mut dot = 0;
        for label in self.labels() {
            if !label.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')) || !right(label) {
                return None;
            }
            *text.get_mut(dot)? = b'.';
            dot += 1 + label.len();
        }
        std::str::from_utf8(text.get(1..self.length).unwrap_or_default()).ok().map(Text::new)
    }

    /// As the semantic conventions have it in `dns.question.name`: printable ASCII, and `\DDD` for the rest.
    pub fn escaped(&self) -> Text {
        self.plain(|_| true).unwrap_or_else(|| self.join(push_printable))
    }

    /// For labels of metrics: what is one among many becomes `{id}`.
    pub fn resource(&self) -> Text {
        if let Some(text) = self.plain(|label| label.len() < 20 && !label.iter().any(u8::is_ascii_digit)) {
            return text;
        }
        let readable = self.readable();
        if let Some(zone) = REVERSE.iter().find(|zone| readable.ends_with(**zone)) {
            return [ID, zone].concat().into();
        }
        if !self.labels().any(is_id) {
            return readable;
        }
        let mut last_is_id = false;
        let kept: Vec<&[u8]> = self
            .labels()
            .filter_map(|label| match (is_id(label), std::mem::replace(&mut last_is_id, is_id(label))) {
                (true, true) => None,
                (true, false) => Some(ID.as_bytes()),
                (false, _) => Some(label),
            })
            .collect();
        String::from_utf8_lossy(&kept.join(&b'.')).into()
    }

    fn join(&self, mut push: impl FnMut(&mut Text, &[u8])) -> Text {
        let mut text = Text::default();
        for (number, label) in self.labels().enumerate() {
            if number > 0 {
                text.push('.');
            }
            push(&mut text, label);
        }
        text
    }
}

fn push_printable(text: &mut Text, label: &[u8]) {
    for byte in label {
        match byte {
            b'\\' | b'"' | b'.' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => push_escaped(text, u32::from(*byte)),
        }
    }
}

fn push_readable(text: &mut Text, label: &[u8]) {
    // Bytes that would belong to the sequence whose first byte was not valid here.
    let mut more = 0;
    for chunk in label.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                letter if letter.is_control() => push_escaped(text, letter as u32),
                letter => text.push(letter),
            }
        }
        more = if chunk.valid().is_empty() { more } else { 0 };
        match chunk.invalid() {
            [] => {}
            [0x80..=0xbf] if more > 0 => more -= 1,
            [first, rest @ ..] => {
                text.push(char::REPLACEMENT_CHARACTER);
                more = (first.leading_ones() as usize).saturating_sub(1 + rest.len());
            }
        }
    }
}

fn push_escaped(text: &mut Text, number: u32) {
    // Writing to a text cannot fail.
    let _ = write!(text, "\\{number:03}");
}

/// A label that no person has chosen: an address, a hash, a UUID, data. Hosts with a number (`db01`) are names.
fn is_id(label: &[u8]) -> bool {
    let digits = label.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = label.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let plain = digits + letters + label.iter().filter(|byte| matches!(byte, b'-' | b'_')).count() == label.len();
    let hex = label.len() >= 8 && label.iter().all(u8::is_ascii_hexdigit);
    !plain
        || digits >= 4 && digits >= letters
        || hex && digits > 0
        || label.len() >= 20 && digits >= 4
        || label.len() > 40
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(name: &str) -> Vec<u8> {
        let mut wire: Vec<u8> =
            name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
        wire.push(0);
        wire
    }

    fn read(message: &[u8], at: usize) -> Option<(Text, usize)> {
        let mut name = Name::default();
        let end = name.read(message, at)?;
        Some((name.readable(), end))
    }

    #[test]
    fn names_are_read_through_pointers() {
        let message = [&wire("Shop.Example")[..], b"\x03www\xc0\x00", b"\xc0\x0e"].concat();
        assert_eq!(read(&message, 0), Some(("shop.example".into(), 14)));
        assert_eq!(read(&message, 14), Some(("www.shop.example".into(), 20)));
        assert_eq!(read(&message, 20), Some(("www.shop.example".into(), 22)));
        assert_eq!(read(b"\0", 0), Some(("".into(), 1)));
    }

    #[test]
    fn loops_and_long_names_are_refused() {
        assert_eq!(read(b"\xc0\x00", 0), None, "a pointer to itself");
        assert_eq!(read(b"\x01a\xc0\x00", 0), None, "a name that contains itself");
        assert_eq!(read(b"\xc0\x02\xc0\x00", 0), None, "two that point to each other");
        assert_eq!(read(b"\x41a\0", 0), None, "an extended label");
        assert_eq!(read(b"\x05ab", 0), None, "a label that is cut");
        let longest = [[1, b'a'].repeat(127), vec![0]].concat();
        assert_eq!(read(&longest, 0).map(|(_, end)| end), Some(255));
        assert_eq!(read(&[[1, b'a'].repeat(128), vec![0]].concat(), 0), None, "256 bytes");
    }

    #[test]
    fn odd_bytes_are_escaped() {
        let mut name = Name::default();
        name.read(b"\x05a.b\\\x07\x03\xc3\xbc\xff\x00", 0).unwrap();
        assert_eq!(name.escaped(), "a\\.b\\\\\\007.\\195\\188\\255");
        assert_eq!(name.readable(), "a.b\\\\007.ü\u{fffd}");
        name.read(b"\x08\xed\xbfa\xfb\xbd\xbfb\xbf\x00", 0).unwrap();
        assert_eq!(name.readable(), "\u{fffd}a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn names_that_nobody_chose_are_one() {
        for (name, expected) in [
            ("shop.example", "shop.example"),
            ("db01.eu-west1.shop.example", "db01.eu-west1.shop.example"),
            ("_acme-challenge.shop.example", "_acme-challenge.shop.example"),
            ("4.3.2.1.in-addr.arpa", "{id}.in-addr.arpa"),
            ("8.b.d.0.1.0.0.2.ip6.arpa", "{id}.ip6.arpa"),
            ("in-addr.arpa", "in-addr.arpa"),
            ("ip-10-0-12-7.compute.internal", "{id}.compute.internal"),
            ("550e8400-e29b-41d4-a716-446655440000.shop.example", "{id}.shop.example"),
            ("deadbeef01.cdn.example", "{id}.cdn.example"),
            ("zaaa=+3.ybbb/x.tunnel.example", "{id}.tunnel.example"),
            (
                "a-very-long-name-of-a-service-in-words.shop.example",
                "a-very-long-name-of-a-service-in-words.shop.example",
            ),
            ("", ""),
        ] {
            let mut read = Name::default();
            let message = if name.is_empty() { vec![0] } else { wire(name) };
            read.read(&message, 0).unwrap();
            assert_eq!(read.resource(), expected, "{name}");
        }
    }
}
