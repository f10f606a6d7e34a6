//! What a request's head says, in the fields of the model.

use super::head::{Fields, RequestLine};
use super::{Http, NAME};
use crate::conventions::METHODS;
use crate::{Input, redact, route};
use limpid_model::request::Attribute;
use limpid_model::{Details, Request, Text};

/// Of a path, a query or a header value in a span.
const MAX_TEXT_BYTES: usize = 4096;
const MAX_AGENT_BYTES: usize = 256;

/// The last path and its route: clients of a keep-alive connection often ask the same again.
#[derive(Default)]
pub(crate) struct Routes {
    path: Vec<u8>,
    route: Text,
}

impl Routes {
    pub fn of(&mut self, path: &[u8]) -> Text {
        if self.path != path || self.route.is_empty() {
            self.route = route::normalise(path);
            self.path.clear();
            self.path.extend_from_slice(path.get(..MAX_TEXT_BYTES).unwrap_or(path));
        }
        self.route.clone()
    }
}

impl Http {
    pub(super) fn request_of(&mut self, line: &RequestLine<'_>, fields: &Fields<'_>, input: &Input<'_>) -> Request {
        let target = Target::of(line);
        let mut request = Request::new(NAME, method(line.method));
        request.resource = Some(self.routes.of(target.path));
        request.start_ns = input.time_at(0);
        request.request_offset = input.offset;
        if let Some(trace) = fields.trace.context() {
            request.details_mut().trace = Some(trace);
        }
        if self.details {
            self.add_details(request.details_mut(), line, &target, fields);
        }
        request
    }

    fn add_details(&self, details: &mut Details, line: &RequestLine<'_>, target: &Target<'_>, fields: &Fields<'_>) {
        let said = Said {
            version: if line.minor == b'0' { "1.0" } else { "1.1" },
            path: Some(target.path),
            query: target.query,
            user_agent: fields.user_agent,
            authority: target.authority.or(fields.host),
            body_bytes: fields.content_length.filter(|_| fields.transfer_encoding.is_none()),
        };
        said.add_to(details, self.raw);
    }
}

/// What a head says beside method and route, in any version of HTTP.
pub(crate) struct Said<'a> {
    pub version: &'static str,
    /// Without its query.
    pub path: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub authority: Option<&'a [u8]>,
    pub body_bytes: Option<u64>,
}

impl Said<'_> {
    /// `raw`: nothing is taken out.
    pub fn add_to(&self, details: &mut Details, raw: bool) {
        details.resource_raw = self.path.map(|path| if raw { text(path, MAX_TEXT_BYTES) } else { redact::path(path) });
        let mut add = |name, value: Text| details.attributes.push((name, Attribute::Text(value)));
        add("network.protocol.version", Text::const_new(self.version));
        if let Some(query) = self.query {
            add("url.query", if raw { text(query, MAX_TEXT_BYTES) } else { redact::query(query) });
        }
        if let Some(agent) = self.user_agent {
            add("user_agent.original", text(agent, MAX_AGENT_BYTES));
        }
        if let Some(authority) = self.authority {
            let (address, port) = redact::host_and_port(authority);
            add("server.address", address);
            details.attributes.extend(port.map(|port| ("server.port", Attribute::Int(i64::from(port)))));
        }
        if let Some(size) = self.body_bytes {
            details.attributes.push(("http.request.body.size", Attribute::Int(size as i64)));
        }
    }
}

pub(crate) fn method(method: &[u8]) -> Text {
    let usual = METHODS.iter().find(|usual| usual.as_bytes() == method);
    usual.map_or_else(|| text(method, MAX_TEXT_BYTES), |usual| Text::const_new(usual))
}

/// The four forms of RFC 9112, section 3.2.
struct Target<'a> {
    /// `*` and the authority of CONNECT count as paths.
    path: &'a [u8],
    query: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    fn of(line: &RequestLine<'a>) -> Self {
        let (authority, rest) = match scheme_length(line.target) {
            Some(length) if line.method != b"CONNECT" => {
                let rest = line.target.get(length..).unwrap_or_default();
                let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
                let (authority, rest) = rest.split_at(end);
                (Some(authority), rest)
            }
            _ => (None, line.target),
        };
        let rest = rest.split(|byte| *byte == b'#').next().unwrap_or_default();
        let (path, query) = match memchr::memchr(b'?', rest) {
            Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
            None => (rest, None),
        };
        let path = if path.is_empty() { &b"/"[..] } else { path };
        let path = if line.method == b"CONNECT" { redact::without_userinfo(path) } else { path };
        Target { path, query, authority }
    }
}

fn scheme_length(target: &[u8]) -> Option<usize> {
    [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let front = target.get(..scheme.len())?;
        front.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    })
}

fn text(bytes: &[u8], limit: usize) -> Text {
    redact::text(bytes, limit)
}
