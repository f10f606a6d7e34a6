//! The frequent attributes of a batch's map into columns.

use super::{COLUMN, MAX_COLUMNS, Map, RARE, column_name, columns, map_builder};
use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Field, Schema};
use hashbrown::{HashMap, HashSet};
use std::sync::Arc;

/// Names that are told apart; beyond it an attribute stays in the map.
const MAX_NAMES: usize = 4096;

struct Entries<'a> {
    map: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Entries<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Entries<'a>> {
        let map = batch.column_by_name(COLUMN)?.as_map_opt()?;
        Some(Entries { map, keys: map.keys().as_string_opt()?, values: map.values().as_string_opt()? })
    }

    fn row(&self, row: usize) -> std::ops::Range<usize> {
        let offsets = self.map.value_offsets();
        offsets[row] as usize..offsets[row + 1] as usize
    }

    fn all(&self) -> std::ops::Range<usize> {
        let offsets = self.map.value_offsets();
        offsets.first().map_or(0, |at| *at as usize)..offsets.last().map_or(0, |at| *at as usize)
    }
}

/// The batch with its frequent attributes in columns. What has a column already and still stands in the map is odd.
pub fn spread(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let Some(entries) = Entries::of(batch).filter(|entries| !entries.all().is_empty()) else {
        return Ok(batch.clone());
    };
    let names = frequent(batch, &entries);
    if names.is_empty() {
        return Ok(batch.clone());
    }
    let numbers: HashMap<&str, usize> = names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    let mut texts: Vec<Texts> = names.iter().map(|_| Texts::default()).collect();
    let mut rest = map_builder();
    for row in 0..batch.num_rows() {
        for entry in entries.row(row) {
            take_entry(&entries, entry, row, &numbers, &mut texts, &mut rest);
        }
        rest.append(entries.map.is_valid(row))?;
    }
    let rest = Arc::new(rest.finish()) as ArrayRef;
    let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
    let mut arrays: Vec<ArrayRef> = fields
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| if field.name() == COLUMN { rest.clone() } else { column.clone() })
        .collect();
    for (name, texts) in names.iter().zip(texts) {
        let column = texts.finish(batch.num_rows());
        fields.push(Arc::new(Field::new(column_name(name), column.data_type().clone(), true)));
        arrays.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn frequent<'a>(batch: &RecordBatch, entries: &Entries<'a>) -> Vec<&'a str> {
    let taken: HashSet<&str> = columns(batch).map(|(name, _)| name).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for entry in entries.all() {
        let name = entries.keys.value(entry);
        if let Some(count) = counts.get_mut(name) {
            *count += 1;
        } else if counts.len() < MAX_NAMES && !taken.contains(name) {
            counts.insert(name, 1);
        }
    }
    let mut names: Vec<(usize, &str)> = counts.into_iter().map(|(name, count)| (count, name)).collect();
    names.retain(|(count, _)| count * RARE >= batch.num_rows());
    names.sort_by_key(|(count, name)| (std::cmp::Reverse(*count), *name));
    names.truncate(MAX_COLUMNS.saturating_sub(taken.len()));
    names.into_iter().map(|(_, name)| name).collect()
}

fn take_entry(
    entries: &Entries<'_>,
    entry: usize,
    row: usize,
    numbers: &HashMap<&str, usize>,
    texts: &mut [Texts],
    rest: &mut Map,
) {
    let name = entries.keys.value(entry);
    let value = entries.values.is_valid(entry).then(|| entries.values.value(entry));
    let column = numbers.get(name).and_then(|number| texts.get_mut(*number));
    // A name that a row has twice, and a null value, stay in the map.
    let taken = match (column, value) {
        (Some(column), Some(value)) => column.append(row, value),
        _ => false,
    };
    if !taken {
        rest.keys().append_value(name);
        rest.values().append_option(value);
    }
}

#[derive(Default)]
struct Texts {
    values: StringDictionaryBuilder<Int32Type>,
    rows: usize,
}

impl Texts {
    /// False when the row has a value already.
    fn append(&mut self, row: usize, value: &str) -> bool {
        if self.rows > row {
            return false;
        }
        self.values.append_nulls(row - self.rows);
        self.values.append_value(value);
        self.rows = row + 1;
        true
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.values.append_nulls(rows - self.rows);
        Arc::new(self.values.finish())
    }
}
