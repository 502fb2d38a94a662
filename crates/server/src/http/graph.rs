//! `GET /api/v1/graph`: the lines that expressions give over a range, as numbers, as text, or as a picture.

mod evaluated;
mod explain;
mod json;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hesper_stack::StackError;
use hesper_stack::graph::Line;

pub use evaluated::{EvaluatedGraph, GraphRequest};

use super::access::Caller;
use super::csv;
use super::error::ApiError;
use super::params::Params;
use crate::node::NodeState;

/// Names the parts that an answer lacks.
pub const PARTIAL: HeaderName = HeaderName::from_static("hesper-partial");

/// Says what was read for an answer.
const READ: HeaderName = HeaderName::from_static("hesper-read");

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    StatsJson,
    Csv,
    Text,
}

impl Format {
    fn read(params: &Params) -> Result<Self, StackError> {
        match params.get("format").unwrap_or("png") {
            "json" | "std.json" => Ok(Self::Json),
            "stats.json" => Ok(Self::StatsJson),
            "csv" => Ok(Self::Csv),
            "txt" => Ok(Self::Text),
            unknown => Err(StackError::NoSuchElement(format!(
                "key not found: {unknown}"
            ))),
        }
    }
}

/// The lines of a graph.
///
/// # Errors
/// In Atlas's shape.
pub async fn graph(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let params = Params::read(query.as_deref());
    let format = Format::read(&params)?;
    let request = GraphRequest::read(&node, &params)?;
    let graph = request.evaluate(&node, &caller).await?;
    // Writing many lines takes its time.
    let written = tokio::task::spawn_blocking(move || write(&graph, format)).await;
    Ok(written.expect("writing does not panic"))
}

fn write(graph: &EvaluatedGraph, format: Format) -> Response {
    let lines: Vec<&Line> = graph.lines().collect();
    let (kind, body) = match format {
        Format::Json => ("application/json", json::values(graph, &lines)),
        Format::StatsJson => ("application/json", json::stats(graph, &lines)),
        Format::Csv => ("text/csv", csv::write(&lines, graph, ',')),
        Format::Text => ("text/plain", csv::write(&lines, graph, '\t')),
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    if let Some(parts) = graph.missing_parts() {
        headers.insert(PARTIAL, parts);
    }
    let stats = &graph.stats;
    let read = format!(
        "series={}, blocks={}, files={}, rows={}",
        stats.series, stats.blocks, stats.files, stats.rows
    );
    if let Ok(read) = HeaderValue::from_str(&read) {
        headers.insert(READ, read);
    }
    response
}
