//! Where the evaluator's samples come from.
//!
//! [`Adapter`] reads a [`SeriesSource`] and adds what is computed at query time: every native histogram `x` also
//! answers as `x_bucket{le}` on a fixed ladder, as `x_count` and as `x_sum`, as long as no stored series has that name.
//! So rules and dashboards made for classic histograms work as they are.

use super::histogram::Histogram;
use super::labels::{BUCKET_BOUND, NAME, set};
use super::steps::Sample;
use limpid_model::series::{MatchOp, MetricType, SourceError};
use limpid_model::{ExpHistogram, Labels, Matcher, SeriesSource, Value};
use promql_parser::label as parsed;
use std::sync::Arc;

/// Upper bounds in seconds, from half a millisecond to a minute.
pub const LADDER: [(f64, &str); 17] = [
    (0.0005, "0.0005"),
    (0.001, "0.001"),
    (0.0025, "0.0025"),
    (0.005, "0.005"),
    (0.01, "0.01"),
    (0.025, "0.025"),
    (0.05, "0.05"),
    (0.1, "0.1"),
    (0.25, "0.25"),
    (0.5, "0.5"),
    (1.0, "1"),
    (2.5, "2.5"),
    (5.0, "5"),
    (10.0, "10"),
    (30.0, "30"),
    (60.0, "60"),
    (f64::INFINITY, "+Inf"),
];

/// As stored: histograms stay as they are until their buckets are needed.
#[derive(Clone, Debug)]
pub enum RawValue {
    Float(f64),
    Native(Arc<ExpHistogram>),
    Histogram(Arc<Histogram>),
}

#[derive(Clone, Debug)]
pub struct RawSample {
    pub time_ms: i64,
    pub value: RawValue,
}

impl RawValue {
    pub fn is_float(&self) -> bool {
        matches!(self, RawValue::Float(_))
    }

    pub fn sample(&self) -> Sample {
        match self {
            RawValue::Float(value) => Sample::Float(*value),
            RawValue::Native(histogram) => Sample::Histogram(Arc::new(Histogram::from(&**histogram))),
            RawValue::Histogram(histogram) => Sample::Histogram(histogram.clone()),
        }
    }

    pub fn histogram(&self) -> Option<Arc<Histogram>> {
        match self.sample() {
            Sample::Histogram(histogram) => Some(histogram),
            Sample::Float(_) => None,
        }
    }

    pub fn is_stale(&self) -> bool {
        matches!(self, RawValue::Float(value) if limpid_model::series::is_stale(*value))
    }
}

impl From<Sample> for RawValue {
    fn from(sample: Sample) -> Self {
        match sample {
            Sample::Float(value) => RawValue::Float(value),
            Sample::Histogram(histogram) => RawValue::Histogram(histogram),
        }
    }
}

#[derive(Clone, Debug)]
pub struct RawSeries {
    pub labels: Labels,
    /// Set for the result of a subquery whose name is to be dropped.
    pub drop_name: bool,
    /// Ascending in time.
    pub samples: Vec<RawSample>,
}

/// The evaluator's own view of a source: as [`SeriesSource`], with any kind of histogram.
pub trait SampleSource {
    /// Gives the series that match one after another, until `each` says false.
    fn select_each(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(RawSeries) -> bool,
    ) -> Result<(), SourceError>;
}

pub struct Adapter<'a>(pub &'a dyn SeriesSource);

impl SampleSource for Adapter<'_> {
    fn select_each(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(RawSeries) -> bool,
    ) -> Result<(), SourceError> {
        let mut any = false;
        self.0.select_each(matchers, start_ms, end_ms, &mut |series| {
            any = true;
            each(raw_series(series))
        })?;
        let Some(computed) = Computed::of(matchers).filter(|_| !any) else { return Ok(()) };
        let mut expand = |series| computed.expand(&raw_series(series)).into_iter().all(&mut *each);
        self.0.select_each(&computed.matchers, start_ms, end_ms, &mut expand)
    }
}

impl Adapter<'_> {
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, SourceError> {
        let stored = self.0.series(matchers, start_ms, end_ms)?;
        let Some(computed) = Computed::of(matchers).filter(|_| stored.is_empty()) else { return Ok(stored) };
        let histogram = |name: &str| {
            self.0.metadata().iter().any(|metadata| metadata.name == name && metadata.kind == MetricType::Histogram)
        };
        let native = self.0.series(&computed.matchers, start_ms, end_ms)?;
        let native = native.into_iter().filter(|labels| histogram(labels.name()));
        Ok(native.flat_map(|labels| computed.label_sets(&labels)).map(|(labels, _)| labels).collect())
    }
}

/// For each native histogram the names that are computed from it: (`x`, `x_bucket`) …
pub fn computed_names(source: &dyn SeriesSource) -> Vec<(String, String)> {
    let metadata = source.metadata();
    let histograms = metadata.iter().filter(|metadata| metadata.kind == MetricType::Histogram);
    let names = |name: &str| Part::ALL.map(|part| (name.to_string(), format!("{name}{}", part.suffix())));
    histograms.flat_map(|metadata| names(&metadata.name)).collect()
}

fn raw_series(series: limpid_model::Series) -> RawSeries {
    let raw = |sample: limpid_model::Sample| RawSample {
        time_ms: sample.time_ms,
        value: match sample.value {
            Value::Float(value) => RawValue::Float(value),
            Value::Histogram(histogram) => RawValue::Native(histogram),
        },
    };
    RawSeries { labels: series.labels, drop_name: false, samples: series.samples.into_iter().map(raw).collect() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Bucket,
    Count,
    Sum,
}

impl Part {
    const ALL: [Part; 3] = [Part::Bucket, Part::Count, Part::Sum];

    fn suffix(self) -> &'static str {
        match self {
            Part::Bucket => "_bucket",
            Part::Count => "_count",
            Part::Sum => "_sum",
        }
    }
}

/// A selector on a computed name, taken apart.
struct Computed {
    part: Part,
    name: String,
    /// For the native histogram itself: its own name, and nothing about `le`.
    matchers: Vec<Matcher>,
    bounds: Vec<(f64, &'static str)>,
}

impl Computed {
    fn of(matchers: &[Matcher]) -> Option<Computed> {
        let name = matchers.iter().find(|matcher| matcher.name == NAME && matcher.op == MatchOp::Equal)?;
        let part = Part::ALL.into_iter().find(|part| name.value.ends_with(part.suffix()))?;
        let native = name.value.strip_suffix(part.suffix()).filter(|native| !native.is_empty())?;
        let is_bound = |matcher: &&Matcher| part == Part::Bucket && matcher.name == BUCKET_BOUND;
        let others = matchers.iter().filter(|matcher| matcher.name != NAME && !is_bound(matcher)).cloned();
        let on_bound: Vec<parsed::Matcher> = matchers.iter().filter(is_bound).filter_map(parsed_matcher).collect();
        let bounds = match part {
            Part::Bucket => LADDER.into_iter().filter(|(_, text)| on_bound.iter().all(|m| m.is_match(text))).collect(),
            Part::Count | Part::Sum => vec![(f64::NAN, "")],
        };
        Some(Computed {
            part,
            name: name.value.to_string(),
            matchers: std::iter::once(Matcher::equal(NAME, native)).chain(others).collect(),
            bounds,
        })
    }

    fn label_sets(&self, native: &Labels) -> Vec<(Labels, f64)> {
        let named = set(native, NAME, &self.name);
        let with_bound = |text: &str| if text.is_empty() { named.clone() } else { set(&named, BUCKET_BOUND, text) };
        self.bounds.iter().map(|(bound, text)| (with_bound(text), *bound)).collect()
    }

    fn expand(&self, native: &RawSeries) -> Vec<RawSeries> {
        if !native.samples.iter().any(|sample| matches!(sample.value, RawValue::Native(_))) {
            return Vec::new();
        }
        let empty = |(labels, _)| RawSeries { labels, drop_name: false, samples: Vec::new() };
        let mut out: Vec<RawSeries> = self.label_sets(&native.labels).into_iter().map(empty).collect();
        let mut rungs = Rungs::default();
        for sample in &native.samples {
            let values = match &sample.value {
                RawValue::Native(histogram) => self.values(histogram, &mut rungs),
                stale if stale.is_stale() => vec![f64::from_bits(limpid_model::series::STALE_NAN_BITS); out.len()],
                _ => continue,
            };
            for (series, value) in out.iter_mut().zip(values) {
                series.samples.push(RawSample { time_ms: sample.time_ms, value: RawValue::Float(value) });
            }
        }
        out
    }

    fn values(&self, histogram: &ExpHistogram, rungs: &mut Rungs) -> Vec<f64> {
        match self.part {
            Part::Sum => vec![histogram.sum],
            Part::Count => vec![histogram.count as f64],
            Part::Bucket => cumulative(histogram, rungs.at(histogram.scale, &self.bounds)),
        }
    }
}

/// Where a bound lies among the buckets of a scale: its bucket, and which share of that bucket lies below it. With
/// exponential interpolation the share depends on the scale alone, so that a computed bucket never decreases while its
/// histogram grows.
#[derive(Clone, Copy)]
struct Rung {
    bucket: i64,
    share: f64,
}

#[derive(Default)]
struct Rungs(Option<(i8, Vec<Rung>)>);

impl Rungs {
    fn at(&mut self, scale: i8, bounds: &[(f64, &str)]) -> &[Rung] {
        if self.0.as_ref().is_none_or(|(have, _)| *have != scale) {
            let rung = |(bound, _): &(f64, &str)| {
                let at = bound.log2() * f64::from(scale).exp2();
                // The highest bucket of all for +Inf: a conversion from a float saturates.
                Rung { bucket: at.floor() as i64, share: if at.is_finite() { at - at.floor() } else { 0.0 } }
            };
            self.0 = Some((scale, bounds.iter().map(rung).collect()));
        }
        self.0.as_ref().map_or(&[], |(_, rungs)| rungs)
    }
}

/// How many observations lie at or below each rung; the rungs ascend.
fn cumulative(histogram: &ExpHistogram, rungs: &[Rung]) -> Vec<f64> {
    let mut below = histogram.zero_count;
    let mut counts = histogram.counts.iter().zip(i64::from(histogram.offset)..).peekable();
    let value = |rung: &Rung| {
        if rung.bucket == i64::MAX {
            return histogram.count as f64;
        }
        while let Some((count, _)) = counts.next_if(|(_, bucket)| *bucket < rung.bucket) {
            below = below.saturating_add(*count);
        }
        let within = counts.peek().filter(|(_, bucket)| *bucket == rung.bucket).map_or(0, |(count, _)| **count);
        below as f64 + rung.share * within as f64
    };
    rungs.iter().map(value).collect()
}

fn parsed_matcher(matcher: &Matcher) -> Option<parsed::Matcher> {
    use promql_parser::parser::token::{T_EQL, T_EQL_REGEX, T_NEQ, T_NEQ_REGEX};
    let id = match matcher.op {
        MatchOp::Equal => T_EQL,
        MatchOp::NotEqual => T_NEQ,
        MatchOp::Regex => T_EQL_REGEX,
        MatchOp::NotRegex => T_NEQ_REGEX,
    };
    // A regular expression that does not parse was refused with the query already.
    parsed::Matcher::new_matcher(id, matcher.name.to_string(), matcher.value.to_string()).ok()
}
