//! The map: who talks to whom, how it goes, and what deviates.
//!
//! One family of metrics is the source, `limpid_request_duration_seconds`, read at some sixty moments of the range and
//! at some of the half day before it ([`increase`], [`usual`]); beside it `limpid_session_duration_seconds` for what is
//! encrypted ([`handshakes`]). Each series says what one side of a connection saw; [`graph`] puts both sides
//! of a call into one edge, after [`resolve`] has found out what stands behind addresses that the agent did not know.
//! [`judge`] compares with fixed limits and with what was usual, and gives each node and edge a status with reasons.

mod answer;
mod attributes;
mod connects;
mod figures;
mod graph;
mod handshakes;
mod increase;
mod judge;
mod lifetime;
mod mix;
mod nodes;
mod pending;
mod resolve;
mod sampled;
mod segments;
mod span_columns;
mod spans;
mod tally;
mod text;
mod timeline;
mod usual;

pub use answer::{
    Edge, EdgeCertificate, EdgeSide, EdgeTls, Level, Node, PulseBucket, Reason, Severity, Status, Topology,
    TopologyQuery, Waiting,
};
pub use sampled::Sampled;
pub use timeline::{Timeline, TimelineBucket, timeline};

pub(crate) use answer::as_text;
pub(crate) use figures::{Figures, Outcome};
pub(crate) use increase::{LOOKBACK_MS, Moments, Slot};

use crate::QueryError;
use limpid_model::Side;
use limpid_store::Store;

/// How long before the range an address may have had its listener last.
const FORMER_NS: u64 = 12 * 3_600_000_000_000;

/// The map of a range, at one level.
pub fn topology(store: &dyn Store, start_ns: u64, end_ns: u64, query: &TopologyQuery) -> Result<Topology, QueryError> {
    let moments = increase::Moments::new(start_ns, end_ns)?.known_since(store.status().oldest_ns);
    let entities = store.entities(start_ns, end_ns)?;
    let mut resolver = resolve::Resolver::new(&entities);
    if !query.filter.trim().is_empty() {
        return filtered(store, &moments, query, &entities, resolver);
    }
    let seen = graph::read(store, &moments, query)?;
    learn(&mut resolver, store, &seen, start_ns, end_ns)?;
    let mut graph = graph::Graph::build(&seen, &resolver, query.level, &moments);
    graph.place_handshakes();
    graph.place_connects();
    graph.add_certificates(store, &moments, query, &resolver)?;
    graph.add_waiting(store, &moments, query)?;
    graph.add_segments(store, &moments, query, &resolver)?;
    graph.add_pending(store, &moments, query, &resolver)?;
    Ok(nodes::finish(graph, &seen, &entities, &moments, query))
}

/// From spans: what metrics alone know is not in it.
fn filtered(
    store: &dyn Store,
    moments: &Moments,
    query: &TopologyQuery,
    entities: &[limpid_model::Entity],
    mut resolver: resolve::Resolver,
) -> Result<Topology, QueryError> {
    let matching = sampled::read(store, moments, query)?;
    let ns = |ms: i64| ms.max(0) as u64 * 1_000_000;
    learn(&mut resolver, store, &matching.seen, ns(moments.start_ms), ns(moments.end_ms))?;
    let mut graph = graph::Graph::build(&matching.seen, &resolver, query.level, moments);
    graph.add_sampled(&matching.alone, &resolver);
    graph.place_handshakes();
    graph.place_connects();
    Ok(Topology { sampled: Some(matching.sampled), ..nodes::finish(graph, &matching.seen, entities, moments, query) })
}

/// What NAT hides is hidden on both sides: an address called that nobody has, and calls from one that nobody has.
fn learn(
    resolver: &mut resolve::Resolver,
    store: &dyn Store,
    seen: &[graph::Seen],
    start_ns: u64,
    end_ns: u64,
) -> Result<(), QueryError> {
    // An address where nobody listens any more is still that of who did.
    if seen.iter().any(|seen| seen.side == Side::Client && resolver.is_puzzled_by(seen)) {
        resolver.add_former(&store.entities(start_ns.saturating_sub(FORMER_NS), start_ns)?);
    }
    let puzzled = |side| seen.iter().any(|seen| seen.side == side && resolver.is_puzzled_by(seen));
    if puzzled(Side::Client) && puzzled(Side::Server) {
        resolver.learn(spans::pairs(store, start_ns, end_ns)?);
    }
    Ok(())
}

/// The nodes of the level service, worst first.
pub fn services(store: &dyn Store, start_ns: u64, end_ns: u64) -> Result<Vec<Node>, QueryError> {
    let query = TopologyQuery::default();
    let mut nodes = topology(store, start_ns, end_ns, &query)?.nodes;
    nodes.retain(|node| node.kind == "service");
    let rank = |node: &Node| (node.status.rank(), std::cmp::Reverse(node.requests));
    nodes.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    Ok(nodes)
}
