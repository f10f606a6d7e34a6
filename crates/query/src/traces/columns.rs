//! What the spans of a batch say, each column looked up once.

use super::names::Names;
use crate::span_rows::{SpanStatus, Texts, byte, map_entries};
use arrow_array::RecordBatch;
use std::borrow::Cow;

/// A longer value is a text and nothing to group by.
const MAX_VALUE_BYTES: usize = 160;
const MAX_VALUES: usize = 64;
/// Columns whose values are counted, besides the attributes. `operation` and `resource` are in the name.
const COUNTED: &[&str] = &["code", "name", "service", "protocol", "peer", "instance", "host"];
/// The agent's word for how likely a trace like this is kept.
const PROBABILITY: &str = "limpid.sampling.probability";
/// Attributes that say how a span came to be, and nothing of the request.
const NOT_COUNTED: &[&str] = &[PROBABILITY, "client.port", "limpid.sampling.threshold", "limpid.parent.evidence"];
/// Of the resource, what differs between the processes of one service.
const OF_RESOURCE: &[&str] = &["service.version", "deployment.environment.name", "container.image.name"];

/// A batch, its columns looked up once.
pub struct Columns<'a> {
    pub batch: &'a RecordBatch,
    texts: Vec<(&'static str, Texts<'a>)>,
    resource: Texts<'a>,
}

impl<'a> Columns<'a> {
    pub fn new(batch: &'a RecordBatch) -> Columns<'a> {
        let promoted = limpid_model::schema::PROMOTED.iter().map(|(column, _)| *column);
        let texts = promoted.chain(["name"]).map(|name| (name, Texts::new(batch, name))).collect();
        Columns { batch, texts, resource: Texts::new(batch, "resource_attributes") }
    }

    pub fn failed(&self, row: usize) -> bool {
        SpanStatus::from_otlp(byte(self.batch, "status", row)) == SpanStatus::Error
    }

    /// A column, or an attribute of that name.
    pub fn text(&self, name: &str, row: usize) -> Option<Cow<'a, str>> {
        match self.texts.iter().find(|(have, _)| *have == name) {
            Some((_, texts)) => texts.get(row).map(Cow::Borrowed),
            None => {
                let found = map_entries(self.batch, "attributes", row).into_iter().find(|(have, _)| have == name)?;
                Some(Cow::Owned(plain(found.1)))
            }
        }
    }

    /// What is known of a call, and how many requests it stands for.
    pub fn values(&self, row: usize, names: &mut Names) -> (Vec<(u32, u32)>, f64) {
        let columns = COUNTED.iter().filter_map(|name| Some((name.to_string(), self.text(name, row)?.into_owned())));
        let attributes: Vec<(String, String)> =
            map_entries(self.batch, "attributes", row).into_iter().map(|(name, json)| (name, plain(json))).collect();
        let kept = attributes.iter().find(|(name, _)| name == PROBABILITY);
        let kept = kept.and_then(|(_, share)| share.parse::<f64>().ok()).filter(|share| *share > 0.0 && *share <= 1.0);
        let resource: Option<serde_json::Value> =
            self.resource.get(row).and_then(|json| serde_json::from_str(json).ok());
        let of_resource = OF_RESOURCE.iter().filter_map(|name| {
            let value = resource.as_ref()?.get(name)?.as_str()?;
            Some((name.to_string(), value.to_string()))
        });
        let told = |name: &str| !NOT_COUNTED.contains(&name) && !name.ends_with("_ns");
        let all = columns.chain(of_resource).chain(attributes.into_iter().filter(|(name, _)| told(name)));
        let counted = all.filter(|(_, value)| !value.is_empty() && value.len() <= MAX_VALUE_BYTES).take(MAX_VALUES);
        let numbers = counted.filter_map(|(name, value)| Some((names.number(&name)?, names.number(&value)?)));
        (numbers.collect(), 1.0 / kept.unwrap_or(1.0))
    }
}

/// An attribute's JSON text as plain text, a string without its quotes.
fn plain(json: String) -> String {
    match json.starts_with('"') {
        true => serde_json::from_str(&json).unwrap_or(json),
        false => json,
    }
}
