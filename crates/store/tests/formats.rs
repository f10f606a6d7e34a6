//! Stores that earlier versions wrote, kept in `fixtures`: each is opened, read whole and written on.
//!
//! A fixture is made by the version whose layout it shows:
//! `LIMPID_FIXTURE=crates/store/tests/fixtures/NAME cargo test -p limpid-store --test formats -- --ignored make_a_fixture`

mod common;

use common::*;
use limpid_model::batch::Signal;
use limpid_model::{Matcher, SeriesSource};
use limpid_store::embedded::EmbeddedStore;
use limpid_store::{SpanQuery, Store};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SPANS: u64 = 400;
const POINTS: u64 = 6_000;
/// Written after a restart, and only in the log.
const LATER: u64 = 20;

#[test]
#[ignore = "makes a fixture, with the version that it is to show"]
fn make_a_fixture() {
    let dir = PathBuf::from(std::env::var("LIMPID_FIXTURE").expect("LIMPID_FIXTURE names the folder"));
    let dir = if dir.is_absolute() { dir } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir) };
    let store = EmbeddedStore::open(&dir, options(), decode).unwrap();
    let id = |number: u8| Some([number; 16]);
    store.write(write(Signal::Traces, format!("spans 0 {SPANS}"), id(1))).unwrap();
    store.write(write(Signal::Metrics, format!("points 0 {POINTS}"), id(2))).unwrap();
    store.write(write(Signal::Logs, "entity service:default/a".to_owned(), id(3))).unwrap();
    drop(store);
    let store = EmbeddedStore::open(&dir, options(), decode).unwrap();
    store.write(write(Signal::Traces, format!("spans {SPANS} {LATER}"), id(4))).unwrap();
    store.write(write(Signal::Metrics, format!("points {POINTS} {LATER}"), id(5))).unwrap();
    // As after `kill -9`: the rest stays in the log.
    std::mem::forget(store);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &place) } else { std::fs::copy(&path, place).map(drop).unwrap() }
    }
}

fn check(store: &EmbeddedStore, spans: u64, points: u64) {
    let query = SpanQuery { end_ns: u64::MAX, limit: 10_000, ..SpanQuery::default() };
    assert_eq!(numbers(&store.spans(&query).unwrap()), (0..spans).rev().collect::<Vec<_>>());
    let one = SpanQuery { attributes: vec![("test.number".into(), "123".into())], ..query };
    assert_eq!(numbers(&store.spans(&one).unwrap()), [123]);
    assert_eq!(numbers(&store.trace(trace_id(50)).unwrap()).len(), 4);
    let series = store.select(&[Matcher::equal("__name__", "test_total")], i64::MIN, i64::MAX).unwrap();
    let mut found: Vec<_> = series.into_iter().flat_map(|series| series.samples).collect();
    found.sort_by_key(|sample| match sample.value {
        limpid_model::Value::Float(value) => value as u64,
        _ => u64::MAX,
    });
    assert_eq!(found, (0..points).map(|number| point(number).sample).collect::<Vec<_>>());
    assert_eq!(store.entities(T0_NS, T0_NS).unwrap().len(), 1);
    assert_eq!(store.status().problem, None);
}

#[test]
fn stores_of_every_earlier_layout_are_read_whole_and_written_on() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut seen = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let dir = tempfile::tempdir().unwrap();
        copy(&entry.unwrap().path(), dir.path());
        let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
        check(&store, SPANS + LATER, POINTS + LATER);
        store.write(write_spans(SPANS + LATER, 5)).unwrap();
        store.write(write_points(POINTS + LATER, 5)).unwrap();
        check(&store, SPANS + LATER + 5, POINTS + LATER + 5);
        wait_for_coarse_files(&dir.path().join("metrics"));
        check(&store, SPANS + LATER + 5, POINTS + LATER + 5);
        drop(store);
        let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
        check(&store, SPANS + LATER + 5, POINTS + LATER + 5);
        seen += 1;
    }
    assert!(seen > 0, "no fixture");
}

/// Blocks of before they were made get them in the background.
fn wait_for_coarse_files(metrics: &Path) {
    let of_kind = |extension: &str| -> usize {
        let partitions = std::fs::read_dir(metrics).unwrap().map(|entry| entry.unwrap().path());
        let files = partitions.filter(|path| path.is_dir()).flat_map(|path| std::fs::read_dir(path).unwrap());
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|have| have == extension)).count()
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while (of_kind("block-1m"), of_kind("block-12m")) != (of_kind("block"), of_kind("block")) {
        assert!(Instant::now() < deadline, "the blocks never got their coarse files");
        std::thread::sleep(Duration::from_millis(50));
    }
}
