//! What a server owes that says nothing, and what only looks like it.

use crate::testing::*;
use crate::{Datagrams, Hints, Options, Outstanding};

fn outstanding(script: &Script<'_>) -> Outstanding {
    let mut player = Player::new(&Options::default());
    player.play(script);
    player.connection.outstanding()
}

fn command(words: &[&str]) -> Vec<u8> {
    let strings: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{strings}", words.len()).into_bytes()
}

const GET: &[u8] = b"GET /a HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn requests_count_from_their_first_byte_until_an_answer_begins() {
    let first_ns = START_NS + STEP_NS;
    assert_eq!(outstanding(&[(ToServer, GET)]), Outstanding { requests: 1, since_ns: first_ns });
    assert_eq!(outstanding(&[(ToServer, GET), (ToServer, GET)]), Outstanding { requests: 2, since_ns: first_ns });
    assert_eq!(outstanding(&[(ToServer, GET), (ToClient, OK)]), Outstanding::default());
    let again = outstanding(&[(ToServer, GET), (ToClient, OK), (ToServer, GET)]);
    assert_eq!(again, Outstanding { requests: 1, since_ns: START_NS + 3 * STEP_NS });
    let streams: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
    assert_eq!(outstanding(&[(ToServer, GET), (ToClient, streams)]), Outstanding::default());
}

#[test]
fn a_request_that_is_still_being_sent_waits_for_its_client() {
    let uploads: &[u8] = b"POST /a HTTP/1.1\r\nContent-Length: 9000\r\n\r\nbegin";
    assert_eq!(outstanding(&[(ToServer, uploads)]), Outstanding::default());
    let chunked: &[u8] = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n";
    assert_eq!(outstanding(&[(ToServer, chunked)]).requests, 0);
    assert_eq!(outstanding(&[(ToServer, chunked), (ToServer, b"0\r\n\r\n")]).requests, 1);
}

#[test]
fn upgraded_connections_owe_nothing() {
    let upgrade: &[u8] = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let switched: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(outstanding(&[(ToServer, upgrade), (ToClient, switched)]), Outstanding::default());
    let talked = outstanding(&[(ToServer, upgrade), (ToClient, switched), (ToServer, b"\x81\x85abcdhello")]);
    assert_eq!(talked, Outstanding::default());
}

#[test]
fn commands_that_block_by_design_owe_nothing_and_neither_does_what_stands_behind_them() {
    let get = command(&["GET", "k"]);
    assert_eq!(outstanding(&[(ToServer, &get)]).requests, 1);
    for words in [&["BLPOP", "queue", "0"][..], &["XREAD", "BLOCK", "0", "STREAMS", "s", "$"], &["WAIT", "1", "0"]] {
        let blocks = command(words);
        assert_eq!(outstanding(&[(ToServer, &blocks)]), Outstanding::default(), "{words:?}");
        assert_eq!(outstanding(&[(ToServer, &blocks), (ToServer, &get)]), Outstanding::default(), "{words:?}");
    }
    let subscribed: &[u8] = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    let subscribe = command(&["SUBSCRIBE", "c"]);
    assert_eq!(outstanding(&[(ToServer, &subscribe), (ToClient, subscribed)]), Outstanding::default());
}

#[test]
fn logins_of_a_database_that_says_nothing_are_owed() {
    let encryption = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    assert_eq!(outstanding(&[(ToServer, &encryption)]).requests, 1, "SSLRequest");
    let startup = b"\0\0\0\x13\0\x03\0\0user\0shop\0\0";
    assert_eq!(outstanding(&[(ToServer, startup)]).requests, 1, "StartupMessage");
    let listens = [&b"Q\0\0\0\x0dLISTEN c\0"[..], b"C\0\0\0\x0bLISTEN\0Z\0\0\0\x05I"];
    let login: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    let script = [(ToServer, &startup[..]), (ToClient, login), (ToServer, listens[0])];
    assert_eq!(outstanding(&script).requests, 1);
    let answered = [script.as_slice(), &[(ToClient, listens[1])]].concat();
    assert_eq!(outstanding(&answered), Outstanding::default(), "what LISTEN listens for is no answer");
}

#[test]
fn what_nobody_understands_yet_is_owed_until_anything_is_said() {
    let odd: &[u8] = b"\x2a";
    assert_eq!(outstanding(&[(ToServer, odd)]), Outstanding { requests: 1, since_ns: START_NS + STEP_NS });
    assert_eq!(outstanding(&[(ToServer, odd), (ToClient, b"+")]), Outstanding::default());
}

#[test]
fn questions_without_an_answer_are_owed() {
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\0\0\x01\0\x01";
    let hints = Hints { client_port: 40_000, server_port: 53, from_start: true };
    let mut datagrams = Datagrams::new(hints, &Options::default());
    let mut sink = Collected::default();
    datagrams.datagram_at(ToServer, 0, START_NS, question, question.len() as u64, &mut sink);
    assert_eq!(datagrams.outstanding(), Outstanding { requests: 1, since_ns: START_NS });
    let now_ns = START_NS + 31_000_000_000;
    datagrams.expire(now_ns, &mut sink);
    assert_eq!((datagrams.outstanding().requests, sink.requests.len()), (0, 1), "it was given up");
}
