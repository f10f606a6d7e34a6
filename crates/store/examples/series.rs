//! What a million series cost: memory each in the head, bytes each sample on disk, and how long a selection takes.
//!
//! `cargo run --release -p limpid-store --example series [SERIES] [SAMPLES] [FOLDER]`

use limpid_model::batch::{Batch, Signal};
use limpid_model::series::Point;
use limpid_model::{ExpHistogram, Labels, Matcher, Sample, SeriesSource, Value};
use limpid_store::embedded::{EmbeddedStore, LogSync, Options};
use limpid_store::{Store, Write};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BATCH_POINTS: u64 = 2000;
const T0_MS: i64 = 1_790_000_000_000;
const INTERVAL_MS: i64 = 15_000;

/// Labels like those of the request family: few names, some values shared by many, one almost unique.
fn labels(family: &str, series: u64) -> Labels {
    Labels::from_pairs([
        ("__name__", family.to_owned()),
        ("service", format!("service-{}", series % 200)),
        ("peer", format!("service-{}", series / 7 % 200)),
        ("protocol", ["http", "redis", "postgresql"][(series % 3) as usize].to_owned()),
        ("operation", ["GET", "POST", "PUT"][(series / 3 % 3) as usize].to_owned()),
        ("resource", format!("/api/v1/resource{}/{{id}}", series / 200 % 5000)),
        ("code", ["200", "404", "500"][(series / 11 % 3) as usize].to_owned()),
        ("instance", format!("process:4c4c4544-0042/{}-{}", 881_200 + series / 50, series / 50)),
    ])
}

fn counter(series: u64, round: u64) -> Value {
    Value::Float((round * (series % 97) * 13 + series % 1000) as f64)
}

fn histogram(series: u64, round: u64) -> Value {
    let mut histogram = ExpHistogram::default();
    for call in 0..20 * (round + 1) {
        histogram.record_ns(1_000_000 + (series * 7919 + call * 104_729) % 40_000_000);
    }
    Value::Histogram(Arc::new(histogram))
}

fn write(
    store: &EmbeddedStore,
    family: &str,
    series: u64,
    round: u64,
    value: fn(u64, u64) -> Value,
) -> Result<Duration, Box<dyn Error>> {
    let mut took = Duration::ZERO;
    let time_ms = T0_MS + round as i64 * INTERVAL_MS;
    for first in (0..series).step_by(BATCH_POINTS as usize) {
        let points = (first..(first + BATCH_POINTS).min(series)).map(|one| Point {
            labels: labels(family, one),
            start_ms: T0_MS - 1000,
            sample: Sample { time_ms, value: value(one, round) },
        });
        let batch = Batch { points: points.collect(), ..Batch::default() };
        let began = Instant::now();
        store.write(Write { signal: Signal::Metrics, batch_id: None, payload: bytes::Bytes::new(), batch })?;
        took += began.elapsed();
    }
    Ok(took)
}

/// Resident memory of this process.
fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    // SAFETY: malloc_trim only gives free pages back; without it freed batches would count.
    unsafe { libc::malloc_trim(0) };
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split(' ').nth(1).ok_or("no figure in /proc/self/statm")?.parse()?;
    Ok(pages * 4096)
}

fn no_log(_: Signal, _: &[u8]) -> Batch {
    Batch::default()
}

fn options() -> Options {
    let long = Duration::from_secs(24 * 3600);
    Options {
        sync: LogSync::Relaxed,
        retention: Duration::ZERO,
        min_free_ratio: 0.0,
        flush_bytes: 8 << 30,
        metrics_flush_age: long,
        max_series: 2_000_000,
        ..Options::default()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).map_or(Ok(default), |text| text.parse::<u64>());
    let (series, samples) = (number(0, 1_000_000)?, number(1, 40)?);
    let temporary = tempfile::tempdir()?;
    let folder = arguments.get(2).map_or(temporary.path().to_path_buf(), Into::into);
    fill(&folder, "counters", series, samples, counter)?;
    let temporary = tempfile::tempdir()?;
    fill(temporary.path(), "histograms", series / 20, samples, histogram)
}

fn fill(
    folder: &Path,
    family: &str,
    series: u64,
    samples: u64,
    value: fn(u64, u64) -> Value,
) -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open(folder, options(), no_log)?;
    let before = resident_bytes()?;
    let mut took = Duration::ZERO;
    for round in 0..samples {
        took += write(&store, family, series, round, value)?;
        if round == 0 || round == 3 || round + 1 == samples {
            let used = resident_bytes()?.saturating_sub(before);
            println!("{series} {family}, {} samples each: {} B of memory a series", round + 1, used / series);
        }
    }
    println!("{:.0} samples/s", (series * samples) as f64 / took.as_secs_f64());
    select(&store, family, "in memory")?;
    let began = Instant::now();
    drop(store);
    println!("written to blocks in {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    let store = EmbeddedStore::open(folder, options(), no_log)?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    println!(
        "{:.2} B/sample on disk, labels and postings included",
        store.status().bytes as f64 / (series * samples) as f64
    );
    select(&store, family, "in blocks, index not loaded")?;
    select(&store, family, "in blocks")?;
    Ok(())
}

fn select(store: &EmbeddedStore, family: &str, place: &str) -> Result<(), Box<dyn Error>> {
    let one = |name: &str, value: &str| Matcher::equal(name, value);
    let cases = [
        ("one service", vec![one("__name__", family), one("service", "service-7")]),
        ("one resource of one service", vec![one("service", "service-7"), one("resource", "/api/v1/resource42/{id}")]),
    ];
    for (name, matchers) in cases {
        let began = Instant::now();
        let found = store.select(&matchers, i64::MIN, i64::MAX)?;
        let samples: usize = found.iter().map(|series| series.samples.len()).sum();
        println!(
            "  {name}, {place}: {:.1} ms for {} series, {samples} samples",
            began.elapsed().as_secs_f64() * 1e3,
            found.len()
        );
    }
    Ok(())
}
