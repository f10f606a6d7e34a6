//! How fast spans go into the store, and how many bytes each takes there. The spans are like the agent's: 20 services
//! with 30 operations each, both views of every call, real addresses, ports, times and random ids.
//!
//! `cargo run --release -p limpid-store --example ingest_spans [SPANS] [FOLDER]`

#[path = "data/spans.rs"]
mod spans;

use arrow_array::RecordBatch;
use limpid_model::batch::{Batch, Signal};
use limpid_store::embedded::{EmbeddedStore, LogSync, Options};
use limpid_store::{Order, SpanQuery, Store, Write};
use parquet::file::reader::{FileReader, SerializedFileReader};
use spans::{BATCH_SPANS, Noise, batch};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// An OTLP span of the agent with its attributes, measured on the demo.
const PAYLOAD_BYTES_PER_SPAN: usize = 480;
const T0_NS: i64 = 1_790_000_000_000_000_000;
/// 20,000 calls a second.
const LONGEST_GAP_NS: u64 = 100_000;

fn no_log(_: Signal, _: &[u8]) -> Batch {
    Batch::default()
}

/// CPU time of this thread, or of the whole process.
fn cpu(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure it is given.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let spans: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let temporary = tempfile::tempdir()?;
    let folder = arguments.next().map_or(temporary.path().to_path_buf(), Into::into);
    let options =
        Options { sync: LogSync::Always, retention: Duration::ZERO, min_free_ratio: 0.0, ..Options::default() };
    let store = EmbeddedStore::open(&folder, options, no_log)?;
    let (mut noise, mut now_ns) = (Noise(88172645463325252), T0_NS);
    let payload: bytes::Bytes =
        (0..BATCH_SPANS * PAYLOAD_BYTES_PER_SPAN).map(|_| noise.next() as u8).collect::<Vec<u8>>().into();
    let (mut written, mut wall, mut making) = (0usize, Duration::ZERO, Duration::ZERO);
    let process_before = cpu(libc::CLOCK_PROCESS_CPUTIME_ID);
    // All spans at once would not fit: made and written by turns, and the making is not counted.
    while written < spans {
        let before = cpu(libc::CLOCK_THREAD_CPUTIME_ID);
        let batches = (0..16).map(|_| batch(&mut noise, &mut now_ns, LONGEST_GAP_NS)).collect::<Result<Vec<_>, _>>()?;
        making += cpu(libc::CLOCK_THREAD_CPUTIME_ID) - before;
        let began = Instant::now();
        for rows in batches {
            written += rows.num_rows();
            let batch = Batch { spans: Some(rows), ..Batch::default() };
            store.write(Write { signal: Signal::Traces, batch_id: None, payload: payload.clone(), batch })?;
        }
        wall += began.elapsed();
    }
    let began = Instant::now();
    store.close();
    wall += began.elapsed();
    let used = cpu(libc::CLOCK_PROCESS_CPUTIME_ID) - process_before - making;
    println!(
        "{written} spans in {:.2} s, {:.2} s of CPU (user and system, until all are in files)",
        wall.as_secs_f64(),
        used.as_secs_f64()
    );
    println!(
        "{:.0} spans/s, {:.0} spans/s of one core, {:.2} µs/span",
        written as f64 / wall.as_secs_f64(),
        written as f64 / used.as_secs_f64(),
        used.as_secs_f64() * 1e6 / written as f64
    );
    drop(store);
    bytes_by_column(&folder.join("spans"), written)?;
    queries(&folder, now_ns)
}

fn bytes_by_column(folder: &Path, spans: usize) -> Result<(), Box<dyn Error>> {
    let (mut columns, mut total) = (BTreeMap::<String, i64>::new(), 0);
    for hour in std::fs::read_dir(folder)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(hour.path())? {
            let file = std::fs::File::open(file?.path())?;
            total += file.metadata()?.len();
            for group in SerializedFileReader::new(file)?.metadata().row_groups() {
                for column in group.columns() {
                    *columns.entry(column.column_path().string()).or_default() += column.compressed_size();
                }
            }
        }
    }
    let ids: i64 = ["trace_id", "span_id", "parent_span_id"].iter().filter_map(|name| columns.get(*name)).sum();
    let all: i64 = columns.values().sum();
    let per_span = |bytes: i64| bytes as f64 / spans as f64;
    println!(
        "{:.1} B/span in all: ids {:.1}, other columns {:.1}, Bloom filters and indexes {:.1}",
        total as f64 / spans as f64,
        per_span(ids),
        per_span(all - ids),
        per_span(total as i64 - all)
    );
    columns
        .iter()
        .filter(|(_, bytes)| per_span(**bytes) >= 0.05)
        .for_each(|(name, bytes)| println!("  {name:40} {:6.2}", per_span(*bytes)));
    Ok(())
}

fn queries(folder: &Path, end_ns: i64) -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open(
        folder,
        Options { retention: Duration::ZERO, min_free_ratio: 0.0, ..Options::default() },
        no_log,
    )?;
    let all =
        SpanQuery { start_ns: T0_NS as u64, end_ns: end_ns as u64 + 1_000_000_000, limit: 100, ..SpanQuery::default() };
    let one = |text: &str| vec![("service".to_owned(), text.to_owned())];
    let cases = [
        ("newest 100", all.clone()),
        ("newest 100 of one service", SpanQuery { columns: one("service-7"), ..all.clone() }),
        ("newest 100 errors of one service", SpanQuery { columns: one("service-7"), errors: true, ..all.clone() }),
        ("slowest 100", SpanQuery { order: Order::Slowest, ..all.clone() }),
        (
            "one value of an attribute",
            SpanQuery { attributes: vec![("client.port".into(), "32775".into())], ..all.clone() },
        ),
    ];
    for (name, query) in cases {
        let began = Instant::now();
        let found: usize = store.spans(&query)?.iter().map(RecordBatch::num_rows).sum();
        println!("{name:40} {:7.1} ms, {found} spans", began.elapsed().as_secs_f64() * 1e3);
    }
    let began = Instant::now();
    store.trace([7; 16])?;
    println!("{:40} {:7.1} ms", "a trace that is not there", began.elapsed().as_secs_f64() * 1e3);
    Ok(())
}
