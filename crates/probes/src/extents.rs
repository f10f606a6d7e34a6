//! Where a function ends. The symbol says it for exported ones, and the table for unwinding for all others: it is in
//! stripped files too, since exceptions and profilers need it.

use crate::elf::{Elf, u32_at};
use std::ops::Range;

/// Larger functions are not analysed.
pub const MAX_FUNCTION_BYTES: u64 = 64 << 10;
/// Of the index: some 4 million functions.
const MAX_INDEX_BYTES: u64 = 32 << 20;

/// How addresses are written that we read: four signed bytes, relative to the table or to their own place.
const DATAREL_SDATA4: u8 = 0x3b;
const UDATA4: u8 = 0x03;

/// The index of `.eh_frame_hdr`, sorted by the functions' beginnings.
#[derive(Default)]
pub struct Extents {
    base: u64,
    table: Vec<u8>,
}

impl Extents {
    pub fn of(elf: &Elf) -> Extents {
        Self::read(elf).unwrap_or_default()
    }

    fn read(elf: &Elf) -> Option<Extents> {
        let section = elf.section(".eh_frame_hdr")?;
        let bytes = elf.read(section.offset, section.size.min(MAX_INDEX_BYTES))?;
        let [1, _, UDATA4, DATAREL_SDATA4, ..] = bytes[..] else { return None };
        let count = u32_at(&bytes, 8)? as usize;
        let table = bytes.get(12..)?.get(..count.checked_mul(8)?)?.to_vec();
        Some(Extents { base: section.address, table })
    }

    fn row(&self, index: usize) -> Option<(u64, u64)> {
        let relative = |at| u32_at(&self.table, at).map(|value| self.base.wrapping_add_signed(i64::from(value as i32)));
        Some((relative(index * 8)?, relative(index * 8 + 4)?))
    }

    /// The function, or the part of one that was split off, in which `address` lies.
    pub fn around(&self, elf: &Elf, address: u64) -> Option<Range<u64>> {
        let (mut low, mut high) = (0, self.table.len() / 8);
        while low < high {
            let middle = low.midpoint(high);
            if self.row(middle)?.0 <= address { low = middle + 1 } else { high = middle }
        }
        let (start, entry) = self.row(low.checked_sub(1)?)?;
        // Length, distance to the common part, beginning (relative to its own place) and length of the code.
        let entry_bytes = elf.read_address(entry, 16)?;
        let relative = u32_at(&entry_bytes, 8)? as i32;
        if entry.wrapping_add(8).wrapping_add_signed(i64::from(relative)) != start {
            return None;
        }
        let range = start..start.checked_add(u64::from(u32_at(&entry_bytes, 12)?))?;
        (range.contains(&address) && range.end - range.start <= MAX_FUNCTION_BYTES).then_some(range)
    }
}
