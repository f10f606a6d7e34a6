//! Where spans wait for the exporter: encoded, bounded, and what does not fit is counted.

use crate::export::otlp::traces::ProcessSpans;
use crate::losses;
use crate::telemetry::{Process, Span};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Threads that make spans at the same time do not wait for each other up to this many.
const SHARDS: usize = 8;

#[derive(Default)]
struct Shard {
    processes: Vec<ProcessSpans>,
    /// By the address of the process, which lives for as long as it is in here.
    places: FxHashMap<usize, usize>,
}

pub(super) struct SpanQueue {
    shards: [Mutex<Shard>; SHARDS],
    waiting: AtomicUsize,
    capacity: usize,
}

impl SpanQueue {
    pub fn new(capacity: usize) -> Self {
        SpanQueue { shards: Default::default(), waiting: AtomicUsize::new(0), capacity }
    }

    pub fn push(&self, span: &Span<'_>) {
        if self.waiting.fetch_add(1, Relaxed) >= self.capacity {
            self.waiting.fetch_sub(1, Relaxed);
            losses::SPANS_QUEUE_FULL.add(1);
            return;
        }
        self.own_shard().of(span.process).push(span);
    }

    /// All that wait.
    pub fn drain(&self) -> Vec<ProcessSpans> {
        let mut drained = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.places.clear();
            drained.append(&mut shard.processes);
        }
        self.waiting.fetch_sub(drained.iter().map(ProcessSpans::len).sum(), Relaxed);
        drained
    }

    pub fn len(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    fn own_shard(&self) -> MutexGuard<'_, Shard> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static THREAD: usize = THREADS.fetch_add(1, Relaxed));
        lock(&self.shards[THREAD.with(|thread| thread % SHARDS)])
    }
}

impl Shard {
    fn of(&mut self, process: &Arc<Process>) -> &mut ProcessSpans {
        let place = *self.places.entry(Arc::as_ptr(process) as usize).or_insert_with(|| {
            self.processes.push(ProcessSpans::new(process));
            self.processes.len() - 1
        });
        &mut self.processes[place]
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
