//! `ExportTraceServiceRequest` into one record batch: the columns of `schema::SPANS`, and attributes in columns of their
//! own. Source: opentelemetry/proto/trace/v1/trace.proto.

use crate::attributes::{key_value, push_json_object, push_text};
use crate::columns::{Attributes, Texts};
use crate::foreign::Foreign;
use crate::names::Names;
use crate::wire::{Value, fields};
use arrow_array::builder::{FixedSizeBinaryBuilder, TimestampNanosecondBuilder, UInt8Builder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, Field, Schema};
use limpid_model::batch::Batch;
use limpid_model::schema::{PROMOTED, SPANS};
use std::sync::Arc;

/// A span's own attributes beyond this are dropped and counted.
const MAX_ATTRIBUTES: usize = 128;
/// Spans of one message beyond this are rejected and counted: each is a row in every column that any of them has.
const MAX_SPANS: usize = 64 * 1024;
/// What room is made for at once.
const USUAL_SPAN_BYTES: usize = 700;
/// As an encoded `AnyValue`.
const UNKNOWN_SERVICE: &[u8] = b"\x0a\x0funknown_service";

/// One value for each row of `PROMOTED`, as encoded `AnyValue`s.
type Promoted<'a> = [Option<&'a [u8]>; PROMOTED.len()];

struct Columns<'a> {
    start: TimestampNanosecondBuilder,
    duration_ns: UInt64Builder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    kind: UInt8Builder,
    status: UInt8Builder,
    status_message: Texts<'a>,
    name: Texts<'a>,
    promoted: Vec<Texts<'a>>,
    resource_attributes: Texts<'a>,
    names: Names<'a, Use>,
    attributes: Attributes<'a>,
    /// The attributes of the span that is read.
    pairs: Vec<&'a [u8]>,
    rejected: u64,
    rows: usize,
}

impl Columns<'_> {
    /// `rows` is how many there may be.
    fn new(rows: usize) -> Self {
        Columns {
            start: TimestampNanosecondBuilder::with_capacity(rows).with_timezone("UTC"),
            duration_ns: UInt64Builder::with_capacity(rows),
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            parent_span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            kind: UInt8Builder::with_capacity(rows),
            status: UInt8Builder::with_capacity(rows),
            status_message: Texts::new(rows),
            name: Texts::new(rows),
            promoted: PROMOTED.iter().map(|_| Texts::new(rows)).collect(),
            resource_attributes: Texts::new(rows),
            names: Names::new(),
            attributes: Attributes::new(rows),
            pairs: Vec::new(),
            rejected: 0,
            rows: 0,
        }
    }

    fn finish(self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        self.batch().map_err(|error| log::error!("span columns do not fit: {error}")).ok()
    }

    fn batch(mut self) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.start.finish()),
            Arc::new(self.duration_ns.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.status.finish()),
            self.status_message.finish()?,
            self.name.finish()?,
        ];
        for column in self.promoted {
            arrays.push(column.finish()?);
        }
        arrays.push(self.resource_attributes.finish()?);
        let (map, columns) = self.attributes.finish()?;
        arrays.push(map);
        let mut fields = SPANS.fields().to_vec();
        for (name, column) in columns {
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
            arrays.push(column);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    }
}

/// What all spans of one `ResourceSpans` share.
struct Resource<'a> {
    message: &'a [u8],
    promoted: Promoted<'a>,
}

fn resource(message: &[u8]) -> Resource<'_> {
    let mut promoted = [None; PROMOTED.len()];
    for pair in resource_pairs(message) {
        let (key, value) = key_value(pair.bytes());
        if let Some(place) = place(key) {
            promoted[place] = Some(value);
        }
    }
    Resource { message, promoted }
}

fn resource_pairs(message: &[u8]) -> impl Iterator<Item = Value<'_>> {
    fields(message).filter(|(field, _)| *field == 1).map(|(_, value)| value)
}

fn place(key: &str) -> Option<usize> {
    PROMOTED.iter().position(|(_, attribute)| *attribute == key)
}

pub fn decode(message: &[u8]) -> Batch {
    let mut columns = Columns::new((message.len() / USUAL_SPAN_BYTES + 1).min(MAX_SPANS));
    let mut walk = fields(message);
    for (_, resource_spans) in walk.by_ref().filter(|(field, _)| *field == 1) {
        decode_resource_spans(resource_spans.bytes(), &mut columns);
    }
    let rejected = columns.rejected + u64::from(walk.damaged);
    Batch { spans: columns.finish(), rejected, ..Batch::default() }
}

fn decode_resource_spans<'a>(message: &'a [u8], columns: &mut Columns<'a>) {
    let resource_message = fields(message).find(|(field, _)| *field == 1).map_or(&[][..], |(_, value)| value.bytes());
    let resource = resource(resource_message);
    for (_, scope_spans) in fields(message).filter(|(field, _)| *field == 2) {
        for (_, span) in fields(scope_spans.bytes()).filter(|(field, _)| *field == 2) {
            if columns.rows >= MAX_SPANS || decode_span(span.bytes(), &resource, columns).is_none() {
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
    name: &'a [u8],
    kind: u8,
    start_ns: u64,
    end_ns: u64,
    status: u8,
    status_message: &'a [u8],
}

/// Reads a span; its attributes go to `pairs`.
fn head<'a>(message: &'a [u8], pairs: &mut Vec<&'a [u8]>) -> Option<Head<'a>> {
    let mut head = Head::default();
    let mut walk = fields(message);
    pairs.clear();
    for (field, value) in walk.by_ref() {
        match field {
            1 => head.trace_id = value.bytes(),
            2 => head.span_id = value.bytes(),
            4 => head.parent = value.bytes(),
            5 => head.name = value.bytes(),
            6 => head.kind = value.number().min(255) as u8,
            7 => head.start_ns = value.number(),
            8 => head.end_ns = value.number(),
            9 if pairs.len() < MAX_ATTRIBUTES => pairs.push(value.bytes()),
            15 => (head.status_message, head.status) = status(value),
            _ => {}
        }
    }
    let valid = head.trace_id.len() == 16 && head.span_id.len() == 8 && head.start_ns > 0 && !walk.damaged;
    valid.then_some(head)
}

fn status(value: Value<'_>) -> (&[u8], u8) {
    let (mut message, mut code) = (&[][..], 0);
    for (field, content) in fields(value.bytes()) {
        match field {
            2 => message = content.bytes(),
            3 => code = content.number().min(2) as u8,
            _ => {}
        }
    }
    (message, code)
}

fn decode_span<'a>(message: &'a [u8], resource: &Resource<'a>, columns: &mut Columns<'a>) -> Option<()> {
    let head = head(message, &mut columns.pairs)?;
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
        [] => columns.status_message.push_null(),
        text => columns.status_message.push(text, push_utf8),
    }
    columns.name.push(head.name, push_utf8);
    columns
        .resource_attributes
        .push(resource.message, |message, out| push_json_object(resource_pairs(message), out, 0));
    append_attributes(resource, columns)?;
    columns.rows += 1;
    Some(())
}

/// Text that is not UTF-8 is no text: OTLP strings must be.
fn push_utf8(bytes: &[u8], out: &mut String) {
    out.push_str(std::str::from_utf8(bytes).unwrap_or_default());
}

/// What is done with an attribute, by its name.
#[derive(Clone, Copy)]
enum Use {
    Promoted(usize),
    Own { column: Option<usize>, foreign: Option<Foreign> },
}

/// Promoted attributes go to their columns, all others to columns of their own or into the map.
fn append_attributes<'a>(resource: &Resource<'a>, columns: &mut Columns<'a>) -> Option<()> {
    let mut promoted: Promoted<'a> = [None; PROMOTED.len()];
    let mut foreign = [None; Foreign::COLUMNS.len()];
    for &message in &columns.pairs {
        let attributes = &mut columns.attributes;
        let (name, value, what) = columns.names.get(message, |name, value| match place(name) {
            Some(place) => Use::Promoted(place),
            None => Use::Own { column: attributes.add(name, value), foreign: Foreign::of(name) },
        });
        match what {
            Use::Promoted(place) => promoted[place] = Some(value),
            Use::Own { column, foreign: means } => {
                if let Some(means) = means {
                    means.note(value, &mut foreign);
                }
                columns.attributes.push(column, name, value);
            }
        }
    }
    columns.attributes.end_row().ok()?;
    for (place, (column, _)) in PROMOTED.iter().enumerate() {
        let by_conventions = || Foreign::COLUMNS.iter().position(|have| have == column).and_then(|at| foreign[at]);
        let unknown = || (*column == "service").then_some(UNKNOWN_SERVICE);
        match promoted[place].or(resource.promoted[place]).or_else(by_conventions).or_else(unknown) {
            Some(value) => columns.promoted[place].push(value, push_text),
            None => columns.promoted[place].push_null(),
        }
    }
    Some(())
}
