//! Protobuf's wire format, read in place: nothing is copied, and damage is an error.

/// The bytes are no protobuf, or not of the kind that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of one message, one after the other.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    pub rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Self {
        Fields { rest: message }
    }

    /// The number of the next field and its value; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Damaged> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().map_err(|_| Damaged)?)),
            2 => Value::Bytes(self.delimited()?),
            5 => Value::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().map_err(|_| Damaged)?)),
            _ => return Err(Damaged),
        };
        Ok(Some(((tag >> 3) as u32, value)))
    }

    pub fn varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Damaged)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    /// A length and so many bytes.
    pub fn delimited(&mut self) -> Result<&'a [u8], Damaged> {
        let length = usize::try_from(self.varint()?).map_err(|_| Damaged)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> Result<&'a [u8], Damaged> {
        if let Value::Bytes(bytes) = self { Ok(bytes) } else { Err(Damaged) }
    }

    pub fn text(self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)
    }

    pub fn uint(self) -> Result<u64, Damaged> {
        if let Value::Varint(value) = self { Ok(value) } else { Err(Damaged) }
    }

    pub fn sint(self) -> Result<i64, Damaged> {
        Ok(unzigzag(self.uint()?))
    }

    pub fn double(self) -> Result<f64, Damaged> {
        if let Value::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Damaged) }
    }
}

pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_field_and_damage() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x19, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0x20, 0x03];
        let mut fields = Fields::new(&message);
        assert_eq!(fields.next(), Ok(Some((1, Value::Varint(150)))));
        assert_eq!(fields.next().map(|field| field.map(|(_, value)| value.text())), Ok(Some(Ok("hi"))));
        assert_eq!(fields.next().map(|field| field.map(|(_, value)| value.double())), Ok(Some(Ok(1.0))));
        assert_eq!(fields.next().map(|field| field.map(|(_, value)| value.sint())), Ok(Some(Ok(-2))));
        assert_eq!(fields.next(), Ok(None));
        for damaged in [&[0x08][..], &[0x12, 9, 1], &[0x19, 1], &[0x0b], &[0xff; 11]] {
            assert_eq!(Fields::new(damaged).next(), Err(Damaged), "{damaged:?}");
        }
    }
}
