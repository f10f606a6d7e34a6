//! The parts of an ELF file that say where functions are. Only what is asked for is read, so that a program of 100 MB costs
//! a few pages; every size and offset comes from a file that nobody vouches for.

use crate::InspectError;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// More is never read at once. The symbol names of the largest programs are read in pieces.
const MAX_READ_BYTES: u64 = 64 << 20;
const MAX_SECTIONS: usize = 16_384;
const MAX_SEGMENTS: usize = 4096;

const SHT_NOBITS: u32 = 8;
const PT_LOAD: u32 = 1;

/// Where the bytes come from.
pub trait Source {
    fn size(&self) -> u64;
    /// All of `into`, or nothing.
    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()>;
}

pub struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    pub fn open(path: &std::path::Path) -> std::io::Result<FileSource> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(FileSource { file, size })
    }
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        self.file.read_exact_at(into, offset)
    }
}

impl Source for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn fill(&self, offset: u64, into: &mut [u8]) -> std::io::Result<()> {
        let part = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..into.len()));
        into.copy_from_slice(part.ok_or(std::io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    X86_64,
    Arm64,
}

#[derive(Debug)]
pub struct Segment {
    pub address: u64,
    pub offset: u64,
    pub file_size: u64,
    pub executable: bool,
}

#[derive(Debug, Default)]
pub struct Section {
    pub name: String,
    pub kind: u32,
    pub address: u64,
    pub offset: u64,
    pub size: u64,
    pub link: u32,
}

pub struct Elf<'a> {
    source: &'a dyn Source,
    pub machine: Machine,
    pub segments: Vec<Segment>,
    pub sections: Vec<Section>,
}

pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

impl<'a> Elf<'a> {
    pub fn parse(source: &'a dyn Source) -> Result<Elf<'a>, InspectError> {
        let mut header = [0u8; 64];
        if source.size() < header.len() as u64 {
            return Err(InspectError::NotElf);
        }
        source.fill(0, &mut header).map_err(InspectError::Read)?;
        if !header.starts_with(b"\x7fELF") {
            return Err(InspectError::NotElf);
        }
        // 64 bits, little endian.
        let machine = match (header[4], header[5], u16_at(&header, 18)) {
            (2, 1, Some(62)) => Machine::X86_64,
            (2, 1, Some(183)) => Machine::Arm64,
            _ => return Err(InspectError::Machine),
        };
        let mut elf = Elf { source, machine, segments: Vec::new(), sections: Vec::new() };
        elf.segments = elf.read_segments(&header).ok_or(InspectError::Damaged("program headers"))?;
        elf.sections = elf.read_sections(&header).ok_or(InspectError::Damaged("section headers"))?;
        Ok(elf)
    }

    fn read_segments(&self, header: &[u8]) -> Option<Vec<Segment>> {
        let (offset, size, count) = (u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)?);
        let count = usize::from(count).min(MAX_SEGMENTS);
        if count == 0 || size < 56 {
            return (count == 0).then(Vec::new);
        }
        let table = self.read(offset, u64::from(size) * count as u64)?;
        let segment = |row: &[u8]| {
            let segment = Segment {
                address: u64_at(row, 16)?,
                offset: u64_at(row, 8)?,
                file_size: u64_at(row, 32)?,
                executable: u32_at(row, 4)? & 1 != 0,
            };
            (u32_at(row, 0)? == PT_LOAD).then_some(segment)
        };
        Some(table.chunks_exact(usize::from(size)).filter_map(segment).collect())
    }

    fn read_sections(&self, header: &[u8]) -> Option<Vec<Section>> {
        let (offset, size) = (u64_at(header, 40)?, u16_at(header, 58)?);
        let (count, names) = (usize::from(u16_at(header, 60)?), usize::from(u16_at(header, 62)?));
        let count = count.min(MAX_SECTIONS);
        if offset == 0 || count == 0 {
            return Some(Vec::new());
        }
        if size < 64 {
            return None;
        }
        let table = self.read(offset, u64::from(size) * count as u64)?;
        let mut rows: Vec<(u32, Section)> = table.chunks_exact(usize::from(size)).filter_map(section).collect();
        let names = rows.get(names).and_then(|(_, names)| self.content(names)).unwrap_or_default();
        for (name, section) in &mut rows {
            section.name = text_at(&names, *name as usize).unwrap_or_default();
        }
        Some(rows.into_iter().map(|(_, section)| section).collect())
    }

    pub fn read(&self, offset: u64, size: u64) -> Option<Vec<u8>> {
        let end = offset.checked_add(size)?;
        if size > MAX_READ_BYTES || end > self.source.size() {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.source.fill(offset, &mut bytes).ok()?;
        Some(bytes)
    }

    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub fn content(&self, section: &Section) -> Option<Vec<u8>> {
        if section.kind == SHT_NOBITS {
            return None;
        }
        self.read(section.offset, section.size)
    }

    /// Where in the file lies what is loaded at `address`, and how many bytes follow in the same segment.
    pub fn place(&self, address: u64) -> Option<(u64, u64)> {
        self.segments.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            let left = segment.file_size.checked_sub(within).filter(|left| *left > 0)?;
            Some((segment.offset.checked_add(within)?, left))
        })
    }

    pub fn executable(&self, address: u64) -> bool {
        let within =
            |segment: &&Segment| address.checked_sub(segment.address).is_some_and(|within| within < segment.file_size);
        self.segments.iter().find(within).is_some_and(|segment| segment.executable)
    }

    pub fn read_address(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let (offset, left) = self.place(address)?;
        if size > left {
            return None;
        }
        self.read(offset, size)
    }
}

/// Relocations are searched for one address up to here.
const MAX_RELOCATIONS_BYTES: u64 = 32 << 20;

impl Elf<'_> {
    /// The address that is stored at `address`; where the loader writes it there, what the loader is told.
    pub fn pointer(&self, address: u64) -> Option<u64> {
        let stored = u64_at(&self.read_address(address, 8)?, 0)?;
        (stored != 0).then_some(stored).or_else(|| self.relocated(address))
    }

    fn relocated(&self, address: u64) -> Option<u64> {
        let section = self.section(".rela.dyn").or_else(|| self.section(".rela"))?;
        let rows = self.read(section.offset, section.size.min(MAX_RELOCATIONS_BYTES))?;
        let row = rows.chunks_exact(24).find(|row| u64_at(row, 0) == Some(address))?;
        u64_at(row, 16).filter(|addend| *addend != 0)
    }
}

fn section(row: &[u8]) -> Option<(u32, Section)> {
    let section = Section {
        name: String::new(),
        kind: u32_at(row, 4)?,
        address: u64_at(row, 16)?,
        offset: u64_at(row, 24)?,
        size: u64_at(row, 32)?,
        link: u32_at(row, 40)?,
    };
    Some((u32_at(row, 0)?, section))
}

/// Names are never longer than this in what is looked for.
const MAX_NAME_BYTES: usize = 4096;

pub fn text_at(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().take(MAX_NAME_BYTES).position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(rest.get(..end)?).into_owned())
}
