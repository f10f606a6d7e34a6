//! PostgreSQL's messages: where one ends, and the few fields that are read of their bodies.
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use crate::{Detection, sql};
use limpid_model::{Direction, Text};

/// The server refuses longer ones.
const MAX_MESSAGE_BYTES: u32 = 1 << 30;
const MAX_STARTUP_BYTES: u32 = 10_000;
pub const SSL_REQUEST: u32 = 80_877_103;
pub const GSSENC_REQUEST: u32 = 80_877_104;
pub const CANCEL_REQUEST: u32 = 80_877_102;
/// The types of messages, by direction.
static TYPES: [[bool; 256]; 2] = [types(b"QPBEDCSHFdcfpX"), types(b"RSKZTDCENA123nstIGHWdcVv")];
/// A longer message is not believed before another was: a quarter of all noise is a possible length.
const MAX_FIRST_BYTES: u64 = 1 << 24;
/// Messages that a connection joined in the middle may show first; with the others it must wait.
const BEGINNINGS: [&[u8]; 2] = [b"QPBEDCS", b"RTD12CEZNS3ntI"];
/// Statements that begin with one of these are believed at the first look.
const KEYWORDS: [&str; 24] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SET",
    "SHOW",
    "WITH",
    "COPY",
    "CREATE",
    "DROP",
    "ALTER",
    "START",
    "DISCARD",
    "DEALLOCATE",
    "LISTEN",
    "EXPLAIN",
    "SAVEPOINT",
    "RELEASE",
    "VACUUM",
    "TRUNCATE",
    "CALL",
];

/// A message: its type (0 for the untyped ones that open a connection) and all its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: u8,
    pub total: u64,
}

const fn types(of: &[u8]) -> [bool; 256] {
    let mut types = [false; 256];
    let mut at = 0;
    while at < of.len() {
        types[of[at] as usize] = true;
        at += 1;
    }
    types
}

/// `Ok(None)`: the header is not complete.
#[inline]
pub fn header(direction: Direction, data: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some(&kind) = data.first() else { return Ok(None) };
    if kind == 0 && direction == Direction::ToServer {
        return opening(data);
    }
    if !TYPES[direction as usize][kind as usize] {
        return Err("unknown message type");
    }
    let Some(length) = int(data, 1) else { return Ok(None) };
    if !(4..=MAX_MESSAGE_BYTES).contains(&length) {
        return Err("impossible message length");
    }
    Ok(Some(Header { kind, total: u64::from(length) + 1 }))
}

fn opening(data: &[u8]) -> Result<Option<Header>, &'static str> {
    let Some(length) = int(data, 0) else { return Ok(None) };
    if !(8..=MAX_STARTUP_BYTES).contains(&length) {
        return Err("impossible startup length");
    }
    Ok(Some(Header { kind: 0, total: u64::from(length) }))
}

pub fn int(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The text up to the zero byte, and what stands behind it. `None` when there is no zero byte: the text was cut.
pub fn text(body: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(0, body) {
        Some(end) => (&body[..end], Some(&body[end + 1..])),
        None => (body, None),
    }
}

/// The database that a startup message asks for. Its user and options are nobody's business.
pub fn database(mut parameters: &[u8]) -> Option<Text> {
    loop {
        let (name, Some(rest)) = text(parameters) else { return None };
        let (value, Some(rest)) = text(rest) else { return None };
        if name == b"database" {
            let value = std::str::from_utf8(value).ok()?;
            return (value.len() <= 63).then(|| value.into());
        }
        if name.is_empty() {
            return None;
        }
        parameters = rest;
    }
}

/// Five letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqlState([u8; 5]);

impl SqlState {
    fn new(code: &[u8]) -> Option<Self> {
        let code: [u8; 5] = code.try_into().ok()?;
        code.iter().all(u8::is_ascii_alphanumeric).then_some(SqlState(code))
    }

    pub fn text(self) -> Text {
        Text::from_utf8_lossy(&self.0)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    pub sqlstate: Option<SqlState>,
    /// The connection ends with it.
    pub fatal: bool,
}

pub fn error(mut fields: &[u8]) -> ServerError {
    let mut error = ServerError::default();
    while let Some((&field, rest)) = fields.split_first() {
        let (value, Some(rest)) = text(rest) else { break };
        match field {
            b'S' | b'V' => error.fatal |= matches!(value, b"FATAL" | b"PANIC"),
            b'C' => error.sqlstate = SqlState::new(value).or(error.sqlstate),
            _ => {}
        }
        fields = rest;
    }
    error
}

/// `5` of `SELECT 5` and `INSERT 0 5`.
pub fn rows(tag: &[u8]) -> Option<i64> {
    let (tag, _) = text(tag);
    let last = tag.rsplit(|byte| *byte == b' ').next()?;
    std::str::from_utf8(last).ok()?.parse().ok()
}

pub fn detect(direction: Direction, data: &[u8]) -> Detection {
    match (direction, data) {
        (_, []) => Detection::More,
        (Direction::ToServer, [0, ..]) => opening_begins(data),
        (Direction::ToClient, [b'N' | b'S' | b'G']) => Detection::Maybe,
        (_, [first, ..]) if !BEGINNINGS[direction as usize].contains(first) => Detection::No,
        _ => chain(direction, data),
    }
}

fn opening_begins(data: &[u8]) -> Detection {
    let (Ok(header), length) = (opening(data), data.len() as u64) else { return Detection::No };
    let (Some(header), Some(code)) = (header, int(data, 4)) else { return Detection::More };
    match code {
        SSL_REQUEST | GSSENC_REQUEST if header.total == 8 => Detection::Yes,
        CANCEL_REQUEST if (16..=268).contains(&header.total) => Detection::Yes,
        // 3.0 to 3.2 so far.
        0x0003_0000..=0x0003_000f if header.total > 9 && length <= header.total => parameters_begin(&data[8..]),
        _ => Detection::No,
    }
}

fn parameters_begin(parameters: &[u8]) -> Detection {
    match memchr::memchr(0, parameters) {
        Some(end)
            if end > 0 && parameters[..end].iter().all(|byte| byte.is_ascii_lowercase() || b"_.".contains(byte)) =>
        {
            Detection::Yes
        }
        None if parameters.len() < 64 => Detection::More,
        _ => Detection::No,
    }
}

/// Messages of this direction from here on, one behind the other, and what they amount to.
pub fn chain(direction: Direction, data: &[u8]) -> Detection {
    let (mut at, mut count) = (0usize, 0);
    let mut last = 0;
    while at < data.len() && count < 64 {
        let rest = &data[at..];
        let Ok(header) = header(direction, rest) else { return Detection::No };
        let Some(header) = header else { break };
        if count == 0 && header.total > MAX_FIRST_BYTES {
            return Detection::No;
        }
        let body = rest.get(5..).map(|body| &body[..body.len().min(header.total as usize - 5)]).unwrap_or_default();
        if !plausible(direction, header, body) {
            return Detection::No;
        }
        count += 1;
        last = header.kind;
        if header.total >= rest.len() as u64 {
            at = if header.total == rest.len() as u64 { data.len() } else { at };
            break;
        }
        at += header.total as usize;
    }
    let whole = at == data.len();
    let statement = direction == Direction::ToServer && begins_with_statement(data);
    match (count, whole) {
        (0, _) => Detection::More,
        _ if statement => Detection::Yes,
        (2.., true) if matches!(last, b'S' | b'H' | b'Z') => Detection::Yes,
        _ => Detection::Maybe,
    }
}

/// Whether a message's body can be what its type says; much of what begins with a letter is other people's text.
fn plausible(direction: Direction, header: Header, body: &[u8]) -> bool {
    let whole = body.len() as u64 + 5 == header.total;
    let ends_in_zero = !whole || body.last() == Some(&0);
    match (direction, header.kind) {
        (_, 0) => false,
        (Direction::ToServer, b'Q') => {
            ends_in_zero
                && !body[..body.len().saturating_sub(1)].contains(&0)
                && body.iter().take(16).all(|byte| *byte >= b' ' || byte.is_ascii_whitespace() || *byte == 0)
        }
        (Direction::ToServer, b'S' | b'H' | b'X' | b'c') => header.total == 5,
        (Direction::ToServer, b'D' | b'C') => ends_in_zero && body.first().is_none_or(|kind| b"SP".contains(kind)),
        (Direction::ToServer, b'E') => header.total >= 10 && header.total < 1024,
        (Direction::ToServer, b'P' | b'B' | b'f' | b'p') => header.total >= 6,
        (Direction::ToClient, b'Z') => header.total == 6 && body.first().is_none_or(|state| b"ITE".contains(state)),
        (Direction::ToClient, b'1' | b'2' | b'3' | b'n' | b's' | b'I' | b'c') => header.total == 5,
        (Direction::ToClient, b'C') => {
            header.total < 100 && ends_in_zero && body.first().is_none_or(u8::is_ascii_uppercase)
        }
        (Direction::ToClient, b'E' | b'N') => ends_in_zero && body.first().is_none_or(|field| *field == b'S'),
        (Direction::ToClient, b'S') => ends_in_zero && header.total < 1024,
        (Direction::ToClient, b'K') => (13..=265).contains(&header.total),
        (Direction::ToClient, b'R') => header.total >= 9 && body.first().is_none_or(|byte| *byte == 0),
        (Direction::ToClient, b'T' | b'D') => header.total >= 7,
        _ => true,
    }
}

fn begins_with_statement(data: &[u8]) -> bool {
    let body = data.get(5..).unwrap_or_default();
    let statement = match data.first() {
        Some(b'Q') => body,
        Some(b'P') => text(body).1.unwrap_or_default(),
        _ => return false,
    };
    KEYWORDS.contains(&sql::keyword(statement, sql::POSTGRESQL).as_str())
}
