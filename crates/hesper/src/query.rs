//! `hesper query`: asks a running node an expression, or a statement in SQL, and shows the answer in the terminal.

use std::fmt::Write;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::util::pretty::pretty_format_batches;
use serde::Deserialize;
use serde_json::Value;

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};
use crate::range_args::RangeArgs;

/// The flags of `query`.
#[derive(clap::Args)]
pub struct QueryArgs {
    /// An expression in the stack language
    #[arg(required_unless_present = "sql")]
    expression: Option<String>,
    /// A statement in SQL instead, such as "SELECT time, sum(value) FROM metrics WHERE name = 'requests' GROUP BY time"
    #[arg(long, value_name = "STATEMENT", conflicts_with_all = ["expression", "start", "end", "step", "tz"])]
    sql: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    /// How to show the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The time zone of times without one, and of csv
    #[arg(long, default_value = "UTC", value_name = "ZONE")]
    tz: String,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A line for each series: its course and its figures
    Table,
    /// As the HTTP API answers
    Json,
    /// A line for each time
    Csv,
}

/// The answer in JSON.
#[derive(Deserialize)]
struct Answer {
    legend: Vec<String>,
    values: Vec<Vec<Value>>,
    notices: Vec<String>,
}

/// Asks and prints.
///
/// # Errors
/// When the node cannot be reached or refuses what is asked.
pub async fn query(args: QueryArgs) -> Result<(), CommandError> {
    match (&args.sql, &args.expression) {
        (Some(statement), _) => sql(&args, statement).await,
        (None, Some(expression)) => lines(&args, expression).await,
        (None, None) => unreachable!("one of them is required"),
    }
}

/// Asks a statement and prints its rows.
async fn sql(args: &QueryArgs, statement: &str) -> Result<(), CommandError> {
    let format = match args.format {
        Format::Table => "arrow",
        Format::Json => "json",
        Format::Csv => "csv",
    };
    let target = fetch::target("/api/v1/sql", &[("format", format)]);
    let fetched = fetch::post_ok(&args.server, &target, statement).await?;
    match args.format {
        Format::Table => println!("{}", rows(&fetched.body)?),
        Format::Json => println!("{}", String::from_utf8_lossy(&fetched.body)),
        Format::Csv => print!("{}", String::from_utf8_lossy(&fetched.body)),
    }
    if let Some(notices) = fetched.headers.get("hesper-notices") {
        eprintln!("notice: {}", String::from_utf8_lossy(notices.as_bytes()));
    }
    Ok(())
}

/// The rows of an answer in Arrow as a table.
fn rows(body: &[u8]) -> Result<String, CommandError> {
    let batches = StreamReader::try_new(body, None)
        .and_then(|batches| batches.collect::<Result<Vec<RecordBatch>, ArrowError>>());
    let table = batches.and_then(|batches| Ok(pretty_format_batches(&batches)?.to_string()));
    table.map_err(|e| CommandError::Other(format!("the answer cannot be read: {e}")))
}

/// Asks an expression and prints its lines.
async fn lines(args: &QueryArgs, expression: &str) -> Result<(), CommandError> {
    let format = match args.format {
        Format::Csv => "csv",
        Format::Table | Format::Json => "json",
    };
    let mut params = args.range.params();
    params.extend([("q", expression), ("tz", &args.tz), ("format", format)]);
    let target = fetch::target("/api/v1/graph", &params);
    let fetched = fetch::get_ok(&args.server, &target).await?;
    match args.format {
        Format::Json => println!("{}", String::from_utf8_lossy(&fetched.body)),
        Format::Csv => {
            print!("{}", String::from_utf8_lossy(&fetched.body));
            if let Some(missing) = fetched.headers.get("hesper-partial") {
                let missing = String::from_utf8_lossy(missing.as_bytes());
                eprintln!("partial answer, missing: {missing}");
            }
        }
        Format::Table => {
            let answer: Answer = serde_json::from_slice(&fetched.body)
                .map_err(|e| CommandError::Other(format!("the answer cannot be read: {e}")))?;
            print!("{}", table(&answer));
        }
    }
    Ok(())
}

/// Characters of a course.
const COURSE: usize = 40;

fn table(answer: &Answer) -> String {
    let width = answer.legend.iter().map(|l| l.chars().count()).max();
    let width = width.unwrap_or(0).clamp(6, 60);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{:width$}  {:COURSE$}  {:>12} {:>12} {:>12} {:>12}",
        "series", "course", "last", "min", "avg", "max"
    );
    for (i, legend) in answer.legend.iter().enumerate() {
        let values: Vec<f64> = answer.values.iter().map(|row| number(&row[i])).collect();
        let present: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        let fold = |f: fn(f64, f64) -> f64| present.iter().copied().reduce(f).unwrap_or(f64::NAN);
        let avg = fold(|a, b| a + b) / present.len() as f64;
        let legend: String = legend.chars().take(width).collect();
        let _ = writeln!(
            text,
            "{legend:width$}  {:COURSE$}  {:>12} {:>12} {:>12} {:>12}",
            course(&values, COURSE),
            figure(present.last().copied().unwrap_or(f64::NAN)),
            figure(fold(f64::min)),
            figure(avg),
            figure(fold(f64::max)),
        );
    }
    for notice in &answer.notices {
        let _ = writeln!(text, "notice: {notice}");
    }
    text
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Number(n) => n.as_f64().unwrap_or(f64::NAN),
        Value::String(s) if s == "Infinity" => f64::INFINITY,
        Value::String(s) if s == "-Infinity" => f64::NEG_INFINITY,
        _ => f64::NAN,
    }
}

fn figure(v: f64) -> String {
    match v.abs() {
        _ if v.is_nan() => "-".to_owned(),
        a if a != 0.0 && !(1e-3..1e9).contains(&a) => format!("{v:.3e}"),
        _ => format!("{v:.3}"),
    }
}

/// The course of values in `width` characters, higher values higher.
fn course(values: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let cells = values.len().min(width);
    let bar = |cell: usize| {
        let (from, to) = (
            cell * values.len() / cells,
            (cell + 1) * values.len() / cells,
        );
        let part = values[from..to].iter().copied().filter(|v| v.is_finite());
        match part.reduce(f64::max) {
            None => ' ',
            Some(_) if high <= low => BARS[0],
            Some(v) => BARS[((v - low) / (high - low) * 7.0).round() as usize],
        }
    };
    (0..cells).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_rises_and_shows_gaps() {
        let values = [0.0, 1.0, f64::NAN, 7.0];
        assert_eq!(course(&values, 40), "▁▂ █");
        assert_eq!(course(&[5.0, 5.0], 40), "▁▁");
        assert_eq!(course(&[0.0, 1.0, 2.0, 7.0], 2), "▂█");
        assert_eq!(course(&[], 40), "");
    }

    #[test]
    fn figures_stay_short() {
        assert_eq!(figure(1234.5678), "1234.568");
        assert_eq!(figure(f64::NAN), "-");
        assert_eq!(figure(1.5e12), "1.500e12");
        assert_eq!(figure(0.0), "0.000");
    }

    #[test]
    fn the_table_has_a_line_a_series() {
        let text = r#"{"start":0,"step":1,"legend":["a","b"],"metrics":[],"values":[[1,"NaN"],[3,2]],"notices":["partial"]}"#;
        let answer: Answer = serde_json::from_str(text).expect("an answer");
        let lines: Vec<String> = table(&answer).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("a "), "{}", lines[1]);
        assert!(lines[1].contains("2.000"), "{}", lines[1]);
        assert_eq!(lines[3], "notice: partial");
    }
}
