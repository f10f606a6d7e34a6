//! What the pipeline hands to the exporters.

use crate::capture::Transport;
use limpid_model::{ExpHistogram, Request, Side, Text};
use std::net::IpAddr;
use std::sync::Arc;

/// Who made a call, as `identity` knows it. Shared: one allocation a process, not one a request.
#[derive(Debug)]
pub struct Process {
    pub tgid: u32,
    /// Start time as in field 22 of `/proc/<pid>/stat` (clock ticks since boot): with the pid it names the process.
    pub start: u64,
    /// Name of the service, by the order of precedence in `identity`.
    pub service: Text,
    /// Entity id, `process:<machine-id>/<start>-<pid>`; also OTLP's `service.instance.id`.
    pub entity: Text,
    /// OTLP resource attributes (`process.*`, `container.id`, `service.*`, `host.*` …).
    pub attributes: Vec<(Text, Text)>,
    /// One of Limpid's own processes, or one that a person excluded: left alone, and not shown on the map.
    pub own: bool,
}

/// The other end of a connection, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer<'a> {
    /// On this machine, known by the connection key.
    Process {
        service: &'a str,
        entity: &'a str,
    },
    /// Elsewhere: the address, and the port where it is a server's.
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    Unknown,
}

/// One side's view of one sampled request, on its way into the message that it is sent with.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent: Option<Parent>,
    pub side: Side,
    /// Its times are those of the side that was parsed, and not looked at.
    pub request: &'a Request,
    pub start_ns: u64,
    pub first_byte_ns: Option<u64>,
    pub end_ns: u64,
    pub process: &'a Arc<Process>,
    pub peer: Peer<'a>,
    pub client: Option<(IpAddr, u16)>,
    pub server: Option<(IpAddr, u16)>,
    pub transport: Transport,
    /// How long the request waited on this (the server's) side before it was read.
    pub queue_ns: Option<u64>,
    /// The chance that a request like this one had to be kept, and OpenTelemetry's threshold for it; none when all are.
    pub sampling: Option<(f64, &'a str)>,
}

#[derive(Clone, Copy)]
pub struct Parent {
    pub span_id: [u8; 8],
    /// What speaks for it.
    pub evidence: &'static str,
}

/// Label values of one series of one family, in the order of the family's label names.
pub type LabelValues = Box<[Text]>;

pub enum Measure {
    Counter(u64),
    /// A counter of something with fractions: seconds.
    CounterFloat(f64),
    Gauge(f64),
    Histogram(ExpHistogram),
}

/// One family of series, as an exporter sees it. `name` and `unit` are OTLP's.
pub struct FamilySnapshot {
    pub name: &'static str,
    pub unit: &'static str,
    pub help: &'static str,
    pub labels: &'static [&'static str],
    pub series: Vec<SeriesSnapshot>,
}

pub struct SeriesSnapshot {
    pub values: LabelValues,
    /// When this series began to count, Unix ns.
    pub start_ns: u64,
    pub measure: Measure,
    /// The series was evicted: this is its last point, to be marked stale.
    pub ended: bool,
}

/// Anything that has metrics: the pipeline's aggregates, the agent's own figures.
pub trait Families: Send + Sync {
    fn families(&self) -> Vec<FamilySnapshot>;
}
