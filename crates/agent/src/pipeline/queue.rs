//! Where spans wait for the exporter: bounded, and what does not fit is counted.

use crate::losses;
use crate::telemetry::Span;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

pub(super) struct SpanQueue {
    spans: Mutex<VecDeque<Span>>,
    capacity: usize,
}

impl SpanQueue {
    pub fn new(capacity: usize) -> Self {
        SpanQueue { spans: Mutex::default(), capacity }
    }

    pub fn push(&self, span: Span) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= self.capacity {
            losses::SPANS_QUEUE_FULL.add(1);
            return;
        }
        spans.push_back(span);
    }

    /// The oldest ones, at most so many.
    pub fn drain(&self, max: usize) -> Vec<Span> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let count = spans.len().min(max);
        let drained = spans.drain(..count).collect();
        // A burst's memory is given back.
        if spans.is_empty() && spans.capacity() > 1024 {
            spans.shrink_to(64);
        }
        drained
    }

    pub fn len(&self) -> usize {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
