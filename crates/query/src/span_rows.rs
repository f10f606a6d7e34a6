//! Spans as rows: decoded from Arrow batches column by column, by name, so that columns may be added or missing.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType, UInt8Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use rustc_hash::FxHashSet;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    pub fn from_otlp(kind: u8) -> SpanKind {
        match kind {
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanStatus {
    Unset,
    Ok,
    Error,
}

impl SpanStatus {
    pub fn from_otlp(status: u8) -> SpanStatus {
        match status {
            1 => SpanStatus::Ok,
            2 => SpanStatus::Error,
            _ => SpanStatus::Unset,
        }
    }
}

/// One span. Times are Unix nanoseconds.
#[derive(Clone, Debug)]
pub struct SpanRow {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<[u8; 8]>,
    pub start_ns: u64,
    pub duration_ns: u64,
    pub kind: SpanKind,
    pub status: SpanStatus,
    pub status_message: Option<String>,
    pub name: String,
    /// The promoted columns by name: service, instance, host, peer, protocol, operation, resource, code.
    pub promoted: BTreeMap<&'static str, String>,
    pub resource_attributes: Option<String>,
    /// Values are JSON texts.
    pub attributes: Vec<(String, String)>,
}

impl SpanRow {
    pub fn promoted(&self, name: &str) -> Option<&str> {
        self.promoted.get(name).map(String::as_str)
    }

    pub fn service(&self) -> &str {
        self.promoted("service").unwrap_or("unknown")
    }

    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    /// An attribute as plain text, a JSON string without its quotes.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let (_, json) = self.attributes.iter().find(|(have, _)| have == name)?;
        match serde_json::from_str(json) {
            Ok(serde_json::Value::String(text)) => Some(text),
            _ => Some(json.clone()),
        }
    }
}

/// All rows of the batches; rows without ids or times are left out.
pub fn rows(batches: &[RecordBatch]) -> Vec<SpanRow> {
    batches.iter().flat_map(rows_of).collect()
}

/// As [`rows`], of some traces only.
pub fn rows_of_traces(batches: &[RecordBatch], traces: &FxHashSet<[u8; 16]>) -> Vec<SpanRow> {
    let of_batch = |batch: &RecordBatch| {
        let columns = Columns::new(batch);
        let wanted = |row: &usize| fixed(batch, "trace_id", *row).is_some_and(|id| traces.contains(&id));
        (0..batch.num_rows()).filter(wanted).filter_map(|row| columns.row(row)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<SpanRow> {
    let columns = Columns::new(batch);
    (0..batch.num_rows()).filter_map(|row| columns.row(row)).collect()
}

struct Columns<'a> {
    batch: &'a RecordBatch,
    promoted: Vec<(&'static str, Texts<'a>)>,
    name: Texts<'a>,
    status_message: Texts<'a>,
    resource_attributes: Texts<'a>,
}

impl<'a> Columns<'a> {
    fn new(batch: &'a RecordBatch) -> Self {
        let names = limpid_model::schema::PROMOTED.iter().map(|(column, _)| *column);
        Columns {
            batch,
            promoted: names.map(|name| (name, Texts::new(batch, name))).collect(),
            name: Texts::new(batch, "name"),
            status_message: Texts::new(batch, "status_message"),
            resource_attributes: Texts::new(batch, "resource_attributes"),
        }
    }

    fn row(&self, row: usize) -> Option<SpanRow> {
        let promoted = self.promoted.iter().filter_map(|(name, texts)| Some((*name, texts.get(row)?.to_string())));
        Some(SpanRow {
            trace_id: fixed(self.batch, "trace_id", row)?,
            span_id: fixed(self.batch, "span_id", row)?,
            parent_span_id: fixed(self.batch, "parent_span_id", row).filter(|id| *id != [0; 8]),
            start_ns: time_ns(self.batch, "start", row)?,
            duration_ns: unsigned(self.batch, "duration_ns", row)?,
            kind: SpanKind::from_otlp(byte(self.batch, "kind", row)),
            status: SpanStatus::from_otlp(byte(self.batch, "status", row)),
            status_message: self.status_message.get(row).map(String::from),
            name: self.name.get(row).unwrap_or_default().to_string(),
            promoted: promoted.collect(),
            resource_attributes: self.resource_attributes.get(row).map(String::from),
            attributes: map_entries(self.batch, "attributes", row),
        })
    }
}

/// The entries of a map column: names and JSON texts.
pub fn map_entries(batch: &RecordBatch, name: &str, row: usize) -> Vec<(String, String)> {
    let read = || {
        let map = column(batch, name, row)?.as_map_opt()?;
        let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
        let offsets = map.value_offsets();
        let range = *offsets.get(row)? as usize..*offsets.get(row + 1)? as usize;
        let entry = |at: usize| {
            let value = if values.is_valid(at) { values.value(at) } else { "null" };
            (keys.value(at).to_string(), value.to_string())
        };
        Some(range.map(entry).collect())
    };
    read().unwrap_or_default()
}

/// A text column, dictionary-encoded or plain.
pub enum Texts<'a> {
    Missing,
    Plain(&'a StringArray),
    Dictionary(&'a arrow_array::DictionaryArray<Int32Type>, &'a StringArray),
}

impl<'a> Texts<'a> {
    pub fn new(batch: &'a RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Texts::Missing };
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
            return match dictionary.values().as_string_opt::<i32>() {
                Some(values) => Texts::Dictionary(dictionary, values),
                None => Texts::Missing,
            };
        }
        column.as_string_opt::<i32>().map_or(Texts::Missing, Texts::Plain)
    }

    pub fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Texts::Missing => None,
            Texts::Plain(values) => (row < values.len() && values.is_valid(row)).then(|| values.value(row)),
            Texts::Dictionary(dictionary, values) => {
                let key = dictionary.key(row)?;
                (key < values.len() && values.is_valid(key)).then(|| values.value(key))
            }
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Option<&'a ArrayRef> {
    batch.column_by_name(name).filter(|column| row < column.len() && column.is_valid(row))
}

pub fn fixed<const N: usize>(batch: &RecordBatch, name: &str, row: usize) -> Option<[u8; N]> {
    column(batch, name, row)?.as_fixed_size_binary_opt()?.value(row).try_into().ok()
}

pub fn time_ns(batch: &RecordBatch, name: &str, row: usize) -> Option<u64> {
    let time = column(batch, name, row)?.as_primitive_opt::<TimestampNanosecondType>()?.value(row);
    u64::try_from(time).ok()
}

pub fn unsigned(batch: &RecordBatch, name: &str, row: usize) -> Option<u64> {
    Some(column(batch, name, row)?.as_primitive_opt::<UInt64Type>()?.value(row))
}

pub fn byte(batch: &RecordBatch, name: &str, row: usize) -> u8 {
    let value = || Some(column(batch, name, row)?.as_primitive_opt::<UInt8Type>()?.value(row));
    value().unwrap_or(0)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
