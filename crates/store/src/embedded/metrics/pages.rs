//! Compressed pages: many small pieces share one, so that zstd sees repetition and a reader touches little.
//!
//! A piece is found by its page and its place in it, and never spans two pages. Every page has a checksum.

use super::super::crc32c::crc32c;
use super::varint::{Reader, put};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

/// Of pieces in a page before it is compressed; one larger piece has a page of its own.
const PAGE_BYTES: usize = 64 * 1024;
const LEVEL: i32 = 3;
/// A larger page is none of ours.
const MAX_PAGE_BYTES: usize = 64 << 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub page: u32,
    pub offset: u32,
    pub length: u32,
}

impl Piece {
    pub fn encode(&self, out: &mut Vec<u8>) {
        [self.page, self.offset, self.length].into_iter().for_each(|number| put(out, u64::from(number)));
    }

    pub fn decode(reader: &mut Reader<'_>) -> Option<Piece> {
        let mut number = || u32::try_from(reader.number()?).ok();
        Some(Piece { page: number()?, offset: number()?, length: number()? })
    }
}

#[derive(Clone, Copy, Debug)]
struct Page {
    offset: u64,
    length: u32,
    raw_length: u32,
    crc: u32,
}

/// Where the pages of a file are.
#[derive(Debug, Default)]
pub struct Directory {
    pages: Vec<Page>,
}

impl Directory {
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.pages.len() as u64);
        for page in &self.pages {
            [page.length, page.raw_length, page.crc].into_iter().for_each(|number| put(out, u64::from(number)));
        }
    }

    /// Pages follow each other from the file's beginning.
    pub fn decode(reader: &mut Reader<'_>) -> Option<Directory> {
        let mut offset = 0u64;
        let mut pages = Vec::new();
        for _ in 0..reader.number()? {
            let mut number = || u32::try_from(reader.number()?).ok();
            let page = Page { offset, length: number()?, raw_length: number()?, crc: number()? };
            offset = offset.checked_add(u64::from(page.length))?;
            pages.push(page);
        }
        Some(Directory { pages })
    }

    /// The raw bytes of a page; an error of kind `InvalidData` when they do not check out.
    pub fn read(&self, file: &File, number: u32) -> io::Result<Vec<u8>> {
        let page = self.pages.get(number as usize).ok_or_else(|| damaged("no such page"))?;
        if page.length as usize > MAX_PAGE_BYTES || page.raw_length as usize > MAX_PAGE_BYTES {
            return Err(damaged("a page of impossible length"));
        }
        let mut bytes = vec![0; page.length as usize];
        file.read_exact_at(&mut bytes, page.offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged("the file is cut short"),
            _ => error,
        })?;
        if crc32c(&bytes) != page.crc {
            return Err(damaged("a page does not match its checksum"));
        }
        zstd::bulk::decompress(&bytes, page.raw_length as usize).map_err(|_| damaged("a page does not decompress"))
    }
}

pub fn damaged(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

pub struct PageWriter {
    file: File,
    open: Vec<u8>,
    directory: Directory,
    offset: u64,
    compressor: zstd::bulk::Compressor<'static>,
}

impl PageWriter {
    pub fn new(file: File) -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        Ok(PageWriter { file, open: Vec::new(), directory: Directory::default(), offset: 0, compressor })
    }

    pub fn put(&mut self, bytes: &[u8]) -> io::Result<Piece> {
        if !self.open.is_empty() && self.open.len() + bytes.len() > PAGE_BYTES {
            self.end_page()?;
        }
        let piece =
            Piece { page: self.directory.len() as u32, offset: self.open.len() as u32, length: bytes.len() as u32 };
        self.open.extend_from_slice(bytes);
        Ok(piece)
    }

    /// The next piece begins a page.
    pub fn end_page(&mut self) -> io::Result<()> {
        if self.open.is_empty() {
            return Ok(());
        }
        let bytes = self.compressor.compress(&self.open)?;
        self.file.write_all(&bytes)?;
        self.directory.pages.push(Page {
            offset: self.offset,
            length: bytes.len() as u32,
            raw_length: self.open.len() as u32,
            crc: crc32c(&bytes),
        });
        self.offset += bytes.len() as u64;
        self.open.clear();
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<(File, Directory, u64)> {
        self.end_page()?;
        Ok((self.file, self.directory, self.offset))
    }
}

/// Reads pieces and keeps the last page: pieces that are asked for in order cost one page each.
pub struct PieceReader<'a> {
    file: &'a File,
    directory: &'a Directory,
    page: Option<(u32, Vec<u8>)>,
}

impl<'a> PieceReader<'a> {
    pub fn new(file: &'a File, directory: &'a Directory) -> Self {
        PieceReader { file, directory, page: None }
    }

    pub fn read(&mut self, piece: Piece) -> io::Result<&[u8]> {
        if self.page.as_ref().is_none_or(|(number, _)| *number != piece.page) {
            self.page = Some((piece.page, self.directory.read(self.file, piece.page)?));
        }
        let bytes = self.page.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        let from = piece.offset as usize;
        bytes.get(from..from + piece.length as usize).ok_or_else(|| damaged("a piece beyond its page"))
    }
}
