//! Events, decoded from the store's rows.

use crate::QueryError;
use crate::span_rows::{Texts, byte, fixed, hex, map_entries, time_ns};
use crate::topology::as_text;
use limpid_store::{EventQuery, Store};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    #[serde(serialize_with = "as_text")]
    pub time_ns: u64,
    pub name: String,
    /// OTLP's severity number.
    pub severity: u8,
    pub service: Option<String>,
    pub entity: Option<String>,
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub body: String,
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Newest first.
pub fn events(store: &dyn Store, query: &EventQuery) -> Result<Vec<Event>, QueryError> {
    let mut events = Vec::new();
    for batch in store.events(query)? {
        let (names, services) = (Texts::new(&batch, "name"), Texts::new(&batch, "service"));
        let (entities, bodies) = (Texts::new(&batch, "entity"), Texts::new(&batch, "body"));
        for row in 0..batch.num_rows() {
            let text = |texts: &Texts| texts.get(row).map(String::from);
            let json = |value: String| serde_json::from_str(&value).unwrap_or(serde_json::Value::String(value));
            events.push(Event {
                time_ns: time_ns(&batch, "time", row).unwrap_or(0),
                name: text(&names).unwrap_or_default(),
                severity: byte(&batch, "severity", row),
                service: text(&services),
                entity: text(&entities),
                trace_id: fixed::<16>(&batch, "trace_id", row).map(|id| hex(&id)),
                span_id: fixed::<8>(&batch, "span_id", row).map(|id| hex(&id)),
                body: text(&bodies).unwrap_or_default(),
                attributes: map_entries(&batch, "attributes", row)
                    .into_iter()
                    .map(|(name, value)| (name, json(value)))
                    .collect(),
            });
        }
    }
    Ok(events)
}
