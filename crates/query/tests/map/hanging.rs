//! Callees that hang: judged by what waits for an answer, against what usually takes how long.

use crate::world::{Flow, SECOND_NS, World};
use crate::{HOUR, edge, map, node};
use limpid_query::topology::{Level, Reason, Status, Topology};

const END: u64 = 2 * HOUR;

fn link<'a>(service: &'a str, peer: &'a str, protocol: &'a str, side: &'a str) -> Vec<(&'static str, &'a str)> {
    let (peer, address) = if peer.contains('.') { ("", peer) } else { (peer, "") };
    let labels = [("service", service), ("peer", peer), ("peer_address", address), ("protocol", protocol)];
    labels.into_iter().chain([("side", side), ("host", "alpha")]).collect()
}

/// Nothing is answered from `since` (seconds after `t0`) on.
fn waits(world: &World, link: &[(&'static str, &str)], requests: u64, since: u64) {
    let waiting = |second: u64| second > since;
    world.counter("limpid_requests_pending", link, END, |second| if waiting(second) { requests } else { 0 });
    world.counter("limpid_requests_pending_age_seconds", link, END, |second| second.saturating_sub(since));
}

fn talk(world: &World, caller: &str, callee: &str, protocol: &str, ms: u64) {
    world.flow(&Flow::client(caller, callee, protocol).rate(10, ms), END);
    world.flow(&Flow::server(callee, caller, protocol).rate(10, ms), END);
}

fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(|reason| reason.text.replace('\u{2009}', " ")).collect()
}

fn second_hour(world: &World) -> Topology {
    map(world, Level::Service)
}

#[test]
fn a_callee_that_hangs_is_critical_within_seconds_and_its_callers_are_affected() {
    let world = World::new();
    talk(&world, "web", "reviews", "http", 8);
    talk(&world, "reviews", "mariadbd", "mysql", 2);
    waits(&world, &link("web", "reviews", "http", "client"), 12, END - 14);
    waits(&world, &link("reviews", "web", "http", "server"), 12, END - 14);
    waits(&world, &link("reviews", "mariadbd", "mysql", "client"), 4, END - 15);
    let map = second_hour(&world);
    let database = node(&map, "service:default/mariadbd");
    assert_eq!(database.status, Status::Critical, "{database:?}");
    assert_eq!((database.reasons[0].kind, database.reasons[0].value.as_str()), ("pending", "15\u{2009}s"));
    let text = &texts(&database.reasons)[0];
    assert!(text.starts_with("4 requests wait for an answer, the oldest for 15 s, usually 2"), "{text}");
    assert_eq!(database.reasons[0].since_ns, world.t0 + (END - 15) * SECOND_NS);
    assert_eq!(edge(&map, "/reviews", "/mariadbd").status, Status::Critical);
    let reviews = node(&map, "service:default/reviews");
    assert_eq!(reviews.status, Status::Affected, "{:?}", reviews.reasons);
    let text = &texts(&reviews.reasons)[0];
    assert!(
        text.starts_with("12 requests wait for an answer, the oldest for 14 s"),
        "both sides tell of the same: {text}"
    );
    assert!(text.ends_with("; a consequence of mariadbd"), "{text}");
    assert_eq!(edge(&map, "/web", "/reviews").status, Status::Affected);
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
}

#[test]
fn what_waits_less_than_five_seconds_or_has_been_answered_is_no_hang() {
    let world = World::new();
    talk(&world, "web", "shop", "http", 8);
    waits(&world, &link("web", "shop", "http", "client"), 3, END - 5);
    assert_eq!(edge(&second_hour(&world), "/web", "/shop").status, Status::Ok);
    let world = World::new();
    talk(&world, "web", "shop", "http", 8);
    world.counter("limpid_requests_pending", &link("web", "shop", "http", "client"), END - 20, |_| 3);
    world.counter("limpid_requests_pending_age_seconds", &link("web", "shop", "http", "client"), END - 20, |_| 30);
    assert_eq!(edge(&second_hour(&world), "/web", "/shop").status, Status::Ok, "nobody has told of it for a while");
}

#[test]
fn slow_calls_wait_for_as_long_as_they_always_do() {
    let world = World::new();
    talk(&world, "web", "reports", "http", 4_000);
    waits(&world, &link("web", "reports", "http", "client"), 40, END - 15);
    assert_eq!(edge(&second_hour(&world), "/web", "/reports").status, Status::Ok, "five times 4 s is 20 s");
    let world = World::new();
    talk(&world, "web", "reports", "http", 4_000);
    waits(&world, &link("web", "reports", "http", "client"), 40, END - 25);
    assert_eq!(edge(&second_hour(&world), "/web", "/reports").status, Status::Critical);
}

/// Beside many quick requests some long polls of 29 s: fewer than the 99th percentile would tell of.
fn long_polls(world: &World) {
    talk(world, "web", "shop", "http", 5);
    let polls = Flow::client("web", "shop", "http").with("resource", "/events").rate(1, 29_000).between(300, 350);
    world.flow(&polls, END);
}

#[test]
fn a_long_poll_beside_quick_requests_is_no_hang_and_many_requests_are() {
    let world = World::new();
    long_polls(&world);
    waits(&world, &link("web", "shop", "http", "client"), 1, END - 28);
    assert_eq!(edge(&second_hour(&world), "/web", "/shop").status, Status::Ok);
    let world = World::new();
    long_polls(&world);
    waits(&world, &link("web", "shop", "http", "client"), 20, END - 10);
    assert_eq!(edge(&second_hour(&world), "/web", "/shop").status, Status::Critical);
    let world = World::new();
    long_polls(&world);
    waits(&world, &link("web", "shop", "http", "client"), 1, END - 50);
    assert_eq!(edge(&second_hour(&world), "/web", "/shop").status, Status::Critical, "no poll ever took that long");
}

#[test]
fn a_server_that_never_answered_anything_is_there_and_critical() {
    let world = World::new();
    talk(&world, "gateway", "web", "http", 5);
    waits(&world, &link("web", "10.9.9.9:8080", "http", "client"), 1, END - 15);
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "10.9.9.9:8080");
    assert_eq!((edge.protocol.as_str(), edge.status, edge.requests), ("http", Status::Critical, 0));
    assert_eq!(texts(&edge.reasons), ["1 request waits for an answer, for 15 s so far"]);
    assert_eq!(node(&map, "external:10.9.9.9:8080").status, Status::Critical);
}

#[test]
fn what_could_not_be_told_yet_is_the_protocol_that_is_spoken_there() {
    let world = World::new();
    talk(&world, "web", "cache", "redis", 1);
    waits(&world, &link("web", "cache", "tcp", "client"), 2, END - 15);
    assert_eq!(edge(&second_hour(&world), "/web", "/cache").status, Status::Critical);
    let world = World::new();
    talk(&world, "gateway", "web", "http", 5);
    waits(&world, &link("web", "logs", "tcp", "client"), 1, END - 600);
    let map = second_hour(&world);
    assert_eq!(map.edges.len(), 1, "a client that only talks (a log shipper) waits for nothing");
}
