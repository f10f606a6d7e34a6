//! Prints what the socket collector sees: `sockets [--print] [--mode undecided|head|all|times|ignore|resp|pg] [SECONDS]`.

use limpid_agent::capture::{Bytes, CloseReason, Consumer, Control, Mode, SocketId, SocketInfo};
use limpid_agent::collectors::sockets::{Config, Sockets};
use limpid_protocols::protocols::{Framing, FramingKind};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[derive(Default)]
struct Totals {
    opened: AtomicU64,
    closed: AtomicU64,
    ended: AtomicU64,
    events: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    copied_bytes: AtomicU64,
    lost: AtomicU64,
    gaps: AtomicU64,
}

struct Printer {
    print: bool,
    mode: Option<Mode>,
    new: Vec<SocketId>,
    next: HashMap<(SocketId, bool), u64>,
    totals: Arc<Totals>,
}

impl Consumer for Printer {
    fn opened(&mut self, socket: &SocketInfo) {
        self.totals.opened.fetch_add(1, Relaxed);
        self.new.push(socket.id);
        if self.print {
            println!("opened {socket:?}");
        }
    }

    fn bytes(&mut self, bytes: Bytes<'_>) {
        let totals = &self.totals;
        totals.events.fetch_add(1, Relaxed);
        let direction = if bytes.sent { &totals.sent_bytes } else { &totals.received_bytes };
        direction.fetch_add(bytes.length, Relaxed);
        let copied: usize = bytes.pieces.iter().map(|(_, piece)| piece.len()).sum();
        totals.copied_bytes.fetch_add(copied as u64, Relaxed);
        totals.lost.fetch_add(bytes.lost.into(), Relaxed);
        let next = self.next.insert((bytes.socket, bytes.sent), bytes.offset + bytes.length);
        if next.is_some_and(|next| next != bytes.offset) {
            totals.gaps.fetch_add(1, Relaxed);
        }
        if self.print {
            print_bytes(&bytes);
        }
    }

    fn ended(&mut self, socket: SocketId, _time_ns: u64) {
        self.totals.ended.fetch_add(1, Relaxed);
        if self.print {
            println!("ended {socket}");
        }
    }

    fn closed(&mut self, socket: SocketId, _time_ns: u64, reason: CloseReason) {
        self.totals.closed.fetch_add(1, Relaxed);
        self.next.remove(&(socket, true));
        self.next.remove(&(socket, false));
        if self.print {
            println!("closed {socket} {reason:?}");
        }
    }

    fn tick(&mut self, _now_ns: u64, control: &dyn Control) {
        let Some(mode) = self.mode else { return };
        for socket in self.new.drain(..) {
            control.verdict(socket, mode, 0, 0);
        }
    }
}

fn print_bytes(bytes: &Bytes<'_>) {
    let direction = if bytes.sent { "sent" } else { "received" };
    print!("{} {direction} {}+{} by {}", bytes.socket, bytes.offset, bytes.length, bytes.tgid);
    print!(" at {} for {}", bytes.first_ns, bytes.last_ns - bytes.first_ns);
    if let Some(arrived) = bytes.arrived_ns {
        print!(" waited {}", bytes.first_ns as i64 - arrived as i64);
    }
    if bytes.lost {
        print!(" lost");
    }
    for (place, piece) in bytes.pieces {
        let shown = &piece[..piece.len().min(60)];
        print!(" [{place}+{} {}]", piece.len(), shown.escape_ascii());
    }
    println!();
}

fn mode(name: &str) -> Option<Mode> {
    Some(match name {
        "undecided" => Mode::Undecided,
        "head" => Mode::Head(256),
        "all" => Mode::All(65536),
        "times" => Mode::TimesOnly,
        "ignore" => Mode::Ignore,
        "resp" => Mode::Framed(Framing { kind: FramingKind::Resp, head: 64 }),
        "pg" => Mode::Framed(Framing { kind: FramingKind::TypeLength32, head: 64 }),
        _ => return None,
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let print = arguments.iter().any(|argument| argument == "--print");
    let arrivals = !arguments.iter().any(|argument| argument == "--no-arrivals");
    let mode = arguments.iter().skip_while(|argument| *argument != "--mode").nth(1).and_then(|name| mode(name));
    let seconds = arguments.iter().filter_map(|argument| argument.parse().ok()).next().unwrap_or(u64::MAX);
    let totals = Arc::new(Totals::default());
    let sockets = Sockets::start(Config { arrivals, ..Config::default() }, |_ring| {
        Box::new(Printer { print, mode, new: Vec::new(), next: HashMap::new(), totals: totals.clone() })
    });
    let sockets = match sockets {
        Ok(sockets) => sockets,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    eprintln!("running");
    for _ in 0..seconds {
        std::thread::sleep(Duration::from_secs(1));
        if !print {
            summary(&totals, &sockets);
        }
    }
    for program in sockets.program_stats() {
        let each = program.run_time_ns.checked_div(program.runs).unwrap_or(0);
        eprintln!("{} runs {} ns each {each} missed {}", program.name, program.runs, program.missed);
    }
}

fn summary(totals: &Totals, sockets: &Sockets) {
    let get = |counter: &AtomicU64| counter.load(Relaxed);
    println!(
        "opened {} closed {} ended {} events {} sent {} received {} copied {} lost {} gaps {}",
        get(&totals.opened),
        get(&totals.closed),
        get(&totals.ended),
        get(&totals.events),
        get(&totals.sent_bytes),
        get(&totals.received_bytes),
        get(&totals.copied_bytes),
        get(&totals.lost),
        get(&totals.gaps)
    );
    let counters = sockets.counters();
    let shown: Vec<_> = counters.iter().filter(|(_, count)| *count > 0).collect();
    println!("  {shown:?}");
}
