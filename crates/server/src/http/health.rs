//! `GET /healthcheck`: which parts of the node are well; `GET /ok`: that it answers at all.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::node::NodeState;

/// A map of part to well or not; 200 when all are, else 500.
pub async fn healthcheck(State(node): State<Arc<NodeState>>) -> Response {
    let log = node.hot.log().poison().is_none();
    let history = node.maintenance.stats().last_error.lock().is_none();
    let status = match log && history {
        true => StatusCode::OK,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({"log": log, "history": history}))).into_response()
}

/// The address of whoever asks.
pub async fn ok(ConnectInfo(client): ConnectInfo<SocketAddr>) -> String {
    client.ip().to_string()
}
