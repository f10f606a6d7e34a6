//! When the bytes of one direction passed one end of a connection.
//!
//! The two ends of a connection are paired by offset, never by arrival: a receiver's event can come before the
//! sender's. Each end keeps a short list of stretches (offsets and times), and a request's first and last byte are
//! looked up in it. What no request can need any more is dropped, so that the list holds one or two stretches.

use crate::capture::Transport;
use std::collections::VecDeque;

/// Beyond this many stretches those that follow each other without a turn of the direction are drawn together: a long
/// body is one stretch, not thousands.
const STRETCHES: usize = 32;
/// Beyond this many all are. A record of the kernel's holds some 35 exchanges, and those of one end may be several
/// records ahead of the other's. Where two exchanges were one stretch, the times of a request would be guessed: in one
/// direction from other exchanges than in the other, and its answer could seem to come before it.
const MOST_STRETCHES: usize = 256;
/// Of datagrams each is one, and none can be drawn together: the questions of a resolver that has many in flight wait here
/// for their answers. Beyond this the oldest go. Those that are looked up are mostly the first.
const MOST_DATAGRAMS: usize = 1024;

/// Consecutive bytes of one or several calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub offset: u64,
    pub end: u64,
    pub first_ns: u64,
    pub last_ns: u64,
    /// When the first of the bytes arrived in the kernel, where that is stamped.
    pub arrived_ns: Option<u64>,
}

impl Stretch {
    /// The time of a position between `offset` (the first call) and `end` (the last one).
    fn time_at(&self, position: u64) -> u64 {
        let (length, span_ns) = (self.end - self.offset, self.last_ns.saturating_sub(self.first_ns));
        if span_ns == 0 || length == 0 || position >= self.end {
            return self.last_ns.max(self.first_ns);
        }
        let share = u128::from(span_ns) * u128::from(position - self.offset) / u128::from(length);
        self.first_ns + share as u64
    }
}

/// The answer to "when did this byte pass?"
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    At(u64),
    /// It has not been reported yet.
    NotYet,
    /// Later bytes were reported, this one was not, or it was dropped already.
    Missed,
}

#[derive(Default)]
pub(super) struct Times {
    stretches: VecDeque<Stretch>,
    /// Offset behind the last byte ever reported.
    end: u64,
    /// The stretches are datagrams: their offsets are no order, and one that is lost does not come.
    datagrams: bool,
}

impl Times {
    pub fn of(transport: Transport) -> Times {
        Times { datagrams: transport == Transport::Udp, ..Times::default() }
    }

    /// `continues`: nothing went the other way since the last stretch.
    pub fn add(&mut self, stretch: Stretch, continues: bool) {
        if stretch.end <= stretch.offset {
            return;
        }
        if self.datagrams {
            return self.add_datagram(stretch);
        }
        self.end = self.end.max(stretch.end);
        let in_order = self.stretches.back().is_none_or(|last| last.offset <= stretch.offset);
        if !in_order {
            let place = self.stretches.partition_point(|have| have.offset <= stretch.offset);
            self.stretches.insert(place, stretch);
        } else if self.stretches.len() < if continues { STRETCHES } else { MOST_STRETCHES } {
            self.stretches.push_back(stretch);
        } else if let Some(last) = self.stretches.back_mut() {
            last.end = last.end.max(stretch.end);
            last.last_ns = last.last_ns.max(stretch.last_ns);
        }
        self.stretches.truncate(MOST_STRETCHES);
    }

    fn add_datagram(&mut self, datagram: Stretch) {
        if self.stretches.len() >= MOST_DATAGRAMS {
            self.stretches.pop_front();
        }
        self.stretches.push_back(datagram);
    }

    /// When the byte at `offset` passed, as the first byte of something.
    pub fn first_at(&self, offset: u64) -> When {
        self.find(offset).map_or_else(|when| when, |stretch| When::At(stretch.time_at(offset)))
    }

    /// When the first byte from `offset` on passed, of those that were reported.
    pub fn first_from(&self, offset: u64) -> Option<u64> {
        let first = self.stretches.iter().find(|stretch| stretch.end > offset)?;
        Some(first.time_at(offset.max(first.offset)))
    }

    /// When everything before `end` had passed.
    pub fn passed(&self, end: u64) -> When {
        self.find(end.saturating_sub(1)).map_or_else(|when| when, |stretch| When::At(stretch.time_at(end)))
    }

    pub fn arrived_at(&self, offset: u64) -> Option<u64> {
        self.find(offset).ok()?.arrived_ns
    }

    fn find(&self, offset: u64) -> Result<&Stretch, When> {
        if self.datagrams {
            let has = |datagram: &&Stretch| datagram.offset <= offset && offset < datagram.end;
            return self.stretches.iter().find(has).ok_or(When::NotYet);
        }
        match self.stretches.iter().find(|stretch| stretch.end > offset) {
            Some(stretch) if stretch.offset <= offset => Ok(stretch),
            Some(_) => Err(When::Missed),
            None if offset < self.end => Err(When::Missed),
            None => Err(When::NotYet),
        }
    }

    /// Nothing before `offset` will be asked for any more.
    pub fn forget_before(&mut self, offset: u64) {
        if self.datagrams {
            if let Some(place) = self.stretches.iter().position(|datagram| datagram.end == offset) {
                self.stretches.remove(place);
            }
            return;
        }
        while self.stretches.front().is_some_and(|stretch| stretch.end <= offset) {
            self.stretches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(offset: u64, end: u64, first_ns: u64, last_ns: u64) -> Stretch {
        Stretch { offset, end, first_ns, last_ns, arrived_ns: None }
    }

    #[test]
    fn bytes_are_found_by_offset() {
        let mut times = Times::default();
        times.add(stretch(0, 10, 100, 100), true);
        times.add(stretch(10, 30, 200, 400), true);
        assert_eq!(times.first_at(0), When::At(100));
        assert_eq!(times.first_at(10), When::At(200));
        assert_eq!(times.first_at(20), When::At(300));
        assert_eq!(times.passed(10), When::At(100));
        assert_eq!(times.passed(30), When::At(400));
        assert_eq!(times.passed(31), When::NotYet);
        times.forget_before(10);
        assert_eq!(times.first_at(5), When::Missed);
        assert_eq!(times.first_at(10), When::At(200));
    }

    #[test]
    fn a_hole_is_missed_and_late_stretches_are_sorted_in() {
        let mut times = Times::default();
        times.add(stretch(20, 30, 300, 300), true);
        assert_eq!(times.first_at(5), When::Missed);
        times.add(stretch(0, 20, 100, 100), true);
        assert_eq!(times.first_at(5), When::At(100));
        assert_eq!(times.passed(30), When::At(300));
    }

    #[test]
    fn datagrams_are_found_in_any_order() {
        let mut times = Times::of(Transport::Udp);
        times.add(stretch(500, 530, 100, 100), false);
        times.add(stretch(7, 40, 200, 200), false);
        assert_eq!((times.first_at(7), times.passed(530)), (When::At(200), When::At(100)));
        assert_eq!(times.first_at(100), When::NotYet);
        times.forget_before(530);
        assert_eq!((times.first_at(500), times.first_at(7)), (When::NotYet, When::At(200)));
        (0..2_000).for_each(|at| times.add(stretch(at << 16, (at << 16) + 9, at, at), false));
        assert_eq!(times.stretches.len(), MOST_DATAGRAMS);
    }

    #[test]
    fn a_long_body_stays_short_and_keeps_its_end() {
        let mut times = Times::default();
        for call in 0..10_000u64 {
            times.add(stretch(call * 100, call * 100 + 100, call, call), true);
        }
        assert_eq!(times.stretches.len(), STRETCHES);
        assert_eq!(times.first_at(0), When::At(0));
        assert_eq!(times.passed(1_000_000), When::At(9_999));
    }

    #[test]
    fn answers_of_a_pipeline_never_come_before_their_requests() {
        // 60 exchanges of 16 requests each; the first answer came in two calls.
        let (mut sent, mut received) = (Times::default(), Times::default());
        let at = |exchange: u64| exchange * exchange * 1_000;
        for exchange in 0..60u64 {
            let (first, asked) = (exchange * 160, at(exchange));
            sent.add(stretch(first, first + 160, asked, asked), false);
            let half = if exchange == 0 { 80 } else { 160 };
            received.add(stretch(first, first + half, asked + 500, asked + 500), false);
            if half == 80 {
                received.add(stretch(80, 160, asked + 600, asked + 600), true);
            }
        }
        for request in 0..60 * 16u64 {
            let (When::At(start), When::At(end)) = (sent.first_at(request * 10), received.passed(request * 10 + 10))
            else {
                panic!("request {request} has no times");
            };
            let exchange = request / 16;
            assert_eq!(start, at(exchange), "request {request}");
            assert!(end == start + 500 || exchange == 0 && end == start + 600, "request {request}: {start} {end}");
        }
    }

    #[test]
    fn the_list_is_bounded_whatever_comes() {
        let mut times = Times::default();
        for exchange in 0..10_000u64 {
            times.add(stretch(exchange * 10, exchange * 10 + 10, exchange, exchange), false);
        }
        assert_eq!(times.stretches.len(), MOST_STRETCHES);
        assert_eq!(times.passed(100_000), When::At(9_999));
    }
}
