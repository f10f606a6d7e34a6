//! The ids of the batches that were stored in the last day, so that a retry is not stored twice: an agent keeps what it
//! could not send for so long.
//!
//! An agent counts its ids up from a random number, so that what is remembered of it is one run of numbers, with a gap
//! for each batch that never came. Ids of others are runs of one. Within one run of the server they are known by heart;
//! after a restart they come from the log's records and, for segments that are gone, from the file `log/batch-ids`,
//! written before a segment is deleted.

use super::crc32c::crc32c;
use super::layout;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1000;
/// Of senders whose ids do not count up: 600 batches a second for ten minutes.
const MAX_RUNS: usize = 400_000;
const FILE: &str = "batch-ids";
/// Single ids of the last ten minutes, as versions before wrote them.
const OLD_FILE: &str = "batches";
const OLD_ENTRY_BYTES: usize = 24;
/// First id, last id, time.
const ENTRY_BYTES: usize = 40;
const CRC_BYTES: usize = 4;

#[derive(Clone, Copy)]
struct Run {
    last: u128,
    /// Of the newest of them.
    time_ms: u64,
}

#[derive(Default)]
pub struct Batches {
    /// By the first id; they neither touch nor overlap.
    runs: BTreeMap<u128, Run>,
    /// What could not be read.
    pub damaged_files: u64,
}

impl Batches {
    pub fn load(folder: &Path, now_ms: u64) -> io::Result<Batches> {
        let mut batches = Batches::default();
        let path = folder.join(FILE);
        let bytes = read(&path)?;
        match checked(&bytes) {
            Some(entries) => batches.runs.extend(entries.chunks_exact(ENTRY_BYTES).filter_map(entry)),
            None if bytes.is_empty() => {}
            // What it knew of retries is lost; what the log knows is not.
            None => {
                layout::set_aside(&path, "it does not match its checksum");
                batches.damaged_files = 1;
            }
        }
        for (id, time_ms) in read(&folder.join(OLD_FILE))?.chunks_exact(OLD_ENTRY_BYTES).filter_map(old_entry) {
            batches.remember(id, time_ms, now_ms);
        }
        batches.forget_old(now_ms);
        Ok(batches)
    }

    pub fn save(&mut self, folder: &Path, now_ms: u64) -> io::Result<()> {
        self.forget_old(now_ms);
        let mut bytes = Vec::with_capacity(self.runs.len() * ENTRY_BYTES + CRC_BYTES);
        for (first, run) in &self.runs {
            bytes.extend_from_slice(&first.to_be_bytes());
            bytes.extend_from_slice(&run.last.to_be_bytes());
            bytes.extend_from_slice(&run.time_ms.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32c(&bytes).to_le_bytes());
        layout::write_file(&folder.join(FILE), &bytes)?;
        match fs::remove_file(folder.join(OLD_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A run of ids is known for as long as its newest is.
    pub fn knows(&self, id: &[u8; 16], now_ms: u64) -> bool {
        let id = u128::from_be_bytes(*id);
        self.runs
            .range(..=id)
            .next_back()
            .is_some_and(|(_, run)| run.last >= id && now_ms.saturating_sub(run.time_ms) < REMEMBERED_MS)
    }

    pub fn remember(&mut self, id: [u8; 16], time_ms: u64, now_ms: u64) {
        let id = u128::from_be_bytes(id);
        let (mut first, mut run) = (id, Run { last: id, time_ms });
        if let Some((before, known)) = self.runs.range(..=id).next_back()
            && known.last.checked_add(1).is_none_or(|next| next >= id)
        {
            (first, run) = (*before, Run { last: known.last.max(id), time_ms: known.time_ms.max(time_ms) });
        }
        if let Some(next) = run.last.checked_add(1)
            && let Some(known) = self.runs.remove(&next)
        {
            run = Run { last: known.last, time_ms: run.time_ms.max(known.time_ms) };
        }
        self.runs.insert(first, run);
        if self.runs.len() > MAX_RUNS {
            self.make_room(now_ms);
        }
    }

    fn forget_old(&mut self, now_ms: u64) {
        self.runs.retain(|_, run| now_ms.saturating_sub(run.time_ms) < REMEMBERED_MS);
    }

    /// Drops the oldest eighth, so that this is rarely done.
    fn make_room(&mut self, now_ms: u64) {
        self.forget_old(now_ms);
        let surplus = self.runs.len().saturating_sub(MAX_RUNS - MAX_RUNS / 8);
        if surplus == 0 {
            return;
        }
        let mut times: Vec<u64> = self.runs.values().map(|run| run.time_ms).collect();
        let (_, newest_to_go, _) = times.select_nth_unstable(surplus - 1);
        let (newest_to_go, mut left) = (*newest_to_go, surplus);
        self.runs.retain(|_, run| {
            let goes = left > 0 && run.time_ms <= newest_to_go;
            left -= usize::from(goes);
            !goes
        });
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}

fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (entries, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    (crc32c(entries) == u32::from_le_bytes(*crc)).then_some(entries)
}

fn entry(bytes: &[u8]) -> Option<(u128, Run)> {
    let (first, rest) = bytes.split_first_chunk::<16>()?;
    let (last, time_ms) = rest.split_first_chunk::<16>()?;
    let time_ms = u64::from_le_bytes(*time_ms.first_chunk()?);
    Some((u128::from_be_bytes(*first), Run { last: u128::from_be_bytes(*last), time_ms }))
}

fn old_entry(bytes: &[u8]) -> Option<([u8; 16], u64)> {
    Some((*bytes.first_chunk()?, u64::from_le_bytes(*bytes.last_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> [u8; 16] {
        number.to_be_bytes()
    }

    #[test]
    fn an_id_is_known_for_a_day_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut batches = Batches::load(folder.path(), 0).unwrap();
        batches.remember([1; 16], 1_000, 1_000);
        batches.remember([2; 16], 500_000, 500_000);
        batches.save(folder.path(), 500_000).unwrap();
        let now = 1_000 + REMEMBERED_MS;
        let read = Batches::load(folder.path(), now).unwrap();
        assert!(!read.knows(&[1; 16], now));
        assert!(read.knows(&[2; 16], now));
        assert!(!read.knows(&[3; 16], now));
    }

    #[test]
    fn ids_in_any_order_are_one_run_and_each_is_known_once_it_was_remembered() {
        // 7 and 13 share no factor with 4,099: each number of it comes once.
        for (start, step) in [(5u128, 7u128), (u128::MAX - 4_000, 13)] {
            let mut batches = Batches::default();
            for at in 0..4_099u128 {
                let next = id(start.wrapping_add(at * step % 4_099));
                assert!(!batches.knows(&next, 9));
                batches.remember(next, 9, 9);
                assert!(batches.knows(&next, 9));
            }
            // What counts beyond the largest number goes on at 0.
            assert!(batches.runs.len() <= 2, "{} runs", batches.runs.len());
            assert!((0..4_099).all(|at| batches.knows(&id(start.wrapping_add(at)), 9)));
            assert!(!batches.knows(&id(start - 1), 9) && !batches.knows(&id(start.wrapping_add(4_099)), 9));
        }
    }

    #[test]
    fn a_batch_that_never_came_is_a_gap() {
        let mut batches = Batches::default();
        (0..100).filter(|at| *at != 50).for_each(|at| batches.remember(id(at), 1, 1));
        assert!(!batches.knows(&id(50), 1) && batches.knows(&id(49), 1) && batches.knows(&id(51), 1));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go() {
        let mut batches = Batches::default();
        for number in 0..MAX_RUNS as u128 + 10 {
            batches.remember(id(number * 3), number as u64, number as u64);
        }
        assert!(batches.runs.len() <= MAX_RUNS);
        let newest = MAX_RUNS as u128 + 9;
        assert!(batches.knows(&id(newest * 3), newest as u64) && !batches.knows(&id(0), newest as u64));
    }

    #[test]
    fn the_file_of_versions_before_is_read_and_a_damaged_one_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let old: Vec<u8> = id(77).into_iter().chain(5_000u64.to_le_bytes()).collect();
        fs::write(folder.path().join(OLD_FILE), old).unwrap();
        let mut batches = Batches::load(folder.path(), 6_000).unwrap();
        assert!(batches.knows(&id(77), 6_000));
        batches.save(folder.path(), 6_000).unwrap();
        assert!(!folder.path().join(OLD_FILE).exists());
        let path = folder.path().join(FILE);
        let sound = fs::read(&path).unwrap();
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 4;
            fs::write(&path, damaged).unwrap();
            assert!(!Batches::load(folder.path(), 6_000).unwrap().knows(&id(77), 6_000), "damage at {at}");
            assert!(!path.exists());
        }
    }
}
