//! `ExportMetricsServiceRequest`: cumulative exponential histograms, sums and gauges, each with its start time.
//!
//! One message holds a bounded number of bytes; a family with more series goes on in the next one.

use super::{Agent, Writer, resource, scope, text_attribute};
use crate::telemetry::{FamilySnapshot, Measure, SeriesSnapshot};
use limpid_model::ExpHistogram;

const CUMULATIVE: u64 = 2;
/// `DataPointFlags`: the series has ended, there is no value any more.
const NO_RECORDED_VALUE: u64 = 1;
const MAX_MESSAGE_BYTES: usize = 2 << 20;

pub struct Message {
    pub bytes: Vec<u8>,
    pub points: u64,
}

/// All families as of `now_ns`.
pub fn encode(families: &[FamilySnapshot], agent: &Agent, now_ns: u64) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut open = Open::default();
    for family in families {
        let mut rest = family.series.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|series| kind(&series.measure) == kind(&first.measure)).count();
            let (run, after) = rest.split_at(same);
            let taken = open.family(family, run, now_ns);
            rest = rest.get(taken..).unwrap_or(after);
            if open.metrics.bytes.len() >= MAX_MESSAGE_BYTES {
                messages.extend(std::mem::take(&mut open).finish(agent));
            }
        }
    }
    messages.extend(open.finish(agent));
    messages
}

/// The `Metric`s of a message under construction, as the fields of a `ScopeMetrics`.
#[derive(Default)]
struct Open {
    metrics: Writer,
    points: u64,
}

impl Open {
    /// Writes series of one kind until the message is full; how many.
    fn family(&mut self, family: &FamilySnapshot, series: &[SeriesSnapshot], now_ns: u64) -> usize {
        let (mut taken, mut points) = (0, 0);
        let Some(first) = series.first() else { return 0 };
        self.metrics.message(2, |writer| {
            writer.text(1, family.name);
            writer.text(2, family.help);
            writer.text(3, family.unit);
            let data = kind(&first.measure);
            writer.message(data, |writer| {
                for one in series {
                    points += encode_points(writer, family, one, now_ns);
                    taken += 1;
                    if writer.bytes.len() >= MAX_MESSAGE_BYTES {
                        break;
                    }
                }
                if data != GAUGE {
                    writer.uint(2, CUMULATIVE);
                }
                if data == SUM {
                    writer.uint(3, 1);
                }
            });
        });
        self.points += points;
        taken
    }

    fn finish(self, agent: &Agent) -> Option<Message> {
        if self.points == 0 {
            return None;
        }
        let mut writer = Writer { bytes: Vec::with_capacity(self.metrics.bytes.len() + 1024) };
        writer.message(1, |writer| {
            resource(writer, &agent.cluster, &agent.attributes);
            writer.message(2, |writer| {
                scope(writer);
                writer.bytes.extend_from_slice(&self.metrics.bytes);
            });
        });
        Some(Message { bytes: writer.bytes, points: self.points })
    }
}

/// Fields of `Metric.data`.
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const EXPONENTIAL_HISTOGRAM: u32 = 10;

fn kind(measure: &Measure) -> u32 {
    match measure {
        Measure::Gauge(_) => GAUGE,
        Measure::Counter(_) | Measure::CounterFloat(_) => SUM,
        Measure::Histogram(_) => EXPONENTIAL_HISTOGRAM,
    }
}

/// A series that ended gets its last value, and a millisecond later the mark that there is none any more.
fn encode_points(writer: &mut Writer, family: &FamilySnapshot, series: &SeriesSnapshot, now_ns: u64) -> u64 {
    writer.message(1, |writer| encode_point(writer, family, series, now_ns, false));
    if !series.ended {
        return 1;
    }
    writer.message(1, |writer| encode_point(writer, family, series, now_ns.saturating_add(1_000_000), true));
    2
}

fn encode_point(writer: &mut Writer, family: &FamilySnapshot, series: &SeriesSnapshot, now_ns: u64, ended: bool) {
    let (attributes, flags) = match series.measure {
        Measure::Histogram(_) => (1, 10),
        _ => (7, 8),
    };
    for (name, value) in family.labels.iter().zip(&series.values).filter(|(_, value)| !value.is_empty()) {
        text_attribute(writer, attributes, name, value);
    }
    writer.fixed64(2, series.start_ns);
    writer.fixed64(3, now_ns);
    if ended {
        writer.uint(flags, NO_RECORDED_VALUE);
        return;
    }
    match &series.measure {
        Measure::Gauge(value) | Measure::CounterFloat(value) => writer.double(4, *value),
        Measure::Counter(value) => writer.sfixed64(6, i64::try_from(*value).unwrap_or(i64::MAX)),
        Measure::Histogram(histogram) => encode_histogram(writer, histogram),
    }
}

fn encode_histogram(writer: &mut Writer, histogram: &ExpHistogram) {
    writer.fixed64(4, histogram.count);
    writer.double(5, histogram.sum);
    writer.sint(6, histogram.scale.into());
    writer.fixed64(7, histogram.zero_count);
    if !histogram.counts.is_empty() {
        writer.message(8, |writer| {
            writer.sint(1, histogram.offset.into());
            writer.packed(2, &histogram.counts);
        });
    }
}
