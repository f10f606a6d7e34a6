//! The newest samples, in memory: every series with its labels, its growing chunk and the chunks not yet in a block.
//!
//! A million series must fit, so labels are pairs of symbol numbers, the postings are plain lists of series numbers,
//! and a series without a sample costs no buffer.

use super::chunk::{Builder, Chunk, MAX_BUCKETS, Wanted};
use super::coarse;
use super::postings::{Compiled, Postings, resolve, union};
use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use limpid_model::series::Point;
use limpid_model::{ExpHistogram, Labels, Sample, Value};
use rustc_hash::FxHashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Instant;

/// Beyond it a new series is refused and counted.
const MAX_SERIES: usize = 4_000_000;
/// A series that got nothing for this long leaves the head once its chunks are in a block.
const IDLE_MS: i64 = 30 * 60 * 1000;

pub struct HeadSeries {
    labels: Box<[(u32, u32)]>,
    open: Option<Builder>,
    closed: Vec<Arc<Chunk>>,
}

#[derive(Default)]
pub struct Symbols {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Symbols {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text)
    }

    fn pairs<'a>(&'a self, labels: &'a [(u32, u32)]) -> impl Iterator<Item = (&'a str, &'a str)> {
        labels.iter().map(|(name, value)| (self.text(*name), self.text(*value)))
    }
}

#[derive(Default)]
pub struct Head {
    symbols: Symbols,
    series: Vec<HeadSeries>,
    /// Series numbers by the hash of their labels.
    numbers: HashTable<u32>,
    /// Seeded at random: labels come from outside, and nobody shall be able to make them collide.
    hasher: DefaultHashBuilder,
    /// Label name, label value, series.
    postings: FxHashMap<u32, FxHashMap<u32, Vec<u32>>>,
    /// Chunks of samples that came after a later one of their series.
    late: FxHashMap<u32, Builder>,
    partition_ms: i64,
    /// Heap bytes of all chunks, for when to flush; and how many of them were drained and not yet forgotten.
    pub chunk_bytes: usize,
    drained_bytes: usize,
    pub newest_ms: i64,
    /// Of the oldest sample since the head was made; flushed ones may be older.
    pub oldest_ms: Option<i64>,
    pub since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored,
    /// The series has a sample of this time.
    Duplicate,
    /// No room for another series.
    Refused,
}

/// The chunks of one series, on their way into blocks.
pub struct Drained {
    number: u32,
    pub labels: Labels,
    pub chunks: Vec<Arc<Chunk>>,
}

impl Head {
    pub fn new(partition_ms: i64) -> Self {
        Head { partition_ms, newest_ms: i64::MIN, ..Head::default() }
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn append(&mut self, point: &Point) -> Appended {
        let Some(number) = self.number(&point.labels) else { return Appended::Refused };
        let bounded = bounded(&point.sample);
        let sample = bounded.as_ref().unwrap_or(&point.sample);
        let appended = self.append_to(number, point.start_ms, sample);
        if appended == Appended::Stored {
            self.newest_ms = self.newest_ms.max(sample.time_ms);
            self.oldest_ms =
                Some(self.oldest_ms.map_or(point.sample.time_ms, |oldest| oldest.min(point.sample.time_ms)));
            self.since.get_or_insert_with(Instant::now);
        }
        appended
    }

    fn append_to(&mut self, number: u32, start_ms: i64, sample: &Sample) -> Appended {
        let partition_ms = self.partition_ms;
        let series = &mut self.series[number as usize];
        let last_ms = series.open.as_ref().map(Builder::last_ms);
        let late = last_ms.is_some_and(|last| sample.time_ms <= last);
        if last_ms == Some(sample.time_ms) {
            return Appended::Duplicate;
        }
        let mut builder = if late { self.late.remove(&number) } else { series.open.take() };
        let grown_from = builder.as_ref().map_or(0, Builder::heap_bytes);
        let builder = match &mut builder {
            Some(open)
                if open.accepts(start_ms, sample) && same_partition(open.first_ms(), sample.time_ms, partition_ms) =>
            {
                open.append(sample);
                builder
            }
            _ => {
                series.closed.extend(builder.take().map(|full| Arc::new(full.close())));
                Some(Builder::new(start_ms, sample))
            }
        };
        self.chunk_bytes += builder.as_ref().map_or(0, Builder::heap_bytes).saturating_sub(grown_from);
        match builder {
            Some(builder) if late => drop(self.late.insert(number, builder)),
            open => series.open = open,
        }
        Appended::Stored
    }

    /// The number of the series with these labels, a new one if need be.
    fn number(&mut self, labels: &Labels) -> Option<u32> {
        let hash = hash_texts(&self.hasher, labels.iter());
        let (series, symbols) = (&self.series, &self.symbols);
        if let Some(number) = self.numbers.find(hash, |number| same_labels(&series[*number as usize], symbols, labels))
        {
            return Some(*number);
        }
        if self.series.len() >= MAX_SERIES {
            return None;
        }
        Some(self.insert(labels, hash))
    }

    fn insert(&mut self, labels: &Labels, hash: u64) -> u32 {
        let number = self.series.len() as u32;
        let pairs: Box<[(u32, u32)]> =
            labels.iter().map(|(name, value)| (self.symbols.intern(name), self.symbols.intern(value))).collect();
        for (name, value) in &pairs {
            self.postings.entry(*name).or_default().entry(*value).or_default().push(number);
        }
        self.series.push(HeadSeries { labels: pairs, open: None, closed: Vec::new() });
        let (series, symbols, hasher) = (&self.series, &self.symbols, &self.hasher);
        self.numbers
            .insert_unique(hash, number, |number| hash_texts(hasher, symbols.pairs(&series[*number as usize].labels)));
        number
    }

    fn labels(&self, number: u32) -> Labels {
        let pairs = self.series.get(number as usize).map_or(&[][..], |series| &series.labels);
        Labels::from_pairs(self.symbols.pairs(pairs))
    }

    /// Matching series with the chunks that touch the interval.
    pub fn select(
        &self,
        matchers: &[Compiled],
        (from, to): (i64, i64),
        wanted: Option<Wanted<'_>>,
    ) -> Vec<(Labels, Vec<Arc<Chunk>>)> {
        let Ok(numbers) = resolve(self, matchers);
        let mut found = Vec::new();
        for number in numbers {
            let mut chunks = self.chunks(number, from, to);
            if let Some(Wanted::At(moments)) = wanted {
                chunks.iter_mut().for_each(|chunk| *chunk = coarse::in_memory(chunk, moments));
            }
            if !chunks.is_empty() {
                found.push((self.labels(number), chunks));
            }
        }
        found
    }

    fn chunks(&self, number: u32, from: i64, to: i64) -> Vec<Arc<Chunk>> {
        let Some(series) = self.series.get(number as usize) else { return Vec::new() };
        let touches = |first: i64, last: i64| first <= to && last >= from;
        let mut chunks: Vec<Arc<Chunk>> =
            series.closed.iter().filter(|chunk| touches(chunk.first_ms, chunk.last_ms)).cloned().collect();
        let growing = series.open.iter().chain(self.late.get(&number));
        chunks.extend(
            growing.filter(|open| touches(open.first_ms(), open.last_ms())).map(|open| Arc::new(open.snapshot())),
        );
        chunks
    }

    /// Closes all growing chunks and hands out everything; it stays readable here until `forget`.
    pub fn drain(&mut self) -> Vec<Drained> {
        for (number, builder) in self.late.drain() {
            self.series[number as usize].closed.push(Arc::new(builder.close()));
        }
        for series in &mut self.series {
            series.closed.extend(series.open.take().map(|open| Arc::new(open.close())));
        }
        (self.since, self.drained_bytes) = (None, self.chunk_bytes);
        let with_chunks =
            (0..self.series.len() as u32).filter(|number| !self.series[*number as usize].closed.is_empty());
        with_chunks
            .map(|number| Drained {
                number,
                labels: self.labels(number),
                chunks: self.series[number as usize].closed.clone(),
            })
            .collect()
    }

    /// Drops what is now in blocks, and the series that have fallen silent.
    pub fn forget(&mut self, drained: &[Drained]) {
        self.chunk_bytes = self.chunk_bytes.saturating_sub(std::mem::take(&mut self.drained_bytes));
        let mut last_seen: FxHashMap<u32, i64> = FxHashMap::default();
        for gone in drained {
            let Some(series) = self.series.get_mut(gone.number as usize) else { continue };
            series.closed.drain(..gone.chunks.len().min(series.closed.len()));
            series.closed.shrink_to_fit();
            last_seen.insert(gone.number, gone.chunks.iter().map(|chunk| chunk.last_ms).max().unwrap_or(i64::MIN));
        }
        let silent_before = self.newest_ms.saturating_sub(IDLE_MS);
        let is_silent = |number: u32, series: &HeadSeries| {
            series.open.is_none()
                && series.closed.is_empty()
                && last_seen.get(&number).is_none_or(|last| *last < silent_before)
        };
        let silent = self.series.iter().enumerate().filter(|(at, series)| is_silent(*at as u32, series)).count();
        // Numbers are places in lists, so leaving means building the lists anew: only when it pays.
        if silent > 1000 && silent * 4 > self.series.len() {
            self.rebuild(|number, series| !is_silent(number, series));
        }
    }

    fn rebuild(&mut self, keep: impl Fn(u32, &HeadSeries) -> bool) {
        let before = std::mem::replace(self, Head::new(self.partition_ms));
        (self.chunk_bytes, self.newest_ms, self.since) = (before.chunk_bytes, before.newest_ms, before.since);
        let (symbols, mut late) = (before.symbols, before.late);
        for (at, series) in before.series.into_iter().enumerate() {
            let waiting = late.remove(&(at as u32));
            if waiting.is_none() && !keep(at as u32, &series) {
                continue;
            }
            let labels = Labels::from_pairs(symbols.pairs(&series.labels));
            let number = self.insert(&labels, hash_texts(&self.hasher, labels.iter()));
            (self.series[number as usize].open, self.series[number as usize].closed) = (series.open, series.closed);
            waiting.map(|builder| self.late.insert(number, builder));
        }
    }
}

impl Postings for Head {
    type Error = Infallible;

    fn all(&self) -> Result<Vec<u32>, Infallible> {
        Ok((0..self.series.len() as u32).collect())
    }

    fn with_value(&self, name: &str, value: &str) -> Result<Vec<u32>, Infallible> {
        let list = || {
            let (name, value) = (self.symbols.numbers.get(name)?, self.symbols.numbers.get(value)?);
            self.postings.get(name)?.get(value)
        };
        Ok(list().cloned().unwrap_or_default())
    }

    fn with_values(&self, name: &str, accepts: &dyn Fn(&str) -> bool) -> Result<Vec<u32>, Infallible> {
        let Some(values) = self.symbols.numbers.get(name).and_then(|name| self.postings.get(name)) else {
            return Ok(Vec::new());
        };
        let accepted = values.iter().filter(|(value, _)| accepts(self.symbols.text(**value)));
        Ok(union(accepted.map(|(_, list)| list.clone()).collect()))
    }
}

fn same_partition(left: i64, right: i64, partition_ms: i64) -> bool {
    left.div_euclid(partition_ms) == right.div_euclid(partition_ms)
}

fn same_labels(series: &HeadSeries, symbols: &Symbols, labels: &Labels) -> bool {
    series.labels.len() == labels.len() && symbols.pairs(&series.labels).eq(labels.iter())
}

fn hash_texts<'a>(builder: &DefaultHashBuilder, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = builder.build_hasher();
    for (name, value) in pairs {
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(value.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish()
}

/// A histogram with more buckets than a chunk holds, made coarser until it fits.
fn bounded(sample: &Sample) -> Option<Sample> {
    let Value::Histogram(histogram) = &sample.value else { return None };
    if histogram.counts.len() <= MAX_BUCKETS {
        return None;
    }
    let mut coarse = ExpHistogram::clone(histogram);
    while coarse.counts.len() > MAX_BUCKETS {
        coarse = half(&coarse);
    }
    Some(Sample { time_ms: sample.time_ms, value: Value::Histogram(Arc::new(coarse)) })
}

/// One scale coarser: two neighbours become one.
fn half(fine: &ExpHistogram) -> ExpHistogram {
    let first = fine.offset >> 1;
    let odd = (fine.offset & 1) as usize;
    let mut counts = vec![0u64; (fine.counts.len() + odd).div_ceil(2)];
    for (at, count) in fine.counts.iter().enumerate() {
        counts[(at + odd) / 2] = counts[(at + odd) / 2].wrapping_add(*count);
    }
    ExpHistogram { scale: fine.scale.saturating_sub(1), offset: first, counts, ..fine.clone() }
}
