//! Flows of datagrams that outlive their clients.
//!
//! A UDP server's socket does not end with its client, and neither does what the kernel keeps of it for that client's
//! address and port: the flow. Under load the port belongs to another client within milliseconds. So the server's end
//! stays for a while when the client has closed, until the kernel surely has forgotten the flow. Who comes with the same
//! key by then continues the connection: a new client, its first datagram, or the server's flow under a new id.

use super::connection::{Conn, End, Told};
use super::consumer::Pipeline;
use super::times::When;
use crate::capture::{Bytes, CloseReason, Mode, SocketInfo, Transport, is_flow};

const LEAVING_NS: u64 = 100_000_000;
/// Each batch ends with a tick: in the next one the verdict is written, by the one after it everything has come that the
/// kernel made before. However far the consumer is behind.
const LEAVING_TICKS: u64 = 3;

/// Since when a connection only waits for who may come with its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    since_ns: u64,
    since_tick: u64,
}

impl Pipeline {
    /// Whether the connection has this end already, under another id: the kernel had forgotten the flow and sees it again.
    pub(super) fn is_known_flow(&mut self, info: &SocketInfo) -> bool {
        if info.transport != Transport::Udp {
            return false;
        }
        let Some(&slot) = self.keys.get(&info.key) else { return false };
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return false };
        let is_same = |end: &Option<End>| end.as_ref().is_some_and(|end| end.info.side == info.side);
        let place = conn.ends.iter().position(is_same);
        let open = place.filter(|at| conn.end(*at).is_some_and(|end| end.closed.is_none()));
        if let Some(at) = open {
            self.rename(&mut conn, slot, at, info);
        } else if place.is_some() {
            self.renew(&mut conn, info.opened_ns);
        }
        self.put_back(slot, conn);
        if open.is_some() {
            self.after_event(slot);
        }
        open.is_some()
    }

    fn rename(&mut self, conn: &mut Conn, slot: u32, at: usize, info: &SocketInfo) {
        let Some(end) = conn.end_mut(at) else { return };
        self.forget_socket(end.info.id);
        end.rename(info);
        (conn.recent, conn.news, conn.leaving) = (true, true, None);
        self.sockets.insert(info.id, (slot, at as u8));
    }

    /// Whether what the server's end receives now is from another client than the one that has closed.
    pub(super) fn is_of_next_client(&self, conn: &Conn, at: usize, bytes: &Bytes<'_>) -> bool {
        let Some(other) = conn.end(1 - at).filter(|other| other.closed.is_some()) else { return false };
        let datagram = bytes.datagram();
        // Its own last words may come after its close.
        let said_it = other.sent.passed(datagram.offset + datagram.length) != When::NotYet;
        !bytes.sent && !said_it && !conn.left_alone && conn.is_at_rest()
    }

    /// Ends what was between the former client and the server; who is still there is met anew.
    pub(super) fn renew(&mut self, conn: &mut Conn, now_ns: u64) {
        if conn.engine.as_ref().is_some_and(|engine| engine.in_flight() > 0) {
            self.close_engine(conn, now_ns, CloseReason::Closed);
        }
        self.give_up(conn, now_ns, 0);
        self.emitter.account(conn, now_ns, true);
        let closed = conn.known_ends().filter(|end| end.closed.is_some()).map(|end| end.info.id);
        closed.for_each(|id| self.forget_socket(id));
        conn.renew();
    }

    /// Whether the connection, which is over, has to stay a little longer for who may come with its key.
    pub(super) fn lingers(&mut self, conn: &mut Conn, now_ns: u64) -> bool {
        if let Some(leaving) = conn.leaving {
            let recent = now_ns.saturating_sub(leaving.since_ns) < LEAVING_NS;
            return recent || self.ticks < leaving.since_tick + LEAVING_TICKS;
        }
        let open = conn.known_ends().find(|end| is_flow(end.info.id) && end.closed.is_none());
        let Some(id) = open.map(|end| end.info.id) else { return false };
        self.emitter.account(conn, now_ns, true);
        self.dropped.push(id);
        conn.leaving = Some(Leaving { since_ns: now_ns, since_tick: self.ticks });
        true
    }
}

impl End {
    /// The same socket's flow with the same peer, which the kernel counts from zero again.
    fn rename(&mut self, info: &SocketInfo) {
        self.info = info.clone();
        (self.sent_bytes.until, self.received_bytes.until) = (Some(0), Some(0));
        self.told = Told::NOTHING_YET;
    }

    /// The kernel copies no more of it than what its datagrams are known by.
    pub fn is_times_only(&self) -> bool {
        self.told.mode == Mode::TimesOnly
    }
}

impl Conn {
    /// Of a flow's end that was not parsed until now only the fronts of datagrams come: the other end has to be parsed.
    pub(super) fn can_begin(&self, at: usize, bytes: &Bytes<'_>) -> bool {
        !self.is_udp() || !(bytes.is_front() || self.end(at).is_some_and(End::is_times_only))
    }

    /// Of its client nothing more comes, but there may be another one.
    pub(super) fn is_left_flow(&self) -> bool {
        self.is_udp() && self.known_ends().any(|end| end.closed.is_some())
    }

    fn renew(&mut self) {
        for end in &mut self.ends {
            end.take_if(|end| end.closed.is_some());
        }
        self.leaving = None;
        self.begin_again();
    }
}
