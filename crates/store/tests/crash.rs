//! `kill -9` at any moment, a torn log, a full disk: nothing acknowledged is lost and nothing is there twice.

mod common;

use common::*;
use limpid_model::batch::Signal;
use limpid_model::series::Value;
use limpid_model::{Matcher, SeriesSource};
use limpid_store::embedded::{EmbeddedStore, Options};
use limpid_store::{SpanQuery, Store, StoreError, Write, Written};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(dir, options(), decode).unwrap()
}

fn all_spans(store: &EmbeddedStore) -> Vec<u64> {
    let mut found = Vec::new();
    // In slices, since one answer has a limit.
    let total = store.status().spans;
    for first in (0..=total + 20_000).step_by(20_000) {
        let query = SpanQuery {
            start_ns: span(first).start_ns,
            end_ns: span(first + 20_000).start_ns - 1,
            limit: 50_000,
            ..SpanQuery::default()
        };
        found.extend(numbers(&store.spans(&query).unwrap()));
    }
    found.sort_unstable();
    found
}

fn all_points(store: &EmbeddedStore) -> Vec<u64> {
    let mut found = Vec::new();
    for series in store.select(&[Matcher::equal("__name__", "test_total")], i64::MIN, i64::MAX).unwrap() {
        for sample in series.samples {
            let Value::Float(value) = sample.value else { panic!("no float") };
            found.push(value as u64);
        }
    }
    found.sort_unstable();
    found
}

/// The rows of the acknowledged batches, of even (spans) or odd (points) number.
fn expected(acknowledged: &BTreeSet<u64>, parity: u64) -> BTreeSet<u64> {
    let rows = |number: &u64| number / 2 * BATCH_ROWS..(number / 2 + 1) * BATCH_ROWS;
    acknowledged.iter().filter(|number| *number % 2 == parity).flat_map(rows).collect()
}

fn check(found: &[u64], expected: &BTreeSet<u64>, what: &str) {
    let distinct: BTreeSet<u64> = found.iter().copied().collect();
    assert_eq!(distinct.len(), found.len(), "{what}: some are there twice");
    let missing: Vec<&u64> = expected.difference(&distinct).take(5).collect();
    assert!(
        missing.is_empty(),
        "{what}: {} acknowledged are missing, such as {missing:?}",
        expected.difference(&distinct).count()
    );
}

const FOLDER: &str = "LIMPID_CRASH_FOLDER";
const FIRST: &str = "LIMPID_CRASH_FIRST";

/// Batch n is spans for even n and points for odd n.
fn message(number: u64) -> Write {
    let (signal, kind) = if number.is_multiple_of(2) { (Signal::Traces, "spans") } else { (Signal::Metrics, "points") };
    let id = Some(u128::from(number).to_be_bytes());
    write(signal, format!("{kind} {} {BATCH_ROWS}", number / 2 * BATCH_ROWS), id)
}

fn restless() -> Options {
    Options {
        flush_rows: 300,
        flush_bytes: 16 << 10,
        flush_age: Duration::from_millis(50),
        metrics_flush_age: Duration::from_millis(50),
        segment_bytes: 8 << 10,
        metrics_partition: Duration::from_secs(60),
        ..options()
    }
}

/// No test but the process that the test kills: writes without end, and prints the number of each batch once it is
/// acknowledged. The limits are small, so that flushes, rotation and compaction are under way at any moment.
#[test]
#[ignore = "runs as a process of the crash test"]
fn writer_process() {
    let folder = std::env::var(FOLDER).expect("the crash test starts this");
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = EmbeddedStore::open(Path::new(&folder), restless(), decode).unwrap();
    eprintln!("open");
    std::thread::scope(|scope| {
        for parity in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for number in (first + parity..).step_by(2) {
                    store.write(message(number)).unwrap();
                    // One call a line: a line that is cut by the kill would name another number.
                    std::io::stderr().write_all(format!("{number}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

/// One run of the writer until it is killed; the batches it was told are stored.
fn run_and_kill(dir: &Path, first: u64, after: Duration) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "writer_process", "--nocapture"])
        .env(FOLDER, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let opened = lines.by_ref().find(|line| line == "open" || line.contains("panicked"));
    assert_eq!(opened.as_deref(), Some("open"));
    let reader = std::thread::spawn(move || lines.map(|line| line.parse().expect("a batch number")).collect());
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

#[test]
fn kill_9_loses_nothing_acknowledged_and_repeats_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rounds: u64 = std::env::var("LIMPID_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(25);
    let mut acknowledged = BTreeSet::new();
    let mut first = 0;
    for round in 0..rounds {
        let stored = run_and_kill(dir.path(), first, Duration::from_millis(3 + round * 37 % 150));
        acknowledged.extend(stored);
        // A batch that was written and not acknowledged is sent again with its id, as a client would.
        first = acknowledged.last().map_or(0, |last| last + 1) / 2 * 2;
    }
    assert!(acknowledged.len() as u64 > rounds, "only {} batches in {rounds} rounds", acknowledged.len());
    let store = open(dir.path());
    check(&all_spans(&store), &expected(&acknowledged, 0), "spans");
    check(&all_points(&store), &expected(&acknowledged, 1), "points");
}

#[test]
fn a_log_cut_at_any_byte_gives_all_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..6).for_each(|batch| assert_eq!(store.write(write_spans(batch * 5, 5)).unwrap(), Written::Stored));
    let log = std::fs::read_dir(dir.path().join("log")).unwrap().next().unwrap().unwrap().path();
    let bytes = std::fs::read(&log).unwrap();
    let name = log.file_name().unwrap().to_owned();
    drop(store);
    let record = bytes.len() / 6;
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("log")).unwrap();
        std::fs::write(dir.path().join("log").join(&name), &bytes[..cut]).unwrap();
        let store = open(dir.path());
        let whole = (0..6).take_while(|batch| encoded_end(&bytes, *batch) <= cut).count() as u64;
        assert_eq!(all_spans(&store).len() as u64, whole * 5, "cut at {cut}, records of about {record}");
        let torn =
            store.status().losses.iter().find(|(cause, _)| cause == "torn_tail_bytes").map_or(0, |(_, count)| *count);
        assert_eq!(torn, cut as u64 - if whole == 0 { 0 } else { encoded_end(&bytes, whole - 1) as u64 });
    }
}

/// Where record number `n` ends.
fn encoded_end(bytes: &[u8], n: u64) -> usize {
    (0..=n).fold(0, |at, _| at + 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize)
}

/// Needs root for its file system of a few megabytes; fails and says so without.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new(megabytes: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(dir.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "this test mounts a small tmpfs: run it as root");
        Tmpfs(dir)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_refuses_cleanly_keeps_what_was_stored_and_recovers() {
    let disk = Tmpfs::new(16);
    let dir = disk.0.path().join("data");
    let ballast = disk.0.path().join("ballast");
    let small = Options { flush_rows: 2000, segment_bytes: 64 << 10, ..options() };
    let store = EmbeddedStore::open(&dir, small.clone(), decode).unwrap();
    let (mut first, mut stored) = (0, BTreeSet::new());
    let mut write_some = |store: &EmbeddedStore, batches: u64| {
        let mut refused = 0;
        for _ in 0..batches {
            match store.write(long_message(first)) {
                Ok(_) => stored.extend(first..first + 200),
                Err(StoreError::Full(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            first += 200;
        }
        (refused, stored.clone())
    };
    for round in 0..4 {
        let (refused, _) = write_some(&store, 20);
        assert_eq!(refused, 0, "round {round}");
        // Everything that is left, to the last byte, in every phase that a flush may be in.
        fill(&ballast);
        let (refused, so_far) = write_some(&store, 30);
        assert!(refused > 0, "a full disk was not noticed");
        check(&all_spans(&store), &so_far, "while the disk is full");
        assert!(store.status().problem.is_some_and(|problem| problem.contains("full")));
        std::fs::remove_file(&ballast).unwrap();
        std::thread::sleep(Duration::from_millis(1100));
    }
    let (refused, so_far) = write_some(&store, 20);
    assert_eq!(refused, 0, "it works again");
    fill(&ballast);
    store.close();
    drop(store);
    // The last flush had no room: the rows are still in the log.
    std::fs::remove_file(&ballast).unwrap();
    let store = EmbeddedStore::open(&dir, small, decode).unwrap();
    check(&all_spans(&store), &so_far, "after a restart");
}

/// Flushes, coarse files, joins and checkpoints each meet the end of the disk at some time: what is left of it grows from
/// round to round.
#[test]
fn a_disk_that_fills_up_in_any_phase_loses_and_doubles_nothing() {
    let disk = Tmpfs::new(12);
    let (dir, ballast) = (disk.0.path().join("data"), disk.0.path().join("ballast"));
    let (mut acknowledged, mut next, mut refused) = (BTreeSet::new(), 0u64, 0);
    for round in 0..10u64 {
        let store = EmbeddedStore::open(&dir, restless(), decode).unwrap();
        fill(&ballast);
        let file = std::fs::File::options().write(true).open(&ballast).unwrap();
        file.set_len(file.metadata().unwrap().len().saturating_sub(round * round * 4096)).unwrap();
        // Open, it would keep its room after it is deleted.
        drop(file);
        for _ in 0..80 {
            match store.write(message(next)) {
                Ok(_) => drop(acknowledged.insert(next)),
                Err(StoreError::Full(_)) => refused += 1,
                Err(error) => panic!("round {round}: {error}"),
            }
            next += 1;
        }
        std::thread::sleep(Duration::from_millis(1200));
        check(&all_spans(&store), &expected(&acknowledged, 0), "spans on a full disk");
        check(&all_points(&store), &expected(&acknowledged, 1), "points on a full disk");
        if round % 2 == 0 {
            // Ends while there is no room, and begins with room.
            drop(store);
            std::fs::remove_file(&ballast).unwrap();
        } else {
            std::fs::remove_file(&ballast).unwrap();
            let deadline = Instant::now() + Duration::from_secs(120);
            while let Some(problem) = store.status().problem {
                assert!(Instant::now() < deadline, "round {round}: with room again there is still: {problem}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    assert!(refused > 0 && acknowledged.len() > 100, "{refused} refused, {} stored", acknowledged.len());
    let store = open(&dir);
    check(&all_spans(&store), &expected(&acknowledged, 0), "spans at the end");
    check(&all_points(&store), &expected(&acknowledged, 1), "points at the end");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_in_one_line() {
    let disk = Tmpfs::new(1);
    let dir = disk.0.path().join("data");
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.0.path()).status().unwrap();
    assert!(remounted.success());
    let refused = EmbeddedStore::open(&dir, options(), decode).map(|_| ()).unwrap_err();
    let text = refused.to_string();
    assert!(matches!(refused, StoreError::Open(_)) && text.contains("write access") && !text.contains('\n'), "{text}");
}

/// As long as 200 spans are on the wire.
fn long_message(first: u64) -> Write {
    write(Signal::Traces, format!("spans {first} 200 {:20000}", ""), None)
}

fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    let block = vec![7u8; 4096];
    while file.write_all(&block).is_ok() {}
}
