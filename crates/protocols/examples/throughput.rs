//! What the engine and each parser make on one core: small requests with their answers, and bodies in pieces of 1 KiB.
//!
//!     cargo run --release -p limpid-protocols --example throughput [SECONDS ['PROTOCOL LOAD']]

use limpid_model::{Direction, Kind, Request, Status};
use limpid_protocols::{Connection, Datagrams, Hints, Options, Sink};
use std::time::{Duration, Instant};

/// One exchange that is repeated on a connection that stays open.
struct Load {
    protocol: &'static str,
    what: &'static str,
    /// Said once, before it begins.
    opening: &'static [(Direction, &'static [u8])],
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Pieces in which both arrive; 0 is all at once.
    piece_bytes: usize,
    transport: Transport,
    /// Requests in one exchange.
    requests: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Transport {
    Stream,
    Datagrams,
    /// Each exchange from a socket of its own, as most resolvers ask.
    NewSockets,
}

#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    fn request(&mut self, request: Request) {
        assert_ne!(request.status, Status::Unanswered, "an answer was missed");
        self.0 += u64::from(request.kind != Kind::Session);
    }
    fn orphan(&mut self, protocol: &'static str) {
        panic!("an answer of {protocol} without a request");
    }
}

use Direction::{ToClient, ToServer};

fn loads() -> Vec<Load> {
    let http_request =
        b"GET /cart/items HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: wrk\r\nAccept: */*\r\n\r\n".to_vec();
    let http_answer =
        b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sun, 22 Nov 2026 21:00:00 GMT\r\nContent-Type: text/plain\r\n\
        Content-Length: 13\r\nConnection: keep-alive\r\n\r\nHello, world!"
            .to_vec();
    let body = 1 << 20;
    let http_body =
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n").into_bytes(), vec![b'x'; body]].concat();
    let chunk = [b"400\r\n".to_vec(), vec![b'y'; 1024], b"\r\n".to_vec()].concat();
    let http_chunked =
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunk.repeat(1024), b"0\r\n\r\n".to_vec()]
            .concat();
    let redis_value = [format!("${body}\r\n").into_bytes(), vec![b'x'; body], b"\r\n".to_vec()].concat();
    let get = b"*2\r\n$3\r\nGET\r\n$5\r\nkey:1\r\n".to_vec();
    let load = |protocol, what, request: &[u8], answer: &[u8], piece_bytes, requests| Load {
        protocol,
        what,
        opening: &[],
        request: request.to_vec(),
        answer: answer.to_vec(),
        piece_bytes,
        transport: Transport::Stream,
        requests,
    };
    let (dns_questions, dns_answers) = dns();
    let framed = |messages: &[Vec<u8>]| -> Vec<u8> {
        messages.iter().flat_map(|message| [&(message.len() as u16).to_be_bytes()[..], message].concat()).collect()
    };
    vec![
        load("http", "small", &http_request, &http_answer, 0, 1),
        load("http", "pipeline of 16", &http_request.repeat(16), &http_answer.repeat(16), 0, 16),
        load("http", "16 unlike", &unlike(&http_request, b"items"), &unlike(&http_answer, b"nginx"), 0, 16),
        load("http", "body", &http_request, &http_body, 1024, 1),
        load("http", "chunked body", &http_request, &http_chunked, 1024, 1),
        load("redis", "small", &get, b"$3\r\nabc\r\n", 0, 1),
        load("redis", "pipeline of 16", &get.repeat(16), &b"$3\r\nabc\r\n".repeat(16), 0, 16),
        load("redis", "body", &get, &redis_value, 1024, 1),
        Load { opening: POSTGRESQL_LOGIN, ..load("postgresql", "small", POSTGRESQL_QUERY, POSTGRESQL_ANSWER, 0, 1) },
        Load {
            opening: POSTGRESQL_LOGIN,
            ..load(
                "postgresql",
                "16 unlike",
                &unlike(POSTGRESQL_QUERY, b"t WHERE"),
                &POSTGRESQL_ANSWER.repeat(16),
                0,
                16,
            )
        },
        Load {
            opening: POSTGRESQL_LOGIN,
            ..load("postgresql", "body", POSTGRESQL_QUERY, &postgresql_rows(body), 1024, 1)
        },
        Load { transport: Transport::Datagrams, ..load("dns", "datagrams", &dns_questions[0], &dns_answers[15], 0, 1) },
        Load {
            transport: Transport::NewSockets,
            ..load("dns", "new sockets", &dns_questions[0], &dns_answers[15], 0, 1)
        },
        load("dns", "small", &framed(&dns_questions[..1]), &framed(&dns_answers[15..]), 0, 1),
        load("dns", "pipeline of 16", &framed(&dns_questions), &framed(&dns_answers), 0, 16),
        Load { opening: MYSQL_LOGIN, ..load("mysql", "small", MYSQL_QUERY, MYSQL_ANSWER, 0, 1) },
        Load {
            opening: MYSQL_LOGIN,
            ..load("mysql", "execute", MYSQL_EXECUTE, b"\x07\0\0\x01\0\x01\0\x02\0\0\0", 0, 1)
        },
        Load { opening: MYSQL_LOGIN, ..load("mysql", "body", MYSQL_QUERY, &mysql_rows(body, 1024), 1024, 1) },
        Load { opening: MYSQL_LOGIN, ..load("mysql", "small rows", MYSQL_QUERY, &mysql_rows(body, 60), 16_384, 1) },
    ]
}

/// 16 of them, each with another letter in place of `word`'s first: what is remembered of the last is of no use.
fn unlike(head: &[u8], word: &[u8]) -> Vec<u8> {
    let at = head.windows(word.len()).position(|part| part == word).expect("the head holds the word");
    let mut heads = Vec::new();
    for letter in b'a'..=b'p' {
        heads.extend_from_slice(head);
        let begins = heads.len() - head.len();
        heads[begins + at] = letter;
    }
    heads
}

const POSTGRESQL_LOGIN: &[(Direction, &[u8])] =
    &[(ToServer, b"\0\0\0\x12\0\x03\0\0user\0bob\0\0"), (ToClient, b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I")];
const POSTGRESQL_QUERY: &[u8] = b"Q\0\0\0\x26SELECT * FROM t WHERE id = 12345;\0";
const POSTGRESQL_ANSWER: &[u8] =
    b"T\0\0\0\x1b\0\x01id\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

fn postgresql_rows(bytes: usize) -> Vec<u8> {
    let row = [b"D\0\0\x04\x0a\0\x01\0\0\x04\0".to_vec(), vec![b'v'; 1024]].concat();
    let (head, tail) = POSTGRESQL_ANSWER.split_at(28);
    [head.to_vec(), row.repeat(bytes / 1024), tail.get(12..).unwrap_or_default().to_vec()].concat()
}

/// 16 questions with EDNS and their answers, with two addresses each, in the other order.
fn dns() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    const NAME: &[u8] = b"\x05items\x04shop\x07example\0\0\x01\0\x01";
    const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    const OPTION: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let question = |id: u8| [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1], NAME, OPTION].concat();
    let answer = |id: u8| [&[0, id, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 1], NAME, ADDRESS, ADDRESS, OPTION].concat();
    ((0..16).map(question).collect(), (0..16).rev().map(answer).collect())
}

enum Engine {
    Stream(Box<Connection>),
    Datagrams(Box<Datagrams>),
}

impl Engine {
    fn new(transport: Transport) -> Self {
        let hints = Hints { from_start: true, ..Hints::default() };
        match transport {
            Transport::Stream => Engine::Stream(Box::new(Connection::new(hints, &Options::default()))),
            _ => Engine::Datagrams(Box::new(Datagrams::new(hints, &Options::default()))),
        }
    }
}

const MYSQL_LOGIN: &[(Direction, &[u8])] = &[
    (
        ToClient,
        b"\x4a\0\0\0\x0a8.0.36\0\x07\0\0\0saltsalt\0\xff\xf7\x2d\x02\0\xff\xc7\x15\0\0\0\0\0\0\0\0\0\0saltsaltsalt\0mysql_native_password\0",
    ),
    (ToServer, b"\x25\0\0\x01\x05\x82\0\0\0\0\0\x01\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0bob\0\0"),
    (ToClient, b"\x07\0\0\x02\0\0\0\x02\0\0\0"),
    (ToServer, b"\x1d\0\0\0\x16UPDATE t SET a = ? WHERE b=?"),
    (ToClient, b"\x0c\0\0\x01\0\x01\0\0\0\0\0\0\0\0\0\0"),
];
const MYSQL_QUERY: &[u8] = b"\x22\0\0\0\x03SELECT * FROM t WHERE id = 12345;";
const MYSQL_EXECUTE: &[u8] = b"\x12\0\0\0\x17\x01\0\0\0\0\x01\0\0\0\0\x01\x03\0\x07\0\0\0";
const MYSQL_ANSWER: &[u8] = b"\x01\0\0\x01\x01\x1c\0\0\x02\x03def\0\x01t\x01t\x02id\x02id\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0\x05\0\0\x03\xfe\0\0\x02\0\x02\0\0\x04\x011\x05\0\0\x05\xfe\0\0\x02\0";

fn mysql_rows(bytes: usize, row_bytes: usize) -> Vec<u8> {
    let (length, value) = ((row_bytes as u32).to_le_bytes(), vec![b'v'; row_bytes - 1]);
    let row = [&length[..3], b"\x04\x20", &value].concat();
    let (head, tail) = MYSQL_ANSWER.split_at(MYSQL_ANSWER.len() - 15);
    [head, &row.repeat(bytes / row_bytes), tail.get(6..).unwrap_or_default()].concat()
}

struct Run<'a> {
    load: &'a Load,
    engine: Engine,
    offsets: [u64; 2],
    now_ns: u64,
    count: Count,
}

impl<'a> Run<'a> {
    fn new(load: &'a Load) -> Self {
        let engine = Engine::new(load.transport);
        let mut run = Run { load, engine, offsets: [0; 2], now_ns: 1_000_000_000, count: Count::default() };
        for (direction, bytes) in load.opening {
            run.say(*direction, bytes);
        }
        run.count.0 = 0;
        run
    }

    fn say(&mut self, direction: Direction, bytes: &[u8]) {
        let piece = if self.load.piece_bytes == 0 { bytes.len() } else { self.load.piece_bytes };
        for bytes in bytes.chunks(piece) {
            self.now_ns += 1000;
            let offset = self.offsets[direction as usize];
            match &mut self.engine {
                Engine::Stream(connection) => {
                    connection.data(direction, offset, self.now_ns, bytes, &mut self.count);
                }
                Engine::Datagrams(datagrams) => {
                    datagrams.datagram(direction, self.now_ns, bytes, bytes.len() as u64, &mut self.count);
                }
            }
            self.offsets[direction as usize] += bytes.len() as u64;
        }
    }

    /// Requests and bytes per second.
    fn measure(&mut self, time: Duration) -> (f64, f64) {
        let (began, before, began_on_cpu) = (Instant::now(), self.offsets[0] + self.offsets[1], on_cpu());
        let mut exchanges = 0;
        while began.elapsed() < time {
            for _ in 0..if self.load.piece_bytes == 0 { 1000 } else { 1 } {
                if self.load.transport == Transport::NewSockets {
                    self.engine = Engine::new(self.load.transport);
                }
                self.say(ToServer, &self.load.request);
                self.say(ToClient, &self.load.answer);
                exchanges += 1;
            }
        }
        let seconds = (on_cpu() - began_on_cpu).as_secs_f64();
        assert_eq!(
            self.count.0,
            exchanges * self.load.requests,
            "{} {}: requests missed",
            self.load.protocol,
            self.load.what
        );
        let bytes = self.offsets[0] + self.offsets[1] - before;
        (self.count.0 as f64 / seconds, bytes as f64 / seconds)
    }
}

/// Time of this thread on a CPU: what other programs take meanwhile does not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("schedstat can be read");
    let nanoseconds =
        text.split_whitespace().next().and_then(|text| text.parse().ok()).expect("it begins with a number");
    Duration::from_nanos(nanoseconds)
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(1.0);
    println!("{:12} {:16} {:>12} {:>9}", "protocol", "load", "requests/s", "GB/s");
    let only = std::env::args().nth(2).unwrap_or_default();
    for load in loads().into_iter().filter(|load| format!("{} {}", load.protocol, load.what).starts_with(&only)) {
        let (requests, bytes) = Run::new(&load).measure(Duration::from_secs_f64(seconds));
        println!("{:12} {:16} {requests:>12.0} {:>9.2}", load.protocol, load.what, bytes / 1e9);
    }
}
