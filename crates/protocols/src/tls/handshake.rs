//! The one request of a connection that cannot be read, of TLS and of QUIC.

use super::hello::Facts;
use super::names;
use crate::parser::Outstanding;
use crate::{Input, Sink};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, Unanswered};

/// How a handshake ended.
pub(crate) enum Outcome {
    Finished,
    /// Without a number where the alert is encrypted, or is none.
    Alert(Option<u8>),
}

#[derive(Default)]
pub(crate) struct Handshake {
    details: bool,
    pub request: Option<Request>,
    timed_out: bool,
    pub facts: Facts,
    /// The client sends data already: it has finished, and may be ahead of the server.
    pub client_spoke: bool,
    /// Bytes were lost.
    pub lossy: bool,
}

impl Handshake {
    pub fn new(details: bool) -> Self {
        Handshake { details, ..Handshake::default() }
    }

    /// What was lost before the hello is no part of the handshake.
    pub fn begin(&mut self, protocol: &'static str, input: &Input<'_>) {
        let mut request = Request::new(protocol, Text::const_new("handshake"));
        request.kind = Kind::Session;
        request.start_ns = input.time_at(0);
        (request.request_offset, request.request_end_offset) = (input.offset, input.offset);
        self.request = Some(request);
        self.lossy = false;
    }

    /// Messages came in `input`, whose last one ends at `end_offset`.
    pub fn note_place(&mut self, direction: Direction, input: &Input<'_>, end_offset: u64) {
        let Some(request) = &mut self.request else { return };
        match direction {
            Direction::ToServer if request.first_byte_ns.is_none() => request.request_end_offset = end_offset,
            Direction::ToServer => {}
            Direction::ToClient => {
                if request.first_byte_ns.is_none() {
                    request.first_byte_ns = Some(input.time_at(0).max(request.start_ns));
                    request.response_offset = input.offset;
                }
                request.response_end_offset = end_offset;
            }
        }
    }

    pub fn is_answered(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.first_byte_ns.is_some())
    }

    /// After messages were read: the name that was asked for, and the certificate that was shown.
    pub fn note_facts(&mut self, had_certificate: bool, sink: &mut dyn Sink) {
        if let Some(request) = self.request.as_mut().filter(|request| request.resource.is_none()) {
            request.resource = self.facts.server_name.clone();
        }
        if let Some(certificate) = self.facts.server.as_ref().filter(|_| !had_certificate) {
            sink.certificate(self.facts.server_name.as_deref(), certificate);
        }
    }

    pub fn finish(&mut self, outcome: Outcome, time_ns: u64, sink: &mut dyn Sink) {
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

    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        // Only the client was seen.
        if self.client_spoke && !self.is_answered() {
            return self.finish(Outcome::Finished, time_ns, sink);
        }
        let Some(request) = self.request.take().filter(|_| !self.timed_out) else { return };
        let reason = if self.lossy { Unanswered::Gap } else { reason };
        self.tell(unanswered(request, reason, time_ns), None, sink);
    }

    pub fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        let waits = |request: &&Request| !self.timed_out && request.start_ns < before_ns;
        if let Some(request) = self.request.as_ref().filter(waits) {
            sink.request(unanswered(request.clone(), Unanswered::Timeout, now_ns));
            self.timed_out = true;
        }
    }

    pub fn in_flight(&self) -> usize {
        usize::from(self.request.is_some())
    }

    pub fn outstanding(&self) -> Outstanding {
        let waits = self.request.as_ref().filter(|_| !self.is_answered() && !self.timed_out);
        Outstanding { requests: usize::from(waits.is_some()), since_ns: waits.map_or(0, |request| request.start_ns) }
    }
}

fn unanswered(mut request: Request, reason: Unanswered, time_ns: u64) -> Request {
    request.status = Status::Unanswered;
    request.unanswered = Some(reason);
    request.end_ns = time_ns.max(request.start_ns);
    request
}
