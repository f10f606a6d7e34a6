//! The footers of the files that were read last. A footer of some fifty columns takes longer to parse than most queries
//! take for the rest of a file.

use super::inner::lock;
use super::parquet_file::FileError;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Kept in memory together, as parsed.
const MAX_BYTES: usize = 48 << 20;

#[derive(Default)]
pub struct Footers {
    newest_last: Mutex<VecDeque<(PathBuf, ArrowReaderMetadata)>>,
}

impl Footers {
    pub fn get(
        &self,
        path: &Path,
        read: impl FnOnce() -> Result<ArrowReaderMetadata, FileError>,
    ) -> Result<ArrowReaderMetadata, FileError> {
        if let Some(footer) = self.known(path) {
            return Ok(footer);
        }
        let footer = read()?;
        let mut kept = lock(&self.newest_last);
        kept.push_back((path.to_path_buf(), footer.clone()));
        let bytes = |footer: &ArrowReaderMetadata| footer.metadata().memory_size();
        let mut total: usize = kept.iter().map(|(_, footer)| bytes(footer)).sum();
        while total > MAX_BYTES && kept.len() > 1 {
            total -= kept.pop_front().map_or(0, |(_, footer)| bytes(&footer));
        }
        Ok(footer)
    }

    fn known(&self, path: &Path) -> Option<ArrowReaderMetadata> {
        let mut kept = lock(&self.newest_last);
        let at = kept.iter().position(|(have, _)| have == path)?;
        let entry = kept.remove(at)?;
        let footer = entry.1.clone();
        kept.push_back(entry);
        Some(footer)
    }

    /// The file is gone, or another one has its name.
    pub fn forget(&self, path: &Path) {
        lock(&self.newest_last).retain(|(have, _)| have != path);
    }
}
