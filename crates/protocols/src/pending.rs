//! Requests in flight of one connection, for protocols whose answers come in the order of the requests.
//!
//! Parsers push what was asked and finish it when the answer is complete; everything that can go wrong in between is
//! here, once: time-outs and their correction, closed connections, more in flight than we keep, and bytes that the
//! capture lost on either side. The last one decides whether answers stay with their requests: a lost request must
//! not hand its answer to the next one, so after a gap the times of both are compared.

use crate::{Outstanding, Sink};
use limpid_model::{Direction, Request, Status, Text, Unanswered};
use std::collections::VecDeque;

/// In flight on one connection at most; what comes beyond is reported at once as unanswered.
pub const MAX_IN_FLIGHT: usize = 16_384;
/// A burst must not keep its memory for the life of an idle connection.
const KEPT_CAPACITY: usize = 64;

/// One place in the order of answers.
#[derive(Debug)]
pub struct Waiting<T> {
    /// `None` for what is answered but is no request (a synchronisation point): it only keeps its place.
    pub request: Option<Request>,
    /// What the parser must remember to read the answer.
    pub state: T,
    timed_out: bool,
}

#[derive(Debug)]
pub struct Pending<T> {
    protocol: &'static str,
    waiting: VecDeque<Waiting<T>>,
    /// Places behind `waiting` that were not kept, because of `MAX_IN_FLIGHT`.
    beyond: usize,
    /// The client sends before it has its answer: order is all there is, times say nothing.
    pipelines: bool,
    /// The same, noticed at once rather than with the answer. Clocks of two processors can make it seem so.
    overlaps: bool,
    /// Requests were lost until this time: an answer from before the next request belongs to a lost one.
    requests_lost: bool,
    /// Answers were lost, the last of them at this time.
    answers_lost_ns: Option<u64>,
}

impl<T> Pending<T> {
    pub fn new(protocol: &'static str) -> Self {
        Pending {
            protocol,
            waiting: VecDeque::new(),
            beyond: 0,
            pipelines: false,
            overlaps: false,
            requests_lost: false,
            answers_lost_ns: None,
        }
    }

    /// Places that still owe an answer, marks and unkept ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.beyond
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Complete requests of whose answers nothing has come. Answers come in order: what is being answered, or what `blocks`
    /// by design, holds up those behind it too.
    pub fn outstanding(&self, blocks: impl Fn(&Request) -> bool) -> Outstanding {
        let requests = || self.waiting.iter().filter_map(|waiting| waiting.request.as_ref());
        let Some(front) = requests().next() else { return Outstanding::default() };
        if front.first_byte_ns.is_some() || blocks(front) {
            return Outstanding::default();
        }
        Outstanding { requests: requests().count() + self.beyond, since_ns: front.start_ns }
    }

    /// Whether this client was seen to send a request before it had the answer of the one before.
    pub fn pipelines(&self) -> bool {
        self.pipelines
    }

    /// Whether a request has come while another one waited.
    pub fn overlaps(&self) -> bool {
        self.overlaps
    }

    pub fn front(&self) -> Option<&Waiting<T>> {
        self.waiting.front()
    }

    pub fn front_mut(&mut self) -> Option<&mut Waiting<T>> {
        self.waiting.front_mut()
    }

    /// The youngest: what is still being sent. `None` as well when it was answered before it was complete.
    pub fn back_mut(&mut self) -> Option<&mut Waiting<T>> {
        if self.beyond > 0 { None } else { self.waiting.back_mut() }
    }

    /// All that wait, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Waiting<T>> {
        self.waiting.iter_mut()
    }

    #[inline]
    pub fn push(&mut self, request: Request, state: T, sink: &mut dyn Sink) {
        self.overlaps |= !self.waiting.is_empty();
        if self.beyond == 0 && self.waiting.len() < MAX_IN_FLIGHT {
            self.waiting.push_back(Waiting { request: Some(request), state, timed_out: false });
        } else {
            self.push_beyond(request, sink);
        }
    }

    #[cold]
    fn push_beyond(&mut self, request: Request, sink: &mut dyn Sink) {
        self.beyond += 1;
        let now_ns = request.start_ns;
        sink.request(unanswered(request, Unanswered::Gap, now_ns));
    }

    /// Takes a place in the order for something that is answered but is no request.
    pub fn push_mark(&mut self, state: T) {
        if self.beyond == 0 && self.waiting.len() < MAX_IN_FLIGHT {
            self.waiting.push_back(Waiting { request: None, state, timed_out: false });
        } else {
            self.beyond += 1;
        }
    }

    /// An answer begins, its first byte at `time_ns`: is it that of `front`? If not, its request was not seen or not
    /// kept; it is counted, and must be read over.
    #[inline]
    pub fn answer_begins(&mut self, offset: u64, time_ns: u64, sink: &mut dyn Sink) -> bool {
        if let Some(lost_ns) = self.answers_lost_ns.take() {
            self.drop_lost_answers(lost_ns, time_ns, sink);
        }
        let Some(front) = self.waiting.front_mut() else {
            // A place beyond the cap has been reported already.
            if self.beyond > 0 {
                self.beyond -= 1;
            } else {
                sink.orphan(self.protocol);
            }
            return false;
        };
        let Some(request) = front.request.as_mut() else { return true };
        if self.requests_lost && time_ns < request.start_ns {
            sink.orphan(self.protocol);
            return false;
        }
        self.requests_lost = false;
        if request.first_byte_ns.is_none() {
            request.first_byte_ns = Some(time_ns.max(request.start_ns));
            request.response_offset = offset;
        }
        true
    }

    /// Answers were lost before the one that begins at `time_ns`. A client that waits for each answer has asked
    /// exactly one thing since its last: the youngest request from before. One that does not wait leaves no way to
    /// tell, so everything asked until then stays unanswered.
    #[cold]
    fn drop_lost_answers(&mut self, lost_ns: u64, time_ns: u64, sink: &mut dyn Sink) {
        let until_ns = if self.pipelines { time_ns.max(lost_ns) } else { time_ns };
        let asked =
            self.waiting.iter().take_while(|waiting| waiting.start_ns().is_none_or(|start| start <= until_ns)).count();
        let lost = if self.pipelines { asked } else { asked.saturating_sub(1) };
        for _ in 0..lost {
            self.give_up(Unanswered::Gap, lost_ns, sink);
        }
        // Nothing asked yet, or no way to tell: from here on the times must agree.
        self.requests_lost |= self.pipelines || asked == 0;
    }

    /// The front's answer is complete; `end_offset` is just behind its last byte, which passed at `end_ns`.
    pub fn finish(&mut self, status: Status, code: Option<Text>, end_offset: u64, end_ns: u64, sink: &mut dyn Sink) {
        let next_start_ns = self.waiting.get(1).and_then(Waiting::start_ns);
        self.pipelines |= next_start_ns.is_some_and(|next| next < end_ns);
        let Some(Waiting { request: Some(mut request), timed_out, .. }) = self.pop() else { return };
        request.status = status;
        request.code = code;
        request.end_ns = end_ns.max(request.start_ns);
        request.response_end_offset = end_offset;
        request.corrects = timed_out;
        sink.request(request);
    }

    /// The front will not be answered.
    pub fn give_up(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        let Some(Waiting { request: Some(request), timed_out: false, .. }) = self.pop() else { return };
        sink.request(unanswered(request, reason, time_ns));
    }

    /// Takes the front out without a word.
    #[inline]
    pub fn pop(&mut self) -> Option<Waiting<T>> {
        let waiting = self.waiting.pop_front();
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_CAPACITY {
            self.waiting.shrink_to(KEPT_CAPACITY);
        }
        waiting
    }

    /// Bytes of this direction were lost where a message would begin. What waits keeps waiting until the next answer
    /// shows whose it is.
    pub fn gap(&mut self, direction: Direction, time_ns: u64) {
        match direction {
            Direction::ToServer => self.requests_lost = true,
            Direction::ToClient if self.waiting.is_empty() => {}
            Direction::ToClient => self.answers_lost_ns = Some(time_ns),
        }
    }

    /// The connection is gone.
    pub fn close(&mut self, reason: Unanswered, time_ns: u64, sink: &mut dyn Sink) {
        while let Some(front) = self.waiting.front() {
            let reason = self.reason(front.start_ns(), reason);
            self.give_up(reason, time_ns, sink);
        }
        self.beyond = 0;
    }

    /// Reports once what has waited since before `before_ns`; it stays in flight.
    pub fn expire(&mut self, before_ns: u64, now_ns: u64, sink: &mut dyn Sink) {
        let lost_ns = self.answers_lost_ns;
        for waiting in &mut self.waiting {
            let Some(request) = &waiting.request else { continue };
            if request.start_ns >= before_ns {
                return;
            }
            if !waiting.timed_out {
                waiting.timed_out = true;
                let lost = lost_ns.is_some_and(|lost_ns| request.start_ns <= lost_ns);
                let reason = if lost { Unanswered::Gap } else { Unanswered::Timeout };
                sink.request(unanswered(request.clone(), reason, now_ns));
            }
        }
    }

    /// What was asked before answers were lost is unanswered because of that, whatever came later.
    fn reason(&self, start_ns: Option<u64>, otherwise: Unanswered) -> Unanswered {
        match (self.answers_lost_ns, start_ns) {
            (Some(lost_ns), Some(start_ns)) if start_ns <= lost_ns => Unanswered::Gap,
            _ => otherwise,
        }
    }
}

impl<T> Waiting<T> {
    fn start_ns(&self) -> Option<u64> {
        self.request.as_ref().map(|request| request.start_ns)
    }
}

fn unanswered(mut request: Request, reason: Unanswered, time_ns: u64) -> Request {
    request.status = Status::Unanswered;
    request.unanswered = Some(reason);
    request.end_ns = time_ns.max(request.start_ns);
    request
}
