//! What spans say of the calls that they are, each column of a batch looked up once.

use crate::span_rows::{SpanKind, SpanStatus};
use crate::traces::names::Names;
use crate::traces::plan::Rest;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt64Type};
use arrow_array::{
    Array, Int32Array, Int64Array, PrimitiveArray, RecordBatch, StringArray, TimestampNanosecondArray, UInt8Array,
    UInt64Array,
};
use limpid_model::{Side, schema};
use std::borrow::Cow;

/// The columns of a call, in the order of [`TEXTS`] where they are texts.
pub const COLUMNS: &[&str] = &[
    "start",
    "duration_ns",
    "kind",
    "status",
    "service",
    "peer",
    "protocol",
    "instance",
    "host",
    "code",
    SERVER_ADDRESS,
    SERVER_PORT,
    CLIENT_ADDRESS,
    PROBABILITY,
];
const SERVER_ADDRESS: &str = "attributes.server.address";
const SERVER_PORT: &str = "attributes.server.port";
const CLIENT_ADDRESS: &str = "attributes.client.address";
/// The agent's word for how likely a trace like this one is kept.
const PROBABILITY: &str = "attributes.limpid.sampling.probability";
const TEXTS: [&str; 9] =
    ["service", "peer", "protocol", "instance", "host", "code", SERVER_ADDRESS, SERVER_PORT, CLIENT_ADDRESS];
/// The number of the empty text.
const NOTHING: u32 = u32::MAX;

/// What tells one kind of call from another; texts by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// None: it is no call, but work inside of a service.
    pub side: Option<Side>,
    pub failed: bool,
    pub service: u32,
    pub peer: u32,
    pub protocol: u32,
    pub instance: u32,
    pub host: u32,
    /// Of what failed.
    pub code: u32,
    /// Of the other end where it has no name.
    pub address: u32,
    pub port: u32,
}

pub struct SpanColumns<'a> {
    rows: usize,
    start: Option<&'a TimestampNanosecondArray>,
    duration_ns: Option<&'a UInt64Array>,
    kind: Option<&'a UInt8Array>,
    status: Option<&'a UInt8Array>,
    rest: &'a Rest,
    /// What `rest` asks for, by name.
    asked: Vec<(&'a str, Texts<'a>)>,
    texts: [Texts<'a>; TEXTS.len()],
    probability: Texts<'a>,
    /// Of each distinct text of `probability`.
    probabilities: Vec<Option<f64>>,
    http: u32,
}

/// A column of texts, its distinct ones by number.
#[derive(Default)]
struct Texts<'a> {
    keys: Option<&'a Int32Array>,
    values: Option<&'a StringArray>,
    whole: Option<&'a Int64Array>,
    /// Of each value, or of each row where there are no keys.
    numbers: Vec<u32>,
}

impl<'a> Texts<'a> {
    fn new(batch: &'a RecordBatch, name: &str) -> Self {
        let Some(column) = batch.column_by_name(name) else { return Texts::default() };
        if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
            let values = dictionary.values().as_string_opt::<i32>();
            return Texts { keys: Some(dictionary.keys()), values, ..Texts::default() };
        }
        let (values, whole) = (column.as_string_opt::<i32>(), column.as_primitive_opt::<Int64Type>());
        Texts { values, whole, ..Texts::default() }
    }

    fn number(&mut self, names: &mut Names) {
        let mut number = |text: &str| names.number(plain(text).as_ref()).unwrap_or(NOTHING);
        self.numbers = match (self.values, self.whole) {
            (Some(values), _) => values.iter().map(|text| text.map_or(NOTHING, &mut number)).collect(),
            (_, Some(whole)) => {
                let mut last = (0, number("0"));
                let mut of = |value: i64| {
                    if value != last.0 {
                        last = (value, number(&value.to_string()));
                    }
                    last.1
                };
                whole.iter().map(|value| value.map_or(NOTHING, &mut of)).collect()
            }
            _ => Vec::new(),
        };
    }

    /// Where the row's value is, among the distinct ones.
    fn place(&self, row: usize) -> Option<usize> {
        match self.keys {
            Some(keys) => keys.is_valid(row).then(|| keys.value(row) as usize),
            None => Some(row),
        }
    }

    fn get(&self, row: usize) -> u32 {
        self.place(row).and_then(|at| self.numbers.get(at)).copied().unwrap_or(NOTHING)
    }

    fn text(&self, row: usize) -> Option<Cow<'a, str>> {
        let at = self.place(row)?;
        match (self.values, self.whole) {
            (Some(values), _) => (at < values.len() && values.is_valid(at)).then(|| plain(values.value(at))),
            (_, Some(whole)) => whole.is_valid(at).then(|| Cow::Owned(whole.value(at).to_string())),
            _ => None,
        }
    }
}

/// An attribute's JSON text as plain text. No name of a service or a host begins with a quote.
fn plain(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match inner {
        Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
        Some(_) => serde_json::from_str(text).map_or(Cow::Borrowed(text), Cow::Owned),
        None => Cow::Borrowed(text),
    }
}

impl<'a> SpanColumns<'a> {
    pub fn new(batch: &'a RecordBatch, rest: &'a Rest) -> Self {
        let probability = Texts::new(batch, PROBABILITY);
        let share = |text: Option<&str>| {
            let share = plain(text?).parse::<f64>().ok();
            share.filter(|share| *share > 0.0 && *share <= 1.0)
        };
        let probabilities = probability.values.iter().flat_map(|values| values.iter()).map(share).collect();
        let texts = TEXTS.map(|name| Texts::new(batch, name));
        let asked = rest.names().into_iter().map(|name| (name, Texts::new(batch, &column_of(name)))).collect();
        SpanColumns {
            rows: batch.num_rows(),
            start: numbers::<TimestampNanosecondType>(batch, "start"),
            duration_ns: numbers::<UInt64Type>(batch, "duration_ns"),
            kind: numbers::<UInt8Type>(batch, "kind"),
            status: numbers::<UInt8Type>(batch, "status"),
            rest,
            asked,
            texts,
            probability,
            probabilities,
            http: NOTHING,
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn number(&mut self, names: &mut Names) {
        self.texts.iter_mut().for_each(|texts| texts.number(names));
        self.http = names.number("http").unwrap_or(NOTHING);
    }

    /// What the store could not decide.
    pub fn fits(&self, row: usize) -> bool {
        self.rest.is_empty()
            || self.rest.fits(self.is_error(row), |name| {
                self.asked.iter().find(|(have, _)| *have == name).and_then(|(_, texts)| texts.text(row))
            })
    }

    /// How likely a span like this one was kept; none where it does not say.
    pub fn probability(&self, row: usize) -> Option<f64> {
        // What is exactly 1 may stand there as a number.
        if let Some(whole) = self.probability.whole {
            return (whole.is_valid(row) && whole.value(row) == 1).then_some(1.0);
        }
        self.probability.place(row).and_then(|at| self.probabilities.get(at)).copied().flatten()
    }

    pub fn time_ms(&self, row: usize) -> i64 {
        value(self.start, row).unwrap_or(0) / 1_000_000
    }

    pub fn duration_ns(&self, row: usize) -> u64 {
        value(self.duration_ns, row).unwrap_or(0)
    }

    fn is_error(&self, row: usize) -> bool {
        SpanStatus::from_otlp(value(self.status, row).unwrap_or(0)) == SpanStatus::Error
    }

    pub fn call(&self, row: usize) -> Option<Call> {
        let [service, peer, protocol, instance, host, code, server_address, server_port, client_address] =
            std::array::from_fn(|at| self.texts[at].get(row));
        let side = match SpanKind::from_otlp(value(self.kind, row).unwrap_or(0)) {
            SpanKind::Client | SpanKind::Producer => Some(Side::Client),
            SpanKind::Server | SpanKind::Consumer => Some(Side::Server),
            SpanKind::Internal => None,
        };
        let failed = self.is_error(row) && !(side == Some(Side::Client) && self.is_clients_fault(protocol, row));
        let (address, port) = match side {
            _ if peer != NOTHING => (NOTHING, NOTHING),
            Some(Side::Client) => (server_address, server_port),
            Some(Side::Server) => (client_address, NOTHING),
            None => (NOTHING, NOTHING),
        };
        let code = if failed { code } else { NOTHING };
        let call = Call { side, failed, service, peer, protocol, instance, host, code, address, port };
        (service != NOTHING).then_some(call)
    }

    /// By the conventions 4xx is an error of the client's span; on the map, as in the metrics, the request was answered.
    fn is_clients_fault(&self, protocol: u32, row: usize) -> bool {
        protocol == self.http && self.texts[5].text(row).is_some_and(|code| code.len() == 3 && code.starts_with('4'))
    }
}

fn numbers<'a, T: arrow_array::ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<&'a PrimitiveArray<T>> {
    batch.column_by_name(name)?.as_primitive_opt()
}

fn value<T: arrow_array::ArrowPrimitiveType>(column: Option<&PrimitiveArray<T>>, row: usize) -> Option<T::Native> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}

/// A column of spans, else that of an attribute.
pub fn column_of(name: &str) -> String {
    match schema::SPANS.field_with_name(name) {
        Ok(_) => name.to_owned(),
        Err(_) => format!("{}{name}", schema::ATTRIBUTE_PREFIX),
    }
}
