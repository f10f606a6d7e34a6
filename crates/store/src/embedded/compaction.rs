//! Small files of one hour become one. A quiet machine flushes a few rows every ten minutes; without this a week of
//! it is a thousand files to open. Files that are as large as a flush makes them stay as they are.

use super::checkpoint::{self, Checkpoint};
use super::inner::{Inner, lock};
use super::layout;
use super::losses;
use super::parquet_file::{self, DataFile, FileError};
use super::sorted;
use super::table::{Table, conform_in_memory};
use crate::StoreError;
use arrow_array::RecordBatch;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An hour that still grows is joined only when it has this many.
const MANY_FILES: usize = 8;
/// Later than this after an hour's last file nothing more is expected.
const AT_REST: Duration = Duration::from_secs(900);

/// Joins the small files of one hour, if there is one worth it.
pub fn step(inner: &Inner, table: &Table) -> Result<(), StoreError> {
    if table.is_flushing() {
        return Ok(());
    }
    let Some(group) = worth_joining(table, inner.options.flush_rows as u64) else { return Ok(()) };
    let Some(rows) = read_all(inner, table, &group)? else { return Ok(()) };
    let relative = |file: &Arc<DataFile>| Some(file.path().strip_prefix(&table.folder).ok()?.to_str()?.to_owned());
    let replaced: Vec<String> = group.iter().filter_map(relative).collect();
    // The newest one's name with a suffix: a name that no flush ever takes.
    let Some(name) = replaced
        .iter()
        .max()
        .and_then(|newest| newest.strip_suffix(".parquet"))
        .map(|stem| format!("{stem}-joined.parquet"))
    else {
        return Ok(());
    };
    let path = table.folder.join(&name);
    sorted::all(&table.spec, &rows, |rows| parquet_file::write_temporary(&path, &table.spec, rows))?;
    drop(rows);
    let log_record = match table.spec.name {
        "spans" => lock(&inner.persisted).spans,
        _ => lock(&inner.persisted).events,
    };
    checkpoint::promise(&table.folder, Checkpoint::new(log_record, vec![name], replaced))?;
    let joined = DataFile::open(&path, &table.spec).map_err(|error| error.into_store_error(&path))?;
    table.exchange(&group, Some(Arc::new(joined)));
    group.iter().for_each(|file| file.shared.doom());
    Ok(())
}

/// Of one hour the smallest files that together make no more than a full one.
fn worth_joining(table: &Table, full_rows: u64) -> Option<Vec<Arc<DataFile>>> {
    let mut hours: BTreeMap<PathBuf, Vec<Arc<DataFile>>> = BTreeMap::new();
    for file in table.files() {
        hours.entry(file.path().parent()?.to_path_buf()).or_default().push(file);
    }
    let now_ns = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos() as i64;
    let rest_ns = AT_REST.as_nanos() as i64;
    hours.into_values().find_map(|mut files| {
        let newest = files.iter().map(|file| file.modified_ns).max()?;
        files.sort_by_key(|file| file.rows);
        let mut rows = 0;
        files.retain(|file| {
            rows += file.rows;
            rows <= full_rows
        });
        let enough = if now_ns.saturating_sub(newest) > rest_ns { 2 } else { MANY_FILES };
        (files.len() >= enough).then_some(files)
    })
}

/// All rows of the files; none when one of them turned out to be damaged and was set aside.
fn read_all(inner: &Inner, table: &Table, files: &[Arc<DataFile>]) -> Result<Option<Vec<RecordBatch>>, StoreError> {
    let mut rows = Vec::new();
    for file in files {
        match parquet_file::unwound(|| read(table, file)) {
            Ok(batches) => rows.extend(batches),
            Err(FileError::Damaged(reason)) => {
                layout::set_aside(file.path(), &reason);
                losses::add(&inner.losses.damaged_files, 1);
                table.exchange(std::slice::from_ref(file), None);
                return Ok(None);
            }
            Err(error) => return Err(error.into_store_error(file.path())),
        }
    }
    Ok(Some(rows))
}

fn read(table: &Table, file: &DataFile) -> Result<Vec<RecordBatch>, FileError> {
    let reader = file.load(&table.spec)?.reader_of_dictionaries()?.with_batch_size(64 * 1024).build()?;
    let conformed = |batch: RecordBatch| {
        conform_in_memory(&batch, &table.spec.schema)
            .ok_or_else(|| FileError::Damaged("its columns are not those of the table".to_owned()))
    };
    reader.map(|batch| conformed(batch?)).collect()
}
