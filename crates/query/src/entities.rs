//! One thing and its way round: upstream, downstream, instances, host; what a service does, by operation; events.

mod events;
mod operations;

pub use events::{Event, events};
pub use operations::{Operation, operations};

use crate::QueryError;
use crate::topology::{Level, Node, TopologyQuery, as_text, topology};
use limpid_store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EntityView {
    pub id: String,
    pub kind: String,
    pub name: String,
    #[serde(serialize_with = "as_text")]
    pub start_ns: u64,
    #[serde(serialize_with = "as_text")]
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Who calls it.
    Upstream,
    /// What it calls.
    Downstream,
    Instances,
    Host,
}

impl Relation {
    pub fn from_name(name: &str) -> Option<Relation> {
        Some(match name {
            "upstream" => Relation::Upstream,
            "downstream" => Relation::Downstream,
            "instances" => Relation::Instances,
            "host" => Relation::Host,
            _ => return None,
        })
    }
}

/// All entities of the range, each in its newest state, with its whole life in the range.
fn all(store: &dyn Store, start_ns: u64, end_ns: u64) -> Result<BTreeMap<String, EntityView>, QueryError> {
    let mut found: BTreeMap<String, EntityView> = BTreeMap::new();
    for entity in store.entities(start_ns, end_ns)? {
        let attributes = entity.attributes.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let view = EntityView {
            id: entity.id.to_string(),
            kind: entity.kind.to_string(),
            name: entity.name.to_string(),
            start_ns: entity.start_ns,
            end_ns: entity.end_ns,
            attributes,
        };
        match found.get_mut(entity.id.as_str()) {
            None => {
                found.insert(view.id.clone(), view);
            }
            Some(known) => {
                let (start_ns, end_ns) = (known.start_ns.min(view.start_ns), known.end_ns.max(view.end_ns));
                if view.end_ns >= known.end_ns {
                    *known = view;
                }
                (known.start_ns, known.end_ns) = (start_ns, end_ns);
            }
        }
    }
    Ok(found)
}

/// How many entities of a kind there were in the range.
pub fn count_of_kind(store: &dyn Store, kind: &str, start_ns: u64, end_ns: u64) -> Result<usize, QueryError> {
    let found = store.entities(start_ns, end_ns)?;
    let ids: BTreeSet<&str> = found.iter().filter(|it| it.kind == kind).map(|it| it.id.as_str()).collect();
    Ok(ids.len())
}

/// One entity in the range; `None` when nothing is known of it. What is known from traffic alone (an external
/// endpoint, a service without an agent) is found on the map.
pub fn entity(store: &dyn Store, id: &str, start_ns: u64, end_ns: u64) -> Result<Option<EntityView>, QueryError> {
    if let Some(found) = all(store, start_ns, end_ns)?.remove(id) {
        return Ok(Some(found));
    }
    let map = topology(store, start_ns, end_ns, &TopologyQuery { level: level_of(id), ..TopologyQuery::default() })?;
    let node = map.nodes.into_iter().find(|node| node.id == id);
    Ok(node.map(|node| from_node(node, start_ns, end_ns)))
}

pub fn related(
    store: &dyn Store,
    id: &str,
    by: Relation,
    start_ns: u64,
    end_ns: u64,
) -> Result<Vec<EntityView>, QueryError> {
    let known = all(store, start_ns, end_ns)?;
    match by {
        Relation::Upstream | Relation::Downstream => neighbours(store, id, by, start_ns, end_ns, known),
        Relation::Instances => Ok(known.into_values().filter(|entity| is_instance(entity, id)).collect()),
        Relation::Host => {
            let hosts = hosts_of(id, &known);
            Ok(known.into_values().filter(|entity| hosts.contains(&entity.id)).collect())
        }
    }
}

fn is_instance(entity: &EntityView, of: &str) -> bool {
    let relation = |name: &str| entity.attributes.get(name).is_some_and(|value| value == of);
    entity.kind == "process" && ["limpid.service", "limpid.host", "limpid.container"].into_iter().any(relation)
}

fn hosts_of(id: &str, known: &BTreeMap<String, EntityView>) -> BTreeSet<String> {
    let host = |entity: &EntityView| entity.attributes.get("limpid.host").cloned();
    let own = known.get(id).and_then(host);
    let of_instances = known.values().filter(|entity| is_instance(entity, id)).filter_map(host);
    own.into_iter().chain(of_instances).collect()
}

fn level_of(id: &str) -> Level {
    match id.split(':').next() {
        Some("process") => Level::Process,
        Some("host") => Level::Host,
        _ => Level::Service,
    }
}

fn neighbours(
    store: &dyn Store,
    id: &str,
    by: Relation,
    start_ns: u64,
    end_ns: u64,
    mut known: BTreeMap<String, EntityView>,
) -> Result<Vec<EntityView>, QueryError> {
    let map = topology(store, start_ns, end_ns, &TopologyQuery { level: level_of(id), ..TopologyQuery::default() })?;
    let other = |edge: &crate::topology::Edge| match by {
        Relation::Upstream => (edge.target == id).then(|| edge.source.clone()),
        _ => (edge.source == id).then(|| edge.target.clone()),
    };
    let ids: BTreeSet<String> = map.edges.iter().filter_map(other).filter(|other| other != id).collect();
    let mut nodes: BTreeMap<String, Node> = map.nodes.into_iter().map(|node| (node.id.clone(), node)).collect();
    let view = |id: String| known.remove(&id).or_else(|| Some(from_node(nodes.remove(&id)?, start_ns, end_ns)));
    Ok(ids.into_iter().filter_map(view).collect())
}

fn from_node(node: Node, start_ns: u64, end_ns: u64) -> EntityView {
    EntityView { id: node.id, kind: node.kind, name: node.name, start_ns, end_ns, attributes: node.attributes }
}
