//! `hesper export`: writes the datapoints of series to a file of Parquet, CSV or Arrow that other tools read.
//!
//! The node is asked for one part of the range after the other, so that neither side holds more than a part and no question runs long. The file
//! appears when it is complete.

mod file;

use std::path::PathBuf;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use futures::TryStreamExt;
use hesper_model::Timestamp;
use hesper_stack::time::{TimeZone, time_range};
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::CommandError;
use crate::fetch::{self, DEFAULT_SERVER};
use file::{ExportFile, ExportFormat};

/// The part of the range that is asked for at once, of datapoints.
const PART_MILLIS: i64 = 3_600_000;

/// The part of the range that is asked for at once, of cells.
const PART_OF_CELLS_MILLIS: i64 = 86_400_000;

/// The flags of `export`.
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Which series, such as name,http.requests,:eq,nf.app,www,:eq,:and
    query: String,
    /// The first time: as in a graph, 2026-11-01T00:00 or e-7d
    #[arg(
        long,
        value_name = "TIME",
        default_value = "e-3h",
        allow_hyphen_values = true
    )]
    start: String,
    /// The last time
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    end: String,
    /// Cells of this length (count, sum, min, max) instead of datapoints: 5m, 1h
    #[arg(long, value_name = "LENGTH")]
    resolution: Option<String>,
    /// The file to write; what is there is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to write; by default what the ending of the file says
    #[arg(long, value_enum)]
    format: Option<ExportFormat>,
    /// The address of the node
    #[arg(long, default_value = DEFAULT_SERVER, value_name = "URI")]
    server: String,
}

/// Exports.
///
/// # Errors
/// When the node cannot be reached or refuses, an answer lacks a part, or the file cannot be written; then there is no file.
pub async fn export(args: ExportArgs) -> Result<(), CommandError> {
    let format = args.format.or_else(|| ExportFormat::of_path(&args.out));
    let format = format.ok_or_else(|| {
        CommandError::Other(format!(
            "the ending of {} tells no format; give --format parquet, csv or arrow",
            args.out.display()
        ))
    })?;
    let now = Timestamp(chrono::Utc::now().timestamp_millis());
    let range = time_range(&args.start, &args.end, now, TimeZone::UTC);
    let (start, end) = range.map_err(|e| CommandError::Other(e.to_string()))?;
    let parts = parts(start, end, args.resolution.is_some());
    let table = table(&args.query, args.resolution.as_deref());
    let statement = format!("SELECT * FROM {table} LIMIT 0");
    let schema = ask(&args.server, &statement, |_| Ok(())).await?;
    // Keys that turn up meanwhile have no column: one file has one schema.
    let columns: Vec<String> = schema.fields().iter().map(|f| quoted(f.name())).collect();
    let columns = columns.join(", ");

    let bar = bar(parts.len() as u64);
    let mut file = ExportFile::create(&args.out, format, schema)?;
    for (first, last) in parts {
        let statement = format!(
            "SELECT {columns} FROM {table} WHERE \"time\" BETWEEN {} AND {}",
            literal(first),
            literal(last)
        );
        ask(&args.server, &statement, |batch| file.write(&batch)).await?;
        bar.set_message(format!("{} rows", file.rows()));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let rows = file.rows();
    let bytes = file.finish()?;
    println!(
        "exported {rows} rows, {bytes} bytes, to {}",
        args.out.display()
    );
    Ok(())
}

/// Runs a statement and takes its batches as they come; gives the columns.
async fn ask(
    server: &str,
    statement: &str,
    mut take: impl FnMut(RecordBatch) -> Result<(), CommandError>,
) -> Result<SchemaRef, CommandError> {
    let broken = |what: String| CommandError::Other(format!("the answer broke off: {what}"));
    let target = fetch::target("/api/v1/sql", &[("format", "arrow")]);
    let mut body = fetch::post_stream(server, &target, statement).await?;
    let mut decoder = StreamDecoder::new();
    while let Some(bytes) = body.try_next().await? {
        let mut buffer = Buffer::from(bytes);
        while !buffer.is_empty() {
            let batch = decoder.decode(&mut buffer);
            if let Some(batch) = batch.map_err(|e| broken(e.to_string()))? {
                take(batch)?;
            }
        }
    }
    let schema = decoder.schema();
    decoder.finish().map_err(|e| broken(e.to_string()))?;
    schema.ok_or_else(|| broken("it has no columns".to_owned()))
}

/// The range in parts that are asked for one by one, from their first time to their last.
fn parts(start: Timestamp, end: Timestamp, of_cells: bool) -> Vec<(Timestamp, Timestamp)> {
    let length = match of_cells {
        false => PART_MILLIS,
        true => PART_OF_CELLS_MILLIS,
    };
    let mut parts = Vec::new();
    let mut first = start.0;
    while first <= end.0 {
        // A part ends where the files of history do, so that each is read for one part.
        let boundary = first.saturating_add(length - 1).div_euclid(length);
        let last = boundary.saturating_mul(length).min(end.0);
        parts.push((Timestamp(first), Timestamp(last)));
        first = last + 1;
    }
    parts
}

fn table(query: &str, resolution: Option<&str>) -> String {
    let text = |t: &str| format!("'{}'", t.replace('\'', "''"));
    match resolution {
        None => format!("series({})", text(query)),
        Some(resolution) => format!("series({}, {})", text(query), text(resolution)),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A time as the column `time` has it.
fn literal(time: Timestamp) -> String {
    format!(
        "arrow_cast({}, 'Timestamp(Millisecond, Some(\"UTC\"))')",
        time.0
    )
}

fn bar(parts: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} parts, {msg}, {eta} left");
    let bar = ProgressBar::new(parts);
    bar.set_style(style.expect("the template is right"));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(range: (i64, i64)) -> Vec<(i64, i64)> {
        let parts = parts(Timestamp(range.0), Timestamp(range.1), false);
        parts.into_iter().map(|(a, b)| (a.0, b.0)).collect()
    }

    #[test]
    fn parts_cover_the_range_once() {
        let hour = PART_MILLIS;
        assert_eq!(hours((5, 10)), [(5, 10)]);
        assert_eq!(hours((7, 7)), [(7, 7)]);
        assert_eq!(hours((1, hour)), [(1, hour)]);
        assert_eq!(hours((1, hour + 1)), [(1, hour), (hour + 1, hour + 1)]);
        for (start, end) in [(0, 3 * hour), (-hour - 7, 2 * hour + 3), (hour, 2 * hour)] {
            let parts = hours((start, end));
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), (start, end));
            for pair in parts.windows(2) {
                assert_eq!(pair[0].1 + 1, pair[1].0);
            }
            assert!(parts.iter().all(|(a, b)| a <= b && b - a < hour));
        }
    }

    #[test]
    fn texts_and_names_are_quoted() {
        assert_eq!(table("a,it's,:eq", None), "series('a,it''s,:eq')");
        assert_eq!(table("a,:has", Some("5m")), "series('a,:has', '5m')");
        assert_eq!(quoted("nf.\"app"), "\"nf.\"\"app\"");
    }
}
