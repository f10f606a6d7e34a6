//! `ExportTraceServiceRequest`: spans grouped by the process that they are of.
//!
//! A span is encoded when it is made, from what it is made of: nothing of it is copied before, and nothing but bytes
//! waits to be sent.

use super::{Writer, int_attribute, number_attribute, resource, scope, text_attribute};
use crate::export::protobuf::field_length;
use crate::telemetry::{Peer, Process, Span};
use bytes::Bytes;
use limpid_model::{Kind, Side, Status, Text};
use limpid_protocols::conventions::{self, Value};
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

const KIND_SERVER: u64 = 2;
const KIND_CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;
const ATTRIBUTES: u32 = 9;
/// Small enough that the allocator hands out the same memory again and again.
const CHUNK_BYTES: usize = 64 * 1024;
/// A chunk with less room than this is closed: most spans fit, and a longer one makes the chunk grow.
const ROOM_BYTES: usize = 2 * 1024;
/// The sender begins a new message when one is so long, or has so many spans.
const MESSAGE_BYTES: usize = 4 << 20;
const MESSAGE_SPANS: usize = 2048;

/// Encoded spans of one process.
pub struct ProcessSpans {
    process: Arc<Process>,
    chunks: Vec<Chunk>,
    open: Writer,
    open_spans: usize,
    ends: Ends,
}

/// The attributes of the two ends of a connection as they were encoded last: the requests of a process mostly go to the
/// same few others.
#[derive(Default)]
struct Ends {
    client: Option<IpAddr>,
    server: Option<(IpAddr, u16)>,
    told: Told,
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

struct Chunk {
    bytes: Bytes,
    spans: usize,
}

/// A message in pieces, so that none of them is copied to make it one.
#[derive(Default)]
pub struct Message {
    pub parts: Vec<Bytes>,
    pub spans: usize,
}

impl Message {
    pub fn length(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

impl ProcessSpans {
    pub fn new(process: &Arc<Process>) -> Self {
        ProcessSpans {
            process: Arc::clone(process),
            chunks: Vec::new(),
            open: Writer::default(),
            open_spans: 0,
            ends: Ends::default(),
        }
    }

    pub fn push(&mut self, span: &Span<'_>) {
        self.make_room();
        let (open, ends) = (&mut self.open, &mut self.ends);
        open.message(2, |writer| encode_span(writer, span, ends));
        self.open_spans += 1;
    }

    /// Little at first: most processes have few spans at a time.
    fn make_room(&mut self) {
        let open = &mut self.open.bytes;
        match (open.capacity(), open.capacity() - open.len()) {
            (0, _) => open.reserve(2 * ROOM_BYTES),
            (_, ROOM_BYTES..) => {}
            (..CHUNK_BYTES, _) => open.reserve_exact(CHUNK_BYTES - open.len()),
            _ => {
                self.close();
                self.open.bytes.reserve_exact(CHUNK_BYTES);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.spans).sum::<usize>() + self.open_spans
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn close(&mut self) {
        if self.open_spans > 0 {
            let bytes = std::mem::take(&mut self.open.bytes).into();
            self.chunks.push(Chunk { bytes, spans: std::mem::take(&mut self.open_spans) });
        }
    }
}

/// Messages of these spans, none much longer than another.
pub fn messages(spans: Vec<ProcessSpans>, cluster: &str) -> Vec<Message> {
    let mut messages = vec![Message::default()];
    let mut length = 0;
    for mut process in spans {
        process.close();
        let mut chunks = process.chunks.into_iter().peekable();
        while chunks.peek().is_some() {
            if length >= MESSAGE_BYTES || messages.last().is_some_and(|message| message.spans >= MESSAGE_SPANS) {
                messages.push(Message::default());
                length = 0;
            }
            let Some(message) = messages.last_mut() else { break };
            let (mut taken, mut spans, mut bytes) = (Vec::new(), message.spans, length);
            while let Some(chunk) = chunks.next_if(|_| spans < MESSAGE_SPANS && bytes < MESSAGE_BYTES) {
                (spans, bytes) = (spans + chunk.spans, bytes + chunk.bytes.len());
                taken.push(chunk.bytes);
            }
            message.parts.push(resource_spans(&process.process, cluster, bytes - length));
            message.parts.append(&mut taken);
            (message.spans, length) = (spans, bytes);
        }
    }
    messages.retain(|message| message.spans > 0);
    messages
}

/// A `ResourceSpans` up to its spans, of which so many bytes follow.
fn resource_spans(process: &Process, cluster: &str, spans_bytes: usize) -> Bytes {
    let (mut of_resource, mut of_scope) = (Writer::default(), Writer::default());
    resource(&mut of_resource, cluster, &process.attributes);
    scope(&mut of_scope);
    let scope_spans = of_scope.bytes.len() + spans_bytes;
    let mut head = Writer::default();
    head.length_delimited(1, of_resource.bytes.len() + field_length(scope_spans));
    head.bytes.append(&mut of_resource.bytes);
    head.length_delimited(2, scope_spans);
    head.bytes.append(&mut of_scope.bytes);
    head.bytes.into()
}

fn encode_span(writer: &mut Writer, span: &Span<'_>, ends: &mut Ends) {
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
            && (service, entity) == (&*self.peer_service, &*self.peer_entity)
            && matches!(span.peer, Peer::Process { .. });
        if !same {
            (self.client, self.server, self.told) = (client, span.server, told);
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
        let transport = if span.server.or(span.client).is_some() { "tcp" } else { "unix" };
        text_attribute(writer, ATTRIBUTES, "network.transport", transport);
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
