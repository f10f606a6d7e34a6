//! HTTP over a listener of ours, encrypted or not.

use axum::Router;
use axum::serve::ListenerExt;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;

struct Accepting(limpid_tls::Listener);

impl axum::serve::Listener for Accepting {
    type Io = limpid_tls::Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match poll_fn(|context| self.0.poll_accept(context)).await {
            Some(accepted) => accepted,
            // Nothing comes any more: the runtime is about to end.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }
}

/// Serves until `stop` resolves. Handlers find who asks in `ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: limpid_tls::Listener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(Accepting(listener).tap_io(|_| {}), router).with_graceful_shutdown(stop).await
}
