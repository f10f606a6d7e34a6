//! One dictionary out of many: every batch brings its own, and a file wants one.
//!
//! Each distinct value is looked at once a batch and never once a row, which is what joining them with Arrow's general
//! kernels would cost.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::ArrowError;
use hashbrown::HashMap;
use std::sync::Arc;

/// Stands for null.
const NONE: i32 = -1;

pub struct Joined {
    /// All distinct values.
    values: ArrayRef,
    /// For each batch its own keys, and for each of them the joined one; none for a batch without the column.
    batches: Vec<Option<(Int32Array, Vec<i32>)>>,
}

impl Joined {
    /// None when one of the columns is no dictionary of texts. With `ordered` a key is its value's rank.
    pub fn new(columns: &[Option<ArrayRef>], ordered: bool) -> Option<Self> {
        let mut known: HashMap<&str, i32> = HashMap::new();
        let mut values: Vec<&str> = Vec::new();
        let mut batches = Vec::with_capacity(columns.len());
        for column in columns {
            let Some(column) = column else {
                batches.push(None);
                continue;
            };
            let dictionary = column.as_dictionary_opt::<Int32Type>()?;
            let own = dictionary.values().as_string_opt::<i32>()?;
            let joined = own.iter().map(|value| match value {
                Some(value) => *known.entry(value).or_insert_with(|| {
                    values.push(value);
                    values.len() as i32 - 1
                }),
                None => NONE,
            });
            batches.push(Some((dictionary.keys().clone(), joined.collect::<Vec<i32>>())));
        }
        if ordered {
            order(&mut values, &mut batches);
        }
        Some(Joined { values: Arc::new(StringArray::from_iter_values(values)), batches })
    }

    /// The joined key of a row; none for null.
    #[inline]
    pub fn key(&self, batch: usize, row: usize) -> Option<i32> {
        let (own, joined) = self.batches[batch].as_ref()?;
        let key = if own.is_valid(row) { *joined.get(own.value(row) as usize)? } else { NONE };
        (key >= 0).then_some(key)
    }

    /// The rows at these places (batch, row).
    pub fn take(&self, places: &[(usize, usize)]) -> Result<ArrayRef, ArrowError> {
        let mut nulls = NullBufferBuilder::new(places.len());
        let mut keys = Vec::with_capacity(places.len());
        for (batch, row) in places {
            let key = self.key(*batch, *row);
            nulls.append(key.is_some());
            keys.push(key.unwrap_or(0));
        }
        let keys = Int32Array::try_new(keys.into(), nulls.finish())?;
        Ok(Arc::new(DictionaryArray::try_new(keys, self.values.clone())?))
    }
}

fn order(values: &mut [&str], batches: &mut [Option<(Int32Array, Vec<i32>)>]) {
    let mut by_value: Vec<(&str, usize)> = values.iter().enumerate().map(|(key, value)| (*value, key)).collect();
    by_value.sort_unstable();
    let mut ranks = vec![0; values.len()];
    for (rank, (value, key)) in by_value.into_iter().enumerate() {
        (values[rank], ranks[key]) = (value, rank as i32);
    }
    for key in batches.iter_mut().flatten().flat_map(|(_, keys)| keys) {
        *key = ranks.get(*key as usize).copied().unwrap_or(NONE);
    }
}
