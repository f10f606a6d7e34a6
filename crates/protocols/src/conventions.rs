//! What the OpenTelemetry semantic conventions call the fields of a request.
//!
//! One row a kind of protocol, chosen by `Protocol::specification`: a protocol needs no code of its own to be named
//! right. Source: semantic-conventions 1.37, "HTTP" and "Database" spans.

use crate::{PROTOCOLS, Protocol};
use limpid_model::request::Attribute;
use limpid_model::{Request, Status, Text};

const METHODS: [&str; 10] = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "QUERY"];
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
    /// `Protocol::specification` itself.
    System,
    /// A fixed text.
    Is(&'static str),
}

struct Convention {
    /// Of which specifications; empty for all others: they are names of databases.
    specifications: &'static [&'static str],
    fields: &'static [(&'static str, Field)],
    name: fn(&Request) -> Text,
}

static CONVENTIONS: &[Convention] = &[
    Convention {
        specifications: &["http"],
        fields: &[
            ("http.request.method", Field::Method),
            ("url.scheme", Field::Is("http")),
            ("url.path", Field::ResourceRaw),
            ("http.route", Field::Resource),
            ("http.response.status_code", Field::CodeNumber),
            ("network.protocol.name", Field::Is("http")),
        ],
        name: http_name,
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
    convention(request).map_or_else(|| request.operation.clone(), |(row, _)| (row.name)(request))
}

/// Appends the attributes that follow from the request's own fields, then the request's details.
pub fn attributes(request: &Request, out: &mut Vec<(&'static str, Attribute)>) {
    if let Some((row, specification)) = convention(request) {
        for (name, field) in row.fields {
            push_field(request, specification, name, *field, out);
        }
    }
    if let Some(error_type) = error_type(request) {
        out.push(("error.type", Attribute::Text(error_type)));
    }
    if let Some(reason) = request.unanswered {
        out.push(("limpid.unanswered.reason", Attribute::Text(Text::const_new(reason.as_str()))));
    }
    if let Some(first_byte_ns) = request.first_byte_ns {
        let nanoseconds = first_byte_ns.saturating_sub(request.start_ns);
        out.push(("limpid.time_to_first_byte_ns", Attribute::Int(i64::try_from(nanoseconds).unwrap_or(i64::MAX))));
    }
    for (name, value) in request.attributes() {
        if !out.iter().any(|(have, _)| have == name) {
            out.push((name, value.clone()));
        }
    }
}

fn push_field(
    request: &Request,
    specification: &'static str,
    name: &'static str,
    field: Field,
    out: &mut Vec<(&'static str, Attribute)>,
) {
    let text = match field {
        Field::Method if METHODS.contains(&request.operation.as_str()) => Some(request.operation.clone()),
        Field::Method => {
            out.push(("http.request.method_original", Attribute::Text(request.operation.clone())));
            Some(Text::const_new("_OTHER"))
        }
        Field::Operation => Some(request.operation.clone()),
        Field::Resource => request.resource.clone(),
        Field::ResourceRaw => request.resource_raw().cloned(),
        Field::ResourceText => request.resource_raw().cloned().or_else(|| request.resource.clone()),
        Field::CodeText => request.code.clone(),
        Field::System => Some(Text::const_new(specification)),
        Field::Is(text) => Some(Text::const_new(text)),
        Field::CodeNumber => {
            let number = request.code.as_ref().and_then(|code| code.parse().ok());
            out.extend(number.map(|number| (name, Attribute::Int(number))));
            None
        }
    };
    out.extend(text.map(|text| (name, Attribute::Text(text))));
}

/// The code of an error, or why there is no answer.
fn error_type(request: &Request) -> Option<Text> {
    match request.status {
        Status::Ok => None,
        Status::Error => Some(request.code.clone().unwrap_or(Text::const_new("_OTHER"))),
        Status::Unanswered => request.unanswered.map(|reason| Text::const_new(reason.as_str())),
    }
}

fn http_name(request: &Request) -> Text {
    let method = if METHODS.contains(&request.operation.as_str()) { request.operation.as_str() } else { "HTTP" };
    with_target(method, request.resource.as_deref())
}

fn database_name(request: &Request) -> Text {
    with_target(&request.operation, request.resource.as_deref().and_then(table))
}

fn with_target(operation: &str, target: Option<&str>) -> Text {
    let mut name = Text::new(operation);
    if let Some(target) = target.filter(|target| name.len() + target.len() < MAX_NAME_BYTES) {
        name.push(' ');
        name.push_str(target);
    }
    name
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
