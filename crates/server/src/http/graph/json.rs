//! Graphs as JSON: values by time, or the figures of each line.

use hesper_stack::graph::Line;
use serde::Serialize;

use super::EvaluatedGraph;
use super::explain::Explain;
use crate::http::json::Number;

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
    values: Option<Rows<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Vec<JsonStats>>,
    notices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explain>,
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

/// The values of lines, time by time, written without being copied.
struct Rows<'a> {
    lines: &'a [&'a Line],
    cells: usize,
}

impl Serialize for Rows<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.cells).map(|cell| Row {
            lines: self.lines,
            cell,
        }))
    }
}

struct Row<'a> {
    lines: &'a [&'a Line],
    cell: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.lines.iter().map(|line| Number(line.values[self.cell])))
    }
}

fn frame<'a>(graph: &EvaluatedGraph, lines: &[&'a Line]) -> JsonGraph<'a> {
    let time = &graph.request.time;
    JsonGraph {
        start: time.first_shown().millis(),
        end: None,
        step: time.step.millis(),
        legend: lines.iter().map(|l| l.legend.as_str()).collect(),
        metrics: lines.iter().map(|l| &l.tags).collect(),
        values: None,
        stats: None,
        notices: graph.notices(),
        explain: graph.explains().then(|| Explain::of(graph)),
    }
}

/// The values of all lines by time.
pub fn values(graph: &EvaluatedGraph, lines: &[&Line]) -> String {
    let mut frame = frame(graph, lines);
    let cells = graph.request.time.context().cells() - 1;
    frame.values = Some(Rows { lines, cells });
    serde_json::to_string(&frame).expect("texts and numbers")
}

/// The figures of all lines.
pub fn stats(graph: &EvaluatedGraph, lines: &[&Line]) -> String {
    let mut frame = frame(graph, lines);
    frame.end = Some(graph.request.time.context().end.millis());
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
