//! Graphs as text: a line a time, a column a line of the graph.

use std::fmt::Write;

use chrono::{DateTime, FixedOffset, SecondsFormat};
use hesper_model::Timestamp;
use hesper_stack::graph::Line;
use hesper_stack::time::TimeZone;

use super::graph::EvaluatedGraph;

/// The lines of a graph as text, with `separator` between columns and times of the primary zone.
pub fn write(lines: &[&Line], graph: &EvaluatedGraph, separator: char) -> String {
    let (time, (_, zone)) = (&graph.request.time, &graph.request.zones[0]);
    let mut text = String::from("\"timestamp\"");
    for line in lines {
        let _ = write!(text, "{separator}\"{}\"", line.legend);
    }
    text.push('\n');
    let mut at = time.first_shown();
    let cells = lines.first().map_or(0, |l| l.values.len());
    for cell in 0..cells {
        text.push_str(&iso(at, zone));
        for line in lines {
            let _ = write!(text, "{separator}{}", Fixed(line.values[cell]));
        }
        text.push('\n');
        at = at.plus_millis(time.step.millis());
    }
    text
}

/// ISO 8601 with the distance from UTC, `Z` for none.
fn iso(time: Timestamp, zone: &TimeZone) -> String {
    let offset = FixedOffset::east_opt(zone.offset_seconds(time.millis()));
    let utc = DateTime::from_timestamp_millis(time.millis()).unwrap_or_default();
    match offset {
        Some(offset) if offset.local_minus_utc() != 0 => utc
            .with_timezone(&offset)
            .to_rfc3339_opts(SecondsFormat::AutoSi, false),
        _ => utc.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    }
}

/// A number as C's `%f` prints it, with Java's words for what is none.
struct Fixed(f64);

impl std::fmt::Display for Fixed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            v if v.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("Infinity"),
            f64::NEG_INFINITY => f.write_str("-Infinity"),
            v => write!(f, "{v:.6}"),
        }
    }
}
