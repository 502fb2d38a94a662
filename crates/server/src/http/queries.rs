//! `GET /api/v1/queries`: the queries under way; `GET /api/v1/queries/slow`: those that took long; `DELETE /api/v1/queries/{id}` ends one.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::ApiError;
use crate::node::NodeState;

/// The queries under way, oldest first.
pub async fn running(State(node): State<Arc<NodeState>>) -> Response {
    Json(node.engine.queries().running()).into_response()
}

/// The last queries that took long, newest first.
pub async fn slow(State(node): State<Arc<NodeState>>) -> Response {
    Json(node.engine.queries().slow()).into_response()
}

/// Ends a query.
///
/// # Errors
/// 404 when it is not under way.
pub async fn kill(
    State(node): State<Arc<NodeState>>,
    Path(id): Path<u64>,
) -> Result<Response, ApiError> {
    match node.engine.queries().kill(id) {
        true => Ok(Json(json!({"killed": id})).into_response()),
        false => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            format!("no query {id} is under way"),
        )),
    }
}
