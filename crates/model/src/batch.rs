//! What one OTLP message becomes on its way into the store.

use crate::Entity;
use crate::series::{Metadata, Point};
use arrow_array::RecordBatch;

/// The signals that are kept apart on disk, each with its own retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Signal {
    Traces = 1,
    Metrics = 2,
    Logs = 3,
    Profiles = 4,
}

impl Signal {
    pub fn from_number(number: u8) -> Option<Self> {
        [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Profiles]
            .into_iter()
            .find(|signal| *signal as u8 == number)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// With the columns of `schema::SPANS`, and attributes in columns of their own (`schema::ATTRIBUTE_PREFIX`).
    pub spans: Option<RecordBatch>,
    /// With the schema `schema::EVENTS`.
    pub events: Option<RecordBatch>,
    pub points: Vec<Point>,
    pub metadata: Vec<Metadata>,
    pub entities: Vec<Entity>,
    /// What of the message could not be understood, to be counted: spans without ids, unknown metric kinds …
    pub rejected: u64,
}
