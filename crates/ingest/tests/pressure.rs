//! What a sender is told when the store takes nothing: to come again, and when.

use bytes::{Buf, BufMut, Bytes};
use limpid_ingest::{Ingest, decode, router, serve_tcp};
use limpid_store::embedded::{EmbeddedStore, Options};
use limpid_tls::Listener;
use prost::Message;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Request, Status};

/// google.rpc.Status, with its details still encoded.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

fn retry_seconds(status: &[u8]) -> Option<i64> {
    let status = RpcStatus::decode(status).expect("a google.rpc.Status");
    let retry = status.details.iter().find(|any| any.type_url == "type.googleapis.com/google.rpc.RetryInfo")?;
    RetryInfo::decode(&retry.value[..]).expect("a RetryInfo").retry_delay.map(|delay| delay.seconds)
}

struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(source.copy_to_bytes(source.remaining())))
    }
}

/// A store that must leave the whole disk free takes nothing.
fn full() -> (tempfile::TempDir, Arc<Ingest>) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { min_free_ratio: 1.0, ..Options::default() };
    let store = EmbeddedStore::open(folder.path(), options, decode).expect("a store");
    (folder, Ingest::new(Arc::new(store), None))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

async fn export(address: SocketAddr, message: Bytes) -> Result<(), Status> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut grpc = tonic::client::Grpc::new(endpoint.connect_lazy());
    grpc.ready().await.expect("a connection");
    let path = http::uri::PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    grpc.unary(Request::new(message), path, Raw).await.map(drop)
}

#[tokio::test]
async fn a_full_store_answers_grpc_with_a_time_to_come_again() {
    let (_folder, ingest) = full();
    let (listener, address) = listener().await;
    let server =
        tokio::spawn(serve_tcp(Listener::new(listener, None).unwrap(), ingest.clone(), std::future::pending()));
    let refused = export(address, Bytes::new()).await.expect_err("no room");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("must stay free"), "{refused}");
    assert_eq!(retry_seconds(refused.details()), Some(10));
    assert_eq!(ingest.stats.failed.load(Ordering::Relaxed), 1);
    server.abort();
}

async fn post(address: SocketAddr, content_type: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    (String::from_utf8_lossy(&answer[..body]).to_lowercase(), answer[body..].to_vec())
}

#[tokio::test]
async fn a_full_store_answers_http_with_503_and_retry_after_and_a_bad_request_without() {
    let (_folder, ingest) = full();
    let (listener, address) = listener().await;
    let server = tokio::spawn(async move { axum::serve(listener, router(ingest)).await });
    let (head, body) = post(address, "application/x-protobuf").await;
    assert!(head.starts_with("http/1.1 503") && head.contains("\r\nretry-after: 10\r\n"), "{head}");
    assert_eq!(retry_seconds(&body), Some(10));
    let (head, body) = post(address, "text/html").await;
    assert!(head.starts_with("http/1.1 415") && !head.contains("retry-after"), "{head}");
    assert_eq!(retry_seconds(&body), None);
    server.abort();
}
