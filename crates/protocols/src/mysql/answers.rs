//! The server's side: what the packets of an answer mean, one after the other.

use super::commands::Answer;
use super::packets::{self, Header, MAX_LENGTH, capability, status, u16_at, u32_at};
use super::{Mark, MySql, Opening};
use crate::statements::Statement;
use crate::{Sink, Step};
use limpid_model::request::Attribute;
use limpid_model::{Kind, Status, Text};
use std::sync::Arc;

/// An error packet with this code is none: MariaDB tells how far a long statement has come.
const PROGRESS: u16 = 0xffff;
/// Said to who has not asked: the server goes down, or ends an idle or killed connection.
const FAREWELLS: [u16; 7] = [1053, 1152, 1159, 1184, 1927, 3169, 4031];

/// What the next packet of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The only one.
    Packet,
    /// OK, an error, the number of columns, or the wish for a file.
    Result,
    /// So many columns are still to come.
    Columns(u64),
    /// What stands between columns and rows.
    ColumnsEnd,
    Rows,
    /// Nothing: the client sends a file.
    File,
    Prepared,
    /// Definitions of a prepared statement: parameters, then columns.
    Definitions {
        parameters: u16,
        columns: u16,
    },
    /// The EOF behind parameters or columns, where there is one.
    DefinitionsEnd {
        columns: u16,
    },
    Login,
    Stream,
}

impl Reads {
    pub fn first(answer: Answer) -> Self {
        match answer {
            Answer::Results => Reads::Result,
            Answer::Rows => Reads::Rows,
            Answer::Prepared => Reads::Prepared,
            Answer::Login => Reads::Login,
            Answer::Stream => Reads::Stream,
            Answer::None | Answer::Packet => Reads::Packet,
        }
    }
}

/// A command in flight.
#[derive(Debug)]
pub struct Place {
    pub reads: Reads,
    /// The number that the first packet of the answer has.
    pub sequence: u8,
    /// A packet of the answer was seen.
    pub begun: bool,
    /// Of all results; `None` without any.
    pub rows: Option<u64>,
    pub prepares: Option<Arc<Statement>>,
    /// The database that becomes current when this succeeds.
    pub selects: Option<Text>,
}

impl Place {
    pub fn new(reads: Reads, asked: u8) -> Self {
        let sequence = asked.wrapping_add(1);
        Place { reads, sequence, begun: false, rows: None, prepares: None, selects: None }
    }
}

impl MySql {
    pub(super) fn server(
        &mut self,
        header: Header,
        body: &[u8],
        begins: Mark,
        ends: Mark,
        sink: &mut dyn Sink,
    ) -> Step {
        let taken = Step::Taken(header.total());
        if std::mem::replace(&mut self.continues[1], header.length == MAX_LENGTH) {
            return taken;
        }
        if self.opening == Opening::Greeting {
            return self.greeting(header, body, begins, ends, sink);
        }
        if self.pending.front().is_some_and(|front| front.state.begun) {
            self.answer(header, body, ends, sink);
            return taken;
        }
        // What is left of an answer that was not understood. After a loss it is the order of times that tells whose answer
        // this is, and only that it begins is known.
        let expected = self.pending.front().map_or(1, |front| front.state.sequence);
        let numbered = self.compressed.is_none() && !std::mem::take(&mut self.resumes);
        if header.sequence != expected && numbered || self.lossy && self.is_older(begins) || self.is_farewell(body) {
            return taken;
        }
        if self.pending.answer_begins(begins.offset, begins.time_ns, sink)
            && let Some(front) = self.pending.front_mut()
        {
            front.state.begun = true;
            self.answer(header, body, ends, sink);
        }
        taken
    }

    fn greeting(&mut self, header: Header, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) -> Step {
        if body.first() == Some(&0xff) {
            self.opening = Opening::Done;
            self.refused(body, begins, ends, sink);
            return Step::Taken(header.total());
        }
        let Some(greeting) = packets::greeting(body) else { return Step::Invalid("no greeting") };
        self.opening = Opening::Login;
        self.capabilities = Some(greeting.capabilities);
        self.mariadb = greeting.mariadb;
        Step::Taken(header.total())
    }

    /// Too many connections, a host that may not connect: the login ends before it has begun.
    fn refused(&mut self, body: &[u8], begins: Mark, ends: Mark, sink: &mut dyn Sink) {
        let nothing = Mark { offset: 0, time_ns: begins.time_ns };
        let mut request = self.request(Text::const_new("LOGIN"), nothing, nothing);
        (request.kind, request.status, request.code) = (Kind::Session, Status::Error, code(body));
        (request.first_byte_ns, request.end_ns) = (Some(begins.time_ns), ends.time_ns.max(begins.time_ns));
        (request.response_offset, request.response_end_offset) = (begins.offset, ends.offset);
        sink.request(request);
    }

    /// The answer to something else than what waits: that was asked later.
    fn is_older(&self, begins: Mark) -> bool {
        let front = self.pending.front().and_then(|front| front.request.as_ref());
        front.is_some_and(|request| begins.time_ns < request.start_ns)
    }

    fn is_farewell(&self, body: &[u8]) -> bool {
        let error =
            || body.first() == Some(&0xff) && packets::error_code(body).is_some_and(|code| FAREWELLS.contains(&code));
        self.pending.is_empty() && error()
    }

    fn answer(&mut self, header: Header, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        let Some(front) = self.pending.front_mut() else { return };
        let first = body.first().copied();
        match front.state.reads {
            Reads::File => {}
            Reads::Columns(left) => {
                front.state.reads = if left > 1 { Reads::Columns(left - 1) } else { Reads::ColumnsEnd };
            }
            Reads::Definitions { parameters, columns } => self.definition(parameters, columns, ends, sink),
            _ if first == Some(0xff) => self.failed(body, ends, sink),
            Reads::Packet => self.succeeded(header, body, ends, sink),
            Reads::Result => self.result(header, body, ends, sink),
            Reads::ColumnsEnd => self.columns_end(header, body, ends, sink),
            Reads::Rows if first == Some(0xfe) => {
                self.result_ends(packets::server_status(body, header.length), ends, sink)
            }
            Reads::Rows => front.state.rows = Some(front.state.rows.unwrap_or(0) + 1),
            Reads::Prepared => self.prepared_as(body, ends, sink),
            Reads::DefinitionsEnd { columns } => self.definitions_end(header, first, columns, ends, sink),
            Reads::Login => self.login_goes_on(header, body, ends, sink),
            Reads::Stream => {
                self.streams = true;
                self.finish(Status::Ok, None, ends, sink);
            }
        }
    }

    fn failed(&mut self, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        if packets::error_code(body) != Some(PROGRESS) {
            self.finish(Status::Error, code(body), ends, sink);
        }
    }

    fn succeeded(&mut self, header: Header, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        if matches!(body.first(), Some(0 | 0xfe)) && header.length >= 5 {
            self.note_status(packets::server_status(body, header.length));
        }
        self.finish(Status::Ok, None, ends, sink);
    }

    fn note_status(&mut self, flags: u16) {
        let escapes = flags & status::NO_BACKSLASH_ESCAPES == 0;
        if self.dialect.backslash_escapes != escapes {
            self.dialect.backslash_escapes = escapes;
            self.recent = Default::default();
        }
    }

    fn result(&mut self, header: Header, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        let optional = self.can(capability::OPTIONAL_RESULTSET_METADATA);
        match body.first() {
            Some(0) if !(optional && header.length < 5) => {
                self.result_ends(packets::server_status(body, header.length), ends, sink);
            }
            Some(0xfb) => self.front_reads(Reads::File),
            Some(0xfe) if matches!(header.length, 1 | 5) => {
                self.result_ends(packets::server_status(body, header.length), ends, sink);
            }
            _ => self.columns_begin(header, body, optional),
        }
    }

    /// A number of columns, with a word on whether their definitions follow: MySQL puts it before, MariaDB behind.
    fn columns_begin(&mut self, header: Header, body: &[u8], optional: bool) {
        let (follow, count) = match (body.split_first(), optional) {
            (Some((follow, count)), true) => (*follow != 0, packets::integer(count)),
            _ => (true, packets::integer(body)),
        };
        let (columns, bytes) = count.unwrap_or((1, body.len()));
        let cached = !optional && header.length as usize == bytes + 1 && body.get(bytes) == Some(&0);
        if let Some(front) = self.pending.front_mut() {
            front.state.rows.get_or_insert(0);
            front.state.reads = if follow && !cached { Reads::Columns(columns) } else { Reads::ColumnsEnd };
        }
    }

    fn can(&self, capability: u64) -> bool {
        self.capabilities.is_some_and(|both| both & capability != 0)
    }

    fn front_reads(&mut self, reads: Reads) {
        if let Some(front) = self.pending.front_mut() {
            front.state.reads = reads;
        }
    }

    /// EOF; or, where it is deprecated, the first row, or OK when there is none.
    fn columns_end(&mut self, header: Header, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        if body.first() != Some(&0xfe) {
            self.deprecates_eof.get_or_insert(true);
            self.front_reads(Reads::Rows);
            if let Some(front) = self.pending.front_mut() {
                front.state.rows = Some(front.state.rows.unwrap_or(0) + 1);
            }
            return;
        }
        let flags = packets::server_status(body, header.length);
        if flags & status::CURSOR_EXISTS != 0 || header.length > 5 {
            // The rows are fetched later, or there is none.
            return self.result_ends(flags, ends, sink);
        }
        self.deprecates_eof.get_or_insert(false);
        self.front_reads(Reads::Rows);
    }

    /// A result is complete. There may be another one.
    pub(super) fn result_ends(&mut self, flags: u16, ends: Mark, sink: &mut dyn Sink) {
        if flags & status::MORE_RESULTS != 0 {
            return self.front_reads(Reads::Result);
        }
        self.note_status(flags);
        self.finish(Status::Ok, None, ends, sink);
    }

    fn prepared_as(&mut self, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        let (number, columns, parameters) = (u32_at(body, 1), u16_at(body, 5), u16_at(body, 7));
        let (Some(number), Some(columns), Some(parameters)) = (number, columns, parameters) else {
            return self.finish(Status::Ok, None, ends, sink);
        };
        let statement = self.pending.front_mut().and_then(|front| front.state.prepares.take());
        self.statements.set(&number.to_le_bytes(), statement);
        let none_follow = self.can(capability::OPTIONAL_RESULTSET_METADATA) && body.get(12) == Some(&0);
        if none_follow || columns == 0 && parameters == 0 {
            return self.finish(Status::Ok, None, ends, sink);
        }
        self.front_reads(Reads::Definitions { parameters, columns });
    }

    fn definition(&mut self, parameters: u16, columns: u16, ends: Mark, sink: &mut dyn Sink) {
        let reads = match (parameters, columns) {
            (2.., _) => Reads::Definitions { parameters: parameters - 1, columns },
            (1, _) => Reads::DefinitionsEnd { columns },
            (0, 2..) => Reads::Definitions { parameters, columns: columns - 1 },
            (0, _) => Reads::DefinitionsEnd { columns: 0 },
        };
        match reads {
            Reads::DefinitionsEnd { columns } if self.deprecates_eof == Some(true) => self.defined(columns, ends, sink),
            // Whether an EOF follows is not known, and if one does it belongs to nothing.
            Reads::DefinitionsEnd { columns: 0 } if self.deprecates_eof.is_none() => self.defined(0, ends, sink),
            reads => self.front_reads(reads),
        }
    }

    fn definitions_end(&mut self, header: Header, first: Option<u8>, columns: u16, ends: Mark, sink: &mut dyn Sink) {
        if first == Some(0xfe) && header.length <= 5 {
            self.deprecates_eof.get_or_insert(false);
            return self.defined(columns, ends, sink);
        }
        // There is no EOF here: this is the first column.
        self.deprecates_eof = Some(true);
        self.definition(0, columns, ends, sink);
    }

    fn defined(&mut self, columns: u16, ends: Mark, sink: &mut dyn Sink) {
        match columns {
            0 => self.finish(Status::Ok, None, ends, sink),
            columns => self.front_reads(Reads::Definitions { parameters: 0, columns }),
        }
    }

    /// Requests to say more, until it is OK.
    fn login_goes_on(&mut self, header: Header, body: &[u8], ends: Mark, sink: &mut dyn Sink) {
        if body.first() != Some(&0) {
            return;
        }
        let is_login = self
            .pending
            .front()
            .and_then(|front| front.request.as_ref())
            .is_some_and(|request| request.operation == "LOGIN");
        self.succeeded(header, body, ends, sink);
        if is_login && self.can(capability::COMPRESS) {
            self.compress();
        }
    }

    fn finish(&mut self, status: Status, code: Option<Text>, ends: Mark, sink: &mut dyn Sink) {
        if let Some(front) = self.pending.front_mut() {
            if let (Some(database), Status::Ok) = (front.state.selects.take(), status) {
                self.database = Some(database);
            }
            if let (true, Some(rows), Some(request)) = (self.details, front.state.rows, front.request.as_mut()) {
                let rows = Attribute::Int(i64::try_from(rows).unwrap_or(i64::MAX));
                request.details_mut().attributes.push(("db.response.returned_rows", rows));
            }
        }
        self.pending.finish(status, code, ends.offset, ends.time_ns, sink);
    }

    // ---- rows, which are passed over ---------------------------------------------------------------------------------

    #[inline]
    pub(super) fn passes_rows(&self) -> bool {
        let rows = self.pending.front().is_some_and(|front| front.state.reads == Reads::Rows && front.state.begun);
        rows && !self.continues[1]
    }

    /// Passes over whole rows, and one that is not whole. Returns where they end, which may be behind the data.
    pub(super) fn pass_rows(&mut self, data: &[u8], from: usize) -> usize {
        let (mut at, mut rows) = (from, 0);
        while let Some(&[a, b, c, _, first]) = data.get(at..).and_then(|rest| rest.first_chunk::<5>()) {
            let length = u32::from_le_bytes([a, b, c, 0]);
            if length == 0 || length == MAX_LENGTH || first >= 0xfe {
                break;
            }
            at += packets::HEADER_BYTES + length as usize;
            rows += 1;
        }
        if let Some(front) = self.pending.front_mut() {
            front.state.rows = Some(front.state.rows.unwrap_or(0) + rows);
        }
        at
    }

    /// Bytes of the answer that is being read were lost.
    pub(super) fn interrupt(&mut self) {
        if let Some(front) = self.pending.front_mut() {
            self.interrupted |= std::mem::take(&mut front.state.begun);
        }
    }
}

fn code(body: &[u8]) -> Option<Text> {
    packets::error_code(body).map(|code| Text::from(code.to_string()))
}
