//! Finds the TLS libraries of running programs and hangs probes on their functions.
//!
//! A probe belongs to a file, so a library is done once for all processes that have it mapped, also those that start
//! later. All processes are looked at in the beginning and new ones every second; one that speaks TLS and has no probes
//! yet is told of by the kernel's side, and looked at within milliseconds. What libraries are installed is looked at
//! too, so that the first program that uses one finds its probes in place.

mod attach;
mod files;
mod found;

use super::load;
use crate::collectors::CollectorError;
use attach::Attached;
use files::{FileId, MappedFile};
pub use found::{TlsFile, TlsFound, TlsFunction};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, PrintLevel};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files whose content is remembered.
const FILES: usize = 65_536;

pub type SharedFound = Arc<Mutex<TlsFound>>;

pub struct Tls {
    object: Arc<Object>,
    requests: Receiver<u32>,
    since: MapHandle,
    /// `None`: there is nothing in it to hang probes on.
    attached: FxHashMap<FileId, Option<Attached>>,
    /// Processes that were looked at, by number and start.
    seen: FxHashSet<(u32, u64)>,
    found: SharedFound,
}

impl Tls {
    pub fn new(object: &Arc<Object>, requests: Receiver<u32>, found: SharedFound) -> Result<Self, CollectorError> {
        let since = load::map(object, "tls_attached")?;
        found.lock().unwrap_or_else(PoisonError::into_inner).is_on = true;
        let (attached, seen) = Default::default();
        Ok(Tls { object: Arc::clone(object), requests, since, attached, seen, found })
    }

    /// Until nobody asks any more: the consumers have ended.
    pub fn run(mut self) {
        // Without this libbpf writes to standard error what fails here, which the status says.
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| log::debug!("{}", line.trim_end()))));
        for path in files::installed() {
            self.look_at_file(&MappedFile::installed(path), None);
        }
        let mut due = Instant::now();
        loop {
            if due <= Instant::now() {
                self.look_at_all();
                due = Instant::now() + LOOK_EVERY;
            }
            match self.requests.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(tgid) => self.look_at_speaker(tgid),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Processes that are new since the last time. Libraries that a process loads later are found when it uses them.
    fn look_at_all(&mut self) {
        let processes = files::processes();
        self.seen.retain(|process| processes.contains(process));
        self.found().retain(|tgid| processes.iter().any(|(known, _)| *known == tgid));
        for process in processes {
            if self.seen.insert(process) {
                self.look_at(process.0);
            }
        }
    }

    /// It speaks TLS, and the kernel has seen no probe being hit in it.
    fn look_at_speaker(&mut self, tgid: u32) {
        if !self.look_at(tgid) && files::started_ns(tgid).is_some() {
            self.found().speaks_unread(tgid);
        }
    }

    /// Whether it has code with probes.
    fn look_at(&mut self, tgid: u32) -> bool {
        let mut newest_ns = None;
        for file in files::mapped(tgid) {
            newest_ns = newest_ns.max(self.look_at_file(&file, Some(tgid)));
        }
        // What it did before the probes were there was not seen.
        if let Some(newest_ns) = newest_ns.filter(|ns| *ns > files::started_ns(tgid).unwrap_or(u64::MAX)) {
            let _ = self.since.update(&tgid.to_ne_bytes(), &newest_ns.to_ne_bytes(), MapFlags::ANY);
        }
        newest_ns.is_some()
    }

    /// Since when the file has probes, if it has some.
    fn look_at_file(&mut self, file: &MappedFile, user: Option<u32>) -> Option<u64> {
        let id = file.id()?;
        if !self.attached.contains_key(&id) {
            if self.attached.len() >= FILES {
                self.attached.retain(|_, attached| attached.is_some());
            }
            let attached = attach::attach(&self.object, file).map(|(status, attached)| {
                self.found().add(id, status, user.is_none());
                attached
            });
            self.attached.insert(id, attached);
        }
        let attached = self.attached.get(&id)?.as_ref()?;
        let since_ns = attached.since_ns();
        if let Some(tgid) = user {
            self.found().used(id, tgid);
        }
        since_ns
    }

    fn found(&self) -> std::sync::MutexGuard<'_, TlsFound> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
