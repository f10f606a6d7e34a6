//! The map of what a filter means, against the same spans counted one by one.

use super::world::{SECOND_NS, TestSpan, World};
use super::{HOUR, edge, node, pairs};
use limpid_query::topology::{self, Level, Status, Topology, TopologyQuery};
use limpid_query::{ErrorKind, QueryError};
use limpid_store::embedded::Options;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SERVICES: [&str; 4] = ["web", "shop", "cart", "pay"];
const PEERS: [&str; 4] = ["\"web\"", "\"shop\"", "\"cart\"", "\"pay\""];
const TENANTS: [&str; 3] = ["\"acme\"", "\"blue\"", "7"];
const PROBABILITIES: [(&str, f64); 3] = [("\"0.500000\"", 2.0), ("\"0.125000\"", 8.0), ("\"1.000000\"", 1.0)];
const INSTANCE: (&str, &str) = ("service.instance.id", "\"process:alpha/1-1\"");

struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

fn asked(world: &World, filter: &str, change: impl Fn(&mut TopologyQuery)) -> Result<Topology, QueryError> {
    let (start, end) = (world.t0 + HOUR * SECOND_NS, world.t0 + 2 * HOUR * SECOND_NS);
    let mut query = TopologyQuery { filter: filter.to_owned(), ..TopologyQuery::default() };
    change(&mut query);
    topology::topology(&world.store, start, end, &query)
}

fn map(world: &World, filter: &str) -> Topology {
    asked(world, filter, |_| {}).unwrap_or_else(|error| panic!("{filter}: {error}"))
}

/// A call as one side saw it, and for how many requests it stands.
struct Known {
    span: TestSpan,
    client: &'static str,
    server: &'static str,
    weight: f64,
}

impl Known {
    fn has(&self, name: &str, json: &str) -> bool {
        self.span.attributes.iter().any(|(have, value)| *have == name && *value == json)
    }
}

fn random(noise: &mut Noise, t0: u64) -> Known {
    let (client, server, is_client) = (noise.below(4), noise.below(4), noise.below(2) == 0);
    let (own, peer) = if is_client { (client, server) } else { (server, client) };
    let mut attributes = vec![("limpid.peer", PEERS[peer]), INSTANCE];
    let mut weight = 1.0;
    if noise.below(4) > 0 {
        let (text, stands_for) = PROBABILITIES[noise.below(3)];
        attributes.push(("limpid.sampling.probability", text));
        weight = stands_for;
    }
    attributes.extend((noise.below(3) > 0).then(|| ("tenant.id", TENANTS[noise.below(3)])));
    let error = noise.below(10) == 0;
    attributes.extend(error.then_some(("limpid.code", "\"500\"")));
    let span = TestSpan {
        trace: noise.below(250) as u8 + 1,
        id: noise.below(250) as u8 + 1,
        parent: None,
        kind: if is_client { 3 } else { 2 },
        error,
        // Some before the range, and some after it.
        start_ns: t0 + noise.below(8_000) as u64 * SECOND_NS + 17,
        duration_ns: 1_000_000 + noise.below(400) as u64 * 1_000_000,
        name: "GET /",
        service: SERVICES[own],
        attributes,
    };
    Known { span, client: SERVICES[client], server: SERVICES[server], weight }
}

type Counts = BTreeMap<(String, String), [f64; 4]>;

/// Requests and failures of each edge: the client's two, the server's two.
fn counted<'a>(spans: impl Iterator<Item = &'a Known>) -> Counts {
    let mut counts = Counts::new();
    for known in spans {
        let edge = counts.entry((known.client.to_string(), known.server.to_string())).or_default();
        let side = if known.span.kind == 3 { 0 } else { 2 };
        edge[side] += known.weight;
        edge[side + 1] += if known.span.error { known.weight } else { 0.0 };
    }
    counts
}

fn on_map(map: &Topology) -> Counts {
    let name = |id: &str| id.rsplit('/').next().unwrap_or_default().to_string();
    let side =
        |side: Option<topology::EdgeSide>| side.map_or([0.0; 2], |side| [side.requests as f64, side.errors as f64]);
    let counts = map.edges.iter().map(|edge| {
        let ([client, failed], [server, failed_there]) = (side(edge.client), side(edge.server));
        ((name(&edge.source), name(&edge.target)), [client, failed, server, failed_there])
    });
    counts.collect()
}

type Fits = fn(&Known) -> bool;

const FILTERS: [(&str, Fits); 7] = [
    ("tenant.id:acme", |known| known.has("tenant.id", "\"acme\"")),
    ("tenant.id:7", |known| known.has("tenant.id", "7")),
    ("tenant.id:blue service:shop", |known| known.has("tenant.id", "\"blue\"") && known.span.service == "shop"),
    ("-tenant.id:blue", |known| !known.has("tenant.id", "\"blue\"")),
    ("tenant.id:acme -code:500", |known| known.has("tenant.id", "\"acme\"") && !known.span.error),
    ("tenant.id:acme status:error", |known| known.has("tenant.id", "\"acme\"") && known.span.error),
    ("duration:>=200ms cart", |known| known.span.duration_ns >= 200_000_000 && known.span.service == "cart"),
];

fn check(world: &World, spans: &[Known], whence: &str) {
    let (start, end) = (world.t0 + HOUR * SECOND_NS, world.t0 + 2 * HOUR * SECOND_NS);
    for (filter, fits) in FILTERS {
        let in_range = |known: &&Known| (start..=end).contains(&known.span.start_ns);
        let matching = || spans.iter().filter(in_range).filter(|known| fits(known));
        let map = map(world, filter);
        assert_eq!(on_map(&map), counted(matching()), "{filter} {whence}");
        let sampled = map.sampled.as_ref().expect("it says so");
        let tells = |known: &&Known| known.span.attributes.iter().any(|(name, _)| name.ends_with("probability"));
        let expected = (matching().count() as u64, matching().filter(|known| !tells(known)).count() as u64);
        assert_eq!((sampled.spans, sampled.spans_without_probability), expected);
        assert_eq!((sampled.lowest_probability, sampled.filter.as_str()), (Some(0.125), filter));
    }
}

#[test]
fn counts_are_those_of_the_spans_one_by_one() {
    for seed in 1..3 {
        // Memory and files, small and large, all take part.
        let options = Options { flush_rows: 300, flush_age: Duration::from_millis(20), ..Options::default() };
        let (world, mut noise) = (World::with(options), Noise(seed));
        let spans: Vec<Known> = (0..2_400).map(|_| random(&mut noise, world.t0)).collect();
        for part in spans.chunks(150) {
            world.spans(&part.iter().map(|known| known.span.clone()).collect::<Vec<_>>());
            std::thread::sleep(Duration::from_millis(10));
        }
        check(&world, &spans, &format!("while they are written, seed {seed}"));
        let world = world.reopened();
        check(&world, &spans, &format!("from files, seed {seed}"));
    }
    let (world, mut noise) = (World::new(), Noise(3));
    let spans: Vec<Known> = (0..2_400).map(|_| random(&mut noise, world.t0)).collect();
    world.spans(&spans.iter().map(|known| known.span.clone()).collect::<Vec<_>>());
    check(&world, &spans, "from memory");
}

fn call(world: &World, kind: u8, service: &'static str, more: &[(&'static str, &'static str)]) -> TestSpan {
    let attributes = [("tenant.id", "\"acme\""), INSTANCE].iter().chain(more).copied().collect();
    let (start_ns, duration_ns) = (world.t0 + (HOUR + 600) * SECOND_NS, 20_000_000);
    TestSpan {
        trace: 1,
        id: 2,
        parent: None,
        kind,
        error: false,
        start_ns,
        duration_ns,
        name: "GET /",
        service,
        attributes,
    }
}

#[test]
fn durations_weigh_as_much_as_the_requests_they_stand_for() {
    let world = World::new();
    let mut spans =
        vec![
            call(&world, 2, "shop", &[("limpid.peer", "\"web\""), ("limpid.sampling.probability", "\"0.010000\"")]);
            30
        ];
    spans[..10].iter_mut().for_each(|span| span.duration_ns = 900_000_000);
    spans[..10].iter_mut().for_each(|span| span.attributes.retain(|(name, _)| !name.ends_with("probability")));
    world.spans(&spans);
    let map = map(&world, "tenant.id:acme");
    let shop = node(&map, "service:default/shop");
    assert_eq!(shop.requests, 2_010);
    assert!(shop.p99_ms.is_some_and(|p99| (19.0..21.0).contains(&p99)), "{shop:?}");
    assert_eq!(shop.requests_per_second, 2_010.0 / 3600.0);
    assert_eq!(shop.attributes.get("limpid.spans").map(String::as_str), Some("30"));
    let buckets: Vec<_> = shop.pulse.iter().map(|bucket| bucket.map_or(u64::MAX, |bucket| bucket.requests)).collect();
    assert_eq!(buckets.iter().sum::<u64>(), 2_010, "where nothing matched nothing happened: {buckets:?}");
    assert_eq!(buckets[5], 2_010);
}

#[test]
fn few_spans_are_not_judged_however_many_requests_they_stand_for() {
    let world = World::new();
    let mut span =
        call(&world, 2, "shop", &[("limpid.peer", "\"web\""), ("limpid.sampling.probability", "\"0.001000\"")]);
    span.error = true;
    world.spans(&vec![span.clone(); 5]);
    let few = map(&world, "tenant.id:acme");
    assert_eq!((node(&few, "service:default/shop").errors, edge(&few, "/web", "/shop").reasons.len()), (5_000, 0));
    world.spans(&vec![span; 40]);
    let many = map(&world, "tenant.id:acme");
    assert_eq!(node(&many, "service:default/shop").status, Status::Critical);
}

#[test]
fn peers_without_a_name_are_known_by_their_address() {
    let world = World::new();
    world.spans(&[
        call(&world, 3, "shop", &[("limpid.peer", "\"203.0.113.9:443\"")]),
        call(
            &world,
            3,
            "cart",
            &[("server.address", "\"203.0.113.10\""), ("server.port", "5432"), ("limpid.protocol", "\"postgresql\"")],
        ),
        call(&world, 2, "shop", &[("client.address", "\"198.51.100.7\"")]),
    ]);
    let map = map(&world, "tenant.id:acme");
    assert_eq!(
        pairs(&map),
        [
            "clients>service:default/shop:http",
            "service:default/cart>external:203.0.113.10:5432:postgresql",
            "service:default/shop>external:203.0.113.9:443:http"
        ]
    );
}

#[test]
fn an_sdk_and_the_agent_do_not_count_one_request_twice() {
    let world = World::new();
    let agents = call(&world, 2, "shop", &[("limpid.peer", "\"web\"")]);
    let mut of_sdk = call(&world, 2, "shop", &[("client.address", "\"198.51.100.7\"")]);
    of_sdk.attributes.retain(|(name, _)| *name != INSTANCE.0);
    let mut work = of_sdk.clone();
    (work.kind, work.service) = (1, "reports");
    world.spans(&[agents, of_sdk.clone(), of_sdk.clone(), work]);
    let both = map(&world, "tenant.id:acme");
    assert_eq!((pairs(&both).len(), node(&both, "service:default/shop").requests), (1, 1), "{:?}", pairs(&both));
    assert_eq!(node(&both, "service:default/reports").status, Status::Unknown, "work inside of a service is no call");
    of_sdk.attributes.push(("only", "\"sdk\""));
    world.spans(&[of_sdk]);
    assert_eq!(
        node(&map(&world, "only:sdk"), "service:default/shop").requests,
        1,
        "where only an SDK tells, it counts"
    );
}

#[test]
fn levels_and_other_filters_hold_too() {
    let world = World::new();
    world.spans(&[
        call(&world, 2, "shop", &[("limpid.peer", "\"web\"")]),
        call(&world, 2, "store", &[("limpid.peer", "\"web\""), ("limpid.protocol", "\"redis\"")]),
    ]);
    let by_process = asked(&world, "tenant.id:acme", |query| query.level = Level::Process).expect("a map");
    assert!(by_process.nodes.iter().any(|node| node.id == "process:alpha/1-1"), "{:?}", pairs(&by_process));
    let of_two = |query: &mut TopologyQuery| query.protocols = vec!["redis".into(), "mysql".into()];
    assert_eq!(
        pairs(&asked(&world, "tenant.id:acme", of_two).expect("a map")),
        ["service:default/web>service:default/store:redis"]
    );
    let of_one = |query: &mut TopologyQuery| query.protocols = vec!["http".into()];
    assert_eq!(
        pairs(&asked(&world, "tenant.id:acme", of_one).expect("a map")),
        ["service:default/web>service:default/shop:http"]
    );
}

#[test]
fn what_is_no_filter_is_refused_and_what_matches_nothing_is_empty() {
    let world = World::new();
    world.spans(&[call(&world, 2, "shop", &[("limpid.peer", "\"web\"")])]);
    let many = "a:b ".repeat(40);
    let bad = [
        ("tenant.id:", "no value"),
        ("\"open", "not closed"),
        (&many, "more than"),
        ("duration:>soon", "no duration"),
        ("status:bad", "not known"),
    ];
    for (filter, part) in bad {
        let error = asked(&world, filter, |_| {}).expect_err(filter);
        assert!(error.kind == ErrorKind::BadData && error.text.contains(part), "{filter}: {error}");
    }
    let long = format!("tenant.id:{}", "x".repeat(100_000));
    for filter in [
        "tenant.id:ACME",
        "tenant:acme",
        "tenant.id:acme%",
        "tenant.id:.*",
        "\0:\0",
        "-service:shop",
        "a.b:{\"c\":1}",
        &long,
    ] {
        let map = map(&world, filter);
        assert!(map.edges.is_empty() && map.nodes.is_empty(), "{filter}: {:?}", pairs(&map));
        assert_eq!(map.sampled.map(|sampled| sampled.spans), Some(0));
    }
    assert!(map(&world, "  ").sampled.is_none(), "no filter is the map of everything");
    let stopped = asked(&world, "tenant.id:acme", |query| query.stopped.store(true, Ordering::Relaxed));
    assert_eq!(stopped.expect_err("nobody waits").kind, ErrorKind::Timeout);
}
