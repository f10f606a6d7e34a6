use crate::testing::*;
use crate::{Hints, Options};
use limpid_model::{Request, Status, Unanswered};

fn options() -> Options {
    Options { details: true, ..Options::default() }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn lines(script: &Script<'_>) -> Vec<String> {
    play(script, &options()).lines()
}

#[test]
fn one_conversation_a_row() {
    let rows: &[(&str, &Script<'_>, &[&str])] = &[
        (
            "keep-alive",
            &[
                (ToServer, b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"),
                (ToClient, OK),
                (ToServer, b"POST /users/42 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"),
                (ToClient, b"HTTP/1.1 503 Busy\r\ncontent-length:0\r\n\r\n"),
            ],
            &["GET /a 200 ok", "POST /users/{id} 503 error"],
        ),
        (
            "a pipeline in one call, its answers in another",
            &[
                (ToServer, b"GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n"),
                (ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 404 No\r\nContent-Length: 99\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
            ],
            &["GET /a 200 ok", "HEAD /b 404 ok", "GET /c 204 ok"],
        ),
        (
            "chunked both ways, with extensions and trailers",
            &[
                (ToServer, b"PUT /a HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3;n=v\r\nabc\r\n1\r\nd\r\n0\r\nT: x\r\n\r\n"),
                (ToClient, b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nT: y\r\n\r\n"),
                (ToServer, b"GET /b HTTP/1.1\r\n\r\n"),
                (ToClient, OK),
            ],
            &["PUT /a 201 ok", "GET /b 200 ok"],
        ),
        (
            "interim answers are not final",
            &[
                (ToServer, b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
                (ToClient, b"HTTP/1.1 100 Continue\r\n\r\n"),
                (ToServer, b"hi"),
                (ToClient, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
                (ToServer, b"GET /b HTTP/1.1\r\n\r\n"),
                (ToClient, OK),
            ],
            &["POST /a 304 ok", "GET /b 200 ok"],
        ),
        (
            "an upgrade ends it",
            &[
                (ToServer, b"GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
                (ToClient, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
                (ToServer, b"\x81\x05GET / HTTP/1.1\r\n\r\n"),
            ],
            &["GET /ws 101 ok"],
        ),
        (
            "a tunnel, and what is in it",
            &[
                (ToServer, b"CONNECT user:pw@db.test:443 HTTP/1.1\r\n\r\n"),
                (ToClient, b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n"),
                (ToServer, b"GET /inner HTTP/1.1\r\n\r\n"),
                (ToClient, OK),
            ],
            &["CONNECT db.test:{id} 200 ok", "GET /inner 200 ok"],
        ),
        (
            "until the connection ends",
            &[
                (ToServer, b"GET http://u:p@shop.test/a/b?q#f HTTP/1.0\r\n\r\n"),
                (ToClient, b"HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\nsome"),
                (ToClient, b" more"),
            ],
            &["GET /a/b 200 ok"],
        ),
        (
            "bare line feeds, empty lines in front, odd methods and fields",
            &[
                (ToServer, b"\r\n\r\nBASELINE-CONTROL /a HTTP/1.1\nno colon\nX : y\nContent-length : 1\n\nz\r\nOPTIONS * HTTP/1.1\n\n"),
                (ToClient, b"HTTP/1.1 200\nContent-Length: 0\n\nHTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
            ],
            &["BASELINE-CONTROL /a 200 ok", "OPTIONS * 200 ok"],
        ),
        (
            "folded fields",
            &[
                (ToServer, b"PUT /a HTTP/1.1\r\nX: y\r\n Content-Length: 9\r\nContent-Length: 1\r\n\r\nx"),
                (ToClient, b"HTTP/1.1 200 OK\r\nX: 1\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok"),
                (ToServer, b"GET /b HTTP/1.1\r\n\r\n"),
                (ToClient, OK),
            ],
            &["PUT /a 200 ok", "GET /b 200 ok"],
        ),
        (
            "a radio station",
            &[(ToServer, b"GET /listen HTTP/1.0\r\nIcy-MetaData: 1\r\n\r\n"), (ToClient, b"ICY 200 OK\r\nicy-br:128\r\n\r\nmusic")],
            &["GET /listen 200 ok"],
        ),
        ("no answer", &[(ToServer, b"GET /a HTTP/1.1\r\n\r\n")], &["GET /a - unanswered"]),
        (
            "answered before it was sent whole",
            &[
                (ToServer, b"POST /a HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc"),
                (ToClient, b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"),
                (ToServer, b"def"),
                (ToServer, b"GET /b HTTP/1.1\r\n\r\n"),
                (ToClient, OK),
            ],
            &["POST /a 413 ok", "GET /b 200 ok"],
        ),
        ("HTTP/0.9 is none", &[(ToServer, b"GET /a\r\n"), (ToClient, b"<html>")], &[]),
        ("HTTP/2 is another", &[(ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), (ToClient, b"\0\0\0\x04\0\0\0\0\0")], &[]),
        ("RTSP is another", &[(ToServer, b"OPTIONS * RTSP/1.0\r\n\r\n"), (ToClient, b"RTSP/1.0 200 OK\r\n\r\n")], &[]),
    ];
    for (name, script, expected) in rows {
        assert_eq!(lines(script), *expected, "{name}");
        assert_prefixes_are_harmless(script, &options());
        if !expected.is_empty() {
            assert_same_at_every_cut(script, &options());
            (1..4).for_each(|length| assert_gaps_invent_nothing(script, length, &options()));
            for seed in 0..200 {
                assert_eq!(play_shuffled(script, seed, &options()).lines(), *expected, "{name}, shuffled by {seed}");
            }
        }
    }
}

fn one(script: &Script<'_>, options: &Options) -> Request {
    let mut collected = play(script, options);
    assert_eq!(collected.requests.len(), 1, "{:?}", collected.lines());
    collected.requests.remove(0)
}

#[test]
fn heads_that_come_again_say_the_same() {
    let get = b"GET /users/7 HTTP/1.1\r\nb3: 0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1\r\n\r\n";
    let head = b"HEAD /a HTTP/1.1\r\n\r\n";
    let post = b"POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let failed = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno";
    let parts: [&Script<'_>; 4] = [
        &[(ToServer, get), (ToClient, OK)],
        &[(ToServer, head), (ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")],
        &[(ToServer, post), (ToClient, failed)],
        &[(ToServer, chunked), (ToClient, OK)],
    ];
    let said = ["GET /users/{id} 200 ok", "HEAD /a 200 ok", "POST /b 500 error", "POST /c 200 ok"];
    // Twice and more in a row, and in turn so often that they are not worth knowing.
    let mut random = Random(5);
    let order: Vec<usize> =
        [0, 0, 1, 1, 1, 3, 3, 2, 2, 0, 1].into_iter().chain((0..300).map(|_| random.below(4))).collect();
    for options in [Options::default(), options()] {
        let script: Vec<_> = order.iter().flat_map(|index| parts[*index].iter().copied()).collect();
        let got = play(&script, &options);
        assert_eq!(got.lines(), order.iter().map(|index| said[*index]).collect::<Vec<_>>());
        for (request, index) in got.requests.iter().zip(&order) {
            let sent: &[u8] = parts[*index][0].1;
            assert_eq!(request.request_bytes(), sent.len() as u64);
            assert_eq!(request.trace().is_some(), *index == 0);
            let fresh = one(parts[*index], &options);
            assert_eq!((&request.details, request.kind), (&fresh.details, fresh.kind));
        }
        assert_same_at_every_cut(&script[..22], &options);
    }
}

#[test]
fn times_sizes_and_offsets_are_those_of_the_wire() {
    let (head, body) = (&b"POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n"[..], &b"abcd"[..]);
    let script: &Script<'_> = &[(ToServer, head), (ToServer, body), (ToClient, &OK[..9]), (ToClient, &OK[9..])];
    let request = one(script, &options());
    assert_eq!(request.start_ns, START_NS + STEP_NS);
    assert_eq!(request.first_byte_ns, Some(START_NS + 3 * STEP_NS));
    assert_eq!(request.end_ns, START_NS + 4 * STEP_NS);
    let sent = (head.len() + body.len()) as u64;
    assert_eq!((request.request_offset, request.request_end_offset, request.request_bytes()), (0, sent, sent));
    let got = OK.len() as u64;
    assert_eq!((request.response_offset, request.response_end_offset, request.response_bytes()), (0, got, got));
}

#[test]
fn details_hold_no_secret() {
    let script: &Script<'_> = &[
        (
            ToServer,
            b"GET /a;jsessionid=s3cret/b?token=s3cret&s3cret HTTP/1.1\r\nHost: u:s3cret@shop.test:81\r\nCookie: s3cret\r\n\
              Authorization: s3cret\r\nUser-Agent: curl/8\r\n\
              traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n",
        ),
        (ToClient, b"HTTP/1.1 200 OK\r\nSet-Cookie: s3cret\r\nContent-Length: 0\r\n\r\n"),
    ];
    let request = one(script, &options());
    let shown = format!("{request:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
    for part in ["shop.test", "Int(81)", "curl/8", "token=REDACTED", "/a;jsessionid=REDACTED/b", "\"1.1\""] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(request.trace().map(|trace| trace.sampled), Some(true));
    let plain = one(script, &Options::default());
    assert_eq!((plain.resource_raw(), plain.attributes().len()), (None, 0));
    assert!(plain.trace().is_some(), "a trace context is adopted without details too");
    let raw = one(script, &Options { raw: true, ..options() });
    assert_eq!(raw.resource_raw().map(|path| path.as_str()), Some("/a;jsessionid=s3cret/b"));
}

#[test]
fn five_hundred_in_one_pipeline() {
    let requests: Vec<u8> =
        (0..500).flat_map(|n| format!("GET /p{n} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes()).collect();
    let answers: Vec<u8> = (0..500)
        .flat_map(|n| format!("HTTP/1.1 {} X\r\nContent-Length: 3\r\n\r\nabc", 400 + n % 100).into_bytes())
        .collect();
    for size in [requests.len(), 1448, 7] {
        let mut player = Player::new(&options());
        requests.chunks(size).for_each(|piece| player.say(ToServer, piece));
        answers.chunks(size).for_each(|piece| player.say(ToClient, piece));
        let got = player.close();
        assert_eq!((got.requests.len(), got.orphans), (500, 0), "pieces of {size}");
        for (n, request) in got.requests.iter().enumerate() {
            assert_eq!(request.resource_raw().map(|path| path.as_str()), Some(format!("/p{n}").as_str()));
            assert_eq!(request.code.as_deref(), Some((400 + n % 100).to_string().as_str()));
        }
    }
}

#[test]
fn long_bodies_are_skipped_and_the_capture_told() {
    let mut player = Player::new(&options());
    player.say(ToServer, b"GET /big HTTP/1.1\r\n\r\n");
    player.say(ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nx");
    let head = player.offsets[1] - 1;
    assert_eq!(player.connection.skip_until(ToClient), Some(head + 1_000_000));
    assert_eq!(player.connection.skip_until(ToServer), None);
    player.lose(ToClient, 999_998);
    assert_eq!((player.sink.requests.len(), player.connection.skip_until(ToClient)), (0, None));
    player.say(ToClient, b"y");
    assert_eq!(player.sink.lines(), ["GET /big 200 ok"]);
    assert_eq!(player.sink.requests[0].end_ns, player.now_ns);
}

#[test]
fn only_heads_of_calls_are_captured() {
    // The chunk sizes of a long body lie in what the capture leaves out.
    let mut player = Player::new(&options());
    for n in 0..3 {
        player.say(ToServer, format!("GET /{} HTTP/1.1\r\n\r\n", ["a", "b", "c"][n]).as_bytes());
        player.say(ToClient, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\nabc");
        player.lose(ToClient, 9000);
        player.say(ToClient, b"more of it, and then");
        player.lose(ToClient, 5000);
    }
    let last_ns = player.now_ns;
    player.connection.expire(last_ns + 2_000_000_000, &mut player.sink);
    assert_eq!(player.sink.lines(), ["GET /a 200 ok", "GET /b 200 ok", "GET /c 200 ok"]);
    assert_eq!(player.sink.requests[2].end_ns, last_ns);
}

#[test]
fn a_head_longer_than_the_capture_is_a_request() {
    let mut player = Player::new(&options());
    player.say(ToServer, format!("GET /a HTTP/1.1\r\nCookie: {}", "x".repeat(4000)).as_bytes());
    player.lose(ToServer, 3000);
    player.say(ToClient, OK);
    player.say(ToServer, b"GET /b HTTP/1.1\r\n\r\n");
    player.say(ToClient, OK);
    let endless = format!("GET /c HTTP/1.1\r\nX: {}\r\n", "y".repeat(70_000));
    player.say(ToServer, endless.as_bytes());
    player.say(ToClient, b"HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(player.close().lines(), ["GET /a 200 ok", "GET /b 200 ok", "GET /c 431 ok"]);
}

#[test]
fn joined_in_the_middle() {
    let hints = Hints { from_start: false, client_port: 40000, server_port: 80 };
    let mut player = Player::with(hints, &options());
    player.offsets = [7_000_000, 9_000_000];
    player.say(ToClient, b"the rest of a long body\r\n\r\n");
    player.say(ToClient, b"and more");
    player.say(ToServer, b"GET /a HTTP/1.1\r\n\r\n");
    player.say(ToClient, OK);
    assert_eq!(player.close().lines(), ["GET /a 200 ok"]);
}

#[test]
fn joined_between_request_and_answer() {
    let mut player = Player::with(Hints::default(), &options());
    player.say(ToClient, OK);
    player.say(ToServer, b"GET /a HTTP/1.1\r\n\r\n");
    player.say(ToClient, OK);
    let got = player.close();
    assert_eq!((got.lines(), got.orphans), (vec!["GET /a 200 ok".to_owned()], 1));
}

#[test]
fn client_and_server_the_wrong_way_round() {
    let mut player = Player::with(Hints { server_port: 40000, client_port: 80, from_start: false }, &options());
    player.say(ToClient, b"GET /a HTTP/1.1\r\n\r\n");
    player.say(ToServer, OK);
    player.say(ToClient, b"GET /b HTTP/1.1\r\n\r\n");
    player.say(ToServer, OK);
    assert!(player.connection.swapped());
    assert_eq!(player.close().lines(), ["GET /a 200 ok", "GET /b 200 ok"]);
}

#[test]
fn an_answer_seen_before_its_request_waits_for_it() {
    let mut player = Player::new(&options());
    for path in ["/a", "/b", "/c"] {
        let request = format!("GET {path} HTTP/1.1\r\n\r\n");
        let (offset, time_ns) = (player.offsets[0], player.now_ns + 10_000);
        if path != "/a" {
            player.say(ToClient, OK);
        }
        player.connection.data(ToServer, offset, time_ns, request.as_bytes(), &mut player.sink);
        player.offsets[0] += request.len() as u64;
        if path == "/a" {
            player.say(ToClient, OK);
        }
    }
    let got = player.close();
    assert_eq!((got.lines().len(), got.orphans), (3, 0));
    assert!(got.requests.iter().all(|request| request.status == Status::Ok));
}

#[test]
fn an_answer_without_a_request_is_an_orphan_after_a_while() {
    let mut player = Player::new(&options());
    player.play(&[(ToServer, b"GET /a HTTP/1.1\r\n\r\n"), (ToClient, OK), (ToClient, OK)]);
    player.connection.expire(player.now_ns + 50_000_000, &mut player.sink);
    assert_eq!(player.sink.orphans, 0);
    player.connection.expire(player.now_ns + 150_000_000, &mut player.sink);
    assert_eq!(player.sink.orphans, 1);
}

#[test]
fn lost_requests_do_not_shift_the_answers() {
    let mut player = Player::new(&options());
    player.play(&[(ToServer, b"GET /a HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    player.lose(ToServer, 30);
    player.say(ToClient, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    for _ in 0..3 {
        player.play(&[(ToServer, b"GET /b HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    }
    let got = player.close();
    assert_eq!(
        (got.lines().join(","), got.orphans),
        ("GET /a 200 ok,GET /b 200 ok,GET /b 200 ok,GET /b 200 ok".into(), 1)
    );
}

#[test]
fn a_hole_that_shows_late_does_not_shift_the_answers() {
    // The request's event was dropped, and nobody says so: only later bytes show the hole.
    let mut player = Player::new(&options());
    player.play(&[(ToServer, b"GET /a HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    player.offsets[0] += 33;
    player.say(ToClient, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    for _ in 0..100 {
        player.play(&[(ToServer, b"GET /b HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    }
    let got = player.close();
    assert_eq!((got.requests.len(), got.orphans), (101, 1));
    assert!(got.requests.iter().all(|request| request.code.as_deref() == Some("200")), "{:?}", got.lines());
}

#[test]
fn lost_answers_do_not_shift_the_next() {
    let mut player = Player::new(&options());
    player.play(&[(ToServer, b"GET /a HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    player.say(ToServer, b"GET /lost HTTP/1.1\r\n\r\n");
    player.offsets[1] += 500;
    for _ in 0..100 {
        player.play(&[
            (ToServer, b"GET /b HTTP/1.1\r\n\r\n"),
            (ToClient, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"),
        ]);
    }
    let got = player.close();
    assert_eq!((got.requests.len(), got.orphans), (102, 0));
    for request in got.requests {
        let expected = match request.resource.as_deref() {
            Some("/a") => (Some("200"), None),
            Some("/lost") => (None, Some(Unanswered::Gap)),
            _ => (Some("404"), None),
        };
        assert_eq!((request.code.as_deref(), request.unanswered), expected, "{request:?}");
    }
}

#[test]
fn timed_out_and_corrected() {
    let mut player = Player::new(&options());
    player.say(ToServer, b"GET /slow HTTP/1.1\r\n\r\n");
    for _ in 0..3 {
        player.now_ns += 20_000_000_000;
        player.connection.expire(player.now_ns, &mut player.sink);
    }
    assert_eq!(player.sink.requests.len(), 1);
    assert_eq!(player.sink.requests[0].unanswered, Some(Unanswered::Timeout));
    player.say(ToClient, OK);
    assert_eq!((player.sink.requests.len(), player.sink.requests[1].corrects), (2, true));
    let got = player.close();
    assert_eq!(got.requests.len(), 2);
}

#[test]
fn more_in_flight_than_is_kept() {
    let mut player = Player::new(&Options::default());
    let batch = b"GET /a HTTP/1.1\r\n\r\n".repeat(1000);
    (0..17).for_each(|_| player.say(ToServer, &batch));
    assert_eq!(player.sink.requests.len(), 17_000 - crate::pending::MAX_IN_FLIGHT);
    let answers = b"HTTP/1.1 204 No\r\n\r\n".repeat(1000);
    (0..17).for_each(|_| player.say(ToClient, &answers));
    player.play(&[(ToServer, b"GET /b HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    let got = player.close();
    assert_eq!((got.requests.len(), got.orphans), (17_001, 0));
    assert_eq!(line(got.requests.last().unwrap()), "GET /b 200 ok");
}

#[test]
fn a_reset_is_the_reason() {
    let mut player = Player::new(&options());
    player.say(ToServer, b"GET /a HTTP/1.1\r\n\r\n");
    player.connection.close(Unanswered::Reset, player.now_ns, &mut player.sink);
    assert_eq!(player.sink.requests[0].unanswered, Some(Unanswered::Reset));
}

#[test]
fn a_body_whose_end_was_not_seen_ends_where_the_next_answer_begins() {
    // The hole begins inside of the body and ends exactly with it, and nobody says so.
    let mut player = Player::new(&options());
    player.play(&[
        (ToServer, b"GET /a HTTP/1.1\r\n\r\n"),
        (ToClient, b"HTTP/1.1 201 Created\r\nContent-Length: 40\r\n\r\nbegin"),
    ]);
    let last_seen_ns = player.now_ns;
    player.offsets[1] += 35;
    player.now_ns += 500_000_000;
    player.play(&[(ToServer, b"GET /b HTTP/1.1\r\n\r\n"), (ToClient, OK)]);
    let got = player.close();
    assert_eq!(got.lines(), ["GET /a 201 ok", "GET /b 200 ok"]);
    assert_eq!(got.requests[0].end_ns, last_seen_ns, "the client's thinking is no part of the answer");
    let size = |index: usize| {
        let request: &Request = &got.requests[index];
        request.response_end_offset - request.response_offset
    };
    assert_eq!((size(0), size(1)), (44 + 40, OK.len() as u64));
}
