//! The time grid of a query and the values on it.

use super::histogram::Histogram;
use crate::QueryError;
use limpid_model::Labels;
use std::sync::Arc;

/// One value inside the evaluator.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Sample {
    pub fn float(&self) -> Option<f64> {
        match self {
            Sample::Float(value) => Some(*value),
            Sample::Histogram(_) => None,
        }
    }
}

/// The moments at which an expression is evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    pub start_ms: i64,
    pub step_ms: i64,
    pub len: usize,
}

impl Grid {
    pub fn instant(time_ms: i64) -> Self {
        Grid { start_ms: time_ms, step_ms: 0, len: 1 }
    }

    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64, max_steps: usize) -> Result<Self, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::bad_data(
                "zero or negative query resolution step widths are not accepted. Try a positive integer",
            ));
        }
        if end_ms < start_ms {
            return Err(QueryError::bad_data("end timestamp must not be before start time"));
        }
        let steps = end_ms.saturating_sub(start_ms) / step_ms;
        if steps >= max_steps as i64 {
            return Err(QueryError::bad_data(format!(
                "exceeded maximum resolution of {max_steps} points per timeseries. Try decreasing the query resolution (?step=XX)"
            )));
        }
        Ok(Grid { start_ms, step_ms, len: steps as usize + 1 })
    }

    pub fn time(&self, step: usize) -> i64 {
        self.start_ms.saturating_add(self.step_ms.saturating_mul(step as i64))
    }

    pub fn end_ms(&self) -> i64 {
        self.time(self.len.saturating_sub(1))
    }

    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let grid = *self;
        (0..grid.len).map(move |step| grid.time(step))
    }
}

/// The values of one series on a grid; `None` where it has none.
#[derive(Clone, Debug)]
pub struct StepSeries {
    pub labels: Labels,
    /// The metric name goes when the query is done, or earlier where label sets must be told apart without it.
    pub drop_name: bool,
    pub values: Vec<Option<Sample>>,
}

impl StepSeries {
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(Option::is_none)
    }
}

/// What an expression is worth on a grid.
pub enum Evaluated {
    Scalar(Vec<f64>),
    String(String),
    Vector(Vec<StepSeries>),
}
