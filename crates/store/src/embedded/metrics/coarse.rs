//! Series at coarser grains: for each whole minute, and each twelve, the last sample at or before it.
//!
//! Counts are cumulative, so that an increase between two moments needs the samples at the two and, where a counter began
//! anew between them, its last one before. A block has a file beside it for each grain, with the same layout and these
//! samples only; who reads at moments that are all multiples of a grain reads that and not the block. It holds nothing
//! that is not in the block: one that is missing or damaged is made again.

use super::block::SeriesChunks;
use super::chunk::{Builder, Chunk, Kind, Wanted, ceiling};
use super::merge::merge;
use limpid_model::Labels;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Finest first. The sixtieth part of an hour is a minute; those of 12 hours, of a day and of a week are multiples of
/// twelve minutes.
pub const GRAINS: [(i64, &str); 2] = [(60_000, "block-1m"), (720_000, "block-12m")];
/// Of unaligned moments in a block, beyond which its coarse files are no help.
const MAX_UNALIGNED: usize = 2;
/// Shorter chunks are as quickly read as they are made coarse.
const WORTH_SAMPLES: u32 = 24;

pub fn path_of(block: &Path, extension: &str) -> PathBuf {
    block.with_extension(extension)
}

/// How to read a block at some moments.
#[derive(Debug, PartialEq)]
pub struct Reading {
    /// The grain whose file is read.
    pub grain: Option<usize>,
    /// What is read from the block itself, if anything.
    pub moments: Option<Vec<i64>>,
}

impl Reading {
    /// `moments` are all, ascending; what matters are those from the block's first sample to its last.
    pub fn new(moments: &[i64], first_ms: i64, last_ms: i64) -> Reading {
        let from = moments.partition_point(|moment| *moment < first_ms);
        let to = moments.partition_point(|moment| *moment <= last_ms);
        let inside = moments.get(from..to).unwrap_or_default();
        let is_even = |moment: &i64, grain: usize| moment % GRAINS[grain].0 == 0;
        let (even, odd): (Vec<i64>, Vec<i64>) = inside.iter().partition(|moment| is_even(moment, 0));
        if odd.len() > MAX_UNALIGNED {
            return Reading { grain: None, moments: Some(moments.to_vec()) };
        }
        let coarsest = (0..GRAINS.len()).rev().find(|grain| even.iter().all(|moment| is_even(moment, *grain)));
        Reading { grain: coarsest, moments: (!odd.is_empty()).then_some(odd) }
    }
}

/// The chunks of one series at a grain.
pub fn of_chunks(chunks: &[Arc<Chunk>], grain_ms: i64) -> Vec<Arc<Chunk>> {
    let mut damaged = 0;
    let series = merge(Labels::default(), chunks.to_vec(), Wanted::Every(grain_ms), &mut damaged);
    let start_at = |at: usize| series.starts.get(at).copied().unwrap_or(0);
    let (mut coarse, mut open): (Vec<Arc<Chunk>>, Option<Builder>) = (Vec::new(), None);
    for (at, sample) in series.samples.iter().enumerate() {
        // Each chunk gave its last one too, for when the next one begins anew.
        let goes_on = series.samples.get(at + 1).filter(|_| start_at(at + 1) == start_at(at));
        if goes_on.is_some_and(|next| ceiling(sample.time_ms, grain_ms) >= next.time_ms) {
            continue;
        }
        match &mut open {
            Some(builder) if builder.accepts(start_at(at), sample) => builder.append(sample),
            _ => coarse.extend(open.replace(Builder::new(start_at(at), sample)).map(|full| Arc::new(full.close()))),
        }
    }
    coarse.extend(open.map(|full| Arc::new(full.close())));
    coarse
}

/// A whole series of a block at the grain number `grain`.
pub fn of_series((labels, chunks): &SeriesChunks, grain: usize) -> SeriesChunks {
    let coarse = GRAINS[..=grain].iter().fold(chunks.clone(), |chunks, (grain_ms, _)| of_chunks(&chunks, *grain_ms));
    (labels.clone(), coarse)
}

pub fn of_all(
    series: impl Iterator<Item = io::Result<SeriesChunks>>,
    grain: usize,
) -> impl Iterator<Item = io::Result<SeriesChunks>> {
    series.map(move |one| one.map(|one| of_series(&one, grain)))
}

/// What a reader at these moments needs of a closed chunk in memory: made coarse once, if that is enough.
pub fn in_memory(chunk: &Arc<Chunk>, moments: &[i64]) -> Arc<Chunk> {
    if chunk.kind != Kind::Histogram || chunk.samples < WORTH_SAMPLES {
        return chunk.clone();
    }
    if Reading::new(moments, chunk.first_ms, chunk.last_ms).moments.is_some() {
        return chunk.clone();
    }
    let make = || match of_chunks(std::slice::from_ref(chunk), GRAINS[0].0).as_slice() {
        [only] => Some(only.clone()),
        _ => None,
    };
    chunk.coarse.get_or_init(make).clone().unwrap_or_else(|| chunk.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_coarsest_grain_that_has_every_moment_is_read() {
        let minute = |number: i64| number * 60_000;
        let reading = |moments: &[i64]| Reading::new(moments, minute(10), minute(130));
        let whole: Vec<i64> = (0..40).map(|at| minute(at * 12)).collect();
        assert_eq!(reading(&whole), Reading { grain: Some(1), moments: None });
        let minutes: Vec<i64> = (0..200).map(minute).collect();
        assert_eq!(reading(&minutes), Reading { grain: Some(0), moments: None });
        // One outside of the block does not matter, one inside is read from the block itself.
        let mut end = whole.clone();
        end.push(minute(1_000) + 7);
        assert_eq!(reading(&end), Reading { grain: Some(1), moments: None });
        let mut odd = vec![minute(11) + 3];
        odd.extend(&whole[1..]);
        assert_eq!(reading(&odd), Reading { grain: Some(1), moments: Some(vec![minute(11) + 3]) });
        let odd: Vec<i64> = (0..200).map(|at| minute(at) + 1).collect();
        assert_eq!(reading(&odd), Reading { grain: None, moments: Some(odd) });
    }
}
