//! A byte that is wrong, anywhere in any file: the store opens, serves the rest, and says what it has set aside.

mod common;

use common::*;
use limpid_model::batch::Signal;
use limpid_model::{Matcher, SeriesSource};
use limpid_store::embedded::EmbeddedStore;
use limpid_store::{SpanQuery, Store};
use std::path::{Path, PathBuf};

const SPANS: u64 = 300;
const POINTS: u64 = 6_000;
/// Bytes tried in each file.
const PLACES: usize = 12;

/// A store with every kind of file: some of it is still only in the log.
fn filled(dir: &Path) {
    let store = EmbeddedStore::open(dir, options(), decode).unwrap();
    let id = |number: u8| Some([number; 16]);
    store.write(write(Signal::Traces, format!("spans 0 {SPANS}"), id(1))).unwrap();
    store.write(write(Signal::Metrics, format!("points 0 {POINTS}"), id(2))).unwrap();
    store.write(write(Signal::Logs, "entity service:default/a".to_owned(), id(3))).unwrap();
    drop(store);
    let store = EmbeddedStore::open(dir, options(), decode).unwrap();
    store.write(write(Signal::Traces, format!("spans {SPANS} 10"), id(4))).unwrap();
    store.write(write(Signal::Metrics, format!("points {POINTS} 10"), id(5))).unwrap();
    copy(dir, &dir.with_extension("running"));
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(file, place).unwrap();
    }
}

#[derive(Debug, PartialEq)]
struct Found {
    spans: usize,
    samples: usize,
    minutes: usize,
    entities: usize,
}

/// Asks for everything, twice: what turns out to be damaged in the first round is gone in the second.
fn ask(store: &EmbeddedStore) -> Found {
    let query = SpanQuery { end_ns: u64::MAX, limit: 10_000, ..SpanQuery::default() };
    let moments: Vec<i64> = (0..=12).map(|minute| (T0_NS / 1_000_000) as i64 + minute * 60_000).collect();
    let matchers = [Matcher::equal("__name__", "test_total")];
    let mut found = None;
    for _ in 0..2 {
        store.trace(trace_id(7)).unwrap();
        let samples = store.select(&matchers, i64::MIN, i64::MAX).unwrap();
        let minutes = store.select_at(&matchers, &moments, 600_000).unwrap();
        found = Some(Found {
            spans: numbers(&store.spans(&query).unwrap()).len(),
            samples: samples.iter().map(|series| series.samples.len()).sum(),
            minutes: minutes.iter().map(|series| series.samples.len()).sum(),
            entities: store.entities(0, u64::MAX).unwrap().len(),
        });
    }
    found.unwrap()
}

#[test]
fn a_wrong_byte_anywhere_is_survived_named_and_costs_no_other_signal() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("store");
    filled(&sound);
    let running = sound.with_extension("running");
    let whole = {
        let check = dir.path().join("whole");
        copy(&running, &check);
        ask(&EmbeddedStore::open(&check, options(), decode).unwrap())
    };
    assert_eq!((whole.spans, whole.samples, whole.entities), (SPANS as usize + 10, POINTS as usize + 10, 1));
    let mut kinds = std::collections::BTreeSet::new();
    for file in files(&running) {
        let name = file.strip_prefix(&running).unwrap().to_str().unwrap().to_owned();
        let length = std::fs::metadata(&file).unwrap().len() as usize;
        kinds.insert(file.extension().unwrap_or(file.file_name().unwrap()).to_str().unwrap().to_owned());
        if name == "LOCK" || name == "FORMAT" || length == 0 {
            continue;
        }
        for place in (0..length).step_by(length.div_ceil(PLACES)) {
            damage_one(&running, &name, place, &whole);
        }
    }
    for kind in ["log", "batch-ids", "parquet", "block", "block-1m", "block-12m", "CHECKPOINT", "zst"] {
        assert!(kinds.contains(kind), "no file of the kind {kind} was tried: {kinds:?}");
    }
}

fn damage_one(running: &Path, name: &str, place: usize, whole: &Found) {
    let case = format!("{name} at {place}");
    let dir = tempfile::tempdir().unwrap();
    copy(running, dir.path());
    let path = dir.path().join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[place] ^= 0x5a;
    std::fs::write(&path, bytes).unwrap();
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap_or_else(|error| panic!("{case}: {error}"));
    let found = ask(&store);
    let of = |signal: &str| name.starts_with(signal) || name.starts_with("log/");
    assert!(found.spans == whole.spans || of("spans"), "{case}: {found:?}");
    let metrics = (found.samples, found.minutes) == (whole.samples, whole.minutes);
    assert!(metrics || of("metrics"), "{case}: {found:?}");
    assert!(metrics || !name.contains("block-"), "{case}: a coarse file holds nothing that is not in its block");
    assert!(found.entities == whole.entities || of("entities"), "{case}: {found:?}");
    let losses = store.status().losses;
    let is_named = losses.iter().any(|(cause, _)| cause.starts_with("damaged") || cause == "torn_tail_bytes");
    assert!(found == *whole || is_named, "{case}: {found:?}, and nothing says so: {losses:?}");
    // And it goes on.
    store.write(write_spans(5_000, 10)).unwrap();
    drop(store);
    let store = EmbeddedStore::open(dir.path(), options(), decode).unwrap();
    assert_eq!(ask(&store).spans, found.spans + 10, "{case}: after a restart");
}
