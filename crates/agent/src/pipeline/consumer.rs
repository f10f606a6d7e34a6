//! What one consumer thread does with the events of its ring.
//!
//! Sockets are found by id, connections by key. The parsed end's bytes go through the protocol engine; the other end's
//! leave their times. Requests that come out wait, if need be, for the other end (`views`) and are then counted and
//! sampled (`emit`). Verdicts go back to the kernel at the next tick, and only when they changed.

use super::Inner;
use super::aggregate::Table;
use super::certificates::Shown;
use super::connect;
use super::connection::{Conn, End};
use super::emit::{Emitter, Seen};
use super::engine::Engine;
use super::names::Names;
use super::views::{
    JOIN_WAIT_NS, NAME_WAIT_NS, OtherView, Pending, View, forget_passed_times, forget_times, other_view, parsed_view,
};
use crate::capture::{
    Bytes, CloseReason, ConnectionKey, Consumer, Control, FailedConnect, Mode, Progress, SocketId, SocketInfo,
    Transport, is_flow,
};
use crate::losses;
use limpid_model::{Request, Side, Unanswered};
use limpid_protocols::connection::Verdict;
use limpid_protocols::protocols::Capture;
use limpid_protocols::{Certificate, Options, Sink};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Requests of one connection that wait for the other end's times.
const PENDING: usize = 8_192;
/// The same for the thread.
const PENDING_IN_ALL: usize = 32_768;
/// Times that have not come by then will not come.
const GIVE_UP_NS: u64 = 60_000_000_000;
const SWEEP_NS: u64 = 50_000_000;
const ACCOUNT_NS: u64 = 1_000_000_000;
/// How soon to look again who a process is, after identities changed.
const IDENTITY_NS: u64 = 100_000_000;

pub(super) struct Pipeline {
    pub(super) inner: Arc<Inner>,
    pub(super) emitter: Emitter,
    pub(super) options: Options,
    pub(super) conns: Vec<Option<Box<Conn>>>,
    free: Vec<u32>,
    pub(super) sockets: FxHashMap<SocketId, (u32, u8)>,
    last: Option<(SocketId, (u32, u8))>,
    pub(super) keys: FxHashMap<ConnectionKey, u32>,
    /// Where the eviction's hand stands.
    hand: usize,
    /// Connections with something to look after: waiting requests, uncounted bytes, a close.
    watched: Vec<u32>,
    /// Connections whose ends have a verdict to be told.
    telling: Vec<u32>,
    /// Sockets that were dropped and shall not be reported any more.
    pub(super) dropped: Vec<SocketId>,
    pub(super) pending: usize,
    /// Of `Inner::settings`, when they were taken up.
    pub(super) settings: u64,
    /// How often `tick` was called.
    pub(super) ticks: u64,
    swept_ns: u64,
    accounted_ns: u64,
}

/// What to do with the request at the front of a connection's queue.
enum Next {
    Wait,
    /// No other end is watched.
    Alone,
    With(View),
    /// There is another end, but its times are lost.
    Lost,
}

/// Takes the engine's requests straight into the connection's queue: a request is large, each move of it costs.
struct Finished<'a> {
    pending: &'a mut VecDeque<Pending>,
    certificate: &'a mut Option<Box<Shown>>,
    names: &'a Mutex<Names>,
    now_ns: u64,
}

impl Sink for Finished<'_> {
    fn request(&mut self, request: Request) {
        self.pending.push_back(Pending { request, since_ns: self.now_ns, parsed_out: false });
    }

    fn orphan(&mut self, _protocol: &'static str) {
        losses::ORPHAN_ANSWERS.add(1);
    }

    fn resolved(&mut self, name: &str, addresses: &[(IpAddr, u32)]) {
        lock(self.names).learn(name, addresses, self.now_ns);
    }

    fn certificate(&mut self, server_name: Option<&str>, certificate: &Certificate) {
        *self.certificate = Some(Box::new(Shown::new(server_name, certificate)));
    }
}

impl Consumer for Pipeline {
    fn opened(&mut self, info: &SocketInfo) {
        if self.sockets.contains_key(&info.id) || self.is_known_flow(info) {
            return;
        }
        if let (Some(Side::Client), Some((address, _))) = (info.side, info.remote) {
            lock(&self.inner.names).note_used(address, info.opened_ns);
        }
        // Before the question: what changes meanwhile has to be asked for again.
        let epoch = self.inner.identity.epoch();
        let process = self.inner.identity.process(info.tgid);
        let (slot, at) = self.place(info);
        self.sockets.insert(info.id, (slot, at as u8));
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return };
        conn.ends[at] = Some(End::new(info, process));
        conn.epoch = conn.epoch.min(epoch);
        (conn.recent, conn.news) = (true, true);
        conn.forget_edges();
        if is_multicast(info) {
            conn.ignore();
        } else if self.is_to_be_left_alone(&conn) {
            self.leave_alone(&mut conn);
        }
        self.put_back(slot, conn);
        self.after_event(slot);
    }

    fn bytes(&mut self, bytes: Bytes<'_>) {
        let Some((slot, at)) = self.end_of(bytes.socket) else {
            // What a server says after its client has gone is of no interest.
            if !is_flow(bytes.socket) || !bytes.sent {
                losses::UNKNOWN_SOCKET.add(1);
            }
            return;
        };
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return };
        self.on_bytes(&mut conn, usize::from(at), &bytes);
        self.put_back(slot, conn);
        if !bytes.more {
            self.after_event(slot);
        }
    }

    fn ended(&mut self, socket: SocketId, time_ns: u64) {
        self.with_conn(socket, |pipeline, conn, at| {
            if conn.parsed == Some(at) {
                let direction = conn.direction(at, false);
                pipeline.drive(conn, time_ns, |engine, sink| engine.end(direction, time_ns, sink));
            }
        });
    }

    fn closed(&mut self, socket: SocketId, time_ns: u64, reason: CloseReason) {
        self.with_conn(socket, |pipeline, conn, at| {
            let Some(end) = conn.end_mut(at) else { return };
            end.closed = Some((time_ns, reason));
            if conn.parsed == Some(at) {
                pipeline.close_engine(conn, time_ns, reason);
            } else {
                pipeline.join(conn, time_ns);
            }
        });
    }

    fn progress(&mut self, socket: SocketId, progress: &Progress) {
        self.with_conn(socket, |_, conn, at| {
            let left_alone = conn.left_alone;
            if let Some(end) = conn.end_mut(at).filter(|_| !left_alone) {
                end.note_progress(progress);
            }
        });
    }

    fn connect_failed(&mut self, attempt: &FailedConnect) {
        let process = self.inner.identity.process(attempt.socket.tgid);
        let mut conn = Conn::of_client(End::new(&attempt.socket, process), self.inner.identity.epoch());
        if self.is_to_be_left_alone(&conn) {
            return;
        }
        let request = connect::request(attempt);
        self.emitter.emit_failed_connect(&mut conn, &request, attempt.retransmits, attempt.ended_ns);
    }

    fn tick(&mut self, now_ns: u64, control: &dyn Control) {
        self.tell(control);
        self.ticks += 1;
        if now_ns.saturating_sub(self.swept_ns) < SWEEP_NS {
            return;
        }
        self.swept_ns = now_ns;
        self.inner.now_ns.fetch_max(now_ns, Ordering::Relaxed);
        self.inner.sampler.tick(now_ns);
        self.take_up_settings();
        let account = now_ns.saturating_sub(self.accounted_ns) >= ACCOUNT_NS;
        if account {
            self.accounted_ns = now_ns;
        }
        for slot in std::mem::take(&mut self.watched) {
            self.look_after(slot, now_ns, account);
        }
    }
}

impl Pipeline {
    pub fn new(inner: Arc<Inner>, table: Arc<Mutex<Table>>) -> Self {
        Pipeline {
            emitter: Emitter { inner: Arc::clone(&inner), table },
            options: inner.options(),
            inner,
            conns: Vec::new(),
            free: Vec::new(),
            sockets: FxHashMap::default(),
            last: None,
            keys: FxHashMap::default(),
            hand: 0,
            watched: Vec::new(),
            telling: Vec::new(),
            dropped: Vec::new(),
            pending: 0,
            settings: 0,
            ticks: 0,
            swept_ns: 0,
            accounted_ns: 0,
        }
    }

    /// Where the socket is. Several events of one follow each other, so the last answer is kept.
    fn end_of(&mut self, socket: SocketId) -> Option<(u32, u8)> {
        if let Some((last, end)) = self.last
            && last == socket
        {
            return Some(end);
        }
        let end = *self.sockets.get(&socket)?;
        self.last = Some((socket, end));
        Some(end)
    }

    /// Where a new socket belongs: beside the other end of its connection, or in a connection of its own.
    fn place(&mut self, info: &SocketInfo) -> (u32, usize) {
        let known = self.keys.get(&info.key).copied();
        if let Some(slot) = known
            && let Some(conn) = self.conns.get(slot as usize).and_then(Option::as_ref)
            && let Some(at) = conn.free_end(info)
        {
            return (slot, at);
        }
        self.make_room();
        let slot = self.free.pop().unwrap_or_else(|| {
            self.conns.push(None);
            (self.conns.len() - 1) as u32
        });
        self.conns[slot as usize] = Some(Box::new(Conn::new(info.key, self.inner.identity.epoch())));
        self.keys.insert(info.key, slot);
        self.inner.connections.fetch_add(1, Ordering::Relaxed);
        (slot, 0)
    }

    /// Evicts a connection that was not used for long, by the second-chance rule, when the table is full.
    fn make_room(&mut self) {
        let most = self.inner.config.connections as u64;
        while self.inner.connections.load(Ordering::Relaxed) >= most && self.conns.len() > self.free.len() {
            self.hand = (self.hand + 1) % self.conns.len().max(1);
            let Some(Some(conn)) = self.conns.get_mut(self.hand) else { continue };
            if !std::mem::take(&mut conn.recent) {
                losses::CONNECTIONS_CAPPED.add(u64::from(!conn.is_at_rest()));
                self.dropped.extend(conn.known_ends().filter(|end| end.closed.is_none()).map(|end| end.info.id));
                self.remove(self.hand as u32);
            }
        }
    }

    pub(super) fn forget_socket(&mut self, socket: SocketId) {
        self.sockets.remove(&socket);
        self.last = None;
    }

    fn with_conn(&mut self, socket: SocketId, event: impl FnOnce(&mut Self, &mut Conn, usize)) {
        let Some(&(slot, at)) = self.sockets.get(&socket) else { return };
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return };
        event(self, &mut conn, usize::from(at));
        self.put_back(slot, conn);
        self.after_event(slot);
    }

    pub(super) fn put_back(&mut self, slot: u32, conn: Box<Conn>) {
        if let Some(place) = self.conns.get_mut(slot as usize) {
            *place = Some(conn);
        }
    }

    /// Queues the connection for what a tick has to do for it.
    pub(super) fn after_event(&mut self, slot: u32) {
        let Some(conn) = self.conns.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if !std::mem::replace(&mut conn.watched, true) {
            self.watched.push(slot);
        }
        if !std::mem::take(&mut conn.news) || conn.telling {
            return;
        }
        let news = |at: usize| conn.end(at).is_some_and(|end| end.closed.is_none() && end.told != conn.wanted(at));
        if news(0) || news(1) {
            conn.telling = true;
            self.telling.push(slot);
        }
    }

    fn on_bytes(&mut self, conn: &mut Conn, at: usize, bytes: &Bytes<'_>) {
        conn.recent = true;
        let now_ns = bytes.last_ns.max(bytes.first_ns);
        self.note_owner(conn, at, bytes.tgid, now_ns);
        if !bytes.more {
            self.follow_identities(conn, now_ns);
        }
        if conn.is_udp() && self.is_of_next_client(conn, at, bytes) {
            self.renew(conn, now_ns);
        }
        let Some(end) = conn.end_mut(at) else { return };
        end.count(bytes);
        if conn.ignored || conn.unread {
            return;
        }
        let tagged = if conn.is_udp() { bytes.datagram() } else { *bytes };
        let bytes = &tagged;
        if conn.parsed.is_none() && conn.can_begin(at, bytes) {
            conn.begin(at, bytes.sent, now_ns, &self.options);
        }
        if conn.parsed == Some(at) {
            let server = conn.side(at) == Side::Server;
            if let Some(end) = conn.end_mut(at).filter(|_| server && bytes.arrived_ns.is_some()) {
                end.note_times(bytes);
            }
            self.parse(conn, at, bytes, now_ns);
        } else if let Some(end) = conn.end_mut(at) {
            end.note_times(bytes);
        }
        if !bytes.more {
            self.settle(conn, now_ns);
        }
    }

    /// The process that moves the bytes owns the socket; looked at on every event.
    fn note_owner(&mut self, conn: &mut Conn, at: usize, tgid: u32, now_ns: u64) {
        let changed = conn.end(at).is_some_and(|end| end.tgid != tgid);
        if changed {
            // What the former owner did is still counted as its own.
            self.flush_parsed(conn, now_ns, 0);
            let process = self.inner.identity.process(tgid);
            let alone = process.own;
            if let Some(end) = conn.end_mut(at) {
                (end.tgid, end.process) = (tgid, process);
            }
            conn.forget_edges();
            if alone {
                self.leave_alone(conn);
            }
        }
    }

    fn follow_identities(&mut self, conn: &mut Conn, now_ns: u64) {
        let epoch = self.inner.identity.epoch();
        if conn.epoch != epoch && now_ns >= conn.next_identity_ns {
            (conn.epoch, conn.next_identity_ns) = (epoch, now_ns.saturating_add(IDENTITY_NS));
            self.identify_again(conn);
        }
    }

    fn identify_again(&mut self, conn: &mut Conn) {
        let mut changed = false;
        for end in conn.ends.iter_mut().flatten() {
            let process = self.inner.identity.process(end.tgid);
            changed |= !Arc::ptr_eq(&process, &end.process);
            end.process = process;
        }
        if changed {
            conn.forget_edges();
        }
        if conn.known_ends().any(|end| end.process.own) {
            self.leave_alone(conn);
        }
    }

    fn parse(&mut self, conn: &mut Conn, at: usize, bytes: &Bytes<'_>, now_ns: u64) {
        let direction = conn.direction(at, bytes.sent);
        self.step(conn, now_ns, |engine, sink| engine.bytes(direction, bytes, sink));
    }

    /// Lets the engine do something, and takes care of what came out of it.
    fn drive(&mut self, conn: &mut Conn, now_ns: u64, step: impl FnOnce(&mut Engine, &mut dyn Sink)) {
        self.step(conn, now_ns, step);
        self.settle(conn, now_ns);
    }

    fn step(&mut self, conn: &mut Conn, now_ns: u64, step: impl FnOnce(&mut Engine, &mut dyn Sink)) {
        let Some(engine) = conn.engine.as_mut() else { return };
        let (given_up, waited) = (engine.given_up(), conn.pending.len());
        let (pending, certificate) = (&mut conn.pending, &mut conn.certificate);
        step(engine, &mut Finished { pending, certificate, names: &self.inner.names, now_ns });
        losses::PARSE_GIVEN_UP.add(u64::from(engine.given_up().saturating_sub(given_up)));
        self.pending += conn.pending.len() - waited;
    }

    /// What several steps of the engine need only once behind them.
    fn settle(&mut self, conn: &mut Conn, now_ns: u64) {
        let (mut nothing, mut off, mut greets) = (false, false, false);
        if let Some(engine) = conn.engine.as_mut() {
            let swapped = engine.swapped() != conn.swapped;
            conn.swapped = engine.swapped();
            let was_known = conn.protocol.is_some();
            conn.protocol = engine.protocol().or(conn.protocol);
            greets = !was_known && conn.protocol.is_some_and(|protocol| protocol.greets);
            conn.news = true;
            off = engine.is_off();
            nothing = engine.verdict() == Verdict::Pinned(Capture::Nothing) && !conn.is_left_flow();
            if swapped {
                conn.forget_edges();
            }
        }
        if greets {
            self.learn_greeter(conn);
        }
        self.join(conn, now_ns);
        match (nothing && conn.pending.is_empty(), off) {
            (true, true) => conn.leave_unread(),
            (true, false) => conn.ignore(),
            (false, _) if conn.outdated => conn.begin_again_if_idle(),
            _ => {}
        }
    }

    /// Emits the requests that wait at the front as far as the other end's times are there.
    fn join(&mut self, conn: &mut Conn, now_ns: u64) {
        let Some(parsed) = conn.parsed.filter(|_| !conn.pending.is_empty()) else { return };
        let alone = conn.end(1 - parsed).is_none();
        let waits = alone && conn.expects_other(now_ns);
        let unnamed = self.is_unnamed(conn);
        self.emit_front(conn, now_ns, |conn, front, left| {
            let full = left > PENDING;
            if unnamed && !full && now_ns.saturating_sub(front.since_ns) < NAME_WAIT_NS {
                return Next::Wait;
            }
            match other_view(conn, 1 - parsed, &front.request) {
                _ if alone && (full || !waits) => Next::Alone,
                OtherView::Known(view) => Next::With(view),
                OtherView::Lost => Next::Lost,
                OtherView::NotYet if full => Next::Lost,
                OtherView::NotYet => Next::Wait,
            }
        });
        if self.pending > PENDING_IN_ALL {
            self.give_up(conn, now_ns, 0);
        }
    }

    /// A process that lived for a millisecond: the record of its start comes through another ring, and /proc is empty.
    fn is_unnamed(&self, conn: &Conn) -> bool {
        conn.known_ends().any(|end| self.inner.identity.is_unknown(&end.process))
    }

    /// Does not wait any more for the other end's times, where a request has waited for `wait_ns`.
    pub(super) fn give_up(&mut self, conn: &mut Conn, now_ns: u64, wait_ns: u64) {
        let alone = conn.parsed.is_some_and(|parsed| conn.end(1 - parsed).is_none());
        self.emit_front(conn, now_ns, |_, front, _| match now_ns.saturating_sub(front.since_ns) >= wait_ns {
            true if alone => Next::Alone,
            true => Next::Lost,
            false => Next::Wait,
        });
    }

    /// Emits requests from the front on, until `next` says to wait; it is told how many there are.
    fn emit_front(&mut self, conn: &mut Conn, now_ns: u64, next: impl Fn(&Conn, &Pending, usize) -> Next) {
        let Some(parsed) = conn.parsed else { return };
        let mut pending = std::mem::take(&mut conn.pending);
        let mut done = 0;
        let emitter = &self.emitter;
        let mut table = emitter.table();
        for front in &pending {
            let own = Seen { at: parsed, view: parsed_view(conn, parsed, &front.request) };
            let other = match next(conn, front, pending.len() - done) {
                Next::Wait => break,
                Next::Alone => None,
                Next::With(view) => Some(view),
                // Without its own times its view has the parsed end's: the request was made, so it is counted.
                Next::Lost => {
                    losses::TIMES_LOST.add(1);
                    Some(own.view)
                }
            };
            let other = other.map(|view| Seen { at: 1 - parsed, view });
            match (front.parsed_out, other) {
                (false, Some(other)) => emitter.emit(conn, &front.request, &[own, other], &mut table, now_ns),
                (false, None) => emitter.emit(conn, &front.request, &[own], &mut table, now_ns),
                (true, Some(other)) => emitter.emit_late(conn, &front.request, &own, &other, &mut table, now_ns),
                (true, None) => {}
            }
            if !conn.is_unordered() {
                forget_times(conn, &front.request);
            }
            done += 1;
        }
        drop(table);
        pending.drain(..done);
        if conn.is_unordered() && done > 0 {
            forget_passed_times(conn, &pending);
        }
        self.pending -= done;
        conn.pending = pending;
    }

    /// The parsed end's views of what has waited for `wait_ns` go out alone.
    fn flush_parsed(&mut self, conn: &mut Conn, now_ns: u64, wait_ns: u64) {
        let Some(parsed) = conn.parsed.filter(|_| !conn.pending.is_empty()) else { return };
        let mut pending = std::mem::take(&mut conn.pending);
        let mut table = self.emitter.table();
        let due = pending.iter_mut().take_while(|waiting| now_ns.saturating_sub(waiting.since_ns) >= wait_ns);
        for waiting in due.filter(|waiting| !waiting.parsed_out) {
            waiting.parsed_out = true;
            let seen = [Seen { at: parsed, view: parsed_view(conn, parsed, &waiting.request) }];
            self.emitter.emit(conn, &waiting.request, &seen, &mut table, now_ns);
        }
        drop(table);
        conn.pending = pending;
    }

    pub(super) fn close_engine(&mut self, conn: &mut Conn, time_ns: u64, reason: CloseReason) {
        let unanswered = match reason {
            CloseReason::Closed => Unanswered::Closed,
            CloseReason::Reset => Unanswered::Reset,
        };
        self.drive(conn, time_ns, |engine, sink| engine.close(unanswered, time_ns, sink));
        conn.engine = None;
    }

    fn tell(&mut self, control: &dyn Control) {
        for slot in std::mem::take(&mut self.telling) {
            let Some(conn) = self.conns.get_mut(slot as usize).and_then(Option::as_mut) else { continue };
            conn.telling = false;
            for at in 0..2 {
                let wanted = conn.wanted(at);
                let Some(end) = conn.end_mut(at) else { continue };
                if end.closed.is_none() && end.told != wanted {
                    end.told = wanted;
                    control.verdict(end.info.id, wanted.mode, wanted.skip_sent_until, wanted.skip_received_until);
                }
            }
        }
        for socket in self.dropped.drain(..) {
            control.verdict(socket, if is_flow(socket) { Mode::Forget } else { Mode::Ignore }, 0, 0);
        }
    }

    /// What has to be done in time, without an event.
    fn look_after(&mut self, slot: u32, now_ns: u64, account: bool) {
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return };
        if conn.engine.as_ref().is_some_and(|engine| engine.in_flight() > 0) {
            self.drive(&mut conn, now_ns, |engine, sink| engine.expire(now_ns, sink));
        }
        if !conn.pending.is_empty() {
            self.follow_identities(&mut conn, now_ns);
            self.join(&mut conn, now_ns);
        }
        self.wait_no_longer(&mut conn, now_ns);
        let is_silent = conn.is_silent();
        if account && conn.leaving.is_none() {
            if !is_silent {
                self.emitter.account(&mut conn, now_ns, false);
            }
            self.note_pending(&mut conn, now_ns);
        }
        let gone = conn.is_over() && conn.pending.is_empty() && {
            let alone = conn.expects_other(now_ns) && conn.parsed.is_some();
            let waited = !alone || now_ns.saturating_sub(conn.closed_ns()) >= JOIN_WAIT_NS;
            waited && !self.lingers(&mut conn, now_ns)
        };
        let busy = !account
            || !conn.pending.is_empty()
            || conn.is_over()
            || conn.engine.as_ref().is_some_and(|engine| engine.in_flight() > 0)
            || conn.outstanding().requests > 0
            || is_silent;
        conn.watched = busy && !gone;
        if conn.watched {
            self.watched.push(slot);
        }
        self.put_back(slot, conn);
        if gone {
            self.remove(slot);
        }
    }

    fn wait_no_longer(&mut self, conn: &mut Conn, now_ns: u64) {
        let Some(parsed) = conn.parsed else { return };
        let name_wait_ns = if self.is_unnamed(conn) { NAME_WAIT_NS } else { 0 };
        self.flush_parsed(conn, now_ns, JOIN_WAIT_NS.max(name_wait_ns));
        let other = conn.end(1 - parsed);
        let alone = other.is_none();
        let closed = other.is_some_and(|end| end.closed.is_some());
        let wait_ns = if alone || closed || conn.is_udp() { JOIN_WAIT_NS } else { GIVE_UP_NS };
        self.give_up(conn, now_ns, wait_ns.max(name_wait_ns));
    }

    pub(super) fn remove(&mut self, slot: u32) {
        let Some(mut conn) = self.conns.get_mut(slot as usize).and_then(Option::take) else { return };
        self.last = None;
        let now_ns = self.inner.now_ns.load(Ordering::Relaxed);
        self.give_up(&mut conn, now_ns, 0);
        if conn.leaving.is_none() && !conn.is_silent() {
            self.emitter.account(&mut conn, now_ns, true);
        }
        for end in conn.known_ends() {
            if self.sockets.get(&end.info.id).is_some_and(|(of, _)| *of == slot) {
                self.sockets.remove(&end.info.id);
            }
        }
        if self.keys.get(&conn.key) == Some(&slot) {
            self.keys.remove(&conn.key);
        }
        self.free.push(slot);
        self.inner.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes to many has no other end.
fn is_multicast(info: &SocketInfo) -> bool {
    info.transport == Transport::Udp && info.remote.is_some_and(|(address, _)| address.is_multicast())
}

impl Conn {
    /// The place for another socket with this connection's key, unless there are two ends already.
    fn free_end(&self, info: &SocketInfo) -> Option<usize> {
        let opposite = |end: &End| info.side.is_none() || end.info.side != info.side;
        match &self.ends {
            [Some(first), None] if opposite(first) => Some(1),
            [None, Some(second)] if opposite(second) => Some(0),
            _ => None,
        }
    }
}
