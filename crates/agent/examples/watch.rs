//! Watches this machine and prints the edges that it sees, each second and in the end: `watch [SECONDS] [--sample]`.
//! The counts are those of the metrics: to be compared with what a load generator says it did.

use limpid_agent::collectors::sockets::{Config as SocketsConfig, Sockets};
use limpid_agent::export::otlp::traces::ProcessSpans;
use limpid_agent::identity::Identity;
use limpid_agent::losses;
use limpid_agent::pipeline::{Config, Sampling, Shared};
use limpid_agent::telemetry::{Families, Measure};
use limpid_model::{ExpHistogram, names};
use std::collections::BTreeMap;
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(10u64);
    let all = arguments.iter().any(|argument| argument == "--sample");
    let sampling = if all { Sampling::All } else { Sampling::default() };
    let shared = Shared::new(Config { sampling, ..Config::default() }, Identity::start());
    let config =
        SocketsConfig { arrivals: !arguments.iter().any(|a| a == "--no-arrivals"), ..SocketsConfig::default() };
    let sockets = match Sockets::start(config, |_| shared.consumer()) {
        Ok(sockets) => sockets,
        Err(error) => {
            eprintln!("cannot watch: {error}");
            std::process::exit(1);
        }
    };
    println!("watching for {seconds} s");
    let cpu_before_ns = own_cpu_ns();
    let mut spans = 0;
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        spans += shared.drain_spans().iter().map(ProcessSpans::len).sum::<usize>();
        print_edges(&shared, false);
    }
    let cpu_ns = own_cpu_ns() - cpu_before_ns;
    let requests = print_edges(&shared, true);
    println!("spans {spans}, connections {}, counted on both sides {requests}", shared.connections());
    println!("own CPU {} ms, {} ns a request and side", cpu_ns / 1_000_000, cpu_ns / requests.max(1));
    for loss in losses::ALL.iter().filter(|loss| loss.get() > 0) {
        println!("loss {} {}", loss.cause, loss.get());
    }
    for (name, count) in sockets.counters() {
        println!("kernel {name} {count}");
    }
}

/// One line an edge, operation and code; returns how many requests there were in all.
fn print_edges(shared: &Shared, all: bool) -> u64 {
    let mut lines: BTreeMap<String, ExpHistogram> = BTreeMap::new();
    let families = shared.families();
    let duration = families.iter().filter(|family| family.name == names::REQUEST_DURATION);
    for series in duration.flat_map(|family| &family.series) {
        let [service, peer, address, protocol, operation, resource, code, status, side, ..] = &series.values[..] else {
            continue;
        };
        let Measure::Histogram(histogram) = &series.measure else { continue };
        let line = format!("{side:6} {service} - {peer}{address} {protocol} {operation} {resource} {code} {status}");
        lines.entry(line).or_default().merge(histogram);
    }
    let quantile = |histogram: &ExpHistogram, q| histogram.quantile(q).unwrap_or_default() * 1e3;
    for (line, histogram) in lines.iter().take(if all { usize::MAX } else { 12 }) {
        let (p50, p99) = (quantile(histogram, 0.5), quantile(histogram, 0.99));
        println!("{:>10} p50 {p50:9.3} ms p99 {p99:9.3} ms  {line}", histogram.count);
    }
    println!("--");
    lines.values().map(|histogram| histogram.count).sum()
}

fn own_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the one timespec that the call writes.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
