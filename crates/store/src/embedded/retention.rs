//! What is kept: by age, by size, and so that the disk never fills up. The oldest goes first, each signal apart: one
//! that grows beyond its share loses its own oldest files, so that a burst of spans cannot push out the metrics.

use super::inner::{self, Inner, write};
use super::layout::Space;
use super::losses;
use super::metrics::BlockFile;
use super::options::{Limit, Retention};
use super::parquet_file::DataFile;
use super::table::Table;
use crate::StoreError;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Shares of the size when all signals want more than there is.
const SPANS_SHARE: f64 = 0.55;
const METRICS_SHARE: f64 = 0.30;
const EVENTS_SHARE: f64 = 0.15;

enum File {
    Row(Arc<DataFile>),
    Block(Arc<BlockFile>),
}

impl File {
    fn bytes(&self) -> u64 {
        match self {
            File::Row(file) => file.bytes,
            File::Block(block) => block.bytes,
        }
    }

    fn doom(&self) {
        match self {
            File::Row(file) => file.shared.doom(),
            File::Block(block) => block.doom(),
        }
    }

    /// How new its newest row is. Times come from outside and may lie in the future; the file's own time does not.
    fn time_ns(&self) -> i64 {
        match self {
            File::Row(file) => file.max_ns.min(file.modified_ns),
            File::Block(block) => block.bounds.last_ms.saturating_mul(1_000_000).min(block.modified_ns),
        }
    }
}

struct Signal<'a> {
    table: Option<&'a Table>,
    limit: Limit,
    share: f64,
    /// Newest first: the oldest is popped.
    files: Vec<File>,
}

impl Signal<'_> {
    fn bytes(&self) -> u64 {
        self.files.iter().map(File::bytes).sum()
    }
}

/// Deletes what is too old or too much.
pub fn run(inner: &Inner) -> Result<(), StoreError> {
    let retention = *inner::lock(&inner.retention);
    let mut signals = signals(inner, &retention);
    expire(inner, retention, &mut signals);
    signals.iter_mut().for_each(|signal| shrink(inner, signal));
    let log_bytes = inner.log().map_or(0, |log| log.bytes());
    let total = signals.iter().map(Signal::bytes).sum::<u64>() + log_bytes;
    let too_much = total.saturating_sub(retention.max_bytes);
    let space = inner.space()?;
    let missing = floor(inner, space).saturating_sub(space.free_bytes);
    let mut to_free = too_much.max(missing);
    while to_free > 0 {
        let Some(freed) = delete_most_over_share(inner, &mut signals) else { break };
        to_free = to_free.saturating_sub(freed);
        inner.forget_space();
    }
    Ok(())
}

fn signals<'a>(inner: &'a Inner, limits: &Retention) -> [Signal<'a>; 3] {
    let rows = |table: &Table| table.files().into_iter().map(File::Row).collect::<Vec<_>>();
    let blocks = inner.metrics.blocks().into_iter().map(File::Block).collect();
    let mut signals = [
        Signal { table: Some(&inner.spans), limit: limits.spans, share: SPANS_SHARE, files: rows(&inner.spans) },
        Signal { table: Some(&inner.events), limit: limits.events, share: EVENTS_SHARE, files: rows(&inner.events) },
        Signal { table: None, limit: limits.metrics, share: METRICS_SHARE, files: blocks },
    ];
    for signal in &mut signals {
        signal.files.sort_by_key(|file| std::cmp::Reverse(file.time_ns()));
    }
    signals
}

fn expire(inner: &Inner, retention: Retention, signals: &mut [Signal<'_>]) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut longest = Duration::ZERO;
    for signal in signals {
        let retention = signal.limit.retention.unwrap_or(retention.age);
        if retention.is_zero() {
            longest = Duration::MAX;
            continue;
        }
        longest = longest.max(retention);
        let before_ns = now.saturating_sub(retention).as_nanos() as i64;
        while signal.files.last().is_some_and(|file| file.time_ns() < before_ns) {
            delete_oldest(inner, signal);
        }
    }
    // An entity is needed for as long as anything that names it.
    write(&inner.entities).expire(now.saturating_sub(longest).as_nanos() as u64);
}

/// Deletes the oldest of a signal that is larger than its own limit.
fn shrink(inner: &Inner, signal: &mut Signal<'_>) {
    let Some(max_bytes) = signal.limit.max_bytes else { return };
    let mut too_much = signal.bytes().saturating_sub(max_bytes);
    while too_much > 0 {
        let Some(freed) = delete_oldest(inner, signal) else { break };
        too_much = too_much.saturating_sub(freed);
    }
}

fn delete_most_over_share(inner: &Inner, signals: &mut [Signal<'_>]) -> Option<u64> {
    let over = |signal: &Signal<'_>| signal.bytes() as f64 / signal.share;
    let most = signals
        .iter_mut()
        .filter(|signal| !signal.files.is_empty())
        .max_by(|left, right| over(left).total_cmp(&over(right)));
    most.and_then(|signal| delete_oldest(inner, signal))
}

fn delete_oldest(inner: &Inner, signal: &mut Signal<'_>) -> Option<u64> {
    let file = signal.files.pop()?;
    match (&file, signal.table) {
        (File::Row(row), Some(table)) => table.exchange(std::slice::from_ref(row), None),
        (File::Block(block), _) => inner.metrics.exchange(std::slice::from_ref(block), None),
        _ => {}
    }
    file.doom();
    losses::add(&inner.losses.expired_files, 1);
    Some(file.bytes())
}

fn floor(inner: &Inner, space: Space) -> u64 {
    (space.total_bytes as f64 * inner.options.min_free_ratio) as u64
}

/// Refuses writes while less of the disk is free than the floor says.
pub fn check_floor(inner: &Inner) -> Result<(), StoreError> {
    let space = inner.space()?;
    let floor = floor(inner, space);
    if space.free_bytes >= floor {
        return Ok(());
    }
    Err(StoreError::Full(format!(
        "data folder {}: {} MiB are free and {} MiB must stay free; make room or lower the floor",
        inner.folder.path.display(),
        space.free_bytes >> 20,
        floor >> 20
    )))
}
