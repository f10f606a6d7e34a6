//! OTLP over gRPC, on TCP and on a Unix socket. The messages stay bytes: the store logs them as they came.

use crate::{BATCH_ID, Ingest, MAX_MESSAGE_BYTES, Refusal, parse_batch_id, response};
use bytes::{Buf, BufMut, Bytes};
use limpid_model::batch::Signal;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::body::Body;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

const PATHS: &[(&str, Signal)] = &[
    ("/opentelemetry.proto.collector.trace.v1.TraceService/Export", Signal::Traces),
    ("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Signal::Metrics),
    ("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Signal::Logs),
];

/// Serves gRPC on a listener that is bound already, until `stop` resolves.
pub async fn serve_tcp(
    listener: limpid_tls::Listener,
    ingest: Arc<Ingest>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    server().add_routes(routes(ingest)).serve_with_incoming_shutdown(Incoming(listener), stop).await
}

/// The connections of a listener as tonic wants them.
struct Incoming(limpid_tls::Listener);

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<Accepted>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(context).map(|found| found.map(|(connection, _)| Ok(Accepted(connection))))
    }
}

struct Accepted(limpid_tls::Connection);

/// Nothing is told of a connection to those who answer its requests.
impl tonic::transport::server::Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

pub async fn serve_unix(
    listener: tokio::net::UnixListener,
    ingest: Arc<Ingest>,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
    server().add_routes(routes(ingest)).serve_with_incoming_shutdown(incoming, stop).await
}

/// A usual message of spans, some 1.3 MB, is one frame and needs no window to be opened on its way: HTTP/2's defaults
/// would make 80 frames of it, each copied and accounted for by itself.
fn server() -> Server {
    Server::builder()
        .max_frame_size(2 << 20)
        .initial_stream_window_size(4 << 20)
        .initial_connection_window_size(8 << 20)
}

fn routes(ingest: Arc<Ingest>) -> tonic::service::Routes {
    let router = PATHS.iter().fold(axum::Router::new(), |router, (path, signal)| {
        router.route_service(path, Export { ingest: ingest.clone(), signal: *signal })
    });
    tonic::service::Routes::from(router)
}

#[derive(Clone)]
struct Export {
    ingest: Arc<Ingest>,
    signal: Signal,
}

impl tower::Service<http::Request<axum::body::Body>> for Export {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let unary = Unary(self.clone());
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(MAX_MESSAGE_BYTES);
            Ok(grpc.unary(unary, request).await)
        })
    }
}

struct Unary(Export);

impl tonic::server::UnaryService<Bytes> for Unary {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let Export { ingest, signal } = self.0.clone();
        Box::pin(async move {
            let text = |key: &str| request.metadata().get(key).and_then(|value| value.to_str().ok());
            if !ingest.admits(text("authorization")) {
                return Err(status(Refusal::Unauthenticated));
            }
            let batch_id = text(BATCH_ID).and_then(parse_batch_id);
            let rejected = ingest.take(signal, batch_id, request.into_inner()).await.map_err(status)?;
            Ok(Response::new(response(rejected)))
        })
    }
}

fn status(refusal: Refusal) -> Status {
    let text = refusal.to_string();
    match refusal.retry_after() {
        Some(_) => Status::with_details(refusal.code().into(), text, refusal.encode().into()),
        None => Status::new(refusal.code().into(), text),
    }
}

/// Bytes in, bytes out.
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
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
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = message.remaining();
        Ok(Some(message.copy_to_bytes(length)))
    }
}
