//! Where the seeds come from: the conversations that the tests of `limpid-protocols` recorded from real programs, and
//! a few that no program of theirs has.

use crate::mutate::{Fate, Piece, decode, encode};
use std::path::Path;

fn piece(to_client: bool, bytes: &[u8]) -> Piece {
    Piece { to_client, fate: Fate::Seen, bytes: bytes.to_vec() }
}

/// All that was recorded whose file's name begins like this.
pub fn recorded(prefix: &str) -> Result<Vec<Vec<u8>>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/protocols/tests/data");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        .collect();
    files.sort();
    let mut seeds = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let conversations = text.split("# connection").map(|part| part.lines().filter_map(call).collect());
        seeds.extend(conversations.filter(|calls: &Vec<Piece>| !calls.is_empty()).map(|calls| encode(&calls)));
    }
    Ok(seeds)
}

fn call(line: &str) -> Option<Piece> {
    let (side, hex) = line.split_once(' ')?;
    let digits: Vec<u8> = hex.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    Some(piece(side == "S", &bytes))
}

pub fn http() -> Result<Vec<Vec<u8>>, String> {
    let exchanges: [(&[u8], &[u8]); 5] = [
        (b"GET /a/1?b=c HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (
            b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n",
        ),
        (b"HEAD / HTTP/1.0\r\n\r\n", b"HTTP/1.0 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        (
            b"GET /w HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x81\x01a",
        ),
    ];
    let mut seeds = recorded("http")?;
    seeds.extend(exchanges.iter().map(|(asked, said)| encode(&[piece(false, asked), piece(true, said)])));
    let all: Vec<Piece> =
        exchanges[..3].iter().flat_map(|(asked, said)| [piece(false, asked), piece(true, said)]).collect();
    seeds.push(encode(&all));
    Ok(seeds)
}

pub fn redis() -> Result<Vec<Vec<u8>>, String> {
    let exchanges: [(&[u8], &[u8]); 4] = [
        (b"*1\r\n$7\r\nMONITOR\r\n", b"+OK\r\n+1.2 [0 a:1] \"get\"\r\n"),
        (b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n", b"\n+FULLRESYNC a 0\r\n$3\r\nabc*1\r\n$4\r\nPING\r\n"),
        (
            b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$4\r\nSKIP\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
            b"|1\r\n+a\r\n:1\r\n!5\r\nERR x\r\n",
        ),
        (b"PING\r\nset a 1\r\n", b"+PONG\r\n,1.5\r\n(12\r\n#t\r\n_\r\n=5\r\ntxt:a\r\n"),
    ];
    let mut seeds = recorded("redis")?;
    seeds.extend(exchanges.iter().map(|(asked, said)| encode(&[piece(false, asked), piece(true, said)])));
    Ok(seeds)
}

pub fn http2() -> Result<Vec<Vec<u8>>, String> {
    recorded("grpc").and_then(|calls| Ok([calls, recorded("http2")?].concat()))
}

pub fn postgresql() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = recorded("postgresql")?;
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    let replication = (b"Q\0\0\0\x1aSTART_REPLICATION 0/0\0", b"W\0\0\0\x07\0\0\0d\0\0\0\x08w123");
    seeds.push(encode(&[piece(false, cancel)]));
    seeds.push(encode(&[piece(false, replication.0), piece(true, replication.1)]));
    Ok(seeds)
}

pub fn tls() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = recorded("tls")?;
    let old_hello =
        [&[0x80, 34, 1, 3, 1, 0, 9, 0, 0, 0, 16][..], &[0, 0, 0x2f, 0, 0, 0x35, 1, 0, 0x80], &[7; 16]].concat();
    seeds.push(encode(&[piece(false, &old_hello), piece(true, b"\x15\x03\x01\0\x02\x02\x46")]));
    seeds.push(encode(&[piece(true, b"\x17\x03\x03\0\x14aaaaaaaaaaaaaaaaaaaa")]));
    Ok(seeds)
}

/// Each call a datagram.
pub fn quic() -> Result<Vec<Vec<u8>>, String> {
    recorded("quic")
}

/// Over TCP, each message behind its length.
pub fn dns() -> Result<Vec<Vec<u8>>, String> {
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let mut seeds = recorded("dns")?;
    seeds.push(encode(&[piece(false, &framed(DNS_QUESTION)), piece(true, &framed(DNS_ANSWER))]));
    Ok(seeds)
}

const DNS_QUESTION: &[u8] =
    b"\0\x07\x01\0\0\x01\0\0\0\0\0\x01\x04shop\x04test\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
/// An alias, two addresses, and an extended code.
const DNS_ANSWER: &[u8] = b"\0\x07\x81\x80\0\x01\0\x03\0\0\0\x01\x04shop\x04test\0\0\x01\0\x01\
    \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03web\xc0\x0c\xc0\x27\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01\
    \xc0\x27\0\x1c\0\x01\0\0\0\x3c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\x29\x04\xd0\x01\0\0\0\0\0";

/// The same messages without their lengths, each a datagram.
pub fn datagrams() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = vec![encode(&[piece(false, DNS_QUESTION), piece(true, DNS_ANSWER)])];
    for conversation in recorded("dns")? {
        let whole = |piece: &Piece| {
            let length = piece.bytes.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
            length == piece.bytes.len().checked_sub(2)
        };
        let unframed = |piece: Piece| Piece { bytes: piece.bytes[2..].to_vec(), ..piece };
        let datagrams: Vec<Piece> = decode(&conversation).into_iter().filter(whole).map(unframed).collect();
        seeds.extend((!datagrams.is_empty()).then(|| encode(&datagrams)));
    }
    Ok(seeds)
}

pub fn mysql() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = recorded("mysql")?;
    let ok = b"\x07\0\0\x01\0\0\0\x02\0\0\0";
    let exchanges: [(&[u8], &[u8]); 4] = [
        (b"\x01\0\0\0\x0e", ok),
        (b"\x0f\0\0\0\0\0\0\x0b\0\0\0\x03use `test`", b"\x0b\0\0\x01\0\0\0\x07\0\0\x01\0\0\0\x02\0\0\0"),
        (b"\x0f\0\0\0\x12\x04\0\0\0\0\0\x01\0\0\0binl", b"\x05\0\0\x01\0even\x05\0\0\x02\xfe\0\0\x02\0"),
        (b"\x13\0\0\0\x03\x01\x01\0\x01\xfe\0\x01a\x02bcSELECT", b"\x1b\0\0\x01\xff\x28\x04#42000You have an error"),
    ];
    seeds.extend(exchanges.iter().map(|(asked, said)| encode(&[piece(false, asked), piece(true, said)])));
    Ok(seeds)
}

pub fn everything() -> Result<Vec<Vec<u8>>, String> {
    Ok([http()?, http2()?, redis()?, postgresql()?, mysql()?, dns()?, tls()?].concat())
}

pub fn statements() -> Result<Vec<Vec<u8>>, String> {
    let statements = [
        "SELECT a, 'it''s', E'x\\'y', $$z$$, $t$ 'q' $t$, 1.5e-3, \"Q\"\"i\" FROM s.t WHERE a IN (1, 2, 3) AND b = $1 -- why\n",
        "INSERT INTO t (a, b) VALUES (1, 'x', now()), (2, 'y', now()) /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
        "/* a /* b */ c */ WITH x AS (SELECT ARRAY[1,2]::int[]) SELECT x[1] #>> '{a}' FROM x WHERE y IS NOT NULL LIMIT 10;",
        "/*!40101 SET NAMES utf8 */ SELECT /*M!100100 a */ */ FROM t",
        "# mysql\nSELECT `a`, \"lit\\\"eral\", 'b\\'c' FROM `t` WHERE c = ? OR d = :name",
    ];
    Ok(statements.iter().map(|statement| statement.as_bytes().to_vec()).collect())
}

/// The recorded captures, of which nearly all is seen even when a few bytes at the front are damaged: only the beginnings.
pub fn captures() -> Result<Vec<Vec<u8>>, String> {
    const BEGINNING_BYTES: usize = 8 * 1024;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "pcap" || end == "pcapng"))
        .collect();
    files.sort();
    let beginning = |path: &std::path::PathBuf| {
        let mut bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        bytes.truncate(BEGINNING_BYTES);
        Ok(bytes)
    };
    files.iter().map(beginning).collect()
}

/// A field of bytes of a protocol buffer's message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (low, high) = ((bytes.len() & 0x7f) as u8 | 0x80, (bytes.len() >> 7) as u8);
    [&[number << 3 | 2, low, high], bytes].concat()
}

fn fixed(number: u8, value: u64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

fn attribute(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(2, &field(1, value.as_bytes()))].concat()
}

/// One message a signal, with resource, scope and what nests deepest in it.
pub fn otlp() -> Result<Vec<Vec<u8>>, String> {
    let attributes = |number| field(number, &attribute("http.request.method", "GET"));
    let (start, end) = (1_700_000_000_000_000_000, 1_700_000_000_001_000_000);
    let resource = field(1, &field(1, &attribute("service.name", "shop")));
    let message = |record: &[u8]| {
        field(1, &[resource.clone(), field(2, &[field(1, &field(1, b"scope")), field(2, record)].concat())].concat())
    };
    let span =
        [field(1, &[1; 16]), field(2, &[2; 8]), field(4, &[3; 8]), field(5, b"GET /a"), vec![6 << 3, 2]].concat();
    let times = [fixed(7, start), fixed(8, end)].concat();
    let event = field(11, &[fixed(1, start), field(2, b"exception"), attributes(3)].concat());
    let link = field(13, &[field(1, &[4; 16]), field(2, &[5; 8])].concat());
    let span =
        [span, times, attributes(9), event, link, field(15, &[vec![3 << 3, 2], field(2, b"why")].concat())].concat();
    let point = [fixed(2, start), fixed(3, end)].concat();
    let sum =
        [field(1, &[point.clone(), fixed(4, 5f64.to_bits()), attributes(7)].concat()), vec![2 << 3, 2, 3 << 3, 1]]
            .concat();
    let buckets = field(8, &[vec![1 << 3, 4], field(2, &[1, 2, 3])].concat());
    let exponential =
        [attributes(1), point.clone(), fixed(4, 6), fixed(5, 1f64.to_bits()), vec![6 << 3, 6], fixed(7, 0), buckets]
            .concat();
    let exponential = [field(1, &exponential), vec![2 << 3, 2]].concat();
    let bounds = [
        point,
        fixed(4, 3),
        field(6, &[1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
        field(7, &0.5f64.to_le_bytes()),
    ]
    .concat();
    let histogram = [field(1, &bounds), vec![2 << 3, 2]].concat();
    let metric = |number, data: &[u8]| message(&[field(1, b"requests"), field(3, b"s"), field(number, data)].concat());
    let log = [
        fixed(1, start),
        vec![2 << 3, 9],
        field(3, b"WARN"),
        field(5, &field(1, b"text")),
        attributes(6),
        field(9, &[1; 16]),
    ]
    .concat();
    Ok(vec![
        message(&span),
        metric(7, &sum),
        metric(5, &sum),
        metric(10, &exponential),
        metric(9, &histogram),
        message(&log),
    ])
}

/// A library with functions of the shapes that matter.
pub fn programs() -> Result<Vec<Vec<u8>>, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/probes/tests/data/libtls.so");
    Ok(vec![std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?])
}
