//! `ExportTraceServiceRequest`: spans grouped by the process that they are of.
//!
//! A span is encoded when it is made, from what it is made of: nothing of it is copied before, and nothing but bytes
//! waits to be sent.

use super::span::{Ends, encode_span};
use super::{Writer, resource, scope};
use crate::export::protobuf::field_length;
use crate::telemetry::{Process, Span};
use bytes::Bytes;
use std::sync::Arc;

/// Small enough that the allocator hands out the same memory again and again.
const CHUNK_BYTES: usize = 64 * 1024;
/// A chunk with less room than this is closed: most spans fit, and a longer one makes the chunk grow.
const ROOM_BYTES: usize = 2 * 1024;
/// The sender begins a new message when one is so long, or has so many spans.
const MESSAGE_BYTES: usize = 4 << 20;
const MESSAGE_SPANS: usize = 2048;

/// Encoded spans of one process.
pub struct ProcessSpans {
    process: Arc<Process>,
    chunks: Vec<Chunk>,
    open: Writer,
    open_spans: usize,
    ends: Ends,
}

struct Chunk {
    bytes: Bytes,
    spans: usize,
}

/// A message in pieces, so that none of them is copied to make it one.
#[derive(Default)]
pub struct Message {
    pub parts: Vec<Bytes>,
    pub spans: usize,
}

impl Message {
    pub fn length(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }
}

impl ProcessSpans {
    pub fn new(process: &Arc<Process>) -> Self {
        ProcessSpans {
            process: Arc::clone(process),
            chunks: Vec::new(),
            open: Writer::default(),
            open_spans: 0,
            ends: Ends::default(),
        }
    }

    pub fn push(&mut self, span: &Span<'_>) {
        self.make_room();
        let (open, ends) = (&mut self.open, &mut self.ends);
        open.message(2, |writer| encode_span(writer, span, ends));
        self.open_spans += 1;
    }

    /// Little at first: most processes have few spans at a time.
    fn make_room(&mut self) {
        let open = &mut self.open.bytes;
        match (open.capacity(), open.capacity() - open.len()) {
            (0, _) => open.reserve(2 * ROOM_BYTES),
            (_, ROOM_BYTES..) => {}
            (..CHUNK_BYTES, _) => open.reserve_exact(CHUNK_BYTES - open.len()),
            _ => {
                self.close();
                self.open.bytes.reserve_exact(CHUNK_BYTES);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.spans).sum::<usize>() + self.open_spans
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn close(&mut self) {
        if self.open_spans > 0 {
            let bytes = std::mem::take(&mut self.open.bytes).into();
            self.chunks.push(Chunk { bytes, spans: std::mem::take(&mut self.open_spans) });
        }
    }
}

/// Messages of these spans, none much longer than another.
pub fn messages(spans: Vec<ProcessSpans>, cluster: &str) -> Vec<Message> {
    let mut messages = vec![Message::default()];
    let mut length = 0;
    for mut process in spans {
        process.close();
        let mut chunks = process.chunks.into_iter().peekable();
        while chunks.peek().is_some() {
            if length >= MESSAGE_BYTES || messages.last().is_some_and(|message| message.spans >= MESSAGE_SPANS) {
                messages.push(Message::default());
                length = 0;
            }
            let Some(message) = messages.last_mut() else { break };
            let (mut taken, mut spans, mut bytes) = (Vec::new(), message.spans, length);
            while let Some(chunk) = chunks.next_if(|_| spans < MESSAGE_SPANS && bytes < MESSAGE_BYTES) {
                (spans, bytes) = (spans + chunk.spans, bytes + chunk.bytes.len());
                taken.push(chunk.bytes);
            }
            message.parts.push(resource_spans(&process.process, cluster, bytes - length));
            message.parts.append(&mut taken);
            (message.spans, length) = (spans, bytes);
        }
    }
    messages.retain(|message| message.spans > 0);
    messages
}

/// A `ResourceSpans` up to its spans, of which so many bytes follow.
fn resource_spans(process: &Process, cluster: &str, spans_bytes: usize) -> Bytes {
    let (mut of_resource, mut of_scope) = (Writer::default(), Writer::default());
    resource(&mut of_resource, cluster, &process.attributes);
    scope(&mut of_scope);
    let scope_spans = of_scope.bytes.len() + spans_bytes;
    let mut head = Writer::default();
    head.length_delimited(1, of_resource.bytes.len() + field_length(scope_spans));
    head.bytes.append(&mut of_resource.bytes);
    head.length_delimited(2, scope_spans);
    head.bytes.append(&mut of_scope.bytes);
    head.bytes.into()
}
