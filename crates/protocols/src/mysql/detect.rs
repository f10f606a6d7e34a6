//! Whether bytes are MySQL's: at the beginning of a connection, and wherever a parser that lost its way looks for it.

use super::commands::{QUERY, STMT_EXECUTE, STMT_PREPARE};
use super::compressed;
use super::packets::{self, HEADER_BYTES, Header, capability, integer, ok_status_at, u16_at, u32_at};
use crate::{Detection, sql};
use limpid_model::Direction;

/// The first packet that is seen of an answer, or of a greeting, is short.
const MAX_FIRST_BYTES: u32 = 1 << 16;
const MAX_COLUMNS: u64 = 4096;
/// Packets of one call that are looked at.
const MAX_CHAIN: usize = 16;
/// Statements that begin with one of these are believed at the first look.
const KEYWORDS: [&str; 34] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "SET",
    "SHOW",
    "USE",
    "BEGIN",
    "START",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE",
    "CREATE",
    "ALTER",
    "DROP",
    "TRUNCATE",
    "RENAME",
    "CALL",
    "WITH",
    "LOAD",
    "LOCK",
    "UNLOCK",
    "EXPLAIN",
    "DESCRIBE",
    "DESC",
    "ANALYZE",
    "OPTIMIZE",
    "FLUSH",
    "GRANT",
    "REVOKE",
    "KILL",
    "PREPARE",
];

pub fn detect(direction: Direction, data: &[u8]) -> Detection {
    let Some(header) = packets::header(data) else { return Detection::More };
    match (direction, header.sequence) {
        (_, 2..) => Detection::No,
        (_, _) if header.length == 0 => Detection::No,
        (Direction::ToClient, 0) => greeting_begins(header, &data[HEADER_BYTES..]),
        (Direction::ToClient, _) => answer_begins(data),
        (Direction::ToServer, 0) => commands_begin(data).max(compressed::commands_begin(data)),
        (Direction::ToServer, _) => login_begins(header, &data[HEADER_BYTES..]),
    }
}

// ---- the server's side -------------------------------------------------------------------------------------------------

fn greeting_begins(header: Header, body: &[u8]) -> Detection {
    match body.first() {
        None => Detection::More,
        Some(10) if (20..=1024).contains(&header.length) => version_begins(&body[1..]),
        // Too many connections, a host that may not connect.
        Some(0xff) => refusal_begins(header, body),
        _ => Detection::No,
    }
}

fn version_begins(body: &[u8]) -> Detection {
    const MAX_VERSION_BYTES: usize = 128;
    let shown = &body[..body.len().min(MAX_VERSION_BYTES)];
    let end = memchr::memchr(0, shown);
    let version = &shown[..end.unwrap_or(shown.len())];
    let plain =
        version.iter().all(|byte| (b' '..0x7f).contains(byte)) && version.first().is_none_or(u8::is_ascii_digit);
    match end {
        _ if !plain || version.is_empty() && end.is_some() => Detection::No,
        None if body.len() < MAX_VERSION_BYTES => Detection::More,
        None => Detection::No,
        // Thread and salt; a zero follows.
        Some(end) => match body.get(end + 13) {
            None => Detection::More,
            Some(0) if version.contains(&b'.') => Detection::Yes,
            Some(_) => Detection::No,
        },
    }
}

fn refusal_begins(header: Header, body: &[u8]) -> Detection {
    let whole = body.len() as u64 >= u64::from(header.length);
    match (packets::error_code(body), body.get(3..)) {
        _ if header.length > 1024 => Detection::No,
        (None, _) | (_, None) => Detection::More,
        (Some(1000..=4999), Some(message)) if is_text(message) && header.length > 8 => {
            if whole {
                Detection::Yes
            } else {
                Detection::More
            }
        }
        _ => Detection::No,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= b' ' || byte.is_ascii_whitespace())
}

/// The first packet of the answer to a command.
pub fn answer_begins(data: &[u8]) -> Detection {
    let Some(header) = packets::header(data) else { return Detection::More };
    if header.sequence != 1 || header.length == 0 || header.length > MAX_FIRST_BYTES {
        return Detection::No;
    }
    let body = &data[HEADER_BYTES..];
    let whole = body.get(..header.length as usize);
    let Some(first) = body.first() else { return Detection::More };
    match (first, whole) {
        (0, Some(body)) => maybe(ok_is_plausible(body)),
        (0, None) => {
            if header.length < 2048 {
                Detection::More
            } else {
                Detection::No
            }
        }
        (0xfe, Some(body)) => maybe(header.length == 5 || ok_is_plausible(body)),
        (0xff, _) => error_begins(header, body),
        (0xfb, Some(file)) => maybe(header.length < 4096 && is_text(&file[1..])),
        (3, _) if body.starts_with(b"\x03def") => Detection::Yes,
        (b'U', _) if body.starts_with(b"Uptime: ") => Detection::Yes,
        (1..=0xfc, Some(count)) if header.length <= 4 => columns_begin(count, &body[header.length as usize..]),
        (1..=0xfc, None) if header.length <= 4 => Detection::More,
        _ => Detection::No,
    }
}

fn maybe(possible: bool) -> Detection {
    if possible { Detection::Maybe } else { Detection::No }
}

/// OK, or the answer to a prepare: 12 bytes with a zero in the middle.
fn ok_is_plausible(body: &[u8]) -> bool {
    let prepared = matches!(body.len(), 12 | 13) && body[9] == 0;
    let warnings = ok_status_at(body).and_then(|at| u16_at(body, at + 2));
    prepared || warnings.is_some()
}

fn error_begins(header: Header, body: &[u8]) -> Detection {
    let Some(state) = body.get(3..9) else { return if header.length < 9 { Detection::No } else { Detection::More } };
    let code = packets::error_code(body).unwrap_or(0);
    let marked = state[0] == b'#' && state[1..].iter().all(u8::is_ascii_alphanumeric);
    if marked && code >= 1000 && header.length < 2048 { Detection::Yes } else { Detection::No }
}

/// A column count, and behind it the first column, or what comes without columns.
fn columns_begin(count: &[u8], behind: &[u8]) -> Detection {
    let columns =
        integer(count).filter(|(columns, bytes)| (1..=MAX_COLUMNS).contains(columns) && count.len() <= bytes + 1);
    if columns.is_none() {
        return Detection::No;
    }
    match (packets::header(behind), behind.get(HEADER_BYTES..HEADER_BYTES + 4)) {
        (Some(header), _) if header.sequence != 2 => Detection::No,
        (Some(_), Some(b"\x03def")) => Detection::Yes,
        (Some(_), Some(_)) => Detection::Maybe,
        _ => Detection::More,
    }
}

/// A call in the middle of rows that ends with the packet that ends them: its server status.
pub fn rows_end(call: &[u8]) -> Option<u16> {
    let believed = |status: u16| status & 0x8004 == 0 && status & 3 != 0;
    let eof = call.last_chunk::<9>().filter(|last| matches!(last, [5, 0, 0, _, 0xfe, ..]));
    let ok = call.last_chunk::<11>().filter(|last| matches!(last, [7, 0, 0, _, 0xfe, 0, 0, ..]));
    let status = eof.map(|last| [last[7], last[8]]).or(ok.map(|last| [last[7], last[8]]))?;
    Some(u16::from_le_bytes(status)).filter(|status| believed(*status))
}

// ---- the client's side -------------------------------------------------------------------------------------------------

pub fn login_begins(header: Header, body: &[u8]) -> Detection {
    let Some(capabilities) = u32_at(body, 0) else { return Detection::More };
    if u64::from(capabilities) & capability::PROTOCOL_41 == 0 || !(32..=MAX_FIRST_BYTES).contains(&header.length) {
        return Detection::No;
    }
    match body.get(9..28) {
        None if body.len() > 9 && body[9..].iter().any(|byte| *byte != 0) => Detection::No,
        None => Detection::More,
        Some(zeros) if zeros.iter().all(|byte| *byte == 0) => Detection::Yes,
        Some(_) => Detection::No,
    }
}

/// Commands from here on, one behind the other, and what they amount to.
pub fn commands_begin(data: &[u8]) -> Detection {
    let (mut rest, mut best) = (data, Detection::More);
    for _ in 0..MAX_CHAIN {
        let Some(header) = packets::header(rest) else { break };
        let body = &rest[HEADER_BYTES..];
        let whole = body.get(..header.length as usize);
        let said = command_begins(header, whole.unwrap_or(body), whole.is_some());
        if said == Detection::No {
            return Detection::No;
        }
        best = best.max(said);
        let Some(behind) = body.get(header.length as usize..).filter(|behind| !behind.is_empty()) else { break };
        rest = behind;
    }
    best
}

fn command_begins(header: Header, body: &[u8], whole: bool) -> Detection {
    if header.sequence != 0 || header.length == 0 {
        return Detection::No;
    }
    let Some(&code) = body.first() else { return Detection::More };
    let arguments = &body[1..];
    let length = header.length - 1;
    match code {
        QUERY | STMT_PREPARE => statement_begins(arguments, whole),
        STMT_EXECUTE if length < 9 => Detection::No,
        STMT_EXECUTE => match arguments.get(4..9) {
            Some([0..=15, 1, 0, 0, 0]) => Detection::Yes,
            Some(_) => Detection::No,
            None => Detection::More,
        },
        0x02 | 0x05 | 0x06 => maybe(length > 0 && length < 256 && is_text(arguments)),
        0x04 => maybe(length < 1024 && is_text(&arguments[..arguments.iter().take_while(|byte| **byte != 0).count()])),
        // Its argument is obsolete, and some clients leave it out.
        0x08 => maybe(length <= 1),
        0x01 | 0x09 | 0x0a | 0x0d | 0x0e | 0x1f => maybe(length == 0),
        0x07 => maybe(length == 1),
        0x0c | 0x19 | 0x1a => maybe(length == 4),
        0x1b => maybe(length == 2 && arguments.get(1).is_none_or(|byte| *byte == 0)),
        0x1c => maybe(length == 8),
        0x18 | 0xfa => maybe(length >= 6),
        0x11 | 0x12 | 0x15 | 0x1e => maybe((10..1024).contains(&length)),
        _ => Detection::No,
    }
}

fn statement_begins(text: &[u8], whole: bool) -> Detection {
    let text = text.strip_prefix(&[0, 1]).unwrap_or(text);
    let begins = &text[..text.len().min(64)];
    if KEYWORDS.contains(&sql::keyword(text, sql::MYSQL).as_str()) {
        return Detection::Yes;
    }
    match begins.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace()) {
        true => Detection::No,
        false if whole || begins.len() == 64 => maybe(!begins.is_empty()),
        false => Detection::More,
    }
}
