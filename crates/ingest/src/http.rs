//! OTLP over HTTP, binary protobuf. Source: OTLP specification 1.x, "OTLP/HTTP".

use crate::{BATCH_ID, Ingest, MAX_MESSAGE_BYTES, Refusal, parse_batch_id, response};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use limpid_model::batch::Signal;
use std::io::Read;
use std::sync::Arc;

pub fn router(ingest: Arc<Ingest>) -> axum::Router {
    let signal = |signal| post(move |state, request| export(signal, state, request));
    axum::Router::new()
        .route("/v1/traces", signal(Signal::Traces))
        .route("/v1/metrics", signal(Signal::Metrics))
        .route("/v1/logs", signal(Signal::Logs))
        .with_state(ingest)
}

async fn export(signal: Signal, State(ingest): State<Arc<Ingest>>, request: Request<Body>) -> Response {
    match take(signal, &ingest, request).await {
        Ok(rejected) => ([(header::CONTENT_TYPE, "application/x-protobuf")], response(rejected)).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// The status and, as OTLP wants it, a protobuf `Status` that says why and when to come again.
fn refused(refusal: &Refusal) -> Response {
    let body = ([(header::CONTENT_TYPE, "application/x-protobuf")], refusal.encode());
    match refusal.retry_after() {
        Some(after) => {
            (refusal.http_status(), [(header::RETRY_AFTER, after.as_secs().to_string())], body).into_response()
        }
        None => (refusal.http_status(), body).into_response(),
    }
}

async fn take(signal: Signal, ingest: &Arc<Ingest>, request: Request<Body>) -> Result<u64, Refusal> {
    let headers = request.headers();
    if !ingest.admits(text(headers, "authorization")) {
        return Err(Refusal::Unauthenticated);
    }
    let kind = text(headers, "content-type").unwrap_or_default();
    if !kind.starts_with("application/x-protobuf") {
        let text = format!("content type `{kind}` is not read here, send application/x-protobuf");
        return Err(Refusal::UnknownType(text));
    }
    let encoding = text(headers, "content-encoding").unwrap_or("identity").to_owned();
    let batch_id = text(headers, BATCH_ID).and_then(parse_batch_id);
    let body = axum::body::to_bytes(request.into_body(), MAX_MESSAGE_BYTES)
        .await
        .map_err(|error| Refusal::TooLong(format!("the body cannot be read: {error}")))?;
    let payload = decompress(&encoding, body)?;
    ingest.take(signal, batch_id, payload).await
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn decompress(encoding: &str, body: Bytes) -> Result<Bytes, Refusal> {
    match encoding {
        "identity" => Ok(body),
        "gzip" => {
            let mut plain = Vec::new();
            let read =
                flate2::read::GzDecoder::new(&body[..]).take(MAX_MESSAGE_BYTES as u64 + 1).read_to_end(&mut plain);
            match read {
                Ok(length) if length <= MAX_MESSAGE_BYTES => Ok(plain.into()),
                Ok(_) => Err(Refusal::TooLong(format!("more than {MAX_MESSAGE_BYTES} bytes"))),
                Err(error) => Err(Refusal::Malformed(format!("the body is not gzip: {error}"))),
            }
        }
        other => Err(Refusal::UnknownType(format!("content encoding `{other}` is not read here, send gzip"))),
    }
}
