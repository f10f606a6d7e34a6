//! Prometheus' text format, version 0.0.4. Exponential histograms become classic ones on a fixed ladder; those who can
//! take the real ones ask for protobuf.

use super::{LADDER, cumulative};
use crate::telemetry::{FamilySnapshot, Measure, SeriesSnapshot};
use limpid_model::names::prometheus_name;
use std::fmt::Write;

pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn encode(families: &[FamilySnapshot]) -> String {
    let mut out = String::new();
    for family in families {
        let Some(first) = family.series.iter().find(|series| !series.ended) else { continue };
        let counter = matches!(first.measure, Measure::Counter(_) | Measure::CounterFloat(_));
        let name = prometheus_name(family.name, family.unit, counter);
        let kind = match first.measure {
            Measure::Counter(_) | Measure::CounterFloat(_) => "counter",
            Measure::Gauge(_) => "gauge",
            Measure::Histogram(_) => "histogram",
        };
        // Writing into memory cannot fail, here and below.
        let _ = writeln!(out, "# HELP {name} {}", family.help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(out, "# TYPE {name} {kind}");
        for series in family.series.iter().filter(|series| !series.ended) {
            let labels = labels(family, series);
            encode_series(&mut out, &name, &labels, &series.measure);
        }
    }
    out
}

fn encode_series(out: &mut String, name: &str, labels: &str, measure: &Measure) {
    match measure {
        Measure::Counter(value) => line(out, name, "", labels, value),
        Measure::Gauge(value) | Measure::CounterFloat(value) => line(out, name, "", labels, value),
        Measure::Histogram(histogram) => {
            for bound in LADDER {
                let comma = if labels.is_empty() { "" } else { "," };
                let with_bound = format!("{labels}{comma}le=\"{bound}\"");
                line(out, name, "_bucket", &with_bound, cumulative(histogram, *bound));
            }
            let comma = if labels.is_empty() { "" } else { "," };
            line(out, name, "_bucket", &format!("{labels}{comma}le=\"+Inf\""), histogram.count);
            line(out, name, "_sum", labels, histogram.sum);
            line(out, name, "_count", labels, histogram.count);
        }
    }
}

fn line(out: &mut String, name: &str, suffix: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = if labels.is_empty() {
        writeln!(out, "{name}{suffix} {value}")
    } else {
        writeln!(out, "{name}{suffix}{{{labels}}} {value}")
    };
}

fn labels(family: &FamilySnapshot, series: &SeriesSnapshot) -> String {
    let mut out = String::new();
    for (name, value) in family.labels.iter().zip(&series.values).filter(|(_, value)| !value.is_empty()) {
        let comma = if out.is_empty() { "" } else { "," };
        let _ = write!(out, "{comma}{}=\"", super::label_name(name));
        value.chars().for_each(|c| match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        });
        out.push('"');
    }
    out
}
