//! What is done once a second rather than with every event: the kernel's counters are mirrored into the losses, and an
//! iterator goes over the sockets: it sends halves whose answer does not come, and names the Unix sockets that are
//! still there. On a machine where nothing moved since the last time there is nothing to do.

use super::clock;
use super::consumer::{self, Alive, Shared};
use super::load;
use crate::collectors::CollectorError;
use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, Object};
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);
/// Index of `COUNT_CALLS`.
const CALLS: usize = 9;
/// After this many sweeps without a call the last flow of datagrams has ended.
const FLOW_IDLE_SWEEPS: u32 = 12;

pub struct Sweep {
    link: Link,
    flows: Link,
    counters: MapHandle,
    shared: Vec<Arc<Shared>>,
    calls: u64,
    /// Sweeps since something moved: what waits is due by the second one.
    quiet: u32,
}

impl Sweep {
    pub fn new(
        object: &Object,
        name: &str,
        counters: MapHandle,
        shared: Vec<Arc<Shared>>,
    ) -> Result<Self, CollectorError> {
        let failed = |error| CollectorError::new("cannot attach the sweep over the sockets", error);
        let program = object.progs_mut().find(|program| program.name() == name);
        let program = program.ok_or_else(|| CollectorError("the socket programs have no sweep".to_string()))?;
        let link = if name == "sweep_storage" {
            program.attach_iter(load::map(object, "connections")?.as_fd()).map_err(failed)?
        } else {
            program.attach().map_err(failed)?
        };
        let over_flows = object.progs_mut().find(|program| program.name() == "sweep_flows");
        let over_flows = over_flows.ok_or_else(|| CollectorError("the socket programs have no sweep".to_string()))?;
        let flows = over_flows.attach_iter(load::map(object, "flows")?.as_fd());
        let flows = flows.map_err(|error| CollectorError::new("cannot attach the sweep over the flows", error))?;
        Ok(Sweep { link, flows, counters, shared, calls: 0, quiet: 0 })
    }

    /// Once a second, less often where it takes long: never more than a two-hundredth of a processor. What it takes is its
    /// own time: on a busy machine a sweep that was interrupted must not put off the next one for a minute, since answers
    /// that wait in the kernel would be missed meanwhile.
    pub fn run(mut self) {
        let mut due = Instant::now() + EVERY;
        while !self.stopped() {
            std::thread::sleep(STEP);
            let started = Instant::now();
            if started < due {
                continue;
            }
            let before = clock::thread_cpu();
            self.sweep();
            due = started + EVERY.max(clock::thread_cpu().saturating_sub(before) * 200);
        }
    }

    fn stopped(&self) -> bool {
        self.shared.iter().any(|shared| shared.stop.load(Ordering::Relaxed))
    }

    fn sweep(&mut self) {
        let totals = match read_counters(&self.counters) {
            Ok(totals) => totals,
            Err(error) => return log::debug!("cannot read the counters of the socket programs: {error}"),
        };
        consumer::mirror(&totals);
        let calls = totals.get(CALLS).copied().unwrap_or(0);
        let moved = std::mem::replace(&mut self.calls, calls) != calls;
        let has_unix = self.shared.iter().any(|shared| shared.has_unix.load(Ordering::Relaxed));
        self.quiet = if moved { 0 } else { self.quiet.saturating_add(1) };
        if self.quiet <= FLOW_IDLE_SWEEPS
            && let Err(error) = run(&self.flows)
        {
            log::debug!("the sweep over the flows of datagrams failed: {error}");
        }
        if self.quiet > 2 && !has_unix {
            return;
        }
        match self.iterate() {
            Ok(alive) => self.publish(alive),
            Err(error) => log::debug!("the sweep over the sockets failed: {error}"),
        }
    }

    fn iterate(&self) -> std::io::Result<Alive> {
        let since_ns = clock::monotonic_ns();
        let mut bytes = Vec::new();
        let mut iterator = Iter::new(&self.link).map_err(std::io::Error::other)?;
        iterator.read_to_end(&mut bytes)?;
        let cookies = bytes.chunks_exact(8).map(|cookie| u64::from_ne_bytes(cookie.try_into().unwrap_or_default()));
        Ok(Alive { since_ns, sockets: cookies.collect() })
    }

    fn publish(&self, alive: Alive) {
        let alive = Arc::new(alive);
        for shared in &self.shared {
            if let Ok(mut slot) = shared.alive.lock() {
                *slot = Some(alive.clone());
            }
        }
    }
}

fn run(link: &Link) -> std::io::Result<()> {
    let mut iterator = Iter::new(link).map_err(std::io::Error::other)?;
    std::io::copy(&mut iterator, &mut std::io::sink()).map(|_| ())
}

/// Runs an iterator to its end.
pub fn run_once(object: &Object, name: &str) -> Result<(), CollectorError> {
    let failed = |error| CollectorError::new(&format!("cannot run {name}"), error);
    let program = object.progs_mut().find(|program| program.name() == name);
    let program = program.ok_or_else(|| CollectorError(format!("the socket programs have no {name}")))?;
    let link = program.attach().map_err(failed)?;
    run(&link).map_err(|error| CollectorError(format!("cannot run {name}: {error}")))
}

/// Each counter, summed over the processors.
pub fn read_counters(map: &MapHandle) -> libbpf_rs::Result<Vec<u64>> {
    let per_cpu = map.lookup_percpu(&0u32.to_ne_bytes(), MapFlags::ANY)?.unwrap_or_default();
    let mut totals = vec![0u64; super::COUNTERS.len()];
    for counters in per_cpu {
        for (total, bytes) in totals.iter_mut().zip(counters.chunks_exact(8)) {
            *total += u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        }
    }
    Ok(totals)
}
