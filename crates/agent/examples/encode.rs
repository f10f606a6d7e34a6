//! How fast spans are encoded on one core.

use limpid_agent::capture::ConnectionKey;
use limpid_agent::export::otlp;
use limpid_agent::telemetry::{Peer, Process, Span};
use limpid_model::{Request, Side, Status};
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let processes: Vec<_> = (0..20).map(process).collect();
    let spans: Vec<Span> = (0..2048).map(|number| span(number, &processes[number % 20])).collect();
    let (mut best, mut bytes) = (f64::MAX, 0);
    for _ in 0..200 {
        let start = Instant::now();
        bytes = otlp::traces::encode(&spans, "local").len();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let per_span = best / spans.len() as f64;
    println!("{:.2} million spans/s, {} bytes a span", 1e-6 / per_span, bytes / spans.len());
}

fn process(number: usize) -> Arc<Process> {
    let attributes =
        ["service.name", "service.instance.id", "process.pid", "process.command_line", "host.name", "host.id"]
            .map(|name| (name.into(), format!("some value of {name} {number}").into()))
            .to_vec();
    let service = format!("service-{number}").into();
    Arc::new(Process { tgid: 1, start: 1, service, entity: "process:m/1-1".into(), attributes, own: false })
}

fn span(number: usize, process: &Arc<Process>) -> Span {
    let mut request = Request::new("http", "GET");
    request.resource = Some("/cart/{id}".into());
    request.details_mut().resource_raw = Some(format!("/cart/{number}").into());
    request.code = Some("200".into());
    request.status = Status::Ok;
    (request.start_ns, request.first_byte_ns, request.end_ns) =
        (1_763_000_000_000_000_000, Some(1_763_000_000_000_002_000), 1_763_000_000_000_005_000);
    Span {
        trace_id: [1; 16],
        span_id: [2; 8],
        parent_span_id: Some([3; 8]),
        side: if number % 2 == 0 { Side::Server } else { Side::Client },
        request,
        process: process.clone(),
        peer: Peer::Process {
            service: "checkout".into(),
            entity: "process:3d1219c7c4c5404aaa1f6d2a48adfda4/123456-4242".into(),
        },
        key: ConnectionKey::Unix(1, 2),
        client: Some(([10, 0, 0, 1].into(), 40_000)),
        server: Some(([10, 0, 0, 2].into(), 80)),
        queue_ns: Some(250),
    }
}
