//! Chunked bodies (RFC 9112, section 7.1), one line at a time.

/// A size with its extensions, or a trailer field.
const MAX_LINE_BYTES: usize = 8 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunked {
    Need,
    /// A chunk with its size, or a trailer field: so many bytes.
    Take(u64),
    /// The chunk of size 0; trailers follow.
    LastChunk(u64),
    /// The empty line behind the trailers.
    End(u64),
    Invalid,
}

/// The next element of a chunked body; in `trailers` its end.
pub(super) fn chunked(data: &[u8], trailers: bool) -> Chunked {
    // The line end behind a chunk's data belongs to the next size line: it may come late, or as a bare line feed.
    let blank = if trailers { 0 } else { data.iter().take(2).take_while(|byte| matches!(byte, b'\r' | b'\n')).count() };
    let line_from = data.get(blank..).unwrap_or_default();
    let Some(end) = memchr::memchr(b'\n', line_from) else {
        return if line_from.len() > MAX_LINE_BYTES || !trailers && !may_be_size(line_from) {
            Chunked::Invalid
        } else {
            Chunked::Need
        };
    };
    let line = line_from.get(..end).unwrap_or_default().trim_ascii();
    let length = (blank + end + 1) as u64;
    if trailers {
        return if line.is_empty() { Chunked::End(length) } else { Chunked::Take(length) };
    }
    match size(line) {
        None => Chunked::Invalid,
        Some(0) => Chunked::LastChunk(length),
        Some(size) => Chunked::Take(length.saturating_add(size)),
    }
}

fn may_be_size(line: &[u8]) -> bool {
    line.first().is_none_or(|byte| byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'\t' | b'\r'))
}

fn size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let behind = line.get(digits).copied();
    if digits == 0 || digits > 15 || !matches!(behind, None | Some(b';' | b' ' | b'\t')) {
        return None;
    }
    let digits = line.get(..digits)?;
    digits.iter().try_fold(0u64, |size, digit| Some(size << 4 | u64::from((*digit as char).to_digit(16)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ends() {
        for (data, trailers, expected) in [
            (&b"5\r\nhello"[..], false, Chunked::Take(8)),
            (b"\r\n5\r\nhello", false, Chunked::Take(10)),
            (b"a;name=\"x\"\n", false, Chunked::Take(21)),
            (b"0\r\n", false, Chunked::LastChunk(3)),
            (b"0000000000000000\r\n", false, Chunked::Invalid),
            (b"\r\n", true, Chunked::End(2)),
            (b"\n", true, Chunked::End(1)),
            (b"x: y\r\n\r\n", true, Chunked::Take(6)),
            (b"5", false, Chunked::Need),
            (b"\r", false, Chunked::Need),
            (b"", false, Chunked::Need),
            (b"HTTP/1.1 200 OK\r\n", false, Chunked::Invalid),
            (b"<html>", false, Chunked::Invalid),
        ] {
            assert_eq!(chunked(data, trailers), expected, "{:?}", String::from_utf8_lossy(data));
        }
    }
}
