//! What leaves the agent: OTLP to a server, and Prometheus' formats for whoever asks.

pub mod client;
mod connect;
pub mod exporter;
pub mod otlp;
pub mod prometheus;
mod protobuf;

pub use exporter::Exporter;
