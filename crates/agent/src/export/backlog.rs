//! What waits for the server: in memory while it answers, in a spool on disk while it does not.
//!
//! Nothing is written to disk in normal work. Once a batch could not be sent, all that wait and all that come go to the
//! spool, so that an agent that is killed meanwhile leaves them to the next one. When the server is back, new batches
//! and old ones take turns: what happens now is on the page after one old batch at most, however long the server was
//! away, and the old ones still come in their order. (A series takes samples that come late, so that the order between
//! the two does not matter.)

use super::batch::Batch;
use super::spool::{Place, Spool};
use crate::losses;
use std::collections::VecDeque;

const MEMORY_BYTES: usize = 16 << 20;

/// Where a batch stands that is being sent.
#[derive(Clone, Copy, Debug)]
pub enum Waits {
    InMemory,
    InSpool(Place),
}

/// For the status page.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct SpoolStatus {
    pub folder: String,
    pub batches: u64,
    pub bytes: u64,
    pub limit_bytes: u64,
    /// How often something could not be written and stayed in memory, and why at last.
    pub write_errors: u64,
    pub last_error: Option<String>,
}

#[derive(Default)]
pub struct Backlog {
    memory: VecDeque<Batch>,
    memory_bytes: usize,
    spool: Option<Spool>,
    /// The server does not take anything now.
    away: bool,
    /// A new batch was the last to go: it is an old one's turn.
    old_ones_turn: bool,
    write_errors: u64,
    last_error: Option<String>,
}

impl Backlog {
    pub fn new(spool: Option<Spool>) -> Backlog {
        Backlog { spool, ..Backlog::default() }
    }

    pub fn put(&mut self, batch: Batch) {
        self.memory_bytes += batch.length;
        self.memory.push_back(batch);
        if self.away {
            self.spill(0);
        } else if self.memory_bytes > MEMORY_BYTES {
            self.spill(MEMORY_BYTES);
        }
        while self.memory_bytes > MEMORY_BYTES && self.memory.len() > 1 {
            if let Some(oldest) = self.pop() {
                losses::EXPORT_FAILED.add(oldest.items);
            }
        }
    }

    /// What to send next; it stays here until it is `done`.
    pub fn next(&mut self) -> Option<(Waits, Batch)> {
        let old = if self.old_ones_turn || self.memory.is_empty() { self.spooled() } else { None };
        self.old_ones_turn = old.is_none();
        old.or_else(|| self.memory.front().map(|batch| (Waits::InMemory, batch.clone())))
    }

    fn spooled(&mut self) -> Option<(Waits, Batch)> {
        let (place, batch) = self.spool.as_mut()?.front()?;
        Some((Waits::InSpool(place), batch))
    }

    /// It was taken, or refused for good.
    pub fn done(&mut self, waits: Waits, batch: &Batch) {
        match (waits, &mut self.spool) {
            (Waits::InSpool(place), Some(spool)) => spool.take(place),
            // It may have gone to the spool meanwhile: then it is sent once more, and the server knows its id.
            _ if self.memory.front().is_some_and(|first| first.id == batch.id) => drop(self.pop()),
            _ => {}
        }
    }

    /// Whether the server takes data, as the last attempt has shown.
    pub fn set_away(&mut self, away: bool) {
        self.away = away;
        if away {
            self.spill(0);
        }
    }

    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Brings the oldest in memory to disk until no more than `bytes` are left; what cannot be written stays.
    pub fn spill(&mut self, bytes: usize) {
        let Some(spool) = &mut self.spool else { return };
        while let Some(oldest) = self.memory.front().filter(|_| self.memory_bytes > bytes) {
            if let Err(error) = spool.push(oldest) {
                self.write_errors += 1;
                if self.last_error.is_none() {
                    let folder = spool.folder().display();
                    log::warn!("the spool in {folder} cannot be written: {error}; batches stay in memory");
                }
                self.last_error = Some(error.to_string());
                return;
            }
            self.last_error = None;
            if let Some(written) = self.memory.pop_front() {
                self.memory_bytes -= written.length;
            }
        }
    }

    fn pop(&mut self) -> Option<Batch> {
        let batch = self.memory.pop_front()?;
        self.memory_bytes -= batch.length;
        Some(batch)
    }

    pub fn set_spool_limit(&mut self, bytes: u64) {
        if let Some(spool) = &mut self.spool {
            spool.set_limit(bytes);
        }
    }

    pub fn has_spool(&self) -> bool {
        self.spool.is_some()
    }

    /// Batches and bytes in memory.
    pub fn in_memory(&self) -> (usize, usize) {
        (self.memory.len(), self.memory_bytes)
    }

    pub fn spool_status(&self) -> Option<SpoolStatus> {
        let spool = self.spool.as_ref()?;
        Some(SpoolStatus {
            folder: spool.folder().display().to_string(),
            batches: spool.batches(),
            bytes: spool.bytes(),
            limit_bytes: spool.limit(),
            write_errors: self.write_errors,
            last_error: self.last_error.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::Signal;
    use super::super::spool;
    use super::*;

    fn batch(id: u128, bytes: usize) -> Batch {
        Batch::new(Signal::Metrics, id, vec![vec![0; bytes].into()], 1)
    }

    fn with_spool(name: &str, limit: u64, test: impl FnOnce(Backlog)) {
        let folder = std::env::temp_dir().join(format!("limpid-backlog-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        spool::prepare(&folder).expect("a folder");
        test(Backlog::new(Some(Spool::open(&folder, limit).expect("opens"))));
        let _ = std::fs::remove_dir_all(&folder);
    }

    fn send(backlog: &mut Backlog) -> Option<u128> {
        let (waits, batch) = backlog.next()?;
        backlog.done(waits, &batch);
        Some(batch.id)
    }

    #[test]
    fn nothing_goes_to_disk_while_the_server_answers() {
        with_spool("memory", 1 << 20, |mut backlog| {
            for id in 0..100 {
                backlog.put(batch(id, 1000));
                assert_eq!(send(&mut backlog), Some(id));
            }
            let status = backlog.spool_status().expect("there is one");
            assert_eq!((status.batches, status.bytes, backlog.in_memory()), (0, 0, (0, 0)));
        });
    }

    #[test]
    fn new_ones_wait_for_one_old_one_at_most_and_old_ones_keep_their_order() {
        with_spool("turns", 1 << 20, |mut backlog| {
            backlog.put(batch(0, 100));
            backlog.set_away(true);
            (1..6).for_each(|id| backlog.put(batch(id, 100)));
            assert_eq!(backlog.in_memory(), (0, 0), "all on disk");
            // The probe is the oldest; it is taken.
            assert_eq!(send(&mut backlog), Some(0));
            backlog.set_away(false);
            (100..103).for_each(|id| backlog.put(batch(id, 100)));
            let sent: Vec<u128> = std::iter::from_fn(|| send(&mut backlog)).collect();
            assert_eq!(sent, [100, 1, 101, 2, 102, 3, 4, 5]);
        });
    }

    #[test]
    fn what_cannot_be_written_stays_in_memory() {
        with_spool("errors", 4096, |mut backlog| {
            backlog.set_away(true);
            backlog.put(batch(1, 5000));
            backlog.put(batch(2, 100));
            let status = backlog.spool_status().expect("there is one");
            assert!(status.write_errors > 0 && status.last_error.is_some(), "{status:?}");
            assert_eq!(std::iter::from_fn(|| send(&mut backlog)).collect::<Vec<_>>(), [1, 2]);
        });
    }

    #[test]
    fn without_a_spool_the_oldest_are_dropped() {
        let (mut backlog, failed) = (Backlog::new(None), losses::EXPORT_FAILED.get());
        backlog.set_away(true);
        (0..20).for_each(|id| backlog.put(batch(id, 1 << 20)));
        assert!(backlog.in_memory().1 <= MEMORY_BYTES);
        assert_eq!(send(&mut backlog), Some(4));
        assert!(losses::EXPORT_FAILED.get() >= failed + 4);
    }
}
