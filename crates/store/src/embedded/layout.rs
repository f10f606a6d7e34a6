//! The data folder: its format number, its lock, and how a file comes to be in it.
//!
//! ```text
//! FORMAT                 "1"
//! LOCK                   held by the process that has the folder open
//! log/<first record>.log the write-ahead log, until all that it holds is in the files below
//! log/batch-ids          the ids of the batches that are no longer in the log
//! spans/<hour>/*.parquet events/<hour>/*.parquet
//! metrics/<partition>/*.block   metrics/metadata.json
//! metrics/<partition>/*.block-1m, *.block-12m   the same at coarser grains, made from the block
//! entities/states.zst
//! ```
//!
//! A file is written under a temporary name, synced, renamed, and its folder synced: a reader sees all of it or none.

use crate::StoreError;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub const FORMAT: u32 = 1;
pub const TEMPORARY: &str = "tmp";

/// Holds the lock for as long as it lives.
pub struct Folder {
    pub path: PathBuf,
    _lock: File,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Folder, StoreError> {
        fs::create_dir_all(path).map_err(|error| unusable(path, "cannot create it", &error))?;
        let lock = lock(path)?;
        check_format(path)?;
        for name in ["log", "spans", "events", "metrics", "entities"] {
            fs::create_dir_all(path.join(name)).map_err(|error| unusable(path, "cannot write to it", &error))?;
        }
        Ok(Folder { path: path.to_path_buf(), _lock: lock })
    }
}

fn unusable(path: &Path, what: &str, error: &io::Error) -> StoreError {
    if is_full(error) {
        return StoreError::Full(format!("data folder {}: {what}: the disk is full; make room", path.display()));
    }
    StoreError::Open(format!(
        "data folder {}: {what}: {error}; give this user write access or choose another folder",
        path.display()
    ))
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = path.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| unusable(path, "cannot write to it", &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Open(format!(
            "data folder {} is in use by another process; stop that one or choose another folder",
            path.display()
        ))),
        Err(fs::TryLockError::Error(error)) => Err(unusable(path, "cannot lock it", &error)),
    }
}

fn check_format(path: &Path) -> Result<(), StoreError> {
    let name = path.join("FORMAT");
    match fs::read_to_string(&name) {
        Ok(text) => accept_format(path, text.trim()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => write_file(&name, format!("{FORMAT}\n").as_bytes())
            .map_err(|error| unusable(path, "cannot write to it", &error)),
        Err(error) => Err(unusable(path, "cannot read its FORMAT file", &error)),
    }
}

fn accept_format(path: &Path, text: &str) -> Result<(), StoreError> {
    match text.parse::<u32>() {
        Ok(FORMAT) => Ok(()),
        Ok(newer) if newer > FORMAT => Err(StoreError::Open(format!(
            "data folder {} has format {newer}, this program reads up to format {FORMAT}; run the newer program or choose another folder",
            path.display()
        ))),
        _ => Err(StoreError::Open(format!(
            "data folder {}: FORMAT says {text:?}, which is no format of this program ({FORMAT}); restore the file or choose another folder",
            path.display()
        ))),
    }
}

pub fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
}

/// Turns an I/O error into the store's own, with the place where it happened.
pub fn at(path: &Path, error: io::Error) -> StoreError {
    if is_full(&error) {
        return StoreError::Full(format!("{}: the disk is full; make room or lower the store's size", path.display()));
    }
    StoreError::Io(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Writes a whole file so that a crash leaves the old one or the new one.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // The disk may be full: what stands half-written only makes it worse.
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    publish(path)
}

pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TEMPORARY);
    PathBuf::from(name)
}

/// Renames the synced temporary file of `path` to `path`, durably.
pub fn publish(path: &Path) -> io::Result<()> {
    fs::rename(temporary_name(path), path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Moves a damaged file out of the way, under a name that keeps it for a look and that no reader picks up.
pub fn set_aside(path: &Path, reason: &str) {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    match fs::rename(path, &name) {
        Ok(()) => log::error!("{} is damaged ({reason}); set aside as {}", path.display(), Path::new(&name).display()),
        Err(error) => log::error!("{} is damaged ({reason}) and cannot be set aside: {error}", path.display()),
    }
}

/// A file that readers share. When it is doomed it leaves the disk with its last reader, so that a query that began
/// before still finds it.
#[derive(Debug)]
pub struct SharedFile {
    path: PathBuf,
    doomed: AtomicBool,
}

impl SharedFile {
    pub fn new(path: &Path) -> Self {
        SharedFile { path: path.to_path_buf(), doomed: AtomicBool::new(false) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn doom(&self) {
        self.doomed.store(true, Ordering::Relaxed);
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        if !*self.doomed.get_mut() {
            return;
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::error!("{}: cannot be deleted: {error}", self.path.display())
            }
            // The partition's folder, if this was its last file; not empty is no error.
            _ => drop(self.path.parent().map(fs::remove_dir)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Space {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// What the file system of `path` has left for an unprivileged user.
pub fn space(path: &Path) -> io::Result<Space> {
    let folder = File::open(path)?;
    let mut figures = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: fstatvfs fills the whole structure when it returns 0, and only then it is read.
    let figures = unsafe {
        if libc::fstatvfs(folder.as_raw_fd(), figures.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        figures.assume_init()
    };
    Ok(Space { free_bytes: figures.f_bavail * figures.f_frsize, total_bytes: figures.f_blocks * figures.f_frsize })
}

/// The files below `folder` (one or two levels) whose name ends in `.extension`.
pub fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|have| have == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
