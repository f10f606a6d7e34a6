//! The socket collector against real programs: every way to move bytes, byte for byte, on both ends. Needs root.

use limpid_agent::capture::{
    Bytes, CloseReason, ConnectionKey, Consumer, Control, FailedConnect, Progress, SocketId, SocketInfo, Transport,
};
use limpid_agent::collectors::sockets::{Config, Sockets};
use limpid_model::Side;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

const SIZES: [usize; 4] = [1, 100, 3000, 20000];
const FAMILIES: [&str; 4] = ["tcp4", "tcp6", "dual", "unix"];
const CALLS: [(&str, &str); 5] =
    [("write", "read"), ("writev", "readv"), ("send", "recv"), ("sendmsg", "recvmsg"), ("sendmmsg", "recvmmsg")];

/// One collector at a time: each test counts what its own collector sees.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Bytes of one direction by their offset.
type Stream = BTreeMap<u64, u8>;

#[derive(Default)]
struct Seen {
    sockets: Vec<SocketInfo>,
    streams: BTreeMap<(SocketId, bool), Stream>,
    lost: u64,
    /// By whom, and how long the bytes lay there.
    waited_ns: Vec<(u32, u64)>,
    ended: Vec<SocketId>,
    closed: Vec<(SocketId, CloseReason)>,
    /// What each socket last said of its progress.
    progress: BTreeMap<SocketId, Progress>,
    failed: Vec<FailedConnect>,
}

impl Seen {
    /// Both ends of the process' one connection are closed. Others on the machine talk too.
    fn has_closed(&self, process: u32) -> bool {
        let mine = self.sockets.iter().filter(|socket| socket.tgid == process);
        mine.clone().count() == 2 && mine.clone().all(|mine| self.closed.iter().any(|(id, _)| *id == mine.id))
    }
}

#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Seen>>);

impl Recorder {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap()
    }

    /// Waits until `done` or twenty seconds are over.
    fn until(&self, done: impl Fn(&Seen) -> bool) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if done(&self.seen()) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Consumer for Recorder {
    fn opened(&mut self, socket: &SocketInfo) {
        self.seen().sockets.push(socket.clone());
    }
    fn bytes(&mut self, bytes: Bytes<'_>) {
        let mut seen = self.seen();
        seen.lost += u64::from(bytes.lost);
        let waited = bytes.arrived_ns.map(|arrived| bytes.first_ns.saturating_sub(arrived));
        seen.waited_ns.extend(waited.map(|waited_ns| (bytes.tgid, waited_ns)));
        let stream = seen.streams.entry((bytes.socket, bytes.sent)).or_default();
        for (place, piece) in bytes.pieces {
            stream.extend((bytes.offset + place..).zip(piece.iter().copied()));
        }
    }
    fn ended(&mut self, socket: SocketId, _time_ns: u64) {
        self.seen().ended.push(socket);
    }
    fn closed(&mut self, socket: SocketId, _time_ns: u64, reason: CloseReason) {
        self.seen().closed.push((socket, reason));
    }
    fn progress(&mut self, socket: SocketId, progress: &Progress) {
        self.seen().progress.insert(socket, *progress);
    }
    fn connect_failed(&mut self, attempt: &FailedConnect) {
        self.seen().failed.push(attempt.clone());
    }
    fn tick(&mut self, _now_ns: u64, _control: &dyn Control) {}
}

fn start(config: Config) -> (Sockets, Recorder) {
    let recorder = Recorder::default();
    let sockets = Sockets::start(config, |_| Box::new(recorder.clone()));
    let sockets = sockets.unwrap_or_else(|error| panic!("this test needs root and BPF (run it with sudo): {error}"));
    (sockets, recorder)
}

fn traffic(arguments: &[&str]) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sockets/traffic.py");
    let command =
        Command::new("python3").arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    command.expect("python3 is needed: apt-get install python3")
}

fn python(program: &str) -> u32 {
    let mut child = Command::new("python3").args(["-c", program]).spawn().expect("python3 is needed");
    let id = child.id();
    assert!(child.wait().unwrap().success());
    id
}

fn pattern(seed: usize, size: usize) -> impl Iterator<Item = u8> {
    (0..size).map(move |i| ((i * 7 + seed) % 251) as u8)
}

/// What the client sends and what the server answers in one round of `traffic.py`.
fn requests(seed: usize) -> Vec<u8> {
    SIZES.iter().enumerate().flat_map(|(i, size)| pattern(seed + i, *size)).collect()
}

fn answers(seed: usize) -> Vec<u8> {
    SIZES.iter().enumerate().flat_map(|(i, size)| pattern(seed + i + 100, size + 5)).collect()
}

fn expect_stream(seen: &Seen, socket: SocketId, sent: bool, first: u64, expected: &[u8], what: &str) {
    let stream = seen.streams.get(&(socket, sent)).unwrap_or_else(|| panic!("{what}: nothing seen"));
    let found: Vec<u8> = stream.range(first..).map(|(_, byte)| *byte).collect();
    assert_eq!(stream.range(first..).next().map(|(offset, _)| *offset), Some(first), "{what}: first offset");
    assert_eq!(found.len(), expected.len(), "{what}: bytes");
    assert!(found == expected, "{what}: other bytes");
    let last = stream.keys().next_back().copied();
    assert_eq!(last, Some(first + expected.len() as u64 - 1), "{what}: last offset");
}

fn both_ends(seen: &Seen, process: u32, what: &str) -> (SocketInfo, SocketInfo) {
    let mine: Vec<_> = seen.sockets.iter().filter(|socket| socket.tgid == process).collect();
    assert_eq!(mine.len(), 2, "{what}: both ends of one connection");
    assert_eq!(mine[0].key, mine[1].key, "{what}: the key is equal on both ends");
    let end = |side| mine.iter().find(|socket| socket.side == Some(side)).map(|socket| (*socket).clone());
    let client = end(Side::Client).unwrap_or_else(|| panic!("{what}: no client"));
    (client, end(Side::Server).unwrap_or_else(|| panic!("{what}: no server")))
}

#[test]
fn every_call_byte_for_byte_on_both_ends() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    for family in FAMILIES {
        for (sender, receiver) in CALLS {
            let what = format!("{family} {sender}/{receiver}");
            let mut child = traffic(&[family, sender, receiver]);
            let process = child.id();
            assert!(child.wait().unwrap().success(), "{what}: the program failed");
            recorder.until(|seen| seen.has_closed(process));
            let seen = recorder.seen();
            let (client, server) = both_ends(&seen, process, &what);
            expect_stream(&seen, client.id, true, 0, &requests(1), &format!("{what} client sent"));
            expect_stream(&seen, server.id, false, 0, &requests(1), &format!("{what} server received"));
            expect_stream(&seen, server.id, true, 0, &answers(1), &format!("{what} server sent"));
            expect_stream(&seen, client.id, false, 0, &answers(1), &format!("{what} client received"));
            assert!(seen.ended.contains(&server.id), "{what}: the end was read");
            assert_eq!(client.local, server.remote, "{what}: addresses");
            assert_eq!(client.remote, server.local, "{what}: addresses");
        }
    }
}

#[test]
fn connections_older_than_the_collector_are_joined_at_their_place() {
    let _one = alone();
    let moved = requests(50).len() as u64;
    let answered = answers(50).len() as u64;
    let mut child = traffic(&["tcp4", "send", "recv", "hold"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (_sockets, recorder) = start(Config::default());
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let process = child.id();
    assert!(child.wait().unwrap().success());
    assert!(recorder.until(|seen| seen.has_closed(process)));
    let seen = recorder.seen();
    let (client, server) = both_ends(&seen, process, "older");
    assert!(!client.from_start && !server.from_start);
    expect_stream(&seen, client.id, true, moved, &requests(1), "client sent");
    expect_stream(&seen, server.id, false, moved, &requests(1), "server received");
    expect_stream(&seen, client.id, false, answered, &answers(1), "client received");
}

#[test]
fn sendfile_and_splice_are_counted_as_lost_and_their_offsets_stay_right() {
    let _one = alone();
    let (sockets, recorder) = start(Config::default());
    let process = python(
        "import os,socket,tempfile\n\
         s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); a,_=s.accept()\n\
         f=tempfile.TemporaryFile(); f.write(b'x'*1000); f.flush()\n\
         os.sendfile(c.fileno(),f.fileno(),0,1000); c.send(b'behind')\n\
         r,w=os.pipe()\n\
         n=0\n\
         while n<1000: n+=os.splice(a.fileno(),w,1000-n)\n\
         assert a.recv(100)==b'behind'",
    );
    assert!(recorder.until(|seen| seen.has_closed(process)));
    let seen = recorder.seen();
    let (client, server) = both_ends(&seen, process, "sendfile");
    expect_stream(&seen, client.id, true, 1000, b"behind", "behind sendfile");
    expect_stream(&seen, server.id, false, 1000, b"behind", "behind splice");
    assert_eq!(seen.lost, 1, "the sendfile");
    assert!(sockets.counters().contains(&("no_payload", 1)), "{:?}", sockets.counters());
}

#[test]
fn files_and_own_processes_are_not_seen() {
    let _one = alone();
    let (sockets, recorder) = start(Config::default());
    let process = python("f=open('/dev/zero','rb',0)\nfor i in range(1000): f.read(100)");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    stream.write_all(b"my own").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let seen = recorder.seen();
    let own = std::process::id();
    assert!(seen.sockets.iter().all(|socket| socket.tgid != process && socket.tgid != own));
    let counted = sockets.counters().into_iter().find(|(name, _)| *name == "own");
    assert!(counted.is_some_and(|(_, count)| count > 0), "own calls are counted");
}

#[test]
fn a_slow_reader_shows_when_its_request_arrived() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    let process = python(
        "import socket,time\n\
         s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); a,_=s.accept()\n\
         for i in range(3): c.send(b'request'); time.sleep(0.2); a.recv(100); a.send(b'answer'); c.recv(100)",
    );
    // Others on the machine talk too.
    let waits = |seen: &Seen| -> Vec<u64> {
        seen.waited_ns.iter().filter(|(reader, _)| *reader == process).map(|(_, waited_ns)| *waited_ns).collect()
    };
    let slow = |seen: &Seen| waits(seen).iter().filter(|waited| (195_000_000..400_000_000).contains(*waited)).count();
    assert!(recorder.until(|seen| slow(seen) >= 2), "waits: {:?}", waits(&recorder.seen()));
}

#[test]
fn connections_of_a_millisecond_are_all_seen() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    let process = python(
        "import socket\n\
         s=socket.create_server(('127.0.0.1',0),backlog=200)\n\
         for i in range(200):\n\
        \x20 c=socket.create_connection(s.getsockname()); a,_=s.accept(); c.send(b'q'); a.recv(1); a.send(b'a'); c.recv(1)\n\
        \x20 c.close(); a.close()",
    );
    let of = |seen: &Seen| seen.sockets.iter().filter(|socket| socket.tgid == process).count();
    assert!(recorder.until(|seen| of(seen) == 400), "{}", of(&recorder.seen()));
}

#[test]
fn connects_that_fail_say_why_and_those_that_do_not_how_long_they_took() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    let process = python(
        "import socket\n\
         s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); a,_=s.accept()\n\
         c.send(b'q'); a.recv(1); a.close(); c.close(); port=s.getsockname()[1]; s.close()\n\
         for i in range(3):\n\
        \x20 try: socket.create_connection(('127.0.0.1',port))\n\
        \x20 except ConnectionRefusedError: pass",
    );
    let mine = |seen: &Seen| -> Vec<FailedConnect> {
        seen.failed.iter().filter(|attempt| attempt.socket.tgid == process).cloned().collect()
    };
    assert!(recorder.until(|seen| mine(seen).len() == 3 && seen.has_closed(process)));
    let seen = recorder.seen();
    let (client, server) = both_ends(&seen, process, "connect");
    assert!(client.connect_ns.is_some() && server.connect_ns.is_none());
    for attempt in mine(&seen) {
        assert_eq!(attempt.errno, Some(libc::ECONNREFUSED));
        assert_eq!(attempt.socket.remote, client.remote);
        assert!(attempt.socket.opened_ns <= attempt.ended_ns);
    }
}

#[test]
fn tcp_tells_how_far_a_connection_is() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    let process = python(
        "import socket,time\n\
         s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); a,_=s.accept()\n\
         for i in range(30): c.send(b'x'*1000)\n\
         n=0\n\
         while n<30000: n+=len(a.recv(65536))\n\
         a.send(b'answer'); c.recv(10); time.sleep(2.5); c.close(); a.close()",
    );
    assert!(recorder.until(|seen| seen.has_closed(process)));
    let seen = recorder.seen();
    let (client, server) = both_ends(&seen, process, "progress");
    let told = |socket: &SocketInfo| seen.progress.get(&socket.id).copied().expect("told at its end at least");
    assert_eq!((told(&client).sent, told(&client).received), (30_000, 6));
    assert_eq!((told(&server).sent, told(&server).received), (6, 30_000));
    assert!(told(&client).round_trip_ns.is_some_and(|time_ns| time_ns < 1_000_000_000));
    assert!(told(&client).segments > 1 && told(&client).retransmits <= told(&client).segments);
}

#[test]
fn datagrams_are_seen_at_both_ends_with_their_peers() {
    let _one = alone();
    let (sockets, recorder) = start(Config::default());
    // A client that is connected, one that is not, one that sends several in one call, and IPv6.
    let process = python(
        "import socket\n\
         def serve(family, host):\n\
        \x20 s=socket.socket(family,socket.SOCK_DGRAM); s.bind((host,0)); return s\n\
         def ask(s,c,question,answer,to=None):\n\
        \x20 c.sendto(question,to) if to else c.send(question)\n\
        \x20 got,peer=s.recvfrom(2000); assert got==question\n\
        \x20 s.sendto(answer,peer); assert c.recvfrom(2000)[0]==answer\n\
         for family,host in ((socket.AF_INET,'127.0.0.1'),(socket.AF_INET6,'::1')):\n\
        \x20 s=serve(family,host); c=socket.socket(family,socket.SOCK_DGRAM)\n\
        \x20 ask(s,c,b'unconnected','answer to the one that is not'.encode(),s.getsockname()); c.close()\n\
        \x20 c=socket.socket(family,socket.SOCK_DGRAM); c.connect(s.getsockname())\n\
        \x20 ask(s,c,b'connected',b'answer'); ask(s,c,b'connected again',b'another'); c.close(); s.close()",
    );
    let flows = |seen: &Seen| -> Vec<SocketInfo> {
        seen.sockets.iter().filter(|socket| socket.tgid == process).cloned().collect()
    };
    let ended =
        |seen: &Seen| flows(seen).iter().filter(|flow| seen.closed.iter().any(|(id, _)| *id == flow.id)).count();
    // Those of the clients end with their sockets, and the newest of each server's.
    assert!(recorder.until(|seen| flows(seen).len() == 8 && ended(seen) >= 6), "{:?}", flows(&recorder.seen()));
    let seen = recorder.seen();
    let flows = flows(&seen);
    assert!(flows.iter().all(|flow| flow.transport == Transport::Udp));
    let text = |flow: &SocketInfo, sent: bool| -> String {
        let bytes = seen.streams.get(&(flow.id, sent)).expect("both directions");
        bytes.values().map(|byte| char::from(*byte)).collect()
    };
    for client in flows.iter().filter(|flow| flow.side == Some(Side::Client)) {
        let server = flows.iter().find(|flow| flow.key == client.key && flow.side == Some(Side::Server));
        let server = server.unwrap_or_else(|| panic!("no other end: {client:?}"));
        assert!(matches!(client.key, ConnectionKey::Udp { .. }));
        assert_eq!(text(client, true), text(server, false));
        assert_eq!(text(client, false), text(server, true));
        assert!(text(client, true) == "unconnected" || text(client, true) == "connectedconnected again");
    }
    let unknown = sockets.counters().into_iter().find(|(name, _)| *name == "sender_unknown");
    assert!(unknown.is_some_and(|(_, count)| count == 0), "{unknown:?}");
}

#[test]
fn a_client_to_whom_nothing_is_said_is_told_of_all_the_same() {
    let _one = alone();
    let (_sockets, recorder) = start(Config::default());
    let process = python(
        "import socket,time\n\
         s=socket.create_server(('127.0.0.1',0)); c=socket.create_connection(s.getsockname()); time.sleep(4)",
    );
    let silent = |seen: &Seen| -> Vec<Option<Side>> {
        seen.sockets.iter().filter(|socket| socket.tgid == process).map(|socket| socket.side).collect()
    };
    let found = recorder.until(|seen| silent(seen) == [Some(Side::Client)]);
    assert!(found, "the client's end alone: {:?}", silent(&recorder.seen()));
}
