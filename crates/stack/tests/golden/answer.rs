//! The answers of the API to the requests that need no server: what a handler would put together from the crate.

use std::collections::HashMap;

use hesper_model::{Step, Timestamp};
use hesper_stack::expr::style::LineStyle;
use hesper_stack::graph::{AxisOptions, Line, MAX_AXES, assemble};
use hesper_stack::interpreter::trace::trace;
use hesper_stack::parse::queries_of;
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::{
    DataExpr, GraphOptions, StackError, TimeSeries, Vocabulary, data_result, evaluate, normalize,
    parse_graph, parse_query,
};
use serde_json::{Value, json};

use crate::naive::Store;

const BASE_STEP: Step = Step::from_secs(60);

/// A request: the path, and the parameters in order.
pub struct Request {
    pub path: String,
    pub params: Vec<(String, String)>,
}

impl Request {
    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(k, _)| k == name);
        found.map(|(_, v)| v.as_str())
    }
}

/// The parameters of a graph that decide about its lines.
const LINE_PARAMS: [&str; 11] = [
    "q",
    "cq",
    "s",
    "e",
    "tz",
    "step",
    "w",
    "format",
    "hints",
    "stack",
    "tick_labels",
];

/// Parameters that only decide about the drawing; a wrong value of theirs is for others to refuse.
pub const DRAWING_PARAMS: [&str; 16] = [
    "h",
    "l",
    "u",
    "o",
    "scale",
    "ylabel",
    "title",
    "no_legend",
    "no_legend_stats",
    "only_graph",
    "theme",
    "palette",
    "vision",
    "zoom",
    "layout",
    "features",
];

/// Answers a request; `None` when it is about something that this crate has no part in.
pub fn answer(request: &Request, store: &Store) -> Option<Result<Value, StackError>> {
    let q = request.param("q")?;
    let vocabulary = Vocabulary::named(request.param("vocab").unwrap_or("custom"));
    Some(match request.path.as_str() {
        "/api/v1/graph" => {
            let known = |(k, _): &(String, String)| {
                LINE_PARAMS.contains(&k.as_str()) || DRAWING_PARAMS.contains(&k.as_str())
            };
            let drawn = ["json", "std.json", "stats.json", "v2.json"];
            let format = request.param("format").unwrap_or("png");
            if !request.params.iter().all(known) || !drawn.contains(&format) {
                return None;
            }
            graph(request, q, format, store)
        }
        "/api/v1/expr" | "/api/v1/expr/debug" => vocabulary
            .and_then(|v| trace(q, v))
            .map(|steps| json!(steps)),
        "/api/v1/expr/normalize" => vocabulary
            .and_then(|v| normalize(q, v))
            .map(|texts| json!(texts)),
        "/api/v1/expr/queries" => vocabulary
            .and_then(|v| queries_of(q, v))
            .map(|texts| json!(texts)),
        path if path.starts_with("/api/v1/tags") => match parse_query(q) {
            Ok(_) => return None,
            Err(e) => Err(e),
        },
        _ => return None,
    })
}

/// The HTTP status of an error.
pub fn status(e: &StackError) -> u64 {
    match e {
        StackError::NoSuchElement(_) => 404,
        StackError::IndexOutOfBounds(_)
        | StackError::ArrayIndexOutOfBounds(_)
        | StackError::StringIndexOutOfBounds(_)
        | StackError::Arithmetic(_)
        | StackError::Match(_) => 500,
        _ => 400,
    }
}

fn graph(request: &Request, q: &str, format: &str, store: &Store) -> Result<Value, StackError> {
    let width = match request.param("w") {
        None => 700,
        Some(w) => match w.parse::<i32>() {
            Ok(w) if w > 0 => w as usize,
            Ok(w) => {
                return Err(StackError::IllegalArgument(format!(
                    "requirement failed: width must be positive (got {w})"
                )));
            }
            Err(_) => {
                return Err(StackError::NumberFormat(format!(
                    "For input string: \"{w}\""
                )));
            }
        },
    };
    let tz = request.param("tz").unwrap_or("UTC");
    let zone = TimeZone::parse(tz)?;
    let (s, e) = (
        request.param("s").unwrap_or("e-3h"),
        request.param("e").unwrap_or("now"),
    );
    let range = time_range(s, e, Timestamp(1_780_000_000_000), zone)?;
    let time = GraphTime::new(range, BASE_STEP, request.param("step"), width)?;
    let options = GraphOptions {
        time_zone: tz,
        common_query: request.param("cq"),
        ..GraphOptions::default()
    };
    let exprs = parse_graph(q, &options)?;
    let ctx = time.context();
    let mut data: HashMap<DataExpr, Vec<TimeSeries>> = HashMap::new();
    for expr in exprs.iter().flat_map(|style| style.expr.data_exprs()) {
        let found = store.find(&expr, &ctx);
        let result = data_result(&expr, found, &ctx);
        data.insert(expr, result);
    }
    let axis = AxisOptions {
        line_style: match request.param("stack") {
            Some("1") => LineStyle::Stack,
            _ => LineStyle::Line,
        },
        binary_prefixes: request.param("tick_labels") == Some("binary"),
    };
    let plots = assemble(&exprs, &[axis; MAX_AXES], &ctx, |style| {
        evaluate(&style.expr, &ctx, &data)
    })?;
    let lines: Vec<&Line> = plots.iter().flat_map(|p| &p.lines).collect();
    let legends: Vec<&str> = lines.iter().map(|l| l.legend.as_str()).collect();
    let metrics: Vec<Value> = lines.iter().map(|l| json!(l.tags)).collect();
    let start = time.first_shown().millis();
    let step = time.step.millis();
    Ok(match format {
        "stats.json" => json!({
            "start": start,
            "end": ctx.end.millis(),
            "step": step,
            "legend": legends,
            "metrics": metrics,
            "stats": lines.iter().map(|l| json!({
                "count": l.stats.count,
                "avg": number(l.stats.avg),
                "total": number(l.stats.total),
                "max": number(l.stats.max),
                "min": number(l.stats.min),
                "last": number(l.stats.last),
            })).collect::<Vec<_>>(),
            "notices": [],
        }),
        // Of the parts that are not about drawing.
        "v2.json" => {
            let mut series = Vec::new();
            for (i, plot) in plots.iter().enumerate() {
                for line in &plot.lines {
                    let mut one = json!({
                        "type": "timeseries",
                        "plot": i,
                        "label": line.legend,
                        "lineStyle": line.source.line_style.name(),
                        "lineWidth": line.source.line_width,
                        "query": line.source.query,
                        "tags": line.tags,
                        "data": {
                            "type": "array",
                            "values": line.values.iter().map(|v| number(*v)).collect::<Vec<_>>(),
                        },
                    });
                    if !line.source.group_by_keys.is_empty() {
                        one["groupByKeys"] = json!(
                            line.source
                                .group_by_keys
                                .iter()
                                .map(|k| &**k)
                                .collect::<Vec<&str>>()
                        );
                    }
                    series.push(one);
                }
            }
            json!(series)
        }
        _ => json!({
            "start": start,
            "step": step,
            "legend": legends,
            "metrics": metrics,
            "values": (1..ctx.cells()).map(|cell| {
                lines.iter().map(|l| number(l.values[cell - 1])).collect::<Vec<_>>()
            }).collect::<Vec<_>>(),
            "notices": [],
        }),
    })
}

/// A number, or the name of one that JSON does not have.
fn number(v: f64) -> Value {
    if v.is_finite() {
        return json!(v);
    }
    json!(match (v.is_nan(), v > 0.0) {
        (true, _) => "NaN",
        (_, true) => "Infinity",
        _ => "-Infinity",
    })
}
