//! The answer's fields, named as in the API.

use super::sampled::Sampled;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    #[default]
    Service,
    Process,
    Host,
}

impl Level {
    pub fn from_name(name: &str) -> Option<Level> {
        [Level::Service, Level::Process, Level::Host].into_iter().find(|level| level.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Level::Service => "service",
            Level::Process => "process",
            Level::Host => "host",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct TopologyQuery {
    pub level: Level,
    /// Only what speaks one of these protocols; all when empty.
    pub protocols: Vec<String>,
    /// Only what was seen on one of these hosts; all when empty.
    pub hosts: Vec<String>,
    /// Only requests whose spans match, in the language of the search for traces; all when empty.
    pub filter: String,
    /// Set by whoever asked and no longer waits.
    pub stopped: Arc<AtomicBool>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Topology {
    /// With a filter: what it was made from. The figures are estimates then, and what only metrics know is missing:
    /// what is usual, new or gone, waiting in network and queue, retransmissions.
    pub sampled: Option<Sampled>,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Critical,
    Warning,
    /// Only what it calls is bad.
    Affected,
    NoData,
    /// No rule can judge: too few requests.
    Unknown,
    Ok,
}

impl Status {
    /// Worst first.
    pub fn rank(self) -> u8 {
        self as u8
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Critical,
    Warning,
    Affected,
    NoData,
}

/// Why a status is what it is, with the figures that say so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// `errors`, `latency`, `unanswered`, `connects`, `retransmits`, `pending`, `handshakes`, `certificate`, `consequence`,
    /// `no_data`.
    pub kind: &'static str,
    pub severity: Severity,
    /// A sentence: "18.4 % of the requests failed, usually 0.1 %".
    pub text: String,
    pub value: String,
    pub usual: Option<String>,
    #[serde(serialize_with = "as_text")]
    pub since_ns: u64,
    /// Where in the console the evidence stands.
    pub link: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PulseBucket {
    pub requests: u64,
    pub errors: u64,
    pub slow: u64,
}

/// What one side of an edge saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EdgeSide {
    pub requests: u64,
    pub errors: u64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Waiting {
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Node {
    pub id: String,
    pub kind: String,
    pub name: String,
    pub level: &'static str,
    pub status: Status,
    pub reasons: Vec<Reason>,
    /// Requests that it served; calls that it made are its edges' affair.
    pub requests: u64,
    pub errors: u64,
    pub requests_per_second: f64,
    pub error_ratio: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Thirty buckets of the range, of the requests served, or of the calls made by what serves none; `null` where
    /// nothing was seen because no agent reported.
    pub pulse: Vec<Option<PulseBucket>>,
    /// Since when it is there, of what is new in the range; `None`: it was there before, or nobody was watching then.
    #[serde(serialize_with = "maybe_text")]
    pub first_seen_ns: Option<u64>,
    /// When it was there last, of what is gone at the range's end; `None`: it is still there.
    #[serde(serialize_with = "maybe_text")]
    pub last_seen_ns: Option<u64>,
    pub attributes: BTreeMap<String, String>,
}

/// Handshakes of TLS and QUIC on an edge: their requests are handshakes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EdgeTls {
    pub handshakes_per_second: f64,
    pub client: Option<EdgeSide>,
    pub server: Option<EdgeSide>,
    /// Those that failed, by the number of the alert, empty where it was encrypted, `unanswered` where none came.
    pub alerts: BTreeMap<String, u64>,
    pub certificates: Vec<EdgeCertificate>,
}

/// A certificate that the callee has shown, up to TLS 1.2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EdgeCertificate {
    pub subject: String,
    pub server_name: String,
    /// Unix seconds.
    pub not_after: f64,
}

#[derive(Clone, Debug, Serialize)]
pub struct Edge {
    pub source: String,
    pub target: String,
    pub protocol: String,
    pub status: Status,
    pub reasons: Vec<Reason>,
    pub requests: u64,
    pub errors: u64,
    pub requests_per_second: f64,
    pub error_ratio: Option<f64>,
    pub p95_ms: Option<f64>,
    /// Connects that failed, by the name of the error, `unanswered` where the caller gave up. They are none of the
    /// requests, unless there is nothing else: the protocol is `tcp` then.
    pub failed_connects: BTreeMap<String, u64>,
    /// TCP segments that either end sent again.
    pub retransmits: u64,
    /// `None`: the caller is not watched.
    pub client: Option<EdgeSide>,
    /// `None`: the callee is not watched.
    pub server: Option<EdgeSide>,
    /// Handshakes of its encrypted connections; `None`: none was seen. Without requests nothing else could be read.
    pub tls: Option<EdgeTls>,
    pub network: Option<Waiting>,
    pub queue: Option<Waiting>,
    /// Set while the arrival is not known, when `network` and `queue` are not.
    pub network_or_queue: Option<Waiting>,
    /// Since when it is there, of what is new in the range.
    #[serde(serialize_with = "maybe_text")]
    pub first_seen_ns: Option<u64>,
    pub attributes: BTreeMap<String, String>,
}

/// Nanoseconds of Unix time exceed what a JSON number holds exactly in a browser.
pub fn as_text<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn maybe_text<S: Serializer>(value: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => as_text(value, serializer),
        None => serializer.serialize_none(),
    }
}
