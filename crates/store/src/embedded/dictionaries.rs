//! One dictionary out of many: every batch brings its own, and a file wants one, in order.
//!
//! Each distinct value is looked at once a batch and never once a row, which is what joining them with Arrow's general
//! kernels would cost.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// By column; none where the column is no dictionary of texts.
pub struct Dictionaries<'a> {
    pub columns: Vec<Option<Joined<'a>>>,
}

pub struct Joined<'a> {
    /// All distinct values, in order: a key is its value's rank.
    values: ArrayRef,
    batches: Vec<(&'a Int32Array, Vec<i32>)>,
}

impl<'a> Dictionaries<'a> {
    pub fn new(batches: &'a [RecordBatch]) -> Self {
        let columns = batches.first().map_or(0, RecordBatch::num_columns);
        Dictionaries { columns: (0..columns).map(|at| Joined::new(batches, at)).collect() }
    }
}

impl<'a> Joined<'a> {
    fn new(batches: &'a [RecordBatch], column: usize) -> Option<Self> {
        let mut parts = Vec::with_capacity(batches.len());
        for batch in batches {
            let dictionary = batch.column(column).as_dictionary_opt::<Int32Type>()?;
            parts.push((dictionary.keys(), dictionary.values().as_string_opt::<i32>()?));
        }
        let mut keys: FxHashMap<&str, i32> = FxHashMap::default();
        for (_, values) in &parts {
            keys.extend(values.iter().flatten().map(|value| (value, 0)));
        }
        let mut ordered: Vec<&str> = keys.keys().copied().collect();
        ordered.sort_unstable();
        for (key, value) in ordered.iter().enumerate() {
            keys.insert(value, key as i32);
        }
        let key_of = |value: Option<&str>| value.and_then(|value| keys.get(value)).copied().unwrap_or(-1);
        let batches = parts.iter().map(|(own, values)| (*own, values.iter().map(key_of).collect())).collect();
        Some(Joined { values: Arc::new(StringArray::from_iter_values(ordered)), batches })
    }

    /// The joined key of a row; none for null.
    pub fn key(&self, batch: usize, row: usize) -> Option<i32> {
        let (own, joined) = &self.batches[batch];
        let key = if own.is_valid(row) { *joined.get(own.value(row) as usize)? } else { -1 };
        (key >= 0).then_some(key)
    }

    /// The rows at these places (batch, row).
    pub fn take(&self, places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
        let keys: Int32Array = places.iter().map(|(batch, row)| self.key(*batch, *row)).collect();
        Ok(Arc::new(DictionaryArray::try_new(keys, self.values.clone())?))
    }
}
