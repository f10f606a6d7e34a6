//! The parser by itself and in both engines.

use super::*;
use crate::testing::{
    Player, START_NS, STEP_NS, ToClient, ToServer, assert_gaps_invent_nothing, assert_prefixes_are_harmless,
    assert_same_at_every_cut, line, play,
};
use crate::{Datagrams, Hints, Options};

const A: u16 = 1;
const AAAA: u16 = 28;

/// A question as clients send it.
fn question(id: u16, name: &str, kind: u16) -> Vec<u8> {
    message(id, 0x0100, name, kind, &[])
}

fn answer(id: u16, name: &str, kind: u16, rcode: u16, records: &[Vec<u8>]) -> Vec<u8> {
    message(id, 0x8180 | rcode, name, kind, records)
}

fn message(id: u16, flags: u16, name: &str, kind: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let numbers = [id, flags, 1, records.len() as u16, 0, 0];
    let mut out: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.extend([0, (kind >> 8) as u8, kind as u8, 0, 1]);
    out.extend(records.concat());
    out
}

/// A record of the question's own name.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let head = [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes()].concat();
    [&head[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

#[derive(Default)]
struct Heard {
    requests: Vec<Request>,
    orphans: usize,
    names: Vec<(String, Vec<(IpAddr, u32)>)>,
}

impl Sink for Heard {
    fn request(&mut self, request: Request) {
        self.requests.push(request);
    }
    fn orphan(&mut self, _protocol: &'static str) {
        self.orphans += 1;
    }
    fn resolved(&mut self, name: &str, addresses: &[(IpAddr, u32)]) {
        self.names.push((name.to_owned(), addresses.to_vec()));
    }
}

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.requests.iter().map(line).collect()
    }
}

/// One conversation over UDP, datagrams 1 ms apart.
fn hear(datagrams: &[(Direction, Vec<u8>)]) -> Heard {
    let hints = Hints { client_port: 40_000, server_port: 53, from_start: true };
    let options = Options { details: true, ..Options::default() };
    let (mut engine, mut heard, mut now_ns) = (Datagrams::new(hints, &options), Heard::default(), START_NS);
    for (direction, bytes) in datagrams {
        now_ns += STEP_NS;
        engine.datagram(*direction, now_ns, bytes, bytes.len() as u64, &mut heard);
    }
    engine.close(Unanswered::Closed, now_ns + STEP_NS, &mut heard);
    heard
}

fn attribute(request: &Request, name: &str) -> Option<Attribute> {
    request.attributes().iter().find(|(have, _)| *have == name).map(|(_, value)| value.clone())
}

#[test]
fn answers_find_their_questions_in_any_order() {
    let heard = hear(&[
        (ToServer, question(1, "Shop.Example", A)),
        (ToServer, question(2, "shop.example", AAAA)),
        (ToServer, question(1, "other.example", A)),
        (ToClient, answer(2, "shop.example", AAAA, 0, &[])),
        (ToClient, answer(1, "other.example", A, 3, &[])),
        (ToClient, answer(1, "sHOP.example", A, 2, &[])),
    ]);
    let expected = ["AAAA shop.example 0 ok", "A other.example 3 ok", "A shop.example 2 error"];
    assert_eq!((heard.lines(), heard.orphans), (expected.map(str::to_owned).to_vec(), 0));
    assert_eq!(heard.requests[2].duration_ns(), 5 * STEP_NS);
    assert_eq!(heard.requests[2].first_byte_ns, Some(START_NS + 6 * STEP_NS));
}

#[test]
fn a_question_asked_again_is_one_request() {
    let ask = (ToServer, question(7, "shop.example", A));
    let said = (ToClient, answer(7, "shop.example", A, 0, &[]));
    let heard = hear(&[ask.clone(), ask.clone(), ask.clone(), said.clone(), said.clone(), ask, said]);
    assert_eq!(heard.lines(), ["A shop.example 0 ok", "A shop.example 0 ok"]);
    assert_eq!(heard.requests[0].duration_ns(), 3 * STEP_NS);
    assert_eq!(attribute(&heard.requests[0], "limpid.dns.repeats"), Some(Attribute::Int(2)));
}

#[test]
fn what_is_never_answered_says_so() {
    let heard = hear(&[(ToServer, question(7, "shop.example", A)), (ToClient, answer(8, "shop.example", A, 0, &[]))]);
    assert_eq!((heard.lines(), heard.orphans), (vec!["A shop.example - unanswered".to_owned()], 1));
}

#[test]
fn an_answer_without_its_question_section_goes_by_its_id() {
    let bare = [0, 7, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let heard = hear(&[(ToServer, question(7, "shop.example", A)), (ToClient, bare)]);
    assert_eq!(heard.lines(), ["A shop.example 1 error"]);
}

#[test]
fn addresses_are_told_with_the_shortest_time_on_their_way() {
    let records = [
        record(5, 20, b"\x03www\xc0\x0c"),
        record(A, 300, &[192, 0, 2, 1]),
        record(A, 10, &[192, 0, 2, 2]),
        record(16, 5, b"\x01x"),
    ];
    let heard =
        hear(&[(ToServer, question(7, "Shop.example", A)), (ToClient, answer(7, "shop.example", A, 0, &records))]);
    let addresses = vec![(IpAddr::from([192, 0, 2, 1]), 20), (IpAddr::from([192, 0, 2, 2]), 10)];
    assert_eq!(heard.names, [("shop.example".to_owned(), addresses)]);
    let request = &heard.requests[0];
    assert_eq!(attribute(request, "dns.answers"), Some(Attribute::Text("192.0.2.1,192.0.2.2".into())));
    assert_eq!(attribute(request, "dns.question.name"), Some(Attribute::Text("shop.example".into())));
    assert_eq!(attribute(request, "limpid.dns.response_code"), Some(Attribute::Text("NOERROR".into())));
    assert_eq!(attribute(request, "network.transport"), Some(Attribute::Text("udp".into())));
}

#[test]
fn addresses_that_nobody_asked_for_are_not_told() {
    let said = answer(7, "shop.example", A, 0, &[record(A, 300, &[192, 0, 2, 1])]);
    let heard = hear(&[(ToServer, question(8, "shop.example", A)), (ToClient, said.clone()), (ToClient, said)]);
    assert_eq!((heard.names.len(), heard.orphans), (0, 2));
}

#[test]
fn edns_extends_the_code() {
    let option = |extended: u8| [&[0, 0, 41, 4, 0xd0][..], &[extended, 0, 0, 0, 0, 0]].concat();
    let with_option = |mut message: Vec<u8>, extended| {
        message[11] = 1;
        [message, option(extended)].concat()
    };
    let heard = hear(&[
        (ToServer, with_option(question(7, "shop.example", A), 0)),
        (ToClient, with_option(answer(7, "shop.example", A, 0, &[record(A, 1, &[192, 0, 2, 1])]), 1)),
        (ToServer, with_option(question(8, "shop.example", A), 0)),
        (ToClient, with_option(answer(8, "shop.example", A, 3, &[]), 0)),
    ]);
    assert_eq!(heard.lines(), ["A shop.example 16 error", "A shop.example 3 ok"]);
}

#[test]
fn what_servers_tell_each_other_is_no_look_up() {
    let heard = hear(&[
        (ToServer, message(1, 0x2400, "shop.example", 6, &[])),
        (ToClient, message(1, 0xa400, "shop.example", 6, &[])),
        (ToServer, message(2, 0x2800, "shop.example", 6, &[])),
        (ToClient, message(2, 0xa805, "shop.example", 6, &[])),
    ]);
    assert_eq!(heard.lines(), ["NOTIFY shop.example 0 ok", "UPDATE shop.example 5 error"]);
    assert!(heard.requests.iter().all(|request| request.kind == Kind::Session));
}

#[test]
fn types_without_a_name_are_numbers() {
    let heard = hear(&[(ToServer, question(1, "shop.example", 65_534)), (ToServer, question(2, "shop.example", 65))]);
    assert_eq!(heard.lines(), ["TYPE65534 shop.example - unanswered", "HTTPS shop.example - unanswered"]);
}

/// Two messages in one call, answers in the other order, and one question that is never answered.
fn conversation() -> Vec<(Direction, Vec<u8>)> {
    let two = [framed(&question(1, "shop.example", A)), framed(&question(2, "shop.example", AAAA))].concat();
    let answers = [
        framed(&answer(2, "shop.example", AAAA, 3, &[])),
        framed(&answer(1, "shop.example", A, 0, &[record(A, 60, &[192, 0, 2, 1])])),
    ];
    vec![
        (ToServer, two),
        (ToClient, answers.concat()),
        (ToServer, framed(&question(3, "db01.shop.example", 33))),
        (ToClient, framed(&answer(3, "db01.shop.example", 33, 2, &[]))),
        (ToServer, framed(&question(4, "shop.example", 16))),
    ]
}

const OVER_TCP: [&str; 4] =
    ["AAAA shop.example 3 ok", "A shop.example 0 ok", "SRV db01.shop.example 2 error", "TXT shop.example - unanswered"];

#[test]
fn messages_over_tcp_may_be_cut_anywhere() {
    let conversation = conversation();
    let script: Vec<_> = conversation.iter().map(|(direction, bytes)| (*direction, bytes.as_slice())).collect();
    let options = Options::default();
    assert_eq!(play(&script, &options).lines(), OVER_TCP);
    assert_same_at_every_cut(&script, &options);
    assert_prefixes_are_harmless(&script, &options);
    assert_gaps_invent_nothing(&script, 3, &options);
}

#[test]
fn of_long_messages_the_front_is_enough() {
    let long =
        framed(&answer(1, "shop.example", A, 0, &[record(A, 60, &[192, 0, 2, 1]), record(16, 60, &[b'x'; 9000])]));
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &framed(&question(1, "shop.example", A)));
    player.say(ToClient, &long[..1500]);
    player.lose(ToClient, long.len() as u64 - 1500);
    player.say(ToServer, &framed(&question(2, "shop.example", A)));
    player.say(ToClient, &framed(&answer(2, "shop.example", A, 0, &[])));
    let heard = player.close();
    assert_eq!(heard.lines(), ["A shop.example 0 ok", "A shop.example 0 ok"]);
    let request = &heard.requests[0];
    assert_eq!((request.end_ns, request.response_end_offset), (START_NS + 3 * STEP_NS, long.len() as u64));
}

#[test]
fn a_zone_transfer_is_one_answer_of_many_messages() {
    let soa = record(6, 60, b"\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let host = record(A, 60, &[192, 0, 2, 1]);
    let part = |records: &[Vec<u8>]| framed(&answer(1, "shop.example", 252, 0, records));
    let parts = [part(&[soa.clone(), host.clone()]), part(&[host.clone()]), part(&[host.clone(), soa.clone()])];
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &framed(&question(1, "shop.example", 252)));
    parts.iter().for_each(|part| player.say(ToClient, part));
    player.say(ToServer, &framed(&question(2, "shop.example", 251)));
    player.say(ToClient, &framed(&answer(2, "shop.example", 251, 0, std::slice::from_ref(&soa))));
    player.say(ToServer, &framed(&question(3, "shop.example", 252)));
    player.say(ToClient, &parts[0]);
    let heard = player.close();
    let expected = ["AXFR shop.example 0 ok", "IXFR shop.example 0 ok", "AXFR shop.example - unanswered"];
    assert_eq!((heard.lines(), heard.orphans), (expected.map(str::to_owned).to_vec(), 1), "the last has another id");
    assert_eq!(heard.requests[0].duration_ns(), 3 * STEP_NS);
    assert_eq!(heard.requests[0].response_bytes(), parts.concat().len() as u64);
}

#[test]
fn a_truncated_answer_is_an_answer() {
    let mut said = answer(7, "shop.example", A, 0, &[]);
    // Truncated, with the count of the records that did not fit.
    (said[2], said[7]) = (0x83, 40);
    let heard = hear(&[(ToServer, question(7, "shop.example", A)), (ToClient, said)]);
    assert_eq!(heard.lines(), ["A shop.example 0 ok"]);
    assert_eq!(attribute(&heard.requests[0], "limpid.dns.truncated"), Some(Attribute::Bool(true)));
}

#[test]
fn the_way_is_found_again_where_a_call_begins_with_a_question() {
    let mut player = Player::new(&Options::default());
    player.say(ToServer, &framed(&question(1, "shop.example", A)));
    player.say(ToClient, &framed(&answer(1, "shop.example", A, 0, &[])));
    player.lose(ToServer, 100);
    player.lose(ToClient, 100);
    // The rest of a message, which looks like a long one whose end is far away.
    player.say(ToClient, b"\xc0\x0c\0\x01\x80\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
    player.say(ToServer, &framed(&question(3, "shop.example", AAAA)));
    player.say(ToClient, &framed(&answer(3, "shop.example", AAAA, 0, &[])));
    assert_eq!(player.close().lines(), ["A shop.example 0 ok", "AAAA shop.example 0 ok"]);
}

#[test]
fn more_than_is_kept_is_reported_at_once() {
    let asked: Vec<_> = (0..5000u16).map(|id| (ToServer, question(id, "shop.example", A))).collect();
    let heard = hear(&asked);
    assert_eq!(heard.requests.len(), 5000);
    assert!(heard.requests.iter().all(|request| request.status == Status::Unanswered));
    let closed = heard.requests.iter().filter(|request| request.unanswered == Some(Unanswered::Closed)).count();
    assert_eq!(closed, 4096);
}

#[test]
fn damage_neither_panics_nor_invents() {
    let records = [record(5, 20, b"\x03www\xc0\x0c"), record(A, 300, &[192, 0, 2, 1])];
    let (asked, said) = (question(7, "shop.example", A), answer(7, "shop.example", A, 0, &records));
    for at in 0..asked.len() + said.len() {
        for value in [0, 1, 0x3f, 0xc0, 0xff] {
            let (mut asked, mut said) = (asked.clone(), said.clone());
            let length = asked.len();
            match at.checked_sub(length) {
                Some(at) => said[at] = value,
                None => asked[at] = value,
            }
            assert!(hear(&[(ToServer, asked), (ToClient, said)]).requests.len() <= 1, "{value} at {at}");
        }
    }
    for length in 0..said.len() {
        hear(&[(ToServer, asked[..length.min(asked.len())].to_vec()), (ToClient, said[..length].to_vec())]);
    }
}
