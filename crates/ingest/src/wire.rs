//! Protobuf's wire format, read in place: OTLP messages are walked once, straight into columns, and never become
//! structs. Source: protobuf.dev, "Encoding". Damaged input ends the walk; it never panics.

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// Text that is not UTF-8 is no text: OTLP strings must be.
    pub fn text(self) -> &'a str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    pub fn number(self) -> u64 {
        match self {
            Value::Varint(number) | Value::Fixed64(number) => number,
            Value::Fixed32(number) => u64::from(number),
            Value::Bytes(_) => 0,
        }
    }

    pub fn double(self) -> f64 {
        match self {
            Value::Fixed64(bits) => f64::from_bits(bits),
            Value::Fixed32(bits) => f64::from(f32::from_bits(bits)),
            _ => 0.0,
        }
    }
}

/// Walks the fields of one message: (field number, value).
pub struct Fields<'a> {
    rest: &'a [u8],
    /// Set when the message ended in the middle of a field.
    pub damaged: bool,
}

pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message, damaged: false }
}

impl<'a> Fields<'a> {
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        // Nearly all of them: tags and short lengths.
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Some(value);
            }
        }
        None
    }

    #[inline]
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some(((key >> 3) as u32, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.damaged = true;
            self.rest = &[];
        }
        field
    }
}

/// A repeated number field arrives packed (one length-delimited run) or one by one; both are legal.
pub fn packed_varints(value: Value<'_>, mut each: impl FnMut(u64)) {
    match value {
        Value::Bytes(bytes) => {
            let mut run = fields(bytes);
            while let Some(number) = run.varint() {
                each(number);
            }
        }
        other => each(other.number()),
    }
}

/// The same for `fixed64` and `double`.
pub fn packed_fixed64(value: Value<'_>, mut each: impl FnMut(u64)) {
    match value {
        Value::Bytes(bytes) => bytes.chunks_exact(8).for_each(|chunk| {
            let mut number = [0; 8];
            number.copy_from_slice(chunk);
            each(u64::from_le_bytes(number));
        }),
        other => each(other.number()),
    }
}

/// `sint32`'s zigzag.
pub fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_message_is_damaged_and_never_panics() {
        // Field 1 varint 300, field 2 "hi", field 3 fixed64, field 4 fixed32.
        let message = [0x08, 0xac, 0x02, 0x12, 2, b'h', b'i', 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x25, 7, 0, 0, 0];
        let ends = [0, 3, 7, 16, 21];
        for cut in 0..=message.len() {
            let mut walk = fields(&message[..cut]);
            let seen = walk.by_ref().count();
            assert_eq!(walk.damaged, !ends.contains(&cut), "cut at {cut}");
            assert_eq!(seen, ends.iter().filter(|end| **end > 0 && **end <= cut).count());
        }
    }

    #[test]
    fn a_length_beyond_the_message_is_damage() {
        let mut walk = fields(&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1]);
        assert!(walk.next().is_none());
        assert!(walk.damaged);
    }
}
