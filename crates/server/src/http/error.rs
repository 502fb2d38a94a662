//! Errors in Atlas's shape: `{"type":"error","message":"Class: text"}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_ingest::IngestError;
use hesper_query::QueryError;
use hesper_stack::StackError;
use serde_json::json;

/// How long a caller should wait who met a limit.
pub(super) const RETRY_AFTER_SECS: &str = "1";

/// An error that is told the caller.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// An error with its status and its message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong: `Class: text`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The answer when a required parameter of the expression helper is missing.
    pub fn missing(name: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("MissingQueryParamRejection({name})"),
        )
    }

    /// Too many wait already.
    pub fn too_many(what: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("TooManyRequestsException: {what}; send again later"),
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"type": "error", "message": self.message});
        let mut response = (self.status, Json(body)).into_response();
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let headers = response.headers_mut();
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from_static(RETRY_AFTER_SECS),
            );
        }
        response
    }
}

impl From<StackError> for ApiError {
    fn from(error: StackError) -> Self {
        let status = match &error {
            StackError::NoSuchElement(_) => StatusCode::NOT_FOUND,
            StackError::IndexOutOfBounds(_)
            | StackError::ArrayIndexOutOfBounds(_)
            | StackError::StringIndexOutOfBounds(_)
            | StackError::Arithmetic(_)
            | StackError::Match(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let status = match error {
            QueryError::Stack(error) => return error.into(),
            QueryError::Step(_)
            | QueryError::TooMuch(_)
            | QueryError::TooBroad { .. }
            | QueryError::Sql(_)
            | QueryError::SqlMemory { .. } => StatusCode::BAD_REQUEST,
            // The client that asked is told; nginx's word for a request that was given up.
            QueryError::Killed => StatusCode::from_u16(499).expect("three digits"),
            QueryError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            QueryError::OutOfMemory { .. }
            | QueryError::Timeout { .. }
            | QueryError::Incomplete(_) => StatusCode::SERVICE_UNAVAILABLE,
            QueryError::Plan(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let status = match &error {
            IngestError::Unreadable(_) | IngestError::UnknownTenant(_) => StatusCode::BAD_REQUEST,
            IngestError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}
