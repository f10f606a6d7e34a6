//! Which attributes of some batches become columns of a file, and how.

use super::{COLUMN, MAX_COLUMNS, RARE, as_texts, column_name, columns, map_builder, whole};
use crate::embedded::dictionaries::Joined;
use arrow_array::builder::Int64Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, MapArray, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use hashbrown::HashMap;
use limpid_model::schema;
use std::sync::Arc;

pub struct Plan<'a> {
    maps: Vec<&'a MapArray>,
    columns: Vec<(&'a str, Values)>,
    /// Of each batch the columns that are too rare for a file: their values go into the map.
    rare: Vec<Vec<(&'a str, ArrayRef)>>,
}

enum Values {
    Whole(Vec<Option<Numbers>>),
    Text(Joined),
}

/// Of one batch: numbers, or texts that are numbers.
enum Numbers {
    Plain(Int64Array),
    Keyed(Int32Array, Vec<i64>),
}

impl<'a> Plan<'a> {
    /// For batches of `spread` and `in_memory`; none when they have no map of attributes.
    pub fn new(batches: &'a [RecordBatch]) -> Option<Plan<'a>> {
        let maps = batches.iter().map(|batch| batch.column_by_name(COLUMN)?.as_map_opt()).collect::<Option<_>>()?;
        let mut names: HashMap<&str, Vec<Option<&ArrayRef>>> = HashMap::new();
        for (number, batch) in batches.iter().enumerate() {
            for (name, column) in columns(batch) {
                names.entry(name).or_insert_with(|| vec![None; batches.len()])[number] = Some(column);
            }
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let count = |parts: &[Option<&ArrayRef>]| -> usize {
            parts.iter().flatten().map(|column| column.len() - column.null_count()).sum()
        };
        let mut ordered: Vec<_> = names.into_iter().map(|(name, parts)| (count(&parts), name, parts)).collect();
        ordered.sort_by_key(|(count, name, _)| (std::cmp::Reverse(*count), *name));
        let mut plan = Plan { maps, columns: Vec::new(), rare: batches.iter().map(|_| Vec::new()).collect() };
        for (count, name, parts) in ordered {
            if plan.columns.len() < MAX_COLUMNS && count > 0 && count * RARE >= rows {
                plan.columns.push((name, values(&parts)?));
            } else {
                for (rare, column) in plan.rare.iter_mut().zip(parts) {
                    rare.extend(column.and_then(as_texts).map(|column| (name, column)));
                }
            }
        }
        Some(plan)
    }

    /// The table's schema, and the columns.
    pub fn schema(&self, table: &Schema) -> SchemaRef {
        let own = table.fields().iter().filter(|field| !field.name().starts_with(super::PREFIX));
        let mut fields: Vec<_> = own.cloned().collect();
        fields.extend(self.columns.iter().map(|(name, values)| {
            let kind = match values {
                Values::Whole(_) => DataType::Int64,
                Values::Text(_) => schema::dictionary(),
            };
            Arc::new(Field::new(column_name(name), kind, true))
        }));
        Arc::new(Schema::new(fields))
    }

    /// The map of what stays in it, and the columns, for rows given as (batch, row).
    pub fn take(&self, rows: &[(usize, usize)]) -> Result<(ArrayRef, Vec<ArrayRef>), ArrowError> {
        let columns = self.columns.iter().map(|(_, values)| match values {
            Values::Whole(parts) => Ok(take_numbers(parts, rows)),
            Values::Text(joined) => joined.take(rows),
        });
        Ok((self.take_map(rows)?, columns.collect::<Result<_, _>>()?))
    }

    fn take_map(&self, rows: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
        let mut rest = map_builder();
        for (batch, row) in rows {
            let map = self.maps[*batch];
            let offsets = map.value_offsets();
            let entries = offsets[*row] as usize..offsets[*row + 1] as usize;
            if !entries.is_empty() {
                let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
                for entry in entries {
                    rest.keys().append_value(keys.value(entry));
                    rest.values().append_option(values.is_valid(entry).then(|| values.value(entry)));
                }
            }
            let mut some = map.is_valid(*row);
            for (name, column) in &self.rare[*batch] {
                let dictionary = column.as_dictionary::<Int32Type>();
                if let Some(key) = dictionary.key(*row) {
                    rest.keys().append_value(name);
                    rest.values().append_value(dictionary.values().as_string::<i32>().value(key));
                    some = true;
                }
            }
            rest.append(some)?;
        }
        Ok(Arc::new(rest.finish()))
    }
}

/// Numbers when all values are; else texts.
fn values(parts: &[Option<&ArrayRef>]) -> Option<Values> {
    let numbers: Option<Vec<Option<Numbers>>> =
        parts.iter().map(|part| part.map_or(Some(None), |column| numbers(column).map(Some))).collect();
    if let Some(numbers) = numbers {
        return Some(Values::Whole(numbers));
    }
    let texts = parts.iter().map(|part| part.and_then(as_texts)).collect::<Vec<_>>();
    Joined::new(&texts, false).map(Values::Text)
}

fn numbers(column: &ArrayRef) -> Option<Numbers> {
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return Some(Numbers::Plain(numbers.clone()));
    }
    let dictionary = column.as_dictionary_opt::<Int32Type>()?;
    let values = dictionary.values().as_string_opt::<i32>()?;
    let numbers = values.iter().map(|value| whole(value?)).collect::<Option<Vec<i64>>>()?;
    Some(Numbers::Keyed(dictionary.keys().clone(), numbers))
}

fn take_numbers(parts: &[Option<Numbers>], rows: &[(usize, usize)]) -> ArrayRef {
    let mut taken = Int64Builder::with_capacity(rows.len());
    for (batch, row) in rows {
        taken.append_option(match &parts[*batch] {
            Some(Numbers::Plain(numbers)) if numbers.is_valid(*row) => Some(numbers.value(*row)),
            Some(Numbers::Keyed(keys, numbers)) if keys.is_valid(*row) => {
                numbers.get(keys.value(*row) as usize).copied()
            }
            _ => None,
        });
    }
    Arc::new(taken.finish())
}
