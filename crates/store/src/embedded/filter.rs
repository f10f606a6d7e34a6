//! Which rows of a batch a query wants.
//!
//! Equalities on dictionary columns are decided once for each distinct value and then looked up by key; only what is
//! left is tested for times, durations and attributes.

use super::shred;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch};
use std::collections::HashMap;

/// OTLP's `STATUS_CODE_ERROR`.
const STATUS_ERROR: u8 = 2;

#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The timestamp column, and the range in it, both ends included.
    pub time: &'static str,
    pub start_ns: i64,
    pub end_ns: i64,
    /// Column and value.
    pub equals: Vec<(String, String)>,
    pub attributes: Vec<AttributeFilter>,
    pub min_duration_ns: Option<u64>,
    pub max_duration_ns: Option<u64>,
    pub errors: bool,
    pub trace_id: Option<[u8; 16]>,
}

#[derive(Clone, Debug)]
pub struct AttributeFilter {
    name: String,
    value: String,
    /// The value as the JSON text of a string, as attributes are stored.
    json: String,
    /// The value as a whole number, where its text is one.
    number: Option<i64>,
}

impl AttributeFilter {
    pub fn new(name: &str, value: &str) -> Self {
        let json = serde_json::Value::from(value).to_string();
        AttributeFilter { name: name.to_owned(), value: value.to_owned(), json, number: shred::whole(value) }
    }

    fn accepts(&self, stored: &str) -> bool {
        if stored == self.value || stored == self.json {
            return true;
        }
        // Another writer may escape more than needed.
        stored.starts_with('"')
            && stored.contains('\\')
            && serde_json::from_str::<String>(stored).is_ok_and(|text| text == self.value)
    }

    fn accepts_value(&self, stored: &serde_json::Value) -> bool {
        match stored {
            serde_json::Value::String(text) => *text == self.value,
            other => self.value == other.to_string(),
        }
    }
}

impl Filter {
    /// The columns that deciding needs.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = vec![self.time];
        columns.extend(self.equals.iter().map(|(column, _)| column.as_str()));
        if !self.attributes.is_empty() {
            columns.extend([shred::COLUMN, "resource_attributes"]);
        }
        if self.min_duration_ns.is_some() || self.max_duration_ns.is_some() {
            columns.push("duration_ns");
        }
        if self.errors {
            columns.push("status");
        }
        if self.trace_id.is_some() {
            columns.push("trace_id");
        }
        let mut columns: Vec<String> = columns.into_iter().map(str::to_owned).collect();
        columns.extend(self.attributes.iter().map(|attribute| shred::column_name(&attribute.name)));
        columns
    }

    /// The rows that match, ascending. A column that the batch lacks matches nothing.
    pub fn rows(&self, batch: &RecordBatch) -> Vec<u32> {
        let mut rows: Vec<u32> = (0..batch.num_rows() as u32).collect();
        if let Some(id) = &self.trace_id {
            keep_trace(&mut rows, batch, id);
        }
        self.keep_times(&mut rows, batch);
        for (column, value) in &self.equals {
            keep_equal(&mut rows, batch.column_by_name(column), value);
        }
        if self.errors {
            match batch.column_by_name("status").and_then(|column| column.as_primitive_opt::<UInt8Type>()) {
                Some(status) => rows.retain(|row| status.value(*row as usize) == STATUS_ERROR),
                None => rows.clear(),
            }
        }
        self.keep_durations(&mut rows, batch);
        for attribute in &self.attributes {
            keep_attribute(&mut rows, batch, attribute);
        }
        rows
    }

    fn keep_times(&self, rows: &mut Vec<u32>, batch: &RecordBatch) {
        let times =
            batch.column_by_name(self.time).and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        match times {
            Some(times) => rows.retain(|row| (self.start_ns..=self.end_ns).contains(&times.value(*row as usize))),
            None => rows.clear(),
        }
    }

    fn keep_durations(&self, rows: &mut Vec<u32>, batch: &RecordBatch) {
        if self.min_duration_ns.is_none() && self.max_duration_ns.is_none() {
            return;
        }
        let (min, max) = (self.min_duration_ns.unwrap_or(0), self.max_duration_ns.unwrap_or(u64::MAX));
        match batch.column_by_name("duration_ns").and_then(|column| column.as_primitive_opt::<UInt64Type>()) {
            Some(durations) => rows.retain(|row| (min..=max).contains(&durations.value(*row as usize))),
            None => rows.clear(),
        }
    }
}

fn keep_trace(rows: &mut Vec<u32>, batch: &RecordBatch, id: &[u8; 16]) {
    match batch.column_by_name("trace_id").and_then(|column| column.as_fixed_size_binary_opt()) {
        Some(ids) => rows.retain(|row| ids.is_valid(*row as usize) && ids.value(*row as usize) == id),
        None => rows.clear(),
    }
}

/// Keeps the rows whose dictionary value passes; a null row is out.
fn keep_by_value(rows: &mut Vec<u32>, column: Option<&ArrayRef>, accepts: impl Fn(&str) -> bool) {
    let dictionary = column.and_then(|column| column.as_dictionary_opt::<Int32Type>());
    let Some((keys, values)) =
        dictionary.and_then(|dictionary| Some((dictionary.keys(), dictionary.values().as_string_opt::<i32>()?)))
    else {
        return rows.clear();
    };
    let accepted: Vec<bool> = (0..values.len()).map(|at| values.is_valid(at) && accepts(values.value(at))).collect();
    if !accepted.contains(&true) {
        return rows.clear();
    }
    rows.retain(|row| {
        let row = *row as usize;
        keys.is_valid(row) && accepted.get(keys.value(row) as usize).copied().unwrap_or(false)
    });
}

fn keep_equal(rows: &mut Vec<u32>, column: Option<&ArrayRef>, value: &str) {
    keep_by_value(rows, column, |have| have == value);
}

fn keep_attribute(rows: &mut Vec<u32>, batch: &RecordBatch, wanted: &AttributeFilter) {
    let mut by_resource = rows.clone();
    keep_by_value(&mut by_resource, batch.column_by_name("resource_attributes"), |text| resource_has(text, wanted));
    let mut from_resource = by_resource.into_iter().peekable();
    let own_column = batch.column_by_name(&shred::column_name(&wanted.name));
    let map = batch.column_by_name(shred::COLUMN).and_then(|column| column.as_map_opt());
    rows.retain(|row| {
        let at = *row as usize;
        from_resource.next_if_eq(row).is_some()
            || own_column.is_some_and(|column| column_has(column, at, wanted))
            || map.is_some_and(|map| map_has(map, at, wanted))
    });
}

fn resource_has(text: &str, wanted: &AttributeFilter) -> bool {
    let Ok(object) = serde_json::from_str::<HashMap<String, serde_json::Value>>(text) else { return false };
    object.get(&wanted.name).is_some_and(|value| wanted.accepts_value(value))
}

fn column_has(column: &ArrayRef, row: usize, wanted: &AttributeFilter) -> bool {
    if !column.is_valid(row) {
        return false;
    }
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Some(numbers.value(row)) == wanted.number;
    }
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
        let texts = dictionary.values().as_string_opt::<i32>();
        return texts.zip(dictionary.key(row)).is_some_and(|(texts, key)| wanted.accepts(texts.value(key)));
    }
    column.as_string_opt::<i32>().is_some_and(|texts| wanted.accepts(texts.value(row)))
}

fn map_has(map: &MapArray, row: usize, wanted: &AttributeFilter) -> bool {
    if !map.is_valid(row) {
        return false;
    }
    let (Some(keys), Some(values)) = (map.keys().as_string_opt::<i32>(), map.values().as_string_opt::<i32>()) else {
        return false;
    };
    let offsets = map.value_offsets();
    (offsets[row] as usize..offsets[row + 1] as usize)
        .any(|at| keys.value(at) == wanted.name && values.is_valid(at) && wanted.accepts(values.value(at)))
}
