//! Finds the TLS libraries of running programs and hangs probes on their functions.
//!
//! A probe belongs to a file, so a library is done once for all processes that have it mapped, also those that start
//! later. All processes are looked at in the beginning; who maps code of a file that is new is told of by the kernel as
//! it does, and looked at before it runs that code for long, and so is who speaks TLS and has no probes. What libraries
//! are installed is looked at too, so that the first program that uses one finds its probes in place.
//!
//! A file that nobody uses any more is let go when it is in somebody's way.

mod attach;
mod files;
mod found;
pub mod mappings;

use super::load;
use crate::collectors::CollectorError;
use crate::identity::procfs;
use attach::Attached;
use files::{FileId, MappedFile};
pub use found::{TlsFile, TlsFound, TlsFunction};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, PrintLevel};
use rustc_hash::{FxHashMap, FxHashSet};
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether files were overwritten.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// All processes, where the kernel tells what they map; else as often as the rest.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(10);
/// Whether anybody still uses what is in the way: a look at all mappings of all processes.
const LET_GO_EVERY: Duration = Duration::from_secs(10);
/// Files whose content is remembered.
const FILES: usize = 65_536;

pub type SharedFound = Arc<Mutex<TlsFound>>;

/// A process to look at.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// It has begun with TLS, and no probe was hit in it.
    Speaks(u32),
    /// It has mapped code of a file that is new.
    Maps(u32),
}

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
    requests: Receiver<Request>,
    since: MapHandle,
    look_at_all_every: Duration,
    files: FxHashMap<FileId, Known>,
    /// Processes that were looked at.
    seen: FxHashSet<Process>,
    /// Those that were there before their probes.
    late: FxHashSet<Process>,
    found: SharedFound,
}

impl Tls {
    /// `told`: whether the kernel tells what processes map.
    pub fn new(
        object: &Arc<Object>,
        requests: Receiver<Request>,
        told: bool,
        found: SharedFound,
    ) -> Result<Self, CollectorError> {
        let since = load::map(object, "tls_attached")?;
        found.lock().unwrap_or_else(PoisonError::into_inner).is_on = true;
        let look_at_all_every = if told { LOOK_AT_ALL_EVERY } else { LOOK_EVERY };
        let (files, seen, late) = Default::default();
        Ok(Tls { object: Arc::clone(object), requests, since, look_at_all_every, files, seen, late, found })
    }

    /// Until nobody asks any more: the consumers have ended.
    pub fn run(mut self) {
        // Without this libbpf writes to standard error what fails here, which the status says.
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| log::debug!("{}", line.trim_end()))));
        for path in files::installed() {
            self.look_at_file(&MappedFile::installed(path), None);
        }
        let (mut due, mut all_due, mut let_go_due) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            let now = Instant::now();
            if all_due <= now {
                self.look_at_all();
                all_due = now + self.look_at_all_every;
            }
            if due <= now {
                self.detach_overwritten();
                due = now + LOOK_EVERY;
            }
            if let_go_due <= now {
                self.let_go();
                let_go_due = now + LET_GO_EVERY;
            }
            match self.requests.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Request::Maps(tgid)) => {
                    self.look_at(tgid);
                }
                Ok(Request::Speaks(tgid)) => self.look_at_speaker(tgid),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return attach::detach(self.take(|_| true).into_iter().map(|(_, attached)| attached));
                }
            }
        }
    }

    /// Processes that are new since the last time.
    fn look_at_all(&mut self) {
        let processes = files::processes();
        self.seen.retain(|process| processes.contains(process));
        self.forget_ended(|process| processes.contains(process));
        let running: FxHashSet<u32> = processes.iter().map(|(tgid, _)| *tgid).collect();
        self.found().retain(|tgid| running.contains(&tgid));
        for process in processes {
            if self.seen.insert(process) {
                self.look_at(process.0);
            }
        }
    }

    fn look_at_speaker(&mut self, tgid: u32) {
        if !self.look_at(tgid) && files::started_ns(tgid).is_some() {
            self.found().speaks_unread(tgid);
        }
    }

    /// Whether it has code with probes.
    fn look_at(&mut self, tgid: u32) -> bool {
        let Some(started_ns) = files::started_ns(tgid) else { return false };
        let mut newest_ns = 0;
        for file in files::mapped(tgid) {
            if let Some(since_ns) = self.look_at_file(&file, Some((tgid, started_ns))) {
                newest_ns = newest_ns.max(since_ns);
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
        newest_ns > 0
    }

    /// Since when the file has probes, if it has some.
    fn look_at_file(&mut self, file: &MappedFile, user: Option<Process>) -> Option<u64> {
        let metadata = file.metadata()?;
        let (id, changed) = (files::id_of(&metadata), (metadata.ctime(), metadata.ctime_nsec()));
        // What has probes is held, and its number stays its own.
        let known = self.files.get(&id).is_some_and(|known| known.attached.is_some() || known.changed == changed);
        if !known {
            if self.files.len() >= FILES {
                self.files.retain(|_, known| known.attached.is_some());
            }
            let (status, attached) = attach::attach(&self.object, file).unzip();
            if let Some(status) = status {
                self.found().add(id, status, user.is_none());
            }
            self.files.insert(id, Known { attached: attached.flatten(), changed, user: None });
        }
        if let Some((tgid, _)) = user {
            self.found().used(id, tgid);
        }
        let known = self.files.get_mut(&id)?;
        known.user = user.or(known.user);
        known.attached.as_ref().map(|attached| attached.since_ns)
    }

    /// Their numbers are used again by others.
    fn forget_ended(&mut self, lives: impl Fn(&Process) -> bool) {
        let since = &self.since;
        self.late.retain(|process| {
            let lives = lives(process);
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
    fn take(&mut self, which: impl Fn(&Known) -> bool) -> Vec<(FileId, Attached)> {
        let taken = self.files.extract_if(|_, known| known.attached.is_some() && which(known));
        taken.filter_map(|(id, known)| Some((id, known.attached?))).collect()
    }

    fn detach(&mut self, files: Vec<(FileId, Attached)>) {
        for (id, _) in &files {
            if let Some(file) = self.found().remove(*id) {
                log::info!("no probes any more in {}", file.path.display());
            }
        }
        attach::detach(files.into_iter().map(|(_, attached)| attached));
    }

    fn found(&self) -> MutexGuard<'_, TlsFound> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lives(process: Process) -> bool {
    files::started_ns(process.0) == Some(process.1)
}
