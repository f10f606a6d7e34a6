//! QUIC (RFC 9000, 9001, 9369): what the Initial packets say of a connection that cannot be read.
//!
//! Their keys can be derived from the first packet. A connection is one request, its handshake: from the client's first
//! packet to its first one with a short header, which it sends when it has finished. Then nothing more is read.

mod crypto;
mod keys;
mod packet;
#[cfg(test)]
mod tests;

use self::crypto::Crypto;
use self::keys::Keys;
use self::packet::{Frame, Kind, Packet};
use crate::parser::Outstanding;
use crate::protocols::{Capture, Datagram};
use crate::tls::handshake::{Handshake, Outcome};
use crate::tls::messages::Messages;
use crate::tls::reader::Reader;
use crate::{Detection, Input, Options, Parser, Protocol, Sink, Step};
use limpid_model::{Direction, Unanswered};

const NAME: &str = "quic";
/// Packets in one datagram.
const MAX_PACKETS: usize = 16;
/// Codes of a close that are alerts of TLS (RFC 9001 section 4.8).
const CRYPTO_ERRORS: u64 = 0x100;
const SIDES: [&str; 2] = ["client in", "server in"];

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[443],
    detect: |_, _| Detection::No,
    parser: |options| Box::new(Quic::new(options)),
    capture: Capture::All(4096),
    unordered: false,
    greets: false,
    specification: NAME,
};

pub(crate) const DATAGRAM: Datagram =
    Datagram { protocol: &PROTOCOL, detect, parser: |options| Box::new(Quic::new(options)), excludes: |_, _| false };

/// A client's first packet proves itself: it can be decrypted with what stands in it.
fn detect(direction: Direction, data: &[u8]) -> Detection {
    let opens = || {
        let (packet, _) = packet::first(data)?;
        let begins = direction == Direction::ToServer && packet.kind == Kind::Initial && keys::is_known(packet.version);
        let keys = begins.then(|| Keys::new(packet.version, packet.destination, SIDES[0]))??;
        keys.open(packet.bytes, packet.number_at, &mut Vec::new()).then_some(())
    };
    if opens().is_some() { Detection::Yes } else { Detection::No }
}

#[derive(Default)]
struct Half {
    crypto: Crypto,
    messages: Messages,
    keys: Option<Keys>,
}

struct Quic {
    handshake: Handshake,
    halves: [Half; 2],
    /// Where the keys come from: the destination of the client's first packet, or of its first one after a Retry.
    origin: Vec<u8>,
    version: u32,
    /// Of the last packet that was opened.
    frames: Vec<u8>,
}

impl Quic {
    fn new(options: &Options) -> Self {
        Quic {
            handshake: Handshake::new(options.details),
            halves: Default::default(),
            origin: Vec::new(),
            version: 0,
            frames: Vec::new(),
        }
    }

    /// The server may go on in another version with the same origin (RFC 9368); a client that was sent elsewhere, or told
    /// of other versions, begins anew.
    fn opens(&mut self, direction: Direction, packet: &Packet<'_>) -> bool {
        let keys = self.halves[direction as usize].keys.as_ref();
        if packet.version == self.version && open(keys, packet, &mut self.frames) {
            return true;
        }
        let origin = std::mem::take(&mut self.origin);
        let known = !origin.is_empty() && self.derive(direction, packet, &origin);
        let anew = !known && direction == Direction::ToServer && self.derive(direction, packet, packet.destination);
        if anew {
            self.halves[direction as usize].crypto = Crypto::default();
            self.halves[direction as usize].messages = Messages::default();
            self.origin = packet.destination.to_vec();
        } else {
            self.origin = origin;
        }
        known || anew
    }

    /// Keys for both sides, if they open this packet.
    fn derive(&mut self, direction: Direction, packet: &Packet<'_>, origin: &[u8]) -> bool {
        let made = SIDES.map(|label| Keys::new(packet.version, origin, label));
        if !open(made[direction as usize].as_ref(), packet, &mut self.frames) {
            return false;
        }
        for (half, made) in self.halves.iter_mut().zip(made) {
            half.keys = made;
        }
        self.version = packet.version;
        true
    }

    /// The frames of an Initial packet that was opened.
    fn read_frames(&mut self, direction: Direction, sink: &mut dyn Sink) -> Option<Outcome> {
        let Quic { handshake, halves, frames, .. } = self;
        let Half { crypto, messages, .. } = &mut halves[direction as usize];
        let mut reader = Reader::new(frames);
        let mut closed = None;
        while let Some(frame) = packet::frame(&mut reader) {
            match frame {
                Frame::Crypto { offset, data } => crypto.put(offset, data),
                Frame::Close { code } => closed = Some(code),
                Frame::Other => {}
            }
            if closed.is_some() {
                break;
            }
        }
        let facts = &mut handshake.facts;
        messages.push(crypto.next(), |_| true, |kind, body| facts.read(direction, kind, body));
        handshake.note_facts(true, sink);
        closed.map(|code| Outcome::Alert((code & !0xff == CRYPTO_ERRORS).then_some(code as u8)))
    }

    fn packet(&mut self, direction: Direction, packet: &Packet<'_>, input: &Input<'_>, sink: &mut dyn Sink) -> Read {
        match packet.kind {
            Kind::Initial if keys::is_known(packet.version) && self.opens(direction, packet) => {
                if self.handshake.request.is_none() {
                    self.handshake.begin(NAME, input);
                }
                self.read_frames(direction, sink).map_or(Read::Yes, Read::Ends)
            }
            // Of a server that was asked in clear, and says which versions it knows or wants the client to prove its address.
            Kind::VersionNegotiation | Kind::Retry => Read::of(self.handshake.in_flight() > 0),
            Kind::Handshake => {
                self.handshake.client_spoke |= direction == Direction::ToServer;
                Read::of(self.handshake.in_flight() > 0)
            }
            Kind::OneRtt if direction == Direction::ToServer && self.handshake.in_flight() > 0 => {
                Read::Ends(Outcome::Finished)
            }
            Kind::OneRtt | Kind::ZeroRtt => Read::of(self.handshake.in_flight() > 0),
            Kind::Initial => Read::No,
        }
    }
}

fn open(keys: Option<&Keys>, packet: &Packet<'_>, frames: &mut Vec<u8>) -> bool {
    keys.is_some_and(|keys| keys.open(packet.bytes, packet.number_at, frames))
}

/// What a packet was.
enum Read {
    /// Nothing of this connection.
    No,
    Yes,
    Ends(Outcome),
}

impl Read {
    fn of(known: bool) -> Read {
        if known { Read::Yes } else { Read::No }
    }
}

impl Parser for Quic {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if direction == Direction::ToClient && self.handshake.in_flight() == 0 {
            return Step::Need(1);
        }
        let length = (input.data.len() as u64).saturating_add(input.gap_after);
        let (mut rest, mut known) = (input.data, false);
        for _ in 0..MAX_PACKETS {
            let Some((packet, behind)) = packet::first(rest) else { break };
            rest = behind;
            match self.packet(direction, &packet, &input, sink) {
                Read::No => {}
                Read::Yes => known = true,
                Read::Ends(outcome) => {
                    self.handshake.note_place(direction, &input, input.offset.saturating_add(length));
                    self.handshake.finish(outcome, input.time_at(0), sink);
                    return Step::Done;
                }
            }
        }
        if !known {
            return Step::Invalid("no packet of this connection");
        }
        self.handshake.note_place(direction, &input, input.offset.saturating_add(length));
        Step::Taken(length)
    }

    fn skipped(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn gap(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        self.handshake.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        self.handshake.expire(before_ns, now_ns, sink);
    }

    fn in_flight(&self) -> usize {
        self.handshake.in_flight()
    }

    fn outstanding(&self) -> Outstanding {
        self.handshake.outstanding()
    }
}
