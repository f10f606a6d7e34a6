//! Frames of HTTP/2 (RFC 9113, section 4): 24 bits of length, a type, flags, a stream.

pub const HEADER_BYTES: usize = 9;
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Without its own header.
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl Frame {
    pub fn read(data: &[u8]) -> Option<Frame> {
        let [a, b, c, kind, flags, d, e, f, g] = *data.first_chunk::<HEADER_BYTES>()?;
        Some(Frame {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & 0x7fff_ffff,
        })
    }

    pub fn total(&self) -> usize {
        HEADER_BYTES + self.length
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What the RFC demands of this type; types that nobody knows are allowed everything (section 4.1).
    pub fn is_valid(&self) -> bool {
        let on_stream = self.stream != 0;
        match self.kind {
            DATA | HEADERS | CONTINUATION => on_stream,
            PUSH_PROMISE => on_stream && self.length >= 4,
            PRIORITY => on_stream && self.length == 5,
            RST_STREAM => on_stream && self.length == 4,
            SETTINGS => !on_stream && self.length.is_multiple_of(6),
            PING => !on_stream && self.length == 8,
            GOAWAY => !on_stream && self.length >= 8,
            WINDOW_UPDATE => self.length == 4,
            _ => true,
        }
    }

    /// Nothing that would be allowed is strange about it: how a frame is known where one need not begin.
    pub fn is_usual(&self, reserved: u8) -> bool {
        let flags = match self.kind {
            DATA => END_STREAM | PADDED,
            HEADERS => END_STREAM | END_HEADERS | PADDED | WITH_PRIORITY,
            SETTINGS | PING => 1,
            PUSH_PROMISE => END_HEADERS | PADDED,
            CONTINUATION => END_HEADERS,
            _ => 0,
        };
        let by_client = !matches!(self.kind, DATA | HEADERS | CONTINUATION) || self.stream % 2 == 1;
        let length = if self.kind == SETTINGS { 120 } else { 1 << 14 };
        self.kind <= CONTINUATION
            && self.is_valid()
            && by_client
            && self.flags & !flags == 0
            && self.length <= length
            && reserved & 0x80 == 0
    }
}

/// The part of HEADERS or PUSH_PROMISE that is a header block; of a padded frame that is cut, all there is.
pub fn block<'a>(frame: &Frame, payload: &'a [u8]) -> Option<&'a [u8]> {
    let (mut front, mut back) = (0, 0);
    if frame.kind != CONTINUATION && frame.has(PADDED) {
        (front, back) = (1, usize::from(*payload.first()?));
    }
    match frame.kind {
        HEADERS if frame.has(WITH_PRIORITY) => front += 5,
        PUSH_PROMISE => front += 4,
        _ => {}
    }
    let end = frame.length.checked_sub(back)?.min(payload.len());
    payload.get(front..end)
}

/// How the frames in `data` look: `None` when one cannot be such; else how many are whole, and whether they fill it.
pub fn look(mut data: &[u8]) -> Option<(usize, bool)> {
    let mut whole = 0;
    while let Some(frame) = Frame::read(data) {
        if !frame.is_usual(data[5]) {
            return None;
        }
        let Some(rest) = data.get(frame.total()..) else { return Some((whole, false)) };
        whole += 1;
        data = rest;
    }
    // Of a length below 65,536 the first byte is zero.
    data.first().is_none_or(|first| *first == 0).then_some((whole, data.is_empty()))
}
