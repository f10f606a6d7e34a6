//! What is kept: by age, by size, and so that the disk never fills up. The oldest goes first.

use super::inner::Inner;
use crate::StoreError;

/// Refuses writes while less of the disk is free than the floor says.
pub fn check_floor(inner: &Inner) -> Result<(), StoreError> {
    let space = inner.space()?;
    let floor = (space.total_bytes as f64 * inner.options.min_free_ratio) as u64;
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
