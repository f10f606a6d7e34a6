//! What leaves the agent: OTLP to a server, and Prometheus' formats for whoever asks.

mod backlog;
mod batch;
pub mod client;
mod connect;
pub mod exporter;
pub mod otlp;
pub mod prometheus;
mod protobuf;
pub mod spool;

pub use exporter::Exporter;
