//! The best matching rows of a table: first only the columns that decide, then all columns of the few rows that won.

use super::filter::Filter;
use super::parquet_file::{self, DataFile, FileError};
use super::table::{Spec, View, conform, conform_stored};
use super::top::{Place, Top};
use crate::{Order, StoreError};
use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// More rows than this are no answer but an export.
pub const MAX_ROWS: usize = 100_000;
const BATCH_ROWS: usize = 8 * 1024;
pub const OUT_OF_TIME: &str = "the query ran out of time; ask for a shorter time range or filter more";

/// Which of the matching rows are wanted, and what of them.
#[derive(Clone, Copy)]
pub struct Page {
    pub order: Order,
    pub limit: usize,
    /// All columns of the table when none.
    pub columns: Option<&'static [&'static str]>,
}

impl Page {
    pub fn newest(limit: usize) -> Self {
        Page { order: Order::Newest, limit, columns: None }
    }

    /// The table's columns as the answer has them.
    fn schema(&self, table: &SchemaRef) -> SchemaRef {
        let Some(columns) = self.columns else { return table.clone() };
        let wanted = |field: &&FieldRef| columns.contains(&field.name().as_str());
        Arc::new(Schema::new(table.fields().iter().filter(wanted).cloned().collect::<Vec<_>>()))
    }
}

/// An answer, and the files that turned out to be damaged on the way.
#[derive(Default)]
pub struct Scanned {
    pub batches: Vec<RecordBatch>,
    pub damaged: Vec<(Arc<DataFile>, String)>,
}

struct Scan<'a> {
    spec: &'a Spec,
    filter: &'a Filter,
    order: Order,
    until: Instant,
    top: Top,
    damaged: Vec<(Arc<DataFile>, String)>,
}

pub fn scan(spec: &Spec, view: View, filter: &Filter, page: Page, until: Instant) -> Result<Scanned, StoreError> {
    let Page { order, limit, .. } = page;
    if limit > MAX_ROWS {
        return Err(StoreError::TooMuch(format!(
            "the query asks for {limit} rows; at most {MAX_ROWS} are given at once"
        )));
    }
    let mut files: Vec<Arc<DataFile>> =
        view.files.into_iter().filter(|file| file.min_ns <= filter.end_ns && file.max_ns >= filter.start_ns).collect();
    files.sort_by_key(|file| std::cmp::Reverse(best_key(file, order)));
    let mut scan = Scan { spec, filter, order, until, top: Top::new(limit), damaged: Vec::new() };
    for (source, batch) in view.memory.iter().enumerate() {
        scan.batch(batch, source as u32, |row| row)?;
    }
    for (number, file) in files.iter().enumerate() {
        // The rest of the files hold nothing better than this one.
        if !scan.top.wants(best_key(file, order)) {
            break;
        }
        scan.file(file, (view.memory.len() + number) as u32)?;
    }
    let (top, mut damaged) = (scan.top.into_sorted(), scan.damaged);
    let wanted = Columns { spec, page, schema: page.schema(&spec.schema) };
    let batches = collect(&wanted, &view.memory, &files, &top, &mut damaged)?;
    Ok(Scanned { batches, damaged })
}

fn best_key(file: &DataFile, order: Order) -> u64 {
    match order {
        Order::Newest => time_key(file.max_ns),
        Order::Slowest => file.max_duration_ns,
    }
}

fn group_key(builder: &ParquetRecordBatchReaderBuilder<File>, group: usize, spec: &Spec, order: Order) -> u64 {
    let group = builder.metadata().row_group(group);
    match order {
        Order::Newest => parquet_file::bounds_i64(group, spec.time).map_or(u64::MAX, |(_, high)| time_key(high)),
        Order::Slowest => parquet_file::bounds_u64(group, "duration_ns").map_or(u64::MAX, |(_, high)| high),
    }
}

/// Keeps the order when signed becomes unsigned.
fn time_key(time_ns: i64) -> u64 {
    (time_ns as u64) ^ (1 << 63)
}

impl Scan<'_> {
    fn batch(
        &mut self,
        batch: &RecordBatch,
        source: u32,
        row_in_source: impl Fn(u32) -> u32,
    ) -> Result<(), StoreError> {
        if Instant::now() > self.until {
            return Err(StoreError::TooMuch(OUT_OF_TIME.to_owned()));
        }
        let rows = self.filter.rows(batch);
        let times = batch
            .column_by_name(self.spec.time)
            .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let durations = batch.column_by_name("duration_ns").and_then(|column| column.as_primitive_opt::<UInt64Type>());
        for row in rows {
            let key = match (self.order, times, durations) {
                (Order::Slowest, _, Some(durations)) => durations.value(row as usize),
                (_, Some(times), _) => time_key(times.value(row as usize)),
                _ => 0,
            };
            self.top.push(Place { key, source, row: row_in_source(row) });
        }
        Ok(())
    }

    fn file(&mut self, file: &Arc<DataFile>, source: u32) -> Result<(), StoreError> {
        match parquet_file::unwound(|| self.read(file, source)) {
            Ok(()) => Ok(()),
            Err(ReadError::Store(error)) => Err(error),
            Err(ReadError::File(FileError::Io(error))) => Err(super::layout::at(file.path(), error)),
            Err(ReadError::File(FileError::Damaged(reason))) => {
                self.damaged.push((file.clone(), reason));
                Ok(())
            }
        }
    }

    fn read(&mut self, file: &DataFile, source: u32) -> Result<(), ReadError> {
        if let Some(id) = &self.filter.trace_id
            && !file.may_have_trace(id)?
        {
            return Ok(());
        }
        let loaded = file.load(self.spec)?;
        let builder = loaded.reader()?;
        let mut candidates = parquet_file::candidate_groups(&builder, self.filter)?;
        // The best first: the others may then not be needed any more.
        candidates.sort_by_key(|group| std::cmp::Reverse(group_key(&builder, *group, self.spec, self.order)));
        let firsts = first_rows(&builder);
        let mut columns = self.filter.columns();
        if self.order == Order::Slowest {
            columns.push("duration_ns".to_owned());
        }
        let mask = projection(&builder, &columns);
        for group in candidates {
            // What came before may already be better than all of this one.
            if !self.top.wants(group_key(&builder, group, self.spec, self.order)) {
                continue;
            }
            let reader = loaded.reader()?.with_row_groups(vec![group]).with_projection(mask.clone());
            let candidates = parquet_file::candidate_rows(&builder, group, self.filter);
            let selected = parquet_file::in_both(candidates, self.rows_good_enough(&builder, group));
            let rows = selected.as_ref().map(|ranges| ranges.iter().cloned().flatten().collect::<Vec<u32>>());
            let reader = match selected {
                Some(ranges) => reader.with_row_selection(parquet_file::selection(&builder, group, &ranges)),
                None => reader,
            };
            let (first, mut read) = (firsts[group], 0u32);
            for batch in reader.with_batch_size(BATCH_ROWS).build()? {
                let batch = batch?;
                // With pages left out, the number of a row read is not its place in the group.
                let place = |row: u32| match &rows {
                    Some(rows) => first + rows.get((read + row) as usize).copied().unwrap_or(0),
                    None => first + read + row,
                };
                self.batch(&batch, source, place)?;
                read += batch.num_rows() as u32;
            }
        }
        Ok(())
    }
}

impl Scan<'_> {
    /// The rows of a group that may still be among the best, by the bounds of their pages.
    fn rows_good_enough(
        &self,
        builder: &ParquetRecordBatchReaderBuilder<File>,
        group: usize,
    ) -> Option<Vec<std::ops::Range<u32>>> {
        match self.order {
            Order::Newest => {
                parquet_file::rows_on_pages(builder, group, self.spec.time, |max| self.top.wants(time_key(max)))
            }
            Order::Slowest => {
                parquet_file::rows_on_pages(builder, group, "duration_ns", |max| self.top.wants(max as u64))
            }
        }
    }
}

enum ReadError {
    File(FileError),
    Store(StoreError),
}

impl<E: Into<FileError>> From<E> for ReadError {
    fn from(error: E) -> Self {
        ReadError::File(error.into())
    }
}

impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        ReadError::Store(error)
    }
}

pub fn projection(builder: &ParquetRecordBatchReaderBuilder<File>, columns: &[String]) -> ProjectionMask {
    let fields = builder.schema().fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| columns.iter().any(|column| column == field.name())).map(|(at, _)| at);
    ProjectionMask::roots(builder.parquet_schema(), wanted)
}

/// The number of the first row of every row group.
fn first_rows(builder: &ParquetRecordBatchReaderBuilder<File>) -> Vec<u32> {
    let mut next = 0u32;
    builder
        .metadata()
        .row_groups()
        .iter()
        .map(|group| {
            let first = next;
            next = next.saturating_add(group.num_rows() as u32);
            first
        })
        .collect()
}

/// What is read of the rows that won.
struct Columns<'a> {
    spec: &'a Spec,
    page: Page,
    schema: SchemaRef,
}

/// Fetches the winners, each file once, and puts them in the asked order.
fn collect(
    wanted: &Columns<'_>,
    memory: &[RecordBatch],
    files: &[Arc<DataFile>],
    top: &[Place],
    damaged: &mut Vec<(Arc<DataFile>, String)>,
) -> Result<Vec<RecordBatch>, StoreError> {
    let mut rows_of: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for place in top {
        rows_of.entry(place.source).or_default().push(place.row);
    }
    let (mut batches, mut found) = (Vec::new(), BTreeMap::new());
    for (source, mut rows) in rows_of {
        rows.sort_unstable();
        let batch = match memory.get(source as usize) {
            Some(batch) => wanted.pick(batch, &rows),
            None => parquet_file::unwound(|| wanted.fetch(&files[source as usize - memory.len()], &rows)),
        };
        match batch {
            Ok(batch) => {
                found.insert(source, (batches.len(), rows));
                batches.push(batch);
            }
            Err(error) => match (error, (source as usize).checked_sub(memory.len()).and_then(|at| files.get(at))) {
                (FileError::Damaged(reason), Some(file)) => damaged.push((file.clone(), reason)),
                (error, Some(file)) => return Err(error.into_store_error(file.path())),
                (error, None) => return Err(error.into_store_error(Path::new("memory"))),
            },
        }
    }
    let order: Vec<(usize, usize)> = top
        .iter()
        .filter_map(|place| {
            let (batch, rows) = found.get(&place.source)?;
            Some((*batch, rows.binary_search(&place.row).ok()?))
        })
        .collect();
    if order.is_empty() {
        return Ok(Vec::new());
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    let joined = arrow_select::interleave::interleave_record_batch(&batches, &order)
        .map_err(|error| StoreError::Io(io::Error::other(error.to_string())))?;
    Ok(vec![joined])
}

impl Columns<'_> {
    /// Some rows of a batch in memory, as a file gives them.
    fn pick(&self, batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, FileError> {
        let narrow = match self.page.columns {
            Some(_) => self.conform(batch)?,
            None => batch.clone(),
        };
        self.conform(&arrow_select::take::take_record_batch(&narrow, &UInt32Array::from(rows.to_vec()))?)
    }

    /// Some rows of a file, in the file's order.
    fn fetch(&self, file: &DataFile, rows: &[u32]) -> Result<RecordBatch, FileError> {
        let builder = file.load(self.spec)?.reader()?;
        let total: usize = builder.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize).sum();
        let mask = match self.page.columns {
            Some(columns) => projection(&builder, &columns.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()),
            None => ProjectionMask::all(),
        };
        let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
        let selection = RowSelection::from_consecutive_ranges(ranges, total);
        let reader = builder.with_projection(mask).with_row_selection(selection).with_batch_size(rows.len().max(1));
        let conformed = reader.build()?.map(|batch| self.conform(&batch?)).collect::<Result<Vec<_>, _>>()?;
        let batch = arrow_select::concat::concat_batches(&self.schema, &conformed)?;
        if batch.num_rows() != rows.len() {
            return Err(FileError::Damaged(format!("{} rows read where {} were wanted", batch.num_rows(), rows.len())));
        }
        Ok(batch)
    }

    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch, FileError> {
        // The map of attributes is made again only for who asks for all columns.
        let conformed = match self.page.columns {
            Some(_) => conform(batch, &self.schema),
            None => conform_stored(batch, &self.schema),
        };
        conformed.ok_or_else(|| FileError::Damaged("its columns are not those of the table".to_owned()))
    }
}
