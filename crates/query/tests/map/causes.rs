//! Who is the cause and who only suffers from it.

use crate::world::{Flow, SECOND_NS, World};
use crate::{HOUR, edge, map, node};
use limpid_query::topology::{self, Level, Status, Topology, TopologyQuery};

const END: u64 = 2 * HOUR;
const BROKEN: u64 = END - 600;

fn talk(world: &World, caller: &str, callee: &str, protocol: &str, (from, to): (u64, u64)) {
    world.flow(&Flow::client(caller, callee, protocol).between(from, to), END);
    world.flow(&Flow::server(callee, caller, protocol).between(from, to), END);
}

fn fails(world: &World, caller: &str, callee: &str, per_second: u64) {
    let bad = |flow: Flow| flow.rate(per_second, 5).failing("error").between(BROKEN, END);
    world.flow(&bad(Flow::client(caller, callee, "http")), END);
    world.flow(&bad(Flow::server(callee, caller, "http")), END);
}

fn refused(peer: &str) -> Flow {
    let flow = Flow::client("cart", peer, "tcp").with("operation", "connect").with("code", "ECONNREFUSED");
    Flow { per_second: 1, ..flow.failing("error") }.between(BROKEN, END)
}

fn second_hour(world: &World) -> Topology {
    map(world, Level::Service)
}

#[test]
fn a_service_whose_own_pool_is_exhausted_is_the_cause_while_its_database_is_as_quick_as_ever() {
    let world = World::new();
    talk(&world, "web", "reviews", "http", (0, BROKEN));
    talk(&world, "reviews", "mariadbd", "mysql", (0, END));
    // Pages wait for a connection; the exports that have them all are slow statements, which nobody asked for before.
    for flow in [Flow::client("web", "reviews", "http"), Flow::server("reviews", "web", "http")] {
        world.flow(&flow.with("resource", "/").with("code", "200").rate(10, 3_500).between(BROKEN, END), END);
    }
    for flow in [Flow::client("reviews", "mariadbd", "mysql"), Flow::server("mariadbd", "reviews", "mysql")] {
        world.flow(&flow.with("resource", "SELECT SLEEP(?)").rate(2, 3_000).between(BROKEN, END), END);
    }
    let map = second_hour(&world);
    let reviews = node(&map, "service:default/reviews");
    assert_eq!((reviews.status, reviews.reasons[0].kind), (Status::Warning, "latency"), "{:?}", reviews.reasons);
    assert!(!reviews.reasons[0].text.contains("consequence"), "{:?}", reviews.reasons);
    let database = node(&map, "service:default/mariadbd");
    assert_eq!(database.status, Status::Ok, "{:?}", database.reasons);
    assert_eq!(edge(&map, "/reviews", "/mariadbd").status, Status::Ok);
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
}

#[test]
fn a_database_whose_known_statements_became_slow_is_the_cause() {
    let world = World::new();
    for (from, to, ms, code) in [(0, BROKEN, 5, ""), (BROKEN, END, 3_000, "00000")] {
        let flow = |flow: Flow| flow.with("code", code).rate(10, ms).between(from, to);
        for (caller, callee, protocol) in [("web", "reviews", "http"), ("reviews", "mariadbd", "mysql")] {
            world.flow(&flow(Flow::client(caller, callee, protocol)), END);
            world.flow(&flow(Flow::server(callee, caller, protocol)), END);
        }
    }
    let map = second_hour(&world);
    assert_eq!(node(&map, "service:default/mariadbd").status, Status::Warning);
    assert_eq!(node(&map, "service:default/reviews").status, Status::Affected);
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
}

#[test]
fn who_fails_since_its_dependency_refuses_is_affected_however_seldom_it_tries() {
    let world = World::new();
    talk(&world, "web", "cart", "http", (0, BROKEN));
    talk(&world, "cart", "redis", "redis", (0, BROKEN));
    fails(&world, "web", "cart", 10);
    world.flow(&refused("redis"), END);
    let map = second_hour(&world);
    assert_eq!(node(&map, "service:default/redis").status, Status::Critical);
    assert_eq!(edge(&map, "/cart", "/redis").status, Status::Critical);
    let cart = node(&map, "service:default/cart");
    assert_eq!(cart.status, Status::Affected, "{:?}", cart.reasons);
    assert!(cart.reasons[0].text.ends_with("; a consequence of redis"), "{:?}", cart.reasons);
    assert_eq!(edge(&map, "/web", "/cart").status, Status::Affected);
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
}

#[test]
fn what_never_worked_or_broke_later_explains_no_failures() {
    let world = World::new();
    talk(&world, "web", "cart", "http", (0, END));
    fails(&world, "web", "cart", 10);
    world.flow(&refused("10.9.9.9:4318"), END);
    let cart = |world: &World| node(&second_hour(world), "service:default/cart").status;
    assert_eq!(cart(&world), Status::Critical, "a collector that was never there");
    let world = World::new();
    talk(&world, "web", "cart", "http", (0, END));
    talk(&world, "cart", "redis", "redis", (0, END));
    fails(&world, "web", "cart", 10);
    world.flow(&Flow { from: END - 120, ..refused("redis") }, END);
    assert_eq!(cart(&world), Status::Critical, "it failed before");
}

#[test]
fn where_nobody_listens_any_more_is_still_called_by_its_service() {
    let world = World::new();
    world.entity("host:a", "host", "alpha", &[("host.ip", "10.0.0.1")]);
    let listens =
        [("limpid.service", "service:default/redis"), ("limpid.host", "host:a"), ("limpid.listen", "127.0.0.1:6379")];
    world.entity_until("process:a/redis-1", "process", "redis", &listens, BROKEN - HOUR);
    talk(&world, "web", "cart", "http", (0, BROKEN));
    fails(&world, "web", "cart", 10);
    world.flow(&refused("127.0.0.1:6379"), END);
    let (start, end) = (world.t0 + (END - 300) * SECOND_NS, world.t0 + END * SECOND_NS);
    let map = topology::topology(&world.store, start, end, &TopologyQuery::default()).expect("a map");
    assert_eq!(node(&map, "service:default/redis").status, Status::Critical, "it ended more than an hour before");
    assert_eq!(node(&map, "service:default/cart").status, Status::Affected);
}
