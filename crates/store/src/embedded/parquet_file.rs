//! One Parquet file of a table: how it is written, and what is known of it without reading its rows.

use super::bloom::Bloom;
use super::filter::Filter;
use super::layout::{self, SharedFile};
use super::shred;
use super::sorted::Slices;
use super::table::Spec;
use crate::StoreError;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use limpid_model::schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

const ROW_GROUP_ROWS: usize = 128 * 1024;
const PAGE_ROWS: usize = 8 * 1024;
const ZSTD_LEVEL: i32 = 1;
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Columns whose bounds never tell a row group from another: long texts that every row has.
const BOUNDLESS: &[&str] = &["resource_attributes", "instance", "host", "status_message"];
/// Columns whose values are numbers that hardly repeat: a dictionary only costs.
const RANDOM: &[&str] = &["trace_id", "span_id", "parent_span_id"];
const PLAIN: &[&str] = &["trace_id", "span_id", "parent_span_id", "duration_ns"];

#[derive(Debug)]
pub struct DataFile {
    pub shared: SharedFile,
    pub bytes: u64,
    pub rows: u64,
    pub min_ns: i64,
    pub max_ns: i64,
    /// The longest span, where there are durations.
    pub max_duration_ns: u64,
    pub modified_ns: i64,
    /// Of each row group the filter of its trace ids; none when it must be found out by reading.
    blooms: Option<Vec<Bloom>>,
}

impl DataFile {
    /// Reads the file's footer.
    pub fn open(path: &Path, spec: &Spec) -> Result<DataFile, FileError> {
        unwound(|| DataFile::read_footer(path, spec))
    }

    fn read_footer(path: &Path, spec: &Spec) -> Result<DataFile, FileError> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
        let groups = metadata.metadata().row_groups();
        let (mut min_ns, mut max_ns, mut max_duration_ns) = (i64::MAX, i64::MIN, 0);
        for group in groups {
            let (low, high) = bounds_i64(group, spec.time).unwrap_or((i64::MIN, i64::MAX));
            (min_ns, max_ns) = (min_ns.min(low), max_ns.max(high));
            max_duration_ns = max_duration_ns.max(bounds_u64(group, "duration_ns").map_or(u64::MAX, |(_, high)| high));
        }
        Ok(DataFile {
            shared: SharedFile::new(path),
            bytes: about.len(),
            rows: groups.iter().map(|group| group.num_rows().max(0) as u64).sum(),
            min_ns,
            max_ns,
            max_duration_ns,
            modified_ns: about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64),
            blooms: groups.iter().map(bloom_of).collect(),
        })
    }

    /// False only when no row has this trace id. Costs some reads of 32 bytes, whatever the file's size.
    pub fn may_have_trace(&self, trace_id: &[u8; 16]) -> Result<bool, FileError> {
        let Some(blooms) = &self.blooms else { return Ok(true) };
        let file = File::open(self.path())?;
        for bloom in blooms {
            if bloom.allows(&file, trace_id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Reads the footer, unless it is known; readers of parts of the file are then made without reading it again.
    pub fn load(&self, spec: &Spec) -> Result<Loaded, FileError> {
        let file = File::open(self.path())?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = spec.footers.get(self.path(), || Ok(ArrowReaderMetadata::load(&file, options)?))?;
        Ok(Loaded { file, metadata })
    }
}

/// The schema with the texts of attributes in this type: dictionaries in memory, plain in files.
fn with_texts_as(schema: &Schema, text: &DataType) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let is_text = field.data_type() == &schema::dictionary() || field.data_type() == &DataType::Utf8;
        match field.name().starts_with(shred::PREFIX) && is_text {
            true => Arc::new(field.as_ref().clone().with_data_type(text.clone())),
            false => field.clone(),
        }
    });
    Schema::new(fields.collect::<Vec<_>>())
}

pub struct Loaded {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Loaded {
    pub fn reader(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, self.metadata.clone()))
    }

    /// The same with attributes as they are in memory.
    pub fn reader_of_dictionaries(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, FileError> {
        let schema = with_texts_as(self.metadata.schema(), &schema::dictionary());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        let metadata = ArrowReaderMetadata::try_new(self.metadata.metadata().clone(), options)?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, metadata))
    }
}

/// Why a file cannot be used: it is gone or unreadable, or what it holds is damaged.
#[derive(Debug)]
pub enum FileError {
    Io(io::Error),
    Damaged(String),
}

/// Reads what may be damaged: the library does not take everything that a file may hold without a panic.
pub fn unwound<T, E: From<FileError>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    caught.unwrap_or_else(|_| Err(FileError::Damaged("it cannot be read".to_owned()).into()))
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Io(error)
    }
}

impl From<ParquetError> for FileError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(error) => FileError::Io(*error),
                Err(source) => FileError::Damaged(source.to_string()),
            },
            error => FileError::Damaged(error.to_string()),
        }
    }
}

impl From<arrow_schema::ArrowError> for FileError {
    fn from(error: arrow_schema::ArrowError) -> Self {
        match error {
            arrow_schema::ArrowError::IoError(_, error) => FileError::Io(error),
            error => FileError::Damaged(error.to_string()),
        }
    }
}

impl FileError {
    pub fn into_store_error(self, path: &Path) -> StoreError {
        match self {
            FileError::Io(error) => layout::at(path, error),
            FileError::Damaged(text) => {
                StoreError::Io(io::Error::new(io::ErrorKind::InvalidData, format!("{}: {text}", path.display())))
            }
        }
    }
}

/// Writes and syncs the temporary file of `path`; it becomes visible when it is published.
pub fn write_temporary(path: &Path, spec: &Spec, batches: Slices<'_>) -> Result<(), StoreError> {
    let temporary = layout::temporary_name(path);
    let written = write_to(&temporary, spec, batches);
    if written.is_err() {
        // The disk may be full: what stands half-written only makes it worse.
        std::fs::remove_file(&temporary).ok();
    }
    written.map_err(|error| error.into_store_error(path))
}

fn write_to(path: &Path, spec: &Spec, batches: Slices<'_>) -> Result<(), FileError> {
    let file = File::create(path)?;
    let first = batches.next().transpose()?;
    let in_memory = first.as_ref().map_or_else(|| spec.schema.clone(), RecordBatch::schema);
    let schema = Arc::new(with_texts_as(&in_memory, &DataType::Utf8));
    let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties(spec, &schema)))?;
    for batch in first.into_iter().map(Ok).chain(batches) {
        writer.write(&batch?)?;
    }
    // Not `into_inner`, whose error does not say that the disk is full.
    writer.finish()?;
    writer.inner().sync_all()?;
    Ok(())
}

fn properties(spec: &Spec, schema: &Schema) -> WriterProperties {
    let zstd = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(zstd))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_created_by(concat!("limpid ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_column_dictionary_enabled(ColumnPath::from(spec.time), false)
        .set_column_encoding(ColumnPath::from(spec.time), Encoding::DELTA_BINARY_PACKED);
    for column in PLAIN {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), false);
    }
    for column in RANDOM {
        // zstd gains nothing on random bytes and takes its time to find out.
        properties = properties.set_column_compression(ColumnPath::from(*column), Compression::UNCOMPRESSED);
    }
    let boundless = |name: &str| name.starts_with(shred::PREFIX) || BOUNDLESS.contains(&name);
    for field in schema.fields().iter().filter(|field| boundless(field.name())) {
        // Attributes are found by scanning one column; page indexes of all of them would cost more than they save.
        properties = properties
            .set_column_statistics_enabled(ColumnPath::new(vec![field.name().clone()]), EnabledStatistics::None);
    }
    for column in spec.lookup {
        properties = properties
            .set_column_bloom_filter_enabled(ColumnPath::from(*column), true)
            .set_column_bloom_filter_fpp(ColumnPath::from(*column), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(ColumnPath::from(*column), ROW_GROUP_ROWS as u64);
    }
    properties.build()
}

/// The row groups that can hold a matching row, by their statistics and Bloom filters.
pub fn candidate_groups(
    reader: &ParquetRecordBatchReaderBuilder<File>,
    filter: &Filter,
) -> Result<Vec<usize>, FileError> {
    let metadata: &ParquetMetaData = reader.metadata();
    let mut candidates = Vec::new();
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if statistics_allow(group, filter) && bloom_allows(reader, number, group, filter)? {
            candidates.push(number);
        }
    }
    Ok(candidates)
}

fn statistics_allow(group: &RowGroupMetaData, filter: &Filter) -> bool {
    let in_time =
        bounds_i64(group, filter.time).is_none_or(|(low, high)| low <= filter.end_ns && high >= filter.start_ns);
    let (min, max) = (filter.min_duration_ns.unwrap_or(0), filter.max_duration_ns.unwrap_or(u64::MAX));
    let in_duration = bounds_u64(group, "duration_ns").is_none_or(|(low, high)| low <= max && high >= min);
    in_time && in_duration && filter.equals.iter().all(|(column, value)| text_can_be(group, column, value.as_bytes()))
}

fn text_can_be(group: &RowGroupMetaData, name: &str, value: &[u8]) -> bool {
    let Some(statistics) = column(group, name).and_then(|column| column.statistics()) else { return true };
    // Long values are truncated in the statistics, the upper one upwards, so both stay bounds.
    match (statistics.min_bytes_opt(), statistics.max_bytes_opt()) {
        (Some(low), Some(high)) => low <= value && value <= high,
        _ => true,
    }
}

fn bloom_allows(
    reader: &ParquetRecordBatchReaderBuilder<File>,
    number: usize,
    group: &RowGroupMetaData,
    filter: &Filter,
) -> Result<bool, FileError> {
    let Some(trace_id) = &filter.trace_id else { return Ok(true) };
    let Some(at) = group.columns().iter().position(|column| column.column_path().string() == "trace_id") else {
        return Ok(true);
    };
    let bloom = reader.get_row_group_column_bloom_filter(number, at)?;
    Ok(bloom.is_none_or(|bloom| bloom.check(&trace_id[..])))
}

fn bloom_of(group: &RowGroupMetaData) -> Option<Bloom> {
    let trace_ids = column(group, "trace_id")?;
    Bloom::new(trace_ids.bloom_filter_offset()?, trace_ids.bloom_filter_length()?)
}

/// The same as a reader of this group alone wants it.
pub fn selection(reader: &ParquetRecordBatchReaderBuilder<File>, group: usize, ranges: &[Range<u32>]) -> RowSelection {
    let total = reader.metadata().row_group(group).num_rows().max(0) as usize;
    RowSelection::from_consecutive_ranges(ranges.iter().map(|range| range.start as usize..range.end as usize), total)
}

/// The rows of a group that can have the wanted value, by the bounds of its pages; none: all of them.
pub fn candidate_rows(
    reader: &ParquetRecordBatchReaderBuilder<File>,
    group: usize,
    filter: &Filter,
) -> Option<Vec<Range<u32>>> {
    let metadata = reader.metadata();
    let index = metadata.page_index_for_row_group(group);
    let total = metadata.row_group(group).num_rows().max(0) as u32;
    let columns = metadata.row_group(group).columns();
    // A file is sorted by few columns, and by the others no page can be told from another.
    let narrowest = filter.equals.iter().filter_map(|(name, value)| {
        let at = columns.iter().position(|column| column.column_path().string() == *name)?;
        let ColumnIndexMetaData::BYTE_ARRAY(bounds) = index.column_index(at)? else { return None };
        let pages = index.page_locations(at)?;
        let can_be = |page: usize| {
            let (low, high) = (bounds.min_value(page), bounds.max_value(page));
            low.is_none_or(|low| low <= value.as_bytes()) && high.is_none_or(|high| value.as_bytes() <= high)
        };
        let first_row = |page: usize| pages.get(page).map_or(total, |page| page.first_row_index.max(0) as u32);
        let ranges = (0..pages.len()).filter(|page| can_be(*page)).map(|page| first_row(page)..first_row(page + 1));
        Some(ranges.collect::<Vec<_>>())
    });
    narrowest.min_by_key(|ranges| ranges.iter().map(|range| u64::from(range.end - range.start)).sum::<u64>())
}

/// The rows of a group on pages whose largest number of this column is wanted; none: all of them.
pub fn rows_on_pages(
    reader: &ParquetRecordBatchReaderBuilder<File>,
    group: usize,
    name: &str,
    wants: impl Fn(i64) -> bool,
) -> Option<Vec<Range<u32>>> {
    let metadata = reader.metadata();
    let total = metadata.row_group(group).num_rows().max(0) as u32;
    let at = metadata.row_group(group).columns().iter().position(|column| column.column_path().string() == name)?;
    let index = metadata.page_index_for_row_group(group);
    let ColumnIndexMetaData::INT64(bounds) = index.column_index(at)? else { return None };
    let pages = index.page_locations(at)?;
    let can_be = |page: usize| {
        bounds.max_values().get(page).is_none_or(|_| bounds.max_value(page).is_none_or(|max| wants(*max)))
    };
    let first_row = |page: usize| pages.get(page).map_or(total, |page| page.first_row_index.max(0) as u32);
    let wanted: Vec<usize> = (0..pages.len()).filter(|page| can_be(*page)).collect();
    let ranges = || wanted.iter().map(|page| first_row(*page)..first_row(page + 1)).collect();
    (wanted.len() < pages.len()).then(ranges)
}

/// What is in both; none is everything.
pub fn in_both(left: Option<Vec<Range<u32>>>, right: Option<Vec<Range<u32>>>) -> Option<Vec<Range<u32>>> {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (one, other) => return one.or(other),
    };
    let (mut both, mut at) = (Vec::new(), 0);
    for range in &left {
        while right.get(at).is_some_and(|other| other.end <= range.start) {
            at += 1;
        }
        let touching = right[at..].iter().take_while(|other| other.start < range.end);
        both.extend(touching.map(|other| range.start.max(other.start)..range.end.min(other.end)));
    }
    Some(both)
}

fn column<'a>(group: &'a RowGroupMetaData, name: &str) -> Option<&'a ColumnChunkMetaData> {
    group.columns().iter().find(|column| column.column_path().string() == name)
}

pub fn bounds_i64(group: &RowGroupMetaData, name: &str) -> Option<(i64, i64)> {
    match column(group, name)?.statistics()? {
        Statistics::Int64(values) => Some((*values.min_opt()?, *values.max_opt()?)),
        _ => None,
    }
}

pub fn bounds_u64(group: &RowGroupMetaData, name: &str) -> Option<(u64, u64)> {
    // Parquet keeps unsigned columns as signed with unsigned order.
    bounds_i64(group, name).map(|(low, high)| (low as u64, high as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_in_both_are_those_in_each() {
        let of = |ranges: &[Range<u32>]| ranges.iter().cloned().flatten().collect::<Vec<u32>>();
        let (left, right) = (vec![0..8, 16..24, 30..31], vec![3..5, 7..17, 23..40]);
        let expected: Vec<u32> = of(&left).into_iter().filter(|row| of(&right).contains(row)).collect();
        assert_eq!(in_both(Some(left.clone()), Some(right.clone())).map(|both| of(&both)), Some(expected.clone()));
        assert_eq!(in_both(Some(right), Some(left.clone())).map(|both| of(&both)), Some(expected));
        assert_eq!(in_both(Some(left.clone()), None), Some(left));
        assert_eq!(in_both(None, None), None);
    }
}
