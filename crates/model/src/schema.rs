//! The Arrow schemas, declared once. Fields are only ever added, by name.

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use std::sync::{Arc, LazyLock};

/// A span column that is filled from one attribute instead of staying in `attributes`: (column, attribute, where).
/// These are what the console and the topology filter and group by.
pub const PROMOTED: &[(&str, &str)] = &[
    ("service", "service.name"),
    ("instance", "service.instance.id"),
    ("host", "host.name"),
    ("peer", "limpid.peer"),
    ("protocol", "limpid.protocol"),
    ("operation", "limpid.operation"),
    ("resource", "limpid.resource"),
    ("code", "limpid.code"),
];

/// Texts that repeat.
pub fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// `attributes`: values are JSON texts, so that their OTLP types survive (`200` or `"200"`).
pub fn attributes_type() -> DataType {
    let entries =
        Fields::from(vec![Field::new("keys", DataType::Utf8, false), Field::new("values", DataType::Utf8, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

/// A batch on its way into the store may have an attribute in a column of its own, `attributes.<name>`, instead of in
/// the map: whole numbers as `Int64`, everything else as a dictionary of JSON texts.
pub const ATTRIBUTE_PREFIX: &str = "attributes.";

/// One row a span.
/// `kind` and `status` are OTLP's numbers (SpanKind, Status.code). `resource_attributes` is one JSON object, the same
/// text for all spans of a process.
pub static SPANS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = vec![
        Field::new("start", timestamp(), false),
        Field::new("duration_ns", DataType::UInt64, false),
        Field::new("trace_id", DataType::FixedSizeBinary(16), false),
        Field::new("span_id", DataType::FixedSizeBinary(8), false),
        Field::new("parent_span_id", DataType::FixedSizeBinary(8), true),
        Field::new("kind", DataType::UInt8, false),
        Field::new("status", DataType::UInt8, false),
        Field::new("status_message", dictionary(), true),
        Field::new("name", dictionary(), false),
    ];
    fields.extend(PROMOTED.iter().map(|(column, _)| Field::new(*column, dictionary(), *column != "service")));
    fields.extend([
        Field::new("resource_attributes", dictionary(), true),
        Field::new("attributes", attributes_type(), true),
    ]);
    Arc::new(Schema::new(fields))
});

/// One row an event (an OTLP log record).
pub static EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("time", timestamp(), false),
        Field::new("name", dictionary(), true),
        Field::new("severity", DataType::UInt8, false),
        Field::new("service", dictionary(), true),
        Field::new("entity", dictionary(), true),
        Field::new("trace_id", DataType::FixedSizeBinary(16), true),
        Field::new("span_id", DataType::FixedSizeBinary(8), true),
        Field::new("body", DataType::Utf8, true),
        Field::new("resource_attributes", dictionary(), true),
        Field::new("attributes", attributes_type(), true),
    ]))
});
