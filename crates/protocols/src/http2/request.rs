//! What a request's header block says, in the fields of the model.

use super::stream::Stream;
use super::{Block, Http2, NAME};
use crate::{http, redact};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Request, Text};

const MAX_METHOD_BYTES: usize = 24;
const MAX_AGENT_BYTES: usize = 256;
const MAX_PATH_BYTES: usize = 4096;
/// A call of gRPC with a longer name than this has none.
const MAX_CALL_BYTES: usize = 200;

impl Http2 {
    pub(super) fn stream_of(&mut self, block: &Block) -> Stream {
        let fields = &self.fields;
        let method = if fields.method.is_empty() { Text::const_new("_OTHER") } else { method(&fields.method) };
        let mut request = Request::new(NAME, method);
        let path = fields.bare_path();
        request.resource = (!path.is_empty()).then(|| self.routes.of(path));
        request.start_ns = block.start_ns;
        request.request_offset = block.offset;
        if let Some(trace) = fields.trace() {
            request.details_mut().trace = Some(trace);
        }
        if self.details {
            self.add_details(&mut request);
        }
        let call = if self.fields.grpc { call_of(self.fields.bare_path()) } else { Text::const_new("") };
        let mut stream = Stream::new(request, call, self.fields.grpc);
        // Whether it is a call of gRPC may only be seen in its answer.
        if !stream.grpc && self.fields.unknown {
            stream.path = call_of(self.fields.bare_path());
        }
        stream
    }

    fn add_details(&self, request: &mut Request) {
        let fields = &self.fields;
        let details = request.details_mut();
        let text = |bytes: &[u8], limit| redact::text(bytes, limit);
        let path = fields.bare_path();
        if !path.is_empty() {
            details.resource_raw = Some(if self.raw { text(path, MAX_PATH_BYTES) } else { redact::path(path) });
        }
        let mut add = |name, value: Text| details.attributes.push((name, Attribute::Text(value)));
        add("network.protocol.version", Text::const_new("2"));
        if fields.https {
            add("url.scheme", Text::const_new("https"));
        }
        if let Some(query) = fields.query() {
            add("url.query", if self.raw { text(query, MAX_PATH_BYTES) } else { redact::query(query) });
        }
        if !fields.user_agent.is_empty() {
            add("user_agent.original", text(&fields.user_agent, MAX_AGENT_BYTES));
        }
        if !fields.authority.is_empty() {
            let (address, port) = redact::host_and_port(&fields.authority);
            add("server.address", address);
            details.attributes.extend(port.map(|port| ("server.port", Attribute::Int(i64::from(port)))));
        }
        if let Some(size) = fields.content_length {
            details.attributes.push(("http.request.body.size", Attribute::Int(size as i64)));
        }
    }
}

/// Anything may stand there; a label of the metrics does not grow with it.
fn method(method: &[u8]) -> Text {
    let fits = method.len() <= MAX_METHOD_BYTES && method.iter().all(u8::is_ascii_uppercase);
    if fits { http::method(method) } else { Text::const_new("_OTHER") }
}

/// `/package.Service/Method` as it is; what looks otherwise is no name of a call, and could be anything.
fn call_of(path: &[u8]) -> Text {
    let is_name =
        |part: &[u8]| !part.is_empty() && part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
    let mut parts = path.strip_prefix(b"/").unwrap_or_default().rsplitn(2, |byte| *byte == b'/');
    let (method, service) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if path.len() <= MAX_CALL_BYTES && is_name(method) && service.split(|byte| *byte == b'/').all(is_name) {
        return redact::text(path, MAX_CALL_BYTES);
    }
    Text::const_new("")
}

impl Stream {
    /// A stream that the client has ended though the answer had begun: what was said of it holds.
    pub(super) fn finished_by_client(mut self, end_ns: u64) -> Request {
        let end_offset = self.request.response_offset;
        // It did not wait for the trailers.
        self.unknown = true;
        self.finished(end_offset, end_ns)
    }

    /// The answer had begun, and its end may be in what was lost.
    pub(super) fn may_have_ended(&self) -> bool {
        self.gap && self.begun
    }

    pub(super) fn finished_unseen(self) -> Request {
        let (end_offset, end_ns) = (self.request.response_offset, self.last_ns);
        self.finished(end_offset, end_ns)
    }

    /// Bytes before this offset are not asked for any more.
    pub(super) fn needed_from(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.request.request_offset,
            Direction::ToClient => self.request.response_offset,
        }
    }
}
