//! The compressed protocol: packets are packed into others, which have a header of their own and are compressed by zlib,
//! or carried as they are when they are short. Bounded: a packet is unpacked piece by piece and never held whole.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_compression.html>

use super::detect;
use crate::Detection;
use flate2::{Decompress, FlushDecompress, Status};

pub const HEADER_BYTES: usize = 7;
const PIECE_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub length: u32,
    pub sequence: u8,
    /// Bytes when unpacked; 0 when they are not packed.
    pub unpacked: u32,
}

pub fn header(data: &[u8]) -> Option<Header> {
    let [a, b, c, sequence, d, e, f, ..] = *data else { return None };
    let number = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]);
    Some(Header { length: number(a, b, c), sequence, unpacked: number(d, e, f) })
}

/// One direction: what of the packet that was begun is still to come, and what of its content was not read yet.
#[derive(Default)]
pub struct Half {
    pub packed_left: u32,
    unpacked_left: u32,
    packed: bool,
    inflate: Option<Box<Decompress>>,
    /// Content that the parser has not taken, and how much more of it the parser does not want to see.
    pub kept: Vec<u8>,
    pub skip: u64,
    /// Offset of the packet's first byte.
    pub begins: u64,
    /// Packets that were found in this one.
    pub found: u32,
}

impl Half {
    pub fn begin(&mut self, header: Header, begins: u64) {
        self.packed_left = header.length;
        self.packed = header.unpacked > 0;
        self.unpacked_left = if self.packed { header.unpacked } else { header.length };
        (self.begins, self.found) = (begins, 0);
        if self.packed {
            self.inflate.get_or_insert_with(|| Box::new(Decompress::new(true))).reset(true);
        }
    }

    pub fn forget(&mut self) {
        *self = Half { inflate: self.inflate.take(), ..Half::default() };
    }

    /// Unpacks these bytes of the packet into pieces. An error is damage.
    pub fn unpack(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(&mut Half, &[u8]) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        self.packed_left = self.packed_left.saturating_sub(bytes.len() as u32);
        if !self.packed {
            return each(self, bytes);
        }
        let Some(mut inflate) = self.inflate.take() else { return Err("a packet that was not begun") };
        let done = self.inflate(&mut inflate, bytes, &mut each);
        self.inflate = Some(inflate);
        done
    }

    fn inflate(
        &mut self,
        inflate: &mut Decompress,
        mut bytes: &[u8],
        each: &mut impl FnMut(&mut Half, &[u8]) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        let mut piece = [0; PIECE_BYTES];
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status = inflate.decompress(bytes, &mut piece, FlushDecompress::None).map_err(|_| "no zlib stream")?;
            let taken = (inflate.total_in() - before_in) as usize;
            let made = (inflate.total_out() - before_out) as usize;
            if made as u64 > u64::from(self.unpacked_left) {
                return Err("more content than was announced");
            }
            self.unpacked_left -= made as u32;
            bytes = bytes.get(taken..).unwrap_or_default();
            each(self, piece.get(..made).unwrap_or_default())?;
            if status == Status::StreamEnd || taken == 0 && made == 0 || bytes.is_empty() && made < PIECE_BYTES {
                return Ok(());
            }
        }
    }
}

/// Commands in a packet of the compressed protocol. What is packed is only likely.
pub fn commands_begin(data: &[u8]) -> Detection {
    let Some(header) = header(data) else { return Detection::More };
    match (header.sequence, header.unpacked) {
        (0, 0) if header.length > 4 && data.len() <= HEADER_BYTES + header.length as usize => {
            detect::commands_begin(&data[HEADER_BYTES..])
        }
        (0, 1..) => packed_begins(header, data),
        _ => Detection::No,
    }
}

/// An answer in a packet of the compressed protocol.
pub fn answer_begins(data: &[u8]) -> Detection {
    let Some(header) = header(data) else { return Detection::More };
    match (header.sequence, header.unpacked) {
        (1, 0) => detect::answer_begins(&data[HEADER_BYTES..]),
        (1, 1..) => packed_begins(header, data),
        _ => Detection::No,
    }
}

/// A zlib stream with the usual window, of a packet that is worth it.
fn packed_begins(header: Header, data: &[u8]) -> Detection {
    let possible = header.unpacked >= 50 && header.length > 8 && header.length < header.unpacked;
    match data.get(HEADER_BYTES..HEADER_BYTES + 2) {
        _ if !possible => Detection::No,
        None => Detection::More,
        Some([0x78, flags]) if (0x7800 + u16::from(*flags)) % 31 == 0 => Detection::Maybe,
        Some(_) => Detection::No,
    }
}
