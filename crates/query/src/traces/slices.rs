//! The time of a query in equal slices, read slice by slice and page by page, so that an answer costs little memory.

use crate::QueryError;
use crate::span_rows::time_ns;
use arrow_array::RecordBatch;
use limpid_store::{SpanQuery, Store};

/// So many slices has the time, and so many columns the heat map.
pub const SLICES: usize = 72;
/// So many spans are read at once.
const PAGE: usize = 2_000;

/// Gives the spans of a query page by page, and the share of each slice of the time that was read.
pub fn read_evenly(
    store: &dyn Store,
    query: &SpanQuery,
    budget: usize,
    mut each: impl FnMut(&[RecordBatch]),
) -> Result<Vec<f64>, QueryError> {
    let all = store.spans(&SpanQuery { limit: PAGE, ..query.clone() })?;
    if count(&all) < PAGE {
        each(&all);
        return Ok(vec![1.0; SLICES]);
    }
    drop(all);
    let mut left = budget;
    let mut read = Vec::with_capacity(SLICES);
    for slice in 0..SLICES {
        let (start_ns, end_ns) = (slice_start(query, slice), slice_start(query, slice + 1).saturating_sub(1));
        let allowed = left / (SLICES - slice);
        let (mut used, mut until, mut share) = (0, end_ns, 1.0);
        while until >= start_ns {
            let limit = PAGE.min(allowed - used);
            let page = store.spans(&SpanQuery { start_ns, end_ns: until, limit, ..query.clone() })?;
            each(&page);
            used += count(&page);
            if count(&page) < limit {
                break;
            }
            // Newest first: what is still to be read is older than the oldest of these.
            let oldest = page.iter().flat_map(starts).min().unwrap_or(until);
            until = oldest.saturating_sub(1);
            if used >= allowed {
                share = end_ns.saturating_sub(oldest) as f64 / end_ns.saturating_sub(start_ns).max(1) as f64;
                break;
            }
        }
        left -= used.min(left);
        read.push(f64::clamp(share, 0.001, 1.0));
    }
    Ok(read)
}

pub fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn starts(batch: &RecordBatch) -> impl Iterator<Item = u64> + '_ {
    (0..batch.num_rows()).filter_map(|row| time_ns(batch, "start", row))
}

/// Slices are equal parts of the range.
pub fn slice_start(base: &SpanQuery, slice: usize) -> u64 {
    let length = u128::from(base.end_ns.saturating_sub(base.start_ns));
    base.start_ns + (length * slice as u128 / SLICES as u128) as u64
}

pub fn slice_of(base: &SpanQuery, at_ns: u64) -> usize {
    let length = u128::from(base.end_ns.saturating_sub(base.start_ns)).max(1);
    let slice = u128::from(at_ns.saturating_sub(base.start_ns)) * SLICES as u128 / length;
    (slice as usize).min(SLICES - 1)
}
