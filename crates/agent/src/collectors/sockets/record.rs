//! The records of `sockets.h`, read with every length checked: a record is the kernel's, but a bug there must not
//! become a panic here.

use crate::capture::{ConnectionKey, FailedConnect, Progress, SocketInfo, Transport};
use limpid_model::Side;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const KIND_OPEN: u32 = 1;
pub const KIND_HALVES: u32 = 2;
pub const KIND_END: u32 = 3;
pub const KIND_CLOSE: u32 = 4;
pub const KIND_CONNECT_FAILED: u32 = 5;
pub const KIND_PROGRESS: u32 = 6;
pub const KIND_TLS: u32 = 7;

pub const HALF_SENT: u16 = 1;
pub const HALF_LOST: u16 = 2;
const HALF_PIECES: u16 = 4;
const WAITED_NS: u64 = 64;

const OPEN_ACTIVE: u16 = 1;
const OPEN_PASSIVE: u16 = 2;
const OPEN_FROM_START: u16 = 4;
const OPEN_DATAGRAMS: u16 = 8;
const OPEN_TLS: u16 = 16;
const UNIX_PATH_MAX: usize = 108;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    pub kind: u32,
    pub verdict: u32,
    pub socket: u64,
    pub time_ns: u64,
    pub reset: u32,
    pub halves: u32,
}

/// What the halves of a record have in common.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Halves {
    pub header: Header,
    sent: u64,
    received: u64,
    pub tgid: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RawHalf {
    offset: u32,
    length: u32,
    first_ns: i32,
    last_ns: i32,
    waited: u32,
    flags: u16,
    bytes: u16,
}

/// A half as it is meant. Times are the kernel's monotonic clock.
#[derive(Clone, Copy)]
pub struct Half<'a> {
    pub offset: u64,
    pub length: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    pub arrived_ns: Option<u64>,
    pub flags: u16,
    bytes: &'a [u8],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Piece {
    place: u32,
    length: u32,
}

/// `KIND_PROGRESS` and `KIND_CLOSE`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RawProgress {
    pub header: Header,
    sent: u64,
    received: u64,
    round_trip_us: u32,
    retransmits: u32,
    segments: u32,
    unused: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Open {
    pub header: Header,
    key: [u64; 2],
    netns: u64,
    opened_ns: u64,
    local: [u8; 16],
    remote: [u8; 16],
    local_port: u16,
    remote_port: u16,
    family: u16,
    flags: u16,
    tgid: u32,
    connect_us: u32,
    retransmits: u32,
    unix_path_bytes: u32,
    unix_path: [u8; UNIX_PATH_MAX + 4],
}

/// `KIND_TLS`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tls {
    header: Header,
    pub tgid: u32,
    unused: u32,
}

const _: () = assert!(size_of::<Tls>() == 40);
const _: () = assert!(size_of::<Header>() == 32);
const _: () = assert!(size_of::<Halves>() == 56);
const _: () = assert!(size_of::<RawHalf>() == 24);
const _: () = assert!(size_of::<Piece>() == 8);
const _: () = assert!(size_of::<RawProgress>() == 64);
const _: () = assert!(size_of::<Open>() == 232);

/// Made of integers only: any bytes are a value.
///
/// # Safety
/// The type is `repr(C)`, has no padding, and every bit pattern is valid.
pub unsafe trait Plain: Copy {}
unsafe impl Plain for Header {}
unsafe impl Plain for Halves {}
unsafe impl Plain for RawHalf {}
unsafe impl Plain for Piece {}
unsafe impl Plain for RawProgress {}
unsafe impl Plain for Open {}
unsafe impl Plain for Tls {}

pub fn read<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: there are enough bytes, any of them make a T, and the read does not need alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

impl Halves {
    /// The first half of `bytes`, and what stands behind it.
    pub fn split<'a>(&self, bytes: &'a [u8]) -> Option<(Half<'a>, &'a [u8])> {
        let raw: RawHalf = read(bytes)?;
        let rest = bytes.get(size_of::<RawHalf>()..)?;
        let length = usize::from(raw.bytes);
        let half = self.whole(&raw, rest.get(..length)?);
        Some((half, rest.get(length.next_multiple_of(8)..).unwrap_or_default()))
    }

    fn whole<'a>(&self, raw: &RawHalf, bytes: &'a [u8]) -> Half<'a> {
        let near = if raw.flags & HALF_SENT != 0 { self.sent } else { self.received };
        let time_ns = |after: i32| self.header.time_ns.wrapping_add_signed(after.into());
        let first_ns = time_ns(raw.first_ns);
        let waited_ns = raw.waited.checked_sub(1).map(|units| u64::from(units) * WAITED_NS);
        Half {
            offset: near.wrapping_add_signed((raw.offset.wrapping_sub(near as u32) as i32).into()),
            length: raw.length.into(),
            first_ns,
            last_ns: time_ns(raw.last_ns),
            arrived_ns: waited_ns.map(|waited_ns| first_ns.saturating_sub(waited_ns)),
            flags: raw.flags,
            bytes,
        }
    }
}

impl<'a> Half<'a> {
    /// Its pieces, (place, bytes): usually one, the front.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, &'a [u8])> {
        let (front, pieces) = match self.flags & HALF_PIECES {
            0 => (Some((0, self.bytes)).filter(|(_, bytes)| !bytes.is_empty()), &[][..]),
            _ => (None, self.bytes),
        };
        front.into_iter().chain(Pieces(pieces))
    }
}

/// Goes through the pieces of a half.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let piece: Piece = read(self.0)?;
        let start = size_of::<Piece>();
        let end = start + piece.length as usize;
        let bytes = self.0.get(start..end)?;
        self.0 = self.0.get(end.next_multiple_of(8)..).unwrap_or_default();
        Some((piece.place.into(), bytes))
    }
}

impl RawProgress {
    pub fn progress(&self) -> Progress {
        Progress {
            sent: self.sent,
            received: self.received,
            round_trip_ns: (self.round_trip_us > 0).then(|| u64::from(self.round_trip_us) * 1000),
            retransmits: self.retransmits.into(),
            segments: self.segments.into(),
        }
    }
}

impl Open {
    /// `unix_offset_ns` turns the kernel's monotonic time into Unix time.
    pub fn socket(&self, unix_offset_ns: u64) -> SocketInfo {
        let unix = i32::from(self.family) == libc::AF_UNIX;
        SocketInfo {
            id: self.header.socket,
            key: self.key(),
            transport: self.transport(),
            local: (!unix).then(|| (address(self.local), self.local_port)),
            remote: (!unix).then(|| (address(self.remote), self.remote_port)),
            unix_path: self.path(),
            side: self.side(),
            netns: self.netns,
            tgid: self.tgid,
            from_start: self.flags & OPEN_FROM_START != 0,
            opened_ns: self.opened_ns.wrapping_add(unix_offset_ns),
            connect_ns: (self.connect_us > 0).then(|| u64::from(self.connect_us) * 1000),
        }
    }

    /// As `KIND_CONNECT_FAILED`.
    pub fn failed(&self, unix_offset_ns: u64) -> FailedConnect {
        let mut socket = self.socket(unix_offset_ns);
        socket.key = ConnectionKey::Alone(socket.id);
        FailedConnect {
            socket,
            ended_ns: self.header.time_ns.wrapping_add(unix_offset_ns),
            errno: i32::try_from(self.header.reset).ok().filter(|errno| *errno != 0),
            retransmits: self.retransmits.into(),
        }
    }

    fn transport(&self) -> Transport {
        match self.is_unix() {
            true => Transport::UnixStream,
            false if self.flags & OPEN_DATAGRAMS != 0 => Transport::Udp,
            false if self.flags & OPEN_TLS != 0 => Transport::Tls,
            false => Transport::Tcp,
        }
    }

    pub fn is_unix(&self) -> bool {
        i32::from(self.family) == libc::AF_UNIX
    }

    fn key(&self) -> ConnectionKey {
        match self.transport() {
            Transport::UnixStream => ConnectionKey::Unix(self.key[0], self.key[1]),
            Transport::Tcp => ConnectionKey::Tcp { client_isn: self.key[0] as u32, server_isn: self.key[1] as u32 },
            Transport::Tls if self.flags & OPEN_FROM_START == 0 => ConnectionKey::Alone(self.header.socket),
            Transport::Tls => ConnectionKey::Tls { client_isn: self.key[0] as u32, server_isn: self.key[1] as u32 },
            Transport::Udp => self.datagram_key(),
        }
    }

    /// A datagram carries no numbers of its own: both ends know the client's address and both ports, unless a proxy stands
    /// between them.
    fn datagram_key(&self) -> ConnectionKey {
        let (local, remote) = (address(self.local), address(self.remote));
        let (client, client_port, server_port) = match self.side() {
            Some(Side::Server) => (remote, self.remote_port, self.local_port),
            _ => (source(local, remote), self.local_port, self.remote_port),
        };
        if client.is_unspecified() {
            return ConnectionKey::Alone(self.header.socket);
        }
        let netns = if client.is_loopback() { self.netns } else { 0 };
        ConnectionKey::Udp { client, client_port, server_port, netns }
    }

    fn side(&self) -> Option<Side> {
        match self.flags & (OPEN_ACTIVE | OPEN_PASSIVE) {
            OPEN_ACTIVE => Some(Side::Client),
            OPEN_PASSIVE => Some(Side::Server),
            _ => None,
        }
    }

    /// An abstract name begins with a zero byte, which is shown as `@`, as other tools do.
    fn path(&self) -> Option<String> {
        let bytes = self.unix_path.get(..self.unix_path_bytes as usize)?;
        let (prefix, name) = match bytes {
            [] => return None,
            [0, name @ ..] => ("@", name),
            name => ("", name),
        };
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(format!("{prefix}{}", String::from_utf8_lossy(name)))
    }
}

/// What an unconnected socket has as its own address when it sends there, as far as that is plain.
fn source(local: IpAddr, remote: IpAddr) -> IpAddr {
    match remote {
        _ if !local.is_unspecified() => local,
        IpAddr::V4(remote) if remote.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(remote) if remote.is_loopback() => Ipv6Addr::LOCALHOST.into(),
        _ => local,
    }
}

fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}
