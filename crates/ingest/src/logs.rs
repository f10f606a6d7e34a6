//! `ExportLogsServiceRequest` into events; records named `entity.state` are entities.
//! Source: opentelemetry/proto/logs/v1/logs.proto.

use crate::attributes::{key_value, push_json, push_json_object, push_text, text};
use crate::wire::{Value, fields};
use arrow_array::builder::{
    FixedSizeBinaryBuilder, MapBuilder, StringBuilder, StringDictionaryBuilder, TimestampNanosecondBuilder,
    UInt8Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use limpid_model::batch::Batch;
use limpid_model::names::{ENTITY_EVENT, ENTITY_ID, ENTITY_KIND, ENTITY_NAME};
use limpid_model::schema::EVENTS;
use limpid_model::{Entity, Text};
use std::sync::Arc;

type Dictionary = StringDictionaryBuilder<Int32Type>;

const MAX_ATTRIBUTES: usize = 128;
const MAX_BODY_BYTES: usize = 64 * 1024;

struct Columns {
    time: TimestampNanosecondBuilder,
    name: Dictionary,
    severity: UInt8Builder,
    service: Dictionary,
    entity: Dictionary,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    body: StringBuilder,
    resource_attributes: Dictionary,
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    rows: usize,
}

impl Columns {
    fn new() -> Self {
        Columns {
            time: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            name: Dictionary::new(),
            severity: UInt8Builder::new(),
            service: Dictionary::new(),
            entity: Dictionary::new(),
            trace_id: FixedSizeBinaryBuilder::new(16),
            span_id: FixedSizeBinaryBuilder::new(8),
            body: StringBuilder::new(),
            resource_attributes: Dictionary::new(),
            attributes: MapBuilder::new(
                Some(crate::attributes::map_names()),
                StringBuilder::new(),
                StringBuilder::new(),
            ),
            rows: 0,
        }
    }

    fn finish(mut self) -> Option<RecordBatch> {
        if self.rows == 0 {
            return None;
        }
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.severity.finish()),
            Arc::new(self.service.finish()),
            Arc::new(self.entity.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.resource_attributes.finish()),
            Arc::new(self.attributes.finish()),
        ];
        RecordBatch::try_new(EVENTS.clone(), arrays)
            .map_err(|error| log::error!("event columns do not fit: {error}"))
            .ok()
    }
}

pub fn decode(message: &[u8]) -> Batch {
    let mut columns = Columns::new();
    let mut batch = Batch::default();
    let mut walk = fields(message);
    for (_, resource_logs) in walk.by_ref().filter(|(field, _)| *field == 1) {
        decode_resource_logs(resource_logs.bytes(), &mut columns, &mut batch);
    }
    batch.rejected += u64::from(walk.damaged);
    batch.events = columns.finish();
    batch
}

struct Resource {
    json: String,
    service: Option<String>,
}

fn decode_resource_logs(message: &[u8], columns: &mut Columns, batch: &mut Batch) {
    let resource = fields(message).find(|(field, _)| *field == 1).map_or(&[][..], |(_, value)| value.bytes());
    let pairs = || fields(resource).filter(|(field, _)| *field == 1).map(|(_, value)| value);
    let mut json = String::new();
    push_json_object(pairs(), &mut json, 0);
    let service = pairs()
        .map(|pair| key_value(pair.bytes()))
        .find(|(key, _)| *key == "service.name")
        .map(|(_, value)| text(value));
    let resource = Resource { json, service };
    for (_, scope) in fields(message).filter(|(field, _)| *field == 2) {
        for (_, record) in fields(scope.bytes()).filter(|(field, _)| *field == 2) {
            if decode_record(record.bytes(), &resource, columns, batch).is_none() {
                batch.rejected += 1;
            }
        }
    }
}

#[derive(Default)]
struct Record<'a> {
    time_ns: u64,
    observed_ns: u64,
    severity: u8,
    body: &'a [u8],
    trace_id: &'a [u8],
    span_id: &'a [u8],
    name: &'a str,
}

fn record(message: &[u8]) -> Option<Record<'_>> {
    let mut record = Record::default();
    let mut walk = fields(message);
    for (field, value) in walk.by_ref() {
        match field {
            1 => record.time_ns = value.number(),
            11 => record.observed_ns = value.number(),
            2 => record.severity = value.number().min(24) as u8,
            5 => record.body = value.bytes(),
            9 => record.trace_id = value.bytes(),
            10 => record.span_id = value.bytes(),
            12 => record.name = value.text(),
            _ => {}
        }
    }
    if record.time_ns == 0 {
        record.time_ns = record.observed_ns;
    }
    (record.time_ns > 0 && i64::try_from(record.time_ns).is_ok() && !walk.damaged).then_some(record)
}

fn attributes(message: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    let pairs = fields(message).filter(|(field, _)| *field == 6).take(MAX_ATTRIBUTES);
    pairs.map(|(_, pair): (u32, Value<'_>)| key_value(pair.bytes()))
}

fn decode_record(message: &[u8], resource: &Resource, columns: &mut Columns, batch: &mut Batch) -> Option<()> {
    let record = record(message)?;
    if record.name == ENTITY_EVENT {
        batch.entities.push(entity(message, &record)?);
        return Some(());
    }
    columns.time.append_value(record.time_ns as i64);
    columns.severity.append_value(record.severity);
    append_or_null(&mut columns.name, Some(record.name).filter(|name| !name.is_empty()));
    append_or_null(&mut columns.service, resource.service.as_deref());
    let entity = attributes(message).find(|(key, _)| *key == ENTITY_ID).map(|(_, value)| text(value));
    append_or_null(&mut columns.entity, entity.as_deref());
    append_id(&mut columns.trace_id, record.trace_id, 16)?;
    append_id(&mut columns.span_id, record.span_id, 8)?;
    let mut scratch = String::new();
    push_text(record.body, &mut scratch);
    scratch.truncate(scratch.floor_char_boundary(MAX_BODY_BYTES));
    columns.body.append_value(&scratch);
    columns.resource_attributes.append_value(&resource.json);
    for (key, value) in attributes(message).filter(|(key, _)| *key != ENTITY_ID) {
        scratch.clear();
        push_json(value, &mut scratch, 0);
        columns.attributes.keys().append_value(key);
        columns.attributes.values().append_value(&scratch);
    }
    columns.attributes.append(true).ok()?;
    columns.rows += 1;
    Some(())
}

fn append_or_null(column: &mut Dictionary, value: Option<&str>) {
    match value {
        Some(value) => column.append_value(value),
        None => column.append_null(),
    }
}

fn append_id(column: &mut FixedSizeBinaryBuilder, id: &[u8], length: usize) -> Option<()> {
    match id.len() == length {
        true => column.append_value(id).ok(),
        false => {
            column.append_null();
            Some(())
        }
    }
}

/// An entity's state, valid from the record's time to when it was observed.
fn entity(message: &[u8], record: &Record<'_>) -> Option<Entity> {
    let mut entity = Entity {
        id: Text::default(),
        kind: Text::default(),
        name: Text::default(),
        start_ns: record.time_ns,
        end_ns: record.observed_ns.max(record.time_ns),
        attributes: Vec::new(),
    };
    for (key, value) in attributes(message) {
        match key {
            ENTITY_ID => entity.id = text(value).into(),
            ENTITY_KIND => entity.kind = text(value).into(),
            ENTITY_NAME => entity.name = text(value).into(),
            _ => entity.attributes.push((key.into(), text(value).into())),
        }
    }
    entity.attributes.sort();
    (!entity.id.is_empty() && !entity.kind.is_empty()).then_some(entity)
}
