//! Spans of SDKs do not carry `limpid.*`: what they are is read from the semantic conventions.

/// As an encoded `AnyValue`.
const HTTP: &[u8] = b"\x0a\x04http";

#[derive(Clone, Copy)]
pub enum Foreign {
    HttpMethod,
    Protocol,
    Operation,
    Resource,
    Peer,
}

impl Foreign {
    /// Which columns they fill.
    pub const COLUMNS: [&'static str; 4] = ["protocol", "operation", "resource", "peer"];

    pub fn of(name: &str) -> Option<Foreign> {
        Some(match name {
            "http.request.method" => Foreign::HttpMethod,
            "db.system.name" | "messaging.system" | "rpc.system" | "rpc.system.name" => Foreign::Protocol,
            "db.operation.name" | "rpc.method" | "messaging.operation.name" => Foreign::Operation,
            "http.route" | "db.collection.name" | "messaging.destination.name" => Foreign::Resource,
            "peer.service" | "service.peer.name" => Foreign::Peer,
            _ => return None,
        })
    }

    /// `found` has one value for each of `COLUMNS`.
    pub fn note<'a>(self, value: &'a [u8], found: &mut [Option<&'a [u8]>; Foreign::COLUMNS.len()]) {
        // Field 1 of an `AnyValue` is a text.
        let text = (value.first() == Some(&0x0a)).then_some(value);
        match self {
            Foreign::HttpMethod => (found[0], found[1]) = (found[0].or(Some(HTTP)), text),
            Foreign::Protocol => found[0] = text,
            Foreign::Operation => found[1] = text,
            Foreign::Resource => found[2] = text,
            Foreign::Peer => found[3] = text,
        }
    }
}
