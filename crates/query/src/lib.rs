//! Answers about what the store holds: PromQL over the series, the map, traces and entities.
//!
//! Every answer is a plain value with `serde::Serialize`; the names of its fields are those of the HTTP API, whose
//! routes and parameters are the server's affair. Nothing here writes, and nothing knows how the store lays out its
//! files: metrics come through [`limpid_model::SeriesSource`], spans and entities through [`limpid_store::Store`].

pub mod entities;
mod error;
pub mod promql;
mod span_rows;
pub mod topology;
pub mod traces;

pub use error::{ErrorKind, QueryError};
pub use span_rows::{SpanKind, SpanStatus};
