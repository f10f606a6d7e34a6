//! What a request's header block says, in the fields of the model.

use super::stream::Stream;
use super::{Block, Http2, NAME};
use crate::{http, redact};
use limpid_model::request::Attribute;
use limpid_model::{Request, Text};

const MAX_METHOD_BYTES: usize = 24;
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
        let some = |bytes| Some(bytes).filter(|bytes: &&[u8]| !bytes.is_empty());
        let said = http::Said {
            version: "2",
            path: some(fields.bare_path()),
            query: fields.query(),
            user_agent: some(&fields.user_agent),
            authority: some(&fields.authority),
            body_bytes: fields.content_length,
        };
        said.add_to(request.details_mut(), self.raw);
        if fields.https {
            request.details_mut().attributes.push(("url.scheme", Attribute::Text(Text::const_new("https"))));
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
