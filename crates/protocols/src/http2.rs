//! HTTP/2 (RFC 9113) and gRPC over it: any number of requests at once, each on a stream of its own.
//!
//! Of a connection that is joined in the middle, or of which something was lost, header fields are known as far as HPACK
//! lets them be (`hpack`); the rest stays unknown. Bodies are skipped by their length and never looked at. A call of gRPC
//! is known by its content type, and its code stands in the trailers.

mod fields;
mod frame;
mod hpack;
mod huffman;
mod request;
mod stream;
#[cfg(test)]
mod tests;

use self::fields::Fields;
use self::frame::{END_HEADERS, END_STREAM, Frame, HEADER_BYTES, PREFACE};
use self::hpack::Decoder;
use self::stream::Stream;
use crate::http::Routes;
use crate::parser::Outstanding;
use crate::protocols::Capture;
use crate::{Detection, Input, Options, Parser, Protocol, Sink, Step};
use limpid_model::{Direction, Request, Unanswered};
use rustc_hash::FxHashMap;

const NAME: &str = "http2";
const GRPC_NAME: &str = "grpc";
/// Open on one connection at most; what comes beyond is reported at once as unanswered. Servers allow some hundreds.
const MAX_STREAMS: usize = 4096;
/// So long the answer is waited for of a request that its client has given up.
const GIVEN_UP_NS: u64 = 1_000_000_000;
/// Of a header block with its continuations.
const MAX_BLOCK_BYTES: usize = 64 * 1024;
/// Of each call: the blocks of all frames in it are needed, or the table is lost.
const CALL_BYTES: u32 = 64 * 1024;

pub(crate) const PROTOCOL: Protocol = Protocol {
    name: NAME,
    ports: &[50051],
    detect,
    parser: |options| Box::new(Http2::new(options)),
    capture: Capture::All(CALL_BYTES),
    specification: "http",
    unordered: true,
    greets: false,
};

/// Not found by itself: a call of gRPC is a request of HTTP/2 that says so.
pub(crate) const GRPC: Protocol =
    Protocol { name: GRPC_NAME, ports: &[], detect: |_, _| Detection::No, specification: "grpc", ..PROTOCOL };

fn detect(direction: Direction, data: &[u8]) -> Detection {
    if direction == Direction::ToServer {
        if data.starts_with(PREFACE) {
            return Detection::Yes;
        }
        if data.len() >= 3 && PREFACE.starts_with(data) {
            return Detection::More;
        }
    }
    match frame::look(data) {
        None => Detection::No,
        Some((0, _)) if data.len() < HEADER_BYTES => Detection::More,
        // Settings: five bytes of zeros around a four, and a length that fits.
        Some((1.., _)) if data[3] == frame::SETTINGS => Detection::Yes,
        Some((2.., _)) => Detection::Yes,
        Some(_) => Detection::Maybe,
    }
}

/// A header block that goes on in another frame.
struct Block {
    stream: u32,
    kind: u8,
    end_stream: bool,
    /// Nothing more of it comes.
    complete: bool,
    offset: u64,
    start_ns: u64,
    bytes: Vec<u8>,
}

/// Where and when a frame ended.
#[derive(Clone, Copy)]
struct End {
    offset: u64,
    time_ns: u64,
    /// Its last bytes were not captured, or have not come yet.
    cut: bool,
}

/// What is known of one direction.
#[derive(Default)]
struct Half {
    table: Decoder,
    block: Option<Block>,
    /// The frame that is being skipped is the last of this stream, and ends at this offset.
    ends: Option<(u32, u64)>,
    /// Something was lost: a frame has to look like one.
    lost: bool,
}

struct Http2 {
    details: bool,
    raw: bool,
    no_grpc: bool,
    halves: [Half; 2],
    streams: FxHashMap<u32, Stream>,
    /// The newest stream of the client's that was seen.
    newest: u32,
    fields: Fields,
    routes: Routes,
}

impl Http2 {
    fn new(options: &Options) -> Self {
        Http2 {
            details: options.details,
            raw: options.raw,
            no_grpc: options.off.has(&GRPC),
            halves: Default::default(),
            streams: FxHashMap::default(),
            newest: 0,
            fields: Fields::default(),
            routes: Routes::default(),
        }
    }

    fn read_frame(&mut self, direction: Direction, frame: Frame, input: &Input<'_>, sink: &mut dyn Sink) -> Step {
        let total = frame.total();
        let here = input.data.get(..total).unwrap_or(input.data);
        let wanted = match frame.kind {
            frame::HEADERS | frame::CONTINUATION | frame::PUSH_PROMISE => total.min(MAX_BLOCK_BYTES),
            frame::RST_STREAM => total,
            frame::SETTINGS => total.min(1024),
            frame::GOAWAY => HEADER_BYTES + 8,
            _ => HEADER_BYTES,
        };
        if here.len() < wanted && input.gap_after == 0 {
            return Step::Need(wanted);
        }
        let payload = here.get(HEADER_BYTES..).unwrap_or_default();
        let end = End {
            offset: input.offset.saturating_add(total as u64),
            time_ns: input.time_at(here.len().saturating_sub(1)),
            cut: here.len() < total,
        };
        match frame.kind {
            frame::DATA => self.data(direction, &frame, end, sink),
            frame::HEADERS | frame::PUSH_PROMISE => {
                let block = Block {
                    stream: frame.stream,
                    kind: frame.kind,
                    end_stream: frame.has(END_STREAM) && frame.kind == frame::HEADERS,
                    complete: frame.has(END_HEADERS),
                    offset: input.offset,
                    start_ns: input.time_at(0),
                    bytes: Vec::new(),
                };
                self.read_block(direction, block, frame::block(&frame, payload).unwrap_or_default(), end, sink);
            }
            frame::CONTINUATION => {
                let open = self.halves[direction as usize].block.take().filter(|block| block.stream == frame.stream);
                match open {
                    Some(mut block) => {
                        block.complete = frame.has(END_HEADERS);
                        self.read_block(direction, block, payload, end, sink);
                    }
                    // The rest of a block whose front was lost.
                    None => self.halves[direction as usize].table.forget(),
                }
            }
            frame::RST_STREAM => self.reset(direction, frame.stream, word(payload, 0), end, sink),
            frame::SETTINGS => self.settings(direction, payload),
            frame::GOAWAY => self.go_away(direction, word(payload, 0), word(payload, 4), end, sink),
            _ => {}
        }
        Step::Taken(total as u64)
    }

    /// The next part of a header block; what it says, once it is whole.
    fn read_block(&mut self, direction: Direction, mut block: Block, bytes: &[u8], end: End, sink: &mut dyn Sink) {
        let half = &mut self.halves[direction as usize];
        let goes_on = !block.complete && !end.cut;
        if goes_on && block.bytes.len() + bytes.len() <= MAX_BLOCK_BYTES {
            block.bytes.extend_from_slice(bytes);
            half.block = Some(block);
            return;
        }
        if block.bytes.is_empty() {
            self.fields.read(bytes, &mut half.table);
        } else {
            block.bytes.extend_from_slice(bytes);
            self.fields.read(&block.bytes, &mut half.table);
        }
        if end.cut || goes_on {
            self.fields.unknown = true;
            half.table.forget();
        }
        if block.kind == frame::PUSH_PROMISE {
            return;
        }
        match direction {
            Direction::ToServer => self.asked(&block, end, sink),
            Direction::ToClient => self.answered(&block, end, sink),
        }
        if block.end_stream {
            self.end_of(direction, block.stream, end, sink);
        }
    }

    fn asked(&mut self, block: &Block, end: End, sink: &mut dyn Sink) {
        if let Some(stream) = self.streams.get_mut(&block.stream) {
            // Trailers of the request.
            (stream.request.request_end_offset, stream.last_ns) = (end.offset, end.time_ns);
            return;
        }
        // What its server has answered already, or what is not its to open.
        if block.stream <= self.newest || block.stream % 2 == 0 {
            return;
        }
        self.newest = block.stream;
        let mut stream = self.stream_of(block);
        stream.request.request_end_offset = end.offset;
        if self.streams.len() >= MAX_STREAMS {
            let now_ns = stream.request.start_ns;
            return self.tell(stream.unanswered(Unanswered::Gap, now_ns), sink);
        }
        self.streams.insert(block.stream, stream);
    }

    fn answered(&mut self, block: &Block, end: End, sink: &mut dyn Sink) {
        match self.streams.get_mut(&block.stream) {
            Some(stream) => {
                stream.answered(&self.fields, block.offset, block.start_ns);
                stream.last_ns = end.time_ns;
            }
            // Stream 1 may answer what was asked before the upgrade; and what the server was quick to finish is known.
            None if block.stream > self.newest
                && block.stream % 2 == 1
                && self.fields.status.is_some()
                && block.stream != 1 =>
            {
                sink.orphan(NAME);
            }
            None => {}
        }
    }

    /// A part of a body.
    fn data(&mut self, direction: Direction, frame: &Frame, end: End, sink: &mut dyn Sink) {
        self.touch(direction, frame.stream, end);
        if frame.has(END_STREAM) && end.cut {
            self.halves[direction as usize].ends = Some((frame.stream, end.offset));
        } else if frame.has(END_STREAM) {
            self.end_of(direction, frame.stream, end, sink);
        }
    }

    fn touch(&mut self, direction: Direction, stream: u32, end: End) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.last_ns = end.time_ns;
            if direction == Direction::ToServer {
                stream.request.request_end_offset = end.offset;
            }
        }
    }

    fn end_of(&mut self, direction: Direction, id: u32, end: End, sink: &mut dyn Sink) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if direction == Direction::ToServer {
            stream.asked = true;
        } else if let Some(stream) = self.streams.remove(&id) {
            self.tell(stream.finished(end.offset, end.time_ns), sink);
        }
    }

    /// RST_STREAM with its error code (RFC 9113, section 7).
    fn reset(&mut self, direction: Direction, id: u32, code: u32, end: End, sink: &mut dyn Sink) {
        if direction == Direction::ToServer
            && let Some(stream) = self.streams.get_mut(&id)
            && !stream.begun
        {
            // The answer may be on its way.
            stream.given_up_ns = Some(end.time_ns);
            return;
        }
        let Some(stream) = self.streams.remove(&id) else { return };
        let request = match direction {
            // A client that has what it wanted, or wants no more of it.
            Direction::ToServer => stream.finished_by_client(end.time_ns),
            Direction::ToClient if code == 0 && stream.begun => stream.finished(end.offset, end.time_ns),
            Direction::ToClient => stream.failed(end.offset, end.time_ns),
        };
        self.tell(request, sink);
    }

    /// Streams behind the last one that the server will look at have failed. An orderly goodbye lets the client ask them
    /// elsewhere: nothing has failed then.
    fn go_away(&mut self, direction: Direction, last: u32, code: u32, end: End, sink: &mut dyn Sink) {
        if direction == Direction::ToServer || code == 0 {
            return;
        }
        let last = last & 0x7fff_ffff;
        for id in self.sorted(|id, _| id > last) {
            if let Some(stream) = self.streams.remove(&id) {
                self.tell(stream.failed(end.offset, end.time_ns), sink);
            }
        }
    }

    fn sorted(&self, wanted: impl Fn(u32, &Stream) -> bool) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.streams.iter().filter(|(id, stream)| wanted(**id, stream)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// What one side allows is for the other side's table.
    fn settings(&mut self, direction: Direction, payload: &[u8]) {
        const HEADER_TABLE_SIZE: [u8; 2] = [0, 1];
        for setting in payload.chunks_exact(6).filter(|setting| setting.starts_with(&HEADER_TABLE_SIZE)) {
            self.halves[direction.reverse() as usize].table.allow(word(setting, 2));
        }
    }

    fn tell(&self, request: Request, sink: &mut dyn Sink) {
        if !(self.no_grpc && request.protocol == GRPC_NAME) {
            sink.request(request);
        }
    }
}

/// A number of four bytes; 0 where it was cut off.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |word| u32::from_be_bytes(*word))
}

impl Parser for Http2 {
    fn parse(&mut self, direction: Direction, input: Input<'_>, sink: &mut dyn Sink) -> Step {
        if direction == Direction::ToServer && input.data.first() == Some(&PREFACE[0]) {
            if input.data.starts_with(PREFACE) {
                return Step::Taken(PREFACE.len() as u64);
            }
            if PREFACE.starts_with(input.data) {
                return Step::Need(PREFACE.len());
            }
        }
        let Some(frame) = Frame::read(input.data) else { return Step::Need(HEADER_BYTES) };
        let half = &mut self.halves[direction as usize];
        let valid = if half.lost { frame.is_usual(input.data[5]) } else { frame.is_valid() };
        if !valid {
            return Step::Invalid("no frame");
        }
        half.lost = false;
        self.read_frame(direction, frame, &input, sink)
    }

    fn skipped(&mut self, direction: Direction, time_ns: u64, sink: &mut dyn Sink) {
        if let Some((id, offset)) = self.halves[direction as usize].ends.take() {
            let end = End { offset, time_ns, cut: false };
            self.touch(direction, id, end);
            self.end_of(direction, id, end, sink);
        }
    }

    fn gap(&mut self, direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {
        let half = &mut self.halves[direction as usize];
        half.table.forget();
        (half.block, half.ends, half.lost) = (None, None, true);
        for stream in self.streams.values_mut() {
            match direction {
                Direction::ToServer => stream.asked = true,
                Direction::ToClient => stream.gap = true,
            }
        }
    }

    fn end(&mut self, _direction: Direction, _time_ns: u64, _sink: &mut dyn Sink) {}

    fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        for id in self.sorted(|_, _| true) {
            let Some(stream) = self.streams.remove(&id) else { continue };
            if stream.may_have_ended() || stream.given_up_ns.is_some() {
                self.tell(stream.finished_unseen(), sink);
            } else if !stream.timed_out {
                self.tell(stream.unanswered(reason, time_ns), sink);
            }
        }
    }

    fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        let forget_ns = before_ns.saturating_sub(now_ns.saturating_sub(before_ns));
        let is_given_up =
            |stream: &Stream| stream.given_up_ns.is_some_and(|at_ns| at_ns.saturating_add(GIVEN_UP_NS) < now_ns);
        for id in self.sorted(|_, stream| stream.last_ns < before_ns || is_given_up(stream)) {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            if stream.may_have_ended() || stream.given_up_ns.is_some() {
                let Some(stream) = self.streams.remove(&id) else { continue };
                self.tell(stream.finished_unseen(), sink);
            } else if stream.timed_out {
                if stream.last_ns < forget_ns {
                    self.streams.remove(&id);
                }
            } else if stream.asked && !stream.begun {
                let request = stream.overdue(now_ns);
                self.tell(request, sink);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.streams.len()
    }

    /// Of a stream in both directions the client has not said everything.
    fn outstanding(&self) -> Outstanding {
        let waits = |stream: &&Stream| stream.asked && !stream.begun && !stream.gap && stream.given_up_ns.is_none();
        let (mut requests, mut since_ns) = (0, u64::MAX);
        for stream in self.streams.values().filter(waits) {
            (requests, since_ns) = (requests + 1, since_ns.min(stream.request.start_ns));
        }
        if requests == 0 { Outstanding::default() } else { Outstanding { requests, since_ns } }
    }

    fn overlaps(&self) -> bool {
        true
    }

    fn needed_from(&self, direction: Direction) -> u64 {
        let streams = self.streams.values().filter(|stream| direction == Direction::ToServer || stream.begun);
        streams.map(|stream| stream.needed_from(direction)).min().unwrap_or(u64::MAX)
    }
}
