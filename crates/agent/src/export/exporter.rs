//! Sends what the agent has to its server: spans as they come, metrics and entities at intervals.
//!
//! Making batches and sending them are two tasks with a bounded backlog between them (`backlog`): memory while the server
//! answers, a spool on disk while it does not. A server that is away never stops the agent. A batch keeps its id over all
//! attempts, so that one that was stored although its answer was lost is not stored twice.

use super::backlog::{Backlog, SpoolStatus, Waits};
use super::batch::{Batch, BatchIds};
use super::client::{Client, Refusal, Signal};
use super::otlp::traces::ProcessSpans;
use super::otlp::{self, Agent};
use super::prometheus::StatusSource;
use super::spool::Spool;
use crate::identity::{Identity, now_ns};
use crate::losses;
use crate::telemetry::Families;
use bytes::Bytes;
use limpid_model::Entity;
use limpid_model::names::AGENT_STATUS_EVENT;
use limpid_tls::ClientFiles;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

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
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(10);

pub struct Config {
    /// `http://HOST:4317` or `unix:///path`.
    pub server: String,
    pub metrics_every: Duration,
    pub agent: Agent,
    /// Bearer token that the server asks for.
    pub token: Option<String>,
    /// Where batches wait while the server is away, and how many bytes of them; without one they do so in memory.
    pub spool: Option<(PathBuf, u64)>,
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
            spool: None,
            tls: ClientFiles::default(),
        }
    }
}

/// Where the spans come from: the pipeline's queue.
pub trait Spans: Send + Sync {
    /// All that wait.
    fn drain(&self) -> Vec<ProcessSpans>;
    fn waiting(&self) -> usize;
    /// Who else is spoken with, by name.
    fn named_peers(&self) -> Vec<Entity> {
        Vec::new()
    }
}

impl Spans for crate::pipeline::Shared {
    fn drain(&self) -> Vec<ProcessSpans> {
        self.drain_spans()
    }
    fn waiting(&self) -> usize {
        self.waiting_spans()
    }
    fn named_peers(&self) -> Vec<Entity> {
        crate::pipeline::Shared::named_peers(self)
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
    pub spool: Option<SpoolStatus>,
}

struct Inner {
    config: Config,
    sources: Sources,
    client: Mutex<Client>,
    metrics_every: Mutex<Duration>,
    backlog: Mutex<Backlog>,
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
            sources,
            client: Mutex::new(client),
            metrics_every: Mutex::new(config.metrics_every),
            backlog: Mutex::new(Backlog::new(open_spool(&config))),
            filled: Notify::new(),
            status: Mutex::new(status),
            ids: BatchIds::new()?,
            config,
        });
        let tasks = vec![
            tokio::spawn(collect_spans(inner.clone())),
            tokio::spawn(collect_metrics(inner.clone())),
            tokio::spawn(collect_entities(inner.clone())),
            tokio::spawn(send_all(inner.clone())),
        ];
        Ok(Exporter { inner, tasks })
    }

    pub fn status(&self) -> Status {
        self.inner.status()
    }

    /// What is asked later, also when there is no exporter any more.
    pub fn status_source(&self) -> impl Fn() -> Option<Status> + Send + Sync + 'static {
        let inner: Weak<Inner> = Arc::downgrade(&self.inner);
        move || Some(inner.upgrade()?.status())
    }

    pub fn set_token(&self, token: Option<&str>) -> Result<(), String> {
        lock(&self.inner.client).set_token(token)
    }

    pub fn set_metrics_every(&self, every: Duration) {
        *lock(&self.inner.metrics_every) = every;
    }

    pub fn set_spool_limit(&self, bytes: u64) {
        self.inner.backlog().set_spool_limit(bytes);
    }

    /// Collects once more and gives what waits until `deadline` to go: the end of the agent. The rest stays in the spool.
    pub async fn finish(self, deadline: Duration) {
        self.inner.put_spans();
        self.inner.put_metrics();
        self.inner.put_entities();
        let waits = || {
            let backlog = self.inner.backlog();
            backlog.in_memory().0 > 0 && !(backlog.is_away() && backlog.has_spool())
        };
        let empty = async {
            while waits() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = timeout(deadline, empty).await;
        self.tasks.iter().for_each(JoinHandle::abort);
        self.inner.backlog().spill(0);
    }
}

/// A folder that cannot be used costs what it would have saved, and nothing else.
fn open_spool(config: &Config) -> Option<Spool> {
    let (folder, limit) = config.spool.as_ref()?;
    match Spool::open(folder, *limit) {
        Ok(spool) => {
            if spool.batches() > 0 {
                log::info!("{} batches of a former agent wait in {}", spool.batches(), folder.display());
            }
            Some(spool)
        }
        Err(error) => {
            log::warn!("no spool: {error}; batches wait in memory while the server is away");
            None
        }
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
    let mut due = Instant::now() + FIRST_AFTER;
    loop {
        sleep_until(due).await;
        inner.put_metrics();
        let every = *lock(&inner.metrics_every);
        due = (due + every).max(Instant::now());
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

async fn send_all(inner: Arc<Inner>) {
    let mut wait = RETRY_FIRST;
    loop {
        let next = inner.backlog().next();
        let Some((waits, batch)) = next else {
            inner.filled.notified().await;
            continue;
        };
        if send(&inner, waits, &batch).await {
            wait = RETRY_FIRST;
        } else {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MOST);
        }
    }
}

/// False when the batch has to wait: the server is away, or does not want it now.
async fn send(inner: &Inner, waits: Waits, batch: &Batch) -> bool {
    let client = lock(&inner.client).clone();
    match client.send(batch.signal, &batch.id_text(), batch.payload.clone()).await {
        Ok(rejected) => inner.sent(batch, rejected),
        Err(Refusal::Never(why)) => inner.refused(batch, &why),
        Err(Refusal::Later(why)) => {
            inner.failed(&why);
            inner.backlog().set_away(true);
            return false;
        }
    }
    let mut backlog = inner.backlog();
    backlog.set_away(false);
    backlog.done(waits, batch);
    true
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
        let mut entities = self.sources.identity.entities();
        entities.extend(self.sources.spans.named_peers());
        for entities in entities.chunks(ENTITIES_PER_BATCH) {
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
        self.backlog().put(Batch::new(signal, self.ids.next(), payload, items));
        self.filled.notify_one();
    }

    fn sent(&self, batch: &Batch, rejected: u64) {
        losses::EXPORT_FAILED.add(rejected);
        let mut status = lock(&self.status);
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
        let mut status = lock(&self.status);
        if status.last_error.is_none() {
            log::warn!("cannot send to {}: {why}; trying on", self.config.server);
        }
        status.last_error = Some(why.to_owned());
    }

    fn status(&self) -> Status {
        let mut status = lock(&self.status).clone();
        let backlog = self.backlog();
        (status.queued_batches, status.queued_bytes) = backlog.in_memory();
        status.spool = backlog.spool_status();
        status
    }

    fn backlog(&self) -> MutexGuard<'_, Backlog> {
        lock(&self.backlog)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
