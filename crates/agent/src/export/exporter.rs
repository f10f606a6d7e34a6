//! Sends what the agent has to its server: spans as they come, metrics and entities at intervals.
//!
//! Making batches and sending them are two tasks with a bounded queue between them. A server that does not answer costs
//! memory up to the bound and then the oldest batches, counted; it never stops the agent. A batch keeps its id over all
//! attempts, so that one that was stored although its answer was lost is not stored twice.

use super::client::{Client, Refusal, Signal};
use super::otlp::traces::ProcessSpans;
use super::otlp::{self, Agent};
use super::prometheus::StatusSource;
use crate::identity::{Identity, now_ns};
use crate::losses;
use crate::telemetry::Families;
use bytes::Bytes;
use limpid_model::names::AGENT_STATUS_EVENT;
use limpid_tls::ClientFiles;
use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

const SPANS_EVERY: Duration = Duration::from_secs(1);
/// Looked at in between, so that a burst does not wait for the second to end.
const SPANS_LOOK: Duration = Duration::from_millis(100);
/// This many do not wait for the second to end.
const MANY_SPANS: usize = 2048;
const ENTITIES_EVERY: Duration = Duration::from_secs(5);
/// In rounds of `ENTITIES_EVERY`.
const STATUS_EVERY: u32 = 2;
const FIRST_AFTER: Duration = Duration::from_secs(2);
const ENTITIES_PER_BATCH: usize = 1000;
const QUEUE_BYTES: usize = 16 << 20;
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(10);

pub struct Config {
    /// `http://HOST:4317` or `unix:///path`.
    pub server: String,
    pub metrics_every: Duration,
    pub agent: Agent,
    /// Bearer token that the server asks for.
    pub token: Option<String>,
    /// For `https://`.
    pub tls: ClientFiles,
}

impl Config {
    pub fn new(server: &str, agent: Agent) -> Config {
        Config {
            server: server.to_owned(),
            metrics_every: Duration::from_secs(5),
            agent,
            token: None,
            tls: ClientFiles::default(),
        }
    }
}

/// Where the spans come from: the pipeline's queue.
pub trait Spans: Send + Sync {
    /// All that wait.
    fn drain(&self) -> Vec<ProcessSpans>;
    fn waiting(&self) -> usize;
}

impl Spans for crate::pipeline::Shared {
    fn drain(&self) -> Vec<ProcessSpans> {
        self.drain_spans()
    }
    fn waiting(&self) -> usize {
        self.waiting_spans()
    }
}

pub struct Sources {
    pub spans: Arc<dyn Spans>,
    pub families: Vec<Arc<dyn Families>>,
    pub identity: Arc<Identity>,
    /// What the agent says of itself.
    pub status: Arc<dyn StatusSource>,
}

/// For the status page.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Status {
    pub server: String,
    /// Unix ns of the last batch that was taken.
    pub last_success_ns: u64,
    pub last_error: Option<String>,
    pub queued_batches: usize,
    pub queued_bytes: usize,
    pub sent_batches: u64,
    pub sent_bytes: u64,
    pub sent_spans: u64,
}

struct Batch {
    signal: Signal,
    id: String,
    /// In pieces, one after the other.
    payload: Vec<Bytes>,
    length: usize,
    /// Spans, points or entities in it: what is lost with it.
    items: u64,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    bytes: usize,
}

struct Inner {
    config: Config,
    sources: Sources,
    queue: Mutex<Queue>,
    filled: Notify,
    status: Mutex<Status>,
    ids: BatchIds,
}

pub struct Exporter {
    inner: Arc<Inner>,
    tasks: Vec<JoinHandle<()>>,
}

impl Exporter {
    /// Must be called inside a tokio runtime.
    pub fn start(config: Config, sources: Sources) -> Result<Exporter, String> {
        let client = Client::new(&config.server, config.token.as_deref(), config.tls.clone())?;
        let status = Status { server: config.server.clone(), ..Status::default() };
        let inner = Arc::new(Inner {
            config,
            sources,
            queue: Mutex::default(),
            filled: Notify::new(),
            status: Mutex::new(status),
            ids: BatchIds::new()?,
        });
        let tasks = vec![
            tokio::spawn(collect_spans(inner.clone())),
            tokio::spawn(collect_metrics(inner.clone())),
            tokio::spawn(collect_entities(inner.clone())),
            tokio::spawn(send_all(inner.clone(), client)),
        ];
        Ok(Exporter { inner, tasks })
    }

    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// Collects once more and gives the queue until `deadline` to empty: the end of the agent.
    pub async fn finish(self, deadline: Duration) {
        self.inner.put_spans();
        self.inner.put_metrics();
        self.inner.put_entities();
        let until = Instant::now() + deadline;
        while self.inner.status().queued_batches > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn collect_spans(inner: Arc<Inner>) {
    let mut look = tokio::time::interval(SPANS_LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Instant::now();
    loop {
        look.tick().await;
        if sent.elapsed() >= SPANS_EVERY || inner.sources.spans.waiting() >= MANY_SPANS {
            inner.put_spans();
            sent = Instant::now();
        }
    }
}

async fn collect_metrics(inner: Arc<Inner>) {
    let mut due = interval_at(Instant::now() + FIRST_AFTER, inner.config.metrics_every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        inner.put_metrics();
    }
}

async fn collect_entities(inner: Arc<Inner>) {
    let mut count = 0u32;
    let mut due = interval_at(Instant::now() + FIRST_AFTER / 4, ENTITIES_EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        inner.put_entities();
        if count.is_multiple_of(STATUS_EVERY) {
            inner.put_status();
        }
        count = count.wrapping_add(1);
    }
}

async fn send_all(inner: Arc<Inner>, client: Client) {
    loop {
        match inner.next() {
            Some(batch) => send(&inner, &client, batch).await,
            None => inner.filled.notified().await,
        }
    }
}

/// Until it is taken, refused for good, or pushed out of the queue by newer ones.
async fn send(inner: &Inner, client: &Client, batch: Batch) {
    let mut wait = RETRY_FIRST;
    loop {
        match client.send(batch.signal, &batch.id, batch.payload.clone()).await {
            Ok(rejected) => return inner.sent(&batch, rejected),
            Err(Refusal::Never(why)) => return inner.refused(&batch, &why),
            Err(Refusal::Later(why)) => inner.failed(&why),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MOST);
        if inner.queue().bytes + batch.length > QUEUE_BYTES {
            return inner.refused(&batch, "the server does not answer and the queue is full");
        }
    }
}

impl Inner {
    fn put_spans(&self) {
        for message in otlp::traces::messages(self.sources.spans.drain(), &self.config.agent.cluster) {
            self.put_parts(Signal::Traces, message.parts, message.spans as u64);
        }
    }

    fn put_metrics(&self) {
        let families: Vec<_> = self.sources.families.iter().flat_map(|source| source.families()).collect();
        for message in otlp::metrics::encode(&families, &self.config.agent, now_ns()) {
            self.put(Signal::Metrics, message.bytes, message.points);
        }
    }

    fn put_entities(&self) {
        for entities in self.sources.identity.entities().chunks(ENTITIES_PER_BATCH) {
            let payload = otlp::logs::encode(entities, &self.config.agent);
            self.put(Signal::Logs, payload, entities.len() as u64);
        }
    }

    fn put_status(&self) {
        let status = self.sources.status.status().to_string();
        let payload = otlp::logs::encode_event(AGENT_STATUS_EVENT, &status, now_ns(), &self.config.agent);
        self.put(Signal::Logs, payload, 1);
    }

    fn put(&self, signal: Signal, payload: Vec<u8>, items: u64) {
        self.put_parts(signal, vec![payload.into()], items);
    }

    fn put_parts(&self, signal: Signal, payload: Vec<Bytes>, items: u64) {
        let length = payload.iter().map(Bytes::len).sum();
        let mut queue = self.queue();
        queue.bytes += length;
        queue.batches.push_back(Batch { signal, id: self.ids.next(), payload, length, items });
        while queue.bytes > QUEUE_BYTES && queue.batches.len() > 1 {
            let Some(oldest) = queue.batches.pop_front() else { break };
            queue.bytes -= oldest.length;
            losses::EXPORT_FAILED.add(oldest.items);
        }
        drop(queue);
        self.filled.notify_one();
    }

    fn next(&self) -> Option<Batch> {
        let mut queue = self.queue();
        let batch = queue.batches.pop_front()?;
        queue.bytes -= batch.length;
        Some(batch)
    }

    fn sent(&self, batch: &Batch, rejected: u64) {
        losses::EXPORT_FAILED.add(rejected);
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.last_error.take().is_some() {
            log::info!("the server at {} takes data again", self.config.server);
        }
        status.last_success_ns = now_ns();
        status.sent_batches += 1;
        status.sent_bytes += batch.length as u64;
        if batch.signal == Signal::Traces {
            status.sent_spans += batch.items;
        }
    }

    fn refused(&self, batch: &Batch, why: &str) {
        losses::EXPORT_FAILED.add(batch.items);
        self.failed(&format!("{} {} dropped: {why}", batch.items, batch.signal.as_str()));
    }

    /// Logged once until it works again: a server that is away for an hour is one line.
    fn failed(&self, why: &str) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.last_error.is_none() {
            log::warn!("cannot send to {}: {why}; trying on", self.config.server);
        }
        status.last_error = Some(why.to_owned());
    }

    fn status(&self) -> Status {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = self.queue();
        (status.queued_batches, status.queued_bytes) = (queue.batches.len(), queue.bytes);
        status
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 16 random bytes for the agent's life, and a count: never the same, also not after a restart.
struct BatchIds {
    start: u128,
    count: AtomicU64,
}

impl BatchIds {
    fn new() -> Result<BatchIds, String> {
        let mut bytes = [0u8; 16];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
        Ok(BatchIds { start: u128::from_ne_bytes(bytes), count: AtomicU64::new(0) })
    }

    fn next(&self) -> String {
        let count = u128::from(self.count.fetch_add(1, Ordering::Relaxed));
        format!("{:032x}", self.start.wrapping_add(count))
    }
}
