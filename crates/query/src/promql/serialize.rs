//! The JSON of the Prometheus HTTP API: numbers as texts, times in seconds, histograms with count, sum and buckets.

use super::histogram::{Bucket, Histogram};
use super::source::RawSample;
use super::steps::Sample;
use super::value::{MatrixSeries, QueryValue, VectorSample};
use limpid_model::Labels;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

/// As Go's `strconv.FormatFloat(value, 'f', -1, 64)` with Prometheus' names for what is not finite.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    format!("{value}")
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1000.0
}

struct Metric<'a>(&'a Labels);

impl Serialize for Metric<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for QueryValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("QueryValue", 2)?;
        out.serialize_field("resultType", self.result_type())?;
        match self {
            QueryValue::Scalar { time_ms, value } => {
                out.serialize_field("result", &(seconds(*time_ms), number(*value)))?
            }
            QueryValue::String { time_ms, value } => out.serialize_field("result", &(seconds(*time_ms), value))?,
            QueryValue::Vector(samples) => out.serialize_field("result", samples)?,
            QueryValue::Matrix(series) => out.serialize_field("result", series)?,
        }
        out.end()
    }
}

impl Serialize for VectorSample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("VectorSample", 2)?;
        out.serialize_field("metric", &Metric(&self.labels))?;
        match &self.value {
            Sample::Float(value) => out.serialize_field("value", &(seconds(self.time_ms), number(*value)))?,
            Sample::Histogram(histogram) => out.serialize_field("histogram", &(seconds(self.time_ms), &**histogram))?,
        }
        out.end()
    }
}

impl Serialize for MatrixSeries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("MatrixSeries", 3)?;
        out.serialize_field("metric", &Metric(&self.labels))?;
        if self.points.iter().any(|point| point.value.is_float()) {
            out.serialize_field("values", &Floats(&self.points))?;
        }
        if self.points.iter().any(|point| !point.value.is_float()) {
            out.serialize_field("histograms", &Histograms(&self.points))?;
        }
        out.end()
    }
}

struct Floats<'a>(&'a [RawSample]);

impl Serialize for Floats<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(None)?;
        for point in self.0 {
            if let Sample::Float(value) = point.value.sample() {
                out.serialize_element(&(seconds(point.time_ms), number(value)))?;
            }
        }
        out.end()
    }
}

struct Histograms<'a>(&'a [RawSample]);

impl Serialize for Histograms<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_seq(None)?;
        for point in self.0 {
            if let Some(histogram) = point.value.histogram() {
                out.serialize_element(&(seconds(point.time_ms), &*histogram))?;
            }
        }
        out.end()
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Histogram", 3)?;
        out.serialize_field("count", &number(self.count))?;
        out.serialize_field("sum", &number(self.sum))?;
        let buckets: Vec<(u8, String, String, String)> =
            self.buckets().filter(|bucket| bucket.count != 0.0).map(|bucket| api_bucket(bucket, self)).collect();
        if !buckets.is_empty() {
            out.serialize_field("buckets", &buckets)?;
        }
        out.end()
    }
}

/// `[boundary rule, lower, upper, count]`: 0 includes the upper bound, 1 the lower one, 3 both.
fn api_bucket(bucket: Bucket, histogram: &Histogram) -> (u8, String, String, String) {
    let rule = match bucket {
        _ if histogram.is_custom() => 0,
        Bucket { lower, upper, .. } if lower <= 0.0 && upper >= 0.0 => 3,
        Bucket { upper, .. } if upper <= 0.0 => 1,
        _ => 0,
    };
    (rule, number(bucket.lower), number(bucket.upper), number(bucket.count))
}
