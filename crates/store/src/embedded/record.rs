//! One record of the write-ahead log, and how a segment full of them is read back.
//!
//! ```text
//! length u32 | crc32c of the body u32 | body: signal u8, flags u8, time_ms u64, [batch id 16], payload
//! ```
//!
//! All numbers are little-endian. What does not check out is where the segment ends: a crash in the middle of a write
//! leaves a torn tail, and nothing after it was ever acknowledged.

use super::crc32c;
use limpid_model::batch::Signal;

/// Longer than any message that ingest lets in; a length beyond it is damage.
pub const MAX_BODY_BYTES: usize = 256 << 20;
const FRAME_BYTES: usize = 8;
const FIXED_BYTES: usize = 10;
const WITH_BATCH_ID: u8 = 1;

#[derive(Debug, PartialEq)]
pub struct Record<'a> {
    pub signal: Signal,
    /// When it was logged, Unix milliseconds: for how long its batch id is remembered.
    pub time_ms: u64,
    pub batch_id: Option<[u8; 16]>,
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Everything before the payload.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&[0; FRAME_BYTES]);
        out.push(self.signal as u8);
        out.push(if self.batch_id.is_some() { WITH_BATCH_ID } else { 0 });
        out.extend_from_slice(&self.time_ms.to_le_bytes());
        out.extend_from_slice(self.batch_id.as_ref().map_or(&[], |id| id.as_slice()));
        let body = at + FRAME_BYTES;
        let length = (out.len() - body + self.payload.len()) as u32;
        let crc = crc32c::append(crc32c::crc32c(&out[body..]), self.payload);
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
        out[at + 4..body].copy_from_slice(&crc.to_le_bytes());
    }
}

/// The records of a segment, in order; `position` is where the sound part ends.
pub struct Records<'a> {
    bytes: &'a [u8],
    pub position: usize,
}

impl<'a> Records<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Records { bytes, position: 0 }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let rest = self.bytes.get(self.position..)?;
        let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        let crc = u32::from_le_bytes(*rest.get(4..)?.first_chunk()?);
        if !(FIXED_BYTES..=MAX_BODY_BYTES).contains(&length) {
            return None;
        }
        let body = rest.get(FRAME_BYTES..FRAME_BYTES + length)?;
        if crc32c::crc32c(body) != crc {
            return None;
        }
        let record = decode_body(body)?;
        self.position += FRAME_BYTES + length;
        Some(record)
    }
}

fn decode_body(body: &[u8]) -> Option<Record<'_>> {
    let signal = Signal::from_number(*body.first()?)?;
    let flags = *body.get(1)?;
    let time_ms = u64::from_le_bytes(*body.get(2..)?.first_chunk()?);
    let rest = body.get(FIXED_BYTES..)?;
    if flags & WITH_BATCH_ID == 0 {
        return Some(Record { signal, time_ms, batch_id: None, payload: rest });
    }
    let batch_id = *rest.first_chunk::<16>()?;
    Some(Record { signal, time_ms, batch_id: Some(batch_id), payload: &rest[16..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(payload: &[u8], batch_id: Option<[u8; 16]>) -> Record<'_> {
        Record { signal: Signal::Logs, time_ms: 1_700_000_000_123, batch_id, payload }
    }

    fn encode(record: &Record<'_>, bytes: &mut Vec<u8>) {
        record.encode_head(bytes);
        bytes.extend_from_slice(record.payload);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        let records = [record(b"first", Some([7; 16])), record(b"", None), record(&[9; 1000], Some([1; 16]))];
        records.iter().for_each(|record| encode(record, &mut bytes));
        let mut read = Records::new(&bytes);
        assert!(records.iter().eq(read.by_ref().collect::<Vec<_>>().iter()));
        assert_eq!(read.position, bytes.len());
    }

    #[test]
    fn a_torn_or_damaged_tail_ends_the_segment_and_harms_nothing_before_it() {
        let mut bytes = Vec::new();
        encode(&record(b"first", None), &mut bytes);
        let sound = bytes.len();
        encode(&record(b"second", Some([3; 16])), &mut bytes);
        for cut in sound..bytes.len() {
            let mut read = Records::new(&bytes[..cut]);
            assert_eq!(read.by_ref().count(), 1, "cut at {cut}");
            assert_eq!(read.position, sound);
        }
        for at in sound..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let mut read = Records::new(&damaged);
            assert_eq!(read.by_ref().count(), 1, "damage at {at}");
            assert_eq!(read.position, sound);
        }
    }
}
