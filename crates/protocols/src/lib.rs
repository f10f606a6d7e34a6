//! Bytes in, requests out. No kernel, no clock, no tokio, no `unsafe`.
//!
//! [`connection::Connection`] is the engine: it orders what the capture delivers, detects the protocol, pins it, and
//! drives the protocol's [`Parser`]; [`datagrams::Datagrams`] does the same for UDP. `PROTOCOLS` is the one table of
//! protocols; a protocol is a file and a row in it.
#![forbid(unsafe_code)]

pub mod connection;
pub mod conventions;
pub mod datagrams;
mod detect;
#[cfg(test)]
mod detect_tests;
mod dns;
mod http;
mod http2;
mod lines;
mod mysql;
#[cfg(test)]
mod outstanding_tests;
pub mod parser;
pub mod pending;
mod postgresql;
pub mod protocols;
mod proxy;
mod quic;
#[cfg(test)]
mod recorded_tests;
pub mod redact;
mod redis;
pub mod route;
pub mod sql;
mod sql_trace;
mod statements;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod tls;
pub mod trace;

pub use connection::{Connection, Hints, Options};
pub use datagrams::Datagrams;
pub use parser::{Detection, Input, Outstanding, Parser, Sink, Step};
pub use protocols::{PROTOCOLS, Protocol};
pub use tls::certificate::Certificate;
