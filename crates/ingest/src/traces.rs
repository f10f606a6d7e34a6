//! `ExportTraceServiceRequest` into one record batch of `schema::SPANS`.
//! Source: opentelemetry/proto/trace/v1/trace.proto.

use crate::attributes::{borrowed, key_value, push_json, push_json_object, text};
use crate::wire::{Value, fields};
use arrow_array::builder::{
    FixedSizeBinaryBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder, TimestampNanosecondBuilder,
    UInt8Builder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use limpid_model::batch::Batch;
use limpid_model::schema::{PROMOTED, SPANS};
use std::sync::Arc;

type Dictionary = StringDictionaryBuilder<Int32Type>;

/// A span's own attributes beyond this are dropped and counted.
const MAX_ATTRIBUTES: usize = 128;

struct Columns {
    start: TimestampNanosecondBuilder,
    duration_ns: UInt64Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    kind: UInt8Builder,
    status: UInt8Builder,
    status_message: Dictionary,
    name: Dictionary,
    promoted: Vec<Dictionary>,
    resource_attributes: Dictionary,
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    /// Reused for every JSON value.
    scratch: String,
    rejected: u64,
    rows: usize,
}

impl Columns {
    fn new() -> Self {
        Columns {
            start: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            duration_ns: UInt64Builder::new(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            parent_span_id: FixedSizeBinaryBuilder::new(8),
            kind: UInt8Builder::new(),
            status: UInt8Builder::new(),
            status_message: Dictionary::new(),
            name: Dictionary::new(),
            promoted: PROMOTED.iter().map(|_| Dictionary::new()).collect(),
            resource_attributes: Dictionary::new(),
            attributes: MapBuilder::new(
                Some(crate::attributes::map_names()),
                StringBuilder::new(),
                StringBuilder::new(),
            ),
            scratch: String::new(),
            rejected: 0,
            rows: 0,
        }
    }

    fn finish(mut self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.start.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.name.finish()),
        ];
        arrays.extend(self.promoted.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        arrays.push(Arc::new(self.resource_attributes.finish()));
        arrays.push(Arc::new(self.attributes.finish()));
        RecordBatch::try_new(SPANS.clone(), arrays)
            .map_err(|error| log::error!("span columns do not fit: {error}"))
            .ok()
    }
}

/// What all spans of one `ResourceSpans` share.
struct Resource {
    json: String,
    /// By the place in `PROMOTED`.
    promoted: Vec<Option<String>>,
}

fn resource(message: &[u8]) -> Resource {
    let pairs = || fields(message).filter(|(field, _)| *field == 1).map(|(_, value)| value);
    let mut json = String::new();
    push_json_object(pairs(), &mut json, 0);
    let mut promoted = vec![None; PROMOTED.len()];
    for pair in pairs() {
        let (key, value) = key_value(pair.bytes());
        if let Some(place) = PROMOTED.iter().position(|(_, attribute)| *attribute == key) {
            promoted[place] = Some(text(value));
        }
    }
    Resource { json, promoted }
}

pub fn decode(message: &[u8]) -> Batch {
    let mut columns = Columns::new();
    let mut walk = fields(message);
    for (_, resource_spans) in walk.by_ref().filter(|(field, _)| *field == 1) {
        decode_resource_spans(resource_spans.bytes(), &mut columns);
    }
    let rejected = columns.rejected + u64::from(walk.damaged);
    Batch { spans: columns.finish(), rejected, ..Batch::default() }
}

fn decode_resource_spans(message: &[u8], columns: &mut Columns) {
    let resource_message = fields(message).find(|(field, _)| *field == 1).map_or(&[][..], |(_, value)| value.bytes());
    let resource = resource(resource_message);
    for (_, scope_spans) in fields(message).filter(|(field, _)| *field == 2) {
        for (_, span) in fields(scope_spans.bytes()).filter(|(field, _)| *field == 2) {
            if decode_span(span.bytes(), &resource, columns).is_none() {
                columns.rejected += 1;
            }
        }
    }
}

/// The fields of a span that are one value each.
#[derive(Default)]
struct Head<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent: &'a [u8],
    name: &'a str,
    kind: u8,
    start_ns: u64,
    end_ns: u64,
    status: u8,
    status_message: &'a str,
}

fn head(message: &[u8]) -> Option<Head<'_>> {
    let mut head = Head::default();
    let mut walk = fields(message);
    for (field, value) in walk.by_ref() {
        match field {
            1 => head.trace_id = value.bytes(),
            2 => head.span_id = value.bytes(),
            4 => head.parent = value.bytes(),
            5 => head.name = value.text(),
            6 => head.kind = value.number().min(255) as u8,
            7 => head.start_ns = value.number(),
            8 => head.end_ns = value.number(),
            15 => (head.status_message, head.status) = status(value),
            _ => {}
        }
    }
    let valid = head.trace_id.len() == 16 && head.span_id.len() == 8 && head.start_ns > 0 && !walk.damaged;
    valid.then_some(head)
}

fn status(value: Value<'_>) -> (&str, u8) {
    let (mut message, mut code) = ("", 0);
    for (field, content) in fields(value.bytes()) {
        match field {
            2 => message = content.text(),
            3 => code = content.number().min(2) as u8,
            _ => {}
        }
    }
    (message, code)
}

fn decode_span(message: &[u8], resource: &Resource, columns: &mut Columns) -> Option<()> {
    let head = head(message)?;
    columns.start.append_value(i64::try_from(head.start_ns).ok()?);
    columns.duration_ns.append_value(head.end_ns.saturating_sub(head.start_ns));
    columns.trace_id.append_value(head.trace_id).ok()?;
    columns.span_id.append_value(head.span_id).ok()?;
    match head.parent.len() {
        8 => columns.parent_span_id.append_value(head.parent).ok()?,
        _ => columns.parent_span_id.append_null(),
    }
    columns.kind.append_value(head.kind);
    columns.status.append_value(head.status);
    match head.status_message {
        "" => columns.status_message.append_null(),
        text => columns.status_message.append_value(text),
    }
    columns.name.append_value(head.name);
    columns.resource_attributes.append_value(&resource.json);
    append_attributes(message, resource, columns)?;
    columns.rows += 1;
    Some(())
}

/// Promoted attributes go to their columns, all others into the map.
fn append_attributes(message: &[u8], resource: &Resource, columns: &mut Columns) -> Option<()> {
    let mut promoted = [None::<&[u8]>; PROMOTED.len()];
    let mut foreign = Foreign::default();
    for (_, pair) in fields(message).filter(|(field, _)| *field == 9).take(MAX_ATTRIBUTES) {
        let (key, value) = key_value(pair.bytes());
        if let Some(place) = PROMOTED.iter().position(|(_, attribute)| *attribute == key) {
            promoted[place] = Some(value);
            continue;
        }
        foreign.note(key, value);
        columns.scratch.clear();
        push_json(value, &mut columns.scratch, 0);
        columns.attributes.keys().append_value(key);
        columns.attributes.values().append_value(&columns.scratch);
    }
    columns.attributes.append(true).ok()?;
    for (place, (column, _)) in PROMOTED.iter().enumerate() {
        let builder = &mut columns.promoted[place];
        match (promoted[place], &resource.promoted[place], foreign.column(column)) {
            (Some(value), _, _) => match borrowed(value) {
                Some(value) => builder.append_value(value),
                None => builder.append_value(text(value)),
            },
            (None, Some(value), _) => builder.append_value(value),
            (None, None, Some(value)) => builder.append_value(value),
            (None, None, None) if *column == "service" => builder.append_value("unknown_service"),
            (None, None, None) => builder.append_null(),
        }
    }
    Some(())
}

/// Spans of SDKs do not carry `limpid.*`: what they are is read from the semantic conventions.
#[derive(Default)]
struct Foreign<'a> {
    protocol: Option<&'a str>,
    operation: Option<&'a str>,
    resource: Option<&'a str>,
    peer: Option<&'a str>,
}

impl<'a> Foreign<'a> {
    fn note(&mut self, key: &str, value: &'a [u8]) {
        let text = || borrowed(value);
        match key {
            "http.request.method" => (self.protocol, self.operation) = (self.protocol.or(Some("http")), text()),
            "http.route" => self.resource = text(),
            "db.system.name" | "messaging.system" | "rpc.system" | "rpc.system.name" => self.protocol = text(),
            "db.operation.name" | "rpc.method" | "messaging.operation.name" => self.operation = text(),
            "db.collection.name" | "messaging.destination.name" => self.resource = text(),
            "peer.service" | "service.peer.name" => self.peer = text(),
            _ => {}
        }
    }

    fn column(&self, column: &str) -> Option<&'a str> {
        match column {
            "protocol" => self.protocol,
            "operation" => self.operation,
            "resource" => self.resource,
            "peer" => self.peer,
            _ => None,
        }
    }
}
