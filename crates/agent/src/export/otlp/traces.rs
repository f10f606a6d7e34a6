//! `ExportTraceServiceRequest`: spans grouped by the process that they are of.

use super::{Writer, attribute, int_attribute, resource, scope, text_attribute};
use crate::telemetry::{Peer, Process, Span};
use limpid_model::request::Attribute;
use limpid_model::{Kind, Side, Status, Text};
use limpid_protocols::conventions;
use rustc_hash::FxHashMap;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

const KIND_SERVER: u64 = 2;
const KIND_CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;
const ATTRIBUTES: u32 = 9;
/// A usual span's bytes, to make room for at once.
const USUAL_SPAN_BYTES: usize = 640;

pub fn encode(spans: &[Span], cluster: &str) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::with_capacity(spans.len() * USUAL_SPAN_BYTES) };
    let mut scratch = Scratch::default();
    for (process, spans) in by_process(spans) {
        writer.message(1, |writer| {
            resource(writer, cluster, &process.attributes);
            writer.message(2, |writer| {
                scope(writer);
                for span in spans {
                    writer.message(2, |writer| encode_span(writer, span, &mut scratch));
                }
            });
        });
    }
    writer.bytes
}

/// Reused from span to span.
#[derive(Default)]
struct Scratch {
    attributes: Vec<(&'static str, Attribute)>,
    text: Text,
}

fn by_process(spans: &[Span]) -> Vec<(&Process, Vec<&Span>)> {
    let mut places: FxHashMap<*const Process, usize> = FxHashMap::default();
    let mut groups: Vec<(&Process, Vec<&Span>)> = Vec::new();
    for span in spans {
        let place = *places.entry(Arc::as_ptr(&span.process)).or_insert(groups.len());
        if place == groups.len() {
            groups.push((&span.process, Vec::new()));
        }
        if let Some((_, group)) = groups.get_mut(place) {
            group.push(span);
        }
    }
    groups
}

fn encode_span(writer: &mut Writer, span: &Span, scratch: &mut Scratch) {
    let request = &span.request;
    writer.blob(1, &span.trace_id);
    writer.blob(2, &span.span_id);
    if let Some(parent) = &span.parent_span_id {
        writer.blob(4, parent);
    }
    writer.text(5, &conventions::span_name(request));
    writer.uint(6, if span.side == Side::Server { KIND_SERVER } else { KIND_CLIENT });
    writer.fixed64(7, request.start_ns);
    writer.fixed64(8, request.start_ns.saturating_add(request.duration_ns()));
    encode_attributes(writer, span, scratch);
    if is_error(span) {
        writer.length_delimited(15, 2);
        writer.uint(3, STATUS_ERROR);
    }
}

/// The conventions differ by side for HTTP: what is the client's fault is an error for the client alone.
fn is_error(span: &Span) -> bool {
    let request = &span.request;
    let client_error = || {
        let http = conventions::protocol(request.protocol).is_some_and(|protocol| protocol.specification == "http");
        http && span.side == Side::Client
            && request.code.as_ref().is_some_and(|code| code.len() == 3 && code.starts_with('4'))
    };
    request.status != Status::Ok || client_error()
}

fn encode_attributes(writer: &mut Writer, span: &Span, scratch: &mut Scratch) {
    let request = &span.request;
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
    encode_peer(writer, &span.peer, &mut scratch.text);
    // `server.address` is the name that the client asked for where the request tells it (`Host`), else the address.
    scratch.attributes.clear();
    conventions::attributes(request, &mut scratch.attributes);
    let told = |name: &str| scratch.attributes.iter().any(|(have, _)| *have == name);
    let (server_told, client_told) = (told("server.address"), told("client.address"));
    for (name, value) in &scratch.attributes {
        attribute(writer, ATTRIBUTES, name, value);
    }
    encode_end(writer, ("server.address", "server.port"), span.server, server_told, &mut scratch.text);
    encode_end(writer, ("client.address", "client.port"), span.client, client_told, &mut scratch.text);
    let transport = if span.server.or(span.client).is_some() { "tcp" } else { "unix" };
    text_attribute(writer, ATTRIBUTES, "network.transport", transport);
    if let Some(queue_ns) = span.queue_ns {
        int_attribute(writer, ATTRIBUTES, "limpid.queue_ns", i64::try_from(queue_ns).unwrap_or(i64::MAX));
    }
}

fn encode_peer(writer: &mut Writer, peer: &Peer, text: &mut Text) {
    match peer {
        Peer::Process { service, entity } => {
            text_attribute(writer, ATTRIBUTES, "limpid.peer", service);
            text_attribute(writer, ATTRIBUTES, "limpid.peer.instance", entity);
        }
        Peer::Address { address, port } => {
            put_address(text, *address);
            if let Some(port) = port {
                if address.is_ipv6() {
                    text.insert(0, '[');
                    text.push(']');
                }
                text.push(':');
                put_number(text, (*port).into());
            }
            text_attribute(writer, ATTRIBUTES, "limpid.peer", text);
        }
        Peer::Unknown => {}
    }
}

fn encode_end(writer: &mut Writer, names: (&str, &str), end: Option<(IpAddr, u16)>, told: bool, text: &mut Text) {
    let Some((address, port)) = end else { return };
    if !told {
        put_address(text, address);
        text_attribute(writer, ATTRIBUTES, names.0, text);
    }
    int_attribute(writer, ATTRIBUTES, names.1, port.into());
}

/// The standard formatter takes a third of a span's time for IPv4.
fn put_address(text: &mut Text, address: IpAddr) {
    text.clear();
    match address {
        IpAddr::V4(v4) => {
            for (at, octet) in v4.octets().into_iter().enumerate() {
                if at > 0 {
                    text.push('.');
                }
                put_number(text, octet.into());
            }
        }
        // Writing into memory cannot fail.
        IpAddr::V6(v6) => drop(write!(text, "{v6}")),
    }
}

fn put_number(text: &mut Text, number: u32) {
    if number >= 10 {
        put_number(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}
