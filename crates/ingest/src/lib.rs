//! OTLP in, over gRPC and HTTP: limits, back-pressure, decoding into the model's batches, and the store's
//! acknowledgement back to the sender. Nothing is acknowledged before the store has it on disk.

mod attributes;
mod columns;
mod foreign;
mod grpc;
mod http;
mod logs;
mod metrics;
mod names;
mod refusal;
mod traces;
mod wire;

use bytes::Bytes;
use limpid_model::batch::{Batch, Signal};
use limpid_store::{Store, StoreError, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

pub use grpc::{serve_tcp, serve_unix};
pub use http::router;
pub use refusal::Refusal;

/// One message, decompressed.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// Messages that are decoded or wait for the log at the same time, and their bytes; further ones are told to come back.
const MAX_IN_FLIGHT: usize = 32;
const MAX_IN_FLIGHT_BYTES: usize = 64 << 20;
/// The metadata key (gRPC) or header (HTTP) of a batch's id: 32 hex digits. Retries carry the same.
pub const BATCH_ID: &str = "limpid-batch-id";

/// Reads one OTLP message: the same function for what arrives and for what the log replays.
pub fn decode(signal: Signal, message: &[u8]) -> Batch {
    match signal {
        Signal::Traces => traces::decode(message),
        Signal::Metrics => metrics::decode(message),
        Signal::Logs => logs::decode(message),
        Signal::Profiles => Batch { rejected: 1, ..Batch::default() },
    }
}

/// Figures of the input, for `/metrics` and the status page.
#[derive(Default)]
pub struct Stats {
    pub messages: AtomicU64,
    pub bytes: AtomicU64,
    pub spans: AtomicU64,
    pub points: AtomicU64,
    /// Parts of messages that could not be understood.
    pub rejected: AtomicU64,
    /// Messages sent back because too many were in flight.
    pub refused: AtomicU64,
    /// Messages that the store did not take.
    pub failed: AtomicU64,
}

pub struct Ingest {
    store: Arc<dyn Store>,
    in_flight: Arc<Semaphore>,
    bytes_in_flight: Arc<Semaphore>,
    pub stats: Arc<Stats>,
    admits: Option<Admits>,
}

/// Whether a sender is let in, by the bearer token that it shows.
pub type Admits = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

impl Ingest {
    /// Without `admits` everybody may send.
    pub fn new(store: Arc<dyn Store>, admits: Option<Admits>) -> Arc<Self> {
        let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let bytes_in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT_BYTES));
        Arc::new(Ingest { store, in_flight, bytes_in_flight, stats: Arc::default(), admits })
    }

    /// The same input for senders that were let in by other means: the permissions of a Unix socket, a certificate.
    pub fn trusted(&self) -> Arc<Self> {
        Arc::new(Ingest {
            store: self.store.clone(),
            in_flight: self.in_flight.clone(),
            bytes_in_flight: self.bytes_in_flight.clone(),
            stats: self.stats.clone(),
            admits: None,
        })
    }

    /// Whether an `authorization` header lets its sender in.
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        self.admits.as_ref().is_none_or(|admits| admits(token))
    }

    /// Takes one message; returns how much of it was rejected.
    pub async fn take(
        self: &Arc<Self>,
        signal: Signal,
        batch_id: Option<[u8; 16]>,
        payload: Bytes,
    ) -> Result<u64, Refusal> {
        let permits = (self.in_flight.try_acquire(), self.bytes_in_flight.try_acquire_many(payload.len() as u32));
        let (Ok(_message), Ok(_bytes)) = permits else {
            self.stats.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::Busy(format!(
                "{MAX_IN_FLIGHT} messages or {} MiB are being stored, come back in a second",
                MAX_IN_FLIGHT_BYTES >> 20
            )));
        };
        let ingest = self.clone();
        let stored = tokio::task::spawn_blocking(move || ingest.store_message(signal, batch_id, payload)).await;
        stored.unwrap_or_else(|error| Err(Refusal::Failed(format!("storing the message failed: {error}"))))
    }

    fn store_message(&self, signal: Signal, batch_id: Option<[u8; 16]>, payload: Bytes) -> Result<u64, Refusal> {
        let batch = decode(signal, &payload);
        let rejected = batch.rejected;
        self.count(&batch, payload.len());
        self.store.write(Write { signal, batch_id, payload, batch }).map_err(|error| {
            self.stats.failed.fetch_add(1, Ordering::Relaxed);
            match error {
                StoreError::Full(text) => Refusal::Full(text),
                StoreError::TooMuch(text) => Refusal::TooLong(text),
                other => Refusal::Failed(other.to_string()),
            }
        })?;
        Ok(rejected)
    }

    fn count(&self, batch: &Batch, bytes: usize) {
        let add = |counter: &AtomicU64, by: usize| counter.fetch_add(by as u64, Ordering::Relaxed);
        add(&self.stats.messages, 1);
        add(&self.stats.bytes, bytes);
        add(&self.stats.spans, batch.spans.as_ref().map_or(0, |spans| spans.num_rows()));
        add(&self.stats.points, batch.points.len());
        add(&self.stats.rejected, batch.rejected as usize);
    }
}

/// 32 hex digits as 16 bytes.
pub fn parse_batch_id(text: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(id)
}

/// `Export…ServiceResponse`: empty, or with `partial_success { rejected = 1, error_message = 2 }`.
fn response(rejected: u64) -> Vec<u8> {
    if rejected == 0 {
        return Vec::new();
    }
    let message = b"parts of the message could not be understood";
    let mut partial = vec![0x08];
    push_varint(rejected, &mut partial);
    partial.push(0x12);
    push_varint(message.len() as u64, &mut partial);
    partial.extend_from_slice(message);
    let mut response = vec![0x0a];
    push_varint(partial.len() as u64, &mut response);
    response.extend_from_slice(&partial);
    response
}

fn push_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
