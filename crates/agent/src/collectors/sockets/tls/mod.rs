//! Finds the TLS libraries of running programs and hangs probes on their functions.
//!
//! A probe belongs to a file, so a library is done once for all processes that have it mapped, also those that start
//! later. All processes are looked at in the beginning and new ones every second; one that speaks TLS and has no probes
//! yet is told of by the kernel's side, and looked at within milliseconds. What libraries are installed is looked at
//! too, so that the first program that uses one finds its probes in place.

mod attach;
mod files;

use super::load;
use crate::collectors::{CollectorError, ProgramStatus};
use attach::Attached;
use files::{FileId, MappedFile};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, PrintLevel};
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files whose content is remembered.
const FILES: usize = 65_536;

/// A file that has a TLS implementation, for the status page.
#[derive(Clone)]
pub struct TlsFile {
    pub path: PathBuf,
    pub library: String,
    pub probes: Vec<ProgramStatus>,
}

pub type TlsFiles = Arc<Mutex<Vec<TlsFile>>>;

pub struct Tls {
    object: Arc<Object>,
    requests: Receiver<u32>,
    since: MapHandle,
    /// `None`: there is nothing in it to hang probes on.
    attached: FxHashMap<FileId, Option<Attached>>,
    /// Processes that were looked at, by number and start.
    seen: FxHashSet<(u32, u64)>,
    status: TlsFiles,
}

impl Tls {
    pub fn new(object: &Arc<Object>, requests: Receiver<u32>, status: TlsFiles) -> Result<Self, CollectorError> {
        let since = load::map(object, "tls_attached")?;
        let (attached, seen) = Default::default();
        Ok(Tls { object: Arc::clone(object), requests, since, attached, seen, status })
    }

    /// Until nobody asks any more: the consumers have ended.
    pub fn run(mut self) {
        // Without this libbpf writes to standard error what fails here, which the status says.
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| log::debug!("{}", line.trim_end()))));
        for path in files::installed() {
            self.look_at_file(&MappedFile::installed(path));
        }
        let mut due = Instant::now();
        loop {
            if due <= Instant::now() {
                self.look_at_all();
                due = Instant::now() + LOOK_EVERY;
            }
            match self.requests.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(tgid) => self.look_at(tgid),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Processes that are new since the last time. Libraries that a process loads later are found when it uses them.
    fn look_at_all(&mut self) {
        let processes = files::processes();
        self.seen.retain(|process| processes.contains(process));
        for process in processes {
            if self.seen.insert(process) {
                self.look_at(process.0);
            }
        }
    }

    fn look_at(&mut self, tgid: u32) {
        let mut newest_ns = 0;
        for file in files::mapped(tgid) {
            newest_ns = newest_ns.max(self.look_at_file(&file).unwrap_or(0));
        }
        // What it did before the probes were there was not seen.
        if newest_ns > files::started_ns(tgid).unwrap_or(u64::MAX) {
            let _ = self.since.update(&tgid.to_ne_bytes(), &newest_ns.to_ne_bytes(), MapFlags::ANY);
        }
    }

    /// Since when the file has probes, if it has some.
    fn look_at_file(&mut self, file: &MappedFile) -> Option<u64> {
        let id = file.id()?;
        if !self.attached.contains_key(&id) {
            if self.attached.len() >= FILES {
                self.attached.retain(|_, attached| attached.is_some());
            }
            let attached = attach::attach(&self.object, file);
            if let Some(attached) = &attached
                && let Ok(mut known) = self.status.lock()
            {
                known.push(attached.status.clone());
            }
            self.attached.insert(id, attached);
        }
        self.attached.get(&id)?.as_ref().map(|attached| attached.since_ns)
    }
}
