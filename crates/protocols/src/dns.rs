//! DNS over UDP and over TCP (RFC 1035, 5936, 6891, 7766): questions and their answers, found by id and question.
//!
//! A question that is asked again while it waits is one request. Zone transfers have answers of many messages. What
//! servers tell each other about zones (NOTIFY, UPDATE) counts as `session`: nobody looks a name up. What looks the same
//! and is no question to a server is left alone: multicast DNS, LLMNR and the name service of NetBIOS.

mod detect;
mod message;
mod name;
mod types;
mod waiting;

use self::detect::{detect, detect_in_stream};
use self::message::{HEADER_BYTES, Message, Opcode, Question};
use self::waiting::{Table, Waiting};
use crate::protocols::{Capture, Datagram};
use crate::{Detection, Input, Options, Outstanding, Parser, Protocol, Sink, Step};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, Unanswered};
use std::fmt::Write;
use std::net::IpAddr;

const NAME: &str = "dns";
const MULTICAST_DNS: u16 = 5353;
const LLMNR: u16 = 5355;
const NETBIOS: u16 = 137;

pub const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[53],
    detect: detect_in_stream,
    parser: |options| Box::new(Dns::new(options, true)),
    // What servers say over UDP at most, and several messages over TCP; of a zone transfer the front says enough.
    capture: Capture::All(4096),
    unordered: false,
    greets: false,
    specification: NAME,
};

pub const DATAGRAM: Datagram = Datagram {
    protocol: &PROTOCOL,
    detect,
    parser: |options| Box::new(Dns::new(options, false)),
    // On its port multicast DNS asks from the same port; who asks from another one asks a server.
    excludes: |client, server| matches!(server, LLMNR | NETBIOS) || (client, server) == (MULTICAST_DNS, MULTICAST_DNS),
};

/// In front of each message of a stream stands its length.
const LENGTH_BYTES: usize = 2;
/// Longer messages are read from their fronts.
const MAX_KEPT_BYTES: usize = 60_000;

struct Dns {
    details: bool,
    /// Over TCP.
    framed: bool,
    waiting: Table,
    /// What is told when the rest of a long message has passed.
    unfinished: Option<Box<Unfinished>>,
    /// Where the next message of a direction begins is not known.
    lost: [bool; 2],
    addresses: Vec<(IpAddr, u32)>,
}

struct Unfinished {
    request: Request,
    name: Text,
    addresses: Vec<(IpAddr, u32)>,
}

/// Where and when a message stands in its direction.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    end_offset: u64,
    start_ns: u64,
    end_ns: u64,
    /// Its last byte has passed.
    whole: bool,
}

impl Dns {
    fn new(options: &Options, framed: bool) -> Self {
        Dns {
            details: options.details,
            framed,
            waiting: Table::default(),
            unfinished: None,
            lost: [false; 2],
            addresses: Vec::new(),
        }
    }

    /// Whether this is a message of this direction; an answer to what was not asked needs something.
    fn message(&mut self, direction: Direction, bytes: &[u8], length: u64, place: Place, sink: &mut dyn Sink) -> Step {
        let Some(message) = Message::read(bytes) else { return Step::Invalid("no whole header") };
        let answers = direction == Direction::ToClient;
        // An answer that was truncated may count records that it has no room for; it is known by its question.
        let records_matter = self.framed || !answers;
        if message.is_answer() != answers || records_matter && !message.is_plausible(length) {
            return Step::Invalid("no header of this direction");
        }
        let question = message.question();
        let cut = length > bytes.len() as u64;
        if question.is_none() && message.questions() > 0 && !cut {
            return Step::Invalid("a question that cannot be read");
        }
        match direction {
            Direction::ToServer => self.asked(&message, question.as_ref(), place, sink),
            Direction::ToClient => return self.answered(&message, question.as_ref(), place, sink),
        }
        Step::Taken(length)
    }

    fn asked(&mut self, message: &Message<'_>, question: Option<&Question>, place: Place, sink: &mut dyn Sink) {
        // Without a question nothing is asked for: a client that wants a cookie (RFC 7873 section 5.4).
        let Some(question) = question else { return };
        if self.waiting.repeat(message.id(), question.hash) {
            return;
        }
        let (operation, kind) = match message.opcode() {
            Opcode::Query => (types::name(question.kind), Kind::Request),
            Opcode::Notify => (Text::const_new("NOTIFY"), Kind::Session),
            Opcode::Update => (Text::const_new("UPDATE"), Kind::Session),
            Opcode::Other(_) => return,
        };
        let mut request = Request::new(NAME, operation);
        request.kind = kind;
        request.resource = Some(question.name.resource());
        request.start_ns = place.start_ns;
        request.request_offset = place.offset;
        request.request_end_offset = place.end_offset;
        if self.details {
            let details = request.details_mut();
            details.resource_raw = Some(question.name.readable());
            details.attributes.push(("dns.question.name", Attribute::Text(question.name.escaped())));
            let transport = if self.framed { "tcp" } else { "udp" };
            details.attributes.push(("network.transport", Attribute::Text(Text::const_new(transport))));
        }
        self.waiting.push(message.id(), question.hash, request, sink);
    }

    fn answered(
        &mut self,
        message: &Message<'_>,
        question: Option<&Question>,
        place: Place,
        sink: &mut dyn Sink,
    ) -> Step {
        let taken = Step::Taken(place.end_offset.saturating_sub(place.offset));
        let Some(at) = self.waiting.find(message.id(), question.map(|question| question.hash)) else {
            if !self.framed {
                return Step::Need(0);
            }
            sink.orphan(NAME);
            return taken;
        };
        let Some(waiting) = self.waiting.get_mut(at) else { return taken };
        let request = &mut waiting.request;
        if request.first_byte_ns.is_none() {
            request.first_byte_ns = Some(place.start_ns.max(request.start_ns));
            request.response_offset = place.offset;
        }
        self.addresses.clear();
        let code = question.map_or(message.rcode(), |question| message.outcome(question, &mut self.addresses));
        request.code = Some(types::code(code));
        request.status = if matches!(code, 0 | 3) { Status::Ok } else { Status::Error };
        if self.framed && code == 0 && waiting.goes_on(message, question, place) {
            return taken;
        }
        let mut waiting = self.waiting.take_at(at);
        waiting.request.end_ns = place.end_ns.max(waiting.request.start_ns);
        waiting.request.response_end_offset = place.end_offset;
        if self.details {
            describe(&mut waiting, message, code, &self.addresses);
        }
        self.finish(waiting.request, question, place.whole, sink);
        taken
    }

    /// Reports it once its last byte has passed.
    fn finish(&mut self, request: Request, question: Option<&Question>, whole: bool, sink: &mut dyn Sink) {
        let resolves = question.filter(|_| !self.addresses.is_empty());
        let name = resolves.map_or_else(Text::default, |question| question.name.escaped());
        if !whole {
            let addresses = std::mem::take(&mut self.addresses);
            self.unfinished = Some(Box::new(Unfinished { request, name, addresses }));
            return;
        }
        if !self.addresses.is_empty() {
            sink.resolved(&name, &self.addresses);
        }
        sink.request(request);
    }
}

/// What the answer says, for a span.
fn describe(waiting: &mut Waiting, message: &Message<'_>, code: u16, addresses: &[(IpAddr, u32)]) {
    let attributes = &mut waiting.request.details_mut().attributes;
    if let Some(name) = types::code_name(code) {
        attributes.push(("limpid.dns.response_code", Attribute::Text(Text::const_new(name))));
    }
    if !addresses.is_empty() {
        let mut list = Text::default();
        for (number, (address, _)) in addresses.iter().enumerate() {
            // Writing to a text cannot fail.
            let _ = write!(list, "{}{address}", if number > 0 { "," } else { "" });
        }
        attributes.push(("dns.answers", Attribute::Text(list)));
    }
    if message.is_truncated() {
        attributes.push(("limpid.dns.truncated", Attribute::Bool(true)));
    }
    if waiting.repeats > 0 {
        attributes.push(("limpid.dns.repeats", Attribute::Int(i64::from(waiting.repeats))));
    }
}

impl Parser for Dns {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        let data = input.data;
        let place = |length: u64| {
            let whole = length <= data.len() as u64 || !self.framed;
            let last = (length.min(data.len() as u64) as usize).saturating_sub(1);
            let (start_ns, end_ns) = (input.time_at(0), input.time_at(last));
            Place { offset: input.offset, end_offset: input.offset.saturating_add(length), start_ns, end_ns, whole }
        };
        if !self.framed {
            let length = (data.len() as u64).saturating_add(input.gap_after);
            return self.message(direction, data, length, place(length), sink);
        }
        if self.lost[direction as usize] {
            match detect_in_stream(direction, data) {
                Detection::Yes if input.at_call => self.lost[direction as usize] = false,
                Detection::More if input.at_call => return Step::Need(data.len() + 1),
                _ => return Step::Invalid("no message begins here"),
            }
        }
        let Some((length, behind)) = data.split_first_chunk() else { return Step::Need(LENGTH_BYTES) };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER_BYTES {
            return Step::Invalid("a message shorter than its header");
        }
        let wanted = length.min(MAX_KEPT_BYTES);
        if behind.len() < wanted && (input.gap_after == 0 || behind.len() < HEADER_BYTES) {
            return Step::Need(LENGTH_BYTES + wanted);
        }
        let bytes = behind.get(..length).unwrap_or(behind);
        let all = (LENGTH_BYTES + length) as u64;
        match self.message(direction, bytes, length as u64, place(all), sink) {
            Step::Taken(_) => Step::Taken(all),
            other => other,
        }
    }

    fn skipped(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        if direction == Direction::ToServer {
            return;
        }
        if let Some(unfinished) = self.unfinished.take() {
            let Unfinished { mut request, name, addresses } = *unfinished;
            request.end_ns = time_ns.max(request.start_ns);
            if !addresses.is_empty() {
                sink.resolved(&name, &addresses);
            }
            sink.request(request);
        }
    }

    /// Every message says itself whose it is: what waits keeps waiting.
    fn gap(&mut self, direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {
        self.lost[direction as usize] = self.framed;
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        // Its end was not seen, but its code was.
        self.skipped(Direction::ToClient, time_ns, sink);
        self.waiting.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        self.waiting.expire(before_ns, now_ns, sink);
        if self.waiting.len() == 0 {
            self.addresses = Vec::new();
        }
    }

    fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    fn outstanding(&self) -> Outstanding {
        self.waiting.outstanding()
    }
}

#[cfg(test)]
#[path = "dns/tests.rs"]
mod tests;
