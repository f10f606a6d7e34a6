//! Heads: the first line and the few header fields that matter, found line by line.

use crate::Detection;
use crate::lines::line_feed;
use crate::trace::TraceFields;

/// Longer heads are reported with what is in front; servers refuse them.
pub(super) const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_METHOD_BYTES: usize = 24;
/// So much of a target tells that a line too long to see its end is a request line.
const MIN_TARGET_BYTES: usize = 1024;

pub(super) struct Head<'a> {
    /// With the empty line; of an incomplete one, all there is.
    pub length: usize,
    pub complete: bool,
    pub first_line: &'a [u8],
}

pub(super) enum Scan<'a> {
    Need,
    Head(Head<'a>),
}

#[derive(Default)]
pub(super) struct Fields<'a> {
    pub content_length: Option<u64>,
    pub transfer_encoding: Option<&'a [u8]>,
    pub upgrade: Option<&'a [u8]>,
    pub host: Option<&'a [u8]>,
    pub user_agent: Option<&'a [u8]>,
    pub trace: TraceFields<'a>,
}

pub(super) struct RequestLine<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    /// `0` or `1`.
    pub minor: u8,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct StatusLine {
    pub code: [u8; 3],
    /// The version is one of this protocol.
    pub usual: bool,
}

impl StatusLine {
    /// 101 is final: nothing else follows it.
    pub fn is_interim(&self) -> bool {
        self.code[0] == b'1' && self.code != *b"101"
    }

    pub fn has_no_body(&self) -> bool {
        matches!(&self.code, b"204" | b"304" | b"101")
    }
}

impl<'a> Fields<'a> {
    /// Most fields do not matter, and their first letter tells. A folded line begins with a space and is none: servers
    /// refuse it where it would matter.
    #[inline]
    fn read(&mut self, line: &'a [u8]) {
        match line.first().map(u8::to_ascii_lowercase) {
            Some(b'c') => {
                if let Some(value) = value(line, b"content-length") {
                    self.content_length = self.content_length.or_else(|| decimal(value));
                }
            }
            Some(b'h') => self.host = value(line, b"host").or(self.host),
            Some(b'u') => {
                self.upgrade = value(line, b"upgrade").or(self.upgrade);
                self.user_agent = value(line, b"user-agent").or(self.user_agent);
            }
            Some(b't') => {
                self.transfer_encoding = value(line, b"transfer-encoding").or(self.transfer_encoding);
                self.trace.read(line);
            }
            Some(b'b' | b'x') => self.trace.read(line),
            _ => {}
        }
    }

    fn is_chunked(&self) -> bool {
        let last = self.transfer_encoding.and_then(|value| value.rsplit(|byte| *byte == b',').next());
        last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
    }

    /// `None`: chunked.
    pub fn body_bytes(&self) -> Option<u64> {
        if self.is_chunked() { None } else { Some(self.content_length.unwrap_or_default()) }
    }

    /// `None`: chunked; `u64::MAX`: until the connection ends.
    pub fn answer_body_bytes(&self) -> Option<u64> {
        if self.is_chunked() { None } else { Some(self.content_length.unwrap_or(u64::MAX)) }
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let first = value.split(|byte| *byte == b',').next()?.trim_ascii();
    if first.is_empty() || first.len() > 18 {
        return None;
    }
    first.iter().try_fold(0u64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}

/// Empty lines before a message, which RFC 9112 allows and some clients send.
pub(super) fn blank_lines(data: &[u8]) -> usize {
    data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Reads a head from the front of `data`. `scanned` remembers over calls how much of it holds no end, so that a head
/// that comes byte by byte is read once. An incomplete head is given when no more will come, or it is too long.
pub(super) fn scan<'a>(data: &'a [u8], scanned: &mut usize, is_all: bool, fields: &mut Fields<'a>) -> Scan<'a> {
    let give_up = is_all || data.len() >= MAX_HEAD_BYTES;
    if *scanned > 0 && !give_up && !has_end(data, *scanned) {
        *scanned = data.len();
        return Scan::Need;
    }
    match read(data, fields) {
        Some(head) if head.complete || give_up => Scan::Head(head),
        _ => {
            *scanned = data.len();
            Scan::Need
        }
    }
}

/// Whether an empty line ends at `from` or later.
fn has_end(data: &[u8], from: usize) -> bool {
    let tail = data.get(from.saturating_sub(2)..).unwrap_or_default();
    memchr::memchr_iter(b'\n', tail).any(|at| matches!(tail.get(at + 1..), Some([b'\n', ..] | [b'\r', b'\n', ..])))
}

#[inline]
fn read<'a>(data: &'a [u8], fields: &mut Fields<'a>) -> Option<Head<'a>> {
    let (first_line, mut at) = line(data, 0)?;
    while let Some((text, next)) = line(data, at) {
        if text.is_empty() {
            return Some(Head { length: next, complete: true, first_line });
        }
        fields.read(text);
        at = next;
    }
    Some(Head { length: data.len(), complete: false, first_line })
}

/// The value of a line if it is the field of this (lower-case) name.
#[inline]
pub(crate) fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (front, rest) = line.split_at_checked(name.len())?;
    // Looking for the colon first tells nearly all others apart; some servers let a space stand before it.
    let rest = match rest {
        [b':', rest @ ..] => rest,
        [b' ' | b'\t', ..] => rest.trim_ascii_start().strip_prefix(b":")?,
        _ => return None,
    };
    front.eq_ignore_ascii_case(name).then(|| rest.trim_ascii())
}

/// The line at `at` without its end, and where the next one begins.
#[inline]
fn line(data: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = data.get(at..)?;
    let end = line_feed(rest)?;
    let text = rest.get(..end)?;
    Some((text.strip_suffix(b"\r").unwrap_or(text), at + end + 1))
}

pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let line = line.trim_ascii_end();
    let method = line.get(..method_length(line)?)?;
    let rest = line.get(method.len()..)?;
    let space = rest.iter().rposition(|byte| matches!(byte, b' ' | b'\t'))?;
    let minor = match rest.get(space + 1..)? {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor @ (b'0' | b'1')] => *minor,
        _ => return None,
    };
    // A space inside of a target ends it, as for most servers.
    let target = rest.get(..space)?.trim_ascii().split(|byte| matches!(byte, b' ' | b'\t')).next()?;
    (!target.is_empty()).then_some(RequestLine { method, target, minor })
}

/// Length of the method in front of a space.
fn method_length(line: &[u8]) -> Option<usize> {
    let length = line.iter().take(MAX_METHOD_BYTES + 1).take_while(|byte| is_token(**byte)).count();
    let followed = matches!(line.get(length), Some(b' ' | b'\t'));
    (1..=MAX_METHOD_BYTES).contains(&length).then_some(length).filter(|_| followed)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// How an answer begins. Radio stations write `ICY 200 OK` and mean HTTP.
const STARTS: [&[u8]; 2] = [b"HTTP/", b"ICY "];

/// `HTTP/1.1 200 OK`; servers exist that write other versions, and mean this one.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine> {
    let (version, rest) = match line.strip_prefix(b"HTTP/") {
        Some(rest) => rest.split_at_checked(rest.iter().take(8).take_while(|byte| **byte != b' ').count())?,
        None if line.starts_with(b"ICY ") => line.split_at_checked(3)?,
        None => return None,
    };
    let code: [u8; 3] = rest.strip_prefix(b" ")?.trim_ascii_start().get(..3)?.try_into().ok()?;
    let behind = rest.trim_ascii_start().get(3);
    let is_code = (b'1'..=b'9').contains(&code[0]) && code.iter().all(u8::is_ascii_digit);
    let ends = behind.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (!version.is_empty() && is_code && ends).then_some(StatusLine { code, usual: matches!(version, b"1.1" | b"1.0") })
}

/// Methods of RFC 9110, WebDAV and their kin. Others are taken where a request must begin, but prove nothing.
#[rustfmt::skip]
const KNOWN_METHODS: [&[u8]; 44] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"CONNECT", b"TRACE", b"QUERY", b"PROPFIND",
    b"PROPPATCH", b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"SEARCH", b"REPORT", b"CHECKOUT", b"CHECKIN",
    b"UNCHECKOUT", b"MKWORKSPACE", b"UPDATE", b"LABEL", b"MERGE", b"BASELINE-CONTROL", b"MKACTIVITY",
    b"VERSION-CONTROL", b"ORDERPATCH", b"ACL", b"BIND", b"UNBIND", b"REBIND", b"MKCALENDAR", b"LINK", b"UNLINK",
    b"PURGE", b"NOTIFY", b"SUBSCRIBE", b"UNSUBSCRIBE", b"M-SEARCH", b"SOURCE", b"BAN",
];

impl RequestLine<'_> {
    pub fn is_known(&self) -> bool {
        KNOWN_METHODS.contains(&self.method)
    }
}

/// The beginning of an answer, as far as it is there.
pub(super) fn may_be_answer(data: &[u8]) -> bool {
    STARTS.iter().any(|start| {
        let length = start.len().min(data.len());
        data.get(..length) == start.get(..length)
    })
}

pub(super) fn is_status_line(data: &[u8]) -> bool {
    detect_status(data) == Detection::Yes
}

pub(super) fn is_request_line(data: &[u8]) -> bool {
    detect_request(data) == Detection::Yes
}

/// An unfinished head: whether it can still become a request.
pub(super) fn may_be_request(data: &[u8]) -> bool {
    detect_request(data) != Detection::No
}

pub(super) fn detect_request(data: &[u8]) -> Detection {
    let data = data.get(blank_lines(data)..).unwrap_or_default();
    if let Some((line, _)) = line(data, 0) {
        return match request_line(line) {
            Some(line) if line.is_known() => Detection::Yes,
            Some(_) => Detection::Maybe,
            None => Detection::No,
        };
    }
    let Some(method) = method_length(data) else {
        let unfinished = data.len() <= MAX_METHOD_BYTES && data.iter().all(|byte| is_token(*byte));
        return if unfinished { Detection::More } else { Detection::No };
    };
    let target = data.get(method + 1..).unwrap_or_default();
    if target.iter().any(|byte| byte.is_ascii_control() && *byte != b'\r' && *byte != b'\t') {
        return Detection::No;
    }
    let form = target.first().is_none_or(|byte| *byte == b'/') || target.starts_with(b"http");
    if form && target.len() >= MIN_TARGET_BYTES { Detection::Yes } else { Detection::More }
}

pub(super) fn detect_status(data: &[u8]) -> Detection {
    let data = data.get(blank_lines(data)..).unwrap_or_default();
    if !may_be_answer(data) {
        return Detection::No;
    }
    match line(data, 0).map(|(line, _)| line).or_else(|| data.get(..20)).map(status_line) {
        Some(Some(line)) if line.usual => Detection::Yes,
        Some(Some(_)) => Detection::Maybe,
        Some(None) => Detection::No,
        None => Detection::More,
    }
}
