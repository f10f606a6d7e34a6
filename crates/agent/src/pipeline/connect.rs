//! An attempt to connect that came to nothing, as a request: `tcp`, `connect`, with the error's name as its code.

use crate::capture::FailedConnect;
use limpid_model::{Request, Status, Unanswered};

const PROTOCOL: &str = "tcp";
const OPERATION: &str = "connect";

pub(super) fn request(attempt: &FailedConnect) -> Request {
    let mut request = Request::new(PROTOCOL, OPERATION);
    (request.start_ns, request.end_ns) = (attempt.socket.opened_ns, attempt.ended_ns);
    match attempt.errno {
        Some(errno) => (request.status, request.code) = (Status::Error, Some(name(errno).into())),
        // The process closed the socket before anything was known: it had no more patience.
        None => request.unanswered = Some(Unanswered::Closed),
    }
    request
}

/// Of the errors that connecting to somebody ends with.
fn name(errno: i32) -> &'static str {
    match errno {
        libc::ECONNREFUSED => "ECONNREFUSED",
        libc::ECONNRESET => "ECONNRESET",
        libc::ECONNABORTED => "ECONNABORTED",
        libc::ETIMEDOUT => "ETIMEDOUT",
        libc::EHOSTUNREACH => "EHOSTUNREACH",
        libc::ENETUNREACH => "ENETUNREACH",
        libc::EHOSTDOWN => "EHOSTDOWN",
        libc::ENETDOWN => "ENETDOWN",
        libc::ENOPROTOOPT => "ENOPROTOOPT",
        libc::EPROTO => "EPROTO",
        libc::EPIPE => "EPIPE",
        libc::EACCES => "EACCES",
        libc::EPERM => "EPERM",
        libc::EMSGSIZE => "EMSGSIZE",
        _ => "_OTHER",
    }
}
