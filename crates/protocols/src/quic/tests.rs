//! Connections of aioquic (`tests/data/record.py`): version 1, version 2, behind a Retry, and one that a server refused.

use crate::connection::Verdict;
use crate::protocols::Capture;
use crate::recorded_tests::{Conversation, attribute, recorded};
use crate::testing::*;
use crate::{Datagrams, Hints, Options};
use limpid_model::{Direction, Request, Unanswered};

struct Played {
    engine: Datagrams,
    sink: Collected,
    now_ns: u64,
}

impl Played {
    fn new() -> Self {
        let hints = Hints { client_port: 40_000, server_port: 4433, from_start: true };
        let options = Options { details: true, ..Options::default() };
        Played { engine: Datagrams::new(hints, &options), sink: Collected::default(), now_ns: START_NS }
    }

    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        self.now_ns += STEP_NS;
        self.engine.datagram(direction, self.now_ns, bytes, bytes.len() as u64, &mut self.sink);
    }

    fn close(mut self) -> Collected {
        self.engine.close(Unanswered::Closed, self.now_ns + STEP_NS, &mut self.sink);
        self.sink
    }
}

fn played(conversation: &[(Direction, Vec<u8>)]) -> Collected {
    let mut played = Played::new();
    conversation.iter().for_each(|(direction, bytes)| played.say(*direction, bytes));
    played.close()
}

fn connections() -> Vec<Conversation> {
    recorded("quic-aioquic")
}

#[test]
fn each_connection_is_one_handshake() {
    let told: Vec<Request> = connections().iter().flat_map(|connection| played(connection).requests).collect();
    let shown: Vec<_> = told.iter().map(line).collect();
    let finished = "handshake shop.test - ok";
    assert_eq!(shown, [finished, finished, finished, "handshake shop.test 40 error"]);
    for request in &told[..3] {
        assert_eq!(attribute(request, "tls.protocol.version"), "1.3");
        assert_eq!(attribute(request, "tls.cipher"), "TLS_AES_256_GCM_SHA384");
        assert_eq!(attribute(request, "limpid.tls.offered_protocols"), "h3");
        assert!(request.first_byte_ns.is_some_and(|first_ns| first_ns < request.end_ns));
    }
    assert_eq!(attribute(&told[3], "limpid.tls.alert"), "handshake_failure");
}

#[test]
fn after_the_handshake_nothing_is_wanted() {
    let mut played = Played::new();
    for (direction, bytes) in &connections()[0] {
        played.say(*direction, bytes);
    }
    assert_eq!(played.engine.verdict(), Verdict::Pinned(Capture::Nothing));
    assert_eq!(played.engine.protocol().map(|protocol| protocol.name), Some("quic"));
    assert_eq!(played.close().requests.len(), 1);
}

#[test]
fn a_lost_or_repeated_datagram_invents_nothing() {
    for connection in connections() {
        for at in 0..connection.len() {
            let mut lost = connection.clone();
            lost.remove(at);
            let mut twice = connection.clone();
            twice.insert(at, connection[at].clone());
            for conversation in [lost, twice, connection[..at].to_vec()] {
                let got = played(&conversation);
                assert!(got.requests.len() <= 1, "{:?}", got.lines());
                assert!(got.requests.iter().all(|request| request.operation == "handshake"));
            }
        }
    }
}

#[test]
fn a_connection_that_was_joined_later_is_not_read() {
    for connection in &connections()[..3] {
        assert_eq!(played(&connection[connection.len() - 3..]).lines(), Vec::<String>::new());
    }
}

#[test]
fn damage_is_harmless() {
    let mut random = Random(5);
    for _ in 0..400 {
        let mut connection = connections().swap_remove(random.below(4));
        for _ in 0..3 {
            let at = random.below(connection.len());
            let bytes = &mut connection[at].1;
            let place = random.below(bytes.len());
            match random.below(3) {
                0 => bytes.truncate(place.max(1)),
                _ => bytes[place] = random.next() as u8,
            }
        }
        assert!(played(&connection).requests.len() <= 4);
    }
}

#[test]
fn the_ends_are_found() {
    let mut played = Played::new();
    for (direction, bytes) in &connections()[0] {
        played.say(direction.reverse(), bytes);
    }
    assert!(played.engine.swapped());
    assert_eq!(played.close().lines(), ["handshake shop.test - ok"]);
}
