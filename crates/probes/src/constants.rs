//! Texts among the constants of a file. They are searched in pieces.

use crate::elf::Elf;
use memchr::memmem::Finder;

const MAX_SEARCHED_BYTES: u64 = 96 << 20;
const PIECE_BYTES: u64 = 1 << 20;
/// What is made of a hit may be that much longer than it; pieces overlap by as much.
const MAX_TEXT_BYTES: u64 = 128;

/// The first of what `read` makes of the bytes behind `needle`.
pub fn find(elf: &Elf, needle: &str, read: impl Fn(&[u8]) -> Option<String>) -> Option<String> {
    let section = elf.section(".rodata")?;
    let size = section.size.min(MAX_SEARCHED_BYTES);
    let finder = Finder::new(needle.as_bytes());
    (0..size).step_by(PIECE_BYTES as usize).find_map(|at| {
        let piece = elf.read(section.offset.checked_add(at)?, (PIECE_BYTES + MAX_TEXT_BYTES).min(size - at))?;
        finder.find_iter(&piece).find_map(|hit| read(piece.get(hit + needle.len()..)?))
    })
}

/// `1.2.3` at the beginning.
pub fn number(rest: &[u8]) -> Option<String> {
    let end = rest.iter().take(24).position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
    let number = std::str::from_utf8(rest.get(..end)?).ok()?;
    (number.split('.').count() == 3).then(|| number.to_owned())
}
