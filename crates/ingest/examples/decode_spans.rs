//! What a span costs from the message to the store's files, by steps: decoding alone, then decoding and storing, the log
//! and its syncs included.
//!
//! `cargo run --release -p limpid-ingest --example decode_spans [spans]`

use limpid_ingest::decode;
use limpid_model::batch::Signal;
use limpid_store::embedded::{EmbeddedStore, LogSync, Options};
use limpid_store::{Store, Write};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use std::error::Error;
use std::time::{Duration, Instant};

const T0_NS: u64 = 1_800_000_000_000_000_000;
const MESSAGE_SPANS: usize = 2048;
/// Written by turns, so that no two messages in a row are the same.
const MESSAGES: usize = 32;

/// xorshift64*: the same data in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545F4914F6CDD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.into()))
}

fn number(key: &str, value: u64) -> KeyValue {
    pair(key, any_value::Value::IntValue(value as i64))
}

/// What the agent says of a request that it saw at both ends, in its order.
fn attributes(noise: &mut Noise, duration_ns: u64, peer: &str) -> Vec<KeyValue> {
    let (route, item) = (noise.below(20), noise.below(100_000));
    vec![
        text("limpid.protocol", "http"),
        text("limpid.operation", "GET"),
        text("limpid.resource", format!("/api/v1/resource{route}/{{id}}")),
        text("limpid.code", "200"),
        text("limpid.peer", peer),
        text("limpid.peer.instance", format!("process:3d1219c7c4c5404aaa1f6d2a48adfda4/{}-4242", 123_456 + route)),
        text("http.request.method", "GET"),
        text("url.scheme", "http"),
        text("url.path", format!("/api/v1/resource{route}/{item}")),
        text("http.route", format!("/api/v1/resource{route}/{{id}}")),
        number("http.response.status_code", 200),
        text("network.protocol.name", "http"),
        number("limpid.time_to_first_byte_ns", duration_ns - duration_ns / 50),
        text("network.protocol.version", "1.1"),
        number("http.request.body.size", 0),
        number("http.response.body.size", noise.below(4000)),
        text("user_agent.original", "wrk/4.1.0"),
        text("server.address", "127.0.0.1"),
        number("server.port", 8080),
        text("client.address", "127.0.0.1"),
        number("client.port", 32_768 + noise.below(64)),
        text("network.transport", "tcp"),
    ]
}

fn span(noise: &mut Noise, now_ns: &mut u64, kind: i32, peer: &str) -> Span {
    *now_ns += noise.below(50_000);
    let duration_ns = 50_000 + noise.below(400_000);
    let trace_id: [u8; 16] = ((u128::from(noise.next()) << 64) | u128::from(noise.next())).to_be_bytes();
    let attributes = attributes(noise, duration_ns, peer);
    Span {
        trace_id: trace_id.to_vec(),
        span_id: noise.next().to_be_bytes().to_vec(),
        parent_span_id: if kind == 2 { noise.next().to_be_bytes().to_vec() } else { Vec::new() },
        name: format!("GET {}", path(&attributes)),
        kind,
        start_time_unix_nano: *now_ns,
        end_time_unix_nano: *now_ns + duration_ns,
        attributes,
        ..Default::default()
    }
}

fn path(attributes: &[KeyValue]) -> &str {
    let value = attributes.iter().find(|pair| pair.key == "http.route").and_then(|pair| pair.value.as_ref());
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text,
        _ => "",
    }
}

fn message(noise: &mut Noise, now_ns: &mut u64) -> Vec<u8> {
    let resource_spans = [("wrk", 3, "nginx"), ("nginx", 2, "wrk")].map(|(service, kind, peer)| {
        let attributes = vec![
            text("service.name", service),
            text("service.instance.id", format!("process:3d1219c7c4c5404aaa1f6d2a48adfda4/123456-{service}")),
            number("process.pid", 4242),
            text("process.command_line", format!("/usr/bin/{service} -c 16")),
            text("host.name", "node-1"),
            text("limpid.cluster", "local"),
        ];
        let spans = (0..MESSAGE_SPANS / 2).map(|_| span(noise, now_ns, kind, peer)).collect();
        ResourceSpans {
            resource: Some(Resource { attributes, ..Default::default() }),
            scope_spans: vec![ScopeSpans { spans, ..Default::default() }],
            ..Default::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.into() }.encode_to_vec()
}

/// CPU time of the whole process, threads that have ended included; in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let spans: usize = std::env::args().nth(1).map_or(Ok(2_000_000), |text| text.parse())?;
    let (mut noise, mut now_ns) = (Noise(88172645463325252), T0_NS);
    let messages: Vec<bytes::Bytes> = (0..MESSAGES).map(|_| message(&mut noise, &mut now_ns).into()).collect();
    println!("{} bytes a span on the wire", messages[0].len() / MESSAGE_SPANS);

    let mut best = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        let decoded: usize = messages.iter().map(|message| rows(message)).sum();
        assert_eq!(decoded, MESSAGES * MESSAGE_SPANS);
        best = best.min(began.elapsed());
    }
    println!("decoding: {:.0} ns a span", best.as_nanos() as f64 / (MESSAGES * MESSAGE_SPANS) as f64);

    let folder = std::env::temp_dir().join(format!("limpid-decode-spans-{}", std::process::id()));
    let options =
        Options { sync: LogSync::Always, retention: Duration::ZERO, min_free_ratio: 0.0, ..Options::default() };
    let store = EmbeddedStore::open(&folder, options, decode)?;
    let (before, mut written) = (cpu_seconds(), 0);
    for payload in messages.iter().cycle().take(spans.div_ceil(MESSAGE_SPANS)) {
        let batch = decode(Signal::Traces, payload);
        store.write(Write { signal: Signal::Traces, batch_id: None, payload: payload.clone(), batch })?;
        written += MESSAGE_SPANS;
    }
    store.close();
    let used = cpu_seconds() - before;
    println!("decoding and storing: {:.2} µs of CPU a span (until all are in files)", used * 1e6 / written as f64);
    let bytes = store.status().bytes;
    println!("{:.1} bytes a span in files", bytes as f64 / written as f64);
    drop(store);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn rows(message: &[u8]) -> usize {
    decode(Signal::Traces, message).spans.map_or(0, |spans| spans.num_rows())
}
