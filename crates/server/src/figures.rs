//! The server's own figures: CPU, memory, `/metrics`. One table, of which docs/server-metrics.md is made.

use crate::Server;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use limpid_store::StoreStatus;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// User and system time of this process, in seconds.
pub fn cpu_seconds() -> f64 {
    // SAFETY: getrusage fills the struct it is given; zeroes are a valid value of it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Proportional set size, as in `/proc/self/smaps_rollup`; `None` where that cannot be read.
pub fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let line = text.lines().find(|line| line.starts_with("Pss:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// What one look at everything has found.
struct Seen<'a> {
    server: &'a Server,
    store: StoreStatus,
}

/// Writes the series of a family.
enum Source {
    One(fn(&Seen<'_>) -> Option<f64>),
    Many(fn(&Seen<'_>, name: &str, out: &mut String)),
}

/// One family. `Many` says what its labels are in the help.
pub struct Family {
    pub name: &'static str,
    pub kind: &'static str,
    pub help: &'static str,
    source: Source,
}

use Source::{Many, One};

fn load(counter: &AtomicU64) -> Option<f64> {
    Some(counter.load(Ordering::Relaxed) as f64)
}

#[rustfmt::skip]
pub static FAMILIES: &[Family] = &[
    Family { name: "limpid_build_info", kind: "gauge", help: "1, with the version as the label `version`", source: Many(|_, name, out| { let _ = writeln!(out, "{name}{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")); }) },
    Family { name: "process_start_time_seconds", kind: "gauge", help: "when the server started, Unix time", source: One(|seen| Some(seen.server.started_ns as f64 / 1e9)) },
    Family { name: "process_cpu_seconds_total", kind: "counter", help: "CPU time of the server", source: One(|_| Some(cpu_seconds())) },
    Family { name: "process_memory_pss_bytes", kind: "gauge", help: "proportional set size of the server", source: One(|_| memory_bytes().map(|bytes| bytes as f64)) },
    Family { name: "limpid_server_ready", kind: "gauge", help: "1 while `/-/ready` says so", source: One(|seen| Some(f64::from(u8::from(seen.store.problem.is_none())))) },
    Family { name: "limpid_ingest_messages_total", kind: "counter", help: "OTLP messages taken", source: One(|seen| load(&seen.server.ingest.stats.messages)) },
    Family { name: "limpid_ingest_bytes_total", kind: "counter", help: "bytes of these messages", source: One(|seen| load(&seen.server.ingest.stats.bytes)) },
    Family { name: "limpid_ingest_spans_total", kind: "counter", help: "spans in these messages", source: One(|seen| load(&seen.server.ingest.stats.spans)) },
    Family { name: "limpid_ingest_points_total", kind: "counter", help: "metric points in these messages", source: One(|seen| load(&seen.server.ingest.stats.points)) },
    Family { name: "limpid_ingest_rejected_total", kind: "counter", help: "parts of messages that could not be understood", source: One(|seen| load(&seen.server.ingest.stats.rejected)) },
    Family { name: "limpid_ingest_refused_total", kind: "counter", help: "messages sent back because too many were in flight", source: One(|seen| load(&seen.server.ingest.stats.refused)) },
    Family { name: "limpid_ingest_failed_total", kind: "counter", help: "messages that the store did not take", source: One(|seen| load(&seen.server.ingest.stats.failed)) },
    Family { name: "limpid_store_bytes", kind: "gauge", help: "bytes of the store on disk", source: One(|seen| Some(seen.store.bytes as f64)) },
    Family { name: "limpid_store_log_bytes", kind: "gauge", help: "of them, bytes of the log", source: One(|seen| Some(seen.store.log_bytes as f64)) },
    Family { name: "limpid_store_free_bytes", kind: "gauge", help: "free bytes on the store's disk", source: One(|seen| Some(seen.store.free_bytes as f64)) },
    Family { name: "limpid_store_spans", kind: "gauge", help: "spans in the store", source: One(|seen| Some(seen.store.spans as f64)) },
    Family { name: "limpid_store_series", kind: "gauge", help: "series in the store", source: One(|seen| Some(seen.store.series as f64)) },
    Family { name: "limpid_store_oldest_timestamp_seconds", kind: "gauge", help: "the oldest moment in the store, Unix time", source: One(|seen| seen.store.oldest_ns.map(|ns| ns as f64 / 1e9)) },
    Family { name: "limpid_losses_total", kind: "counter", help: "what was lost, by `part` and `cause`", source: Many(losses) },
    Family { name: "limpid_api_request_duration_seconds", kind: "histogram", help: "time until an answer of the API began, by `route`", source: Many(|seen, name, out| seen.server.timings.write_durations(name, out)) },
    Family { name: "limpid_api_errors_total", kind: "counter", help: "answers of the API with a status of `class` 4xx or 5xx, by `route`", source: Many(|seen, name, out| seen.server.timings.write_errors(name, out)) },
    Family { name: "limpid_sessions", kind: "gauge", help: "sign-ins at the console that are alive", source: One(|seen| Some(seen.server.sessions.count() as f64)) },
    Family { name: "limpid_failed_logins_total", kind: "counter", help: "sign-ins with an unknown token", source: One(|seen| load(&seen.server.failed_logins)) },
    Family { name: "limpid_tls_certificate_expiry_timestamp_seconds", kind: "gauge", help: "when the server's certificate ends, Unix time; only with TLS", source: One(|seen| seen.server.tls.as_ref().map(|tls| tls.valid_until() as f64)) },
];

fn losses(seen: &Seen<'_>, name: &str, out: &mut String) {
    for (cause, count) in &seen.store.losses {
        let _ = writeln!(out, "{name}{{part=\"store\",cause=\"{cause}\"}} {count}");
    }
}

pub async fn metrics(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let seen = Seen { store: server.store.status(), server: &server };
    let mut text = String::new();
    for family in FAMILIES {
        let mut series = String::new();
        match family.source {
            One(value) => series.extend(value(&seen).map(|value| format!("{} {value}\n", family.name))),
            Many(write) => write(&seen, family.name, &mut series),
        }
        let _ = write!(text, "# HELP {0} {1}\n# TYPE {0} {2}\n{series}", family.name, family.help, family.kind);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
