//! `GET /api/v1/graph`: the lines that expressions give over a range, as numbers, as text, or as a picture.

mod evaluated;
mod explain;
mod json;
mod picture;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use hesper_query::aside;
use hesper_query::budget::HeldText;
use hesper_stack::StackError;
use hesper_stack::graph::Line;

pub use evaluated::{EvaluatedGraph, GraphRequest, data_notices, expressions, range, zones};
use picture::Picture;

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
    Picture(Picture),
}

impl Format {
    fn read(params: &Params) -> Result<Self, StackError> {
        match params.get("format").unwrap_or("png") {
            "json" | "std.json" => Ok(Self::Json),
            "stats.json" => Ok(Self::StatsJson),
            "csv" => Ok(Self::Csv),
            "txt" => Ok(Self::Text),
            "png" => Ok(Self::Picture(Picture::Png)),
            "svg" => Ok(Self::Picture(Picture::Svg)),
            "v2.json" => Ok(Self::Picture(Picture::V2Json)),
            "ascii" => Picture::terminal(params).map(Self::Picture),
            unknown => Err(StackError::NoSuchElement(format!(
                "key not found: {unknown}"
            ))),
        }
    }
}

/// The lines of a graph.
///
/// # Errors
/// In Atlas's shape; a browser that asked for a picture gets a picture of the error.
pub async fn graph(
    State(node): State<Arc<NodeState>>,
    Extension(Caller(caller)): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let params = Params::read(uri.query());
    let answer = answer(&node, &caller, &params, &uri).await;
    let for_eyes = params.get("format").is_none_or(|f| f == "png") && picture::is_browser(&headers);
    match answer {
        Err(error) if for_eyes => Ok(picture::of_error(&error, &params)),
        answer => answer,
    }
}

async fn answer(
    node: &NodeState,
    caller: &str,
    params: &Params,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let format = Format::read(params)?;
    let request = GraphRequest::read(node, params)?;
    let graph = request.evaluate(node, caller).await?;
    let target = uri.to_string();
    // Writing many lines takes its time, and so does drawing any.
    let large = graph.is_large() || matches!(format, Format::Picture(_));
    let span = tracing::info_span!("write", ?format);
    let writing = move || span.in_scope(|| write(graph, format, &target));
    aside::run(large, writing).await
}

fn write(graph: EvaluatedGraph, format: Format, target: &str) -> Result<Response, ApiError> {
    let missing = graph.missing_parts();
    let stats = graph.stats;
    let lines = || graph.lines().collect::<Vec<&Line>>();
    let one = |text: Vec<u8>| vec![Bytes::from(text)];
    let held = graph.held.clone();
    let (kind, parts) = match format {
        Format::Json => ("application/json", json::values(&graph, &lines())),
        Format::StatsJson => ("application/json", one(json::stats(&graph, &lines()))),
        Format::Csv => ("text/csv", one(csv::write(&lines(), &graph, ',').into())),
        Format::Text => ("text/plain", one(csv::write(&lines(), &graph, '\t').into())),
        Format::Picture(picture) => {
            let drawn = picture.draw(graph, target).map_err(StackError::from)?;
            (picture.content_type(), one(drawn))
        }
    };
    let bytes = parts.iter().map(Bytes::len).sum::<usize>();
    let held = held.map(|held| held.hold_text(bytes as u64)).transpose()?;
    let body = body_of(parts, bytes, held);
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    if let Some(parts) = missing {
        headers.insert(PARTIAL, parts);
    }
    let read = format!(
        "series={}, blocks={}, files={}, rows={}",
        stats.series, stats.blocks, stats.files, stats.rows
    );
    if let Ok(read) = HeaderValue::from_str(&read) {
        headers.insert(READ, read);
    }
    Ok(response)
}

/// A body of parts, which are sent as they are instead of being copied together; its length is known all the same. Its memory is held until it
/// is sent, or nobody wants it any more.
fn body_of(parts: Vec<Bytes>, length: usize, held: Option<HeldText>) -> Response {
    let parts = stream::iter(parts).map(move |part| {
        let _until_sent = &held;
        Ok::<_, Infallible>(part)
    });
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(parts)).into_response()
}
