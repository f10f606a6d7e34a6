//! From a finished request to its metrics and, if it is sampled, its spans: one of each for every side that was seen.

use super::Inner;
use super::aggregate::{EdgeLabels, EdgeRef, Link, Split, Table};
use super::connection::{CachedEdge, Conn, End};
use super::trace_ids::{Seed, TraceIds};
use super::views::View;
use crate::capture::{CloseReason, Transport};
use crate::telemetry::{Parent, Peer, Process, Span};
use compact_str::format_compact;
use limpid_model::{Kind, Request, Side, Status, Text, Unanswered};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A process that lives shorter than this is no instance of its own in the metrics.
const SHORT_LIVED_NS: u64 = 10_000_000_000;
const SHORT_LIVED: Text = Text::const_new("short-lived");
/// Faster than this is never called slow, however fast the others are.
const SLOW_LEAST_NS: u64 = 100_000_000;

/// A side's view, and at which end of the connection it was seen.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub at: usize,
    pub view: View,
}

pub(super) struct Emitter {
    pub inner: Arc<Inner>,
    pub table: Arc<Mutex<Table>>,
}

impl Emitter {
    /// The thread's aggregates, to be given to the calls below: one lock serves all requests of a batch.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the request for the sides in `seen` (one or two), and keeps spans of them if it is sampled.
    pub fn emit(&self, conn: &mut Conn, request: &Request, seen: &[Seen], table: &mut Table, now_ns: u64) {
        let mut slow = false;
        let shape = conn.shapes.of(request);
        for one in seen {
            slow |= self.count(conn, request, shape, one, table, now_ns);
        }
        if let [one, other] = seen {
            self.count_split(conn, request, one, other, table, now_ns);
        }
        if self.inner.sampler.wanted() {
            self.sample(conn, request, seen, slow);
        }
    }

    /// The view of the other end comes after the first one is `out` already: both together still tell what the network took.
    pub fn emit_late(
        &self,
        conn: &mut Conn,
        request: &Request,
        out: &Seen,
        late: &Seen,
        table: &mut Table,
        now_ns: u64,
    ) {
        self.emit(conn, request, std::slice::from_ref(late), table, now_ns);
        self.count_split(conn, request, out, late, table, now_ns);
    }

    /// A client has found nobody: a request of the protocol `tcp` that failed.
    pub fn emit_failed_connect(&self, conn: &mut Conn, request: &Request, retransmits: u64, now_ns: u64) {
        let view = View {
            start_ns: request.start_ns,
            first_byte_ns: None,
            end_ns: request.end_ns,
            queue_ns: None,
            abandoned: false,
        };
        let mut table = self.table();
        self.emit(conn, request, &[Seen { at: 0, view }], &mut table, now_ns);
        if let Some(edge) = self.edge(conn, 0, request.protocol, &mut table, now_ns)
            && let Some(link) = table.link_mut(edge.link)
        {
            link.tcp().retransmits += retransmits;
            link.last_ns = link.last_ns.max(now_ns);
        }
    }

    fn count(
        &self,
        conn: &mut Conn,
        request: &Request,
        shape: usize,
        seen: &Seen,
        table: &mut Table,
        now_ns: u64,
    ) -> bool {
        let Some(edge) = self.edge(conn, seen.at, request.protocol, table, now_ns) else { return false };
        if request.kind == Kind::Session {
            note_certificate(conn, edge, table, now_ns);
        } else if request.corrects {
            self.wait(conn, seen.at, edge, table, |waiting| waiting.saturating_sub(1));
        } else if request.unanswered == Some(Unanswered::Timeout) {
            self.wait(conn, seen.at, edge, table, |waiting| waiting + 1);
        }
        if request.corrects {
            return false;
        }
        let duration_ns = clamped(seen.view.duration_ns(), REQUEST);
        let series = if seen.view.abandoned {
            table.series_of(edge, &abandoned(request), now_ns)
        } else {
            conn.shapes.series(shape, seen.at, edge, || table.series_of(edge, request, now_ns))
        };
        let slow_ns = table.record(series, duration_ns, now_ns);
        duration_ns > slow_ns && duration_ns >= SLOW_LEAST_NS
    }

    /// What the client waited beyond the server's own time: network and queue apart where the arrival is known.
    fn count_split(&self, conn: &mut Conn, request: &Request, a: &Seen, b: &Seen, table: &mut Table, now_ns: u64) {
        if request.kind == Kind::Session {
            return;
        }
        if request.status == Status::Unanswered || request.corrects || a.view.abandoned || b.view.abandoned {
            return;
        }
        let (client, server) = if conn.side(a.at) == Side::Client { (a, b) } else { (b, a) };
        let Some(edge) = self.edge(conn, client.at, request.protocol, table, now_ns) else { return };
        let Some(link) = table.link_mut(edge.link) else { return };
        link.last_ns = link.last_ns.max(now_ns);
        let split = link.split.get_or_insert_with(Box::<Split>::default);
        let beyond_ns = client.view.duration_ns().max(0) - server.view.duration_ns().max(0);
        match server.view.queue_ns {
            Some(queue_ns) => {
                split.queue.record_ns(queue_ns);
                split.network.record_ns(clamped(beyond_ns.saturating_sub(queue_ns as i64), NETWORK));
            }
            None => split.network_or_queue.record_ns(clamped(beyond_ns, NETWORK)),
        }
    }

    fn wait(&self, conn: &mut Conn, at: usize, edge: EdgeRef, table: &mut Table, change: impl Fn(u64) -> u64) {
        self.count_connection(conn, at, edge, table);
        let Some(end) = conn.end_mut(at) else { return };
        let (before, now) = (end.waiting, change(end.waiting));
        end.waiting = now;
        if let Some(link) = end.counted.and_then(|link| table.link_mut(link)) {
            link.waiting = (link.waiting + now).saturating_sub(before);
        }
    }

    /// Brings bytes and the state of both ends into the metrics; called now and then, and with `gone` at the end.
    pub fn account(&self, conn: &mut Conn, now_ns: u64, gone: bool) {
        if conn.left_alone && conn.known_ends().all(|end| end.counted.is_none()) {
            return;
        }
        let protocol = conn.protocol_name();
        let mut table = self.table();
        for at in 0..2 {
            let Some(edge) = self.edge(conn, at, protocol, &mut table, now_ns) else { continue };
            self.count_connection(conn, at, edge, &mut table);
            let Some(end) = conn.end_mut(at) else { continue };
            let Some(link) = end.counted.and_then(|link| table.link_mut(link)) else { continue };
            let (sent, received) =
                (std::mem::take(&mut end.sent_bytes.bytes), std::mem::take(&mut end.received_bytes.bytes));
            link.sent_bytes += sent * end.weight();
            link.received_bytes += received * end.weight();
            if end.info.transport == Transport::Tcp {
                count_tcp(link, end, gone);
            }
            link.last_ns = link.last_ns.max(now_ns);
            if gone {
                end.counted = None;
                link.active = link.active.saturating_sub(end.weight());
                link.waiting = link.waiting.saturating_sub(std::mem::take(&mut end.waiting));
            }
        }
    }

    /// Counts an end as an open connection of the edge's link, and moves it there from another.
    fn count_connection(&self, conn: &mut Conn, at: usize, edge: EdgeRef, table: &mut Table) {
        let Some(end) = conn.end_mut(at) else { return };
        if end.counted == Some(edge.link) {
            return;
        }
        if let Some(link) = end.counted.and_then(|link| table.link_mut(link)) {
            link.active = link.active.saturating_sub(end.weight());
            link.waiting = link.waiting.saturating_sub(end.waiting);
        }
        let Some(link) = table.link_mut(edge.link) else { return };
        link.active += end.weight();
        link.waiting += end.waiting;
        if !std::mem::replace(&mut end.counted_opening, true) {
            link.opened += end.weight();
            if let Some(connect_ns) = end.info.connect_ns {
                link.tcp().connect.record_ns(connect_ns);
            }
        }
        end.counted = Some(edge.link);
    }

    /// The edge of this end's requests; looked up again when something about it may have changed.
    pub fn edge(
        &self,
        conn: &mut Conn,
        at: usize,
        protocol: &'static str,
        table: &mut Table,
        now_ns: u64,
    ) -> Option<EdgeRef> {
        let end = conn.end(at)?;
        if let Some(cached) = end.edge
            && std::ptr::eq(cached.protocol, protocol)
            && now_ns < cached.until_ns
            && table.is_valid(cached.edge)
        {
            return Some(cached.edge);
        }
        let (instance, until_ns) = self.instance(&end.process, now_ns);
        let labels = edge_labels(conn, at, end, instance, protocol);
        let edge = table.edge(labels, now_ns);
        conn.end_mut(at)?.edge = Some(CachedEdge { edge, until_ns, protocol });
        Some(edge)
    }

    /// The label `instance`, and until when it is this one.
    fn instance(&self, process: &Process, now_ns: u64) -> (Text, u64) {
        let grown_ns = self.inner.started_ns(process).saturating_add(SHORT_LIVED_NS);
        if process.start == 0 || now_ns < grown_ns {
            return (SHORT_LIVED, if process.start == 0 { u64::MAX } else { grown_ns });
        }
        (process.entity.clone(), u64::MAX)
    }

    fn sample(&self, conn: &Conn, request: &Request, seen: &[Seen], slow: bool) {
        let seed = Seed::new(conn.key, self.inner.config.machine, request);
        let important = slow || request.status != Status::Ok;
        let Some(kept) = self.inner.sampler.decide(seed.randomness(), important, seen.len() as u64) else { return };
        let ids = seed.ids();
        let threshold = (kept.probability() < 1.0).then(|| kept.tracestate_threshold());
        let sampling = threshold.as_deref().map(|threshold| (kept.probability(), threshold));
        for one in seen {
            let left = one.view.abandoned.then(|| abandoned(request));
            if let Some(span) = span(conn, left.as_ref().unwrap_or(request), one, &ids, sampling) {
                self.inner.queue.push(&span);
            }
        }
    }
}

/// The certificate that was shown in this handshake.
fn note_certificate(conn: &Conn, edge: EdgeRef, table: &mut Table, now_ns: u64) {
    if let (Some(shown), Some(link)) = (&conn.certificate, table.link_mut(edge.link)) {
        link.certificates.get_or_insert_default().note(shown, now_ns);
        link.last_ns = link.last_ns.max(now_ns);
    }
}

/// Brings what TCP said of the end since the last time into the metrics.
fn count_tcp(link: &mut Link, end: &mut End, gone: bool) {
    let reset = gone && matches!(end.closed, Some((_, CloseReason::Reset)));
    let (retransmits, segments) = (std::mem::take(&mut end.tcp.retransmits), std::mem::take(&mut end.tcp.segments));
    let round_trip_ns = end.tcp.round_trip_ns.take();
    if !reset && segments == 0 && retransmits == 0 && round_trip_ns.is_none() {
        return;
    }
    let tcp = link.tcp();
    tcp.retransmits += retransmits;
    tcp.segments += segments;
    tcp.resets += u64::from(reset);
    if let Some(round_trip_ns) = round_trip_ns {
        tcp.round_trip.record_ns(round_trip_ns);
    }
}

fn edge_labels(conn: &Conn, at: usize, end: &End, instance: Text, protocol: &'static str) -> EdgeLabels {
    let side = conn.side(at);
    let peer = conn.end(1 - at).map(|other| other.process.service.clone()).unwrap_or_default();
    let peer_address = if peer.is_empty() { peer_address(end, side) } else { Text::default() };
    EdgeLabels { side, service: end.process.service.clone(), peer, peer_address, instance, protocol }
}

/// A server's address has its port; a client's port says nothing and is dropped.
fn peer_address(end: &End, side: Side) -> Text {
    match (end.info.remote, &end.info.unix_path, side) {
        (Some((address, port)), _, Side::Client) => format_compact!("{}", std::net::SocketAddr::new(address, port)),
        (Some((address, _)), _, Side::Server) => format_compact!("{address}"),
        (None, Some(path), Side::Client) => format_compact!("unix:{path}"),
        (None, _, _) => Text::default(),
    }
}

/// Calls are stamped when they return: on one machine the receiver can be quicker than the sender's return. Then a time
/// comes out below zero, by some microseconds, and is zero. Nothing is lost by that, but how often it happens tells how
/// far small times can be trusted.
pub static CLAMPED: [(&str, AtomicU64); 2] = [("request", AtomicU64::new(0)), ("network", AtomicU64::new(0))];
const REQUEST: usize = 0;
const NETWORK: usize = 1;

fn clamped(duration_ns: i64, what: usize) -> u64 {
    if duration_ns < 0 {
        CLAMPED[what].1.fetch_add(1, Ordering::Relaxed);
    }
    duration_ns.max(0) as u64
}

/// The request as the side saw it that left before the answer.
fn abandoned(request: &Request) -> Request {
    let mut left = request.clone();
    left.code = None;
    left.status = Status::Unanswered;
    left.unanswered = Some(Unanswered::Closed);
    left
}

fn span<'a>(
    conn: &'a Conn,
    request: &'a Request,
    seen: &Seen,
    ids: &TraceIds,
    sampling: Option<(f64, &'a str)>,
) -> Option<Span<'a>> {
    let (end, side, view) = (conn.end(seen.at)?, conn.side(seen.at), &seen.view);
    let (local, remote) = (end.info.local, end.info.remote);
    let (client, server) = if side == Side::Client { (local, remote) } else { (remote, local) };
    Some(Span {
        trace_id: ids.trace_id,
        span_id: ids.span_id(side),
        parent: parent(conn, seen.at, request, ids).map(|(span_id, evidence)| Parent { span_id, evidence }),
        side,
        request,
        start_ns: view.start_ns,
        first_byte_ns: view.first_byte_ns.map(|time_ns| time_ns.max(view.start_ns)),
        end_ns: view.end_ns.max(view.start_ns),
        process: &end.process,
        peer: peer(conn, seen.at, end, side),
        client,
        server,
        transport: end.info.transport,
        queue_ns: view.queue_ns,
        sampling,
    })
}

/// The parent's span id and what speaks for it. A client elsewhere may be watched by another agent, which then makes
/// the very id; a reader that never sees it takes this span for the root.
fn parent(conn: &Conn, at: usize, request: &Request, ids: &TraceIds) -> Option<([u8; 8], &'static str)> {
    let given = request.trace().map(|context| (context.parent_span_id, "traceparent"));
    if conn.side(at) == Side::Client {
        return given;
    }
    let client = (ids.client_span, "connection");
    if conn.end(1 - at).is_some() {
        return Some(client);
    }
    let elsewhere = conn.end(at)?.info.remote.is_some_and(|(address, _)| !address.is_loopback());
    given.or(if elsewhere { Some(client) } else { None })
}

fn peer<'a>(conn: &'a Conn, at: usize, end: &End, side: Side) -> Peer<'a> {
    if let Some(other) = conn.end(1 - at) {
        return Peer::Process { service: &other.process.service, entity: &other.process.entity };
    }
    match end.info.remote {
        Some((address, port)) => Peer::Address { address, port: (side == Side::Client).then_some(port) },
        None => Peer::Unknown,
    }
}
