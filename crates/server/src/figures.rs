//! The server's own figures: CPU, memory, `/metrics`.

use crate::Server;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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

pub async fn metrics(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let stats = &server.ingest.stats;
    let store = server.store.status();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed) as f64;
    let rows = [
        ("process_cpu_seconds_total", "counter", "CPU time of the server", cpu_seconds()),
        (
            "process_memory_pss_bytes",
            "gauge",
            "proportional set size of the server",
            memory_bytes().map_or(f64::NAN, |bytes| bytes as f64),
        ),
        ("limpid_ingest_messages_total", "counter", "OTLP messages taken", count(&stats.messages)),
        ("limpid_ingest_bytes_total", "counter", "bytes of these messages", count(&stats.bytes)),
        ("limpid_ingest_spans_total", "counter", "spans in these messages", count(&stats.spans)),
        ("limpid_ingest_points_total", "counter", "metric points in these messages", count(&stats.points)),
        (
            "limpid_ingest_rejected_total",
            "counter",
            "parts of messages that could not be understood",
            count(&stats.rejected),
        ),
        (
            "limpid_ingest_refused_total",
            "counter",
            "messages sent back because too many were in flight",
            count(&stats.refused),
        ),
        ("limpid_ingest_failed_total", "counter", "messages that the store did not take", count(&stats.failed)),
        ("limpid_store_bytes", "gauge", "bytes of the store on disk", store.bytes as f64),
        ("limpid_store_free_bytes", "gauge", "free bytes on the store's disk", store.free_bytes as f64),
        ("limpid_store_spans", "gauge", "spans in the store", store.spans as f64),
        ("limpid_store_series", "gauge", "series in the store", store.series as f64),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in rows {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    }
    let _ = writeln!(text, "# HELP limpid_losses_total what was lost, by cause\n# TYPE limpid_losses_total counter");
    for (cause, count) in &store.losses {
        let _ = writeln!(text, "limpid_losses_total{{part=\"store\",cause=\"{cause}\"}} {count}");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
