//! TLS up to 1.3 and SSL 3 (RFC 8446, 5246, 6101): what can be seen of a connection that cannot be read.
//!
//! A connection is one request, its handshake: from the ClientHello to the last `Finished`. Of 1.3 only the hellos are in
//! clear; the client's `Finished` is its first encrypted record that is long enough, and an encrypted record as short as
//! an alert is one, without a number. Once the handshake is over nothing more is read.

pub mod certificate;
pub(crate) mod hello;
pub(crate) mod messages;
mod names;
pub(crate) mod reader;
mod record;
#[cfg(test)]
mod tests;

use self::hello::Facts;
use self::messages::Messages;
use self::record::{CERTIFICATE, CLIENT_HELLO, HEADER_BYTES, Record, SERVER_HELLO};
use crate::parser::Outstanding;
use crate::protocols::Capture;
use crate::{Detection, Input, Options, Parser, Protocol, Sink, Step};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, Unanswered};

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
    details: bool,
    request: Option<Request>,
    timed_out: bool,
    facts: Facts,
    halves: [Half; 2],
    /// The client sends data already: it has finished, and may be ahead of the server.
    client_spoke: bool,
    /// Bytes were lost.
    lossy: bool,
}

/// Where and when a record ended.
#[derive(Clone, Copy)]
struct End {
    offset: u64,
    time_ns: u64,
}

/// How a handshake ended.
enum Outcome {
    Finished,
    /// Without a number where the alert is encrypted.
    Alert(Option<u8>),
}

impl Tls {
    fn new(options: &Options) -> Self {
        Tls {
            details: options.details,
            request: None,
            timed_out: false,
            facts: Facts::default(),
            halves: Default::default(),
            client_spoke: false,
            lossy: false,
        }
    }

    /// What was lost before the hello is no part of the handshake.
    fn begin(&mut self, input: &Input<'_>) {
        self.lossy = false;
        let mut request = Request::new(NAME, Text::const_new("handshake"));
        request.kind = Kind::Session;
        request.start_ns = input.time_at(0);
        request.request_offset = input.offset;
        self.request = Some(request);
    }

    /// The ClientHello as SSL 2 wrote it: it has no extensions.
    fn old_hello(&mut self, total: usize, input: &Input<'_>) -> Step {
        if input.data.len() < total && input.gap_after == 0 {
            return Step::Need(total);
        }
        self.begin(input);
        if let Some(request) = &mut self.request {
            request.request_end_offset = input.offset.saturating_add(total as u64);
        }
        Step::Taken(total as u64)
    }

    fn note_place(&mut self, direction: Direction, record: Record, begin: &Input<'_>, end: End) {
        let Some(request) = &mut self.request else { return };
        match direction {
            Direction::ToServer if request.first_byte_ns.is_none() && record.kind == record::HANDSHAKE => {
                request.request_end_offset = end.offset;
            }
            Direction::ToServer => {}
            Direction::ToClient => {
                if request.first_byte_ns.is_none() {
                    request.first_byte_ns = Some(begin.time_at(0).max(request.start_ns));
                    request.response_offset = begin.offset;
                }
                request.response_end_offset = end.offset;
            }
        }
    }

    /// `payload` is shorter than the record where its rest was lost.
    fn read(&mut self, direction: Direction, record: Record, payload: &[u8], sink: &mut dyn Sink) -> Option<Outcome> {
        let encrypted = self.halves[direction as usize].encrypted;
        match record.kind {
            record::CHANGE_CIPHER_SPEC => {
                // In 1.3 it means nothing, and a client may send it before it knows the version.
                let known = self.facts.version.is_some() || direction == Direction::ToClient;
                self.halves[direction as usize].encrypted |= known && !self.facts.is_1_3();
                None
            }
            record::ALERT => self.alert(encrypted || record.length != 2, payload),
            record::HANDSHAKE if encrypted => self.finished(direction),
            record::HANDSHAKE => self.messages(direction, record, payload, sink),
            _ if self.facts.is_1_3() => self.encrypted_1_3(direction, record.length),
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
        let had_certificate = self.facts.server.is_some();
        let Tls { halves, facts, .. } = self;
        let messages = &mut halves[direction as usize].messages;
        let mut each = |kind: u8, body: &[u8]| facts.read(direction, kind, body);
        let are_messages = messages.push(payload, record::is_message, &mut each);
        if payload.len() < record.length {
            messages.cut(each);
        }
        if let Some(request) = self.request.as_mut().filter(|request| request.resource.is_none()) {
            request.resource = self.facts.server_name.clone();
        }
        if let Some(certificate) = self.facts.server.as_ref().filter(|_| !had_certificate) {
            sink.certificate(self.facts.server_name.as_deref(), certificate);
        }
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
                let fatal = !harmless && (*level == FATAL || self.facts.is_1_3());
                fatal.then_some(Outcome::Alert(Some(*number)))
            }
            // Who has sent data already says farewell.
            _ if self.client_spoke => None,
            _ => Some(Outcome::Alert(None)),
        }
    }

    /// Up to 1.2 a server sends data when the handshake is over, and a client when it has finished itself.
    fn application_data(&mut self, direction: Direction) -> Option<Outcome> {
        let server_finished = self.halves[Direction::ToClient as usize].finished;
        self.client_spoke |= direction == Direction::ToServer;
        let over = direction == Direction::ToClient || server_finished || self.lossy;
        over.then_some(Outcome::Finished)
    }

    fn encrypted_1_3(&mut self, direction: Direction, length: usize) -> Option<Outcome> {
        match direction {
            Direction::ToClient if ALERT_1_3.contains(&length) => Some(Outcome::Alert(None)),
            Direction::ToClient => None,
            // Between early data only its very length tells.
            Direction::ToServer if self.facts.offers_early_data => {
                self.client_spoke = true;
                FINISHED_1_3.contains(&length).then_some(Outcome::Finished)
            }
            Direction::ToServer if ALERT_1_3.contains(&length) => Some(Outcome::Alert(None)),
            // What is shorter is the certificate of a client that has none.
            Direction::ToServer => (length >= FINISHED_1_3[0]).then_some(Outcome::Finished),
        }
    }

    fn finish(&mut self, outcome: Outcome, time_ns: u64, sink: &mut dyn Sink) {
        let Some(mut request) = self.request.take() else { return };
        request.end_ns = time_ns.max(request.start_ns);
        request.corrects = self.timed_out;
        let mut alert = None;
        match outcome {
            Outcome::Finished => request.status = Status::Ok,
            Outcome::Alert(number) => {
                request.status = Status::Error;
                request.code = number.map(|number| Text::from(number.to_string()));
                alert = Some(number.map_or("encrypted", |number| names::alert(number).unwrap_or("unknown")));
            }
        }
        self.tell(request, alert, sink);
    }

    fn tell(&mut self, mut request: Request, alert: Option<&'static str>, sink: &mut dyn Sink) {
        if self.details {
            std::mem::take(&mut self.facts).describe(&mut request);
            let established = request.status == Status::Ok;
            let attributes = &mut request.details_mut().attributes;
            attributes.push(("tls.established", Attribute::Bool(established)));
            attributes.extend(alert.map(|alert| ("limpid.tls.alert", Attribute::Text(Text::const_new(alert)))));
        }
        sink.request(request);
    }

    /// A connection that was joined behind its ClientHello has nothing to tell.
    fn begins(direction: Direction, record: Record, data: &[u8]) -> bool {
        let hello = matches!(data.get(HEADER_BYTES), None | Some(&CLIENT_HELLO));
        direction == Direction::ToServer && record.kind == record::HANDSHAKE && hello
    }
}

impl Facts {
    fn read(&mut self, direction: Direction, kind: u8, body: &[u8]) {
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
        if direction == Direction::ToServer && self.request.is_none() && data.first() >= Some(&0x80) {
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
        if self.request.is_none() {
            if !Tls::begins(direction, record, data) {
                return Step::Done;
            }
            if data.len() == HEADER_BYTES && input.gap_after == 0 {
                return Step::Need(HEADER_BYTES + 1);
            }
            self.begin(&input);
        }
        let here = data.get(..record.total()).unwrap_or(data);
        if here.len() < record.total() && input.gap_after == 0 {
            return Step::Need(record.total());
        }
        let time_ns = input.time_at(here.len().saturating_sub(1));
        let end = End { offset: input.offset.saturating_add(record.total() as u64), time_ns };
        self.note_place(direction, record, &input, end);
        match self.read(direction, record, here.get(HEADER_BYTES..).unwrap_or_default(), sink) {
            Some(outcome) => {
                self.finish(outcome, end.time_ns, sink);
                Step::Done
            }
            None => Step::Taken(record.total() as u64),
        }
    }

    fn skipped(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn gap(&mut self, direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {
        let Tls { halves, facts, .. } = self;
        let half = &mut halves[direction as usize];
        half.messages.cut(|kind, body| facts.read(direction, kind, body));
        half.lost = true;
        self.lossy = true;
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        let Some(request) = &self.request else { return };
        // Only the client was seen.
        if self.client_spoke && request.first_byte_ns.is_none() {
            return self.finish(Outcome::Finished, time_ns, sink);
        }
        if let Some(request) = self.request.take().filter(|_| !self.timed_out) {
            let reason = if self.lossy { Unanswered::Gap } else { reason };
            self.tell(unanswered(request, reason, time_ns), None, sink);
        }
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        let waits = |request: &&Request| !self.timed_out && request.start_ns < before_ns;
        if let Some(request) = self.request.as_ref().filter(waits) {
            sink.request(unanswered(request.clone(), Unanswered::Timeout, now_ns));
            self.timed_out = true;
        }
    }

    fn in_flight(&self) -> usize {
        usize::from(self.request.is_some())
    }

    fn outstanding(&self) -> Outstanding {
        let waits = self.request.as_ref().filter(|request| request.first_byte_ns.is_none() && !self.timed_out);
        Outstanding { requests: usize::from(waits.is_some()), since_ns: waits.map_or(0, |request| request.start_ns) }
    }
}

fn unanswered(mut request: Request, reason: Unanswered, time_ns: u64) -> Request {
    request.status = Status::Unanswered;
    request.unanswered = Some(reason);
    request.end_ns = time_ns.max(request.start_ns);
    request
}
