//! Finds the TLS libraries of running programs and hangs probes on their functions.
//!
//! A probe belongs to a file, so a library is done once for all processes that have it mapped, also those that start
//! later. All processes are looked at in the beginning; who maps code of a file that is new is told of by the kernel as
//! it does, and looked at before it runs that code for long, and so is who speaks TLS and has no probes. What libraries are
//! installed is looked at too, so that the first program that uses one finds its probes in place.

mod attach;
mod files;
pub mod mappings;

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

/// New processes, where the kernel tells of what they map, and where it does not.
const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOK_OFTEN: Duration = Duration::from_secs(1);
/// Files that nobody uses any more.
const FORGET_EVERY: Duration = Duration::from_secs(600);
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
    look_every: Duration,
    /// Processes that were looked at, by number and start.
    seen: FxHashSet<(u32, u64)>,
    status: TlsFiles,
}

impl Tls {
    /// `told`: whether the kernel tells what processes map.
    pub fn new(
        object: &Arc<Object>,
        requests: Receiver<u32>,
        told: bool,
        status: TlsFiles,
    ) -> Result<Self, CollectorError> {
        let since = load::map(object, "tls_attached")?;
        let (attached, seen) = Default::default();
        let look_every = if told { LOOK_EVERY } else { LOOK_OFTEN };
        Ok(Tls { object: Arc::clone(object), requests, since, attached, look_every, seen, status })
    }

    /// Until nobody asks any more: the consumers have ended.
    pub fn run(mut self) {
        // Without this libbpf writes to standard error what fails here, which the status says.
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| log::debug!("{}", line.trim_end()))));
        let installed = files::installed().into_iter().map(MappedFile::installed).collect::<Vec<_>>();
        for file in &installed {
            self.look_at_file(file);
        }
        let (mut due, mut forget) = (Instant::now(), Instant::now() + FORGET_EVERY);
        loop {
            if due <= Instant::now() {
                self.look_at_all();
                due = Instant::now() + self.look_every;
            }
            if forget <= Instant::now() {
                self.forget_unused(&installed);
                forget = Instant::now() + FORGET_EVERY;
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
        let since = &self.since;
        self.seen.retain(|process| {
            let there = processes.contains(process);
            // Most have no entry.
            let _ = there || since.delete(&process.0.to_ne_bytes()).is_ok();
            there
        });
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
            let set = self.since.update(&tgid.to_ne_bytes(), &newest_ns.to_ne_bytes(), MapFlags::ANY);
            if let Err(error) = set {
                log::debug!("of process {tgid} it is not noted since when it is watched: {error}");
            }
        }
    }

    /// Takes the probes off files that no process has mapped, such as those that an upgrade has replaced.
    fn forget_unused(&mut self, installed: &[MappedFile]) {
        let mapped = files::processes().into_iter().flat_map(|(tgid, _)| files::mapped(tgid));
        let used: FxHashSet<FileId> = mapped.chain(installed.iter().cloned()).filter_map(|file| file.id()).collect();
        self.attached.retain(|id, attached| attached.is_none() || used.contains(id));
        let Ok(mut known) = self.status.lock() else { return };
        *known = self.attached.values().flatten().map(|attached| attached.status.clone()).collect();
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
