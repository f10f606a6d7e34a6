//! Attributes in columns of their own. Every frequent attribute is a column `attributes.<name>`, a number where all its
//! values are whole numbers, else the JSON text. Values of one attribute are alike, so they pack three times better than
//! mixed in one map, and a filter on one reads only that. What is rare, or odd, stays in the map.
//!
//! In memory a batch has the columns that its message had (or none, and all in the map), texts as dictionaries. On the
//! way to a file one plan is made for all batches. `unshred` makes the map again.

mod plan;
mod spread;
mod unshred;

pub use plan::Plan;
pub use spread::spread;
pub use unshred::unshred;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayAccessor, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow_schema::DataType;
use std::sync::Arc;

pub use limpid_model::schema::ATTRIBUTE_PREFIX as PREFIX;

pub const COLUMN: &str = "attributes";
/// Of the attributes of a file, the most frequent ones.
const MAX_COLUMNS: usize = 64;
/// An attribute of fewer than one row in this many stays in the map.
const RARE: usize = 200;

pub fn column_name(attribute: &str) -> String {
    format!("{PREFIX}{attribute}")
}

/// The columns of attributes that a batch has, by the attribute's name.
pub fn columns(batch: &RecordBatch) -> impl Iterator<Item = (&str, &ArrayRef)> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    fields.filter_map(|(field, column)| Some((field.name().strip_prefix(PREFIX)?, column)))
}

/// Numbers as they are, texts as a dictionary; none for what an attribute cannot be.
pub fn in_memory(column: &ArrayRef) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::Int64 => Some(column.clone()),
        DataType::Dictionary(..) => {
            column.as_dictionary_opt::<Int32Type>()?.values().as_string_opt::<i32>().map(|_| column.clone())
        }
        _ => {
            let texts = column.as_string_opt::<i32>()?;
            Some(Arc::new(texts.iter().collect::<DictionaryArray<Int32Type>>()))
        }
    }
}

/// The values of one attribute, wherever they are: numbers, or a dictionary of JSON texts. Rows without it are null.
pub fn attribute(batch: &RecordBatch, name: &str) -> Option<ArrayRef> {
    let own = batch.column_by_name(&column_name(name)).and_then(in_memory);
    let map = batch.column_by_name(COLUMN).and_then(|column| column.as_map_opt());
    let Some((map, keys)) = map.and_then(|map| Some((map, map.keys().as_string_opt::<i32>()?))) else { return own };
    if !keys.iter().any(|key| key == Some(name)) {
        return own;
    }
    let values = map.values().as_string_opt::<i32>()?;
    let own = own.as_ref().and_then(as_texts);
    let own = own.as_ref().and_then(|own| own.as_dictionary_opt::<Int32Type>()?.downcast_dict::<StringArray>());
    let offsets = map.value_offsets();
    let in_map = |row: usize| {
        let mut entries = offsets[row] as usize..offsets[row + 1] as usize;
        let at = entries.find(|at| keys.value(*at) == name && map.is_valid(row) && values.is_valid(*at))?;
        Some(values.value(at))
    };
    let in_own = |row: usize| own.as_ref().and_then(|own| own.is_valid(row).then(|| own.value(row)));
    let mut texts = StringDictionaryBuilder::<Int32Type>::new();
    (0..batch.num_rows()).for_each(|row| texts.append_option(in_own(row).or_else(|| in_map(row))));
    Some(Arc::new(texts.finish()))
}

/// The JSON texts of a column's numbers.
fn as_texts(column: &ArrayRef) -> Option<ArrayRef> {
    let Some(numbers) = column.as_primitive_opt::<Int64Type>() else { return Some(column.clone()) };
    let mut texts = StringDictionaryBuilder::<Int32Type>::new();
    numbers.iter().for_each(|number| texts.append_option(number.map(|number| number.to_string())));
    Some(Arc::new(texts.finish()))
}

pub type Map = MapBuilder<StringBuilder, StringBuilder>;

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

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int64Array;
    use arrow_schema::{Field, Schema};
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
        let spread: Vec<RecordBatch> = batches.iter().map(|batch| spread(batch).unwrap()).collect();
        let plan = Plan::new(&spread).unwrap();
        let places = [(1, 1), (0, 0), (0, 2), (1, 0), (0, 1)];
        let (map, columns) = plan.take(&places).unwrap();
        let schema = plan.schema(&batches[0].schema());
        let names: Vec<(&str, &DataType)> =
            schema.fields()[1..].iter().map(|field| (field.name().as_str(), field.data_type())).collect();
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        assert!(names.contains(&("attributes.port", &DataType::Int64)), "{names:?}");
        assert!(names.contains(&("attributes.zero", &text)) && names.contains(&("attributes.mixed", &text)));
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
        let spread: Vec<RecordBatch> = batches.iter().map(|batch| spread(batch).unwrap()).collect();
        let plan = Plan::new(&spread).unwrap();
        let (map, columns) = plan.take(&[(0, 2), (0, 0), (0, 1)]).unwrap();
        let file =
            RecordBatch::try_new(plan.schema(&whole.schema()), std::iter::once(map).chain(columns).collect()).unwrap();
        let all = rows(&whole);
        assert_eq!(rows(&unshred(&file).unwrap()), [all[3].clone(), all[1].clone(), None]);
    }

    fn with_columns(batch: RecordBatch, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let (mut fields, mut arrays) = (batch.schema().fields().to_vec(), batch.columns().to_vec());
        for (name, column) in columns {
            fields.push(Arc::new(Field::new(column_name(name), column.data_type().clone(), true)));
            arrays.push(column);
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
    }

    #[test]
    fn columns_of_many_batches_become_those_of_a_file() {
        let texts = |texts: Vec<Option<&str>>| Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>());
        let many = 400;
        let rare = (0..many).map(|row| (row == 7).then_some("\"once\""));
        let batches = [
            with_columns(
                batch(&[Some(vec![("odd", Some("1")), ("port", Some("\"again\""))]), Some(vec![]), None]),
                vec![
                    ("port", Arc::new(Int64Array::from(vec![Some(80), None, Some(i64::MIN)]))),
                    ("route", texts(vec![Some("\"/a\""), Some("\"/b\""), None])),
                    ("size", Arc::new(Int64Array::from(vec![Some(5), Some(6), None]))),
                ],
            ),
            with_columns(
                batch(&[Some(vec![]), Some(vec![])]),
                vec![("port", texts(vec![Some("\"x\""), Some("443")])), ("size", texts(vec![None, Some("7")]))],
            ),
            with_columns(
                batch(&vec![Some(vec![("route", Some("\"/c\""))]); many]),
                vec![("rare", texts(rare.collect()))],
            ),
        ];
        let spread: Vec<RecordBatch> = batches.iter().map(|batch| spread(batch).unwrap()).collect();
        let plan = Plan::new(&spread).unwrap();
        let places = [(2, 7), (0, 0), (1, 1), (0, 2), (2, 3), (1, 0), (0, 1)];
        let (map, columns) = plan.take(&places).unwrap();
        let schema = plan.schema(&batch(&[]).schema());
        let of = |name: &str| schema.field_with_name(&column_name(name)).map(|field| field.data_type().clone()).ok();
        assert_eq!(of("port").as_ref(), Some(&limpid_model::schema::dictionary()), "a text among numbers");
        assert_eq!((of("size"), of("rare")), (Some(DataType::Int64), None));
        let file = RecordBatch::try_new(schema, std::iter::once(map).chain(columns).collect()).unwrap();
        let whole: Vec<_> = batches.iter().map(|batch| rows(&unshred(batch).unwrap())).collect();
        let expected: Vec<_> = places.iter().map(|(batch, row)| whole[*batch][*row].clone()).collect();
        assert_eq!(rows(&unshred(&file).unwrap()), expected);
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
