//! Questions that wait for their answers, which come in any order: found by id and question.

use super::Place;
use super::message::{Message, Question, SOA};
use crate::{Outstanding, Sink};
use limpid_model::{Request, Status, Unanswered};

/// On one connection at most; what comes beyond is reported at once as unanswered.
const MAX_WAITING: usize = 4096;
/// A burst must not keep its memory for the life of an idle socket.
const KEPT_CAPACITY: usize = 64;

/// Apart from the requests, so that looking for one touches few cache lines.
struct Key {
    id: u16,
    question: u32,
}

pub struct Waiting {
    pub request: Request,
    /// How often it was asked again, which is the same request.
    pub repeats: u32,
    /// It was reported as unanswered.
    timed_out: bool,
    pub transfer: Option<Transfer>,
}

/// An answer of many messages (AXFR, IXFR), as far as it has come.
#[derive(Clone, Copy, Default)]
pub struct Transfer {
    pub records: u32,
    pub last_ns: u64,
    pub end_offset: u64,
}

impl Waiting {
    /// Whether more messages belong to this answer: a transfer begins and ends with the zone's SOA (RFC 5936 section
    /// 2.2), and an IXFR that has nothing to say is that record alone (RFC 1995 section 4).
    pub fn goes_on(&mut self, message: &Message<'_>, question: Option<&Question>, place: Place) -> bool {
        if !matches!(self.request.operation.as_str(), "AXFR" | "IXFR") {
            return false;
        }
        let transfer = self.transfer.get_or_insert_default();
        let first = transfer.records == 0;
        transfer.records = transfer.records.saturating_add(u32::from(message.answers()));
        (transfer.last_ns, transfer.end_offset) = (place.end_ns, place.end_offset);
        // Later messages may leave the question out (RFC 5936 section 2.2.1).
        let last = message.answer_records(question).enumerate().last();
        let whole = last.as_ref().is_some_and(|(number, _)| number + 1 == usize::from(message.answers()));
        let ends = whole && last.is_some_and(|(_, record)| record.kind == SOA);
        let alone = first && transfer.records == 1 && self.request.operation == "IXFR";
        !(ends && (alone || transfer.records > 1))
    }
}

#[derive(Default)]
pub struct Table {
    keys: Vec<Key>,
    waiting: Vec<Waiting>,
}

impl Table {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Questions without any answer. One that was given up long since is no longer asked.
    pub fn outstanding(&self) -> Outstanding {
        let asked = || self.waiting.iter().filter(|waiting| waiting.transfer.is_none() && !waiting.timed_out);
        let since_ns = asked().map(|waiting| waiting.request.start_ns).min().unwrap_or_default();
        Outstanding { requests: asked().count(), since_ns }
    }

    /// Whether this very question waits already; then it is one request, asked again.
    pub fn repeat(&mut self, id: u16, question: u32) -> bool {
        let Some(at) = self.find(id, Some(question)) else { return false };
        // What was given up before gives way to the same question asked anew.
        if self.waiting[at].timed_out {
            self.take_at(at);
            return false;
        }
        self.waiting[at].repeats += 1;
        true
    }

    pub fn push(&mut self, id: u16, question: u32, request: Request, sink: &mut dyn Sink) {
        if self.waiting.len() >= MAX_WAITING {
            let now_ns = request.start_ns;
            return sink.request(unanswered(request, Unanswered::Gap, now_ns));
        }
        if self.waiting.capacity() == 0 {
            // Most clients ask once from each socket, and a server sees very many.
            self.waiting.reserve_exact(1);
        }
        self.keys.push(Key { id, question });
        self.waiting.push(Waiting { request, repeats: 0, timed_out: false, transfer: None });
    }

    /// Whose answer has this id and question; an answer may leave the question out.
    pub fn find(&self, id: u16, question: Option<u32>) -> Option<usize> {
        self.keys.iter().position(|key| key.id == id && question.is_none_or(|question| question == key.question))
    }

    pub fn get_mut(&mut self, at: usize) -> Option<&mut Waiting> {
        self.waiting.get_mut(at)
    }

    pub fn take_at(&mut self, at: usize) -> Waiting {
        self.keys.swap_remove(at);
        let mut waiting = self.waiting.swap_remove(at);
        waiting.request.corrects = waiting.timed_out;
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_CAPACITY {
            self.keys.shrink_to(KEPT_CAPACITY);
            self.waiting.shrink_to(KEPT_CAPACITY);
        }
        waiting
    }

    /// Reports once what has waited since before `before_ns`. It stays for as long again: its answer may still come.
    pub fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        let forget_ns = before_ns.saturating_sub(now_ns.saturating_sub(before_ns));
        for at in (0..self.waiting.len()).rev() {
            let waiting = &mut self.waiting[at];
            let since_ns = waiting.transfer.map_or(waiting.request.start_ns, |transfer| transfer.last_ns);
            if since_ns >= before_ns {
                continue;
            }
            if waiting.timed_out {
                if since_ns < forget_ns {
                    self.take_at(at);
                }
            } else if waiting.transfer.is_some() {
                self.end(at, Unanswered::Timeout, now_ns, sink);
            } else {
                waiting.timed_out = true;
                sink.request(unanswered(waiting.request.clone(), Unanswered::Timeout, now_ns));
            }
        }
        self.forget_room();
    }

    /// An idle socket keeps no memory for what it might ask.
    fn forget_room(&mut self) {
        if self.waiting.is_empty() {
            (self.keys, self.waiting) = (Vec::new(), Vec::new());
        }
    }

    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        let mut order: Vec<(u64, u16, u32)> = self
            .keys
            .iter()
            .zip(&self.waiting)
            .map(|(key, waiting)| (waiting.request.start_ns, key.id, key.question))
            .collect();
        order.sort_unstable();
        for (_, id, question) in order {
            if let Some(at) = self.find(id, Some(question)) {
                self.end(at, reason, time_ns, sink);
            }
        }
    }

    /// The answer, or its rest, will not come.
    fn end(&mut self, at: usize, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        let waiting = self.take_at(at);
        match waiting.transfer {
            // Where a transfer ends is not always seen; what has come of it was the answer.
            Some(transfer) => sink.request(transferred(waiting.request, transfer)),
            None if waiting.timed_out => {}
            None => sink.request(unanswered(waiting.request, reason, time_ns)),
        }
    }
}

/// The answer ended with the last message that was seen of it.
pub fn transferred(mut request: Request, transfer: Transfer) -> Request {
    request.status = Status::Ok;
    request.end_ns = transfer.last_ns.max(request.start_ns);
    request.response_end_offset = transfer.end_offset;
    request
}

fn unanswered(mut request: Request, reason: Unanswered, time_ns: u64) -> Request {
    request.status = Status::Unanswered;
    request.unanswered = Some(reason);
    request.end_ns = time_ns.max(request.start_ns);
    request
}
