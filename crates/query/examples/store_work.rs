//! The embedded store at a week's work, one line a figure: what it is, measured, goal, how; with tabs between.
//!
//! `cargo run --release -p limpid-query --example store_work [map] [week] [spans] [disk] [memory] [flood]`

#[path = "../../store/examples/data/metrics.rs"]
mod metrics;
#[path = "../../store/examples/data/spans.rs"]
mod spans;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, RecordBatch};
use arrow_schema::{Field, Schema};
use limpid_model::batch::{Batch, Signal};
use limpid_query::topology::{TopologyQuery, topology};
use limpid_query::traces::{TraceQuery, search, trace};
use limpid_store::embedded::{EmbeddedStore, LogSync, Options};
use limpid_store::{Order, SpanQuery, Store, Write};
use metrics::Requests;
use spans::{BATCH_SPANS, Noise, batch};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const SECOND_NS: u64 = 1_000_000_000;
const HOUR: u64 = 3600;
/// An OTLP span of the agent with its attributes, measured on the demo.
const PAYLOAD_BYTES_PER_SPAN: usize = 480;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    limpid_store::memory::bound();
    let figures: [(&str, fn() -> Result<()>); 6] =
        [("map", map), ("week", week), ("spans", many_spans), ("disk", disk), ("memory", memory), ("flood", flood)];
    for (name, measure) in figures {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure()?;
        }
    }
    Ok(())
}

/// CPU time of all threads of this process, also of those that have ended.
fn cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the structure it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The median of five runs after a first one; the store is otherwise at rest, so that the process' CPU time is the query's.
fn timed<T>(figure: &str, goal: &str, how: &str, work: impl Fn() -> Result<T>) -> Result<T> {
    let mut answer = work()?;
    let mut times = Vec::new();
    for _ in 0..5 {
        let (began, before) = (Instant::now(), cpu());
        answer = work()?;
        times.push((began.elapsed(), cpu() - before));
    }
    times.sort();
    let (wall, cpu) = (times[2].0.as_secs_f64() * 1e3, times[2].1.as_secs_f64() * 1e3);
    println!("{figure}\t{wall:.0} ms, {cpu:.0} ms of CPU\t{goal}\t{how}");
    Ok(answer)
}

fn open(folder: &Path, options: Options) -> Result<EmbeddedStore> {
    Ok(EmbeddedStore::open(folder, options, |_, _| Batch::default())?)
}

fn options() -> Options {
    Options { min_free_ratio: 0.0, ..Options::default() }
}

fn now_s() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn write(store: &EmbeddedStore, signal: Signal, payload: bytes::Bytes, batch: Batch) -> Result<()> {
    store.write(Write { signal, batch_id: None, payload, batch })?;
    Ok(())
}

fn write_metrics(store: &EmbeddedStore, requests: &mut Requests, second: u64) -> Result<()> {
    let batch = Batch { points: requests.points(second), ..Batch::default() };
    write(store, Signal::Metrics, bytes::Bytes::new(), batch)
}

/// 3,000 series every five seconds; ten million requests in the last hour, its last half still in memory.
fn map() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let end = now_s()?;
    let mut requests = Requests::new(3_000, end - 2 * HOUR, 10_000_000.0 / 3600.0 * 2.0);
    for span in [end - 2 * HOUR..end - HOUR / 2, end - HOUR / 2..end + 1] {
        let store = open(folder.path(), options())?;
        for second in span.step_by(5) {
            write_metrics(&store, &mut requests, second)?;
        }
        if end + 1 - requests.last_second > 5 {
            store.close();
            continue;
        }
        let view = |start: u64| Ok(topology(&store, start * SECOND_NS, end * SECOND_NS, &TopologyQuery::default())?);
        let how = "10 million requests in an hour, 3,000 series every 5 s";
        let map = timed("map of the last hour", "≤ 150 ms", how, || view(end - HOUR))?;
        let requests: u64 = map.nodes.iter().map(|node| node.requests).sum();
        let found = (map.nodes.len(), map.edges.len());
        timed("map of 59 minutes, from the samples themselves", "≤ 2 s", how, || view(end - HOUR + 60))?;
        eprintln!("   {} nodes, {} edges, {requests} requests served and made", found.0, found.1);
    }
    Ok(())
}

/// 1,000 series for seven days: what the coarse files are for.
fn week() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let end = now_s()?;
    let start = end - 7 * 24 * HOUR;
    let store = open(folder.path(), Options { retention: Duration::ZERO, sync: LogSync::Relaxed, ..options() })?;
    let mut requests = Requests::new(1_000, start, 200.0);
    for second in (start..=end).step_by(60) {
        write_metrics(&store, &mut requests, second)?;
    }
    store.close();
    drop(store);
    let store = open(folder.path(), Options { retention: Duration::ZERO, ..options() })?;
    let how = "1,000 series every minute";
    let view = || Ok(topology(&store, start * SECOND_NS, end * SECOND_NS, &TopologyQuery::default())?);
    timed("map of seven days", "≤ 2 s", how, view)?;
    Ok(())
}

/// Ten million spans of one hour.
fn many_spans() -> Result<()> {
    const SPANS: usize = 10_000_000;
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), Options { retention: Duration::ZERO, sync: LogSync::Relaxed, ..options() })?;
    let (mut noise, start) = (Noise(88_172_645_463_325_252), now_s()? / HOUR * HOUR - HOUR);
    let mut now_ns = (start * SECOND_NS) as i64;
    let (mut written, mut some_trace) = (0, [0; 16]);
    while written < SPANS {
        let rows = batch(&mut noise, &mut now_ns, 2 * HOUR * SECOND_NS / (SPANS as u64 / 2))?;
        if written < SPANS / 3 {
            let ids = rows.column_by_name("trace_id").ok_or("no ids")?;
            let ids = arrow_array::cast::AsArray::as_fixed_size_binary_opt(ids).ok_or("no ids")?;
            some_trace = ids.value(7).try_into()?;
        }
        written += rows.num_rows();
        let batch = Batch { spans: Some(with_probability(&rows)?), ..Batch::default() };
        write(&store, Signal::Traces, bytes::Bytes::from_static(b"x"), batch)?;
    }
    store.close();
    drop(store);
    let store = open(folder.path(), Options { retention: Duration::ZERO, ..options() })?;
    let query = |text: &str| TraceQuery {
        start_ns: start * SECOND_NS,
        end_ns: (start + HOUR + 60) * SECOND_NS,
        q: text.to_owned(),
        ..TraceQuery::default()
    };
    let find = |text: &str| Ok(search(&store, &query(text))?);
    let how = "100 traces of 10 million spans";
    let found =
        timed("traces by service and duration", "≤ 200 ms", how, || find("service:service-7 duration:>30ms"))?;
    let rare =
        timed("traces by a rare value of an attribute", "≤ 2 s", how, || find("url.path:/api/v1/resource7/4711"))?;
    let frequent = timed("traces by a frequent value of an attribute", "≤ 2 s", how, || find("client.port:32775"))?;
    eprintln!("   {}, {} and {} traces found", found.len(), rare.len(), frequent.len());
    let spans = timed("one trace by its id", "≤ 50 ms", how, || Ok(trace(&store, some_trace)?))?;
    timed("a trace that is not there", "≤ 50 ms", how, || Ok(store.trace([7; 16])?))?;
    let slowest = SpanQuery { end_ns: u64::MAX, order: Order::Slowest, limit: 100, ..SpanQuery::default() };
    timed("the slowest 100 spans", "≤ 200 ms", how, || Ok(store.spans(&slowest)?))?;
    eprintln!("   the trace has {} spans", spans.map_or(0, |trace| trace.spans.len()));
    let how = "10 million spans of an hour";
    let map = |filter: &str| {
        let asked = TopologyQuery { filter: filter.to_owned(), ..TopologyQuery::default() };
        Ok(topology(&store, start * SECOND_NS, (start + HOUR + 60) * SECOND_NS, &asked)?)
    };
    for (what, filter) in [
        ("a rare value of an attribute", "url.path:/api/v1/resource7/4711"),
        ("a value of 1 in 800 spans", "client.port:32775"),
        ("a value of 2 in 3 spans", "http.request.method:GET"),
        ("a value of every span", "network.transport:tcp"),
    ] {
        let found = timed(&format!("map of {what}"), "≤ 2 s", how, || map(filter))?;
        let spans = found.sampled.map_or(0, |sampled| sampled.spans);
        eprintln!("   {} nodes, {} edges of {spans} spans", found.nodes.len(), found.edges.len());
    }
    Ok(())
}

/// As the agent tells it of spans that it sampled: it changes from second to second.
fn with_probability(rows: &RecordBatch) -> Result<RecordBatch> {
    let texts = ["\"0.101562\"", "\"0.125000\"", "\"0.093750\""];
    let of_row: DictionaryArray<Int32Type> = (0..rows.num_rows()).map(|row| Some(texts[row / 700 % 3])).collect();
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("attributes.limpid.sampling.probability", of_row.data_type().clone(), true)));
    let columns = rows.columns().iter().cloned().chain([Arc::new(of_row) as ArrayRef]).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// An hour of what a host sends whose services answer 1,000 requests a second; a day has 24 of them.
fn disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = now_s()? / (2 * HOUR) * 2 * HOUR - 2 * HOUR;
    let store = open(folder.path(), Options { sync: LogSync::Relaxed, ..options() })?;
    let mut requests = Requests::new(300 * 4, start, 4_000.0);
    let (mut noise, mut now_ns) = (Noise(7), (start * SECOND_NS) as i64);
    while now_ns < ((start + HOUR) * SECOND_NS) as i64 {
        let rows = batch(&mut noise, &mut now_ns, 2 * SECOND_NS / 50)?;
        let batch = Batch { spans: Some(rows), ..Batch::default() };
        write(&store, Signal::Traces, bytes::Bytes::from_static(b"x"), batch)?;
    }
    for second in (start..start + HOUR).step_by(5) {
        write_metrics(&store, &mut requests, second)?;
    }
    store.close();
    let mib = |folder: &Path| Ok::<f64, std::io::Error>(bytes_below(folder)? as f64 * 24.0 / (1 << 20) as f64);
    let (all, metrics) = (mib(folder.path())?, mib(&folder.path().join("metrics"))?);
    println!(
        "disk for a day of 1,000 requests/s\t{all:.0} MiB, {metrics:.0} of them metrics\t≤ 1,024 MiB\t100 spans/s, 1,200 histogram series every 5 s; an hour times 24"
    );
    Ok(())
}

fn bytes_below(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.try_fold(0, |total, entry| {
        let entry = entry?;
        let about = entry.metadata()?;
        Ok(total + if about.is_dir() { bytes_below(&entry.path())? } else { about.len() })
    })
}

/// 20,000 spans a second for a minute, while five people ask for maps and traces.
fn memory() -> Result<()> {
    const SECONDS: u64 = 60;
    forget_most_memory()?;
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), Options { sync: LogSync::Relaxed, ..options() })?;
    let start = now_s()?;
    let mut requests = Requests::new(1_200, start - 600, 20_000.0);
    (start - 600..start).step_by(5).try_for_each(|second| write_metrics(&store, &mut requests, second))?;
    let (mut noise, mut now_ns, mut written) = (Noise(99), (start * SECOND_NS) as i64, 0u64);
    let payload: bytes::Bytes = vec![0x55u8; BATCH_SPANS * PAYLOAD_BYTES_PER_SPAN].into();
    let (ended, began) = (AtomicBool::new(false), Instant::now());
    let asked = std::thread::scope(|scope| -> Result<u64> {
        let people: Vec<_> = (0..5).map(|_| scope.spawn(|| look(&store, start, &ended))).collect();
        let mut fill = || -> Result<()> {
            while began.elapsed().as_secs() < SECONDS {
                let rows = batch(&mut noise, &mut now_ns, 100_000)?;
                written += rows.num_rows() as u64;
                let batch = Batch { spans: Some(rows), ..Batch::default() };
                write(&store, Signal::Traces, payload.clone(), batch)?;
                std::thread::sleep(Duration::from_secs_f64(written as f64 / 20_000.0).saturating_sub(began.elapsed()));
            }
            Ok(())
        };
        let filled = fill();
        ended.store(true, Ordering::Relaxed);
        let asked = people.into_iter().map(|person| person.join().map_or(0, |asked| asked)).sum();
        filled.map(|()| asked)
    })?;
    let most_mib = most_memory_mib()?;
    let rate = written as f64 / began.elapsed().as_secs_f64();
    println!(
        "memory of the store at work\t{} MiB at most\t≤ 300 MiB\t{rate:.0} spans/s for {SECONDS} s, five people asked {asked} questions",
        most_mib
    );
    Ok(())
}

/// From here on, the most memory is counted anew.
fn forget_most_memory() -> Result<()> {
    limpid_store::memory::give_back();
    Ok(std::fs::write("/proc/self/clear_refs", "5")?)
}

fn most_memory_mib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let most =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(most.ok_or("no figure in /proc/self/status")? >> 10)
}

/// Three million spans as fast as they are taken, from eight senders.
fn flood() -> Result<()> {
    const SENDERS: u64 = 8;
    const BATCHES: usize = 200;
    let folder = tempfile::tempdir()?;
    let store = open(folder.path(), Options { sync: LogSync::Relaxed, ..options() })?;
    let (start_ns, began) = ((now_s()? * SECOND_NS) as i64, Instant::now());
    forget_most_memory()?;
    std::thread::scope(|scope| -> Result<()> {
        let store = &store;
        let send = move |sender: u64| -> std::result::Result<(), String> {
            let (mut noise, mut now_ns) = (Noise(99 + sender), start_ns);
            let payload: bytes::Bytes = vec![0x55u8; BATCH_SPANS * PAYLOAD_BYTES_PER_SPAN].into();
            for _ in 0..BATCHES {
                let rows = batch(&mut noise, &mut now_ns, 100_000).map_err(|error| error.to_string())?;
                let batch = Batch { spans: Some(rows), ..Batch::default() };
                write(&store, Signal::Traces, payload.clone(), batch).map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(sender))).collect();
        senders.into_iter().try_for_each(|sender| Ok(sender.join().map_err(|_| "a sender panicked")??))
    })?;
    let spans = SENDERS as usize * BATCHES * BATCH_SPANS;
    println!(
        "memory of the store in a flood\t{} MiB at most\t≤ 500 MiB\t{spans} spans from {SENDERS} senders at {:.0} spans/s",
        most_memory_mib()?,
        spans as f64 / began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// One person: a map, then a search, a second apart.
fn look(store: &EmbeddedStore, start: u64, ended: &AtomicBool) -> u64 {
    let (start_ns, end_ns) = ((start - 600) * SECOND_NS, (start + 3600) * SECOND_NS);
    let traces =
        TraceQuery { start_ns, end_ns, q: "service:service-3 duration:>20ms".to_owned(), ..TraceQuery::default() };
    let mut asked = 0;
    while !ended.load(Ordering::Relaxed) {
        let map = topology(store, start_ns, end_ns, &TopologyQuery::default());
        asked += u64::from(map.is_ok()) + u64::from(search(store, &traces).is_ok());
        std::thread::sleep(Duration::from_secs(1));
    }
    asked
}
