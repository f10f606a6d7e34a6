//! A block: the series of one partition and their chunks, in one file that is written once.
//!
//! ```text
//! chunk pages | series pages | postings pages | index | footer
//! series page   for 128 series: labels as symbol numbers; chunks as kind, times, start, samples, piece
//! index         bounds, symbols, pages, first pages, and for every label name and value the piece of its postings
//! ```
//!
//! Series stand sorted by their labels and are numbered in that order. A query reads the index (cached), the postings
//! it needs, the pages of the series that match, and of those only the chunks that touch its interval.

use super::super::crc32c::crc32c;
use super::chunk::{Chunk, Header, Kind, MAX_SAMPLES, Wanted};
use super::pages::{Directory, PageWriter, Piece, PieceReader, damaged};
use super::postings::{Compiled, Postings, resolve, union};
use super::varint::{Reader, put, put_bytes, put_signed};
use limpid_model::Labels;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"LIMPIDM1";
const FOOTER_BYTES: u64 = 32;
const SERIES_PER_PAGE: usize = 128;
const MAX_INDEX_BYTES: usize = 1 << 30;

pub type SeriesChunks = (Labels, Vec<Arc<Chunk>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub first_ms: i64,
    pub last_ms: i64,
    pub series: u32,
    pub samples: u64,
}

pub struct Index {
    pub bounds: Bounds,
    pub bytes: usize,
    symbols: Vec<Box<str>>,
    directory: Directory,
    series_pages: Vec<Piece>,
    /// By label name: label value and piece, ascending by value.
    postings: BTreeMap<u32, Vec<(u32, Piece)>>,
}

// ---- writing ----

/// Writes and syncs a block; the series come sorted by their labels, those without a chunk are left out.
pub fn write(
    file: File,
    symbols: &BTreeSet<String>,
    series: impl Iterator<Item = io::Result<SeriesChunks>>,
) -> io::Result<Bounds> {
    let numbers: BTreeMap<&str, u32> = symbols.iter().map(String::as_str).zip(0..).collect();
    let mut writer = BlockWriter {
        pages: PageWriter::new(file)?,
        numbers,
        entries: Vec::new(),
        postings: BTreeMap::new(),
        bounds: Bounds { first_ms: i64::MAX, last_ms: i64::MIN, series: 0, samples: 0 },
    };
    for one in series {
        let (labels, chunks) = one?;
        if !chunks.is_empty() {
            writer.add(&labels, &chunks)?;
        }
    }
    let bounds = writer.bounds;
    writer.finish(symbols)?;
    Ok(bounds)
}

struct BlockWriter<'a> {
    pages: PageWriter,
    numbers: BTreeMap<&'a str, u32>,
    entries: Vec<Vec<u8>>,
    postings: BTreeMap<u32, BTreeMap<u32, Vec<u32>>>,
    bounds: Bounds,
}

impl BlockWriter<'_> {
    fn add(&mut self, labels: &Labels, chunks: &[Arc<Chunk>]) -> io::Result<()> {
        let number = self.bounds.series;
        let mut entry = Vec::new();
        put(&mut entry, labels.len() as u64);
        for (name, value) in labels.iter() {
            let symbol =
                |text: &str| self.numbers.get(text).copied().ok_or_else(|| damaged("a label that is no symbol"));
            let (name, value) = (symbol(name)?, symbol(value)?);
            put(&mut entry, u64::from(name));
            put(&mut entry, u64::from(value));
            self.postings.entry(name).or_default().entry(value).or_default().push(number);
        }
        put(&mut entry, chunks.len() as u64);
        for chunk in chunks {
            self.put_chunk(&mut entry, chunk)?;
        }
        self.entries.push(entry);
        self.bounds.series += 1;
        Ok(())
    }

    fn put_chunk(&mut self, entry: &mut Vec<u8>, chunk: &Chunk) -> io::Result<()> {
        entry.push(chunk.kind as u8);
        put_signed(entry, chunk.first_ms);
        put_signed(entry, chunk.last_ms.wrapping_sub(chunk.first_ms));
        put_signed(entry, chunk.first_ms.wrapping_sub(chunk.start_ms));
        put(entry, u64::from(chunk.samples));
        self.pages.put(&chunk.bytes)?.encode(entry);
        self.bounds.first_ms = self.bounds.first_ms.min(chunk.first_ms);
        self.bounds.last_ms = self.bounds.last_ms.max(chunk.last_ms);
        self.bounds.samples += u64::from(chunk.samples);
        Ok(())
    }

    fn finish(mut self, symbols: &BTreeSet<String>) -> io::Result<()> {
        self.pages.end_page()?;
        let mut series_pages = Vec::new();
        for entries in self.entries.chunks(SERIES_PER_PAGE) {
            let mut page = Vec::new();
            entries.iter().for_each(|entry| put_bytes(&mut page, entry));
            series_pages.push(self.pages.put(&page)?);
        }
        self.pages.end_page()?;
        let mut lists = Vec::new();
        put(&mut lists, self.postings.len() as u64);
        for (name, values) in &self.postings {
            put(&mut lists, u64::from(*name));
            put(&mut lists, values.len() as u64);
            for (value, numbers) in values {
                put(&mut lists, u64::from(*value));
                self.pages.put(&ascending(numbers))?.encode(&mut lists);
            }
        }
        let (file, directory, offset) = self.pages.finish()?;
        let mut index = Vec::new();
        put_bounds(&mut index, &self.bounds);
        put(&mut index, symbols.len() as u64);
        symbols.iter().for_each(|symbol| put_bytes(&mut index, symbol.as_bytes()));
        directory.encode(&mut index);
        put(&mut index, series_pages.len() as u64);
        series_pages.iter().for_each(|piece| piece.encode(&mut index));
        index.extend_from_slice(&lists);
        write_index(file, &index, offset)
    }
}

fn write_index(mut file: File, index: &[u8], offset: u64) -> io::Result<()> {
    let compressed = zstd::bulk::compress(index, 3)?;
    file.write_all(&compressed)?;
    let mut footer = Vec::with_capacity(FOOTER_BYTES as usize);
    footer.extend_from_slice(&offset.to_le_bytes());
    footer.extend_from_slice(&(compressed.len() as u32).to_le_bytes());
    footer.extend_from_slice(&(index.len() as u32).to_le_bytes());
    footer.extend_from_slice(&crc32c(&compressed).to_le_bytes());
    footer.extend_from_slice(&crc32c(&footer.clone()).to_le_bytes());
    footer.extend_from_slice(MAGIC);
    file.write_all(&footer)?;
    file.sync_all()
}

fn put_bounds(out: &mut Vec<u8>, bounds: &Bounds) {
    put_signed(out, bounds.first_ms);
    put_signed(out, bounds.last_ms);
    put(out, u64::from(bounds.series));
    put(out, bounds.samples);
}

fn ascending(numbers: &[u32]) -> Vec<u8> {
    let (mut out, mut last) = (Vec::new(), 0);
    for number in numbers {
        put(&mut out, u64::from(number - last));
        last = *number;
    }
    out
}

// ---- reading ----

impl Index {
    pub fn read(file: &File) -> io::Result<Index> {
        let length = file.metadata()?.len();
        let footer_at = length.checked_sub(FOOTER_BYTES).ok_or_else(|| damaged("the file is cut short"))?;
        let mut footer = [0; FOOTER_BYTES as usize];
        file.read_exact_at(&mut footer, footer_at)?;
        let word =
            |at: usize| footer.get(at..).and_then(|rest| rest.first_chunk().copied()).map_or(0, u32::from_le_bytes);
        if &footer[24..] != MAGIC || crc32c(&footer[..20]) != word(20) {
            return Err(damaged("its end is not that of a block"));
        }
        let offset = u64::from(word(0)) | u64::from(word(4)) << 32;
        let (compressed_length, raw_length) = (word(8), word(12) as usize);
        if offset.checked_add(u64::from(compressed_length)) != Some(footer_at) || raw_length > MAX_INDEX_BYTES {
            return Err(damaged("its footer contradicts its length"));
        }
        let mut compressed = vec![0; compressed_length as usize];
        file.read_exact_at(&mut compressed, offset)?;
        if crc32c(&compressed) != word(16) {
            return Err(damaged("its index does not match its checksum"));
        }
        let raw =
            zstd::bulk::decompress(&compressed, raw_length).map_err(|_| damaged("its index does not decompress"))?;
        decode_index(&raw).ok_or_else(|| damaged("its index cannot be read"))
    }

    fn text(&self, symbol: u32) -> Option<&str> {
        self.symbols.get(symbol as usize).map(|text| &**text)
    }

    fn symbol(&self, text: &str) -> Option<u32> {
        self.symbols.binary_search_by(|have| (**have).cmp(text)).ok().map(|at| at as u32)
    }

    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        self.symbols.iter().map(|symbol| &**symbol)
    }
}

fn decode_index(raw: &[u8]) -> Option<Index> {
    let mut reader = Reader::new(raw);
    let bounds = Bounds {
        first_ms: reader.signed()?,
        last_ms: reader.signed()?,
        series: u32::try_from(reader.number()?).ok()?,
        samples: reader.number()?,
    };
    let symbols = (0..reader.number()?).map(|_| reader.text().map(Box::from)).collect::<Option<Vec<Box<str>>>>()?;
    let directory = Directory::decode(&mut reader)?;
    let series_pages = (0..reader.number()?).map(|_| Piece::decode(&mut reader)).collect::<Option<Vec<_>>>()?;
    let mut postings = BTreeMap::new();
    for _ in 0..reader.number()? {
        let name = u32::try_from(reader.number()?).ok()?;
        let mut values = Vec::new();
        for _ in 0..reader.number()? {
            values.push((u32::try_from(reader.number()?).ok()?, Piece::decode(&mut reader)?));
        }
        postings.insert(name, values);
    }
    Some(Index { bounds, bytes: raw.len() * 2, symbols, directory, series_pages, postings })
}

/// An open block: its file and its index.
pub struct OpenBlock<'a> {
    pub file: &'a File,
    pub index: &'a Index,
}

impl OpenBlock<'_> {
    /// Matching series with the chunks that touch the interval and are wanted; only labels when nothing is.
    pub fn select(
        &self,
        matchers: &[Compiled],
        (from, to): (i64, i64),
        wanted: Option<Wanted<'_>>,
    ) -> io::Result<Vec<SeriesChunks>> {
        let numbers = resolve(self, matchers)?;
        let (mut pages, mut pieces) = (self.pieces(), self.pieces());
        let (mut found, mut page) = (Vec::new(), None);
        for number in numbers {
            let at = number as usize / SERIES_PER_PAGE;
            if page.as_ref().is_none_or(|(have, _)| *have != at) {
                page = Some((at, self.entries(&mut pages, at)?));
            }
            let entry = page.as_ref().and_then(|(_, entries)| entries.get(number as usize % SERIES_PER_PAGE));
            let entry = entry.ok_or_else(|| damaged("a series beyond its page"))?;
            let (labels, mut refs) = self.entry(entry).ok_or_else(|| damaged("a series that cannot be read"))?;
            refs.retain(|chunk| chunk.header.first_ms <= to && chunk.header.last_ms >= from);
            if refs.is_empty() {
                continue;
            }
            let mut chunks = Vec::new();
            if let Some(wanted) = wanted {
                refs.sort_by_key(|chunk| chunk.header.first_ms);
                for (at, chunk) in refs.iter().enumerate() {
                    if wanted.needs(&chunk.header, refs.get(at + 1).map(|next| &next.header)) {
                        chunks.push(chunk.read(&mut pieces)?);
                    }
                }
            }
            found.push((labels, chunks));
        }
        Ok(found)
    }

    /// All series in order, for merging.
    pub fn all_series(&self) -> impl Iterator<Item = io::Result<SeriesChunks>> + use<'_> {
        let (mut pages, mut pieces) = (self.pieces(), self.pieces());
        let mut ready: std::collections::VecDeque<Vec<u8>> = std::collections::VecDeque::new();
        let mut next_page = 0;
        std::iter::from_fn(move || {
            while ready.is_empty() && next_page < self.index.series_pages.len() {
                match self.entries(&mut pages, next_page) {
                    Ok(entries) => ready.extend(entries),
                    Err(error) => return Some(Err(error)),
                }
                next_page += 1;
            }
            let entry = ready.pop_front()?;
            let Some((labels, refs)) = self.entry(&entry) else {
                return Some(Err(damaged("a series that cannot be read")));
            };
            let chunks = refs.iter().map(|chunk| chunk.read(&mut pieces)).collect::<io::Result<Vec<_>>>();
            Some(chunks.map(|chunks| (labels, chunks)))
        })
    }

    fn pieces(&self) -> PieceReader<'_> {
        PieceReader::new(self.file, &self.index.directory)
    }

    fn entries(&self, pages: &mut PieceReader<'_>, page: usize) -> io::Result<Vec<Vec<u8>>> {
        let piece = self.index.series_pages.get(page).ok_or_else(|| damaged("no such page of series"))?;
        let mut reader = Reader::new(pages.read(*piece)?);
        let mut entries = Vec::with_capacity(SERIES_PER_PAGE);
        while !reader.is_empty() {
            entries.push(reader.sized().ok_or_else(|| damaged("a page of series that cannot be read"))?.to_vec());
        }
        Ok(entries)
    }

    fn entry(&self, entry: &[u8]) -> Option<(Labels, Vec<ChunkRef>)> {
        let mut reader = Reader::new(entry);
        let mut pairs = Vec::new();
        for _ in 0..reader.number()? {
            let mut symbol = || self.index.text(u32::try_from(reader.number()?).ok()?);
            pairs.push((symbol()?, symbol()?));
        }
        let refs = (0..reader.number()?).map(|_| ChunkRef::decode(&mut reader)).collect::<Option<Vec<_>>>()?;
        Some((Labels::from_pairs(pairs), refs))
    }

    fn list(&self, pieces: &mut PieceReader<'_>, piece: Piece) -> io::Result<Vec<u32>> {
        let mut reader = Reader::new(pieces.read(piece)?);
        let (mut numbers, mut last) = (Vec::new(), 0u32);
        while !reader.is_empty() {
            let step = reader.number().and_then(|step| u32::try_from(step).ok());
            last =
                step.and_then(|step| last.checked_add(step)).ok_or_else(|| damaged("postings that cannot be read"))?;
            numbers.push(last);
        }
        Ok(numbers)
    }

    fn values(&self, name: &str) -> &[(u32, Piece)] {
        self.index.symbol(name).and_then(|name| self.index.postings.get(&name)).map_or(&[], Vec::as_slice)
    }
}

struct ChunkRef {
    header: Header,
    piece: Piece,
}

impl ChunkRef {
    fn decode(reader: &mut Reader<'_>) -> Option<ChunkRef> {
        let kind = Kind::from_number(reader.byte()?)?;
        let first_ms = reader.signed()?;
        let last_ms = first_ms.wrapping_add(reader.signed()?);
        let start_ms = first_ms.wrapping_sub(reader.signed()?);
        let samples = reader.length(MAX_SAMPLES as usize)? as u32;
        let header = Header { kind, first_ms, last_ms, start_ms, samples };
        Some(ChunkRef { header, piece: Piece::decode(reader)? })
    }

    fn read(&self, pieces: &mut PieceReader<'_>) -> io::Result<Arc<Chunk>> {
        Ok(Arc::new(Chunk::new(self.header, pieces.read(self.piece)?.into())))
    }
}

impl Postings for OpenBlock<'_> {
    type Error = io::Error;

    fn all(&self) -> io::Result<Vec<u32>> {
        Ok((0..self.index.bounds.series).collect())
    }

    fn with_value(&self, name: &str, value: &str) -> io::Result<Vec<u32>> {
        let Some(value) = self.index.symbol(value) else { return Ok(Vec::new()) };
        let values = self.values(name);
        match values.binary_search_by_key(&value, |(have, _)| *have) {
            Ok(at) => self.list(&mut self.pieces(), values[at].1),
            Err(_) => Ok(Vec::new()),
        }
    }

    fn with_values(&self, name: &str, accepts: &dyn Fn(&str) -> bool) -> io::Result<Vec<u32>> {
        let mut pieces = self.pieces();
        let accepted = self.values(name).iter().filter(|(value, _)| self.index.text(*value).is_some_and(accepts));
        Ok(union(accepted.map(|(_, piece)| self.list(&mut pieces, *piece)).collect::<io::Result<Vec<_>>>()?))
    }
}
