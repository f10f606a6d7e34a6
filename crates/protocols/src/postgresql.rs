//! PostgreSQL, protocol 3: a simple query is one request, and so is each Execute of the extended protocol.
//!
//! What is in flight is a queue of queries, Executes and Syncs, in the order in which the server answers. A query ends
//! with ReadyForQuery, an Execute with its own completion. After an error the server ignores everything up to the next
//! Sync: those Executes are unanswered, with the reason `closed`, since the server closed the pipeline on them. An
//! error in Parse or Bind belongs to the Execute behind it; without one it is told as a `session` of its own, so that a
//! statement that cannot be prepared is not lost. Logins, cancels and passwords are `session` too, and never read but
//! for the database's name.

mod messages;

use crate::pending::Pending;
use crate::protocols::{Capture, Framing, FramingKind};
use crate::statements::{Named, Recent, Statement, UNKNOWN};
use crate::{Detection, Input, Options, Outstanding, Parser, Protocol, Sink, Step, sql};
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, TraceContext, Unanswered};
use messages::{Header, SqlState, text};
use std::sync::Arc;

const NAME: &str = "postgresql";

pub const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[5432, 6432, 5433, 26257],
    detect: messages::detect,
    parser: |options| Box::new(PostgreSql::new(options)),
    capture: Capture::Framed(Framing { kind: FramingKind::TypeLength32, head: 1024 }),
    unordered: false,
    greets: false,
    specification: NAME,
};

/// As much of a statement is read; a longer one is cut.
const STATEMENT_BYTES: usize = 8 * 1024;
/// SQLSTATE and severity stand before the message's text.
const ERROR_BYTES: usize = 512;
const NAMES_BYTES: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// A simple query, a function call, a login: ends with ReadyForQuery.
    Ready,
    Execute,
    Sync,
    /// A Sync that the server ignores, because it is reading COPY data.
    IgnoredSync,
    /// SSLRequest or GSSENCRequest: one byte is the answer.
    Encryption,
}

#[derive(Debug)]
struct Place {
    waits: Waits,
    /// The error in it, with its code if that was seen.
    failed: Option<Option<SqlState>>,
    rows: Option<i64>,
    /// Where a completion was seen: an answer that has none was lost in part.
    completed: Option<Mark>,
    /// What a Sync without Execute had parsed.
    prepares: Option<Box<Request>>,
}

impl Place {
    fn new(waits: Waits) -> Self {
        Place { waits, failed: None, rows: None, completed: None, prepares: None }
    }
}

/// Where something began.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    time_ns: u64,
}

struct PostgreSql {
    details: bool,
    raw: bool,
    dialect: sql::Dialect,
    pending: Pending<Place>,
    statements: Named,
    portals: Named,
    recent: Recent,
    database: Option<Text>,
    /// First message since the last Execute or Sync: there its request begins.
    group: Option<Mark>,
    /// The context in the statement that was parsed in this group.
    trace: Option<TraceContext>,
    /// A Parse since the last Sync, while no Execute has followed.
    parsed: bool,
    /// Its name.
    last_parsed: Box<[u8]>,
    /// First message of the answer that is being read.
    answer: Option<Mark>,
    /// A replication stream, up to the next ReadyForQuery.
    streams: bool,
    /// The server has agreed to encrypt: what follows is TLS.
    becomes_tls: bool,
    encryption_asked_ns: Option<u64>,
    lost: [bool; 2],
}

impl PostgreSql {
    fn new(options: &Options) -> Self {
        PostgreSql {
            details: options.details,
            raw: options.raw,
            dialect: sql::POSTGRESQL,
            pending: Pending::new(NAME),
            statements: Named::default(),
            portals: Named::default(),
            recent: Recent::default(),
            database: None,
            group: None,
            trace: None,
            parsed: false,
            last_parsed: Box::default(),
            answer: None,
            streams: false,
            becomes_tls: false,
            encryption_asked_ns: None,
            lost: [false; 2],
        }
    }

    // ---- the client's messages ---------------------------------------------------------------------------------------

    fn client(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        match header.kind {
            0 => self.open(body, begins, ends, sink),
            b'Q' => self.query(body, begins, ends, sink),
            b'P' => self.parse_statement(body, begins),
            b'B' => self.bind(body, begins),
            b'E' => self.execute(body, begins, ends, sink),
            b'D' => self.begin_group(begins),
            b'C' => self.close_name(body, begins),
            b'S' => self.sync(begins, ends),
            b'F' => {
                let request = self.request("FUNCTION_CALL".into(), begins, ends);
                self.pending.push(request, Place::new(Waits::Ready), sink);
            }
            _ => {}
        }
    }

    fn request(&self, operation: Text, begins: Mark, ends: Mark) -> Request {
        let mut request = Request::new(NAME, operation);
        request.start_ns = begins.time_ns;
        request.request_offset = begins.offset;
        request.request_end_offset = ends.offset;
        if self.details
            && let Some(database) = &self.database
        {
            request.details_mut().attributes.push(("db.namespace", Attribute::Text(database.clone())));
        }
        request
    }

    fn open(&mut self, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        match messages::int(body, 0) {
            Some(messages::SSL_REQUEST | messages::GSSENC_REQUEST) => {
                self.encryption_asked_ns = Some(begins.time_ns);
                self.pending.push_mark(Place::new(Waits::Encryption));
            }
            Some(messages::CANCEL_REQUEST) => {
                let mut request = self.request("CANCEL".into(), begins, ends);
                request.kind = Kind::Session;
                request.status = Status::Ok;
                request.end_ns = ends.time_ns.max(begins.time_ns);
                sink.request(request);
            }
            _ => {
                self.database = messages::database(body.get(4..).unwrap_or_default());
                let mut request = self.request("STARTUP".into(), begins, ends);
                request.kind = Kind::Session;
                self.pending.push(request, Place::new(Waits::Ready), sink);
            }
        }
    }

    fn query(&mut self, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        let (statement, rest) = text(body);
        let statement = self.read(statement, rest.is_none());
        if statement.operation == "DISCARD" || statement.operation == "DEALLOCATE" {
            // Which of them are gone is not worth knowing: names that stay are parsed again.
            self.portals.clear();
        }
        let mut request = self.request(statement.operation.clone(), begins, ends);
        request.resource = Some(statement.shape.clone()).filter(|shape| !shape.is_empty());
        add_details(&mut request, statement.raw.as_ref(), statement.trace);
        self.pending.push(request, Place::new(Waits::Ready), sink);
    }

    fn read(&mut self, text: &[u8], cut: bool) -> Arc<Statement> {
        let (dialect, raw) = (self.dialect, self.raw);
        let read = || Statement::read(text, cut, dialect, raw);
        // The same text may once be whole and once be cut.
        if cut { Arc::new(read()) } else { self.recent.get(text, read) }
    }

    fn begin_group(&mut self, begins: Mark) {
        self.group.get_or_insert(begins);
    }

    fn parse_statement(&mut self, body: &[u8], begins: Mark) {
        self.begin_group(begins);
        let (name, Some(rest)) = text(body) else { return self.forget() };
        let (statement, end) = text(rest);
        let statement = self.read(statement, end.is_none());
        self.trace = statement.trace;
        self.parsed = true;
        self.statements.set(name, Some(statement));
        self.last_parsed = name.into();
    }

    fn bind(&mut self, body: &[u8], begins: Mark) {
        self.begin_group(begins);
        let (portal, Some(rest)) = text(body) else { return self.portals.clear() };
        let (name, end) = text(rest);
        let statement = end.and_then(|_| self.statements.get(name));
        self.portals.set(portal, statement);
    }

    /// A name was lost: any of them may be something else now.
    fn forget(&mut self) {
        self.statements.clear();
        self.portals.clear();
    }

    fn execute(&mut self, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        let (portal, end) = text(body);
        let statement = end.and_then(|_| self.portals.get(portal));
        let operation = statement.as_ref().map_or(UNKNOWN, |known| known.operation.clone());
        let group = self.group.take().unwrap_or(begins);
        let mut request = self.request(operation, group, ends);
        let trace = self.trace.take();
        if let Some(statement) = statement {
            request.resource = Some(statement.shape.clone()).filter(|shape| !shape.is_empty());
            add_details(&mut request, statement.raw.as_ref(), trace);
        } else {
            add_details(&mut request, None, trace);
        }
        self.parsed = false;
        self.pending.push(request, Place::new(Waits::Execute), sink);
    }

    fn close_name(&mut self, body: &[u8], begins: Mark) {
        self.begin_group(begins);
        let Some((kind, name)) = body.split_first() else { return };
        let names = if *kind == b'S' { &mut self.statements } else { &mut self.portals };
        names.set(text(name).0, None);
    }

    fn sync(&mut self, begins: Mark, ends: Mark) {
        let mut place = Place::new(Waits::Sync);
        let group = self.group.take().unwrap_or(begins);
        if std::mem::take(&mut self.parsed) {
            place.prepares = Some(Box::new(self.prepare(group, ends)));
        }
        self.pending.push_mark(place);
    }

    fn prepare(&mut self, begins: Mark, ends: Mark) -> Request {
        let name = std::mem::take(&mut self.last_parsed);
        let mut request = self.request("PREPARE".into(), begins, ends);
        request.kind = Kind::Session;
        request.resource = self.statements.get(&name).map(|known| known.shape.clone());
        add_details(&mut request, None, self.trace.take());
        request
    }

    // ---- the server's messages ---------------------------------------------------------------------------------------

    fn server(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        match header.kind {
            // These come at any time and answer nothing.
            b'A' | b'N' | b'K' => return,
            // The end of a stream completes what was answered at its beginning.
            b'd' | b'c' | b'C' | b'E' if self.streams => return,
            b'S' => return self.parameter(body),
            _ => self.answer.get_or_insert(begins),
        };
        match header.kind {
            b'C' => self.completed(if self.details { messages::rows(body) } else { None }, ends, sink),
            b'I' | b's' => self.completed(None, ends, sink),
            b'E' => self.failed(messages::error(body), ends, sink),
            b'V' => self.front_completed(ends),
            b'G' => self.copy_in(),
            b'W' => self.stream_begins(ends, sink),
            b'Z' => self.ready(ends, sink),
            _ => {}
        }
    }

    fn parameter(&mut self, body: &[u8]) {
        if let Some(value) = body.strip_prefix(b"standard_conforming_strings\0") {
            self.dialect.backslash_escapes = value.starts_with(b"off");
            self.recent = Recent::default();
        }
    }

    /// Whose answer this is. `None` when its request was not seen.
    fn answered(&mut self, ends: Mark, sink: &mut dyn Sink) -> Option<Waits> {
        while self.front() == Some(Waits::IgnoredSync) {
            self.pending.pop();
        }
        let answer = self.answer.unwrap_or(ends);
        self.pending.answer_begins(answer.offset, answer.time_ns, sink).then(|| self.front())?
    }

    fn front(&self) -> Option<Waits> {
        self.pending.front().map(|place| place.state.waits)
    }

    fn front_completed(&mut self, ends: Mark) {
        if let Some(front) = self.pending.front_mut() {
            front.state.completed = Some(ends);
        }
    }

    fn completed(&mut self, rows: Option<i64>, ends: Mark, sink: &mut dyn Sink) {
        match self.answered(ends, sink) {
            Some(Waits::Execute) => {
                self.set_rows(rows);
                self.finish(Status::Ok, None, ends, sink);
            }
            Some(Waits::Ready) => {
                self.front_completed(ends);
                if let Some(front) = self.pending.front_mut() {
                    front.state.rows = rows;
                }
            }
            _ => {}
        }
    }

    fn set_rows(&mut self, rows: Option<i64>) {
        let request = self.pending.front_mut().and_then(|front| front.request.as_mut());
        if let (Some(request), Some(rows)) = (request, rows) {
            request.details_mut().attributes.push(("db.response.returned_rows", Attribute::Int(rows)));
        }
    }

    fn finish(&mut self, status: Status, code: Option<SqlState>, ends: Mark, sink: &mut dyn Sink) {
        self.pending.finish(status, code.map(SqlState::text), ends.offset, ends.time_ns, sink);
        self.answer = None;
    }

    fn failed(&mut self, error: messages::ServerError, ends: Mark, sink: &mut dyn Sink) {
        if self.pending.is_empty() && error.fatal {
            // A server that shuts down says so to everybody.
            return;
        }
        match self.answered(ends, sink) {
            Some(Waits::Execute) => {
                self.finish(Status::Error, error.sqlstate, ends, sink);
                self.skip_to_sync(ends, sink);
            }
            Some(Waits::Ready) if error.fatal => self.finish(Status::Error, error.sqlstate, ends, sink),
            Some(Waits::Ready) => {
                self.front_completed(ends);
                if let Some(front) = self.pending.front_mut() {
                    front.state.failed = Some(error.sqlstate);
                }
            }
            Some(Waits::Sync) => self.prepare_failed(error.sqlstate, ends, sink),
            Some(Waits::Encryption) => {
                self.pending.pop();
            }
            _ => {}
        }
    }

    /// The server ignores what was sent behind a failed message.
    fn skip_to_sync(&mut self, ends: Mark, sink: &mut dyn Sink) {
        while self.front() == Some(Waits::Execute) {
            self.pending.give_up(Unanswered::Closed, ends.time_ns, sink);
        }
    }

    fn prepare_failed(&mut self, sqlstate: Option<SqlState>, ends: Mark, sink: &mut dyn Sink) {
        let answer = self.answer.unwrap_or(ends);
        let prepares = self.pending.front_mut().and_then(|front| front.state.prepares.take());
        let Some(mut request) = prepares else { return };
        request.status = Status::Error;
        request.code = sqlstate.map(SqlState::text);
        request.first_byte_ns = Some(answer.time_ns.max(request.start_ns));
        request.end_ns = ends.time_ns.max(request.start_ns);
        request.response_offset = answer.offset;
        request.response_end_offset = ends.offset;
        sink.request(*request);
    }

    /// The server reads COPY data now, and ignores the Sync that was sent along with the Execute: the client sends
    /// another behind its data.
    fn copy_in(&mut self) {
        if self.front() != Some(Waits::Execute) {
            return;
        }
        let behind = self.pending.iter_mut().skip(1).take_while(|place| place.state.waits == Waits::Sync);
        behind.for_each(|place| place.state.waits = Waits::IgnoredSync);
    }

    /// Replication: the answer is there, and what follows is a stream.
    fn stream_begins(&mut self, ends: Mark, sink: &mut dyn Sink) {
        if let Some(Waits::Ready | Waits::Execute) = self.answered(ends, sink) {
            self.finish(Status::Ok, None, ends, sink);
            self.streams = true;
        }
    }

    fn ready(&mut self, ends: Mark, sink: &mut dyn Sink) {
        if std::mem::take(&mut self.streams) {
            // It ends the stream and none of what was asked since.
            self.answer = None;
            return;
        }
        // With nothing in flight it ends an answer that was counted at its completion.
        while !self.pending.is_empty() {
            match self.answered(ends, sink) {
                Some(Waits::Execute) => self.pending.give_up(Unanswered::Closed, ends.time_ns, sink),
                Some(Waits::Ready) => {
                    self.ready_for_next(ends, sink);
                    break;
                }
                Some(Waits::Sync) => {
                    self.pending.pop();
                    break;
                }
                Some(_) => {
                    self.pending.pop();
                }
                None => break,
            }
        }
        self.answer = None;
    }

    fn ready_for_next(&mut self, ends: Mark, sink: &mut dyn Sink) {
        let Some(front) = self.pending.front_mut() else { return };
        let login = front.request.as_ref().is_some_and(|request| request.kind == Kind::Session);
        if front.state.completed.is_none() && !login {
            return self.pending.give_up(Unanswered::Gap, ends.time_ns, sink);
        }
        let (failed, rows) = (front.state.failed, front.state.rows.take());
        self.set_rows(rows);
        let status = if failed.is_some() { Status::Error } else { Status::Ok };
        self.finish(status, failed.flatten(), ends, sink);
    }

    /// `S` and `N` are bytes here, not messages.
    fn encryption(&mut self, byte: u8) -> Option<Step> {
        if self.front() != Some(Waits::Encryption) {
            return None;
        }
        match byte {
            b'N' => {
                self.pending.pop();
                Some(Step::Taken(1))
            }
            b'S' => {
                self.becomes_tls = true;
                Some(Step::Taken(1))
            }
            b'G' => Some(Step::Upgrade(Some("gssapi"))),
            _ => None,
        }
    }

    // ---- both --------------------------------------------------------------------------------------------------------

    /// A parser that lost its way starts again where a call begins like messages.
    fn resynchronise(&mut self, direction: Direction, input: &Input<'_>) -> Option<Step> {
        let begins = messages::chain(direction, input.data);
        if !input.at_call || begins == Detection::No {
            return Some(Step::Invalid("no message begins here"));
        }
        if begins == Detection::More {
            return Some(Step::Need(input.data.len() + 1));
        }
        self.lost[direction as usize] = false;
        None
    }

    fn message(&mut self, direction: Direction, input: &Input<'_>, at: usize, sink: &mut dyn Sink) -> Step {
        let rest = input.data.get(at..).unwrap_or_default();
        let header = match messages::header(direction, rest) {
            Ok(Some(header)) => header,
            Ok(None) => return Step::Need(if rest.first() == Some(&0) { 4 } else { 5 }),
            Err(why) => return Step::Invalid(why),
        };
        let wanted = (wanted(direction, header.kind) as u64).min(header.total) as usize;
        if rest.len() < wanted && input.gap_after == 0 {
            return Step::Need(wanted);
        }
        let body = rest.get(if header.kind == 0 { 4 } else { 5 }..wanted.min(rest.len())).unwrap_or_default();
        let begins = Mark { offset: input.offset.saturating_add(at as u64), time_ns: input.time_at(at) };
        let last = (at as u64 + header.total).min(input.data.len() as u64) as usize;
        let ends =
            Mark { offset: begins.offset.saturating_add(header.total), time_ns: input.time_at(last.saturating_sub(1)) };
        match direction {
            Direction::ToServer => self.client(header, body, begins, ends, sink),
            Direction::ToClient => self.server(header, body, begins, ends, sink),
        }
        Step::Taken(header.total)
    }
}

fn add_details(request: &mut Request, raw: Option<&Text>, trace: Option<TraceContext>) {
    if raw.is_some() || trace.is_some() {
        let details = request.details_mut();
        (details.resource_raw, details.trace) = (raw.cloned(), trace);
    }
}

/// How much of a message is read, its header included.
fn wanted(direction: Direction, kind: u8) -> usize {
    match (direction, kind) {
        (Direction::ToServer, b'Q' | b'P') => STATEMENT_BYTES,
        (Direction::ToServer, b'B' | b'E' | b'C' | 0) => NAMES_BYTES,
        (Direction::ToClient, b'E') => ERROR_BYTES,
        (Direction::ToClient, b'C' | b'S') => 64,
        _ => 5,
    }
}

impl Parser for PostgreSql {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if self.lost[direction as usize]
            && let Some(step) = self.resynchronise(direction, &input)
        {
            return step;
        }
        let mut at = 0;
        while let Some(&first) = input.data.get(at) {
            if self.becomes_tls {
                return if at > 0 { Step::Taken(at as u64) } else { Step::Upgrade(Some("tls")) };
            }
            let encryption = if direction == Direction::ToClient { self.encryption(first) } else { None };
            let step = encryption.unwrap_or_else(|| self.message(direction, &input, at, sink));
            match step {
                Step::Taken(length) if at as u64 + length > input.data.len() as u64 => {
                    return Step::Taken(at as u64 + length);
                }
                Step::Taken(length) => at += length as usize,
                // What was read so far first.
                _ if at > 0 => break,
                step => return step,
            }
        }
        if at > 0 { Step::Taken(at as u64) } else { Step::Need(1) }
    }

    /// Only what was understood from its head is skipped, or what says nothing.
    fn skipped(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn gap(&mut self, direction: Direction, time_ns: u64, _sink: &mut dyn Sink) {
        self.lost[direction as usize] = true;
        match direction {
            Direction::ToServer => {
                self.group = None;
                self.parsed = false;
                self.trace = None;
                self.statements.set(b"", None);
                self.portals.clear();
            }
            Direction::ToClient => (self.answer, self.streams) = (None, false),
        }
        self.pending.gap(direction, time_ns);
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        // All of its answer was there but for the ReadyForQuery behind it.
        if let Some(ends) = self.pending.front().and_then(|front| front.state.completed) {
            self.ready_for_next(ends, sink);
        }
        self.pending.close(reason, time_ns, sink);
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        self.pending.expire(before_ns, now_ns, sink);
    }

    fn in_flight(&self) -> usize {
        self.pending.len() + usize::from(self.streams)
    }

    fn outstanding(&self) -> Outstanding {
        match (self.front(), self.encryption_asked_ns) {
            (Some(Waits::Encryption), Some(since_ns)) => Outstanding { requests: 1, since_ns },
            _ => self.pending.outstanding(|_| false),
        }
    }
}

#[cfg(test)]
#[path = "postgresql/tests.rs"]
mod tests;
