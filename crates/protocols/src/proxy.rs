//! The PROXY protocol: a load balancer says in front of the first byte for whom it connects. What follows is the
//! connection's own protocol, whichever that is.
//! <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>

use crate::stream::Piece;

const SIGNATURE_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const MAX_LINE_BYTES: usize = 107;

/// The first piece of a client without the header of the PROXY protocol; `None` when it is nothing else.
pub(crate) fn without_header(mut piece: Piece<'_>) -> Option<Piece<'_>> {
    let length = header_length(piece.bytes.unwrap_or_default());
    if length > 0 {
        piece = piece.from(piece.offset + length as u64)?;
        // A message begins here all the same.
        piece.at_call = true;
    }
    Some(piece)
}

/// 0 when there is none. Both versions are sent in one piece.
fn header_length(data: &[u8]) -> usize {
    if data.starts_with(b"PROXY TCP") || data.starts_with(b"PROXY UNKNOWN") {
        let line = data.get(..MAX_LINE_BYTES).unwrap_or(data);
        return memchr::memmem::find(line, b"\r\n").map_or(0, |end| end + 2);
    }
    match data.strip_prefix(SIGNATURE_2) {
        Some([0x20 | 0x21, _, high, low, ..]) => SIGNATURE_2.len() + 4 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::testing::*;

    #[test]
    fn what_follows_the_header_is_the_protocol() {
        let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x30\x39\0\x50";
        for header in [&b"PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\r\n"[..], b"PROXY UNKNOWN\r\n", version_2] {
            let request = b"GET /a HTTP/1.1\r\n\r\n";
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            let together = [header, request].concat();
            let scripts: [&Script<'_>; 2] = [
                &[(ToServer, &together), (ToClient, answer)],
                &[(ToServer, header), (ToServer, request), (ToClient, answer)],
            ];
            for script in scripts {
                let got = play(script, &Options::default());
                assert_eq!(got.lines(), ["GET /a 200 ok"]);
                assert_eq!(got.requests[0].request_offset, header.len() as u64);
                assert_prefixes_are_harmless(script, &Options::default());
            }
        }
    }
}
