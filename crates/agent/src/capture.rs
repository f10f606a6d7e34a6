//! What the socket collector hands to the pipeline, and what the pipeline tells it back. Each socket is one end's view
//! of a connection; the pipeline joins the two ends by [`ConnectionKey`]. Times are Unix nanoseconds.

use limpid_model::Side;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// The kernel's socket cookie: unique until the machine boots again.
pub type SocketId = u64;

/// Whether it is what a UDP socket exchanges with one peer: no cookie is as large as the numbers that the programs give.
pub fn is_flow(id: SocketId) -> bool {
    id >> 63 == 1
}

/// Equal at both ends of a connection, through NAT and network namespaces and across hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectionKey {
    /// The initial sequence numbers (of the client, of the server), the client's own corrected for its SYN.
    Tcp { client_isn: u32, server_isn: u32 },
    /// The same of the plaintext of an encrypted connection, seen from its first byte on at both ends.
    Tls { client_isn: u32, server_isn: u32 },
    /// The two cookies, smaller first.
    Unix(u64, u64),
    /// `netns` tells clients on loopback apart and is 0 for others.
    Udp { client: IpAddr, client_port: u16, server_port: u16, netns: u64 },
    /// Nothing tells which other socket this one speaks with.
    Alone(SocketId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    /// The plaintext of an encrypted connection. What TCP says of it, and its bytes on the wire, are told of the
    /// socket below, which is a connection of its own.
    Tls,
    UnixStream,
    /// What one socket exchanges with one peer is a connection; offsets count the bytes of datagrams.
    Udp,
}

/// An end of a connection, as first seen.
#[derive(Clone, Debug)]
pub struct SocketInfo {
    pub id: SocketId,
    pub key: ConnectionKey,
    pub transport: Transport,
    /// v4-mapped IPv6 is already IPv4. Unix sockets have none; their path is in `unix_path`.
    pub local: Option<(IpAddr, u16)>,
    pub remote: Option<(IpAddr, u16)>,
    pub unix_path: Option<String>,
    /// Which end this is; `None` when the socket is older than the agent and nothing tells.
    pub side: Option<Side>,
    /// Cookie of the network namespace.
    pub netns: u64,
    /// Process that owns the socket now.
    pub tgid: u32,
    /// Seen from its first byte on.
    pub from_start: bool,
    pub opened_ns: u64,
    /// How long it took to connect, where this end did.
    pub connect_ns: Option<u64>,
}

/// How far a connection is, and what TCP knows of it. All counts are since its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Offsets behind the last byte.
    pub sent: u64,
    pub received: u64,
    /// Smoothed.
    pub round_trip_ns: Option<u64>,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Segments sent.
    pub segments: u64,
}

/// An attempt to connect that came to nothing.
#[derive(Clone, Debug)]
pub struct FailedConnect {
    /// `opened_ns` is when it began. There is no other end and no byte.
    pub socket: SocketInfo,
    pub ended_ns: u64,
    /// The error that the process got; `None` where it gave up by itself.
    pub errno: Option<i32>,
    pub retransmits: u64,
}

/// One call or several in one direction with nothing in between. Bytes that are counted but not in `pieces` were not
/// copied (the head sufficed, a skip, no user buffer): they are a gap for the parser and no loss.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a> {
    pub socket: SocketId,
    /// Sent by this socket's process, else received by it.
    pub sent: bool,
    /// Offset of the first byte in the stream of this direction; the first byte of the connection has 0.
    pub offset: u64,
    pub length: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    /// When the first of the received bytes arrived in the kernel, where that is stamped.
    pub arrived_ns: Option<u64>,
    /// Process that made the call.
    pub tgid: u32,
    /// (place from `offset` on, bytes), ascending, not overlapping.
    pub pieces: &'a [(u64, &'a [u8])],
    /// Bytes here exist in the stream and could not be had (`sendfile`, `splice`, full buffer): a counted gap.
    pub lost: bool,
    /// More of this socket follows at once: what need be done but once can wait for the last.
    pub more: bool,
}

/// By so many bytes of its front a datagram is known again at the other end.
const DATAGRAM_FRONT: usize = 16;

impl<'a> Bytes<'a> {
    /// A datagram may be lost, so that the ends count differently. Its place is made from what it says.
    pub fn datagram(&self) -> Bytes<'a> {
        let front = self.pieces.first().map_or(&[][..], |(_, data)| &data[..data.len().min(DATAGRAM_FRONT)]);
        let mut hasher = rustc_hash::FxHasher::default();
        (front, self.length).hash(&mut hasher);
        // Two datagrams never overlap: none is as long as 64 KiB. Below the largest offset of a stream.
        let offset = hasher.finish() >> 20 << 16;
        Bytes { offset, length: self.length.min(u16::MAX.into()), ..*self }
    }

    /// Whether this is no more of a datagram than what it is known by.
    pub fn is_front(&self) -> bool {
        let copied: usize = self.pieces.iter().map(|(_, data)| data.len()).sum();
        copied <= DATAGRAM_FRONT && (copied as u64) < self.length
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    Closed,
    Reset,
}

/// Implemented by the pipeline; called by the collector's consumer threads. All events of one connection key come from
/// one thread, in the order in which the kernel submitted them.
pub trait Consumer {
    fn opened(&mut self, socket: &SocketInfo);
    fn bytes(&mut self, bytes: Bytes<'_>);
    /// The peer sent FIN and this process has read it.
    fn ended(&mut self, socket: SocketId, time_ns: u64);
    fn closed(&mut self, socket: SocketId, time_ns: u64, reason: CloseReason);
    /// Once a second while the connection moves, and before its end.
    fn progress(&mut self, _socket: SocketId, _progress: &Progress) {}
    fn connect_failed(&mut self, _attempt: &FailedConnect) {}
    /// Called at least every 100 ms, and after every batch, with the present.
    fn tick(&mut self, now_ns: u64, control: &dyn Control);
}

/// What the kernel shall copy of a socket's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Head and tail of each call.
    Undecided,
    Head(u32),
    All(u32),
    Framed(limpid_protocols::protocols::Framing),
    /// Offsets, lengths and times only: the other end is parsed.
    TimesOnly,
    /// No byte and no time: how many bytes moved is told by the connection's progress.
    Ignore,
    /// Of a flow of datagrams: it is over, and what comes next opens another.
    Forget,
}

/// How the pipeline answers.
pub trait Control {
    /// Later verdicts replace earlier ones. Up to the two offsets no byte is needed in that direction.
    fn verdict(&self, socket: SocketId, mode: Mode, skip_sent_until: u64, skip_received_until: u64);
}
