//! One series out of chunks from several places: ascending in time, no time twice, starts kept.

use super::chunk::{Chunk, Wanted, decode};
use limpid_model::{Labels, Sample, Series};
use std::sync::Arc;

/// Chunks may overlap (late samples, a flush that a crash repeated). `damaged` counts those that cannot be read.
pub fn merge(labels: Labels, mut chunks: Vec<Arc<Chunk>>, wanted: Wanted<'_>, damaged: &mut u64) -> Series {
    chunks.sort_by_key(|chunk| chunk.first_ms);
    let mut samples: Vec<Sample> = Vec::new();
    let mut starts: Vec<i64> = Vec::new();
    let mut overlap = false;
    for (at, chunk) in chunks.iter().enumerate() {
        if !wanted.needs(chunk, chunks.get(at + 1).map(|next| &next.header)) {
            continue;
        }
        let Some(decoded) = decode(chunk, wanted) else {
            *damaged += 1;
            continue;
        };
        let follows = |last: &Sample| decoded.first().is_none_or(|first| first.time_ms > last.time_ms);
        overlap |= !samples.last().is_none_or(follows);
        starts.extend(std::iter::repeat_n(chunk.start_ms, decoded.len()));
        samples.extend(decoded);
    }
    if overlap {
        (samples, starts) = in_order(samples, starts);
    }
    if starts.iter().all(|start| *start == 0) {
        starts.clear();
    }
    Series { labels, samples, starts }
}

/// Of two samples of one time the one that was stored first stays.
fn in_order(samples: Vec<Sample>, starts: Vec<i64>) -> (Vec<Sample>, Vec<i64>) {
    let mut pairs: Vec<(Sample, i64)> = samples.into_iter().zip(starts).collect();
    pairs.sort_by_key(|(sample, _)| sample.time_ms);
    pairs.dedup_by_key(|(sample, _)| sample.time_ms);
    pairs.into_iter().unzip()
}
