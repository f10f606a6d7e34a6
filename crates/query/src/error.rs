//! One error type for every query, with the kinds of the Prometheus HTTP API.

use limpid_model::series::SourceError;
use limpid_store::StoreError;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The query itself is wrong: HTTP 400.
    BadData,
    /// The query is fine but cannot be answered from this data, or asks for too much: HTTP 422.
    Execution,
    /// The time limit was reached: HTTP 503.
    Timeout,
    /// The store cannot be read: HTTP 500.
    Internal,
}

impl ErrorKind {
    /// As in the field `errorType` of the Prometheus HTTP API.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::BadData => "bad_data",
            ErrorKind::Execution => "execution",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Internal => "internal",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    pub kind: ErrorKind,
    pub text: String,
}

impl QueryError {
    pub fn bad_data(text: impl Into<String>) -> Self {
        QueryError { kind: ErrorKind::BadData, text: text.into() }
    }

    pub fn execution(text: impl Into<String>) -> Self {
        QueryError { kind: ErrorKind::Execution, text: text.into() }
    }

    pub fn timeout(text: impl Into<String>) -> Self {
        QueryError { kind: ErrorKind::Timeout, text: text.into() }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for QueryError {}

impl From<SourceError> for QueryError {
    fn from(error: SourceError) -> Self {
        let kind = match &error {
            SourceError::TooMuch(_) => ErrorKind::Execution,
            SourceError::BadRegex(_) => ErrorKind::BadData,
            SourceError::Unavailable(_) => ErrorKind::Internal,
        };
        QueryError { kind, text: error.to_string() }
    }
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::TooMuch(_) => ErrorKind::Execution,
            _ => ErrorKind::Internal,
        };
        QueryError { kind, text: error.to_string() }
    }
}
