//! From a frame to a TCP segment or a UDP datagram: link layers, VLAN tags, IPv4 with fragments, IPv6 with extension headers.
//! Tunnels are not looked into: their packets are counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub struct Segment<'a> {
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
    pub sequence: u32,
    pub acknowledgement: Option<u32>,
    pub flags: u8,
    pub payload: &'a [u8],
    /// Payload bytes that the capture did not keep.
    pub missing: usize,
}

pub struct Datagram<'a> {
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
    pub payload: &'a [u8],
    /// With what the capture did not keep.
    pub length: usize,
}

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;

const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// What a frame turned out to hold.
pub enum Content<'a> {
    Ip(IpPacket<'a>),
    /// Readable, and nothing of ours: ARP, ICMP …
    Other,
    /// An unknown link type, a tunnel, a cut or damaged header.
    Unplaced,
}

pub struct IpPacket<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub payload: &'a [u8],
    pub missing: usize,
    /// (identification, offset in bytes, more fragments follow)
    pub fragment: Option<(u32, usize, bool)>,
}

const LINK_NULL: u32 = 0;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW: &[u32] = &[12, 14, 101];
const LINK_LOOP: u32 = 108;
const LINK_COOKED: u32 = 113;
const LINK_IPV4: u32 = 228;
const LINK_IPV6: u32 = 229;
const LINK_COOKED_2: u32 = 276;

const MAX_TAGS: usize = 4;
const MAX_EXTENSION_HEADERS: usize = 8;

pub fn content(link_type: u32, frame: &[u8], missing: usize) -> Content<'_> {
    let (kind, payload) = match link_type {
        LINK_ETHERNET => (be16(frame, 12), frame.get(14..)),
        LINK_COOKED => (be16(frame, 14), frame.get(16..)),
        LINK_COOKED_2 => (be16(frame, 0), frame.get(20..)),
        // The address family is in the byte order of the machine that captured, and differs between systems; what the
        // packet itself says is enough.
        LINK_NULL | LINK_LOOP => return by_version(frame.get(4..).unwrap_or_default(), missing),
        LINK_IPV4 | LINK_IPV6 => return by_version(frame, missing),
        link if LINK_RAW.contains(&link) => return by_version(frame, missing),
        _ => return Content::Unplaced,
    };
    match (kind, payload) {
        (Some(kind), Some(payload)) => ethertype(kind, payload, missing),
        _ => Content::Unplaced,
    }
}

fn ethertype(mut kind: u16, mut payload: &[u8], missing: usize) -> Content<'_> {
    for _ in 0..MAX_TAGS {
        match kind {
            0x0800 | 0x86dd => return by_version(payload, missing),
            0x8100 | 0x88a8 | 0x9100 => match (be16(payload, 2), payload.get(4..)) {
                (Some(inner), Some(rest)) => (kind, payload) = (inner, rest),
                _ => return Content::Unplaced,
            },
            // ARP, and lengths of IEEE 802.3 frames (spanning tree and the like).
            0x0806 | 0..=0x05ff => return Content::Other,
            _ => return Content::Unplaced,
        }
    }
    Content::Unplaced
}

fn by_version(packet: &[u8], missing: usize) -> Content<'_> {
    let read = match packet.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(packet, missing),
        Some(6) => ipv6(packet, missing),
        _ => None,
    };
    match read {
        Some(packet) => match packet.protocol {
            TCP | UDP => Content::Ip(packet),
            // IP in IP, IPv6, GRE: tunnels.
            4 | 41 | 47 => Content::Unplaced,
            _ => Content::Other,
        },
        None => Content::Unplaced,
    }
}

fn ipv4(packet: &[u8], missing: usize) -> Option<IpPacket<'_>> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(be16(packet, 2)?);
    let flags = be16(packet, 6)?;
    let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    let destination: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    // Segmentation offload leaves the length zero: then the packet is what was captured.
    let total = if total == 0 { packet.len() + missing } else { total };
    if header < 20 || total < header {
        return None;
    }
    let payload = packet.get(header..total.min(packet.len()))?;
    let offset = usize::from(flags & 0x1fff) * 8;
    let more = flags & 0x2000 != 0;
    Some(IpPacket {
        source: IpAddr::V4(Ipv4Addr::from(source)),
        destination: IpAddr::V4(Ipv4Addr::from(destination)),
        protocol: *packet.get(9)?,
        payload,
        missing: (total - header).saturating_sub(payload.len()).min(missing),
        fragment: (more || offset > 0).then_some((u32::from(be16(packet, 4)?), offset, more)),
    })
}

fn ipv6(packet: &[u8], missing: usize) -> Option<IpPacket<'_>> {
    let length = usize::from(be16(packet, 4)?);
    let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
    let destination: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
    let total = if length == 0 { packet.len() + missing } else { 40 + length };
    let mut payload = packet.get(40..total.min(packet.len()))?;
    let mut next = *packet.get(6)?;
    let mut fragment = None;
    let mut expected = total - 40;
    for _ in 0..MAX_EXTENSION_HEADERS {
        let size = match next {
            // Hop-by-hop, routing, destination options.
            0 | 43 | 60 => (usize::from(*payload.get(1)?) + 1) * 8,
            44 => {
                let word = be16(payload, 2)?;
                let id = u32::from_be_bytes(payload.get(4..8)?.try_into().ok()?);
                fragment = Some((id, usize::from(word & 0xfff8), word & 1 != 0));
                8
            }
            51 => (usize::from(*payload.get(1)?) + 2) * 4,
            _ => break,
        };
        next = *payload.first()?;
        payload = payload.get(size..)?;
        expected = expected.saturating_sub(size);
        // Behind the header of a later fragment stands no further header.
        if fragment.is_some_and(|(_, offset, _)| offset > 0) {
            break;
        }
    }
    Some(IpPacket {
        source: IpAddr::V6(Ipv6Addr::from(source)),
        destination: IpAddr::V6(Ipv6Addr::from(destination)),
        protocol: next,
        missing: expected.saturating_sub(payload.len()).min(missing),
        payload,
        fragment,
    })
}

/// The TCP segment in an IP packet's payload.
pub fn segment(source: IpAddr, destination: IpAddr, payload: &[u8], missing: usize) -> Option<Segment<'_>> {
    let header = usize::from(payload.get(12)? >> 4) * 4;
    let flags = *payload.get(13)?;
    let number = |at: usize| Some(u32::from_be_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    if header < 20 {
        return None;
    }
    Some(Segment {
        source: (source, be16(payload, 0)?),
        destination: (destination, be16(payload, 2)?),
        sequence: number(4)?,
        acknowledgement: if flags & ACK != 0 { number(8) } else { None },
        flags,
        payload: payload.get(header..)?,
        missing,
    })
}

/// The UDP datagram in an IP packet's payload.
pub fn datagram(source: IpAddr, destination: IpAddr, payload: &[u8], missing: usize) -> Option<Datagram<'_>> {
    const HEADER: usize = 8;
    let (head, behind) = payload.split_at_checked(HEADER)?;
    // Segmentation offload leaves the length zero: then the datagram is what was captured.
    let length = match usize::from(be16(head, 4)?) {
        0 => behind.len() + missing,
        length => length.checked_sub(HEADER)?,
    };
    Some(Datagram {
        source: (source, be16(head, 0)?),
        destination: (destination, be16(head, 2)?),
        payload: behind.get(..length).unwrap_or(behind),
        length,
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
