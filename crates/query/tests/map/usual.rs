//! What is usual, over a day: a failure that lasts stays one, and what was usual before it is not forgotten.

use crate::world::{Flow, SECOND_NS, World};
use crate::{HOUR, edge, node};
use limpid_query::topology::{self, Status, Topology, TopologyQuery};

const DAY: u64 = 24 * HOUR;
/// The half hour that the console looks at.
const RANGE: u64 = HOUR / 2;

/// A world of a day that ends now, by and large.
fn day() -> World {
    let mut world = World::new();
    world.t0 -= DAY - 4 * HOUR;
    world
}

fn until(world: &World, second: u64) -> Topology {
    let (start, end) = (world.t0 + (second - RANGE) * SECOND_NS, world.t0 + second * SECOND_NS);
    topology::topology(&world.store, start, end, &TopologyQuery::default()).expect("a map")
}

fn serves(world: &World, ms: u64, from: u64, to: u64) {
    let resource = format!("/{ms}/{from}");
    let flow = Flow::server("shop", "web", "http").with("resource", &resource).rate(1, ms).between(from, to);
    world.flow(&flow, to);
}

#[test]
fn a_slowness_that_lasts_for_hours_never_becomes_usual_and_ends_when_it_ends() {
    let world = day();
    let (begins, ends) = (12 * HOUR, 21 * HOUR);
    serves(&world, 5, 0, begins);
    serves(&world, 400, begins, ends);
    serves(&world, 5, ends, DAY);
    for half_hour in 2..48 {
        let second = half_hour * HOUR / 2;
        let shop = until(&world, second).nodes.into_iter().find(|node| node.name == "shop").expect("shop");
        let is_slow = second > begins && second <= ends;
        let expected = if is_slow { Status::Warning } else { Status::Ok };
        assert_eq!(shop.status, expected, "{} h: {:?}", second as f64 / 3600.0, shop.reasons);
        if is_slow {
            assert!(
                shop.reasons[0].usual.as_ref().is_some_and(|usual| usual.starts_with('5') || usual.starts_with('4'))
            );
        }
    }
}

#[test]
fn what_is_slow_for_longer_than_half_a_day_is_usual_then() {
    let world = day();
    serves(&world, 5, 0, 2 * HOUR);
    serves(&world, 400, 2 * HOUR, DAY);
    assert_eq!(node(&until(&world, 11 * HOUR), "service:default/shop").status, Status::Warning);
    assert_eq!(node(&until(&world, 20 * HOUR), "service:default/shop").status, Status::Ok);
}

#[test]
fn an_incident_long_over_does_not_hide_the_next_one() {
    let world = day();
    serves(&world, 400, 8 * HOUR, 11 * HOUR);
    serves(&world, 5, 11 * HOUR, 20 * HOUR);
    serves(&world, 400, 20 * HOUR, 21 * HOUR);
    assert_eq!(node(&until(&world, 20 * HOUR), "service:default/shop").status, Status::Ok);
    assert_eq!(node(&until(&world, 20 * HOUR + 600), "service:default/shop").status, Status::Warning);
}

#[test]
fn failures_that_last_stay_critical_and_what_was_usual_stays_none() {
    let world = day();
    world.flow(&Flow::server("shop", "web", "http").rate(1, 5).between(0, DAY), DAY);
    world.flow(&Flow::server("shop", "web", "http").rate(1, 5).failing("error").between(12 * HOUR, DAY), DAY);
    for hour in 13..24 {
        let map = until(&world, hour * HOUR);
        let shop = node(&map, "service:default/shop");
        assert_eq!(shop.status, Status::Critical, "{hour} h");
        assert!(hour > 21 || shop.reasons[0].usual.as_deref() == Some("0\u{2009}%"), "{hour} h: {:?}", shop.reasons);
    }
}

#[test]
fn a_system_that_is_younger_than_the_range_is_judged_by_its_own_beginning() {
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http").rate(10, 5).between(0, 900), 900);
    let slow = Flow::server("shop", "web", "http").with("resource", "/slow").rate(10, 400).between(900, RANGE);
    world.flow(&slow, RANGE);
    assert_eq!(node(&until(&world, RANGE), "service:default/shop").status, Status::Warning);
    let always = World::new();
    always.flow(&Flow::server("shop", "web", "http").rate(10, 400).between(0, RANGE), RANGE);
    assert_eq!(node(&until(&always, RANGE), "service:default/shop").status, Status::Ok);
}

#[test]
fn a_service_that_went_hours_ago_is_no_node() {
    let world = day();
    world.flow(&Flow::client("web", "shop", "http").rate(1, 5).between(0, DAY), DAY);
    world.flow(&Flow::server("old", "web", "http").rate(1, 5).between(12 * HOUR, 14 * HOUR), 14 * HOUR);
    let map = until(&world, 18 * HOUR);
    assert!(
        map.nodes.iter().all(|node| node.name != "old"),
        "{:?}",
        map.nodes.iter().map(|n| &n.name).collect::<Vec<_>>()
    );
    assert_eq!(edge(&map, "/web", "/shop").status, Status::Ok);
}
