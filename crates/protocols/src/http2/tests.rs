use super::frame::*;
use super::*;
use crate::testing::*;
use crate::{Hints, PROTOCOLS};
use limpid_model::Status;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    [&[first, name.len() as u8][..], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// Fields without use of the dynamic table.
fn block_of(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0, name, value)).collect()
}

/// The same, each put into the table.
fn inserted(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0x40, name, value)).collect()
}

fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block_of(fields))
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    headers(stream, END_STREAM, &[(":method", "GET"), (":path", path), (":scheme", "http")])
}

const GRPC_TYPE: (&str, &str) = ("content-type", "application/grpc");

fn call(stream: u32, path: &str) -> Vec<u8> {
    let head = headers(stream, 0, &[(":method", "POST"), (":path", path), GRPC_TYPE, ("te", "trailers")]);
    [head, frame(DATA, END_STREAM, stream, b"\0\0\0\0\x02hi")].concat()
}

fn reply(stream: u32, status: &str) -> Vec<u8> {
    let head = headers(stream, 0, &[(":status", "200"), GRPC_TYPE]);
    let tail = headers(stream, END_STREAM, &[("grpc-status", status)]);
    [head, frame(DATA, 0, stream, b"\0\0\0\0\x02ho"), tail].concat()
}

fn ok(stream: u32, status: &str) -> Vec<u8> {
    let head = headers(stream, 0, &[(":status", status), ("server", "x")]);
    [head, frame(DATA, 0, stream, b"some"), frame(DATA, END_STREAM, stream, b" more")].concat()
}

fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]), &frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0])].concat()
}

fn welcome() -> Vec<u8> {
    [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat()
}

fn options() -> Options {
    Options { details: true, ..Options::default() }
}

#[test]
fn requests_and_calls_of_one_connection() {
    let client = [hello(), get(1, "/a/7?q=1"), get(3, "/b")].concat();
    let (server, call, reply) =
        ([welcome(), ok(3, "404"), ok(1, "200")].concat(), call(5, "/shop.Cart/Add"), reply(5, "5"));
    let script: &Script<'_> = &[(ToServer, &client), (ToClient, &server), (ToServer, &call), (ToClient, &reply)];
    let got = play(script, &options());
    assert_eq!(got.lines(), ["GET /b 404 ok", "GET /a/{id} 200 ok", "/shop.Cart/Add - 5 ok"]);
    let call = &got.requests[2];
    assert_eq!((call.protocol, call.first_byte_ns.is_some()), ("grpc", true));
    assert_eq!(got.requests[1].resource_raw().map(|raw| raw.as_str()), Some("/a/7"));
    assert_same_at_every_cut(script, &options());
    assert_prefixes_are_harmless(script, &options());
}

#[test]
fn a_code_of_grpc_that_is_a_servers_failure() {
    for (code, status) in
        [("0", Status::Ok), ("1", Status::Ok), ("5", Status::Ok), ("13", Status::Error), ("14", Status::Error)]
    {
        let (client, server) = ([hello(), call(1, "/s.S/M")].concat(), [welcome(), reply(1, code)].concat());
        let got = play(&[(ToServer, &client), (ToClient, &server)], &Options::default());
        assert_eq!((got.requests[0].status, got.requests[0].code.as_deref()), (status, Some(code)));
    }
    // Trailers alone, and an answer that ends without a code.
    let alone = headers(1, END_STREAM, &[(":status", "200"), GRPC_TYPE, ("grpc-status", "12")]);
    let without = [headers(1, 0, &[(":status", "200"), GRPC_TYPE]), frame(DATA, END_STREAM, 1, b"x")].concat();
    for (answer, line) in [(alone, "/s.S/M - 12 error"), (without, "/s.S/M - - error")] {
        let (client, server) = ([hello(), call(1, "/s.S/M")].concat(), [welcome(), answer].concat());
        assert_eq!(play(&[(ToServer, &client), (ToClient, &server)], &Options::default()).lines(), [line]);
    }
}

#[test]
fn blocks_in_several_frames_padding_and_priority() {
    let block = block_of(&[(":method", "POST"), (":path", "/long"), ("x-filler", "some text that is of no interest")]);
    let padded = [&[3][..], &[0x80, 0, 0, 0, 16], &block[..9], &[0; 3]].concat();
    let client = [
        hello(),
        frame(HEADERS, PADDED | WITH_PRIORITY | END_STREAM, 1, &padded),
        frame(CONTINUATION, 0, 1, &block[9..20]),
        frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
    ]
    .concat();
    let hint = headers(1, 0, &[(":status", "103")]);
    let server = [welcome(), hint, headers(1, END_STREAM, &[(":status", "204")])].concat();
    let script: &Script<'_> = &[(ToServer, &client), (ToClient, &server)];
    assert_eq!(play(script, &Options::default()).lines(), ["POST /long 204 ok"]);
    assert_same_at_every_cut(script, &Options::default());
}

#[test]
fn streams_that_are_taken_down() {
    let asks = [hello(), get(1, "/a"), get(3, "/b"), get(5, "/c"), get(7, "/d")].concat();
    let reset = |stream, code: u32| frame(RST_STREAM, 0, stream, &code.to_be_bytes());
    let goodbye = frame(GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 2]);
    let begun = headers(5, 0, &[(":status", "200")]);
    let server = [welcome(), reset(1, 2), begun, goodbye].concat();
    let bye = [reset(3, 8), reset(5, 8)].concat();
    let got = play(&[(ToServer, &asks), (ToClient, &server), (ToServer, &bye)], &Options::default());
    assert_eq!(got.lines(), ["GET /a - error", "GET /d - error", "GET /c 200 ok", "GET /b - unanswered"]);
}

#[test]
fn a_connection_joined_in_the_middle_knows_what_it_can() {
    let mut player = Player::with(Hints { server_port: 50051, ..Hints::default() }, &Options::default());
    // The path stands in an entry of the table that was not seen.
    let unknown = frame(HEADERS, END_HEADERS | END_STREAM, 7, &[0x82, 0xc0, 0x86]);
    player.say(ToServer, &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]), unknown].concat());
    player.say(ToClient, &ok(7, "200"));
    let fields = [(":path", "/new"), ("x", "y")];
    player.say(ToServer, &frame(HEADERS, END_HEADERS | END_STREAM, 9, &[&[0x82][..], &inserted(&fields)].concat()));
    player.say(ToClient, &ok(9, "200"));
    // Both entries are known since then.
    player.say(ToServer, &frame(HEADERS, END_HEADERS | END_STREAM, 11, &[0x82, 0xbf, 0xbe]));
    player.say(ToClient, &ok(11, "503"));
    assert_eq!(player.close().lines(), ["GET - 200 ok", "GET /new 200 ok", "GET /new 503 error"]);
}

#[test]
fn what_is_lost_invents_nothing() {
    let mut player = Player::new(&Options::default());
    player.say(
        ToServer,
        &[hello(), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&[0x82][..], &inserted(&[(":path", "/a")])].concat())]
            .concat(),
    );
    player.say(ToClient, &[welcome(), ok(1, "200")].concat());
    player.lose(ToServer, 40);
    // Since the loss the entry may be another one: the path is unknown, and not `/a`.
    player.say(ToServer, &frame(HEADERS, END_HEADERS | END_STREAM, 5, &[0x82, 0xbe]));
    player.say(ToClient, &ok(5, "200"));
    player.say(ToServer, &get(7, "/c"));
    player.say(ToClient, &headers(7, 0, &[(":status", "200")]));
    // With the end of the answer: it was answered all the same.
    player.lose(ToClient, 300);
    player.say(ToServer, &get(9, "/d"));
    player.say(ToClient, &ok(9, "200"));
    let got = player.close();
    assert_eq!(got.lines(), ["GET /a 200 ok", "GET - 200 ok", "GET /d 200 ok", "GET /c 200 ok"]);
}

#[test]
fn a_long_stream_is_not_overdue_while_it_goes_on() {
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &[hello(), call(1, "/s.S/Watch"), get(3, "/hangs")].concat());
    player.say(ToClient, &[welcome(), headers(1, 0, &[(":status", "200"), GRPC_TYPE])].concat());
    for _ in 0..2 {
        player.now_ns += 20_000_000_000;
        player.connection.expire(player.now_ns, &mut player.sink);
        player.say(ToClient, &frame(DATA, 0, 1, b"\0\0\0\0\x02ho"));
    }
    assert_eq!(player.sink.lines(), ["GET /hangs - unanswered"]);
    player.say(ToClient, &headers(1, END_STREAM, &[("grpc-status", "0")]));
    player.say(ToClient, &ok(3, "200"));
    let got = player.close();
    assert_eq!(got.lines()[1..], ["/s.S/Watch - 0 ok", "GET /hangs 200 ok"]);
    assert!(got.requests[2].corrects, "its answer came late");
}

#[test]
fn grpc_is_switched_off_by_itself() {
    let off = crate::protocols::SwitchedOff::named(["grpc"]);
    let client = [hello(), get(1, "/a"), call(3, "/s.S/M")].concat();
    let server = [welcome(), reply(3, "0"), ok(1, "200")].concat();
    let got = play(&[(ToServer, &client), (ToClient, &server)], &Options { off, ..Options::default() });
    assert_eq!(got.lines(), ["GET /a 200 ok"]);
}

#[test]
fn an_upgrade_from_http() {
    let upgrade = b"GET /first HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade, HTTP2-Settings\r\n\r\n";
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let (answer, client, server) =
        ([welcome(), ok(1, "200")].concat(), [hello(), get(3, "/second")].concat(), ok(3, "404"));
    let script: &Script<'_> =
        &[(ToServer, upgrade), (ToClient, switching), (ToClient, &answer), (ToServer, &client), (ToClient, &server)];
    let got = play(script, &Options::default());
    assert_eq!(got.lines(), ["GET /first 101 ok", "GET /second 404 ok"]);
    assert_eq!(got.orphans, 0);
}

#[test]
fn what_is_no_http2_is_not_taken_for_it() {
    let not: [&[u8]; 6] = [
        b"\0\0\0\x2c\0\x03\0\0\0\0\0\x01\0\x08consumer",
        b"\0\0\0\x09\0\0\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\x06\x04\0\0\0\0\x01\0\0\0\0\0\0",
        b"\0\0\x05\x01\xff\0\0\0\x01abcde",
        &[0xff; 40],
    ];
    for data in not {
        for direction in [ToServer, ToClient] {
            assert!(detect(direction, data) < Detection::Maybe, "{data:?}");
        }
    }
    let others = PROTOCOLS.iter().filter(|protocol| protocol.name != NAME);
    for protocol in others {
        assert!((protocol.detect)(ToServer, &hello()) < Detection::Yes, "{} takes the preface", protocol.name);
    }
}
