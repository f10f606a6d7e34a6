//! How several files become visible as one step. The files are written under temporary names; then a `CHECKPOINT` says
//! which they are and up to which log record they hold everything; then they are renamed. After a crash the renames
//! that the checkpoint promises are completed, and every other temporary file is deleted.

use super::layout;
use crate::StoreError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

const NAME: &str = "CHECKPOINT";

#[derive(Serialize, Deserialize, Clone, Default, Debug, PartialEq)]
pub struct Checkpoint {
    /// All records of the log up to this one are in files.
    pub log_record: u64,
    /// Relative to the table's folder.
    pub files: Vec<String>,
    /// Files that these replace (compaction).
    #[serde(default)]
    pub replaced: Vec<String>,
}

/// Makes the written temporary files of `checkpoint` visible; what they replace stays for those who
/// read it, and is deleted by them or at the next start.
pub fn promise(folder: &Path, mut checkpoint: Checkpoint) -> Result<(), StoreError> {
    let path = folder.join(NAME);
    // What an earlier step replaced and a reader still holds must not come back after a crash.
    let before = load(&path)?.replaced;
    checkpoint.replaced.extend(before.into_iter().filter(|name| folder.join(name).exists()));
    let json = serde_json::to_vec(&checkpoint).map_err(io::Error::from)?;
    layout::write_file(&path, &json).map_err(|error| layout::at(&path, error))?;
    publish(folder, &checkpoint)
}

fn load(path: &Path) -> Result<Checkpoint, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            layout::set_aside(path, &error.to_string());
            Checkpoint::default()
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Checkpoint::default()),
        Err(error) => Err(layout::at(path, error)),
    }
}

fn publish(folder: &Path, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    for name in &checkpoint.files {
        let path = folder.join(name);
        if layout::temporary_name(&path).exists() {
            layout::publish(&path).map_err(|error| layout::at(&path, error))?;
        }
    }
    Ok(())
}

/// Deletes what the files of `checkpoint` replace.
fn sweep(folder: &Path, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    for name in &checkpoint.replaced {
        remove(&folder.join(name))?;
    }
    Ok(())
}

pub fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(layout::at(path, error)),
        _ => Ok(()),
    }
}

/// Completes what a crash interrupted; the checkpoint that holds. Without one nothing has been written yet.
pub fn recover(folder: &Path) -> Result<Checkpoint, StoreError> {
    let checkpoint = load(&folder.join(NAME))?;
    publish(folder, &checkpoint)?;
    sweep(folder, &checkpoint)?;
    for temporary in layout::files(folder, layout::TEMPORARY).map_err(|error| layout::at(folder, error))? {
        remove(&temporary)?;
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_between_the_steps_leaves_all_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let temporary = |name: &str| layout::temporary_name(&folder.path().join(name));
        fs::write(temporary("a"), "a").unwrap();
        fs::write(temporary("b"), "b").unwrap();
        assert_eq!(recover(folder.path()).unwrap(), Checkpoint::default());
        assert!(!temporary("a").exists(), "what no checkpoint promised is gone");

        fs::write(folder.path().join("old"), "old").unwrap();
        fs::write(temporary("a"), "a").unwrap();
        fs::write(temporary("c"), "c").unwrap();
        let checkpoint = Checkpoint { log_record: 9, files: vec!["a".into()], replaced: vec!["old".into()] };
        fs::write(folder.path().join(NAME), serde_json::to_vec(&checkpoint).unwrap()).unwrap();
        assert_eq!(recover(folder.path()).unwrap(), checkpoint);
        assert!(folder.path().join("a").exists() && !folder.path().join("old").exists());
        assert!(!temporary("c").exists());
        assert_eq!(recover(folder.path()).unwrap(), checkpoint, "again is no harm");
    }
}
