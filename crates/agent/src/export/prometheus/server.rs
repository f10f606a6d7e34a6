//! The HTTP server behind the agent's endpoint. A port that is taken is a degraded status and is tried again; it never
//! ends the agent.

use super::{native, text};
use crate::telemetry::Families;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const MAX_CONNECTIONS: usize = 32;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
const BIND_AGAIN: Duration = Duration::from_secs(10);

/// What `/status` and `/-/ready` say.
pub trait StatusSource: Send + Sync {
    /// One JSON object.
    fn status(&self) -> serde_json::Value;
    /// Why the agent is not ready; `None` when it is.
    fn not_ready(&self) -> Option<String>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointState {
    Starting,
    Listening(SocketAddr),
    Failed(String),
}

/// Stops listening when dropped.
pub struct Endpoint {
    state: Arc<Mutex<EndpointState>>,
    task: JoinHandle<()>,
}

struct Inner {
    families: Vec<Arc<dyn Families>>,
    status: Arc<dyn StatusSource>,
    /// Only this machine can reach it: then only this machine's names are answered (DNS rebinding).
    loopback: bool,
}

impl Endpoint {
    /// Must be called inside a tokio runtime.
    pub fn start(address: SocketAddr, families: Vec<Arc<dyn Families>>, status: Arc<dyn StatusSource>) -> Endpoint {
        let state = Arc::new(Mutex::new(EndpointState::Starting));
        let inner = Arc::new(Inner { families, status, loopback: address.ip().is_loopback() });
        let task = tokio::spawn(listen(address, inner, state.clone()));
        Endpoint { state, task }
    }

    pub fn state(&self) -> EndpointState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(address: SocketAddr, inner: Arc<Inner>, state: Arc<Mutex<EndpointState>>) {
    let set = |new: EndpointState| *state.lock().unwrap_or_else(PoisonError::into_inner) = new;
    let mut told = false;
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                let reason = format!("cannot listen on {address}: {error}; /metrics is not served");
                if !told {
                    log::warn!("{reason}");
                }
                told = true;
                set(EndpointState::Failed(reason));
            }
        }
        tokio::time::sleep(BIND_AGAIN).await;
    };
    set(EndpointState::Listening(listener.local_addr().unwrap_or(address)));
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let inner = inner.clone();
                tokio::spawn(async move {
                    serve(stream, inner).await;
                    drop(slot);
                });
            }
            // Out of descriptors, or the peer is gone already: the next one may be fine.
            Err(error) => {
                log::debug!("cannot accept on {address}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, inner: Arc<Inner>) {
    let service = service_fn(move |request| {
        let inner = inner.clone();
        async move { Ok::<_, Infallible>(answer(&inner, &request)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => log::debug!("a connection to the agent's endpoint ended: {error}"),
    }
}

fn answer(inner: &Inner, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here\n");
    }
    if inner.loopback && !names_this_machine(request) {
        return plain(StatusCode::FORBIDDEN, "unknown host name\n");
    }
    match request.uri().path() {
        "/metrics" => metrics(inner, request),
        "/status" => with_type(StatusCode::OK, "application/json", inner.status.status().to_string()),
        "/-/healthy" => plain(StatusCode::OK, "healthy\n"),
        "/-/ready" => match inner.status.not_ready() {
            None => plain(StatusCode::OK, "ready\n"),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n")),
        },
        _ => plain(StatusCode::NOT_FOUND, "not found; there are /metrics, /status, /-/healthy and /-/ready\n"),
    }
}

fn metrics(inner: &Inner, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let families: Vec<_> = inner.families.iter().flat_map(|source| source.families()).collect();
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if wants_protobuf(accept) {
        return with_type(StatusCode::OK, native::CONTENT_TYPE, native::encode(&families));
    }
    with_type(StatusCode::OK, text::CONTENT_TYPE, text::encode(&families))
}

/// Prometheus lists protobuf first when it scrapes native histograms; a lower weight than the text's is respected.
fn wants_protobuf(accept: &str) -> bool {
    let weight = |what: &str| {
        let item = accept.split(',').find(|item| item.contains(what))?;
        let weight = item.split(';').find_map(|part| part.trim().strip_prefix("q="));
        Some(weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    };
    let proto: Option<f32> = weight("io.prometheus.client.MetricFamily");
    let text = weight("text/plain").unwrap_or(0.0);
    proto.is_some_and(|proto| proto > 0.0 && proto >= text)
}

fn names_this_machine(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn plain(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    with_type(status, "text/plain; charset=utf-8", body.to_owned())
}

fn with_type(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negotiation() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert!(wants_protobuf(prometheus));
        for text in
            ["", "*/*", "text/plain", "text/plain;q=0.9,application/x;proto=io.prometheus.client.MetricFamily;q=0.1"]
        {
            assert!(!wants_protobuf(text), "{text}");
        }
    }
}
