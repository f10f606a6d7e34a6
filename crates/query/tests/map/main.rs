//! The map, traces and entities over a real store.

mod causes;
mod encrypted;
mod facets;
mod hanging;
mod network;
mod sampled;
mod usual;
mod world;

use limpid_query::entities::{self, Relation};
use limpid_query::topology::{self, Edge, Level, Node, Status, Topology, TopologyQuery};
use limpid_query::traces::{self, TraceQuery};
use world::{Flow, MINUTE_NS, SECOND_NS, TestSpan, World};

const HOUR: u64 = 3600;

/// The second hour of the world's two; the first says what is usual.
fn map(world: &World, level: Level) -> Topology {
    let (start, end) = (world.t0 + HOUR * SECOND_NS, world.t0 + 2 * HOUR * SECOND_NS);
    topology::topology(&world.store, start, end, &TopologyQuery { level, ..TopologyQuery::default() }).expect("a map")
}

fn edge<'a>(map: &'a Topology, source: &str, target: &str) -> &'a Edge {
    let found = map.edges.iter().find(|edge| edge.source.ends_with(source) && edge.target.ends_with(target));
    found.unwrap_or_else(|| panic!("no edge {source} > {target} in {:?}", pairs(map)))
}

fn node<'a>(map: &'a Topology, id: &str) -> &'a Node {
    map.nodes.iter().find(|node| node.id == id).unwrap_or_else(|| panic!("no node {id}"))
}

fn pairs(map: &Topology) -> Vec<String> {
    map.edges.iter().map(|edge| format!("{}>{}:{}", edge.source, edge.target, edge.protocol)).collect()
}

#[test]
fn both_views_of_a_call_are_one_edge_with_exact_counts() {
    let world = World::new();
    world.flow(&Flow::client("web", "shop", "http").rate(10, 8), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http").rate(10, 5), 2 * HOUR);
    let map = map(&world, Level::Service);
    assert_eq!(map.edges.len(), 1, "{:?}", pairs(&map));
    let edge = edge(&map, "/web", "/shop");
    assert_eq!(edge.requests, 36_000, "ten a second for an hour");
    assert_eq!(
        (edge.client.map(|side| side.requests), edge.server.map(|side| side.requests)),
        (Some(36_000), Some(36_000))
    );
    let p95 = |side: Option<topology::EdgeSide>| side.and_then(|side| side.p95_ms).unwrap_or_default();
    assert!((7.5..8.5).contains(&p95(edge.client)) && (4.7..5.3).contains(&p95(edge.server)), "{edge:?}");
    assert_eq!(edge.status, Status::Ok);
    let shop = node(&map, "service:default/shop");
    assert_eq!((shop.requests, shop.requests_per_second), (36_000, 10.0));
    assert_eq!(shop.pulse.len(), 30);
    assert!(shop.pulse.iter().all(|bucket| bucket.is_some_and(|bucket| bucket.requests == 1200)), "{:?}", shop.pulse);
}

#[test]
fn a_consequence_names_the_process_as_people_do() {
    let world = World::new();
    let flow = |flow: Flow, instance| flow.with("instance", instance);
    for status in ["ok", "error"] {
        world.flow(&flow(Flow::client("web", "shop", "http"), "process:alpha/1-11").failing(status), 2 * HOUR);
        world.flow(&flow(Flow::server("shop", "web", "http"), "process:alpha/2-22").failing(status), 2 * HOUR);
    }
    let map = map(&world, Level::Process);
    let web = node(&map, "process:alpha/1-11");
    assert!(web.reasons[0].text.starts_with("calls to shop 22: "), "{:?}", web.reasons);
}

#[test]
fn a_failing_callee_is_critical_and_its_caller_affected() {
    let world = World::new();
    for (client, server) in [("gateway", "web"), ("web", "checkout"), ("checkout", "postgres")] {
        world.flow(&Flow::client(client, server, "http"), 2 * HOUR);
        world.flow(&Flow::server(server, client, "http"), 2 * HOUR);
    }
    // From the last ten minutes on, checkout fails a third, and web with it.
    for (client, server) in [("gateway", "web"), ("web", "checkout")] {
        let bad = |flow: Flow| flow.rate(5, 5).failing("error").between(2 * HOUR - 600, 2 * HOUR);
        world.flow(&bad(Flow::client(client, server, "http")), 2 * HOUR);
        world.flow(&bad(Flow::server(server, client, "http")), 2 * HOUR);
    }
    let map = map(&world, Level::Service);
    let checkout = node(&map, "service:default/checkout");
    assert_eq!(checkout.status, Status::Critical, "{:?}", checkout.reasons);
    let reason = &checkout.reasons[0];
    assert_eq!(reason.kind, "errors");
    assert_eq!(reason.value.replace('\u{2009}', " "), "33.3 %");
    assert_eq!(reason.since_ns, world.t0 + 2 * HOUR * SECOND_NS - 10 * MINUTE_NS, "since ten minutes");
    assert_eq!(node(&map, "service:default/web").status, Status::Affected);
    assert_eq!(node(&map, "service:default/gateway").status, Status::Affected);
    assert_eq!(node(&map, "service:default/postgres").status, Status::Ok);
    assert_eq!(edge(&map, "/web", "/checkout").status, Status::Critical);
    assert_eq!(edge(&map, "/gateway", "/web").status, Status::Affected);
    assert_eq!(edge(&map, "/checkout", "/postgres").status, Status::Ok);
}

#[test]
fn slower_than_usual_is_a_warning_with_both_figures() {
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http").rate(10, 5).between(0, HOUR), 2 * HOUR);
    world.flow(
        &Flow::server("shop", "web", "http").with("resource", "/slow").rate(10, 400).between(HOUR, 2 * HOUR),
        2 * HOUR,
    );
    let map = map(&world, Level::Service);
    let shop = node(&map, "service:default/shop");
    assert_eq!(shop.status, Status::Warning, "{:?}", shop.reasons);
    assert_eq!(shop.reasons[0].kind, "latency");
    assert!(shop.reasons[0].usual.as_ref().is_some_and(|usual| usual.contains("ms")), "{:?}", shop.reasons);
    assert!(shop.pulse.iter().flatten().all(|bucket| bucket.slow == bucket.requests), "{:?}", shop.pulse);
}

#[test]
fn what_only_the_caller_waits_for_is_a_reason_of_the_edge() {
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http").rate(10, 5).between(0, 2 * HOUR), 2 * HOUR);
    world.flow(&Flow::client("web", "shop", "http").rate(10, 6).between(0, HOUR), 2 * HOUR);
    world.flow(
        &Flow::client("web", "shop", "http").with("resource", "/queued").rate(10, 2_700).between(HOUR, 2 * HOUR),
        2 * HOUR,
    );
    let map = map(&world, Level::Service);
    let edge = edge(&map, "web", "shop");
    assert_eq!(edge.status, Status::Warning, "{edge:?}");
    assert_eq!(edge.reasons[0].kind, "latency");
    assert!(edge.reasons[0].text.ends_with(", as the caller saw it"), "{:?}", edge.reasons);
    assert_eq!(node(&map, "service:default/shop").status, Status::Ok, "it has answered as fast as ever");
}

#[test]
fn two_hosts_are_joined_by_what_listens_and_who_has_the_address() {
    let world = World::new();
    world.entity("host:a", "host", "alpha", &[("host.ip", "10.0.0.1")]);
    world.entity("host:b", "host", "beta", &[("host.ip", "10.0.0.2")]);
    let listens =
        [("limpid.service", "service:default/store"), ("limpid.host", "host:b"), ("limpid.listen", "0.0.0.0:80")];
    world.entity("process:b/store-1", "process", "store", &listens);
    world.flow(&Flow::client("web", "10.0.0.2:80", "http"), 2 * HOUR);
    world.flow(
        &Flow::server("store", "10.0.0.1", "http").with("host", "beta").with("instance", "process:b/store-1"),
        2 * HOUR,
    );
    let by_service = map(&world, Level::Service);
    assert_eq!(pairs(&by_service), ["service:default/web>service:default/store:http"]);
    let edge = &by_service.edges[0];
    assert!(edge.client.is_some() && edge.server.is_some(), "{edge:?}");
    assert_eq!(edge.attributes.get("server.port").map(String::as_str), Some("80"));
    let by_host = map(&world, Level::Host);
    assert_eq!(pairs(&by_host), ["host:a>host:b:http"]);
    let by_process = map(&world, Level::Process);
    assert_eq!(pairs(&by_process), ["process:alpha/web-1>process:b/store-1:http"]);
}

#[test]
fn sampled_calls_join_what_nat_hides() {
    let world = World::new();
    world.flow(&Flow::client("web", "192.0.2.9:8080", "http"), 2 * HOUR);
    world.flow(&Flow::server("store", "10.9.9.9", "http").with("host", "beta"), 2 * HOUR);
    let start_ns = world.t0 + (HOUR + 60) * SECOND_NS;
    let client = TestSpan {
        trace: 1,
        id: 1,
        parent: None,
        kind: 3,
        error: false,
        start_ns,
        duration_ns: 9_000_000,
        name: "GET /",
        service: "web",
        attributes: vec![("server.address", "\"192.0.2.9\""), ("server.port", "8080")],
    };
    let attributes = vec![("client.address", "\"10.9.9.9\"")];
    let server = TestSpan {
        id: 2,
        parent: Some(1),
        kind: 2,
        service: "store",
        attributes,
        start_ns: start_ns + 1_000_000,
        duration_ns: 5_000_000,
        ..client.clone()
    };
    world.spans(&[client, server]);
    let map = map(&world, Level::Service);
    assert_eq!(pairs(&map), ["service:default/web>service:default/store:http"]);
    assert!(map.edges[0].client.is_some() && map.edges[0].server.is_some());
}

#[test]
fn what_nobody_knows_is_shown_as_an_address() {
    let world = World::new();
    world.flow(&Flow::client("web", "203.0.113.7:443", "http"), 2 * HOUR);
    world.flow(&Flow::server("web", "198.51.100.1", "http"), 2 * HOUR);
    world.flow(&Flow::server("web", "198.51.100.2", "http"), 2 * HOUR);
    let map = map(&world, Level::Service);
    assert_eq!(pairs(&map), ["clients>service:default/web:http", "service:default/web>external:203.0.113.7:443:http"]);
    let clients = node(&map, "clients");
    assert_eq!(
        (clients.kind.as_str(), clients.attributes.get("limpid.addresses").map(String::as_str)),
        ("clients", Some("2"))
    );
    assert_eq!(edge(&map, "clients", "/web").client, None, "clients are not watched");
    let external = edge(&map, "/web", ":443");
    assert!(external.server.is_none() && external.client.is_some());
    assert_eq!(node(&map, "external:203.0.113.7:443").requests, 36_000, "as its callers saw it");
}

#[test]
fn a_silent_agent_is_no_data() {
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http").between(0, HOUR + 1800), HOUR + 1800);
    let map = map(&world, Level::Service);
    let shop = node(&map, "service:default/shop");
    assert_eq!(shop.status, Status::NoData, "{:?}", shop.reasons);
    assert!(shop.reasons[0].text.contains("silent"), "{:?}", shop.reasons);
    assert_eq!(shop.pulse.last().copied().flatten(), None, "nothing was seen at the end");
    assert!(shop.pulse.first().copied().flatten().is_some());
}

#[test]
fn a_restart_does_not_lose_or_invent_requests() {
    let world = World::new();
    // Twice inside of a bucket, the second time after a run that no bucket's end falls into.
    world.flow(&Flow::server("shop", "web", "http").between(0, HOUR + 625), HOUR + 625);
    world.flow(&Flow::server("shop", "web", "http").between(HOUR + 630, HOUR + 650), HOUR + 650);
    world.flow(&Flow::server("shop", "web", "http").between(HOUR + 655, 2 * HOUR), 2 * HOUR);
    let map = map(&world, Level::Service);
    assert_eq!(node(&map, "service:default/shop").requests, 10 * (625 + 20 + 3600 - 655));
}

#[test]
fn idle_services_that_listen_do_not_vanish() {
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http"), 2 * HOUR);
    let listens = [("limpid.service", "service:default/cron"), ("limpid.listen", "127.0.0.1:99")];
    world.entity("process:a/1", "process", "crond", &listens);
    let map = map(&world, Level::Service);
    assert_eq!(node(&map, "service:default/cron").status, Status::Unknown);
}

#[test]
fn the_ribbon_counts_each_call_once() {
    let world = World::new();
    world.flow(&Flow::client("web", "shop", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http").failing("error").rate(1, 5), 2 * HOUR);
    let (start, end) = (world.t0 + HOUR * SECOND_NS, world.t0 + 2 * HOUR * SECOND_NS);
    let timeline = topology::timeline(&world.store, start, end, 60).expect("a timeline");
    let sum = |count: fn(&topology::TimelineBucket) -> u64| timeline.buckets.iter().flatten().map(count).sum::<u64>();
    assert_eq!((sum(|bucket| bucket.requests), sum(|bucket| bucket.errors)), (39_600, 3_600));
    assert_eq!(timeline.buckets.iter().flatten().count(), 60);
}

#[test]
fn operations_and_neighbours_of_a_service() {
    let world = World::new();
    world.flow(&Flow::client("web", "shop", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http").with("resource", "/cart/{id}"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http").with("operation", "POST").rate(20, 50).failing("error"), 2 * HOUR);
    world.entity(
        "process:alpha/shop-1",
        "process",
        "shop",
        &[("limpid.service", "service:default/shop"), ("limpid.host", "host:a")],
    );
    world.entity("host:a", "host", "alpha", &[]);
    let (start, end) = (world.t0 + HOUR * SECOND_NS, world.t0 + 2 * HOUR * SECOND_NS);
    let operations = entities::operations(&world.store, "service:default/shop", start, end).expect("operations");
    let rows: Vec<_> = operations
        .iter()
        .map(|row| (row.operation.as_str(), row.resource.as_str(), row.requests, row.errors))
        .collect();
    assert_eq!(rows, [("POST", "/", 72_000, 72_000), ("GET", "/cart/{id}", 36_000, 0)]);
    let related = |by| entities::related(&world.store, "service:default/shop", by, start, end).expect("related");
    let ids = |by| related(by).into_iter().map(|entity| entity.id).collect::<Vec<_>>();
    assert_eq!(ids(Relation::Upstream), ["service:default/web"]);
    assert_eq!(ids(Relation::Downstream), Vec::<String>::new());
    assert_eq!(ids(Relation::Instances), ["process:alpha/shop-1"]);
    assert_eq!(ids(Relation::Host), ["host:a"]);
    assert!(entities::entity(&world.store, "service:default/nobody", start, end).expect("an answer").is_none());
}

#[test]
fn traces_are_found_and_shown_with_both_views() {
    let world = World::new();
    let start_ns = world.t0 + 60 * SECOND_NS;
    let span = |trace, id, parent, kind, service, at: u64, duration_ns, error| TestSpan {
        trace,
        id,
        parent,
        kind,
        error,
        start_ns: start_ns + at,
        duration_ns,
        name: "GET /cart",
        service,
        attributes: vec![("http.route", "\"/cart\""), ("http.response.status_code", "200")],
    };
    world.spans(&[
        span(1, 1, None, 3, "web", 0, 2_000_000_000, false),
        span(1, 2, Some(1), 2, "shop", 1000, 1_900_000_000, true),
        span(2, 3, None, 2, "shop", 5_000_000_000, 1_000_000, false),
    ]);
    let find = |q: &str| {
        let query = TraceQuery {
            start_ns: world.t0,
            end_ns: world.t0 + HOUR * SECOND_NS,
            q: q.into(),
            ..TraceQuery::default()
        };
        traces::search(&world.store, &query).expect("an answer")
    };
    assert_eq!(find("service:shop").len(), 2);
    let slow = find("service:shop duration:>1s status:error");
    assert_eq!(slow.len(), 1);
    assert_eq!(
        (slow[0].service.as_str(), slow[0].spans, slow[0].errors),
        ("web", 2, 1),
        "summed up whole, not as found"
    );
    assert_eq!(slow[0].duration_ns, 2_000_000_000);
    let time: Vec<_> = slow[0].time.iter().map(|part| (part.service.as_deref(), part.duration_ns)).collect();
    assert_eq!((slow[0].services, time), (2, vec![(Some("shop"), 1_900_000_000), (None, 100_000_000)]));
    let everything = find("");
    let sums = everything.iter().map(|trace| (trace.spans, trace.errors, trace.duration_ns)).collect::<Vec<_>>();
    assert_eq!(sums, [(1, 0, 1_000_000), (2, 1, 2_000_000_000)], "newest first, each summed up whole");
    assert_eq!(find("http.route:/cart cart").len(), 2);
    assert_eq!(find("service:nobody").len(), 0);
    let trace = traces::trace(&world.store, [1; 16]).expect("an answer").expect("the trace");
    assert_eq!(trace.spans.iter().map(|span| span.depth).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(trace.spans[1].paired_span_id.as_deref(), Some("0101010101010101"));
    assert_eq!(trace.spans[0].attributes.get("http.response.status_code"), Some(&serde_json::json!(200)));
    assert_eq!(trace.spans[0].resource_attributes["process.pid"], 7);
    assert!(traces::trace(&world.store, [9; 16]).expect("an answer").is_none());
}

#[test]
fn reading_at_moments_gives_what_reading_everything_would() {
    use limpid_model::{Matcher, SeriesSource};
    let world = World::new();
    world.flow(&Flow::server("shop", "web", "http").between(0, HOUR), HOUR + 300);
    world.flow(&Flow::server("shop", "web", "http").between(HOUR + 600, 2 * HOUR), 2 * HOUR);
    world.flow(&Flow::client("web", "shop", "http").rate(3, 70), 2 * HOUR);
    let matchers = [Matcher::equal("__name__", "limpid_request_duration_seconds")];
    let t0_ms = (world.t0 / 1_000_000) as i64;
    let times: Vec<i64> = (0..=70).map(|at| t0_ms - 600_000 + at * 119_993).collect();
    let mut expected = world.store.select(&matchers, times[0] - 60_000, times[70]).expect("series");
    expected.iter_mut().for_each(|series| series.keep_at(&times, 60_000));
    let found = world.store.select_at(&matchers, &times, 60_000).expect("series");
    assert_eq!(found, expected);
    assert!(
        found
            .iter()
            .all(|series| (50..70).contains(&series.samples.len()) && series.starts.len() == series.samples.len())
    );
}

#[test]
fn what_is_new_and_what_is_gone_is_told_with_its_time() {
    let world = World::new();
    let minute = |minute: u64| HOUR + minute * 60;
    world.flow(&Flow::client("web", "shop", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http"), 2 * HOUR);
    world.flow(&Flow::client("web", "mail", "http").between(minute(30), 2 * HOUR), 2 * HOUR);
    world.flow(&Flow::server("mail", "web", "http").between(minute(30), 2 * HOUR), 2 * HOUR);
    world.flow(&Flow::client("web", "old", "http"), minute(20));
    world.flow(&Flow::server("old", "web", "http"), minute(20));
    let map = map(&world, Level::Service);
    let at = |minute: u64| world.t0 + HOUR * SECOND_NS + minute * MINUTE_NS;
    let near = |seen: Option<u64>, minute: u64| seen.is_some_and(|seen| seen.abs_diff(at(minute)) <= MINUTE_NS);
    let service = |name: &str| node(&map, &format!("service:default/{name}"));
    assert!(near(service("mail").first_seen_ns, 30), "{:?}", service("mail").first_seen_ns);
    assert!(near(edge(&map, "/web", "/mail").first_seen_ns, 30));
    assert!(near(service("old").last_seen_ns, 20), "{:?}", service("old").last_seen_ns);
    for stays in ["web", "shop"] {
        assert_eq!((service(stays).first_seen_ns, service(stays).last_seen_ns), (None, None), "{stays}");
    }
    assert_eq!(edge(&map, "/web", "/shop").first_seen_ns, None);
}

#[test]
fn nothing_is_new_while_watching_begins() {
    let world = World::new();
    let from = HOUR + 600;
    world.flow(&Flow::client("web", "shop", "http").between(from, 2 * HOUR), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http").between(from, 2 * HOUR), 2 * HOUR);
    let map = map(&world, Level::Service);
    assert!(map.nodes.iter().all(|node| node.first_seen_ns.is_none()), "the agent began with them");
    assert!(map.edges.iter().all(|edge| edge.first_seen_ns.is_none()));
}

#[test]
fn a_service_takes_over_what_its_processes_have_in_common() {
    let world = World::new();
    world.flow(&Flow::client("web", "shop", "http"), 2 * HOUR);
    world.flow(&Flow::server("shop", "web", "http"), 2 * HOUR);
    for (pid, zone) in [("1", "a"), ("2", "b")] {
        let attributes = [
            ("limpid.service", "service:default/shop"),
            ("limpid.systemd.unit", "shop"),
            ("process.pid", pid),
            ("deployment.environment.name", "test"),
            ("zone", zone),
        ];
        world.entity(&format!("process:alpha/1-{pid}"), "process", "shop", &attributes);
    }
    let map = map(&world, Level::Service);
    let shop = &node(&map, "service:default/shop").attributes;
    let of = |name: &str| shop.get(name).map(String::as_str);
    assert_eq!(of("limpid.systemd.unit"), Some("shop"));
    assert_eq!(of("deployment.environment.name"), Some("test"));
    assert_eq!(of("zone"), Some("a,b"));
    assert_eq!(of("process.pid"), None, "of one process only");
    assert_eq!(of("host.name"), Some("alpha"));
}
