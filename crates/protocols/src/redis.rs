//! Redis and everything that speaks RESP: commands and replies pair in order, and much that the server says is no
//! reply at all.
//!
//! Published messages, RESP3 pushes and what MONITOR prints are passed over. SUBSCRIBE and its kin are complete when
//! all their confirmations are there. `CLIENT REPLY OFF` silences the server, and a replica's connection turns into a
//! stream after PSYNC. Arguments are never looked at but where they say which of these it is.

pub mod resp;

use crate::pending::Pending;
use crate::protocols::Capture;
use crate::protocols::{Framing, FramingKind};
use crate::{Detection, Input, Options, Outstanding, Parser, Protocol, Sink, Step};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, Unanswered};
use resp::{Progress, Reader, Word};

const NAME: &str = "redis";

pub const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[6379, 6380, 26379],
    detect,
    parser: |options| Box::new(Redis::new(options)),
    // The reader needs command words and error codes; of longer strings only their ends.
    capture: Capture::Framed(Framing { kind: FramingKind::Resp, head: 64 }),
    unordered: false,
    greets: false,
    specification: NAME,
};

/// Their answers are confirmations, one a channel.
const PUBSUB: [&str; 6] = ["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"];
/// Published messages, with the length of the array that carries one.
const MESSAGES: [(&str, u64); 3] = [("message", 3), ("pmessage", 4), ("smessage", 3)];
/// Error replies of normal work: a cluster's redirections, and a server that still reads its data.
const NO_FAILURES: [&str; 3] = ["MOVED", "ASK", "LOADING"];
/// Commands that wait for something to happen, as long as their callers want. XREAD and XREADGROUP do so only with BLOCK,
/// which is not looked for.
const BLOCKING: [&str; 12] = [
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BLMOVE",
    "BLMPOP",
    "BZPOPMIN",
    "BZPOPMAX",
    "BZMPOP",
    "XREAD",
    "XREADGROUP",
    "WAIT",
    "WAITAOF",
];
/// Inline commands that detection believes in, if the answer is RESP as well.
const INLINE: [&str; 43] = [
    "HELLO",
    "RESET",
    "PING",
    "AUTH",
    "INFO",
    "GET",
    "SET",
    "SETEX",
    "SETNX",
    "MGET",
    "MSET",
    "DEL",
    "INCR",
    "INCRBY",
    "DECR",
    "EXPIRE",
    "TTL",
    "TYPE",
    "EXISTS",
    "KEYS",
    "SCAN",
    "DBSIZE",
    "CONFIG",
    "CLIENT",
    "COMMAND",
    "MONITOR",
    "MULTI",
    "ECHO",
    "SELECT",
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "PUBLISH",
    "LPUSH",
    "RPUSH",
    "LRANGE",
    "HSET",
    "HGET",
    "HGETALL",
    "SADD",
    "SMEMBERS",
    "ZADD",
    "ZRANGE",
    "FLUSHALL",
];

/// What a command means for what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Plain,
    /// Part of a login.
    Session,
    /// Its answers are confirmations, one a channel.
    PubSub,
    Select,
    Monitor,
    Sync,
    PSync,
    Reset,
}

impl Role {
    fn of(operation: &str) -> Self {
        match operation {
            "HELLO" | "AUTH" => Role::Session,
            "SUBSCRIBE" | "PSUBSCRIBE" | "SSUBSCRIBE" | "UNSUBSCRIBE" | "PUNSUBSCRIBE" | "SUNSUBSCRIBE" => Role::PubSub,
            "SELECT" => Role::Select,
            "MONITOR" => Role::Monitor,
            "SYNC" => Role::Sync,
            "PSYNC" => Role::PSync,
            "RESET" => Role::Reset,
            _ => Role::Plain,
        }
    }
}

#[derive(Debug)]
struct Waits {
    role: Role,
    /// Confirmations still to come, for the PUBSUB commands.
    confirmations: u64,
    /// The database that becomes current when this succeeds.
    selects: Option<u32>,
}

/// Which commands the server does not reply to: `CLIENT REPLY OFF|ON|SKIP`.
#[derive(Default)]
struct Silence {
    off: bool,
    skip_next: bool,
}

impl Silence {
    fn covers(&mut self, words: &[Word; 3]) -> bool {
        let mut skip = std::mem::take(&mut self.skip_next);
        if words[0].is("CLIENT") && words[1].is("REPLY") {
            self.off = words[2].is("OFF") || self.off && !words[2].is("ON");
            self.skip_next = words[2].is("SKIP") && !self.off;
            skip |= words[2].is("SKIP");
        }
        self.off || skip
    }
}

/// One direction.
#[derive(Default)]
struct Half {
    reader: Reader,
    start_ns: u64,
    start_offset: u64,
    /// Just behind the string that is being skipped.
    skip_end: u64,
    /// Bytes were lost: look for a message at the next call.
    lost: bool,
}

struct Redis {
    details: bool,
    pending: Pending<Waits>,
    client: Half,
    server: Half,
    silence: Silence,
    subscribed: bool,
    monitors: bool,
    replicates: bool,
    database: Option<u32>,
}

impl Redis {
    fn new(options: &Options) -> Self {
        Redis {
            details: options.details,
            pending: Pending::new(NAME),
            client: Half::default(),
            server: Half::default(),
            silence: Silence::default(),
            subscribed: false,
            monitors: false,
            replicates: false,
            database: None,
        }
    }

    fn half(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToServer => &mut self.client,
            Direction::ToClient => &mut self.server,
        }
    }

    fn complete(&mut self, direction: Direction, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        match direction {
            Direction::ToServer => self.command(end_offset, end_ns, sink),
            Direction::ToClient => self.reply(end_offset, end_ns, sink),
        }
    }

    fn command(&mut self, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        let Reader { words, elements, .. } = &self.client.reader;
        if *elements == 0 {
            return;
        }
        let mut request = Request::new(NAME, operation(&words[0]));
        request.start_ns = self.client.start_ns;
        request.request_offset = self.client.start_offset;
        request.request_end_offset = end_offset;
        let role = Role::of(&request.operation);
        if role == Role::Session {
            request.kind = Kind::Session;
        }
        // A replica's word to its master is never answered, and what the master says to it are no replies.
        let acknowledges = words[0].is("REPLCONF") && words[1].is("ACK");
        self.replicates |= acknowledges && self.pending.is_empty();
        if self.silence.covers(words) || self.replicates || acknowledges {
            request.kind = Kind::Oneway;
            request.status = Status::Ok;
            request.end_ns = end_ns.max(request.start_ns);
            return sink.request(request);
        }
        self.subscribed |= role == Role::PubSub;
        let confirmations = if role == Role::PubSub { (*elements - 1).max(1) } else { 0 };
        let selects = if role == Role::Select { words[1].get().and_then(database) } else { None };
        self.pending.push(request, Waits { role, confirmations, selects }, sink);
    }

    fn reply(&mut self, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        let Reader { kind, elements, words: [word, ..], .. } = &self.server.reader;
        if matches!(kind, b'>' | b'*') {
            let confirms = *kind == b'>' || *elements == 3 && self.subscribed;
            if confirms && PUBSUB.iter().any(|name| word.is(name)) {
                let word = *word;
                return self.confirmation(&word, end_offset, end_ns, sink);
            }
            if *kind == b'>' || self.is_message(word, *elements) {
                return;
            }
        }
        if self.monitors && *kind == b'+' && word.get().is_none_or(|word| word.first().is_some_and(u8::is_ascii_digit))
        {
            return;
        }
        let (status, code) = outcome(*kind, word);
        if !self.pending.answer_begins(self.server.start_offset, self.server.start_ns, sink) {
            return;
        }
        self.describe();
        if status == Status::Ok {
            self.succeeded();
        }
        self.pending.finish(status, code, end_offset, end_ns, sink);
    }

    /// In RESP2 a published message is an array like any other, but for who asked for it.
    fn is_message(&self, word: &Word, elements: u64) -> bool {
        (self.subscribed || self.pending.is_empty())
            && MESSAGES.iter().any(|(name, length)| elements == *length && word.is(name))
    }

    fn confirmation(&mut self, name: &Word, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        let (start_offset, start_ns) = (self.server.start_offset, self.server.start_ns);
        let Some(front) = self.pending.front() else { return };
        let asked = front.request.as_ref().is_some_and(|request| name.is(&request.operation));
        if !asked || !self.pending.answer_begins(start_offset, start_ns, sink) {
            return;
        }
        let Some(front) = self.pending.front_mut() else { return };
        front.state.confirmations = front.state.confirmations.saturating_sub(1);
        if front.state.confirmations == 0 {
            self.pending.finish(Status::Ok, None, end_offset, end_ns, sink);
        }
    }

    /// Only now is it known which SELECTs before it have succeeded.
    fn describe(&mut self) {
        let Some(database) = self.database.filter(|_| self.details) else { return };
        if let Some(request) = self.pending.front_mut().and_then(|front| front.request.as_mut()) {
            let database = Text::from(database.to_string());
            request.details_mut().attributes.push(("db.namespace", Attribute::Text(database)));
        }
    }

    /// What the command at the front changes, now that it has succeeded.
    fn succeeded(&mut self) {
        let Some(waits) = self.pending.front().map(|front| &front.state) else { return };
        match waits.role {
            Role::Select => self.database = waits.selects.or(self.database),
            Role::Monitor => self.monitors = true,
            Role::PSync | Role::Sync => self.replicates = true,
            Role::Reset => {
                self.monitors = false;
                self.subscribed = false;
                self.database = None;
            }
            Role::Plain | Role::Session | Role::PubSub => {}
        }
    }

    /// A parser that lost its way starts again where a call begins like a message.
    fn resynchronise(&mut self, direction: Direction, input: &Input<'_>) -> Option<Step> {
        let begins = match direction {
            Direction::ToServer => command_begins(input.data),
            Direction::ToClient => reply_begins(input.data),
        };
        if !input.at_call || begins == Detection::No {
            return Some(Step::Invalid("no message begins here"));
        }
        if begins == Detection::More {
            return Some(Step::Need(input.data.len() + 1));
        }
        self.half(direction).lost = false;
        None
    }

    /// A replica reads a file without an end mark and then commands: there are no replies any more.
    fn replication(&mut self, direction: Direction, input: &Input<'_>, sink: &mut dyn Sink) -> Option<Step> {
        if direction == Direction::ToServer {
            return None;
        }
        let sync = self.pending.front().is_some_and(|front| front.state.role == Role::Sync);
        // It begins with the file, unless the server refuses.
        if sync
            && input.data.first().is_some_and(|first| *first != b'-')
            && self.pending.answer_begins(input.offset, input.time_at(0), sink)
        {
            self.succeeded();
            self.pending.finish(Status::Ok, None, input.offset.saturating_add(1), input.time_at(0), sink);
        }
        let all = (input.data.len() as u64).saturating_add(input.gap_after);
        self.replicates.then_some(Step::Taken(all))
    }
}

impl Parser for Redis {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if let Some(step) = self.replication(direction, &input, sink) {
            return step;
        }
        if self.half(direction).lost
            && let Some(step) = self.resynchronise(direction, &input)
        {
            return step;
        }
        let mut at = 0;
        loop {
            let Some(rest) = input.data.get(at..).filter(|rest| !rest.is_empty()) else { return taken_or_need(at, 1) };
            let half = self.half(direction);
            let begins = half.reader.is_between_messages();
            if begins && direction == Direction::ToClient && rest[0] == b'\n' {
                // A master says so that it is still there while it writes its file.
                at += 1;
                continue;
            }
            if begins {
                half.start_ns = input.time_at(at);
                half.start_offset = input.offset.saturating_add(at as u64);
            }
            match half.reader.read(rest, input.gap_after > 0, direction == Direction::ToServer) {
                Progress::Complete(length) => {
                    at += length;
                    let end_ns = input.time_at(at - 1);
                    self.complete(direction, input.offset.saturating_add(at as u64), end_ns, sink);
                }
                Progress::Partial(length) => {
                    half.skip_end = input.offset.saturating_add(at as u64 + length);
                    return Step::Taken(at as u64 + length);
                }
                Progress::Need(length) => return taken_or_need(at, length),
                Progress::Invalid(_) if at > 0 => return Step::Taken(at as u64),
                Progress::Invalid(why) => return Step::Invalid(why),
            }
        }
    }

    fn skipped(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        let half = self.half(direction);
        let end_offset = half.skip_end;
        if half.reader.skipped() {
            self.complete(direction, end_offset, time_ns, sink);
        }
    }

    fn gap(&mut self, direction: Direction, time_ns: u64, _sink: &mut dyn Sink) {
        let half = self.half(direction);
        half.reader.reset();
        half.lost = true;
        self.pending.gap(direction, time_ns);
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        self.pending.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        self.pending.expire(before_ns, now_ns, sink);
    }

    fn in_flight(&self) -> usize {
        self.pending.len()
    }

    fn outstanding(&self) -> Outstanding {
        self.pending.outstanding(|request| BLOCKING.contains(&request.operation.as_str()))
    }
}

fn taken_or_need(taken: usize, need: usize) -> Step {
    if taken > 0 { Step::Taken(taken as u64) } else { Step::Need(need) }
}

fn database(word: &[u8]) -> Option<u32> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Bounded: it becomes a label of metrics, and anybody can send any word.
fn operation(word: &Word) -> Text {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match word.get() {
        Some(word) if !word.is_empty() && word.iter().all(plain) => {
            let mut upper = [0u8; resp::MAX_WORD_BYTES];
            let upper = &mut upper[..word.len()];
            upper.copy_from_slice(word);
            upper.make_ascii_uppercase();
            Text::from_utf8_lossy(upper)
        }
        _ => Text::const_new("_OTHER"),
    }
}

fn outcome(kind: u8, word: &Word) -> (Status, Option<Text>) {
    if !matches!(kind, b'-' | b'!') {
        return (Status::Ok, None);
    }
    let code = word.get().filter(|word| !word.is_empty() && word.iter().all(u8::is_ascii_graphic));
    let code = code.map(Text::from_utf8_lossy);
    let failure = code.as_ref().is_none_or(|code| !NO_FAILURES.contains(&code.as_str()));
    (if failure { Status::Error } else { Status::Ok }, code)
}

fn detect(direction: Direction, data: &[u8]) -> Detection {
    match direction {
        Direction::ToServer if data.first() == Some(&b'*') => command_begins(data),
        Direction::ToServer => inline_begins(data),
        Direction::ToClient => match reply_begins(data) {
            Detection::Yes => Detection::Maybe,
            // A line of text behind a plus: many protocols talk like that.
            Detection::Maybe => Detection::No,
            other => other,
        },
    }
}

/// `*<n>\r\n$<n>\r\n<letters>`.
fn command_begins(data: &[u8]) -> Detection {
    let Some(after) = header(data, b'*') else { return unfinished(data, b'*') };
    let rest = &data[after..];
    let Some(after) = header(rest, b'$') else { return unfinished(rest, b'$') };
    match rest.get(after) {
        None => Detection::More,
        Some(byte) if byte.is_ascii_alphabetic() => Detection::Yes,
        Some(_) => Detection::No,
    }
}

/// `<type><positive number>\r\n`: where it ends.
fn header(data: &[u8], kind: u8) -> Option<usize> {
    let digits = data.strip_prefix(&[kind])?.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0 && data[1] != b'0' && data[1 + digits..].starts_with(b"\r\n")).then_some(digits + 3)
}

fn unfinished(data: &[u8], kind: u8) -> Detection {
    let possible = data.first().is_none_or(|first| *first == kind)
        && data.len() < 12
        && data.iter().skip(1).all(|byte| byte.is_ascii_digit() || *byte == b'\r')
        && data.get(1) != Some(&b'0');
    if possible { Detection::More } else { Detection::No }
}

fn inline_begins(data: &[u8]) -> Detection {
    let length = data.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(data.len());
    let word = &data[..length.min(resp::MAX_WORD_BYTES)];
    let starts = |name: &&&str| name.len() >= word.len() && name.as_bytes()[..word.len()].eq_ignore_ascii_case(word);
    let Some(name) = INLINE.iter().find(starts) else { return Detection::No };
    match memchr::memchr(b'\n', &data[..data.len().min(256)]) {
        None if data.len() < 256 => Detection::More,
        Some(end) if name.len() == length && memchr::memmem::find(&data[..end], b" HTTP/").is_none() => {
            Detection::Maybe
        }
        _ => Detection::No,
    }
}

fn reply_begins(data: &[u8]) -> Detection {
    let Some(first) = data.first() else { return Detection::More };
    if !b"+-:$*%~>,#_(".contains(first) {
        return Detection::No;
    }
    let Some(end) = memchr::memchr(b'\n', &data[..data.len().min(512)]) else {
        let plain = data.iter().take(512).all(|byte| (b' '..0x7f).contains(byte) || *byte == b'\r');
        return if plain && data.len() < 512 { Detection::More } else { Detection::No };
    };
    let Some(line) = data[1..=end].strip_suffix(b"\r\n") else { return Detection::No };
    let number = !line.is_empty() && line.strip_prefix(b"-").unwrap_or(line).iter().all(u8::is_ascii_digit);
    let right = match first {
        b':' | b'$' | b'*' | b'%' | b'~' | b'>' | b'(' => number && line.len() <= 20,
        b'+' if matches!(line, b"OK" | b"PONG" | b"QUEUED" | b"RESET") => true,
        b'+' if line.iter().all(|byte| (b' '..0x7f).contains(byte)) => return Detection::Maybe,
        b'-' => line.split(|byte| *byte == b' ').next().is_some_and(is_error_code),
        b'#' => matches!(line, b"t" | b"f"),
        b'_' => line.is_empty(),
        _ => line.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'e' | b'+' | b'i' | b'n' | b'f')),
    };
    if right { Detection::Yes } else { Detection::No }
}

fn is_error_code(word: &[u8]) -> bool {
    word.len() >= 3 && word.len() <= resp::MAX_WORD_BYTES && word.iter().all(u8::is_ascii_uppercase)
}

#[cfg(test)]
#[path = "redis/tests.rs"]
mod tests;
