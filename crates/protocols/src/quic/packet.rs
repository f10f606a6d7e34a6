//! Packets with long headers (RFC 9000 section 17.2), several of which may stand in a datagram, and their frames.

use super::keys::VERSION_2;
use crate::tls::reader::Reader;

/// RFC 9000 section 17.2: of the versions there are.
const MAX_ID_BYTES: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
    VersionNegotiation,
    /// With a short header: it goes on to the end of the datagram.
    OneRtt,
}

pub(super) struct Packet<'a> {
    pub kind: Kind,
    pub version: u32,
    pub destination: &'a [u8],
    /// From its first byte to its last.
    pub bytes: &'a [u8],
    pub number_at: usize,
}

pub(super) fn variable(reader: &mut Reader<'_>) -> Option<u64> {
    let first = u64::from(*reader.rest().first()?);
    let bytes = 1 << (first >> 6);
    let number = reader.number(bytes)?;
    Some(number & (u64::MAX >> (66 - 8 * bytes)))
}

/// The first packet, and what follows it. `None` when it is none, or is cut off.
pub(super) fn first(data: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let mut reader = Reader::new(data);
    let first = reader.byte()?;
    let mut packet = Packet { kind: Kind::OneRtt, version: 0, destination: &[], bytes: data, number_at: 0 };
    if first & 0x80 == 0 {
        return (first & 0x40 != 0).then_some((packet, &[][..]));
    }
    packet.version = reader.number(4)? as u32;
    packet.destination = reader.vector(1).filter(|id| id.len() <= MAX_ID_BYTES)?;
    reader.vector(1).filter(|id| id.len() <= MAX_ID_BYTES)?;
    packet.kind = kind(first, packet.version);
    match packet.kind {
        Kind::VersionNegotiation | Kind::Retry => return Some((packet, &[])),
        Kind::Initial => {
            let token = variable(&mut reader)?;
            reader.take(usize::try_from(token).ok()?)?;
        }
        _ => {}
    }
    let length = usize::try_from(variable(&mut reader)?).ok()?;
    packet.number_at = data.len() - reader.rest().len();
    let end = packet.number_at.checked_add(length)?;
    let (bytes, rest) = data.split_at_checked(end)?;
    packet.bytes = bytes;
    Some((packet, rest))
}

fn kind(first: u8, version: u32) -> Kind {
    let number = match (first >> 4) & 3 {
        number if version == VERSION_2 => (number + 3) % 4,
        number => number,
    };
    match number {
        _ if version == 0 => Kind::VersionNegotiation,
        0 => Kind::Initial,
        1 => Kind::ZeroRtt,
        2 => Kind::Handshake,
        _ => Kind::Retry,
    }
}

pub(super) enum Frame<'a> {
    Crypto { offset: u64, data: &'a [u8] },
    Close { code: u64 },
    Other,
}

/// Those that an Initial packet may have (RFC 9000 section 12.4).
pub(super) fn frame<'a>(reader: &mut Reader<'a>) -> Option<Frame<'a>> {
    const ACK_ECN: u64 = 3;
    match variable(reader)? {
        0 | 1 => Some(Frame::Other),
        kind @ (2 | ACK_ECN) => {
            variable(reader)?;
            variable(reader)?;
            let ranges = variable(reader)?;
            let numbers = 1 + 2 * ranges.min(1024) + if kind == ACK_ECN { 3 } else { 0 };
            (0..numbers).try_for_each(|_| variable(reader).map(drop))?;
            Some(Frame::Other)
        }
        6 => {
            let (offset, length) = (variable(reader)?, variable(reader)?);
            Some(Frame::Crypto { offset, data: reader.take(usize::try_from(length).ok()?)? })
        }
        0x1c => Some(Frame::Close { code: variable(reader)? }),
        _ => None,
    }
}
