//! The store as its users see it: what is written is found, in memory, in files and after a restart.

mod common;

use common::*;
use limpid_model::batch::Signal;
use limpid_model::{Matcher, SeriesSource};
use limpid_store::embedded::EmbeddedStore;
use limpid_store::{EventQuery, Order, SpanQuery, Store, StoreError, Written};
use std::path::Path;

fn open(dir: &Path) -> EmbeddedStore {
    EmbeddedStore::open(dir, options(), decode).unwrap()
}

fn everything(limit: usize) -> SpanQuery {
    SpanQuery { start_ns: 0, end_ns: u64::MAX, limit, ..SpanQuery::default() }
}

/// Runs the check on the store with the head in memory, then in files, then after a restart.
fn in_every_state(dir: &Path, check: impl Fn(&EmbeddedStore)) {
    let store = open(dir);
    for first in (0..4000).step_by(100) {
        assert_eq!(store.write(write_spans(first, 100)).unwrap(), Written::Stored);
        store.write(write_points(first, 100)).unwrap();
    }
    check(&store);
    store.close();
    drop(store);
    for _ in 0..2 {
        let store = open(dir);
        check(&store);
    }
}

#[test]
fn only_the_named_columns_are_read() {
    let dir = tempfile::tempdir().unwrap();
    in_every_state(dir.path(), |store| {
        let query = SpanQuery { select: Some(&["duration_ns", "service"]), ..everything(50) };
        let narrow = store.spans(&query).unwrap();
        let names: Vec<_> = narrow[0].schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names, ["duration_ns", "service"]);
        assert_eq!(durations(&narrow), durations(&store.spans(&everything(50)).unwrap()));
        // What decides need not be among what is wanted.
        let rare = vec![("test.number".into(), "1234".into())];
        let found = store.spans(&SpanQuery { attributes: rare, ..query }).unwrap();
        assert_eq!(durations(&found), [span(1234).duration_ns]);
    });
}

/// Enough for several pages of each service: most are left out once better rows are known.
const MANY: u64 = 60_000;

#[test]
fn the_best_of_many_pages_are_the_best_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (0..MANY / 5_000).for_each(|part| {
        store.write(write_spans(part * 5_000, 5_000)).unwrap();
    });
    store.close();
    drop(store);
    let store = open(dir.path());
    let of_service = |number: &u64, service: Option<u64>| service.is_none_or(|service| number % 5 == service);
    for (service, min_duration_ns) in [(None, None), (Some(2), None), (None, Some(400_000)), (Some(4), Some(900_000))] {
        let columns = service.map(|service| ("service".to_owned(), format!("service-{service}")));
        let query = SpanQuery { columns: columns.into_iter().collect(), min_duration_ns, ..everything(300) };
        let fits = |number: &u64| {
            of_service(number, service) && min_duration_ns.is_none_or(|least| span(*number).duration_ns >= least)
        };
        let all: Vec<u64> = (0..MANY).filter(fits).collect();
        let newest: Vec<u64> = all.iter().rev().take(300).copied().collect();
        assert_eq!(numbers(&store.spans(&query).unwrap()), newest, "{query:?}");
        let mut longest: Vec<u64> = all.iter().map(|number| span(*number).duration_ns).collect();
        longest.sort_unstable_by(|left, right| right.cmp(left));
        let slowest = store.spans(&SpanQuery { order: Order::Slowest, ..query.clone() }).unwrap();
        assert_eq!(durations(&slowest), longest[..300], "{query:?}");
        let mut visited = Vec::new();
        let each = &mut |batch: &arrow_array::RecordBatch| {
            visited.extend(numbers(std::slice::from_ref(batch)));
            true
        };
        store.each_span(&query, &["span_id"], each).unwrap();
        visited.sort_unstable();
        assert_eq!(visited, all, "all of them are visited once: {query:?}");
    }
}

#[test]
fn a_visit_reads_attributes_wherever_they_are_and_ends_when_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    in_every_state(dir.path(), |store| {
        let query = SpanQuery { columns: vec![("service".into(), "service-3".into())], ..everything(1) };
        let (mut methods, mut of_numbers, mut calls) = (0, 0, 0);
        let columns = ["attributes.http.request.method", "attributes.test.number", "attributes.nobody.has.this"];
        let mut each = |batch: &arrow_array::RecordBatch| {
            use arrow_array::Array;
            let valid = |name: &str| batch.column_by_name(name).map_or(0, |column| column.len() - column.null_count());
            methods += valid(columns[0]);
            of_numbers += valid(columns[1]);
            assert_eq!(valid(columns[2]), 0);
            true
        };
        store.each_span(&query, &columns, &mut each).unwrap();
        assert_eq!((methods, of_numbers), (800, 800));
        let mut first = |_: &arrow_array::RecordBatch| {
            calls += 1;
            false
        };
        store.each_span(&query, &["start"], &mut first).unwrap();
        assert_eq!(calls, 1);
    });
}

#[test]
fn spans_are_found_by_every_condition() {
    let dir = tempfile::tempdir().unwrap();
    in_every_state(dir.path(), |store| {
        let newest = numbers(&store.spans(&everything(10)).unwrap());
        assert_eq!(newest, (3990..4000).rev().collect::<Vec<_>>());
        let slowest = durations(&store.spans(&SpanQuery { order: Order::Slowest, ..everything(50) }).unwrap());
        let mut all: Vec<u64> = (0..4000).map(|number| span(number).duration_ns).collect();
        all.sort_unstable_by(|left, right| right.cmp(left));
        assert_eq!(slowest, all[..50]);

        let query =
            SpanQuery { columns: vec![("service".into(), "service-3".into())], errors: true, ..everything(1000) };
        let expected: Vec<u64> = (0..4000).rev().filter(|number| number % 5 == 3 && number % 10 == 3).collect();
        assert_eq!(numbers(&store.spans(&query).unwrap()), expected);

        let query = SpanQuery { start_ns: span(100).start_ns, end_ns: span(200).start_ns, ..everything(1000) };
        assert_eq!(numbers(&store.spans(&query).unwrap()), (100..=200).rev().collect::<Vec<_>>());

        let query = SpanQuery { attributes: vec![("test.number".into(), "1234".into())], ..everything(10) };
        assert_eq!(numbers(&store.spans(&query).unwrap()), [1234]);
        let both = vec![("host.name".into(), "h1".into()), ("http.request.method".into(), "GET".into())];
        let query =
            SpanQuery { attributes: both, start_ns: span(10).start_ns, end_ns: span(15).start_ns, ..everything(10) };
        assert_eq!(numbers(&store.spans(&query).unwrap()), [15, 13, 11]);
        let query = SpanQuery { attributes: vec![("process.pid".into(), "4".into())], ..everything(3) };
        assert_eq!(numbers(&store.spans(&query).unwrap()), [3999, 3994, 3989]);

        let query = SpanQuery { min_duration_ns: Some(5000), max_duration_ns: Some(9000), ..everything(4000) };
        let expected: Vec<u64> =
            (0..4000).rev().filter(|number| (5000..=9000).contains(&span(*number).duration_ns)).collect();
        assert_eq!(numbers(&store.spans(&query).unwrap()), expected);

        let nothing = SpanQuery { columns: vec![("service".into(), "nobody".into())], ..everything(10) };
        assert!(store.spans(&nothing).unwrap().is_empty());
        assert!(matches!(store.spans(&everything(usize::MAX)), Err(StoreError::TooMuch(_))));
        assert_eq!(store.status().spans, 4000);
    });
}

#[test]
fn a_trace_is_found_whole() {
    let dir = tempfile::tempdir().unwrap();
    in_every_state(dir.path(), |store| {
        let mut found = numbers(&store.trace(trace_id(77)).unwrap());
        found.sort_unstable();
        assert_eq!(found, [308, 309, 310, 311]);
        assert!(store.trace([9; 16]).unwrap().is_empty());
    });
}

#[test]
fn series_are_found_with_all_their_samples() {
    let dir = tempfile::tempdir().unwrap();
    in_every_state(dir.path(), |store| {
        let matchers = [Matcher::equal("__name__", "test_total"), Matcher::equal("series", "7")];
        let series = store.select(&matchers, i64::MIN, i64::MAX).unwrap();
        assert_eq!(series.len(), 1);
        let expected: Vec<_> = (0..400).map(|at| point(at * 10 + 7).sample).collect();
        assert_eq!(series[0].samples, expected);
        assert_eq!(series[0].starts, vec![1; 400]);
        assert_eq!(store.series(&matchers[..1], i64::MIN, i64::MAX).unwrap().len(), 10);
    });
}

#[test]
fn a_retry_is_stored_once_also_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let retry = |first: u64| write(Signal::Traces, format!("spans {first} 10"), Some([first as u8; 16]));
    let store = open(dir.path());
    assert_eq!(store.write(retry(0)).unwrap(), Written::Stored);
    assert_eq!(store.write(retry(0)).unwrap(), Written::Duplicate);
    assert_eq!(store.write(retry(10)).unwrap(), Written::Stored);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.write(retry(10)).unwrap(), Written::Duplicate);
    assert_eq!(store.write(retry(20)).unwrap(), Written::Stored);
    assert_eq!(store.status().spans, 30);
    assert!(store.status().losses.contains(&("duplicate_batches".to_owned(), 1)));
}

#[test]
fn entities_stay() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = open(dir.path());
        for name in ["service:default/a", "service:default/b", "service:default/a"] {
            store.write(write(Signal::Logs, format!("entity {name}"), None)).unwrap();
        }
        assert_eq!(store.entities(T0_NS, T0_NS + 1).unwrap().len(), 2);
        assert!(store.entities(0, T0_NS - 1).unwrap().is_empty());
    }
}

#[test]
fn nothing_is_written_after_the_end_and_one_process_holds_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let second = EmbeddedStore::open(dir.path(), options(), decode).map(|_| ());
    assert!(matches!(second, Err(StoreError::Open(text)) if text.contains("in use by another process")));
    store.close();
    assert!(matches!(store.write(write_spans(0, 1)), Err(StoreError::Closed)));
    assert!(store.events(&EventQuery { end_ns: u64::MAX, limit: 5, ..EventQuery::default() }).unwrap().is_empty());
}

#[test]
fn a_newer_format_and_an_unusable_folder_are_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    std::fs::write(dir.path().join("FORMAT"), "2\n").unwrap();
    let refused = EmbeddedStore::open(dir.path(), options(), decode).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("has format 2") && refused.contains("format 1") && !refused.contains('\n'), "{refused}");
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = EmbeddedStore::open(&file, options(), decode).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("data folder") && !refused.contains('\n'), "{refused}");
}
