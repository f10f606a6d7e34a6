//! Why a message was not taken, as a sender is told: whether, and when, it shall come again.
//! Sources: OTLP specification 1.x, "Failures" and "Throttling"; google/rpc/status.proto, error_details.proto.

use crate::push_varint;
use axum::http::StatusCode;
use std::time::Duration;
use tonic::Code;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

#[derive(Debug)]
pub enum Refusal {
    /// Too much in flight.
    Busy(String),
    /// No room on the disk, or the store cannot keep up.
    Full(String),
    /// The store failed.
    Failed(String),
    Unauthenticated,
    TooLong(String),
    Malformed(String),
    /// A content type or encoding that is not read here.
    UnknownType(String),
}

impl Refusal {
    /// When the sender shall come again; none: never with the same message.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Refusal::Busy(_) => Some(Duration::from_secs(1)),
            Refusal::Full(_) | Refusal::Failed(_) => Some(Duration::from_secs(10)),
            _ => None,
        }
    }

    pub fn code(&self) -> Code {
        match self {
            Refusal::Busy(_) | Refusal::Failed(_) => Code::Unavailable,
            // Senders try this one again only because there is a time to wait with it.
            Refusal::Full(_) => Code::ResourceExhausted,
            Refusal::Unauthenticated => Code::Unauthenticated,
            Refusal::TooLong(_) | Refusal::Malformed(_) | Refusal::UnknownType(_) => Code::InvalidArgument,
        }
    }

    pub fn http_status(&self) -> StatusCode {
        match self {
            Refusal::Busy(_) | Refusal::Full(_) | Refusal::Failed(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Unauthenticated => StatusCode::UNAUTHORIZED,
            Refusal::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
            Refusal::UnknownType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    /// `Status { code = 1, message = 2, details = 3 }`, with a `RetryInfo { retry_delay = 1 { seconds = 1 } }` among
    /// the details when the sender shall come again.
    pub fn encode(&self) -> Vec<u8> {
        let mut status = vec![0x08];
        push_varint(self.code() as u64, &mut status);
        push_field(0x12, self.to_string().as_bytes(), &mut status);
        if let Some(after) = self.retry_after() {
            let (mut duration, mut retry_info, mut any) = (vec![0x08], Vec::new(), Vec::new());
            push_varint(after.as_secs(), &mut duration);
            push_field(0x0a, &duration, &mut retry_info);
            push_field(0x0a, RETRY_INFO.as_bytes(), &mut any);
            push_field(0x12, &retry_info, &mut any);
            push_field(0x1a, &any, &mut status);
        }
        status
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Busy(text)
            | Refusal::Full(text)
            | Refusal::Failed(text)
            | Refusal::TooLong(text)
            | Refusal::Malformed(text)
            | Refusal::UnknownType(text) => f.write_str(text),
            Refusal::Unauthenticated => f.write_str("a bearer token with the role ingest is needed"),
        }
    }
}

fn push_field(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
