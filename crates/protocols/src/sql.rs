//! What a statement is, without what it says: its first keyword, its shape, and a trace context in its comments.
//!
//! One scanner serves all SQL dialects. It walks over the bytes once, by class, and writes the shape as it goes:
//! literals become `?`, a list of literals one `?`, a repeated row one row, comments and extra white space nothing.
//! Identifiers stay, quoted ones too. What is not finished (a statement that was cut) counts as a literal, so that a
//! literal can never come out, whatever the bytes are.

use crate::sql_trace;
use limpid_model::{Text, TraceContext};

/// Where dialects read the same bytes differently. A wrong guess here could show a literal.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// `\` escapes within `'…'`: MySQL, and PostgreSQL with `standard_conforming_strings = off`.
    pub backslash_escapes: bool,
    /// `"…"` is a literal and not an identifier: MySQL.
    pub double_quoted_literals: bool,
    /// `#` begins a comment: MySQL. Elsewhere it begins operators.
    pub hash_comments: bool,
    /// `[…]` is a quoted identifier: SQL Server. Elsewhere a subscript.
    pub bracketed_identifiers: bool,
    /// What stands in `/*!40101 …*/` is executed and no comment: MySQL; in `/*M!…*/` too: MariaDB.
    pub executable_comments: bool,
}

pub const POSTGRESQL: Dialect = Dialect {
    backslash_escapes: false,
    double_quoted_literals: false,
    hash_comments: false,
    bracketed_identifiers: false,
    executable_comments: false,
};

pub const MYSQL: Dialect = Dialect {
    backslash_escapes: true,
    double_quoted_literals: true,
    hash_comments: true,
    executable_comments: true,
    ..POSTGRESQL
};

/// Longest shape; what follows is an ellipsis.
pub const MAX_SHAPE_BYTES: usize = 512;
/// Longest keyword that is shown as it is: operations are labels of metrics.
const MAX_KEYWORD_BYTES: usize = 24;
/// A longer quoted identifier is none (and would be a good place for a secret).
const MAX_IDENTIFIER_BYTES: usize = 256;
/// Lists are collapsed down to this depth of parentheses.
const MAX_GROUPS: usize = 16;

/// The first word of a statement in upper case; comments, semicolons and opening parentheses are not words. Empty when
/// there is none.
pub fn keyword(statement: &[u8], dialect: Dialect) -> Text {
    let rest = &statement[skip_to_word(statement, dialect)..];
    let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
    match std::str::from_utf8(&rest[..end]) {
        Ok(word) if end <= MAX_KEYWORD_BYTES => upper(word),
        _ => Text::const_new("_OTHER"),
    }
}

/// Whether a statement that was cut ends before its first keyword does.
pub fn is_keyword_cut(statement: &[u8], dialect: Dialect) -> bool {
    statement[skip_to_word(statement, dialect)..].iter().all(|byte| is_word(*byte))
}

fn upper(word: &str) -> Text {
    let mut upper = Text::const_new("");
    word.chars().flat_map(char::to_uppercase).for_each(|letter| upper.push(letter));
    upper
}

fn skip_to_word(statement: &[u8], dialect: Dialect) -> usize {
    let mut at = 0;
    while at < statement.len() {
        let rest = &statement[at..];
        at += match rest[0] {
            b' ' | b'\t'..=b'\r' | b';' | b'(' => 1,
            b'-' if rest.starts_with(b"--") => line_end(rest),
            b'#' => line_end(rest),
            b'/' if dialect.executable_comments && executable_begins(rest) > 0 => executable_begins(rest),
            b'*' if dialect.executable_comments && rest.starts_with(b"*/") => 2,
            b'/' if rest.starts_with(b"/*") => {
                memchr::memmem::find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4)
            }
            _ => break,
        };
    }
    at
}

/// How many bytes open a comment that is executed from some version on; 0 when none begins here.
fn executable_begins(rest: &[u8]) -> usize {
    let Some(open) = [&b"/*!"[..], b"/*M!"].into_iter().find(|open| rest.starts_with(open)) else { return 0 };
    let version = rest.iter().skip(open.len()).take(6).take_while(|byte| byte.is_ascii_digit()).count();
    open.len() + version
}

fn line_end(rest: &[u8]) -> usize {
    memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The context that the client's library wrote into a comment (sqlcommenter), if it did.
pub fn trace_context(statement: &[u8]) -> Option<TraceContext> {
    sql_trace::in_comments(statement)
}

/// The statement without its literals. `cut`: its end is missing.
pub fn shape(statement: &[u8], cut: bool, dialect: Dialect) -> Text {
    let mut shaper = Shaper {
        input: statement,
        at: 0,
        out: Vec::with_capacity(statement.len().min(MAX_SHAPE_BYTES) + 8),
        space: false,
        groups: [Group::default(); MAX_GROUPS],
        depth: 0,
        last: Last::Start,
        executes_comment: false,
        dialect,
    };
    shaper.run();
    shaper.finish(cut)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Digit,
    Quote,
    DoubleQuote,
    Backtick,
    Dollar,
    Open,
    Close,
    Comma,
    /// May begin something longer: `-` `+` `/` `#` `.` `[` `?` `;`.
    Special,
    Other,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            0..=b' ' | 0x7f => Class::Space,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Word,
            b'0'..=b'9' => Class::Digit,
            b'\'' => Class::Quote,
            b'"' => Class::DoubleQuote,
            b'`' => Class::Backtick,
            b'$' => Class::Dollar,
            b'(' => Class::Open,
            b')' | b']' => Class::Close,
            b',' => Class::Comma,
            b'-' | b'+' | b'/' | b'#' | b'.' | b'[' | b'?' | b';' => Class::Special,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// An open parenthesis or bracket.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Where it stands in the shape.
    start: usize,
    /// Nothing but literals and commas so far.
    literals_only: bool,
    /// Literals after the first that are not written, unless something else follows.
    held: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Start,
    Literal,
    /// `IS`, `NOT`: a NULL that follows is grammar.
    Negation,
    Word,
    Comma,
    Open,
    Operator,
    Close,
}

struct Shaper<'a> {
    input: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// White space was passed and not yet written.
    space: bool,
    groups: [Group; MAX_GROUPS],
    depth: usize,
    last: Last,
    /// Inside of a comment that is executed.
    executes_comment: bool,
    dialect: Dialect,
}

impl Shaper<'_> {
    fn run(&mut self) {
        while let Some(&byte) = self.input.get(self.at) {
            if self.out.len() > MAX_SHAPE_BYTES {
                return;
            }
            match CLASSES[byte as usize] {
                Class::Space => self.skip(1),
                Class::Word => self.word(),
                Class::Digit => self.number(),
                Class::Quote => self.quoted_literal(1, self.dialect.backslash_escapes),
                Class::DoubleQuote if self.dialect.double_quoted_literals => {
                    self.quoted_literal(1, self.dialect.backslash_escapes)
                }
                Class::DoubleQuote => self.quoted_identifier(b'"'),
                Class::Backtick => self.quoted_identifier(b'`'),
                Class::Dollar => self.dollar(),
                Class::Open => self.open(),
                Class::Close => self.close(),
                Class::Comma => self.comma(),
                Class::Special => self.special(byte),
                Class::Other => self.operator(byte),
            }
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.input.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip(&mut self, bytes: usize) {
        self.at = (self.at + bytes).min(self.input.len());
        self.space = true;
    }

    fn special(&mut self, byte: u8) {
        match (byte, self.peek(1)) {
            (b'-', b'-') => self.skip(line_end(&self.input[self.at..])),
            (b'#', _) if self.dialect.hash_comments => self.skip(line_end(&self.input[self.at..])),
            (b'/', b'*') if self.dialect.executable_comments && executable_begins(&self.input[self.at..]) > 0 => {
                self.skip(executable_begins(&self.input[self.at..]));
                self.executes_comment = true;
            }
            (b'/', b'*') => self.block_comment(),
            (b'-' | b'+', b'0'..=b'9' | b'.') if self.value_expected() => {
                self.at += 1;
                self.number();
            }
            (b'.', b'0'..=b'9') if !matches!(self.last, Last::Word | Last::Negation | Last::Close) => self.number(),
            (b'[', _) if self.dialect.bracketed_identifiers => self.quoted_identifier(b']'),
            (b'[', _) => self.open(),
            (b'?', _) => {
                self.at += 1;
                self.literal();
            }
            (b';', _) if self.input[self.at..].iter().all(|byte| *byte == b';' || *byte <= b' ') => {
                self.at = self.input.len();
            }
            _ => self.operator(byte),
        }
    }

    /// PostgreSQL's comments nest; where they do not, the text behind is dropped rather than shown.
    fn block_comment(&mut self) {
        let mut depth = 0usize;
        let mut at = self.at;
        while at < self.input.len() {
            let rest = &self.input[at..];
            if rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            } else {
                at += 1 + memchr::memchr2(b'*', b'/', &rest[1..]).unwrap_or(rest.len() - 1);
            }
        }
        self.at = at;
        self.space = true;
    }

    fn word(&mut self) {
        let start = self.at;
        let rest = &self.input[start..];
        let length = rest
            .iter()
            .position(|byte| !matches!(CLASSES[*byte as usize], Class::Word | Class::Digit | Class::Dollar))
            .unwrap_or(rest.len());
        if let Some(prefix) = literal_prefix(rest, length) {
            self.at += prefix;
            let escapes = matches!(rest[0], b'e' | b'E') || self.dialect.backslash_escapes;
            return self.quoted_literal(1, escapes);
        }
        self.at += length;
        let word = &self.input[start..start + length];
        match length {
            4 if word.eq_ignore_ascii_case(b"true") => return self.literal(),
            4 if word.eq_ignore_ascii_case(b"null") && self.last != Last::Negation => return self.literal(),
            5 if word.eq_ignore_ascii_case(b"false") => return self.literal(),
            _ => {}
        }
        self.not_a_list();
        self.write(word);
        let negation = word.eq_ignore_ascii_case(b"is") || word.eq_ignore_ascii_case(b"not");
        self.last = if negation { Last::Negation } else { Last::Word };
    }

    fn number(&mut self) {
        let mut exponent = false;
        while let Some(&byte) = self.input.get(self.at) {
            let sign = exponent && matches!(byte, b'+' | b'-');
            if !(sign || is_word(byte) || byte == b'.') {
                break;
            }
            exponent = matches!(byte, b'e' | b'E');
            self.at += 1;
        }
        self.literal();
    }

    /// `open`: how many bytes begin it. An unfinished one reaches to the end.
    fn quoted_literal(&mut self, open: usize, backslash: bool) {
        let quote = self.input[self.at];
        let mut at = self.at + open;
        loop {
            let rest = self.input.get(at..).unwrap_or_default();
            let found = if backslash { memchr::memchr2(quote, b'\\', rest) } else { memchr::memchr(quote, rest) };
            let Some(found) = found else {
                at = self.input.len();
                break;
            };
            at += found + 1;
            let doubled = self.input.get(at) == Some(&quote);
            if rest[found] == quote && !doubled {
                break;
            }
            at += 1;
        }
        self.at = at.min(self.input.len());
        self.literal();
    }

    fn quoted_identifier(&mut self, quote: u8) {
        let start = self.at;
        let mut at = start + 1;
        loop {
            let Some(found) = memchr::memchr(quote, self.input.get(at..).unwrap_or_default()) else {
                self.at = self.input.len();
                return self.literal();
            };
            at += found + 1;
            if self.input.get(at) != Some(&quote) {
                break;
            }
            at += 1;
        }
        self.at = at;
        if at - start > MAX_IDENTIFIER_BYTES {
            return self.literal();
        }
        self.not_a_list();
        self.write(&self.input[start..at]);
        self.last = Last::Word;
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`.
    fn dollar(&mut self) {
        let rest = &self.input[self.at..];
        let tag = 1 + rest[1..].iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len() - 1);
        self.at += match rest.get(tag) {
            _ if rest.get(1).is_some_and(u8::is_ascii_digit) => tag,
            Some(b'$') => {
                let end = memchr::memmem::find(&rest[tag + 1..], &rest[..=tag]);
                end.map_or(rest.len(), |end| end + 2 * (tag + 1))
            }
            // A cut dollar quote, or no SQL: its text is not ours to show.
            _ => tag,
        };
        self.literal();
    }

    fn open(&mut self) {
        self.not_a_list();
        let byte = self.input[self.at];
        self.at += 1;
        let tight = byte == b'[' || matches!(self.last, Last::Open | Last::Word) && !self.space;
        self.space = self.space && !tight;
        self.write(&[byte]);
        if self.depth < MAX_GROUPS {
            self.groups[self.depth] = Group { start: self.out.len() - 1, literals_only: true, held: 0 };
        }
        self.depth += 1;
        self.last = Last::Open;
    }

    fn close(&mut self) {
        self.space = false;
        self.out.push(self.input[self.at]);
        self.at += 1;
        self.depth = self.depth.saturating_sub(1);
        if let Some(group) = self.groups.get(self.depth).copied().filter(|group| group.start < self.out.len()) {
            self.drop_repeated(group.start);
        }
        self.last = Last::Close;
    }

    /// A row that says the same as the one before it goes: `VALUES (?, now()), (?, now())`.
    fn drop_repeated(&mut self, start: usize) {
        let (before, group) = self.out.split_at(start);
        if before.strip_suffix(b", ").is_some_and(|before| before.ends_with(group)) {
            self.out.truncate(start - 2);
        }
    }

    fn comma(&mut self) {
        self.at += 1;
        self.space = false;
        let was = std::mem::replace(&mut self.last, Last::Comma);
        if was == Last::Literal && self.list().is_some() {
            return;
        }
        self.out.push(b',');
        self.space = true;
    }

    fn operator(&mut self, byte: u8) {
        if self.executes_comment && byte == b'*' && self.peek(1) == b'/' {
            self.executes_comment = false;
            return self.skip(2);
        }
        self.at += 1;
        if byte == b'\\' {
            // Not SQL outside of quotes: the escape of a string whose dialect was misjudged.
            self.at = self.input.len();
            return self.literal();
        }
        self.not_a_list();
        self.write(&[byte]);
        self.last = if byte == b'.' { Last::Word } else { Last::Operator };
    }

    /// A sign that stands here belongs to the number behind it.
    fn value_expected(&self) -> bool {
        matches!(self.last, Last::Operator | Last::Open | Last::Comma | Last::Start)
    }

    fn literal(&mut self) {
        if self.last == Last::Literal {
            // Strings side by side are one string.
            self.space = false;
            return;
        }
        if self.last == Last::Comma
            && let Some(list) = self.list()
        {
            list.held += 1;
            self.last = Last::Literal;
            self.space = false;
            return;
        }
        self.write(b"?");
        self.last = Last::Literal;
    }

    /// The innermost group, while it holds literals only.
    fn list(&mut self) -> Option<&mut Group> {
        let group = self.groups.get_mut(self.depth.checked_sub(1)?)?;
        group.literals_only.then_some(group)
    }

    /// Something else than a literal comes: what was held back of the list is written after all.
    fn not_a_list(&mut self) {
        let after_comma = self.last == Last::Comma;
        let Some(list) = self.list() else { return };
        list.literals_only = false;
        let held = std::mem::take(&mut list.held);
        for _ in 0..held {
            if self.out.len() > MAX_SHAPE_BYTES {
                break;
            }
            self.out.extend_from_slice(b", ?");
        }
        if after_comma {
            self.out.push(b',');
            self.space = true;
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let tight = self.out.is_empty() || matches!(self.out.last(), Some(b'(' | b'['));
        if self.space && !tight {
            self.out.push(b' ');
        }
        self.space = false;
        self.out.extend_from_slice(bytes);
    }

    fn finish(mut self, cut: bool) -> Text {
        let long = self.out.len() > MAX_SHAPE_BYTES;
        if cut && !long {
            self.drop_begun_row();
        }
        let mut end = self.out.len().min(MAX_SHAPE_BYTES);
        while end < self.out.len() && end > 0 && (self.out[end] & 0xc0) == 0x80 {
            end -= 1;
        }
        let mut text = Text::from_utf8_lossy(&self.out[..end]);
        if long || cut {
            text.push('…');
        }
        text
    }

    /// `VALUES (?), (?` is the same statement as `VALUES (?), (?), (`, cut elsewhere.
    fn drop_begun_row(&mut self) {
        let Some(group) = self.depth.checked_sub(1).and_then(|depth| self.groups.get(depth)) else { return };
        let Some((before, row)) = self.out.split_at_checked(group.start) else { return };
        let Some(rows) = before.strip_suffix(b", ") else { return };
        let repeats = rows.last() == Some(&b')') && memchr::memmem::rfind(rows, row.trim_ascii_end()).is_some();
        if repeats {
            self.out.truncate(rows.len());
        }
    }
}

/// `E'…'`, `N'…'`, `B'…'`, `X'…'`, `U&'…'`: how many bytes stand before the quote.
fn literal_prefix(rest: &[u8], length: usize) -> Option<usize> {
    let prefix = match (length, rest[0].to_ascii_lowercase(), rest.get(length)) {
        (1, b'e' | b'n' | b'b' | b'x', Some(b'\'')) => 1,
        (1, b'u', Some(b'&')) if rest.get(2) == Some(&b'\'') => 2,
        _ => return None,
    };
    Some(prefix)
}

#[cfg(test)]
#[path = "sql_tests.rs"]
mod tests;
