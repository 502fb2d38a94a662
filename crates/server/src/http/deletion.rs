//! `DELETE /api/v1/data?q=…&s=…&e=…`: deletes from history what the series of a query have in a range. Answers leave it out from then on; the
//! files follow with the next merge of each day.
//!
//! Only history forgets: a range that memory holds any of is refused, with the time from which on it does.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hesper_model::{TagQuery, TimeRange};
use hesper_stack::parse_query;
use hesper_stack::time::{TimeZone, time_range};
use serde_json::json;

use super::error::ApiError;
use super::params::Params;
use crate::clock;
use crate::node::NodeState;

/// Deletes.
///
/// # Errors
/// 400 when a parameter is missing or makes no sense, 409 when memory holds some of the range, 503 when history cannot be written.
pub async fn delete(
    State(node): State<Arc<NodeState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let required = |name: &'static str| params.get(name).ok_or_else(|| ApiError::missing(name));
    let query = parse_query(required("q")?)?;
    if matches!(query, TagQuery::False) {
        let message = "IllegalArgumentException: the query matches nothing";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let now = clock::now();
    let (start, end) = time_range(required("s")?, required("e")?, now, TimeZone::UTC)?;
    let step = node.hot.step();
    let range = TimeRange::between(start, end, step);
    if let Some(window) = node.hot.oldest_window()
        && range.last >= window.first_slot()
    {
        // A slot begins where the one before it ends.
        let since = (window.first_slot().0 - 1) * step.millis();
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            format!(
                "IllegalStateException: memory holds data from {} on, and only history can forget; delete what ended before, or wait until it has left memory",
                since
            ),
        ));
    }
    // Told from every other deletion by the time and the node.
    let id = format!("{}-{}", now, std::process::id());
    let deleted = node.history.delete(id.clone(), query, range).await;
    deleted.map_err(|e| {
        let message = format!("HistoryException: {e}; send it again");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    Ok(Json(json!({"deletion": id})).into_response())
}
