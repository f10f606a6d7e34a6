//! One request as each of the two ends saw it.
//!
//! The parsed end's times come with the request. The other end's are looked up by offset: the client's view begins when
//! it had sent the request's first byte and ends when it had received the answer's last one; the server's view begins
//! when it had received and ends when it had sent. A time that has not been reported yet is waited for.

use super::connection::{Conn, End};
use super::times::When;
use limpid_model::{Direction, Request, Side, Status};
use std::collections::VecDeque;

/// How long a request waits for the other end before its own end's view goes out alone.
pub(super) const JOIN_WAIT_NS: u64 = 200_000_000;
/// How long for the name of a process that was forked, answered and ended: its records are read ten times a second, and a
/// busy machine is late with that.
pub(super) const NAME_WAIT_NS: u64 = 2_000_000_000;

pub(super) struct Pending {
    pub request: Request,
    pub since_ns: u64,
    /// The parsed end's view is out already.
    pub parsed_out: bool,
}

/// The times of one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub start_ns: u64,
    pub first_byte_ns: Option<u64>,
    pub end_ns: u64,
    /// How long the request lay in this (the server's) socket before it was read, where that is known.
    pub queue_ns: Option<u64>,
    /// This side went away before the answer was there, whatever the other side did.
    pub abandoned: bool,
}

impl View {
    /// Negative when events of two calls were stamped the wrong way round.
    pub fn duration_ns(&self) -> i64 {
        self.end_ns as i64 - self.start_ns as i64
    }
}

pub(super) enum OtherView {
    Known(View),
    NotYet,
    /// Its times are lost: a counted gap.
    Lost,
}

/// The view of the end that was parsed.
pub(super) fn parsed_view(conn: &Conn, at: usize, request: &Request) -> View {
    let arrived = match conn.side(at) {
        Side::Server => conn.end(at).and_then(|end| end.received.arrived_at(request.request_offset)),
        Side::Client => None,
    };
    View {
        start_ns: request.start_ns,
        first_byte_ns: request.first_byte_ns,
        end_ns: request.end_ns,
        queue_ns: arrived.map(|arrived_ns| request.start_ns.saturating_sub(arrived_ns)),
        abandoned: false,
    }
}

/// The view of the other end, from its times.
pub(super) fn other_view(conn: &Conn, at: usize, request: &Request) -> OtherView {
    let Some(end) = conn.end(at) else { return OtherView::NotYet };
    let side = conn.side(at);
    let (asked, answered) = match side {
        Side::Server => (&end.received, &end.sent),
        Side::Client => (&end.sent, &end.received),
    };
    let has_request = request.request_end_offset > request.request_offset;
    let has_answer = request.response_end_offset > request.response_offset;
    // A push of the server's has no request: it begins with its own first byte.
    let start = if has_request || !has_answer {
        asked.first_at(request.request_offset)
    } else {
        answered.first_at(request.response_offset)
    };
    let finish = match (request.status, has_answer) {
        (Status::Unanswered, _) => When::At(request.end_ns),
        (_, true) => answered.passed(request.response_end_offset),
        (_, false) => asked.passed(request.request_end_offset),
    };
    let (start_ns, end_ns, abandoned) = match (start, finish) {
        (When::At(start_ns), When::At(end_ns)) => (start_ns, end_ns, false),
        (When::Missed, _) | (_, When::Missed) => return OtherView::Lost,
        (When::At(start_ns), When::NotYet) => match left_before(end, request) {
            Some(left_ns) => (start_ns, left_ns, true),
            None => return not_yet(end),
        },
        (When::NotYet, _) => return not_yet(end),
    };
    let first_byte = if has_answer { answered.first_at(request.response_offset) } else { When::NotYet };
    let arrived = if side == Side::Server { asked.arrived_at(request.request_offset) } else { None };
    OtherView::Known(View {
        start_ns,
        first_byte_ns: if let When::At(time_ns) = first_byte { Some(time_ns) } else { None },
        end_ns,
        queue_ns: arrived.map(|arrived_ns| start_ns.saturating_sub(arrived_ns)),
        abandoned,
    })
}

/// Nothing more comes from an end that is closed.
fn not_yet(end: &End) -> OtherView {
    if end.closed.is_some() { OtherView::Lost } else { OtherView::NotYet }
}

/// When this end was closed before the answer was complete: a client that lost its patience.
fn left_before(end: &End, request: &Request) -> Option<u64> {
    let (closed_ns, _) = end.closed?;
    (closed_ns < request.end_ns).then_some(closed_ns)
}

/// Drops the times that only this request needed.
pub(super) fn forget_times(conn: &mut Conn, request: &Request) {
    let server = conn.server();
    for (at, end) in conn.ends.iter_mut().enumerate() {
        let Some(end) = end else { continue };
        let (asked, answered) =
            if at == server { (&mut end.received, &mut end.sent) } else { (&mut end.sent, &mut end.received) };
        asked.forget_before(request.request_end_offset);
        answered.forget_before(request.response_end_offset);
    }
}

/// Where answers come in any order: drops the times that neither what waits in `pending` nor what is in flight needs.
pub(super) fn forget_passed_times(conn: &mut Conn, pending: &VecDeque<Pending>) {
    let in_flight = |direction| conn.engine.as_ref().map_or(u64::MAX, |engine| engine.needed_from(direction));
    let asked =
        pending.iter().map(|waiting| waiting.request.request_offset).fold(in_flight(Direction::ToServer), u64::min);
    let answered =
        pending.iter().map(|waiting| waiting.request.response_offset).fold(in_flight(Direction::ToClient), u64::min);
    let server = conn.server();
    for (at, end) in conn.ends.iter_mut().enumerate() {
        let Some(end) = end else { continue };
        let (of_asked, of_answered) =
            if at == server { (&mut end.received, &mut end.sent) } else { (&mut end.sent, &mut end.received) };
        of_asked.forget_before(asked);
        of_answered.forget_before(answered);
    }
}
