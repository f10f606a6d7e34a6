//! What two sides may do to each other, with hellos made here; what OpenSSL does is in `recorded_tests`.

use crate::connection::Verdict;
use crate::protocols::Capture;
use crate::testing::*;
use crate::{Connection, Hints, Options};
use limpid_model::{Direction, Kind, Request, Status, Unanswered};

fn with_length(bytes: usize, body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes()[4 - bytes..], body].concat()
}

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &with_length(2, payload)].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &with_length(3, body)].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(2, value)].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &with_length(2, &[&[0][..], &with_length(2, name)].concat()))
}

fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [&[3, 3][..], &[7; 32], &with_length(1, &[9; 32]), &with_length(2, &[0x13, 1]), &with_length(1, &[0])];
    message(1, &[fixed.concat(), with_length(2, &extensions.concat())].concat())
}

fn server_hello(random: [u8; 32], cipher: [u8; 2], extensions: &[Vec<u8>]) -> Vec<u8> {
    let fixed = [&[3, 3][..], &random, &with_length(1, &[9; 32]), &cipher, &[0]];
    message(2, &[fixed.concat(), with_length(2, &extensions.concat())].concat())
}

fn is_1_3() -> Vec<u8> {
    extension(43, &[3, 4])
}

fn asks() -> Vec<u8> {
    record(22, &client_hello(&[server_name(b"Shop.Test")]))
}

fn answers_1_3() -> Vec<u8> {
    [record(22, &server_hello([1; 32], [0x13, 2], &[is_1_3()])), record(20, &[1]), record(23, &[0; 900])].concat()
}

fn finished_1_3() -> Vec<u8> {
    [record(20, &[1]), record(23, &[0; 69])].concat()
}

/// Up to 1.2: the part of a side from ChangeCipherSpec on.
fn finishes() -> Vec<u8> {
    [record(20, &[1]), record(22, &[0xaa; 40])].concat()
}

fn played(parts: &[(Direction, Vec<u8>)]) -> Vec<Request> {
    let script: Vec<_> = parts.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect();
    play(&script, &Options { details: true, ..Options::default() }).requests
}

fn one(parts: &[(Direction, Vec<u8>)]) -> Request {
    let mut requests = played(parts);
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

fn attribute(request: &Request, name: &str) -> String {
    let found = request.attributes().iter().find(|(have, _)| *have == name);
    found.map_or("-".to_owned(), |(_, value)| format!("{value:?}"))
}

fn check(parts: &[(Direction, Vec<u8>)], expected: &str) {
    let script: Vec<_> = parts.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect();
    let options = Options::default();
    assert_eq!(play(&script, &options).lines(), [expected]);
    assert_same_at_every_cut(&script, &options);
    assert_prefixes_are_harmless(&script, &options);
    assert_gaps_invent_nothing(&script, 7, &options);
}

#[test]
fn a_handshake_of_1_3_ends_with_the_clients_finished() {
    let parts =
        [(ToServer, asks()), (ToClient, answers_1_3()), (ToServer, finished_1_3()), (ToClient, record(23, &[0; 19]))];
    check(&parts, "handshake shop.test - ok");
    let request = one(&parts);
    assert_eq!((request.kind, request.duration_ns()), (Kind::Session, 2 * STEP_NS));
    assert_eq!(request.first_byte_ns, Some(request.start_ns + STEP_NS));
    assert_eq!(attribute(&request, "tls.cipher"), "Text(\"TLS_AES_256_GCM_SHA384\")");
    assert_eq!(attribute(&request, "tls.protocol.version"), "Text(\"1.3\")");
    assert_eq!(attribute(&request, "tls.resumed"), "Bool(false)");
}

#[test]
fn a_retry_is_no_second_handshake() {
    let retry = record(22, &server_hello(super::hello::RETRY, [0x13, 1], &[is_1_3(), extension(51, &[0, 24])]));
    let again = [record(20, &[1]), asks()].concat();
    let parts = [
        (ToServer, asks()),
        (ToClient, [retry, record(20, &[1])].concat()),
        (ToServer, again),
        (ToClient, answers_1_3()),
        (ToServer, finished_1_3()),
    ];
    check(&parts, "handshake shop.test - ok");
    assert_eq!(attribute(&one(&parts), "limpid.tls.hello_retry_request"), "Bool(true)");
    assert_eq!(one(&parts).duration_ns(), 4 * STEP_NS);
}

#[test]
fn early_data_is_not_the_end() {
    let asks = record(22, &client_hello(&[server_name(b"shop.test"), extension(42, b""), extension(41, &[0; 40])]));
    let early = [asks, record(20, &[1]), record(23, &[0; 500])].concat();
    let resumes = record(22, &server_hello([1; 32], [0x13, 1], &[is_1_3(), extension(41, &[0, 0])]));
    let parts = [
        (ToServer, early),
        (ToClient, [resumes, record(23, &[0; 300])].concat()),
        (ToServer, [record(23, &[0; 21]), record(23, &[0; 53])].concat()),
    ];
    check(&parts, "handshake shop.test - ok");
    assert_eq!(attribute(&one(&parts), "tls.resumed"), "Bool(true)");
    assert_eq!(one(&parts).duration_ns(), 2 * STEP_NS);
}

#[test]
fn alerts_end_it() {
    let hello = record(22, &server_hello([1; 32], [0xc0, 0x2f], &[]));
    for (what, rest, expected) in [
        ("no shared cipher", vec![(ToClient, record(21, &[2, 40]))], "handshake shop.test 40 error"),
        (
            "a warning first",
            vec![(ToClient, [record(21, &[1, 112]), record(21, &[2, 80])].concat())],
            "handshake shop.test 80 error",
        ),
        (
            "unknown authority",
            vec![(ToClient, hello.clone()), (ToServer, record(21, &[2, 48]))],
            "handshake shop.test 48 error",
        ),
        (
            "1.3 has no warnings",
            vec![(ToClient, answers_1_3()), (ToServer, record(21, &[1, 42]))],
            "handshake shop.test 42 error",
        ),
        ("encrypted", vec![(ToClient, answers_1_3()), (ToServer, record(23, &[0; 19]))], "handshake shop.test - error"),
        (
            "encrypted, up to 1.2",
            vec![(ToClient, hello), (ToServer, [finishes(), record(21, &[0; 26])].concat())],
            "handshake shop.test - error",
        ),
    ] {
        let parts = [vec![(ToServer, asks())], rest].concat();
        check(&parts, expected);
        assert_eq!(one(&parts).status, Status::Error, "{what}");
    }
}

#[test]
fn up_to_1_2_both_have_to_finish() {
    let hello = record(22, &server_hello([1; 32], [0xc0, 0x2f], &[]));
    let resumes = [hello.clone(), finishes()].concat();
    let resumed = [(ToServer, asks()), (ToClient, resumes.clone()), (ToServer, finishes())];
    check(&resumed, "handshake shop.test - ok");
    assert_eq!(attribute(&one(&resumed), "tls.resumed"), "Bool(true)");
    check(&resumed[..2], "handshake shop.test - unanswered");
    // Data before the server has finished (RFC 7918) does not end it.
    let ahead = [finishes(), record(23, &[0; 30])].concat();
    let parts = [(ToServer, asks()), (ToClient, hello), (ToServer, ahead), (ToClient, finishes())];
    check(&parts, "handshake shop.test - ok");
    assert_eq!(one(&parts).duration_ns(), 3 * STEP_NS);
}

#[test]
fn a_close_before_the_end_is_no_answer() {
    for parts in [
        &[(ToServer, asks())][..],
        &[(ToServer, asks()), (ToClient, record(21, &[1, 0]))],
        &[(ToServer, asks()), (ToClient, answers_1_3())],
    ] {
        let request = one(parts);
        assert_eq!((request.status, request.unanswered), (Status::Unanswered, Some(Unanswered::Closed)));
    }
}

#[test]
fn records_and_messages_are_split_as_they_like() {
    let hello = client_hello(&[server_name(b"shop.test"), extension(21, &[0; 3000])]);
    let pieces: Vec<u8> = hello.chunks(100).flat_map(|piece| record(22, piece)).collect();
    let certificate = message(11, &with_length(3, &with_length(3, &[0; 100_000])));
    let all = [server_hello([1; 32], [0, 0x2f], &[]), certificate, message(14, b"")].concat();
    let answer: Vec<u8> = all.chunks(16_000).flat_map(|piece| record(22, piece)).collect();
    let parts = [(ToServer, pieces), (ToClient, answer), (ToServer, finishes()), (ToClient, finishes())];
    let request = one(&parts);
    assert_eq!(line(&request), "handshake shop.test - ok");
    assert_eq!(attribute(&request, "tls.cipher"), "Text(\"TLS_RSA_WITH_AES_128_CBC_SHA\")");
}

#[test]
fn the_hello_of_ssl_2() {
    let hello = [&[0x80, 9 + 6 + 16, 1, 3, 1, 0, 6, 0, 0, 0, 16][..], &[0, 0, 0x2f, 0, 0, 0x35], &[7; 16]].concat();
    let answer = [record(22, &server_hello([1; 32], [0, 0x2f], &[])), record(22, &message(14, b""))].concat();
    check(&[(ToServer, hello), (ToClient, answer), (ToServer, finishes()), (ToClient, finishes())], "handshake - - ok");
}

#[test]
fn what_is_no_name_is_not_told() {
    for name in [&b""[..], b"a b", b"a\0b", &[b'a'; 256], b"\xc3\xa4"] {
        let hello = record(22, &client_hello(&[server_name(name)]));
        assert_eq!(one(&[(ToServer, hello), (ToClient, record(21, &[2, 40]))]).resource, None);
    }
}

fn is_done(connection: &Connection) -> bool {
    connection.protocol().map(|protocol| protocol.name) == Some("tls")
        && connection.verdict() == Verdict::Pinned(Capture::Nothing)
}

#[test]
fn after_the_handshake_nothing_is_wanted() {
    let mut player = Player::new(&Options::default());
    player.play(&[(ToServer, &asks()), (ToClient, &answers_1_3())]);
    assert!(!is_done(&player.connection));
    player.say(ToServer, &finished_1_3());
    assert!(is_done(&player.connection));
    player.say(ToServer, &[record(23, &[0; 100]), asks()].concat());
    player.lose(ToClient, 1 << 30);
    assert_eq!(player.close().lines(), ["handshake shop.test - ok"]);
}

#[test]
fn joined_in_the_middle_it_is_tls_and_no_request() {
    for from_start in [false, true] {
        for (direction, bytes) in
            [(ToServer, record(23, &[0; 40])), (ToClient, record(23, &[5; 1400])), (ToClient, finishes())]
        {
            let mut player = Player::with(Hints { from_start, ..Hints::default() }, &Options::default());
            player.say(direction, &bytes);
            player.now_ns += 1_000_000_000;
            let now_ns = player.now_ns;
            player.connection.expire(now_ns, &mut player.sink);
            assert!(is_done(&player.connection), "{direction:?} {from_start}");
            assert_eq!(player.close().lines(), Vec::<String>::new());
        }
    }
}

#[test]
fn behind_starttls_it_begins_where_its_hello_begins() {
    let before: &Script<'_> = &[
        (ToClient, b"220 mail.test ESMTP\r\n"),
        (ToServer, b"EHLO h\r\n"),
        (ToClient, b"250-mail\r\n250 STARTTLS\r\n"),
        (ToServer, b"STARTTLS\r\n"),
        (ToClient, b"220 Ready\r\n"),
    ];
    let mut player = Player::new(&Options::default());
    player.play(before);
    player.play(&[(ToServer, &asks()), (ToClient, &answers_1_3()), (ToServer, &finished_1_3())]);
    assert!(is_done(&player.connection));
    assert_eq!(player.close().lines(), ["handshake shop.test - ok"]);
}

#[test]
fn a_handshake_that_takes_too_long_is_corrected() {
    let options = Options::default();
    let mut player = Player::new(&options);
    player.say(ToServer, &asks());
    player.now_ns += options.timeout_ns * 2;
    let now_ns = player.now_ns;
    player.connection.expire(now_ns, &mut player.sink);
    player.connection.expire(now_ns, &mut player.sink);
    player.play(&[(ToClient, &answers_1_3()), (ToServer, &finished_1_3())]);
    let got = player.close();
    assert_eq!(got.lines(), ["handshake shop.test - unanswered", "handshake shop.test - ok"]);
    assert_eq!(got.requests[0].unanswered, Some(Unanswered::Timeout));
    assert!(got.requests[1].corrects);
}
