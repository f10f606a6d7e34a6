//! Records (RFC 8446 section 5, RFC 5246 section 6), and whether bytes are some.

use super::reader::Reader;
use crate::Detection;
use limpid_model::Direction;

pub(super) const HEADER_BYTES: usize = 5;
/// A record's text, and what encryption may add to it (RFC 5246 section 6.2.3).
const MAX_LENGTH: usize = (1 << 14) + 2048;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const CERTIFICATE: u8 = 11;
/// Those that are sent in clear in any version.
const MESSAGES: [u8; 15] = [0, 1, 2, 3, 4, 5, 8, 11, 12, 13, 14, 15, 16, 20, 22];

#[derive(Clone, Copy)]
pub(super) struct Record {
    pub kind: u8,
    pub length: usize,
}

impl Record {
    /// `None` while the header is not whole; `Err` when it is none.
    pub fn read(data: &[u8]) -> Option<Result<Record, ()>> {
        let [kind, major, minor, high, low, ..] = data else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let is_record = matches!(*kind, CHANGE_CIPHER_SPEC..=APPLICATION_DATA)
            && *major == 3
            && *minor <= 4
            && length <= MAX_LENGTH;
        Some(if is_record { Ok(Record { kind: *kind, length }) } else { Err(()) })
    }

    pub fn total(self) -> usize {
        HEADER_BYTES + self.length
    }
}

pub(super) fn is_message(kind: u8) -> bool {
    MESSAGES.contains(&kind)
}

pub(super) fn detect(direction: Direction, data: &[u8]) -> Detection {
    if direction == Direction::ToServer && is_old_hello(data) {
        return Detection::Yes;
    }
    if !matches!(data, [] | [20..=23] | [20..=23, 3] | [20..=23, 3, 0..=4, ..]) {
        return if direction == Direction::ToServer && may_be_old_hello(data) {
            Detection::More
        } else {
            Detection::No
        };
    }
    match Record::read(data) {
        None => Detection::More,
        Some(Err(())) => Detection::No,
        Some(Ok(record)) => begins_well(direction, record, data.get(HEADER_BYTES..).unwrap_or_default()),
    }
}

fn begins_well(direction: Direction, record: Record, payload: &[u8]) -> Detection {
    let said = |sound: bool| if sound { Detection::Yes } else { Detection::No };
    match (record.kind, payload) {
        (CHANGE_CIPHER_SPEC, _) if record.length != 1 => Detection::No,
        // In clear it has two bytes, encrypted at least a tag.
        (ALERT, _) if record.length != 2 && !(18..=256).contains(&record.length) => Detection::No,
        (APPLICATION_DATA, _) => said(record.length > 0),
        (HANDSHAKE, _) if record.length < 4 => Detection::No,
        (_, []) => Detection::More,
        (CHANGE_CIPHER_SPEC, [value, ..]) => said(*value == 1),
        (ALERT, [level, ..]) => said(record.length > 2 || matches!(level, 1 | 2)),
        (_, [CLIENT_HELLO, ..]) => said(direction == Direction::ToServer),
        (_, [SERVER_HELLO, ..]) => said(direction == Direction::ToClient),
        // Of a handshake that began before, encrypted or not.
        _ => Detection::Yes,
    }
}

/// The hello of SSL 2 that offers something newer (RFC 5246 appendix E.2): two bytes with the length, then lengths that
/// must add up to it.
const OLD_HELLO_BYTES: usize = 11;

fn may_be_old_hello(data: &[u8]) -> bool {
    let begins = data.first().is_some_and(|first| *first >= 0x80);
    begins && data.len() < OLD_HELLO_BYTES && matches!(data, [_] | [_, _] | [_, _, 1] | [_, _, 1, 3, ..])
}

fn is_old_hello(data: &[u8]) -> bool {
    old_hello(data).is_some()
}

/// Its whole length.
pub(super) fn old_hello(data: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(data);
    let length = reader.word()?;
    let (kind, version) = (reader.byte()?, reader.word()?);
    let lengths = [reader.word()?, reader.word()?, reader.word()?].map(usize::from);
    let total = usize::from(length & 0x7fff);
    let sound = length & 0x8000 != 0
        && kind == CLIENT_HELLO
        && (0x0300..=0x0304).contains(&version)
        && lengths[0] > 0
        && lengths[0] % 3 == 0
        && (8..=32).contains(&lengths[2])
        && OLD_HELLO_BYTES - 2 + lengths.iter().sum::<usize>() == total;
    sound.then_some(total + 2)
}
