//! One JSON object a line per request, in the order of their starts.

use super::flows::{Endpoint, Ends, FlowSink};
use limpid_model::request::Attribute;
use limpid_model::{Request, Status};
use limpid_protocols::{Sink, conventions};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

pub struct Collected {
    ends: Ends,
    pub requests: Vec<(Ends, Request)>,
    pub orphans: u64,
}

impl Default for Collected {
    fn default() -> Self {
        let nowhere = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        Collected { ends: Ends { client: nowhere, server: nowhere }, requests: Vec::new(), orphans: 0 }
    }
}

impl Sink for Collected {
    fn request(&mut self, request: Request) {
        self.requests.push((self.ends, request));
    }

    fn orphan(&mut self, _protocol: &'static str) {
        self.orphans += 1;
    }
}

impl FlowSink for Collected {
    fn on_connection(&mut self, ends: Ends) {
        self.ends = ends;
    }
}

#[derive(Serialize)]
struct Address {
    address: IpAddr,
    port: u16,
}

impl From<Endpoint> for Address {
    fn from((address, port): Endpoint) -> Self {
        Address { address, port }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    protocol: &'a str,
    kind: &'a str,
    operation: &'a str,
    resource: Option<&'a str>,
    code: Option<&'a str>,
    status: &'a str,
    name: String,
    start_ns: u64,
    duration_ns: Option<u64>,
    client: Address,
    server: Address,
    attributes: BTreeMap<&'a str, serde_json::Value>,
}

impl Collected {
    pub fn print(mut self, out: &mut dyn Write) -> std::io::Result<()> {
        self.requests.sort_by_key(|(_, request)| (request.start_ns, request.request_offset));
        for (ends, request) in &self.requests {
            serde_json::to_writer(&mut *out, &line(*ends, request))?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }
}

fn line(ends: Ends, request: &Request) -> Line<'_> {
    let mut pairs = Vec::new();
    conventions::attributes(request, &mut pairs);
    pairs.extend(request.attributes().iter().cloned());
    let mut attributes: BTreeMap<&str, serde_json::Value> =
        pairs.into_iter().map(|(name, value)| (name, json(value))).collect();
    if let Some(first_byte_ns) = request.first_byte_ns {
        let waited = first_byte_ns.saturating_sub(request.start_ns);
        attributes.insert("limpid.time_to_first_byte_ns", waited.into());
    }
    if let Some(reason) = request.unanswered {
        attributes.insert("limpid.unanswered.reason", reason.as_str().into());
    }
    Line {
        protocol: request.protocol,
        kind: request.kind.as_str(),
        operation: &request.operation,
        // The raw value where the protocol has one: a route says less than the path that was asked for.
        resource: request.resource_raw().or(request.resource.as_ref()).map(|text| text.as_str()),
        code: request.code.as_ref().map(|text| text.as_str()),
        status: request.status.as_str(),
        name: conventions::span_name(request).to_string(),
        start_ns: request.start_ns,
        duration_ns: (request.status != Status::Unanswered).then(|| request.duration_ns()),
        client: ends.client.into(),
        server: ends.server.into(),
        attributes,
    }
}

fn json(value: Attribute) -> serde_json::Value {
    match value {
        Attribute::Text(text) => text.as_str().into(),
        Attribute::Int(number) => number.into(),
        Attribute::Bool(flag) => flag.into(),
    }
}
