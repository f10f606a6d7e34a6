//! How long the console's dearest query takes: `histogram_quantile(0.95, sum by (service) (rate(x[1m])))` over an hour
//! of 2,000 native-histogram series, from memory. Arguments: series, seconds between samples, seconds between steps.

use limpid_model::series::{Metadata, SourceError};
use limpid_model::{ExpHistogram, Labels, Matcher, Sample, Series, SeriesSource, Value};
use limpid_query::promql::{Engine, Limits, QueryValue};
use std::sync::Arc;
use std::time::Instant;

const HOUR_MS: i64 = 3_600_000;

struct Memory(Vec<Series>);

impl SeriesSource for Memory {
    fn select(&self, _: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SourceError> {
        let cut = |series: &Series| Series {
            labels: series.labels.clone(),
            samples: series
                .samples
                .iter()
                .filter(|sample| (start_ms..=end_ms).contains(&sample.time_ms))
                .cloned()
                .collect(),
            starts: Vec::new(),
        };
        Ok(self.0.iter().map(cut).collect())
    }

    fn series(&self, _: &[Matcher], _: i64, _: i64) -> Result<Vec<Labels>, SourceError> {
        Ok(self.0.iter().map(|series| series.labels.clone()).collect())
    }

    fn metadata(&self) -> Vec<Metadata> {
        Vec::new()
    }
}

fn series(number: usize, every_ms: i64) -> Series {
    let service = format!("service-{}", number % 20);
    let labels = Labels::from_pairs([
        ("__name__", "x".to_string()),
        ("service", service),
        ("operation", format!("op-{number}")),
    ]);
    let mut histogram = ExpHistogram::default();
    let mut random = number as u64 + 1;
    let mut sample = |time_ms: i64| {
        for _ in 0..20 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            histogram.record_ns(200_000 << ((random >> 60) % 10));
        }
        Sample { time_ms, value: Value::Histogram(Arc::new(histogram.clone())) }
    };
    let samples = (0..=(HOUR_MS + 60_000) / every_ms).map(|at| sample(at * every_ms)).collect();
    Series { labels, samples, starts: Vec::new() }
}

/// Time that this thread had a processor, in seconds: what others do on the machine does not count.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e9
}

fn main() {
    let argument =
        |at: usize, default: i64| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, every_s, step_s) = (argument(1, 2000), argument(2, 5), argument(3, 30));
    let source = Memory((0..count as usize).map(|number| series(number, every_s * 1000)).collect());
    let engine = Engine::new(Limits::default());
    for expr in [
        "histogram_quantile(0.95, sum by (service) (rate(x[1m])))",
        "sum by (service) (histogram_count(rate(x[1m])))",
        "sum by (service) (rate(x_count[1m]))",
        "histogram_quantile(0.95, sum by (service, le) (rate(x_bucket{service=\"service-1\"}[1m])))",
    ] {
        let mut times = Vec::new();
        let mut rows = 0;
        for _ in 0..5 {
            let (begin, cpu) = (Instant::now(), cpu_seconds());
            match engine.range(&source, expr, 60_000, HOUR_MS + 60_000, step_s * 1000) {
                Ok(answer) => {
                    if let QueryValue::Matrix(matrix) = answer.value {
                        rows = matrix.len();
                    }
                }
                Err(error) => {
                    println!("{expr}: {error}");
                    break;
                }
            }
            times.push((cpu_seconds() - cpu, begin.elapsed().as_secs_f64()));
        }
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((cpu, wall)) = times.get(times.len() / 2) {
            println!("{:8.1} ms of CPU, {:8.1} ms  {rows:3} rows  {expr}", cpu * 1e3, wall * 1e3);
        }
    }
    println!("{count} series, a sample every {every_s} s, a step every {step_s} s, median of 5");
}
