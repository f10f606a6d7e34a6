//! A writer of protobuf, straight into one buffer: no intermediate messages, no allocation for an attribute.
//!
//! Lengths of small messages are known before they are written; those of big ones are put into a gap that is left for
//! them (a varint padded with continuation bytes, which every decoder takes).

#[derive(Default)]
pub struct Writer {
    pub bytes: Vec<u8>,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
/// Two bytes hold lengths below 16 KiB: nearly every span and point.
const GAP: usize = 2;

pub fn varint_length(value: u64) -> usize {
    // Each byte carries seven bits; zero takes one byte.
    ((63 - (value | 1).leading_zeros() as usize) / 7) + 1
}

/// Bytes of a field number of one digit of varint, a length and the bytes themselves.
pub fn field_length(content: usize) -> usize {
    1 + varint_length(content as u64) + content
}

impl Writer {
    #[inline]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    #[inline]
    pub fn tag(&mut self, field: u32, wire: u32) {
        self.varint(u64::from(field << 3 | wire));
    }

    /// Zero is the default and left out, as in every field below.
    pub fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value);
        }
    }

    pub fn sint(&mut self, field: u32, value: i64) {
        self.uint(field, zigzag(value));
    }

    pub fn fixed64(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.tag(field, FIXED64);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Also when it is zero: for members of a `oneof`, whose presence says something.
    pub fn double(&mut self, field: u32, value: f64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    pub fn sfixed64(&mut self, field: u32, value: i64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub fn blob(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.length_delimited(field, value.len());
            self.bytes.extend_from_slice(value);
        }
    }

    #[inline]
    pub fn text(&mut self, field: u32, value: &str) {
        self.blob(field, value.as_bytes());
    }

    /// The head of a message whose length is known.
    #[inline]
    pub fn length_delimited(&mut self, field: u32, length: usize) {
        self.tag(field, BYTES);
        self.varint(length as u64);
    }

    /// A message of unknown length.
    #[inline]
    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Self)) {
        self.tag(field, BYTES);
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; GAP]);
        write(self);
        let length = self.bytes.len() - at - GAP;
        self.close(at, length);
    }

    fn close(&mut self, at: usize, length: usize) {
        let needed = varint_length(length as u64);
        if needed > GAP {
            // Rare and big: its bytes move once.
            self.bytes.splice(at..at, std::iter::repeat_n(0, needed - GAP));
        }
        let width = needed.max(GAP);
        for (index, byte) in self.bytes.iter_mut().skip(at).take(width).enumerate() {
            let more = if index + 1 < width { 0x80 } else { 0 };
            *byte = ((length >> (7 * index)) & 0x7f) as u8 | more;
        }
    }

    /// `repeated uint64`, packed.
    pub fn packed(&mut self, field: u32, values: &[u64]) {
        if values.is_empty() {
            return;
        }
        self.length_delimited(field, values.iter().map(|value| varint_length(*value)).sum());
        values.iter().for_each(|value| self.varint(*value));
    }

    pub fn packed_sint(&mut self, field: u32, values: &[i64]) {
        if values.is_empty() {
            return;
        }
        self.length_delimited(field, values.iter().map(|value| varint_length(zigzag(*value))).sum());
        values.iter().for_each(|value| self.varint(zigzag(*value)));
    }
}

fn zigzag(value: i64) -> u64 {
    (value as u64) << 1 ^ (value >> 63) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_varints() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(writer.bytes.len(), varint_length(value), "{value}");
        }
    }

    #[test]
    fn messages_of_every_size_have_their_length() {
        for size in [0usize, 1, 127, 128, 16_383, 16_384, 300_000] {
            let mut writer = Writer::default();
            writer.message(1, |writer| writer.bytes.resize(writer.bytes.len() + size, 7));
            let mut length = 0usize;
            let mut at = 1;
            loop {
                let byte = writer.bytes[at];
                length |= usize::from(byte & 0x7f) << (7 * (at - 1));
                at += 1;
                if byte < 0x80 {
                    break;
                }
            }
            assert_eq!(length, size);
            assert_eq!(writer.bytes.len() - at, size);
            assert!(writer.bytes[at..].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn zigzag_as_in_the_specification() {
        for (value, expected) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!(zigzag(value), expected);
        }
    }
}
