//! TLS by files: certificates and keys that are read again when they change, the listener of a server, the connection of
//! a client. The only crate that knows rustls.

mod client;
mod files;
mod listener;
mod server;
mod validity;

pub use client::{ClientFiles, ClientTls};
pub use files::TlsError;
pub use listener::{Connection, Listener};
pub use server::{ServerFiles, ServerTls};

use std::sync::Arc;

/// Protocols that are offered in the handshake.
pub const HTTP1: &[u8] = b"http/1.1";
pub const HTTP2: &[u8] = b"h2";

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
