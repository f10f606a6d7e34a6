//! One connection and its two ends.
//!
//! An end is a socket of this machine; the second one is missing when the peer is elsewhere (or not known yet). One end
//! is parsed, the other gives offsets and times only. Which end is the server's is known from how it was opened, else
//! guessed and put right by the protocol engine.

use super::aggregate::EdgeRef;
use super::certificates::Shown;
use super::engine::Engine;
use super::flows::Leaving;
use super::shapes::Shapes;
use super::times::{Stretch, Times};
use super::views::Pending;
use crate::capture::{Bytes, CloseReason, ConnectionKey, Mode, Progress, SocketInfo, Transport};
use crate::telemetry::Process;
use limpid_model::{Direction, Side};
use limpid_protocols::connection::Verdict;
use limpid_protocols::protocols::Capture;
use limpid_protocols::{Hints, Options, Protocol};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// After this time an end that was not seen will not come: a process that is left alone has it.
const EXPECTED_NS: u64 = 2_000_000_000;

/// What the kernel was told of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub mode: Mode,
    pub skip_sent_until: u64,
    pub skip_received_until: u64,
}

impl Told {
    pub const NOTHING_YET: Told = Told::just(Mode::Undecided);

    pub const fn just(mode: Mode) -> Told {
        Told { mode, skip_sent_until: 0, skip_received_until: 0 }
    }
}

/// The edge of an end's requests, until when it may be taken, and for which protocol.
#[derive(Clone, Copy)]
pub(super) struct CachedEdge {
    pub edge: EdgeRef,
    pub until_ns: u64,
    pub protocol: &'static str,
}

pub(super) struct End {
    pub info: SocketInfo,
    /// Who moved the last bytes: prefork and passed descriptors change it.
    pub tgid: u32,
    pub process: Arc<Process>,
    pub sent: Times,
    pub received: Times,
    /// Which way the last noted bytes went.
    sent_last: Option<bool>,
    /// Not yet in the metrics.
    pub sent_bytes: Counted,
    pub received_bytes: Counted,
    /// When it received something last.
    pub received_ns: u64,
    pub tcp: TcpNews,
    pub closed: Option<(u64, CloseReason)>,
    pub told: Told,
    pub edge: Option<CachedEdge>,
    /// The link under which this end counts as an open connection.
    pub counted: Option<u32>,
    pub counted_opening: bool,
    pub waiting: u64,
}

/// Bytes of one direction, counted by how far it is: what was lost on the way to here is counted too, and nothing twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    /// Offset behind the last byte that was counted; `None` while it is not known where the counting begins.
    pub until: Option<u64>,
    /// Offset behind the last byte that an event told of: what lies between was lost, or its event is still on its way.
    told: u64,
    /// Not yet in the metrics.
    pub bytes: u64,
}

impl Counted {
    pub fn from_start(from_start: bool) -> Self {
        Counted { until: from_start.then_some(0), told: 0, bytes: 0 }
    }

    /// Whether bytes have passed that no event told of.
    pub fn has_untold(&self) -> bool {
        self.until.is_some_and(|until| until > self.told)
    }

    fn tell(&mut self, from: u64, until: u64) {
        self.count(from, until);
        self.told = self.told.max(until);
    }

    /// By the connection's progress.
    fn follow(&mut self, until: u64) {
        if self.until.is_none() {
            self.told = until;
        }
        self.count(until, until);
    }

    fn count(&mut self, from: u64, until: u64) {
        let counted = self.until.unwrap_or(from);
        self.until = Some(counted.max(until));
        self.bytes = self.bytes.saturating_add(until.saturating_sub(counted));
    }
}

/// What TCP says of this end and is not yet in the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TcpNews {
    last: Option<Progress>,
    pub retransmits: u64,
    pub segments: u64,
    pub round_trip_ns: Option<u64>,
}

impl TcpNews {
    /// What an old connection did before it was first looked at is not counted.
    fn note(&mut self, progress: &Progress, from_start: bool) {
        let last = self.last.or(from_start.then(Progress::default)).unwrap_or(*progress);
        self.retransmits += progress.retransmits.saturating_sub(last.retransmits);
        self.segments += progress.segments.saturating_sub(last.segments);
        self.round_trip_ns = progress.round_trip_ns;
        self.last = Some(*progress);
    }
}

impl End {
    pub fn new(info: &SocketInfo, process: Arc<Process>) -> Self {
        End {
            tgid: info.tgid,
            process,
            sent: Times::of(info.transport),
            received: Times::of(info.transport),
            sent_bytes: Counted::from_start(info.from_start),
            received_bytes: Counted::from_start(info.from_start),
            received_ns: 0,
            tcp: TcpNews::default(),
            sent_last: None,
            closed: None,
            told: Told::NOTHING_YET,
            edge: None,
            counted: None,
            counted_opening: !info.from_start,
            waiting: 0,
            info: info.clone(),
        }
    }

    /// How much its bytes and its being open count: the socket below an encrypted connection has counted them already.
    pub fn weight(&self) -> u64 {
        u64::from(self.info.transport != Transport::Tls)
    }

    pub fn count(&mut self, bytes: &Bytes<'_>) {
        if !bytes.sent {
            self.received_ns = self.received_ns.max(bytes.last_ns);
        }
        let counted = if bytes.sent { &mut self.sent_bytes } else { &mut self.received_bytes };
        counted.tell(bytes.offset, bytes.offset.saturating_add(bytes.length));
    }

    pub fn note_progress(&mut self, progress: &Progress) {
        self.sent_bytes.follow(progress.sent);
        self.received_bytes.follow(progress.received);
        if self.info.transport == Transport::Tcp {
            self.tcp.note(progress, self.info.from_start);
        }
    }

    pub fn note_times(&mut self, bytes: &Bytes<'_>) {
        let stretch = Stretch {
            offset: bytes.offset,
            end: bytes.offset.saturating_add(bytes.length),
            first_ns: bytes.first_ns,
            last_ns: bytes.last_ns.max(bytes.first_ns),
            arrived_ns: bytes.arrived_ns,
        };
        let continues = self.sent_last.replace(bytes.sent) == Some(bytes.sent);
        if bytes.sent { self.sent.add(stretch, continues) } else { self.received.add(stretch, continues) }
    }
}

pub(super) struct Conn {
    pub key: ConnectionKey,
    pub ends: [Option<End>; 2],
    pub engine: Option<Engine>,
    /// The end whose bytes are parsed, from its first bytes on.
    pub parsed: Option<usize>,
    /// The server's end as assumed when parsing began; `swapped` puts it right.
    server: usize,
    pub swapped: bool,
    pub protocol: Option<&'static Protocol>,
    pub pending: VecDeque<Pending>,
    pub shapes: Shapes,
    /// What the server has shown.
    pub certificate: Option<Box<Shown>>,
    /// Nothing more of it is wanted.
    pub ignored: bool,
    /// One of its ends is Limpid's own or excluded: it is no part of the metrics either.
    pub left_alone: bool,
    /// It speaks a protocol that is switched off: its bytes are counted.
    pub unread: bool,
    /// It shall be read as the settings are by now, as soon as nothing is in flight.
    pub outdated: bool,
    /// Since when the kernel is told to forget the flow of a client that has gone.
    pub leaving: Option<Leaving>,
    /// Since the last look of the eviction's hand.
    pub recent: bool,
    pub watched: bool,
    pub telling: bool,
    /// What the kernel should know may have changed.
    pub news: bool,
    /// The identities' epoch when the processes were looked up, and when to look again at the earliest.
    pub epoch: u64,
    pub next_identity_ns: u64,
    /// When its first bytes were seen.
    began_ns: u64,
}

impl Conn {
    pub fn new(key: ConnectionKey, epoch: u64) -> Self {
        Conn {
            key,
            ends: [None, None],
            engine: None,
            parsed: None,
            server: 0,
            swapped: false,
            protocol: None,
            pending: VecDeque::new(),
            shapes: Shapes::default(),
            certificate: None,
            ignored: false,
            left_alone: false,
            unread: false,
            outdated: false,
            leaving: None,
            recent: true,
            watched: false,
            telling: false,
            news: true,
            epoch,
            next_identity_ns: 0,
            began_ns: 0,
        }
    }

    /// Of a client that has found nobody.
    pub fn of_client(end: End, epoch: u64) -> Self {
        let mut conn = Conn::new(end.info.key, epoch);
        conn.ends[0] = Some(end);
        conn.server = 1;
        conn
    }

    pub fn end(&self, at: usize) -> Option<&End> {
        self.ends.get(at)?.as_ref()
    }

    pub fn end_mut(&mut self, at: usize) -> Option<&mut End> {
        self.ends.get_mut(at)?.as_mut()
    }

    pub fn known_ends(&self) -> impl Iterator<Item = &End> {
        self.ends.iter().flatten()
    }

    pub fn server(&self) -> usize {
        if self.swapped { 1 - self.server } else { self.server }
    }

    pub fn side(&self, at: usize) -> Side {
        if at == self.server() { Side::Server } else { Side::Client }
    }

    /// Which way bytes go, by the roles with which the engine began: it swaps them itself.
    pub fn direction(&self, at: usize, sent: bool) -> Direction {
        if (at == self.server) == sent { Direction::ToClient } else { Direction::ToServer }
    }

    /// Chooses the end to parse (the server's where both are known) and starts the engine. `at` moves the first bytes.
    pub fn begin(&mut self, at: usize, sent: bool, now_ns: u64, options: &Options) {
        self.began_ns = now_ns;
        self.server = self.guess_server(at, sent);
        let both = self.ends.iter().flatten().filter(|end| !end.is_times_only()).count() == 2;
        let parsed = if both { self.server } else { at };
        let Some(end) = self.end(parsed) else { return };
        let port = |address: Option<(IpAddr, u16)>| address.map_or(0, |(_, port)| port);
        let (local, remote) = (port(end.info.local), port(end.info.remote));
        let (server_port, client_port) = if parsed == self.server { (local, remote) } else { (remote, local) };
        let hints = Hints { client_port, server_port, from_start: end.info.from_start };
        self.engine = Some(Engine::new(hints, options, self.is_udp()));
        self.parsed = Some(parsed);
    }

    /// Nothing has begun: the only end there is, `at`, is the client's.
    pub fn assume_client(&mut self, at: usize) {
        self.server = 1 - at;
    }

    fn guess_server(&self, at: usize, sent: bool) -> usize {
        for (index, end) in self.ends.iter().enumerate() {
            match end.as_ref().and_then(|end| end.info.side) {
                Some(Side::Server) => return index,
                Some(Side::Client) => return 1 - index,
                None => {}
            }
        }
        let ports = self.end(at).and_then(|end| Some((end.info.local?.1, end.info.remote?.1)));
        match ports {
            Some((local, remote)) if local != remote => {
                if local < remote {
                    at
                } else {
                    1 - at
                }
            }
            // Who speaks first is the client in most protocols.
            _ => {
                if sent {
                    1 - at
                } else {
                    at
                }
            }
        }
    }

    /// Whether the other end should be on this machine, though it has not been seen (yet: not for long).
    pub fn expects_other(&self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.began_ns) > EXPECTED_NS {
            return false;
        }
        let mut ends = self.known_ends();
        let (Some(end), None) = (ends.next(), ends.next()) else { return false };
        end.info.transport == Transport::UnixStream || end.info.remote.is_some_and(|(address, _)| address.is_loopback())
    }

    /// What the kernel should know of this end by now.
    pub fn wanted(&self, at: usize) -> Told {
        if self.ignored || self.unread {
            return Told::just(Mode::Ignore);
        }
        let Some(engine) = &self.engine else { return self.nothing_yet(at) };
        let Verdict::Pinned(capture) = engine.verdict() else {
            return if Some(at) == self.parsed { Told::NOTHING_YET } else { self.nothing_yet(at) };
        };
        if Some(at) != self.parsed {
            return Told::just(Mode::TimesOnly);
        }
        let skip = |sent| engine.skip_until(self.direction(at, sent)).unwrap_or(0);
        let mode = match capture {
            Capture::Head(bytes) => Mode::Head(bytes),
            Capture::Framed(framing) => Mode::Framed(framing),
            Capture::All(bytes) => Mode::All(bytes),
            Capture::Nothing => Mode::Ignore,
        };
        Told { mode, skip_sent_until: skip(true), skip_received_until: skip(false) }
    }

    /// A flow whose client has gone is left as it is, as the next one will most likely want the same. Were it told back and
    /// forth, what is parsed next could have been copied by the former verdict.
    fn nothing_yet(&self, at: usize) -> Told {
        let flow = self.end(at).filter(|end| end.info.transport == Transport::Udp);
        flow.map_or(Told::NOTHING_YET, |end| end.told)
    }

    pub fn ignore(&mut self) {
        (self.ignored, self.news) = (true, true);
        self.engine = None;
    }

    /// Its bytes are only counted from now on.
    pub fn leave_unread(&mut self) {
        (self.unread, self.news) = (true, true);
        (self.engine, self.protocol) = (None, None);
        self.forget_edges();
    }

    /// Is read from the next bytes on as if it had been found just now.
    pub fn begin_again(&mut self) {
        (self.ignored, self.left_alone, self.unread, self.outdated, self.swapped) = (false, false, false, false, false);
        (self.engine, self.parsed, self.protocol, self.news) = (None, None, None, true);
        for end in self.ends.iter_mut().flatten() {
            end.info.from_start = false;
            let transport = end.info.transport;
            (end.sent, end.received) = (Times::of(transport), Times::of(transport));
        }
        self.forget_edges();
    }

    pub fn begin_again_if_idle(&mut self) {
        let in_flight = self.engine.as_ref().map_or(0, |engine| engine.in_flight());
        if in_flight == 0 && self.pending.is_empty() {
            self.begin_again();
        }
    }

    pub fn forget_edges(&mut self) {
        self.ends.iter_mut().flatten().for_each(|end| end.edge = None);
    }

    /// Its requests are not answered in their order: several are on their way at once.
    pub fn is_unordered(&self) -> bool {
        self.protocol.is_some_and(|protocol| protocol.unordered)
    }

    pub fn is_udp(&self) -> bool {
        self.known_ends().next().is_some_and(|end| end.info.transport == Transport::Udp)
    }

    /// All ends are closed. The flow of a UDP server's socket does not end with its client.
    pub fn is_over(&self) -> bool {
        let closed = |end: &End| end.closed.is_some();
        self.known_ends().all(closed) || (self.is_udp() && self.known_ends().any(closed) && self.is_at_rest())
    }

    /// A flow of datagrams that waits for nothing: to forget it loses nothing.
    pub fn is_at_rest(&self) -> bool {
        self.is_udp() && self.pending.is_empty() && self.engine.as_ref().is_none_or(|engine| engine.in_flight() == 0)
    }

    pub fn closed_ns(&self) -> u64 {
        self.known_ends().filter_map(|end| end.closed).map(|(time_ns, _)| time_ns).max().unwrap_or(0)
    }

    /// The name by which bytes of a connection are counted before (or without) a protocol.
    pub fn protocol_name(&self) -> &'static str {
        let transport = self.known_ends().next().map(|end| end.info.transport);
        match (self.protocol, transport) {
            (Some(protocol), _) => protocol.name,
            (None, Some(Transport::UnixStream)) => "unix",
            (None, Some(Transport::Udp)) => "udp",
            (None, _) => "tcp",
        }
    }
}
