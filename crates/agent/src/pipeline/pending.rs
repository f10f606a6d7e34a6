//! What waits for an answer right now: the sign of a server that hangs, long before any time limit.
//!
//! The engine knows the requests that its end has seen. A server that hangs reads nothing, so that its end sees nothing:
//! what its client has sent and it has not read waits too. And some clients say nothing until the server has greeted them.

use super::aggregate::Link;
use super::connection::{Conn, Counted, End};
use super::consumer::Pipeline;
use super::emit::Emitter;
use crate::capture::Transport;
use limpid_model::Side;
use limpid_protocols::{Outstanding, PROTOCOLS};
use rustc_hash::FxHashMap;
use std::net::IpAddr;
use std::sync::PoisonError;

/// What waits for less than this is normal work.
const NOTED_NS: u64 = 1_000_000_000;
/// A link's figures are those of the last two rounds of accounting: the newer one may not be complete yet.
const VALID_NS: u64 = 2_500_000_000;
/// Who asks by a datagram waits no longer than this, whether his socket's end was seen or not: he asks again.
const ASKED_AGAIN_NS: u64 = 10_000_000_000;
/// Addresses of servers that are known to speak first.
const GREETERS: usize = 1_024;

/// What the connections of a link told in one round.
#[derive(Clone, Copy, Default)]
struct Round {
    at_ns: u64,
    requests: u64,
    age_ns: u64,
}

/// Of a link, once something of it had to wait.
#[derive(Default)]
pub(super) struct PendingRequests {
    newest: Round,
    before: Round,
}

impl PendingRequests {
    fn note(&mut self, now_ns: u64, outstanding: Outstanding) {
        if self.newest.at_ns != now_ns {
            self.before = std::mem::replace(&mut self.newest, Round { at_ns: now_ns, ..Round::default() });
        }
        self.newest.requests += outstanding.requests as u64;
        self.newest.age_ns = self.newest.age_ns.max(now_ns.saturating_sub(outstanding.since_ns));
    }

    /// How many wait, and how long the oldest has waited.
    pub fn now(&self, now_ns: u64) -> (u64, u64) {
        let valid =
            [self.newest, self.before].into_iter().filter(|round| now_ns < round.at_ns.saturating_add(VALID_NS));
        valid.fold((0, 0), |(requests, age_ns), round| (requests.max(round.requests), age_ns.max(round.age_ns)))
    }
}

impl Link {
    fn note_pending(&mut self, now_ns: u64, outstanding: Outstanding) {
        self.pending.get_or_insert_default().note(now_ns, outstanding);
    }
}

/// Servers that speak first: those that were seen to, and those at the ports of such a protocol.
#[derive(Default)]
pub(super) struct Greeters(FxHashMap<(IpAddr, u16), &'static str>);

impl Greeters {
    /// The protocol in which a client waits for the first word there.
    fn protocol(&self, address: (IpAddr, u16)) -> Option<&'static str> {
        let usual = || PROTOCOLS.iter().find(|protocol| protocol.greets && protocol.ports.contains(&address.1));
        self.0.get(&address).copied().or_else(|| usual().map(|protocol| protocol.name))
    }
}

impl Pipeline {
    /// Remembers where a server that speaks first is reached, by the client's address of it where that is known.
    pub(super) fn learn_greeter(&self, conn: &Conn) {
        let Some(protocol) = conn.protocol.filter(|protocol| protocol.greets) else { return };
        let at = conn.server();
        let of_client = conn.end(1 - at).and_then(|end| end.info.remote);
        let Some(address) = of_client.or_else(|| conn.end(at)?.info.local) else { return };
        let Greeters(known) = &mut *self.inner.greeters.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < GREETERS {
            known.insert(address, protocol.name);
        }
    }

    /// Brings what waits on the connection into the metrics, once in a round of accounting.
    pub(super) fn note_pending(&self, conn: &mut Conn, now_ns: u64) {
        if conn.is_silent() {
            return self.note_ungreeted(conn, now_ns);
        }
        let outstanding = conn.outstanding();
        let age_ns = now_ns.saturating_sub(outstanding.since_ns);
        if !is_noted(outstanding, now_ns) || (conn.is_udp() && age_ns > ASKED_AGAIN_NS) {
            return;
        }
        let mut table = self.emitter.table();
        // A client that has gone waits for nothing any more; what it had asked for is still the server's to do.
        for end in conn.known_ends().filter(|end| end.closed.is_none()) {
            if let Some(link) = end.counted.and_then(|link| table.link_mut(link)) {
                link.note_pending(now_ns, outstanding);
            }
        }
    }

    /// A client that was connected and waits for the server's first word. Elsewhere a silent connection is an idle one.
    fn note_ungreeted(&self, conn: &mut Conn, now_ns: u64) {
        let Some(end) = conn.known_ends().find(|end| end.closed.is_none()) else { return };
        let outstanding = Outstanding { requests: 1, since_ns: end.info.opened_ns };
        let remote = end.info.remote.filter(|_| is_noted(outstanding, now_ns));
        let greeters = self.inner.greeters.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(protocol) = remote.and_then(|address| greeters.protocol(address)) else { return };
        drop(greeters);
        self.emitter.note_ungreeted(conn, protocol, outstanding, now_ns);
    }
}

impl Emitter {
    fn note_ungreeted(&self, conn: &mut Conn, protocol: &'static str, outstanding: Outstanding, now_ns: u64) {
        let mut table = self.table();
        let at = usize::from(conn.end(0).is_none());
        conn.assume_client(at);
        let Some(edge) = self.edge(conn, at, protocol, &mut table, now_ns) else { return };
        if let Some(link) = table.link_mut(edge.link) {
            link.last_ns = link.last_ns.max(now_ns);
            link.note_pending(now_ns, outstanding);
        }
    }
}

fn is_noted(outstanding: Outstanding, now_ns: u64) -> bool {
    outstanding.requests > 0 && now_ns.saturating_sub(outstanding.since_ns) >= NOTED_NS
}

impl Conn {
    /// Connected by this side, and nobody has said anything since: told of so that what waits for a greeting is seen.
    pub fn is_silent(&self) -> bool {
        let mut ends = self.known_ends();
        let (Some(end), None) = (ends.next(), ends.next()) else { return false };
        let nothing = |counted: &Counted| counted.until == Some(0);
        let never = nothing(&end.sent_bytes) && nothing(&end.received_bytes);
        never && end.info.transport == Transport::Tcp && end.info.side == Some(Side::Client)
    }

    pub fn outstanding(&self) -> Outstanding {
        if self.ignored || self.left_alone || self.unread || self.has_lost_answers() {
            return Outstanding::default();
        }
        let asked = self.engine.as_ref().map_or_else(Outstanding::default, |engine| engine.outstanding());
        if asked.requests > 0 {
            return asked;
        }
        self.not_read().map_or(asked, |since_ns| Outstanding { requests: 1, since_ns })
    }

    /// Whether the server has said something that was not captured: it may have been the answer.
    fn has_lost_answers(&self) -> bool {
        let server = self.server();
        let answers = |at: usize, end: &End| if at == server { end.sent_bytes } else { end.received_bytes };
        let ends = self.ends.iter().enumerate().filter_map(|(at, end)| Some((at, end.as_ref()?)));
        !self.is_udp() && ends.into_iter().any(|(at, end)| answers(at, end).has_untold())
    }

    /// Since when the client's next bytes wait to be read by the server, where both ends are here.
    fn not_read(&self) -> Option<u64> {
        let at = self.server();
        let (server, client) = (self.end(at)?, self.end(1 - at)?);
        if self.is_udp() || self.parsed != Some(at) {
            return None;
        }
        let sent_ns = client.sent.first_from(server.received_bytes.until?)?;
        Some(sent_ns.max(server.received_ns))
    }
}
