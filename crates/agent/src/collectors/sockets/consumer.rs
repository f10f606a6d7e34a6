//! One thread for each ring: takes the records out, and hands them to its `Consumer`. It sleeps between batches: the
//! kernel wakes it only when its ring has filled to a mark, so that a machine with little traffic pays nothing for it
//! and a busy one pays by the batch.

use super::clock;
use super::record::{self, HALF_LOST, HALF_SENT, Half, Halves, Header, Open, RawProgress};
use super::tls::Request;
use super::verdict::Verdicts;
use crate::capture::{Bytes, CloseReason, Consumer, SocketId};
use crate::losses;
use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};

/// Records between two looks at the clock.
const BATCH: usize = 8192;
const POLL_BUSY_MS: i32 = 10;
const POLL_IDLE_MS: i32 = 50;
/// The programs make two pieces of a half at most: the front and the end of a call.
const PIECES: usize = 2;

/// Which Unix sockets were still there when the sweep began, at this time of the kernel's clock.
pub struct Alive {
    pub since_ns: u64,
    pub sockets: HashSet<SocketId>,
}

/// What a consumer thread shares with the rest of the collector.
#[derive(Default)]
pub struct Shared {
    pub stop: AtomicBool,
    pub alive: Mutex<Option<Arc<Alive>>>,
    /// Unix sockets that it has been told of: while there are some, the sweep looks which ones still exist.
    pub has_unix: AtomicBool,
}

/// `tls` takes the numbers of processes that speak TLS and have no probes yet.
pub fn run(
    ring: MapHandle,
    verdicts: Verdicts,
    consumer: Box<dyn Consumer + Send>,
    shared: &Shared,
    tls: SyncSender<Request>,
) {
    let state = RefCell::new(State { consumer, verdicts, tls, unix: FxHashMap::default(), offset_ns: 0 });
    let mut builder = RingBufferBuilder::new();
    let added = builder.add(&ring, |bytes| {
        state.borrow_mut().record(bytes);
        0
    });
    let built = added.map(|_| ()).and_then(|()| builder.build());
    let (buffer, waiter) = match (built, Waiter::new(&ring)) {
        (Ok(buffer), Ok(waiter)) => (buffer, waiter),
        (Err(error), _) => return log::error!("cannot read a ring buffer: {error}"),
        (_, Err(error)) => return log::error!("cannot wait for a ring buffer: {error}"),
    };
    consume(&buffer, &waiter, &state, shared);
}

fn consume(buffer: &RingBuffer<'_>, waiter: &Waiter, state: &RefCell<State>, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        state.borrow_mut().offset_ns = clock::unix_offset_ns();
        let taken = buffer.consume_raw_n(BATCH);
        state.borrow_mut().after_batch(shared);
        if taken < BATCH as i32 {
            waiter.wait(if taken > 0 { POLL_BUSY_MS } else { POLL_IDLE_MS });
        }
    }
}

/// Sleeps until the kernel wakes or the time is over. Edge-triggered: that records are there is no reason to wake, only
/// that there are many.
struct Waiter {
    epoll: OwnedFd,
}

impl Waiter {
    fn new(ring: &MapHandle) -> std::io::Result<Waiter> {
        // SAFETY: plain system calls; the new descriptor is owned at once.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
        let ring = ring.as_fd().as_raw_fd();
        // SAFETY: both descriptors are open and the event is ours.
        if unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, ring, &mut event) } < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Waiter { epoll })
    }

    fn wait(&self, timeout_ms: i32) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event is given. An interrupted sleep is as good as a short one.
        unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &mut event, 1, timeout_ms) };
    }
}

struct State {
    consumer: Box<dyn Consumer + Send>,
    verdicts: Verdicts,
    tls: SyncSender<Request>,
    /// Unix sockets and when they were first seen.
    unix: FxHashMap<SocketId, u64>,
    offset_ns: u64,
}

impl State {
    fn record(&mut self, bytes: &[u8]) {
        let Some(header) = record::read::<Header>(bytes) else { return };
        match header.kind {
            record::KIND_HALVES => self.halves(bytes),
            record::KIND_OPEN => self.open(bytes),
            record::KIND_END => self.consumer.ended(header.socket, self.unix_ns(header.time_ns)),
            record::KIND_PROGRESS => self.progress(bytes),
            record::KIND_CLOSE => {
                self.progress(bytes);
                self.close(&header);
            }
            record::KIND_TLS => self.speaks_tls(bytes),
            record::KIND_CONNECT_FAILED => self.connect_failed(bytes),
            kind => log::debug!("a record of unknown kind {kind}"),
        }
    }

    fn unix_ns(&self, time_ns: u64) -> u64 {
        time_ns.wrapping_add(self.offset_ns)
    }

    fn open(&mut self, bytes: &[u8]) {
        let Some(open) = record::read::<Open>(bytes) else { return };
        if open.is_unix() {
            self.unix.insert(open.header.socket, open.header.time_ns);
        }
        self.consumer.opened(&open.socket(self.offset_ns));
    }

    /// When the queue is full they are found by the next look at all processes.
    fn speaks_tls(&self, bytes: &[u8]) {
        if let Some(record) = record::read::<record::Tls>(bytes) {
            let _ = self.tls.try_send(Request::Speaks(record.tgid));
        }
    }

    fn progress(&mut self, bytes: &[u8]) {
        let Some(progress) = record::read::<RawProgress>(bytes) else { return };
        self.consumer.progress(progress.header.socket, &progress.progress());
    }

    fn connect_failed(&mut self, bytes: &[u8]) {
        let Some(open) = record::read::<Open>(bytes) else { return };
        self.consumer.connect_failed(&open.failed(self.offset_ns));
    }

    fn close(&mut self, header: &Header) {
        let reason = if header.reset != 0 { CloseReason::Reset } else { CloseReason::Closed };
        self.verdicts.forget(header.socket);
        self.consumer.closed(header.socket, self.unix_ns(header.time_ns), reason);
    }

    fn halves(&mut self, record: &[u8]) {
        let Some(halves) = record::read::<Halves>(record) else { return };
        let header = &halves.header;
        self.verdicts.confirm(header.socket, header.verdict, header.time_ns);
        let mut next = record.get(size_of::<Halves>()..).and_then(|bytes| halves.split(bytes));
        for left in (0..header.halves).rev() {
            let Some((half, rest)) = next else { return };
            next = halves.split(rest).filter(|_| left > 0);
            self.half(&halves, &half, next.is_some());
        }
    }

    fn half(&mut self, halves: &Halves, half: &Half<'_>, more: bool) {
        let mut pieces: [(u64, &[u8]); PIECES] = [(0, &[]); PIECES];
        let mut found = 0;
        for (place, piece) in pieces.iter_mut().zip(half.pieces()) {
            *place = piece;
            found += 1;
        }
        let bytes = Bytes {
            socket: halves.header.socket,
            sent: half.flags & HALF_SENT != 0,
            offset: half.offset,
            length: half.length,
            first_ns: self.unix_ns(half.first_ns),
            last_ns: self.unix_ns(half.last_ns),
            arrived_ns: half.arrived_ns.map(|arrived_ns| self.unix_ns(arrived_ns)),
            tgid: halves.tgid,
            pieces: &pieces[..found],
            lost: half.flags & HALF_LOST != 0,
            more,
        };
        self.consumer.bytes(bytes);
    }

    fn after_batch(&mut self, shared: &Shared) {
        shared.has_unix.store(!self.unix.is_empty(), Ordering::Relaxed);
        let alive = shared.alive.lock().map(|mut alive| alive.take());
        if let Ok(Some(alive)) = alive {
            self.close_gone(&alive);
        }
        self.consumer.tick(clock::unix_ns(), &self.verdicts);
    }

    /// Unix sockets end without a tracepoint: what the sweep no longer found is gone.
    fn close_gone(&mut self, alive: &Alive) {
        let now_ns = clock::unix_ns();
        let gone: Vec<SocketId> = self
            .unix
            .iter()
            .filter(|(socket, seen_ns)| **seen_ns < alive.since_ns && !alive.sockets.contains(socket))
            .map(|(socket, _)| *socket)
            .collect();
        for socket in gone {
            self.unix.remove(&socket);
            self.verdicts.forget(socket);
            self.consumer.closed(socket, now_ns, CloseReason::Closed);
        }
    }
}

/// The kernel's counters, as the losses of the status page.
pub fn mirror(counters: &[u64]) {
    let losses = [
        ("ring_full", &losses::RING_FULL),
        ("ring_full_bytes", &losses::RING_FULL_BYTES),
        ("storage_full", &losses::STORAGE_FULL),
        ("payload_fault", &losses::PAYLOAD_FAULT),
        ("no_payload", &losses::NO_PAYLOAD),
        ("compat_call", &losses::COMPAT_CALL),
        ("io_uring", &losses::IO_URING),
        ("sender_unknown", &losses::SENDER_UNKNOWN),
        ("flows_full", &losses::STORAGE_FULL_FLOWS),
        ("tls_untied", &losses::TLS_UNTIED),
        ("tls_ambiguous", &losses::TLS_AMBIGUOUS),
    ];
    for (name, count) in super::COUNTERS.iter().zip(counters) {
        if let Some((_, loss)) = losses.iter().find(|(counter, _)| counter == name) {
            loss.set(*count);
        }
    }
}
