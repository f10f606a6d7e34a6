//! What a query gives back.

use super::source::RawSample;
use super::steps::Sample;
use limpid_model::Labels;

/// A query's value, and what the reader should know about it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub value: QueryValue,
    /// Something is probably wrong with the query or the data: `PromQL warning: …`.
    pub warnings: Vec<String>,
    /// `PromQL info: …`.
    pub infos: Vec<String>,
}

/// Serialises to the `data` of the Prometheus HTTP API: `{"resultType": …, "result": …}`.
#[derive(Clone, Debug)]
pub enum QueryValue {
    Scalar { time_ms: i64, value: f64 },
    String { time_ms: i64, value: String },
    Vector(Vec<VectorSample>),
    Matrix(Vec<MatrixSeries>),
}

#[derive(Clone, Debug)]
pub struct VectorSample {
    pub labels: Labels,
    pub time_ms: i64,
    pub value: Sample,
}

#[derive(Clone, Debug)]
pub struct MatrixSeries {
    pub labels: Labels,
    pub points: Vec<RawSample>,
}

impl QueryValue {
    pub fn result_type(&self) -> &'static str {
        match self {
            QueryValue::Scalar { .. } => "scalar",
            QueryValue::String { .. } => "string",
            QueryValue::Vector(_) => "vector",
            QueryValue::Matrix(_) => "matrix",
        }
    }
}
