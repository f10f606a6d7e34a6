//! The aggregates of one consumer thread: every request is in them, sampled or not.
//!
//! An *edge* is who speaks to whom from which side in which protocol; connections hold its number. A *link* is an edge
//! without its instance: bytes, connections and the split of network and queue are counted there. A *series* is an edge
//! with operation, resource, code and status, and has the histogram. Recording costs one look-up by hash and allocates
//! nothing unless the series is new. Numbers stay valid until `generation` changes.

use super::caps::{Caps, Label, OTHER};
use super::certificates::Certificates;
use super::pending::PendingRequests;
use crate::losses;
use hashbrown::HashTable;
use limpid_model::{ExpHistogram, Kind, Request, Side, Status, Text};
use rustc_hash::{FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Who speaks to whom, as label values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EdgeLabels {
    pub side: Side,
    pub service: Text,
    pub peer: Text,
    pub peer_address: Text,
    pub instance: Text,
    pub protocol: &'static str,
}

/// The number of an edge, and the generation in which it is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EdgeRef {
    edge: u32,
    pub link: u32,
    generation: u32,
}

pub(super) struct Edge {
    pub labels: EdgeLabels,
    link: u32,
}

/// Values with small numbers that are given again.
pub(super) struct Slots<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

#[derive(Default)]
pub(super) struct Split {
    pub network: ExpHistogram,
    pub queue: ExpHistogram,
    pub network_or_queue: ExpHistogram,
}

pub(super) struct Link {
    pub side: Side,
    pub service: Text,
    pub peer: Text,
    pub peer_address: Text,
    pub protocol: &'static str,
    pub start_ns: u64,
    pub last_ns: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub opened: u64,
    pub active: u64,
    /// Requests that have waited longer than the time limit.
    pub waiting: u64,
    pub pending: Option<Box<PendingRequests>>,
    pub split: Option<Box<Split>>,
    pub tcp: Option<Box<Tcp>>,
    pub certificates: Option<Box<Certificates>>,
}

/// What TCP itself knows of the connections of a link.
#[derive(Default)]
pub(super) struct Tcp {
    /// How long those took to connect that this side opened.
    pub connect: ExpHistogram,
    /// Of each connection that moves, one value a second.
    pub round_trip: ExpHistogram,
    pub segments: u64,
    pub retransmits: u64,
    pub resets: u64,
}

pub(super) struct SeriesState {
    pub edge: u32,
    /// Of handshakes and logins, which are no requests.
    pub session: bool,
    pub status: Status,
    pub operation: Text,
    pub resource: Text,
    pub code: Text,
    pub histogram: ExpHistogram,
    pub start_ns: u64,
    pub last_ns: u64,
    /// The 99th percentile when it was last looked at, and at which count to look again.
    slow_ns: u64,
    look_again: u64,
    capped: bool,
}

/// Whether it is a session, and how it ended.
type What = (bool, Status);

/// Before this many requests nobody knows what is slow.
const FIRST_LOOK: u64 = 100;

pub(super) struct Table {
    pub edges: Slots<Edge>,
    pub links: Slots<Link>,
    pub series: Slots<SeriesState>,
    edge_index: HashTable<u32>,
    link_index: HashTable<u32>,
    series_index: HashTable<u32>,
    generation: u32,
    caps: Arc<Mutex<Caps>>,
}

impl Table {
    pub fn new(caps: Arc<Mutex<Caps>>) -> Self {
        Table {
            edges: Slots::new(),
            links: Slots::new(),
            series: Slots::new(),
            edge_index: HashTable::new(),
            link_index: HashTable::new(),
            series_index: HashTable::new(),
            generation: 1,
            caps,
        }
    }

    pub fn is_valid(&self, edge: EdgeRef) -> bool {
        edge.generation == self.generation
    }

    pub fn edge(&mut self, raw: EdgeLabels, now_ns: u64) -> EdgeRef {
        let edge = self.find_edge(&raw).unwrap_or_else(|| self.new_edge(raw, now_ns));
        let link = self.edges.get(edge).map_or(0, |edge| edge.link);
        EdgeRef { edge, link, generation: self.generation }
    }

    fn new_edge(&mut self, raw: EdgeLabels, now_ns: u64) -> u32 {
        let caps = Arc::clone(&self.caps);
        let mut caps = caps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut labels = capped_edge(&mut caps, &raw);
        if let Some(at) = self.find_edge(&labels) {
            return at;
        }
        if !caps.add_edge() {
            (labels.peer, labels.peer_address, labels.instance) = (OTHER, Text::default(), OTHER);
        }
        if let Some(at) = self.find_edge(&labels) {
            return at;
        }
        let link = self.link(&labels, now_ns);
        let hash = hash_of(&labels);
        let at = self.edges.put(Edge { labels, link });
        let edges = &self.edges;
        self.edge_index.insert_unique(hash, at, |at| edges.get(*at).map_or(0, |edge| hash_of(&edge.labels)));
        at
    }

    fn find_edge(&self, labels: &EdgeLabels) -> Option<u32> {
        let same = |at: &u32| self.edges.get(*at).is_some_and(|edge| edge.labels == *labels);
        self.edge_index.find(hash_of(labels), same).copied()
    }

    fn link(&mut self, labels: &EdgeLabels, now_ns: u64) -> u32 {
        let hash = link_hash(labels.side, &labels.service, &labels.peer, &labels.peer_address, labels.protocol);
        let links = &self.links;
        if let Some(at) = self.link_index.find(hash, |at| links.get(*at).is_some_and(|link| link.is(labels))) {
            return *at;
        }
        let at = self.links.put(Link::new(labels, now_ns));
        let links = &self.links;
        self.link_index.insert_unique(hash, at, |at| links.get(*at).map_or(0, Link::hash));
        at
    }

    pub fn link_mut(&mut self, link: u32) -> Option<&mut Link> {
        self.links.get_mut(link)
    }

    /// The number of the series that the request belongs to, valid as long as `edge` is.
    pub fn series_of(&mut self, edge: EdgeRef, request: &Request, now_ns: u64) -> u32 {
        let resource = request.resource.as_deref().unwrap_or_default();
        let code = request.code.as_deref().unwrap_or_default();
        let values = [request.operation.as_str(), resource, code];
        let what = (request.kind == Kind::Session, request.status);
        match self.find_series(edge.edge, what, values) {
            Some(at) => at,
            None => self.new_series(edge.edge, what, values, now_ns),
        }
    }

    /// Counts one request; returns from which duration on this series calls one slow.
    pub fn record(&mut self, series: u32, duration_ns: u64, now_ns: u64) -> u64 {
        let Some(series) = self.series.get_mut(series) else { return u64::MAX };
        if series.capped {
            losses::SERIES_CAPPED.add(1);
        }
        series.add(duration_ns, now_ns)
    }

    fn new_series(&mut self, edge: u32, what: What, raw: [&str; 3], now_ns: u64) -> u32 {
        let caps = Arc::clone(&self.caps);
        let mut caps = caps.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(labels) = self.edges.get(edge).map(|edge| &edge.labels) else { return u32::MAX };
        let kinds = [Label::Operation, Label::Resource, Label::Code];
        let mut values = [0, 1, 2].map(|at| caps.value(&labels.service, kinds[at], &Text::from(raw[at])));
        if let Some(at) = self.find_series(edge, what, values.each_ref().map(Text::as_str)) {
            return at;
        }
        let crowd = [&labels.service, &labels.peer, &labels.peer_address].into_iter().any(|value| *value == OTHER);
        if !caps.add_series() {
            values = [OTHER, OTHER, OTHER];
        }
        if let Some(at) = self.find_series(edge, what, values.each_ref().map(Text::as_str)) {
            return at;
        }
        let capped = crowd || values.contains(&OTHER);
        let state = SeriesState::new(edge, what, values, capped, now_ns);
        let hash = state.hash();
        let at = self.series.put(state);
        let all = &self.series;
        self.series_index.insert_unique(hash, at, |at| all.get(*at).map_or(0, SeriesState::hash));
        at
    }

    fn find_series(&self, edge: u32, what: What, values: [&str; 3]) -> Option<u32> {
        let same = |at: &u32| self.series.get(*at).is_some_and(|have| have.is(edge, what, values));
        self.series_index.find(series_hash(edge, what, values), same).copied()
    }

    /// Drops what `drop_series` and `drop_link` name, and edges that nothing needs any more. Numbers held elsewhere
    /// become invalid, except those of links with open connections.
    pub fn evict(
        &mut self,
        mut drop_series: impl FnMut(&EdgeLabels, &SeriesState) -> bool,
        mut drop_link: impl FnMut(&Link) -> bool,
    ) {
        self.generation = self.generation.wrapping_add(1);
        let (mut used_edges, mut used_links) = (FxHashSet::default(), FxHashSet::default());
        let edges = &self.edges;
        self.series.retain(|_, series| {
            let labels = edges.get(series.edge).map(|edge| &edge.labels);
            let stays = labels.is_some_and(|labels| !drop_series(labels, series));
            if stays {
                used_edges.insert(series.edge);
            }
            stays
        });
        self.edges.retain(|at, edge| {
            let stays = used_edges.contains(&at);
            if stays {
                used_links.insert(edge.link);
            }
            stays
        });
        self.links.retain(|at, link| used_links.contains(&at) || link.active > 0 || !drop_link(link));
        let (edges, links, all) = (&self.edges, &self.links, &self.series);
        self.edge_index.retain(|at| edges.get(*at).is_some());
        self.link_index.retain(|at| links.get(*at).is_some());
        self.series_index.retain(|at| all.get(*at).is_some());
    }

    /// Drops certificates that were last shown before this time; whether there were any.
    pub fn forget_certificates(&mut self, before_ns: u64) -> bool {
        let links = self.links.items.iter_mut().flatten();
        links.filter_map(|link| link.certificates.as_mut()).fold(false, |any, shown| shown.forget(before_ns) || any)
    }

    /// Takes the places of everything that lives in fresh caps.
    pub fn occupy(&self, caps: &mut Caps) {
        for edge in self.edges.iter() {
            capped_edge(caps, &edge.labels);
            caps.add_edge();
        }
        for series in self.series.iter() {
            let Some(edge) = self.edges.get(series.edge) else { continue };
            caps.add_series();
            caps.value(&edge.labels.service, Label::Operation, &series.operation);
            caps.value(&edge.labels.service, Label::Resource, &series.resource);
            caps.value(&edge.labels.service, Label::Code, &series.code);
        }
    }
}

fn capped_edge(caps: &mut Caps, raw: &EdgeLabels) -> EdgeLabels {
    let mut labels = raw.clone();
    labels.service = caps.service(&raw.service);
    labels.peer = caps.value(&labels.service, Label::Peer, &raw.peer);
    labels.peer_address = caps.value(&labels.service, Label::Address, &raw.peer_address);
    labels
}

impl<T> Slots<T> {
    fn new() -> Self {
        Slots { items: Vec::new(), free: Vec::new() }
    }

    fn put(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = Some(value);
                at
            }
            None => {
                self.items.push(Some(value));
                (self.items.len() - 1) as u32
            }
        }
    }

    pub fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }

    fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    fn retain(&mut self, mut stays: impl FnMut(u32, &T) -> bool) {
        for (at, slot) in self.items.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|value| !stays(at as u32, value)) {
                *slot = None;
                self.free.push(at as u32);
            }
        }
    }
}

impl Link {
    fn new(labels: &EdgeLabels, now_ns: u64) -> Self {
        Link {
            side: labels.side,
            service: labels.service.clone(),
            peer: labels.peer.clone(),
            peer_address: labels.peer_address.clone(),
            protocol: labels.protocol,
            start_ns: now_ns,
            last_ns: now_ns,
            sent_bytes: 0,
            received_bytes: 0,
            opened: 0,
            active: 0,
            waiting: 0,
            pending: None,
            split: None,
            tcp: None,
            certificates: None,
        }
    }

    pub fn tcp(&mut self) -> &mut Tcp {
        self.tcp.get_or_insert_default()
    }

    fn is(&self, labels: &EdgeLabels) -> bool {
        self.side == labels.side
            && self.service == labels.service
            && self.peer == labels.peer
            && self.peer_address == labels.peer_address
            && self.protocol == labels.protocol
    }

    fn hash(&self) -> u64 {
        link_hash(self.side, &self.service, &self.peer, &self.peer_address, self.protocol)
    }
}

impl SeriesState {
    fn new(edge: u32, (session, status): What, values: [Text; 3], capped: bool, now_ns: u64) -> Self {
        let [operation, resource, code] = values;
        SeriesState {
            edge,
            session,
            status,
            operation,
            resource,
            code,
            histogram: ExpHistogram::default(),
            start_ns: now_ns,
            last_ns: now_ns,
            slow_ns: u64::MAX,
            look_again: FIRST_LOOK,
            capped,
        }
    }

    fn is(&self, edge: u32, what: What, [operation, resource, code]: [&str; 3]) -> bool {
        self.edge == edge
            && (self.session, self.status) == what
            && self.operation == operation
            && self.resource == resource
            && self.code == code
    }

    fn hash(&self) -> u64 {
        series_hash(self.edge, (self.session, self.status), [&self.operation, &self.resource, &self.code])
    }

    fn add(&mut self, duration_ns: u64, now_ns: u64) -> u64 {
        self.histogram.record_ns(duration_ns);
        self.last_ns = self.last_ns.max(now_ns);
        if self.histogram.count >= self.look_again {
            let percentile = self.histogram.quantile(0.99).unwrap_or(f64::INFINITY);
            self.slow_ns = (percentile * 1e9) as u64;
            // A quarter more each time: what this costs is spread over ever more requests.
            self.look_again = self.histogram.count + self.histogram.count / 4;
        }
        self.slow_ns
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

fn link_hash(side: Side, service: &str, peer: &str, peer_address: &str, protocol: &str) -> u64 {
    hash_of(&(side, service, peer, peer_address, protocol))
}

fn series_hash(edge: u32, what: What, values: [&str; 3]) -> u64 {
    hash_of(&(edge, what, values))
}
