//! `GET /api/v2/config` and `/api/v2/config/{key}`: the settings that are in force.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_stack::StackError;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::params::Params;
use crate::node::NodeState;

/// All settings.
///
/// # Errors
/// 404 for a format that is not known.
pub async fn all(
    State(node): State<Arc<NodeState>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let settings = node.config.effective();
    answer(settings, query.as_deref())
}

/// One setting.
///
/// # Errors
/// 404 when there is none of that name.
pub async fn one(
    State(node): State<Arc<NodeState>>,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let mut settings = node.config.effective();
    match settings.remove(&key) {
        Some(value) => answer(Map::from_iter([(key, value)]), query.as_deref()),
        None => Err(ApiError::new(StatusCode::NOT_FOUND, "no matching path")),
    }
}

fn answer(settings: Map<String, Value>, query: Option<&str>) -> Result<Response, ApiError> {
    let params = Params::read(query);
    let lines = |value: fn(&Value) -> String| {
        let lines = settings.iter().map(|(k, v)| format!("{k}={}\n", value(v)));
        let text: String = lines.collect();
        ([(header::CONTENT_TYPE, "text/plain")], text).into_response()
    };
    match params.get("format").unwrap_or("json") {
        "json" => Ok(Json(&settings).into_response()),
        "hocon" => Ok(lines(Value::to_string)),
        "properties" => Ok(lines(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })),
        unknown => Err(StackError::NoSuchElement(format!("key not found: {unknown}")).into()),
    }
}
