//! Which Go built a program: the section `.go.buildinfo`.

use crate::elf::{Elf, u64_at};

const MAGIC: &[u8] = b"\xff Go buildinf:";
const MAX_VERSION_BYTES: u64 = 256;
const STRINGS_INLINE: u8 = 2;

pub fn version(elf: &Elf) -> Option<String> {
    let section = elf.section(".go.buildinfo")?;
    let bytes = elf.read(section.offset, section.size.min(32 + MAX_VERSION_BYTES))?;
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    let text =
        if bytes.get(15)? & STRINGS_INLINE != 0 { inline(bytes.get(32..)?)? } else { pointed(elf, section.address)? };
    let version = String::from_utf8(text).ok()?;
    // `go1.26.8 X:nodwarf5`: experiments are named behind it.
    let version = version.split(' ').next()?.to_owned();
    (version.starts_with("go") || version.starts_with("devel")).then_some(version)
}

/// Since Go 1.18: a length of variable size, and the text.
fn inline(bytes: &[u8]) -> Option<Vec<u8>> {
    let (mut length, mut at) = (0u64, 0);
    loop {
        let byte = *bytes.get(at)?;
        length |= u64::from(byte & 0x7f) << (7 * at);
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        if at > 4 {
            return None;
        }
    }
    Some(bytes.get(at..)?.get(..usize::try_from(length).ok()?)?.to_vec())
}

/// Before: a pointer to a string, which is a pointer and a length.
fn pointed(elf: &Elf, address: u64) -> Option<Vec<u8>> {
    let string = elf.pointer(address.checked_add(16)?)?;
    let start = elf.pointer(string)?;
    let length = u64_at(&elf.read_address(string.checked_add(8)?, 8)?, 0)?;
    elf.read_address(start, Some(length).filter(|length| *length <= MAX_VERSION_BYTES)?)
}
