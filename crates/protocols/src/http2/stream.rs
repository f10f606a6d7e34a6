//! One request and its answer on a stream of its own.

use super::fields::Fields;
use super::{GRPC_NAME, NAME};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Request, Status, Text, Unanswered};

/// Codes of gRPC that are a server's failure: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
/// (semantic conventions, "gRPC", server spans).
const GRPC_ERRORS: [&str; 6] = ["2", "4", "12", "13", "14", "15"];

pub struct Stream {
    pub request: Request,
    /// As it was asked for: the operation of a gRPC call.
    pub path: Text,
    /// The client has said everything.
    pub asked: bool,
    /// The answer has begun.
    pub begun: bool,
    pub grpc: bool,
    pub grpc_status: Option<Text>,
    /// What was lost may have been its end.
    pub gap: bool,
    /// Of a field that would tell, it is not known whether it was there.
    pub unknown: bool,
    pub timed_out: bool,
    /// The client has taken the stream down before the answer began.
    pub given_up_ns: Option<u64>,
    pub last_ns: u64,
}

impl Stream {
    pub fn new(request: Request, path: Text, grpc: bool) -> Stream {
        let last_ns = request.start_ns;
        Stream {
            request,
            path,
            asked: false,
            begun: false,
            grpc,
            grpc_status: None,
            gap: false,
            unknown: false,
            timed_out: false,
            given_up_ns: None,
            last_ns,
        }
    }

    /// A header block of the server's: the answer's head, what is said before it, or what is said at its end.
    pub fn answered(&mut self, fields: &Fields, offset: u64, time_ns: u64) {
        let interim = fields.status.is_some_and(|status| status[0] == b'1');
        if interim {
            return;
        }
        if !self.begun {
            self.begun = true;
            self.request.first_byte_ns = Some(time_ns.max(self.request.start_ns));
            self.request.response_offset = offset;
            self.request.code = fields.status.map(|status| crate::redact::text(&status, 3));
        }
        self.grpc |= fields.grpc || fields.grpc_status.is_some();
        self.unknown |= fields.unknown;
        if fields.grpc_status.is_some() {
            self.grpc_status = fields.grpc_status.clone();
        }
    }

    /// The answer is complete.
    pub fn finished(mut self, end_offset: u64, end_ns: u64) -> Request {
        if let Some(given_up_ns) = self.given_up_ns {
            return self.unanswered(Unanswered::Closed, given_up_ns);
        }
        self.request.response_end_offset = end_offset;
        self.request.end_ns = end_ns.max(self.request.start_ns);
        self.request.status = self.status();
        self.told()
    }

    /// The server has taken the stream down: its answer is that it failed.
    pub fn failed(mut self, end_offset: u64, end_ns: u64) -> Request {
        if let Some(given_up_ns) = self.given_up_ns {
            return self.unanswered(Unanswered::Closed, given_up_ns);
        }
        if !self.begun {
            self.request.response_offset = end_offset;
        }
        self.request.response_end_offset = end_offset;
        self.request.end_ns = end_ns.max(self.request.start_ns);
        self.request.status = Status::Error;
        self.told()
    }

    pub fn unanswered(mut self, reason: Unanswered, time_ns: u64) -> Request {
        self.request.end_ns = time_ns.max(self.request.start_ns);
        self.request.status = Status::Unanswered;
        self.request.unanswered = Some(reason);
        self.told()
    }

    /// A stream that the client has ended though the answer had begun: what was said of it holds.
    pub fn finished_by_client(mut self, end_ns: u64) -> Request {
        let end_offset = self.request.response_offset;
        // It did not wait for the trailers.
        self.unknown = true;
        self.finished(end_offset, end_ns)
    }

    /// The answer had begun, and its end may be in what was lost.
    pub fn may_have_ended(&self) -> bool {
        self.gap && self.begun
    }

    pub fn finished_unseen(self) -> Request {
        let (end_offset, end_ns) = (self.request.response_offset, self.last_ns);
        self.finished(end_offset, end_ns)
    }

    /// Bytes before this offset are not asked for any more.
    pub fn needed_from(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.request.request_offset,
            Direction::ToClient => self.request.response_offset,
        }
    }

    /// A copy for a report by time-out: the stream stays.
    pub fn overdue(&mut self, now_ns: u64) -> Request {
        self.timed_out = true;
        let stream = Stream {
            request: self.request.clone(),
            path: self.path.clone(),
            grpc_status: None,
            timed_out: false,
            ..*self
        };
        stream.unanswered(Unanswered::Timeout, now_ns)
    }

    fn status(&self) -> Status {
        let failed = match (&self.grpc_status, &self.request.code) {
            (Some(code), _) if self.grpc => GRPC_ERRORS.contains(&code.as_str()),
            // Its absence must not read as success, where it is known to be absent.
            (None, Some(code)) if self.grpc => code.starts_with('5') || code == "200" && !self.unknown && !self.gap,
            (_, Some(code)) => code.starts_with('5'),
            _ => false,
        };
        if failed { Status::Error } else { Status::Ok }
    }

    /// As gRPC or HTTP tells of it.
    fn told(mut self) -> Request {
        self.request.corrects = self.timed_out;
        if self.grpc {
            self.request.protocol = GRPC_NAME;
            self.request.operation = if self.path.is_empty() { Text::const_new("_OTHER") } else { self.path };
            self.request.resource = None;
            let http = std::mem::replace(&mut self.request.code, self.grpc_status);
            if let (Some(details), Some(http)) = (&mut self.request.details, http.filter(|code| code != "200")) {
                details
                    .attributes
                    .extend(http.parse().ok().map(|code| ("http.response.status_code", Attribute::Int(code))));
            }
        } else {
            debug_assert_eq!(self.request.protocol, NAME);
        }
        self.request
    }
}
