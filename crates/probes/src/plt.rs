//! Which function a stub of the procedure linkage table stands for.

use crate::elf::{Elf, Machine, text_at, u32_at, u64_at};

const RELA_BYTES: usize = 24;
const SYMBOL_BYTES: u64 = 24;
/// Of one table of relocations.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// The name of the function that the code at `address` jumps to through its slot; x86-64 only.
pub fn name(elf: &Elf, address: u64) -> Option<String> {
    if elf.machine != Machine::X86_64 {
        return None;
    }
    let code = elf.read_address(address, 16)?;
    // `endbr64` and the prefix `bnd` may come before `jmp [rip+slot]`.
    let mut at = if code.starts_with(&[0xf3, 0x0f, 0x1e, 0xfa]) { 4 } else { 0 };
    at += usize::from(code.get(at) == Some(&0xf2));
    if code.get(at..at + 2)? != [0xff, 0x25] {
        return None;
    }
    let distance = i64::from(u32_at(&code, at + 2)? as i32);
    let slot = address.wrapping_add(at as u64 + 6).wrapping_add_signed(distance);
    [".rela.plt", ".rela.dyn"].iter().find_map(|table| relocation(elf, table, slot))
}

fn relocation(elf: &Elf, table: &str, slot: u64) -> Option<String> {
    let section = elf.section(table)?;
    let rows = elf.read(section.offset, section.size.min(MAX_TABLE_BYTES))?;
    let row = rows.chunks_exact(RELA_BYTES).find(|row| u64_at(row, 0) == Some(slot))?;
    let symbols = elf.sections.get(section.link as usize)?;
    let names = elf.sections.get(symbols.link as usize)?;
    let symbol = u64_at(row, 8)? >> 32;
    let symbol = elf.read(symbols.offset.checked_add(symbol * SYMBOL_BYTES)?, SYMBOL_BYTES)?;
    let start = u64::from(u32_at(&symbol, 0)?);
    let left = names.size.checked_sub(start)?;
    text_at(&elf.read(names.offset.checked_add(start)?, left.min(256))?, 0)
}
