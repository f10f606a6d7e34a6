//! Entities: the things that requests run between and in. Ids are `kind:scope/name`, stable over restarts.

use crate::Text;

/// The state of an entity over an interval: it was like this from `start_ns` to `end_ns` (last seen).
#[derive(Clone, Debug, PartialEq)]
pub struct Entity {
    /// `service:default/checkout`, `process:<machine-id>/<start>-<pid>`, `host:<machine-id>`, `container:<id>`,
    /// `external:db.example.com:5432`.
    pub id: Text,
    pub kind: Text,
    pub name: Text,
    pub start_ns: u64,
    pub end_ns: u64,
    /// Semantic-convention names where they exist, else `limpid.*`. Sorted by name. Text only: entities are shown and
    /// filtered, never added up. Relations are attributes that hold ids: `limpid.service`, `limpid.host`,
    /// `limpid.container`. A process that listens has `limpid.listen` = `address:port[,address:port…]`, a host has
    /// `host.ip` = `address[,address…]`.
    pub attributes: Vec<(Text, Text)>,
}

impl Entity {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }
}

pub fn service_id(scope: &str, name: &str) -> Text {
    compact_str::format_compact!("service:{scope}/{name}")
}

pub fn process_id(machine_id: &str, start: u64, pid: u32) -> Text {
    compact_str::format_compact!("process:{machine_id}/{start}-{pid}")
}

pub fn host_id(machine_id: &str) -> Text {
    compact_str::format_compact!("host:{machine_id}")
}

pub fn external_id(name_and_port: &str) -> Text {
    compact_str::format_compact!("external:{name_and_port}")
}
