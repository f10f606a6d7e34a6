//! What may not leave the machine, and what is shown instead: the one table of redactions.

use crate::sql;
use limpid_model::Text;

/// Stands where a value was.
pub const REDACTED: &str = "REDACTED";
const MAX_TEXT_BYTES: usize = 4096;
const MAX_HOST_BYTES: usize = 253;

/// One kind of secret. `--raw` switches the table off for `replay`.
pub struct Redaction {
    pub what: &'static str,
    /// What is seen instead.
    pub shown: &'static str,
    pub redact: fn(&[u8]) -> Text,
}

pub static REDACTIONS: &[Redaction] = &[
    Redaction { what: "values of a URL's query", shown: "`name=REDACTED`", redact: query },
    Redaction { what: "user and password in a URL's authority", shown: "the host alone", redact: authority },
    Redaction {
        what: "parameters of a path that name a session, token or key (`;jsessionid=…`)",
        shown: "`;name=REDACTED`",
        redact: path,
    },
    Redaction { what: "literals of a statement", shown: "`?`", redact: statement },
    Redaction { what: "Redis keys and values", shown: "nothing", redact: nothing },
    Redaction { what: "values of header fields, but Host and User-Agent", shown: "nothing", redact: nothing },
];

/// Text of at most `limit` bytes; what is no UTF-8 is replaced.
pub fn text(bytes: &[u8], limit: usize) -> Text {
    let cut = bytes.get(..limit).unwrap_or(bytes);
    match std::str::from_utf8(cut) {
        Ok(text) => Text::new(text),
        Err(_) => Text::from(String::from_utf8_lossy(cut)),
    }
}

fn nothing(_: &[u8]) -> Text {
    Text::default()
}

fn statement(statement: &[u8]) -> Text {
    sql::shape(statement, false, sql::POSTGRESQL)
}

/// `a=1&b=2` to `a=REDACTED&b=REDACTED`. A part without a name is a value.
pub fn query(query: &[u8]) -> Text {
    let mut out = Text::default();
    for part in query.split(|byte| matches!(byte, b'&' | b';')) {
        if out.len() > MAX_TEXT_BYTES {
            break;
        }
        if !out.is_empty() {
            out.push('&');
        }
        push_redacted(&mut out, part);
    }
    out
}

/// A path keeps its segments; the values of their parameters are redacted where their names say that they are secret.
pub fn path(path: &[u8]) -> Text {
    if !path.contains(&b';') {
        return text(path, MAX_TEXT_BYTES);
    }
    let mut out = Text::default();
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        for (index, part) in segment.split(|byte| *byte == b';').enumerate() {
            if index > 0 {
                out.push(';');
            }
            let secret = index > 0 && is_secret(part);
            if secret { push_redacted(&mut out, part) } else { out.push_str(&text(part, MAX_TEXT_BYTES)) }
        }
        if out.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    out
}

/// A parameter of a path whose name is that of a credential.
fn is_secret(parameter: &[u8]) -> bool {
    const NAMES: [&[u8]; 10] =
        [b"sess", b"sid", b"token", b"auth", b"key", b"pass", b"pwd", b"secret", b"sig", b"cred"];
    let name = parameter.split(|byte| *byte == b'=').next().unwrap_or_default().to_ascii_lowercase();
    NAMES.iter().any(|secret| memchr::memmem::find(&name, secret).is_some())
}

/// `name=value` without its value; what has no name is a value.
fn push_redacted(out: &mut Text, part: &[u8]) {
    const MAX_NAME_BYTES: usize = 64;
    if let Some(equals) = memchr::memchr(b'=', part) {
        out.push_str(&text(part.get(..equals).unwrap_or_default(), MAX_NAME_BYTES));
        out.push('=');
    }
    if !part.is_empty() {
        out.push_str(REDACTED);
    }
}

/// `user:password@host:port` without what is in front of the `@`.
pub fn without_userinfo(authority: &[u8]) -> &[u8] {
    let at = authority.iter().rposition(|byte| *byte == b'@');
    at.and_then(|at| authority.get(at + 1..)).unwrap_or(authority)
}

fn authority(authority: &[u8]) -> Text {
    text(without_userinfo(authority), MAX_HOST_BYTES)
}

/// The host, an IPv6 address without its brackets, and the port of an authority.
pub fn host_and_port(authority: &[u8]) -> (Text, Option<u16>) {
    let bare = without_userinfo(authority);
    let (host, port) = match bare.iter().rposition(|byte| *byte == b':') {
        Some(at) if !bare.ends_with(b"]") => (bare.get(..at).unwrap_or_default(), bare.get(at + 1..)),
        _ => (bare, None),
    };
    let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
    (text(host, MAX_HOST_BYTES), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_of_the_table_shows_the_secret() {
        for (row, input) in [
            (0, "token=s3cret&x=s3cret"),
            (0, "s3cret"),
            (0, "a=1;b=s3cret"),
            (1, "bob:s3cret@shop.test:80"),
            (2, "/a;jsessionid=s3cret/b;Access_Token=s3cret"),
            (3, "select 's3cret', $$s3cret$$"),
            (4, "s3cret"),
            (5, "s3cret"),
        ] {
            let shown = (REDACTIONS[row].redact)(input.as_bytes());
            assert!(!shown.contains("s3cret"), "{}: {shown}", REDACTIONS[row].what);
        }
    }

    #[test]
    fn names_stay() {
        assert_eq!(query(b"a=1&b=&c"), "a=REDACTED&b=REDACTED&REDACTED");
        assert_eq!(query(b""), "");
        assert_eq!(path(b"/a;v=1/b;c;sid=9"), "/a;v=1/b;c;sid=REDACTED");
        assert_eq!(path(b"/a/b"), "/a/b");
    }

    #[test]
    fn hosts_and_ports() {
        for (authority, host, port) in [
            ("shop.test", "shop.test", None),
            ("shop.test:8080", "shop.test", Some(8080)),
            ("[::1]:80", "::1", Some(80)),
            ("[::1]", "::1", None),
            ("u:p@h:1", "h", Some(1)),
            ("h:99999", "h", None),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(authority.as_bytes()), (Text::new(host), port), "{authority}");
        }
    }
}
