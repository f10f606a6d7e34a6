//! A store with the telemetry of some services in it, as agents would send it: cumulative histograms every five
//! seconds, entities, and spans of both sides.

use arrow_array::builder::{FixedSizeBinaryBuilder, MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch, TimestampNanosecondArray, UInt8Array, UInt64Array};
use limpid_model::batch::{Batch, Signal};
use limpid_model::series::{Point, Sample, Value};
use limpid_model::{Entity, ExpHistogram, Labels, schema};
use limpid_store::embedded::{EmbeddedStore, Options};
use limpid_store::{Store, Write};
use std::sync::Arc;

pub const SECOND_NS: u64 = 1_000_000_000;
pub const MINUTE_NS: u64 = 60 * SECOND_NS;
/// Whole hours back from now: retention must not find it too old.
pub fn t0_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    (now / 3600 - 5) * 3600 * SECOND_NS
}

pub struct World {
    pub store: EmbeddedStore,
    pub t0: u64,
    folder: tempfile::TempDir,
}

/// What one side of one edge sees each second: how many, how slow, with which outcome.
#[derive(Clone)]
pub struct Flow {
    pub labels: Vec<(&'static str, String)>,
    pub per_second: u64,
    pub ms: u64,
    pub status: &'static str,
    /// Seconds after `t0`.
    pub from: u64,
    pub to: u64,
}

impl Flow {
    pub fn client(service: &str, peer: &str, protocol: &str) -> Flow {
        Flow::new("client", service, peer, protocol)
    }

    pub fn server(service: &str, peer: &str, protocol: &str) -> Flow {
        Flow::new("server", service, peer, protocol)
    }

    fn new(side: &str, service: &str, peer: &str, protocol: &str) -> Flow {
        let is_address = peer.contains('.');
        let (peer, address) = if is_address { ("", peer) } else { (peer, "") };
        let labels = [
            ("service", service),
            ("peer", peer),
            ("peer_address", address),
            ("protocol", protocol),
            ("operation", "GET"),
            ("resource", "/"),
            ("side", side),
            ("host", "alpha"),
        ];
        let mut labels: Vec<(&'static str, String)> = labels.map(|(name, value)| (name, value.to_string())).into();
        labels.push(("instance", format!("process:alpha/{service}-1")));
        Flow { labels, per_second: 10, ms: 5, status: "ok", from: 0, to: 7200 }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Flow {
        self.labels.retain(|(have, _)| *have != name);
        self.labels.push((name, value.to_string()));
        self
    }

    pub fn rate(mut self, per_second: u64, ms: u64) -> Flow {
        (self.per_second, self.ms) = (per_second, ms);
        self
    }

    pub fn failing(mut self, status: &'static str) -> Flow {
        self.status = status;
        self
    }

    /// Seconds after `t0`.
    pub fn between(mut self, from: u64, to: u64) -> Flow {
        (self.from, self.to) = (from, to);
        self
    }
}

impl World {
    pub fn new() -> World {
        World::with(Options::default())
    }

    pub fn with(options: Options) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let store = EmbeddedStore::open(folder.path(), options, |_, _| Batch::default()).expect("a store");
        World { store, t0: t0_ns(), folder }
    }

    /// The same with all that was written in files.
    pub fn reopened(self) -> World {
        let World { store, t0, folder } = self;
        store.close();
        drop(store);
        let store = EmbeddedStore::open(folder.path(), Options::default(), |_, _| Batch::default()).expect("a store");
        World { store, t0, folder }
    }

    fn write(&self, batch: Batch) {
        let payload = bytes::Bytes::from_static(b"x");
        self.store.write(Write { signal: Signal::Metrics, batch_id: None, payload, batch }).expect("written");
    }

    /// Samples every five seconds until `until` (seconds after `t0`); the counter goes on without requests.
    pub fn flow(&self, flow: &Flow, until: u64) {
        self.flow_of("limpid_request_duration_seconds", flow, until);
    }

    pub fn flow_of(&self, family: &str, flow: &Flow, until: u64) {
        let name = ("__name__", family.to_string());
        let labels = Labels::from_pairs(flow.labels.iter().cloned().chain([name, ("status", flow.status.to_string())]));
        let mut histogram = ExpHistogram::default();
        let mut points = Vec::new();
        for second in (flow.from..=until).step_by(5) {
            if second > flow.from && second <= flow.to {
                (0..flow.per_second * 5).for_each(|_| histogram.record_ns(flow.ms * 1_000_000));
            }
            points.push(Point {
                labels: labels.clone(),
                start_ms: ((self.t0 + flow.from * SECOND_NS) / 1_000_000) as i64,
                sample: Sample {
                    time_ms: ((self.t0 + second * SECOND_NS) / 1_000_000) as i64,
                    value: Value::Histogram(Arc::new(histogram.clone())),
                },
            });
        }
        self.write(Batch { points, ..Batch::default() });
    }

    /// A counter every five seconds from `t0` on, with what it holds at each.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)], until: u64, holds: impl Fn(u64) -> u64) {
        let named = [("__name__", name)];
        let labels = Labels::from_pairs(named.iter().chain(labels).map(|(name, value)| (*name, (*value).to_string())));
        let ms = |second: u64| ((self.t0 + second * SECOND_NS) / 1_000_000) as i64;
        let point = |second| Point {
            labels: labels.clone(),
            start_ms: ms(0),
            sample: Sample { time_ms: ms(second), value: Value::Float(holds(second) as f64) },
        };
        self.write(Batch { points: (0..=until).step_by(5).map(point).collect(), ..Batch::default() });
    }

    pub fn entity(&self, id: &str, kind: &str, name: &str, attributes: &[(&str, &str)]) {
        self.entity_until(id, kind, name, attributes, 7200);
    }

    /// One that was there until so many seconds after `t0`.
    pub fn entity_until(&self, id: &str, kind: &str, name: &str, attributes: &[(&str, &str)], until: u64) {
        let mut attributes: Vec<_> = attributes.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        attributes.sort();
        let entity = Entity {
            id: id.into(),
            kind: kind.into(),
            name: name.into(),
            start_ns: self.t0,
            end_ns: self.t0 + until * SECOND_NS,
            attributes,
        };
        self.write(Batch { entities: vec![entity], ..Batch::default() });
    }

    pub fn spans(&self, spans: &[TestSpan]) {
        let payload = bytes::Bytes::from_static(b"x");
        let batch = Batch { spans: Some(batch_of(spans)), ..Batch::default() };
        self.store.write(Write { signal: Signal::Traces, batch_id: None, payload, batch }).expect("written");
    }
}

#[derive(Clone)]
pub struct TestSpan {
    pub trace: u8,
    pub id: u8,
    pub parent: Option<u8>,
    pub kind: u8,
    pub error: bool,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub name: &'static str,
    pub service: &'static str,
    pub attributes: Vec<(&'static str, &'static str)>,
}

impl TestSpan {
    fn text(&self, attribute: &str) -> Option<String> {
        let (_, json) = self.attributes.iter().find(|(name, _)| *name == attribute)?;
        Some(json.trim_matches('"').to_string())
    }
}

fn batch_of(spans: &[TestSpan]) -> RecordBatch {
    let dictionary = |text: &dyn Fn(&TestSpan) -> Option<String>| -> ArrayRef {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        spans.iter().for_each(|span| builder.append_option(text(span)));
        Arc::new(builder.finish())
    };
    let ids = |width: i32, id: &dyn Fn(&TestSpan) -> Option<u8>| -> ArrayRef {
        let mut builder = FixedSizeBinaryBuilder::new(width);
        for span in spans {
            match id(span) {
                Some(id) => builder.append_value(vec![id; width as usize]).expect("the width"),
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    };
    let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
    let mut attributes = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for span in spans {
        for (name, value) in &span.attributes {
            attributes.keys().append_value(name);
            attributes.values().append_value(value);
        }
        attributes.append(true).expect("a row");
    }
    let columns = schema::SPANS.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "start" => {
                let starts = spans.iter().map(|span| span.start_ns as i64);
                Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("UTC"))
            }
            "duration_ns" => Arc::new(UInt64Array::from_iter_values(spans.iter().map(|span| span.duration_ns))),
            "trace_id" => ids(16, &|span| Some(span.trace)),
            "span_id" => ids(8, &|span| Some(span.id)),
            "parent_span_id" => ids(8, &|span| span.parent),
            "kind" => Arc::new(UInt8Array::from_iter_values(spans.iter().map(|span| span.kind))),
            "status" => Arc::new(UInt8Array::from_iter_values(spans.iter().map(|span| if span.error { 2 } else { 0 }))),
            "name" => dictionary(&|span| Some(span.name.to_string())),
            "service" => dictionary(&|span| Some(span.service.to_string())),
            "protocol" => dictionary(&|span| span.text("limpid.protocol").or(Some("http".to_string()))),
            "peer" => dictionary(&|span| span.text("limpid.peer")),
            "instance" => dictionary(&|span| span.text("service.instance.id")),
            "code" => dictionary(&|span| span.text("limpid.code")),
            "resource_attributes" => dictionary(&|_| Some("{\"host.name\":\"alpha\",\"process.pid\":7}".to_string())),
            "attributes" => Arc::new(attributes.finish()),
            _ => dictionary(&|_| None),
        }
    });
    RecordBatch::try_new(schema::SPANS.clone(), columns.collect()).expect("the schema's columns")
}
