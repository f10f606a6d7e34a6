//! The connection to the server: tonic's own, or TLS over TCP.

use http::Uri;
use hyper_util::rt::TokioIo;
use limpid_tls::{ClientFiles, ClientTls, HTTP2};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

/// Connects when it is first used, and again after every loss.
pub fn channel(endpoint: Endpoint, files: ClientFiles) -> Result<Channel, String> {
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint.connect_lazy());
    }
    let tls = Arc::new(ClientTls::load(files, HTTP2).map_err(|error| error.0)?);
    Ok(endpoint.connect_with_connector_lazy(tower::service_fn(move |uri| encrypted(tls.clone(), uri))))
}

type Encrypted = TokioIo<tokio_rustls::client::TlsStream<TcpStream>>;

async fn encrypted(tls: Arc<ClientTls>, uri: Uri) -> io::Result<Encrypted> {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let mut stream = tls.connect(stream, bare).await?;
    tls.hear(&mut stream, bare).await?;
    Ok(TokioIo::new(stream))
}
