//! Every start, fork and end of a process, handed to [`Identity`]. A thread of its own reads the ring, and another one
//! looks every two seconds at what listens: that takes its time where there are many containers, and a process that
//! answers a request and ends must not wait for its name until then.
//!
//! Without this collector identity still works from `/proc`; what is lost are processes that live for some milliseconds.

mod record;

use super::{CollectorError, CollectorInfo, CollectorStatus, Cost, ProgramState, ProgramStatus};
use crate::identity::Identity;
use crate::losses;
use libbpf_rs::{Link, MapCore, MapFlags, Object, ObjectBuilder, RingBufferBuilder};
use record::Record;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/processes.bpf.o"));

const POLL: Duration = Duration::from_millis(100);
const REFRESH: Duration = Duration::from_secs(2);

pub const INFO: CollectorInfo = CollectorInfo {
    name: "processes",
    summary: "start, fork and end of every process: arguments, service name, container",
    capabilities: &["CAP_BPF", "CAP_PERFMON"],
    cost: Cost::Negligible,
};

/// Detached when dropped.
pub struct Processes {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    programs: Vec<ProgramStatus>,
}

impl Processes {
    /// Loads and attaches the three programs; the reading thread is up when this returns.
    pub fn start(identity: Arc<Identity>) -> Result<Processes, CollectorError> {
        let object = load()?;
        let (links, programs) = attach(&object)?;
        let mut started = Processes { stop: Arc::default(), threads: Vec::new(), programs };
        let (stop, looked_at) = (started.stop.clone(), identity.clone());
        started.spawn("limpid-process", move || run(object, links, &identity, &stop))?;
        let stop = started.stop.clone();
        started.spawn("limpid-listen", move || look(&looked_at, &stop))?;
        Ok(started)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), CollectorError> {
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|error| CollectorError::new("cannot start the process collector's threads", error))?;
        self.threads.push(thread);
        Ok(())
    }

    pub fn status(&self) -> CollectorStatus {
        let runs = self.threads.iter().all(|thread| !thread.is_finished());
        let state = if runs {
            ProgramState::Running
        } else {
            ProgramState::Failed("one of its threads ended; see the log".into())
        };
        CollectorStatus { name: INFO.name, state, programs: self.programs.clone() }
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                log::error!("a thread of the process collector had failed");
            }
        }
    }
}

fn load() -> Result<Object, CollectorError> {
    let open = ObjectBuilder::default().open_memory(OBJECT).map_err(|error| describe("open", &error))?;
    open.load().map_err(|error| describe("load", &error))
}

fn attach(object: &Object) -> Result<(Vec<Link>, Vec<ProgramStatus>), CollectorError> {
    let (mut links, mut programs) = (Vec::new(), Vec::new());
    for program in object.progs_mut() {
        let name = program.name().to_string_lossy().into_owned();
        let hook = program.section().to_string_lossy().into_owned();
        links.push(program.attach().map_err(|error| describe("attach", &error))?);
        programs.push(ProgramStatus { name, hook, state: ProgramState::Running });
    }
    Ok((links, programs))
}

fn describe(step: &str, error: &libbpf_rs::Error) -> CollectorError {
    CollectorError(format!("cannot {step} the process programs: {error}; `limpid check` shows what this kernel allows"))
}

fn run(object: Object, links: Vec<Link>, identity: &Identity, stop: &AtomicBool) {
    if let Err(error) = read_ring(&object, identity, stop) {
        log::error!("the process collector stopped: {error}");
    }
    drop(links);
}

fn read_ring(object: &Object, identity: &Identity, stop: &AtomicBool) -> Result<(), libbpf_rs::Error> {
    let Some(events) = object.maps().find(|map| map.name() == "events") else { return Ok(()) };
    let lost = object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss"));
    let mut builder = RingBufferBuilder::new();
    builder.add(&events, |bytes| {
        tell(identity, bytes);
        0
    })?;
    let ring = builder.build()?;
    let mut refreshed = Instant::now();
    while !stop.load(Ordering::Acquire) {
        ring.poll(POLL)?;
        // Forks and exits wake nobody: they are read here.
        ring.consume()?;
        if refreshed.elapsed() >= REFRESH {
            if count_lost(lost.as_ref()) {
                identity.records_lost();
            }
            refreshed = Instant::now();
        }
    }
    Ok(())
}

fn look(identity: &Identity, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        identity.refresh();
        std::thread::park_timeout(REFRESH);
    }
}

fn tell(identity: &Identity, bytes: &[u8]) {
    match record::parse(bytes) {
        Some(Record::Exec { tgid, ppid, start_ns, image }) => identity.executed(tgid, ppid, start_ns, *image),
        Some(Record::Fork { tgid, ppid, start_ns }) => identity.forked(tgid, ppid, start_ns),
        Some(Record::Exit { tgid }) => identity.exited(tgid),
        None => losses::PROCESS_RECORDS.add(1),
    }
}

/// The only variable of the object is the count of records that found the ring full. True when it has grown.
fn count_lost(variables: Option<&libbpf_rs::Map<'_>>) -> bool {
    let Some(variables) = variables else { return false };
    let Ok(Some(bytes)) = variables.lookup(&0u32.to_ne_bytes(), MapFlags::ANY) else { return false };
    let Some(count) = bytes.first_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes)) else { return false };
    let grown = count > losses::PROCESS_RING_FULL.get();
    losses::PROCESS_RING_FULL.set(count);
    grown
}
