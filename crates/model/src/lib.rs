//! What crosses between the parts of Limpid: requests, samples, spans, events and entities.
//!
//! This crate does no I/O, reads no clock and knows neither the kernel nor a file layout, so every other crate can
//! depend on it and every test can make its values by hand.

#[cfg(feature = "arrow")]
pub mod batch;
pub mod entity;
pub mod growth;
pub mod histogram;
pub mod names;
pub mod request;
#[cfg(feature = "arrow")]
pub mod schema;
pub mod series;

pub use entity::Entity;
pub use growth::Growth;
pub use histogram::ExpHistogram;
pub use request::{Details, Direction, Kind, Request, Side, Status, TraceContext, Unanswered};
pub use series::{Labels, Matcher, Sample, Series, SeriesSource, Value};

/// Short strings of up to 24 bytes live in place: methods, commands and codes never allocate.
pub type Text = compact_str::CompactString;
