//! Trace and span ids that need no talking.
//!
//! Both ends of a connection, and so two agents on two hosts, know the connection's key and the offset of a request in
//! it. Hence the ids of a request that carries no trace context are a hash of just these:
//!
//! ```text
//! key     = client_isn << 32 | server_isn                       for TCP
//!         = mix(cookie of one end) + cookie of the other + salt  for Unix sockets, which never leave the machine
//!         = mix(client's address) + client's port << 16 + server's port  for UDP, with the salt on loopback
//!         = mix(cookie) + salt                          where nothing tells the other end
//! seed    = mix(key + K1) ^ offset of the request's first byte (towards the server)
//! trace   = mix(seed + K2), mix(seed + K3)       16 bytes, big endian; the last 7 are OpenTelemetry's randomness
//! span    = mix(seed + K4) for the client's view, mix(seed + K5) for the server's
//! ```
//!
//! `mix` is the finaliser of splitmix64, `+` wraps. So the server's span knows the client's span id without a header.
//! With a trace context the trace id is the given one; the span ids stay as they are.

use crate::capture::ConnectionKey;
use limpid_model::{Request, Side};
use std::net::IpAddr;

const K1: u64 = 0x9e37_79b9_7f4a_7c15;
const K2: u64 = 0xd1b5_4a32_d192_ed03;
const K3: u64 = 0x8cb9_2ba7_2f3d_8dd7;
const K4: u64 = 0xaaaa_aaaa_5555_5555;
const K5: u64 = 0x5851_f42d_4c95_7f2d;

/// What a request's ids are made from. The decision whether it is sampled needs no more than the trace id's end.
pub(super) struct Seed {
    seed: u64,
    given: Option<[u8; 16]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceIds {
    pub trace_id: [u8; 16],
    pub client_span: [u8; 8],
    pub server_span: [u8; 8],
}

impl Seed {
    /// `salt` tells machines apart for connections that have no sequence numbers.
    pub fn new(key: ConnectionKey, salt: u64, request: &Request) -> Self {
        let seed = mix(key_word(key, salt).wrapping_add(K1)) ^ request.request_offset;
        Seed { seed, given: request.trace().map(|context| context.trace_id) }
    }

    /// The 56 bits by which everybody samples alike.
    pub fn randomness(&self) -> u64 {
        let low = match self.given {
            Some([.., a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            None => mix(self.seed.wrapping_add(K3)),
        };
        low & ((1 << 56) - 1)
    }

    pub fn ids(&self) -> TraceIds {
        let word = |salt: u64| mix(self.seed.wrapping_add(salt));
        let trace_id = self.given.unwrap_or_else(|| {
            let mut made = [0; 16];
            made[..8].copy_from_slice(&word(K2).to_be_bytes());
            made[8..].copy_from_slice(&word(K3).to_be_bytes());
            made
        });
        // An id of zeros means "none" to every reader.
        let span = |salt: u64| word(salt).max(1).to_be_bytes();
        TraceIds { trace_id, client_span: span(K4), server_span: span(K5) }
    }
}

impl TraceIds {
    pub fn span_id(&self, side: Side) -> [u8; 8] {
        match side {
            Side::Client => self.client_span,
            Side::Server => self.server_span,
        }
    }
}

fn key_word(key: ConnectionKey, salt: u64) -> u64 {
    match key {
        ConnectionKey::Tcp { client_isn, server_isn } | ConnectionKey::Tls { client_isn, server_isn } => {
            u64::from(client_isn) << 32 | u64::from(server_isn)
        }
        ConnectionKey::Unix(one, other) => mix(one).wrapping_add(other).wrapping_add(salt),
        ConnectionKey::Udp { client, client_port, server_port, netns } => {
            let salt = if client.is_loopback() { salt.wrapping_add(netns) } else { 0 };
            let ports = u64::from(client_port) << 16 | u64::from(server_port);
            address_word(client).wrapping_add(ports).wrapping_add(salt)
        }
        ConnectionKey::Alone(socket) => mix(socket).wrapping_add(salt),
    }
}

fn address_word(address: IpAddr) -> u64 {
    let bits = match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    mix(mix((bits >> 64) as u64).wrapping_add(bits as u64))
}

fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_model::TraceContext;

    const KEY: ConnectionKey = ConnectionKey::Tcp { client_isn: 0x0102_0304, server_isn: 0xa0b0_c0d0 };

    fn request(offset: u64) -> Request {
        Request { request_offset: offset, ..Request::new("http", "GET") }
    }

    #[test]
    fn ids_are_the_documented_hash() {
        let ids = Seed::new(KEY, 7, &request(4096)).ids();
        let hex: String = ids.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        // Pinned: two agents of different releases must agree.
        assert_eq!(hex, "a49e15ca12d4fa57de6f94d79469de41");
        assert_eq!(ids, Seed::new(KEY, 8, &request(4096)).ids(), "the salt must not touch TCP");
        assert_ne!(ids.client_span, ids.server_span);
    }

    #[test]
    fn a_trace_context_is_adopted_and_spans_stay_apart() {
        let context = TraceContext { trace_id: [9; 16], parent_span_id: [8; 8], sampled: true };
        let ids = |offset: u64| {
            let mut asked = request(offset);
            asked.details_mut().trace = Some(context);
            Seed::new(KEY, 0, &asked).ids()
        };
        let (one, two) = (ids(0), ids(100));
        assert_eq!(one.trace_id, [9; 16]);
        assert_eq!(one.trace_id, two.trace_id);
        assert_ne!(one.client_span, two.client_span);
    }

    #[test]
    fn neighbours_do_not_collide_and_spread_evenly() {
        let mut seen = std::collections::HashSet::new();
        let mut low = 0;
        for offset in 0..100_000 {
            let ids = Seed::new(KEY, 0, &request(offset)).ids();
            assert!(seen.insert(ids.client_span) && seen.insert(ids.server_span));
            low += u32::from(Seed::new(KEY, 0, &request(offset)).randomness() < 1 << 55);
        }
        assert!((49_000..51_000).contains(&low), "{low} of 100000 in the lower half");
    }
}
