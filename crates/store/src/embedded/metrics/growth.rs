//! What series grew by, read from their chunks without making a sample of anything.

use super::chunk::{Chunk, Lent, Wanted, decode_each};
use super::merge::merge;
use limpid_model::growth::Counter;
use limpid_model::series::is_stale;
use limpid_model::{ExpHistogram, Growth, Labels};
use std::sync::Arc;

/// Reads one series after another at the same moments.
pub struct Reader<'a> {
    times_ms: &'a [i64],
    lookback_ms: i64,
    counter: Counter,
    waiting: Waiting,
    /// Chunks that could not be read.
    pub damaged: u64,
}

/// The last sample that came. Whether it counts is known with the next one.
#[derive(Default)]
struct Waiting {
    kind: Option<Kind>,
    time_ms: i64,
    start_ms: i64,
    histogram: ExpHistogram,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Histogram,
    Float,
    Stale,
}

impl<'a> Reader<'a> {
    pub fn new(times_ms: &'a [i64], lookback_ms: i64) -> Self {
        let counter = Counter::new(Labels::default(), times_ms.first().copied().unwrap_or(0));
        Reader { times_ms, lookback_ms, counter, waiting: Waiting::default(), damaged: 0 }
    }

    /// Nothing where there is no sample at any of the moments.
    pub fn growth(&mut self, labels: Labels, mut chunks: Vec<Arc<Chunk>>) -> Option<Growth> {
        chunks.sort_by_key(|chunk| chunk.first_ms);
        let overlap = chunks.windows(2).any(|pair| pair[1].first_ms <= pair[0].last_ms);
        let grown = match overlap || self.lend(&labels, &chunks).is_none() {
            false => self.counter.finish(),
            true => self.of_samples(labels, chunks),
        };
        (!grown.sampled_ms.is_empty()).then_some(grown)
    }

    /// `None` when a chunk is damaged: what it has lent by then must not count.
    fn lend(&mut self, labels: &Labels, chunks: &[Arc<Chunk>]) -> Option<()> {
        self.counter.restart(labels.clone());
        self.waiting.kind = None;
        let wanted = Wanted::At(self.times_ms);
        for (at, chunk) in chunks.iter().enumerate() {
            if wanted.needs(chunk, chunks.get(at + 1).map(|next| &next.header)) {
                decode_each(chunk, wanted, |time_ms, value| self.note(time_ms, chunk.start_ms, value))?;
            }
        }
        self.count_waiting(None);
        Some(())
    }

    /// Chunks that overlap must be put in order first.
    fn of_samples(&mut self, labels: Labels, chunks: Vec<Arc<Chunk>>) -> Growth {
        let mut series = merge(labels, chunks, Wanted::At(self.times_ms), &mut self.damaged);
        series.keep_at(self.times_ms, self.lookback_ms);
        Growth::of(series, self.times_ms.first().copied().unwrap_or(0))
    }

    fn note(&mut self, time_ms: i64, start_ms: i64, value: Lent<'_>) {
        self.count_waiting(Some((time_ms, start_ms)));
        (self.waiting.time_ms, self.waiting.start_ms) = (time_ms, start_ms);
        self.waiting.kind = Some(match value {
            Lent::Histogram(histogram) => {
                self.waiting.histogram.clone_from(histogram);
                Kind::Histogram
            }
            Lent::Float(value) if is_stale(value) => Kind::Stale,
            Lent::Float(_) => Kind::Float,
        });
    }

    /// Counts the sample that waits if it is the last one at one of the moments, or the last one of its count: what
    /// `Series::keep_at` keeps.
    fn count_waiting(&mut self, next: Option<(i64, i64)>) {
        let Waiting { kind: Some(kind), time_ms, start_ms, .. } = self.waiting else { return };
        let following = self.times_ms.partition_point(|moment| *moment < time_ms);
        let is_last_at = self.times_ms.get(following).is_some_and(|moment| {
            next.is_none_or(|(next_ms, _)| *moment < next_ms) && time_ms >= moment.saturating_sub(self.lookback_ms)
        });
        let begins_anew = next.is_some_and(|(_, next_start_ms)| next_start_ms != start_ms);
        match kind {
            Kind::Stale => {}
            _ if !is_last_at && !begins_anew => {}
            Kind::Float => self.counter.other(time_ms),
            Kind::Histogram => self.counter.histogram(time_ms, start_ms, &mut self.waiting.histogram),
        }
    }
}
