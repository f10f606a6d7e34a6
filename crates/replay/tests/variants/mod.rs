//! One capture as other machines would have written it: other links, other file formats, and what networks do to packets.

/// An IP packet of the capture, with the link type and the bytes that a file has for it.
#[derive(Clone)]
pub struct Frame {
    pub time_ns: u64,
    pub link_type: u32,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Pcap,
    PcapNanoseconds,
    PcapBigEndian,
    /// Odd packets on an interface that counts nanoseconds from an offset, even ones on one that counts in 2^-30 seconds.
    PcapngTwoInterfaces,
}

const ETHERNET: u32 = 1;
const ETHERNET_HEADER: usize = 14;

/// The frames of a recorded file: tcpdump's on loopback, Ethernet, little-endian.
pub fn frames(file: &[u8]) -> Vec<Frame> {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut frames = Vec::new();
    if word(0) == 0xa1b2_c3d4 {
        assert_eq!(word(20), 1, "recorded on Ethernet");
        let mut at = 24;
        while at < file.len() {
            let (time_ns, length) = (word(at) as u64 * 1_000_000_000 + word(at + 4) as u64 * 1000, word(at + 8));
            frames.push(Frame { time_ns, link_type: ETHERNET, bytes: file[at + 16..at + 16 + length].to_vec() });
            at += 16 + length;
        }
        return frames;
    }
    assert_eq!(word(0), 0x0a0d_0d0a, "pcap or pcapng");
    let mut at = 0;
    while at < file.len() {
        if word(at) == 6 {
            let stamp = ((word(at + 12) as u64) << 32) | word(at + 16) as u64;
            let bytes = file[at + 28..at + 28 + word(at + 20)].to_vec();
            frames.push(Frame { time_ns: stamp * 1000, link_type: ETHERNET, bytes });
        }
        at += word(at + 4);
    }
    frames
}

impl Frame {
    fn ip(&self) -> &[u8] {
        &self.bytes[ETHERNET_HEADER..]
    }

    fn is_ipv6(&self) -> bool {
        self.ip()[0] >> 4 == 6
    }

    fn protocol(&self) -> u8 {
        self.ip()[if self.is_ipv6() { 6 } else { 9 }]
    }

    fn is_tcp(&self) -> bool {
        self.protocol() == 6
    }

    fn ethertype(&self) -> [u8; 2] {
        if self.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] }
    }

    fn with(&self, link_type: u32, head: &[u8], rest: &[u8]) -> Frame {
        Frame { time_ns: self.time_ns, link_type, bytes: [head, rest].concat() }
    }

    fn with_ip(&self, ip: &[u8]) -> Frame {
        let ethertype = if ip[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        self.with(ETHERNET, &[&[0; 12][..], &ethertype].concat(), ip)
    }
}

type Wrap = fn(&Frame) -> Frame;

pub const LINKS: &[(&str, Wrap)] = &[
    ("raw IP", |frame| frame.with(101, &[], frame.ip())),
    ("raw IP of OpenBSD", |frame| frame.with(14, &[], frame.ip())),
    ("null", |frame| frame.with(0, &[if frame.is_ipv6() { 30 } else { 2 }, 0, 0, 0], frame.ip())),
    ("loopback", |frame| frame.with(108, &[0, 0, 0, if frame.is_ipv6() { 24 } else { 2 }], frame.ip())),
    ("cooked v1", |frame| frame.with(113, &[&[0; 14][..], &frame.ethertype()].concat(), frame.ip())),
    ("cooked v2", |frame| frame.with(276, &[&frame.ethertype()[..], &[0; 18]].concat(), frame.ip())),
    ("VLAN", |frame| frame.with(1, &[&[0; 12][..], &[0x81, 0, 0, 7], &frame.ethertype()].concat(), frame.ip())),
    ("VLAN in VLAN", |frame| {
        let tags = [0x88, 0xa8, 0, 9, 0x81, 0, 0, 7];
        frame.with(1, &[&[0; 12][..], &tags, &frame.ethertype()].concat(), frame.ip())
    }),
    ("IPv6", |frame| frame.with_ip(&ipv6(frame, &[], frame.protocol()))),
    // Hop-by-hop options that say nothing: a pad of four bytes.
    ("IPv6 with options", |frame| frame.with_ip(&ipv6(frame, &[frame.protocol(), 0, 1, 4, 0, 0, 0, 0], 0))),
    ("padded by Ethernet", |frame| Frame { bytes: [&frame.bytes[..], &[0; 18]].concat(), ..frame.clone() }),
];

/// The IP packet's payload: a TCP segment or a UDP datagram.
fn payload(frame: &Frame) -> &[u8] {
    let ip = frame.ip();
    if frame.is_ipv6() { &ip[40..] } else { &ip[usize::from(ip[0] & 0xf) * 4..] }
}

/// The same segment between the same addresses, mapped into IPv6 documentation space.
fn ipv6(frame: &Frame, extension: &[u8], next: u8) -> Vec<u8> {
    let ip = frame.ip();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend_from_slice(&((extension.len() + payload(frame).len()) as u16).to_be_bytes());
    packet.extend_from_slice(&[next, 64]);
    if frame.is_ipv6() {
        packet.extend_from_slice(&ip[8..40]);
    } else {
        for address in [&ip[12..16], &ip[16..20]] {
            packet.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0]);
            packet.extend_from_slice(address);
        }
    }
    packet.extend_from_slice(extension);
    packet.extend_from_slice(payload(frame));
    packet
}

/// Every IPv4 packet of more than 64 bytes as fragments of 64.
pub fn fragmented(frames: &[Frame], last_first: bool) -> Vec<Frame> {
    let mut out = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        if frame.is_ipv6() {
            out.push(frame.clone());
            continue;
        }
        let (ip, payload) = (frame.ip(), payload(frame));
        // At most 256 fragments of a packet are put together.
        let size = (payload.len() / 128).max(64).next_multiple_of(8);
        let last = payload.len().div_ceil(size) - 1;
        let mut pieces: Vec<Frame> = (0..=last)
            .map(|piece| {
                let part = &payload[piece * size..payload.len().min((piece + 1) * size)];
                let mut header = ip[..ip.len() - payload.len()].to_vec();
                let total = (header.len() + part.len()) as u16;
                let offset = (piece * size / 8) as u16 | if piece < last { 0x2000 } else { 0 };
                header[2..4].copy_from_slice(&total.to_be_bytes());
                header[4..6].copy_from_slice(&(number as u16).to_be_bytes());
                header[6..8].copy_from_slice(&offset.to_be_bytes());
                frame.with_ip(&[&header[..], part].concat())
            })
            .collect();
        if last_first {
            pieces.reverse();
        }
        out.extend(pieces);
    }
    out
}

/// Consecutive segments with payload of one direction change places.
pub fn reordered(mut frames: Vec<Frame>) -> Vec<Frame> {
    let has_payload = |frame: &Frame| frame.is_tcp() && payload(frame).len() > usize::from(payload(frame)[12] >> 4) * 4;
    let ports = |frame: &Frame| payload(frame)[..4].to_vec();
    let mut at = 0;
    while at + 1 < frames.len() {
        let (first, second) = (&frames[at], &frames[at + 1]);
        if has_payload(first) && has_payload(second) && ports(first) == ports(second) {
            let (early_ns, late_ns) = (first.time_ns, second.time_ns);
            frames.swap(at, at + 1);
            (frames[at].time_ns, frames[at + 1].time_ns) = (early_ns, late_ns);
            at += 1;
        }
        at += 1;
    }
    frames
}

/// Every segment in halves, the second half first.
pub fn split(frames: &[Frame]) -> Vec<Frame> {
    frames.iter().flat_map(halves).collect()
}

fn halves(frame: &Frame) -> Vec<Frame> {
    if !frame.is_tcp() {
        return vec![frame.clone()];
    }
    let segment = payload(frame);
    let header = usize::from(segment[12] >> 4) * 4;
    let (payload, closing) = (&segment[header..], segment[13] & 0b111 != 0);
    if frame.is_ipv6() || payload.len() < 2 || closing {
        return vec![frame.clone()];
    }
    let middle = payload.len() / 2;
    let part = |payload: &[u8], skipped: usize| {
        let ip = frame.ip();
        let mut head = ip[..ip.len() - segment.len() + header].to_vec();
        let (total, tcp_at) = ((head.len() + payload.len()) as u16, head.len() - header);
        head[2..4].copy_from_slice(&total.to_be_bytes());
        let sequence = u32::from_be_bytes(segment[4..8].try_into().unwrap()).wrapping_add(skipped as u32);
        head[tcp_at + 4..tcp_at + 8].copy_from_slice(&sequence.to_be_bytes());
        frame.with_ip(&[&head[..], payload].concat())
    };
    vec![part(&payload[middle..], middle), part(&payload[..middle], 0)]
}

pub fn write(format: Format, frames: &[Frame]) -> Vec<u8> {
    if format == Format::PcapngTwoInterfaces {
        return pcapng(frames);
    }
    let big = format == Format::PcapBigEndian;
    let nanoseconds = format == Format::PcapNanoseconds;
    let word = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let half = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
    let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let link_type = frames.first().map_or(ETHERNET, |frame| frame.link_type);
    let mut out = [&word(magic)[..], &half(2), &half(4), &word(0), &word(0), &word(262_144), &word(link_type)].concat();
    for frame in frames {
        let fraction = (frame.time_ns % 1_000_000_000) as u32 / if nanoseconds { 1 } else { 1000 };
        let length = word(frame.bytes.len() as u32);
        out.extend([word((frame.time_ns / 1_000_000_000) as u32), word(fraction), length, length].concat());
        out.extend_from_slice(&frame.bytes);
    }
    out
}

const OFFSET_SECONDS: u64 = 1_000_000_000;

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = ((12 + body.len() + padding.len()) as u32).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, body, &padding, &length].concat()
}

fn pcapng(frames: &[Frame]) -> Vec<u8> {
    let option = |code: u16, value: &[u8]| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [&code.to_le_bytes()[..], &(value.len() as u16).to_le_bytes(), value, &padding].concat()
    };
    let interface = |options: &[Vec<u8>]| {
        block(1, &[&(ETHERNET as u16).to_le_bytes()[..], &[0; 2], &[0; 4], &options.concat(), &[0; 4]].concat())
    };
    let mut out = block(0x0a0d_0d0a, &[&0x1a2b_3c4du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat());
    out.extend(interface(&[option(9, &[9]), option(14, &OFFSET_SECONDS.to_le_bytes())]));
    out.extend(interface(&[option(2, b"eth1"), option(9, &[0x80 | 30])]));
    for (at, frame) in frames.iter().enumerate() {
        let stamp = match at % 2 {
            0 => frame.time_ns - OFFSET_SECONDS * 1_000_000_000,
            // Rounded up, so that the whole microsecond is what is left of it.
            _ => ((u128::from(frame.time_ns) << 30).div_ceil(1_000_000_000)) as u64,
        };
        let length = (frame.bytes.len() as u32).to_le_bytes();
        let head = [
            ((at % 2) as u32).to_le_bytes(),
            ((stamp >> 32) as u32).to_le_bytes(),
            (stamp as u32).to_le_bytes(),
            length,
            length,
        ];
        out.extend(block(6, &[&head.concat()[..], &frame.bytes].concat()));
    }
    out
}
