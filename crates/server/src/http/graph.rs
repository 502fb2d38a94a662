//! `GET /api/v1/graph`: the lines that expressions give over a range.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hesper_query::MissingPart;
use hesper_query::engine::{QueryOptions, QueryStats};
use hesper_stack::expr::style::LineStyle;
use hesper_stack::graph::{AxisOptions, Line, MAX_AXES, Plot, assemble};
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{GraphOptions, StackError, TimeSeriesExpr, parse_graph};
use serde::Serialize;

use super::access::Caller;
use super::csv;
use super::error::ApiError;
use super::json::Number;
use super::params::Params;
use crate::clock;
use crate::node::NodeState;

/// Names the parts that an answer lacks.
pub const PARTIAL: HeaderName = HeaderName::from_static("hesper-partial");

/// The width of a graph that names none, in pixels.
const DEFAULT_WIDTH: i32 = 700;

/// A graph that names none is in this zone.
const DEFAULT_ZONE: &str = "UTC";

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    StatsJson,
    Csv,
    Text,
    /// Known to Atlas, but not to this version.
    Later(&'static str),
}

impl Format {
    fn read(params: &Params) -> Result<Self, ApiError> {
        match params.get("format").unwrap_or("png") {
            "json" | "std.json" => Ok(Self::Json),
            "stats.json" => Ok(Self::StatsJson),
            "csv" => Ok(Self::Csv),
            "txt" => Ok(Self::Text),
            "png" => Ok(Self::Later("png")),
            "v2.json" => Ok(Self::Later("v2.json")),
            unknown => Err(StackError::NoSuchElement(format!("key not found: {unknown}")).into()),
        }
    }
}

/// A graph that was asked for, evaluated.
struct Graph {
    time: GraphTime,
    zone: TimeZone,
    plots: Vec<Plot>,
    missing: Vec<MissingPart>,
    stats: QueryStats,
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
    let graph = evaluate(&node, &params, &caller).await?;
    if let Format::Later(name) = format {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            format!(
                "UnsupportedOperationException: format {name} is not there yet; ask for format=json, stats.json, csv or txt"
            ),
        ));
    }
    // Writing many lines takes its time.
    let written = tokio::task::spawn_blocking(move || write(&graph, format)).await;
    Ok(written.expect("writing does not panic"))
}

async fn evaluate(node: &NodeState, params: &Params, caller: &str) -> Result<Graph, ApiError> {
    let program = params
        .get("q")
        .ok_or_else(|| StackError::IllegalArgument("missing required parameter 'q'".to_owned()))?;
    let zone_name = params.get("tz").unwrap_or(DEFAULT_ZONE);
    let zone = TimeZone::parse(zone_name)?;
    let time = graph_time(node, params, zone)?;
    let options = GraphOptions {
        time_zone: zone_name,
        common_query: params.get("cq"),
        ..GraphOptions::default()
    };
    let exprs = parse_graph(program, &options)?;
    let wanted: Vec<&TimeSeriesExpr> = exprs.iter().map(|style| &*style.expr).collect();
    let ctx = time.context();
    let options = QueryOptions {
        strict: params.is_on("strict"),
        all: params.is_on("all"),
        caller,
    };
    let query = node.engine.evaluate(&wanted, &ctx, options);
    let queries = node.engine.queries();
    let answer = queries.run(program, caller, clock::now(), query).await?;
    let axis = AxisOptions {
        line_style: match params.is_on("stack") {
            true => LineStyle::Stack,
            false => LineStyle::Line,
        },
        binary_prefixes: params.get("tick_labels") == Some("binary"),
    };
    let mut results: Vec<_> = exprs.iter().zip(answer.results).map(Some).collect();
    let plots = assemble(&exprs, &[axis; MAX_AXES], &ctx, |style| {
        let found = results.iter_mut().find(|r| {
            r.as_ref()
                .is_some_and(|(expr, _)| std::ptr::eq(*expr, style))
        });
        let result = found.and_then(Option::take);
        Ok(result.map(|(_, result)| result).unwrap_or_default())
    })?;
    Ok(Graph {
        time,
        zone,
        plots,
        missing: answer.missing,
        stats: answer.stats,
    })
}

fn graph_time(node: &NodeState, params: &Params, zone: TimeZone) -> Result<GraphTime, StackError> {
    let width = params.integer("w")?.unwrap_or(DEFAULT_WIDTH);
    let height = params.integer("h")?;
    for (name, pixels) in [("width", Some(width)), ("height", height)] {
        if let Some(pixels) = pixels.filter(|p| *p <= 0) {
            let text = format!("requirement failed: {name} must be positive (got {pixels})");
            return Err(StackError::IllegalArgument(text));
        }
    }
    let (s, e) = (
        params.get("s").unwrap_or("e-3h"),
        params.get("e").unwrap_or("now"),
    );
    let range = time_range(s, e, clock::now(), zone)?;
    GraphTime::new(range, node.hot.step(), params.get("step"), width as usize)
}

fn write(graph: &Graph, format: Format) -> Response {
    let lines: Vec<&Line> = graph.plots.iter().flat_map(|p| &p.lines).collect();
    let (kind, body) = match format {
        Format::Json => ("application/json", json(graph, &lines)),
        Format::StatsJson => ("application/json", stats_json(graph, &lines)),
        Format::Csv => (
            "text/csv",
            csv::write(&lines, &graph.time, &graph.zone, ','),
        ),
        Format::Text | Format::Later(_) => (
            "text/plain",
            csv::write(&lines, &graph.time, &graph.zone, '\t'),
        ),
    };
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    let headers = response.headers_mut();
    if !graph.missing.is_empty() {
        let parts: Vec<&str> = graph.missing.iter().map(|m| m.part.as_str()).collect();
        if let Ok(parts) = HeaderValue::from_str(&parts.join(", ")) {
            headers.insert(PARTIAL, parts);
        }
    }
    let read = format!(
        "series={}, blocks={}, files={}, rows={}",
        graph.stats.series, graph.stats.blocks, graph.stats.files, graph.stats.rows
    );
    if let Ok(read) = HeaderValue::from_str(&read) {
        headers.insert(HeaderName::from_static("hesper-read"), read);
    }
    response
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonGraph<'a> {
    start: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
    step: i64,
    legend: Vec<&'a str>,
    metrics: Vec<&'a hesper_model::Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<Vec<Number>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Vec<JsonStats>>,
    notices: Vec<String>,
}

#[derive(Serialize)]
struct JsonStats {
    count: usize,
    avg: Number,
    total: Number,
    max: Number,
    min: Number,
    last: Number,
}

fn frame<'a>(graph: &Graph, lines: &[&'a Line]) -> JsonGraph<'a> {
    let mut notices: Vec<String> = Vec::new();
    for plot in &graph.plots {
        notices.extend(plot.messages.iter().cloned());
    }
    // Promise P4: an answer that lacks a part says so.
    for missing in &graph.missing {
        notices.push(format!("partial answer, {missing} is missing"));
    }
    JsonGraph {
        start: graph.time.first_shown().millis(),
        end: None,
        step: graph.time.step.millis(),
        legend: lines.iter().map(|l| l.legend.as_str()).collect(),
        metrics: lines.iter().map(|l| &l.tags).collect(),
        values: None,
        stats: None,
        notices,
    }
}

fn json(graph: &Graph, lines: &[&Line]) -> String {
    let mut frame = frame(graph, lines);
    let cells = graph.time.context().cells() - 1;
    let row = |cell: usize| lines.iter().map(|l| Number(l.values[cell])).collect();
    frame.values = Some((0..cells).map(row).collect());
    serde_json::to_string(&frame).expect("texts and numbers")
}

fn stats_json(graph: &Graph, lines: &[&Line]) -> String {
    let mut frame = frame(graph, lines);
    frame.end = Some(graph.time.context().end.millis());
    let stats = lines.iter().map(|l| JsonStats {
        count: l.stats.count,
        avg: Number(l.stats.avg),
        total: Number(l.stats.total),
        max: Number(l.stats.max),
        min: Number(l.stats.min),
        last: Number(l.stats.last),
    });
    frame.stats = Some(stats.collect());
    serde_json::to_string(&frame).expect("texts and numbers")
}
