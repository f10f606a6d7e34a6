//! The table of what is fuzzed. A reader of foreign bytes is one row.

use crate::mutate::{Fate, Random, decode};
use crate::{corpus, mutate};
use limpid_model::batch::Signal;
use limpid_model::{Direction, Request, Unanswered};
use limpid_probes::Exit;
use limpid_protocols::{Certificate, Connection, Datagrams, Hints, Options, Sink, sql};
use std::net::IpAddr;

pub struct Target {
    pub name: &'static str,
    pub seeds: fn() -> Result<Vec<Vec<u8>>, String>,
    pub mutate: fn(&[Vec<u8>], &mut Random) -> Vec<u8>,
    /// An error is a promise that was broken.
    pub run: fn(&[u8]) -> Result<(), String>,
}

pub static TARGETS: &[Target] = &[
    Target { name: "http", seeds: corpus::http, mutate: mutate::conversation, run: connection },
    Target { name: "http2", seeds: corpus::http2, mutate: mutate::conversation, run: connection },
    Target { name: "redis", seeds: corpus::redis, mutate: mutate::conversation, run: connection },
    Target { name: "postgresql", seeds: corpus::postgresql, mutate: mutate::conversation, run: connection },
    Target { name: "dns", seeds: corpus::dns, mutate: mutate::conversation, run: connection },
    Target { name: "datagrams", seeds: corpus::datagrams, mutate: mutate::conversation, run: datagrams },
    Target { name: "mysql", seeds: corpus::mysql, mutate: mutate::conversation, run: connection },
    Target { name: "tls", seeds: corpus::tls, mutate: mutate::conversation, run: connection },
    Target { name: "quic", seeds: corpus::quic, mutate: mutate::conversation, run: datagrams },
    Target { name: "detection", seeds: corpus::everything, mutate: mutate::conversation, run: connection },
    Target { name: "sql", seeds: corpus::statements, mutate: mutate::plain, run: statement },
    Target { name: "captures", seeds: corpus::captures, mutate: mutate::binary, run: capture },
    Target { name: "otlp", seeds: corpus::otlp, mutate: mutate::binary, run: otlp },
    Target { name: "probes", seeds: corpus::programs, mutate: mutate::binary, run: program },
];

/// A label of the metrics is never longer.
const MAX_OPERATION_BYTES: usize = 200;
const MAX_RESOURCE_BYTES: usize = 1024;
/// A peer needs no more names.
const MAX_ADDRESSES: usize = 32;

#[derive(Default)]
struct Checked {
    requests: usize,
    broken: Option<String>,
}

impl Sink for Checked {
    fn request(&mut self, request: Request) {
        self.requests += 1;
        let fits = request.operation.len() <= MAX_OPERATION_BYTES
            && request.resource.as_ref().is_none_or(|resource| resource.len() <= MAX_RESOURCE_BYTES)
            && request.code.as_ref().is_none_or(|code| code.len() <= MAX_OPERATION_BYTES);
        let ordered = request.end_ns >= request.start_ns
            && request.first_byte_ns.is_none_or(|first_ns| first_ns >= request.start_ns)
            && request.request_end_offset >= request.request_offset;
        let reasoned = (request.status == limpid_model::Status::Unanswered) == request.unanswered.is_some();
        if !(fits && ordered && reasoned) {
            self.broken.get_or_insert(format!("reported what cannot be: {request:?}"));
        }
    }
    fn orphan(&mut self, _protocol: &'static str) {}
    fn resolved(&mut self, name: &str, addresses: &[(IpAddr, u32)]) {
        if name.len() > MAX_RESOURCE_BYTES || addresses.is_empty() || addresses.len() > MAX_ADDRESSES {
            self.broken.get_or_insert(format!("resolved what cannot be: {name} to {addresses:?}"));
        }
    }
    fn certificate(&mut self, server_name: Option<&str>, certificate: &Certificate) {
        let names = [server_name.unwrap_or_default(), &certificate.subject, &certificate.issuer];
        if names.iter().any(|name| name.len() > MAX_RESOURCE_BYTES) {
            self.broken.get_or_insert(format!("shown what cannot be: {certificate:?} for {server_name:?}"));
        }
    }
}

fn connection(input: &[u8]) -> Result<(), String> {
    let pieces = decode(input);
    let from_start = input.len() % 4 != 0;
    let hints =
        Hints { from_start, server_port: [0, 80, 6379, 5432, 53, 3306, 443][input.len() / 4 % 7], ..Hints::default() };
    let options = Options { details: input.len() % 2 == 0, raw: input.len() % 8 == 1, ..Options::default() };
    let mut sink = Checked::default();
    let mut connection = Connection::new(hints, &options);
    let (mut offsets, mut now_ns, mut late) = ([0u64; 2], 1_000_000_000u64, Vec::new());
    for (index, piece) in pieces.iter().enumerate() {
        now_ns += 1_000_000;
        let direction = if piece.to_client { Direction::ToClient } else { Direction::ToServer };
        let offset = offsets[direction as usize];
        let length = piece.bytes.len() as u64;
        match piece.fate {
            Fate::Seen => connection.data(direction, offset, now_ns, &piece.bytes, &mut sink),
            Fate::Inside => connection.data_inside_call(direction, offset, now_ns, &piece.bytes, &mut sink),
            Fate::Lost => connection.gap(direction, offset, length, now_ns, &mut sink),
            Fate::Overlaps => connection.data(direction, offset.saturating_sub(3), now_ns, &piece.bytes, &mut sink),
            Fate::Late => late.push((index, direction, offset, piece)),
        }
        offsets[direction as usize] += length;
        late.retain(|(since, direction, offset, piece)| {
            let due = index > since + 1;
            if due {
                connection.data(*direction, *offset, now_ns, &piece.bytes, &mut sink);
            }
            !due
        });
        if index % 16 == 15 {
            now_ns += 40_000_000_000;
            connection.expire(now_ns, &mut sink);
        }
    }
    connection.close(Unanswered::Closed, now_ns, &mut sink);
    if connection.in_flight() > 0 {
        return Err("still had requests in flight after its end".to_owned());
    }
    // Each takes at least two bytes of the input, and may be told twice: as timed out and as answered after all.
    if sink.requests > input.len() + 2 {
        return Err(format!("found {} requests in {} bytes", sink.requests, input.len()));
    }
    sink.broken.map_or(Ok(()), Err)
}

fn datagrams(input: &[u8]) -> Result<(), String> {
    let server_port = [53, 0, 5353, 123, 443][input.len() / 4 % 5];
    let options = Options { details: input.len() % 2 == 0, ..Options::default() };
    let mut sink = Checked::default();
    let mut engine = Datagrams::new(Hints { client_port: 40_000, server_port, from_start: false }, &options);
    let (mut now_ns, mut late) = (1_000_000_000u64, None);
    for (index, piece) in decode(input).into_iter().enumerate() {
        now_ns += 1_000_000;
        let length = piece.bytes.len();
        let mut say = |to_client: bool, bytes: &[u8], length: usize| {
            let direction = if to_client { Direction::ToClient } else { Direction::ToServer };
            engine.datagram(direction, now_ns, bytes, length as u64, &mut sink);
        };
        match piece.fate {
            Fate::Seen => say(piece.to_client, &piece.bytes, length),
            // Captured up to its middle.
            Fate::Inside => say(piece.to_client, &piece.bytes[..length / 2], length),
            Fate::Lost => {}
            Fate::Overlaps => (0..2).for_each(|_| say(piece.to_client, &piece.bytes, length)),
            Fate::Late => late = Some(piece.clone()),
        }
        if piece.fate != Fate::Late
            && let Some(piece) = late.take()
        {
            say(piece.to_client, &piece.bytes, piece.bytes.len());
        }
        if index % 16 == 15 {
            now_ns += 40_000_000_000;
            engine.expire(now_ns, &mut sink);
        }
    }
    engine.close(Unanswered::Closed, now_ns, &mut sink);
    if engine.in_flight() > 0 {
        return Err("still had requests in flight after its end".to_owned());
    }
    if sink.requests > input.len() {
        return Err(format!("found {} requests in {} bytes", sink.requests, input.len()));
    }
    sink.broken.map_or(Ok(()), Err)
}

fn statement(input: &[u8]) -> Result<(), String> {
    for dialect in [sql::POSTGRESQL, sql::MYSQL] {
        let shape = sql::shape(input, input.len() % 2 == 0, dialect);
        if shape.len() > sql::MAX_SHAPE_BYTES + '…'.len_utf8() {
            return Err(format!("gave a shape of {} bytes", shape.len()));
        }
    }
    for dialect in [sql::POSTGRESQL, sql::MYSQL] {
        let keyword = sql::keyword(input, dialect);
        if keyword.len() > MAX_OPERATION_BYTES {
            return Err(format!("gave a keyword of {} bytes", keyword.len()));
        }
    }
    let _ = sql::trace_context(input);
    Ok(())
}

fn capture(input: &[u8]) -> Result<(), String> {
    let mut printed = Vec::new();
    // What is no capture is said in one line; that is a right answer too.
    let Ok(summary) = limpid_replay::capture(input, input.len() % 2 == 0, &mut printed) else { return Ok(()) };
    let lines = printed.iter().filter(|byte| **byte == b'\n').count() as u64;
    if lines != summary.requests {
        return Err(format!("printed {lines} lines for {} requests", summary.requests));
    }
    // A packet takes its header in the file, a request two bytes.
    if summary.packets > input.len() as u64 / 12 || summary.requests > input.len() as u64 {
        return Err(format!("found {summary} in {} bytes", input.len()));
    }
    Ok(())
}

fn otlp(input: &[u8]) -> Result<(), String> {
    for signal in [Signal::Traces, Signal::Metrics, Signal::Logs, Signal::Profiles] {
        let batch = limpid_ingest::decode(signal, input);
        let rows = batch.spans.as_ref().map_or(0, |spans| spans.num_rows()) + batch.points.len();
        // Each takes at least its tag and its length.
        if rows > input.len() / 2 {
            return Err(format!("decoded {rows} rows from {} bytes", input.len()));
        }
    }
    Ok(())
}

fn program(input: &[u8]) -> Result<(), String> {
    let Ok(Some(found)) = limpid_probes::inspect_bytes(input) else { return Ok(()) };
    let exits = |function: &limpid_probes::Function| match &function.exit {
        Exit::Sites(sites) => sites.clone(),
        Exit::ReturnProbe(site) => vec![site.clone()],
        Exit::None => Vec::new(),
    };
    for function in &found.functions {
        let sites = [exits(function), vec![function.entry.clone()]].concat();
        if let Some(site) = sites.iter().find(|site| site.file_offset >= input.len() as u64) {
            return Err(format!("watches {} behind the end of the file: {site:?}", function.symbol));
        }
    }
    Ok(())
}
