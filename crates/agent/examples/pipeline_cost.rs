//! What the pipeline costs a request and side, without a kernel: `pipeline_cost [REQUESTS]`. Events as the socket
//! collector delivers them (the parsed end's bytes, the other end's times) go through the real consumer.

use limpid_agent::capture::{Bytes, ConnectionKey, Control, Mode, SocketId, SocketInfo, Transport};
use limpid_agent::pipeline::{Config, Identify, Sampling, Shared};
use limpid_agent::telemetry::Process;
use limpid_model::Side;
use std::sync::Arc;

const CONNECTIONS: u64 = 50;
/// Of a record: on a busy connection several leave the kernel together.
const EXCHANGES: u64 = 5;
const START_NS: u64 = 1_767_225_600_000_000_000;

struct Names(Vec<Arc<Process>>);

impl Identify for Names {
    fn process(&self, tgid: u32) -> Arc<Process> {
        Arc::clone(&self.0[tgid as usize % 2])
    }
    fn epoch(&self) -> u64 {
        0
    }
}

struct Deaf;

impl Control for Deaf {
    fn verdict(&self, _: SocketId, _: Mode, _: u64, _: u64) {}
}

fn main() {
    let requests = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(3_000_000u64);
    let get = b"GET /cart/17 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: wrk\r\n\r\n".as_slice();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi".as_slice();
    let command = b"*2\r\n$3\r\nGET\r\n$6\r\nkey:17\r\n".as_slice();
    let value = b"$5\r\nvalue\r\n".as_slice();
    for (name, asked, answered, depth) in [
        ("http", get.to_vec(), ok.to_vec(), 1),
        ("redis", command.to_vec(), value.to_vec(), 1),
        ("redis, pipelines of 16", command.repeat(16), value.repeat(16), 16),
    ] {
        let rounds = requests / depth / EXCHANGES * EXCHANGES;
        for sampling in [Sampling::Off, Sampling::default(), Sampling::All] {
            let (ns, counted) = measure(&asked, &answered, rounds, sampling);
            println!("{name:24} {sampling:?}: {:.0} ns a request and side", ns as f64 / (rounds * depth * 2) as f64);
            assert_eq!(counted, rounds * depth * 2, "every request is counted on both sides");
        }
    }
}

fn process(tgid: u32, service: &str) -> Arc<Process> {
    Arc::new(Process {
        tgid,
        start: 1,
        service: service.into(),
        entity: format!("process:machine/1-{tgid}").into(),
        attributes: Vec::new(),
        own: false,
    })
}

fn socket(id: u64, side: Side, number: u32) -> SocketInfo {
    let (client, server) = (("127.0.0.1".parse().ok(), 40_000), ("127.0.0.1".parse().ok(), 80));
    let address = |(ip, port): (Option<std::net::IpAddr>, u16)| ip.map(|ip| (ip, port));
    let (local, remote) = if side == Side::Client { (client, server) } else { (server, client) };
    SocketInfo {
        id,
        key: ConnectionKey::Tcp { client_isn: number, server_isn: !number },
        transport: Transport::Tcp,
        local: address(local),
        remote: address(remote),
        unix_path: None,
        side: Some(side),
        netns: 1,
        tgid: u32::from(side == Side::Server),
        from_start: true,
        opened_ns: START_NS,
        connect_ns: None,
    }
}

fn measure(asked: &[u8], answered: &[u8], rounds: u64, sampling: Sampling) -> (u64, u64) {
    let names = Names(vec![process(0, "shop"), process(1, "store")]);
    let shared = Shared::new(Config { sampling, ..Config::default() }, Arc::new(names));
    let mut consumer = shared.consumer();
    for at in 0..CONNECTIONS {
        consumer.opened(&socket(at * 2, Side::Client, at as u32));
        consumer.opened(&socket(at * 2 + 1, Side::Server, at as u32));
    }
    let began_ns = cpu_ns();
    for record in 0..rounds / EXCHANGES {
        let (at, first) = (record % CONNECTIONS, record / CONNECTIONS * EXCHANGES);
        let mut event = |client: bool, sent: bool, turn: u64, data: &[u8], after_ns: u64, more: bool| {
            let time_ns = START_NS + (record * EXCHANGES + turn) * 7_000 + after_ns;
            let pieces: &[(u64, &[u8])] = if client { &[] } else { &[(0, data)] };
            consumer.bytes(Bytes {
                socket: at * 2 + u64::from(!client),
                sent,
                offset: (first + turn) * data.len() as u64,
                length: data.len() as u64,
                first_ns: time_ns,
                last_ns: time_ns,
                arrived_ns: (!client && !sent).then_some(time_ns - 500),
                tgid: u32::from(!client),
                pieces,
                lost: false,
                more,
            });
        };
        for turn in 0..EXCHANGES {
            event(false, false, turn, asked, 2_000, true);
            event(false, true, turn, answered, 30_000, turn + 1 < EXCHANGES);
        }
        for turn in 0..EXCHANGES {
            event(true, true, turn, asked, 1_000, true);
            event(true, false, turn, answered, 33_000, turn + 1 < EXCHANGES);
        }
        if record % 16 == 0 {
            consumer.tick(START_NS + record * EXCHANGES * 7_000, &Deaf);
            shared.drain_spans();
        }
    }
    (cpu_ns() - began_ns, counted(&shared))
}

/// CPU time of this thread: other work on the machine does not count.
fn cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the one timespec that the call writes.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn counted(shared: &Shared) -> u64 {
    use limpid_agent::telemetry::{Families, Measure};
    let families = shared.families();
    let series =
        families.iter().filter(|family| family.name == "limpid.request.duration").flat_map(|family| &family.series);
    series.map(|series| if let Measure::Histogram(histogram) = &series.measure { histogram.count } else { 0 }).sum()
}
