//! No protocol may be seen in what another one says, nor in noise.

use crate::testing::*;
use crate::{Hints, Options, PROTOCOLS};

/// How connections of each protocol begin, ours and foreign ones.
const OPENINGS: &[(&str, &Script<'static>)] = &[
    (
        "http",
        &[
            (ToServer, b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
            (ToClient, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ],
    ),
    ("redis", &[(ToServer, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), (ToClient, b"$1\r\nb\r\n")]),
    (
        "postgresql",
        &[
            (ToServer, b"\0\0\0\x12\0\x03\0\0user\0bob\0\0"),
            (ToClient, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"),
            (ToServer, b"Q\0\0\0\x0dSELECT 1\0"),
            (ToClient, b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I"),
        ],
    ),
    ("", &[(ToClient, b"220 mail.test ESMTP\r\n"), (ToServer, b"EHLO h\r\n"), (ToClient, b"250-mail\r\n250 OK\r\n")]),
    (
        "",
        &[
            (ToClient, b"+OK POP3 ready\r\n"),
            (ToServer, b"USER bob\r\n"),
            (ToClient, b"+OK\r\n"),
            (ToServer, b"LIST\r\n"),
        ],
    ),
    ("", &[(ToClient, b"SSH-2.0-OpenSSH_9.2\r\n"), (ToServer, b"SSH-2.0-Go\r\n")]),
    ("tls", &[(ToServer, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"), (ToClient, b"\x16\x03\x03\0\x7a\x02")]),
    ("", &[(ToClient, b"\x4a\0\0\0\x0a8.0.30\0\x08\0\0\0"), (ToServer, b"\x20\0\0\x01\x85\xa6\x0f\0")]),
    ("", &[(ToServer, b"\0\0\0\x23\0\x12\0\x03\0\0\0\x01\0\x0cclient"), (ToClient, b"\0\0\0\x10\0\0\0\x01\0\0")]),
    ("", &[(ToServer, b"AMQP\0\0\x09\x01"), (ToClient, b"\x01\0\0\0\0\x01\x50\0\x0a\0\x0a")]),
    ("", &[(ToServer, b"get a\r\n"), (ToClient, b"VALUE a 0 1\r\nx\r\nEND\r\n")]),
    (
        "",
        &[
            (ToClient, b"INFO {\"server_id\":\"x\"}\r\n"),
            (ToServer, b"CONNECT {}\r\nPING\r\n"),
            (ToClient, b"PONG\r\n"),
        ],
    ),
    (
        "http2",
        &[(ToServer, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"), (ToClient, b"\0\0\x06\x04\0\0\0\0\0")],
    ),
    (
        "",
        &[
            (ToServer, b"OPTIONS rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
            (ToClient, b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"),
        ],
    ),
    ("", &[(ToServer, b"INVITE sip:bob@h SIP/2.0\r\n\r\n"), (ToClient, b"SIP/2.0 100 Trying\r\n\r\n")]),
    ("", &[(ToServer, b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test"), (ToClient, b"\x20\x02\0\0")]),
    ("", &[(ToServer, b"QUIT\r\nHELP\r\n"), (ToClient, b"ERROR\r\n")]),
];

fn protocol_of(script: &Script<'_>, hints: Hints) -> &'static str {
    let mut player = Player::with(hints, &Options::default());
    player.play(script);
    player.connection.protocol().map_or("", |protocol| protocol.name)
}

#[test]
fn every_opening_is_what_it_is() {
    let ports: Vec<u16> = PROTOCOLS.iter().flat_map(|protocol| protocol.ports).copied().chain([0, 40000]).collect();
    for (expected, script) in OPENINGS {
        for from_start in [true, false] {
            for server_port in &ports {
                let hints = Hints { client_port: 50000, server_port: *server_port, from_start };
                let got = protocol_of(script, hints);
                assert_eq!(
                    got,
                    *expected,
                    "{:?} on port {server_port}, {from_start}",
                    String::from_utf8_lossy(script[0].1)
                );
            }
        }
    }
}

#[test]
fn one_cut_in_the_opening_changes_nothing() {
    for (expected, script) in OPENINGS {
        for (index, (_, bytes)) in script.iter().enumerate() {
            for at in 1..bytes.len() {
                let hints = Hints { from_start: true, ..Hints::default() };
                assert_eq!(
                    protocol_of(&cut(script, index, at), hints),
                    *expected,
                    "call {index} cut at {at}: {bytes:?}"
                );
            }
        }
    }
}

#[test]
fn foreign_openings_give_no_requests() {
    for (_, script) in OPENINGS.iter().filter(|(name, _)| name.is_empty()) {
        for server_port in [0, 80, 6379, 5432] {
            for from_start in [true, false] {
                let mut player = Player::with(Hints { client_port: 1, server_port, from_start }, &Options::default());
                (0..20).for_each(|_| player.play(script));
                let got = player.close();
                assert_eq!((got.lines(), got.orphans), (vec![], 0), "{:?}", String::from_utf8_lossy(script[0].1));
            }
        }
    }
}

#[test]
fn noise_is_nothing() {
    let mut random = Random(7);
    for round in 0..2000 {
        let hints = Hints { from_start: round % 2 == 0, server_port: [80, 6379, 5432][round % 3], client_port: 1 };
        let mut player = Player::with(hints, &Options::default());
        for _ in 0..20 {
            let bytes: Vec<u8> = (0..random.below(60)).map(|_| random.next() as u8).collect();
            player.say(if random.below(2) == 0 { ToServer } else { ToClient }, &bytes);
        }
        assert_eq!(player.close().lines(), Vec::<String>::new(), "round {round}");
    }
}

#[test]
fn the_capture_of_unknown_connections_ends() {
    use crate::connection::Verdict;
    use crate::protocols::Capture;
    let mut player = Player::new(&Options::default());
    for _ in 0..20 {
        player.play(&[(ToServer, b"\x01binary"), (ToClient, b"\x02binary")]);
    }
    assert_eq!(player.connection.verdict(), Verdict::Pinned(Capture::Nothing));
}

#[test]
fn what_is_switched_off_is_found_and_not_read() {
    use crate::protocols::SwitchedOff;
    for (name, script) in OPENINGS.iter().filter(|(name, _)| !name.is_empty()) {
        let off = SwitchedOff::named([*name, "no such protocol"]);
        let mut player = Player::new(&Options { off, ..Options::default() });
        player.play(script);
        assert!(player.connection.is_off(), "{name}");
        assert_eq!(player.connection.protocol().map(|protocol| protocol.name), None);
        player.play(script);
        assert_eq!(player.close().lines(), Vec::<String>::new(), "{name}");
        let others = crate::PROTOCOLS.iter().map(|protocol| protocol.name).filter(|other| other != name);
        let mut player = Player::new(&Options { off: SwitchedOff::named(others), ..Options::default() });
        player.play(script);
        assert_eq!(player.connection.protocol().map(|protocol| protocol.name), Some(*name));
    }
}

#[test]
fn offsets_at_the_end_of_the_range_and_damaged_orders_are_harmless() {
    let mut random = Random(11);
    for round in 0..3000 {
        let hints = Hints { from_start: round % 2 == 0, ..Hints::default() };
        let mut player = Player::with(hints, &Options { details: true, ..Options::default() });
        let (_, script) = OPENINGS[random.below(3)];
        for _ in 0..12 {
            let (direction, bytes) = script[random.below(script.len())];
            let far = [0, 5, 300, 1 << 20, u64::MAX - 20, u64::MAX][random.below(6)];
            let offset = if random.below(4) == 0 { far } else { player.offsets[direction as usize] };
            player.now_ns += random.next() % 400_000_000;
            match random.below(6) {
                0 => player.connection.gap(direction, offset, far, player.now_ns, &mut player.sink),
                1 => player.connection.expire(player.now_ns, &mut player.sink),
                2 if random.below(4) == 0 => player.connection.end(direction, player.now_ns, &mut player.sink),
                _ => player.connection.data(direction, offset, player.now_ns, bytes, &mut player.sink),
            }
            player.offsets[direction as usize] = offset.saturating_add(bytes.len() as u64);
        }
        player.close();
    }
}

#[test]
fn an_answer_that_looks_like_a_command_does_not_swap_the_ends() {
    let list: &[u8] = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n";
    let hints = Hints { client_port: 50_000, server_port: 6379, from_start: false };
    let mut player = Player::with(hints, &Options::default());
    player.say(ToClient, list);
    assert_eq!(player.connection.protocol().map(|protocol| protocol.name), None);
    player.play(&[(ToServer, b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"), (ToClient, b"$1\r\nb\r\n")]);
    assert!(!player.connection.swapped());
    assert_eq!(player.close().lines(), ["GET - - ok"]);
}
