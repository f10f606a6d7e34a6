//! One DNS message: header, question, records (RFC 1035 section 4). What was captured of it may be only its front.

use super::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const HEADER_BYTES: usize = 12;
const A: u16 = 1;
const CNAME: u16 = 5;
pub const SOA: u16 = 6;
const AAAA: u16 = 28;
const OPT: u16 = 41;
const IN: u16 = 1;
/// Of one answer; more addresses name no peer better.
const MAX_ADDRESSES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    Query,
    Notify,
    Update,
    /// Obsolete, or none at all.
    Other(u8),
}

#[derive(Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
}

pub struct Question {
    pub name: Name,
    /// Of all that makes two questions the same: name, type, class and opcode.
    pub hash: u32,
    pub kind: u16,
    end: usize,
}

pub struct Record<'a> {
    pub kind: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
}

impl<'a> Message<'a> {
    /// `None` if there is no whole header.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= HEADER_BYTES).then_some(Message { bytes })
    }

    fn number(&self, at: usize) -> u16 {
        be16(self.bytes, at).unwrap_or_default()
    }

    pub fn id(&self) -> u16 {
        self.number(0)
    }

    fn flags(&self) -> u16 {
        self.number(2)
    }

    pub fn is_answer(&self) -> bool {
        self.flags() & 0x8000 != 0
    }

    pub fn opcode(&self) -> Opcode {
        match (self.flags() >> 11 & 0xf) as u8 {
            0 => Opcode::Query,
            4 => Opcode::Notify,
            5 => Opcode::Update,
            other => Opcode::Other(other),
        }
    }

    pub fn is_truncated(&self) -> bool {
        self.flags() & 0x0200 != 0
    }

    pub fn rcode(&self) -> u16 {
        self.flags() & 0xf
    }

    pub fn questions(&self) -> u16 {
        self.number(4)
    }

    pub fn answers(&self) -> u16 {
        self.number(6)
    }

    /// Whether a header can be one: bits that must be zero, and counts that a message has room for.
    pub fn is_plausible(&self, length: u64) -> bool {
        let [questions, records] =
            [u64::from(self.questions()), (6..HEADER_BYTES).step_by(2).map(|at| u64::from(self.number(at))).sum()];
        let known = !matches!(self.opcode(), Opcode::Other(opcode) if opcode > 6);
        known && HEADER_BYTES as u64 + questions * 5 + records * 11 <= length
    }

    /// The first question.
    pub fn question(&self) -> Option<Question> {
        if self.questions() == 0 {
            return None;
        }
        let mut name = Name::default();
        let at = name.read(self.bytes, HEADER_BYTES)?;
        let (kind, class) = (be16(self.bytes, at)?, be16(self.bytes, at + 2)?);
        let opcode = (self.flags() & 0x7800) as u8;
        let hash = name.wire().iter().copied().chain(kind.to_be_bytes()).chain(class.to_be_bytes()).chain([opcode]);
        // FNV-1a: short names, a byte at a time.
        let hash = hash.fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        Some(Question { name, hash, kind, end: at + 4 })
    }

    /// Whether the first question is of a class that exists.
    pub fn has_known_class(&self, question: &Question) -> bool {
        matches!(be16(self.bytes, question.end - 2), Some(1 | 3 | 4 | 254 | 255))
    }

    /// The records of the answer, or all, as far as they were captured.
    fn records(&self, question: Option<&Question>, all: bool) -> Records<'a> {
        let behind_first = question.map_or(HEADER_BYTES, |question| question.end);
        let at = (1..self.questions()).try_fold(behind_first, |at, _| Some(skip_name(self.bytes, at)? + 4));
        let sections = if all { 6..HEADER_BYTES } else { 6..8 };
        let count = sections.step_by(2).map(|at| u32::from(self.number(at))).sum();
        Records { bytes: self.bytes, at: at.unwrap_or(self.bytes.len()), left: count }
    }

    pub fn answer_records(&self, question: Option<&Question>) -> Records<'a> {
        self.records(question, false)
    }

    /// The answer's code with what EDNS adds to it (RFC 6891 section 6.1.3), and the addresses that it has for its
    /// question, with the seconds for which they hold with all the aliases on the way to them: as far as captured.
    pub fn outcome(&self, question: &Question, addresses: &mut Vec<(IpAddr, u32)>) -> u16 {
        let (mut code, mut aliases, answers) = (self.rcode(), u32::MAX, usize::from(self.answers()));
        // The option stands behind all others, if there is one.
        for (number, record) in self.records(Some(question), self.number(10) > 0).enumerate() {
            match record.kind {
                OPT => code |= ((record.ttl >> 24) as u16) << 4,
                CNAME if number < answers => aliases = aliases.min(record.ttl),
                A | AAAA if number < answers && addresses.len() < MAX_ADDRESSES => {
                    addresses.extend(record.address().map(|address| (address, record.ttl)));
                }
                _ => {}
            }
        }
        if code == 0 {
            addresses.iter_mut().for_each(|(_, ttl)| *ttl = (*ttl).min(aliases));
        } else {
            addresses.clear();
        }
        code
    }
}

impl Record<'_> {
    fn address(&self) -> Option<IpAddr> {
        match self.kind {
            _ if self.class != IN => None,
            A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(self.data).ok()?).into()),
            AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(self.data).ok()?).into()),
            _ => None,
        }
    }
}

pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let at = skip_name(self.bytes, self.at)?;
        let (kind, class, length) = (be16(self.bytes, at)?, be16(self.bytes, at + 2)?, be16(self.bytes, at + 8)?);
        let ttl = u32::from(be16(self.bytes, at + 4)?) << 16 | u32::from(be16(self.bytes, at + 6)?);
        self.at = at + 10 + usize::from(length);
        Some(Record { kind, class, ttl, data: self.bytes.get(at + 10..self.at)? })
    }
}

fn skip_name(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length @ 1..=0x3f => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}
