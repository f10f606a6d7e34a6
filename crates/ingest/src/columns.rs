//! Columns of what repeats: a value is looked at once a message, by the bytes that it has there, and not once a span.

use crate::attributes::push_json;
use crate::wire::{Value, fields};
use arrow_array::builder::{ArrayBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::ArrowError;
use hashbrown::HashMap;
use limpid_model::schema::ATTRIBUTE_PREFIX;
use std::sync::Arc;

/// Attributes that get a column of their own, those that come first; all others go into the map.
const MAX_COLUMNS: usize = 64;

/// After this many values it is decided whether they repeat at all.
const TRIAL: usize = 256;

/// A dictionary column.
pub struct Texts<'a> {
    keys: Vec<i32>,
    nulls: NullBufferBuilder,
    known: HashMap<&'a [u8], i32>,
    values: StringBuilder,
    last: Option<(&'a [u8], i32)>,
    scratch: String,
}

impl<'a> Texts<'a> {
    /// `rows` is how many there may be.
    pub fn new(rows: usize) -> Self {
        // A quiet machine's messages are a few spans.
        let values = StringBuilder::with_capacity(8, 128);
        let keys = Vec::with_capacity(rows);
        Texts { keys, nulls: nulls(), known: HashMap::new(), values, last: None, scratch: String::new() }
    }

    /// Appends the value with these bytes; `render` makes the text of bytes that were not seen before.
    #[inline]
    pub fn push(&mut self, bytes: &'a [u8], render: impl FnOnce(&'a [u8], &mut String)) {
        let key = match self.last {
            Some((last, key)) if same(last, bytes) => key,
            _ => self.key(bytes, render),
        };
        self.keys.push(key);
        self.nulls.append_non_null();
    }

    fn key(&mut self, bytes: &'a [u8], render: impl FnOnce(&'a [u8], &mut String)) -> i32 {
        let count = self.values.len();
        let next = count as i32;
        // Values that hardly repeat are not looked up: a dictionary may have one twice.
        let unlike = count >= TRIAL && count > self.keys.len() / 2;
        let key = if unlike { next } else { *self.known.entry(bytes).or_insert(next) };
        if key == next {
            self.scratch.clear();
            render(bytes, &mut self.scratch);
            self.values.append_value(&self.scratch);
        }
        self.last = Some((bytes, key));
        key
    }

    pub fn push_null(&mut self) {
        self.keys.push(0);
        self.nulls.append(false);
    }

    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.keys.len());
        self.keys.resize(self.keys.len() + missing, 0);
        self.nulls.append_n_nulls(missing);
    }

    pub fn finish(mut self) -> Result<ArrayRef, ArrowError> {
        let keys = Int32Array::try_new(self.keys.into(), self.nulls.finish())?;
        Ok(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::new(self.values.finish()))?))
    }
}

/// The values of one process are the very same bytes: its resource is not compared span by span.
fn same(left: &[u8], right: &[u8]) -> bool {
    std::ptr::eq(left, right) || left == right
}

/// Takes memory only when there is a null.
fn nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(256)
}

/// An attribute's values, whole numbers until the first that is none decides otherwise.
struct Column<'a> {
    name: &'a str,
    values: Values<'a>,
}

enum Values<'a> {
    Whole(Vec<i64>, NullBufferBuilder),
    Texts(Box<Texts<'a>>),
}

impl<'a> Column<'a> {
    fn rows(&self) -> usize {
        match &self.values {
            Values::Whole(values, _) => values.len(),
            Values::Texts(texts) => texts.keys.len(),
        }
    }

    fn pad(&mut self, rows: usize) {
        match &mut self.values {
            Values::Whole(values, nulls) => {
                let missing = rows.saturating_sub(values.len());
                values.resize(values.len() + missing, 0);
                nulls.append_n_nulls(missing);
            }
            Values::Texts(texts) => texts.pad(rows),
        }
    }

    /// False when the row has a value already, or one that this column cannot hold.
    fn push(&mut self, row: usize, value: &'a [u8]) -> bool {
        if self.rows() != row {
            if self.rows() > row {
                return false;
            }
            self.pad(row);
        }
        match &mut self.values {
            Values::Whole(values, nulls) => {
                let Some(number) = whole(value) else { return false };
                values.push(number);
                nulls.append_non_null();
            }
            Values::Texts(texts) => texts.push(value, |value, out| push_json(value, out, 0)),
        }
        true
    }

    fn finish(mut self, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.pad(rows);
        match self.values {
            Values::Whole(values, mut nulls) => Ok(Arc::new(Int64Array::try_new(values.into(), nulls.finish())?)),
            Values::Texts(texts) => texts.finish(),
        }
    }
}

/// An `AnyValue` that is an integer.
#[inline]
fn whole(value: &[u8]) -> Option<i64> {
    match value {
        [0x18, number @ 0..=0x7f] => Some(i64::from(*number)),
        [0x18, ..] => match fields(value).next() {
            Some((3, Value::Varint(number))) => Some(number as i64),
            _ => None,
        },
        _ => None,
    }
}

/// Columns of attributes, and the map of what has none.
pub struct Attributes<'a> {
    columns: Vec<Column<'a>>,
    map: MapBuilder<StringBuilder, StringBuilder>,
    rows: usize,
    /// How many there may be in the end.
    most_rows: usize,
}

impl<'a> Attributes<'a> {
    pub fn new(most_rows: usize) -> Self {
        let names = Some(crate::attributes::map_names());
        let map = MapBuilder::new(names, StringBuilder::new(), StringBuilder::new());
        Attributes { columns: Vec::new(), map, rows: 0, most_rows }
    }

    /// A column for the attribute, of the kind that its first value is of; none when there are enough.
    pub fn add(&mut self, name: &'a str, value: &[u8]) -> Option<usize> {
        if self.columns.len() >= MAX_COLUMNS {
            return None;
        }
        let values = match whole(value) {
            Some(_) => Values::Whole(Vec::with_capacity(self.most_rows), nulls()),
            None => Values::Texts(Box::new(Texts::new(self.most_rows))),
        };
        self.columns.push(Column { name, values });
        Some(self.columns.len() - 1)
    }

    #[inline]
    pub fn push(&mut self, column: Option<usize>, name: &str, value: &'a [u8]) {
        let row = self.rows;
        if column.and_then(|at| self.columns.get_mut(at)).is_some_and(|column| column.push(row, value)) {
            return;
        }
        let mut text = String::new();
        push_json(value, &mut text, 0);
        self.map.keys().append_value(name);
        self.map.values().append_value(text);
    }

    pub fn end_row(&mut self) -> Result<(), ArrowError> {
        self.rows += 1;
        self.map.append(true)
    }

    /// The map, and the columns by name.
    pub fn finish(mut self) -> Result<(ArrayRef, Vec<(String, ArrayRef)>), ArrowError> {
        let (map, rows) = (Arc::new(self.map.finish()), self.rows);
        let named = |column: Column<'a>| Ok((format!("{ATTRIBUTE_PREFIX}{}", column.name), column.finish(rows)?));
        Ok((map, self.columns.into_iter().map(named).collect::<Result<_, ArrowError>>()?))
    }
}
