//! Messages written by OpenTelemetry's own types, read by the decoder.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use limpid_ingest::decode;
use limpid_model::batch::Signal;
use limpid_model::series::{Value, is_stale};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const TIME_NS: u64 = 1_700_000_000_123_456_789;

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.into()))
}

fn resource() -> Option<Resource> {
    Some(Resource { attributes: vec![text("service.name", "shop"), text("host.name", "h1")], ..Default::default() })
}

fn traces(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { resource: resource(), scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn span() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        name: "GET /cart/{id}".into(),
        kind: 2,
        start_time_unix_nano: TIME_NS,
        end_time_unix_nano: TIME_NS + 5_000_000,
        attributes: vec![
            text("limpid.protocol", "http"),
            text("limpid.operation", "GET"),
            pair("http.response.status_code", any_value::Value::IntValue(500)),
            text("url.path", "/a \"quoted\"\n\u{1}path"),
        ],
        status: Some(Status { code: 2, message: "broken".into() }),
        ..Default::default()
    }
}

fn cell(batch: &RecordBatch, column: &str, row: usize) -> Option<String> {
    let column = batch.column_by_name(column).expect("the schema's column");
    let dictionary = column.as_dictionary::<Int32Type>();
    let key = dictionary.is_valid(row).then(|| dictionary.keys().value(row) as usize)?;
    Some(dictionary.values().as_string::<i32>().value(key).to_owned())
}

#[test]
fn a_span_becomes_a_row() {
    let batch = decode(Signal::Traces, &traces(vec![span()]));
    assert_eq!(batch.rejected, 0);
    let spans = batch.spans.expect("one span");
    let fields = limpid_model::schema::SPANS.fields();
    assert_eq!(spans.schema().fields()[..fields.len()], fields[..]);
    let start = spans.column_by_name("start").expect("start").as_primitive::<TimestampNanosecondType>();
    assert_eq!(start.value(0), TIME_NS as i64);
    let duration = spans.column_by_name("duration_ns").expect("duration").as_primitive::<UInt64Type>();
    assert_eq!(duration.value(0), 5_000_000);
    for (column, expected) in
        [("service", "shop"), ("host", "h1"), ("protocol", "http"), ("operation", "GET"), ("status_message", "broken")]
    {
        assert_eq!(cell(&spans, column, 0).as_deref(), Some(expected), "{column}");
    }
    assert_eq!(cell(&spans, "peer", 0), None);
    let code = spans.column_by_name("attributes.http.response.status_code").expect("a column of numbers");
    assert_eq!(code.as_primitive::<Int64Type>().value(0), 500);
    let path = cell(&spans, "attributes.url.path", 0).expect("a text");
    assert_eq!(serde_json::from_str::<String>(&path).expect("valid JSON"), "/a \"quoted\"\n\u{1}path");
    assert_eq!(map(&spans), [Vec::<(String, String)>::new()]);
}

fn map(spans: &RecordBatch) -> Vec<Vec<(String, String)>> {
    let map = spans.column_by_name("attributes").expect("attributes").as_map();
    let row = |row: usize| {
        let entries = map.value(row);
        let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
        (0..entries.len()).map(|at| (keys.value(at).to_owned(), values.value(at).to_owned())).collect()
    };
    (0..spans.num_rows()).map(row).collect()
}

#[test]
fn what_does_not_fit_a_column_stays_in_the_map() {
    let number = |key: &str, value| pair(key, any_value::Value::IntValue(value));
    let many: Vec<KeyValue> = (0..70).map(|at| number(&format!("many.{at}"), at)).collect();
    let rows = [
        vec![number("a", 1), text("b", "x"), number("a", 2)],
        vec![],
        vec![text("b", "x"), text("a", "three"), pair("b", any_value::Value::BoolValue(true))],
        vec![number("a", i64::MIN), number("b", 5)],
        many,
    ];
    let spans = rows.map(|attributes| Span { attributes, ..span() });
    let spans = decode(Signal::Traces, &traces(spans.to_vec())).spans.expect("five spans");
    let a = spans.column_by_name("attributes.a").expect("numbers").as_primitive::<Int64Type>();
    assert_eq!(a.iter().collect::<Vec<_>>(), [Some(1), None, None, Some(i64::MIN), None]);
    let b: Vec<_> = (0..5).map(|row| cell(&spans, "attributes.b", row)).collect();
    assert_eq!(b, [Some("\"x\""), None, Some("\"x\""), Some("5"), None].map(|text| text.map(str::to_owned)));
    let map = map(&spans);
    let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(map[..4], [vec![entry("a", "2")], vec![], vec![entry("a", "\"three\""), entry("b", "true")], vec![]]);
    assert_eq!(map[4], (62..70).map(|at| entry(&format!("many.{at}"), &at.to_string())).collect::<Vec<_>>());
}

#[test]
fn spans_without_ids_or_time_are_rejected_and_the_rest_is_kept() {
    let wrong = [
        Span { trace_id: vec![1; 15], ..span() },
        Span { span_id: vec![], ..span() },
        Span { start_time_unix_nano: 0, ..span() },
        Span { start_time_unix_nano: u64::MAX, ..span() },
    ];
    let count = wrong.len() as u64;
    let batch = decode(Signal::Traces, &traces(wrong.into_iter().chain([span()]).collect()));
    assert_eq!(batch.rejected, count);
    assert_eq!(batch.spans.expect("the good one").num_rows(), 1);
}

#[test]
fn a_message_of_very_many_spans_is_taken_in_part() {
    let small = Span { trace_id: vec![1; 16], span_id: vec![2; 8], start_time_unix_nano: TIME_NS, ..Span::default() };
    let wide = Span { attributes: (0..64).map(|at| text(&format!("a{at}"), "x")).collect(), ..small.clone() };
    let spans = std::iter::once(wide).chain(vec![small; 70_000]).collect();
    let batch = decode(Signal::Traces, &traces(spans));
    let kept = batch.spans.expect("spans").num_rows() as u64;
    assert!((60_000..70_000).contains(&kept));
    assert_eq!(kept + batch.rejected, 70_001);
}

#[test]
fn spans_of_other_sdks_say_what_they_are_by_the_conventions() {
    let attributes = vec![text("http.request.method", "POST"), text("http.route", "/orders")];
    let batch = decode(Signal::Traces, &traces(vec![Span { attributes, ..span() }]));
    let spans = batch.spans.expect("one span");
    for (column, expected) in [("protocol", "http"), ("operation", "POST"), ("resource", "/orders")] {
        assert_eq!(cell(&spans, column, 0).as_deref(), Some(expected), "{column}");
    }
}

fn metrics(metrics: Vec<Metric>) -> Vec<u8> {
    let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
    let resource_metrics = vec![ResourceMetrics { resource: resource(), scope_metrics, ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric { name: name.into(), unit: unit.into(), data: Some(data), ..Default::default() }
}

fn exponential(temporality: i32, flags: u32) -> Metric {
    let point = ExponentialHistogramDataPoint {
        attributes: vec![text("service", "shop")],
        start_time_unix_nano: TIME_NS - 1_000_000_000,
        time_unix_nano: TIME_NS,
        count: 6,
        sum: Some(1.5),
        scale: 3,
        zero_count: 1,
        positive: Some(Buckets { offset: -10, bucket_counts: vec![2, 0, 3] }),
        flags,
        ..Default::default()
    };
    let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: temporality };
    metric("limpid.request.duration", "s", metric::Data::ExponentialHistogram(data))
}

#[test]
fn an_exponential_histogram_is_a_native_one() {
    let batch = decode(Signal::Metrics, &metrics(vec![exponential(2, 0)]));
    assert_eq!((batch.points.len(), batch.rejected), (1, 0));
    let point = &batch.points[0];
    assert_eq!(point.labels.name(), "limpid_request_duration_seconds");
    assert_eq!((point.labels.get("service"), point.labels.get("job")), (Some("shop"), Some("shop")));
    assert_eq!((point.start_ms, point.sample.time_ms), (1_699_999_999_123, 1_700_000_000_123));
    let Value::Histogram(histogram) = &point.sample.value else { panic!("no histogram: {point:?}") };
    assert_eq!((histogram.count, histogram.sum, histogram.zero_count, histogram.scale), (6, 1.5, 1, 3));
    assert_eq!((histogram.offset, histogram.counts.as_slice()), (-10, &[2, 0, 3][..]));
}

#[test]
fn an_ended_series_is_stale_and_delta_is_rejected() {
    let batch = decode(Signal::Metrics, &metrics(vec![exponential(2, 1), exponential(1, 0)]));
    assert_eq!(batch.rejected, 1);
    assert!(matches!(batch.points[0].sample.value, Value::Float(value) if is_stale(value)));
}

#[test]
fn sums_gauges_and_explicit_buckets_have_prometheus_names() {
    let number = |value| NumberDataPoint { time_unix_nano: TIME_NS, value: Some(value), ..Default::default() };
    let sum = Sum {
        data_points: vec![number(number_data_point::Value::AsInt(7))],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    let gauge = Gauge { data_points: vec![number(number_data_point::Value::AsDouble(0.5))] };
    let buckets = HistogramDataPoint {
        time_unix_nano: TIME_NS,
        count: 3,
        sum: Some(4.0),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![0.5],
        ..Default::default()
    };
    let histogram = Histogram { data_points: vec![buckets], aggregation_temporality: 2 };
    let batch = decode(
        Signal::Metrics,
        &metrics(vec![
            metric("jobs.done", "{job}", metric::Data::Sum(sum)),
            metric("queue.fill", "1", metric::Data::Gauge(gauge)),
            metric("work", "s", metric::Data::Histogram(histogram)),
        ]),
    );
    let found: Vec<(String, Option<&str>, &Value)> = batch
        .points
        .iter()
        .map(|point| (point.labels.name().to_owned(), point.labels.get("le"), &point.sample.value))
        .collect();
    let expected = [
        ("jobs_done_total", None, 7.0),
        ("queue_fill_ratio", None, 0.5),
        ("work_seconds_bucket", Some("0.5"), 1.0),
        ("work_seconds_bucket", Some("+Inf"), 3.0),
        ("work_seconds_count", None, 3.0),
        ("work_seconds_sum", None, 4.0),
    ];
    assert_eq!(found.len(), expected.len());
    for ((name, le, value), (expected_name, expected_le, expected_value)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), *le, *value), (expected_name, expected_le, &Value::Float(expected_value)));
    }
}

#[test]
fn log_records_are_events_and_entities() {
    let entity = LogRecord {
        time_unix_nano: TIME_NS,
        observed_time_unix_nano: TIME_NS + 1,
        event_name: "entity.state".into(),
        attributes: vec![
            text("limpid.entity.id", "service:default/shop"),
            text("limpid.entity.kind", "service"),
            text("limpid.entity.name", "shop"),
            text("b", "2"),
            text("a", "1"),
        ],
        ..Default::default()
    };
    let event = LogRecord {
        time_unix_nano: TIME_NS,
        event_name: "oom".into(),
        body: Some(AnyValue { value: Some(any_value::Value::StringValue("killed".into())) }),
        ..Default::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![entity, event], ..Default::default() }];
    let resource_logs = vec![ResourceLogs { resource: resource(), scope_logs, ..Default::default() }];
    let batch = decode(Signal::Logs, &ExportLogsServiceRequest { resource_logs }.encode_to_vec());
    assert_eq!(batch.rejected, 0);
    let entity = &batch.entities[0];
    assert_eq!((entity.id.as_str(), entity.start_ns, entity.end_ns), ("service:default/shop", TIME_NS, TIME_NS + 1));
    assert_eq!((entity.attribute("a"), entity.attribute("b")), (Some("1"), Some("2")));
    let events = batch.events.expect("one event");
    assert_eq!(events.schema(), *limpid_model::schema::EVENTS);
    assert_eq!(
        (cell(&events, "name", 0).as_deref(), cell(&events, "service", 0).as_deref()),
        (Some("oom"), Some("shop"))
    );
}

#[test]
fn a_message_cut_anywhere_never_panics_and_says_so() {
    for (signal, message) in
        [(Signal::Traces, traces(vec![span(), span()])), (Signal::Metrics, metrics(vec![exponential(2, 0)]))]
    {
        for cut in 1..message.len() {
            let batch = decode(signal, &message[..cut]);
            assert!(batch.rejected > 0, "cut at {cut} of {} was taken whole", message.len());
        }
        for at in 0..message.len() {
            let mut damaged = message.clone();
            damaged[at] ^= 0xff;
            let _ = decode(signal, &damaged);
        }
    }
}
