//! The answers of the API to the requests that need no server: what a handler would put together from the crate.

use std::collections::HashMap;

use hesper_model::{Step, Timestamp};
use hesper_stack::graph::{DisplayOptions, Graph, Line, assemble};
use hesper_stack::interpreter::trace::trace;
use hesper_stack::outdated::replace_outdated;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::strip::strip;
use hesper_stack::time::{GraphTime, TimeZone, time_range};
use hesper_stack::word::Word;
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

/// Answers a request; `None` when it is about something that this crate has no part in.
pub fn answer(request: &Request, store: &Store) -> Option<Result<Value, StackError>> {
    let q = request.param("q")?;
    let vocabulary = Vocabulary::named(request.param("vocab").unwrap_or("custom"));
    Some(match request.path.as_str() {
        "/api/v1/graph" => {
            let answered = ["json", "std.json", "stats.json", "v2.json"];
            let format = request.param("format").unwrap_or("png");
            if !answered.contains(&format) {
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
        "/api/v1/expr/complete" => vocabulary.and_then(|v| suggestions(q, v)).map(|words| {
            let shown = |w: &&Word| json!({"name": w.name(), "signature": w.signature()});
            json!(words.iter().map(shown).collect::<Vec<_>>())
        }),
        "/api/v1/expr/rewrite" => replace_outdated(q, Vocabulary::full()).map(|texts| json!(texts)),
        "/api/v1/expr/strip" => {
            let all = |name: &str| -> Vec<&str> {
                let values = request.params.iter().filter(|(k, _)| k == name);
                values.map(|(_, v)| v.as_str()).collect()
            };
            strip(q, &all("k"), &all("r"), Vocabulary::full()).map(|texts| json!(texts))
        }
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
    let display = DisplayOptions::read(|name| request.param(name).map(str::to_owned))?;
    let zones = request.params.iter().filter(|(k, _)| k == "tz");
    let zones: Vec<&str> = zones.map(|(_, v)| v.as_str()).collect();
    let tz = zones.first().copied().unwrap_or("UTC");
    let zone = TimeZone::parse(tz)?;
    let (s, e) = (
        request.param("s").unwrap_or("e-3h"),
        request.param("e").unwrap_or("now"),
    );
    let range = time_range(s, e, Timestamp(1_780_000_000_000), zone)?;
    let time = GraphTime::new(
        range,
        BASE_STEP,
        request.param("step"),
        display.width as usize,
    )?;
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
    let graph = assemble(&exprs, &display, &ctx, |style| {
        evaluate(&style.expr, &ctx, &data)
    })?;
    let lines: Vec<&Line> = graph.plots.iter().flat_map(|p| &p.lines).collect();
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
            "notices": graph.warnings,
        }),
        "v2.json" => v2(&graph, &display, &time, &zones),
        _ => json!({
            "start": start,
            "step": step,
            "legend": legends,
            "metrics": metrics,
            "values": (1..ctx.cells()).map(|cell| {
                lines.iter().map(|l| number(l.values[cell - 1])).collect::<Vec<_>>()
            }).collect::<Vec<_>>(),
            "notices": graph.warnings,
        }),
    })
}

/// The parts of a graph that are not about colours, in order.
fn v2(graph: &Graph, display: &DisplayOptions, time: &GraphTime, zones: &[&str]) -> Value {
    let ctx = time.context();
    let mut metadata = json!({
        "type": "graph-metadata",
        "startTime": time.first_shown().millis(),
        "endTime": ctx.end.millis(),
        "timezones": zones,
        "step": time.step.millis(),
        "width": display.width,
        "height": display.height,
        "layout": display.layout.name(),
        "zoom": display.zoom,
        "legendType": display.legend.name(),
        "onlyGraph": display.only_graph,
        "theme": display.theme,
        "warnings": graph.warnings,
    });
    if let Some(title) = &graph.title {
        metadata["title"] = json!(title);
    }
    if !display.hints.is_empty() {
        metadata["renderingHints"] = json!(display.hints);
    }
    let mut items = vec![metadata];
    for (i, plot) in graph.plots.iter().enumerate() {
        let mut item = json!({
            "type": "plot-metadata",
            "id": i,
            "scale": plot.axis.scale.name(),
            "upper": plot.axis.bounds.upper.to_string(),
            "lower": plot.axis.bounds.lower.to_string(),
            "tickLabelMode": plot.axis.tick_labels.name(),
        });
        if let Some(label) = &plot.ylabel {
            item["ylabel"] = json!(label);
        }
        if plot.has_color_of_lines {
            item["axisColor"] = json!("of the first line");
        }
        items.push(item);
        if let Some(heatmap) = &plot.axis.heatmap {
            let mut item = json!({
                "type": "heatmap",
                "plot": i,
                "colorScale": heatmap.scale.name(),
                "upper": heatmap.bounds.upper.to_string(),
                "lower": heatmap.bounds.lower.to_string(),
            });
            if let Some(label) = &heatmap.label {
                item["label"] = json!(label);
            }
            items.push(item);
        }
    }
    for (i, plot) in graph.plots.iter().enumerate() {
        for line in &plot.lines {
            let mut one = json!({
                "type": "timeseries",
                "id": line.id().to_string(),
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
                let keys = line.source.group_by_keys.iter();
                one["groupByKeys"] = json!(keys.map(|k| &**k).collect::<Vec<&str>>());
            }
            items.push(one);
        }
        for message in &plot.messages {
            items.push(json!({"type": "message", "plot": i, "label": message}));
        }
    }
    json!(items)
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
