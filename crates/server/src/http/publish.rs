//! `POST /api/v1/publish` and its kin: Atlas's payloads in JSON or Smile, its rules and its replies. Answered when what was accepted is durable.
//!
//! | path | payload |
//! |---|---|
//! | `/api/v1/publish`, `/api/v1/publish-fast` | an object of common tags and datapoints |
//! | `/api/v1/publish-list` | a list of datapoints |
//! | `/api/v1/publish-compact` | a flat list with a table of texts |
//! | `/api/v4/update` | what agents send to an aggregator: amounts without a time |

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_hot::log::record::ClientId;
use hesper_ingest::IngestError;
use hesper_ingest::atlas::{self, Encoding, flat};
use hesper_ingest::router::{Datapoint, Published};
use serde_json::json;

use super::body;
use super::error::ApiError;
use crate::clock;
use crate::node::NodeState;

/// Failures that are named in a reply; all are counted.
const MAX_NAMED: usize = 5;

/// Which of the payloads a body is.
#[derive(Clone, Copy)]
enum Payload {
    Object,
    List,
    Compact,
    Update,
}

/// Takes an object of common tags and datapoints.
///
/// # Errors
/// 400 when it cannot be read, 413 when it is too large, 429 when too many publish at once, 503 when the store cannot take it.
pub async fn publish(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    take(node, &headers, body, Payload::Object).await
}

/// Takes a list of datapoints.
///
/// # Errors
/// As [`publish`].
pub async fn publish_list(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    take(node, &headers, body, Payload::List).await
}

/// Takes a flat list with a table of texts.
///
/// # Errors
/// As [`publish`].
pub async fn publish_compact(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    take(node, &headers, body, Payload::Compact).await
}

/// Takes amounts and highest values of the present step.
///
/// # Errors
/// As [`publish`].
pub async fn update(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let response = take(node, &headers, body, Payload::Update).await?;
    // Agents expect an object.
    Ok(match response.status() {
        StatusCode::OK => Json(json!({})).into_response(),
        _ => response,
    })
}

async fn take(
    node: Arc<NodeState>,
    headers: &HeaderMap,
    body: Body,
    payload: Payload,
) -> Result<Response, ApiError> {
    let Ok(_turn) = node.publish_permits.try_acquire() else {
        return Err(ApiError::too_many("too many publish at the same time"));
    };
    let stats = node.router.stats();
    let body = body::read(body, headers, node.config.max_body_bytes)
        .await
        .inspect_err(|_| _ = stats.unreadable.fetch_add(1, Ordering::Relaxed))?;
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|t| t.to_str().ok());
    let encoding = Encoding::of_content_type(content_type.unwrap_or_default());
    let router = node.router.clone();
    let published = tokio::task::spawn_blocking(move || {
        let now = clock::now();
        let datapoints = match payload {
            Payload::Object => atlas::decode(&body, encoding),
            Payload::List => atlas::decode_list(&body, encoding),
            Payload::Compact => flat::decode(&body, encoding),
            Payload::Update => flat::decode_update(&body, encoding, router.store().step(), now),
        }?;
        if datapoints.is_empty() {
            return Ok(None);
        }
        let published = router.publish(&datapoints, ClientId::NONE, 0, now)?;
        Ok(Some((published, datapoints)))
    });
    match published.await.expect("ingest does not panic") {
        Ok(Some((published, datapoints))) => {
            node.hot
                .log()
                .wait_durable(published.lsn)
                .await
                .map_err(IngestError::Store)?;
            Ok(reply(&published, &datapoints))
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
fn reply(published: &Published, datapoints: &[Datapoint]) -> Response {
    if published.refused.is_empty() {
        return StatusCode::OK.into_response();
    }
    let tags =
        |index: usize| serde_json::to_string(&datapoints[index].tags).expect("tags are texts");
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
