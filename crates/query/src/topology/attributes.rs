//! What is known of a node and of an edge beside its figures: from entities, from what it speaks, and, for services,
//! from their processes, so that a map can be grouped by unit, container, and labels of one's own.

use super::graph::{EdgeParts, NodeParts};
use limpid_model::{Entity, entity};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// What a protocol says about who serves it.
const ROLES: &[(&str, &str)] = &[
    ("postgresql", "database"),
    ("mysql", "database"),
    ("mongodb", "database"),
    ("cassandra", "database"),
    ("clickhouse", "database"),
    ("redis", "cache"),
    ("memcached", "cache"),
    ("kafka", "queue"),
    ("amqp", "queue"),
    ("nats", "queue"),
    ("dns", "dns"),
];

/// What a service takes over from its processes, beside labels of one's own.
const OF_PROCESSES: &[&str] = &["container.image.name", "container.name", "limpid.systemd.unit", "process.owner"];
/// Attributes that say something of one process only, or that a service has itself.
const NO_LABELS: &[&str] = &["container.", "host.", "limpid.", "os.", "process.", "service.", "telemetry."];
/// More values than this of one label tell nothing about the service.
const MAX_VALUES: usize = 4;
const MAX_LABELS: usize = 40;
/// Processes of one service that are looked at.
const MAX_PROCESSES: usize = 200;

/// The entities of the range, by what is asked of them.
#[derive(Default)]
pub struct Known<'a> {
    newest: FxHashMap<&'a str, &'a Entity>,
    /// The newest state of the processes of each service.
    processes: FxHashMap<&'a str, Vec<&'a Entity>>,
    /// First and last moment of each entity.
    lives_ns: FxHashMap<&'a str, (u64, u64)>,
}

impl<'a> Known<'a> {
    pub fn new(entities: &'a [Entity]) -> Known<'a> {
        let mut known = Known::default();
        for entity in entities {
            let newest = known.newest.entry(entity.id.as_str()).or_insert(entity);
            if entity.end_ns >= newest.end_ns {
                *newest = entity;
            }
            let life = known.lives_ns.entry(entity.id.as_str()).or_insert((entity.start_ns, entity.end_ns));
            *life = (life.0.min(entity.start_ns), life.1.max(entity.end_ns));
        }
        for process in known.newest.values().filter(|entity| entity.kind == "process") {
            if let Some(service) = process.attribute("limpid.service") {
                known.processes.entry(service).or_default().push(process);
            }
        }
        // A table's order is no order: what is shown must not change from one look to the next.
        known.processes.values_mut().for_each(|processes| processes.sort_by(|a, b| a.id.cmp(&b.id)));
        known
    }

    pub fn newest(&self, id: &str) -> Option<&'a Entity> {
        self.newest.get(id).copied()
    }

    pub fn life_ns(&self, id: &str) -> Option<(u64, u64)> {
        self.lives_ns.get(id).copied()
    }

    /// What the processes of a service have in common, or a few different values of it.
    fn of_processes(&self, service: &str) -> BTreeMap<&'a str, String> {
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for process in self.processes.get(service).into_iter().flatten().take(MAX_PROCESSES) {
            for (name, value) in process.attributes.iter().filter(|(name, _)| is_label(name)) {
                labels.entry(name.as_str()).or_default().insert(value.as_str());
            }
        }
        let few = labels.into_iter().filter(|(_, values)| values.len() <= MAX_VALUES).take(MAX_LABELS);
        few.map(|(name, values)| (name, joined(values))).collect()
    }
}

fn is_label(name: &str) -> bool {
    OF_PROCESSES.contains(&name) || !NO_LABELS.iter().any(|prefix| name.starts_with(prefix))
}

pub fn of_node(id: &str, parts: &NodeParts, known: &Known) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            attributes.insert(name.to_string(), value);
        }
    };
    if parts.kind == "service" {
        known.of_processes(id).into_iter().for_each(|(name, value)| put(name, value));
    }
    let of_service = || parts.services.iter().find_map(|name| known.newest(&entity::service_id("default", name)));
    let entity = known.newest(id).or_else(|| if parts.kind == "process" { of_service() } else { None });
    for (name, value) in entity.iter().flat_map(|entity| entity.attributes.iter()) {
        put(name, value.to_string());
    }
    put("host.name", joined(parts.hosts.iter().map(String::as_str)));
    put("limpid.spans", parts.spans.map_or_else(String::new, |spans| spans.to_string()));
    put("limpid.role", role(parts).unwrap_or_default().to_string());
    put("limpid.protocols", joined(parts.serves.iter().map(String::as_str)));
    if parts.kind == "service" && !parts.instances.is_empty() {
        put("limpid.instances", parts.instances.len().to_string());
    }
    if parts.kind == "clients" {
        put("limpid.addresses", parts.addresses.len().to_string());
        put("client.address", joined(parts.addresses.iter().take(20).map(String::as_str)));
    }
    attributes
}

fn role(parts: &NodeParts) -> Option<&'static str> {
    let by_protocol = ROLES.iter().find(|(protocol, _)| parts.serves.contains(*protocol)).map(|(_, role)| *role);
    let proxies = parts.serves.contains("http") && parts.calls.contains("http");
    let only_http = parts.calls.iter().all(|protocol| protocol == "http");
    by_protocol.or((proxies && only_http).then_some("gateway"))
}

pub fn of_edge(parts: &EdgeParts) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let split: Vec<(&str, &str)> = parts.addresses.iter().filter_map(|address| address.rsplit_once(':')).collect();
    let mut ports: Vec<&str> = split.iter().map(|(_, port)| *port).collect();
    ports.sort_unstable();
    ports.dedup();
    if !split.is_empty() {
        attributes.insert("server.port".into(), joined(ports));
        attributes.insert("server.address".into(), joined(split.iter().map(|(address, _)| *address)));
    }
    let spans = [&parts.client, &parts.server].into_iter().flatten().filter_map(|view| view.spans).reduce(|a, b| a + b);
    attributes.extend(spans.map(|spans| ("limpid.spans".to_owned(), spans.to_string())));
    attributes
}

pub fn joined<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().collect::<Vec<_>>().join(",")
}
