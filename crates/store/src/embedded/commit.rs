//! Group commit. Writers queue their batches; one thread takes all that wait, appends them to the log, syncs once, and
//! only then applies and acknowledges them. While it syncs, the next group gathers, so the group grows with the load
//! and an idle store answers at once.

use super::batches::Batches;
use super::inner::Inner;
use super::losses;
use super::options::LogSync;
use super::record::{MAX_BODY_BYTES, Record};
use crate::{StoreError, Write, Written};
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Relaxed syncing reaches the disk at least this often.
const SYNC_INTERVAL: Duration = Duration::from_millis(200);
/// Writers wait when more than this is queued.
const MAX_QUEUED_BYTES: usize = 16 << 20;
/// How long a group waits for the flush to make room before it is refused.
const MAX_WAIT_FOR_FLUSH: Duration = Duration::from_secs(10);

/// Longer messages are not copied on their way to the log.
const LONG_BYTES: usize = 64 << 10;

struct Queued {
    write: Write,
    done: SyncSender<Result<Written, StoreError>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Queued>,
    bytes: usize,
    closed: bool,
}

pub struct Committer {
    queue: Mutex<Queue>,
    /// Something waits, or the store closes.
    arrived: Condvar,
    /// The queue was taken.
    taken: Condvar,
    batches: Mutex<Batches>,
    /// The commit thread has ended: nothing is applied any more.
    ended: Mutex<bool>,
    end: Condvar,
}

impl Committer {
    pub fn new(batches: Batches) -> Self {
        Committer {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            taken: Condvar::new(),
            batches: Mutex::new(batches),
            ended: Mutex::new(false),
            end: Condvar::new(),
        }
    }

    pub fn write(&self, write: Write) -> Result<Written, StoreError> {
        if write.payload.len() > MAX_BODY_BYTES / 2 {
            return Err(StoreError::TooMuch(format!(
                "a message of {} bytes is too long to be stored",
                write.payload.len()
            )));
        }
        let (done, answer) = sync_channel(1);
        let mut queue = lock(&self.queue);
        while queue.bytes > MAX_QUEUED_BYTES && !queue.closed {
            queue = self.taken.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed {
            return Err(StoreError::Closed);
        }
        queue.bytes += write.payload.len();
        queue.waiting.push(Queued { write, done });
        drop(queue);
        self.arrived.notify_one();
        answer.recv().unwrap_or(Err(StoreError::Closed))
    }

    pub fn close(&self) {
        lock(&self.queue).closed = true;
        self.arrived.notify_all();
        self.taken.notify_all();
    }

    /// Waits up to `limit` for the commit thread's end; true when it has ended.
    pub fn wait_for_end(&self, limit: Duration) -> bool {
        let ended = lock(&self.ended);
        let waited = self.end.wait_timeout_while(ended, limit, |ended| !*ended).unwrap_or_else(PoisonError::into_inner);
        *waited.0
    }

    pub fn batches(&self) -> MutexGuard<'_, Batches> {
        lock(&self.batches)
    }

    /// The next group; empty when only the time to sync has come; `None` at the end.
    fn next_group(&self, sync_by: Option<Instant>) -> Option<Vec<Queued>> {
        let mut queue = lock(&self.queue);
        while queue.waiting.is_empty() && !queue.closed {
            let Some(sync_by) = sync_by else {
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = sync_by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if queue.waiting.is_empty() && queue.closed {
            return None;
        }
        queue.bytes = 0;
        let group = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.taken.notify_all();
        Some(group)
    }
}

/// The commit thread.
pub fn run(committer: &Committer, inner: &Inner) {
    let mut sync_by = None;
    while let Some(group) = committer.next_group(sync_by) {
        if !group.is_empty() {
            commit(committer, inner, group);
        }
        if inner.options.sync == LogSync::Always {
            continue;
        }
        sync_by = match sync_by {
            Some(due) if Instant::now() < due => Some(due),
            Some(_) => {
                inner.sync_log();
                None
            }
            None => Some(Instant::now() + SYNC_INTERVAL),
        };
    }
    inner.sync_log();
    *lock(&committer.ended) = true;
    committer.end.notify_all();
    drop(lock(&inner.turn));
    inner.due.notify_all();
}

fn commit(committer: &Committer, inner: &Inner, group: Vec<Queued>) {
    let now_ms = unix_ms();
    if let Err(error) = inner.wait_for_room(Instant::now() + MAX_WAIT_FOR_FLUSH) {
        losses::add(&inner.losses.refused_batches, group.len() as u64);
        return refuse(group, &error);
    }
    let (fresh, repeated) = part(committer, group, now_ms);
    match inner.append(&pieces(&fresh, now_ms), fresh.len() as u64) {
        Ok(first) => {
            acknowledge(committer, inner, fresh, first, now_ms);
            repeat(inner, &repeated);
        }
        Err(error) => {
            losses::add(&inner.losses.refused_batches, (fresh.len() + repeated.len()) as u64);
            refuse(fresh, &error);
            refuse(repeated, &error);
        }
    }
}

/// The records as they go to the log: a long message is written from where it is, the others are put together.
fn pieces(group: &[Queued], now_ms: u64) -> Vec<Bytes> {
    let (mut pieces, mut together) = (Vec::new(), Vec::new());
    for Queued { write, .. } in group {
        Record { signal: write.signal, time_ms: now_ms, batch_id: write.batch_id, payload: &write.payload }
            .encode_head(&mut together);
        if write.payload.len() < LONG_BYTES {
            together.extend_from_slice(&write.payload);
        } else {
            pieces.extend([std::mem::take(&mut together).into(), write.payload.clone()]);
        }
    }
    pieces.push(together.into());
    pieces
}

/// Those to store, and those that are stored already or stand twice in the group.
fn part(committer: &Committer, group: Vec<Queued>, now_ms: u64) -> (Vec<Queued>, Vec<Queued>) {
    let batches = lock(&committer.batches);
    let mut seen = HashSet::new();
    group
        .into_iter()
        .partition(|queued| queued.write.batch_id.is_none_or(|id| !batches.knows(&id, now_ms) && seen.insert(id)))
}

fn acknowledge(committer: &Committer, inner: &Inner, group: Vec<Queued>, first: u64, now_ms: u64) {
    let mut batches = lock(&committer.batches);
    for id in group.iter().filter_map(|queued| queued.write.batch_id) {
        batches.remember(id, now_ms, now_ms);
    }
    drop(batches);
    inner.apply(first, group.iter().map(|queued| &queued.write.batch));
    group.iter().for_each(|queued| answer(queued, Ok(Written::Stored)));
}

fn repeat(inner: &Inner, group: &[Queued]) {
    losses::add(&inner.losses.duplicate_batches, group.len() as u64);
    group.iter().for_each(|queued| answer(queued, Ok(Written::Duplicate)));
}

fn refuse(group: Vec<Queued>, error: &StoreError) {
    group.iter().for_each(|queued| answer(queued, Err(copy(error))));
}

/// A writer that does not wait any more has gone: its batch is stored all the same.
fn answer(queued: &Queued, result: Result<Written, StoreError>) {
    queued.done.send(result).ok();
}

/// The same error for every writer of a group.
pub fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Open(text) => StoreError::Open(text.clone()),
        StoreError::Full(text) => StoreError::Full(text.clone()),
        StoreError::TooMuch(text) => StoreError::TooMuch(text.clone()),
        StoreError::Closed => StoreError::Closed,
        StoreError::Io(error) => StoreError::Io(std::io::Error::new(error.kind(), error.to_string())),
    }
}

pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
