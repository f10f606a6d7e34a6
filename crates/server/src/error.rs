//! Errors of the API: one shape, Prometheus' own, for all of it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use limpid_store::StoreError;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct ApiError {
    status: &'static str,
    #[serde(rename = "errorType")]
    kind: &'static str,
    error: String,
    #[serde(skip)]
    code: StatusCode,
}

impl ApiError {
    fn new(code: StatusCode, kind: &'static str, error: impl Into<String>) -> Self {
        ApiError { status: "error", kind, error: error.into(), code }
    }

    pub fn bad_data(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_data", error)
    }

    pub fn not_found(error: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", error)
    }

    /// Understood, and cannot be answered: Prometheus uses 422.
    pub fn execution(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "execution", error)
    }

    pub fn timeout(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", error)
    }

    pub fn internal(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error)
    }

    pub fn refused(code: StatusCode, error: impl Into<String>) -> Self {
        Self::new(code, "refused", error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooMuch(text) => ApiError::execution(text),
            other => ApiError::internal(format!("the store cannot be read: {other}")),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(self)).into_response();
        if response.status() == StatusCode::UNAUTHORIZED {
            // As RFC 9110, section 11.6.1, asks; browsers show nothing for it.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
