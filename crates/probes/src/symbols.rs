//! Functions by name. The names of a large program take tens of megabytes: they go by in pieces, and only those that are
//! wanted are kept.

use crate::elf::{Elf, Section, u16_at, u32_at, u64_at};
use memchr::memmem::Finder;
use std::collections::HashMap;

const SHT_SYMTAB: u32 = 2;
const SHT_DYNSYM: u32 = 11;
const STT_FUNC: u8 = 2;
const SYMBOL_BYTES: u64 = 24;

const PIECE_BYTES: u64 = 1 << 20;
/// Pieces overlap by the longest name that is looked for.
const MAX_NAME_BYTES: u64 = 4096;
/// A file has one for the loader and one for people.
const MAX_TABLES: usize = 4;
/// Of one file. Generic Rust code has a function for each type it is used with.
const MAX_NAMES: usize = 16_384;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub name: String,
    pub address: u64,
    pub size: u64,
}

/// The defined functions whose name holds one of `fragments` and is wanted; each address and name once.
pub fn find(elf: &Elf, fragments: &[&str], wanted: &dyn Fn(&str) -> bool) -> Vec<Symbol> {
    let mut found = Vec::new();
    let tables = elf.sections.iter().filter(|section| matches!(section.kind, SHT_SYMTAB | SHT_DYNSYM));
    for table in tables.take(MAX_TABLES) {
        let Some(strings) = elf.sections.get(table.link as usize) else { continue };
        let names = names(elf, strings, fragments, wanted);
        if !names.is_empty() {
            symbols(elf, table, &names, &mut found);
        }
    }
    found.sort_by(|a: &Symbol, b| (&a.name, a.address).cmp(&(&b.name, b.address)));
    found.dedup_by(|a, b| a.name == b.name && a.address == b.address);
    found
}

/// The offsets of wanted names. A name may begin in the middle of another one, of which it is the end.
fn names(elf: &Elf, strings: &Section, fragments: &[&str], wanted: &dyn Fn(&str) -> bool) -> HashMap<u32, String> {
    let finders: Vec<Finder> = fragments.iter().map(|fragment| Finder::new(fragment.as_bytes())).collect();
    let mut names = HashMap::new();
    let mut at = 0;
    while at < strings.size && names.len() < MAX_NAMES {
        let size = (PIECE_BYTES + MAX_NAME_BYTES).min(strings.size - at);
        let Some(piece) = strings.offset.checked_add(at).and_then(|offset| elf.read(offset, size)) else { break };
        for finder in &finders {
            for hit in finder.find_iter(&piece) {
                let start = piece[..hit].iter().rposition(|byte| *byte == 0).map_or(0, |zero| zero + 1);
                let Some(length) = piece[hit..].iter().position(|byte| *byte == 0) else { continue };
                for begin in [start, hit] {
                    if let Ok(name) = std::str::from_utf8(&piece[begin..hit + length])
                        && wanted(name)
                        && let Ok(offset) = u32::try_from(at + begin as u64)
                    {
                        names.insert(offset, name.to_owned());
                    }
                }
            }
        }
        at += PIECE_BYTES;
    }
    names
}

fn symbols(elf: &Elf, table: &Section, names: &HashMap<u32, String>, found: &mut Vec<Symbol>) {
    let mut at = 0;
    let piece_bytes = PIECE_BYTES / SYMBOL_BYTES * SYMBOL_BYTES;
    while at < table.size && found.len() < MAX_NAMES {
        let size = piece_bytes.min(table.size - at);
        let Some(piece) = table.offset.checked_add(at).and_then(|offset| elf.read(offset, size)) else { break };
        found.extend(piece.chunks_exact(SYMBOL_BYTES as usize).filter_map(|row| symbol(row, names)));
        at += size;
    }
}

fn symbol(row: &[u8], names: &HashMap<u32, String>) -> Option<Symbol> {
    let name = names.get(&u32_at(row, 0)?)?;
    let (info, section) = (*row.get(4)?, u16_at(row, 6)?);
    let (address, size) = (u64_at(row, 8)?, u64_at(row, 16)?);
    (info & 0xf == STT_FUNC && section != 0 && address != 0).then(|| Symbol { name: name.clone(), address, size })
}
