//! `hesper explain`: what a running node does to answer an expression, and how long each stage takes.

use std::fmt::Write;

use serde::Deserialize;

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};
use crate::range_args::RangeArgs;

/// The flags of `explain`.
#[derive(clap::Args)]
pub struct ExplainArgs {
    /// An expression in the stack language
    expression: String,
    #[command(flatten)]
    range: RangeArgs,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

/// The part of an answer that is shown.
#[derive(Deserialize)]
struct Answer {
    notices: Vec<String>,
    explain: Explained,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Explained {
    memory_series: u64,
    memory_blocks: u64,
    memory_bytes: u64,
    history_files: u64,
    history_rows: u64,
    history_bytes: u64,
    tiers: Vec<Tier>,
    input_datapoints: u64,
    intermediate_lines: u64,
    intermediate_datapoints: u64,
    graph_lines: u64,
    graph_datapoints: u64,
    step: u64,
    stages: Stages,
    missing: Vec<String>,
}

#[derive(Deserialize)]
struct Tier {
    tier: String,
    files: u64,
    rows: u64,
    bytes: u64,
    values: u64,
}

/// Milliseconds.
#[derive(Deserialize)]
struct Stages {
    waited: f64,
    memory: f64,
    history: f64,
    merged: f64,
    evaluated: f64,
    assembled: f64,
}

/// Asks and prints.
///
/// # Errors
/// When the node cannot be reached or refuses the expression.
pub async fn explain(args: ExplainArgs) -> Result<(), CommandError> {
    let mut params = args.range.params();
    params.extend([
        ("q", args.expression.as_str()),
        ("format", "stats.json"),
        ("explain", "1"),
    ]);
    let target = fetch::target("/api/v1/graph", &params);
    let fetched = fetch::get_ok(&args.server, &target).await?;
    let answer: Answer = serde_json::from_slice(&fetched.body)
        .map_err(|e| CommandError::Other(format!("the answer cannot be read: {e}")))?;
    print!("{}", shown(&answer));
    Ok(())
}

/// Characters of the longest bar.
const BAR: f64 = 40.0;

fn shown(answer: &Answer) -> String {
    let of = &answer.explain;
    let mut text = String::new();
    let mut line = |what: &str, said: String| _ = writeln!(text, "{what:10} {said}");
    line(
        "memory",
        format!(
            "{}, {} ({})",
            count(of.memory_series, "series", "series"),
            count(of.memory_blocks, "block", "blocks"),
            bytes(of.memory_bytes)
        ),
    );
    line(
        "history",
        format!(
            "{}, {} ({})",
            count(of.history_files, "file", "files"),
            count(of.history_rows, "row", "rows"),
            bytes(of.history_bytes)
        ),
    );
    for tier in &of.tiers {
        let said = format!(
            "{}: {}, {} ({}), {}",
            tier.tier,
            count(tier.files, "file", "files"),
            count(tier.rows, "row", "rows"),
            bytes(tier.bytes),
            count(tier.values, "value", "values")
        );
        line("  tier", said);
    }
    let datapoints = |n| count(n, "datapoint", "datapoints");
    line("looked at", datapoints(of.input_datapoints));
    line(
        "data",
        format!(
            "{}, {}",
            count(of.intermediate_lines, "line", "lines"),
            datapoints(of.intermediate_datapoints)
        ),
    );
    line(
        "graph",
        format!(
            "{}, {}, a step of {} s",
            count(of.graph_lines, "line", "lines"),
            datapoints(of.graph_datapoints),
            of.step as f64 / 1000.0
        ),
    );
    let stages = &of.stages;
    let stages = [
        ("waited", stages.waited),
        ("memory", stages.memory),
        ("history", stages.history),
        ("merged", stages.merged),
        ("evaluated", stages.evaluated),
        ("assembled", stages.assembled),
    ];
    let all: f64 = stages.iter().map(|(_, millis)| millis).sum();
    line("time", format!("{all:.1} ms"));
    for (stage, millis) in stages {
        let bar = (millis / all.max(1e-9) * BAR).round() as usize;
        let said = format!("{millis:>9.1} ms {}", "█".repeat(bar));
        line(&format!("  {stage}"), said.trim_end().to_owned());
    }
    for missing in &of.missing {
        line("missing", missing.clone());
    }
    for notice in &answer.notices {
        line("notice", notice.clone());
    }
    text
}

/// `2,500 series`, `1 block`.
fn count(n: u64, one: &str, many: &str) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {}", if n == 1 { one } else { many })
}

/// `1.5 MiB`.
fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "KiB", "MiB"] {
        if size < 1024.0 {
            let decimals = usize::from(unit != "B");
            return format!("{size:.decimals$} {unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.1} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(count(1, "block", "blocks"), "1 block");
        assert_eq!(count(1_234_567, "block", "blocks"), "1,234,567 blocks");
        assert_eq!(count(100, "row", "rows"), "100 rows");
        let sizes = [0, 1023, 1536, 5 << 20, 3 << 40].map(bytes);
        let want = ["0 B", "1023 B", "1.5 KiB", "5.0 MiB", "3072.0 GiB"];
        assert_eq!(sizes, want);
    }

    #[test]
    fn every_stage_and_tier_has_a_line() {
        let text = r#"{"notices":["coarse"],"explain":{"dataFetchTime":3,"memorySeries":2,"memoryBlocks":14,"memoryBytes":2048,
            "historyFiles":1,"historyRows":24,"historyBytes":900,"inputLines":26,"inputDatapoints":2280,"intermediateLines":1,
            "intermediateDatapoints":61,"graphLines":1,"graphDatapoints":60,"step":60000,"missing":["a.parquet (gone)"],
            "tiers":[{"tier":"1h","files":1,"rows":24,"bytes":900,"values":1440}],
            "stages":{"waited":0.0,"memory":3.0,"history":1.0,"merged":0.0,"evaluated":0.0,"assembled":0.0}}}"#;
        let answer: Answer = serde_json::from_str(text).expect("an answer");
        let shown = shown(&answer);
        for line in [
            "memory     2 series, 14 blocks (2.0 KiB)",
            "  tier     1h: 1 file, 24 rows (900 B), 1,440 values",
            "time       4.0 ms",
            "missing    a.parquet (gone)",
            "notice     coarse",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        let bars: Vec<usize> = shown.lines().map(|l| l.matches('█').count()).collect();
        assert_eq!(bars.iter().sum::<usize>(), 40);
    }
}
