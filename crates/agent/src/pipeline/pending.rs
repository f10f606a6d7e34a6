//! What waits for an answer right now: the sign of a server that hangs, long before any time limit.
//!
//! The engine knows the requests that its end has seen. A server that hangs reads nothing, so that its end sees nothing:
//! what its client has sent and it has not read waits too. And some clients say nothing until the server has greeted them.

use super::aggregate::Link;
use super::connection::Conn;
use super::consumer::Pipeline;
use limpid_protocols::Outstanding;

/// What waits for less than this is normal work.
const NOTED_NS: u64 = 1_000_000_000;
/// A link's figures are those of the last two rounds of accounting: the newer one may not be complete yet.
const VALID_NS: u64 = 2_500_000_000;

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

impl Pipeline {
    /// Brings what waits on the connection into the metrics, once in a round of accounting.
    pub(super) fn note_pending(&self, conn: &Conn, now_ns: u64) {
        let outstanding = conn.outstanding();
        if outstanding.requests == 0 || now_ns.saturating_sub(outstanding.since_ns) < NOTED_NS {
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
}

impl Conn {
    pub fn outstanding(&self) -> Outstanding {
        if self.ignored || self.left_alone || self.unread {
            return Outstanding::default();
        }
        let asked = self.engine.as_ref().map_or_else(Outstanding::default, |engine| engine.outstanding());
        if asked.requests > 0 {
            return asked;
        }
        self.not_read().map_or(asked, |since_ns| Outstanding { requests: 1, since_ns })
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
