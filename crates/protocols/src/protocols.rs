//! The table of protocols, in the order in which detection asks them.

use crate::{Detection, Options, Parser};
use limpid_model::Direction;

/// What the kernel copies of each call once a protocol is pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// Up to this many bytes from the front of each call: headers are at the front, a body is only counted.
    Head(u32),
    /// Every message has a length in front; up to `head` bytes of each message, all messages of a call.
    Framed(Framing),
    /// Up to this many bytes a call.
    All(u32),
    /// Nothing: not a protocol of ours, or one that is switched off.
    Nothing,
}

/// Where a message's length stands. The message has `length + adjust` bytes in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    pub kind: FramingKind,
    /// Bytes of each message that are copied at most.
    pub head: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingKind {
    /// A big-endian length of 4 bytes after a type byte, counting itself (PostgreSQL).
    TypeLength32,
    /// RESP: `$<length>\r\n` announces a string; strings longer than `head` are elided behind their first bytes.
    Resp,
}

pub struct Protocol {
    pub name: &'static str,
    /// Usual server ports: a hint for detection and for who is the server, never a condition.
    pub ports: &'static [u16],
    /// Looks at the first bytes of one direction.
    pub detect: fn(Direction, &[u8]) -> Detection,
    pub parser: fn(&Options) -> Box<dyn Parser>,
    pub capture: Capture,
    /// Answers come in any order: `Parser::needed_from` says what those in flight still need.
    pub unordered: bool,
    /// The server speaks first: a client that was connected waits for it.
    pub greets: bool,
    /// The protocol as the semantic conventions call it (`http`, `db.system.name`…): see `conventions`.
    pub specification: &'static str,
}

pub static PROTOCOLS: &[Protocol] = &[
    crate::http::PROTOCOL,
    crate::http2::PROTOCOL,
    crate::http2::GRPC,
    crate::redis::PROTOCOL,
    crate::postgresql::PROTOCOL,
    crate::mysql::PROTOCOL,
    crate::dns::PROTOCOL,
    crate::tls::PROTOCOL,
    crate::quic::PROTOCOL,
];

/// How a protocol is read from datagrams, each of which is one message.
pub struct Datagram {
    pub protocol: &'static Protocol,
    /// Looks at one datagram; of a long one only the front may be there.
    pub detect: fn(Direction, &[u8]) -> Detection,
    /// Is shown one datagram at a time, with what was not captured of it as `gap_after`. `Need` says that it answers
    /// what was not asked: the engine shows it again when more was asked, for as long as the question may be late.
    pub parser: fn(&Options) -> Box<dyn Parser>,
    /// Ports (of the client, of the server) of what looks the same and is something else.
    pub excludes: fn(u16, u16) -> bool,
}

/// Those of the table above that are spoken in datagrams.
pub static DATAGRAMS: &[Datagram] = &[crate::dns::DATAGRAM, crate::quic::DATAGRAM];

/// Protocols that are switched off: found as always, and then not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwitchedOff(u128);

const _: () = assert!(PROTOCOLS.len() <= 128, "a bit of `SwitchedOff` for each protocol");

impl SwitchedOff {
    /// Names that are no protocol's are nobody's.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> SwitchedOff {
        names.into_iter().fold(SwitchedOff::default(), |off, name| SwitchedOff(off.0 | SwitchedOff::bit(name)))
    }

    pub fn has(self, protocol: &Protocol) -> bool {
        self.0 & SwitchedOff::bit(protocol.name) != 0
    }

    fn bit(name: &str) -> u128 {
        PROTOCOLS.iter().position(|protocol| protocol.name == name).map_or(0, |place| 1 << place)
    }
}
