//! What the exporter writes, decoded with OpenTelemetry's own generated types.

use limpid_agent::capture::Transport;
use limpid_agent::export::otlp::traces::{ProcessSpans, messages};
use limpid_agent::export::otlp::{self, Agent};
use limpid_agent::identity::host::Host;
use limpid_agent::telemetry::{FamilySnapshot, Measure, Parent, Peer, Process, SeriesSnapshot, Span};
use limpid_model::{Entity, ExpHistogram, Request, Side, Status, Text};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use prost::Message;
use std::sync::Arc;

fn process(service: &str) -> Arc<Process> {
    let attributes = vec![("service.name".into(), service.into()), ("process.pid".into(), "7".into())];
    Arc::new(Process {
        tgid: 7,
        start: 1,
        service: service.into(),
        entity: "process:m/1-7".into(),
        attributes,
        own: false,
    })
}

fn request(code: &str) -> Request {
    let mut request = Request::new("http", "GET");
    request.resource = Some("/cart/{id}".into());
    request.details_mut().resource_raw = Some("/cart/42".into());
    request.code = Some(code.into());
    request.status = if code.starts_with('5') { Status::Error } else { Status::Ok };
    request
}

fn span<'a>(process: &'a Arc<Process>, side: Side, request: &'a Request) -> Span<'a> {
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent: (side == Side::Server).then_some(Parent { span_id: [3; 8], evidence: "connection" }),
        side,
        request,
        start_ns: 1_000,
        first_byte_ns: Some(2_000),
        end_ns: 5_000,
        process,
        peer: Peer::Address { address: "2001:db8::1".parse().expect("address"), port: Some(80) },
        client: Some(("10.0.0.255".parse().expect("address"), 40_000)),
        server: Some(("10.0.0.2".parse().expect("address"), 80)),
        transport: Transport::Tcp,
        queue_ns: (side == Side::Server).then_some(250),
        sampling: (side == Side::Client).then_some((0.25, "c")),
    }
}

fn value(attributes: &[KeyValue], name: &str) -> Option<Value> {
    let found: Vec<_> = attributes.iter().filter(|pair| pair.key == name).collect();
    assert!(found.len() <= 1, "{name} stands twice");
    found.first()?.value.clone()?.value
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    match value(attributes, name) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{name} is {other:?}"),
    }
}

fn int(attributes: &[KeyValue], name: &str) -> i64 {
    match value(attributes, name) {
        Some(Value::IntValue(number)) => number,
        other => panic!("{name} is {other:?}"),
    }
}

#[test]
fn spans_by_process() {
    let (cart, shop) = (process("cart"), process("shop"));
    let (mut of_cart, mut of_shop) = (ProcessSpans::new(&cart), ProcessSpans::new(&shop));
    of_cart.push(&span(&cart, Side::Server, &request("200")));
    of_shop.push(&span(&shop, Side::Client, &request("404")));
    of_cart.push(&span(&cart, Side::Server, &request("503")));
    let messages = messages(vec![of_cart, of_shop, ProcessSpans::new(&cart)], "local");
    assert_eq!(messages.iter().map(|message| message.spans).collect::<Vec<_>>(), [3]);
    let decoded = ExportTraceServiceRequest::decode(&*messages[0].parts.concat()).expect("decodes");
    assert_eq!(decoded.resource_spans.len(), 2);
    let resource = decoded.resource_spans[0].resource.as_ref().expect("a resource");
    assert_eq!(text(&resource.attributes, "service.name"), "cart");
    assert_eq!(text(&resource.attributes, "limpid.schema"), "1");
    assert_eq!(text(&resource.attributes, "limpid.cluster"), "local");
    let of_cart = &decoded.resource_spans[0].scope_spans[0].spans;
    assert_eq!(of_cart.len(), 2);
    let first = &of_cart[0];
    assert_eq!((first.trace_id.as_slice(), first.span_id.as_slice()), (&[1u8; 16][..], &[2u8; 8][..]));
    assert_eq!(first.parent_span_id, [3; 8]);
    assert_eq!((first.kind, first.start_time_unix_nano, first.end_time_unix_nano), (2, 1_000, 5_000));
    assert_eq!(first.name, "GET /cart/{id}");
    for (name, expected) in [
        ("limpid.protocol", "http"),
        ("limpid.operation", "GET"),
        ("limpid.resource", "/cart/{id}"),
        ("limpid.code", "200"),
        ("limpid.peer", "[2001:db8::1]:80"),
        ("server.address", "10.0.0.2"),
        ("client.address", "10.0.0.255"),
        ("network.transport", "tcp"),
        ("http.request.method", "GET"),
    ] {
        assert_eq!(text(&first.attributes, name), expected);
    }
    for (name, expected) in [
        ("server.port", 80),
        ("client.port", 40_000),
        ("limpid.queue_ns", 250),
        ("limpid.time_to_first_byte_ns", 1_000),
        ("http.response.status_code", 200),
    ] {
        assert_eq!(int(&first.attributes, name), expected);
    }
    assert_eq!(text(&first.attributes, "limpid.parent.evidence"), "connection");
    assert!(first.status.is_none());
    assert_eq!(of_cart[1].status.as_ref().expect("a status").code, 2);
    let client = &decoded.resource_spans[1].scope_spans[0].spans[0];
    assert_eq!((client.kind, client.parent_span_id.len()), (3, 0));
    assert_eq!(client.status.as_ref().expect("404 is the client's error").code, 2);
    assert_eq!(text(&client.attributes, "limpid.sampling.probability"), "0.250000");
    assert_eq!(text(&client.attributes, "limpid.sampling.threshold"), "c");
}

#[test]
fn many_spans_are_messages_of_bounded_length() {
    let process = process("cart");
    let mut long = request("200");
    long.details_mut().resource_raw = Some("x".repeat(5_000).into());
    let (mut of_one, mut of_other) = (ProcessSpans::new(&process), ProcessSpans::new(&process));
    for at in 0..6_000 {
        let request = if at % 10 == 0 { long.clone() } else { request("200") };
        let spans = if at % 3 == 0 { &mut of_one } else { &mut of_other };
        spans.push(&span(&process, Side::Server, &request));
    }
    assert_eq!(of_one.len() + of_other.len(), 6_000);
    let messages = messages(vec![of_one, of_other], "local");
    assert!(messages.len() >= 3 && messages.iter().all(|message| message.spans < 2_500 && message.length() < 5 << 20));
    let decoded = messages.iter().map(|message| {
        let decoded = ExportTraceServiceRequest::decode(&*message.parts.concat()).expect("decodes");
        let spans: Vec<_> = decoded.resource_spans.iter().flat_map(|of| &of.scope_spans[0].spans).collect();
        assert_eq!(spans.len(), message.spans);
        spans.iter().filter(|span| text(&span.attributes, "url.path").len() == 5_000).count()
    });
    assert_eq!(decoded.sum::<usize>(), 600);
}

const LABELS: &[&str] = &["service", "peer", "code"];

fn family(name: &'static str, series: Vec<(Measure, bool)>) -> FamilySnapshot {
    let of = |(at, (measure, ended)): (usize, (Measure, bool))| {
        let values: Vec<Text> = vec!["cart".into(), Text::default(), at.to_string().into()];
        SeriesSnapshot { values: values.into(), start_ns: 500, measure, ended }
    };
    FamilySnapshot {
        name,
        unit: "s",
        help: "help",
        labels: LABELS,
        series: series.into_iter().enumerate().map(of).collect(),
    }
}

#[test]
fn metrics_of_all_kinds() {
    let mut histogram = ExpHistogram::default();
    (1..100u64).for_each(|value| histogram.record_ns(value * 10_000));
    histogram.record(0.0);
    let families = [
        family(
            "a",
            vec![(Measure::Histogram(histogram.clone()), false), (Measure::Histogram(histogram.clone()), true)],
        ),
        family("b", vec![(Measure::Counter(7), false), (Measure::CounterFloat(1.5), false)]),
        family("c", vec![(Measure::Gauge(0.0), false)]),
        family("empty", vec![]),
    ];
    let agent = Agent::new(&Host::read(), "local");
    let messages = otlp::metrics::encode(&families, &agent, 9_000);
    assert_eq!((messages.len(), messages[0].points), (1, 6));
    let decoded = ExportMetricsServiceRequest::decode(&*messages[0].bytes).expect("decodes");
    let metrics = &decoded.resource_metrics[0].scope_metrics[0].metrics;
    let names: Vec<_> = metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
    assert_eq!(names, [("a", "s"), ("b", "s"), ("c", "s")]);
    let Some(Data::ExponentialHistogram(data)) = &metrics[0].data else { panic!("{:?}", metrics[0]) };
    assert_eq!((data.aggregation_temporality, data.data_points.len()), (2, 3));
    let point = &data.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (500, 9_000));
    assert_eq!((point.count, point.sum, point.scale, point.zero_count), (100, Some(histogram.sum), 3, 1));
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!((positive.offset, &positive.bucket_counts), (histogram.offset, &histogram.counts));
    assert_eq!(text(&point.attributes, "service"), "cart");
    assert!(value(&point.attributes, "peer").is_none(), "empty labels are left out");
    assert_eq!(data.data_points[1].flags, 0);
    assert_eq!((data.data_points[2].flags, data.data_points[2].count), (1, 0));
    let Some(Data::Sum(sum)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsInt(7)));
    assert_eq!(sum.data_points[1].value, Some(number_data_point::Value::AsDouble(1.5)));
    let Some(Data::Gauge(gauge)) = &metrics[2].data else { panic!("{:?}", metrics[2]) };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsDouble(0.0)));
}

#[test]
fn many_series_go_into_several_messages() {
    let mut histogram = ExpHistogram::default();
    (1..300u64).for_each(|value| histogram.record_ns(value * value * value * 1_000));
    let series = (0..40_000).map(|_| (Measure::Histogram(histogram.clone()), false)).collect();
    let messages = otlp::metrics::encode(&[family("a", series)], &Agent::new(&Host::read(), "local"), 1);
    assert!(messages.len() > 1 && messages.iter().all(|message| message.bytes.len() < 3 << 20));
    let mut seen = 0;
    for message in &messages {
        let decoded = ExportMetricsServiceRequest::decode(&*message.bytes).expect("decodes");
        for metric in &decoded.resource_metrics[0].scope_metrics[0].metrics {
            let Some(Data::ExponentialHistogram(data)) = &metric.data else { panic!("{metric:?}") };
            for point in &data.data_points {
                assert_eq!(text(&point.attributes, "code"), seen.to_string());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 40_000);
}

#[test]
fn attributes_of_every_length() {
    let agent = Agent::new(&Host::read(), "local");
    for length in (1..300).chain([16_000, 17_000]) {
        let long = "x".repeat(length);
        let attributes = vec![("limpid.a".into(), long.as_str().into())];
        let entity = Entity { id: "e".into(), kind: "k".into(), name: "n".into(), start_ns: 1, end_ns: 2, attributes };
        let decoded = ExportLogsServiceRequest::decode(&*otlp::logs::encode(&[entity], &agent)).expect("decodes");
        let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!(text(&record.attributes, "limpid.a"), long);
    }
}

#[test]
fn entities_are_log_records() {
    let attributes = vec![("limpid.host".into(), "host:m".into())];
    let entity = Entity {
        id: "process:m/1-7".into(),
        kind: "process".into(),
        name: "x[7]".into(),
        start_ns: 5,
        end_ns: 9,
        attributes,
    };
    let bytes = otlp::logs::encode(&[entity], &Agent::new(&Host::read(), "local"));
    let decoded = ExportLogsServiceRequest::decode(&*bytes).expect("decodes");
    let record = &decoded.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(record.event_name, "entity.state");
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (5, 9));
    assert_eq!(text(&record.attributes, "limpid.entity.id"), "process:m/1-7");
    assert_eq!(text(&record.attributes, "limpid.entity.kind"), "process");
    assert_eq!(text(&record.attributes, "limpid.host"), "host:m");
}
