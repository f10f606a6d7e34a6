//! One span: field 2 of `ScopeSpans`.

use super::{Writer, int_attribute, number_attribute, text_attribute};
use crate::capture::Transport;
use crate::telemetry::{Peer, Span};
use limpid_model::{Kind, Side, Status, Text};
use limpid_protocols::conventions::{self, Value};
use std::fmt::Write;
use std::net::IpAddr;

const KIND_SERVER: u64 = 2;
const KIND_CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;
const ATTRIBUTES: u32 = 9;

/// The attributes of the two ends of a connection as they were encoded last: the requests of a process mostly go to the
/// same few others.
#[derive(Default)]
pub(super) struct Ends {
    client: Option<IpAddr>,
    server: Option<(IpAddr, u16)>,
    told: Told,
    transport: Option<Transport>,
    peer_service: Text,
    peer_entity: Text,
    encoded: Writer,
}

/// Which addresses the request itself tells: `server.address` is the name that the client asked for (`Host`).
#[derive(Clone, Copy, Default, PartialEq)]
struct Told {
    server: bool,
    client: bool,
}

pub(super) fn encode_span(writer: &mut Writer, span: &Span<'_>, ends: &mut Ends) {
    writer.blob(1, &span.trace_id);
    writer.blob(2, &span.span_id);
    if let Some(parent) = &span.parent {
        writer.blob(4, &parent.span_id);
    }
    encode_name(writer, span);
    writer.uint(6, if span.side == Side::Server { KIND_SERVER } else { KIND_CLIENT });
    writer.fixed64(7, span.start_ns);
    writer.fixed64(8, span.end_ns.max(span.start_ns));
    encode_attributes(writer, span, ends);
    if is_error(span) {
        writer.length_delimited(15, 2);
        writer.uint(3, STATUS_ERROR);
    }
}

fn encode_name(writer: &mut Writer, span: &Span<'_>) {
    let (operation, target) = conventions::span_name_parts(span.request);
    writer.length_delimited(5, operation.len() + target.map_or(0, |target| 1 + target.len()));
    writer.bytes.extend_from_slice(operation.as_bytes());
    if let Some(target) = target {
        writer.bytes.push(b' ');
        writer.bytes.extend_from_slice(target.as_bytes());
    }
}

/// The conventions differ by side for HTTP: what is the client's fault is an error for the client alone.
fn is_error(span: &Span<'_>) -> bool {
    let request = span.request;
    let client_error = || {
        let http = conventions::protocol(request.protocol).is_some_and(|protocol| protocol.specification == "http");
        http && span.side == Side::Client
            && request.code.as_ref().is_some_and(|code| code.len() == 3 && code.starts_with('4'))
    };
    request.status != Status::Ok || client_error()
}

fn encode_attributes(writer: &mut Writer, span: &Span<'_>, ends: &mut Ends) {
    let request = span.request;
    text_attribute(writer, ATTRIBUTES, "limpid.protocol", request.protocol);
    text_attribute(writer, ATTRIBUTES, "limpid.operation", &request.operation);
    if let Some(resource) = &request.resource {
        text_attribute(writer, ATTRIBUTES, "limpid.resource", resource);
    }
    if let Some(code) = &request.code {
        text_attribute(writer, ATTRIBUTES, "limpid.code", code);
    }
    if request.kind != Kind::Request {
        text_attribute(writer, ATTRIBUTES, "limpid.kind", request.kind.as_str());
    }
    let mut told = Told::default();
    let first_byte_ns = span.first_byte_ns.map(|first_byte_ns| first_byte_ns.saturating_sub(span.start_ns));
    conventions::each_attribute(request, first_byte_ns, |name, value| {
        told.server |= name == "server.address";
        told.client |= name == "client.address";
        match value {
            Value::Text("http") if name == "url.scheme" && span.transport == Transport::Tls => {
                text_attribute(writer, ATTRIBUTES, name, "https");
            }
            Value::Text(text) => text_attribute(writer, ATTRIBUTES, name, text),
            Value::Int(number) => int_attribute(writer, ATTRIBUTES, name, number),
            Value::Bool(flag) => number_attribute(writer, ATTRIBUTES, name, 2, u64::from(flag)),
        }
    });
    writer.bytes.extend_from_slice(ends.encoded(span, told));
    if let Some((_, port)) = span.client {
        // Nearly every connection has another one.
        int_attribute(writer, ATTRIBUTES, "client.port", port.into());
    }
    if let Some(queue_ns) = span.queue_ns {
        int_attribute(writer, ATTRIBUTES, "limpid.queue_ns", i64::try_from(queue_ns).unwrap_or(i64::MAX));
    }
    if let Some(parent) = &span.parent {
        text_attribute(writer, ATTRIBUTES, "limpid.parent.evidence", parent.evidence);
    }
    if let Some((probability, threshold)) = span.sampling {
        text_attribute(writer, ATTRIBUTES, "limpid.sampling.probability", &format!("{probability:.6}"));
        text_attribute(writer, ATTRIBUTES, "limpid.sampling.threshold", threshold);
    }
}

impl Ends {
    fn encoded(&mut self, span: &Span<'_>, told: Told) -> &[u8] {
        let (service, entity) = match span.peer {
            Peer::Process { service, entity } => (service, entity),
            Peer::Address { .. } | Peer::Unknown => ("", ""),
        };
        let client = span.client.map(|(address, _)| address);
        let same = !self.encoded.bytes.is_empty()
            && (client, span.server, told) == (self.client, self.server, self.told)
            && self.transport == Some(span.transport)
            && (service, entity) == (&*self.peer_service, &*self.peer_entity)
            && matches!(span.peer, Peer::Process { .. });
        if !same {
            (self.client, self.server, self.told) = (client, span.server, told);
            self.transport = Some(span.transport);
            (self.peer_service, self.peer_entity) = (service.into(), entity.into());
            self.encode(span);
        }
        &self.encoded.bytes
    }

    fn encode(&mut self, span: &Span<'_>) {
        let writer = &mut self.encoded;
        writer.bytes.clear();
        encode_peer(writer, &span.peer);
        if let Some((address, port)) = self.server {
            if !self.told.server {
                text_attribute(writer, ATTRIBUTES, "server.address", &address_text(address));
            }
            int_attribute(writer, ATTRIBUTES, "server.port", port.into());
        }
        if let Some(address) = self.client.filter(|_| !self.told.client) {
            text_attribute(writer, ATTRIBUTES, "client.address", &address_text(address));
        }
        text_attribute(writer, ATTRIBUTES, "network.transport", transport_name(span.transport));
        if span.transport == Transport::Tls {
            number_attribute(writer, ATTRIBUTES, "tls.established", 2, 1);
        }
    }
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp | Transport::Tls => "tcp",
        Transport::UnixStream => "unix",
        Transport::Udp => "udp",
    }
}

fn encode_peer(writer: &mut Writer, peer: &Peer<'_>) {
    match peer {
        Peer::Process { service, entity } => {
            text_attribute(writer, ATTRIBUTES, "limpid.peer", service);
            text_attribute(writer, ATTRIBUTES, "limpid.peer.instance", entity);
        }
        Peer::Address { address, port } => {
            let mut text = address_text(*address);
            if let Some(port) = port {
                if address.is_ipv6() {
                    text.insert(0, '[');
                    text.push(']');
                }
                text.push(':');
                put_number(&mut text, (*port).into());
            }
            text_attribute(writer, ATTRIBUTES, "limpid.peer", &text);
        }
        Peer::Unknown => {}
    }
}

/// The standard formatter takes a third of a span's time for IPv4.
fn address_text(address: IpAddr) -> Text {
    let mut text = Text::default();
    match address {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                put_number(&mut text, octet.into());
            }
        }
        // Writing into memory cannot fail.
        IpAddr::V6(v6) => drop(write!(text, "{v6}")),
    }
    text
}

fn put_number(text: &mut Text, number: u32) {
    if number >= 10 {
        put_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
