//! From the graph to the answer: figures, statuses, reasons and attributes of nodes and edges.
//!
//! What is bad itself and what only suffers are told apart: a node whose failures, or whose slowness, its own callees
//! explain is *affected*, and so is an edge into it.

use super::answer::{Edge, Level, Node, Reason, Severity, Status, Topology, TopologyQuery};
use super::attributes::{self, Known};
use super::connects::{self, Connects};
use super::figures::View;
use super::graph::{EdgeKey, EdgeParts, Graph, NodeParts, Seen};
use super::handshakes::{self, Handshakes};
use super::increase::Moments;
use super::judge::{self, MIN_TO_JUDGE, Noun, Subject};
use super::lifetime::Lifetimes;
use super::pending::{self, Pending};
use limpid_model::{Entity, Side};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Agents report every five seconds; what is silent for this long is missing.
const SILENT_MS: i64 = 60_000;
/// A callee explains its caller's failures when it has at least this share of them.
const EXPLAINS_ERRORS: f64 = 0.8;
/// A callee explains its caller's slowness when its p95 is at least this share of the caller's.
const EXPLAINS_LATENCY: f64 = 0.5;
/// What no callee of the callee can explain.
const OWN_KINDS: [&str; 4] = [connects::KIND, "retransmits", handshakes::KIND, handshakes::CERTIFICATE_KIND];
const DNS: &str = "dns";
const LATENCY: &str = "latency";
/// A callee's trouble and its caller's begin together, but for so many buckets.
const SOON_BUCKETS: u64 = 2;

/// What all nodes are made from.
struct Parts<'a> {
    graph: &'a Graph,
    known: &'a Known<'a>,
    moments: &'a Moments,
    lifetimes: &'a Lifetimes<'a>,
    edges: &'a [Judged<'a>],
    /// Edges by the node that they end at and by the one that they begin at, as places in `edges`.
    into: FxHashMap<&'a str, Vec<usize>>,
    out_of: FxHashMap<&'a str, Vec<usize>>,
}

impl<'a> Parts<'a> {
    fn incoming(&self, id: &str) -> impl Iterator<Item = &'a Judged<'a>> {
        self.into.get(id).into_iter().flatten().filter_map(|at| self.edges.get(*at))
    }

    fn outgoing(&self, id: &str) -> impl Iterator<Item = &'a Judged<'a>> {
        self.out_of.get(id).into_iter().flatten().filter_map(|at| self.edges.get(*at))
    }
}

/// `seen`: what the graph was built from.
pub fn finish(graph: Graph, seen: &[Seen], entities: &[Entity], moments: &Moments, query: &TopologyQuery) -> Topology {
    let known = Known::new(entities);
    let lifetimes = Lifetimes::new(&graph, &known, moments);
    let mut edges: Vec<Judged> =
        graph.edges.iter().map(|(key, parts)| Judged::new(key, parts, &graph, seen, moments)).collect();
    let mut nodes = judged_nodes(&graph, &known, moments, &lifetimes, &edges);
    add_idle(&mut nodes, entities, &graph, &known, &lifetimes, query);
    for edge in &mut edges {
        let suffers = |id: &str| nodes.get(id).is_some_and(|node| node.status == Status::Affected);
        if suffers(&edge.key.target) {
            let inherited = |reason: &&mut Reason| !OWN_KINDS.contains(&reason.kind);
            edge.reasons.iter_mut().filter(inherited).for_each(|reason| reason.severity = Severity::Affected);
            edge.reasons.sort_by_key(|reason| (reason.severity, reason.since_ns));
        }
    }
    let edges = edges.into_iter().map(|edge| edge.finish(moments, &lifetimes)).collect();
    Topology { sampled: None, nodes: nodes.into_values().collect(), edges }
}

fn judged_nodes(
    graph: &Graph,
    known: &Known,
    moments: &Moments,
    lifetimes: &Lifetimes,
    edges: &[Judged],
) -> BTreeMap<String, Node> {
    let mut parts =
        Parts { graph, known, moments, lifetimes, edges, into: FxHashMap::default(), out_of: FxHashMap::default() };
    for (at, edge) in edges.iter().enumerate() {
        parts.into.entry(&edge.key.target).or_default().push(at);
        parts.out_of.entry(&edge.key.source).or_default().push(at);
    }
    graph.nodes.iter().map(|(id, of_node)| (id.clone(), node(id, of_node, &parts))).collect()
}

/// What is bad for the caller alone: its requests were lost, or waited in the network or in the server's queue, and the
/// server knows nothing of it.
fn callers_reasons(parts: &EdgeParts, of_server: &[Reason], moments: &Moments, subject: &Subject) -> Vec<Reason> {
    let (Some(client), Some(_)) = (&parts.client, &parts.server) else { return Vec::new() };
    let mut reasons = judge::reasons(client, moments, subject);
    reasons.retain(|reason| of_server.iter().all(|known| known.kind != reason.kind));
    reasons.iter_mut().for_each(|reason| reason.text.push_str(", as the caller saw it"));
    reasons
}

/// An edge with the rules that fire on it.
struct Judged<'a> {
    key: &'a EdgeKey,
    parts: &'a EdgeParts,
    reasons: Vec<Reason>,
    failed: f64,
    p95_ms: Option<f64>,
    /// What waits for clearly longer than usual, and the usual p99 in seconds.
    hung: Option<(Pending, Option<f64>)>,
    /// It is slow only by what was not asked before.
    other_mix: bool,
}

impl<'a> Judged<'a> {
    fn new(key: &'a EdgeKey, parts: &'a EdgeParts, graph: &Graph, seen: &[Seen], moments: &Moments) -> Self {
        let link = format!("/map?sel=edge:{}>{}:{}", key.source, key.target, key.protocol);
        let requests = parts.requests(key);
        let noun = if key.protocol == DNS { Noun::Lookups } else { Noun::Requests };
        let subject = Subject { link: link.clone(), noun, codes: parts.failed_codes.clone() };
        let mut reasons = requests.map_or_else(Vec::new, |view| judge::reasons(view, moments, &subject));
        let mut other_mix = false;
        let mut only_slower = |reasons: &mut Vec<Reason>, side| {
            let is_slow = reasons.iter().any(|reason| reason.kind == LATENCY);
            let is_mix = is_slow && parts.is_as_quick_as_ever(side, seen, moments);
            reasons.retain(|reason| !is_mix || reason.kind != LATENCY);
            other_mix |= is_mix;
        };
        only_slower(&mut reasons, parts.viewed_side());
        let mut of_caller = callers_reasons(parts, &reasons, moments, &subject);
        only_slower(&mut of_caller, Side::Client);
        reasons.extend(of_caller);
        let failed_connects = parts.connects.as_ref();
        reasons.extend(failed_connects.and_then(|connects| {
            let through = requests.or_else(|| parts.handshakes.as_ref()?.view());
            judge::connects_reason(connects, through, moments, watched_before(parts, graph, moments), link.clone())
        }));
        let hung = parts.hung(moments);
        reasons.extend(hung.map(|(pending, usual)| pending.reason(subject.noun(), usual, moments, link.clone())));
        let handshakes = parts.handshakes.as_ref();
        reasons.extend(handshakes.map(|handshakes| handshakes.reasons(moments, &link)).unwrap_or_default());
        reasons.extend(parts.segments.reason(moments, link));
        reasons.sort_by_key(|reason| (reason.severity, reason.since_ns));
        // What the caller saw is what explains the caller.
        let seen = parts.client.as_ref().or(parts.server.as_ref()).map(View::total).unwrap_or_default();
        let beside =
            failed_connects.filter(|_| requests.is_some()).map_or(0.0, |connects| connects.view.total().requests);
        let beside = beside + handshakes.map_or(0.0, |handshakes| handshakes.total().failed());
        Judged { key, parts, reasons, failed: seen.failed() + beside, p95_ms: seen.quantile_ms(0.95), hung, other_mix }
    }

    fn has(&self, kind: &str) -> bool {
        self.reasons.iter().any(|reason| reason.kind == kind)
    }

    /// Whether the callee could not be had by this moment or soon after: it refuses, hangs, or its name is not found. Then
    /// it explains whatever its caller fails in: clients that pause between attempts try far less often than they fail. What
    /// never worked explains nothing.
    fn is_down_since(&self, since_ns: u64, moments: &Moments) -> bool {
        let soon_ns = since_ns.saturating_add(SOON_BUCKETS * moments.bucket_ns());
        let is_down = |reason: &Reason| match reason.kind {
            pending::KIND => true,
            connects::KIND => reason.since_ns <= soon_ns && self.has_worked(),
            _ => self.key.protocol == DNS && reason.kind != LATENCY && reason.since_ns <= soon_ns,
        };
        self.reasons.iter().any(|reason| reason.severity == Severity::Critical && is_down(reason))
    }

    fn has_worked(&self) -> bool {
        let answered = |view: &View| view.past.iter().chain(&view.buckets).any(|figures| figures.requests > 0.0);
        self.parts.requests(self.key).is_some_and(answered) || !self.key.target.starts_with("external:")
    }

    fn finish(self, moments: &Moments, lifetimes: &Lifetimes) -> Edge {
        let parts = self.parts;
        let view = parts.view();
        let total = view.map(View::total).unwrap_or_default();
        let shaken = parts.handshakes.as_ref().map_or(0.0, |handshakes| handshakes.total().requests);
        let split_known = parts.network.requests > 0.0 || parts.queue.requests > 0.0;
        Edge {
            source: self.key.source.clone(),
            target: self.key.target.clone(),
            protocol: self.key.protocol.clone(),
            status: status(&self.reasons, total.requests.max(shaken)),
            reasons: self.reasons,
            requests: total.requests as u64,
            errors: total.failed() as u64,
            requests_per_second: total.requests / moments.seconds(),
            error_ratio: total.error_ratio(),
            p95_ms: total.quantile_ms(0.95),
            failed_connects: parts.connects.as_ref().map(Connects::by_error).unwrap_or_default(),
            retransmits: parts.segments.retransmits() as u64,
            client: parts.client.as_ref().map(|view| view.total().side()),
            server: parts.server.as_ref().map(|view| view.total().side()),
            tls: parts.handshakes.as_ref().map(|handshakes| handshakes.answer(moments)),
            network: parts.network.waiting(),
            queue: parts.queue.waiting(),
            network_or_queue: parts.network_or_queue.waiting().filter(|_| !split_known),
            first_seen_ns: lifetimes.edge_first_ns(self.key, parts),
            attributes: attributes::of_edge(parts),
        }
    }
}

impl EdgeParts {
    /// The server's view where there is one, else the client's.
    fn view(&self) -> Option<&View> {
        let active = |view: &&View| view.buckets.iter().any(|bucket| bucket.requests > 0.0);
        let server = self.server.as_ref().filter(active);
        server.or(self.client.as_ref())
    }

    fn viewed_side(&self) -> Side {
        let of_client = self.view().zip(self.client.as_ref()).is_some_and(|(view, client)| std::ptr::eq(view, client));
        if of_client { Side::Client } else { Side::Server }
    }

    /// The view without connects that failed: those are no requests.
    fn requests(&self, key: &EdgeKey) -> Option<&View> {
        self.view().filter(|_| key.protocol != connects::PROTOCOL)
    }
}

/// Was any of the callers watched before the range? Only then is it known what was usual.
fn watched_before(parts: &EdgeParts, graph: &Graph, moments: &Moments) -> bool {
    let firsts = parts.hosts.iter().filter_map(|host| graph.hosts_ms.get(host));
    firsts.map(|(first_ms, _)| *first_ms).any(|first_ms| first_ms < moments.start_ms)
}

/// Connects to a node that failed, of all callers, where they are more than a few of many.
fn refused(id: &str, view: Option<&View>, link: String, all: &Parts) -> Option<Reason> {
    let incoming = || all.incoming(id).map(|edge| edge.parts).filter(|parts| parts.connects.is_some());
    let failed = incoming().filter_map(|parts| parts.connects.clone());
    let connects = failed.reduce(|mut into, more| {
        into.merge(&more);
        into
    })?;
    let watched = incoming().any(|parts| watched_before(parts, all.graph, all.moments));
    judge::connects_reason(&connects, view, all.moments, watched, link)
        .filter(|reason| reason.severity == Severity::Critical)
}

fn status(reasons: &[Reason], requests: f64) -> Status {
    match reasons.iter().map(|reason| reason.severity).min() {
        Some(Severity::Critical) => Status::Critical,
        Some(Severity::Warning) => Status::Warning,
        Some(Severity::Affected) => Status::Affected,
        Some(Severity::NoData) => Status::NoData,
        None if requests < MIN_TO_JUDGE => Status::Unknown,
        None => Status::Ok,
    }
}

fn node(id: &str, parts: &NodeParts, all: &Parts) -> Node {
    let (graph, moments) = (all.graph, all.moments);
    let (connected, failed): (Vec<_>, Vec<_>) =
        all.incoming(id).partition(|edge| edge.key.protocol != connects::PROTOCOL);
    let view = served(parts, &connected.iter().map(|edge| edge.parts).collect::<Vec<_>>());
    let view = view.as_ref();
    let total = view.map(View::total).unwrap_or_default();
    let calls: Vec<&Judged> = all.outgoing(id).filter(|edge| edge.key.target != id).collect();
    let outgoing: f64 = calls.iter().filter_map(|edge| edge.parts.view()).map(|view| view.total().requests).sum();
    let is_dns = !connected.is_empty() && connected.iter().all(|edge| edge.key.protocol == DNS);
    let noun = if is_dns { Noun::Lookups } else { Noun::Requests };
    let subject = Subject { link: page_of(id, parts.kind), noun, codes: codes_of(&connected) };
    let mut reasons = view.map_or_else(Vec::new, |view| judge::reasons(view, moments, &subject));
    if connected.iter().any(|edge| edge.other_mix) && !connected.iter().any(|edge| edge.has(LATENCY)) {
        reasons.retain(|reason| reason.kind != LATENCY);
    }
    let called = |id: &str| graph.nodes.get(id).map_or_else(|| short_name(id).to_string(), |parts| name_of(id, parts));
    explain(&mut reasons, &calls, &called, total.failed(), total.quantile_ms(0.95), moments);
    reasons.extend(hang(&connected, &calls, &called, moments, &subject));
    let served_tls = shaken(connected.iter().copied());
    reasons.extend(served_tls.iter().flat_map(|handshakes| handshakes.reasons(moments, &subject.link)));
    reasons.extend(refused(id, view, subject.link, all));
    let made_tls = shaken(calls.iter().copied());
    let encrypted =
        [&served_tls, &made_tls].into_iter().flatten().map(|handshakes| handshakes.total().requests).sum::<f64>();
    if reasons.is_empty() {
        reasons.extend(consequence(&calls, &called));
    }
    reasons.extend(silence(id, parts, graph, moments));
    reasons.sort_by_key(|reason| (reason.severity, reason.since_ns));
    reasons.truncate(5);
    // What only calls has no requests of its own: its pulse shows the calls it made.
    let made = || calls.iter().filter_map(|edge| edge.parts.client.as_ref()).fold(View::default(), merged);
    // Nor has what nobody can connect to: its pulse shows who tried.
    let tried = || failed.iter().filter_map(|edge| edge.parts.client.clone()).reduce(|into, view| merged(into, &view));
    let shown = view.cloned().or_else(tried).unwrap_or_else(made);
    let slow_ms = judge::slow_limit_ms(&shown, moments);
    Node {
        id: id.to_string(),
        kind: parts.kind.to_string(),
        name: parts.name.clone(),
        level: graph.level.as_str(),
        status: status(&reasons, total.requests.max(outgoing).max(encrypted)),
        reasons,
        requests: total.requests as u64,
        errors: total.failed() as u64,
        requests_per_second: total.requests / moments.seconds(),
        error_ratio: total.error_ratio(),
        p50_ms: total.quantile_ms(0.5),
        p95_ms: total.quantile_ms(0.95),
        p99_ms: total.quantile_ms(0.99),
        pulse: shown.pulse(slow_ms, &graph.reported),
        first_seen_ns: all.lifetimes.node_first_ns(id, parts),
        last_seen_ns: all.lifetimes.node_last_ns(id, parts),
        attributes: attributes::of_node(id, parts, all.known),
    }
}

/// Callers wait for this node, on whichever edges it is unusual that they do. Where its own calls wait too, nearly as
/// long, it is their callee that hangs.
fn hang(
    incoming: &[&Judged],
    calls: &[&Judged],
    called: &dyn Fn(&str) -> String,
    moments: &Moments,
    subject: &Subject,
) -> Option<Reason> {
    let (mut all, mut usual) = (Pending::default(), None::<f64>);
    for (pending, of_edge) in incoming.iter().filter_map(|edge| edge.hung) {
        all.add(pending);
        usual = usual.into_iter().chain(of_edge).reduce(f64::max);
    }
    let mut reason = (all.requests > 0.0).then(|| all.reason(subject.noun(), usual, moments, subject.link.clone()))?;
    let below = calls.iter().filter_map(|edge| Some((edge, edge.hung?.0.age_seconds)));
    let oldest = below.max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((edge, _)) = oldest.filter(|(_, age)| *age >= EXPLAINS_LATENCY * all.age_seconds) {
        inherit(&mut reason, edge, called);
    }
    Some(reason)
}

/// All handshakes of these edges together.
fn shaken<'a>(edges: impl Iterator<Item = &'a Judged<'a>>) -> Option<Handshakes> {
    edges.filter_map(|edge| edge.parts.handshakes.clone()).reduce(|mut into, more| {
        into.merge(&more);
        into
    })
}

fn codes_of(edges: &[&Judged]) -> BTreeMap<String, f64> {
    let mut codes = BTreeMap::new();
    for (code, count) in edges.iter().flat_map(|edge| &edge.parts.failed_codes) {
        *codes.entry(code.clone()).or_default() += count;
    }
    codes
}

/// What a node served: as it saw it itself where it is watched, else as its callers saw it.
fn served(parts: &NodeParts, incoming: &[&EdgeParts]) -> Option<View> {
    let of_server = incoming.iter().filter_map(|edge| edge.server.as_ref()).chain(&parts.served_apart);
    let own = of_server.cloned().reduce(|into, view| merged(into, &view));
    own.or_else(|| incoming.iter().filter_map(|edge| edge.client.clone()).reduce(|into, view| merged(into, &view)))
}

fn merged(mut into: View, view: &View) -> View {
    into.merge(view);
    into
}

/// Where in the console a node has its page.
pub fn page_of(id: &str, kind: &str) -> String {
    match kind {
        "service" | "process" | "host" | "external" => format!("/{}", id.replacen(':', "/", 1)),
        _ => format!("/map?sel=node:{id}"),
    }
}

/// Marks those reasons as inherited that a callee explains.
fn explain(
    reasons: &mut [Reason],
    calls: &[&Judged],
    called: &dyn Fn(&str) -> String,
    failed: f64,
    p95_ms: Option<f64>,
    moments: &Moments,
) {
    for reason in reasons {
        let explains = |edge: &&&Judged| {
            let as_much = match reason.kind {
                LATENCY => {
                    let is_share = |(theirs, mine): (f64, f64)| theirs >= EXPLAINS_LATENCY * mine;
                    edge.has(LATENCY) && edge.p95_ms.zip(p95_ms).is_some_and(is_share)
                }
                _ => !edge.reasons.is_empty() && edge.failed >= EXPLAINS_ERRORS * failed,
            };
            as_much || edge.is_down_since(reason.since_ns, moments)
        };
        if let Some(edge) = calls.iter().find(explains) {
            inherit(reason, edge, called);
        }
    }
}

/// Says of a reason that a call explains it.
fn inherit(reason: &mut Reason, edge: &Judged, called: &dyn Fn(&str) -> String) {
    reason.severity = Severity::Affected;
    reason.text = format!("{}; a consequence of {}", reason.text, called(&edge.key.target));
    reason.link = format!("/map?sel=edge:{}>{}:{}", edge.key.source, edge.key.target, edge.key.protocol);
}

/// A node without a fault of its own whose callees are bad.
fn consequence(calls: &[&Judged], called: &dyn Fn(&str) -> String) -> Option<Reason> {
    // A bad network below, or a certificate that is about to end, is worth a look, and no fault of who calls.
    let unfelt = ["retransmits", handshakes::CERTIFICATE_KIND];
    let felt = |edge: &&Judged<'_>| edge.reasons.iter().find(|reason| !unfelt.contains(&reason.kind)).cloned();
    let worst = calls.iter().filter_map(|edge| Some((edge, felt(edge)?)));
    let (edge, reason) = worst.min_by_key(|(_, reason)| (reason.severity, reason.since_ns))?;
    Some(Reason {
        kind: "consequence",
        severity: Severity::Affected,
        text: format!("calls to {}: {}", called(&edge.key.target), reason.text),
        ..reason
    })
}

/// How people call a node: processes of one service are told apart by their number.
fn name_of(id: &str, parts: &NodeParts) -> String {
    let number = id.rsplit('-').next().filter(|number| parts.kind == "process" && !parts.name.contains(number));
    number.map_or_else(|| parts.name.clone(), |number| format!("{} {number}", parts.name))
}

fn short_name(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The agents that watched this node stopped reporting before the range's end.
fn silence(id: &str, parts: &NodeParts, graph: &Graph, moments: &Moments) -> Option<Reason> {
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(i64::MAX, |now| now.as_millis() as i64);
    let last_ms = parts.hosts.iter().filter_map(|host| graph.hosts_ms.get(host)).map(|(_, last_ms)| *last_ms).max()?;
    let silent_ms = moments.end_ms.min(now_ms) - last_ms;
    if silent_ms < SILENT_MS {
        return None;
    }
    let value = super::text::duration(silent_ms as f64);
    Some(Reason {
        kind: "no_data",
        severity: Severity::NoData,
        text: format!(
            "no data for {value}: the agent on {} is silent",
            attributes::joined(parts.hosts.iter().map(String::as_str))
        ),
        value,
        usual: None,
        since_ns: last_ms.max(0) as u64 * 1_000_000,
        link: format!("/status?host={}&node={id}", attributes::joined(parts.hosts.iter().map(String::as_str))),
    })
}

/// Services that listen and talk to nobody are there too: idle is not gone.
fn add_idle(
    nodes: &mut BTreeMap<String, Node>,
    entities: &[Entity],
    graph: &Graph,
    known: &Known,
    lifetimes: &Lifetimes,
    query: &TopologyQuery,
) {
    if graph.level != Level::Service || !query.protocols.is_empty() || !query.filter.is_empty() {
        return;
    }
    let listening =
        entities.iter().filter(|entity| entity.kind == "process" && entity.attribute("limpid.listen").is_some());
    for process in listening {
        let Some(id) = process.attribute("limpid.service") else { continue };
        let host = process.attribute("host.name").unwrap_or_default();
        if nodes.contains_key(id) || (!query.hosts.is_empty() && !query.hosts.iter().any(|wanted| wanted == host)) {
            continue;
        }
        let name = known.newest(id).map_or_else(|| short_name(id).to_string(), |service| service.name.to_string());
        let mut parts = NodeParts { kind: "service", name, ..NodeParts::default() };
        parts.hosts.extend((!host.is_empty()).then(|| host.to_string()));
        let node = Node {
            id: id.to_string(),
            kind: "service".into(),
            name: parts.name.clone(),
            level: graph.level.as_str(),
            status: Status::Unknown,
            reasons: Vec::new(),
            requests: 0,
            errors: 0,
            requests_per_second: 0.0,
            error_ratio: None,
            p50_ms: None,
            p95_ms: None,
            p99_ms: None,
            pulse: View::default().pulse(f64::INFINITY, &graph.reported),
            first_seen_ns: None,
            last_seen_ns: lifetimes.node_last_ns(id, &parts),
            attributes: attributes::of_node(id, &parts, known),
        };
        nodes.insert(id.to_string(), node);
    }
}
