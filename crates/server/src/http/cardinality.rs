//! `GET /api/v1/cardinality`: which names, apps and tag keys have the most series and datapoints, and add the most.
//!
//! | parameter | | default |
//! |---|---|---|
//! | `by` | `name`, `nf.app` or `key` | `name` |
//! | `order` | `series`, `added-series`, `datapoints` or, of keys, `values` | `series` |
//! | `k` | how many rows | 20 |

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hesper_ingest::cardinality::{MAX_ROWS, UnknownChoice};

use super::error::ApiError;
use super::params::Params;
use crate::node::NodeState;

/// Rows unless another number is asked for.
const DEFAULT_ROWS: i32 = 20;

/// The report.
///
/// # Errors
/// 400 when a parameter makes no sense.
pub async fn cardinality(
    State(node): State<Arc<NodeState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let bad = |what: String| {
        let message = format!("IllegalArgumentException: {what}");
        ApiError::new(StatusCode::BAD_REQUEST, message)
    };
    let unknown = |e: UnknownChoice| bad(e.to_string());
    let by = params
        .get("by")
        .unwrap_or("name")
        .parse()
        .map_err(unknown)?;
    let order = params.get("order").unwrap_or("series");
    let order = order.parse().map_err(unknown)?;
    let k = params.integer("k")?.unwrap_or(DEFAULT_ROWS);
    let k = usize::try_from(k)
        .ok()
        .filter(|k| (1..=MAX_ROWS).contains(k));
    let k = k.ok_or_else(|| bad(format!("k must be from 1 to {MAX_ROWS}")))?;
    let report =
        tokio::task::spawn_blocking(move || node.router.cardinality().report(by, order, k));
    Ok(Json(report.await.expect("counting does not panic")).into_response())
}
