//! `GET /api/v1/alerts`: the rules, what they are about to say, and what they have said.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::node::NodeState;

/// All rules with their active alerts.
pub async fn alerts(State(node): State<Arc<NodeState>>) -> Response {
    Json(node.alerts.status()).into_response()
}

/// The last changes of alerts, newest first.
pub async fn history(State(node): State<Arc<NodeState>>) -> Response {
    Json(node.alerts.history()).into_response()
}
