//! What was done for a graph, for those who ask with `explain=1`.

use std::time::Duration;

use hesper_query::TierUse;
use serde::Serialize;

use super::EvaluatedGraph;

/// What was looked at, and how much of it is left. The first seven fields are Atlas's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explain {
    /// Milliseconds until all data were there and evaluated, time in the queue included.
    data_fetch_time: u64,
    /// Series that matched in memory and rows of history.
    input_lines: u64,
    /// Lines that the data expressions gave.
    intermediate_lines: u64,
    /// Lines of the graph.
    graph_lines: u64,
    /// Slots looked at, with or without data.
    input_datapoints: u64,
    /// Datapoints that the data expressions gave.
    intermediate_datapoints: u64,
    /// Datapoints of the graph.
    graph_datapoints: u64,
    /// Series that matched in memory.
    memory_series: u64,
    /// Blocks folded in memory.
    memory_blocks: u64,
    /// Bytes of them, about.
    memory_bytes: u64,
    /// History files of which rows were read.
    history_files: u64,
    /// History rows read.
    history_rows: u64,
    /// Bytes of them in the files, about.
    history_bytes: u64,
    /// The same by resolution.
    tiers: Vec<TierUse>,
    /// Milliseconds of the graph's step.
    step: i64,
    /// Milliseconds by stage.
    stages: Stages,
    /// Parts that could not be read.
    missing: Vec<String>,
}

/// Milliseconds of the stages. Those of several data expressions are added up, though they may run at the same time.
#[derive(Serialize)]
struct Stages {
    /// Until it was the caller's turn.
    waited: f64,
    /// Matching, grouping and folding in memory.
    memory: f64,
    /// Reading and folding history.
    history: f64,
    /// Bringing together what the cores found.
    merged: f64,
    /// The language.
    evaluated: f64,
    /// Lines, legends and figures.
    assembled: f64,
}

fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

impl Explain {
    /// What was done for a graph.
    pub fn of(graph: &EvaluatedGraph) -> Self {
        let stats = &graph.stats;
        Self {
            data_fetch_time: graph.fetch_millis,
            input_lines: graph.input_lines(),
            intermediate_lines: stats.lines,
            graph_lines: graph.lines().count() as u64,
            input_datapoints: graph.input_datapoints(),
            intermediate_datapoints: stats.datapoints,
            graph_datapoints: graph.lines().map(|l| l.values.len() as u64).sum(),
            memory_series: stats.series,
            memory_blocks: stats.blocks,
            memory_bytes: stats.block_bytes,
            history_files: stats.files,
            history_rows: stats.rows,
            history_bytes: stats.row_bytes,
            tiers: graph.tiers.clone(),
            step: graph.request.time.step.millis(),
            stages: Stages {
                waited: millis(graph.times.waited),
                memory: millis(graph.times.memory),
                history: millis(graph.times.history),
                merged: millis(graph.times.merged),
                evaluated: millis(graph.times.evaluated),
                assembled: millis(graph.assembled),
            },
            missing: graph.missing.iter().map(ToString::to_string).collect(),
        }
    }
}
