//! How several files become visible as one step. The files are written under temporary names; then a `CHECKPOINT` says
//! which they are and up to which log record they hold everything; then they are renamed. After a crash the renames
//! that the checkpoint promises are completed, and every other temporary file is deleted.

use super::crc32c::crc32c;
use super::layout;
use crate::StoreError;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
    /// Of the text without it; versions before wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
    /// It could not be read, and what it must have said was found out otherwise.
    #[serde(skip)]
    pub damaged: bool,
}

impl Checkpoint {
    pub fn new(log_record: u64, files: Vec<String>, replaced: Vec<String>) -> Self {
        Checkpoint { log_record, files, replaced, ..Checkpoint::default() }
    }

    fn encode(&self) -> io::Result<Vec<u8>> {
        let bare = serde_json::to_vec(&Checkpoint { crc32c: None, ..self.clone() })?;
        Ok(serde_json::to_vec(&Checkpoint { crc32c: Some(crc32c(&bare)), ..self.clone() })?)
    }

    fn decode(bytes: &[u8]) -> Result<Checkpoint, String> {
        let mut checkpoint: Checkpoint = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let Some(crc) = checkpoint.crc32c.take() else { return Ok(checkpoint) };
        let bare = serde_json::to_vec(&checkpoint).map_err(|error| error.to_string())?;
        if crc32c(&bare) != crc {
            return Err("it does not match its checksum".to_owned());
        }
        Ok(checkpoint)
    }
}

/// Makes the written temporary files of `checkpoint` visible; what they replace stays for those who
/// read it, and is deleted by them or at the next start.
pub fn promise(folder: &Path, mut checkpoint: Checkpoint) -> Result<(), StoreError> {
    let path = folder.join(NAME);
    // What an earlier step replaced and a reader still holds must not come back after a crash.
    let before = load(folder)?.replaced;
    checkpoint.replaced.extend(before.into_iter().filter(|name| folder.join(name).exists()));
    let json = checkpoint.encode()?;
    layout::write_file(&path, &json).map_err(|error| layout::at(&path, error))?;
    publish(folder, &checkpoint)
}

fn load(folder: &Path) -> Result<Checkpoint, StoreError> {
    let path = folder.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => Checkpoint::decode(&bytes).or_else(|reason| {
            layout::set_aside(&path, &reason);
            Ok(Checkpoint { log_record: newest_record(folder)?, damaged: true, ..Checkpoint::default() })
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Checkpoint::default()),
        Err(error) => Err(layout::at(&path, error)),
    }
}

/// Without a checkpoint: files are named after the last record that they hold.
fn newest_record(folder: &Path) -> Result<u64, StoreError> {
    let mut newest = 0;
    for extension in ["parquet", "block"] {
        let files = layout::files(folder, extension).map_err(|error| layout::at(folder, error))?;
        let record = |path: &PathBuf| path.file_stem()?.to_str()?.split('-').next()?.parse::<u64>().ok();
        newest = files.iter().filter_map(record).max().unwrap_or(0).max(newest);
    }
    Ok(newest)
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
    let checkpoint = load(folder)?;
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
        let checkpoint = Checkpoint::new(9, vec!["a".into()], vec!["old".into()]);
        fs::write(folder.path().join(NAME), checkpoint.encode().unwrap()).unwrap();
        assert_eq!(recover(folder.path()).unwrap(), checkpoint);
        assert!(folder.path().join("a").exists() && !folder.path().join("old").exists());
        assert!(!temporary("c").exists());
        assert_eq!(recover(folder.path()).unwrap(), checkpoint, "again is no harm");
    }

    #[test]
    fn one_of_before_is_read_and_a_damaged_one_is_made_up_for_by_the_names_of_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::write(&path, r#"{"log_record":7,"files":["1/00000000000000000007.parquet"]}"#).unwrap();
        assert_eq!(recover(folder.path()).unwrap().log_record, 7);
        fs::create_dir(folder.path().join("1")).unwrap();
        for name in ["00000000000000000009.parquet", "00000000000000000012-joined.parquet"] {
            fs::write(folder.path().join("1").join(name), "").unwrap();
        }
        let sound = Checkpoint::new(12, Vec::new(), Vec::new()).encode().unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            let recovered = recover(folder.path()).unwrap();
            assert_eq!(recovered.log_record, 12, "damage at {at}: {recovered:?}");
        }
    }
}
