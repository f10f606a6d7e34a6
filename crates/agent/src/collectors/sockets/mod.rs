//! The socket collector: sees every byte that a process of this machine moves through a TCP or Unix stream socket.
//!
//! The kernel's half is in C (`sockets.bpf.c` and its headers; `sockets.h` is what both halves agree on). This half
//! loads it, takes its records out of the rings, one thread each, and hands them to a [`Consumer`]. Dropping
//! [`Sockets`] detaches everything; so does the end of the process, however it comes, since nothing is pinned.

mod attach;
mod cgroup;
mod clock;
mod consumer;
mod load;
mod record;
mod return_probes;
mod sweep;
mod tls;
mod variant;
mod verdict;

use super::{CollectorError, CollectorInfo, CollectorStatus, Cost, ProgramState, ProgramStats};
use crate::capture::Consumer;
use attach::Attached;
use consumer::Shared;
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread::JoinHandle;
pub use tls::TlsFile;
use verdict::{Slots, Verdicts};

pub const INFO: CollectorInfo = CollectorInfo {
    name: "sockets",
    summary: "bytes, times and lengths of every call on TCP, UDP and Unix stream sockets",
    capabilities: &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"],
    cost: Cost::PerCall,
};

const OWN_MAX: usize = 8;
/// Processes that wait to be looked at for TLS libraries.
const TLS_REQUESTS: usize = 1024;
const RINGS_MAX: usize = 4;
const RING_MIN: usize = 256 * 1024;

/// Names of `enum counter` in `sockets.h`, in its order.
pub const COUNTERS: &[&str] = &[
    "ring_full",
    "ring_full_bytes",
    "storage_full",
    "payload_fault",
    "no_payload",
    "compat_call",
    "kernel_task",
    "other_descriptor",
    "own",
    "calls",
    "busy",
    "io_uring",
    "sender_unknown",
    "flows_full",
    "tls_calls",
    "tls_untied",
    "tls_ambiguous",
];

#[derive(Clone, Debug)]
pub struct Config {
    /// All rings together.
    pub ring_bytes: usize,
    /// Processes whose sockets are left alone: Limpid's own.
    pub own_tgids: Vec<u32>,
    /// Verdicts that the kernel's table holds.
    pub verdicts: u32,
    /// Whether the arrival of requests is stamped, to tell the network from the server's queue.
    pub arrivals: bool,
    /// Whether probes are hung on TLS libraries.
    pub tls_plaintext: bool,
    /// Which programs see the bytes: `auto`, or one of [`variant::FrontEnd`].
    pub front_end: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            ring_bytes: 16 << 20,
            own_tgids: vec![std::process::id()],
            verdicts: 65_536,
            arrivals: true,
            tls_plaintext: true,
            front_end: "auto".to_owned(),
        }
    }
}

impl Config {
    /// One for each processor, a power of two, as far as the bytes suffice.
    fn rings(&self) -> usize {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let affordable = (self.ring_bytes / RING_MIN).max(1);
        let rings = cpus.min(affordable).min(RINGS_MAX);
        1 << rings.ilog2()
    }

    /// Of one ring: a power of two, as the kernel wants.
    fn ring_size(&self) -> usize {
        let size = (self.ring_bytes / self.rings()).max(RING_MIN);
        1 << size.ilog2()
    }
}

pub struct Sockets {
    // Dropped in this order: no program runs any more when the rings and the object go.
    attached: Attached,
    threads: Vec<JoinHandle<()>>,
    shared: Vec<Arc<Shared>>,
    own: MapHandle,
    slots: Arc<Slots>,
    counters: MapHandle,
    tls_files: tls::TlsFiles,
    object: Arc<Object>,
}

impl Sockets {
    /// `make_consumer` is called once for each ring; all events of one connection go to one consumer.
    pub fn start(
        config: Config,
        mut make_consumer: impl FnMut(usize) -> Box<dyn Consumer + Send>,
    ) -> Result<Sockets, CollectorError> {
        let loaded = load::load(&config)?;
        let own = load::map(&loaded.object, "own_processes")?;
        let slots = Slots::map(&load::map(&loaded.object, "verdict_slots")?)
            .map_err(|error| CollectorError::new("cannot map the verdict slots", error))?;
        let slots = Arc::new(slots);
        let counters = load::map(&loaded.object, "counters")?;
        let (tls_requests, tls_asked) = std::sync::mpsc::sync_channel(TLS_REQUESTS);
        let mut sockets = Sockets {
            attached: loaded.attached,
            threads: Vec::new(),
            shared: Vec::new(),
            own,
            slots: slots.clone(),
            counters,
            tls_files: Arc::default(),
            object: Arc::new(loaded.object),
        };
        for tgid in &config.own_tgids {
            sockets.ignore_process(*tgid)?;
        }
        for (index, ring) in loaded.rings.into_iter().enumerate() {
            let verdicts = Verdicts::new(load::map(&sockets.object, "verdicts")?, slots.clone());
            sockets.start_consumer(index, ring, verdicts, make_consumer(index), tls_requests.clone())?;
        }
        sockets.start_sweep(loaded.sweep)?;
        if config.tls_plaintext {
            sockets.start_tls(tls_requests, tls_asked)?;
        }
        sockets.mark_old_sockets();
        Ok(sockets)
    }

    /// Unix sockets that are older than the programs: without the mark all count as old, which costs each its first
    /// exchange.
    fn mark_old_sockets(&self) {
        const OLD_SOCKETS_MARKED: u32 = 0;
        let marked = sweep::run_once(&self.object, "mark_old_files").and_then(|()| {
            let progress = load::map(&self.object, "progress")?;
            progress
                .update(&OLD_SOCKETS_MARKED.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY)
                .map_err(|error| CollectorError::new("cannot write what is marked", error))
        });
        if let Err(error) = marked {
            log::warn!("old Unix sockets cannot be told from new ones: {error}");
        }
    }

    fn start_consumer(
        &mut self,
        index: usize,
        ring: MapHandle,
        verdicts: Verdicts,
        consumer: Box<dyn Consumer + Send>,
        tls_requests: SyncSender<u32>,
    ) -> Result<(), CollectorError> {
        let shared = Arc::new(Shared::default());
        self.shared.push(shared.clone());
        let run = move || consumer::run(ring, verdicts, consumer, &shared, tls_requests);
        self.spawn(format!("sockets-{index}"), run)
    }

    fn start_sweep(&mut self, name: &str) -> Result<(), CollectorError> {
        let sweep = sweep::Sweep::new(&self.object, name, self.counters_handle()?, self.shared.clone())?;
        self.spawn("sockets-sweep".to_string(), move || sweep.run())
    }

    fn start_tls(&mut self, requests: SyncSender<u32>, asked: Receiver<u32>) -> Result<(), CollectorError> {
        let started = tls::Started::new();
        let tls = tls::Tls::new(&self.object, asked, started.is_ok(), self.tls_files.clone())?;
        match (started, self.shared.first().cloned()) {
            (Ok(started), Some(shared)) => {
                self.spawn("sockets-started".to_string(), move || started.run(&requests, &shared.stop))?;
            }
            (Err(error), _) => log::warn!("new processes are looked for every second: {error}"),
            _ => {}
        }
        self.spawn("sockets-tls".to_string(), move || tls.run())
    }

    fn spawn(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> Result<(), CollectorError> {
        let thread = std::thread::Builder::new().name(name).spawn(run);
        let thread = thread.map_err(|error| CollectorError::new("cannot start a thread", error))?;
        self.threads.push(thread);
        Ok(())
    }

    fn counters_handle(&self) -> Result<MapHandle, CollectorError> {
        load::map(&self.object, "counters")
    }

    /// Leaves the sockets of this process alone from now on.
    pub fn ignore_process(&self, tgid: u32) -> Result<(), CollectorError> {
        let zero = 0u32.to_ne_bytes();
        let failed = |error| CollectorError::new("cannot set the own processes", error);
        let mut own = self.own.lookup(&zero, MapFlags::ANY).map_err(failed)?.unwrap_or_default();
        let wanted = tgid.to_ne_bytes();
        if own.chunks_exact(4).any(|entry| entry == wanted) {
            return Ok(());
        }
        // The place of one that has ended is free again.
        let Some(free) = own.chunks_exact_mut(4).find(|entry| is_over(entry)) else {
            return Err(CollectorError(format!("cannot ignore process {tgid}: {OWN_MAX} processes are the most")));
        };
        free.copy_from_slice(&wanted);
        self.own.update(&zero, &own, MapFlags::ANY).map_err(failed)?;
        self.slots.count_all_up();
        Ok(())
    }

    pub fn status(&self) -> CollectorStatus {
        CollectorStatus { name: INFO.name, state: ProgramState::Running, programs: self.attached.programs.clone() }
    }

    pub fn tls_files(&self) -> Vec<TlsFile> {
        self.tls_files.lock().map(|files| files.clone()).unwrap_or_default()
    }

    /// The kernel's own counts, by the names of [`COUNTERS`].
    pub fn counters(&self) -> Vec<(&'static str, u64)> {
        let totals = sweep::read_counters(&self.counters).unwrap_or_default();
        COUNTERS.iter().copied().zip(totals).collect()
    }

    pub fn program_stats(&self) -> Vec<ProgramStats> {
        self.object.progs().filter_map(|program| program_stats(&program)).collect()
    }
}

/// Whether this entry of the own processes is empty, or of a process that is no more.
fn is_over(entry: &[u8]) -> bool {
    let tgid = u32::from_ne_bytes(entry.try_into().unwrap_or_default());
    tgid == 0 || !std::path::Path::new("/proc").join(tgid.to_string()).exists()
}

fn program_stats(program: &libbpf_rs::Program<'_>) -> Option<ProgramStats> {
    use libbpf_rs::libbpf_sys;
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut size = size_of::<libbpf_sys::bpf_prog_info>() as u32;
    let fd = program.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `size` bytes into a structure of that size.
    let failed = unsafe { libbpf_sys::bpf_obj_get_info_by_fd(fd, (&raw mut info).cast(), &mut size) };
    (failed == 0).then(|| ProgramStats {
        name: program.name().to_string_lossy().into_owned(),
        runs: info.run_cnt,
        run_time_ns: info.run_time_ns,
        missed: info.recursion_misses,
    })
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.attached.links.clear();
        for shared in &self.shared {
            shared.stop.store(true, Ordering::Relaxed);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the socket collector ended in a panic");
            }
        }
    }
}
