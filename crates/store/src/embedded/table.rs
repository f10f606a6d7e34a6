//! A table of rows (spans, events): the newest in memory, the rest in Parquet files, one folder an hour.
//!
//! Rows come as batches in the order of the log. When there are enough of them the whole head is taken out as
//! `flushing`, sorted and written; until the files are in place the rows stay readable in memory. The list of files
//! and the two heads change under one lock, so a query sees every row exactly once.

use super::filter::Filter;
use super::footers::Footers;
use super::parquet_file::DataFile;
use super::scan::{self, Page};
use super::shred;
use super::sorted;
use crate::StoreError;
use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Field, Schema, SchemaRef};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Instant;

/// Small batches are joined when this many have gathered: queries then look at few large ones.
const JOIN_BATCHES: usize = 64;
const SMALL_ROWS: usize = 256;

/// What is particular about a table.
pub struct Spec {
    pub name: &'static str,
    pub schema: SchemaRef,
    /// The timestamp that orders and partitions it.
    pub time: &'static str,
    /// Dictionary columns by which a file is sorted before the time: neighbours then look alike.
    pub sort: &'static [&'static str],
    /// Columns with a Bloom filter.
    pub lookup: &'static [&'static str],
    pub footers: Footers,
}

pub struct Table {
    pub spec: Spec,
    pub folder: PathBuf,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    head: Vec<RecordBatch>,
    head_rows: usize,
    head_bytes: usize,
    head_since: Option<Instant>,
    flushing: Vec<RecordBatch>,
    flushing_rows: usize,
    flushing_bytes: usize,
    /// The last log record that `flushing` holds.
    cut: u64,
    files: Vec<Arc<DataFile>>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct HeadSize {
    pub rows: usize,
    pub bytes: usize,
    pub since: Option<Instant>,
}

/// A consistent view: what is in memory and the files beside it.
pub struct View {
    pub memory: Vec<RecordBatch>,
    pub files: Vec<Arc<DataFile>>,
}

impl Table {
    pub fn new(spec: Spec, folder: PathBuf, files: Vec<Arc<DataFile>>) -> Self {
        Table { spec, folder, state: RwLock::new(State { files, ..State::default() }) }
    }

    /// Adds rows to the head; `false` when they do not have the table's columns.
    pub fn push(&self, batch: &RecordBatch) -> bool {
        if batch.num_rows() == 0 {
            return true;
        }
        let Some(batch) = conform_in_memory(batch, &self.spec.schema) else { return false };
        let mut state = write(&self.state);
        state.head_rows += batch.num_rows();
        state.head_bytes += batch.get_array_memory_size();
        state.head_since.get_or_insert_with(Instant::now);
        state.head.push(batch);
        state.join_small(&self.spec);
        true
    }

    pub fn head_size(&self) -> HeadSize {
        let state = read(&self.state);
        HeadSize { rows: state.head_rows, bytes: state.head_bytes, since: state.head_since }
    }

    /// The head, and what is on its way into files.
    pub fn memory_size(&self) -> HeadSize {
        let state = read(&self.state);
        let (rows, bytes) = (state.head_rows + state.flushing_rows, state.head_bytes + state.flushing_bytes);
        HeadSize { rows, bytes, since: state.head_since }
    }

    /// Takes the head out for flushing, with the number of the last log record in it. What an earlier flush could not
    /// write comes again first, with its own number.
    pub fn begin_flush(&self, applied: u64) -> (Vec<RecordBatch>, u64) {
        let mut state = write(&self.state);
        if state.flushing.is_empty() {
            state.flushing = std::mem::take(&mut state.head);
            (state.flushing_rows, state.flushing_bytes) = (state.head_rows, state.head_bytes);
            (state.head_rows, state.head_bytes, state.head_since, state.cut) = (0, 0, None, applied);
        }
        (state.flushing.clone(), state.cut)
    }

    pub fn is_flushing(&self) -> bool {
        !read(&self.state).flushing.is_empty()
    }

    pub fn finish_flush(&self, files: Vec<Arc<DataFile>>) {
        let mut state = write(&self.state);
        state.flushing = Vec::new();
        (state.flushing_rows, state.flushing_bytes) = (0, 0);
        state.files.extend(files);
    }

    pub fn view(&self) -> View {
        let state = read(&self.state);
        View { memory: state.flushing.iter().chain(&state.head).cloned().collect(), files: state.files.clone() }
    }

    pub fn files(&self) -> Vec<Arc<DataFile>> {
        read(&self.state).files.clone()
    }

    /// Replaces files by others, in one step for every reader.
    pub fn exchange(&self, gone: &[Arc<DataFile>], come: Option<Arc<DataFile>>) {
        gone.iter().for_each(|file| self.spec.footers.forget(file.path()));
        let mut state = write(&self.state);
        state.files.retain(|file| !gone.iter().any(|gone| gone.path() == file.path()));
        state.files.extend(come);
    }

    pub fn rows(&self) -> u64 {
        let state = read(&self.state);
        state.files.iter().map(|file| file.rows).sum::<u64>() + (state.head_rows + state.flushing_rows) as u64
    }

    pub fn query(&self, filter: &Filter, page: Page, until: Instant) -> Result<Scanned, StoreError> {
        scan::scan(&self.spec, self.view(), filter, page, until)
    }
}

pub use scan::Scanned;

impl State {
    fn join_small(&mut self, spec: &Spec) {
        let small = self.head.iter().rev().take_while(|batch| batch.num_rows() < SMALL_ROWS).count();
        if small < JOIN_BATCHES {
            return;
        }
        let tail = self.head.split_off(self.head.len() - small);
        match sorted::joined(spec, &tail) {
            Ok(joined) => {
                let before: usize = tail.iter().map(RecordBatch::get_array_memory_size).sum();
                self.head_bytes = (self.head_bytes + joined.get_array_memory_size()).saturating_sub(before);
                self.head.push(joined);
            }
            Err(error) => {
                log::debug!("batches in memory stay apart: {error}");
                self.head.extend(tail);
            }
        }
    }
}

/// The same for a batch that was read from a file.
pub fn conform_stored(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    conform(&shred::unshred(batch).ok()?, schema)
}

/// The same for a batch that stays in memory, where attributes may have columns of their own.
pub fn conform_in_memory(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    let base = conform(batch, schema)?;
    let (mut fields, mut columns) = (schema.fields().to_vec(), base.columns().to_vec());
    for (name, column) in shred::columns(batch) {
        let column = shred::in_memory(column)?;
        fields.push(Arc::new(Field::new(shred::column_name(name), column.data_type().clone(), true)));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).ok()
}

/// The batch with the columns of `schema`, in its order: unknown ones are left out, missing ones are null.
pub fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Option<RecordBatch> {
    if batch.schema_ref().fields() == schema.fields() {
        return Some(batch.clone());
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Some(column.clone()),
            None if field.is_nullable() => Some(new_null_array(field.data_type(), batch.num_rows())),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).ok()
}

/// A thread that panicked left the lists whole: they change by single steps.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
