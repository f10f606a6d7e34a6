//! MySQL and MariaDB: each command is one request, whatever results it has.
//!
//! What is in flight is a queue of commands; nearly all clients wait for each answer, MariaDB's connectors need not. An
//! answer has no length: it is read packet by packet, by what its command can be answered with, and rows are passed over
//! by their lengths. Packets are numbered within an exchange, so that the first packet of an answer is known as such, and
//! what is left of an answer that was not understood is no answer to the next command. What both sides can was said at
//! the login; on a connection joined later it shows in the packets. Logins are `session`, and never read but for the
//! database's name. After a login with zlib compression packets come in others (`compressed`); with zstd nothing can be
//! read, and nothing is claimed.

mod answers;
mod attributes;
mod commands;
mod compressed;
mod detect;
mod packets;

use crate::pending::Pending;
use crate::protocols::Capture;
use crate::statements::{Named, Recent, Statement, UNKNOWN};
use crate::{Detection, Input, Options, Outstanding, Parser, Protocol, Sink, Step, sql};
use answers::{Place, Reads};
use commands::{Answer, Command};
use compressed::Half;
use limpid_model::request::Attribute;
use limpid_model::{Direction, Kind, Request, Status, Text, TraceContext, Unanswered};
use packets::{HEADER_BYTES, Header, MAX_LENGTH, capability};
use std::sync::Arc;

const NAME: &str = "mysql";

pub const PROTOCOL: Protocol = Protocol {
    name: NAME,
    // MySQL and MariaDB, Router, MaxScale, ProxySQL, TiDB.
    ports: &[3306, 3307, 6446, 4006, 6033, 4000],
    detect: detect::detect,
    parser: |options| Box::new(MySql::new(options)),
    // Outcomes stand behind rows that have no common length; servers write them in calls of 16 KiB. Long rows are skipped
    // by their length.
    capture: Capture::All(256 * 1024),
    unordered: false,
    greets: true,
    specification: NAME,
};

/// As much of a statement is read; a longer one is cut.
const STATEMENT_BYTES: usize = 8 * 1024;
const LOGIN_BYTES: usize = 1024;
/// What is read of other commands: numbers and names.
const ARGUMENTS_BYTES: usize = 300;
/// First byte, two integers, status and warnings of an OK packet.
const OUTCOME_BYTES: usize = 24;
/// The statement that was prepared last, in MariaDB's dialect: its number is not known yet.
const LAST_PREPARED: u32 = u32::MAX;
/// Commands in one packet of the compressed protocol: clients send each in its own.
const MAX_COMMANDS_PACKED: u32 = 64;
/// Executions: their statement may have been prepared before anybody looked.
const EXECUTIONS: [u8; 2] = [commands::STMT_EXECUTE, commands::STMT_BULK_EXECUTE];

/// Where something stands.
#[derive(Clone, Copy, Debug)]
struct Mark {
    offset: u64,
    time_ns: u64,
}

/// Who has said what of the login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    Greeting,
    Login,
    Done,
}

struct MySql {
    details: bool,
    raw: bool,
    dialect: sql::Dialect,
    pending: Pending<Place>,
    opening: Opening,
    /// What both sides can, if their login was seen.
    capabilities: Option<u64>,
    /// Whether results have no EOF between columns and rows; `None` as long as none was seen.
    deprecates_eof: Option<bool>,
    mariadb: bool,
    database: Option<Text>,
    statements: Named,
    recent: Recent,
    last_prepared: Option<Arc<Statement>>,
    /// The last packet of this direction goes on in the next.
    continues: [bool; 2],
    lost: [bool; 2],
    /// The oldest answer was lost in part: what comes next is not its beginning.
    interrupted: bool,
    /// Answers were lost; the next packet begins one.
    resumes: bool,
    /// Something was lost once: from then on an answer must not be older than what it answers.
    lossy: bool,
    /// A replication stream: nothing else comes any more.
    streams: bool,
    /// The client wants to encrypt: what follows is TLS.
    becomes_tls: bool,
    compressed: Option<Box<[Half; 2]>>,
}

impl MySql {
    fn new(options: &Options) -> Self {
        MySql {
            details: options.details,
            raw: options.raw,
            dialect: sql::MYSQL,
            pending: Pending::new(NAME),
            opening: Opening::Greeting,
            capabilities: None,
            deprecates_eof: None,
            mariadb: false,
            database: None,
            statements: Named::default(),
            recent: Recent::default(),
            last_prepared: None,
            continues: [false; 2],
            lost: [false; 2],
            interrupted: false,
            resumes: false,
            lossy: false,
            streams: false,
            becomes_tls: false,
            compressed: None,
        }
    }

    // ---- the client's packets ----------------------------------------------------------------------------------------

    fn client(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) -> Step {
        let continued = std::mem::replace(&mut self.continues[0], header.length == MAX_LENGTH);
        let reads = self.pending.front().map(|front| front.state.reads);
        if continued || reads == Some(Reads::File) || reads == Some(Reads::Login) && header.sequence != 0 {
            self.more_of_request(header, continued, ends);
            return Step::Taken(header.total());
        }
        match header.sequence {
            0 => return self.command(header, body, begins, ends, sink),
            _ if self.opening == Opening::Login || detect::login_begins(header, body) == Detection::Yes => {
                return self.login(header, body, begins, ends, sink);
            }
            // Of a file, or of a login, whose beginning was not seen.
            _ => {}
        }
        Step::Taken(header.total())
    }

    /// The rest of a long command, a file that the server wants, or the next word of a login.
    fn more_of_request(&mut self, header: Header, continued: bool, ends: Mark) {
        let Some(youngest) = self.pending.back_mut() else { return };
        if !youngest.state.begun {
            youngest.state.sequence = header.sequence.wrapping_add(1);
        }
        if let Some(request) = &mut youngest.request {
            request.request_end_offset = ends.offset;
        }
        if youngest.state.reads == Reads::File && header.length == 0 && !continued {
            youngest.state.reads = Reads::Result;
        }
    }

    fn login(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) -> Step {
        if packets::asks_for_tls(body, header.length) {
            self.becomes_tls = true;
            return Step::Taken(header.total());
        }
        let Some(login) = packets::login(body) else { return Step::Invalid("a login that is cut") };
        self.opening = Opening::Done;
        let both = self.capabilities.map_or(login.capabilities, |server| {
            // MariaDB's own bits stand elsewhere in the greeting; a client has only those that the server has.
            login.capabilities & (server | !u64::from(u32::MAX))
        });
        if both & capability::ZSTD_COMPRESSION != 0 && both & capability::COMPRESS == 0 {
            return Step::Upgrade(Some("zstd"));
        }
        self.capabilities = Some(both);
        self.deprecates_eof = Some(both & capability::DEPRECATE_EOF != 0);
        self.database = login.database;
        let mut request = self.request(Text::const_new("LOGIN"), begins, ends);
        request.kind = Kind::Session;
        self.pending.push(request, Place::new(Reads::Login, header.sequence), sink);
        Step::Taken(header.total())
    }

    fn request(&self, operation: Text, begins: Mark, ends: Mark) -> Request {
        let mut request = Request::new(NAME, operation);
        request.start_ns = begins.time_ns;
        request.request_offset = begins.offset;
        request.request_end_offset = ends.offset;
        if self.details {
            self.add_details(&mut request);
        }
        request
    }

    #[cold]
    fn add_details(&self, request: &mut Request) {
        let attributes = &mut request.details_mut().attributes;
        if self.mariadb {
            attributes.push(("db.system.name", Attribute::Text(Text::const_new("mariadb"))));
        }
        if let Some(database) = &self.database {
            attributes.push(("db.namespace", Attribute::Text(database.clone())));
        }
    }

    fn command(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) -> Step {
        if self.streams {
            // What a replica tells its source.
            return Step::Taken(header.total());
        }
        let Some((&code, arguments)) = body.split_first() else { return Step::Invalid("an empty command") };
        let Some(command) = commands::of(code) else { return Step::Invalid("an unknown command") };
        self.opening = Opening::Done;
        let cut = (arguments.len() as u64) < u64::from(header.length) - 1;
        let (statement, trace) = self.statement_of(command, arguments, cut);
        let operation = match (&statement, command.code) {
            (Some(statement), commands::QUERY | commands::STMT_EXECUTE | commands::STMT_BULK_EXECUTE) => {
                statement.operation.clone()
            }
            (None, code) if EXECUTIONS.contains(&code) => UNKNOWN,
            _ => Text::const_new(command.name),
        };
        let mut request = self.request(operation, begins, ends);
        if let Some(statement) = &statement {
            request.resource = Some(statement.shape.clone()).filter(|shape| !shape.is_empty());
            add_statement(&mut request, statement.raw.as_ref(), trace);
        }
        if command.answer == Answer::None {
            request.kind = Kind::Oneway;
            request.status = Status::Ok;
            request.end_ns = ends.time_ns.max(request.start_ns);
            sink.request(request);
            return Step::Taken(header.total());
        }
        let mut place = Place::new(Reads::first(command.answer), header.sequence);
        self.prepare_place(&mut place, command, statement, arguments);
        if command.answer == Answer::Login {
            request.kind = Kind::Session;
        }
        self.pending.push(request, place, sink);
        Step::Taken(header.total())
    }

    /// The statement that a command is about, and the trace context that came with this execution of it.
    fn statement_of(
        &mut self,
        command: &Command,
        arguments: &[u8],
        cut: bool,
    ) -> (Option<Arc<Statement>>, Option<TraceContext>) {
        match command.code {
            commands::QUERY => {
                let (text, trace) = self.query_text(arguments, cut);
                let statement = self.read(text, cut);
                let trace = trace.or(statement.trace);
                (Some(statement), trace)
            }
            commands::STMT_PREPARE => (Some(self.read(arguments, cut)), None),
            commands::STMT_EXECUTE | commands::STMT_BULK_EXECUTE | commands::STMT_FETCH => {
                (self.prepared(arguments), None)
            }
            commands::STMT_CLOSE => {
                self.statements.set(arguments.get(..4).unwrap_or_default(), None);
                (None, None)
            }
            _ => (None, None),
        }
    }

    /// The statement behind the attributes that some clients send.
    fn query_text<'a>(&self, arguments: &'a [u8], cut: bool) -> (&'a [u8], Option<TraceContext>) {
        let has_attributes = match self.capabilities {
            Some(both) => both & capability::QUERY_ATTRIBUTES != 0,
            None => arguments.starts_with(&[0, 1]),
        };
        if !has_attributes {
            return (arguments, None);
        }
        match attributes::statement_behind(arguments) {
            Some(found) => found,
            None if cut => (&[], None),
            None => (arguments, None),
        }
    }

    fn read(&mut self, text: &[u8], cut: bool) -> Arc<Statement> {
        let (dialect, raw) = (self.dialect, self.raw);
        let read = || Statement::read(text, cut, dialect, raw);
        // The same text may once be whole and once be cut.
        if cut { Arc::new(read()) } else { self.recent.get(text, read) }
    }

    fn prepared(&mut self, arguments: &[u8]) -> Option<Arc<Statement>> {
        let number = arguments.get(..4)?;
        if number == LAST_PREPARED.to_le_bytes() {
            return self.last_prepared.clone();
        }
        self.statements.get(number)
    }

    /// What is to be remembered until the answer comes.
    fn prepare_place(
        &mut self,
        place: &mut Place,
        command: &Command,
        statement: Option<Arc<Statement>>,
        arguments: &[u8],
    ) {
        match command.code {
            commands::STMT_PREPARE => {
                self.last_prepared = statement.clone();
                place.prepares = statement;
            }
            commands::INIT_DB => place.selects = packets::name(arguments),
            commands::QUERY => place.selects = statement.as_deref().and_then(used_database),
            commands::CHANGE_USER | commands::RESET_CONNECTION => {
                self.statements.clear();
                self.last_prepared = None;
                if command.code == commands::CHANGE_USER {
                    self.database = None;
                }
            }
            _ => {}
        }
    }

    // ---- both --------------------------------------------------------------------------------------------------------

    /// One packet at the front of `rest`. Nothing has happened unless it is taken.
    fn packet(
        &mut self,
        direction: Direction,
        rest: &[u8],
        more: bool,
        marks: impl Fn(u64) -> (Mark, Mark),
        sink: &mut dyn Sink,
    ) -> Step {
        let Some(header) = packets::header(rest) else { return Step::Need(HEADER_BYTES) };
        let whole = header.total();
        let wanted = match direction {
            Direction::ToServer => self.wanted(rest.get(HEADER_BYTES).copied(), header),
            Direction::ToClient if self.opening == Opening::Greeting => LOGIN_BYTES,
            Direction::ToClient => OUTCOME_BYTES,
        };
        let wanted = (wanted + HEADER_BYTES).min(whole.min(u64::from(u32::MAX)) as usize);
        if rest.len() < wanted && more {
            return Step::Need(wanted);
        }
        let body = rest.get(HEADER_BYTES..wanted.min(rest.len())).unwrap_or_default();
        let outcome = direction == Direction::ToClient && matches!(body.first(), Some(0 | 0xfe));
        if body.is_empty() && header.length > 0 || outcome && rest.len() < wanted {
            // Cut by a gap: whether more follows is not known.
            return Step::Need(wanted);
        }
        let (begins, ends) = marks(whole);
        match direction {
            Direction::ToServer => self.client(header, body, begins, ends, sink),
            Direction::ToClient => self.server(header, body, begins, ends, sink),
        }
    }

    /// How much of a packet of the client is read.
    fn wanted(&self, code: Option<u8>, header: Header) -> usize {
        match code {
            _ if header.sequence != 0 => LOGIN_BYTES,
            Some(commands::QUERY | commands::STMT_PREPARE) => STATEMENT_BYTES,
            Some(commands::INIT_DB) => ARGUMENTS_BYTES,
            _ => 5,
        }
    }

    fn read_plain(&mut self, direction: Direction, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let mut at = 0;
        while at < input.data.len() && self.compressed.is_none() && !self.becomes_tls {
            if direction == Direction::ToClient && self.passes_rows() {
                at = self.pass_rows(input.data, at);
                if at >= input.data.len() {
                    break;
                }
            }
            let rest = &input.data[at..];
            let marks = |length: u64| {
                let last = (at as u64 + length).min(input.data.len() as u64).saturating_sub(1) as usize;
                let begins = Mark { offset: input.offset.saturating_add(at as u64), time_ns: input.time_at(at) };
                (begins, Mark { offset: begins.offset.saturating_add(length), time_ns: input.time_at(last) })
            };
            match self.packet(direction, rest, input.gap_after == 0, marks, sink) {
                Step::Taken(length) => {
                    at = at.saturating_add(length as usize);
                    if self.answers_ahead(direction) {
                        break;
                    }
                }
                // What was read so far first.
                _ if at > 0 => break,
                step => return step,
            }
        }
        if at > 0 { Step::Taken(at as u64) } else { Step::Need(1) }
    }

    /// What follows answers nothing that was seen: the engine decides whether it waits for its requests.
    fn answers_ahead(&self, direction: Direction) -> bool {
        direction == Direction::ToClient && self.in_flight() == 0
    }

    fn read_compressed(&mut self, direction: Direction, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let Some(mut halves) = self.compressed.take() else { return Step::Need(1) };
        let step = self.unpack(direction, &mut halves[direction as usize], input, sink);
        self.compressed = Some(halves);
        step
    }

    fn unpack(&mut self, direction: Direction, half: &mut Half, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let mut at = 0;
        while at < input.data.len() {
            let rest = &input.data[at..];
            if half.packed_left == 0 {
                let Some(header) = compressed::header(rest) else { break };
                half.begin(header, input.offset.saturating_add(at as u64));
                at += compressed::HEADER_BYTES;
                continue;
            }
            let bytes = &rest[..rest.len().min(half.packed_left as usize)];
            let end = at + bytes.len();
            let ends = Mark { offset: input.offset.saturating_add(end as u64), time_ns: input.time_at(end - 1) };
            let begins = Mark { offset: half.begins, time_ns: input.time_at(at) };
            let read = |half: &mut Half, piece: &[u8]| self.read_unpacked(direction, half, piece, (begins, ends), sink);
            if let Err(why) = half.unpack(bytes, read) {
                return Step::Invalid(why);
            }
            at = end;
            if half.packed_left == 0 && self.answers_ahead(direction) {
                break;
            }
        }
        if at > 0 { Step::Taken(at as u64) } else { Step::Need(compressed::HEADER_BYTES) }
    }

    /// Reads what was unpacked, as far as it goes, and keeps the rest.
    fn read_unpacked(
        &mut self,
        direction: Direction,
        half: &mut Half,
        piece: &[u8],
        marks: (Mark, Mark),
        sink: &mut dyn Sink,
    ) -> Result<(), &'static str> {
        let skipped = half.skip.min(piece.len() as u64) as usize;
        half.skip -= skipped as u64;
        let mut kept = std::mem::take(&mut half.kept);
        kept.extend_from_slice(&piece[skipped..]);
        let mut at = 0;
        while at < kept.len() {
            if direction == Direction::ToClient && self.passes_rows() {
                at = self.pass_rows(&kept, at);
            }
            match self.packet(direction, kept.get(at..).unwrap_or_default(), true, |_| marks, sink) {
                Step::Taken(length) => at = at.saturating_add(length as usize),
                Step::Need(_) => break,
                _ => return Err("no packet is in there"),
            }
            half.found += u32::from(direction == Direction::ToServer);
            if half.found > MAX_COMMANDS_PACKED {
                return Err("too many commands at once");
            }
        }
        half.skip += at.saturating_sub(kept.len()) as u64;
        kept.drain(..at.min(kept.len()));
        half.kept = kept;
        Ok(())
    }

    /// A parser that lost its way starts again where a call begins like a command or an answer.
    fn resynchronise(&mut self, direction: Direction, input: &Input<'_>, sink: &mut dyn Sink) -> Option<Step> {
        if !input.at_call {
            return Some(Step::Invalid("no packet begins here"));
        }
        let waits_for_end = self.interrupted && self.pending.len() == 1;
        if direction == Direction::ToClient && waits_for_end {
            return Some(self.find_end(input, sink));
        }
        let begins = match (direction, self.compressed.is_some()) {
            (Direction::ToClient, _) if self.answers_login(input.data) => Detection::Yes,
            (_, false) => detect::detect(direction, input.data),
            (Direction::ToServer, true) => compressed::commands_begin(input.data),
            (Direction::ToClient, true) => compressed::answer_begins(input.data),
        };
        match begins {
            Detection::No => {
                // Of whose answer this is a part is not known: none of those that wait may take the next one for its own.
                if direction == Direction::ToClient {
                    self.pending.gap(direction, input.time_at(0));
                }
                return Some(Step::Invalid("no packet begins here"));
            }
            Detection::More if input.gap_after == 0 => return Some(Step::Need(input.data.len() + 1)),
            Detection::More => return Some(Step::Invalid("nothing to be seen of a packet")),
            Detection::Maybe | Detection::Yes => {}
        }
        self.lost[direction as usize] = false;
        if direction == Direction::ToClient {
            (self.interrupted, self.resumes) = (false, true);
        }
        if direction == Direction::ToServer && self.compressed.is_none() && !begins_plain(input.data) {
            self.compress();
        }
        None
    }

    /// A login that was seen waits for its answer, and the number says that this is it.
    fn answers_login(&self, data: &[u8]) -> bool {
        let front = self.pending.front().map(|front| &front.state);
        let sequence = front.filter(|place| place.reads == Reads::Login && !place.begun).map(|place| place.sequence);
        let header = packets::header(data).filter(|header| Some(header.sequence) == sequence);
        header.is_some() && matches!(data.get(HEADER_BYTES), Some(0 | 1 | 0xfe | 0xff))
    }

    /// Somewhere in the rows that are being sent, some were lost. Their end shows at the end of a call.
    fn find_end(&mut self, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let found = if self.compressed.is_none() { detect::rows_end(input.data) } else { None };
        let Some(flags) = found.filter(|_| input.gap_after == 0) else { return Step::Invalid("the rows go on") };
        let length = input.data.len();
        let offset = input.offset.saturating_add(length as u64);
        (self.lost[Direction::ToClient as usize], self.interrupted) = (false, false);
        if let Some(front) = self.pending.front_mut() {
            front.state.begun = true;
        }
        self.result_ends(flags, Mark { offset, time_ns: input.time_at(length.saturating_sub(1)) }, sink);
        Step::Taken(length as u64)
    }

    fn compress(&mut self) {
        self.compressed = Some(Box::default());
    }
}

fn begins_plain(data: &[u8]) -> bool {
    detect::commands_begin(data) >= Detection::Maybe || packets::header(data).is_some_and(|header| header.sequence == 1)
}

fn add_statement(request: &mut Request, raw: Option<&Text>, trace: Option<TraceContext>) {
    if raw.is_some() || trace.is_some() {
        let details = request.details_mut();
        (details.resource_raw, details.trace) = (raw.cloned(), trace);
    }
}

/// `USE shop`: what will be the database then.
fn used_database(statement: &Statement) -> Option<Text> {
    if statement.operation != "USE" {
        return None;
    }
    let name = statement.shape.get(4..)?.trim().trim_matches('`');
    (!name.contains(['`', ' ', '?', ';'])).then(|| packets::name(name.as_bytes()))?
}

impl Parser for MySql {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if self.becomes_tls {
            return Step::Upgrade(Some("tls"));
        }
        if self.streams && direction == Direction::ToClient {
            return Step::Taken((input.data.len() as u64).saturating_add(input.gap_after));
        }
        if self.lost[direction as usize]
            && let Some(step) = self.resynchronise(direction, &input, sink)
        {
            return step;
        }
        if self.compressed.is_some() {
            return self.read_compressed(direction, &input, sink);
        }
        self.read_plain(direction, &input, sink)
    }

    /// Only what was understood from its head is skipped, or what says nothing.
    fn skipped(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn gap(&mut self, direction: Direction, time_ns: u64, _sink: &mut dyn Sink) {
        self.lost[direction as usize] = true;
        self.continues[direction as usize] = false;
        self.opening = Opening::Done;
        self.lossy = true;
        if let Some(halves) = &mut self.compressed {
            halves[direction as usize].forget();
        }
        match direction {
            Direction::ToServer => self.last_prepared = None,
            Direction::ToClient => self.interrupt(),
        }
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
        self.pending.len() + usize::from(self.streams || self.opening == Opening::Greeting)
    }

    fn outstanding(&self) -> Outstanding {
        self.pending.outstanding(|_| false)
    }
}

#[cfg(test)]
#[path = "mysql/tests.rs"]
mod tests;
