//! A run of samples of one series in few bytes.
//!
//! All samples of a chunk have the same kind and the same start of their cumulative count; another start opens
//! another chunk, so that no reset is lost. Everything is in whole bytes, so that zstd can still find the repetitions:
//!
//! - times: the difference of the differences, one byte for a steady interval;
//! - whole numbers: the difference to the one before; other floats: XOR with the one before, without its zero bytes;
//! - histograms: only the buckets that grew since the one before, as (buckets skipped, growth).

use super::varint::{Reader, put, put_signed};
use limpid_model::{ExpHistogram, Sample, Value};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// A chunk is closed at this many samples, so that reading an instant stays cheap.
pub const MAX_SAMPLES: u32 = 240;
const MAX_HISTOGRAMS: u32 = 120;
/// Histograms beyond it are downscaled on the way in.
pub const MAX_BUCKETS: usize = 1024;
/// Floats up to here are exact as whole numbers.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Whole = 1,
    Float = 2,
    Histogram = 3,
}

impl Kind {
    pub fn from_number(number: u8) -> Option<Self> {
        [Kind::Whole, Kind::Float, Kind::Histogram].into_iter().find(|kind| *kind as u8 == number)
    }

    fn of(value: &Value) -> Kind {
        match value {
            Value::Histogram(_) => Kind::Histogram,
            Value::Float(value) if is_whole(*value) => Kind::Whole,
            Value::Float(_) => Kind::Float,
        }
    }
}

fn is_whole(value: f64) -> bool {
    // Negative zero is equal to zero, yet not the same: PromQL can tell them apart.
    value.abs() <= MAX_WHOLE && value as i64 as f64 == value && (value != 0.0 || value.is_sign_positive())
}

/// What is known of a chunk without its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    pub kind: Kind,
    pub first_ms: i64,
    pub last_ms: i64,
    pub start_ms: i64,
    pub samples: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    pub header: Header,
    pub bytes: Box<[u8]>,
    /// The same at the finest grain, once somebody has asked for it.
    pub coarse: OnceLock<Option<Arc<Chunk>>>,
}

impl Deref for Chunk {
    type Target = Header;

    fn deref(&self) -> &Header {
        &self.header
    }
}

impl Chunk {
    pub fn new(header: Header, bytes: Box<[u8]>) -> Chunk {
        Chunk { header, bytes, coarse: OnceLock::new() }
    }
}

impl Header {
    /// Does `next` count on from where this one ends?
    pub fn goes_on_in(&self, next: &Header) -> bool {
        next.first_ms > self.last_ms && next.kind == self.kind && next.start_ms == self.start_ms
    }
}

/// A chunk that still grows.
#[derive(Debug)]
pub struct Builder {
    kind: Kind,
    samples: u32,
    first_ms: i64,
    last_ms: i64,
    interval_ms: i64,
    start_ms: i64,
    /// The last whole number, or the bits of the last float or sum.
    last: u64,
    last_histogram: Option<Box<ExpHistogram>>,
    bytes: Vec<u8>,
}

impl Builder {
    pub fn new(start_ms: i64, sample: &Sample) -> Self {
        let mut builder = Builder {
            kind: Kind::of(&sample.value),
            samples: 0,
            first_ms: sample.time_ms,
            last_ms: sample.time_ms,
            interval_ms: 0,
            start_ms,
            last: 0,
            last_histogram: None,
            bytes: Vec::new(),
        };
        builder.append(sample);
        builder
    }

    pub fn first_ms(&self) -> i64 {
        self.first_ms
    }

    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// Does the sample belong here? Else this chunk is closed and another one opened.
    pub fn accepts(&self, start_ms: i64, sample: &Sample) -> bool {
        let fits = match (&sample.value, self.kind) {
            (Value::Float(value), Kind::Whole) => is_whole(*value),
            (Value::Float(_), Kind::Float) => true,
            (Value::Histogram(next), Kind::Histogram) => {
                self.last_histogram.as_ref().is_some_and(|last| last.scale == next.scale)
            }
            _ => false,
        };
        let limit = if self.kind == Kind::Histogram { MAX_HISTOGRAMS } else { MAX_SAMPLES };
        fits && start_ms == self.start_ms && self.samples < limit && sample.time_ms > self.last_ms
    }

    pub fn append(&mut self, sample: &Sample) {
        let interval_ms = sample.time_ms.wrapping_sub(self.last_ms);
        put_signed(&mut self.bytes, interval_ms.wrapping_sub(self.interval_ms));
        (self.interval_ms, self.last_ms) = (interval_ms, sample.time_ms);
        match &sample.value {
            Value::Float(value) if self.kind == Kind::Whole => {
                let whole = *value as i64;
                put_signed(&mut self.bytes, whole.wrapping_sub(self.last as i64));
                self.last = whole as u64;
            }
            Value::Float(value) => self.append_bits(value.to_bits()),
            Value::Histogram(histogram) => self.append_histogram(histogram),
        }
        self.samples += 1;
    }

    fn append_bits(&mut self, bits: u64) {
        put_float(&mut self.bytes, bits ^ self.last);
        self.last = bits;
    }

    fn append_histogram(&mut self, next: &ExpHistogram) {
        let before = self.last_histogram.take();
        if before.is_none() {
            self.bytes.push(next.scale as u8);
        }
        let mut last =
            before.unwrap_or_else(|| Box::new(ExpHistogram { scale: next.scale, ..ExpHistogram::default() }));
        put_signed(&mut self.bytes, next.count.wrapping_sub(last.count) as i64);
        put_signed(&mut self.bytes, next.zero_count.wrapping_sub(last.zero_count) as i64);
        self.append_bits(next.sum.to_bits());
        put_signed(&mut self.bytes, i64::from(next.offset) - i64::from(last.offset));
        put_signed(&mut self.bytes, next.counts.len() as i64 - last.counts.len() as i64);
        put_growth(&mut self.bytes, &last, next);
        ExpHistogram::clone_from(&mut last, next);
        self.last_histogram = Some(last);
    }

    pub fn close(self) -> Chunk {
        Chunk::new(self.header(), self.bytes.into_boxed_slice())
    }

    pub fn snapshot(&self) -> Chunk {
        Chunk::new(self.header(), self.bytes.as_slice().into())
    }

    fn header(&self) -> Header {
        Header {
            kind: self.kind,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            start_ms: self.start_ms,
            samples: self.samples,
        }
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        let histogram =
            self.last_histogram.as_ref().map_or(0, |last| size_of::<ExpHistogram>() + last.counts.capacity() * 8);
        self.bytes.capacity() + histogram
    }
}

/// One byte with the counts of leading and trailing zero bytes, then what is between them.
fn put_float(out: &mut Vec<u8>, xor: u64) {
    let leading = xor.leading_zeros() / 8;
    if leading == 8 {
        out.push(0x80);
        return;
    }
    let trailing = xor.trailing_zeros() / 8;
    out.push((leading << 3 | trailing) as u8);
    let bytes = xor.to_be_bytes();
    out.extend_from_slice(&bytes[leading as usize..8 - trailing as usize]);
}

fn read_float(reader: &mut Reader<'_>) -> Option<u64> {
    let header = reader.byte()?;
    if header == 0x80 {
        return Some(0);
    }
    let (leading, trailing) = (usize::from(header >> 3 & 7), usize::from(header & 7));
    let significant = 8usize.checked_sub(leading + trailing)?;
    let mut bytes = [0; 8];
    bytes[leading..leading + significant].copy_from_slice(reader.take(significant)?);
    Some(u64::from_be_bytes(bytes))
}

/// How often the bucket with this index was hit.
fn count_at(histogram: &ExpHistogram, index: i64) -> u64 {
    usize::try_from(index - i64::from(histogram.offset))
        .ok()
        .and_then(|at| histogram.counts.get(at))
        .copied()
        .unwrap_or(0)
}

fn put_growth(out: &mut Vec<u8>, last: &ExpHistogram, next: &ExpHistogram) {
    let grown = |at: usize| next.counts[at].wrapping_sub(count_at(last, i64::from(next.offset) + at as i64)) as i64;
    let changes = (0..next.counts.len()).filter(|at| grown(*at) != 0).count();
    put(out, changes as u64);
    let mut skipped = 0;
    for at in 0..next.counts.len() {
        match grown(at) {
            0 => skipped += 1,
            growth => {
                put(out, skipped);
                put_signed(out, growth);
                skipped = 0;
            }
        }
    }
}

/// Which samples of a series a reader asks for.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All from one time to another, both included.
    Between(i64, i64),
    /// For each of these ascending moments the last sample at or before it.
    At(&'a [i64]),
    /// For each multiple of so many milliseconds the last sample at or before it.
    Every(i64),
}

impl Wanted<'_> {
    /// Is the sample of `time_ms` asked for, when the one after it is of `next_ms`?
    fn takes(&self, time_ms: i64, next_ms: i64) -> bool {
        match self {
            Wanted::Between(from, to) => (*from..=*to).contains(&time_ms),
            Wanted::At(moments) => {
                let following = moments.partition_point(|moment| *moment < time_ms);
                moments.get(following).is_some_and(|moment| *moment < next_ms)
            }
            Wanted::Every(grain_ms) => ceiling(time_ms, *grain_ms) < next_ms,
        }
    }
}

/// The first multiple of `grain_ms` at or after `time_ms`.
pub fn ceiling(time_ms: i64, grain_ms: i64) -> i64 {
    let begun = time_ms.rem_euclid(grain_ms);
    if begun == 0 { time_ms } else { time_ms.saturating_add(grain_ms - begun) }
}

impl Wanted<'_> {
    /// Must `chunk` be decoded, when `next` follows it? It holds the last sample at the moments before the next one
    /// begins, and the last state of a counter that begins anew there.
    pub fn needs(&self, chunk: &Header, next: Option<&Header>) -> bool {
        let (Wanted::At(moments), Some(next)) = (self, next) else { return true };
        let goes_on = chunk.goes_on_in(next);
        let following = moments.partition_point(|moment| *moment < chunk.first_ms);
        !goes_on || moments.get(following).is_some_and(|moment| *moment < next.first_ms)
    }
}

/// The value that a reader stands at; histograms grow in place and are copied only where they are asked for.
struct Cursor {
    kind: Kind,
    last: u64,
    histogram: ExpHistogram,
}

impl Cursor {
    fn advance(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        match self.kind {
            Kind::Whole => self.last = (self.last as i64).wrapping_add(reader.signed()?) as u64,
            Kind::Float => self.last ^= read_float(reader)?,
            Kind::Histogram => grow(&mut self.histogram, &mut self.last, reader)?,
        }
        Some(())
    }

    fn value(&self) -> Lent<'_> {
        match self.kind {
            Kind::Whole => Lent::Float(self.last as i64 as f64),
            Kind::Float => Lent::Float(f64::from_bits(self.last)),
            Kind::Histogram => Lent::Histogram(&self.histogram),
        }
    }
}

/// A value that a reader stands at, and must copy to keep.
pub enum Lent<'a> {
    Float(f64),
    Histogram(&'a ExpHistogram),
}

impl Lent<'_> {
    fn to_value(&self) -> Value {
        match self {
            Lent::Float(value) => Value::Float(*value),
            Lent::Histogram(histogram) => Value::Histogram(Arc::new(ExpHistogram::clone(histogram))),
        }
    }
}

/// The samples of a chunk that are asked for. `None` when the bytes are damaged.
pub fn decode(chunk: &Chunk, wanted: Wanted<'_>) -> Option<Vec<Sample>> {
    let mut samples = Vec::new();
    decode_each(chunk, wanted, |time_ms, value| samples.push(Sample { time_ms, value: value.to_value() }))?;
    Some(samples)
}

/// As `decode`, without a copy. When it turns out that the bytes are damaged, some samples have been lent already.
pub fn decode_each(chunk: &Chunk, wanted: Wanted<'_>, mut each: impl FnMut(i64, Lent<'_>)) -> Option<()> {
    let mut reader = Reader::new(&chunk.bytes);
    let mut cursor = Cursor { kind: chunk.kind, last: 0, histogram: ExpHistogram::default() };
    let (mut time_ms, mut interval_ms) = (chunk.first_ms, 0i64);
    for at in 0..chunk.samples {
        interval_ms = interval_ms.wrapping_add(reader.signed()?);
        let next_ms = time_ms.wrapping_add(interval_ms);
        if at == 0 && chunk.kind == Kind::Histogram {
            // The first sample's scale comes before its value.
            cursor.histogram.scale = reader.byte()? as i8;
        } else if at > 0 && wanted.takes(time_ms, next_ms) {
            each(time_ms, cursor.value());
        }
        time_ms = next_ms;
        cursor.advance(&mut reader)?;
    }
    if chunk.samples > 0 && wanted.takes(time_ms, i64::MAX) {
        each(time_ms, cursor.value());
    }
    Some(())
}

/// Makes a histogram the next one of its chunk.
fn grow(histogram: &mut ExpHistogram, sum: &mut u64, reader: &mut Reader<'_>) -> Option<()> {
    histogram.count = histogram.count.wrapping_add(reader.signed()? as u64);
    histogram.zero_count = histogram.zero_count.wrapping_add(reader.signed()? as u64);
    *sum ^= read_float(reader)?;
    histogram.sum = f64::from_bits(*sum);
    let offset = i32::try_from(i64::from(histogram.offset).checked_add(reader.signed()?)?).ok()?;
    let length = usize::try_from((histogram.counts.len() as i64).checked_add(reader.signed()?)?).ok()?;
    if length > MAX_BUCKETS {
        return None;
    }
    if offset == histogram.offset {
        histogram.counts.resize(length, 0);
    } else {
        histogram.counts = (0..length).map(|at| count_at(histogram, i64::from(offset) + at as i64)).collect();
        histogram.offset = offset;
    }
    let mut at = 0;
    for _ in 0..reader.length(length)? {
        at += reader.length(length)?;
        let count = histogram.counts.get_mut(at)?;
        *count = count.wrapping_add(reader.signed()? as u64);
        at += 1;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use limpid_model::series::STALE_NAN_BITS;

    fn float(time_ms: i64, value: f64) -> Sample {
        Sample { time_ms, value: Value::Float(value) }
    }

    /// Builds as the head does: what a chunk does not accept opens the next one.
    fn chunks(samples: &[Sample]) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        let mut open: Option<Builder> = None;
        for sample in samples {
            match &mut open {
                Some(builder) if builder.accepts(0, sample) => builder.append(sample),
                _ => chunks.extend(open.replace(Builder::new(0, sample)).map(Builder::close)),
            }
        }
        chunks.extend(open.map(Builder::close));
        chunks
    }

    fn bits(sample: &Sample) -> (i64, Option<u64>) {
        match &sample.value {
            Value::Float(value) => (sample.time_ms, Some(value.to_bits())),
            Value::Histogram(_) => (sample.time_ms, None),
        }
    }

    #[test]
    fn floats_come_back_to_the_bit() {
        let values = [
            0.0,
            -0.0,
            1.0,
            2.0,
            1e15,
            -7.0,
            0.1,
            0.2,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MIN_POSITIVE,
            f64::MAX,
            MAX_WHOLE,
            MAX_WHOLE * 2.0,
            f64::from_bits(STALE_NAN_BITS),
            3.0,
            3.0,
        ];
        let mut samples = Vec::new();
        for round in 0..40 {
            for (at, value) in values.iter().enumerate() {
                samples.push(float(
                    1_700_000_000_000 + (round * values.len() + at) as i64 * 10_000 + (at as i64 % 3),
                    *value,
                ));
            }
        }
        let read: Vec<Sample> = chunks(&samples)
            .iter()
            .flat_map(|chunk| decode(chunk, Wanted::Between(i64::MIN, i64::MAX)).unwrap())
            .collect();
        assert_eq!(read.iter().map(bits).collect::<Vec<_>>(), samples.iter().map(bits).collect::<Vec<_>>());
    }

    #[test]
    fn a_steady_counter_costs_little() {
        let samples: Vec<Sample> = (0..240).map(|at| float(at * 10_000, (at * 37) as f64)).collect();
        let chunks = chunks(&samples);
        assert_eq!(chunks.len(), 1);
        assert!(chunks[0].bytes.len() <= 240 * 3 + 16, "{} bytes", chunks[0].bytes.len());
    }

    #[test]
    fn histograms_come_back_through_growth_on_both_sides_and_resets() {
        let mut histogram = ExpHistogram::default();
        let mut samples = Vec::new();
        let mut state = 1u64;
        for at in 0..500i64 {
            for _ in 0..at % 7 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                histogram.record_ns(1_000 + (state >> 33) % (1 << (10 + at % 20)));
            }
            if at == 300 {
                histogram = ExpHistogram::default();
            }
            if at == 400 {
                histogram.downscale(1);
            }
            samples.push(Sample { time_ms: at * 10_000, value: Value::Histogram(Arc::new(histogram.clone())) });
        }
        let read: Vec<Sample> = chunks(&samples)
            .iter()
            .flat_map(|chunk| decode(chunk, Wanted::Between(i64::MIN, i64::MAX)).unwrap())
            .collect();
        assert_eq!(read, samples);
        let part: Vec<Sample> =
            chunks(&samples).iter().flat_map(|chunk| decode(chunk, Wanted::Between(50_000, 90_000)).unwrap()).collect();
        assert_eq!(part, samples[5..=9]);
    }

    #[test]
    fn damage_is_no_panic() {
        let mut histogram = ExpHistogram::default();
        let samples: Vec<Sample> = (1..50u64)
            .map(|at| {
                histogram.record_ns(at * 1_000_003);
                Sample { time_ms: at as i64, value: Value::Histogram(Arc::new(histogram.clone())) }
            })
            .collect();
        let whole = &chunks(&samples)[0];
        for at in 0..whole.bytes.len() {
            let mut damaged = whole.clone();
            damaged.bytes[at] ^= 0xff;
            decode(&damaged, Wanted::Between(i64::MIN, i64::MAX));
            damaged.bytes = whole.bytes[..at].into();
            assert!(decode(&damaged, Wanted::Between(i64::MIN, i64::MAX)).is_none());
        }
    }
}
