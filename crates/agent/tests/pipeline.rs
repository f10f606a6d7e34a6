//! The pipeline behind a scripted collector: real protocol bytes, made-up times, through the real `Consumer`.

mod decoded;

use decoded::Span;
use limpid_agent::capture::{
    Bytes, CloseReason, ConnectionKey, Consumer, Control, FailedConnect, Mode, Progress, SocketId, SocketInfo,
    Transport,
};
use limpid_agent::losses;
use limpid_agent::pipeline::{CLAMPED, Config, Identify, Limits, Sampling, Shared};
use limpid_agent::telemetry::{Families, Measure, Process};
use limpid_model::{ExpHistogram, Side, Status};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// 2026-01-01: long after any process of this test's identities started.
const T0: u64 = 1_767_225_600 * SECOND;

const GET: &[u8] = b"GET /cart HTTP/1.1\r\nHost: shop\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

const SHOP: u32 = 100;
const STORE: u32 = 200;
const STORE_WORKER: u32 = 201;
const OWN: u32 = 300;
const YOUNG: u32 = 400;

/// Who the processes are: the table that the real identity would have.
#[derive(Default)]
struct Table {
    processes: Mutex<HashMap<u32, Arc<Process>>>,
    epoch: AtomicU64,
}

impl Identify for Table {
    fn process(&self, tgid: u32) -> Arc<Process> {
        let name = match tgid {
            SHOP => "shop".to_string(),
            STORE => "store".to_string(),
            STORE_WORKER => "worker".to_string(),
            other => format!("service-{other}"),
        };
        let start = if tgid == YOUNG { 0 } else { 1 };
        let process = || Process {
            tgid,
            start,
            service: name.as_str().into(),
            entity: format!("process:test/{start}-{tgid}").into(),
            attributes: Vec::new(),
            own: tgid == OWN,
        };
        let mut processes = self.processes.lock().unwrap();
        Arc::clone(processes.entry(tgid).or_insert_with(|| Arc::new(process())))
    }

    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }
}

/// Keeps what the kernel would be told.
#[derive(Default)]
struct Verdicts(Mutex<Vec<(SocketId, Mode)>>);

impl Control for Verdicts {
    fn verdict(&self, socket: SocketId, mode: Mode, _: u64, _: u64) {
        self.0.lock().unwrap().push((socket, mode));
    }
}

struct World {
    shared: Shared,
    consumer: Box<dyn Consumer + Send>,
    verdicts: Verdicts,
}

fn world(config: Config) -> World {
    let shared = Shared::new(Config { host: "host:test".into(), ..config }, Arc::new(Table::default()));
    World { consumer: shared.consumer(), shared, verdicts: Verdicts::default() }
}

fn all_spans() -> Config {
    Config { sampling: Sampling::All, ..Config::default() }
}

fn address(text: &str) -> Option<(IpAddr, u16)> {
    text.parse::<std::net::SocketAddr>().ok().map(|address| (address.ip(), address.port()))
}

fn key(number: u32) -> ConnectionKey {
    ConnectionKey::Tcp { client_isn: number.wrapping_mul(0x9e37_79b9), server_isn: !number }
}

fn socket(id: SocketId, number: u32, side: Side, local: &str, remote: &str, tgid: u32) -> SocketInfo {
    SocketInfo {
        id,
        key: key(number),
        transport: Transport::Tcp,
        local: address(local),
        remote: address(remote),
        unix_path: None,
        side: Some(side),
        netns: 1,
        tgid,
        from_start: true,
        opened_ns: T0,
        connect_ns: None,
    }
}

/// A connection between `shop` and `store`, whose addresses a NAT changes on the way.
fn client(number: u32) -> SocketInfo {
    socket(u64::from(number) * 2, number, Side::Client, "10.0.0.1:40000", "10.9.9.9:80", SHOP)
}

fn server(number: u32) -> SocketInfo {
    socket(u64::from(number) * 2 + 1, number, Side::Server, "10.0.0.2:8080", "10.0.0.254:61000", STORE)
}

impl World {
    fn open(&mut self, sockets: &[SocketInfo]) {
        sockets.iter().for_each(|info| self.consumer.opened(info));
    }

    #[allow(clippy::too_many_arguments)]
    fn event(
        &mut self,
        of: &SocketInfo,
        sent: bool,
        offset: u64,
        data: &[u8],
        ms: u64,
        arrived_ms: Option<u64>,
        whole: bool,
    ) {
        let time_ns = T0 + ms * MS;
        let pieces: &[(u64, &[u8])] = if whole { &[(0, data)] } else { &[] };
        self.consumer.bytes(Bytes {
            socket: of.id,
            sent,
            offset,
            length: data.len() as u64,
            first_ns: time_ns,
            last_ns: time_ns,
            arrived_ns: arrived_ms.map(|ms| T0 + ms * MS),
            tgid: of.tgid,
            pieces,
            lost: false,
            more: false,
        });
    }

    fn sent(&mut self, of: &SocketInfo, offset: usize, data: &[u8], ms: u64) {
        self.event(of, true, offset as u64, data, ms, None, true);
    }

    fn received(&mut self, of: &SocketInfo, offset: usize, data: &[u8], ms: u64) {
        self.event(of, false, offset as u64, data, ms, None, true);
    }

    /// Times alone, as the kernel reports the end that is not parsed.
    fn sent_times(&mut self, of: &SocketInfo, offset: usize, data: &[u8], ms: u64) {
        self.event(of, true, offset as u64, data, ms, None, false);
    }

    fn received_times(&mut self, of: &SocketInfo, offset: usize, data: &[u8], ms: u64) {
        self.event(of, false, offset as u64, data, ms, None, false);
    }

    fn close(&mut self, of: &SocketInfo, ms: u64, reason: CloseReason) {
        self.consumer.closed(of.id, T0 + ms * MS, reason);
    }

    fn tick(&mut self, ms: u64) {
        self.consumer.tick(T0 + ms * MS, &self.verdicts);
    }

    fn spans(&self) -> Vec<Span> {
        decoded::spans(self.shared.drain_spans())
    }

    /// `label=value` pairs of a series, and its histogram.
    fn histograms(&self, family: &str) -> Vec<(HashMap<String, String>, ExpHistogram, bool)> {
        self.series(family)
            .into_iter()
            .map(|(labels, measure, ended, _)| match measure {
                Measure::Histogram(histogram) => (labels, histogram, ended),
                _ => panic!("{family} is no histogram"),
            })
            .collect()
    }

    fn series(&self, family: &str) -> Vec<(HashMap<String, String>, Measure, bool, u64)> {
        let found = self.shared.families().into_iter().filter(|snapshot| snapshot.name == family);
        found
            .flat_map(|snapshot| {
                let names = snapshot.labels;
                snapshot.series.into_iter().map(move |series| {
                    assert_eq!(names.len(), series.values.len(), "a value for each label");
                    let values = series.values.iter().map(ToString::to_string);
                    let labels = names.iter().map(ToString::to_string).zip(values).collect();
                    (labels, series.measure, series.ended, series.start_ns)
                })
            })
            .collect()
    }

    /// Requests counted for a service on a side.
    fn count(&self, service: &str, side: &str) -> u64 {
        self.requests(&[("service", service), ("side", side)]).iter().map(|histogram| histogram.count).sum()
    }

    fn requests(&self, labels: &[(&str, &str)]) -> Vec<ExpHistogram> {
        let fits = |have: &HashMap<String, String>| labels.iter().all(|(name, value)| have[*name] == *value);
        let all = self.histograms("limpid.request.duration");
        all.into_iter().filter(|(have, ..)| fits(have)).map(|(_, histogram, _)| histogram).collect()
    }

    fn gauge(&self, family: &str, service: &str) -> f64 {
        let of = self.series(family).into_iter().filter(|(labels, ..)| labels["service"] == service);
        of.map(|(_, measure, ..)| match measure {
            Measure::Gauge(value) => value,
            Measure::Counter(value) => value as f64,
            _ => panic!("{family} is neither gauge nor counter"),
        })
        .sum()
    }
}

/// The only value of a histogram, in milliseconds.
fn only_ms(histograms: &[ExpHistogram]) -> u64 {
    assert_eq!(histograms.len(), 1, "{histograms:?}");
    assert_eq!(histograms[0].count, 1);
    (histograms[0].sum * 1e3).round() as u64
}

/// One request over an open connection, the server's end parsed.
fn exchange(world: &mut World, number: u32, round: usize, ms: u64) {
    let (client, server) = (client(number), server(number));
    let (asked, answered) = (round * GET.len(), round * OK.len());
    world.sent(&client, asked, GET, ms);
    world.received(&server, asked, GET, ms + 1);
    world.sent(&server, answered, OK, ms + 2);
    world.received(&client, answered, OK, ms + 3);
}

#[test]
fn both_ends_behind_nat_are_one_edge_with_network_and_queue_apart() {
    let mut world = world(all_spans());
    let (client, server) = (client(1), server(1));
    world.open(&[client.clone(), server.clone()]);
    world.sent(&client, 0, GET, 0);
    world.event(&server, false, 0, GET, 5, Some(2), true);
    world.sent(&server, 0, OK, 9);
    world.received_times(&client, 0, OK, 12);
    world.tick(20);

    assert_eq!(only_ms(&world.requests(&[("service", "shop"), ("peer", "store"), ("side", "client")])), 12);
    assert_eq!(only_ms(&world.requests(&[("service", "store"), ("peer", "shop"), ("side", "server")])), 4);
    let split = |family: &str| {
        let found = world.histograms(family);
        found.into_iter().map(|(labels, histogram, _)| (labels["service"].clone(), histogram)).collect::<Vec<_>>()
    };
    assert_eq!(only_ms(&[split("limpid.request.queue.duration").remove(0).1]), 3);
    assert_eq!(only_ms(&[split("limpid.request.network.duration").remove(0).1]), 5);
    assert!(split("limpid.request.network_or_queue.duration").is_empty());

    let spans = world.spans();
    assert_eq!(spans.len(), 2);
    let of = |side| spans.iter().find(|span| span.side == side).unwrap();
    assert_eq!(of(Side::Client).trace_id, of(Side::Server).trace_id);
    assert_eq!(of(Side::Server).parent_span_id, Some(of(Side::Client).span_id));
    assert_eq!(of(Side::Client).parent_span_id, None);
    assert_eq!(of(Side::Server).queue_ns, Some(3 * MS as i64));
    assert_eq!(of(Side::Client).server_port, Some(80));
    assert_eq!(of(Side::Server).server_port, Some(8080));
    assert_eq!(of(Side::Client).request.code.as_deref(), Some("200"));
}

#[test]
fn an_unknown_arrival_is_network_or_queue() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    assert_eq!(world.histograms("limpid.request.network_or_queue.duration").len(), 1);
    assert!(world.histograms("limpid.request.network.duration").is_empty());
}

#[test]
fn one_end_alone_is_counted_with_the_peers_address() {
    let mut world = world(all_spans());
    let (client, server) = (client(1), server(2));
    world.open(&[client.clone(), server.clone()]);
    world.sent(&client, 0, GET, 0);
    world.received(&client, 0, OK, 7);
    world.received(&server, 0, GET, 0);
    world.sent(&server, 0, OK, 3);
    assert_eq!(only_ms(&world.requests(&[("side", "client"), ("peer", ""), ("peer_address", "10.9.9.9:80")])), 7);
    assert_eq!(only_ms(&world.requests(&[("side", "server"), ("peer", ""), ("peer_address", "10.0.0.254")])), 3);
}

#[test]
fn two_agents_that_see_one_end_each_make_the_same_trace() {
    let (mut near, mut far) = (world(all_spans()), world(Config { machine: 7, ..all_spans() }));
    near.open(&[client(5)]);
    far.open(&[server(5)]);
    for round in 0..2 {
        let (asked, answered) = (round * GET.len(), round * OK.len());
        near.sent(&client(5), asked, GET, 0);
        near.received(&client(5), answered, OK, 3);
        far.received(&server(5), asked, GET, 1);
        far.sent(&server(5), answered, OK, 2);
    }
    let (near, far) = (near.spans(), far.spans());
    assert_eq!((near.len(), far.len()), (2, 2));
    for (client, server) in near.iter().zip(&far) {
        assert_eq!(client.trace_id, server.trace_id);
        assert_eq!(server.parent_span_id, Some(client.span_id));
    }
    assert_ne!(near[0].trace_id, near[1].trace_id);
}

#[test]
fn a_traceparent_is_adopted() {
    let mut world = world(all_spans());
    let (client, server) = (client(1), server(1));
    let get = b"GET / HTTP/1.1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";
    world.open(&[client.clone(), server.clone()]);
    world.sent(&client, 0, get, 0);
    world.received(&server, 0, get, 1);
    world.sent(&server, 0, OK, 2);
    world.received(&client, 0, OK, 3);
    let spans = world.spans();
    assert_eq!(spans.len(), 2);
    let of = |side| spans.iter().find(|span| span.side == side).unwrap();
    assert_eq!(of(Side::Client).parent_span_id, Some([0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]));
    assert_eq!(of(Side::Server).parent_span_id, Some(of(Side::Client).span_id));
    assert!(spans.iter().all(|span| span.trace_id[0] == 0x0a && span.trace_id[15] == 0x9c));
}

#[test]
fn a_second_end_that_comes_late_is_joined() {
    let mut world = world(Config::default());
    let near = socket(2, 1, Side::Client, "127.0.0.1:40000", "127.0.0.1:80", SHOP);
    let far = socket(3, 1, Side::Server, "127.0.0.1:80", "127.0.0.1:40000", STORE);
    world.open(&[near.clone()]);
    world.sent(&near, 0, GET, 0);
    world.received(&near, 0, OK, 30);
    world.tick(60);
    assert!(world.requests(&[]).is_empty(), "waits for the other end, which must be on this machine");
    world.open(&[far.clone()]);
    world.received_times(&far, 0, GET, 10);
    world.sent_times(&far, 0, OK, 20);
    assert_eq!(only_ms(&world.requests(&[("service", "shop"), ("peer", "store")])), 30);
    assert_eq!(only_ms(&world.requests(&[("service", "store"), ("peer", "shop")])), 10);
}

#[test]
fn a_second_end_that_never_comes_is_not_waited_for() {
    let mut world = world(Config::default());
    let near = socket(2, 1, Side::Client, "127.0.0.1:40000", "127.0.0.1:80", SHOP);
    world.open(&[near.clone()]);
    world.sent(&near, 0, GET, 0);
    world.received(&near, 0, OK, 30);
    world.tick(300);
    assert_eq!(only_ms(&world.requests(&[("service", "shop"), ("peer_address", "127.0.0.1:80")])), 30);
}

#[test]
fn a_slow_reader_keeps_its_own_time() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    world.sent(&client(1), 0, GET, 0);
    world.received(&server(1), 0, GET, 1);
    world.sent(&server(1), 0, OK, 2);
    world.tick(400);
    assert_eq!(only_ms(&world.requests(&[("side", "server")])), 1);
    assert!(world.requests(&[("side", "client")]).is_empty());
    world.received_times(&client(1), 0, OK, 5_000);
    assert_eq!(only_ms(&world.requests(&[("side", "client")])), 5_000);
    assert_eq!(world.count("store", "server"), 1);
}

#[test]
fn a_pipeline_of_a_hundred_is_a_hundred_at_both_ends() {
    let mut world = world(all_spans());
    let (client, server) = (client(1), server(1));
    world.open(&[client.clone(), server.clone()]);
    let asked = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n".repeat(100);
    let answered = b"$5\r\nvalue\r\n".repeat(100);
    for round in 0..10 {
        world.sent(&client, round * asked.len(), &asked, 10 * round as u64);
        world.received(&server, round * asked.len(), &asked, 10 * round as u64 + 1);
        let half = answered.len() / 2;
        world.sent(&server, round * answered.len(), &answered[..half], 10 * round as u64 + 3);
        world.sent(&server, round * answered.len() + half, &answered[half..], 10 * round as u64 + 4);
        world.received(&client, round * answered.len(), &answered, 10 * round as u64 + 5);
    }
    assert_eq!(world.count("shop", "client"), 1_000);
    assert_eq!(world.count("store", "server"), 1_000);
    let spans = world.spans();
    assert_eq!(spans.len(), 2_000);
    assert!(spans.iter().filter(|span| span.side == Side::Client).all(|span| span.request.duration_ns() == 5 * MS));
    let quick = spans.iter().filter(|span| span.side == Side::Server && span.request.duration_ns() == 2 * MS);
    assert_eq!(quick.count(), 500, "the first half of the answers was sent a millisecond before the second");
}

#[test]
fn a_receiver_stamped_before_its_sender_is_clamped_and_counted() {
    let clamped = || CLAMPED.iter().map(|(_, count)| count.load(Ordering::Relaxed)).collect::<Vec<u64>>();
    let before = clamped();
    let mut world = world(all_spans());
    let (client, server) = (client(1), server(1));
    world.open(&[client.clone(), server.clone()]);
    world.received(&server, 0, GET, 10);
    world.sent(&server, 0, OK, 11);
    world.received_times(&client, 0, OK, 12);
    world.sent_times(&client, 0, GET, 13);
    assert_eq!(only_ms(&world.requests(&[("side", "client")])), 0);
    assert!(clamped().iter().zip(&before).all(|(now, before)| now > before), "of the request, and of the network");
    assert!(world.spans().iter().all(|span| span.request.end_ns >= span.request.start_ns));
}

#[test]
fn lost_times_are_counted_and_the_request_is_not_lost() {
    let before = losses::TIMES_LOST.get();
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    // The client's record of the second exchange is lost; the third shows that it is.
    world.received(&server(1), GET.len(), GET, 11);
    world.sent(&server(1), OK.len(), OK, 12);
    exchange(&mut world, 1, 2, 20);
    assert_eq!((world.count("shop", "client"), world.count("store", "server")), (3, 3));
    assert!(losses::TIMES_LOST.get() > before);
}

#[test]
fn lost_bytes_invent_nothing() {
    let mut world = world(Config::default());
    let (client, server) = (client(1), server(1));
    world.open(&[client.clone(), server.clone()]);
    exchange(&mut world, 1, 0, 0);
    world.event(&server, false, GET.len() as u64, GET, 10, None, false);
    world.event(&server, true, OK.len() as u64, OK, 11, None, false);
    exchange(&mut world, 1, 2, 20);
    world.tick(1_000);
    let found = world.count("store", "server");
    assert!((1..=3).contains(&found), "{found} of three, one of which was lost");
    assert!(world.requests(&[("side", "server"), ("status", "ok")]).iter().map(|h| h.count).sum::<u64>() >= 1);
}

#[test]
fn a_reset_leaves_the_request_unanswered_on_both_sides() {
    let mut world = world(all_spans());
    world.open(&[client(1), server(1)]);
    world.sent(&client(1), 0, GET, 0);
    world.received(&server(1), 0, GET, 1);
    world.close(&server(1), 50, CloseReason::Reset);
    world.close(&client(1), 51, CloseReason::Reset);
    for side in ["client", "server"] {
        let found = world.requests(&[("side", side), ("status", "unanswered"), ("code", "")]);
        assert_eq!(found.len(), 1, "{side}");
    }
    world.tick(1_000);
    assert_eq!(world.shared.connections(), 0);
    assert!(world.spans().iter().all(|span| span.request.status == Status::Unanswered));
}

#[test]
fn a_client_that_gave_up_did_not_get_the_answer_that_the_server_sent() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    world.sent(&client(1), 0, GET, 0);
    world.received(&server(1), 0, GET, 1);
    world.close(&client(1), 1_000, CloseReason::Closed);
    world.sent(&server(1), 0, OK, 2_000);
    world.close(&server(1), 2_001, CloseReason::Reset);
    assert_eq!(only_ms(&world.requests(&[("side", "client"), ("status", "unanswered")])), 1_000);
    assert_eq!(only_ms(&world.requests(&[("side", "server"), ("status", "ok"), ("code", "200")])), 1_999);
}

#[test]
fn a_late_answer_corrects_and_is_not_counted_twice() {
    let mut world = world(all_spans());
    world.open(&[client(1), server(1)]);
    world.sent(&client(1), 0, GET, 0);
    world.received(&server(1), 0, GET, 1);
    world.tick(31_000);
    world.tick(31_100);
    assert_eq!(world.gauge("limpid.requests.waiting", "store"), 1.0);
    world.sent(&server(1), 0, OK, 40_000);
    world.received(&client(1), 0, OK, 40_001);
    assert_eq!(world.gauge("limpid.requests.waiting", "store"), 0.0);
    assert_eq!(world.gauge("limpid.requests.waiting", "shop"), 0.0);
    assert_eq!((world.count("shop", "client"), world.count("store", "server")), (1, 1));
    let spans: Vec<Span> = world.spans().into_iter().filter(|span| span.side == Side::Server).collect();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].span_id, spans[1].span_id);
    assert_eq!((spans[0].request.status, spans[1].request.status), (Status::Unanswered, Status::Ok));
}

#[test]
fn requests_belong_to_the_process_that_answered_them() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    let worker = SocketInfo { tgid: STORE_WORKER, ..server(1) };
    world.sent(&client(1), GET.len(), GET, 10);
    world.received(&worker, GET.len(), GET, 11);
    world.sent(&worker, OK.len(), OK, 12);
    world.received(&client(1), OK.len(), OK, 13);
    assert_eq!((world.count("store", "server"), world.count("worker", "server")), (1, 1));
    assert_eq!(world.requests(&[("service", "shop"), ("peer", "worker")]).len(), 1);
}

#[test]
fn a_short_lived_process_is_no_instance() {
    let mut world = world(Config::default());
    let young = SocketInfo { tgid: YOUNG, ..client(1) };
    world.open(&[young.clone()]);
    world.sent(&young, 0, GET, 0);
    world.received(&young, 0, OK, 1);
    assert_eq!(world.requests(&[("instance", "short-lived"), ("host", "host:test")]).len(), 1);
}

#[test]
fn limpids_own_connections_are_left_alone() {
    let mut world = world(all_spans());
    let own = SocketInfo { tgid: OWN, ..server(1) };
    world.open(&[client(1), own.clone()]);
    world.sent(&client(1), 0, GET, 0);
    world.received(&own, 0, GET, 1);
    world.sent(&own, 0, OK, 2);
    world.received(&client(1), 0, OK, 3);
    world.tick(100);
    assert!(world.requests(&[]).is_empty() && world.spans().is_empty());
    let told = world.verdicts.0.lock().unwrap();
    assert!(told.iter().any(|(id, mode)| *id == own.id && *mode == Mode::Ignore), "{told:?}");
}

#[test]
fn the_kernel_is_told_once_what_to_copy() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    for round in 0..5 {
        exchange(&mut world, 1, round, 10 * round as u64);
        world.tick(10 * round as u64 + 5);
    }
    let told = world.verdicts.0.lock().unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.contains(&(client(1).id, Mode::TimesOnly)));
    assert!(told.iter().any(|(id, mode)| *id == server(1).id && *mode != Mode::TimesOnly && *mode != Mode::Ignore));
}

#[test]
fn what_is_no_protocol_is_ignored_but_its_bytes_are_counted() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    let noise = [0xf7u8; 1000];
    for round in 0..100 {
        world.sent(&client(1), round * 1000, &noise, round as u64);
        world.received(&server(1), round * 1000, &noise, round as u64);
        world.sent(&server(1), round * 1000, &noise, round as u64);
        world.received(&client(1), round * 1000, &noise, round as u64);
    }
    world.tick(2_000);
    assert!(world.requests(&[]).is_empty());
    let told = world.verdicts.0.lock().unwrap();
    assert!(told.iter().any(|(id, mode)| *id == server(1).id && *mode == Mode::Ignore), "{told:?}");
    assert_eq!(world.gauge("limpid.connection.io", "shop"), 200_000.0);
    assert_eq!(world.gauge("limpid.connection.io", "store"), 200_000.0);
}

#[test]
fn too_many_routes_are_other_and_counted() {
    let before = losses::SERIES_CAPPED.get();
    let limits = Limits { resources: 20, ..Limits::default() };
    let mut world = world(Config { limits, ..Config::default() });
    world.open(&[server(1)]);
    let (mut asked, mut answered) = (0, 0);
    for route in 0..100u8 {
        let name: String = [route / 26, route % 26].iter().map(|letter| char::from(b'a' + letter)).collect();
        let get = format!("GET /{name}/list HTTP/1.1\r\n\r\n");
        world.received(&server(1), asked, get.as_bytes(), 1);
        world.sent(&server(1), answered, OK, 2);
        (asked, answered) = (asked + get.len(), answered + OK.len());
    }
    assert_eq!(world.count("store", "server"), 100);
    assert_eq!(world.requests(&[]).len(), 21);
    assert_eq!(world.requests(&[("resource", "_OTHER")])[0].count, 80);
    assert!(losses::SERIES_CAPPED.get() >= before + 80);
}

#[test]
fn an_idle_series_ends_visibly_and_begins_anew() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    world.tick(0);
    exchange(&mut world, 1, 0, 0);
    world.tick(1_000);
    let began = world.series("limpid.request.duration")[0].3;
    world.tick(700_000);
    let ended = world.histograms("limpid.request.duration");
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|(_, histogram, ended)| *ended && histogram.count == 1));
    world.tick(720_000);
    assert!(world.histograms("limpid.request.duration").is_empty());
    assert_eq!(world.gauge("limpid.connection.active", "shop"), 1.0, "the connection is still open");
    exchange(&mut world, 1, 1, 730_000);
    world.tick(731_000);
    let again = world.series("limpid.request.duration");
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|(_, _, ended, start_ns)| !ended && *start_ns > began));
}

#[test]
fn threads_are_added_up() {
    let shared = Shared::new(Config::default(), Arc::new(Table::default()));
    let control = Verdicts::default();
    for number in 1..=4 {
        let mut world = World { consumer: shared.consumer(), shared: shared.clone(), verdicts: Verdicts::default() };
        world.open(&[client(number), server(number)]);
        exchange(&mut world, number, 0, 0);
        world.consumer.tick(T0, &control);
        assert_eq!(world.count("store", "server"), u64::from(number));
        assert_eq!(world.requests(&[]).len(), 2);
    }
}

#[test]
fn many_connections_leave_nothing_behind() {
    let mut world = world(Config::default());
    let mut churn = |from: u32| {
        for number in from..from + 20_000 {
            let ms = u64::from(number);
            world.open(&[client(number), server(number)]);
            exchange(&mut world, number, 0, ms);
            world.close(&client(number), ms + 4, CloseReason::Closed);
            world.close(&server(number), ms + 4, CloseReason::Closed);
            world.tick(ms + 5);
        }
        world.tick(u64::from(from) + 22_000);
        assert!(!world.spans().is_empty());
        assert_eq!(world.shared.connections(), 0);
        assert_eq!(world.requests(&[]).len(), 2);
        (world.count("shop", "client"), world.count("store", "server"), allocated_bytes())
    };
    let first = churn(1);
    let second = churn(30_000);
    assert_eq!((first.0, first.1), (20_000, 20_000));
    assert_eq!((second.0, second.1), (40_000, 40_000));
    let grown = second.2 - first.2;
    assert!(grown < 64 << 10, "grew by {grown} bytes over 20,000 connections");
}

thread_local! {
    static ALLOCATED: std::cell::Cell<i64> = const { std::cell::Cell::new(0) };
}

/// Counts each thread's memory, so that tests beside this one do not matter.
struct Counting;

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl std::alloc::GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() + layout.size() as i64));
        // SAFETY: the caller's promises hold for the system's allocator too.
        unsafe { std::alloc::System.alloc(layout) }
    }
    unsafe fn dealloc(&self, place: *mut u8, layout: std::alloc::Layout) {
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() - layout.size() as i64));
        // SAFETY: as above.
        unsafe { std::alloc::System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocated_bytes() -> i64 {
    ALLOCATED.with(std::cell::Cell::get)
}

#[test]
fn connections_whose_close_was_lost_are_evicted_oldest_first() {
    let mut world = world(Config { connections: 100, ..Config::default() });
    for number in 1..=1_000 {
        world.open(&[client(number), server(number)]);
        exchange(&mut world, number, 0, u64::from(number));
    }
    assert!(world.shared.connections() <= 100);
    assert_eq!((world.count("shop", "client"), world.count("store", "server")), (1_000, 1_000));
    world.tick(2_000);
    assert!(world.gauge("limpid.connection.active", "shop") <= 100.0);
    let told = world.verdicts.0.lock().unwrap();
    assert!(told.iter().filter(|(_, mode)| *mode == Mode::Ignore).count() >= 1_800);
}

#[test]
fn the_default_keeps_few_spans_and_all_counts() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    for round in 0..50_000usize {
        exchange(&mut world, 1, round, round as u64 / 5);
        if round % 100 == 0 {
            world.tick(round as u64 / 5);
        }
    }
    assert_eq!((world.count("shop", "client"), world.count("store", "server")), (50_000, 50_000));
    let kept = world.spans().len();
    assert!((300..3_000).contains(&kept), "{kept} spans of ten seconds at 100 a second");
}

#[test]
fn a_connect_that_failed_is_a_request_of_tcp() {
    let mut world = world(all_spans());
    let attempt = |errno| FailedConnect {
        socket: SocketInfo { key: ConnectionKey::Alone(7), ..client(1) },
        ended_ns: T0 + 40 * MS,
        errno,
        retransmits: 3,
    };
    world.consumer.connect_failed(&attempt(Some(libc::ETIMEDOUT)));
    world.consumer.connect_failed(&attempt(None));
    let refused = world.requests(&[("protocol", "tcp"), ("operation", "connect"), ("code", "ETIMEDOUT")]);
    assert_eq!(only_ms(&refused), 40);
    let given_up = world.requests(&[("service", "shop"), ("protocol", "tcp"), ("status", "unanswered"), ("code", "")]);
    assert_eq!(only_ms(&given_up), 40);
    assert_eq!(world.gauge("limpid.tcp.retransmits", "shop"), 6.0);
    let spans = world.spans();
    assert_eq!(spans.len(), 2);
    assert!(spans.iter().all(|span| span.side == Side::Client));
    let own = SocketInfo { tgid: OWN, ..client(1) };
    world.consumer.connect_failed(&FailedConnect { socket: own, ..attempt(None) });
    assert_eq!(world.count("service-300", "client"), 0);
}

#[test]
fn bytes_are_counted_by_how_far_a_connection_is() {
    let mut world = world(Config::default());
    let old = SocketInfo { from_start: false, ..client(2) };
    let client = client(1);
    world.open(&[client.clone(), old.clone()]);
    let progress = |sent, retransmits| Progress { sent, retransmits, segments: 10, ..Progress::default() };
    world.sent(&client, 0, GET, 1);
    // What was not reported itself: the connection is not read, or records were lost.
    world.consumer.progress(client.id, &progress(5_000, 2));
    world.sent(&client, 100, GET, 2);
    // What an old connection did before it was looked at is nobody's.
    world.consumer.progress(old.id, &progress(1_000_000, 500));
    world.consumer.progress(old.id, &progress(1_000_100, 501));
    world.tick(2_000);
    assert_eq!(world.gauge("limpid.connection.io", "shop"), 5_100.0);
    assert_eq!(world.gauge("limpid.tcp.retransmits", "shop"), 3.0);
    assert_eq!(world.gauge("limpid.tcp.segments", "shop"), 10.0);
}

/// A question for `a.example` and its answer.
fn dns(id: u8) -> (Vec<u8>, Vec<u8>) {
    let name = b"\x01a\x07example\0\0\x01\0\x01";
    let question = [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &name[..]].concat();
    let answer = [&[0, id, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0], &name[..]].concat();
    (question, answer)
}

/// The two ends of a flow between port 40000 and a server.
fn dns_flow(client: u64, server: u64) -> (SocketInfo, SocketInfo) {
    let key =
        ConnectionKey::Udp { client: IpAddr::from([10, 0, 0, 1]), client_port: 40_000, server_port: 53, netns: 0 };
    let flow = |id: u64, side, local, remote, tgid| SocketInfo {
        key,
        transport: Transport::Udp,
        ..socket(id | 1 << 63, 0, side, local, remote, tgid)
    };
    (
        flow(client, Side::Client, "10.0.0.1:40000", "10.0.0.2:53", SHOP),
        flow(server, Side::Server, "0.0.0.0:53", "10.0.0.1:40000", STORE),
    )
}

#[test]
fn datagrams_of_both_ends_are_joined_although_one_is_lost() {
    let mut world = world(all_spans());
    let (client, server) = dns_flow(1, 2);
    world.open(&[client.clone(), server.clone()]);
    let (lost, _) = dns(1);
    let (question, answer) = dns(2);
    world.sent(&client, 0, &lost, 0);
    world.sent(&client, lost.len(), &question, 10);
    // The first one never came: this end counts from here.
    world.received(&server, 0, &question, 11);
    world.sent(&server, 0, &answer, 15);
    world.received(&client, 0, &answer, 17);
    world.tick(60);
    world.close(&client, 400, CloseReason::Closed);
    world.tick(700);
    let of = |side| world.requests(&[("protocol", "dns"), ("side", side), ("status", "ok")]);
    assert_eq!((only_ms(&of("client")), only_ms(&of("server"))), (7, 4));
    assert_eq!(world.gauge("limpid.connection.active", "shop"), 0.0, "the server's flow does not end by itself");
    world.tick(800);
    let told = world.verdicts.0.lock().unwrap();
    assert_eq!(told.last(), Some(&(server.id, Mode::Forget)), "another client may come with the same port");
}

/// What the pipeline has counted as answered, at both ends.
fn answered(world: &World) -> (u64, u64) {
    let of =
        |side| world.requests(&[("protocol", "dns"), ("side", side), ("status", "ok")]).iter().map(|of| of.count).sum();
    (of("client"), of("server"))
}

/// A question and its answer at both ends; `early`: the server's record overtakes that of the client's.
fn ask(world: &mut World, client: &SocketInfo, server: &SocketInfo, id: u8, at_ms: u64, early: bool) {
    let (question, answer) = dns(id);
    if early {
        world.received(server, 0, &question, at_ms + 1);
    }
    world.open(std::slice::from_ref(client));
    world.sent(client, 0, &question, at_ms);
    if !early {
        world.received(server, 0, &question, at_ms + 1);
    }
    world.sent(server, 0, &answer, at_ms + 5);
    world.received(client, 0, &answer, at_ms + 6);
}

#[test]
fn a_port_that_is_used_again_at_once_is_another_client() {
    for early in [false, true] {
        // Before anything was tidied up, after the first time, and when the kernel is about to forget the flow.
        for (pause, ticks) in [(1, &[][..]), (30, &[][..]), (60, &[0, 50])] {
            let mut world = world(all_spans());
            let (first, server) = dns_flow(1, 2);
            world.open(std::slice::from_ref(&server));
            ask(&mut world, &first, &server, 1, 0, false);
            world.tick(10);
            world.close(&first, 11, CloseReason::Closed);
            ticks.iter().for_each(|tick| world.tick(11 + tick));
            let (second, _) = dns_flow(3, 2);
            ask(&mut world, &second, &server, 2, 11 + pause, early);
            world.close(&second, 30 + pause, CloseReason::Closed);
            world.tick(400);
            world.tick(700);
            assert_eq!(answered(&world), (2, 2), "early {early}, after {pause} ms");
            let told = world.verdicts.0.lock().unwrap();
            assert!(!told.contains(&(server.id, Mode::Ignore)), "what comes next is wanted: {told:?}");
            drop(told);
            assert_eq!(world.gauge("limpid.connection.active", "shop"), 0.0);
        }
    }
}

#[test]
fn a_flow_that_the_kernel_has_forgotten_comes_back_under_another_id() {
    let mut world = world(all_spans());
    let (first, server) = dns_flow(1, 2);
    world.open(std::slice::from_ref(&server));
    ask(&mut world, &first, &server, 1, 0, false);
    world.close(&first, 11, CloseReason::Closed);
    world.tick(61);
    // The next client asks before the kernel has read that it shall forget; then the server is asked once more.
    let (second, renamed) = dns_flow(3, 4);
    let (question, answer) = dns(2);
    let (other_question, other_answer) = dns(3);
    world.open(std::slice::from_ref(&second));
    world.sent(&second, 0, &question, 70);
    world.received(&server, 0, &question, 71);
    world.sent(&second, question.len(), &other_question, 72);
    world.open(std::slice::from_ref(&renamed));
    world.received(&renamed, 0, &other_question, 73);
    world.sent(&renamed, 0, &answer, 74);
    world.sent(&renamed, answer.len(), &other_answer, 75);
    world.received(&second, 0, &answer, 76);
    world.received(&second, answer.len(), &other_answer, 77);
    world.tick(150);
    world.close(&second, 160, CloseReason::Closed);
    world.tick(500);
    assert_eq!(answered(&world), (3, 3));
}

/// What the link of a service says of its pending requests: how many, and the age of the oldest in seconds.
fn pending(world: &World, service: &str) -> (f64, f64) {
    (world.gauge("limpid.requests.pending", service), world.gauge("limpid.requests.pending.age", service))
}

/// Ticks once a second, as accounting needs it.
fn tick_through(world: &mut World, seconds: std::ops::RangeInclusive<u64>) {
    seconds.for_each(|second| world.tick(second * 1_000));
}

#[test]
fn what_a_server_has_read_and_not_answered_is_pending_at_both_ends() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    world.sent(&client(1), GET.len(), GET, 1_000);
    world.received(&server(1), GET.len(), GET, 1_000);
    tick_through(&mut world, 1..=8);
    assert_eq!((pending(&world, "shop"), pending(&world, "store")), ((1.0, 7.0), (1.0, 7.0)));
    world.sent(&server(1), OK.len(), OK, 8_500);
    world.received(&client(1), OK.len(), OK, 8_500);
    tick_through(&mut world, 9..=12);
    assert_eq!((pending(&world, "shop"), pending(&world, "store")), ((0.0, 0.0), (0.0, 0.0)));
}

#[test]
fn what_a_stopped_server_does_not_even_read_is_pending_and_outlives_the_clients_patience() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    world.sent(&client(1), GET.len(), GET, 1_000);
    tick_through(&mut world, 1..=7);
    assert_eq!((pending(&world, "shop"), pending(&world, "store")), ((1.0, 6.0), (1.0, 6.0)));
    world.close(&client(1), 7_500, CloseReason::Closed);
    tick_through(&mut world, 8..=12);
    assert_eq!((pending(&world, "shop").0, pending(&world, "store")), (0.0, (1.0, 11.0)));
}

#[test]
fn many_connections_add_up_and_the_oldest_tells_the_age() {
    let mut world = world(Config::default());
    for number in 1..=3 {
        world.open(&[client(number), server(number)]);
        exchange(&mut world, number, 0, 0);
        world.sent(&client(number), GET.len(), GET, 1_000 * u64::from(number));
    }
    tick_through(&mut world, 1..=9);
    assert_eq!(pending(&world, "store"), (3.0, 8.0));
}

#[test]
fn what_is_read_slowly_is_not_pending_and_nothing_is_told_of_who_never_waits() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    tick_through(&mut world, 1..=3);
    assert!(world.series("limpid.requests.pending").is_empty());
    // The server takes a long body little by little.
    let body = [b'x'; 64];
    let head = b"POST /cart HTTP/1.1\r\nContent-Length: 640\r\n\r\n";
    let mut offset = GET.len();
    world.sent(&client(1), offset, head, 4_000);
    world.received(&server(1), offset, head, 4_000);
    offset += head.len();
    (0..10).for_each(|part| world.sent(&client(1), offset + part * body.len(), &body, 4_000));
    for part in 0..9 {
        world.tick(4_000 + part as u64 * 1_000);
        world.received(&server(1), offset + part * body.len(), &body, 4_000 + part as u64 * 1_000);
    }
    assert!(pending(&world, "store").1 <= 1.0, "{:?}", pending(&world, "store"));
}

/// A connection of `shop` to some server, on which nothing is said.
fn silent(number: u32, remote: &str) -> SocketInfo {
    SocketInfo { remote: address(remote), ..client(number) }
}

#[test]
fn a_client_that_is_never_greeted_waits_where_servers_speak_first() {
    let mut world = world(Config::default());
    world.open(&[silent(1, "10.9.9.9:3306"), silent(2, "10.9.9.9:80")]);
    tick_through(&mut world, 1..=7);
    let links = world.series("limpid.requests.pending.age");
    let [(labels, measure, ..)] = links.as_slice() else { panic!("{} links", links.len()) };
    assert_eq!((labels["protocol"].as_str(), labels["peer_address"].as_str()), ("mysql", "10.9.9.9:3306"));
    assert!(matches!(measure, Measure::Gauge(age) if *age == 7.0));
    assert_eq!(
        world.gauge("limpid.connection.active", "shop"),
        0.0,
        "an idle connection is no connection that was used"
    );
    world.close(&silent(1, "10.9.9.9:3306"), 8_000, CloseReason::Closed);
    tick_through(&mut world, 8..=12);
    assert_eq!(pending(&world, "shop"), (0.0, 0.0));
}

#[test]
fn who_speaks_first_is_learned_wherever_it_listens() {
    let body = b"\x0a8.0.36\0\x08\0\0\0saltsalt\0\xff\xff\xff\x02\0\xff\xdf\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0\
        mysql_native_password\0";
    let greeting = [&[body.len() as u8, 0, 0, 0], &body[..]].concat();
    let mut world = world(Config::default());
    world.open(&[silent(1, "10.9.9.9:13306")]);
    world.received(&silent(1, "10.9.9.9:13306"), 0, &greeting, 1);
    world.open(&[silent(2, "10.9.9.9:13306")]);
    tick_through(&mut world, 1..=7);
    assert_eq!(pending(&world, "shop"), (1.0, 7.0));
}

#[test]
fn an_answer_that_was_lost_leaves_nothing_pending() {
    let mut world = world(Config::default());
    world.open(&[client(1), server(1)]);
    exchange(&mut world, 1, 0, 0);
    world.sent(&client(1), GET.len(), GET, 1_000);
    world.received(&server(1), GET.len(), GET, 1_000);
    let (asked, answered) = (2 * GET.len() as u64, 2 * OK.len() as u64);
    let progress = Progress { sent: answered, received: asked, ..Progress::default() };
    world.consumer.progress(server(1).id, &progress);
    tick_through(&mut world, 1..=8);
    assert_eq!(pending(&world, "store").0, 0.0);
}
