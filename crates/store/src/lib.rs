//! Where telemetry stays. [`Store`] is what ingest writes to and query reads from; only this crate knows the layout.

pub mod embedded;
pub mod memory;

use arrow_array::RecordBatch;
use bytes::Bytes;
use limpid_model::batch::{Batch, Signal};
use limpid_model::{Entity, SeriesSource};

/// Turns a logged OTLP payload back into what it means, when the log is replayed after a crash.
pub type Decode = fn(Signal, &[u8]) -> Batch;

/// One acknowledged unit: an OTLP message as it came, and what it means.
pub struct Write {
    pub signal: Signal,
    /// Retries carry the same id and are dropped as duplicates for a day.
    pub batch_id: Option<[u8; 16]>,
    /// The message as `Decode` reads it: an uncompressed OTLP `Export…ServiceRequest`.
    pub payload: Bytes,
    pub batch: Batch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    Stored,
    Duplicate,
}

pub trait Store: SeriesSource {
    /// Returns once the batch is on disk (group commit). Blocks: call it off the async threads.
    fn write(&self, write: Write) -> Result<Written, StoreError>;
    /// Spans that match, in the asked order, with the schema `limpid_model::schema::SPANS`.
    fn spans(&self, query: &SpanQuery) -> Result<Vec<RecordBatch>, StoreError>;
    /// Gives every span that matches, some thousand at a time and in no order, until `each` says false. The query's
    /// order, limit and selection do not matter. `columns` are what is read: those of `schema::SPANS`, and attributes as
    /// `attributes.<name>`, which are numbers or a dictionary of JSON texts. What none of the rows has may be missing.
    fn each_span(
        &self,
        query: &SpanQuery,
        columns: &[&str],
        each: &mut dyn FnMut(&RecordBatch) -> bool,
    ) -> Result<(), StoreError>;
    /// All spans of one trace.
    fn trace(&self, trace_id: [u8; 16]) -> Result<Vec<RecordBatch>, StoreError>;
    /// Events that match, newest first.
    fn events(&self, query: &EventQuery) -> Result<Vec<RecordBatch>, StoreError>;
    /// Entity states whose interval touches this one.
    fn entities(&self, start_ns: u64, end_ns: u64) -> Result<Vec<Entity>, StoreError>;
    fn status(&self) -> StoreStatus;
    /// Syncs and closes: afterwards every write fails.
    fn close(&self);
}

#[derive(Clone, Debug, Default)]
pub struct SpanQuery {
    pub start_ns: u64,
    pub end_ns: u64,
    /// Equalities on columns of `schema::PROMOTED` (by column name) and on `name`.
    pub columns: Vec<(String, String)>,
    /// Equalities on attributes, span or resource; the value as text.
    pub attributes: Vec<(String, String)>,
    pub min_duration_ns: Option<u64>,
    pub max_duration_ns: Option<u64>,
    /// Only spans whose status is an error.
    pub errors: bool,
    pub order: Order,
    pub limit: usize,
    /// The columns that are read; the answer has no others. All when none are named.
    pub select: Option<&'static [&'static str]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Newest,
    Slowest,
}

#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    pub start_ns: u64,
    pub end_ns: u64,
    pub name: Option<String>,
    pub entity: Option<String>,
    pub limit: usize,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct StoreStatus {
    pub path: String,
    pub format: u32,
    pub bytes: u64,
    pub log_bytes: u64,
    pub free_bytes: u64,
    pub spans: u64,
    pub series: u64,
    pub oldest_ns: Option<u64>,
    /// What the bytes are: spans, events, metrics, and the log before them.
    pub parts: Vec<StorePart>,
    /// How long telemetry is kept; 0 when it is not deleted for its age.
    pub retention_seconds: u64,
    /// How large the store may grow.
    pub max_bytes: u64,
    /// Counted causes: `torn_tail_bytes`, `duplicate_batches`, `damaged_files` …
    pub losses: Vec<(String, u64)>,
    /// Why writes are refused or the store is degraded, if so.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct StorePart {
    pub name: &'static str,
    pub bytes: u64,
    pub oldest_ns: Option<u64>,
}

#[derive(Debug)]
pub enum StoreError {
    /// The data folder cannot be used: what, where, what to do.
    Open(String),
    /// The disk is full or retention's free-space floor is reached: try again later.
    Full(String),
    Io(std::io::Error),
    Closed,
    /// The query would read or return more than its limit.
    TooMuch(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::Open(text) | StoreError::Full(text) | StoreError::TooMuch(text) => f.write_str(text),
            StoreError::Io(error) => error.fmt(f),
            StoreError::Closed => f.write_str("the store is closed"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<arrow_schema::ArrowError> for StoreError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        StoreError::Io(std::io::Error::other(error.to_string()))
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        StoreError::Io(error)
    }
}
