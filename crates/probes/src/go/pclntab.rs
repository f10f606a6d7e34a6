//! The table of functions that each Go program carries, in its formats since Go 1.16. It is read in pieces: the programs
//! of some are a hundred megabytes large.

use super::text_section;
use crate::elf::{Elf, Section, text_at, u32_at, u64_at};
use crate::symbols::Symbol;
use memchr::memmem;
use std::collections::HashMap;

const GO_1_16: u32 = 0xffff_fffa;
const GO_1_18: u32 = 0xffff_fff0;
const GO_1_20: u32 = 0xffff_fff1;

const PIECE_BYTES: u64 = 1 << 20;
const MAX_NAME_BYTES: u64 = 256;
/// Of functions: the largest programs have some hundred thousand.
const MAX_FUNCTIONS: u64 = 4 << 20;

/// Offsets within the table, and how it writes addresses.
struct Header {
    functions: u64,
    /// Since Go 1.18, addresses are four bytes from here.
    text: Option<u64>,
    names: u64,
    names_end: u64,
    index: u64,
}

fn table<'a>(elf: &'a Elf) -> Option<&'a Section> {
    elf.section(".gopclntab").or_else(|| elf.section(".data.rel.ro.gopclntab"))
}

/// The functions whose name begins with `prefix` and is wanted.
pub fn find(elf: &Elf, prefix: &str, wanted: &dyn Fn(&str) -> bool) -> Option<Vec<Symbol>> {
    let section = table(elf)?;
    let header = header(elf, section)?;
    let names = names(elf, section, &header, prefix, wanted)?;
    if names.is_empty() {
        return Some(Vec::new());
    }
    functions(elf, section, &header, &names)
}

fn header(elf: &Elf, section: &Section) -> Option<Header> {
    let bytes = elf.read(section.offset, 72.min(section.size))?;
    let field = |index: usize| u64_at(&bytes, 8 + index * 8);
    // Addresses of eight bytes; instructions begin at each byte, or at each fourth.
    if bytes.get(7) != Some(&8) {
        return None;
    }
    let (text, offsets) = match u32_at(&bytes, 0)? {
        GO_1_16 => (None, 2),
        GO_1_18 | GO_1_20 => (Some(text_start(elf, section)?), 3),
        _ => return None,
    };
    Some(Header {
        functions: field(0).filter(|count| *count <= MAX_FUNCTIONS)?,
        text,
        names: field(offsets)?,
        names_end: field(offsets + 1)?,
        index: field(offsets + 4)?,
    })
}

/// In the header, until Go 1.26 left it out there; then in the description of the module.
fn text_start(elf: &Elf, section: &Section) -> Option<u64> {
    const TEXT_IN_MODULE: u64 = 22 * 8;
    let module = elf.section(".go.module").and_then(|module| module.address.checked_add(TEXT_IN_MODULE));
    let header = section.address.checked_add(24).and_then(|field| elf.pointer(field));
    header.or_else(|| elf.pointer(module?)).filter(|start| elf.executable(*start)).or_else(|| text_section(elf))
}

/// The offsets of wanted names among the names.
fn names(
    elf: &Elf,
    section: &Section,
    header: &Header,
    prefix: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Option<HashMap<u32, String>> {
    let finder = memmem::Finder::new(prefix.as_bytes());
    let end = header.names_end.min(section.size);
    let (mut names, mut at) = (HashMap::new(), header.names);
    while at < end {
        let piece = elf.read(section.offset.checked_add(at)?, (PIECE_BYTES + MAX_NAME_BYTES).min(end - at))?;
        for hit in finder.find_iter(&piece) {
            if let Some(name) = text_at(&piece, hit).filter(|name| wanted(name)) {
                names.insert(u32::try_from(at - header.names + hit as u64).ok()?, name);
            }
        }
        at += PIECE_BYTES;
    }
    Some(names)
}

fn functions(elf: &Elf, section: &Section, header: &Header, names: &HashMap<u32, String>) -> Option<Vec<Symbol>> {
    // A row is the address and the offset of the description; behind the last one comes the end of the text.
    let width: usize = if header.text.is_some() { 4 } else { 8 };
    let size = header.functions.checked_mul(2 * width as u64)?.checked_add(width as u64)?;
    let index = elf.read(section.offset.checked_add(header.index)?, size)?;
    let number = |at: usize| if width == 4 { u32_at(&index, at * 4).map(u64::from) } else { u64_at(&index, at * 8) };
    let mut descriptions = Window { elf, section, start: 0, bytes: Vec::new() };
    let mut found = Vec::new();
    for function in 0..header.functions as usize {
        let (start, description, end) = (number(function * 2)?, number(function * 2 + 1)?, number(function * 2 + 2)?);
        // A description begins with the address again, and the offset of the name.
        let at = header.index.checked_add(description)?.checked_add(width as u64)?;
        let Some(name) = descriptions.word(at).and_then(|name| names.get(&name)) else { continue };
        let address = header.text.unwrap_or(0).checked_add(start)?;
        found.push(Symbol { name: name.clone(), address, size: end.checked_sub(start)? });
    }
    Some(found)
}

/// Descriptions lie in the order of the functions, so a piece serves many of them.
struct Window<'a> {
    elf: &'a Elf<'a>,
    section: &'a Section,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    fn word(&mut self, offset: u64) -> Option<u32> {
        let held = |window: &Self| u32_at(&window.bytes, usize::try_from(offset.checked_sub(window.start)?).ok()?);
        if let Some(word) = held(self) {
            return Some(word);
        }
        let left = self.section.size.checked_sub(offset)?;
        self.bytes = self.elf.read(self.section.offset.checked_add(offset)?, left.min(PIECE_BYTES / 4))?;
        self.start = offset;
        held(self)
    }
}
