//! `POST /api/v1/write`: Prometheus remote write 1.0. Answered when what was accepted is durable.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_ingest::IngestError;

use super::body;
use super::error::{ApiError, RETRY_AFTER_SECS};
use crate::clock;
use crate::node::NodeState;

/// The message of version 2, which a sender offers in its content type.
const SECOND_VERSION: &str = "io.prometheus.write.v2.Request";

/// Takes a request.
///
/// # Errors
/// 400 when it cannot be read, 413 when it is too large, 415 for version 2 of the protocol, 429 when too many publish at once, 503 when the store
/// cannot take it.
pub async fn write(
    State(node): State<Arc<NodeState>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Ok(_turn) = node.publish_permits.try_acquire() else {
        return Err(ApiError::too_many("too many publish at the same time"));
    };
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|t| t.to_str().ok());
    if content_type.is_some_and(|t| t.contains(SECOND_VERSION)) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "IllegalArgumentException: remote write 2.0 is not known; send 1.0 (prometheus.WriteRequest)",
        ));
    }
    let limit = node.config.max_body_bytes;
    let unreadable = &node.router.stats().unreadable;
    let packed = body::read_packed(body, limit)
        .await
        .inspect_err(|_| _ = unreadable.fetch_add(1, Ordering::Relaxed))?;
    let state = node.clone();
    let taken =
        tokio::task::spawn_blocking(move || state.remote_write.take(&packed, limit, clock::now()));
    let written = taken.await.expect("ingest does not panic")?;
    let durable = node.hot.log().wait_durable(written.lsn).await;
    durable.map_err(IngestError::Store)?;
    let status = StatusCode::from_u16(written.status()).expect("a status");
    let mut response = (status, written.message()).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        let headers = response.headers_mut();
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from_static(RETRY_AFTER_SECS),
        );
    }
    Ok(response)
}
