//! A TCP listener, encrypted or not. Handshakes run beside each other, so that one that is slow keeps nobody waiting.

use crate::server::ServerTls;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Open at the same time at one address: further ones wait, so that descriptors are left for the store's files.
const MAX_CONNECTIONS: usize = 1024;
/// After an error of accepting: usually there are no descriptors left.
const PAUSE: Duration = Duration::from_millis(200);

/// What was accepted, ready for HTTP.
pub struct Connection {
    stream: Stream,
    _slot: OwnedSemaphorePermit,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Stops listening when dropped.
pub struct Listener {
    local: SocketAddr,
    accepted: mpsc::Receiver<(Connection, SocketAddr)>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Must be called inside a tokio runtime.
    pub fn new(listener: TcpListener, tls: Option<Arc<ServerTls>>) -> io::Result<Self> {
        let local = listener.local_addr()?;
        let (sender, accepted) = mpsc::channel(1);
        let task = tokio::spawn(accept_all(listener, tls, sender));
        Ok(Listener { local, accepted, task })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<Option<(Connection, SocketAddr)>> {
        self.accepted.poll_recv(context)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Accepted = mpsc::Sender<(Connection, SocketAddr)>;

async fn accept_all(listener: TcpListener, tls: Option<Arc<ServerTls>>, accepted: Accepted) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(found) => found,
            Err(error) => {
                log::debug!("cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let Some(tls) = &tls else {
            if accepted.send((Connection { stream: Stream::Plain(stream), _slot: slot }, peer)).await.is_err() {
                return;
            }
            continue;
        };
        let (config, accepted) = (tls.config(), accepted.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsAcceptor::from(config).accept(stream)).await {
                Ok(Ok(stream)) => {
                    let connection = Connection { stream: Stream::Tls(Box::new(stream)), _slot: slot };
                    let _ = accepted.send((connection, peer)).await;
                }
                Ok(Err(error)) => log::debug!("the TLS handshake with {peer} failed: {error}"),
                Err(_) => log::debug!("{peer} did not finish the TLS handshake"),
            }
        });
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
