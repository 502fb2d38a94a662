//! The data: lines, areas, stacks and spans.

use hesper_stack::expr::style::LineStyle;

use super::columns::{Columns, Range};
use super::{Drawing, Frame};
use crate::bounds::bounds;
use crate::chart::{Item, Line, Plot};
use crate::heatmap::Heatmap;
use crate::scale::Mapping;
use crate::scene::{Element, Ink, Path, Rect, Segment};

/// The widest line, in pixels.
const MAX_LINE_WIDTH: f64 = 100.0;

/// The values nearer to zero than this count as zero.
const NEARLY_ZERO: f64 = 1e-12;

/// From the values of an axis to rows of pixels.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    mapping: Mapping,
    top: f64,
    height: f64,
}

impl Rows {
    pub fn new(plot: &Plot, canvas: &Rect) -> Self {
        let (lower, upper) = bounds(plot);
        Self {
            mapping: Mapping::new(plot.scale, lower, upper),
            top: canvas.y,
            height: canvas.height,
        }
    }

    /// The upper edge of the row that a value is in. The bounds are in the first and the last row of the canvas.
    pub fn row(&self, v: f64) -> f64 {
        self.top + ((1.0 - self.mapping.fraction(v)) * (self.height - 1.0)).round()
    }

    /// Where between the edges of the canvas a value is; for what separates cells.
    pub fn edge(&self, v: f64) -> f64 {
        self.top + ((1.0 - self.mapping.fraction(v)) * self.height).round()
    }
}

/// What one plot is drawn with.
struct Brush<'a> {
    plot: &'a Plot,
    canvas: Rect,
    columns: Columns,
    rows: Rows,
}

impl Drawing<'_> {
    /// Draws the canvas and the data on it.
    pub(super) fn canvas(
        &self,
        frame: &Frame,
        heatmaps: &[Option<Heatmap>],
        elements: &mut Vec<Element>,
    ) {
        let canvas = frame.canvas;
        elements.push(Element::Rect(canvas, self.inks.canvas));
        let mut drawn = Vec::new();
        for (plot, heatmap) in self.chart.plots.iter().zip(heatmaps) {
            let brush = Brush {
                plot,
                canvas,
                columns: Columns::new(self.chart.cells(), &canvas),
                rows: Rows::new(plot, &canvas),
            };
            if let Some(heatmap) = heatmap {
                super::heat::cells(heatmap, &canvas, &brush.rows, self.inks.canvas, &mut drawn);
            }
            let mut stack = Stack::of(&brush);
            for item in &plot.items {
                let path = match item {
                    Item::Line(line) => brush.line(line, &mut stack),
                    Item::HSpan(span) => Some(brush.hspan(span.v1, span.v2, Ink::Fill(span.color))),
                    Item::VSpan(span) => {
                        let place = |t: hesper_model::Timestamp| self.x_of(t.millis(), &canvas);
                        Some(brush.vspan(place(span.t1), place(span.t2), Ink::Fill(span.color)))
                    }
                    Item::Message(_) => None,
                };
                let path = path.filter(|p| !p.segments.is_empty() && p.is_visible());
                drawn.extend(path.map(Element::Path));
            }
        }
        elements.push(Element::Group {
            name: "data",
            clip: Some(canvas),
            elements: drawn,
        });
    }

    /// Where a time is between the edges of the canvas, in whole pixels. The first value is that of the step up to its time.
    pub(super) fn x_of(&self, millis: i64, canvas: &Rect) -> f64 {
        let chart = self.chart;
        let step = chart.step.millis();
        let start = chart.start.millis() - step;
        let span = (chart.cells() as i64 * step).max(1);
        let share = millis.saturating_sub(start) as f64 / span as f64;
        canvas.x + (share.clamp(-1.0, 2.0) * canvas.width).round()
    }
}

impl Path {
    fn is_visible(&self) -> bool {
        match self.ink {
            Ink::Fill(color) => color.alpha > 0,
            Ink::Stroke { color, width, .. } => color.alpha > 0 && width > 0.0,
        }
    }
}

impl Brush<'_> {
    fn line(&self, line: &Line, stack: &mut Stack) -> Option<Path> {
        let fill = |segments| {
            Some(Path {
                segments,
                ink: Ink::Fill(line.color),
            })
        };
        match line.style {
            LineStyle::Line => Some(self.stepped(line)),
            LineStyle::Area => fill(self.area(line)),
            LineStyle::Stack => fill(stack.add(line, self)),
            LineStyle::VSpan => fill(self.stripes(line)),
            LineStyle::Heatmap => None,
        }
    }

    /// A line of steps: level for as long as a value counts, upright between two values. It is broken where there is none.
    fn stepped(&self, line: &Line) -> Path {
        let width = f64::from(line.width).clamp(0.0, MAX_LINE_WIDTH);
        // Lines of odd width run through the middle of pixels, others between them: both have sharp edges.
        let middle = if width.round() as i64 % 2 == 1 {
            0.5
        } else {
            0.0
        };
        let x = |pixel: f64| self.canvas.x + pixel;
        let y = |v: f64| self.rows.row(v) + middle;
        let mut segments = Vec::new();
        let mut pen: Option<f64> = None;
        // Upright lines are in the first pixel of a column, but the line begins and ends at the edges of pixels.
        let lift = |segments: &mut Vec<Segment>| {
            if let Some(Segment::Across(end)) = segments.last_mut() {
                *end -= middle;
            }
        };
        for column in self.columns.of(&line.values) {
            let Some(r) = column.values else {
                if pen.take().is_some() {
                    lift(&mut segments);
                }
                continue;
            };
            let extremes = if r.low_first {
                [r.low, r.high]
            } else {
                [r.high, r.low]
            };
            for v in [r.first, extremes[0], extremes[1], r.last] {
                let to = y(v);
                match pen {
                    None => segments.push(Segment::Move(x(column.from), to)),
                    Some(from) if from != to => {
                        if let Some(Segment::Move(..)) = segments.last() {
                            segments.push(Segment::Across(x(column.from) + middle));
                        }
                        segments.push(Segment::Upright(to));
                    }
                    Some(_) => {}
                }
                pen = Some(to);
            }
            match segments.last_mut() {
                // Straight on.
                Some(Segment::Across(end)) => *end = x(column.to) + middle,
                _ => segments.push(Segment::Across(x(column.to) + middle)),
            }
        }
        if pen.is_some() {
            lift(&mut segments);
        }
        Path {
            segments,
            ink: Ink::Stroke {
                color: line.color,
                width,
                dash: None,
            },
        }
    }

    /// What is between a line and zero.
    fn area(&self, line: &Line) -> Vec<Segment> {
        let mut outline = Outline::default();
        for column in self.columns.of(&line.values) {
            outline.add(
                self.canvas.x + column.from,
                self.canvas.x + column.to,
                column.values.map(|r: Range| {
                    let top = self.rows.row(r.high.max(0.0));
                    (top, self.rows.row(r.low.min(0.0)) + 1.0)
                }),
            );
        }
        outline.finish()
    }

    /// The full height wherever a value is true.
    fn stripes(&self, line: &Line) -> Vec<Segment> {
        let mut outline = Outline::default();
        let is_true = |v: f64| !v.is_nan() && v.abs() >= NEARLY_ZERO;
        for column in self.columns.of(&line.values) {
            let shown = column.values.filter(|r| is_true(r.low) || is_true(r.high));
            outline.add(
                self.canvas.x + column.from,
                self.canvas.x + column.to,
                shown.map(|_| (self.canvas.y, self.canvas.bottom())),
            );
        }
        outline.finish()
    }

    fn hspan(&self, v1: f64, v2: f64, ink: Ink) -> Path {
        let (a, b) = (self.rows.row(v1), self.rows.row(v2));
        let mut segments = Vec::new();
        // Without a place there is nothing to draw.
        if !a.is_nan() && !b.is_nan() {
            let rect = Rect {
                y: a.min(b),
                height: (a - b).abs() + 1.0,
                ..self.canvas
            };
            Path::put_rect(&mut segments, rect);
        }
        Path { segments, ink }
    }

    fn vspan(&self, x1: f64, x2: f64, ink: Ink) -> Path {
        let mut segments = Vec::new();
        let rect = Rect {
            x: x1.min(x2),
            width: (x2 - x1).abs().max(1.0),
            ..self.canvas
        };
        Path::put_rect(&mut segments, rect);
        Path { segments, ink }
    }
}

/// The outline of bars side by side.
#[derive(Default)]
struct Outline {
    segments: Vec<Segment>,
    /// Bars that touch: left, right, upper and lower edge.
    bars: Vec<(f64, f64, f64, f64)>,
}

impl Outline {
    /// Adds a bar from one place to another, or a gap.
    fn add(&mut self, from: f64, to: f64, edges: Option<(f64, f64)>) {
        match (edges, self.bars.last_mut()) {
            (None, _) => self.close(),
            (Some((top, bottom)), Some(last)) if last.2 == top && last.3 == bottom => last.1 = to,
            (Some((top, bottom)), _) => self.bars.push((from, to, top, bottom)),
        }
    }

    /// Along the upper edges, and back along the lower ones.
    fn close(&mut self) {
        let Some(&(left, _, top, _)) = self.bars.first() else {
            return;
        };
        self.segments.push(Segment::Move(left, top));
        for &(_, to, top, _) in &self.bars {
            self.segments.push(Segment::Upright(top));
            self.segments.push(Segment::Across(to));
        }
        for &(from, _, _, bottom) in self.bars.iter().rev() {
            self.segments.push(Segment::Upright(bottom));
            self.segments.push(Segment::Across(from));
        }
        self.segments.push(Segment::Close);
        self.bars.clear();
    }

    fn finish(mut self) -> Vec<Segment> {
        self.close();
        self.segments
    }
}

/// How high stacked lines have grown, above zero and below.
struct Stack {
    /// The cell that stands for each column: of those that share it the one where the stack is highest.
    cells: Vec<usize>,
    above: Vec<f64>,
    below: Vec<f64>,
}

impl Stack {
    fn of(brush: &Brush<'_>) -> Self {
        let lines: Vec<&Line> = brush
            .plot
            .lines()
            .filter(|l| l.style == LineStyle::Stack)
            .collect();
        let total = |cell: usize| -> f64 {
            let values = lines.iter().filter_map(|l| l.values.get(cell));
            values.filter(|v| !v.is_nan()).map(|v| v.abs()).sum()
        };
        let columns = if lines.is_empty() {
            0
        } else {
            brush.columns.len()
        };
        let cells = (0..columns).map(|i| {
            let cells = brush.columns.cells(i);
            let first = cells.start;
            cells
                .max_by(|a, b| total(*a).total_cmp(&total(*b)))
                .unwrap_or(first)
        });
        Self {
            cells: cells.collect(),
            above: vec![0.0; columns],
            below: vec![0.0; columns],
        }
    }

    /// Puts a line on top.
    fn add(&mut self, line: &Line, brush: &Brush<'_>) -> Vec<Segment> {
        let mut outline = Outline::default();
        for i in 0..self.cells.len() {
            let (from, to) = brush.columns.pixels(i);
            let v = line.values.get(self.cells[i]).copied().unwrap_or(f64::NAN);
            let edges = self.edges(i, v, &brush.rows);
            outline.add(brush.canvas.x + from, brush.canvas.x + to, edges);
        }
        outline.finish()
    }

    /// The upper and the lower edge of what a value adds to a column. Rows do not overlap, so that see-through colours keep theirs.
    fn edges(&mut self, i: usize, v: f64, rows: &Rows) -> Option<(f64, f64)> {
        let (above, below) = (&mut self.above[i], &mut self.below[i]);
        if v > 0.0 {
            let bottom = match *above {
                0.0 => rows.row(0.0) + 1.0,
                start => rows.row(start),
            };
            *above += v;
            Some((rows.row(*above), bottom))
        } else if v < 0.0 {
            let top = match *below {
                0.0 => rows.row(0.0),
                start => rows.row(start) + 1.0,
            };
            *below += v;
            Some((top, rows.row(*below) + 1.0))
        } else {
            // A line along the axis tells zero from nothing.
            let is_first = v == 0.0 && *above == 0.0 && *below == 0.0;
            is_first.then(|| (rows.row(0.0), rows.row(0.0) + 1.0))
        }
    }
}
