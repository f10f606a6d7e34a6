//! The maintenance thread: heads become files, the log forgets what is in them, old files are deleted.

use super::checkpoint::{self, Checkpoint};
use super::commit::{Committer, unix_ms};
use super::compaction;
use super::inner::{Inner, Persisted, lock, write};
use super::layout;
use super::parquet_file::{self, DataFile};
use super::retention;
use super::sorted;
use super::table::{HeadSize, Table};
use crate::{StoreError, memory};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const ENTITIES_FILE: &str = "states.zst";
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// The maintenance thread; it ends after the commit thread, with everything in files.
pub fn run(committer: &Committer, inner: &Inner) {
    let mut retained: Option<Instant> = None;
    loop {
        let ended = committer.wait_for_end(Duration::ZERO);
        let short = retention::check_floor(inner).is_err();
        if short || retained.is_none_or(|last| last.elapsed() >= RETENTION_INTERVAL) {
            inner.note("retention", &retention::run(inner));
            retained = Some(Instant::now());
        }
        let flushed = flush_due(inner, ended).and_then(|()| forget_log(committer, inner));
        inner.note("files", &flushed);
        inner.flushed.notify_all();
        if ended {
            return;
        }
        if flushed.is_ok() {
            inner.note("compaction", &compact(inner));
        }
        let turn = lock(&inner.turn);
        // Asked again under the lock that the end is told under, or the last flush would come a pause late.
        if !committer.wait_for_end(Duration::ZERO) {
            drop(inner.due.wait_timeout(turn, PAUSE));
        }
    }
}

/// One step of compaction a round, so that flushes never wait long.
fn compact(inner: &Inner) -> Result<(), StoreError> {
    for table in [&inner.spans, &inner.events] {
        compaction::step(inner, table)?;
    }
    if inner.metrics.is_unfinished() {
        return Ok(());
    }
    let persisted = lock(&inner.persisted).metrics;
    inner.metrics.compact(persisted, &inner.losses).map(drop)
}

/// Is a head so large that it must become files now?
pub fn is_full(inner: &Inner) -> bool {
    is_table_full(inner, &inner.spans)
        || is_table_full(inner, &inner.events)
        || inner.metrics.head_bytes() >= inner.options.flush_bytes
}

fn is_table_full(inner: &Inner, table: &Table) -> bool {
    let head = table.head_size();
    head.rows >= inner.options.flush_rows || head.bytes >= inner.options.flush_bytes
}

/// During replay: keeps memory bounded.
pub fn flush_when_full(inner: &Inner) -> Result<(), StoreError> {
    for table in [&inner.spans, &inner.events] {
        if is_table_full(inner, table) {
            flush_table(inner, table)?;
        }
    }
    if inner.metrics.head_bytes() >= inner.options.flush_bytes {
        flush_metrics(inner)?;
    }
    Ok(())
}

fn flush_due(inner: &Inner, everything: bool) -> Result<(), StoreError> {
    let long_log = inner.log().is_some_and(|log| log.bytes() > inner.options.max_log_bytes);
    let everything = everything || long_log;
    let old = |head: HeadSize| head.since.is_some_and(|since| since.elapsed() >= inner.options.flush_age);
    for table in [&inner.spans, &inner.events] {
        if everything || table.is_flushing() || is_table_full(inner, table) || old(table.head_size()) {
            flush_table(inner, table)?;
        }
    }
    let metrics = &inner.metrics;
    let full = metrics.head_bytes() >= inner.options.flush_bytes;
    let old = metrics.since().is_some_and(|since| since.elapsed() >= inner.options.metrics_flush_age);
    if everything || full || old || metrics.is_unfinished() {
        flush_metrics(inner)?;
    }
    flush_entities(inner, everything)
}

fn flush_metrics(inner: &Inner) -> Result<(), StoreError> {
    let applied = lock(&inner.applied);
    inner.metrics.begin_flush(*applied);
    drop(applied);
    let cut = inner.metrics.finish_flush()?;
    let mut persisted = lock(&inner.persisted);
    persisted.metrics = persisted.metrics.max(cut);
    Ok(())
}

fn flush_table(inner: &Inner, table: &Table) -> Result<(), StoreError> {
    let applied = lock(&inner.applied);
    let (batches, cut) = table.begin_flush(*applied);
    drop(applied);
    if !batches.is_empty() {
        let mut checkpoint = Checkpoint { log_record: cut, ..Checkpoint::default() };
        sorted::by_hour(&table.spec, &batches, |hour, rows| {
            let name = format!("{hour}/{cut:020}.parquet");
            let path = table.folder.join(&name);
            make_folder(&path)?;
            parquet_file::write_temporary(&path, &table.spec, rows)?;
            checkpoint.files.push(name);
            Ok::<(), StoreError>(())
        })?;
        drop(batches);
        checkpoint::promise(&table.folder, checkpoint.clone())?;
        let files = checkpoint.files.iter().map(|name| {
            let path = table.folder.join(name);
            DataFile::open(&path, &table.spec).map(Arc::new).map_err(|error| error.into_store_error(&path))
        });
        table.finish_flush(files.collect::<Result<Vec<_>, _>>()?);
        memory::give_back();
    }
    set_persisted(inner, table.spec.name, cut);
    Ok(())
}

pub fn make_folder(path: &std::path::Path) -> Result<(), StoreError> {
    let Some(folder) = path.parent().filter(|folder| !folder.exists()) else { return Ok(()) };
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.parent().map_or(Ok(()), layout::sync_folder))
        .map_err(|error| layout::at(folder, error))
}

fn set_persisted(inner: &Inner, name: &str, cut: u64) {
    let mut persisted = lock(&inner.persisted);
    let Persisted { spans, events, .. } = &mut *persisted;
    let record = if name == "spans" { spans } else { events };
    *record = cut.max(*record);
}

fn flush_entities(inner: &Inner, everything: bool) -> Result<(), StoreError> {
    let needed = lock(&inner.persisted);
    let behind = needed.spans.min(needed.events).min(needed.metrics) > needed.entities;
    drop(needed);
    if !everything && !behind {
        return Ok(());
    }
    let applied = lock(&inner.applied);
    let mut entities = write(&inner.entities);
    let cut = *applied;
    drop(applied);
    if entities.changed {
        let path = inner.folder.path.join("entities").join(ENTITIES_FILE);
        let bytes = entities.encode(cut)?;
        layout::write_file(&path, &bytes).map_err(|error| layout::at(&path, error))?;
        entities.changed = false;
    }
    drop(entities);
    lock(&inner.persisted).entities = cut;
    Ok(())
}

/// Deletes the segments that no part needs; the ids of their batches are kept aside before.
fn forget_log(committer: &Committer, inner: &Inner) -> Result<(), StoreError> {
    let persisted = lock(&inner.persisted).all();
    if !inner.log().is_some_and(|log| log.forgets_until(persisted)) {
        return Ok(());
    }
    let folder = inner.folder.path.join("log");
    committer.batches().save(&folder, unix_ms()).map_err(|error| layout::at(&folder, error))?;
    inner.log().map_or(Ok(()), |mut log| log.forget_until(persisted))
}
