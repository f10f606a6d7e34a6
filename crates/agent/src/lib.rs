//! The agent: watches from the kernel, and turns what it sees into requests, metrics, spans and entities.
//!
//! The way of the data: `collectors` (BPF, one folder each) → `pipeline` (joins the two views of a connection, drives
//! the protocol engine, aggregates, samples) → `export` (OTLP, Prometheus). `identity` says who a process is.

pub mod capture;
pub mod check;
pub mod collectors;
pub mod export;
pub mod identity;
pub mod losses;
mod own;
pub mod pipeline;
pub mod privileges;
mod reload;
mod run;
pub mod self_status;
pub mod telemetry;
mod tls_status;

pub use run::{Config, run};
