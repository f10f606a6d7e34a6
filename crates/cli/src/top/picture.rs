//! What happened between two readings, by service, edge, operation and process.
//!
//! A call is seen from two sides. Its figures are the server's where that is watched, else the caller's; both are kept,
//! since the gap between them is the network and the queue.

use super::build;
use super::figures::Figures;
use super::judge::{self, Verdict};
use super::reading::Reading;
use super::registry::Registry;
use limpid_model::{ExpHistogram, Side, Text};

/// What was seen from the two ends. An end that is not watched is `None`.
#[derive(Clone, Debug, Default)]
pub struct Views {
    pub client: Option<Box<Figures>>,
    pub server: Option<Box<Figures>>,
    /// Failed requests by code.
    codes: Vec<(Text, u64)>,
}

/// What all rows have: figures, and what is to be said of them.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub views: Views,
    pub verdict: Verdict,
    pub usual_p95_ms: Option<f64>,
    pub usual_failed: Option<f64>,
}

#[derive(Clone, Debug, Default)]
pub struct Service {
    pub number: u32,
    pub name: Text,
    pub protocols: Vec<Text>,
    pub seen: Seen,
    /// Whether any of its processes is watched.
    pub watched: bool,
    /// Calls that it made, and for how many seconds it waited for each callee.
    pub calls: u64,
    pub waited: Vec<(u32, f64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Edge {
    pub number: u32,
    pub caller: u32,
    pub callee: u32,
    pub protocol: Text,
    pub seen: Seen,
    pub network: ExpHistogram,
    pub queue: ExpHistogram,
    pub network_or_queue: ExpHistogram,
    /// Connections as the client has them, and as the server does.
    pub client_links: Links,
    pub server_links: Links,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Links {
    pub seen: bool,
    /// Bytes as this end sent and received them.
    pub sent: f64,
    pub received: f64,
    pub connections: f64,
    pub waiting: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Operation {
    pub service: u32,
    pub protocol: Text,
    pub operation: Text,
    pub resource: Text,
    pub seen: Seen,
}

#[derive(Clone, Debug, Default)]
pub struct Process {
    pub service: u32,
    pub instance: Text,
    /// What it served, as it saw it itself.
    pub seen: Seen,
    pub calls: Figures,
}

/// What has figures and a verdict.
pub trait Row {
    fn seen(&self) -> &Seen;
    fn seen_mut(&mut self) -> &mut Seen;
}

macro_rules! rows {
    ($($kind:ty),*) => {
        $(impl Row for $kind {
            fn seen(&self) -> &Seen {
                &self.seen
            }

            fn seen_mut(&mut self) -> &mut Seen {
                &mut self.seen
            }
        })*
    };
}

rows!(Service, Edge, Operation, Process);

#[derive(Clone, Debug, Default)]
pub struct Agent {
    pub host: Text,
    pub cpu_share: f64,
    pub memory_bytes: f64,
    pub lost: f64,
    /// What most of it was.
    pub lost_mostly: Text,
}

/// Rows by their number in the registry; those that no living series is about are `None`.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    pub services: Vec<Option<Service>>,
    pub edges: Vec<Option<Edge>>,
    pub operations: Vec<Option<Operation>>,
    pub processes: Vec<Option<Process>>,
    pub agent: Agent,
    pub seconds: f64,
    pub unix_ns: u64,
    /// Nothing was compared: these are the counts since the agent began.
    pub since_start: bool,
}

impl Picture {
    /// What grew from `from` to `now`, or since the agent began.
    pub fn new(registry: &Registry, now: &Reading, from: Option<&Reading>) -> Picture {
        build::build(registry, now, from)
    }

    /// Says what deviates from `usual`, which are the counts before.
    pub fn judged(mut self, usual: Option<&Picture>) -> Picture {
        judge::all(&mut self, usual);
        self
    }

    pub fn service(&self, number: u32) -> Option<&Service> {
        self.services.get(number as usize)?.as_ref()
    }

    pub fn edge(&self, number: u32) -> Option<&Edge> {
        self.edges.get(number as usize)?.as_ref()
    }

    pub fn operation(&self, number: u32) -> Option<&Operation> {
        self.operations.get(number as usize)?.as_ref()
    }

    pub fn process(&self, number: u32) -> Option<&Process> {
        self.processes.get(number as usize)?.as_ref()
    }

    pub fn name(&self, number: u32) -> &str {
        self.service(number).map_or("", |service| service.name.as_str())
    }

    pub fn rate(&self, requests: u64) -> f64 {
        requests as f64 / self.seconds
    }

    /// All requests, each once.
    pub fn total(&self) -> (u64, u64) {
        let figures = self.services.iter().flatten().filter_map(|service| service.seen.views.figures());
        figures.fold((0, 0), |(requests, failed), figures| (requests + figures.requests, failed + figures.failed()))
    }
}

impl Views {
    /// The server's where it is watched, else the callers'.
    pub fn figures(&self) -> Option<&Figures> {
        self.server.as_deref().or(self.client.as_deref())
    }

    pub fn side(&mut self, side: Side) -> &mut Figures {
        match side {
            Side::Client => self.client.get_or_insert_default(),
            Side::Server => self.server.get_or_insert_default(),
        }
    }

    pub fn count_code(&mut self, code: &Text, count: u64) {
        match self.codes.iter_mut().find(|(known, _)| known == code) {
            Some((_, sum)) => *sum += count,
            None => self.codes.push((code.clone(), count)),
        }
    }

    /// The code of most failures.
    pub fn failed_code(&self) -> Option<&Text> {
        let known = self.codes.iter().filter(|(code, _)| !code.is_empty());
        known.max_by_key(|(_, count)| *count).map(|(code, _)| code)
    }
}

impl Service {
    /// For whom it waits most, and which share of its time that is: calls at the same time can exceed the whole.
    pub fn waits_for(&self) -> Option<(u32, f64)> {
        let served = self.seen.views.server.as_ref()?.latency.sum;
        let (callee, seconds) = self.waited.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        (served > 0.0).then(|| (*callee, (seconds / served).min(1.0)))
    }
}

impl Edge {
    /// What the caller waited beyond the server's own time.
    pub fn between_p95_ms(&self) -> Option<f64> {
        let known = if self.network.count > 0 { &self.network } else { &self.network_or_queue };
        known.quantile(0.95).map(|seconds| seconds * 1000.0)
    }

    /// As the caller counts: what it sent is what it asked.
    pub fn links(&self) -> Links {
        if self.client_links.seen {
            return self.client_links;
        }
        let server = self.server_links;
        Links { sent: server.received, received: server.sent, ..server }
    }
}

impl Process {
    /// The number at the end of its id: `process:MACHINE/START-PID`.
    pub fn pid(&self) -> Option<&str> {
        let (_, pid) = self.instance.rsplit_once('-')?;
        (!pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some(pid)
    }
}
