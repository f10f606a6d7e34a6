//! What the OpenTelemetry semantic conventions call the fields of a request.
//!
//! One row a kind of protocol, chosen by `Protocol::specification`: a protocol needs no code of its own to be named
//! right. Source: semantic-conventions 1.37, "HTTP", "RPC" and "Database" spans, "DNS" attributes.

use crate::{PROTOCOLS, Protocol};
use limpid_model::request::Attribute;
use limpid_model::{Request, Status, Text};

/// Those of the conventions.
pub(crate) const METHODS: [&str; 10] =
    ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
const MAX_NAME_BYTES: usize = 255;

#[derive(Clone, Copy)]
enum Field {
    /// One of `METHODS`, or `_OTHER` with the original beside it.
    Method,
    Operation,
    Resource,
    ResourceRaw,
    /// The raw resource where it is asked for, else the normalised one.
    ResourceText,
    CodeNumber,
    CodeText,
    /// `Protocol::specification` itself, unless the request's details say which of its relatives answers.
    System,
    /// Of an operation `/package.Service/Method`.
    RpcService,
    RpcMethod,
    /// A fixed text, unless the request's details say otherwise.
    Usually(&'static str),
    /// A fixed text.
    Is(&'static str),
}

struct Convention {
    /// Of which specifications; empty for all others: they are names of databases.
    specifications: &'static [&'static str],
    fields: &'static [(&'static str, Field)],
    name: fn(&Request) -> (&str, Option<&str>),
}

/// The value of an attribute that stands in the request, or is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
}

impl<'a> From<&'a Attribute> for Value<'a> {
    fn from(attribute: &'a Attribute) -> Self {
        match attribute {
            Attribute::Text(text) => Value::Text(text),
            Attribute::Int(number) => Value::Int(*number),
            Attribute::Bool(flag) => Value::Bool(*flag),
        }
    }
}

impl From<Value<'_>> for Attribute {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Text(text) => Attribute::Text(Text::new(text)),
            Value::Int(number) => Attribute::Int(number),
            Value::Bool(flag) => Attribute::Bool(flag),
        }
    }
}

static CONVENTIONS: &[Convention] = &[
    Convention {
        specifications: &["http"],
        fields: &[
            ("http.request.method", Field::Method),
            ("url.scheme", Field::Usually("http")),
            ("url.path", Field::ResourceRaw),
            ("http.route", Field::Resource),
            ("http.response.status_code", Field::CodeNumber),
            ("network.protocol.name", Field::Is("http")),
        ],
        name: http_name,
    },
    Convention {
        specifications: &["grpc"],
        fields: &[
            ("rpc.system", Field::Is("grpc")),
            ("rpc.service", Field::RpcService),
            ("rpc.method", Field::RpcMethod),
            ("rpc.grpc.status_code", Field::CodeNumber),
            ("network.protocol.name", Field::Is("http")),
        ],
        name: rpc_name,
    },
    Convention { specifications: &["dns"], fields: &[("network.protocol.name", Field::Is("dns"))], name: dns_name },
    Convention {
        specifications: &["tls", "quic"],
        fields: &[("network.protocol.name", Field::System), ("tls.client.server_name", Field::Resource)],
        name: handshake_name,
    },
    Convention {
        specifications: &[],
        fields: &[
            ("db.system.name", Field::System),
            ("db.operation.name", Field::Operation),
            ("db.query.text", Field::ResourceText),
            ("db.response.status_code", Field::CodeText),
        ],
        name: database_name,
    },
];

/// The protocol's row, by its name in a request.
pub fn protocol(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}

fn convention(request: &Request) -> Option<(&'static Convention, &'static str)> {
    let specification = protocol(request.protocol)?.specification;
    let row =
        CONVENTIONS.iter().find(|row| row.specifications.contains(&specification) || row.specifications.is_empty());
    row.map(|row| (row, specification))
}

/// The span's name: `GET /cart/{id}`, `SELECT shop.orders`.
pub fn span_name(request: &Request) -> Text {
    let (operation, target) = span_name_parts(request);
    let mut name = Text::new(operation);
    if let Some(target) = target {
        name.push(' ');
        name.push_str(target);
    }
    name
}

/// What stands before and after the blank in the span's name.
pub fn span_name_parts(request: &Request) -> (&str, Option<&str>) {
    let (operation, target) = convention(request).map_or((&*request.operation, None), |(row, _)| (row.name)(request));
    (operation, target.filter(|target| operation.len() + target.len() < MAX_NAME_BYTES))
}

/// Appends the attributes that follow from the request's own fields, then the request's details.
pub fn attributes(request: &Request, out: &mut Vec<(&'static str, Attribute)>) {
    let first_byte_ns = request.first_byte_ns.map(|first_byte_ns| first_byte_ns.saturating_sub(request.start_ns));
    each_attribute(request, first_byte_ns, |name, value| out.push((name, value.into())));
}

/// The same, each handed over as it is found. `time_to_first_byte_ns` is that of the view that is told of.
pub fn each_attribute<'a>(
    request: &'a Request,
    time_to_first_byte_ns: Option<u64>,
    mut each: impl FnMut(&'static str, Value<'a>),
) {
    let mut told = Told::default();
    let mut tell = |name: &'static str, value: Value<'a>| {
        told.note(name);
        each(name, value);
    };
    if let Some((row, specification)) = convention(request) {
        for (name, field) in row.fields {
            tell_field(request, specification, name, *field, &mut tell);
        }
    }
    if let Some(error_type) = error_type(request) {
        tell("error.type", Value::Text(error_type));
    }
    if let Some(reason) = request.unanswered {
        tell("limpid.unanswered.reason", Value::Text(reason.as_str()));
    }
    if let Some(nanoseconds) = time_to_first_byte_ns {
        tell("limpid.time_to_first_byte_ns", Value::Int(i64::try_from(nanoseconds).unwrap_or(i64::MAX)));
    }
    for (name, value) in request.attributes() {
        if !told.has(name) {
            told.note(name);
            each(name, value.into());
        }
    }
}

/// The names that were told already: a detail does not say again what a field says.
#[derive(Default)]
struct Told {
    names: [&'static str; 32],
    count: usize,
}

impl Told {
    fn has(&self, name: &str) -> bool {
        self.names[..self.count].contains(&name)
    }

    /// More than there is room for no request has; what comes after them is told as it comes.
    fn note(&mut self, name: &'static str) {
        if let Some(place) = self.names.get_mut(self.count) {
            *place = name;
            self.count += 1;
        }
    }
}

fn tell_field<'a>(
    request: &'a Request,
    specification: &'static str,
    name: &'static str,
    field: Field,
    tell: &mut impl FnMut(&'static str, Value<'a>),
) {
    let text = match field {
        Field::Method if METHODS.contains(&request.operation.as_str()) => Some(request.operation.as_str()),
        Field::Method => {
            tell("http.request.method_original", Value::Text(&request.operation));
            Some("_OTHER")
        }
        Field::Operation => Some(request.operation.as_str()),
        Field::RpcService => rpc_parts(request).map(|(service, _)| service),
        Field::RpcMethod => rpc_parts(request).map(|(_, method)| method),
        Field::Resource => request.resource.as_deref(),
        Field::ResourceRaw => request.resource_raw().map(Text::as_str),
        Field::ResourceText => request.resource_raw().map(Text::as_str).or(request.resource.as_deref()),
        Field::CodeText => request.code.as_deref(),
        Field::System => Some(detail(request, name).unwrap_or(specification)),
        Field::Usually(text) => Some(detail(request, name).unwrap_or(text)),
        Field::Is(text) => Some(text),
        Field::CodeNumber => {
            if let Some(number) = request.code.as_ref().and_then(|code| code.parse().ok()) {
                tell(name, Value::Int(number));
            }
            None
        }
    };
    if let Some(text) = text {
        tell(name, Value::Text(text));
    }
}

fn detail<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.attributes().iter().find_map(|(have, value)| match value {
        Attribute::Text(text) if *have == name => Some(text.as_str()),
        _ => None,
    })
}

/// The code of an error, or why there is no answer.
fn error_type(request: &Request) -> Option<&str> {
    match request.status {
        Status::Ok => None,
        Status::Error => Some(request.code.as_deref().unwrap_or("_OTHER")),
        Status::Unanswered => request.unanswered.map(|reason| reason.as_str()),
    }
}

fn http_name(request: &Request) -> (&str, Option<&str>) {
    let method = if METHODS.contains(&request.operation.as_str()) { request.operation.as_str() } else { "HTTP" };
    (method, request.resource.as_deref())
}

fn rpc_parts(request: &Request) -> Option<(&str, &str)> {
    request.operation.strip_prefix('/')?.rsplit_once('/')
}

/// `package.Service/Method`
fn rpc_name(request: &Request) -> (&str, Option<&str>) {
    (request.operation.strip_prefix('/').unwrap_or(&request.operation), None)
}

fn dns_name(request: &Request) -> (&str, Option<&str>) {
    (&request.operation, request.resource.as_deref().filter(|name| !name.is_empty()))
}

/// `handshake shop.test`
fn handshake_name(request: &Request) -> (&str, Option<&str>) {
    (&request.operation, request.resource.as_deref())
}

fn database_name(request: &Request) -> (&str, Option<&str>) {
    (&request.operation, request.resource.as_deref().and_then(table))
}

/// The first table that a statement's shape names.
fn table(shape: &str) -> Option<&str> {
    const BEFORE: [&str; 5] = ["FROM", "INTO", "UPDATE", "TABLE", "JOIN"];
    let mut words =
        shape.split_ascii_whitespace().skip_while(|word| !BEFORE.iter().any(|key| word.eq_ignore_ascii_case(key)));
    words.next()?;
    let noise = |word: &&str| ["ONLY", "IF", "NOT", "EXISTS"].iter().any(|key| word.eq_ignore_ascii_case(key));
    let name = words.find(|word| !noise(word))?;
    let end = name.find(['(', ')', ',', ';']).unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty() && !name.contains('?'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_model::Unanswered;

    fn text(name: &str, out: &[(&'static str, Attribute)]) -> Option<String> {
        out.iter().find(|(have, _)| *have == name).map(|(_, value)| match value {
            Attribute::Text(text) => text.to_string(),
            Attribute::Int(number) => number.to_string(),
            Attribute::Bool(bool) => bool.to_string(),
        })
    }

    #[test]
    fn http_is_named_by_method_and_route() {
        let mut request = Request::new("http", "GET");
        request.resource = Some("/cart/{id}".into());
        request.details_mut().resource_raw = Some("/cart/7".into());
        (request.code, request.status) = (Some("503".into()), Status::Error);
        request.details_mut().attributes.push(("user_agent.original", Attribute::Text("curl".into())));
        assert_eq!(span_name(&request), "GET /cart/{id}");
        let mut out = Vec::new();
        attributes(&request, &mut out);
        for (name, expected) in [
            ("http.request.method", Some("GET")),
            ("url.path", Some("/cart/7")),
            ("http.route", Some("/cart/{id}")),
            ("http.response.status_code", Some("503")),
            ("error.type", Some("503")),
            ("user_agent.original", Some("curl")),
            ("db.system.name", None),
        ] {
            assert_eq!(text(name, &out).as_deref(), expected, "{name}");
        }
        request.operation = "FROBNICATE".into();
        assert_eq!(span_name(&request), "HTTP /cart/{id}");
    }

    #[test]
    fn databases_are_named_by_operation_and_table() {
        for (shape, expected) in [
            ("SELECT * FROM shop.orders WHERE id = ?", "SELECT shop.orders"),
            ("insert into t (a, b) values (?)", "SELECT t"),
            ("SELECT ?", "SELECT"),
            ("create table if not exists x(a int)", "SELECT x"),
            ("SELECT count(*) FROM (SELECT ? FROM inner_table)", "SELECT"),
        ] {
            let mut request = Request::new("postgresql", "SELECT");
            request.resource = Some(shape.into());
            if protocol("postgresql").is_some() {
                assert_eq!(span_name(&request), expected, "{shape}");
            }
        }
    }

    #[test]
    fn no_answer_says_why() {
        let mut request = Request::new("http", "GET");
        request.unanswered = Some(Unanswered::Reset);
        let mut out = Vec::new();
        attributes(&request, &mut out);
        assert_eq!(text("limpid.unanswered.reason", &out).as_deref(), Some("reset"));
        assert_eq!(text("error.type", &out).as_deref(), Some("reset"));
    }
}
