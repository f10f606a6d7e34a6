//! Connects that fail, segments that are sent again, names that are not found.

use super::world::{Flow, MINUTE_NS, SECOND_NS, World};
use super::{HOUR, edge, map, node, pairs};
use limpid_query::topology::{Edge, Level, Reason, Status, Topology};

fn refused(per_second: u64) -> Flow {
    Flow::client("web", "shop", "tcp")
        .with("operation", "connect")
        .with("code", "ECONNREFUSED")
        .rate(per_second, 1)
        .failing("error")
}

fn talking(world: &World) {
    world.flow(&Flow::client("web", "shop", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http"), 2 * HOUR);
}

fn plain(reason: &Reason) -> String {
    reason.text.replace('\u{2009}', " ")
}

fn refusals(edge: &Edge) -> u64 {
    edge.failed_connects.get("ECONNREFUSED").copied().unwrap_or_default()
}

fn second_hour(world: &World) -> Topology {
    map(world, Level::Service)
}

#[test]
fn refused_connects_stand_on_the_edge_of_what_is_spoken_there() {
    let world = World::new();
    talking(&world);
    world.flow(&refused(5).between(2 * HOUR - 600, 2 * HOUR), 2 * HOUR);
    let map = second_hour(&world);
    assert_eq!(pairs(&map).len(), 1, "{:?}", pairs(&map));
    let edge = edge(&map, "/web", "/shop");
    assert_eq!((edge.protocol.as_str(), refusals(edge), edge.requests), ("http", 3000, 36_000));
    assert_eq!(edge.status, Status::Critical);
    let reason = &edge.reasons[0];
    assert_eq!((reason.kind, plain(reason).as_str()), ("connects", "3 000 connects refused, usually none"));
    assert_eq!(reason.since_ns, world.t0 + 2 * HOUR * SECOND_NS - 10 * MINUTE_NS);
    let shop = node(&map, "service:default/shop");
    assert_eq!((shop.status, shop.requests, shop.errors), (Status::Critical, 36_000, 0), "no server saw them");
    let web = node(&map, "service:default/web");
    assert_eq!(web.status, Status::Affected);
    assert_eq!(plain(&web.reasons[0]), "calls to shop: 3 000 connects refused, usually none");
    assert_eq!(web.attributes.get("limpid.role"), None);
}

#[test]
fn a_few_of_many_are_a_warning_of_the_edge_alone() {
    let world = World::new();
    talking(&world);
    world.flow(&refused(1).between(HOUR + 600, HOUR + 605), 2 * HOUR);
    world.flow(&refused(1).with("code", "ETIMEDOUT").between(2 * HOUR - 605, 2 * HOUR - 600), 2 * HOUR);
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "/shop");
    assert_eq!(edge.status, Status::Warning);
    assert_eq!(plain(&edge.reasons[0]), "10 connects failed (5 refused, 5 timed out), usually none");
    assert_eq!(node(&map, "service:default/shop").status, Status::Ok);
}

#[test]
fn an_edge_of_nothing_but_refused_connects_is_critical_and_worded_as_such() {
    let world = World::new();
    world.flow(&Flow::client("web", "10.1.1.1:80", "http"), 2 * HOUR);
    let down = refused(1).with("peer", "").with("peer_address", "10.9.9.9:8080").between(2 * HOUR - 60, 2 * HOUR);
    world.flow(&down, 2 * HOUR);
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "10.9.9.9:8080");
    assert_eq!((edge.protocol.as_str(), refusals(edge), edge.status), ("tcp", 60, Status::Critical));
    assert_eq!(edge.reasons.iter().map(plain).collect::<Vec<_>>(), ["60 connects refused, usually none"]);
    let gone = node(&map, "external:10.9.9.9:8080");
    assert_eq!((gone.status, gone.requests), (Status::Critical, 0));
    assert_eq!(gone.reasons.iter().map(plain).collect::<Vec<_>>(), ["60 connects refused, usually none"]);
    assert!(gone.pulse.iter().flatten().any(|bucket| bucket.errors > 0), "its pulse shows who tried");
    assert_eq!(node(&map, "external:10.1.1.1:80").status, Status::Ok);
}

#[test]
fn what_fails_as_often_as_ever_is_no_alarm_while_requests_get_through() {
    let world = World::new();
    talking(&world);
    world.flow(&refused(2), 2 * HOUR);
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "/shop");
    assert_eq!(edge.status, Status::Warning);
    assert_eq!(plain(&edge.reasons[0]), "7 200 connects refused, usually 7 200");
}

#[test]
fn what_is_down_for_long_stays_an_alarm_although_little_gets_through() {
    let world = World::new();
    world.flow(&Flow::client("web", "shop", "http").rate(1, 5), 2 * HOUR);
    world.flow(&refused(2), 2 * HOUR);
    let map = second_hour(&world);
    assert_eq!(edge(&map, "/web", "/shop").status, Status::Critical);
    assert_eq!(node(&map, "service:default/shop").status, Status::Critical);
}

#[test]
fn of_two_protocols_between_two_the_address_tells_which_was_meant() {
    let world = World::new();
    for (protocol, address) in [("http", "10.0.0.2:80"), ("redis", "10.0.0.2:6379")] {
        world.flow(&Flow::client("web", "shop", protocol).with("peer_address", address), 2 * HOUR);
    }
    world.flow(&refused(1).with("peer_address", "10.0.0.2:6379"), 2 * HOUR);
    let map = second_hour(&world);
    let failed = |protocol: &str| map.edges.iter().find(|edge| edge.protocol == protocol).map(refusals);
    assert_eq!((failed("http"), failed("redis"), failed("tcp")), (Some(0), Some(3600), None));
}

#[test]
fn segments_that_are_sent_again_are_a_warning_of_the_edge() {
    let world = World::new();
    talking(&world);
    let link = [
        ("service", "web"),
        ("peer", "shop"),
        ("peer_address", ""),
        ("protocol", "http"),
        ("side", "client"),
        ("host", "alpha"),
    ];
    world.counter("limpid_tcp_segments_total", &link, 2 * HOUR, |second| second * 20);
    // Four percent from the last ten minutes on.
    world.counter("limpid_tcp_retransmits_total", &link, 2 * HOUR, |second| {
        second.saturating_sub(2 * HOUR - 600) * 8 / 10 * 8
    });
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "/shop");
    assert_eq!((edge.status, edge.retransmits), (Status::Warning, 3840));
    assert_eq!(
        (edge.reasons[0].kind, plain(&edge.reasons[0]).as_str()),
        ("retransmits", "5.33 % of the TCP segments had to be sent again")
    );
    assert_eq!(edge.reasons[0].since_ns, world.t0 + 2 * HOUR * SECOND_NS - 10 * MINUTE_NS);
    assert_eq!(node(&map, "service:default/web").status, Status::Ok, "it calls as well as before");
}

#[test]
fn failed_lookups_are_told_as_lookups_with_what_the_resolver_answered() {
    let world = World::new();
    let lookups = || Flow::client("web", "10.0.0.53:53", "dns").with("operation", "A");
    world.flow(&lookups(), 2 * HOUR);
    world.flow(&lookups().with("code", "2").failing("error").between(2 * HOUR - 600, 2 * HOUR), 2 * HOUR);
    let map = second_hour(&world);
    let text = plain(&edge(&map, "/web", "10.0.0.53:53").reasons[0]);
    assert_eq!(text, "50 % of the lookups failed (SERVFAIL), usually 0 %");
    assert_eq!(plain(&node(&map, "external:10.0.0.53:53").reasons[0]), text);
}

#[test]
fn lookups_without_an_answer_are_judged_like_failed_ones_at_servers_elsewhere_too() {
    let world = World::new();
    let lookups = || Flow::client("web", "10.0.0.53:53", "dns").with("operation", "A");
    // Who waits five seconds for each asks seldom.
    let asks = Flow { per_second: 1, ..lookups().failing("unanswered") }.between(2 * HOUR - 600, 2 * HOUR - 590);
    world.flow(&asks, 2 * HOUR);
    let map = second_hour(&world);
    let edge = edge(&map, "/web", "10.0.0.53:53");
    assert_eq!((edge.requests, edge.status), (10, Status::Critical));
    assert_eq!(plain(&edge.reasons[0]), "100 % of the lookups got no answer");
    assert_eq!(node(&map, "external:10.0.0.53:53").status, Status::Critical);
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
}
