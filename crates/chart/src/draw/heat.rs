//! The cells of a heatmap.

use std::collections::BTreeMap;

use super::canvas::Rows;
use super::columns::Columns;
use crate::color::Color;
use crate::heatmap::Heatmap;
use crate::scene::{Element, Ink, Path, Rect, Segment};

/// Draws the cells with counts, an outline for each colour. Where several times share a pixel the highest count is shown.
pub(super) fn cells(
    heatmap: &Heatmap,
    canvas: &Rect,
    rows: &Rows,
    ground: Color,
    elements: &mut Vec<Element>,
) {
    let shades = heatmap.shades();
    let columns = Columns::new(heatmap.counts.len(), canvas);
    let mut outlines: BTreeMap<String, (Color, Vec<Segment>)> = BTreeMap::new();
    for cell in 0..=heatmap.ticks.len() {
        let bottom = match cell.checked_sub(1) {
            Some(below) => rows.edge(heatmap.ticks[below].value),
            None => canvas.bottom(),
        };
        let top = heatmap
            .ticks
            .get(cell)
            .map_or(canvas.y, |tick| rows.edge(tick.value));
        // Cells side by side with one colour become one rectangle.
        let mut run: Option<(Color, f64, f64)> = None;
        let mut close = |run: Option<(Color, f64, f64)>| {
            if let Some((color, from, to)) = run
                && bottom > top
            {
                let (_, segments) = outlines
                    .entry(color.to_string())
                    .or_insert_with(|| (color, Vec::new()));
                let rect = Rect {
                    x: canvas.x + from,
                    y: top,
                    width: to - from,
                    height: bottom - top,
                };
                Path::put_rect(segments, rect);
            }
        };
        for i in 0..columns.len() {
            let (from, to) = columns.pixels(i);
            let count = columns
                .cells(i)
                .map(|t| heatmap.counts[t][cell])
                .fold(0.0, f64::max);
            let color = shades.of(count).map(|c| c.over(ground));
            match (&mut run, color) {
                (Some((same, _, end)), Some(color)) if *same == color => *end = to,
                (_, color) => close(std::mem::replace(&mut run, color.map(|c| (c, from, to)))),
            }
        }
        close(run);
    }
    elements.extend(outlines.into_values().map(|(color, segments)| {
        Element::Path(Path {
            segments,
            ink: Ink::Fill(color),
        })
    }));
}
