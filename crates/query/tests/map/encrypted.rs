//! What is encrypted: handshakes, on the edge of what was read in them or on one of their own, and certificates.

use super::world::{Flow, SECOND_NS, World};
use super::{HOUR, edge, map, node, pairs};
use limpid_query::topology::{Level, Status, Topology};

const END: u64 = 2 * HOUR;
const DAY: u64 = 24 * HOUR;

/// Handshakes as both ends see them.
fn handshakes(world: &World, caller: &str, callee: &str, change: impl Fn(Flow) -> Flow) {
    for flow in [Flow::client(caller, callee, "tls"), Flow::server(callee, caller, "tls")] {
        let flow = flow.with("operation", "handshake").with("resource", "shop.test").rate(1, 4);
        world.flow_of("limpid_session_duration_seconds", &change(flow), END);
    }
}

fn requests(world: &World, caller: &str, callee: &str, protocol: &str) {
    world.flow(&Flow::client(caller, callee, protocol), END);
    world.flow(&Flow::server(callee, caller, protocol), END);
}

/// So many seconds are left at the range's end; a negative number has ended.
fn certificate(world: &World, caller: &str, callee: &str, left: i64) {
    let not_after = (world.t0 / SECOND_NS + END).saturating_add_signed(left);
    for (service, peer, side) in [(caller, callee, "client"), (callee, caller, "server")] {
        let labels = [
            ("service", service),
            ("peer", peer),
            ("protocol", "tls"),
            ("side", side),
            ("host", "alpha"),
            ("server_name", "shop.test"),
            ("subject", "CN=shop.test"),
        ];
        world.counter("limpid_tls_certificate_not_after_seconds", &labels, END, |_| not_after);
    }
}

fn second_hour(world: &World) -> Topology {
    map(world, Level::Service)
}

fn texts(reasons: &[limpid_query::topology::Reason]) -> Vec<String> {
    reasons.iter().map(|reason| reason.text.replace('\u{2009}', " ")).collect()
}

#[test]
fn what_cannot_be_read_is_an_edge_with_its_handshakes_and_no_requests() {
    let world = World::new();
    handshakes(&world, "orders", "billing", |flow| flow);
    let map = second_hour(&world);
    assert_eq!(pairs(&map), ["service:default/orders>service:default/billing:tls"]);
    let edge = edge(&map, "/orders", "/billing");
    assert_eq!((edge.requests, edge.client, edge.server, edge.status), (0, None, None, Status::Ok));
    let tls = edge.tls.as_ref().expect("handshakes");
    let sides = [tls.client, tls.server].map(|side| side.map(|side| (side.requests, side.errors)));
    assert_eq!(sides, [Some((3600, 0)), Some((3600, 0))]);
    assert!(tls.server.and_then(|side| side.p95_ms).is_some_and(|p95| (3.7..4.3).contains(&p95)), "{tls:?}");
    let billing = node(&map, "service:default/billing");
    assert_eq!((billing.requests, billing.status), (0, Status::Ok), "handshakes are no requests");
    assert_eq!(billing.attributes.get("limpid.protocols").map(String::as_str).unwrap_or_default(), "");
}

#[test]
fn handshakes_stand_on_the_edge_of_what_was_read_in_them() {
    let world = World::new();
    requests(&world, "web", "shop", "http");
    requests(&world, "web", "shop", "dns");
    handshakes(&world, "web", "shop", |flow| flow);
    let map = second_hour(&world);
    let tls: Vec<(&str, bool)> = map.edges.iter().map(|edge| (edge.protocol.as_str(), edge.tls.is_some())).collect();
    assert_eq!(tls, [("dns", false), ("http", true)]);
    assert_eq!(edge(&map, "/web", "/shop").requests, 36_000, "handshakes are no requests");
}

#[test]
fn of_two_protocols_neither_is_said_to_be_the_encrypted_one() {
    let world = World::new();
    requests(&world, "web", "shop", "http");
    requests(&world, "web", "shop", "redis");
    handshakes(&world, "web", "shop", |flow| flow);
    let map = second_hour(&world);
    let tls: Vec<(&str, bool)> = map.edges.iter().map(|edge| (edge.protocol.as_str(), edge.tls.is_some())).collect();
    assert_eq!(tls, [("http", false), ("redis", false), ("tls", true)]);
}

#[test]
fn failed_handshakes_are_a_reason_with_their_alert() {
    let world = World::new();
    handshakes(&world, "stranger", "shop", |flow| flow.failing("error").with("code", "48").between(END - 600, END));
    let map = second_hour(&world);
    let edge = edge(&map, "/stranger", "/shop");
    assert_eq!(edge.status, Status::Critical);
    assert_eq!(texts(&edge.reasons), ["100 % of the TLS handshakes failed (unknown_ca)"]);
    assert_eq!(edge.reasons[0].kind, "handshakes");
    assert_eq!(edge.tls.as_ref().and_then(|tls| tls.alerts.get("48")), Some(&600));
    assert_eq!(node(&map, "service:default/shop").status, Status::Critical);
    let stranger = node(&map, "service:default/stranger");
    assert_eq!(stranger.status, Status::Affected);
    assert_eq!(texts(&stranger.reasons), ["calls to shop: 100 % of the TLS handshakes failed (unknown_ca)"]);
}

#[test]
fn a_few_failed_handshakes_of_many_are_none() {
    let world = World::new();
    handshakes(&world, "web", "shop", |flow| flow);
    handshakes(&world, "web", "shop", |flow| flow.failing("unanswered").between(END - 600, END - 590));
    let map = second_hour(&world);
    assert_eq!(texts(&edge(&map, "/web", "/shop").reasons), Vec::<String>::new());
}

#[test]
fn a_certificate_warns_two_weeks_before_its_end_and_is_critical_at_last() {
    let cases = [
        (40 * DAY as i64, Status::Ok, vec![]),
        (9 * DAY as i64 + 60, Status::Warning, vec!["certificate of shop.test ends in 9 days"]),
        (DAY as i64 + 60, Status::Critical, vec!["certificate of shop.test ends in 1 day"]),
        (-2 * DAY as i64 - 60, Status::Critical, vec!["certificate of shop.test ended 2 days ago"]),
    ];
    for (left, status, expected) in cases {
        let world = World::new();
        requests(&world, "web", "shop", "http");
        handshakes(&world, "web", "shop", |flow| flow);
        certificate(&world, "web", "shop", left);
        let map = second_hour(&world);
        let edge = edge(&map, "/web", "/shop");
        assert_eq!(
            (edge.status, texts(&edge.reasons)),
            (status, expected.iter().map(|text| text.to_string()).collect())
        );
        let certificates = &edge.tls.as_ref().expect("handshakes").certificates;
        assert_eq!(certificates.len(), 1, "both ends tell of the same one");
        assert_eq!(node(&map, "service:default/shop").status, status);
        assert_eq!(node(&map, "service:default/web").status, Status::Ok, "no fault of who calls");
    }
}
