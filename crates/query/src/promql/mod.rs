//! PromQL, compatible with the Prometheus HTTP API.
//!
//! The text is parsed by `promql-parser`; [`eval`] walks the tree. Evaluation is series-major: a series is read once
//! and gives its values for all steps, and an aggregation folds each series into its group as it comes, so that
//! `sum by (service) (rate(x[1m]))` over thousands of series never holds more than the groups. Native histograms have
//! float counts inside ([`histogram::Histogram`]). Metric names are dropped late, as Prometheus does with
//! `promql-delayed-name-removal`.

mod aggregate;
mod annotations;
mod binary;
mod calendar;
mod classic;
mod eval;
mod functions;
pub mod histogram;
pub(crate) mod histogram_stats;
mod labels;
mod over_time;
mod rate;
mod selector;
mod serialize;
pub mod source;
mod steps;
mod summation;
mod value;

pub use labels::{label_names, label_values, parse_selector, series};
pub use value::{Answer, MatrixSeries, QueryValue, VectorSample};

use crate::QueryError;
use limpid_model::SeriesSource;
use source::{Adapter, SampleSource};
use std::time::Duration;

/// What one query may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Values held in memory; one takes some thirty bytes, a histogram counts by its size.
    pub max_samples: usize,
    /// Samples read from the source, most of which are folded and forgotten at once.
    pub max_read: usize,
    pub max_series: usize,
    /// Prometheus refuses more than 11,000 points a series.
    pub max_steps: usize,
    pub max_query_bytes: usize,
    /// How deep expressions may nest.
    pub max_depth: usize,
    pub timeout: Duration,
    /// How far an instant selector looks back for a sample.
    pub lookback: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_samples: 10_000_000,
            max_read: 100_000_000,
            max_series: 200_000,
            max_steps: 11_000,
            max_query_bytes: 64 * 1024,
            max_depth: 100,
            timeout: Duration::from_secs(30),
            lookback: Duration::from_secs(300),
        }
    }
}

pub struct Engine {
    limits: Limits,
}

impl Engine {
    pub fn new(limits: Limits) -> Self {
        Engine { limits }
    }

    /// The value at one moment.
    pub fn instant(&self, source: &dyn SeriesSource, expr: &str, time_ms: i64) -> Result<Answer, QueryError> {
        self.instant_from(&Adapter(source), expr, time_ms)
    }

    /// The values at `start_ms`, `start_ms + step_ms` … up to `end_ms`.
    pub fn range(
        &self,
        source: &dyn SeriesSource,
        expr: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, QueryError> {
        self.range_from(&Adapter(source), expr, start_ms, end_ms, step_ms)
    }

    pub fn instant_from(&self, source: &dyn SampleSource, expr: &str, time_ms: i64) -> Result<Answer, QueryError> {
        let parsed = eval::parse(expr, &self.limits)?;
        eval::instant(source, &self.limits, &parsed, time_ms)
    }

    pub fn range_from(
        &self,
        source: &dyn SampleSource,
        expr: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, QueryError> {
        let grid = steps::Grid::range(start_ms, end_ms, step_ms, self.limits.max_steps)?;
        let parsed = eval::parse(expr, &self.limits)?;
        eval::range(source, &self.limits, &parsed, grid)
    }
}
