//! What can be chosen about an embedded store. The defaults suit one machine.

use std::time::Duration;

/// When a batch is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogSync {
    /// When it is on the disk: it survives a power cut.
    #[default]
    Always,
    /// When the kernel has it: it survives `kill -9`, and a power cut costs at most the last 200 ms.
    Relaxed,
}

/// What one signal may keep; without it the limits of all hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    pub retention: Option<Duration>,
    pub max_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub sync: LogSync,
    /// How long telemetry is kept; nothing is deleted for its age when zero.
    pub retention: Duration,
    /// How large the folder may grow, the log included.
    pub max_bytes: u64,
    /// Narrower limits of single signals.
    pub spans: Limit,
    pub metrics: Limit,
    pub events: Limit,
    /// The share of the disk that stays free: the oldest data goes first, then writes are refused.
    pub min_free_ratio: f64,
    /// Rows, bytes and age at which a table in memory becomes files.
    pub flush_rows: usize,
    pub flush_bytes: usize,
    pub flush_age: Duration,
    /// The same for metrics: samples of a series pack the better the more of them there are.
    pub metrics_flush_age: Duration,
    /// Everything is flushed when the log is longer, so that a start stays quick.
    pub max_log_bytes: u64,
    pub segment_bytes: u64,
    /// One block folder of metrics spans this long.
    pub metrics_partition: Duration,
    /// A query that runs longer gives up.
    pub query_time_limit: Duration,
    /// Series and samples that one selection may return.
    pub max_series: usize,
    pub max_samples: usize,
}

/// What is deleted; can change while the store is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Older than this; zero keeps everything.
    pub age: Duration,
    /// The oldest above this size.
    pub max_bytes: u64,
    /// Narrower limits of single signals.
    pub spans: Limit,
    pub metrics: Limit,
    pub events: Limit,
}

impl Retention {
    pub fn of(options: &Options) -> Retention {
        let Options { retention: age, max_bytes, spans, metrics, events, .. } = *options;
        Retention { age, max_bytes, spans, metrics, events }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: LogSync::Always,
            retention: Duration::from_secs(7 * 24 * 3600),
            max_bytes: 10 << 30,
            spans: Limit::default(),
            metrics: Limit::default(),
            events: Limit::default(),
            min_free_ratio: 0.10,
            flush_rows: 256 * 1024,
            flush_bytes: 64 << 20,
            flush_age: Duration::from_secs(600),
            metrics_flush_age: Duration::from_secs(1800),
            max_log_bytes: 512 << 20,
            segment_bytes: 32 << 20,
            metrics_partition: Duration::from_secs(2 * 3600),
            query_time_limit: Duration::from_secs(30),
            max_series: 200_000,
            max_samples: 50_000_000,
        }
    }
}
