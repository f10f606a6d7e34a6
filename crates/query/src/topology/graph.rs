//! Series of both sides put together: nodes and the edges between them, each with its views over time.

use super::answer::{Level, TopologyQuery};
use super::connects::{self, Connects};
use super::figures::{Figures, Outcome, View};
use super::handshakes::{self, Handshakes};
use super::increase::{LOOKBACK_MS, Moments, Slot};
use super::pending::BothSides;
use super::resolve::{Place, Resolver};
use super::segments::Segments;
use crate::QueryError;
use limpid_model::growth::Stretch;
use limpid_model::names::{
    REQUEST_DURATION, REQUEST_NETWORK, REQUEST_NETWORK_OR_QUEUE, REQUEST_QUEUE, SESSION_DURATION, prometheus_name,
};
use limpid_model::{Growth, Labels, Matcher, Series, Side};
use limpid_store::Store;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};

/// The agent's label value for processes that lived less than ten seconds, and for what exceeded a cap.
const NOT_AN_INSTANCE: [&str; 3] = ["", "short-lived", "_OTHER"];
/// Codes of failures that are told apart on one edge.
const MOST_CODES: usize = 32;
pub const CLIENTS: &str = "clients";

/// One series of the family, its labels taken apart.
pub struct Seen {
    pub side: Side,
    pub service: String,
    pub peer: String,
    pub peer_address: String,
    pub protocol: String,
    pub instance: String,
    pub host: String,
    pub outcome: Outcome,
    /// Of what failed.
    pub code: String,
    pub growth: Growth,
    /// Where it was made from sampled spans: how many.
    pub spans: Option<u64>,
}

pub fn read(store: &dyn Store, moments: &Moments, query: &TopologyQuery) -> Result<Vec<Seen>, QueryError> {
    let mut series = growth_of(store, REQUEST_DURATION, &moments.times_ms, query)?;
    // Of sessions only handshakes: logins are those of a connection of which the requests are known.
    for protocol in handshakes::PROTOCOLS {
        let of_protocol = [
            matchers(prometheus_name(SESSION_DURATION, "s", false), query),
            vec![Matcher::equal("protocol", protocol)],
        ];
        series.extend(
            store
                .growth_at(&of_protocol.concat(), &moments.times_ms, LOOKBACK_MS)?
                .into_iter()
                .filter(|series| is_wanted(&series.labels, query)),
        );
    }
    let seen = |growth: Growth| {
        let seen = seen(&growth.labels)?;
        Some(Seen { growth, ..seen })
    };
    Ok(series.into_iter().filter_map(seen).collect())
}

fn growth_of(
    store: &dyn Store,
    name: &str,
    times_ms: &[i64],
    query: &TopologyQuery,
) -> Result<Vec<Growth>, QueryError> {
    let matchers = matchers(prometheus_name(name, "s", false), query);
    let mut series = store.growth_at(&matchers, times_ms, LOOKBACK_MS)?;
    series.retain(|series| is_wanted(&series.labels, query));
    Ok(series)
}

pub fn select_at(
    store: &dyn Store,
    name: String,
    times_ms: &[i64],
    query: &TopologyQuery,
) -> Result<Vec<Series>, QueryError> {
    let mut series = store.select_at(&matchers(name, query), times_ms, LOOKBACK_MS)?;
    series.retain(|series| is_wanted(&series.labels, query));
    Ok(series)
}

fn matchers(name: String, query: &TopologyQuery) -> Vec<Matcher> {
    let mut matchers = vec![Matcher::equal("__name__", name)];
    for (label, wanted) in [("protocol", &query.protocols), ("host", &query.hosts)] {
        if let [only] = wanted.as_slice() {
            matchers.push(Matcher::equal(label, only.as_str()));
        }
    }
    matchers
}

fn is_wanted(labels: &Labels, query: &TopologyQuery) -> bool {
    let wanted = |list: &[String], name: &str| {
        list.is_empty() || list.iter().any(|wanted| wanted == labels.get(name).unwrap_or_default())
    };
    wanted(&query.protocols, "protocol") && wanted(&query.hosts, "host")
}

/// What the labels say, before anything is counted.
pub fn seen(labels: &Labels) -> Option<Seen> {
    let label = |name: &str| labels.get(name).unwrap_or_default().to_string();
    let side = match labels.get("side")? {
        "client" => Side::Client,
        "server" => Side::Server,
        _ => return None,
    };
    Some(Seen {
        side,
        service: labels.get("service").filter(|service| !service.is_empty())?.to_string(),
        peer: label("peer"),
        peer_address: label("peer_address"),
        protocol: label("protocol"),
        instance: label("instance"),
        host: label("host"),
        outcome: Outcome::from_label(labels.get("status").unwrap_or_default()),
        code: label("code"),
        growth: Growth::default(),
        spans: None,
    })
}

#[derive(Default)]
pub struct NodeParts {
    pub kind: &'static str,
    pub name: String,
    /// What it served, as it saw it itself, for callers that no edge knows.
    pub served_apart: Option<View>,
    pub services: BTreeSet<String>,
    pub hosts: BTreeSet<String>,
    pub instances: BTreeSet<String>,
    /// Of the collapsed node of clients: their addresses.
    pub addresses: BTreeSet<String>,
    pub serves: BTreeSet<String>,
    pub calls: BTreeSet<String>,
    /// The newest sample of any of its series.
    pub last_ms: i64,
    /// The oldest one that the reading found.
    pub first_ms: Option<i64>,
    /// Where it was made from sampled spans: how many of its own.
    pub spans: Option<u64>,
}

#[derive(Default)]
pub struct EdgeParts {
    /// The oldest sample of any of its series.
    pub first_ms: Option<i64>,
    pub client: Option<View>,
    pub server: Option<View>,
    /// Where the caller was seen, to tell which edge a server's view from an address belongs to.
    pub hosts: FxHashSet<String>,
    /// Caller's and callee's service, for the families that know no instances.
    pub services: Option<(String, String)>,
    pub addresses: BTreeSet<String>,
    /// What failed in the range by its code, the most frequent codes that fit.
    pub failed_codes: BTreeMap<String, f64>,
    /// The same of handshakes as the server saw them, which are counted exactly and so not twice.
    pub server_alerts: BTreeMap<String, f64>,
    /// Connects that failed, put here by `place_connects`.
    pub connects: Option<Connects>,
    /// Of encrypted connections, put here by `place_handshakes`.
    pub handshakes: Option<Handshakes>,
    pub segments: Segments,
    /// Its series, as places in the list that the graph was built from.
    pub series: Vec<usize>,
    /// What waits for answers at the range's end.
    pub pending: BothSides,
    pub network: Figures,
    pub queue: Figures,
    pub network_or_queue: Figures,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EdgeKey {
    pub source: String,
    pub target: String,
    pub protocol: String,
}

pub struct Graph {
    pub level: Level,
    pub nodes: BTreeMap<String, NodeParts>,
    pub edges: BTreeMap<EdgeKey, EdgeParts>,
    /// Buckets in which any agent reported.
    pub reported: Vec<bool>,
    /// The oldest and the newest sample of each host.
    pub hosts_ms: BTreeMap<String, (i64, i64)>,
}

/// A node before it has anything in it.
struct Identity {
    id: String,
    kind: &'static str,
    name: String,
}

/// Instances and hosts of a service by side, to find the other end below the level of services: of those that saw
/// something in the range, since what was there an hour ago may have been restarted.
#[derive(Default)]
struct Members(FxHashMap<(Side, String), FxHashMap<String, BTreeSet<(String, String)>>>);

impl Members {
    fn new(all: &[Seen], grown: &[Grown]) -> Self {
        let mut members = Members::default();
        for (seen, _) in all.iter().zip(grown).filter(|(_, grown)| is_active(grown)) {
            let of_service = members.0.entry((seen.side, seen.service.clone())).or_default();
            of_service.entry(seen.peer.clone()).or_default().insert((seen.instance.clone(), seen.host.clone()));
        }
        members
    }

    /// The place of the other end if there is just one that it can be.
    fn other_end(&self, seen: &Seen, by: impl Fn(&(String, String)) -> &String) -> Option<String> {
        let side = if seen.side == Side::Client { Side::Server } else { Side::Client };
        let places = self.0.get(&(side, seen.peer.clone()))?.get(&seen.service)?;
        let distinct: BTreeSet<&String> = places.iter().map(by).collect();
        match distinct.into_iter().collect::<Vec<_>>().as_slice() {
            [only] => Some((*only).clone()),
            _ => None,
        }
    }
}

/// The other end of a call.
enum Other {
    Node(Identity),
    /// One of these hosts, by its address; which of its services is told by the client's own view, if at all.
    OnHosts(FxHashSet<String>),
    /// Several services share the address.
    Ambiguous,
}

impl Graph {
    pub fn build(all: &[Seen], resolver: &Resolver, level: Level, moments: &Moments) -> Graph {
        let mut graph = Graph {
            level,
            nodes: BTreeMap::new(),
            edges: BTreeMap::new(),
            reported: vec![false; super::increase::BUCKETS],
            hosts_ms: BTreeMap::new(),
        };
        let grown: Vec<Grown> = all.iter().map(|seen| grown(seen, moments)).collect();
        let members = Members::new(all, &grown);
        let mut idle = Vec::new();
        // Clients first: they tell which edges there are that a server's view may belong to.
        for side in [Side::Client, Side::Server] {
            for (at, (seen, grown)) in all.iter().zip(&grown).enumerate().filter(|(_, (seen, _))| seen.side == side) {
                graph.note_samples(seen, moments);
                let own = graph.own_node(seen, resolver);
                let active = is_active(grown);
                let own_id = own.id.clone();
                if seen.spans.is_some() || moments.is_recent(first_and_last(&seen.growth)) {
                    graph.touch(own, seen, active);
                }
                match active {
                    true => graph.add(&own_id, at, (seen, grown), resolver, &members),
                    false => idle.push((own_id, at, seen, grown)),
                }
            }
        }
        // What saw nothing in the range lends what was usual to the edges that there are, and makes none.
        for (own, at, seen, grown) in idle {
            graph.add_usual(&own, at, (seen, grown), resolver, &members);
        }
        graph
    }

    /// Of sampled spans: what did no calls is there too, and when nothing matched, nothing happened.
    pub fn add_sampled(&mut self, alone: &[Seen], resolver: &Resolver) {
        self.reported.fill(true);
        for seen in alone {
            self.touch(self.own_node(seen, resolver), seen, false);
        }
    }

    fn add(&mut self, own: &str, at: usize, (seen, grown): (&Seen, &Grown), resolver: &Resolver, members: &Members) {
        let key = match self.other_node(seen, resolver, members) {
            Other::Node(identity) => Some(self.connect(own, identity, seen)),
            Other::OnHosts(hosts) => self.edge_from_hosts(own, &hosts, seen),
            Other::Ambiguous => None,
        };
        let Some(key) = key else {
            // Nobody knows which edge it was, but the node served it.
            if !handshakes::are_of(&seen.protocol) {
                fill(&mut self.node_mut(own).served_apart, seen, grown);
            }
            return;
        };
        let edge = self.edges.entry(key).or_default();
        edge.count_codes(seen, grown);
        edge.series.push(at);
        if let Some((first_ms, _)) = first_and_last(&seen.growth) {
            edge.first_ms = earlier(edge.first_ms, first_ms);
        }
        match seen.side {
            Side::Client => {
                edge.hosts.insert(seen.host.clone());
                fill(&mut edge.client, seen, grown);
            }
            Side::Server => fill(&mut edge.server, seen, grown),
        }
        if !seen.peer_address.is_empty() && seen.side == Side::Client && edge.addresses.len() < 20 {
            edge.addresses.insert(seen.peer_address.clone());
        }
    }

    fn add_usual(
        &mut self,
        own: &str,
        at: usize,
        (seen, grown): (&Seen, &Grown),
        resolver: &Resolver,
        members: &Members,
    ) {
        if let Other::Node(other) = self.other_node(seen, resolver, members) {
            let (source, target) = ordered(seen.side, own, &other.id);
            let key = EdgeKey { source, target, protocol: seen.protocol.clone() };
            if let Some(edge) = self.edges.get_mut(&key) {
                if let Some((first_ms, _)) = first_and_last(&seen.growth) {
                    edge.first_ms = earlier(edge.first_ms, first_ms);
                }
                if grown.is_empty() {
                    return;
                }
                edge.series.push(at);
                fill(if seen.side == Side::Client { &mut edge.client } else { &mut edge.server }, seen, grown);
                return;
            }
        }
        if seen.side == Side::Server && !grown.is_empty() && !handshakes::are_of(&seen.protocol) {
            // A service that has long gone is no node for what it once served.
            if let Some(node) = self.nodes.get_mut(own) {
                fill(&mut node.served_apart, seen, grown);
            }
        }
    }

    fn note_samples(&mut self, seen: &Seen, moments: &Moments) {
        for time_ms in &seen.growth.sampled_ms {
            if *time_ms > moments.start_ms {
                let end = moments.range_ms().partition_point(|moment| moment < time_ms);
                if let Some(bucket) = self.reported.get_mut(end.saturating_sub(1)) {
                    *bucket = true;
                }
            }
        }
        let Some((first_ms, last_ms)) = first_and_last(&seen.growth) else { return };
        let known = self.hosts_ms.entry(seen.host.clone()).or_insert((first_ms, last_ms));
        *known = (known.0.min(first_ms), known.1.max(last_ms));
    }

    fn node_mut(&mut self, id: &str) -> &mut NodeParts {
        self.nodes.entry(id.to_string()).or_default()
    }

    fn touch(&mut self, own: Identity, seen: &Seen, active: bool) {
        let node = self.nodes.entry(own.id).or_default();
        (node.kind, node.name) = (own.kind, own.name);
        if let Some((first_ms, last_ms)) = first_and_last(&seen.growth) {
            node.last_ms = node.last_ms.max(last_ms);
            node.first_ms = earlier(node.first_ms, first_ms);
        }
        if let Some(more) = seen.spans {
            *node.spans.get_or_insert(0) += more;
        }
        node.services.insert(seen.service.clone());
        node.hosts.insert(seen.host.clone());
        if !NOT_AN_INSTANCE.contains(&seen.instance.as_str()) {
            node.instances.insert(seen.instance.clone());
        }
        if active && is_spoken(&seen.protocol) {
            let list = if seen.side == Side::Server { &mut node.serves } else { &mut node.calls };
            list.insert(seen.protocol.clone());
        }
    }

    fn own_node(&self, seen: &Seen, resolver: &Resolver) -> Identity {
        match self.level {
            Level::Process if !NOT_AN_INSTANCE.contains(&seen.instance.as_str()) => {
                process(&seen.instance, &seen.service)
            }
            Level::Host => host(&seen.host, resolver),
            _ => service(&seen.service),
        }
    }

    fn other_node(&self, seen: &Seen, resolver: &Resolver, members: &Members) -> Other {
        if !seen.peer.is_empty() {
            return Other::Node(match self.level {
                Level::Service => service(&seen.peer),
                Level::Process => match members.other_end(seen, |(instance, _)| instance) {
                    Some(id) if !NOT_AN_INSTANCE.contains(&id.as_str()) => process(&id, &seen.peer),
                    _ => service(&seen.peer),
                },
                // The agent knows a peer by name only when it runs on the same machine.
                Level::Host => {
                    host(members.other_end(seen, |(_, host)| host).as_deref().unwrap_or(&seen.host), resolver)
                }
            });
        }
        match seen.side {
            Side::Client => Other::Node(self.called_node(seen, resolver)),
            Side::Server => self.calling_node(seen, resolver),
        }
    }

    fn called_node(&self, seen: &Seen, resolver: &Resolver) -> Identity {
        match resolver.server(&seen.service, &seen.peer_address, &seen.host) {
            Some(place) => self.node_of(&place, resolver),
            None => external(&resolver.named(&seen.peer_address)),
        }
    }

    fn node_of(&self, place: &Place, resolver: &Resolver) -> Identity {
        match (self.level, &place.process, &place.host) {
            (Level::Process, Some(id), _) => process(id, &place.service),
            (Level::Host, _, Some(name)) => host(name, resolver),
            _ => service(&place.service),
        }
    }

    fn calling_node(&self, seen: &Seen, resolver: &Resolver) -> Other {
        let known = resolver.known_clients(&seen.service, &seen.peer_address);
        let hosts = resolver.hosts_at(&seen.peer_address, &seen.host);
        if let (Level::Host, Some(name)) = (self.level, hosts.iter().min()) {
            return Other::Node(host(name, resolver));
        }
        if let Some(known) = known.filter(|_| self.level == Level::Service) {
            return match known.iter().collect::<Vec<_>>().as_slice() {
                [only] => Other::Node(service(only)),
                _ => Other::Ambiguous,
            };
        }
        if !hosts.is_empty() {
            return Other::OnHosts(hosts);
        }
        Other::Node(Identity { id: CLIENTS.into(), kind: "clients", name: CLIENTS.into() })
    }

    /// The edge into `own` whose caller was seen on one of these hosts, if there is just one.
    fn edge_from_hosts(&mut self, own: &str, hosts: &FxHashSet<String>, seen: &Seen) -> Option<EdgeKey> {
        let fits = |key: &EdgeKey, edge: &EdgeParts| {
            key.target == own && key.protocol == seen.protocol && !edge.hosts.is_disjoint(hosts)
        };
        let mut found = self.edges.iter().filter(|(key, edge)| fits(key, edge)).map(|(key, _)| key.clone());
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            (Some(_), Some(_)) => None,
            (None, _) => {
                let clients = Identity { id: CLIENTS.into(), kind: "clients", name: CLIENTS.into() };
                Some(self.connect(own, clients, seen))
            }
        }
    }

    fn connect(&mut self, own: &str, other: Identity, seen: &Seen) -> EdgeKey {
        let other_service = if seen.peer.is_empty() { service_of(&other) } else { Some(seen.peer.clone()) };
        let node = self.nodes.entry(other.id.clone()).or_default();
        (node.kind, node.name) = (other.kind, other.name);
        if other.kind == "clients" {
            node.addresses.insert(seen.peer_address.clone());
        }
        node.services.extend(other_service.clone());
        if let Some((first_ms, _)) = first_and_last(&seen.growth) {
            node.first_ms = earlier(node.first_ms, first_ms);
        }
        let list = if seen.side == Side::Client { &mut node.serves } else { &mut node.calls };
        if is_spoken(&seen.protocol) {
            list.insert(seen.protocol.clone());
        }
        let (source, target) = ordered(seen.side, own, &other.id);
        let key = EdgeKey { source, target, protocol: seen.protocol.clone() };
        let edge = self.edges.entry(key.clone()).or_default();
        if let Some(other) = other_service {
            edge.services = Some(ordered(seen.side, &seen.service, &other));
        }
        key
    }

    /// The edge that a series without instances belongs to.
    pub fn key_of(&self, seen: &Seen, resolver: &Resolver) -> Option<EdgeKey> {
        let key = self.key_between(seen, resolver)?;
        match self.edges.contains_key(&key) {
            true => Some(key),
            false => handshakes::are_of(&key.protocol).then(|| self.encrypted_edge(&key)).flatten(),
        }
    }

    pub fn key_between(&self, seen: &Seen, resolver: &Resolver) -> Option<EdgeKey> {
        let Other::Node(other) = self.other_node(seen, resolver, &Members::default()) else { return None };
        let (source, target) = ordered(seen.side, &self.own_node(seen, resolver).id, &other.id);
        Some(EdgeKey { source, target, protocol: seen.protocol.clone() })
    }

    /// An edge on which no request was ever finished.
    pub fn begin_edge(&mut self, seen: &Seen, resolver: &Resolver) -> Option<EdgeKey> {
        let Other::Node(other) = self.other_node(seen, resolver, &Members::default()) else { return None };
        let own = self.own_node(seen, resolver);
        let own_id = own.id.clone();
        self.touch(own, seen, true);
        let key = self.connect(&own_id, other, seen);
        let addresses = self.edges.get_mut(&key).map(|edge| &mut edge.addresses)?;
        addresses
            .extend((seen.side == Side::Client && !seen.peer_address.is_empty()).then(|| seen.peer_address.clone()));
        Some(key)
    }

    /// Adds what callers waited beyond the servers' own time.
    pub fn add_waiting(
        &mut self,
        store: &dyn Store,
        moments: &Moments,
        query: &TopologyQuery,
    ) -> Result<(), QueryError> {
        let mut by_services: FxHashMap<(String, String, String), Vec<EdgeKey>> = FxHashMap::default();
        for (key, edge) in &self.edges {
            if let Some((source, target)) = &edge.services {
                let services = (source.clone(), target.clone(), key.protocol.clone());
                by_services.entry(services).or_default().push(key.clone());
            }
        }
        for name in [REQUEST_NETWORK, REQUEST_QUEUE, REQUEST_NETWORK_OR_QUEUE] {
            for series in growth_of(store, name, moments.range_ms(), query)? {
                let label = |name: &str| series.labels.get(name).unwrap_or_default().to_string();
                let edges = by_services.get(&(label("service"), label("peer"), label("protocol")));
                // Below the level of services these families cannot say which edge it was, unless there is one.
                let Some([key]) = edges.map(Vec::as_slice) else { continue };
                let Some(edge) = self.edges.get_mut(key) else { continue };
                let mut view = View::default();
                series.stretches().for_each(|(stretch, counts)| {
                    view.add(moments.slot(stretch.time_ms), Outcome::Ok, stretch, counts);
                });
                let figures = match name {
                    REQUEST_NETWORK => &mut edge.network,
                    REQUEST_QUEUE => &mut edge.queue,
                    _ => &mut edge.network_or_queue,
                };
                figures.merge(&view.total());
            }
        }
        Ok(())
    }
}

impl EdgeParts {
    fn count_codes(&mut self, seen: &Seen, grown: &Grown) {
        let code = &seen.code;
        let of_server = seen.side == Side::Server && handshakes::are_of(&seen.protocol);
        let codes = if of_server { &mut self.server_alerts } else { &mut self.failed_codes };
        if seen.outcome == Outcome::Ok || (codes.len() >= MOST_CODES && !codes.contains_key(code)) {
            return;
        }
        let in_range = grown.iter().filter(|(slot, ..)| matches!(slot, Slot::Bucket(_)));
        *codes.entry(code.clone()).or_default() += in_range.map(|(_, stretch, _)| stretch.count).sum::<f64>();
    }
}

/// Whether requests are made of it: failed connects and handshakes are none.
fn is_spoken(protocol: &str) -> bool {
    protocol != connects::PROTOCOL && !handshakes::are_of(protocol)
}

/// The stretches in which a series grew: when, and by what.
type Grown<'a> = Vec<(Slot, &'a Stretch, &'a [f64])>;

fn grown<'a>(seen: &'a Seen, moments: &Moments) -> Grown<'a> {
    let stretches = seen.growth.stretches();
    stretches.map(|(stretch, counts)| (moments.slot(stretch.time_ms), stretch, counts)).collect()
}

fn is_active(grown: &Grown) -> bool {
    grown.iter().any(|(slot, ..)| matches!(slot, Slot::Bucket(_)))
}

impl Seen {
    /// Adds what it saw to a view.
    pub fn fill(&self, view: &mut View, moments: &Moments) {
        self.growth.stretches().for_each(|(stretch, counts)| {
            view.add(moments.slot(stretch.time_ms), self.outcome, stretch, counts);
        });
    }
}

fn fill(view: &mut Option<View>, seen: &Seen, grown: &Grown) {
    let view = view.get_or_insert_with(View::default);
    view.add_spans(seen.spans);
    grown.iter().for_each(|(slot, stretch, counts)| view.add(*slot, seen.outcome, stretch, counts));
}

fn first_and_last(growth: &Growth) -> Option<(i64, i64)> {
    Some((*growth.sampled_ms.first()?, *growth.sampled_ms.last()?))
}

fn earlier(known_ms: Option<i64>, ms: i64) -> Option<i64> {
    Some(known_ms.map_or(ms, |known_ms| known_ms.min(ms)))
}

/// (source, target) from the view of one side.
fn ordered(side: Side, own: &str, other: &str) -> (String, String) {
    match side {
        Side::Client => (own.to_string(), other.to_string()),
        Side::Server => (other.to_string(), own.to_string()),
    }
}

fn service_of(identity: &Identity) -> Option<String> {
    matches!(identity.kind, "service" | "process").then(|| identity.name.clone())
}

fn service(name: &str) -> Identity {
    Identity {
        id: limpid_model::entity::service_id("default", name).to_string(),
        kind: "service",
        name: name.to_string(),
    }
}

fn process(id: &str, service: &str) -> Identity {
    Identity { id: id.to_string(), kind: "process", name: service.to_string() }
}

fn host(name: &str, resolver: &Resolver) -> Identity {
    Identity { id: resolver.host_id(name), kind: "host", name: name.to_string() }
}

fn external(address: &str) -> Identity {
    let name = if address.is_empty() { "unknown" } else { address };
    Identity { id: limpid_model::entity::external_id(name).to_string(), kind: "external", name: name.to_string() }
}
