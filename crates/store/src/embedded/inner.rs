//! What the threads of the store share: the heads, the files, the log, and how they came to be at start.

use super::batches::Batches;
use super::checkpoint;
use super::commit::unix_ms;
use super::entities::Entities;
use super::filter::Filter;
use super::flush;
use super::footers::Footers;
use super::layout::{self, Folder};
use super::log::Log;
use super::losses::{self, Losses};
use super::metrics::Metrics;
use super::options::{LogSync, Options, Retention};
use super::parquet_file::{DataFile, FileError};
use super::record::Record;
use super::retention;
use super::scan::Page;
use super::table::{Spec, Table};
use super::visit::{Each, Visit};
use crate::{Decode, StoreError, StorePart, StoreStatus};
use arrow_array::RecordBatch;
use bytes::Bytes;
use limpid_model::batch::Batch;
use limpid_model::schema;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Writers wait for the flush when memory holds this multiple of a head's flush size: one head that is written to files
/// and one that fills meanwhile.
const MAX_HEADS: usize = 2;

/// Up to which log record each part has everything in files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Persisted {
    pub spans: u64,
    pub events: u64,
    pub metrics: u64,
    pub entities: u64,
}

impl Persisted {
    pub fn all(&self) -> u64 {
        self.spans.min(self.events).min(self.metrics).min(self.entities)
    }

    fn any(&self) -> u64 {
        self.spans.max(self.events).max(self.metrics).max(self.entities)
    }
}

pub struct Inner {
    pub folder: Folder,
    pub options: Options,
    /// How old and how large the store may get; `options` has what it began with.
    pub retention: Mutex<Retention>,
    pub losses: Losses,
    pub spans: Table,
    pub events: Table,
    pub metrics: Metrics,
    pub entities: RwLock<Entities>,
    pub persisted: Mutex<Persisted>,
    log: OnceLock<Mutex<Log>>,
    /// The number of the last applied record. Held while a group is applied, so that a head can be cut between two.
    pub applied: Mutex<u64>,
    /// Why writes are refused or files cannot be written, by the part that says so.
    problems: Mutex<BTreeMap<&'static str, String>>,
    space: Mutex<Option<(Instant, layout::Space)>>,
    /// Wakes the flush thread, and those who wait for it.
    pub due: Condvar,
    pub flushed: Condvar,
    pub turn: Mutex<()>,
}

impl Inner {
    pub fn open(dir: &Path, options: Options, decode: Decode) -> Result<(Inner, Batches), StoreError> {
        let folder = Folder::open(dir)?;
        let losses = Losses::default();
        let mut persisted = Persisted::default();
        let spans = open_table(spans_spec(), dir, &losses, &mut persisted.spans)?;
        let events = open_table(events_spec(), dir, &losses, &mut persisted.events)?;
        let metrics = Metrics::open(&dir.join("metrics"), &options, &losses, &mut persisted.metrics)?;
        let states = dir.join("entities").join(flush::ENTITIES_FILE);
        let existed = states.exists();
        let loaded = Entities::load(&states).map_err(|error| layout::at(&states, error))?;
        losses::add(&losses.damaged_files, u64::from(existed && loaded.is_none()));
        let (entities, record) = loaded.unwrap_or_default();
        persisted.entities = record;
        let inner = Inner {
            folder,
            retention: Mutex::new(Retention::of(&options)),
            options,
            losses,
            spans,
            events,
            metrics,
            entities: RwLock::new(entities),
            persisted: Mutex::new(persisted),
            log: OnceLock::new(),
            applied: Mutex::new(persisted.any()),
            problems: Mutex::default(),
            space: Mutex::new(None),
            due: Condvar::new(),
            flushed: Condvar::new(),
            turn: Mutex::new(()),
        };
        let batches = inner.replay(decode)?;
        Ok((inner, batches))
    }

    fn replay(&self, decode: Decode) -> Result<Batches, StoreError> {
        let folder = self.folder.path.join("log");
        let now_ms = unix_ms();
        let mut batches = Batches::load(&folder, now_ms).map_err(|error| layout::at(&folder, error))?;
        losses::add(&self.losses.damaged_files, batches.damaged_files);
        let persisted = *lock(&self.persisted);
        let mut failed = None;
        let (log, replayed) = Log::open(&folder, self.options.segment_bytes, persisted.any(), |number, record| {
            batches_remember(&mut batches, &record, now_ms);
            if number > persisted.all() {
                self.apply_replayed(number, &decode(record.signal, record.payload), &persisted);
                failed = failed.take().or(flush::flush_when_full(self).err());
            }
        })?;
        losses::add(&self.losses.torn_tail_bytes, replayed.torn_tail_bytes);
        self.log.set(Mutex::new(log)).ok();
        // A full disk at start: what is in memory stays there and in the log.
        self.note("files", &failed.map_or(Ok(()), Err));
        log::debug!("{}: {} log records read", self.folder.path.display(), replayed.records);
        Ok(batches)
    }

    /// Applies only what the parts do not have in their files yet.
    fn apply_replayed(&self, number: u64, batch: &Batch, persisted: &Persisted) {
        let mut applied = lock(&self.applied);
        if number > persisted.spans {
            self.apply_rows(&self.spans, &batch.spans);
        }
        if number > persisted.events {
            self.apply_rows(&self.events, &batch.events);
        }
        if number > persisted.metrics {
            self.metrics.apply(batch, &self.losses);
        }
        if number > persisted.entities {
            self.apply_entities(batch);
        }
        *applied = number.max(*applied);
    }

    pub fn apply<'a>(&self, first: u64, batches: impl Iterator<Item = &'a Batch>) {
        let mut applied = lock(&self.applied);
        let mut next = first;
        for batch in batches {
            self.apply_rows(&self.spans, &batch.spans);
            self.apply_rows(&self.events, &batch.events);
            self.metrics.apply(batch, &self.losses);
            self.apply_entities(batch);
            losses::add(&self.losses.rejected_records, batch.rejected);
            next += 1;
        }
        *applied = (next - 1).max(*applied);
        drop(applied);
        if flush::is_full(self) {
            self.due.notify_one();
        }
    }

    fn apply_rows(&self, table: &Table, rows: &Option<RecordBatch>) {
        let Some(rows) = rows else { return };
        if !table.push(rows) {
            losses::add(&self.losses.refused_rows, rows.num_rows() as u64);
        }
    }

    fn apply_entities(&self, batch: &Batch) {
        if batch.entities.is_empty() {
            return;
        }
        let mut entities = write(&self.entities);
        for entity in &batch.entities {
            losses::add(&self.losses.dropped_entities, entities.apply(entity));
        }
    }

    pub fn log(&self) -> Option<MutexGuard<'_, Log>> {
        self.log.get().map(lock)
    }

    pub fn append(&self, encoded: &[Bytes], records: u64) -> Result<u64, StoreError> {
        let Some(mut log) = self.log() else { return Err(StoreError::Closed) };
        let appended = log.append(encoded, records, self.options.sync == LogSync::Always);
        self.note("log", &appended);
        appended
    }

    pub fn sync_log(&self) {
        if let Some(mut log) = self.log() {
            self.note("sync", &log.sync());
        }
    }

    /// Refuses a group when the disk's floor is reached or the heads cannot be flushed.
    pub fn wait_for_room(&self, until: Instant) -> Result<(), StoreError> {
        let floor = retention::check_floor(self);
        self.note("space", &floor);
        floor?;
        while self.is_overloaded() {
            let turn = lock(&self.turn);
            self.due.notify_one();
            let left = until.saturating_duration_since(Instant::now());
            // Who waits for files that cannot be written waits for nothing: the sender shall come again.
            if left.is_zero() || lock(&self.problems).contains_key("files") {
                let reason = self.problem().unwrap_or_else(|| "files are written too slowly".to_owned());
                return Err(StoreError::Full(format!("{}: memory is full: {reason}", self.folder.path.display())));
            }
            drop(self.flushed.wait_timeout(turn, left.min(Duration::from_millis(100))));
        }
        Ok(())
    }

    fn is_overloaded(&self) -> bool {
        let (rows, bytes) = (self.options.flush_rows * MAX_HEADS, self.options.flush_bytes * MAX_HEADS);
        let too_large = |table: &Table| {
            let held = table.memory_size();
            held.rows > rows || held.bytes > bytes
        };
        too_large(&self.spans) || too_large(&self.events) || self.metrics.head_bytes() > bytes
    }

    pub fn query(&self, table: &Table, filter: &Filter, page: Page) -> Result<Vec<RecordBatch>, StoreError> {
        let until = Instant::now() + self.options.query_time_limit;
        let scanned = table.query(filter, page, until)?;
        self.set_aside(table, &scanned.damaged);
        Ok(scanned.batches)
    }

    pub fn visit(&self, table: &Table, filter: &Filter, columns: &[&str], each: Each<'_>) -> Result<(), StoreError> {
        let until = Instant::now() + self.options.query_time_limit;
        let damaged = Visit { spec: &table.spec, filter, columns, until }.all(table.view(), each)?;
        self.set_aside(table, &damaged);
        Ok(())
    }

    fn set_aside(&self, table: &Table, damaged: &[(Arc<DataFile>, String)]) {
        for (file, reason) in damaged {
            layout::set_aside(file.path(), reason);
            losses::add(&self.losses.damaged_files, 1);
            table.exchange(std::slice::from_ref(file), None);
        }
    }

    /// Remembers whether a part works, for the status page; says it in the log when that changes.
    pub fn note<T>(&self, part: &'static str, result: &Result<T, StoreError>) {
        let mut problems = lock(&self.problems);
        let had = problems.remove(part);
        match result {
            Ok(_) if had.is_some() => log::info!("store: {part}: works again"),
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                if had.as_ref() != Some(&text) {
                    log::error!("store: {part}: {text}");
                }
                problems.insert(part, text);
            }
        }
    }

    fn problem(&self) -> Option<String> {
        let problems = lock(&self.problems);
        (!problems.is_empty()).then(|| problems.values().cloned().collect::<Vec<_>>().join("; "))
    }

    /// What the file system has left, asked at most once a second.
    pub fn space(&self) -> std::io::Result<layout::Space> {
        let mut space = lock(&self.space);
        match *space {
            Some((asked, figures)) if asked.elapsed() < Duration::from_secs(1) => Ok(figures),
            _ => {
                let figures = layout::space(&self.folder.path)?;
                *space = Some((Instant::now(), figures));
                Ok(figures)
            }
        }
    }

    pub fn forget_space(&self) {
        *lock(&self.space) = None;
    }

    pub fn status(&self) -> StoreStatus {
        let parts = self.parts();
        let (retention_seconds, max_bytes) = self.kept();
        StoreStatus {
            path: self.folder.path.display().to_string(),
            format: layout::FORMAT,
            bytes: parts.iter().map(|part| part.bytes).sum(),
            log_bytes: self.log().map_or(0, |log| log.bytes()),
            free_bytes: self.space().map_or(0, |space| space.free_bytes),
            spans: self.spans.rows(),
            series: self.metrics.series_count(),
            oldest_ns: parts.iter().filter_map(|part| part.oldest_ns).min(),
            parts,
            retention_seconds,
            max_bytes,
            losses: self.losses.counted(),
            problem: self.problem(),
        }
    }

    fn parts(&self) -> Vec<StorePart> {
        let unix_ns = |ns: i64| u64::try_from(ns).ok();
        let of_table = |name, table: &Table| {
            let files = table.files();
            let oldest = files.iter().map(|file| file.min_ns).min();
            StorePart { name, bytes: files.iter().map(|file| file.bytes).sum(), oldest_ns: oldest.and_then(unix_ns) }
        };
        let blocks = self.metrics.blocks();
        let oldest_ms = blocks.iter().map(|block| block.bounds.first_ms).chain(self.metrics.oldest_ms()).min();
        let metrics = StorePart {
            name: "metrics",
            bytes: blocks.iter().map(|block| block.bytes).sum(),
            oldest_ns: oldest_ms.and_then(|ms| unix_ns(ms.saturating_mul(1_000_000))),
        };
        let log = StorePart { name: "log", bytes: self.log().map_or(0, |log| log.bytes()), oldest_ns: None };
        vec![of_table("spans", &self.spans), of_table("events", &self.events), metrics, log]
    }

    /// For how long, and how much.
    fn kept(&self) -> (u64, u64) {
        let retention = *lock(&self.retention);
        (retention.age.as_secs(), retention.max_bytes)
    }
}

fn batches_remember(batches: &mut Batches, record: &Record<'_>, now_ms: u64) {
    if let Some(id) = record.batch_id {
        batches.remember(id, record.time_ms, now_ms);
    }
}

fn spans_spec() -> Spec {
    Spec {
        name: "spans",
        schema: schema::SPANS.clone(),
        time: "start",
        sort: &["service", "name"],
        lookup: &["trace_id"],
        footers: Footers::default(),
    }
}

fn events_spec() -> Spec {
    Spec {
        name: "events",
        schema: schema::EVENTS.clone(),
        time: "time",
        sort: &["name"],
        lookup: &[],
        footers: Footers::default(),
    }
}

fn open_table(spec: Spec, dir: &Path, losses: &Losses, persisted: &mut u64) -> Result<Table, StoreError> {
    let folder = dir.join(spec.name);
    let checkpoint = checkpoint::recover(&folder)?;
    *persisted = checkpoint.log_record;
    losses::add(&losses.damaged_files, u64::from(checkpoint.damaged));
    let mut files = Vec::new();
    for path in layout::files(&folder, "parquet").map_err(|error| layout::at(&folder, error))? {
        match DataFile::open(&path, &spec) {
            Ok(file) => files.push(Arc::new(file)),
            Err(FileError::Io(error)) => return Err(layout::at(&path, error)),
            Err(FileError::Damaged(reason)) => {
                layout::set_aside(&path, &reason);
                losses::add(&losses.damaged_files, 1);
            }
        }
    }
    Ok(Table::new(spec, folder, files))
}

/// A thread that panicked while it held one of these left single, whole steps behind.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
