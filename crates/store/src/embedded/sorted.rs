//! Rows on their way into files: by hour, and within an hour by the columns that make neighbours alike, then by time.

use super::dictionaries::Joined;
use super::shred::{self, Plan};
use super::table::Spec;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, RecordBatch};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::ArrowError;
use std::collections::BTreeMap;

const HOUR_NS: i64 = 3600 * 1_000_000_000;
/// Times come from outside: rows of more hours than this share the oldest of the newest hours.
const MAX_HOURS: usize = 200;
/// Rows of one batch on its way to the writer: what is sorted stands in memory a second time only so far.
const SLICE_ROWS: usize = 16 * 1024;

/// Rows in file order, made when they are asked for.
pub type Slices<'a> = &'a mut dyn Iterator<Item = Result<RecordBatch, ArrowError>>;

struct Row {
    sort: u64,
    time: i64,
    batch: u32,
    row: u32,
}

/// Writes all rows in file order, whatever their hours.
pub fn all<E: From<ArrowError>>(
    spec: &Spec,
    batches: &[RecordBatch],
    write: impl FnOnce(Slices<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let batches = spread_all(batches)?;
    let from = Source::new(spec, &batches);
    let mut rows: Vec<Row> = rows_by_hour(spec, &batches, &from.dictionaries)?.into_values().flatten().collect();
    write(&mut from.in_order(&mut rows))
}

/// Writes hour by hour: hours since 1970, and their rows in file order.
pub fn by_hour<E: From<ArrowError>>(
    spec: &Spec,
    batches: &[RecordBatch],
    mut write: impl FnMut(i64, Slices<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let batches = spread_all(batches)?;
    let from = Source::new(spec, &batches);
    let hours = bounded(rows_by_hour(spec, &batches, &from.dictionaries)?);
    hours.into_iter().try_for_each(|(hour, mut rows)| write(hour, &mut from.in_order(&mut rows)))
}

/// One batch of all rows, in their own order.
pub fn joined(spec: &Spec, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let batches = spread_all(batches)?;
    let places: Vec<(usize, usize)> = batches
        .iter()
        .enumerate()
        .flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)))
        .collect();
    Source::new(spec, &batches).gather(&places)
}

fn spread_all(batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    batches.iter().map(shred::spread).collect()
}

fn rows_by_hour(
    spec: &Spec,
    batches: &[RecordBatch],
    dictionaries: &[Option<Joined>],
) -> Result<BTreeMap<i64, Vec<Row>>, ArrowError> {
    let mut hours: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for (number, batch) in batches.iter().enumerate() {
        let times =
            batch.column_by_name(spec.time).and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let Some(times) = times else {
            return Err(ArrowError::SchemaError(format!("{}: no timestamp column {}", spec.name, spec.time)));
        };
        let ranks = ranks(spec, batch, number, dictionaries);
        for (row, (time, sort)) in times.values().iter().zip(ranks).enumerate() {
            hours.entry(time.div_euclid(HOUR_NS)).or_default().push(Row {
                sort,
                time: *time,
                batch: number as u32,
                row: row as u32,
            });
        }
    }
    Ok(hours)
}

/// For every row one number that orders it by the spec's sort columns: a key in order is its own rank.
fn ranks(spec: &Spec, batch: &RecordBatch, number: usize, dictionaries: &[Option<Joined>]) -> Vec<u64> {
    let mut ranks = vec![0; batch.num_rows()];
    for column in spec.sort {
        let dictionary = batch.schema_ref().index_of(column).ok().and_then(|at| dictionaries.get(at)?.as_ref());
        let Some(dictionary) = dictionary else { continue };
        for (row, rank) in ranks.iter_mut().enumerate() {
            *rank = *rank << 32 | dictionary.key(number, row).map_or(0, |key| key as u64 + 1);
        }
    }
    ranks
}

fn bounded(mut hours: BTreeMap<i64, Vec<Row>>) -> BTreeMap<i64, Vec<Row>> {
    while hours.len() > MAX_HOURS {
        let Some((_, oldest)) = hours.pop_first() else { break };
        if let Some(mut next) = hours.first_entry() {
            next.get_mut().extend(oldest);
        }
    }
    hours
}

/// The batches, with what is found out about them once for all rows.
struct Source<'a> {
    spec: &'a Spec,
    batches: &'a [RecordBatch],
    /// By column of the table; none where the column is no dictionary of texts.
    dictionaries: Vec<Option<Joined>>,
    plan: Option<Plan<'a>>,
}

impl<'a> Source<'a> {
    fn new(spec: &'a Spec, batches: &'a [RecordBatch]) -> Self {
        let dictionary = |at: usize| {
            let columns: Vec<Option<ArrayRef>> = batches.iter().map(|batch| Some(batch.column(at).clone())).collect();
            Joined::new(&columns, spec.sort.contains(&spec.schema.field(at).name().as_str()))
        };
        let dictionaries = (0..spec.schema.fields().len()).map(dictionary).collect();
        Source { spec, batches, dictionaries, plan: Plan::new(batches) }
    }

    fn in_order<'r>(&'r self, rows: &'r mut [Row]) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'r {
        rows.sort_unstable_by_key(|row| (row.sort, row.time, row.batch, row.row));
        rows.chunks(SLICE_ROWS).map(|rows| {
            let places: Vec<(usize, usize)> = rows.iter().map(|row| (row.batch as usize, row.row as usize)).collect();
            self.gather(&places)
        })
    }

    /// The rows at these places (batch, row), with their attributes in columns.
    fn gather(&self, places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let shredded = self.plan.as_ref().map(|plan| plan.take(places)).transpose()?;
        let schema = match &self.plan {
            Some(plan) => plan.schema(&self.spec.schema),
            None => self.spec.schema.clone(),
        };
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (at, dictionary) in self.dictionaries.iter().enumerate() {
            columns.push(match (dictionary, &shredded) {
                (Some(dictionary), _) => dictionary.take(places)?,
                (None, Some((map, _))) if schema.field(at).name() == shred::COLUMN => map.clone(),
                _ => self.take(at, places)?,
            });
        }
        columns.extend(shredded.into_iter().flat_map(|(_, columns)| columns));
        RecordBatch::try_new(schema, columns)
    }

    fn take(&self, column: usize, places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
        let ids = self.batches.iter().map(|batch| batch.column(column).as_fixed_size_binary_opt());
        if let Some(ids) = ids.collect::<Option<Vec<_>>>() {
            return take_ids(&ids, places);
        }
        let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(column).as_ref()).collect();
        arrow_select::interleave::interleave(&parts, places)
    }
}

/// Arrow's own kernel has no short way for them.
fn take_ids(parts: &[&FixedSizeBinaryArray], places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
    let width = parts.first().map_or(0, |part| part.value_length());
    let mut bytes = Vec::with_capacity(places.len() * width.max(0) as usize);
    let mut nulls = NullBufferBuilder::new(places.len());
    for (batch, row) in places {
        bytes.extend_from_slice(parts[*batch].value(*row));
        nulls.append(parts[*batch].is_valid(*row));
    }
    Ok(std::sync::Arc::new(FixedSizeBinaryArray::try_new(width, bytes.into(), nulls.finish())?))
}
