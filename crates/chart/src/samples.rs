//! Small charts for tests.

use hesper_model::{Step, Timestamp};
use hesper_stack::expr::style::LineStyle;

use crate::chart::{Chart, Item, Line, Plot};
use crate::color::Color;

/// 2026-01-05T00:00 UTC.
pub(crate) const START: Timestamp = Timestamp(1_767_571_200_000);

pub(crate) const MINUTE: Step = Step::from_secs(60);

pub(crate) fn line(label: &str, values: &[f64]) -> Line {
    Line::new(label, Color::rgb(0x0075dc), values.to_vec())
}

pub(crate) fn styled(style: LineStyle, label: &str, values: &[f64]) -> Line {
    Line {
        style,
        ..line(label, values)
    }
}

/// A chart of one plot, as long as its longest line.
pub(crate) fn chart_of(plot: Plot) -> Chart {
    let cells = plot.lines().map(|l| l.values.len()).max().unwrap_or(0);
    let first = START.plus_millis(MINUTE.millis());
    let end = first.plus_millis(cells as i64 * MINUTE.millis());
    Chart::new(vec![plot], first, end, MINUTE)
}

/// A chart of lines against one axis.
pub(crate) fn chart(lines: Vec<Line>) -> Chart {
    chart_of(Plot::new(lines.into_iter().map(Item::Line).collect()))
}
