//! HTTP/1.x (RFC 9112): keep-alive, pipelines, chunked bodies, interim answers, upgrades and tunnels.
//!
//! Lines are read the way real servers do it: bare line feeds are line ends, unknown methods and damaged header fields
//! are no reason to stop. Bodies are skipped by their length and never looked at. Where the capture leaves out what
//! would tell the end of a body, the answer lasts until the next message begins.

mod body;
mod head;
mod heads;
mod known;
mod request;

use self::body::{Chunked, chunked};
pub(crate) use self::head::value;
use self::head::{Scan, StatusLine};
use self::heads::Heads;
use self::known::{AnswerHead, Known, RequestHead};
pub(crate) use self::request::{Routes, Said, method};
use crate::pending::Pending;
use crate::protocols::Capture;
use crate::{Detection, Input, Options, Outstanding, Parser, Protocol, Sink, Step};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Request, Status, Text, Unanswered};

const NAME: &str = "http";
/// An answer whose end the capture does not show is taken to be over after this silence.
const DRIFT_NS: u64 = 1_000_000_000;
/// Of each call: nearly all heads are smaller, and a longer one is still reported with what is in front.
const HEAD_BYTES: u32 = 4096;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[80, 8080, 8000, 8888, 3000, 5000, 9200],
    detect,
    parser: |options| Box::new(Http::new(options)),
    capture: Capture::Head(HEAD_BYTES),
    unordered: false,
    greets: false,
    specification: "http",
};

fn detect(direction: Direction, data: &[u8]) -> Detection {
    match direction {
        Direction::ToServer => head::detect_request(data),
        Direction::ToClient => head::detect_status(data),
    }
}

/// What one direction is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    /// Bytes that the engine skips; the message ends at this offset.
    Body(u64),
    Chunks,
    Trailers,
    /// In a body whose end cannot be told: it lasts until something begins that looks like a head.
    Drift,
}

#[derive(Debug)]
struct Half {
    place: Place,
    /// So many bytes of an unfinished head hold no end.
    scanned: usize,
    last_ns: u64,
    last_offset: u64,
    /// Bytes were lost: what looks like a head may be the rest of something.
    lost: bool,
}

impl Half {
    fn new() -> Self {
        Half { place: Place::Head, scanned: 0, last_ns: 0, last_offset: 0, lost: false }
    }

    fn restart(&mut self) {
        (self.place, self.scanned) = (Place::Head, 0);
    }
}

/// What must be known of a request to read its answer.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    head: bool,
    connect: bool,
}

/// An answer whose head was read and whose end was not.
#[derive(Debug)]
struct Answer {
    code: [u8; 3],
    /// Where its body begins.
    body_offset: u64,
    /// It answers the front of the queue; otherwise it is only read over.
    paired: bool,
    /// What the connection becomes behind it.
    becomes: Option<Becomes>,
}

#[derive(Clone, Copy, Debug)]
struct Becomes(Option<&'static str>);

struct Http {
    details: bool,
    raw: bool,
    pending: Pending<Asked>,
    asking: Half,
    answering: Half,
    answer: Option<Answer>,
    becomes: Option<Becomes>,
    routes: request::Routes,
    heads: Heads,
    known_request: Known<RequestHead>,
    known_answer: Known<AnswerHead>,
    last_code: [u8; 3],
    last_code_text: Text,
}

impl Http {
    fn new(options: &Options) -> Self {
        Http {
            details: options.details,
            raw: options.raw,
            pending: Pending::new(NAME),
            asking: Half::new(),
            answering: Half::new(),
            answer: None,
            becomes: None,
            routes: request::Routes::default(),
            heads: Heads::default(),
            known_request: Known::default(),
            known_answer: Known::default(),
            last_code: [0; 3],
            last_code_text: Text::const_new(""),
        }
    }

    fn read_request(&mut self, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        match self.asking.place {
            Place::Head | Place::Body(_) => self.request_head(input, sink),
            Place::Chunks | Place::Trailers => self.request_chunks(input),
            Place::Drift if input.at_call && head::is_request_line(input.data) => {
                self.asking.restart();
                self.request_head(input, sink)
            }
            Place::Drift => self.drift(Direction::ToServer, &input),
        }
    }

    fn request_head(&mut self, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        self.asking.place = Place::Head;
        if self.asking.scanned == 0
            && let Some((length, said)) = self.known_request.get(input.data)
        {
            let said = said.clone();
            self.known_request.is_known();
            return self.known_again(said, length, &input, sink);
        }
        let blank = head::blank_lines(input.data);
        if blank > 0 {
            return Step::Taken(blank as u64);
        }
        let mut fields = head::Fields::default();
        let scan = head::scan(input.data, &mut self.asking.scanned, input.gap_after > 0, &mut fields);
        let head = match scan {
            Scan::Need if head::may_be_request(input.data) => return Step::Need(input.data.len() + 1),
            Scan::Need => {
                self.asking.scanned = 0;
                return Step::Invalid("no request line");
            }
            Scan::Head(head) => head,
        };
        self.asking.scanned = 0;
        let line = head::request_line(head.first_line).filter(|line| !self.asking.lost || line.is_known());
        let Some(line) = line else { return Step::Invalid("no request line") };
        let asked = Asked { head: line.method == b"HEAD", connect: line.method == b"CONNECT" };
        let body_bytes = if head.complete && !asked.connect { fields.body_bytes() } else { Some(0) };
        let request = self.request_of(&line, &fields, &input);
        if head.complete && line.is_known() {
            let head = input.data.get(..head.length).unwrap_or_default();
            self.known_request.learn(head, || RequestHead {
                operation: request.operation.clone(),
                route: request.resource.clone().unwrap_or_default(),
                asked,
                body_bytes,
                details: request.details.clone(),
            });
        }
        let step = self.ask(request, asked, head.length, body_bytes, &input, sink);
        if head.complete {
            return step;
        }
        self.heads.vary();
        self.asking.place = Place::Drift;
        Step::Taken((head.length as u64).saturating_add(input.gap_after))
    }

    /// A request whose head is that of the one before, byte for byte.
    fn known_again(&mut self, said: RequestHead, length: usize, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let mut request = Request::new(NAME, said.operation);
        request.resource = Some(said.route);
        request.start_ns = input.time_at(0);
        request.request_offset = input.offset;
        request.details = said.details;
        self.ask(request, said.asked, length, said.body_bytes, input, sink)
    }

    /// A request's head was read: it waits for its answer now.
    #[inline]
    fn ask(
        &mut self,
        mut request: Request,
        asked: Asked,
        head_length: usize,
        body_bytes: Option<u64>,
        input: &Input<'_>,
        sink: &mut dyn Sink,
    ) -> Step {
        self.asking.lost = false;
        self.heads.note(head_length, body_bytes);
        self.answer_ended_before(request.start_ns, sink);
        let total = (head_length as u64).saturating_add(body_bytes.unwrap_or_default());
        let end = input.offset.saturating_add(total);
        request.request_end_offset = end;
        self.pending.push(request, asked, sink);
        self.asking.place = match body_bytes {
            None => Place::Chunks,
            Some(_) if total > input.data.len() as u64 => Place::Body(end),
            Some(_) => Place::Head,
        };
        Step::Taken(total)
    }

    fn request_chunks(&mut self, input: Input<'_>) -> Step {
        match chunked(input.data, self.asking.place == Place::Trailers) {
            Chunked::Need if input.gap_after > 0 => self.drift(Direction::ToServer, &input),
            Chunked::Need => Step::Need(input.data.len() + 1),
            Chunked::Take(count) => Step::Taken(count),
            Chunked::LastChunk(count) => {
                self.asking.place = Place::Trailers;
                Step::Taken(count)
            }
            Chunked::End(count) => {
                self.asking.restart();
                self.request_ends_at(input.offset.saturating_add(count));
                Step::Taken(count)
            }
            Chunked::Invalid => Step::Invalid("no chunk size"),
        }
    }

    /// The youngest request is complete, if it was not answered long before.
    fn request_ends_at(&mut self, offset: u64) {
        if let Some(request) = self.pending.back_mut().and_then(|waiting| waiting.request.as_mut()) {
            let head_bytes = request.request_bytes();
            request.request_end_offset = offset;
            if self.details {
                let size = request.request_bytes().saturating_sub(head_bytes);
                request.details_mut().attributes.push(("http.request.body.size", Attribute::Int(size as i64)));
            }
        }
    }

    fn read_answer(&mut self, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        match self.answering.place {
            Place::Head | Place::Body(_) => self.answer_head(input, sink),
            Place::Chunks | Place::Trailers => self.answer_chunks(input, sink),
            Place::Drift if input.at_call && head::is_status_line(input.data) => {
                self.finish_drift(sink);
                self.answer_head(input, sink)
            }
            Place::Drift => {
                let step = self.drift(Direction::ToClient, &input);
                if input.gap_after == 0 && input.data.ends_with(b"\r\n0\r\n\r\n") {
                    self.finish_drift(sink);
                }
                step
            }
        }
    }

    fn answer_head(&mut self, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if self.answering.scanned == 0
            && let Some((length, &AnswerHead { line, body_bytes })) = self.known_answer.get(input.data)
        {
            self.known_answer.is_known();
            return self.answer_of(line, None, length, Some(body_bytes), &input, sink);
        }
        let blank = head::blank_lines(input.data);
        if blank > 0 {
            return Step::Taken(blank as u64);
        }
        if !head::may_be_answer(input.data) {
            self.answering.scanned = 0;
            return Step::Invalid("no status line");
        }
        let mut fields = head::Fields::default();
        let Scan::Head(head) = head::scan(input.data, &mut self.answering.scanned, input.gap_after > 0, &mut fields)
        else {
            return Step::Need(input.data.len() + 1);
        };
        let Some(line) = head::status_line(head.first_line) else { return Step::Invalid("no status line") };
        self.answering.scanned = 0;
        if line.is_interim() {
            let length = head.length;
            return if head.complete { Step::Taken(length as u64) } else { Step::Need(length + 1) };
        }
        let body_bytes = head.complete.then(|| fields.answer_body_bytes());
        if let Some(body_bytes) = body_bytes
            && line.code != *b"101"
        {
            let head = input.data.get(..head.length).unwrap_or_default();
            self.known_answer.learn(head, || AnswerHead { line, body_bytes });
        }
        self.answer_of(line, fields.upgrade, head.length, body_bytes, &input, sink)
    }

    /// A final answer's head was read. `body_bytes`: none of an incomplete head.
    fn answer_of(
        &mut self,
        line: StatusLine,
        upgrade: Option<&[u8]>,
        head_length: usize,
        body_bytes: Option<Option<u64>>,
        input: &Input<'_>,
        sink: &mut dyn Sink,
    ) -> Step {
        let paired = self.pending.answer_begins(input.offset, input.time_at(0), sink);
        let asked = self.pending.front().filter(|_| paired).map(|waiting| waiting.state).unwrap_or_default();
        let body_offset = input.offset.saturating_add(head_length as u64);
        let becomes = becomes(&line, asked, upgrade);
        self.answer = Some(Answer { code: line.code, body_offset, paired, becomes });
        let Some(body_bytes) = body_bytes else {
            self.heads.vary();
            self.answering.place = Place::Drift;
            return self.drift(Direction::ToClient, input);
        };
        self.heads.note(head_length, body_bytes);
        let has_no_body = line.has_no_body() || asked.head || becomes.is_some();
        self.answer_body(if has_no_body { Some(0) } else { body_bytes }, head_length, input, sink)
    }

    fn answer_body(
        &mut self,
        body_bytes: Option<u64>,
        head_length: usize,
        input: &Input<'_>,
        sink: &mut dyn Sink,
    ) -> Step {
        let Some(body_bytes) = body_bytes else {
            self.answering.place = Place::Chunks;
            return Step::Taken(head_length as u64);
        };
        let total = (head_length as u64).saturating_add(body_bytes);
        let end = input.offset.saturating_add(total);
        if total > input.data.len() as u64 {
            self.answering.place = Place::Body(end);
        } else {
            self.finish(end, input.time_at(total.saturating_sub(1) as usize), sink);
        }
        Step::Taken(total)
    }

    fn answer_chunks(&mut self, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        match chunked(input.data, self.answering.place == Place::Trailers) {
            Chunked::Need if input.gap_after > 0 => self.drift(Direction::ToClient, &input),
            Chunked::Need => Step::Need(input.data.len() + 1),
            Chunked::Take(count) => Step::Taken(count),
            Chunked::LastChunk(count) => {
                self.answering.place = Place::Trailers;
                Step::Taken(count)
            }
            Chunked::End(count) => {
                let end_ns = input.time_at(count.saturating_sub(1) as usize);
                self.finish(input.offset.saturating_add(count), end_ns, sink);
                Step::Taken(count)
            }
            Chunked::Invalid => Step::Invalid("no chunk size"),
        }
    }

    /// Takes everything, the gap behind it too.
    fn drift(&mut self, direction: Direction, input: &Input<'_>) -> Step {
        let half = match direction {
            Direction::ToServer => &mut self.asking,
            Direction::ToClient => &mut self.answering,
        };
        let length = (input.data.len() as u64).saturating_add(input.gap_after);
        half.place = Place::Drift;
        half.scanned = 0;
        half.last_ns = input.times.last().map_or(half.last_ns, |(_, time_ns)| *time_ns);
        half.last_offset = input.offset.saturating_add(length);
        Step::Taken(length)
    }

    /// A client that waits for its answers has had the last one before it asks again.
    fn answer_ended_before(&mut self, time_ns: u64, sink: &mut dyn Sink) {
        if self.answering.place == Place::Drift && !self.pending.pipelines() && self.answering.last_ns <= time_ns {
            self.finish_drift(sink);
        }
    }

    fn finish_drift(&mut self, sink: &mut dyn Sink) {
        self.finish(self.answering.last_offset, self.answering.last_ns, sink);
    }

    /// The answer is over, as far as it was seen.
    fn finish(&mut self, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        self.answering.restart();
        let Some(answer) = self.answer.take() else { return };
        self.becomes = answer.becomes;
        if !answer.paired {
            return;
        }
        if self.details
            && let Some(request) = self.pending.front_mut().and_then(|waiting| waiting.request.as_mut())
        {
            let size = end_offset.saturating_sub(answer.body_offset);
            request.details_mut().attributes.push(("http.response.body.size", Attribute::Int(size as i64)));
        }
        let status = if answer.code[0] >= b'5' { Status::Error } else { Status::Ok };
        if self.last_code != answer.code {
            self.last_code = answer.code;
            self.last_code_text = Text::from_utf8_lossy(&answer.code);
        }
        let code = Some(self.last_code_text.clone());
        self.pending.finish(status, code, end_offset, end_ns, sink);
    }

    /// Nothing more will be seen of this answer: its code is known all the same.
    fn cut_short(&mut self, time_ns: u64, sink: &mut dyn Sink) {
        match self.answering.place {
            _ if self.answer.is_none() => self.answering.restart(),
            Place::Drift => self.finish_drift(sink),
            Place::Body(end) if end < u64::MAX => self.finish(end, time_ns, sink),
            _ => {
                let body_offset = self.answer.as_ref().map_or(0, |answer| answer.body_offset);
                self.finish(body_offset.max(self.answering.last_offset), time_ns, sink);
            }
        }
    }
}

/// What an answer turns the connection into: 101 by its `Upgrade`, CONNECT into a tunnel of anything.
fn becomes(line: &StatusLine, asked: Asked, upgrade: Option<&[u8]>) -> Option<Becomes> {
    if line.code == *b"101" {
        return Some(Becomes(Some(match upgrade {
            Some(to) if to.eq_ignore_ascii_case(b"h2c") => "http2",
            Some(to) if to.eq_ignore_ascii_case(b"websocket") => "websocket",
            _ => "other",
        })));
    }
    (asked.connect && line.code[0] == b'2').then_some(Becomes(None))
}

impl Parser for Http {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if let Some(Becomes(to)) = self.becomes {
            return Step::Upgrade(to);
        }
        match direction {
            Direction::ToServer => self.read_request(input, sink),
            Direction::ToClient => self.read_answer(input, sink),
        }
    }

    fn skipped(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        match (direction, self.answering.place) {
            (Direction::ToClient, Place::Body(end)) => self.finish(end, time_ns, sink),
            (Direction::ToClient, _) => {}
            (Direction::ToServer, _) if matches!(self.asking.place, Place::Body(_)) => self.asking.restart(),
            (Direction::ToServer, _) => {}
        }
    }

    fn gap(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        match direction {
            Direction::ToServer => {
                self.asking.restart();
                self.asking.lost = true;
            }
            Direction::ToClient => self.cut_short(time_ns, sink),
        }
        self.pending.gap(direction, time_ns);
    }

    fn end(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        if direction == Direction::ToClient && self.answer.is_some() {
            self.cut_short(time_ns, sink);
        }
    }

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        self.cut_short(time_ns, sink);
        self.pending.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        if self.answering.place == Place::Drift && self.answering.last_ns.saturating_add(DRIFT_NS) <= now_ns {
            self.finish_drift(sink);
        }
        self.pending.expire(before_ns, now_ns, sink);
    }

    fn in_flight(&self) -> usize {
        let read_over = self.answer.as_ref().is_some_and(|answer| !answer.paired);
        self.pending.len() + usize::from(read_over)
    }

    fn outstanding(&self) -> Outstanding {
        let Outstanding { requests, since_ns } = self.pending.outstanding(|_| false);
        // Of the youngest the body may still be on its way.
        let sending = matches!(self.asking.place, Place::Body(_) | Place::Chunks | Place::Trailers);
        match requests.saturating_sub(usize::from(sending)) {
            0 => Outstanding::default(),
            requests => Outstanding { requests, since_ns },
        }
    }

    fn overlaps(&self) -> bool {
        self.pending.overlaps()
    }

    fn head_bytes(&self) -> Option<u32> {
        self.heads.enough()
    }
}

#[cfg(test)]
mod tests;
