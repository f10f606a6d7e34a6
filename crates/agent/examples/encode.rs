//! How fast spans are encoded on one core.

use limpid_agent::capture::Transport;
use limpid_agent::export::otlp::traces::{Message, ProcessSpans, messages};
use limpid_agent::telemetry::{Parent, Peer, Process, Span};
use limpid_model::request::Attribute;
use limpid_model::{Request, Side, Status};
use std::sync::Arc;
use std::time::Instant;

const SPANS: usize = 2048;

fn main() {
    let processes: Vec<_> = (0..20).map(process).collect();
    let requests: Vec<Request> = (0..SPANS).map(request).collect();
    let (mut best, mut bytes) = (f64::MAX, 0);
    for _ in 0..200 {
        let start = Instant::now();
        let mut groups: Vec<ProcessSpans> = processes.iter().map(ProcessSpans::new).collect();
        for (number, request) in requests.iter().enumerate() {
            let at = number % processes.len();
            groups[at].push(&span(number, request, &processes[at]));
        }
        bytes = messages(groups, "local").iter().map(Message::length).sum();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let per_span = best / SPANS as f64;
    println!("{:.2} million spans/s, {:.0} ns and {} bytes a span", 1e-6 / per_span, per_span * 1e9, bytes / SPANS);
}

fn process(number: usize) -> Arc<Process> {
    let attributes =
        ["service.name", "service.instance.id", "process.pid", "process.command_line", "host.name", "host.id"]
            .map(|name| (name.into(), format!("some value of {name} {number}").into()))
            .to_vec();
    let service = format!("service-{number}").into();
    Arc::new(Process { tgid: 1, start: 1, service, entity: "process:m/1-1".into(), attributes, own: false })
}

fn request(number: usize) -> Request {
    let mut request = Request::new("http", "GET");
    request.resource = Some("/cart/{id}".into());
    request.details_mut().resource_raw = Some(format!("/cart/{number}").into());
    request.code = Some("200".into());
    request.status = Status::Ok;
    request.details_mut().attributes = vec![
        ("network.protocol.version", Attribute::Text("1.1".into())),
        ("http.response.body.size", Attribute::Int(612)),
        ("user_agent.original", Attribute::Text("curl/8.14.1".into())),
    ];
    request
}

fn span<'a>(number: usize, request: &'a Request, process: &'a Arc<Process>) -> Span<'a> {
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent: Some(Parent { span_id: [3; 8], evidence: "connection" }),
        side: if number % 2 == 0 { Side::Server } else { Side::Client },
        request,
        start_ns: 1_763_000_000_000_000_000,
        first_byte_ns: Some(1_763_000_000_000_002_000),
        end_ns: 1_763_000_000_000_005_000,
        process,
        peer: Peer::Process { service: "checkout", entity: "process:3d1219c7c4c5404aaa1f6d2a48adfda4/123456-4242" },
        client: Some(([10, 0, 0, 1].into(), 40_000)),
        server: Some(([10, 0, 0, 2].into(), 80)),
        transport: Transport::Tcp,
        queue_ns: Some(250),
        sampling: None,
    }
}
