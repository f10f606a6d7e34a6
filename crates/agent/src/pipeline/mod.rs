//! From the bytes of sockets to requests, metrics and spans.
//!
//! Each ring buffer of the collector has a consumer thread with a [`consumer::Pipeline`] of its own: it joins the two
//! ends of a connection by key, parses one of them, and gets the other's view of each request by offset (`views`).
//! Every request goes into the thread's aggregates (`aggregate`), those that are sampled (`sampling`) become spans.
//! [`Shared`] is what the exporters see: the aggregates of all threads as families of series, and the spans to send.

mod aggregate;
mod caps;
mod certificates;
mod connect;
mod connection;
mod consumer;
mod emit;
mod engine;
mod flows;
mod names;
mod pending;
mod queue;
mod sampling;
mod settings;
mod shapes;
mod snapshot;
mod times;
mod trace_ids;
mod views;

pub use caps::Limits;
pub use emit::CLAMPED;
pub use sampling::Sampling;
pub use snapshot::described;

use crate::capture::Consumer;
use crate::export::otlp::traces::ProcessSpans;
use crate::telemetry::{Families, FamilySnapshot, Process};
use aggregate::Table;
use caps::Caps;
use limpid_model::{Entity, Text};
use limpid_protocols::Options;
use limpid_protocols::protocols::SwitchedOff;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Who a process is; implemented by `identity`.
pub trait Identify: Send + Sync {
    fn process(&self, tgid: u32) -> Arc<Process>;
    /// Changes whenever any identity did.
    fn epoch(&self) -> u64;
    /// Whether one of Limpid's own processes listens on this port.
    fn is_own_port(&self, _port: u16) -> bool {
        false
    }
    /// Whether what a server on this port says shall be left alone.
    fn is_excluded_port(&self, _port: u16) -> bool {
        false
    }
    /// Whether this is the answer for a process of which nothing is known yet.
    fn is_unknown(&self, _process: &Arc<Process>) -> bool {
        false
    }
}

#[derive(Clone, Debug)]
pub struct Config {
    /// Label `host` of every series.
    pub host: Text,
    /// Tells this machine (and boot) apart in the ids of connections that never leave it.
    pub machine: u64,
    pub sampling: Sampling,
    /// Protocols that are not read.
    pub off: SwitchedOff,
    pub limits: Limits,
    /// Open connections of the whole agent that are followed at once.
    pub connections: usize,
    pub span_queue: usize,
    /// After this time a request counts as unanswered.
    pub timeout_ns: u64,
    /// A series that nothing was added to for so long is ended.
    pub idle_series_ns: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: Text::default(),
            machine: 0,
            sampling: Sampling::default(),
            off: SwitchedOff::default(),
            limits: Limits::default(),
            connections: 16_384,
            span_queue: 16_384,
            timeout_ns: Options::default().timeout_ns,
            idle_series_ns: 600_000_000_000,
        }
    }
}

/// What all threads share.
struct Inner {
    config: Config,
    identity: Arc<dyn Identify>,
    sampler: sampling::Sampler,
    off: RwLock<SwitchedOff>,
    /// Counted up when settings change that connections have taken up already.
    settings: AtomicU64,
    queue: queue::SpanQueue,
    caps: Arc<Mutex<Caps>>,
    tables: Mutex<Vec<Arc<Mutex<Table>>>>,
    names: Mutex<names::Names>,
    greeters: Mutex<pending::Greeters>,
    ended: Mutex<snapshot::Ended>,
    /// The newest time that any thread has seen.
    now_ns: AtomicU64,
    connections: AtomicU64,
    /// Unix time of the boot, and the kernel's clock tick: what a process' start is counted from and in.
    boot_ns: u64,
    clock_tick_ns: u64,
}

impl Inner {
    /// When the process started, in Unix time.
    fn started_ns(&self, process: &Process) -> u64 {
        self.boot_ns.saturating_add(process.start.saturating_mul(self.clock_tick_ns))
    }

    fn options(&self) -> Options {
        let off = *self.off.read().unwrap_or_else(PoisonError::into_inner);
        Options { details: self.sampler.wanted(), timeout_ns: self.config.timeout_ns, off, ..Options::default() }
    }
}

/// The pipelines of all threads together. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

impl Shared {
    pub fn new(config: Config, identity: Arc<dyn Identify>) -> Self {
        let caps = Arc::new(Mutex::new(Caps::new(config.limits.clone())));
        Shared {
            inner: Arc::new(Inner {
                identity,
                sampler: sampling::Sampler::new(config.sampling),
                off: RwLock::new(config.off),
                settings: AtomicU64::new(0),
                queue: queue::SpanQueue::new(config.span_queue),
                caps,
                tables: Mutex::default(),
                names: Mutex::default(),
                greeters: Mutex::default(),
                ended: Mutex::default(),
                now_ns: AtomicU64::new(0),
                connections: AtomicU64::new(0),
                boot_ns: boot_ns(),
                clock_tick_ns: clock_tick_ns(),
                config,
            }),
        }
    }

    /// The consumer of one ring, to be moved into its thread.
    pub fn consumer(&self) -> Box<dyn Consumer + Send> {
        let table = Arc::new(Mutex::new(Table::new(Arc::clone(&self.inner.caps))));
        self.inner.tables.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&table));
        Box::new(consumer::Pipeline::new(Arc::clone(&self.inner), table))
    }

    /// Takes up other settings, also for connections that are open; what is left alone has changed too, maybe.
    pub fn change(&self, sampling: Sampling, off: SwitchedOff) {
        self.inner.sampler.set(sampling);
        *self.inner.off.write().unwrap_or_else(PoisonError::into_inner) = off;
        self.inner.settings.fetch_add(1, Ordering::Release);
    }

    /// For the status page: which protocols are read.
    pub fn protocols(&self) -> serde_json::Value {
        let off = self.inner.options().off;
        let state = |protocol| if off.has(protocol) { "off" } else { "on" };
        let all = limpid_protocols::PROTOCOLS.iter();
        all.map(|protocol| serde_json::json!({"name": protocol.name, "state": state(protocol)})).collect()
    }

    /// The spans that wait to be sent.
    pub fn drain_spans(&self) -> Vec<ProcessSpans> {
        self.inner.queue.drain()
    }

    /// Peers elsewhere that have a name, as entities: those that nobody was told of for a while.
    pub fn named_peers(&self) -> Vec<Entity> {
        let now_ns = self.inner.now_ns.load(Ordering::Relaxed);
        self.inner.names.lock().unwrap_or_else(PoisonError::into_inner).entities(now_ns)
    }

    pub fn waiting_spans(&self) -> usize {
        self.inner.queue.len()
    }

    /// Connections that are followed now.
    pub fn connections(&self) -> u64 {
        self.inner.connections.load(Ordering::Relaxed)
    }
}

impl Families for Shared {
    fn families(&self) -> Vec<FamilySnapshot> {
        snapshot::families(&self.inner)
    }
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the one timespec that the call writes.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return 0;
    }
    (time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64)
}

fn boot_ns() -> u64 {
    clock_ns(libc::CLOCK_REALTIME).saturating_sub(clock_ns(libc::CLOCK_BOOTTIME))
}

fn clock_tick_ns() -> u64 {
    // SAFETY: no pointers; an unknown name would give -1.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    1_000_000_000 / u64::try_from(per_second).unwrap_or(100).max(1)
}
