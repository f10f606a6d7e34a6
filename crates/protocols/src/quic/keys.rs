//! The keys of Initial packets, which everybody can derive: they keep nothing secret (RFC 9001 section 5.2).

use ring::aead::quic::{AES_128, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

pub(super) const VERSION_1: u32 = 1;
pub(super) const VERSION_2: u32 = 0x6b33_43cf;

#[rustfmt::skip]
const SALT_1: [u8; 20] = [0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a];
#[rustfmt::skip]
const SALT_2: [u8; 20] = [0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9];
#[rustfmt::skip]
const SALT_29: [u8; 20] = [0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99];
#[rustfmt::skip]
const SALT_23: [u8; 20] = [0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02];

/// Of the standards and of their drafts that were in use; Facebook numbers those 0xfaceb0NN.
fn salt(version: u32) -> Option<&'static [u8; 20]> {
    match version {
        VERSION_1 | 0xff00_0021..=0xff00_0022 => Some(&SALT_1),
        VERSION_2 => Some(&SALT_2),
        0xff00_001d..=0xff00_0020 => Some(&SALT_29),
        0xff00_0017..=0xff00_001c | 0xface_b001..=0xface_b002 => Some(&SALT_23),
        _ => None,
    }
}

pub(super) fn is_known(version: u32) -> bool {
    salt(version).is_some()
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label without a context (RFC 8446 section 7.1).
fn expand<const N: usize>(secret: &Prk, label: &str) -> Option<[u8; N]> {
    let length = (N as u16).to_be_bytes();
    let label_length = [(6 + label.len()) as u8];
    let info: [&[u8]; 5] = [&length, &label_length, b"tls13 ", label.as_bytes(), &[0]];
    let mut out = [0; N];
    secret.expand(&info, Length(N)).ok()?.fill(&mut out).ok()?;
    Some(out)
}

/// Those of one side.
pub(super) struct Keys {
    header: HeaderProtectionKey,
    packet: LessSafeKey,
    iv: [u8; 12],
}

impl Keys {
    /// `id`: the destination of the client's first packet. `label`: `client in` or `server in`.
    pub fn new(version: u32, id: &[u8], label: &str) -> Option<Keys> {
        let initial = Salt::new(HKDF_SHA256, salt(version)?).extract(id);
        let secret = Prk::new_less_safe(HKDF_SHA256, &expand::<32>(&initial, label)?);
        let labels = match version {
            VERSION_2 => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            _ => ["quic key", "quic iv", "quic hp"],
        };
        let packet = UnboundKey::new(&AES_128_GCM, &expand::<16>(&secret, labels[0])?).ok()?;
        let header = HeaderProtectionKey::new(&AES_128, &expand::<16>(&secret, labels[2])?).ok()?;
        Some(Keys { header, packet: LessSafeKey::new(packet), iv: expand(&secret, labels[1])? })
    }

    /// Decrypts a packet, from its first byte to its last, whose number stands at `number_at`, into its frames. `false` if it
    /// is not of these keys.
    pub fn open(&self, packet: &[u8], number_at: usize, frames: &mut Vec<u8>) -> bool {
        frames.clear();
        frames.extend_from_slice(packet);
        let place = self.unprotect(frames, number_at).and_then(|(nonce, number_end)| {
            let (head, sealed) = frames.split_at_mut_checked(number_end)?;
            let opened = self.packet.open_in_place(nonce, Aad::from(&*head), sealed).ok()?;
            Some(number_end..number_end + opened.len())
        });
        let Some(place) = place else { return false };
        frames.truncate(place.end);
        frames.drain(..place.start);
        true
    }

    /// Takes the protection off a packet's first byte and its number. Returns the nonce, and where the number ends.
    fn unprotect(&self, packet: &mut [u8], number_at: usize) -> Option<(Nonce, usize)> {
        let mask = self.header.new_mask(packet.get(number_at + 4..number_at + 20)?).ok()?;
        let first = packet.first_mut()?;
        *first ^= mask[0] & 0x0f;
        let number_bytes = usize::from(*first & 3) + 1;
        // Initial packets are few: their numbers are not cut.
        let mut nonce = self.iv;
        for (at, byte) in packet.get_mut(number_at..number_at + number_bytes)?.iter_mut().enumerate() {
            *byte ^= mask[1 + at];
            nonce[12 - number_bytes + at] ^= *byte;
        }
        Some((Nonce::assume_unique_for_key(nonce), number_at + number_bytes))
    }
}
