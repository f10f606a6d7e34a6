//! The engine, with DNS as what it reads.

use super::*;
use crate::testing::{Collected, START_NS, STEP_NS, ToClient, ToServer};

fn question(id: u8) -> Vec<u8> {
    [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x04shop\x07example\0\0\x01\0\x01"].concat()
}

fn answer(id: u8) -> Vec<u8> {
    let mut answer = question(id);
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer
}

struct Talk {
    engine: Datagrams,
    sink: Collected,
    now_ns: u64,
}

fn talk(client_port: u16, server_port: u16) -> Talk {
    let hints = Hints { client_port, server_port, from_start: true };
    Talk { engine: Datagrams::new(hints, &Options::default()), sink: Collected::default(), now_ns: START_NS }
}

impl Talk {
    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        self.now_ns += STEP_NS;
        self.engine.datagram(direction, self.now_ns, bytes, bytes.len() as u64, &mut self.sink);
    }

    fn pass(&mut self, nanoseconds: u64) {
        self.now_ns += nanoseconds;
        self.engine.expire(self.now_ns, &mut self.sink);
    }

    fn close(mut self) -> Collected {
        self.engine.close(Unanswered::Closed, self.now_ns, &mut self.sink);
        assert_eq!(self.engine.in_flight(), 0);
        self.sink
    }
}

#[test]
fn a_protocol_is_known_by_what_is_said_on_any_port() {
    for server_port in [53, 8053, 5353] {
        let mut talk = talk(40_000, server_port);
        assert_eq!(talk.engine.verdict(), Verdict::Undecided);
        talk.say(ToServer, &question(1));
        assert_eq!(talk.engine.protocol().map(|protocol| protocol.name), Some("dns"));
        assert_eq!(talk.engine.in_flight(), 1);
        talk.say(ToClient, &answer(1));
        assert!(!talk.engine.swapped());
        assert_eq!(talk.close().lines(), ["A shop.example 0 ok"]);
    }
}

#[test]
fn what_only_looks_like_it_is_left_alone() {
    for (client_port, server_port) in [(5353, 5353), (40_000, 5355), (137, 137)] {
        let mut talk = talk(client_port, server_port);
        talk.say(ToServer, &question(1));
        talk.say(ToClient, &answer(1));
        assert!(talk.close().requests.is_empty(), "{client_port} to {server_port}");
    }
}

#[test]
fn unknown_datagrams_end_the_capture() {
    let mut talk = talk(40_000, 4433);
    for number in 0..ENOUGH {
        assert_eq!(talk.engine.verdict(), Verdict::Undecided, "after {number}");
        talk.say(ToServer, b"\x40nothing that anybody here knows");
    }
    assert_eq!(talk.engine.verdict(), Verdict::Pinned(Capture::Nothing));
}

#[test]
fn odd_datagrams_do_not_end_a_conversation() {
    let mut talk = talk(40_000, 53);
    for id in 0..100 {
        talk.say(ToServer, &question(id));
        talk.say(ToServer, b"odd");
        talk.say(ToClient, b"\0\x01 and not an answer");
        talk.say(ToClient, &answer(id));
    }
    assert_eq!(talk.close().requests.len(), 100);
}

#[test]
fn a_conversation_that_changes_is_found_again_and_given_up_in_the_end() {
    let mut talk = talk(40_000, 53);
    for round in 0..=MAX_UNPINNED {
        talk.say(ToServer, &question(round as u8));
        assert_eq!(talk.engine.in_flight(), 1, "round {round}");
        (0..MAX_ODD).for_each(|_| talk.say(ToServer, b"something else"));
    }
    assert_eq!(talk.engine.verdict(), Verdict::Pinned(Capture::Nothing));
    assert_eq!(talk.close().requests.len(), MAX_UNPINNED as usize + 1);
}

#[test]
fn who_asks_is_the_client() {
    let mut talk = talk(53, 40_000);
    talk.say(ToClient, &question(1));
    talk.say(ToServer, &answer(1));
    assert!(talk.engine.swapped());
    let request = talk.close().requests.remove(0);
    assert_eq!((request.status, request.duration_ns()), (limpid_model::Status::Ok, STEP_NS));
    assert_eq!((request.request_offset, request.request_end_offset), (0, question(1).len() as u64));
}

#[test]
fn an_answer_may_come_a_moment_before_its_question() {
    let mut talk = talk(40_000, 53);
    talk.say(ToServer, &question(1));
    talk.say(ToClient, &answer(2));
    talk.say(ToServer, &question(2));
    talk.say(ToClient, &answer(1));
    let heard = talk.close();
    assert_eq!((heard.lines().len(), heard.orphans), (2, 0));
    assert!(heard.requests.iter().all(|request| request.status == limpid_model::Status::Ok));
    assert_eq!(heard.requests[0].duration_ns(), 0);
}

#[test]
fn an_answer_does_not_wait_for_long() {
    let mut talk = talk(40_000, 53);
    talk.say(ToClient, &answer(2));
    talk.pass(HOLD_NS);
    talk.say(ToServer, &question(2));
    let heard = talk.close();
    assert_eq!((heard.lines(), heard.orphans), (vec!["A shop.example - unanswered".to_owned()], 1));
}

#[test]
fn answers_without_questions_are_bounded() {
    let mut talk = talk(40_000, 53);
    for _ in 0..1000 {
        talk.now_ns -= STEP_NS;
        talk.say(ToClient, &answer(2));
        assert!(talk.engine.held.len() <= MAX_HELD);
    }
    assert_eq!(talk.close().orphans, 1000);
}

#[test]
fn a_late_answer_corrects_a_time_out() {
    let mut talk = talk(40_000, 53);
    talk.say(ToServer, &question(1));
    talk.pass(31_000_000_000);
    talk.pass(1_000_000_000);
    assert_eq!(talk.sink.lines(), ["A shop.example - unanswered"]);
    assert_eq!(talk.sink.requests[0].unanswered, Some(Unanswered::Timeout));
    talk.say(ToClient, &answer(1));
    talk.say(ToServer, &question(2));
    talk.pass(31_000_000_000);
    // The same again is a new question, since the old one was given up.
    talk.say(ToServer, &question(2));
    talk.say(ToClient, &answer(2));
    let heard = talk.close();
    let unanswered = "A shop.example - unanswered";
    assert_eq!(heard.lines(), [unanswered, "A shop.example 0 ok", unanswered, "A shop.example 0 ok"]);
    assert_eq!(heard.requests.iter().map(|request| request.corrects).collect::<Vec<_>>(), [false, true, false, false]);
}

#[test]
fn what_was_given_up_is_forgotten() {
    let mut talk = talk(40_000, 53);
    talk.say(ToServer, &question(1));
    talk.pass(31_000_000_000);
    talk.pass(60_000_000_000);
    assert_eq!(talk.engine.in_flight(), 0);
    assert_eq!(talk.close().requests.len(), 1);
}

#[test]
fn of_a_datagram_that_was_cut_the_front_is_read() {
    let mut talk = talk(40_000, 53);
    talk.say(ToServer, &question(1));
    let said = [answer(1), vec![0; 500]].concat();
    talk.engine.datagram(ToClient, talk.now_ns + STEP_NS, &said[..40], said.len() as u64, &mut talk.sink);
    let heard = talk.close();
    assert_eq!(heard.lines(), ["A shop.example 0 ok"]);
    assert_eq!(heard.requests[0].response_bytes(), said.len() as u64);
}
