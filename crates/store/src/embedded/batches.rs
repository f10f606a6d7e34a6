//! The ids of the batches that were stored in the last ten minutes, so that a retry is not stored twice.
//!
//! Within one run they are known by heart; after a restart they come from the log's records and, for segments that
//! are gone, from the file `log/batches`, written before a segment is deleted.

use super::layout;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::Path;

const REMEMBERED_MS: u64 = 10 * 60 * 1000;
/// 24 bytes each in the file; a sender of 600 batches a second for ten minutes fits.
const MAX_REMEMBERED: usize = 400_000;
const ENTRY_BYTES: usize = 24;

#[derive(Default)]
pub struct Batches {
    times: HashMap<[u8; 16], u64>,
    order: VecDeque<([u8; 16], u64)>,
}

impl Batches {
    pub fn load(path: &Path, now_ms: u64) -> io::Result<Batches> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Batches::default()),
            Err(error) => return Err(error),
        };
        let mut batches = Batches::default();
        for entry in bytes.chunks_exact(ENTRY_BYTES) {
            let (Some(id), Some(time)) = (entry.first_chunk::<16>(), entry.last_chunk::<8>()) else { continue };
            batches.remember(*id, u64::from_le_bytes(*time), now_ms);
        }
        Ok(batches)
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.order.len() * ENTRY_BYTES);
        for (id, time_ms) in &self.order {
            bytes.extend_from_slice(id);
            bytes.extend_from_slice(&time_ms.to_le_bytes());
        }
        layout::write_file(path, &bytes)
    }

    pub fn knows(&self, id: &[u8; 16], now_ms: u64) -> bool {
        self.times.get(id).is_some_and(|time_ms| now_ms.saturating_sub(*time_ms) < REMEMBERED_MS)
    }

    pub fn remember(&mut self, id: [u8; 16], time_ms: u64, now_ms: u64) {
        while self.order.front().is_some_and(|(_, time_ms)| now_ms.saturating_sub(*time_ms) >= REMEMBERED_MS)
            || self.order.len() >= MAX_REMEMBERED
        {
            self.forget_oldest();
        }
        if now_ms.saturating_sub(time_ms) < REMEMBERED_MS && self.times.insert(id, time_ms).is_none() {
            self.order.push_back((id, time_ms));
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((id, _)) = self.order.pop_front() {
            self.times.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_for_ten_minutes_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("batches");
        let mut batches = Batches::load(&path, 0).unwrap();
        batches.remember([1; 16], 1_000, 1_000);
        batches.remember([2; 16], 500_000, 500_000);
        batches.save(&path).unwrap();
        let now = 1_000 + REMEMBERED_MS;
        let read = Batches::load(&path, now).unwrap();
        assert!(!read.knows(&[1; 16], now));
        assert!(read.knows(&[2; 16], now));
        assert!(!read.knows(&[3; 16], now));
    }

    #[test]
    fn memory_is_bounded() {
        let mut batches = Batches::default();
        for number in 0..(MAX_REMEMBERED as u128 + 10) {
            batches.remember(number.to_le_bytes(), 5, 5);
        }
        assert_eq!(batches.order.len(), MAX_REMEMBERED);
        assert_eq!(batches.times.len(), MAX_REMEMBERED);
        assert!(!batches.knows(&0u128.to_le_bytes(), 5));
    }
}
