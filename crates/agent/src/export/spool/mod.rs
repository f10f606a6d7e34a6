//! Batches on disk while the server is away: a queue of files, bounded, that outlives the agent.
//!
//! What is written is in the kernel's hands and so survives the agent's end, however it comes; it is not synced, so a
//! machine that loses its power may lose the last seconds. A batch that was taken is marked in its place, so that an
//! agent that starts again goes on where the former one stopped.

mod record;
mod segment;

use super::batch::Batch;
use crate::losses;
use segment::Segment;
use std::collections::VecDeque;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Files are of this size, or an eighth of the bound: what is dropped at the bound is one of them.
const SEGMENT_BYTES: u64 = 8 << 20;
const SEGMENTS_AT_LEAST: u64 = 8;

/// Where a batch stands that was read from the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    segment: u64,
    position: u64,
}

pub struct Spool {
    folder: PathBuf,
    limit: u64,
    segments: VecDeque<Segment>,
    next_number: u64,
    /// Held as long as this agent uses the folder.
    _lock: File,
}

/// Makes the folder the agent's own: to be called while it still may do everything.
pub fn prepare(folder: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("the folder {} cannot be used: {error}", folder.display());
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // SAFETY: these have no preconditions.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if std::fs::metadata(folder).map_err(failed)?.uid() != uid {
        chown(folder, Some(uid), Some(gid)).map_err(failed)?;
    }
    // What is in it was captured from other users' processes.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(failed)
}

impl Spool {
    pub fn open(folder: &Path, limit: u64) -> Result<Spool, String> {
        let failed = |error: io::Error| format!("the folder {} cannot be used: {error}", folder.display());
        let lock =
            File::options().write(true).create(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
        // SAFETY: the descriptor is open; the lock goes with it.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(format!("another agent uses the folder {}: give this one its own", folder.display()));
        }
        let mut segments = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            match Segment::open(path.clone()) {
                Ok(segment) => segments.extend(segment),
                Err(error) => log::warn!("{} cannot be read and stays where it is: {error}", path.display()),
            }
        }
        segments.sort_by_key(|segment| segment.number);
        let next_number = segments.last().map_or(0, |segment| segment.number + 1);
        let mut spool = Spool { folder: folder.into(), limit, segments: segments.into(), next_number, _lock: lock };
        spool.drop_empty();
        spool.keep_bound(0);
        Ok(spool)
    }

    /// Behind all others; the oldest ones make room.
    pub fn push(&mut self, batch: &Batch) -> io::Result<()> {
        let record = record::encode(batch).ok_or(io::ErrorKind::FileTooLarge)?;
        let length = record.len() as u64;
        if length > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.keep_bound(length);
        let segment_bytes = SEGMENT_BYTES.min(self.limit / SEGMENTS_AT_LEAST);
        if self.segments.back().is_none_or(|last| last.length > 0 && last.length + length > segment_bytes) {
            self.next_number += 1;
            self.segments.push_back(Segment::create(&self.folder, self.next_number - 1)?);
        }
        let Some(last) = self.segments.back_mut() else { return Ok(()) };
        let written = last.append(&record, batch.items);
        self.drop_empty();
        written
    }

    /// The oldest batch.
    pub fn front(&mut self) -> Option<(Place, Batch)> {
        while let Some(first) = self.segments.front_mut() {
            if let Some(batch) = first.front() {
                return Some((Place { segment: first.number, position: first.position }, batch));
            }
            self.drop_empty();
        }
        None
    }

    /// It was taken, or will never be. It may have been dropped meanwhile.
    pub fn take(&mut self, place: Place) {
        let first = self.segments.front_mut();
        if let Some(first) = first.filter(|first| first.number == place.segment && first.position == place.position) {
            first.take_front();
        }
        self.drop_empty();
    }

    pub fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.keep_bound(0);
    }

    pub fn limit(&self) -> u64 {
        self.limit
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// On disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }

    pub fn batches(&self) -> u64 {
        self.segments.iter().map(|segment| segment.batches).sum()
    }

    fn keep_bound(&mut self, coming: u64) {
        while self.bytes() + coming > self.limit {
            let Some(oldest) = self.segments.pop_front() else { return };
            losses::SPOOL_FULL.add(oldest.items);
            oldest.remove();
        }
    }

    fn drop_empty(&mut self) {
        while self.segments.front().is_some_and(Segment::is_empty) {
            self.segments.pop_front().into_iter().for_each(Segment::remove);
        }
    }
}

#[cfg(test)]
mod tests;
