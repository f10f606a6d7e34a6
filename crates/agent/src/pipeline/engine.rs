//! The protocol engine of a connection: of a stream's, or of datagrams'.

use crate::capture::Bytes;
use limpid_model::{Direction, Unanswered};
use limpid_protocols::connection::{Connection, Verdict};
use limpid_protocols::{Datagrams, Hints, Options, Outstanding, Protocol, Sink};

pub(super) enum Engine {
    Stream(Box<Connection>),
    Datagrams(Box<Datagrams>),
}

impl Engine {
    pub fn new(hints: Hints, options: &Options, datagrams: bool) -> Engine {
        match datagrams {
            true => Engine::Datagrams(Box::new(Datagrams::new(hints, options))),
            false => Engine::Stream(Box::new(Connection::new(hints, options))),
        }
    }

    /// What was captured of a call, and that the rest was not.
    pub fn bytes(&mut self, direction: Direction, bytes: &Bytes<'_>, sink: &mut dyn Sink) {
        match self {
            Engine::Stream(stream) => feed_call(stream, direction, bytes, sink),
            Engine::Datagrams(datagrams) => {
                let data = bytes.pieces.first().map_or(&[][..], |(_, data)| data);
                datagrams.datagram_at(direction, bytes.offset, bytes.first_ns, data, bytes.length, sink);
            }
        }
    }

    pub fn end(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        if let Engine::Stream(stream) = self {
            stream.end(direction, time_ns, sink);
        }
    }

    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        match self {
            Engine::Stream(stream) => stream.close(reason, time_ns, sink),
            Engine::Datagrams(datagrams) => datagrams.close(reason, time_ns, sink),
        }
    }

    pub fn expire(&mut self, now_ns: u64, sink: &mut dyn Sink) {
        match self {
            Engine::Stream(stream) => stream.expire(now_ns, sink),
            Engine::Datagrams(datagrams) => datagrams.expire(now_ns, sink),
        }
    }

    pub fn verdict(&self) -> Verdict {
        match self {
            Engine::Stream(stream) => stream.verdict(),
            Engine::Datagrams(datagrams) => datagrams.verdict(),
        }
    }

    pub fn protocol(&self) -> Option<&'static Protocol> {
        match self {
            Engine::Stream(stream) => stream.protocol(),
            Engine::Datagrams(datagrams) => datagrams.protocol(),
        }
    }

    pub fn skip_until(&self, direction: Direction) -> Option<u64> {
        match self {
            Engine::Stream(stream) => stream.skip_until(direction),
            Engine::Datagrams(_) => None,
        }
    }

    pub fn swapped(&self) -> bool {
        match self {
            Engine::Stream(stream) => stream.swapped(),
            Engine::Datagrams(datagrams) => datagrams.swapped(),
        }
    }

    pub fn in_flight(&self) -> usize {
        match self {
            Engine::Stream(stream) => stream.in_flight(),
            Engine::Datagrams(datagrams) => datagrams.in_flight(),
        }
    }

    /// See `Parser::needed_from`.
    pub fn needed_from(&self, direction: Direction) -> u64 {
        match self {
            Engine::Stream(stream) => stream.needed_from(direction),
            Engine::Datagrams(_) => u64::MAX,
        }
    }

    pub fn outstanding(&self) -> Outstanding {
        match self {
            Engine::Stream(stream) => stream.outstanding(),
            Engine::Datagrams(datagrams) => datagrams.outstanding(),
        }
    }

    /// It speaks a protocol that is switched off.
    pub fn is_off(&self) -> bool {
        match self {
            Engine::Stream(stream) => stream.is_off(),
            Engine::Datagrams(datagrams) => datagrams.is_off(),
        }
    }

    /// Of a stream that was damaged: a datagram that is not understood is nobody's loss.
    pub fn given_up(&self) -> u32 {
        match self {
            Engine::Stream(stream) => stream.given_up(),
            Engine::Datagrams(_) => 0,
        }
    }
}

fn feed_call(stream: &mut Connection, direction: Direction, bytes: &Bytes<'_>, sink: &mut dyn Sink) {
    let now_ns = bytes.last_ns.max(bytes.first_ns);
    let mut done = 0;
    for (place, piece) in bytes.pieces {
        if *place > done {
            stream.gap(direction, bytes.offset.saturating_add(done), place - done, now_ns, sink);
        }
        feed(stream, direction, bytes, (*place, piece), sink);
        done = done.max(place.saturating_add(piece.len() as u64));
    }
    if done < bytes.length {
        stream.gap(direction, bytes.offset.saturating_add(done), bytes.length - done, now_ns, sink);
    }
}

/// One captured piece of a call, or of several: then its first and its last byte have different times.
fn feed(stream: &mut Connection, direction: Direction, bytes: &Bytes<'_>, piece: (u64, &[u8]), sink: &mut dyn Sink) {
    let (place, data) = piece;
    let offset = bytes.offset.saturating_add(place);
    if place > 0 {
        return stream.data_inside_call(direction, offset, bytes.last_ns, data, sink);
    }
    match data.split_last() {
        Some((last, head)) if bytes.first_ns != bytes.last_ns && data.len() as u64 >= bytes.length => {
            stream.data(direction, offset, bytes.first_ns, head, sink);
            let end = offset.saturating_add(head.len() as u64);
            stream.data_inside_call(direction, end, bytes.last_ns, &[*last], sink);
        }
        _ => stream.data(direction, offset, bytes.first_ns, data, sink),
    }
}
