//! `POST /api/v1/publish`: Atlas's JSON, its rules and its replies. Answered when what was accepted is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hesper_hot::log::record::ClientId;
use hesper_ingest::router::Published;
use hesper_ingest::{IngestError, atlas};
use serde_json::json;

use super::body;
use super::error::ApiError;
use crate::clock;
use crate::node::NodeState;

/// Failures that are named in a reply; all are counted.
const MAX_NAMED: usize = 5;

/// Takes a body of datapoints.
///
/// # Errors
/// 400 when it cannot be read, 413 when it is too large, 429 when too many publish at once, 503 when the store cannot take it.
pub async fn publish(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Ok(_turn) = node.publish_permits.try_acquire() else {
        return Err(ApiError::too_many("too many publish at the same time"));
    };
    let stats = node.router.stats();
    let body = body::read(body, &headers, node.config.max_body_bytes)
        .await
        .inspect_err(|_| _ = stats.unreadable.fetch_add(1, Ordering::Relaxed))?;
    let router = node.router.clone();
    let published = tokio::task::spawn_blocking(move || {
        let datapoints = atlas::decode(&body)?;
        if datapoints.is_empty() {
            return Ok(None);
        }
        let published = router.publish(&datapoints, ClientId::NONE, 0, clock::now())?;
        Ok(Some((published, datapoints)))
    });
    let published = published.await.expect("ingest does not panic");
    match published {
        Ok(Some((published, datapoints))) => {
            node.hot
                .log()
                .wait_durable(published.lsn)
                .await
                .map_err(IngestError::Store)?;
            Ok(reply(&published, |index| {
                serde_json::to_string(&datapoints[index].tags).expect("tags are texts")
            }))
        }
        Ok(None) => Err(ApiError::new(StatusCode::BAD_REQUEST, "empty payload")),
        Err(error) => {
            if let IngestError::Unreadable(_) = &error {
                stats.unreadable.fetch_add(1, Ordering::Relaxed);
            }
            Err(error.into())
        }
    }
}

/// Nothing when all is well, else what was refused and why.
fn reply(published: &Published, tags: impl Fn(usize) -> String) -> Response {
    if published.refused.is_empty() {
        return StatusCode::OK.into_response();
    }
    let named = published.refused.iter().take(MAX_NAMED);
    let messages: Vec<String> = named
        .map(|r| format!("{} (tags={})", r.message, tags(r.index)))
        .collect();
    let (status, kind) = match published.accepted {
        0 => (StatusCode::BAD_REQUEST, "error"),
        _ => (StatusCode::ACCEPTED, "partial"),
    };
    let body = json!({
        "type": kind,
        "errorCount": published.refused.len(),
        "message": messages,
    });
    (status, Json(body)).into_response()
}
