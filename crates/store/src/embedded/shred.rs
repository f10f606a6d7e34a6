//! Attributes in columns of their own. In memory a span's attributes are one map; in a file every frequent attribute
//! is a column `attributes.<name>`, a number where all its values are whole numbers, else the JSON text. Values of one
//! attribute are alike, so they pack three times better than mixed in one map, and a filter on one reads only that.
//! What is rare stays in the map. `unshred` makes the map again.

use arrow_array::builder::{Int64Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, MapArray, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::Arc;

pub const COLUMN: &str = "attributes";
pub const PREFIX: &str = "attributes.";
/// Of the attributes of a file, the most frequent ones.
const MAX_COLUMNS: usize = 64;
/// An attribute of fewer than one row in this many stays in the map.
const RARE: usize = 200;
/// Names that are told apart; beyond it an attribute stays in the map.
const MAX_NAMES: usize = 4096;
const IN_MAP: u16 = u16::MAX;

struct Name<'a> {
    text: &'a str,
    count: usize,
    whole: bool,
    column: Option<usize>,
}

/// Which attributes of some batches become columns, and for each entry of each map which one it is.
pub struct Plan<'a> {
    maps: Vec<&'a MapArray>,
    names: Vec<Name<'a>>,
    /// For each batch and map entry the number of its name.
    entries: Vec<Vec<u16>>,
    columns: Vec<usize>,
}

fn key_bytes<'a>(keys: &'a StringArray, row: &Range<usize>) -> &'a [u8] {
    let offsets = keys.value_offsets();
    &keys.value_data()[offsets[row.start] as usize..offsets[row.end] as usize]
}

fn same_keys(keys: &StringArray, left: &Range<usize>, right: &Range<usize>) -> bool {
    let lengths =
        |row: &Range<usize>| keys.value_offsets()[row.start..=row.end].windows(2).map(|ends| ends[1] - ends[0]);
    key_bytes(keys, left) == key_bytes(keys, right) && lengths(left).eq(lengths(right))
}

pub fn column_name(attribute: &str) -> String {
    format!("{PREFIX}{attribute}")
}

impl<'a> Plan<'a> {
    /// `None` when the batches have no map of attributes.
    pub fn new(batches: &'a [RecordBatch]) -> Option<Plan<'a>> {
        let maps =
            batches.iter().map(|batch| batch.column_by_name(COLUMN)?.as_map_opt()).collect::<Option<Vec<_>>>()?;
        let mut plan = Plan { maps: Vec::new(), names: Vec::new(), entries: Vec::new(), columns: Vec::new() };
        let mut numbers: FxHashMap<&str, u16> = FxHashMap::default();
        for map in &maps {
            let entries = plan.count(map, &mut numbers)?;
            plan.entries.push(entries);
        }
        plan.maps = maps;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        plan.choose(rows);
        Some(plan)
    }

    fn count(&mut self, map: &'a MapArray, numbers: &mut FxHashMap<&'a str, u16>) -> Option<Vec<u16>> {
        let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
        let mut numbered = vec![IN_MAP; keys.len()];
        // Spans of one kind have the same names in the same order: one comparison for a whole row of them.
        let mut shapes: FxHashMap<(usize, usize), Range<usize>> = FxHashMap::default();
        for ends in map.value_offsets().windows(2) {
            let row = ends[0] as usize..ends[1] as usize;
            let shape = (row.len(), key_bytes(keys, &row).len());
            let alike = shapes.get(&shape).filter(|other| same_keys(keys, other, &row)).cloned();
            match alike {
                Some(other) => numbered.copy_within(other, row.start),
                None => {
                    row.clone().for_each(|at| numbered[at] = self.number(keys.value(at), numbers));
                    shapes.insert(shape, row.clone());
                }
            }
            for at in row {
                if let Some(name) = self.names.get_mut(usize::from(numbered[at])) {
                    name.count += 1;
                    name.whole = name.whole && values.is_valid(at) && whole(values.value(at)).is_some();
                }
            }
        }
        Some(numbered)
    }

    fn number(&mut self, key: &'a str, numbers: &mut FxHashMap<&'a str, u16>) -> u16 {
        if let Some(number) = numbers.get(key) {
            return *number;
        }
        if self.names.len() >= MAX_NAMES {
            return IN_MAP;
        }
        let number = self.names.len() as u16;
        self.names.push(Name { text: key, count: 0, whole: true, column: None });
        numbers.insert(key, number);
        number
    }

    fn choose(&mut self, rows: usize) {
        let mut frequent: Vec<usize> =
            (0..self.names.len()).filter(|at| self.names[*at].count * RARE >= rows).collect();
        frequent.sort_by_key(|at| (std::cmp::Reverse(self.names[*at].count), self.names[*at].text));
        frequent.truncate(MAX_COLUMNS);
        for (column, name) in frequent.iter().enumerate() {
            self.names[*name].column = Some(column);
        }
        self.columns = frequent;
    }

    /// The schema of the file: the table's, and the columns.
    pub fn schema(&self, table: &Schema) -> SchemaRef {
        let mut fields: Vec<_> = table.fields().iter().cloned().collect();
        fields.extend(self.columns.iter().map(|name| {
            let name = &self.names[*name];
            let kind = if name.whole { DataType::Int64 } else { DataType::Utf8 };
            Arc::new(Field::new(column_name(name.text), kind, true))
        }));
        Arc::new(Schema::new(fields))
    }

    /// The map of what stays in it, and the columns, for rows given as (batch, row).
    pub fn take(&self, rows: &[(usize, usize)]) -> Result<(ArrayRef, Vec<ArrayRef>), ArrowError> {
        let mut columns: Vec<Column> =
            self.columns.iter().map(|name| Column::new(self.names[*name].whole, rows.len())).collect();
        let mut rest = map_builder();
        for (row, (batch, at)) in rows.iter().enumerate() {
            let map = self.maps[*batch];
            let valid = map.is_valid(*at);
            if valid {
                self.take_row(*batch, map, *at, row, &mut columns, &mut rest);
            }
            rest.append(valid)?;
        }
        Ok((Arc::new(rest.finish()), columns.into_iter().map(|column| column.finish(rows.len())).collect()))
    }

    fn take_row(&self, batch: usize, map: &MapArray, at: usize, row: usize, columns: &mut [Column], rest: &mut Map) {
        let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
        let offsets = map.value_offsets();
        let numbers = &self.entries[batch];
        for entry in offsets[at] as usize..offsets[at + 1] as usize {
            let column = self.names.get(usize::from(numbers[entry])).and_then(|name| name.column);
            let value = values.is_valid(entry).then(|| values.value(entry));
            // A name that a span has twice, and a null value, stay in the map.
            let taken = match (column, value) {
                (Some(column), Some(value)) => columns[column].append(row, value),
                _ => false,
            };
            if !taken {
                rest.keys().append_value(keys.value(entry));
                rest.values().append_option(value);
            }
        }
    }
}

type Map = MapBuilder<StringBuilder, StringBuilder>;

fn map_builder() -> Map {
    let names = MapFieldNames { entry: "entries".into(), key: "keys".into(), value: "values".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

/// A number whose text is exactly this one.
pub fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let canonical = match digits.first()? {
        b'0' => text.len() == 1,
        _ => digits.len() <= 18,
    };
    if !canonical {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if digits.len() < text.len() { -value } else { value })
}

enum Values {
    Whole(Int64Builder),
    Text(StringBuilder),
}

struct Column {
    values: Values,
    rows: usize,
}

impl Column {
    fn new(whole: bool, rows: usize) -> Self {
        let values = match whole {
            true => Values::Whole(Int64Builder::with_capacity(rows)),
            false => Values::Text(StringBuilder::with_capacity(rows, rows * 16)),
        };
        Column { values, rows: 0 }
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.rows);
        match &mut self.values {
            Values::Whole(builder) => builder.append_nulls(missing),
            Values::Text(builder) => (0..missing).for_each(|_| builder.append_null()),
        }
        self.rows += missing;
    }

    /// False when the row has a value already.
    fn append(&mut self, row: usize, value: &str) -> bool {
        if self.rows > row {
            return false;
        }
        if self.rows < row {
            self.pad(row);
        }
        match &mut self.values {
            Values::Whole(builder) => builder.append_option(whole(value)),
            Values::Text(builder) => builder.append_value(value),
        }
        self.rows += 1;
        true
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        match self.values {
            Values::Whole(mut builder) => Arc::new(builder.finish()),
            Values::Text(mut builder) => Arc::new(builder.finish()),
        }
    }
}

enum Shredded<'a> {
    Whole(&'a Int64Array),
    Text(&'a StringArray),
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
    let whole = column.as_primitive_opt::<Int64Type>().map(Shredded::Whole);
    whole.or_else(|| column.as_string_opt::<i32>().map(Shredded::Text))
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
        for (name, column) in columns {
            match column {
                Shredded::Whole(column) if column.is_valid(row) => {
                    out.keys().append_value(name);
                    out.values().append_value(column.value(row).to_string());
                }
                Shredded::Text(column) if column.is_valid(row) => {
                    out.keys().append_value(name);
                    out.values().append_value(column.value(row));
                }
                _ => {}
            }
        }
        for entry in offsets[row] as usize..offsets[row + 1] as usize {
            out.keys().append_value(keys.value(entry));
            out.values().append_option(values.is_valid(entry).then(|| values.value(entry)));
        }
        out.append(map.is_valid(row))?;
    }
    Ok(out.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn batch(rows: &[Option<Vec<(&str, Option<&str>)>>]) -> RecordBatch {
        let mut map = map_builder();
        for row in rows {
            for (key, value) in row.iter().flatten() {
                map.keys().append_value(key);
                map.values().append_option(*value);
            }
            map.append(row.is_some()).unwrap();
        }
        let map = map.finish();
        let schema = Schema::new(vec![Field::new(COLUMN, map.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(map)]).unwrap()
    }

    fn rows(batch: &RecordBatch) -> Vec<Option<BTreeMap<(String, usize), Option<String>>>> {
        let map = batch.column(0).as_map();
        let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
        let row = |at: usize| {
            let mut entries = BTreeMap::new();
            for entry in map.value_offsets()[at] as usize..map.value_offsets()[at + 1] as usize {
                let again = entries.keys().filter(|(key, _): &&(String, usize)| key == keys.value(entry)).count();
                entries.insert(
                    (keys.value(entry).to_owned(), again),
                    values.is_valid(entry).then(|| values.value(entry).to_owned()),
                );
            }
            map.is_valid(at).then_some(entries)
        };
        (0..batch.num_rows()).map(row).collect()
    }

    #[test]
    fn what_is_shredded_comes_back() {
        let batches = [
            batch(&[
                Some(vec![("port", Some("80")), ("route", Some("\"/a\"")), ("mixed", Some("1"))]),
                None,
                Some(vec![("port", Some("-5")), ("port", Some("7")), ("route", None)]),
            ]),
            batch(&[
                Some(vec![]),
                Some(vec![
                    ("route", Some("\"/b\"")),
                    ("mixed", Some("\"x\"")),
                    ("zero", Some("007")),
                    ("big", Some("99999999999999999999")),
                ]),
            ]),
        ];
        let plan = Plan::new(&batches).unwrap();
        let places = [(1, 1), (0, 0), (0, 2), (1, 0), (0, 1)];
        let (map, columns) = plan.take(&places).unwrap();
        let schema = plan.schema(&batches[0].schema());
        let names: Vec<(&str, &DataType)> =
            schema.fields()[1..].iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        assert!(names.contains(&("attributes.port", &DataType::Int64)), "{names:?}");
        assert!(
            names.contains(&("attributes.zero", &DataType::Utf8))
                && names.contains(&("attributes.mixed", &DataType::Utf8))
        );
        let file = RecordBatch::try_new(schema, std::iter::once(map).chain(columns).collect()).unwrap();
        let back = unshred(&file).unwrap();
        let expected: Vec<_> = places.iter().map(|(batch, row)| rows(&batches[*batch])[*row].clone()).collect();
        assert_eq!(rows(&back), expected);
    }

    #[test]
    fn a_slice_of_a_batch_is_shredded_by_its_own_rows() {
        let whole = batch(&[
            Some(vec![("a", Some("1"))]),
            Some(vec![("b", Some("2")), ("a", Some("3"))]),
            None,
            Some(vec![("b", Some("4"))]),
        ]);
        let batches = [whole.slice(1, 3)];
        let plan = Plan::new(&batches).unwrap();
        let (map, columns) = plan.take(&[(0, 2), (0, 0), (0, 1)]).unwrap();
        let file =
            RecordBatch::try_new(plan.schema(&whole.schema()), std::iter::once(map).chain(columns).collect()).unwrap();
        let all = rows(&whole);
        assert_eq!(rows(&unshred(&file).unwrap()), [all[3].clone(), all[1].clone(), None]);
    }

    #[test]
    fn only_texts_that_a_number_gives_back_are_numbers() {
        for (text, number) in [("0", Some(0)), ("-1", Some(-1)), ("123456789012345678", Some(123456789012345678))] {
            assert_eq!(whole(text), number);
        }
        for text in ["", "-", "-0", "00", "01", "+1", "1.0", "1e3", "\"1\"", "9999999999999999999", "1 "] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
