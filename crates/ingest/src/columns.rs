//! Columns of what repeats: a value is looked at once a message, by the bytes that it has there, and not once a span.

use crate::attributes::{key_value, push_json};
use crate::wire::{Value, fields};
use arrow_array::builder::{MapBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::ArrowError;
use hashbrown::HashMap;
use limpid_model::schema::ATTRIBUTE_PREFIX;
use std::sync::Arc;

/// Attributes that get a column of their own, those that come first; all others go into the map.
const MAX_COLUMNS: usize = 64;

/// A dictionary column.
pub struct Texts<'a> {
    keys: Vec<i32>,
    nulls: NullBufferBuilder,
    known: HashMap<&'a [u8], i32>,
    values: StringBuilder,
    last: Option<(&'a [u8], i32)>,
}

impl<'a> Texts<'a> {
    pub fn new() -> Self {
        // A quiet machine's messages are a few spans.
        let values = StringBuilder::with_capacity(8, 128);
        Texts { keys: Vec::new(), nulls: nulls(), known: HashMap::new(), values, last: None }
    }

    /// Appends the value with these bytes; `render` makes the text of bytes that were not seen before.
    pub fn push(&mut self, bytes: &'a [u8], render: impl FnOnce(&'a [u8], &mut String)) {
        let key = match self.last {
            Some((last, key)) if same(last, bytes) => key,
            _ => self.key(bytes, render),
        };
        self.last = Some((bytes, key));
        self.keys.push(key);
        self.nulls.append(true);
    }

    fn key(&mut self, bytes: &'a [u8], render: impl FnOnce(&'a [u8], &mut String)) -> i32 {
        let next = self.known.len() as i32;
        *self.known.entry(bytes).or_insert_with(|| {
            let mut text = String::new();
            render(bytes, &mut text);
            self.values.append_value(text);
            next
        })
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
        match (&mut self.values, whole(value)) {
            (Values::Whole(values, nulls), Some(number)) => {
                values.push(number);
                nulls.append(true);
                true
            }
            (Values::Whole(..), None) => false,
            (Values::Texts(texts), _) => {
                texts.push(value, |value, out| push_json(value, out, 0));
                true
            }
        }
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
    if value.first() != Some(&(3 << 3)) {
        return None;
    }
    match fields(value).next() {
        Some((3, Value::Varint(number))) => Some(number as i64),
        _ => None,
    }
}

/// Columns of attributes, and the map of what has none.
pub struct Attributes<'a> {
    columns: Vec<Column<'a>>,
    map: MapBuilder<StringBuilder, StringBuilder>,
    rows: usize,
}

impl<'a> Attributes<'a> {
    pub fn new() -> Self {
        let names = Some(crate::attributes::map_names());
        let map = MapBuilder::new(names, StringBuilder::new(), StringBuilder::new());
        Attributes { columns: Vec::new(), map, rows: 0 }
    }

    /// A column for the attribute, of the kind that its first value is of; none when there are enough.
    pub fn add(&mut self, name: &'a str, value: &[u8]) -> Option<usize> {
        if self.columns.len() >= MAX_COLUMNS {
            return None;
        }
        let values = match whole(value) {
            Some(_) => Values::Whole(Vec::new(), nulls()),
            None => Values::Texts(Box::new(Texts::new())),
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

/// What is known of an attribute's name.
#[derive(Clone, Copy)]
pub struct Name<'a, T> {
    pub text: &'a str,
    /// Which one came after it the last time.
    next: usize,
    pub what: T,
}

/// The names of attributes. Spans of one kind have them in the same order, so the name that came after this one before
/// is tried first, and a lookup is rare.
pub struct Names<'a, T> {
    names: Vec<Name<'a, T>>,
    known: HashMap<&'a str, usize>,
    previous: usize,
}

/// Beyond it a name is looked at anew every time.
const MAX_NAMES: usize = 4096;

impl<'a, T: Copy> Names<'a, T> {
    pub fn new() -> Self {
        Names { names: Vec::new(), known: HashMap::new(), previous: 0 }
    }

    /// `learn` says what an unknown name is.
    #[inline]
    pub fn get(&mut self, key: &'a [u8], learn: impl FnOnce(&'a str) -> T) -> (&'a str, T) {
        let guess = self.names.get(self.previous).map_or(0, |name| name.next);
        if let Some(name) = self.names.get(guess).filter(|name| name.text.as_bytes() == key) {
            self.previous = guess;
            return (name.text, name.what);
        }
        self.look_up(key, learn)
    }

    fn look_up(&mut self, key: &'a [u8], learn: impl FnOnce(&'a str) -> T) -> (&'a str, T) {
        let text = std::str::from_utf8(key).unwrap_or_default();
        let found = match self.known.get(text) {
            Some(found) => *found,
            None if self.names.len() >= MAX_NAMES => return (text, learn(text)),
            None => {
                self.names.push(Name { text, next: 0, what: learn(text) });
                self.known.insert(text, self.names.len() - 1);
                self.names.len() - 1
            }
        };
        if let Some(previous) = self.names.get_mut(self.previous) {
            previous.next = found;
        }
        self.previous = found;
        let name = self.names[found];
        (name.text, name.what)
    }
}

/// A `KeyValue`: its key's bytes and the encoded `AnyValue`.
#[inline]
pub fn pair(message: &[u8]) -> (&[u8], &[u8]) {
    // Nearly all of them: the key first, then the value, both lengths in one byte.
    if let [0x0a, key_length @ 0..=0x7f, rest @ ..] = message
        && let Some((key, [0x12, value_length @ 0..=0x7f, value @ ..])) = rest.split_at_checked(usize::from(*key_length))
        && value.len() == usize::from(*value_length)
    {
        return (key, value);
    }
    let (key, value) = key_value(message);
    (key.as_bytes(), value)
}
