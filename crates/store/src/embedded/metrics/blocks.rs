//! The blocks on disk: which there are, their indexes as far as they are in use, and how new ones come about.

use super::block::{self, Bounds, Index, OpenBlock, SeriesChunks};
use super::chunk::Wanted;
use super::coarse::{self, GRAINS};
use super::head::Drained;
use super::postings::Compiled;
use crate::StoreError;
use crate::embedded::checkpoint;
use crate::embedded::flush::make_folder;
use crate::embedded::inner::lock;
use crate::embedded::layout::{self, SharedFile};
use limpid_model::Labels;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

/// Indexes kept in memory together.
const MAX_INDEX_BYTES: usize = 64 << 20;
/// Times come from outside: chunks of more partitions than this share the oldest of the newest ones.
const MAX_PARTITIONS: usize = 200;
/// A coarse file has at most one sample for so many of the block.
const MIN_COARSER: u64 = 2;

#[derive(Debug)]
pub struct BlockFile {
    pub shared: SharedFile,
    pub partition: i64,
    pub bytes: u64,
    pub bounds: Bounds,
    pub modified_ns: i64,
    /// By grain.
    coarse: Vec<Option<BlockFile>>,
}

impl BlockFile {
    /// The block and its coarse files, as far as they are there.
    pub fn open(path: &Path) -> io::Result<BlockFile> {
        let mut block = BlockFile::open_alone(path)?;
        for (_, extension) in GRAINS {
            let coarse = coarse::path_of(path, extension);
            block.coarse.push(match BlockFile::open_alone(&coarse) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    layout::set_aside(&coarse, &error.to_string());
                    None
                }
                Err(error) => return Err(error),
            });
        }
        block.bytes += block.coarse.iter().flatten().map(|file| file.bytes).sum::<u64>();
        Ok(block)
    }

    fn open_alone(path: &Path) -> io::Result<BlockFile> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        let partition = path.parent().and_then(|folder| folder.file_name()?.to_str()?.parse().ok()).unwrap_or(0);
        Ok(BlockFile {
            shared: SharedFile::new(path),
            partition,
            bytes: about.len(),
            bounds: Index::read(&file)?.bounds,
            modified_ns: about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64),
            coarse: Vec::new(),
        })
    }

    /// The file of a grain, if there is one that has the block's series.
    pub fn coarse(&self, grain: usize) -> Option<&BlockFile> {
        self.coarse.get(grain)?.as_ref().filter(|file| file.bounds.series > 0)
    }

    /// Has it a file of every grain?
    pub fn is_whole(&self) -> bool {
        self.coarse.iter().all(Option::is_some)
    }

    /// Deletes the files once nobody reads them.
    pub fn doom(&self) {
        self.shared.doom();
        self.coarse.iter().flatten().for_each(|file| file.shared.doom());
    }

    pub fn path(&self) -> &Path {
        self.shared.path()
    }

    /// Reads every series and chunk.
    pub fn check(&self) -> io::Result<()> {
        let file = File::open(self.path())?;
        let index = Index::read(&file)?;
        OpenBlock { file: &file, index: &index }.all_series().try_for_each(|series| series.map(drop))
    }
}

/// The indexes used last.
#[derive(Default)]
pub struct IndexCache {
    entries: Mutex<VecDeque<(PathBuf, Arc<Index>)>>,
}

impl IndexCache {
    fn get(&self, path: &Path, file: &File) -> io::Result<Arc<Index>> {
        let mut entries = lock(&self.entries);
        if let Some(at) = entries.iter().position(|(have, _)| have == path)
            && let Some(entry) = entries.remove(at)
        {
            let index = entry.1.clone();
            entries.push_back(entry);
            return Ok(index);
        }
        drop(entries);
        let index = Arc::new(Index::read(file)?);
        let mut entries = lock(&self.entries);
        entries.push_back((path.to_path_buf(), index.clone()));
        while entries.len() > 1 && entries.iter().map(|(_, index)| index.bytes).sum::<usize>() > MAX_INDEX_BYTES {
            entries.pop_front();
        }
        Ok(index)
    }

    pub fn select(
        &self,
        block: &BlockFile,
        matchers: &[Compiled],
        range: (i64, i64),
        wanted: Option<Wanted<'_>>,
    ) -> io::Result<Vec<SeriesChunks>> {
        let file = File::open(block.path())?;
        let index = self.get(block.path(), &file)?;
        OpenBlock { file: &file, index: &index }.select(matchers, range, wanted)
    }
}

/// The chunks by partition, in each the series sorted by their labels.
pub fn by_partition(drained: &[Drained], partition_ms: i64) -> BTreeMap<i64, Vec<SeriesChunks>> {
    let mut order: Vec<&Drained> = drained.iter().collect();
    order.sort_unstable_by(|left, right| left.labels.cmp(&right.labels));
    let mut partitions: BTreeMap<i64, Vec<SeriesChunks>> = BTreeMap::new();
    for series in order {
        for chunk in &series.chunks {
            let list = partitions.entry(chunk.first_ms.div_euclid(partition_ms)).or_default();
            match list.last_mut() {
                Some((labels, chunks)) if *labels == series.labels => chunks.push(chunk.clone()),
                _ => list.push((series.labels.clone(), vec![chunk.clone()])),
            }
        }
    }
    while partitions.len() > MAX_PARTITIONS {
        let Some((_, oldest)) = partitions.pop_first() else { break };
        if let Some(mut next) = partitions.first_entry() {
            next.get_mut().extend(oldest);
            next.get_mut().sort_by(|left, right| left.0.cmp(&right.0));
        }
    }
    partitions
}

/// Writes the temporary files of one block and its grains.
pub fn write_temporary(path: &Path, series: &[SeriesChunks]) -> Result<(), StoreError> {
    let mut symbols = BTreeSet::new();
    for (labels, _) in series {
        for (name, value) in labels.iter() {
            for text in [name, value] {
                if !symbols.contains(text) {
                    symbols.insert(text.to_owned());
                }
            }
        }
    }
    write_all(path, &symbols, &|| series.iter().cloned().map(Ok))
}

/// The block, then a pass for each grain: a coarse file costs little beside the block, and no memory.
fn write_all<I: Iterator<Item = io::Result<SeriesChunks>>>(
    path: &Path,
    symbols: &BTreeSet<String>,
    series: &dyn Fn() -> I,
) -> Result<(), StoreError> {
    let bounds = write_guarded(path, |file| block::write(file, symbols, series()))?;
    (0..GRAINS.len()).try_for_each(|grain| write_grain(path, symbols, series, grain, bounds))
}

/// An empty file says that the grain is no use: the samples are nearly as coarse themselves.
fn write_grain<I: Iterator<Item = io::Result<SeriesChunks>>>(
    path: &Path,
    symbols: &BTreeSet<String>,
    series: &dyn Fn() -> I,
    grain: usize,
    of_block: Bounds,
) -> Result<(), StoreError> {
    let path = coarse::path_of(path, GRAINS[grain].1);
    let coarse = write_guarded(&path, |file| block::write(file, symbols, coarse::of_all(series(), grain)))?;
    if coarse.samples.saturating_mul(MIN_COARSER) > of_block.samples {
        write_guarded(&path, |file| block::write(file, &BTreeSet::new(), std::iter::empty()))?;
    }
    Ok(())
}

/// Makes the coarse files that a block lacks.
pub fn write_coarse(block: &BlockFile) -> Result<(), StoreError> {
    let path = block.path();
    let opened = File::open(path).and_then(|file| Index::read(&file).map(|index| (file, index)));
    let (file, index) = opened.map_err(|error| layout::at(path, error))?;
    let symbols: BTreeSet<String> = index.symbols().map(str::to_owned).collect();
    let reader = OpenBlock { file: &file, index: &index };
    for grain in (0..GRAINS.len()).filter(|grain| block.coarse.get(*grain).is_none_or(Option::is_none)) {
        write_grain(path, &symbols, &|| reader.all_series(), grain, block.bounds)?;
        let coarse = coarse::path_of(path, GRAINS[grain].1);
        layout::publish(&coarse).map_err(|error| layout::at(&coarse, error))?;
    }
    Ok(())
}

/// Deletes the coarse files whose block is gone.
pub fn sweep_coarse(folder: &Path) -> Result<(), StoreError> {
    for (_, extension) in GRAINS {
        for path in layout::files(folder, extension).map_err(|error| layout::at(folder, error))? {
            if !path.with_extension("block").exists() {
                checkpoint::remove(&path)?;
            }
        }
    }
    Ok(())
}

fn write_guarded<T>(path: &Path, body: impl FnOnce(File) -> io::Result<T>) -> Result<T, StoreError> {
    make_folder(path)?;
    let temporary = layout::temporary_name(path);
    let written = File::create(&temporary).and_then(body);
    if written.is_err() {
        // The disk may be full: what stands half-written only makes it worse.
        std::fs::remove_file(&temporary).ok();
    }
    written.map_err(|error| layout::at(path, error))
}

/// Merges blocks into the temporary files of one: a walk through all of them in the order of the labels.
pub fn merge_temporary(path: &Path, blocks: &[Arc<BlockFile>]) -> Result<(), StoreError> {
    let mut open = Vec::new();
    for block in blocks {
        let read = File::open(block.path()).and_then(|file| Index::read(&file).map(|index| (file, index)));
        open.push(read.map_err(|error| layout::at(block.path(), error))?);
    }
    let symbols: BTreeSet<String> = open.iter().flat_map(|(_, index)| index.symbols()).map(str::to_owned).collect();
    let readers: Vec<OpenBlock<'_>> = open.iter().map(|(file, index)| OpenBlock { file, index }).collect();
    let sources = || readers.iter().map(|reader| reader.all_series().peekable()).collect();
    write_all(path, &symbols, &|| Merged { sources: sources() })
}

/// The series of several sorted sources, in order, those with equal labels joined.
struct Merged<I: Iterator<Item = io::Result<SeriesChunks>>> {
    sources: Vec<std::iter::Peekable<I>>,
}

impl<I: Iterator<Item = io::Result<SeriesChunks>>> Iterator for Merged<I> {
    type Item = io::Result<SeriesChunks>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut smallest: Option<Labels> = None;
        for source in &mut self.sources {
            match source.peek() {
                Some(Err(_)) => return source.next(),
                Some(Ok((labels, _))) if smallest.as_ref().is_none_or(|have| labels < have) => {
                    smallest = Some(labels.clone())
                }
                _ => {}
            }
        }
        let smallest = smallest?;
        let mut chunks = Vec::new();
        for source in &mut self.sources {
            while let Some(Ok((_, more))) =
                source.next_if(|next| next.as_ref().is_ok_and(|(labels, _)| *labels == smallest))
            {
                chunks.extend(more);
            }
        }
        chunks.sort_by_key(|chunk| chunk.first_ms);
        Some(Ok((smallest, chunks)))
    }
}
