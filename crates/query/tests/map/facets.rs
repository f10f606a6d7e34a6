//! Facets, differences and the heat map of a search.

use crate::world::{SECOND_NS, TestSpan, World};
use limpid_query::traces::{Exploration, Facet, Rectangle, TraceQuery, explore};

const HOUR: u64 = 3600;

fn call(
    world: &World,
    trace: u8,
    service: &'static str,
    at_s: u64,
    ms: u64,
    error: bool,
    node: &'static str,
) -> TestSpan {
    TestSpan {
        trace,
        id: trace,
        parent: None,
        kind: 2,
        error,
        start_ns: world.t0 + at_s * SECOND_NS,
        duration_ns: ms * 1_000_000,
        name: "POST /checkout",
        service,
        attributes: vec![("node", node), ("limpid.sampling.probability", "\"0.25\"")],
    }
}

fn found(world: &World, q: &str, rectangle: Option<Rectangle>, by: Option<&str>) -> Exploration {
    let query =
        TraceQuery { start_ns: world.t0, end_ns: world.t0 + HOUR * SECOND_NS, q: q.into(), ..TraceQuery::default() };
    explore(&world.store, &query, rectangle, by).expect("an answer")
}

fn facet<'a>(found: &'a Exploration, key: &str) -> &'a Facet {
    found.facets.iter().find(|facet| facet.key == key).unwrap_or_else(|| panic!("no facet {key}: {:?}", found.facets))
}

/// Eighty quick ones on node a and b, twenty slow ones of which all but two are on b and half fail; one of another service.
fn shop() -> World {
    let world = World::new();
    let quick =
        |at: u8| call(&world, at, "shop", u64::from(at) * 30, 5, false, if at % 2 == 0 { "\"a\"" } else { "\"b\"" });
    let slow = |at: u8| {
        call(&world, 100 + at, "shop", 2400 + u64::from(at), 2000, at % 2 == 0, if at < 2 { "\"a\"" } else { "\"b\"" })
    };
    let mut spans: Vec<TestSpan> = (0..80).map(quick).chain((0..20).map(slow)).collect();
    spans.push(call(&world, 200, "other", 10, 5, false, "\"c\""));
    world.spans(&spans);
    world
}

#[test]
fn an_outcome_selects_and_the_rest_is_what_it_is_compared_with() {
    let world = shop();
    let slow = found(&world, "service:shop duration:>1s", None, None);
    assert_eq!((slow.traces, slow.selected, slow.failed, slow.selects), (100, 20, 10, true));
    assert!(slow.complete);
    assert_eq!(slow.requests, 400, "each of them stands for four");
    let node = facet(&slow, "node");
    let values: Vec<_> = node.values.iter().map(|value| (value.value.as_str(), value.traces, value.failed)).collect();
    assert_eq!(values, [("b", 18, 9), ("a", 2, 1)], "counted are the selected ones");
    let first = &slow.apart[0];
    assert_eq!((first.key.as_str(), first.value.as_str()), ("limpid.failed_at", "shop POST /checkout"));
    assert_eq!((first.selected, first.others), (0.5, 0.0));
    let on_b = slow.apart.iter().find(|one| one.key == "node").expect("the node sets them apart");
    assert_eq!((on_b.value.as_str(), on_b.selected, on_b.others), ("b", 0.9, 0.5));
    assert!(slow.apart.iter().all(|one| !one.key.starts_with("limpid.sampling")));
}

#[test]
fn a_rectangle_of_the_heat_map_selects_too() {
    let world = shop();
    let all = found(&world, "service:shop", None, None);
    assert_eq!((all.traces, all.selected, all.selects), (100, 100, false));
    assert!(all.apart.is_empty(), "nothing is selected, so nothing is set apart");
    let cells: f64 = all.heat.cells.iter().map(|cell| cell.traces).sum();
    assert_eq!(cells, 100.0);
    let failed: f64 = all.heat.cells.iter().map(|cell| cell.failed).sum();
    assert_eq!(failed, 10.0);
    let part = Rectangle {
        start_ns: world.t0 + 2400 * SECOND_NS,
        end_ns: world.t0 + 2409 * SECOND_NS,
        min_duration_ns: 1_000_000_000,
        max_duration_ns: 3_000_000_000,
    };
    let some = found(&world, "service:shop", Some(part), None);
    assert_eq!((some.selected, some.failed), (10, 5));
    assert!(!some.apart.is_empty());
}

#[test]
fn a_minus_and_words_narrow_what_is_counted() {
    let world = shop();
    assert_eq!(found(&world, "-service:other", None, None).traces, 100);
    assert_eq!(found(&world, "-node:a", None, None).traces, 40 + 18 + 1);
    assert_eq!(found(&world, "checkout service:other", None, None).traces, 1);
    assert_eq!(found(&world, "nothing", None, None).traces, 0);
}

#[test]
fn a_facet_that_is_asked_for_shows_more_of_its_values() {
    let world = World::new();
    // Thirty values for sixty traces: each names two, which groups little, but not none.
    const NODES: [&str; 30] = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20",
        "21", "22", "23", "24", "25", "26", "27", "28", "29", "30",
    ];
    let spans: Vec<TestSpan> =
        (0..60).map(|at| call(&world, at, "shop", u64::from(at), 5, false, NODES[usize::from(at) % 30])).collect();
    world.spans(&spans);
    assert!(
        found(&world, "", None, None).facets.iter().all(|facet| facet.key != "node"),
        "it names, it does not group"
    );
    let asked = found(&world, "", None, Some("node"));
    assert_eq!(
        (asked.facets[0].key.as_str(), asked.facets[0].values.len(), asked.facets[0].distinct),
        ("node", 30, 30)
    );
}

#[test]
fn several_facets_are_asked_for_at_once() {
    let world = shop();
    let keys =
        |by| found(&world, "service:shop", None, by).facets.into_iter().map(|facet| facet.key).collect::<Vec<_>>();
    assert!(!keys(None).contains(&"service".to_owned()), "with one value it groups nothing");
    let mut first = keys(Some("name,service"));
    first.truncate(2);
    first.sort();
    assert_eq!(first, ["name", "service"]);
}

#[test]
fn of_more_than_can_be_read_an_equal_part_of_all_times_is() {
    let world = World::new();
    // A hundred times as many in the last quarter of an hour as before.
    for part in 0..12u64 {
        let spans = (0..10_000u64).map(|at| {
            let at_s = if at % 100 == 0 { at * 27 / 100 } else { 2700 + at * 9 / 100 };
            call(&world, ((at + part * 7) % 250) as u8, "shop", at_s, 5 + part, false, "\"a\"")
        });
        world.spans(&spans.collect::<Vec<_>>());
    }
    let found = found(&world, "service:shop", None, None);
    assert!(!found.complete);
    assert!((0.5..1.0).contains(&found.share), "{}", found.share);
    assert!((40_000..=62_000).contains(&found.spans_read), "{}", found.spans_read);
    let columns: std::collections::BTreeSet<usize> = found.heat.cells.iter().map(|cell| cell.x).collect();
    assert!(columns.first() < Some(&10) && columns.last() >= Some(&54), "from all times: {columns:?}");
}
