//! Rows on their way into files: by hour, and within an hour by the columns that make neighbours alike, then by time.

use super::dictionaries::Dictionaries;
use super::shred::{self, Plan};
use super::table::Spec;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use std::collections::BTreeMap;

const HOUR_NS: i64 = 3600 * 1_000_000_000;
/// Times come from outside: rows of more hours than this share the oldest of the newest hours.
const MAX_HOURS: usize = 200;
/// Rows of one batch on its way to the writer.
const SLICE_ROWS: usize = 64 * 1024;

struct Row {
    sort: u64,
    time: i64,
    batch: u32,
    row: u32,
}

/// All rows in file order, whatever their hours.
pub fn all(spec: &Spec, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>, ArrowError> {
    let from = Source::new(batches);
    let rows = rows_by_hour(spec, batches, &from.dictionaries)?.into_values().flatten().collect();
    from.in_order(rows)
}

/// Hours since 1970 and their rows in file order.
pub fn by_hour(spec: &Spec, batches: &[RecordBatch]) -> Result<Vec<(i64, Vec<RecordBatch>)>, ArrowError> {
    let from = Source::new(batches);
    let hours = bounded(rows_by_hour(spec, batches, &from.dictionaries)?);
    hours.into_iter().map(|(hour, rows)| Ok((hour, from.in_order(rows)?))).collect()
}

fn rows_by_hour(
    spec: &Spec,
    batches: &[RecordBatch],
    dictionaries: &Dictionaries<'_>,
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
fn ranks(spec: &Spec, batch: &RecordBatch, number: usize, dictionaries: &Dictionaries<'_>) -> Vec<u64> {
    let mut ranks = vec![0; batch.num_rows()];
    for column in spec.sort {
        let dictionary = batch.schema_ref().index_of(column).ok().and_then(|at| dictionaries.columns[at].as_ref());
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
    batches: &'a [RecordBatch],
    dictionaries: Dictionaries<'a>,
    plan: Option<Plan<'a>>,
}

impl<'a> Source<'a> {
    fn new(batches: &'a [RecordBatch]) -> Self {
        Source { batches, dictionaries: Dictionaries::new(batches), plan: Plan::new(batches) }
    }

    fn in_order(&self, mut rows: Vec<Row>) -> Result<Vec<RecordBatch>, ArrowError> {
        rows.sort_unstable_by_key(|row| (row.sort, row.time, row.batch, row.row));
        let Some(first) = self.batches.first() else { return Ok(Vec::new()) };
        let schema = self.plan.as_ref().map_or_else(|| first.schema(), |plan| plan.schema(first.schema_ref()));
        rows.chunks(SLICE_ROWS)
            .map(|rows| {
                let places: Vec<(usize, usize)> =
                    rows.iter().map(|row| (row.batch as usize, row.row as usize)).collect();
                self.gather(&schema, &places)
            })
            .collect()
    }

    /// The rows at these places (batch, row), with their attributes in columns.
    fn gather(&self, schema: &SchemaRef, places: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
        let shredded = self.plan.as_ref().map(|plan| plan.take(places)).transpose()?;
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (at, dictionary) in self.dictionaries.columns.iter().enumerate() {
            columns.push(match (dictionary, &shredded) {
                (Some(dictionary), _) => dictionary.take(places)?,
                (None, Some((map, _))) if schema.field(at).name() == shred::COLUMN => map.clone(),
                _ => {
                    let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(at).as_ref()).collect();
                    arrow_select::interleave::interleave(&parts, places)?
                }
            });
        }
        columns.extend(shredded.into_iter().flat_map(|(_, columns)| columns));
        RecordBatch::try_new(schema.clone(), columns)
    }
}
