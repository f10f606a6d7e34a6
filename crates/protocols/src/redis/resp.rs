//! RESP, read as it comes: one message of one direction, of any size, in constant memory.
//!
//! The reader keeps how many elements are still to come at each depth and the first few words; everything else passes
//! by. Long strings are skipped by their length, so their bytes need not even be captured.
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>

use crate::lines::line_feed;

/// Longest word that is kept: command names, error codes, channels' kinds.
pub const MAX_WORD_BYTES: usize = 24;
/// Words of a command that say what it is (`CLIENT REPLY OFF`).
const WORDS: usize = 3;
/// Replies nest 4 deep in practice (COMMAND DOCS 7); deeper is an attack or not RESP.
const MAX_DEPTH: usize = 32;
/// The server's own limit for an inline command, and generous for an error message.
const MAX_LINE_BYTES: usize = 64 * 1024;
/// 8 times the server's default limit for one string.
const MAX_STRING_BYTES: u64 = 4 << 30;
const MAX_ELEMENTS: u64 = 1 << 32;

/// A short string, in place. One that is longer, or was not captured, is known to exist only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Word {
    bytes: [u8; MAX_WORD_BYTES],
    length: u8,
    known: bool,
}

impl Word {
    #[inline]
    fn set(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                (self.length, self.known) = (bytes.len() as u8, true);
            }
            None => self.known = false,
        }
    }

    #[inline]
    pub fn get(&self) -> Option<&[u8]> {
        self.known.then(|| self.bytes.get(..self.length as usize))?
    }

    #[inline]
    pub fn is(&self, other: &str) -> bool {
        self.get().is_some_and(|word| word.eq_ignore_ascii_case(other.as_bytes()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The message is complete with this many bytes of the input.
    Complete(usize),
    /// This many bytes are done, more than the input has when a string is skipped: then `skipped` comes next.
    Partial(u64),
    /// Nothing could be done: at least so many bytes are needed.
    Need(usize),
    Invalid(&'static str),
}

#[derive(Clone, Copy, Debug, Default)]
struct Level {
    left: u64,
    /// An attribute (`|`) stands before its value and is no element itself.
    attribute: bool,
}

/// The state of one direction.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    levels: [Level; MAX_DEPTH],
    depth: usize,
    started: bool,
    /// Strings are skipped: the value ends when they have passed.
    skipping: bool,
    /// Type byte of the message itself.
    pub kind: u8,
    /// Elements of the message itself.
    pub elements: u64,
    /// The first words among them, or of the line.
    pub words: [Word; WORDS],
    position: usize,
    /// An attribute has just ended: the message itself follows.
    after_attribute: bool,
}

enum Leaf {
    /// It ends here.
    Done(usize),
    Skip(u64),
    More,
}

impl Reader {
    pub fn is_between_messages(&self) -> bool {
        !self.started
    }

    /// Forgets the message it is in.
    pub fn reset(&mut self) {
        self.depth = 0;
        self.started = false;
        self.skipping = false;
        self.elements = 0;
        self.position = 0;
        // Their bytes may stay: every message comes by here.
        self.words.iter_mut().for_each(|word| word.known = false);
    }

    /// `last`: nothing follows `data` but a gap. `client`: commands are arrays of strings, or plain lines.
    pub fn read(&mut self, data: &[u8], last: bool, client: bool) -> Progress {
        let mut at = 0;
        loop {
            let Some(rest) = data.get(at..).filter(|rest| !rest.is_empty()) else { return partial(at, 1) };
            if !self.started {
                self.reset();
                self.kind = rest[0];
            }
            let length = match line_feed(&rest[..rest.len().min(MAX_LINE_BYTES)]) {
                Some(length) => length + 1,
                None if rest.len() >= MAX_LINE_BYTES => return Progress::Invalid("line too long"),
                None => return partial(at, rest.len() + 1),
            };
            if client && !self.started && rest[0] != b'*' {
                self.inline(&rest[..length]);
                return Progress::Complete(at + length);
            }
            if client && self.depth > 0 && rest[0] != b'$' {
                return Progress::Invalid("a command's argument that is no string");
            }
            let Some(line) = rest[1..length].strip_suffix(b"\r\n") else { return Progress::Invalid("line without CR") };
            let step = match self.value(rest, line, length, last) {
                Ok(step) => step,
                Err(why) => return Progress::Invalid(why),
            };
            match step {
                Leaf::Done(length) => at += length,
                Leaf::Skip(length) => {
                    self.skipping = true;
                    return Progress::Partial(at as u64 + length);
                }
                Leaf::More => return partial(at, rest.len() + 1),
            }
            if self.depth == 0 {
                self.started = false;
                if !std::mem::take(&mut self.after_attribute) {
                    return Progress::Complete(at);
                }
            }
        }
    }

    /// The string that was being skipped has passed: whether the message is complete with it.
    pub fn skipped(&mut self) -> bool {
        if !std::mem::take(&mut self.skipping) {
            return false;
        }
        self.element_done();
        self.started = self.depth > 0;
        self.depth == 0 && !std::mem::take(&mut self.after_attribute)
    }

    /// One value's first line, and the string behind it if there is one.
    fn value(&mut self, rest: &[u8], line: &[u8], length: usize, last: bool) -> Result<Leaf, &'static str> {
        match rest[0] {
            b'*' | b'~' | b'>' | b'%' | b'|' => self.aggregate(rest[0], line)?,
            b'$' | b'!' | b'=' if line != b"-1" => return self.string(rest, number(line)?, length, last),
            b'+' | b'-' => self.leaf(line.split(|byte| *byte == b' ').next().unwrap_or_default()),
            b':' | b'(' => {
                let digits = line.strip_prefix(b"-").or(line.strip_prefix(b"+")).unwrap_or(line);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err("not a number");
                }
                self.leaf(line);
            }
            b'#' if matches!(line, b"t" | b"f") => self.leaf(line),
            b',' if !line.is_empty() => self.leaf(line),
            b'_' if line.is_empty() => self.leaf(line),
            b'$' => self.leaf(line),
            _ => return Err("no RESP type"),
        }
        Ok(Leaf::Done(length))
    }

    fn aggregate(&mut self, kind: u8, line: &[u8]) -> Result<(), &'static str> {
        if kind == b'*' && line == b"-1" {
            self.leaf(b"");
            return Ok(());
        }
        let count = number(line)?;
        if count > MAX_ELEMENTS {
            return Err("too many elements");
        }
        let left = if matches!(kind, b'%' | b'|') { count * 2 } else { count };
        if !self.started {
            self.elements = left;
        }
        self.started = true;
        let level = self.levels.get_mut(self.depth).ok_or("nested too deep")?;
        *level = Level { left, attribute: kind == b'|' };
        self.depth += 1;
        if left == 0 {
            self.close_levels();
        }
        Ok(())
    }

    fn string(&mut self, rest: &[u8], size: u64, header: usize, last: bool) -> Result<Leaf, &'static str> {
        if size > MAX_STRING_BYTES {
            return Err("string too long");
        }
        let total = header as u64 + size + 2;
        if total <= rest.len() as u64 {
            let body = &rest[header..total as usize];
            let body = body.strip_suffix(b"\r\n").ok_or("string without its end")?;
            let word = if rest[0] == b'!' { body.split(|byte| *byte == b' ').next().unwrap_or_default() } else { body };
            self.leaf(word);
            return Ok(Leaf::Done(total as usize));
        }
        let wanted = self.position < WORDS && self.depth <= 1 && (size as usize <= MAX_WORD_BYTES || rest[0] == b'!');
        if wanted && !last && size as usize <= MAX_LINE_BYTES {
            return Ok(Leaf::More);
        }
        self.keep(None);
        self.started = true;
        Ok(Leaf::Skip(total))
    }

    fn leaf(&mut self, word: &[u8]) {
        if self.position < WORDS && self.depth <= 1 {
            self.keep(Some(word));
        }
        self.element_done();
    }

    /// `None`: a word that was not captured.
    fn keep(&mut self, word: Option<&[u8]>) {
        if self.depth <= 1 {
            if let (Some(place), Some(word)) = (self.words.get_mut(self.position), word) {
                place.set(word);
            }
            self.position += 1;
        }
    }

    /// A value is complete: so may be those around it.
    fn element_done(&mut self) {
        if let Some(level) = self.depth.checked_sub(1).and_then(|top| self.levels.get_mut(top)) {
            level.left = level.left.saturating_sub(1);
            if level.left == 0 {
                self.close_levels();
            }
        }
    }

    fn close_levels(&mut self) {
        while let Some(level) = self.depth.checked_sub(1).and_then(|top| self.levels.get(top)).copied() {
            if level.left > 0 {
                return;
            }
            self.depth -= 1;
            if level.attribute {
                // What follows is the value that it belongs to.
                self.after_attribute = self.depth == 0;
                return;
            }
            let Some(parent) = self.depth.checked_sub(1).and_then(|top| self.levels.get_mut(top)) else { return };
            parent.left = parent.left.saturating_sub(1);
            if self.depth == 1 {
                self.position += 1;
            }
        }
    }

    fn inline(&mut self, line: &[u8]) {
        let words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        for word in words {
            self.elements += 1;
            self.keep(Some(word));
        }
    }
}

fn partial(done: usize, need: usize) -> Progress {
    if done > 0 { Progress::Partial(done as u64) } else { Progress::Need(need) }
}

fn number(digits: &[u8]) -> Result<u64, &'static str> {
    if digits.is_empty() || digits.len() > 12 {
        return Err("not a length");
    }
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => Ok(value * 10 + u64::from(digit - b'0')),
        _ => Err("not a length"),
    })
}
