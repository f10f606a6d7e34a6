//! What must hold whatever comes in which order: nothing is lost, nothing is doubled, every matcher means what it says.

mod common;

use common::*;
use limpid_model::batch::{Batch, Signal};
use limpid_model::series::{MatchOp, Point};
use limpid_model::{ExpHistogram, Growth, Labels, Matcher, Sample, Series, SeriesSource, Value};
use limpid_store::embedded::{EmbeddedStore, Options};
use limpid_store::{SpanQuery, Store, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// Flushes every few hundred rows, so that memory, files, late files and joined ones all take part.
fn restless() -> Options {
    Options {
        flush_rows: 200,
        flush_bytes: 4096,
        segment_bytes: 4096,
        flush_age: Duration::from_millis(20),
        metrics_flush_age: Duration::from_millis(20),
        metrics_partition: Duration::from_secs(600),
        ..options()
    }
}

fn labels(series: u64) -> Labels {
    Labels::from_pairs([
        ("__name__", if series.is_multiple_of(3) { "a_total" } else { "b_seconds" }.to_owned()),
        ("service", format!("s{}", series % 4)),
        ("side", ["", "client", "server"][(series % 3) as usize].to_owned()),
        ("series", series.to_string()),
    ])
}

type Truth = BTreeMap<Labels, BTreeMap<i64, (Value, i64)>>;

/// Points of 24 series; times wander and go back; some are histograms; resets start anew; a second point of the same
/// time does not count.
fn random_points(noise: &mut Noise, truth: &mut Truth, count: usize) -> Vec<Point> {
    let mut points = Vec::new();
    for _ in 0..count {
        let series = noise.below(24);
        let time_ms = (T0_NS / 1_000_000) as i64 + noise.below(4000) as i64 * 1000;
        let start_ms = (time_ms - 1) / 700_000 * 700_000;
        let value = if series.is_multiple_of(5) {
            let mut histogram = ExpHistogram::default();
            (0..noise.below(20)).for_each(|_| histogram.record_ns(1 + noise.below(1 << 30)));
            Value::Histogram(Arc::new(histogram))
        } else if series.is_multiple_of(2) {
            Value::Float(noise.below(1000) as f64)
        } else {
            Value::Float(noise.below(1000) as f64 / 7.0)
        };
        let samples = truth.entry(labels(series)).or_default();
        if samples.contains_key(&time_ms) {
            continue;
        }
        samples.insert(time_ms, (value.clone(), start_ms));
        points.push(Point { labels: labels(series), start_ms, sample: Sample { time_ms, value } });
    }
    points
}

fn write_batch(store: &EmbeddedStore, points: Vec<Point>) {
    let batch = Batch { points, ..Batch::default() };
    store.write(Write { signal: Signal::Metrics, batch_id: None, payload: "none".into(), batch }).unwrap();
}

fn check(store: &EmbeddedStore, truth: &Truth, from: i64, to: i64) {
    let found = store.select(&[], from, to).unwrap();
    let mut expected: Vec<_> =
        truth.iter().map(|(labels, samples)| (labels, samples.range(from..=to).collect::<Vec<_>>())).collect();
    expected.retain(|(_, samples)| !samples.is_empty());
    assert_eq!(found.len(), expected.len());
    for (series, (labels, samples)) in found.iter().zip(expected) {
        assert_eq!(&series.labels, labels);
        let have: Vec<_> = series.samples.iter().map(|sample| (sample.time_ms, sample.value.clone())).collect();
        let want: Vec<_> = samples.iter().map(|(time_ms, (value, _))| (**time_ms, value.clone())).collect();
        assert_eq!(have, want, "{labels:?}");
        assert_eq!(series.starts, samples.iter().map(|(_, (_, start_ms))| *start_ms).collect::<Vec<_>>());
    }
}

/// What is read at some moments is what reading everything gives for them: at whole minutes and twelve of them, which
/// have files of their own, at others, and at both.
fn check_moments(store: &EmbeddedStore, truth: &Truth, noise: &mut Noise) {
    let t0 = (T0_NS / 1_000_000) as i64;
    let every = |seconds: i64| (0..=4320 / seconds).map(|at| t0 + at * seconds * 1000).collect::<Vec<i64>>();
    let mut odd: Vec<i64> = (0..30).map(|_| t0 + noise.below(4_320_000) as i64).collect();
    odd.push(t0 + 4_320_000);
    odd.sort_unstable();
    let mut mixed = every(60);
    mixed.insert(1, t0 + 59_999);
    let lookback_ms = 10_000_000;
    for moments in [every(60), every(720), every(7), odd, mixed] {
        let expected = truth.iter().map(|(labels, samples)| {
            let sample =
                |(time_ms, (value, _)): (&i64, &(Value, i64))| Sample { time_ms: *time_ms, value: value.clone() };
            let mut series = Series {
                labels: labels.clone(),
                samples: samples.iter().map(sample).collect(),
                starts: samples.values().map(|(_, start_ms)| *start_ms).collect(),
            };
            series.keep_at(&moments, lookback_ms);
            series
        });
        let expected: Vec<Series> = expected.filter(|series| !series.samples.is_empty()).collect();
        let found = store.select_at(&[], &moments, lookback_ms).unwrap();
        assert_eq!(found.len(), expected.len());
        found.iter().zip(&expected).for_each(|(found, expected)| assert_eq!(found, expected, "at {moments:?}"));
        let grown = store.growth_at(&[], &moments, lookback_ms).unwrap();
        let expected: Vec<Growth> = expected.into_iter().map(|series| Growth::of(series, moments[0])).collect();
        assert_eq!(grown, expected, "grown at {moments:?}");
    }
}

#[test]
fn samples_in_any_order_are_all_there_once_and_in_order() {
    for seed in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let (mut noise, mut truth) = (Noise(seed), Truth::new());
        for round in 0..4 {
            let store = EmbeddedStore::open(dir.path(), restless(), |_, _| Batch::default()).unwrap();
            for _ in 0..30 {
                let count = 1 + noise.below(60) as usize;
                write_batch(&store, random_points(&mut noise, &mut truth, count));
                if noise.below(8) == 0 {
                    std::thread::sleep(Duration::from_millis(25));
                    store.write(write_spans(0, 1)).unwrap();
                }
            }
            check(&store, &truth, i64::MIN, i64::MAX);
            let from = (T0_NS / 1_000_000) as i64 + noise.below(2000) as i64 * 1000;
            check(&store, &truth, from, from + 500_000);
            check_moments(&store, &truth, &mut noise);
            assert!(round == 0 || block_count(dir.path()) > 1);
        }
    }
}

fn block_count(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("metrics")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
}

#[test]
fn matchers_mean_what_they_say_in_memory_and_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let matchers: Vec<Matcher> = [
        ("service", MatchOp::Equal, "s1"),
        ("service", MatchOp::NotEqual, "s1"),
        ("service", MatchOp::Regex, "s[12]"),
        ("service", MatchOp::Regex, "s"),
        ("service", MatchOp::NotRegex, "s[12]"),
        ("side", MatchOp::Equal, ""),
        ("side", MatchOp::NotEqual, ""),
        ("side", MatchOp::Regex, "|client"),
        ("side", MatchOp::NotRegex, ".+"),
        ("nothing", MatchOp::Equal, ""),
        ("nothing", MatchOp::Equal, "x"),
        ("nothing", MatchOp::Regex, ".*"),
        ("nothing", MatchOp::NotEqual, "x"),
        ("__name__", MatchOp::Equal, "a_total"),
        ("__name__", MatchOp::Regex, "a.*|b.*"),
    ]
    .into_iter()
    .map(|(name, op, value)| Matcher { name: name.into(), op, value: value.into() })
    .collect();
    let regexes: BTreeMap<String, regex::Regex> = matchers
        .iter()
        .map(|matcher| (matcher.value.to_string(), regex::Regex::new(&format!("^(?:{})$", matcher.value)).unwrap()))
        .collect();
    let test = |matcher: &Matcher, labels: &Labels| {
        let value = labels.get(&matcher.name).unwrap_or_default();
        let regex = |pattern: &str| regexes[pattern].is_match(value);
        match matcher.op {
            MatchOp::Equal => value == matcher.value,
            MatchOp::NotEqual => value != matcher.value,
            MatchOp::Regex => regex(&matcher.value),
            MatchOp::NotRegex => !regex(&matcher.value),
        }
    };
    for restart in 0..2 {
        let store = EmbeddedStore::open(dir.path(), options(), |_, _| Batch::default()).unwrap();
        if restart == 0 {
            let sample = Sample { time_ms: 5, value: Value::Float(1.0) };
            write_batch(
                &store,
                (0..60).map(|series| Point { labels: labels(series), start_ms: 0, sample: sample.clone() }).collect(),
            );
        }
        for left in &matchers {
            for right in &matchers {
                let pair = [left.clone(), right.clone()];
                let found: BTreeSet<Labels> = store.series(&pair, 0, 10).unwrap().into_iter().collect();
                let expected: BTreeSet<Labels> =
                    (0..60).map(labels).filter(|labels| pair.iter().all(|matcher| test(matcher, labels))).collect();
                assert_eq!(found, expected, "{pair:?}");
            }
        }
    }
}

#[test]
fn readers_and_writers_at_once_see_every_acknowledged_span_exactly_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path(), restless(), decode).unwrap();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (0..6000).step_by(50) {
                store.write(write_spans(first, 50)).unwrap();
                store.write(write_points(first, 50)).unwrap();
                acknowledged.store(first + 50, Ordering::SeqCst);
            }
            done.store(true, Ordering::SeqCst);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let at_least = acknowledged.load(Ordering::SeqCst);
                    let query = SpanQuery { end_ns: u64::MAX, limit: 20_000, ..SpanQuery::default() };
                    let mut found = numbers(&store.spans(&query).unwrap());
                    found.sort_unstable();
                    assert!(found.len() as u64 >= at_least);
                    assert!(found.iter().copied().eq(0..found.len() as u64), "a gap or a repetition");
                    let samples: usize = store
                        .select(&[Matcher::equal("__name__", "test_total")], i64::MIN, i64::MAX)
                        .unwrap()
                        .iter()
                        .map(|series| series.samples.len())
                        .sum();
                    assert!(samples as u64 >= at_least);
                }
            });
        }
    });
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let far = |number: u64| TestSpan { start_ns: T0_NS + number * HOUR_NS, ..span(number) };
    let rows = |first: u64, count: u64| Batch {
        spans: Some(spans(&(first..first + count).map(far).collect::<Vec<_>>())),
        ..Batch::default()
    };
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
    store.write(Write { signal: Signal::Traces, batch_id: None, payload: "none".into(), batch: rows(0, 10) }).unwrap();
    store.write(write_points(0, 100_000)).unwrap();
    drop(store);
    let files = |folder: &str, extension: &str| -> Vec<std::path::PathBuf> {
        let hours = std::fs::read_dir(dir.path().join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir());
        let mut files: Vec<_> =
            hours.flat_map(|hour| std::fs::read_dir(hour).unwrap().map(|entry| entry.unwrap().path())).collect();
        files.retain(|file| file.extension().is_some_and(|have| have == extension));
        files.sort();
        files
    };
    let (spans, blocks) = (files("spans", "parquet"), files("metrics", "block"));
    assert_eq!(spans.len(), 10);
    assert!(blocks.len() > 1);
    damage(&spans[3], 10, 300);
    std::fs::write(&spans[4], "no parquet").unwrap();
    damage(&blocks[0], 0, 64);
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
    let query = SpanQuery { end_ns: u64::MAX, limit: 100, ..SpanQuery::default() };
    let before = numbers(&store.spans(&query).unwrap());
    assert!(before.len() >= 8 && !before.contains(&4), "{before:?}");
    let samples = |store: &EmbeddedStore| -> usize {
        store.select(&[], i64::MIN, i64::MAX).unwrap().iter().map(|series| series.samples.len()).sum()
    };
    let (some, again) = (samples(&store), samples(&store));
    assert!(some > 0 && some < 100_000 && some == again, "{some} {again}");
    assert_eq!(numbers(&store.spans(&query).unwrap()), [9, 8, 7, 6, 5, 2, 1, 0]);
    let damaged =
        store.status().losses.iter().find(|(cause, _)| cause == "damaged_files").map_or(0, |(_, count)| *count);
    assert_eq!(damaged, 3);
    assert_eq!(files("spans", "damaged").len() + files("metrics", "damaged").len(), 3);
}

fn damage(path: &Path, from: usize, to: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[from..to].fill(0xee);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn small_files_of_an_hour_become_one() {
    let dir = tempfile::tempdir().unwrap();
    let quick = Options { flush_age: Duration::from_millis(1), ..options() };
    let store = EmbeddedStore::open(dir.path(), quick, decode).unwrap();
    let hour = dir.path().join("spans").join((T0_NS / HOUR_NS).to_string());
    let files = || std::fs::read_dir(&hour).map_or(0, |entries| entries.count());
    let (mut most, deadline) = (0, Instant::now() + Duration::from_secs(60));
    let mut written = 0;
    while files() >= most && Instant::now() < deadline {
        store.write(write_spans(written, 20)).unwrap();
        written += 20;
        std::thread::sleep(Duration::from_millis(200));
        most = most.max(files());
    }
    assert!(most >= 7 && files() < most, "{most} files were never joined");
    let query = SpanQuery { end_ns: u64::MAX, limit: 10_000, ..SpanQuery::default() };
    assert_eq!(numbers(&store.spans(&query).unwrap()), (0..written).rev().collect::<Vec<_>>());
    drop(store);
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
    assert_eq!(numbers(&store.spans(&query).unwrap()), (0..written).rev().collect::<Vec<_>>());
    let query = SpanQuery { attributes: vec![("test.number".into(), "33".into())], ..query };
    assert_eq!(numbers(&store.spans(&query).unwrap()), [33]);
}

#[test]
fn what_is_too_old_or_too_much_goes_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let now_ns = Duration::from_millis(common_now_ms()).as_nanos() as u64;
    let write_hours = |store: &EmbeddedStore, hours: std::ops::Range<u64>| {
        for hour in hours {
            let rows: Vec<TestSpan> = (0..500)
                .map(|number| TestSpan { start_ns: now_ns - hour * HOUR_NS, ..span(hour * 1000 + number) })
                .collect();
            let batch = Batch { spans: Some(spans(&rows)), ..Batch::default() };
            store.write(Write { signal: Signal::Traces, batch_id: None, payload: "none".into(), batch }).unwrap();
        }
    };
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
    write_hours(&store, 1..11);
    drop(store);
    let hours = |options: Options| -> BTreeSet<u64> {
        let store = EmbeddedStore::open(dir.path(), options, decode).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let before = store.status().spans;
        while store.status().spans == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(100));
        let query = SpanQuery { end_ns: u64::MAX, limit: 10_000, ..SpanQuery::default() };
        numbers(&store.spans(&query).unwrap()).into_iter().map(|number| number / 1000).collect()
    };
    let aged = hours(Options { retention: Duration::from_secs(6 * 3600 + 1800), ..options() });
    assert_eq!(aged, (1..7).collect());
    let total = EmbeddedStore::open(dir.path(), options(), decode).unwrap().status().bytes;
    let shrunk = hours(Options { max_bytes: total / 2 + total / 12, ..options() });
    assert_eq!(shrunk, (1..4).collect());
}

fn common_now_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
}
