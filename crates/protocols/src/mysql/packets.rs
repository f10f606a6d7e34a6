//! MySQL's packets: where one ends, and the few fields that are read of their bodies.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html>,
//! <https://mariadb.com/docs/server/reference/clientserver-protocol>

use limpid_model::Text;

pub const HEADER_BYTES: usize = 4;
/// A packet of this length goes on in the next one.
pub const MAX_LENGTH: u32 = 0xff_ffff;

/// What both sides can, as bits; those above 32 are MariaDB's own.
pub mod capability {
    /// Not set by who speaks MariaDB's dialect of the handshake.
    pub const MYSQL: u64 = 1;
    pub const CONNECT_WITH_DB: u64 = 1 << 3;
    pub const COMPRESS: u64 = 1 << 5;
    pub const PROTOCOL_41: u64 = 1 << 9;
    pub const SSL: u64 = 1 << 11;
    pub const SECURE_CONNECTION: u64 = 1 << 15;
    pub const PLUGIN_AUTH_LENENC_DATA: u64 = 1 << 21;
    pub const DEPRECATE_EOF: u64 = 1 << 24;
    pub const OPTIONAL_RESULTSET_METADATA: u64 = 1 << 25;
    pub const ZSTD_COMPRESSION: u64 = 1 << 26;
    pub const QUERY_ATTRIBUTES: u64 = 1 << 27;
}

/// The server's status, in OK and EOF packets.
pub mod status {
    pub const MORE_RESULTS: u16 = 1 << 3;
    pub const CURSOR_EXISTS: u16 = 1 << 6;
    pub const NO_BACKSLASH_ESCAPES: u16 = 1 << 9;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub length: u32,
    pub sequence: u8,
}

impl Header {
    /// Its own bytes included.
    pub fn total(self) -> u64 {
        u64::from(self.length) + HEADER_BYTES as u64
    }
}

#[inline]
pub fn header(data: &[u8]) -> Option<Header> {
    let [a, b, c, sequence, ..] = *data else { return None };
    Some(Header { length: u32::from_le_bytes([a, b, c, 0]), sequence })
}

pub fn u16_at(body: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(body.get(at..at + 2)?.try_into().ok()?))
}

pub fn u32_at(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

/// An integer of variable length, and how many bytes it takes.
pub fn integer(body: &[u8]) -> Option<(u64, usize)> {
    let bytes = match *body.first()? {
        byte @ 0..=0xfa => return Some((u64::from(byte), 1)),
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        _ => return None,
    };
    let mut wide = [0; 8];
    wide.get_mut(..bytes)?.copy_from_slice(body.get(1..=bytes)?);
    Some((u64::from_le_bytes(wide), bytes + 1))
}

/// A text whose length stands before it, and what stands behind it.
pub fn counted(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, bytes) = integer(body)?;
    body.get(bytes..)?.split_at_checked(usize::try_from(length).ok()?)
}

/// The text up to the zero byte, and what stands behind it.
pub fn terminated(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, body)?;
    Some((&body[..end], &body[end + 1..]))
}

/// The server's status in an OK packet, or in an EOF packet that begins with 0xfe and is shorter. Servers from before
/// 4.1 do not say it, and nothing was special with them.
pub fn server_status(body: &[u8], length: u32) -> u16 {
    let eof = body.first() == Some(&0xfe) && length < 7;
    let at = if eof { Some(3) } else { ok_status_at(body) };
    at.and_then(|at| u16_at(body, at)).unwrap_or(0)
}

pub fn ok_status_at(body: &[u8]) -> Option<usize> {
    let (_, rows) = integer(body.get(1..)?)?;
    let (_, id) = integer(body.get(1 + rows..)?)?;
    Some(1 + rows + id)
}

pub fn error_code(body: &[u8]) -> Option<u16> {
    u16_at(body, 1)
}

#[derive(Debug, PartialEq, Eq)]
pub struct Greeting {
    pub capabilities: u64,
    pub mariadb: bool,
}

/// The first packet of a server: what it can.
pub fn greeting(body: &[u8]) -> Option<Greeting> {
    let (version, rest) = terminated(body.strip_prefix(&[10])?)?;
    let low = u16_at(rest, 13)?;
    let high = u16_at(rest, 18).unwrap_or(0);
    let capabilities = u64::from(low) | u64::from(high) << 16;
    let mariadb = capabilities & capability::MYSQL == 0 || memchr::memmem::find(version, b"MariaDB").is_some();
    Some(Greeting { capabilities, mariadb })
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub capabilities: u64,
    pub database: Option<Text>,
}

/// Longest name of a database.
const MAX_NAME_BYTES: usize = 256;
const LOGIN_FIXED_BYTES: usize = 32;

/// The client's answer to the greeting. Its user and secrets are nobody's business.
pub fn login(body: &[u8]) -> Option<Login> {
    let low = u64::from(u16_at(body, 0)?);
    if low & capability::PROTOCOL_41 == 0 {
        return Some(Login { capabilities: low, database: None });
    }
    let mut capabilities = u64::from(u32_at(body, 0)?);
    if capabilities & capability::MYSQL == 0 {
        capabilities |= u64::from(u32_at(body, 28)?) << 32;
    }
    let database = login_database(body, capabilities);
    Some(Login { capabilities, database })
}

fn login_database(body: &[u8], capabilities: u64) -> Option<Text> {
    if capabilities & capability::CONNECT_WITH_DB == 0 {
        return None;
    }
    let (_user, rest) = terminated(body.get(LOGIN_FIXED_BYTES..)?)?;
    let rest = if capabilities & capability::PLUGIN_AUTH_LENENC_DATA != 0 {
        counted(rest)?.1
    } else if capabilities & capability::SECURE_CONNECTION != 0 {
        rest.get(1 + usize::from(*rest.first()?)..)?
    } else {
        terminated(rest)?.1
    };
    name(terminated(rest)?.0)
}

pub fn name(bytes: &[u8]) -> Option<Text> {
    let name = std::str::from_utf8(bytes).ok()?;
    (!name.is_empty() && name.len() <= MAX_NAME_BYTES).then(|| name.into())
}

/// The client wants to encrypt: the fixed part of a login and nothing behind it.
pub fn asks_for_tls(body: &[u8], length: u32) -> bool {
    length <= LOGIN_FIXED_BYTES as u32 && u16_at(body, 0).is_some_and(|low| u64::from(low) & capability::SSL != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (bytes, value) in [
            (&b"\xfa"[..], Some((250, 1))),
            (b"\xfc\x01\x02", Some((0x201, 3))),
            (b"\xfd\x01\x02\x03", Some((0x30201, 4))),
            (b"\xfe\x01\0\0\0\0\0\0\0", Some((1, 9))),
            (b"\xfb", None),
            (b"\xff", None),
            (b"\xfc\x01", None),
            (b"", None),
        ] {
            assert_eq!(integer(bytes), value, "{bytes:?}");
        }
        assert_eq!(counted(b"\x02abc"), Some((&b"ab"[..], &b"c"[..])));
        assert_eq!(counted(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xffabc"), None);
    }

    #[test]
    fn status_of_ok_and_eof() {
        assert_eq!(server_status(b"\0\x01\0\x0a\0\0\0", 7), 10);
        assert_eq!(server_status(b"\0\xfc\x01\x01\0\x0a\0\0\0", 9), 10);
        assert_eq!(server_status(b"\xfe\0\0\x42\0", 5), 0x42);
        assert_eq!(server_status(b"\xfe\0\0\x42\0\0\0", 7), 0x42);
        assert_eq!(server_status(b"\xfe", 1), 0);
        assert_eq!(server_status(b"\0", 1), 0);
    }
}
