//! The processes that are known, and who is whose child.
//!
//! A process that was forked and did not exec is the same instance as its ancestor that did: nginx's workers, a
//! PostgreSQL backend for each connection. That ancestor is the *root*; it bears the name and the entity id. When a root
//! ends before its children (a daemon that puts itself into the background), each child becomes a root of its own: so
//! the kernel would be understood by an agent that starts now, and ids are the same for both.

use super::image::Image;
use super::naming::Name;
use super::procfs;
use crate::telemetry::Process;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry as Slot;
use std::net::SocketAddr;
use std::sync::Arc;

/// Processes alive at the same time; beyond, only those that are asked for.
const MAX_LIVING: usize = 65_536;
/// Processes that ended are kept for events that come late, this long and not more of them.
const KEEP_GONE_NS: u64 = 60_000_000_000;
const MAX_GONE: usize = 4096;
/// How far up a chain of forks is followed.
const MAX_GENERATIONS: usize = 16;

pub struct Entry {
    /// Clock ticks since boot.
    pub start: u64,
    pub ppid: u32,
    pub forked_only: bool,
    /// Unix ns; 0 while it lives.
    pub exited_ns: u64,
    /// `None` until it is needed, for processes older than the agent.
    pub image: Option<Arc<Image>>,
    /// What was answered for this process: its root's.
    pub process: Option<Arc<Process>>,
    /// Only on a root that was asked for, or that listens.
    pub known: Option<Box<Known>>,
}

/// A root with a name.
pub struct Known {
    pub name: Name,
    /// The name without a port appended.
    pub base: limpid_model::Text,
    pub image: Arc<Image>,
    pub process: Arc<Process>,
    pub container: Option<super::containers::Container>,
    pub listen: Vec<SocketAddr>,
    /// What it may use at most, as attributes of its entity.
    pub limits: Vec<(&'static str, limpid_model::Text)>,
    /// Other processes were answered with this root's identity.
    pub has_members: bool,
    /// When its entity was last told to the exporter, Unix ns; 0 when it changed since.
    pub reported_ns: u64,
}

#[derive(Default)]
pub struct Table {
    pub entries: FxHashMap<u32, Entry>,
    gone: VecDeque<(u64, u32, u64)>,
}

impl Table {
    /// The entry, from `/proc` when it was not known; `None` when there is no such process any more.
    pub fn load(&mut self, tgid: u32) -> Option<&mut Entry> {
        match self.entries.entry(tgid) {
            Slot::Occupied(known) => Some(known.into_mut()),
            Slot::Vacant(free) => {
                let stat = procfs::stat(tgid).filter(|stat| !stat.kernel_thread)?;
                Some(free.insert(Entry::new(stat.start, stat.ppid, stat.forked_only, None)))
            }
        }
    }

    /// True when answers given for others are wrong from now on: the end of who had this pid before was missed.
    pub fn forked(&mut self, tgid: u32, ppid: u32, start: u64, now_ns: u64) -> bool {
        // A look at /proc may have been quicker than this record.
        if self.entries.get(&tgid).is_some_and(|entry| entry.start == start) {
            return false;
        }
        let missed = self.exited(tgid, now_ns);
        if self.entries.len() < MAX_LIVING || self.entries.contains_key(&tgid) {
            let image = self.entries.get(&ppid).and_then(|parent| parent.image.clone());
            self.entries.insert(tgid, Entry::new(start, ppid, true, image));
        }
        missed
    }

    /// True when an answer that was given before is wrong from now on.
    pub fn executed(&mut self, tgid: u32, ppid: u32, start: u64, image: Image) -> bool {
        let answered = self.forget_answers(tgid);
        if self.entries.len() < MAX_LIVING || self.entries.contains_key(&tgid) {
            self.entries.insert(tgid, Entry::new(start, ppid, false, Some(Arc::new(image))));
        }
        answered
    }

    /// True when answers given for others are wrong from now on: the children have lost their root.
    pub fn exited(&mut self, tgid: u32, now_ns: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&tgid).filter(|entry| entry.exited_ns == 0) else { return false };
        entry.exited_ns = now_ns;
        let (start, image) = (entry.start, entry.image.clone());
        let members = entry.known.as_mut().is_some_and(|known| {
            known.reported_ns = 0;
            std::mem::take(&mut known.has_members)
        });
        let process = entry.process.clone();
        self.gone.push_back((now_ns, tgid, start));
        if !members {
            return false;
        }
        // The children go on with what their ancestor ran.
        for (_, child) in self.entries.iter_mut().filter(|(pid, child)| **pid != tgid && child.exited_ns == 0) {
            if same_process(&child.process, &process) {
                child.process = None;
                child.image = child.image.take().or_else(|| image.clone());
            }
        }
        true
    }

    /// Drops what ended long ago.
    pub fn sweep(&mut self, now_ns: u64) {
        while let Some((exited_ns, tgid, start)) = self.gone.front().copied() {
            if self.gone.len() <= MAX_GONE && now_ns.saturating_sub(exited_ns) < KEEP_GONE_NS {
                return;
            }
            self.gone.pop_front();
            if self.entries.get(&tgid).is_some_and(|entry| entry.start == start && entry.exited_ns != 0) {
                self.entries.remove(&tgid);
            }
        }
    }

    /// The ancestor whose program this process runs: itself when it did exec.
    pub fn root(&mut self, tgid: u32) -> u32 {
        let mut at = tgid;
        for _ in 0..MAX_GENERATIONS {
            let Some(entry) = self.load(at) else { return at };
            let (forked_only, ppid, start, exited_ns) = (entry.forked_only, entry.ppid, entry.start, entry.exited_ns);
            let image = entry.image.clone();
            if !forked_only || ppid <= 1 {
                return at;
            }
            let Some(parent) = self.load(ppid) else { return at };
            let was_there = parent.exited_ns == 0 || exited_ns != 0 && parent.exited_ns >= exited_ns;
            if !was_there || parent.start > start || !runs_the_same(at, &image, ppid, &parent.image) {
                return at;
            }
            at = ppid;
        }
        at
    }

    /// Forgets every answer that came from this process as the root; true when there was one.
    pub fn forget_answers(&mut self, tgid: u32) -> bool {
        let Some(entry) = self.entries.get_mut(&tgid) else { return false };
        let Some(process) = entry.process.take() else { return false };
        let members = entry.known.take().is_some_and(|known| known.has_members);
        if members {
            let process = Some(process);
            self.entries
                .values_mut()
                .filter(|member| same_process(&member.process, &process))
                .for_each(|member| member.process = None);
        }
        true
    }
}

impl Entry {
    fn new(start: u64, ppid: u32, forked_only: bool, image: Option<Arc<Image>>) -> Entry {
        Entry { start, ppid, forked_only, exited_ns: 0, image, process: None, known: None }
    }
}

fn same_process(one: &Option<Arc<Process>>, other: &Option<Arc<Process>>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if Arc::ptr_eq(one, other))
}

/// Whether a forked process still runs what its parent runs: the parent may have executed something else since.
fn runs_the_same(child: u32, image: &Option<Arc<Image>>, parent: u32, parents: &Option<Arc<Image>>) -> bool {
    if let (Some(image), Some(parents)) = (image, parents) {
        return Arc::ptr_eq(image, parents) || image.exe == parents.exe;
    }
    match (procfs::link(child, "exe"), procfs::link(parent, "exe")) {
        (Some(child), Some(parent)) => child == parent,
        // One of them is gone or may not be read: nothing speaks against it.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u32 = 4_000_000; // beyond any pid of this machine

    fn image(exe: &str) -> Image {
        Image::from_record(exe.as_bytes(), exe.as_bytes(), b"", b"", 0)
    }

    #[test]
    fn forked_children_belong_to_their_root() {
        let mut table = Table::default();
        table.executed(BASE, 1, 10, image("/bin/master"));
        table.forked(BASE + 1, BASE, 20, 0);
        table.forked(BASE + 2, BASE + 1, 30, 0);
        assert_eq!(table.root(BASE + 2), BASE);
        table.executed(BASE + 2, BASE + 1, 30, image("/bin/other"));
        assert_eq!(table.root(BASE + 2), BASE + 2);
        table.exited(BASE, 1000);
        assert_eq!(table.root(BASE + 1), BASE + 1, "the root is gone");
    }

    #[test]
    fn a_child_that_ended_before_its_root_still_belongs_to_it() {
        let mut table = Table::default();
        table.executed(BASE, 1, 10, image("/bin/master"));
        table.forked(BASE + 1, BASE, 20, 0);
        table.exited(BASE + 1, 1000);
        table.exited(BASE, 2000);
        assert_eq!(table.root(BASE + 1), BASE);
    }

    #[test]
    fn a_parent_that_went_on_to_something_else() {
        let mut table = Table::default();
        table.executed(BASE, 1, 10, image("/bin/shell"));
        table.forked(BASE + 1, BASE, 20, 0);
        table.executed(BASE, 1, 10, image("/bin/other"));
        assert_eq!(table.root(BASE + 1), BASE + 1);
    }

    #[test]
    fn churn_stays_flat() {
        let mut table = Table::default();
        for number in 0..200_000u32 {
            let (tgid, now) = (BASE + number, u64::from(number + 1) * 1000);
            table.forked(tgid, 1, u64::from(number), now);
            table.executed(tgid, 1, u64::from(number), image("/bin/true"));
            table.exited(tgid, now);
            table.sweep(now);
        }
        assert!(table.entries.len() <= MAX_GONE, "{}", table.entries.len());
        table.sweep(u64::MAX);
        assert!(table.entries.is_empty() && table.gone.is_empty());
    }
}
