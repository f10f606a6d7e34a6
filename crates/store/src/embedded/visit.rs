//! All matching rows of a table, group by group: what is counted and not shown needs no order and no limit.
//!
//! Of each group of rows first only the columns that decide are read, and where nothing matches that is all.

use super::filter::Filter;
use super::parquet_file::{self, DataFile, FileError, Loaded};
use super::scan::{OUT_OF_TIME, projection};
use super::shred;
use super::table::{Spec, View};
use crate::StoreError;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, Field, Schema};
use parquet::arrow::arrow_reader::RowSelection;
use std::sync::Arc;
use std::time::Instant;

const BATCH_ROWS: usize = 8 * 1024;

/// Takes some rows; false is enough.
pub type Each<'a> = &'a mut dyn FnMut(&RecordBatch) -> bool;

pub struct Visit<'a> {
    pub spec: &'a Spec,
    pub filter: &'a Filter,
    /// Of the table, and attributes with their prefix.
    pub columns: &'a [&'a str],
    pub until: Instant,
}

impl Visit<'_> {
    /// Gives all rows of the view, and returns the files that turned out to be damaged on the way.
    pub fn all(&self, view: View, each: Each<'_>) -> Result<Vec<(Arc<DataFile>, String)>, StoreError> {
        let mut damaged = Vec::new();
        for batch in &view.memory {
            self.check_time()?;
            let rows = self.filter.rows(batch);
            if !rows.is_empty() && !each(&self.pick(batch, Some(rows))?) {
                return Ok(damaged);
            }
        }
        let touches = |file: &&Arc<DataFile>| file.min_ns <= self.filter.end_ns && file.max_ns >= self.filter.start_ns;
        for file in view.files.iter().filter(touches) {
            match self.file(file, each) {
                Ok(true) => {}
                Ok(false) => break,
                Err(Trouble::Store(error)) => return Err(error),
                Err(Trouble::File(FileError::Io(error))) => return Err(super::layout::at(file.path(), error)),
                Err(Trouble::File(FileError::Damaged(reason))) => damaged.push((file.clone(), reason)),
            }
        }
        Ok(damaged)
    }

    fn check_time(&self) -> Result<(), StoreError> {
        match Instant::now() > self.until {
            true => Err(StoreError::TooMuch(OUT_OF_TIME.to_owned())),
            false => Ok(()),
        }
    }

    fn file(&self, file: &DataFile, each: Each<'_>) -> Result<bool, Trouble> {
        let (loaded, groups) = parquet_file::unwound(|| {
            let loaded = file.load(self.spec)?;
            let groups = parquet_file::candidate_groups(&loaded.reader()?, self.filter)?;
            Ok::<_, FileError>((loaded, groups))
        })?;
        for group in groups {
            self.check_time()?;
            // What looks at the rows is called outside: should it panic, the file is not to blame.
            let batches = parquet_file::unwound(|| self.group(&loaded, group))?;
            for batch in &batches {
                if !each(batch) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn group(&self, loaded: &Loaded, group: usize) -> Result<Vec<RecordBatch>, FileError> {
        let rows = self.matching_rows(loaded, group)?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let builder = loaded.reader_of_dictionaries()?;
        let total = builder.metadata().row_group(group).num_rows().max(0) as usize;
        let mut columns: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        if self.columns.iter().any(|name| name.starts_with(shred::PREFIX)) {
            columns.push(shred::COLUMN.to_owned());
        }
        let mask = projection(&builder, &columns);
        let mut builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(BATCH_ROWS);
        if rows.len() < total {
            let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, total));
        }
        builder.build()?.map(|batch| Ok(self.pick(&batch?, None)?)).collect()
    }

    /// The rows of a group that match, by their places in it.
    fn matching_rows(&self, loaded: &Loaded, group: usize) -> Result<Vec<u32>, FileError> {
        let builder = loaded.reader()?;
        let mask = projection(&builder, &self.filter.columns());
        let candidates = parquet_file::candidate_rows(&builder, group, self.filter);
        let places: Option<Vec<u32>> =
            candidates.as_ref().map(|ranges| ranges.iter().cloned().flatten().collect::<Vec<u32>>());
        let selection = candidates.map(|ranges| parquet_file::selection(&builder, group, &ranges));
        let mut builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(BATCH_ROWS);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let (mut found, mut read) = (Vec::new(), 0u32);
        for batch in builder.build()? {
            let batch = batch?;
            let place = |row: u32| match &places {
                Some(places) => places.get((read + row) as usize).copied(),
                None => Some(read + row),
            };
            found.extend(self.filter.rows(&batch).into_iter().filter_map(place));
            read += batch.num_rows() as u32;
        }
        Ok(found)
    }

    /// The columns that are wanted, of some rows or of all: those of the table that are there, and every attribute.
    fn pick(&self, batch: &RecordBatch, rows: Option<Vec<u32>>) -> Result<RecordBatch, ArrowError> {
        let taken = rows.filter(|rows| rows.len() < batch.num_rows()).map(UInt32Array::from);
        let (mut fields, mut columns): (Vec<Field>, Vec<ArrayRef>) = Default::default();
        for name in self.columns {
            let column = match name.strip_prefix(shred::PREFIX) {
                Some(attribute) => shred::attribute(batch, attribute),
                None => batch.column_by_name(name).cloned(),
            };
            let Some(column) = column else { continue };
            let column = match &taken {
                Some(rows) => arrow_select::take::take(&column, rows, None)?,
                None => column,
            };
            fields.push(Field::new(*name, column.data_type().clone(), true));
            columns.push(column);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}

enum Trouble {
    File(FileError),
    Store(StoreError),
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Trouble::File(error)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}
