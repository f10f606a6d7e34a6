//! One file of the spool: written at its end, read from its front, removed as a whole.

use super::super::batch::Batch;
use super::record::{HEAD_BYTES, Head, STATE_AT, TAKEN};
use crate::losses;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub struct Segment {
    pub number: u64,
    path: PathBuf,
    file: File,
    /// Bytes that are sound.
    pub length: u64,
    /// Where the first record stands that was not taken.
    pub position: u64,
    /// What waits from there on.
    pub batches: u64,
    pub items: u64,
}

impl Segment {
    pub fn create(folder: &Path, number: u64) -> io::Result<Segment> {
        let path = folder.join(format!("{number:016x}.spool"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Segment { number, path, file, length: 0, position: 0, batches: 0, items: 0 })
    }

    /// One that a former agent has left behind: what does not check out at its end is cut off.
    pub fn open(path: PathBuf) -> io::Result<Option<Segment>> {
        let stem = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".spool"));
        let Some(number) = stem.and_then(|hex| u64::from_str_radix(hex, 16).ok()) else { return Ok(None) };
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let end = file.metadata()?.len();
        let mut segment = Segment { number, path, file, length: 0, position: 0, batches: 0, items: 0 };
        segment.scan(end)?;
        if segment.length < end {
            losses::SPOOL_TORN.add(1);
            segment.file.set_len(segment.length)?;
        }
        Ok(Some(segment))
    }

    /// Only the last record can be torn by the end of a process; its payload is looked at here, those of others when
    /// they are sent.
    fn scan(&mut self, end: u64) -> io::Result<()> {
        let mut last = None;
        while let Some(head) = self.head_at(self.length, end)? {
            if !head.taken {
                self.batches += 1;
                self.items += u64::from(head.items);
            } else if self.position == self.length {
                self.position += head.record_bytes();
            }
            last = Some((self.length, head.clone()));
            self.length += head.record_bytes();
        }
        if let Some((at, head)) = last.filter(|(_, head)| !head.taken)
            && self.batch_at(at, &head)?.is_none()
        {
            self.length = at;
            self.batches -= 1;
            self.items -= u64::from(head.items);
        }
        Ok(())
    }

    fn head_at(&self, at: u64, end: u64) -> io::Result<Option<Head>> {
        let mut bytes = [0; HEAD_BYTES];
        if end.saturating_sub(at) < HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(Head::read(&bytes).filter(|head| at + head.record_bytes() <= end))
    }

    fn batch_at(&self, at: u64, head: &Head) -> io::Result<Option<Batch>> {
        let mut payload = vec![0; head.length as usize];
        self.file.read_exact_at(&mut payload, at + HEAD_BYTES as u64)?;
        Ok(head.batch(payload))
    }

    pub fn append(&mut self, record: &[u8], items: u64) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(record, self.length) {
            // A part of it may be there: nothing is to be found behind the sound end.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += record.len() as u64;
        self.batches += 1;
        self.items += items;
        Ok(())
    }

    /// The first batch that waits. What is damaged on the way there is passed over and counted.
    pub fn front(&mut self) -> Option<Batch> {
        while self.position < self.length {
            let Ok(Some(head)) = self.head_at(self.position, self.length) else {
                // The heads were sound when the file was opened: somebody has written into it.
                losses::SPOOL_DAMAGED.add(self.items);
                (self.position, self.batches, self.items) = (self.length, 0, 0);
                return None;
            };
            if head.taken {
                self.position += head.record_bytes();
                continue;
            }
            match self.batch_at(self.position, &head) {
                Ok(Some(batch)) => return Some(batch),
                _ => losses::SPOOL_DAMAGED.add(u64::from(head.items)),
            }
            self.pass(&head);
        }
        None
    }

    /// The batch at the front need not be sent any more, also not by an agent that starts again.
    pub fn take_front(&mut self) {
        if let Ok(Some(head)) = self.head_at(self.position, self.length) {
            // If this cannot be written, the batch is sent once more, and the server knows its id.
            let _ = self.file.write_all_at(&[TAKEN], self.position + STATE_AT);
            self.pass(&head);
        }
    }

    fn pass(&mut self, head: &Head) {
        self.position += head.record_bytes();
        self.batches = self.batches.saturating_sub(1);
        self.items = self.items.saturating_sub(u64::from(head.items));
    }

    pub fn is_empty(&self) -> bool {
        self.position >= self.length
    }

    pub fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            log::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}
