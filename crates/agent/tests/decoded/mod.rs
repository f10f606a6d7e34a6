//! What the pipeline has encoded, read again with OpenTelemetry's own types.

use limpid_agent::export::otlp::traces::{ProcessSpans, messages};
use limpid_model::{Request, Side, Status};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;

pub struct Span {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub side: Side,
    pub request: Request,
    pub server_port: Option<i64>,
    pub queue_ns: Option<i64>,
}

pub fn spans(waiting: Vec<ProcessSpans>) -> Vec<Span> {
    let mut spans = Vec::new();
    for message in messages(waiting, "local") {
        let decoded = ExportTraceServiceRequest::decode(&*message.parts.concat()).expect("a message");
        let of_scopes = decoded.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let decoded: Vec<Span> = of_scopes.flat_map(|scope| &scope.spans).map(span).collect();
        assert_eq!(decoded.len(), message.spans);
        spans.extend(decoded);
    }
    spans
}

fn span(span: &v1::Span) -> Span {
    let value = |name: &str| span.attributes.iter().find(|pair| pair.key == name)?.value.clone()?.value;
    let text = |name: &str| match value(name) {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    };
    let int = |name: &str| match value(name) {
        Some(Value::IntValue(number)) => Some(number),
        _ => None,
    };
    let mut request = Request::new("", text("limpid.operation").expect("an operation"));
    request.code = text("limpid.code").map(Into::into);
    request.status = match (text("limpid.unanswered.reason"), &span.status) {
        (Some(_), _) => Status::Unanswered,
        (None, Some(status)) if status.code == 2 => Status::Error,
        _ => Status::Ok,
    };
    (request.start_ns, request.end_ns) = (span.start_time_unix_nano, span.end_time_unix_nano);
    Span {
        trace_id: span.trace_id.as_slice().try_into().expect("16 bytes"),
        span_id: span.span_id.as_slice().try_into().expect("8 bytes"),
        parent_span_id: span.parent_span_id.as_slice().try_into().ok(),
        side: if span.kind == 2 { Side::Server } else { Side::Client },
        request,
        server_port: int("server.port"),
        queue_ns: int("limpid.queue_ns"),
    }
}
