//! One message on its way to the server, and the id that it keeps over all attempts.

use super::client::Signal;
use bytes::Bytes;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub signal: Signal,
    pub id: u128,
    /// In pieces, one after the other.
    pub payload: Vec<Bytes>,
    pub length: usize,
    /// Spans, points or entities in it: what is lost with it.
    pub items: u64,
}

impl Batch {
    pub fn new(signal: Signal, id: u128, payload: Vec<Bytes>, items: u64) -> Batch {
        let length = payload.iter().map(Bytes::len).sum();
        Batch { signal, id, payload, length, items }
    }

    /// As the server is told.
    pub fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }
}

/// 16 random bytes for the agent's life, and a count: never the same, also not after a restart.
pub struct BatchIds {
    start: u128,
    count: AtomicU64,
}

impl BatchIds {
    pub fn new() -> Result<BatchIds, String> {
        let mut bytes = [0u8; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
        Ok(BatchIds { start: u128::from_ne_bytes(bytes), count: AtomicU64::new(0) })
    }

    pub fn next(&self) -> u128 {
        self.start.wrapping_add(u128::from(self.count.fetch_add(1, Ordering::Relaxed)))
    }
}
