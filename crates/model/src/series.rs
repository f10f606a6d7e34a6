//! Metric series as PromQL sees them.

use crate::{ExpHistogram, Growth, Text};
use std::sync::Arc;

/// Prometheus' staleness marker: a series that ends carries it as its last value.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Label pairs sorted by name, `__name__` among them; no name twice, no empty value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Vec<(Text, Text)>);

impl Labels {
    pub fn from_pairs<N: Into<Text>, V: Into<Text>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(Text, Text)> = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.sort();
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        Labels(pairs)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(have, _)| have.as_str().cmp(name)).ok()?;
        Some(self.0[at].1.as_str())
    }

    pub fn name(&self) -> &str {
        self.get("__name__").unwrap_or_default()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Float(f64),
    /// Cumulative since `start_ms` of its sample.
    Histogram(Arc<ExpHistogram>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub time_ms: i64,
    pub value: Value,
}

/// One sample of one series, as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub labels: Labels,
    /// Start of the cumulative count (OTLP `start_time_unix_nano`), 0 for a gauge.
    pub start_ms: i64,
    pub sample: Sample,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

impl MetricType {
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
        }
    }
}

/// What `/api/v1/metadata` says of one metric name.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    pub name: Text,
    pub kind: MetricType,
    pub unit: Text,
    pub help: Text,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Ascending in time, no time twice.
    pub samples: Vec<Sample>,
    /// For each sample the start of its cumulative count, 0 where there is none. A later start than the sample's
    /// before means that the counter began anew. Empty where no start is known at all.
    pub starts: Vec<i64>,
}

impl Series {
    /// Keeps what `SeriesSource::select_at` promises.
    pub fn keep_at(&mut self, times_ms: &[i64], lookback_ms: i64) {
        let live = |sample: &Sample| !matches!(sample.value, Value::Float(value) if is_stale(value));
        let mut keep = vec![false; self.samples.len()];
        let (mut next, mut last) = (0, None);
        for time_ms in times_ms {
            while let Some(sample) = self.samples.get(next).filter(|sample| sample.time_ms <= *time_ms) {
                last = if live(sample) { Some(next) } else { last };
                next += 1;
            }
            let recent = |at: &usize| self.samples[*at].time_ms >= time_ms.saturating_sub(lookback_ms);
            if let Some(at) = last.filter(recent) {
                keep[at] = true;
            }
        }
        for at in 1..self.starts.len().min(keep.len()) {
            if self.starts[at] != self.starts[at - 1] && live(&self.samples[at - 1]) {
                keep[at - 1] = true;
            }
        }
        let mut kept = keep.iter();
        self.samples.retain(|_| kept.next().copied().unwrap_or(false));
        if !self.starts.is_empty() {
            let mut kept = keep.iter();
            self.starts.retain(|_| kept.next().copied().unwrap_or(false));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    Equal,
    NotEqual,
    /// Anchored at both ends, as in Prometheus.
    Regex,
    NotRegex,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub name: Text,
    pub op: MatchOp,
    pub value: Text,
}

impl Matcher {
    pub fn equal(name: impl Into<Text>, value: impl Into<Text>) -> Self {
        Matcher { name: name.into(), op: MatchOp::Equal, value: value.into() }
    }
}

/// Where series come from: the store, or a test's own data.
pub trait SeriesSource: Send + Sync {
    /// All series that match, with their samples in `start_ms..=end_ms`. A missing label matches as the empty string.
    /// Native histograms only: the computed `_bucket`, `_count` and `_sum` are the evaluator's affair.
    fn select(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Series>, SourceError>;
    /// As `select`, one series after another until `each` says false, so that what is folded at once needs no room for
    /// all. A source that can decode a series at a time should.
    fn select_each(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(Series) -> bool,
    ) -> Result<(), SourceError> {
        for series in self.select(matchers, start_ms, end_ms)? {
            if !each(series) {
                break;
            }
        }
        Ok(())
    }
    /// Of every series that matches, the last sample at or before each of these ascending times, if it is not older
    /// than `lookback_ms`; staleness markers are passed over, no sample comes twice. So does the last sample before a
    /// counter began anew, or what it counted since the moment before would be lost. For totals over a range this needs
    /// some dozen samples a series in place of hundreds; a source that can skip the others should.
    fn select_at(&self, matchers: &[Matcher], times_ms: &[i64], lookback_ms: i64) -> Result<Vec<Series>, SourceError> {
        let (Some(first), Some(last)) = (times_ms.first(), times_ms.last()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        self.select_each(matchers, first.saturating_sub(lookback_ms), *last, &mut |mut series| {
            series.keep_at(times_ms, lookback_ms);
            if !series.samples.is_empty() {
                found.push(series);
            }
            true
        })?;
        Ok(found)
    }
    /// What the histograms that `select_at` would give grew by, one after the other. A source that can lend them to a
    /// [`Counter`](crate::growth::Counter) should: a copy of each costs more than all the rest.
    fn growth_at(&self, matchers: &[Matcher], times_ms: &[i64], lookback_ms: i64) -> Result<Vec<Growth>, SourceError> {
        let first_ms = times_ms.first().copied().unwrap_or(0);
        let series = self.select_at(matchers, times_ms, lookback_ms)?;
        Ok(series.into_iter().map(|series| Growth::of(series, first_ms)).collect())
    }
    /// The labels alone of what `select` would give.
    fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, SourceError>;
    fn metadata(&self) -> Vec<Metadata>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// The query asked for more than the limit allows; the text says what and how much.
    TooMuch(String),
    /// A matcher's regular expression does not parse.
    BadRegex(String),
    Unavailable(String),
}

impl std::fmt::Display for SourceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SourceError::TooMuch(text) | SourceError::BadRegex(text) | SourceError::Unavailable(text) => {
                f.write_str(text)
            }
        }
    }
}

impl std::error::Error for SourceError {}
