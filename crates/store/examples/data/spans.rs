//! Spans like the agent's: 20 services with 30 operations each, both views of every call, real addresses, ports, times
//! and random ids. The same seed gives the same spans.

use arrow_array::builder::{
    ArrayBuilder, FixedSizeBinaryBuilder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder,
    StringDictionaryBuilder, TimestampNanosecondBuilder, UInt8Builder, UInt64Builder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use limpid_model::schema;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

const SERVICES: u64 = 20;
const OPERATIONS: u64 = 30;
/// As many as the agent sends at once when there are many.
pub const BATCH_SPANS: usize = 2048;

/// Good enough noise without a crate.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    /// About log-normal: most near `median`, some far above.
    fn duration(&mut self, median_ns: u64) -> u64 {
        let sum: f64 = (0..6).map(|_| self.below(1_000_000) as f64 / 1e6).sum::<f64>() - 3.0;
        (median_ns as f64 * (sum * 0.9).exp()) as u64
    }
}

struct Columns {
    start: TimestampNanosecondBuilder,
    duration: UInt64Builder,
    ids: [FixedSizeBinaryBuilder; 3],
    kind: UInt8Builder,
    status: UInt8Builder,
    texts: BTreeMap<&'static str, StringDictionaryBuilder<Int32Type>>,
    /// As ingest hands them over: an attribute is a column.
    attributes: BTreeMap<&'static str, Attribute>,
    rows: usize,
}

enum Attribute {
    Whole(Int64Builder),
    Text(StringDictionaryBuilder<Int32Type>),
}

impl Attribute {
    fn new(value: &str) -> Self {
        match value.parse::<i64>() {
            Ok(_) => Attribute::Whole(Int64Builder::new()),
            Err(_) => Attribute::Text(StringDictionaryBuilder::new()),
        }
    }

    fn append(&mut self, row: usize, value: &str) {
        self.pad(row);
        match self {
            Attribute::Whole(builder) => builder.append_option(value.parse().ok()),
            Attribute::Text(builder) => builder.append_value(value),
        }
    }

    fn pad(&mut self, rows: usize) {
        match self {
            Attribute::Whole(builder) => builder.append_nulls(rows - builder.len()),
            Attribute::Text(builder) => builder.append_nulls(rows - builder.len()),
        }
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        match self {
            Attribute::Whole(mut builder) => Arc::new(builder.finish()),
            Attribute::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}

const TEXTS: &[&str] = &[
    "status_message",
    "name",
    "service",
    "instance",
    "host",
    "peer",
    "protocol",
    "operation",
    "resource",
    "code",
    "resource_attributes",
];

impl Columns {
    fn new() -> Self {
        Columns {
            start: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            duration: UInt64Builder::new(),
            ids: [16, 8, 8].map(FixedSizeBinaryBuilder::new),
            kind: UInt8Builder::new(),
            status: UInt8Builder::new(),
            texts: TEXTS.iter().map(|name| (*name, StringDictionaryBuilder::new())).collect(),
            attributes: BTreeMap::new(),
            rows: 0,
        }
    }

    fn text(&mut self, column: &'static str, value: Option<&str>) {
        if let Some(builder) = self.texts.get_mut(column) {
            builder.append_option(value);
        }
    }

    fn attribute(&mut self, name: &'static str, value: &str) {
        self.attributes.entry(name).or_insert_with(|| Attribute::new(value)).append(self.rows, value);
    }

    fn finish(mut self) -> Result<RecordBatch, Box<dyn Error>> {
        let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
        let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        (0..self.rows).try_for_each(|_| map.append(true))?;
        let [mut trace, mut span, mut parent] = self.ids;
        let columns = schema::SPANS.fields().iter().map(|field| -> ArrayRef {
            match field.name().as_str() {
                "start" => Arc::new(self.start.finish()),
                "duration_ns" => Arc::new(self.duration.finish()),
                "trace_id" => Arc::new(trace.finish()),
                "span_id" => Arc::new(span.finish()),
                "parent_span_id" => Arc::new(parent.finish()),
                "kind" => Arc::new(self.kind.finish()),
                "status" => Arc::new(self.status.finish()),
                "attributes" => Arc::new(map.finish()),
                name => match self.texts.get_mut(name) {
                    Some(builder) => Arc::new(builder.finish()),
                    None => arrow_array::new_null_array(field.data_type(), self.kind.values_slice().len()),
                },
            }
        });
        let mut columns: Vec<ArrayRef> = columns.collect();
        let mut fields = schema::SPANS.fields().to_vec();
        for (name, attribute) in self.attributes {
            let column = attribute.finish(self.rows);
            let name = format!("{}{name}", schema::ATTRIBUTE_PREFIX);
            fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
            columns.push(column);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
    }
}

/// One call, seen by its client and its server.
fn call(columns: &mut Columns, noise: &mut Noise, now_ns: i64) -> Result<(), Box<dyn Error>> {
    let (client, server, operation) = (noise.below(SERVICES), noise.below(SERVICES), noise.below(OPERATIONS));
    let median_ns = 200_000 + (server * 31 + operation * 17) % 40 * 500_000;
    let (duration_ns, network_ns, error) =
        (noise.duration(median_ns), 20_000 + noise.below(60_000), noise.below(100) == 0);
    let trace: [u8; 16] = ((u128::from(noise.next()) << 64) | u128::from(noise.next())).to_be_bytes();
    let (client_span, server_span) = (noise.next().to_be_bytes(), noise.next().to_be_bytes());
    let (client_port, item) = (32768 + noise.below(40) * 7 + client * 500, noise.below(100_000));
    let (request_bytes, response_bytes) = (noise.below(40) * 16, noise.below(4000));
    for side in [3u8, 2] {
        let is_client = side == 3;
        let (service, peer) = if is_client { (client, server) } else { (server, client) };
        columns.start.append_value(if is_client { now_ns } else { now_ns + (network_ns / 2) as i64 });
        columns.duration.append_value(if is_client { duration_ns + network_ns } else { duration_ns });
        columns.ids[0].append_value(trace)?;
        columns.ids[1].append_value(if is_client { client_span } else { server_span })?;
        if is_client {
            columns.ids[2].append_null()
        } else {
            columns.ids[2].append_value(client_span)?
        }
        columns.kind.append_value(side);
        columns.status.append_value(if error { 2 } else { 0 });
        let database = operation >= 20;
        let (method, route) = if database {
            ("SELECT", format!("shop.table{operation}"))
        } else {
            ("GET", format!("/api/v1/resource{operation}/{{id}}"))
        };
        let code = if error {
            Some("500")
        } else if database {
            None
        } else {
            Some("200")
        };
        columns.text("status_message", None);
        columns.text("name", Some(&format!("{method} {route}")));
        columns.text("service", Some(&format!("service-{service}")));
        columns.text("instance", Some(&format!("process:4c4c4544-0042/{}-{}", 881200 + service * 37, 1000 + service)));
        columns.text("host", Some("node-1"));
        columns.text("peer", Some(&format!("service-{peer}")));
        columns.text("protocol", Some(if database { "postgresql" } else { "http" }));
        columns.text("operation", Some(method));
        columns.text("resource", Some(&route));
        columns.text("code", code);
        columns.text(
            "resource_attributes",
            Some(&format!(
                "{{\"service.name\":\"service-{service}\",\"process.pid\":{},\"host.name\":\"node-1\"}}",
                1000 + service
            )),
        );
        columns.attribute(
            "limpid.peer.instance",
            &format!("\"process:4c4c4544-0042/{}-{}\"", 881200 + peer * 37, 1000 + peer),
        );
        if database {
            columns.attribute("db.system.name", "\"postgresql\"");
            columns.attribute("db.operation.name", "\"SELECT\"");
            columns.attribute("db.query.text", &format!("\"SELECT * FROM shop.table{operation} WHERE id = ?\""));
            columns.attribute("db.namespace", "\"shop\"");
            columns.attribute("db.response.returned_rows", &(item % 20).to_string());
        } else {
            columns.attribute("http.request.method", "\"GET\"");
            columns.attribute("url.scheme", "\"http\"");
            columns.attribute("url.path", &format!("\"/api/v1/resource{operation}/{item}\""));
            columns.attribute("http.route", &format!("\"{route}\""));
            columns.attribute("http.response.status_code", code.unwrap_or("200"));
            columns.attribute("network.protocol.name", "\"http\"");
            columns.attribute("network.protocol.version", "\"1.1\"");
            columns.attribute("http.request.body.size", &request_bytes.to_string());
            columns.attribute("http.response.body.size", &response_bytes.to_string());
        }
        columns.attribute("limpid.time_to_first_byte_ns", &(duration_ns - duration_ns / 50).to_string());
        columns.attribute("server.address", &format!("\"10.1.0.{server}\""));
        columns.attribute("server.port", &(8000 + server).to_string());
        columns.attribute("client.address", &format!("\"10.1.0.{client}\""));
        columns.attribute("client.port", &client_port.to_string());
        columns.attribute("network.transport", "\"tcp\"");
        columns.rows += 1;
    }
    Ok(())
}

/// `BATCH_SPANS` spans; calls come at random distances, on average half of `longest_gap_ns`.
pub fn batch(noise: &mut Noise, now_ns: &mut i64, longest_gap_ns: u64) -> Result<RecordBatch, Box<dyn Error>> {
    let mut columns = Columns::new();
    for _ in 0..BATCH_SPANS / 2 {
        *now_ns += noise.below(longest_gap_ns) as i64;
        call(&mut columns, noise, *now_ns)?;
    }
    columns.finish()
}
