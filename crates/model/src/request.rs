//! One call and its answer, whatever the protocol.

use crate::Text;

/// Which way bytes go on a connection, seen from the one who opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the client (who called `connect`) to the server.
    ToServer = 0,
    ToClient = 1,
}

impl Direction {
    pub fn reverse(self) -> Self {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }
}

/// From which end of the connection a request was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Has an answer.
    Request,
    /// The protocol defines no answer: publish, push, notification.
    Oneway,
    /// Handshake, login, settings: not counted in the request rates.
    Session,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Request => "request",
            Kind::Oneway => "oneway",
            Kind::Session => "session",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    Ok,
    Error,
    Unanswered,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Error => "error",
            Status::Unanswered => "unanswered",
        }
    }
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unanswered {
    Timeout,
    Closed,
    Reset,
    /// Bytes were lost to the capture where the answer would stand.
    Gap,
}

impl Unanswered {
    pub fn as_str(self) -> &'static str {
        match self {
            Unanswered::Timeout => "timeout",
            Unanswered::Closed => "closed",
            Unanswered::Reset => "reset",
            Unanswered::Gap => "gap",
        }
    }
}

/// A W3C trace context (or B3, translated) that the request itself carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub parent_span_id: [u8; 8],
    pub sampled: bool,
}

/// The value of a span attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(Text),
    Int(i64),
    Bool(bool),
}

/// What few requests have, or only those of which a span is wanted. It stands apart so that a request stays small:
/// every request is moved several times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The resource as it was on the wire, where the protocol's row in `requests.md` says *raw*; never a statement's
    /// literals.
    pub resource_raw: Option<Text>,
    pub trace: Option<TraceContext>,
    /// What the request's own fields do not say, named by the semantic conventions. Left empty unless the parser was
    /// asked for details.
    pub attributes: Vec<(&'static str, Attribute)>,
}

/// One request as a parser reports it. Times are nanoseconds of the capture's own clock; offsets count bytes of the
/// stream of their direction, so that the views of both ends can be joined by them.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `name` of the protocol's row in `PROTOCOLS`.
    pub protocol: &'static str,
    pub kind: Kind,
    /// The protocol's own verb in its own spelling. Bounded: part of the metrics' labels.
    pub operation: Text,
    /// Normalised (route, statement shape): part of the metrics' labels.
    pub resource: Option<Text>,
    pub code: Option<Text>,
    pub status: Status,
    pub unanswered: Option<Unanswered>,
    /// True when this replaces the same request reported before as unanswered by time-out.
    pub corrects: bool,
    /// First byte of the request.
    pub start_ns: u64,
    /// First byte of the answer.
    pub first_byte_ns: Option<u64>,
    /// Last byte of the answer, or when it was given up.
    pub end_ns: u64,
    /// Offset of the request's first byte in the direction `ToServer`.
    pub request_offset: u64,
    /// Offset just after the request's last byte in the direction `ToServer`.
    pub request_end_offset: u64,
    /// Offset of the answer's first byte in the direction `ToClient`.
    pub response_offset: u64,
    /// Offset just after the answer's last byte in the direction `ToClient`.
    pub response_end_offset: u64,
    pub details: Option<Box<Details>>,
}

impl Request {
    #[inline]
    pub fn new(protocol: &'static str, operation: impl Into<Text>) -> Self {
        Request {
            protocol,
            kind: Kind::Request,
            operation: operation.into(),
            resource: None,
            code: None,
            status: Status::Unanswered,
            unanswered: None,
            corrects: false,
            start_ns: 0,
            first_byte_ns: None,
            end_ns: 0,
            request_offset: 0,
            request_end_offset: 0,
            response_offset: 0,
            response_end_offset: 0,
            details: None,
        }
    }

    pub fn details_mut(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    pub fn resource_raw(&self) -> Option<&Text> {
        self.details.as_ref()?.resource_raw.as_ref()
    }

    pub fn trace(&self) -> Option<&TraceContext> {
        self.details.as_ref()?.trace.as_ref()
    }

    pub fn attributes(&self) -> &[(&'static str, Attribute)] {
        self.details.as_ref().map_or(&[][..], |details| details.attributes.as_slice())
    }

    pub fn request_bytes(&self) -> u64 {
        self.request_end_offset.saturating_sub(self.request_offset)
    }

    /// 0 while the answer has no end.
    pub fn response_bytes(&self) -> u64 {
        self.response_end_offset.saturating_sub(self.response_offset)
    }

    /// Events of one connection can be stamped out of order by some microseconds; a duration is never negative.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}
