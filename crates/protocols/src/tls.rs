//! TLS up to 1.3 and SSL 3 (RFC 8446, 5246, 6101): what can be seen of a connection that cannot be read.
//!
//! A connection is one request, its handshake: from the ClientHello to the last `Finished`. Of 1.3 only the hellos are in
//! clear; the client's `Finished` is its first encrypted record that is long enough, and an encrypted record as short as
//! an alert is one, without a number. Once the handshake is over nothing more is read.

pub mod certificate;
pub(crate) mod handshake;
pub(crate) mod hello;
pub(crate) mod messages;
mod names;
pub(crate) mod reader;
mod record;
#[cfg(test)]
mod tests;

use self::handshake::{Handshake, Outcome};
use self::hello::Facts;
use self::messages::Messages;
use self::record::{CERTIFICATE, CLIENT_HELLO, HEADER_BYTES, Record, SERVER_HELLO};
use crate::parser::Outstanding;
use crate::protocols::Capture;
use crate::{Detection, Input, Options, Parser, Protocol, Sink, Step};
use limpid_model::{Direction, Unanswered};

const NAME: &str = "tls";
/// Of each call until the handshake is over: a server's certificates are seldom longer.
const CALL_BYTES: u32 = 32 * 1024;
/// Alert, content type and tag, encrypted by 1.3: tags are of 8 or of 16 bytes.
const ALERT_1_3: [usize; 2] = [2 + 1 + 8, 2 + 1 + 16];
/// A `Finished` of 1.3 that is alone in its record: hash, content type and tag, by the lengths of hash and tag.
const FINISHED_1_3: [usize; 3] = [4 + 32 + 1 + 8, 4 + 32 + 1 + 16, 4 + 48 + 1 + 16];

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[443, 465, 636, 853, 993, 995, 5671, 8443, 8883],
    detect: record::detect,
    parser: |options| Box::new(Tls::new(options)),
    capture: Capture::All(CALL_BYTES),
    unordered: false,
    greets: false,
    specification: NAME,
};

/// A call that begins so begins TLS, whatever was said before.
pub(crate) fn is_hello(direction: Direction, data: &[u8]) -> bool {
    data.len() > HEADER_BYTES
        && data[0] == record::HANDSHAKE
        && data[HEADER_BYTES] == CLIENT_HELLO
        && record::detect(direction, data) == Detection::Yes
}

#[derive(Default)]
struct Half {
    messages: Messages,
    /// From here on (ChangeCipherSpec, up to 1.2).
    encrypted: bool,
    finished: bool,
    /// A record has to look like one.
    lost: bool,
}

struct Tls {
    handshake: Handshake,
    halves: [Half; 2],
}

impl Tls {
    fn new(options: &Options) -> Self {
        Tls { handshake: Handshake::new(options.details), halves: Default::default() }
    }

    /// The ClientHello as SSL 2 wrote it: it has no extensions.
    fn old_hello(&mut self, total: usize, input: &Input<'_>) -> Step {
        if input.data.len() < total && input.gap_after == 0 {
            return Step::Need(total);
        }
        self.handshake.begin(NAME, input);
        self.handshake.note_place(Direction::ToServer, input, input.offset.saturating_add(total as u64));
        Step::Taken(total as u64)
    }

    /// `payload` is shorter than the record where its rest was lost.
    fn read(&mut self, direction: Direction, record: Record, payload: &[u8], sink: &mut dyn Sink) -> Option<Outcome> {
        let encrypted = self.halves[direction as usize].encrypted;
        match record.kind {
            record::CHANGE_CIPHER_SPEC => {
                // In 1.3 it means nothing, and a client may send it before it knows the version.
                let known = self.handshake.facts.version.is_some() || direction == Direction::ToClient;
                self.halves[direction as usize].encrypted |= known && !self.handshake.facts.is_1_3();
                None
            }
            record::ALERT => self.alert(encrypted || record.length != 2, payload),
            record::HANDSHAKE if encrypted => self.finished(direction),
            record::HANDSHAKE => self.messages(direction, record, payload, sink),
            _ if self.handshake.facts.is_1_3() => self.encrypted_1_3(direction, record.length),
            _ => self.application_data(direction),
        }
    }

    fn messages(
        &mut self,
        direction: Direction,
        record: Record,
        payload: &[u8],
        sink: &mut dyn Sink,
    ) -> Option<Outcome> {
        let Tls { halves, handshake } = self;
        let (messages, facts) = (&mut halves[direction as usize].messages, &mut handshake.facts);
        let had_certificate = facts.server.is_some();
        let mut each = |kind: u8, body: &[u8]| facts.read(direction, kind, body);
        let are_messages = messages.push(payload, record::is_message, &mut each);
        if payload.len() < record.length {
            messages.cut(each);
        }
        handshake.note_facts(had_certificate, sink);
        if are_messages { None } else { self.finished(direction) }
    }

    fn finished(&mut self, direction: Direction) -> Option<Outcome> {
        self.halves[direction as usize].finished = true;
        let [client, server] = &self.halves;
        (client.finished && server.finished).then_some(Outcome::Finished)
    }

    fn alert(&self, encrypted: bool, payload: &[u8]) -> Option<Outcome> {
        const FATAL: u8 = 2;
        const CLOSE_NOTIFY: u8 = 0;
        const USER_CANCELED: u8 = 90;
        match payload {
            [level, number] if !encrypted => {
                let harmless = matches!(*number, CLOSE_NOTIFY | USER_CANCELED);
                let fatal = !harmless && (*level == FATAL || self.handshake.facts.is_1_3());
                fatal.then_some(Outcome::Alert(Some(*number)))
            }
            // Who has sent data already says farewell.
            _ if self.handshake.client_spoke => None,
            _ => Some(Outcome::Alert(None)),
        }
    }

    /// Up to 1.2 a server sends data when the handshake is over, and a client when it has finished itself.
    fn application_data(&mut self, direction: Direction) -> Option<Outcome> {
        let server_finished = self.halves[Direction::ToClient as usize].finished;
        self.handshake.client_spoke |= direction == Direction::ToServer;
        let over = direction == Direction::ToClient || server_finished || self.handshake.lossy;
        over.then_some(Outcome::Finished)
    }

    fn encrypted_1_3(&mut self, direction: Direction, length: usize) -> Option<Outcome> {
        match direction {
            Direction::ToClient if ALERT_1_3.contains(&length) => Some(Outcome::Alert(None)),
            Direction::ToClient => None,
            // Between early data only its very length tells.
            Direction::ToServer if self.handshake.facts.offers_early_data => {
                self.handshake.client_spoke = true;
                FINISHED_1_3.contains(&length).then_some(Outcome::Finished)
            }
            Direction::ToServer if ALERT_1_3.contains(&length) => Some(Outcome::Alert(None)),
            // What is shorter is the certificate of a client that has none.
            Direction::ToServer => (length >= FINISHED_1_3[0]).then_some(Outcome::Finished),
        }
    }

    /// A connection that was joined behind its ClientHello has nothing to tell.
    fn begins(direction: Direction, record: Record, data: &[u8]) -> bool {
        let hello = matches!(data.get(HEADER_BYTES), None | Some(&CLIENT_HELLO));
        direction == Direction::ToServer && record.kind == record::HANDSHAKE && hello
    }
}

impl Facts {
    pub(crate) fn read(&mut self, direction: Direction, kind: u8, body: &[u8]) {
        match (direction, kind) {
            (Direction::ToServer, CLIENT_HELLO) => drop(self.read_client(body)),
            (Direction::ToServer, CERTIFICATE) => self.client = certificate::first_of_message(body),
            (Direction::ToClient, SERVER_HELLO) => drop(self.read_server(body)),
            (Direction::ToClient, CERTIFICATE) => self.has_seen_certificate(certificate::first_of_message(body)),
            _ => {}
        }
    }
}

impl Parser for Tls {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        let data = input.data;
        if direction == Direction::ToServer && self.handshake.request.is_none() && data.first() >= Some(&0x80) {
            return match record::old_hello(data) {
                Some(total) => self.old_hello(total, &input),
                None if record::detect(direction, data) == Detection::More => Step::Need(data.len() + 1),
                None => Step::Invalid("no hello"),
            };
        }
        let record = match Record::read(data) {
            None => return Step::Need(HEADER_BYTES),
            Some(Err(())) => return Step::Invalid("no record"),
            Some(Ok(record)) => record,
        };
        let lost = self.halves[direction as usize].lost;
        if lost && (!input.at_call || record::detect(direction, data) == Detection::No) {
            return Step::Invalid("no record begins here");
        }
        self.halves[direction as usize].lost = false;
        if self.handshake.request.is_none() {
            if !Tls::begins(direction, record, data) {
                return Step::Done;
            }
            if data.len() == HEADER_BYTES && input.gap_after == 0 {
                return Step::Need(HEADER_BYTES + 1);
            }
            self.handshake.begin(NAME, &input);
        }
        let here = data.get(..record.total()).unwrap_or(data);
        if here.len() < record.total() && input.gap_after == 0 {
            return Step::Need(record.total());
        }
        let time_ns = input.time_at(here.len().saturating_sub(1));
        if direction == Direction::ToClient || record.kind == record::HANDSHAKE {
            self.handshake.note_place(direction, &input, input.offset.saturating_add(record.total() as u64));
        }
        match self.read(direction, record, here.get(HEADER_BYTES..).unwrap_or_default(), sink) {
            Some(outcome) => {
                self.handshake.finish(outcome, time_ns, sink);
                Step::Done
            }
            None => Step::Taken(record.total() as u64),
        }
    }

    fn skipped(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn gap(&mut self, direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {
        let Tls { halves, handshake } = self;
        let half = &mut halves[direction as usize];
        half.messages.cut(|kind, body| handshake.facts.read(direction, kind, body));
        half.lost = true;
        handshake.lossy = true;
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        self.handshake.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        self.handshake.expire(before_ns, now_ns, sink);
    }

    fn in_flight(&self) -> usize {
        self.handshake.in_flight()
    }

    fn outstanding(&self) -> Outstanding {
        self.handshake.outstanding()
    }
}
