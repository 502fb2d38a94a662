//! Graphs as JSON: values by time, or the figures of each line.

use std::ops::Range;

use bytes::Bytes;
use hesper_model::cores::in_parts;
use hesper_stack::graph::Line;
use serde::Serialize;

use super::EvaluatedGraph;
use super::explain::Explain;
use crate::http::json::Number;

/// Numbers that are worth a core of their own.
const PARALLEL_NUMBERS: usize = 50_000;

/// Times that are written from columns at once: as many values as lie in a cache line or two.
const ROWS_TOGETHER: usize = 16;

/// Bytes of a number with its comma, about.
const NUMBER_BYTES: usize = 10;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    start: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<i64>,
    step: i64,
    legend: Vec<&'a str>,
    metrics: Vec<&'a hesper_model::Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<Vec<JsonStats>>,
}

#[derive(Serialize)]
struct Tail {
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

fn head<'a>(graph: &EvaluatedGraph, lines: &[&'a Line]) -> Head<'a> {
    let time = &graph.request.time;
    Head {
        start: time.first_shown().millis(),
        end: None,
        step: time.step.millis(),
        legend: lines.iter().map(|l| l.legend.as_str()).collect(),
        metrics: lines.iter().map(|l| &l.tags).collect(),
        stats: None,
    }
}

fn text(object: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(object).expect("texts and numbers")
}

/// The head without its last brace.
fn begun(head: &Head<'_>) -> Vec<u8> {
    let mut text = text(head);
    text.pop();
    text
}

/// What comes after the head, the comma before it included.
fn rest(graph: &EvaluatedGraph) -> Vec<u8> {
    let mut text = text(&Tail {
        notices: graph.notices(),
        explain: graph.explains().then(|| Explain::of(graph)),
    });
    text[0] = b',';
    text
}

/// The values of all lines by time, in parts that make one text. Times are shared out to the cores: this is most of the work of a large answer.
pub fn values(graph: &EvaluatedGraph, lines: &[&Line]) -> Vec<Bytes> {
    let cells = graph.request.time.context().cells() - 1;
    let worth = PARALLEL_NUMBERS / lines.len().max(1) + 1;
    let rows = in_parts(cells, worth, |part| {
        let mut text = Vec::with_capacity(part.len() * (lines.len() * NUMBER_BYTES + 3));
        let mut rows = Vec::new();
        for first in part.clone().step_by(ROWS_TOGETHER) {
            let cells = first..part.end.min(first + ROWS_TOGETHER);
            turn(lines, cells.clone(), &mut rows);
            for (row, cell) in cells.enumerate() {
                text.extend_from_slice(if cell == 0 { b"[" } else { b",[" });
                let row = &rows[row * lines.len()..][..lines.len()];
                for (i, value) in row.iter().enumerate() {
                    if i > 0 {
                        text.push(b',');
                    }
                    Number(*value).write(&mut text);
                }
                text.push(b']');
            }
        }
        text
    });
    let mut first = begun(&head(graph, lines));
    first.extend_from_slice(b",\"values\":[");
    let mut last = vec![b']'];
    last.extend_from_slice(&rest(graph));
    let parts = std::iter::once(first)
        .chain(rows)
        .chain(std::iter::once(last));
    parts.map(Bytes::from).collect()
}

/// Puts the values of cells after one another, time by time. Each column is read once, as far as the cells go.
fn turn(lines: &[&Line], cells: Range<usize>, rows: &mut Vec<f64>) {
    rows.clear();
    rows.resize(cells.len() * lines.len(), f64::NAN);
    for (i, line) in lines.iter().enumerate() {
        let places = rows[i..].iter_mut().step_by(lines.len());
        for (place, value) in places.zip(&line.values[cells.clone()]) {
            *place = *value;
        }
    }
}

/// The figures of all lines.
pub fn stats(graph: &EvaluatedGraph, lines: &[&Line]) -> Vec<u8> {
    let mut head = head(graph, lines);
    head.end = Some(graph.request.time.context().end.millis());
    let stats = lines.iter().map(|l| JsonStats {
        count: l.stats.count,
        avg: Number(l.stats.avg),
        total: Number(l.stats.total),
        max: Number(l.stats.max),
        min: Number(l.stats.min),
        last: Number(l.stats.last),
    });
    head.stats = Some(stats.collect());
    let mut text = begun(&head);
    text.extend_from_slice(&rest(graph));
    text
}
