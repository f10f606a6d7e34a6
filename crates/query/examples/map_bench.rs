//! How long the map takes over an hour of the embedded store. Argument: number of series (default 3,000).

use limpid_model::batch::{Batch, Signal};
use limpid_model::series::{Point, Sample, Value};
use limpid_model::{ExpHistogram, Labels, Matcher, SeriesSource};
use limpid_query::entities::operations;
use limpid_query::topology::{TopologyQuery, timeline, topology};
use limpid_store::embedded::{EmbeddedStore, Options};
use limpid_store::{Store, Write};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const EVERY_S: u64 = 5;
const SECONDS: u64 = 2 * 3600;

/// Time that this thread had a processor, in seconds: what others do on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn timed<T>(what: &str, work: impl Fn() -> Result<T, limpid_query::QueryError>) -> Result<T, limpid_query::QueryError> {
    let mut times = Vec::new();
    loop {
        let (begin, cpu) = (Instant::now(), cpu_seconds());
        let answer = work()?;
        times.push((cpu_seconds() - cpu, begin.elapsed().as_secs_f64()));
        if times.len() == 5 {
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            println!("{what:10} {:8.1} ms of CPU, {:8.1} ms (median of 5)", times[2].0 * 1e3, times[2].1 * 1e3);
            return Ok(answer);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3000);
    let folder = tempfile::tempdir()?;
    let store = EmbeddedStore::open(folder.path(), Options::default(), |_, _| Batch::default())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let t0 = now - SECONDS;
    let begin = Instant::now();
    let labels: Vec<Labels> = (0..count).map(labels).collect();
    let mut histograms: Vec<ExpHistogram> = vec![ExpHistogram::default(); count];
    for second in (0..=SECONDS).step_by(EVERY_S as usize) {
        let mut points = Vec::with_capacity(count);
        for (at, histogram) in histograms.iter_mut().enumerate() {
            (0..at as u64 % 7).for_each(|turn| {
                histogram.record_ns(((at as u64 + 1) * 10_007 + second * 3301 + turn * 999_331) % 90_000_000 + 1000)
            });
            let value = Value::Histogram(Arc::new(histogram.clone()));
            let sample = Sample { time_ms: ((t0 + second) * 1000) as i64, value };
            points.push(Point { labels: labels[at].clone(), start_ms: (t0 * 1000) as i64, sample });
        }
        let batch = Batch { points, ..Batch::default() };
        store.write(Write {
            signal: Signal::Metrics,
            batch_id: None,
            payload: bytes::Bytes::from_static(b"x"),
            batch,
        })?;
    }
    println!("{count} series written in {:.1} s", begin.elapsed().as_secs_f64());
    let (start, end) = ((now - 3600) * 1_000_000_000, now * 1_000_000_000);
    let map = timed("map", || topology(&store, start, end, &TopologyQuery::default()))?;
    println!("           {} nodes, {} edges", map.nodes.len(), map.edges.len());
    timed("timeline", || timeline(&store, start, end, 120))?;
    let matchers = [Matcher::equal("__name__", "limpid_request_duration_seconds")];
    timed("select", || {
        Ok(store.select(&matchers, (start / 1_000_000) as i64 - 3_900_000, (end / 1_000_000) as i64)?.len())
    })?;
    timed("operations", || operations(&store, "service-1", start, end))?;
    store.close();
    Ok(())
}

fn labels(at: usize) -> Labels {
    let (client, server) = (format!("service-{}", at % 25), format!("service-{}", (at * 7 + 1) % 25));
    let is_client = at % 2 == 0;
    let (service, peer) = if is_client { (&client, &server) } else { (&server, &client) };
    Labels::from_pairs([
        ("__name__", "limpid_request_duration_seconds".to_string()),
        ("service", service.clone()),
        ("peer", peer.clone()),
        ("protocol", "http".to_string()),
        ("operation", "GET".to_string()),
        ("resource", format!("/route/{at}")),
        ("status", if at % 10 == 3 { "error" } else { "ok" }.to_string()),
        ("side", if is_client { "client" } else { "server" }.to_string()),
        ("instance", format!("process:m/{service}")),
        ("host", "alpha".to_string()),
    ])
}
