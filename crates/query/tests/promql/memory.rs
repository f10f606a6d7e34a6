//! What a script has loaded, as a source of samples.

use super::script::{SeriesLine, Value};
use limpid_model::series::{MatchOp, SourceError};
use limpid_model::{Labels, Matcher};
use limpid_query::promql::histogram::{Buckets, CUSTOM_SCHEMA, Histogram, ResetHint};
use limpid_query::promql::source::{RawSample, RawSeries, RawValue, SampleSource};
use promql_parser::label as parsed;
use promql_parser::parser::token::{T_EQL, T_EQL_REGEX, T_NEQ, T_NEQ_REGEX};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Default)]
pub struct Memory {
    series: BTreeMap<Labels, BTreeMap<i64, RawValue>>,
}

impl Memory {
    pub fn load(&mut self, gap_ms: i64, lines: &[SeriesLine], with_custom_buckets: bool) {
        for line in lines {
            let series = self.series.entry(line.labels.clone()).or_default();
            for (at, value) in line.values.iter().enumerate() {
                let raw = match value {
                    Value::Missing => continue,
                    Value::Float(value) => RawValue::Float(*value),
                    Value::Histogram(histogram, _) => RawValue::Histogram(histogram.clone()),
                };
                series.insert(at as i64 * gap_ms, raw);
            }
        }
        if with_custom_buckets {
            self.add_custom_buckets(lines);
        }
    }

    /// Each classic histogram also as a native one with custom buckets.
    fn add_custom_buckets(&mut self, lines: &[SeriesLine]) {
        type Parts = (BTreeMap<u64, (f64, f64)>, Option<f64>, Option<f64>);
        let mut histograms: BTreeMap<Labels, BTreeMap<i64, Parts>> = BTreeMap::new();
        for line in lines {
            let name = line.labels.name();
            let Some((base, part)) =
                ["_bucket", "_count", "_sum"].iter().find_map(|part| Some((name.strip_suffix(part)?, *part)))
            else {
                continue;
            };
            let others = line.labels.iter().filter(|(name, _)| !["__name__", "le"].contains(name));
            let labels = Labels::from_pairs(others.chain([("__name__", base)]));
            let Some(samples) = self.series.get(&line.labels) else { continue };
            for (time_ms, value) in samples {
                let RawValue::Float(value) = value else { continue };
                let parts = histograms.entry(labels.clone()).or_default().entry(*time_ms).or_default();
                match part {
                    "_count" => parts.1 = Some(*value),
                    "_sum" => parts.2 = Some(*value),
                    _ => {
                        let Some(bound) = line.labels.get("le").and_then(bound) else { continue };
                        // Ordered by the float's value, whatever its spelling.
                        let key = bound.to_bits() ^ if bound < 0.0 { u64::MAX } else { 1 << 63 };
                        parts.0.insert(key, (bound, *value));
                    }
                }
            }
        }
        for (labels, times) in histograms {
            for (time_ms, (buckets, count, sum)) in times {
                if let Some(histogram) = custom(buckets.into_values().collect(), count, sum) {
                    self.series
                        .entry(labels.clone())
                        .or_default()
                        .insert(time_ms, RawValue::Histogram(Arc::new(histogram)));
                }
            }
        }
    }
}

fn bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "+inf" | "Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

fn custom(buckets: Vec<(f64, f64)>, count: Option<f64>, sum: Option<f64>) -> Option<Histogram> {
    if buckets.is_empty() || buckets.windows(2).any(|pair| pair[1].1 < pair[0].1) {
        return None;
    }
    let total = count.or_else(|| buckets.last().map(|(_, count)| *count))?;
    let finite: Vec<(f64, f64)> = buckets.iter().copied().filter(|(bound, _)| bound.is_finite()).collect();
    let cumulative: Vec<f64> = finite.iter().map(|(_, count)| *count).chain([total]).collect();
    let counts =
        (0..cumulative.len()).map(|at| cumulative[at] - if at == 0 { 0.0 } else { cumulative[at - 1] }).collect();
    Some(Histogram {
        schema: CUSTOM_SCHEMA,
        count: total,
        sum: sum.unwrap_or(0.0),
        positive: Buckets { offset: 0, counts },
        bounds: Some(finite.iter().map(|(bound, _)| *bound).collect()),
        ..Histogram::default()
    })
}

pub fn matches(labels: &Labels, matchers: &[Matcher]) -> Result<bool, SourceError> {
    for matcher in matchers {
        let id = match matcher.op {
            MatchOp::Equal => T_EQL,
            MatchOp::NotEqual => T_NEQ,
            MatchOp::Regex => T_EQL_REGEX,
            MatchOp::NotRegex => T_NEQ_REGEX,
        };
        let parsed = parsed::Matcher::new_matcher(id, matcher.name.to_string(), matcher.value.to_string());
        if !parsed.map_err(SourceError::BadRegex)?.is_match(labels.get(&matcher.name).unwrap_or_default()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Prometheus' storage cuts a chunk where a counter starts anew or the kind of sample changes, and says "no reset" of
/// every sample of a chunk but the first.
fn hinted(samples: &BTreeMap<i64, RawValue>) -> BTreeMap<i64, RawValue> {
    let mut before: Option<Arc<Histogram>> = None;
    let hinted = samples.iter().map(|(time_ms, value)| {
        let now = match value {
            RawValue::Histogram(histogram) if !value.is_stale() => histogram.clone(),
            other => {
                before = None;
                return (*time_ms, other.clone());
            }
        };
        let gauge = now.hint == ResetHint::Gauge;
        let goes_on =
            before.take().is_some_and(|before| before.hint != ResetHint::Gauge && !now.is_reset_after(&before));
        before = Some(now.clone());
        let hint = match (gauge, goes_on) {
            (true, _) => ResetHint::Gauge,
            (false, true) => ResetHint::NotReset,
            (false, false) => ResetHint::Unknown,
        };
        (*time_ms, RawValue::Histogram(Arc::new(Histogram { hint, ..(*now).clone() })))
    });
    hinted.collect()
}

impl SampleSource for Memory {
    fn select_each(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        each: &mut dyn FnMut(RawSeries) -> bool,
    ) -> Result<(), SourceError> {
        if end_ms < start_ms {
            return Ok(());
        }
        for (labels, samples) in &self.series {
            if !matches(labels, matchers)? {
                continue;
            }
            let sample = |(time_ms, value): (&i64, &RawValue)| RawSample { time_ms: *time_ms, value: value.clone() };
            let samples = hinted(samples);
            let samples: Vec<RawSample> = samples.range(start_ms..=end_ms).map(sample).collect();
            if !samples.is_empty() && !each(RawSeries { labels: labels.clone(), drop_name: false, samples }) {
                break;
            }
        }
        Ok(())
    }
}
