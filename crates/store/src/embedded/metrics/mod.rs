//! Metric series: the head in memory, blocks on disk, and one answer out of both.
//!
//! A flush turns all chunks of the head into blocks, one for each partition they touch; late samples thereby come into
//! a block that overlaps others of its partition. Readers merge; compaction joins the blocks of a partition that has
//! come to rest.

mod block;
mod blocks;
mod chunk;
mod coarse;
mod growth;
mod head;
mod merge;
mod metadata;
mod pages;
mod postings;
mod varint;

use super::checkpoint::{self, Checkpoint};
use super::inner::{lock, read, write};
use super::layout;
use super::losses::{self, Losses};
use super::options::Options;
use crate::StoreError;
use block::SeriesChunks;
pub use blocks::BlockFile;
use blocks::IndexCache;
use chunk::Chunk;
pub use chunk::Wanted;
use coarse::{GRAINS, Reading};
use head::{Appended, Drained, Head};
use limpid_model::batch::Batch;
use limpid_model::series::{Metadata, SourceError};
use limpid_model::{Growth, Labels, Matcher, Series};
use metadata::MetadataList;
use postings::Compiled;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

/// A partition with this many blocks is compacted although it still grows.
const MANY_BLOCKS: usize = 12;
/// Threads that decode the answer to one question, and how many series are worth one.
const MAX_DECODERS: usize = 4;
const SERIES_PER_DECODER: usize = 200;

pub struct Metrics {
    folder: PathBuf,
    options: Options,
    partition_ms: i64,
    state: RwLock<State>,
    indexes: IndexCache,
    /// What a failed flush left, to be tried again with the same log record.
    unfinished: Mutex<Option<(Vec<Drained>, u64)>>,
}

struct State {
    head: Head,
    blocks: Vec<Arc<BlockFile>>,
    metadata: MetadataList,
}

/// Decodes what was found, series by series.
fn give(
    found: impl IntoIterator<Item = (Labels, Vec<Arc<Chunk>>)>,
    wanted: Wanted<'_>,
    losses: &Losses,
    each: &mut dyn FnMut(Series) -> bool,
) {
    let mut damaged = 0;
    for (labels, chunks) in found {
        let series = merge::merge(labels, chunks, wanted, &mut damaged);
        if !series.samples.is_empty() && !each(series) {
            break;
        }
    }
    losses::add(&losses.damaged_chunks, damaged);
}

/// Decodes what was found with all processors; the order stays.
fn in_parts<T: Send>(
    mut found: Vec<SeriesChunks>,
    decode: impl Fn(Vec<SeriesChunks>) -> Vec<T> + Sync,
) -> Result<Vec<T>, SourceError> {
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(MAX_DECODERS));
    let each = found.len().div_ceil(threads).max(SERIES_PER_DECODER);
    let decode = &decode;
    std::thread::scope(|scope| {
        let mut rest = Vec::new();
        while found.len() > each {
            let part = found.split_off(found.len() - each);
            let builder = std::thread::Builder::new().name("store-decode".into());
            rest.push(builder.spawn_scoped(scope, move || decode(part)));
        }
        let mut decoded = decode(found);
        for part in rest.into_iter().rev() {
            let part = part.map_err(|error| SourceError::Unavailable(format!("no thread to decode in: {error}")))?;
            decoded.extend(part.join().map_err(|_| SourceError::Unavailable("decoding failed".to_owned()))?);
        }
        Ok(decoded)
    })
}

/// A block's name and those of its coarse files.
fn with_coarse(name: String) -> impl Iterator<Item = String> {
    let coarse = GRAINS.map(|(_, extension)| coarse::path_of(Path::new(&name), extension));
    let coarse = coarse.map(|path| path.to_string_lossy().into_owned());
    std::iter::once(name).chain(coarse)
}

impl Metrics {
    pub fn open(folder: &Path, options: &Options, losses: &Losses, persisted: &mut u64) -> Result<Self, StoreError> {
        let partition_ms = (options.metrics_partition.as_millis() as i64).max(1);
        let checkpoint = checkpoint::recover(folder)?;
        *persisted = checkpoint.log_record;
        losses::add(&losses.damaged_files, u64::from(checkpoint.damaged));
        blocks::sweep_coarse(folder)?;
        let mut blocks = Vec::new();
        for path in layout::files(folder, "block").map_err(|error| layout::at(folder, error))? {
            match BlockFile::open(&path) {
                Ok(block) => blocks.push(Arc::new(block)),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    layout::set_aside(&path, &error.to_string());
                    losses::add(&losses.damaged_files, 1);
                }
                Err(error) => return Err(layout::at(&path, error)),
            }
        }
        let metadata = MetadataList::load(folder, losses)?;
        Ok(Metrics {
            folder: folder.to_path_buf(),
            options: options.clone(),
            partition_ms,
            state: RwLock::new(State { head: Head::new(partition_ms), blocks, metadata }),
            indexes: IndexCache::default(),
            unfinished: Mutex::new(None),
        })
    }

    pub fn apply(&self, batch: &Batch, losses: &Losses) {
        if batch.points.is_empty() && batch.metadata.is_empty() {
            return;
        }
        let mut state = write(&self.state);
        for point in &batch.points {
            match state.head.append(point) {
                Appended::Stored => {}
                Appended::Duplicate => losses::add(&losses.duplicate_samples, 1),
                Appended::Refused => losses::add(&losses.refused_series, 1),
            }
        }
        batch.metadata.iter().for_each(|metadata| state.metadata.add(metadata));
    }

    // ---- reading ----

    pub fn select(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        losses: &Losses,
    ) -> Result<Vec<Series>, SourceError> {
        let wanted = Wanted::Between(from, to);
        let found = self.find(matchers, (from, to), Some(wanted), losses)?;
        let samples: u64 = found.values().flatten().map(|chunk| u64::from(chunk.samples)).sum();
        if samples > self.options.max_samples as u64 {
            return Err(SourceError::TooMuch(format!(
                "the selection holds {samples} samples, at most {} are read at once; select fewer series or a shorter time",
                self.options.max_samples
            )));
        }
        let mut series = Vec::with_capacity(found.len());
        give(found, wanted, losses, &mut |one| {
            series.push(one);
            true
        });
        Ok(series)
    }

    /// As `select`, decoding one series at a time until `each` says false.
    pub fn select_each(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        wanted: Wanted<'_>,
        losses: &Losses,
        each: &mut dyn FnMut(Series) -> bool,
    ) -> Result<(), SourceError> {
        give(self.find(matchers, (from, to), Some(wanted), losses)?, wanted, losses, each);
        Ok(())
    }

    /// Of each series the samples at some moments, decoded by all processors.
    pub fn select_at(
        &self,
        matchers: &[Matcher],
        times_ms: &[i64],
        lookback_ms: i64,
        losses: &Losses,
    ) -> Result<Vec<Series>, SourceError> {
        let decode = |found: Vec<SeriesChunks>| {
            let mut decoded = Vec::with_capacity(found.len());
            give(found, Wanted::At(times_ms), losses, &mut |mut series| {
                // Chunks that overlap, and staleness markers, leave more than is wanted.
                series.keep_at(times_ms, lookback_ms);
                decoded.extend((!series.samples.is_empty()).then_some(series));
                true
            });
            decoded
        };
        in_parts(self.find_at(matchers, times_ms, lookback_ms, losses)?, decode)
    }

    /// What the histograms at some moments grew by, each series in one pass over its chunks.
    pub fn growth_at(
        &self,
        matchers: &[Matcher],
        times_ms: &[i64],
        lookback_ms: i64,
        losses: &Losses,
    ) -> Result<Vec<Growth>, SourceError> {
        let decode = |found: Vec<SeriesChunks>| {
            let mut reader = growth::Reader::new(times_ms, lookback_ms);
            let grown = found.into_iter().filter_map(|(labels, chunks)| reader.growth(labels, chunks)).collect();
            losses::add(&losses.damaged_chunks, reader.damaged);
            grown
        };
        in_parts(self.find_at(matchers, times_ms, lookback_ms, losses)?, decode)
    }

    fn find_at(
        &self,
        matchers: &[Matcher],
        times_ms: &[i64],
        lookback_ms: i64,
        losses: &Losses,
    ) -> Result<Vec<SeriesChunks>, SourceError> {
        let (Some(first), Some(last)) = (times_ms.first(), times_ms.last()) else { return Ok(Vec::new()) };
        let range = (first.saturating_sub(lookback_ms), *last);
        Ok(self.find(matchers, range, Some(Wanted::At(times_ms)), losses)?.into_iter().collect())
    }

    pub fn series(
        &self,
        matchers: &[Matcher],
        from: i64,
        to: i64,
        losses: &Losses,
    ) -> Result<Vec<Labels>, SourceError> {
        Ok(self.find(matchers, (from, to), None, losses)?.into_keys().collect())
    }

    fn find(
        &self,
        matchers: &[Matcher],
        (from, to): (i64, i64),
        wanted: Option<Wanted<'_>>,
        losses: &Losses,
    ) -> Result<BTreeMap<Labels, Vec<Arc<Chunk>>>, SourceError> {
        let matchers = Compiled::all(matchers)?;
        let until = Instant::now() + self.options.query_time_limit;
        let state = read(&self.state);
        let in_head = state.head.select(&matchers, (from, to), wanted);
        let blocks = state.blocks.clone();
        drop(state);
        let mut found: BTreeMap<Labels, Vec<Arc<Chunk>>> = BTreeMap::new();
        for block in blocks.iter().filter(|block| block.bounds.first_ms <= to && block.bounds.last_ms >= from) {
            let series = self.select_block(block, &matchers, (from, to), wanted, losses)?;
            series.into_iter().for_each(|(labels, chunks)| found.entry(labels).or_default().extend(chunks));
            self.check_limits(found.len(), until)?;
        }
        in_head.into_iter().for_each(|(labels, chunks)| found.entry(labels).or_default().extend(chunks));
        self.check_limits(found.len(), until)?;
        Ok(found)
    }

    fn check_limits(&self, series: usize, until: Instant) -> Result<(), SourceError> {
        if series > self.options.max_series {
            let limit = self.options.max_series;
            return Err(SourceError::TooMuch(format!("the selection matches more than {limit} series; add matchers")));
        }
        if Instant::now() > until {
            return Err(SourceError::TooMuch(
                "the selection ran out of time; ask for a shorter time or add matchers".to_owned(),
            ));
        }
        Ok(())
    }

    fn select_block(
        &self,
        block: &Arc<BlockFile>,
        matchers: &[Compiled],
        range: (i64, i64),
        wanted: Option<Wanted<'_>>,
        losses: &Losses,
    ) -> Result<Vec<SeriesChunks>, SourceError> {
        let Some(Wanted::At(moments)) = wanted else {
            return self.read_file(block, block, matchers, range, wanted, losses);
        };
        let reading = Reading::new(moments, block.bounds.first_ms, block.bounds.last_ms);
        let Some(coarse) = reading.grain.and_then(|grain| block.coarse(grain)) else {
            return self.read_file(block, block, matchers, range, wanted, losses);
        };
        let mut found = self.read_file(block, coarse, matchers, range, wanted, losses)?;
        if let Some(moments) = &reading.moments {
            found.extend(self.read_file(block, block, matchers, range, Some(Wanted::At(moments)), losses)?);
        }
        Ok(found)
    }

    /// Reads the block itself or one of its coarse files; a damaged one is set aside.
    fn read_file(
        &self,
        block: &Arc<BlockFile>,
        file: &BlockFile,
        matchers: &[Compiled],
        range: (i64, i64),
        wanted: Option<Wanted<'_>>,
        losses: &Losses,
    ) -> Result<Vec<SeriesChunks>, SourceError> {
        match self.indexes.select(file, matchers, range, wanted) {
            Ok(series) => Ok(series),
            Err(error) if error.kind() == io::ErrorKind::InvalidData && file.path() != block.path() => {
                self.set_coarse_aside(block, file.path(), &error.to_string(), losses);
                self.read_file(block, block, matchers, range, wanted, losses)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.set_aside(block, &error.to_string(), losses);
                Ok(Vec::new())
            }
            Err(error) => Err(SourceError::Unavailable(format!("{}: {error}", file.path().display()))),
        }
    }

    /// The block goes on without its coarse file, until that is made again.
    fn set_coarse_aside(&self, block: &Arc<BlockFile>, path: &Path, reason: &str, losses: &Losses) {
        layout::set_aside(path, reason);
        losses::add(&losses.damaged_files, 1);
        if let Ok(reopened) = BlockFile::open(block.path()) {
            self.exchange(std::slice::from_ref(block), Some(Arc::new(reopened)));
        }
    }

    fn set_aside(&self, block: &Arc<BlockFile>, reason: &str, losses: &Losses) {
        layout::set_aside(block.path(), reason);
        losses::add(&losses.damaged_files, 1);
        self.exchange(std::slice::from_ref(block), None);
    }

    pub fn metadata(&self) -> Vec<Metadata> {
        read(&self.state).metadata.all()
    }

    // ---- figures ----

    pub fn head_bytes(&self) -> usize {
        read(&self.state).head.chunk_bytes
    }

    pub fn since(&self) -> Option<Instant> {
        read(&self.state).head.since
    }

    /// The oldest sample in memory.
    pub fn oldest_ms(&self) -> Option<i64> {
        read(&self.state).head.oldest_ms
    }

    pub fn series_count(&self) -> u64 {
        read(&self.state).head.len() as u64
    }

    pub fn blocks(&self) -> Vec<Arc<BlockFile>> {
        read(&self.state).blocks.clone()
    }

    // ---- writing ----

    /// Is there a flush that failed?
    pub fn is_unfinished(&self) -> bool {
        lock(&self.unfinished).is_some()
    }

    /// Takes everything out of the head, with the number of the last log record in it; what an earlier flush could not
    /// write comes again first.
    pub fn begin_flush(&self, applied: u64) {
        let mut unfinished = lock(&self.unfinished);
        if unfinished.is_none() {
            *unfinished = Some((write(&self.state).head.drain(), applied));
        }
    }

    /// Writes what was taken out; returns the log record up to which everything is in blocks.
    pub fn finish_flush(&self) -> Result<u64, StoreError> {
        let mut unfinished = lock(&self.unfinished);
        let Some((drained, cut)) = unfinished.as_ref() else { return Ok(0) };
        let cut = *cut;
        if !drained.is_empty() {
            let mut checkpoint = Checkpoint { log_record: cut, ..Checkpoint::default() };
            for (partition, series) in blocks::by_partition(drained, self.partition_ms) {
                let name = format!("{partition}/{cut:020}.block");
                blocks::write_temporary(&self.folder.join(&name), &series)?;
                checkpoint.files.extend(with_coarse(name));
            }
            read(&self.state).metadata.save(&self.folder)?;
            checkpoint::promise(&self.folder, checkpoint.clone())?;
            let opened = self.open_all(&checkpoint.files)?;
            let mut state = write(&self.state);
            state.blocks.extend(opened);
            state.head.forget(drained);
        }
        *unfinished = None;
        Ok(cut)
    }

    fn open_all(&self, names: &[String]) -> Result<Vec<Arc<BlockFile>>, StoreError> {
        let open = |name: &String| {
            let path = self.folder.join(name);
            BlockFile::open(&path).map(Arc::new).map_err(|error| layout::at(&path, error))
        };
        names.iter().filter(|name| name.ends_with(".block")).map(open).collect()
    }

    pub fn exchange(&self, gone: &[Arc<BlockFile>], come: Option<Arc<BlockFile>>) {
        let mut state = write(&self.state);
        state.blocks.retain(|block| !gone.iter().any(|gone| gone.path() == block.path()));
        state.blocks.extend(come);
    }

    /// Joins the blocks of one partition, if there is one worth it; true when something was done.
    pub fn compact(&self, persisted: u64, losses: &Losses) -> Result<bool, StoreError> {
        let Some((partition, group)) = self.worth_joining() else { return self.make_coarse(losses) };
        // Named after the newest of them: a name of its own, since a block has at least two parts only here.
        let newest =
            group.iter().filter_map(|block| block.path().file_stem()?.to_str()).max().unwrap_or("0").to_owned();
        let name = format!("{partition}/{newest}-joined.block");
        if let Err(error) = blocks::merge_temporary(&self.folder.join(&name), &group) {
            let damaged = group.iter().filter_map(|block| Some((block, BlockFile::check(block).err()?)));
            for (block, error) in damaged.filter(|(_, error)| error.kind() == io::ErrorKind::InvalidData) {
                self.set_aside(block, &error.to_string(), losses);
            }
            return Err(error);
        }
        let relative =
            |block: &Arc<BlockFile>| Some(block.path().strip_prefix(&self.folder).ok()?.to_str()?.to_owned());
        let replaced = group.iter().filter_map(relative).flat_map(with_coarse).collect();
        let checkpoint = Checkpoint::new(persisted, with_coarse(name.clone()).collect(), replaced);
        checkpoint::promise(&self.folder, checkpoint)?;
        let joined = self.open_all(&[name])?;
        self.exchange(&group, joined.into_iter().next());
        group.iter().for_each(|block| block.doom());
        Ok(true)
    }

    /// Gives one block its coarse files, if one lacks them: it is of a version before, or they were damaged.
    fn make_coarse(&self, losses: &Losses) -> Result<bool, StoreError> {
        let Some(block) = self.blocks().into_iter().find(|block| !block.is_whole()) else { return Ok(false) };
        if let Err(error) = blocks::write_coarse(&block) {
            if let Err(error) = block.check().map_err(|error| (error.kind(), error.to_string()))
                && error.0 == io::ErrorKind::InvalidData
            {
                self.set_aside(&block, &error.1, losses);
            }
            return Err(error);
        }
        let reopened = BlockFile::open(block.path()).map_err(|error| layout::at(block.path(), error))?;
        self.exchange(std::slice::from_ref(&block), Some(Arc::new(reopened)));
        Ok(true)
    }

    fn worth_joining(&self) -> Option<(i64, Vec<Arc<BlockFile>>)> {
        let state = read(&self.state);
        let newest = state.head.newest_ms.max(state.blocks.iter().map(|block| block.bounds.last_ms).max()?);
        let mut partitions: BTreeMap<i64, Vec<Arc<BlockFile>>> = BTreeMap::new();
        for block in &state.blocks {
            partitions.entry(block.partition).or_default().push(block.clone());
        }
        let at_rest = |partition: i64| {
            partition.saturating_add(1).saturating_mul(self.partition_ms) < newest.saturating_sub(self.partition_ms / 2)
        };
        partitions
            .into_iter()
            .find(|(partition, blocks)| blocks.len() >= MANY_BLOCKS || (blocks.len() > 1 && at_rest(*partition)))
    }
}
