//! `ExportMetricsServiceRequest` into points. Names and labels follow OpenTelemetry's "Prometheus and OpenMetrics
//! compatibility". Source: opentelemetry/proto/metrics/v1/metrics.proto.

use crate::attributes::{key_value, text};
use crate::wire::{Value as Wire, fields, packed_fixed64, packed_varints, zigzag};
use limpid_model::batch::Batch;
use limpid_model::names::prometheus_name;
use limpid_model::series::{Labels, Metadata, MetricType, Point, STALE_NAN_BITS, Sample, Value};
use limpid_model::{ExpHistogram, Text};
use std::sync::Arc;

const MAX_LABELS: usize = 64;
const MAX_BUCKETS: usize = 4096;
/// Cumulative in `AggregationTemporality`; delta points are rejected and counted.
const CUMULATIVE: u64 = 2;
/// `DataPointFlags.NO_RECORDED_VALUE_MASK`: the series ended.
const NO_RECORDED_VALUE: u64 = 1;

type Pairs = Vec<(Text, Text)>;

pub fn decode(message: &[u8]) -> Batch {
    let mut batch = Batch::default();
    let mut walk = fields(message);
    for (_, resource_metrics) in walk.by_ref().filter(|(field, _)| *field == 1) {
        let resource_metrics = resource_metrics.bytes();
        let target = fields(resource_metrics).find(|(field, _)| *field == 1).map(|(_, value)| target(value.bytes()));
        let target = target.unwrap_or_default();
        for (_, scope) in fields(resource_metrics).filter(|(field, _)| *field == 2) {
            for (_, metric) in fields(scope.bytes()).filter(|(field, _)| *field == 2) {
                decode_metric(metric.bytes(), &target, &mut batch);
            }
        }
    }
    batch.rejected += u64::from(walk.damaged);
    batch
}

/// `job` and `instance`, from the resource.
fn target(resource: &[u8]) -> Pairs {
    let mut pairs = Pairs::new();
    for (_, pair) in fields(resource).filter(|(field, _)| *field == 1) {
        match key_value(pair.bytes()) {
            ("service.name", value) => pairs.push(("job".into(), text(value).into())),
            ("service.instance.id", value) => pairs.push(("instance".into(), text(value).into())),
            _ => {}
        }
    }
    pairs
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Gauge,
    Sum,
    Histogram,
    ExpHistogram,
    Summary,
}

fn decode_metric(message: &[u8], target: &Pairs, batch: &mut Batch) {
    let (mut name, mut unit, mut help, mut data) = ("", "", "", None);
    for (field, value) in fields(message) {
        match field {
            1 => name = value.text(),
            2 => help = value.text(),
            3 => unit = value.text(),
            5 => data = Some((Shape::Gauge, value)),
            7 => data = Some((Shape::Sum, value)),
            9 => data = Some((Shape::Histogram, value)),
            10 => data = Some((Shape::ExpHistogram, value)),
            11 => data = Some((Shape::Summary, value)),
            _ => {}
        }
    }
    let Some((shape, data)) = data else {
        batch.rejected += 1;
        return;
    };
    let (mut temporality, mut monotonic) = (0, false);
    for (field, value) in fields(data.bytes()) {
        match field {
            2 => temporality = value.number(),
            3 => monotonic = value.number() != 0,
            _ => {}
        }
    }
    let counter = shape == Shape::Sum && monotonic;
    let points = fields(data.bytes()).filter(|(field, _)| *field == 1).map(|(_, point)| point.bytes());
    if !matches!(shape, Shape::Gauge | Shape::Summary) && temporality != CUMULATIVE {
        batch.rejected += points.count() as u64;
        return;
    }
    let kind = match shape {
        Shape::Histogram | Shape::ExpHistogram => MetricType::Histogram,
        Shape::Sum if monotonic => MetricType::Counter,
        _ => MetricType::Gauge,
    };
    let name: Text = prometheus_name(name, unit, counter).into();
    batch.metadata.push(Metadata { name: name.clone(), kind, unit: unit.into(), help: help.into() });
    for point in points {
        let reader = PointReader { name: &name, target };
        let done = match shape {
            Shape::Gauge | Shape::Sum => reader.number(point, batch),
            Shape::Histogram => reader.histogram(point, batch),
            Shape::ExpHistogram => reader.exponential(point, batch),
            Shape::Summary => reader.summary(point, batch),
        };
        batch.rejected += u64::from(done.is_none());
    }
}

struct PointReader<'a> {
    name: &'a Text,
    target: &'a Pairs,
}

/// What all kinds of points have.
#[derive(Default)]
struct Common {
    start_ms: i64,
    time_ms: i64,
    ended: bool,
    labels: Pairs,
}

impl Common {
    fn read(&mut self, field: u32, value: Wire<'_>, numbers: &[(u32, Part)]) {
        match numbers.iter().find(|(number, _)| *number == field).map(|(_, part)| part) {
            Some(Part::Attributes) if self.labels.len() < MAX_LABELS => {
                let (key, content) = key_value(value.bytes());
                self.labels.push((label_name(key), text(content).into()));
            }
            Some(Part::Start) => self.start_ms = (value.number() / 1_000_000) as i64,
            Some(Part::Time) => self.time_ms = (value.number() / 1_000_000) as i64,
            Some(Part::Flags) => self.ended = value.number() & NO_RECORDED_VALUE != 0,
            _ => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Attributes,
    Start,
    Time,
    Flags,
}

const NUMBER_PARTS: &[(u32, Part)] = &[(7, Part::Attributes), (2, Part::Start), (3, Part::Time), (8, Part::Flags)];
const HISTOGRAM_PARTS: &[(u32, Part)] = &[(9, Part::Attributes), (2, Part::Start), (3, Part::Time), (10, Part::Flags)];
const EXPONENTIAL_PARTS: &[(u32, Part)] =
    &[(1, Part::Attributes), (2, Part::Start), (3, Part::Time), (10, Part::Flags)];
const SUMMARY_PARTS: &[(u32, Part)] = &[(7, Part::Attributes), (2, Part::Start), (3, Part::Time), (8, Part::Flags)];

fn label_name(key: &str) -> Text {
    let mut name: Text = key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str(0, "key_");
    }
    name
}

impl PointReader<'_> {
    /// A label of the point wins over one of the resource.
    fn labels(&self, common: &Common, suffix: &str, extra: Option<(&str, String)>) -> Labels {
        let mut pairs = common.labels.clone();
        for (name, value) in self.target {
            if !pairs.iter().any(|(have, _)| have == name) {
                pairs.push((name.clone(), value.clone()));
            }
        }
        pairs.extend(extra.map(|(name, value)| (Text::from(name), Text::from(value))));
        pairs.push(("__name__".into(), compact_str::format_compact!("{}{suffix}", self.name)));
        Labels::from_pairs(pairs)
    }

    fn push(&self, common: &Common, suffix: &str, extra: Option<(&str, String)>, value: f64, batch: &mut Batch) {
        let value = if common.ended { f64::from_bits(STALE_NAN_BITS) } else { value };
        let sample = Sample { time_ms: common.time_ms, value: Value::Float(value) };
        batch.points.push(Point { labels: self.labels(common, suffix, extra), start_ms: common.start_ms, sample });
    }

    fn number(&self, message: &[u8], batch: &mut Batch) -> Option<()> {
        let (mut common, mut number) = (Common::default(), 0.0);
        for (field, value) in fields(message) {
            match field {
                4 => number = value.double(),
                6 => number = value.number() as i64 as f64,
                _ => common.read(field, value, NUMBER_PARTS),
            }
        }
        (common.time_ms > 0).then(|| self.push(&common, "", None, number, batch))
    }

    /// Explicit buckets become the classic series.
    fn histogram(&self, message: &[u8], batch: &mut Batch) -> Option<()> {
        let (mut common, mut count, mut sum) = (Common::default(), 0, 0.0);
        let (mut counts, mut bounds) = (Vec::new(), Vec::new());
        for (field, value) in fields(message) {
            match field {
                4 => count = value.number(),
                5 => sum = value.double(),
                6 => packed_fixed64(value, |number| counts.push(number)),
                7 => packed_fixed64(value, |bits| bounds.push(f64::from_bits(bits))),
                _ => common.read(field, value, HISTOGRAM_PARTS),
            }
        }
        if common.time_ms <= 0 || counts.len() > MAX_BUCKETS || (!counts.is_empty() && counts.len() != bounds.len() + 1)
        {
            return None;
        }
        let mut cumulative = 0u64;
        for (bound, bucket) in bounds.iter().zip(&counts) {
            cumulative = cumulative.saturating_add(*bucket);
            self.push(&common, "_bucket", Some(("le", bound.to_string())), cumulative as f64, batch);
        }
        self.push(&common, "_bucket", Some(("le", "+Inf".into())), count as f64, batch);
        self.push(&common, "_count", None, count as f64, batch);
        self.push(&common, "_sum", None, sum, batch);
        Some(())
    }

    fn exponential(&self, message: &[u8], batch: &mut Batch) -> Option<()> {
        let (mut common, mut histogram) = (Common::default(), ExpHistogram::default());
        let mut negative = 0u64;
        for (field, value) in fields(message) {
            match field {
                4 => histogram.count = value.number(),
                5 => histogram.sum = value.double(),
                6 => histogram.scale = i8::try_from(zigzag(value.number())).ok()?,
                7 => histogram.zero_count = value.number(),
                8 => buckets(value.bytes(), &mut histogram),
                9 => negative += buckets_total(value.bytes()),
                _ => common.read(field, value, EXPONENTIAL_PARTS),
            }
        }
        if common.time_ms <= 0 || histogram.counts.len() > MAX_BUCKETS {
            return None;
        }
        if common.ended {
            self.push(&common, "", None, 0.0, batch);
            return Some(());
        }
        // Durations and sizes are never negative; where an SDK has such values they count as zero, not as nothing.
        histogram.zero_count = histogram.zero_count.saturating_add(negative);
        let sample = Sample { time_ms: common.time_ms, value: Value::Histogram(Arc::new(histogram)) };
        batch.points.push(Point { labels: self.labels(&common, "", None), start_ms: common.start_ms, sample });
        Some(())
    }

    fn summary(&self, message: &[u8], batch: &mut Batch) -> Option<()> {
        let (mut common, mut count, mut sum, mut quantiles) = (Common::default(), 0, 0.0, Vec::new());
        for (field, value) in fields(message) {
            match field {
                4 => count = value.number(),
                5 => sum = value.double(),
                6 if quantiles.len() < MAX_LABELS => quantiles.push(quantile(value.bytes())),
                _ => common.read(field, value, SUMMARY_PARTS),
            }
        }
        if common.time_ms <= 0 {
            return None;
        }
        for (quantile, value) in quantiles {
            self.push(&common, "", Some(("quantile", quantile.to_string())), value, batch);
        }
        self.push(&common, "_count", None, count as f64, batch);
        self.push(&common, "_sum", None, sum, batch);
        Some(())
    }
}

fn quantile(message: &[u8]) -> (f64, f64) {
    let (mut quantile, mut number) = (0.0, 0.0);
    for (field, value) in fields(message) {
        match field {
            1 => quantile = value.double(),
            2 => number = value.double(),
            _ => {}
        }
    }
    (quantile, number)
}

fn buckets(message: &[u8], histogram: &mut ExpHistogram) {
    for (field, value) in fields(message) {
        match field {
            1 => histogram.offset = zigzag(value.number()).clamp(-1_000_000, 1_000_000) as i32,
            2 => packed_varints(value, |count| {
                if histogram.counts.len() <= MAX_BUCKETS {
                    histogram.counts.push(count);
                }
            }),
            _ => {}
        }
    }
}

fn buckets_total(message: &[u8]) -> u64 {
    let mut total = 0u64;
    for (_, value) in fields(message).filter(|(field, _)| *field == 2) {
        packed_varints(value, |count| total = total.saturating_add(count));
    }
    total
}
