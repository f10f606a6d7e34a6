//! Who a process is: from the number that the kernel gives to the name that people know.
//!
//! The process collector tells of every exec, fork and exit; `/proc` tells of processes older than the agent. A process
//! is looked into only when the pipeline asks for it, or when it listens: twenty thousand short-lived processes that
//! never touch a socket cost a table row each, for a minute at most.

mod attributes;
pub mod cgroup;
pub mod containers;
mod entities;
pub mod exclude;
pub mod host;
pub mod image;
mod limits;
mod listen;
pub mod naming;
mod package;
mod ports;
pub mod procfs;
pub mod program;
pub mod redact;
mod runtime;
mod sock_diag;
mod table;
pub mod usage;
mod users;

use crate::losses;
use crate::telemetry::Process;
use containers::Containers;
use exclude::Exclusions;
use host::{Host, clock_ns};
use image::Image;
use listen::Listeners;
use naming::{Name, Source};
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use table::{Known, Table};
use users::Users;

/// Unknown processes that somebody asked for, and of which a late record may still tell.
const MAX_UNKNOWN: usize = 1024;

pub struct Identity {
    host: Host,
    table: RwLock<Table>,
    sources: Mutex<Sources>,
    listeners: Mutex<Listeners>,
    own: RwLock<FxHashSet<u32>>,
    /// Ports that these listen on.
    own_ports: RwLock<FxHashSet<u16>>,
    /// Ports that one of them is about to listen on.
    expected_ports: RwLock<FxHashSet<u16>>,
    /// What a person wants to be left alone.
    exclusions: RwLock<Arc<Exclusions>>,
    epoch: AtomicU64,
    unknown: Arc<Process>,
}

/// Files that names are read from, each with its memory.
#[derive(Default)]
struct Sources {
    containers: Containers,
    users: Users,
    asked_in_vain: FxHashSet<u32>,
}

impl Identity {
    /// Looks at what runs and listens already, so that names do not depend on who is asked for first.
    pub fn start() -> Arc<Identity> {
        let host = Host::read();
        let unknown = Arc::new(attributes::unknown(&host));
        let identity = Arc::new(Identity {
            host,
            table: RwLock::default(),
            sources: Mutex::default(),
            listeners: Mutex::default(),
            own: RwLock::default(),
            own_ports: RwLock::default(),
            expected_ports: RwLock::default(),
            exclusions: RwLock::default(),
            epoch: AtomicU64::new(1),
            unknown,
        });
        identity.refresh();
        identity
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// One of Limpid's own processes: never a service on the map.
    pub fn set_own(&self, tgid: u32) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).insert(tgid);
        if self.write().forget_answers(tgid) {
            self.changed();
        }
    }

    /// Leaves these alone from now on, and those that were left alone before no longer.
    pub fn exclude(&self, exclusions: Exclusions) {
        if self.exclusions().same_rules(&exclusions) {
            return;
        }
        *self.exclusions.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(exclusions);
        let mut table = self.write();
        let known: Vec<u32> = table
            .entries
            .iter()
            .filter(|(_, entry)| entry.known.is_some() && entry.exited_ns == 0)
            .map(|(pid, _)| *pid)
            .collect();
        for pid in known {
            table.forget_answers(pid);
        }
        drop(table);
        self.changed();
    }

    pub fn exclusions(&self) -> Arc<Exclusions> {
        self.exclusions.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them is about to listen on this port; who listens there in the end confirms it or not.
    pub fn expect_own_port(&self, port: u16) {
        self.expected_ports.write().unwrap_or_else(PoisonError::into_inner).insert(port);
        self.own_ports.write().unwrap_or_else(PoisonError::into_inner).insert(port);
    }

    /// Changes whenever an answer of [`Identity::process`] may be another than before.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub fn process(&self, tgid: u32) -> Arc<Process> {
        if let Some(process) = self.read().entries.get(&tgid).and_then(|entry| entry.process.clone()) {
            return process;
        }
        let mut table = self.write();
        self.resolve(&mut table, tgid).unwrap_or_else(|| self.nobody(tgid))
    }

    /// Whether this is the answer for a process of which nothing is known (yet: its record may be on its way).
    pub fn is_unknown(&self, process: &Arc<Process>) -> bool {
        Arc::ptr_eq(process, &self.unknown)
    }

    pub fn forked(&self, tgid: u32, ppid: u32, start_ns: u64) {
        if self.write().forked(tgid, ppid, start_ns / host::TICK_NS, now_ns()) {
            self.changed();
        }
        self.known_at_last(tgid);
    }

    pub fn executed(&self, tgid: u32, ppid: u32, start_ns: u64, image: Image) {
        if self.write().executed(tgid, ppid, start_ns / host::TICK_NS, image) {
            self.changed();
        }
        self.known_at_last(tgid);
    }

    pub fn exited(&self, tgid: u32) {
        let now_ns = now_ns();
        let mut table = self.write();
        let changed = table.exited(tgid, now_ns);
        table.sweep(now_ns);
        drop(table);
        if changed {
            self.changed();
        }
    }

    /// Records of the collector were lost: what runs may have become something else without a word.
    pub fn records_lost(&self) {
        let mut table = self.write();
        let living = table.entries.iter().filter(|(_, entry)| entry.exited_ns == 0);
        let living: Vec<u32> = living.map(|(pid, _)| *pid).collect();
        let mut changed = false;
        for pid in living {
            changed |= became_another(&table, pid)
                .is_some_and(|(stat, image)| table.executed(pid, stat.ppid, stat.start, image));
        }
        drop(table);
        if changed {
            self.changed();
        }
    }

    /// To be called every few seconds: who listens now, whose end was missed, which names collide.
    pub fn refresh(&self) {
        let mut pids = procfs::pids();
        pids.sort_unstable();
        let listening = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).refresh(&pids);
        let mut table = self.write();
        self.end_missed(&mut table, &pids);
        let mut changed = self.take_listeners(&mut table, listening);
        changed |= self.name_collisions(&mut table);
        table.sweep(now_ns());
        drop(table);
        self.sources().users.forget();
        if changed {
            self.changed();
        }
    }

    /// Processes of which the exit was not seen (no collector, a full ring), or whose pid is another's by now.
    fn end_missed(&self, table: &mut Table, pids: &[u32]) {
        let missed: Vec<u32> = table
            .entries
            .iter()
            .filter(|(_, entry)| entry.exited_ns == 0)
            .filter(|(pid, entry)| {
                pids.binary_search(pid).is_err() || entry.known.is_some() && is_another(**pid, entry.start)
            })
            .map(|(pid, _)| *pid)
            .collect();
        for pid in missed {
            // Started after the list was made: it lives.
            let lives = procfs::stat(pid)
                .is_some_and(|stat| table.entries.get(&pid).is_some_and(|entry| entry.start == stat.start));
            if !lives && table.exited(pid, now_ns()) {
                self.changed();
            }
        }
    }

    fn resolve(&self, table: &mut Table, tgid: u32) -> Option<Arc<Process>> {
        table.load(tgid)?;
        let root = table.root(tgid);
        let entry = table.entries.get(&root)?;
        let known = entry.known.as_ref().map(|known| known.process.clone());
        let process = match known {
            Some(process) => process,
            None => self.make_known(table, root)?,
        };
        if root != tgid
            && let Some(known) = table.entries.get_mut(&root).and_then(|entry| entry.known.as_mut())
        {
            known.has_members = true;
        }
        table.entries.get_mut(&tgid)?.process = Some(process.clone());
        Some(process)
    }

    fn make_known(&self, table: &mut Table, root: u32) -> Option<Arc<Process>> {
        let entry = table.entries.get_mut(&root)?;
        if entry.image.is_none() && !is_another(root, entry.start) {
            entry.image = Some(Arc::new(Image::from_proc(root)?));
        }
        // The entry keeps what the exec has told: children that were forked before this question have the same, and are
        // recognised by it.
        let image = match entry.image.as_ref()? {
            image if entry.exited_ns != 0 => image.clone(),
            image => completed(image, root, entry.start),
        };
        let container = image.place.container.as_ref().map(|id| self.sources().containers.get(id));
        let mut name = naming::name(&image, container.as_ref());
        if name.runtime.is_none() && entry.exited_ns == 0 {
            name.runtime = runtime::of_executable(root);
        }
        let process = Arc::new(self.describe(root, entry.start, &image, &name, container.as_ref()));
        let listen =
            if name.source == Source::Executable && entry.exited_ns == 0 { listen::of(root) } else { Vec::new() };
        let base = name.service.clone();
        entry.process = Some(process.clone());
        entry.known = Some(Box::new(Known {
            name,
            base,
            image,
            process,
            container,
            listen,
            limits: Vec::new(),
            has_members: false,
            reported_ns: 0,
        }));
        if self.name_collisions(table) {
            self.changed();
        }
        table.entries.get(&root)?.process.clone()
    }

    fn describe(
        &self,
        pid: u32,
        start: u64,
        image: &Image,
        name: &Name,
        container: Option<&containers::Container>,
    ) -> Process {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner).contains(&pid)
            || self.exclusions().has_process(image, container);
        // In a container, the numbers are another user database's.
        let owner = image.uid.filter(|_| container.is_none()).map(|uid| self.sources().users.name(uid));
        attributes::process(&self.host, pid, start, image, name, container, owner, own)
    }

    fn nobody(&self, tgid: u32) -> Arc<Process> {
        let mut sources = self.sources();
        if sources.asked_in_vain.len() < MAX_UNKNOWN && sources.asked_in_vain.insert(tgid) {
            losses::PROCESS_UNKNOWN.add(1);
        }
        self.unknown.clone()
    }

    fn known_at_last(&self, tgid: u32) {
        if self.sources().asked_in_vain.remove(&tgid) {
            self.changed();
        }
    }

    fn changed(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    // A panic in another thread leaves the tables whole enough to go on: identity is better stale than gone.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl crate::pipeline::Identify for Identity {
    fn process(&self, tgid: u32) -> Arc<Process> {
        Identity::process(self, tgid)
    }

    fn epoch(&self) -> u64 {
        Identity::epoch(self)
    }

    fn is_unknown(&self, process: &Arc<Process>) -> bool {
        Identity::is_unknown(self, process)
    }

    fn is_excluded_port(&self, port: u16) -> bool {
        self.exclusions().has_port(port)
    }

    fn is_own_port(&self, port: u16) -> bool {
        self.own_ports.read().unwrap_or_else(PoisonError::into_inner).contains(&port)
    }
}

fn completed(image: &Arc<Image>, pid: u32, start: u64) -> Arc<Image> {
    if is_another(pid, start) || image.cwd.is_some() {
        return image.clone();
    }
    let mut whole = Image::clone(image);
    whole.complete_from_proc(pid);
    Arc::new(whole)
}

/// What `/proc` says of a process that has executed a program since the table heard of it last.
fn became_another(table: &Table, pid: u32) -> Option<(procfs::Stat, Image)> {
    let entry = table.entries.get(&pid)?;
    let stat = procfs::stat(pid).filter(|stat| stat.start == entry.start)?;
    let known = entry.known.as_ref().map(|known| &known.image).or(entry.image.as_ref());
    let executed = entry.forked_only && !stat.forked_only
        || !entry.forked_only && known.is_some_and(|image| !procfs::runs(pid, &image.exe));
    if executed { Some((stat, Image::from_proc(pid)?)) } else { None }
}

/// The pid belongs to another process by now, or to none.
fn is_another(pid: u32, start: u64) -> bool {
    procfs::stat(pid).is_none_or(|stat| stat.start != start)
}

pub fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME)
}
