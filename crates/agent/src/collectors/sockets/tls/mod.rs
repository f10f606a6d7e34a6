//! Finds the TLS libraries of running programs and hangs probes on their functions.
//!
//! A probe belongs to a file, so a library is done once for all processes that have it mapped, also those that start
//! later. All processes are looked at in the beginning, and from then on those that the kernel tells of: they begin
//! to run a program (`started`), or speak TLS and have no probes yet. What libraries are installed is looked at too, so
//! that the first program that uses one finds its probes in place.
//!
//! A file that nobody uses any more is let go when it is in somebody's way.

mod attach;
mod files;
mod started;

use super::load;
use crate::collectors::{CollectorError, ProgramStatus};
use crate::identity::procfs;
use attach::Attached;
use files::{FileId, MappedFile};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, PrintLevel};
use rustc_hash::{FxHashMap, FxHashSet};
pub use started::Started;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// All processes, where the kernel tells what is started: only what it could not tell is found so.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(60);
/// Whether anybody still uses what is in the way: a look at all mappings of all processes.
const LET_GO_EVERY: Duration = Duration::from_secs(10);
/// Processes that are looked at a second time.
const AGAIN: usize = 4096;
/// Files whose content is remembered.
const FILES: usize = 65_536;

/// A file that has a TLS implementation, for the status page.
#[derive(Clone)]
pub struct TlsFile {
    pub path: PathBuf,
    pub library: String,
    pub probes: Arc<[ProgramStatus]>,
}

pub type TlsFiles = Arc<Mutex<Vec<TlsFile>>>;

/// A process, by number and start.
type Process = (u32, u64);

/// What is known of a file.
struct Known {
    /// `None`: there is nothing in it to hang probes on.
    attached: Option<Attached>,
    /// Its number is used again for another one, of another time.
    changed: (i64, i64),
    /// One that has it mapped.
    user: Option<Process>,
}

pub struct Tls {
    object: Arc<Object>,
    requests: Receiver<u32>,
    since: MapHandle,
    look_at_all_every: Duration,
    files: FxHashMap<FileId, Known>,
    /// Processes that were looked at.
    seen: FxHashSet<Process>,
    /// Those that have just been looked at: their loader may not have been done.
    again: Vec<u32>,
    /// Those that were there before their probes.
    late: FxHashSet<Process>,
    status: TlsFiles,
}

impl Tls {
    pub fn new(
        object: &Arc<Object>,
        requests: Receiver<u32>,
        is_told_of_starts: bool,
        status: TlsFiles,
    ) -> Result<Self, CollectorError> {
        let since = load::map(object, "tls_attached")?;
        let look_at_all_every = if is_told_of_starts { LOOK_AT_ALL_EVERY } else { LOOK_EVERY };
        let (files, seen, again, late) = Default::default();
        Ok(Tls { object: Arc::clone(object), requests, since, look_at_all_every, files, seen, again, late, status })
    }

    /// Until nobody asks any more: the consumers have ended.
    pub fn run(mut self) {
        // Without this libbpf writes to standard error what fails here, which the status says.
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| log::debug!("{}", line.trim_end()))));
        for path in files::installed() {
            self.look_at_file(&MappedFile::installed(path));
        }
        let (mut due, mut all_due, mut let_go_due) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            if all_due <= now {
                self.look_at_all();
                all_due = now + self.look_at_all_every;
            }
            if due <= now {
                std::mem::take(&mut self.again).into_iter().for_each(|tgid| self.look_at(tgid));
                self.forget_ended();
                self.detach_overwritten();
                due = now + LOOK_EVERY;
            }
            if let_go_due <= now {
                self.let_go();
                let_go_due = now + LET_GO_EVERY;
            }
            match self.requests.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(tgid) => {
                    self.look_at(tgid);
                    if self.again.len() < AGAIN {
                        self.again.push(tgid);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return attach::detach(self.take(|_| true)),
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
        let Some(started_ns) = files::started_ns(tgid) else { return };
        let mut newest_ns = 0;
        for file in files::mapped(tgid) {
            if let Some(known) = self.look_at_file(&file) {
                known.user = Some((tgid, started_ns));
                newest_ns = newest_ns.max(known.attached.as_ref().map_or(0, |attached| attached.since_ns));
            }
        }
        // What it did before the probes were there was not seen.
        if newest_ns > started_ns {
            self.late.insert((tgid, started_ns));
            if let Err(error) = self.since.update(&tgid.to_ne_bytes(), &newest_ns.to_ne_bytes(), MapFlags::ANY) {
                log::warn!(
                    "what process {tgid} did before it was watched cannot be told from what it does now: {error}"
                );
            }
        }
    }

    fn look_at_file(&mut self, file: &MappedFile) -> Option<&mut Known> {
        let metadata = file.metadata()?;
        let (id, changed) = (files::id_of(&metadata), (metadata.ctime(), metadata.ctime_nsec()));
        // What has probes is held, and its number stays its own.
        let known = self.files.get(&id).is_some_and(|known| known.attached.is_some() || known.changed == changed);
        if !known {
            if self.files.len() >= FILES {
                self.files.retain(|_, known| known.attached.is_some());
            }
            let attached = attach::attach(&self.object, file);
            if let Some(attached) = &attached
                && let Ok(mut status) = self.status.lock()
            {
                status.push(attached.status.clone());
            }
            self.files.insert(id, Known { attached, changed, user: None });
        }
        self.files.get_mut(&id)
    }

    /// Their numbers are used again by others.
    fn forget_ended(&mut self) {
        let since = &self.since;
        self.late.retain(|process| {
            let lives = lives(*process);
            if !lives && let Err(error) = since.delete(&process.0.to_ne_bytes()) {
                log::debug!("process {} cannot be forgotten: {error}", process.0);
            }
            lives
        });
    }

    /// The places of the probes are not those of the new content: they must not stay in it.
    fn detach_overwritten(&mut self) {
        let overwritten = self.take(|known| known.attached.as_ref().is_some_and(|one| one.file.is_overwritten()));
        self.detach(overwritten);
    }

    /// Files that are in the way and have no user any more.
    fn let_go(&mut self) {
        let without_user = |known: &Known| {
            known.attached.as_ref().is_some_and(|one| one.file.is_in_the_way()) && !known.user.is_some_and(lives)
        };
        if !self.files.values().any(without_user) {
            return;
        }
        for tgid in procfs::pids() {
            let Some(started_ns) = files::started_ns(tgid) else { continue };
            for id in files::mapped(tgid).iter().filter_map(MappedFile::id) {
                if let Some(known) = self.files.get_mut(&id) {
                    known.user = Some((tgid, started_ns));
                }
            }
        }
        let unused = self.take(without_user);
        self.detach(unused);
    }

    /// Those that have probes and for which this holds, out of what is known.
    fn take(&mut self, which: impl Fn(&Known) -> bool) -> Vec<Attached> {
        let taken = self.files.extract_if(|_, known| known.attached.is_some() && which(known));
        taken.filter_map(|(_, known)| known.attached).collect()
    }

    fn detach(&mut self, files: Vec<Attached>) {
        if files.is_empty() {
            return;
        }
        if let Ok(mut status) = self.status.lock() {
            status.retain(|one| !files.iter().any(|file| Arc::ptr_eq(&one.probes, &file.status.probes)));
        }
        for file in &files {
            log::info!("no probes any more in {}", file.status.path.display());
        }
        attach::detach(files);
    }
}

fn lives(process: Process) -> bool {
    files::started_ns(process.0) == Some(process.1)
}
