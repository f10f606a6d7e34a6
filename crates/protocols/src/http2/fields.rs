//! What a header block says of a request or an answer.

use super::hpack::{Damaged, Decoder, Name};
use crate::redact;
use crate::trace::TraceFields;
use limpid_model::{Text, TraceContext};

/// Of a path or another value that is kept.
const MAX_VALUE_BYTES: usize = 4096;

/// Used again for each block.
#[derive(Default)]
pub struct Fields {
    pub method: Vec<u8>,
    pub path: Vec<u8>,
    pub authority: Vec<u8>,
    pub user_agent: Vec<u8>,
    pub status: Option<[u8; 3]>,
    pub content_length: Option<u64>,
    /// The content type is that of gRPC.
    pub grpc: bool,
    pub grpc_status: Option<Text>,
    pub https: bool,
    /// Some field was not known, or the block was damaged.
    pub unknown: bool,
    traceparent: Vec<u8>,
    b3: [Vec<u8>; 4],
}

impl Fields {
    pub fn read(&mut self, block: &[u8], table: &mut Decoder) {
        self.clear();
        let read = table.decode(block, &mut |name, value| self.note(name, value));
        if read == Err(Damaged) {
            table.forget();
        }
        self.unknown = read != Ok(false);
    }

    fn clear(&mut self) {
        let [b3, trace_id, span_id, sampled] = &mut self.b3;
        for value in [
            &mut self.method,
            &mut self.path,
            &mut self.authority,
            &mut self.user_agent,
            &mut self.traceparent,
            b3,
            trace_id,
            span_id,
            sampled,
        ] {
            value.clear();
        }
        (self.status, self.content_length, self.grpc, self.grpc_status) = (None, None, false, None);
        (self.https, self.unknown) = (false, false);
    }

    fn note(&mut self, name: Name, value: &[u8]) {
        let value = value.get(..MAX_VALUE_BYTES).unwrap_or(value);
        let kept = match name {
            Name::Method => &mut self.method,
            Name::Path => &mut self.path,
            Name::Authority => &mut self.authority,
            Name::UserAgent => &mut self.user_agent,
            Name::Traceparent => &mut self.traceparent,
            Name::B3 => &mut self.b3[0],
            Name::B3TraceId => &mut self.b3[1],
            Name::B3SpanId => &mut self.b3[2],
            Name::B3Sampled => &mut self.b3[3],
            Name::Scheme => return self.https = value == b"https",
            Name::Status => {
                return self.status =
                    value.try_into().ok().filter(|status: &[u8; 3]| status.iter().all(u8::is_ascii_digit));
            }
            Name::ContentType => return self.grpc = value.starts_with(b"application/grpc"),
            Name::ContentLength => {
                return self.content_length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
            Name::GrpcStatus => return self.grpc_status = grpc_status(value),
            Name::Other => return,
        };
        kept.clear();
        kept.extend_from_slice(value);
    }

    pub fn trace(&self) -> Option<TraceContext> {
        if self.traceparent.is_empty() && self.b3.iter().all(Vec::is_empty) {
            return None;
        }
        let [b3, trace_id, span_id, sampled] = &self.b3;
        let fields = [&self.traceparent, b3, trace_id, span_id, sampled];
        TraceFields::of(fields.map(|value| (!value.is_empty()).then_some(value.as_slice()))).context()
    }

    /// The path without its query.
    pub fn bare_path(&self) -> &[u8] {
        self.path.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    pub fn query(&self) -> Option<&[u8]> {
        self.path.get(self.bare_path().len() + 1..)
    }
}

/// A number of one or two digits.
fn grpc_status(value: &[u8]) -> Option<Text> {
    let is_number = (1..=2).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    is_number.then(|| redact::text(value, 2))
}
