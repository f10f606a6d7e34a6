//! Where the seeds come from: the conversations that the tests of `limpid-protocols` recorded from real programs, and
//! a few that no program of theirs has.

use crate::mutate::{Fate, Piece, encode};
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

pub fn postgresql() -> Result<Vec<Vec<u8>>, String> {
    let mut seeds = recorded("postgresql")?;
    let cancel = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02";
    let replication = (b"Q\0\0\0\x1aSTART_REPLICATION 0/0\0", b"W\0\0\0\x07\0\0\0d\0\0\0\x08w123");
    seeds.push(encode(&[piece(false, cancel)]));
    seeds.push(encode(&[piece(false, replication.0), piece(true, replication.1)]));
    Ok(seeds)
}

pub fn everything() -> Result<Vec<Vec<u8>>, String> {
    Ok([http()?, redis()?, postgresql()?].concat())
}

pub fn statements() -> Result<Vec<Vec<u8>>, String> {
    let statements = [
        "SELECT a, 'it''s', E'x\\'y', $$z$$, $t$ 'q' $t$, 1.5e-3, \"Q\"\"i\" FROM s.t WHERE a IN (1, 2, 3) AND b = $1 -- why\n",
        "INSERT INTO t (a, b) VALUES (1, 'x', now()), (2, 'y', now()) /*traceparent='00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'*/",
        "/* a /* b */ c */ WITH x AS (SELECT ARRAY[1,2]::int[]) SELECT x[1] #>> '{a}' FROM x WHERE y IS NOT NULL LIMIT 10;",
        "# mysql\nSELECT `a`, \"lit\\\"eral\", 'b\\'c' FROM `t` WHERE c = ? OR d = :name",
    ];
    Ok(statements.iter().map(|statement| statement.as_bytes().to_vec()).collect())
}
