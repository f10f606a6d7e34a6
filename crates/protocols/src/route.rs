//! Paths made fit for labels of metrics: what identifies one thing among many becomes `{id}`.
//!
//! `/users/42/cart` and `/users/43/cart` are one route. Numbers, UUIDs, hashes and long random parts are replaced; words
//! and versions (`v2`) stay. How many different routes a service may have is capped elsewhere.

use limpid_model::Text;

const ID: &str = "{id}";
const MAX_SEGMENTS: usize = 12;
const MAX_ROUTE_BYTES: usize = 160;
/// A word as long as this is none.
const MAX_WORD_BYTES: usize = 40;
const MAX_SEGMENT_BYTES: usize = 80;
const MIN_HASH_BYTES: usize = 8;
const MIN_RANDOM_BYTES: usize = 16;

pub fn normalise(path: &[u8]) -> Text {
    if let Some(plain) = std::str::from_utf8(path).ok().filter(|_| has_plain_words_only(path)) {
        return Text::new(plain);
    }
    let mut route = Text::default();
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            route.push('/');
        }
        if index > MAX_SEGMENTS || route.len() > MAX_ROUTE_BYTES {
            route.push('*');
            return route;
        }
        push_segment(&mut route, segment);
    }
    route
}

/// Short words of letters and a few separators, as in most paths that are routes already: nothing is to be replaced.
fn has_plain_words_only(path: &[u8]) -> bool {
    let (mut segments, mut length) = (0, 0);
    path.len() <= MAX_ROUTE_BYTES
        && path.iter().all(|byte| match byte {
            b'/' => {
                (segments, length) = (segments + 1, 0);
                segments <= MAX_SEGMENTS
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' => {
                length += 1;
                length < MIN_RANDOM_BYTES
            }
            _ => false,
        })
}

fn push_segment(route: &mut Text, segment: &[u8]) {
    // Matrix parameters (`;jsessionid=…`) say which, not what.
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    let escapes = name.iter().filter(|byte| **byte == b'%').count();
    if name.len() > MAX_SEGMENT_BYTES || escapes > 2 || name.contains(&b'@') {
        route.push_str(ID);
        return;
    }
    if is_version(name) {
        push_text(route, name);
        return;
    }
    let (mut at, mut ids) = (0, 0);
    while let Some(rest) = name.get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().position(|byte| is_separator(*byte)).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(length);
        ids += usize::from(push_part(route, part));
        if let Some(separator) = behind.first() {
            route.push(char::from(*separator));
        }
        at += length + 1;
    }
    if ids > 1 {
        collapse(route);
    }
}

fn is_separator(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.' | b':' | b',' | b'~' | b'+' | b'=')
}

/// Whether an identifier was pushed.
fn push_part(route: &mut Text, part: &[u8]) -> bool {
    let id = is_id(part);
    if id {
        route.push_str(ID)
    } else {
        push_text(route, part)
    }
    id
}

fn push_text(route: &mut Text, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) if !text.chars().any(char::is_control) => route.push_str(text),
        // What is no text is a name of one thing.
        _ => route.push_str(ID),
    }
}

/// `{id}-{id}` is one identifier written in groups: a UUID, a date, a version of a file.
fn collapse(route: &mut Text) {
    let segment_at = route.rfind('/').map_or(0, |at| at + 1);
    let mut segment = route.as_str().get(segment_at..).unwrap_or_default().to_owned();
    for separator in ['-', '_', '.', ':', ',', '~', '+', '='] {
        let double = format!("{ID}{separator}{ID}");
        while segment.contains(&double) {
            segment = segment.replace(&double, ID);
        }
    }
    route.truncate(segment_at);
    route.push_str(&segment);
}

/// `v1`, `v2.0`
fn is_version(name: &[u8]) -> bool {
    matches!(name, [b'v' | b'V', digits @ ..] if digits.len() <= 5
        && digits.first().is_some_and(u8::is_ascii_digit)
        && digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.'))
}

fn is_id(part: &[u8]) -> bool {
    let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits == part.len() {
        return digits > 0;
    }
    let hex = part.iter().all(u8::is_ascii_hexdigit);
    if hex && part.len() >= MIN_HASH_BYTES && digits > 0 || hex && part.len() >= MIN_RANDOM_BYTES {
        return true;
    }
    part.len() > MAX_WORD_BYTES
        || part.len() >= MIN_RANDOM_BYTES && (digits >= 2 || changes_case(part))
        || is_group(part, digits)
}

/// The short groups of a UUID, and numbers with a letter or two: mostly digits.
fn is_group(part: &[u8], digits: usize) -> bool {
    part.len() >= 4 && digits * 2 >= part.len() && part.iter().all(u8::is_ascii_alphanumeric)
}

/// Base64 and its like go up and down; a word in camel case has few humps.
fn changes_case(part: &[u8]) -> bool {
    let humps =
        part.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    humps.count() * 4 >= part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_replaced_and_words_are_not() {
        for (path, expected) in [
            ("/", "/"),
            ("*", "*"),
            ("/cart", "/cart"),
            ("/cart/42", "/cart/{id}"),
            ("/api/v2/users/8231/orders/", "/api/v2/users/{id}/orders/"),
            ("/users/550e8400-e29b-41d4-a716-446655440000", "/users/{id}"),
            ("/blob/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/blob/{id}"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0", "/t/{id}"),
            ("/order-12345/items", "/order-{id}/items"),
            ("/2024-01-31/report", "/{id}/report"),
            ("/static/jquery-3.6.0.min.js", "/static/jquery-{id}.min.js"),
            ("/a;jsessionid=0123456789ABCDEF/b", "/a/b"),
            ("/mail/bob@example.com", "/mail/{id}"),
            ("/getShoppingCartForCustomer", "/getShoppingCartForCustomer"),
            ("/wp-content/plugins", "/wp-content/plugins"),
            ("/%E4%BD%A0%E5%A5%BD", "/{id}"),
            ("/a%20b", "/a%20b"),
            ("/deadbeef1", "/{id}"),
            ("/facade", "/facade"),
            ("db.example.com:443", "db.example.com:{id}"),
        ] {
            assert_eq!(normalise(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn routes_are_bounded_whatever_the_path() {
        for path in ["/a".repeat(10_000), "/".repeat(70_000), "x-".repeat(30_000), "%".repeat(5000)] {
            assert!(normalise(path.as_bytes()).len() < 2 * MAX_ROUTE_BYTES);
        }
        assert_eq!(normalise(&[b'/', 0xff, 0xfe]), "/{id}");
        assert_eq!(normalise(b"/a\nb"), "/{id}");
    }
}
