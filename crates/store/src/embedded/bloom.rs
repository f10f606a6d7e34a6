//! Whether a row group can have a trace, by one small read: of a Parquet split-block Bloom filter only the one block of
//! 32 bytes that the id's hash names.
//! Source: parquet-format, BloomFilter.md.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use twox_hash::XxHash64;

const BLOCK_BYTES: u64 = 32;
/// The thrift header before the bits is shorter.
const MAX_HEADER_BYTES: u64 = 64;
const SALT: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// Where the bits of one filter are in its file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bloom {
    bits: u64,
    blocks: u64,
}

impl Bloom {
    /// A filter at `offset`, `length` bytes long with its header. The bits are a power of two (which only the filter's
    /// writer chooses), so that their number is known without reading the header.
    pub fn new(offset: i64, length: i32) -> Option<Bloom> {
        let (offset, length) = (u64::try_from(offset).ok()?, u64::try_from(length).ok()?);
        let bytes = 1u64 << length.checked_ilog2()?;
        let header = length - bytes;
        (bytes >= BLOCK_BYTES && (1..=MAX_HEADER_BYTES).contains(&header))
            .then_some(Bloom { bits: offset + header, blocks: bytes / BLOCK_BYTES })
    }

    /// False only when the value is not there.
    pub fn allows(&self, file: &File, value: &[u8]) -> io::Result<bool> {
        let hash = XxHash64::oneshot(0, value);
        let block = ((hash >> 32) * self.blocks) >> 32;
        let mut bytes = [0u8; BLOCK_BYTES as usize];
        file.read_exact_at(&mut bytes, self.bits + block * BLOCK_BYTES)?;
        let words = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        Ok(words.zip(SALT).all(|(word, salt)| word >> ((hash as u32).wrapping_mul(salt) >> 27) & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_no_filter_is_none() {
        assert_eq!(Bloom::new(100, 1024 + 20), Some(Bloom { bits: 120, blocks: 32 }));
        for (offset, length) in [(-1, 1044), (0, 0), (0, -5), (0, 1024), (0, 1024 + 200), (0, 20)] {
            assert_eq!(Bloom::new(offset, length), None, "{length}");
        }
    }
}
