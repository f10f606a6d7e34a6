//! Batches for tests. The payload is a small text of its own, so that `decode` can make the same batch again.
#![allow(dead_code)]

use arrow_array::builder::{FixedSizeBinaryBuilder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt8Array, UInt64Array};
use limpid_model::batch::{Batch, Signal};
use limpid_model::series::{Point, Sample, Value};
use limpid_model::{Entity, Labels, schema};
use limpid_store::{Write, embedded::Options};
use std::sync::Arc;

pub const HOUR_NS: u64 = 3_600_000_000_000;
/// 2023-11-14, the beginning of an hour.
pub const T0_NS: u64 = 1_699_999_200_000_000_000;

/// Rows of one batch of the crash test.
pub const BATCH_ROWS: u64 = 20;

#[derive(Clone, Debug)]
pub struct TestSpan {
    pub number: u64,
    pub start_ns: u64,
    pub duration_ns: u64,
}

impl TestSpan {
    pub fn trace_id(&self) -> [u8; 16] {
        trace_id(self.number / 4)
    }

    pub fn service(&self) -> String {
        format!("service-{}", self.number % 5)
    }

    pub fn error(&self) -> bool {
        self.number % 10 == 3
    }
}

pub fn trace_id(trace: u64) -> [u8; 16] {
    let mut id = [0xab; 16];
    id[..8].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id
}

pub fn span(number: u64) -> TestSpan {
    TestSpan { number, start_ns: T0_NS + number * 1_000_000, duration_ns: 1000 + (number * 7919) % 1_000_003 }
}

pub fn spans(spans: &[TestSpan]) -> RecordBatch {
    let dictionary = |text: &dyn Fn(&TestSpan) -> Option<String>| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        spans.iter().for_each(|span| builder.append_option(text(span)));
        Arc::new(builder.finish())
    };
    let ids = |width: i32, bytes: &dyn Fn(&TestSpan) -> Option<Vec<u8>>| -> ArrayRef {
        let mut builder = FixedSizeBinaryBuilder::new(width);
        for span in spans {
            match bytes(span) {
                Some(bytes) => builder.append_value(bytes).unwrap(),
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    };
    let mut attributes = map_builder();
    for span in spans {
        attributes.keys().append_value("test.number");
        attributes.values().append_value(span.number.to_string());
        attributes.keys().append_value("http.request.method");
        attributes.values().append_value("\"GET\"");
        attributes.append(true).unwrap();
    }
    let columns = schema::SPANS.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "start" => Arc::new(
                TimestampNanosecondArray::from_iter_values(spans.iter().map(|span| span.start_ns as i64))
                    .with_timezone("UTC"),
            ),
            "duration_ns" => Arc::new(UInt64Array::from_iter_values(spans.iter().map(|span| span.duration_ns))),
            "trace_id" => ids(16, &|span| Some(span.trace_id().to_vec())),
            "span_id" => ids(8, &|span| Some(span.number.to_be_bytes().to_vec())),
            "parent_span_id" => {
                ids(8, &|span| (span.number % 4 > 0).then(|| (span.number / 4 * 4).to_be_bytes().to_vec()))
            }
            "kind" => Arc::new(UInt8Array::from_iter_values(spans.iter().map(|_| 2))),
            "status" => {
                Arc::new(UInt8Array::from_iter_values(spans.iter().map(|span| if span.error() { 2 } else { 0 })))
            }
            "name" => dictionary(&|span| Some(format!("GET /item/{}", span.number % 7))),
            "service" => dictionary(&|span| Some(span.service())),
            "code" => dictionary(&|span| span.error().then(|| "500".to_owned())),
            "resource_attributes" => dictionary(&|span| {
                Some(format!("{{\"host.name\":\"h{}\",\"process.pid\":{}}}", span.number % 2, span.number % 5))
            }),
            "attributes" => Arc::new(attributes.finish()),
            _ => dictionary(&|_| None),
        }
    });
    RecordBatch::try_new(schema::SPANS.clone(), columns.collect()).unwrap()
}

/// With the field names that the schema gives the entries.
pub fn map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

/// The numbers of the spans in an answer, in its order.
pub fn numbers(batches: &[RecordBatch]) -> Vec<u64> {
    let mut numbers = Vec::new();
    for batch in batches {
        let ids = batch.column_by_name("span_id").unwrap().as_fixed_size_binary();
        numbers.extend((0..batch.num_rows()).map(|row| u64::from_be_bytes(ids.value(row).try_into().unwrap())));
    }
    numbers
}

pub fn durations(batches: &[RecordBatch]) -> Vec<u64> {
    batches
        .iter()
        .flat_map(|batch| batch.column_by_name("duration_ns").unwrap().as_primitive::<UInt64Type>().values().to_vec())
        .collect()
}

/// `spans first count`: those spans; `points first count`: a point for each number; `entity name`.
pub fn decode(_: Signal, payload: &[u8]) -> Batch {
    let text = std::str::from_utf8(payload).unwrap();
    let words: Vec<&str> = text.split(' ').collect();
    let number = |at: usize| words[at].parse::<u64>().unwrap();
    match words[0] {
        "spans" => Batch {
            spans: Some(spans(&(number(1)..number(1) + number(2)).map(span).collect::<Vec<_>>())),
            ..Batch::default()
        },
        "points" => Batch { points: (number(1)..number(1) + number(2)).map(point).collect(), ..Batch::default() },
        "entity" => Batch {
            entities: vec![Entity {
                id: words[1].into(),
                kind: "service".into(),
                name: words[1].into(),
                start_ns: T0_NS,
                end_ns: T0_NS + HOUR_NS,
                attributes: Vec::new(),
            }],
            ..Batch::default()
        },
        _ => Batch { rejected: 1, ..Batch::default() },
    }
}

/// Ten series, one sample a second each; the value is the number itself.
pub fn point(number: u64) -> Point {
    Point {
        labels: Labels::from_pairs([("__name__", "test_total".to_owned()), ("series", (number % 10).to_string())]),
        start_ms: 1,
        sample: Sample {
            time_ms: (T0_NS / 1_000_000) as i64 + (number / 10) as i64 * 1000,
            value: Value::Float(number as f64),
        },
    }
}

pub fn write(signal: Signal, payload: String, batch_id: Option<[u8; 16]>) -> Write {
    Write { signal, batch_id, batch: decode(signal, payload.as_bytes()), payload: payload.into_bytes().into() }
}

pub fn write_spans(first: u64, count: u64) -> Write {
    write(Signal::Traces, format!("spans {first} {count}"), None)
}

pub fn write_points(first: u64, count: u64) -> Write {
    write(Signal::Metrics, format!("points {first} {count}"), None)
}

/// Old data and any disk: tests say themselves when they want retention.
pub fn options() -> Options {
    Options { retention: std::time::Duration::ZERO, min_free_ratio: 0.0, ..Options::default() }
}
