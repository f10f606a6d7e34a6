//! How a batch stands in a file of the spool.
//!
//! ```text
//! "lmp1" | state u8 | signal u8 | 0 u16 | length u32 | items u32 | batch id 16 | hash u64 | payload
//! ```
//!
//! All numbers are little-endian. The state is outside of the hash: it is written over when the batch was taken. FNV-1a
//! suffices: it has to tell a torn or overwritten record, not a forger.

use super::super::batch::Batch;
use super::super::client::Signal;
use bytes::Bytes;

const MAGIC: &[u8; 4] = b"lmp1";
pub const HEAD_BYTES: usize = 40;
/// Where the state stands in a record.
pub const STATE_AT: u64 = 4;
pub const TAKEN: u8 = 1;
/// Longer than any message that is made: a length beyond it is damage.
const MAX_PAYLOAD_BYTES: u32 = 64 << 20;

#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub taken: bool,
    pub signal: Signal,
    pub length: u32,
    pub items: u32,
    id: u128,
    hash: u64,
}

impl Head {
    pub fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
        let number = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let head = Head {
            taken: bytes[STATE_AT as usize] == TAKEN,
            signal: signal(bytes[5])?,
            length: number(8)?,
            items: number(12)?,
            id: u128::from_le_bytes(*bytes.get(16..)?.first_chunk()?),
            hash: u64::from_le_bytes(*bytes.get(32..)?.first_chunk()?),
        };
        (bytes.starts_with(MAGIC) && head.length <= MAX_PAYLOAD_BYTES).then_some(head)
    }

    /// Head and payload together.
    pub fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.length)
    }

    /// The batch, if the payload is what was written.
    pub fn batch(&self, payload: Vec<u8>) -> Option<Batch> {
        let checked = hash(self.signal, self.items, self.id, std::iter::once(&payload[..]));
        (checked == self.hash && payload.len() == self.length as usize)
            .then(|| Batch::new(self.signal, self.id, vec![Bytes::from(payload)], self.items.into()))
    }
}

/// The bytes of a whole record; `None` for one that is longer than can be read back.
pub fn encode(batch: &Batch) -> Option<Vec<u8>> {
    let length = u32::try_from(batch.length).ok().filter(|length| *length <= MAX_PAYLOAD_BYTES)?;
    let items = u32::try_from(batch.items).unwrap_or(u32::MAX);
    let hash = hash(batch.signal, items, batch.id, batch.payload.iter().map(|part| &part[..]));
    let mut out = Vec::with_capacity(HEAD_BYTES + batch.length);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&[0, number(batch.signal), 0, 0]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&items.to_le_bytes());
    out.extend_from_slice(&batch.id.to_le_bytes());
    out.extend_from_slice(&hash.to_le_bytes());
    batch.payload.iter().for_each(|part| out.extend_from_slice(part));
    Some(out)
}

fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    }
}

fn signal(number: u8) -> Option<Signal> {
    match number {
        1 => Some(Signal::Traces),
        2 => Some(Signal::Metrics),
        3 => Some(Signal::Logs),
        _ => None,
    }
}

fn hash<'a>(signal: Signal, items: u32, id: u128, payload: impl Iterator<Item = &'a [u8]>) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let of = |hash: u64, bytes: &[u8]| bytes.iter().fold(hash, step);
    let head = of(of(of(0xcbf2_9ce4_8422_2325, &[number(signal)]), &items.to_le_bytes()), &id.to_le_bytes());
    payload.fold(head, of)
}
