//! Rows on their way into files: by hour, and within an hour by the columns that make neighbours alike, then by time.

use super::shred::{self, Plan};
use super::table::Spec;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, SchemaRef};
use std::collections::{BTreeMap, HashMap};

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
    let rows = rows_by_hour(spec, batches)?.into_values().flatten().collect();
    in_order(batches, Plan::new(batches).as_ref(), rows)
}

/// Hours since 1970 and their rows in file order.
pub fn by_hour(spec: &Spec, batches: &[RecordBatch]) -> Result<Vec<(i64, Vec<RecordBatch>)>, ArrowError> {
    let hours = bounded(rows_by_hour(spec, batches)?);
    let plan = Plan::new(batches);
    hours.into_iter().map(|(hour, rows)| Ok((hour, in_order(batches, plan.as_ref(), rows)?))).collect()
}

fn rows_by_hour(spec: &Spec, batches: &[RecordBatch]) -> Result<BTreeMap<i64, Vec<Row>>, ArrowError> {
    let ranks = ranks(spec, batches);
    let mut hours: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for (number, batch) in batches.iter().enumerate() {
        let times =
            batch.column_by_name(spec.time).and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let Some(times) = times else {
            return Err(ArrowError::SchemaError(format!("{}: no timestamp column {}", spec.name, spec.time)));
        };
        for (row, time) in times.values().iter().enumerate() {
            let sort = ranks.get(number).and_then(|ranks| ranks.get(row)).copied().unwrap_or(0);
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

fn bounded(mut hours: BTreeMap<i64, Vec<Row>>) -> BTreeMap<i64, Vec<Row>> {
    while hours.len() > MAX_HOURS {
        let Some((_, oldest)) = hours.pop_first() else { break };
        if let Some(mut next) = hours.first_entry() {
            next.get_mut().extend(oldest);
        }
    }
    hours
}

fn in_order(
    batches: &[RecordBatch],
    plan: Option<&Plan<'_>>,
    mut rows: Vec<Row>,
) -> Result<Vec<RecordBatch>, ArrowError> {
    rows.sort_unstable_by_key(|row| (row.sort, row.time, row.batch, row.row));
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let schema = plan.map_or_else(|| first.schema(), |plan| plan.schema(first.schema_ref()));
    rows.chunks(SLICE_ROWS)
        .map(|rows| {
            let places: Vec<(usize, usize)> = rows.iter().map(|row| (row.batch as usize, row.row as usize)).collect();
            gather(batches, plan, &schema, &places)
        })
        .collect()
}

/// The rows at these places (batch, row), with their attributes in columns.
fn gather(
    batches: &[RecordBatch],
    plan: Option<&Plan<'_>>,
    schema: &SchemaRef,
    places: &[(usize, usize)],
) -> Result<RecordBatch, ArrowError> {
    let shredded = plan.map(|plan| plan.take(places)).transpose()?;
    let mut columns = Vec::with_capacity(schema.fields().len());
    for at in 0..batches[0].num_columns() {
        match &shredded {
            Some((map, _)) if schema.field(at).name() == shred::COLUMN => columns.push(map.clone()),
            _ => {
                let parts: Vec<&dyn Array> = batches.iter().map(|batch| batch.column(at).as_ref()).collect();
                columns.push(arrow_select::interleave::interleave(&parts, places)?);
            }
        }
    }
    columns.extend(shredded.into_iter().flat_map(|(_, columns)| columns));
    RecordBatch::try_new(schema.clone(), columns)
}

/// For every row of every batch one number that orders it by the spec's sort columns.
fn ranks(spec: &Spec, batches: &[RecordBatch]) -> Vec<Vec<u64>> {
    let mut ranks: Vec<Vec<u64>> = batches.iter().map(|batch| vec![0; batch.num_rows()]).collect();
    for column in spec.sort {
        let order = value_order(batches, column);
        for (batch, ranks) in batches.iter().zip(&mut ranks) {
            add_ranks(batch, column, &order, ranks);
        }
    }
    ranks
}

/// All distinct values of a dictionary column, in order.
fn value_order<'a>(batches: &'a [RecordBatch], column: &str) -> HashMap<&'a str, u64> {
    let mut values: Vec<&str> = batches
        .iter()
        .filter_map(|batch| dictionary(batch, column))
        .flat_map(|(_, values)| values.iter().flatten())
        .collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().zip(1..).collect()
}

fn add_ranks(batch: &RecordBatch, column: &str, order: &HashMap<&str, u64>, ranks: &mut [u64]) {
    let Some((keys, values)) = dictionary(batch, column) else { return };
    let by_key: Vec<u64> =
        values.iter().map(|value| value.and_then(|value| order.get(value)).copied().unwrap_or(0)).collect();
    for (row, rank) in ranks.iter_mut().enumerate() {
        let value = if keys.is_valid(row) { by_key.get(keys.value(row) as usize).copied().unwrap_or(0) } else { 0 };
        *rank = *rank << 32 | value;
    }
}

fn dictionary<'a>(
    batch: &'a RecordBatch,
    column: &str,
) -> Option<(&'a arrow_array::Int32Array, &'a arrow_array::StringArray)> {
    let dictionary = batch.column_by_name(column)?.as_dictionary_opt::<Int32Type>()?;
    Some((dictionary.keys(), dictionary.values().as_string_opt::<i32>()?))
}
