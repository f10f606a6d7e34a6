//! The write-ahead log: a folder of segments, each named after the number of its first record.
//!
//! A record's number orders everything: a table that says "I hold everything up to record n in my files" needs no
//! record up to n again, and a segment whose last record no table needs is deleted.

use super::layout;
use super::record::{Record, Records};
use crate::StoreError;
use bytes::Bytes;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

struct Segment {
    path: PathBuf,
    first: u64,
    /// Number of the record after its last.
    end: u64,
    bytes: u64,
}

pub struct Log {
    folder: PathBuf,
    segment_bytes: u64,
    /// Complete segments, oldest first.
    closed: Vec<Segment>,
    open: Option<(Segment, File)>,
    next: u64,
    unsynced: bool,
}

/// What reading the log at start found beside its records.
#[derive(Debug, Default, PartialEq)]
pub struct Replayed {
    pub records: u64,
    pub torn_tail_bytes: u64,
}

impl Log {
    /// Reads every record in order, cuts what is torn, and stands ready to append after the last one. `at_least` is
    /// the highest number that a table already holds: with relaxed syncing a power cut can lose the log behind them.
    pub fn open(
        folder: &Path,
        segment_bytes: u64,
        at_least: u64,
        mut each: impl FnMut(u64, Record<'_>),
    ) -> Result<(Log, Replayed), StoreError> {
        let mut replayed = Replayed::default();
        let mut closed = Vec::new();
        for path in layout::files(folder, "log").map_err(|error| layout::at(folder, error))? {
            if let Some(segment) = replay_segment(&path, &mut replayed, &mut each)? {
                closed.push(segment);
            }
        }
        let next = closed.iter().map(|segment| segment.end).max().unwrap_or(1).max(at_least + 1);
        Ok((Log { folder: folder.to_path_buf(), segment_bytes, closed, open: None, next, unsynced: false }, replayed))
    }

    /// Appends encoded records, in pieces. On an error nothing of them stays: the file is cut back to where it was, or left
    /// behind as a segment of its own with a torn tail.
    pub fn append(&mut self, encoded: &[Bytes], records: u64, sync: bool) -> Result<u64, StoreError> {
        self.rotate_when_long();
        let first = self.next;
        let (segment, file) = self.open_segment()?;
        let written = encoded.iter().try_for_each(|piece| file.write_all(piece));
        let written = written.and_then(|()| if sync { file.sync_data() } else { Ok(()) });
        if let Err(error) = written {
            let failed = layout::at(&segment.path, error);
            self.cut_back();
            return Err(failed);
        }
        segment.bytes += encoded.iter().map(|piece| piece.len() as u64).sum::<u64>();
        segment.end = first + records;
        self.next = first + records;
        self.unsynced = !sync;
        Ok(first)
    }

    pub fn sync(&mut self) -> Result<(), StoreError> {
        if !self.unsynced {
            return Ok(());
        }
        let Some((segment, file)) = &mut self.open else { return Ok(()) };
        file.sync_data().map_err(|error| layout::at(&segment.path, error))?;
        self.unsynced = false;
        Ok(())
    }

    /// Deletes the segments whose records are all numbered up to `number`.
    pub fn forget_until(&mut self, number: u64) -> Result<(), StoreError> {
        if self.open.as_ref().is_some_and(|(segment, _)| segment.end <= number + 1) {
            self.close_segment();
        }
        while self.closed.first().is_some_and(|segment| segment.end <= number + 1) {
            let segment = self.closed.remove(0);
            if let Err(error) = fs::remove_file(&segment.path) {
                let failed = layout::at(&segment.path, error);
                self.closed.insert(0, segment);
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Would `forget_until` delete anything?
    pub fn forgets_until(&self, number: u64) -> bool {
        let open = self.open.as_ref().map(|(segment, _)| segment);
        self.closed.first().or(open).is_some_and(|segment| segment.end <= number + 1)
    }

    pub fn bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |(segment, _)| segment.bytes);
        self.closed.iter().map(|segment| segment.bytes).sum::<u64>() + open
    }

    fn rotate_when_long(&mut self) {
        if self.open.as_ref().is_some_and(|(segment, _)| segment.bytes >= self.segment_bytes) {
            self.close_segment();
        }
    }

    fn close_segment(&mut self) {
        if let Err(error) = self.sync() {
            log::error!("write-ahead log: {error}");
        }
        self.unsynced = false;
        if let Some((segment, _)) = self.open.take() {
            self.closed.push(segment);
        }
    }

    fn open_segment(&mut self) -> Result<&mut (Segment, File), StoreError> {
        let opened = match self.open.take() {
            Some(open) => open,
            None => self.create_segment()?,
        };
        Ok(self.open.insert(opened))
    }

    fn create_segment(&mut self) -> Result<(Segment, File), StoreError> {
        let path = self.folder.join(format!("{:020}.log", self.next));
        let created = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path)
            .and_then(|file| layout::sync_folder(&self.folder).map(|()| file));
        match created {
            Ok(file) => Ok((Segment { path, first: self.next, end: self.next, bytes: 0 }, file)),
            Err(error) => Err(layout::at(&path, error)),
        }
    }

    /// After a failed write or sync the file's tail is unknown, and after a failed sync the kernel has forgotten what
    /// it could not write: cut the tail and go on in a new segment.
    fn cut_back(&mut self) {
        let Some((segment, file)) = self.open.take() else { return };
        if let Err(error) = file.set_len(segment.bytes).and_then(|()| file.sync_all()) {
            log::error!("{}: cannot cut a torn tail: {error}", segment.path.display());
        }
        if segment.end > segment.first {
            self.closed.push(segment);
        } else if let Err(error) = fs::remove_file(&segment.path) {
            log::error!("{}: cannot remove an empty segment: {error}", segment.path.display());
        }
        self.unsynced = false;
    }
}

fn replay_segment(
    path: &Path,
    replayed: &mut Replayed,
    each: &mut impl FnMut(u64, Record<'_>),
) -> Result<Option<Segment>, StoreError> {
    let name = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
    let Some(first) = name else {
        log::warn!("{}: no segment of the log, left alone", path.display());
        return Ok(None);
    };
    let bytes = fs::read(path).map_err(|error| layout::at(path, error))?;
    let mut records = Records::new(&bytes);
    let mut end = first;
    for record in records.by_ref() {
        each(end, record);
        end += 1;
    }
    let sound = records.position;
    replayed.records += end - first;
    if sound < bytes.len() {
        replayed.torn_tail_bytes += (bytes.len() - sound) as u64;
        log::warn!("{}: cut a torn tail of {} bytes after record {end}", path.display(), bytes.len() - sound);
        cut(path, sound as u64).map_err(|error| layout::at(path, error))?;
    }
    if end == first {
        fs::remove_file(path).map_err(|error| layout::at(path, error))?;
        return Ok(None);
    }
    Ok(Some(Segment { path: path.to_path_buf(), first, end, bytes: sound as u64 }))
}

fn cut(path: &Path, length: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(length)?;
    file.sync_all()
}
