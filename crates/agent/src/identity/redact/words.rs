//! One word of a command line: what of it may be shown.

use super::REDACTED;
use limpid_model::Text;

/// An option or variable whose name contains one of these (case and punctuation aside) has a secret as its value.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "encryptionkey",
    "signingkey",
    "accountkey",
    "credential",
    "authorization",
    "bearer",
    "cookie",
    "requirepass",
    "masterauth",
    "authkey",
    "connectionstring",
    "fromliteral",
    "sessionid",
    "webhook",
    "jwt",
    "dsn",
];
/// The same for how a name ends: `--auth`, `DB_PASS`, `REDISCLI_AUTH`, but not `--author`.
const SECRET_ENDINGS: &[&str] = &["auth", "pass", "otp"];

/// Beginnings of values that are keys by themselves, wherever they stand.
const SECRET_VALUES: &[&str] = &[
    "sk-",
    "sk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "eyJ",
    "AIza",
    "ya29.",
    "hvs.",
    "npm_",
    "dop_v1_",
    "SG.",
];

/// What a word says of those behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hide {
    #[default]
    Nothing,
    /// `--password`, `password=`
    Next,
    /// `Authorization:`, and all that follows.
    Rest,
}

/// Names with secret values, URLs with user information, values that are keys.
pub fn push(line: &mut Text, word: &str) -> Hide {
    let mut rest = word;
    // One URL after the other: user information goes, and the values in the query.
    while let Some(at) = rest.find("://") {
        let (scheme, authority) = rest.split_at(at + 3);
        if secret_value(&scheme[..at]).is_some() {
            break;
        }
        line.push_str(scheme);
        let (user, host) = authority.split_at(end_of_user(authority));
        line.push_str(if user.is_empty() { "" } else { REDACTED });
        let end = host.find(['/', '?', '#', ';', ',']).unwrap_or(host.len());
        line.push_str(&host[..end]);
        rest = &host[end..];
        if let Some(query) = rest.find('?') {
            let hide = push_plain(line, &rest[..query]);
            push_query(line, &rest[query..]);
            return hide;
        }
    }
    push_plain(line, rest)
}

/// Where the host begins: at the last `@` before the path.
fn end_of_user(authority: &str) -> usize {
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    if let Some(at) = authority[..end].rfind('@') {
        return at;
    }
    // A password may hold a slash, or its `@` was cut off: then what stands before it is no port.
    let port = authority[..end].split_once(':').map_or("", |(_, rest)| rest.split(',').next().unwrap_or_default());
    if authority.starts_with('[') || port.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    authority.rfind('@').unwrap_or(authority.len())
}

fn push_query(line: &mut Text, query: &str) {
    for (at, pair) in query.split('&').enumerate() {
        if at > 0 {
            line.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) => {
                line.push_str(name);
                line.push('=');
                line.push_str(REDACTED);
            }
            None => line.push_str(pair),
        }
    }
}

fn push_plain(line: &mut Text, word: &str) -> Hide {
    if let Some(at) = secret_value(word) {
        line.push_str(&word[..at]);
        let empty = word[at..].trim_matches(['"', '\'']).is_empty();
        line.push_str(if empty { &word[at..] } else { REDACTED });
        return match (empty, &word[at - 1..at]) {
            (false, _) => Hide::Nothing,
            (true, "=") => Hide::Next,
            (true, _) => Hide::Rest,
        };
    }
    if let Some(at) = word.find('@').filter(|at| word[..*at].contains(':') && !word[*at..].starts_with("@sha256:")) {
        line.push_str(REDACTED);
        line.push_str(&word[at..]);
        return Hide::Nothing;
    }
    let value = word.find(['=', ':']).map_or(0, |at| at + 1);
    if looks_like_key(word) {
        line.push_str(REDACTED);
    } else if looks_like_key(&word[value..]) {
        line.push_str(&word[..value]);
        line.push_str(REDACTED);
    } else {
        line.push_str(word);
    }
    let bare = bare(word);
    let names_scheme = ["bearer", "basic", "digest"].iter().any(|scheme| bare.eq_ignore_ascii_case(scheme));
    if names_scheme { Hide::Next } else { Hide::Nothing }
}

/// Where the value of a secret begins: behind `password=`, `"token":`, `sasl.password=` in the middle of a word.
fn secret_value(word: &str) -> Option<usize> {
    let mut start = 0;
    for (at, byte) in word.bytes().enumerate() {
        match byte {
            b'=' | b':' if is_secret_name(&word[start..at]) => return Some(at + 1),
            b'=' | b':' | b';' | b',' | b'&' | b'?' | b'{' | b'(' | b'[' | b'/' | b'@' | b'|' => start = at + 1,
            _ => {}
        }
    }
    None
}

fn bare(word: &str) -> &str {
    word.trim_matches(['"', '\'', ',', ';'])
}

fn looks_like_key(value: &str) -> bool {
    let value = bare(value);
    value.len() >= 16 && SECRET_VALUES.iter().any(|prefix| value.starts_with(prefix))
}

pub fn is_secret_name(name: &str) -> bool {
    let mut plain = [0u8; 64];
    let mut length = 0;
    for byte in name.bytes().filter(u8::is_ascii_alphanumeric).take(plain.len()) {
        plain[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let plain = &plain[..length];
    SECRET_NAMES.iter().any(|secret| memchr::memmem::find(plain, secret.as_bytes()).is_some())
        || SECRET_ENDINGS.iter().any(|ending| plain.ends_with(ending.as_bytes()))
}
