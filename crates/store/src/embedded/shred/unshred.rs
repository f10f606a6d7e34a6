//! Columns of attributes back into one map.

use super::{COLUMN, Map, PREFIX, map_builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, MapArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, Schema};
use std::sync::Arc;

enum Shredded<'a> {
    Whole(&'a Int64Array),
    Text(&'a StringArray),
    Keyed(&'a Int32Array, &'a StringArray),
}

impl Shredded<'_> {
    /// Appends the row's value, if it has one.
    fn append(&self, name: &str, row: usize, out: &mut Map) -> bool {
        let valid = match self {
            Shredded::Whole(numbers) => numbers.is_valid(row),
            Shredded::Text(texts) => texts.is_valid(row),
            Shredded::Keyed(keys, _) => keys.is_valid(row),
        };
        if valid {
            out.keys().append_value(name);
            match self {
                Shredded::Whole(numbers) => out.values().append_value(numbers.value(row).to_string()),
                Shredded::Text(texts) => out.values().append_value(texts.value(row)),
                Shredded::Keyed(keys, texts) => out.values().append_value(texts.value(keys.value(row) as usize)),
            }
        }
        valid
    }
}

/// Puts the columns back into the map.
pub fn unshred(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let is_shredded = |name: &str| name.starts_with(PREFIX);
    if !schema.fields().iter().any(|field| is_shredded(field.name())) {
        return Ok(batch.clone());
    }
    let columns: Vec<(&str, Shredded<'_>)> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .filter_map(|(field, column)| Some((field.name().strip_prefix(PREFIX)?, shredded(column)?)))
        .collect();
    let map = Arc::new(joined(batch, &columns)?) as ArrayRef;
    let kept = schema.fields().iter().zip(batch.columns()).filter(|(field, _)| !is_shredded(field.name()));
    let (fields, columns): (Vec<_>, Vec<_>) = kept
        .map(|(field, column)| (field.clone(), if field.name() == COLUMN { map.clone() } else { column.clone() }))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn shredded(column: &ArrayRef) -> Option<Shredded<'_>> {
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Some(Shredded::Whole(numbers));
    }
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
        return Some(Shredded::Keyed(dictionary.keys(), dictionary.values().as_string_opt::<i32>()?));
    }
    column.as_string_opt::<i32>().map(Shredded::Text)
}

fn joined(batch: &RecordBatch, columns: &[(&str, Shredded<'_>)]) -> Result<MapArray, ArrowError> {
    let missing = || ArrowError::SchemaError("no map of attributes".to_owned());
    let map = batch.column_by_name(COLUMN).and_then(|column| column.as_map_opt()).ok_or_else(missing)?;
    let (keys, values) = match (map.keys().as_string_opt::<i32>(), map.values().as_string_opt::<i32>()) {
        (Some(keys), Some(values)) => (keys, values),
        _ => return Err(missing()),
    };
    let (mut out, offsets) = (map_builder(), map.value_offsets());
    for row in 0..batch.num_rows() {
        let mut some = map.is_valid(row);
        for (name, column) in columns {
            some |= column.append(name, row, &mut out);
        }
        for entry in offsets[row] as usize..offsets[row + 1] as usize {
            out.keys().append_value(keys.value(entry));
            out.values().append_option(values.is_valid(entry).then(|| values.value(entry)));
        }
        out.append(some)?;
    }
    Ok(out.finish())
}
