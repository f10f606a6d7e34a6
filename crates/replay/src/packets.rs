//! Packets out of pcap and pcapng files. Sources: the IETF drafts "PCAP Capture File Format" and "PCAP Next Generation".
//! Damage inside a file ends the reading of it, counted; only a file that is no capture at all is an error.

/// Larger than any snap length in use; a larger length field is damage.
const MAX_PACKET_BYTES: usize = 256 * 1024;
const MAX_INTERFACES: usize = 4096;

pub struct Packet<'a> {
    pub time_ns: u64,
    pub link_type: u32,
    pub data: &'a [u8],
    /// Bytes that were on the wire and not kept.
    pub missing: usize,
}

/// Calls `each` for every packet; returns how many bytes at the end could not be read.
pub fn read(file: &[u8], each: impl FnMut(Packet<'_>)) -> Result<usize, &'static str> {
    match file.get(..4) {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => read_blocks(file, each),
        Some(magic) => match Classic::of(magic) {
            Some(classic) if file.len() >= 24 => Ok(classic.read(file, each)),
            _ => Err("neither a pcap nor a pcapng file"),
        },
        None => Err("neither a pcap nor a pcapng file"),
    }
}

#[derive(Clone, Copy)]
struct Endian {
    big: bool,
}

impl Endian {
    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }
}

struct Classic {
    endian: Endian,
    /// Nanoseconds of one unit of the fraction.
    unit_ns: u64,
    /// Bytes of a packet's header: the variant of Alexey Kuznetzov's patched libpcap has eight more.
    header: usize,
}

impl Classic {
    fn of(magic: &[u8]) -> Option<Self> {
        let classic = |big, unit_ns, header| Some(Classic { endian: Endian { big }, unit_ns, header });
        match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => classic(true, 1000, 16),
            [0xd4, 0xc3, 0xb2, 0xa1] => classic(false, 1000, 16),
            [0xa1, 0xb2, 0x3c, 0x4d] => classic(true, 1, 16),
            [0x4d, 0x3c, 0xb2, 0xa1] => classic(false, 1, 16),
            [0xa1, 0xb2, 0xcd, 0x34] => classic(true, 1000, 24),
            [0x34, 0xcd, 0xb2, 0xa1] => classic(false, 1000, 24),
            _ => None,
        }
    }

    fn read(&self, file: &[u8], mut each: impl FnMut(Packet<'_>)) -> usize {
        // The upper bits of the link type hold the length of a frame check sequence.
        let link_type = self.endian.u32(file, 20).unwrap_or_default() & 0xffff;
        let mut at = 24;
        while at < file.len() {
            let Some((packet, next)) = self.packet(file, at, link_type) else { return file.len() - at };
            each(packet);
            at = next;
        }
        0
    }

    fn packet<'a>(&self, file: &'a [u8], at: usize, link_type: u32) -> Option<(Packet<'a>, usize)> {
        let number = |offset| self.endian.u32(file, at + offset);
        let (seconds, fraction, kept, length) = (number(0)?, number(4)?, number(8)? as usize, number(12)? as usize);
        let start = at.checked_add(self.header)?;
        if kept > MAX_PACKET_BYTES || start > file.len() {
            return None;
        }
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit_ns;
        // The file may end inside its last packet: what is there is read.
        let end = (start + kept).min(file.len());
        let data = &file[start..end];
        Some((Packet { time_ns, link_type, data, missing: length.saturating_sub(data.len()) }, end))
    }
}

#[derive(Clone, Copy)]
struct Interface {
    link_type: u32,
    snap_length: usize,
    /// A time stamp counts 10^-resolution seconds, or 2^-(resolution & 127) when the top bit is set.
    resolution: u8,
    offset_seconds: i64,
}

impl Interface {
    fn time_ns(&self, stamp: u64) -> u64 {
        let nanoseconds = if self.resolution & 0x80 != 0 {
            (u128::from(stamp) * 1_000_000_000) >> (self.resolution & 0x7f).min(127)
        } else {
            u128::from(stamp) * 1_000_000_000 / 10u128.pow(u32::from(self.resolution.min(20)))
        };
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        u64::try_from(nanoseconds as i128 + offset).unwrap_or_default()
    }
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

fn read_blocks(file: &[u8], mut each: impl FnMut(Packet<'_>)) -> Result<usize, &'static str> {
    let mut endian = Endian { big: false };
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut at = 0;
    while at < file.len() {
        if file.get(at..at + 4) == Some(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            endian = match file.get(at + 8..at + 12) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Endian { big: true },
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Endian { big: false },
                _ if at == 0 => return Err("a pcapng file whose byte order cannot be told"),
                _ => return Ok(file.len() - at),
            };
            interfaces.clear();
        }
        let Some((kind, body, next)) = block(endian, file, at) else { return Ok(file.len() - at) };
        match kind {
            SECTION => {}
            INTERFACE if interfaces.len() < MAX_INTERFACES => interfaces.extend(interface(endian, body)),
            ENHANCED_PACKET | PACKET | SIMPLE_PACKET => {
                if let Some(packet) = block_packet(kind, endian, body, &interfaces) {
                    each(packet);
                }
            }
            _ => {}
        }
        at = next;
    }
    Ok(0)
}

fn block(endian: Endian, file: &[u8], at: usize) -> Option<(u32, &[u8], usize)> {
    let kind = endian.u32(file, at)?;
    let length = endian.u32(file, at + 4)? as usize;
    let next = at.checked_add(length)?;
    if length < 12 || length % 4 != 0 || next > file.len() {
        return None;
    }
    Some((kind, &file[at + 8..next - 4], next))
}

fn interface(endian: Endian, body: &[u8]) -> Option<Interface> {
    let mut interface = Interface {
        link_type: u32::from(endian.u16(body, 0)?),
        snap_length: endian.u32(body, 4)? as usize,
        resolution: 6,
        offset_seconds: 0,
    };
    let mut at = 8;
    while let (Some(code), Some(length)) = (endian.u16(body, at), endian.u16(body, at + 2)) {
        let value = body.get(at + 4..at + 4 + usize::from(length)).unwrap_or_default();
        match (code, value) {
            (0, _) => break,
            (9, [resolution, ..]) => interface.resolution = *resolution,
            (14, value) if value.len() == 8 => {
                let (first, second) = (endian.u32(value, 0)?, endian.u32(value, 4)?);
                let (high, low) = if endian.big { (first, second) } else { (second, first) };
                interface.offset_seconds = ((u64::from(high) << 32) | u64::from(low)) as i64;
            }
            _ => {}
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    Some(interface)
}

fn block_packet<'a>(kind: u32, endian: Endian, body: &'a [u8], interfaces: &[Interface]) -> Option<Packet<'a>> {
    if kind == SIMPLE_PACKET {
        let interface = interfaces.first()?;
        let length = endian.u32(body, 0)? as usize;
        let limit = if interface.snap_length == 0 { usize::MAX } else { interface.snap_length };
        let kept = length.min(limit).min(body.len() - 4);
        let data = &body[4..4 + kept];
        return Some(Packet { time_ns: 0, link_type: interface.link_type, data, missing: length - kept });
    }
    // The obsolete packet block has 16 bits of interface and 16 of drops where the enhanced one has 32 of interface.
    let number = if kind == PACKET { usize::from(endian.u16(body, 0)?) } else { endian.u32(body, 0)? as usize };
    let interface = interfaces.get(number)?;
    let stamp = (u64::from(endian.u32(body, 4)?) << 32) | u64::from(endian.u32(body, 8)?);
    let (kept, length) = (endian.u32(body, 12)? as usize, endian.u32(body, 16)? as usize);
    let data = body.get(20..20usize.checked_add(kept)?.min(body.len()))?;
    Some(Packet {
        time_ns: interface.time_ns(stamp),
        link_type: interface.link_type,
        data,
        missing: length.saturating_sub(data.len()),
    })
}
