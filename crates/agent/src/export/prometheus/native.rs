//! Prometheus' protobuf format: `io.prometheus.client.MetricFamily`, each with its length in front, with native
//! histograms. Source: `prometheus/client_model`, metrics.proto.

use crate::export::protobuf::Writer;
use crate::telemetry::{FamilySnapshot, Measure, SeriesSnapshot};
use limpid_model::ExpHistogram;
use limpid_model::names::prometheus_name;

pub const CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

const COUNTER: u64 = 0;
const GAUGE: u64 = 1;
const HISTOGRAM: u64 = 4;
/// Durations are counted in ns: nothing below is told from zero.
const ZERO_THRESHOLD: f64 = 1e-9;

pub fn encode(families: &[FamilySnapshot]) -> Vec<u8> {
    let mut out = Writer::default();
    for family in families {
        let Some(first) = family.series.iter().find(|series| !series.ended) else { continue };
        let mut writer = Writer::default();
        let counter = matches!(first.measure, Measure::Counter(_) | Measure::CounterFloat(_));
        writer.text(1, &prometheus_name(family.name, family.unit, counter));
        writer.text(2, family.help);
        writer.uint(3, kind(&first.measure));
        for series in family.series.iter().filter(|series| !series.ended) {
            writer.message(4, |writer| encode_metric(writer, family, series));
        }
        out.varint(writer.bytes.len() as u64);
        out.bytes.extend_from_slice(&writer.bytes);
    }
    out.bytes
}

fn kind(measure: &Measure) -> u64 {
    match measure {
        Measure::Counter(_) | Measure::CounterFloat(_) => COUNTER,
        Measure::Gauge(_) => GAUGE,
        Measure::Histogram(_) => HISTOGRAM,
    }
}

fn encode_metric(writer: &mut Writer, family: &FamilySnapshot, series: &SeriesSnapshot) {
    for (name, value) in family.labels.iter().zip(&series.values).filter(|(_, value)| !value.is_empty()) {
        writer.message(1, |writer| {
            writer.text(1, &super::label_name(name));
            writer.text(2, value);
        });
    }
    match &series.measure {
        Measure::Gauge(value) => writer.message(2, |writer| writer.double(1, *value)),
        Measure::Counter(value) => encode_counter(writer, *value as f64, series.start_ns),
        Measure::CounterFloat(value) => encode_counter(writer, *value, series.start_ns),
        Measure::Histogram(histogram) => writer.message(7, |writer| {
            encode_histogram(writer, histogram);
            writer.message(15, |writer| timestamp(writer, series.start_ns));
        }),
    }
}

fn encode_counter(writer: &mut Writer, value: f64, start_ns: u64) {
    writer.message(3, |writer| {
        writer.double(1, value);
        writer.message(3, |writer| timestamp(writer, start_ns));
    });
}

fn timestamp(writer: &mut Writer, unix_ns: u64) {
    writer.uint(1, unix_ns / 1_000_000_000);
    writer.uint(2, unix_ns % 1_000_000_000);
}

/// OTLP's bucket `i` is Prometheus' `i + 1`: there a bucket is named by its upper bound, here by its lower one.
fn encode_histogram(writer: &mut Writer, histogram: &ExpHistogram) {
    writer.uint(1, histogram.count);
    writer.double(2, histogram.sum);
    writer.sint(5, histogram.scale.into());
    writer.double(6, ZERO_THRESHOLD);
    writer.uint(7, histogram.zero_count);
    let (spans, deltas) = spans(histogram);
    for (offset, length) in spans {
        writer.message(12, |writer| {
            writer.sint(1, offset);
            writer.uint(2, length);
        });
    }
    writer.packed_sint(13, &deltas);
}

/// Runs of filled buckets as (distance from the end of the one before, length), and the differences of the counts.
fn spans(histogram: &ExpHistogram) -> (Vec<(i64, u64)>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<(i64, u64)>, Vec<i64>) = Default::default();
    let (mut end, mut before) = (0i64, 0i64);
    for (at, count) in histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let index = i64::from(histogram.offset) + at as i64 + 1;
        match spans.last_mut().filter(|_| index == end) {
            Some((_, length)) => *length += 1,
            None => spans.push((index - end, 1)),
        }
        end = index + 1;
        deltas.push(*count as i64 - before);
        before = *count as i64;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_differences() {
        let histogram = ExpHistogram { offset: -3, counts: vec![2, 3, 0, 0, 1], count: 6, ..ExpHistogram::default() };
        // Buckets -2, -1 and 2 in Prometheus' numbering.
        assert_eq!(spans(&histogram), (vec![(-2, 2), (2, 1)], vec![2, 1, -2]));
        assert_eq!(spans(&ExpHistogram::default()), (vec![], vec![]));
    }
}
