//! The exporter against a gRPC server that answers as it is told, and the agent's own endpoint over real HTTP.

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use limpid_agent::export::Exporter;
use limpid_agent::export::exporter::{Config, Sources, Spans};
use limpid_agent::export::otlp::Agent;
use limpid_agent::export::otlp::traces::ProcessSpans;
use limpid_agent::export::prometheus::{Endpoint, EndpointState, StatusSource};
use limpid_agent::identity::Identity;
use limpid_agent::identity::host::Host;
use limpid_agent::losses;
use limpid_agent::telemetry::{Families, FamilySnapshot, Measure, SeriesSnapshot};
use limpid_model::{ExpHistogram, Text};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// (path, batch id, message)
type Call = (String, String, Vec<u8>);

#[derive(Default)]
struct Recorder {
    calls: Mutex<Vec<Call>>,
    /// gRPC status codes for the next calls; then 0.
    answers: Mutex<Vec<u32>>,
}

impl Recorder {
    async fn serve(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let recorder = self.clone();
            async move { Ok::<_, Infallible>(recorder.answer(request).await) }
        });
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
    ) -> hyper::Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
        let path = request.uri().path().to_owned();
        let id = request.headers()["limpid-batch-id"].to_str().expect("text").to_owned();
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        self.calls.lock().expect("lock").push((path, id, body[5..].to_vec()));
        let code = self.answers.lock().expect("lock").pop().unwrap_or(0);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", code.into());
        // An empty message: nothing rejected.
        let data = (code == 0).then(|| Frame::data(Bytes::from_static(&[0; 5])));
        let frames: Vec<Result<_, Infallible>> = data.into_iter().chain([Frame::trailers(trailers)]).map(Ok).collect();
        let mut response = hyper::Response::new(StreamBody::new(tokio_stream::iter(frames)));
        response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
        response
    }

    fn of(&self, signal: &str) -> Vec<Call> {
        self.calls.lock().expect("lock").iter().filter(|(path, ..)| path.contains(signal)).cloned().collect()
    }
}

struct NoSpans;

impl Spans for NoSpans {
    fn drain(&self) -> Vec<ProcessSpans> {
        Vec::new()
    }
    fn waiting(&self) -> usize {
        0
    }
}

struct Fixed;

impl Families for Fixed {
    fn families(&self) -> Vec<FamilySnapshot> {
        let mut histogram = ExpHistogram::default();
        (1..=1000u64).for_each(|value| histogram.record_ns(value * 1_000_000));
        let series = |measure| SeriesSnapshot {
            values: vec![Text::from("a\"b\\c\nd"), Text::default()].into(),
            start_ns: 1_500_000_000,
            measure,
            ended: false,
        };
        let family = |name, unit, measure| FamilySnapshot {
            name,
            unit,
            help: "help",
            labels: &["service", "peer.address"],
            series: vec![series(measure)],
        };
        vec![
            family("limpid.request.duration", "s", Measure::Histogram(histogram)),
            family("limpid.losses", "{event}", Measure::Counter(7)),
            family("process.cpu.time", "s", Measure::CounterFloat(1.5)),
        ]
    }
}

impl StatusSource for Fixed {
    fn status(&self) -> serde_json::Value {
        serde_json::json!({"version": "x"})
    }
    fn not_ready(&self) -> Option<String> {
        Some("nothing runs".into())
    }
}

fn exporter(server: &str) -> Exporter {
    let mut config = Config::new(server, Agent::new(&Host::read(), "local"));
    config.metrics_every = Duration::from_millis(200);
    let identity = Identity::start();
    let sources =
        Sources { spans: Arc::new(NoSpans), families: vec![Arc::new(Fixed)], identity, status: Arc::new(Fixed) };
    Exporter::start(config, sources).expect("starts")
}

async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_later_and_stumbles() {
    let folder = std::env::temp_dir().join(format!("limpid-export-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("made");
    let socket = folder.join("otlp.sock");
    let exporter = exporter(&format!("unix://{}", socket.display()));
    wait_for("an error to be shown", || exporter.status().last_error.is_some()).await;
    wait_for("batches to wait", || exporter.status().queued_batches > 2).await;
    // 14 is UNAVAILABLE: to be tried again; 3 is INVALID_ARGUMENT: never.
    let recorder = Arc::new(Recorder { answers: Mutex::new(vec![3, 14, 14]), ..Recorder::default() });
    let lost = losses::EXPORT_FAILED.get();
    let listener = tokio::net::UnixListener::bind(&socket).expect("bind");
    let for_server = recorder.clone();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(for_server.clone().serve(stream));
        }
    });
    wait_for("the queue to empty", || exporter.status().queued_batches == 0 && exporter.status().sent_batches > 5)
        .await;
    assert!(exporter.status().last_error.is_none() && exporter.status().last_success_ns > 0);
    assert!(losses::EXPORT_FAILED.get() > lost, "what was refused for good is counted");
    let calls = recorder.calls.lock().expect("lock").clone();
    let ids: Vec<&str> = calls.iter().map(|(_, id, _)| id.as_str()).collect();
    assert_eq!((ids[0], ids[1]), (ids[1], ids[2]), "the same batch keeps its id");
    assert_eq!(calls[0].2, calls[2].2);
    assert_ne!(ids[2], ids[3], "refused for good: the next one");
    assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
    let metrics = recorder.of("MetricsService");
    let decoded = ExportMetricsServiceRequest::decode(&*metrics[0].2).expect("decodes");
    assert_eq!(decoded.resource_metrics[0].scope_metrics[0].metrics.len(), 3);
    assert!(!recorder.of("LogsService").is_empty());
    let before = recorder.of("MetricsService").len();
    exporter.finish(Duration::from_secs(2)).await;
    assert!(recorder.of("MetricsService").len() > before, "the end sends what there is");
    server.abort();
    std::fs::remove_dir_all(&folder).expect("removed");
}

fn get(address: std::net::SocketAddr, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = std::net::TcpStream::connect(address).expect("connects");
    write!(stream, "GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n").expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    (String::from_utf8_lossy(&answer[..at]).into_owned(), answer[at + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_own_endpoint() {
    let families: Vec<Arc<dyn Families>> = vec![Arc::new(Fixed)];
    let endpoint = Endpoint::start("127.0.0.1:0".parse().expect("address"), families.clone(), Arc::new(Fixed));
    wait_for("the endpoint", || matches!(endpoint.state(), EndpointState::Listening(_))).await;
    let EndpointState::Listening(address) = endpoint.state() else { panic!("{:?}", endpoint.state()) };

    let (head, body) = get(address, "/metrics", "Host: localhost\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"), "{head}");
    let body = String::from_utf8(body).expect("text");
    for line in [
        "# TYPE limpid_request_duration_seconds histogram",
        "limpid_request_duration_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"+Inf\"} 1000",
        "limpid_request_duration_seconds_bucket{service=\"a\\\"b\\\\c\\nd\",le=\"60\"} 1000",
        "limpid_request_duration_seconds_count{service=\"a\\\"b\\\\c\\nd\"} 1000",
        "# TYPE limpid_losses_total counter",
        "limpid_losses_total{service=\"a\\\"b\\\\c\\nd\"} 7",
        "process_cpu_time_seconds_total{service=\"a\\\"b\\\\c\\nd\"} 1.5",
    ] {
        assert!(body.lines().any(|have| have == line), "{line} is not in\n{body}");
    }

    let accept = "Host: localhost\r\nAccept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n";
    let (head, body) = get(address, "/metrics", accept);
    assert!(head.contains("application/vnd.google.protobuf"), "{head}");
    let mut rest = body.as_slice();
    let mut families_seen = Vec::new();
    while !rest.is_empty() {
        families_seen.push(client::MetricFamily::decode_length_delimited(&mut rest).expect("decodes"));
    }
    let names: Vec<_> = families_seen.iter().map(|family| (family.name(), family.r#type())).collect();
    assert_eq!(
        names,
        [("limpid_request_duration_seconds", 4), ("limpid_losses_total", 0), ("process_cpu_time_seconds_total", 0)]
    );
    let histogram = families_seen[0].metric[0].histogram.as_ref().expect("a histogram");
    assert_eq!((histogram.sample_count(), histogram.schema()), (1000, 3));
    let buckets: u64 = histogram.positive_span.iter().map(|span| u64::from(span.length())).sum();
    assert_eq!(buckets, histogram.positive_delta.len() as u64);
    let total = histogram.positive_delta.iter().scan(0i64, |count, delta| {
        *count += delta;
        Some(*count)
    });
    assert_eq!(total.sum::<i64>(), 1000);

    assert_eq!(get(address, "/status", "Host: localhost\r\n").1, br#"{"version":"x"}"#);
    assert!(get(address, "/-/healthy", "Host: 127.0.0.1:7118\r\n").0.starts_with("HTTP/1.1 200"));
    let (head, body) = get(address, "/-/ready", "Host: [::1]:7118\r\n");
    assert!(head.starts_with("HTTP/1.1 503") && body == b"nothing runs\n", "{head}");
    assert!(get(address, "/metrics", "Host: evil.example\r\n").0.starts_with("HTTP/1.1 403"));
    assert!(get(address, "/other", "Host: localhost\r\n").0.starts_with("HTTP/1.1 404"));

    let second = Endpoint::start(address, families, Arc::new(Fixed));
    wait_for("the failure", || matches!(second.state(), EndpointState::Failed(_))).await;
    assert!(matches!(second.state(), EndpointState::Failed(reason) if reason.contains("cannot listen on")));
}

/// `io.prometheus.client`, as far as it is written; field numbers from prometheus/client_model, metrics.proto.
mod client {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricFamily {
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        #[prost(int32, optional, tag = "3")]
        pub r#type: Option<i32>,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metric {
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        #[prost(sint32, optional, tag = "5")]
        pub schema: Option<i32>,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<BucketSpan>,
        #[prost(sint64, repeated, tag = "13")]
        pub positive_delta: Vec<i64>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct BucketSpan {
        #[prost(sint32, optional, tag = "1")]
        pub offset: Option<i32>,
        #[prost(uint32, optional, tag = "2")]
        pub length: Option<u32>,
    }
}
