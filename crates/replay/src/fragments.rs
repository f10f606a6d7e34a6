//! Fragments of IP packets, put together again. Bounded: the oldest unfinished packet gives way.

use super::layers::IpPacket;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

const MAX_PACKETS: usize = 256;
const MAX_PIECES: usize = 256;
const MAX_BYTES: usize = 65_535;

type Key = (IpAddr, IpAddr, u32);

#[derive(Default)]
struct Partial {
    /// (offset, bytes), ascending.
    pieces: Vec<(usize, Vec<u8>)>,
    total: Option<usize>,
}

#[derive(Default)]
pub struct Fragments {
    partial: HashMap<Key, Partial>,
    order: VecDeque<Key>,
}

impl Fragments {
    /// The whole payload, once the last missing piece has come.
    pub fn add(&mut self, packet: &IpPacket<'_>, id: u32, offset: usize, more: bool) -> Option<Vec<u8>> {
        let key = (packet.source, packet.destination, id);
        if !self.partial.contains_key(&key) {
            self.make_room();
            self.order.push_back(key);
        }
        let partial = self.partial.entry(key).or_default();
        if partial.pieces.len() >= MAX_PIECES || offset + packet.payload.len() > MAX_BYTES || packet.missing > 0 {
            return None;
        }
        let place = partial.pieces.partition_point(|(have, _)| *have < offset);
        if partial.pieces.get(place).is_none_or(|(have, _)| *have != offset) {
            partial.pieces.insert(place, (offset, packet.payload.to_vec()));
        }
        if !more {
            partial.total = Some(offset + packet.payload.len());
        }
        let whole = partial.whole()?;
        self.partial.remove(&key);
        self.order.retain(|have| *have != key);
        Some(whole)
    }

    fn make_room(&mut self) {
        if self.order.len() >= MAX_PACKETS
            && let Some(oldest) = self.order.pop_front()
        {
            self.partial.remove(&oldest);
        }
    }

    pub fn unfinished(&self) -> usize {
        self.partial.values().map(|partial| partial.pieces.len()).sum()
    }
}

impl Partial {
    fn whole(&self) -> Option<Vec<u8>> {
        let total = self.total?;
        let mut bytes: Vec<u8> = Vec::with_capacity(total);
        for (offset, piece) in &self.pieces {
            // Overlapping fragments: what came first in the packet stays.
            let known = bytes.len().checked_sub(*offset)?;
            bytes.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        (bytes.len() >= total).then_some(bytes)
    }
}
