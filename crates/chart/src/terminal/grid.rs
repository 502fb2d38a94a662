//! A canvas of characters.

use hesper_stack::expr::style::LineStyle;

use super::{RESET, paint};
use crate::bounds::bounds;
use crate::chart::{Chart, Item, Line, Plot};
use crate::color::Color;
use crate::draw::columns::{Columns, Range};
use crate::heatmap::Heatmap;
use crate::scale::Mapping;
use crate::scene::Rect;

/// What is in a character's place.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    /// The dots that are set, by their bits in the Unicode block of Braille patterns.
    dots: u8,
    /// The character, where there are no dots.
    mark: Option<char>,
    color: Option<Color>,
}

/// The bits of the dots of a character, by row and column.
const DOTS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// Shades for counts, from few to many.
const SHADES: [char; 4] = ['░', '▒', '▓', '█'];
const PLAIN_SHADES: [char; 4] = ['.', ':', '*', '#'];

/// Characters by row. Lines are drawn on a finer grid if dots can be shown.
pub(super) struct Grid {
    columns: usize,
    rows: usize,
    unicode: bool,
    cells: Vec<Cell>,
}

/// Where the values of a plot are on the finer grid.
struct Scaled {
    mapping: Mapping,
    height: usize,
    columns: Columns,
}

impl Scaled {
    fn row(&self, v: f64) -> i64 {
        ((1.0 - self.mapping.fraction(v)) * (self.height - 1) as f64).round() as i64
    }
}

impl Grid {
    pub fn new(columns: usize, rows: usize, unicode: bool) -> Self {
        Self {
            columns,
            rows,
            unicode,
            cells: vec![Cell::default(); columns * rows],
        }
    }

    /// How many points a character has across and upright.
    fn fineness(&self) -> (usize, usize) {
        if self.unicode { (2, 4) } else { (1, 1) }
    }

    fn scaled(&self, cells: usize, plot: &Plot) -> Scaled {
        let (lower, upper) = bounds(plot);
        let (across, upright) = self.fineness();
        let canvas = Rect {
            x: 0.0,
            y: 0.0,
            width: (self.columns * across) as f64,
            height: 0.0,
        };
        Scaled {
            mapping: Mapping::new(plot.scale, lower, upper),
            height: self.rows * upright,
            columns: Columns::new(cells, &canvas),
        }
    }

    /// Draws the items of a plot; `mark` gives the character of an item where there are no dots.
    pub fn plot(&mut self, chart: &Chart, plot: &Plot, mark: impl Fn(usize) -> char) {
        let scaled = self.scaled(chart.cells(), plot);
        let mut stacked = vec![(0.0, 0.0); scaled.columns.len()];
        for (i, item) in plot.items.iter().enumerate() {
            let Item::Line(line) = item else {
                continue;
            };
            match line.style {
                LineStyle::Line => self.line(line, &scaled, mark(i)),
                LineStyle::Area => self.bars(line, &scaled, mark(i), |_, r| {
                    (r.low.min(0.0), r.high.max(0.0))
                }),
                LineStyle::Stack => self.bars(line, &scaled, mark(i), |column, r| {
                    let (above, below) = &mut stacked[column];
                    let grown = if r.last < 0.0 { below } else { above };
                    let from = *grown;
                    *grown += r.last;
                    (from.min(*grown), from.max(*grown))
                }),
                LineStyle::VSpan => self.stripes(line, &scaled),
                LineStyle::Heatmap => {}
            }
        }
    }

    fn line(&mut self, line: &Line, scaled: &Scaled, mark: char) {
        let mut last: Option<i64> = None;
        for column in scaled.columns.of(&line.values) {
            let Some(r) = column.values else {
                last = None;
                continue;
            };
            let (mut top, mut bottom) = (scaled.row(r.high), scaled.row(r.low));
            // From the value before there is an upright line.
            if let Some(last) = last {
                top = top.min(last + 1);
                bottom = bottom.max(last - 1);
            }
            last = Some(scaled.row(r.last));
            let level = scaled.row(r.last);
            let from = column.from as usize;
            self.upright(from, top, bottom, mark, line.color);
            for x in from..column.to as usize {
                self.point(x, level, mark, line.color);
            }
        }
    }

    fn bars(
        &mut self,
        line: &Line,
        scaled: &Scaled,
        mark: char,
        mut extent: impl FnMut(usize, Range) -> (f64, f64),
    ) {
        for (i, column) in scaled.columns.of(&line.values).enumerate() {
            let Some(r) = column.values else {
                continue;
            };
            let (low, high) = extent(i, r);
            for x in column.from as usize..column.to as usize {
                self.upright(x, scaled.row(high), scaled.row(low), mark, line.color);
            }
        }
    }

    fn stripes(&mut self, line: &Line, scaled: &Scaled) {
        let (across, _) = self.fineness();
        let mark = if self.unicode { '░' } else { ':' };
        let is_true = |v: f64| v.abs() >= 1e-12;
        for column in scaled.columns.of(&line.values) {
            if !column
                .values
                .is_some_and(|r| is_true(r.low) || is_true(r.high))
            {
                continue;
            }
            for x in column.from as usize / across..(column.to as usize).div_ceil(across) {
                for row in 0..self.rows {
                    self.cells[row * self.columns + x] = Cell {
                        dots: 0,
                        mark: Some(mark),
                        color: Some(line.color),
                    };
                }
            }
        }
    }

    fn upright(&mut self, x: usize, top: i64, bottom: i64, mark: char, color: Color) {
        let (_, upright) = self.fineness();
        let last = (self.rows * upright) as i64 - 1;
        for y in top.max(0)..=bottom.min(last) {
            self.point(x, y, mark, color);
        }
    }

    fn point(&mut self, x: usize, y: i64, mark: char, color: Color) {
        let (across, upright) = self.fineness();
        let Ok(y) = usize::try_from(y) else {
            return;
        };
        let (column, row) = (x / across, y / upright);
        if column >= self.columns || row >= self.rows {
            return;
        }
        let cell = &mut self.cells[row * self.columns + column];
        cell.color = Some(color);
        if self.unicode {
            cell.dots |= DOTS[y % upright][x % across];
        } else {
            cell.mark = Some(mark);
        }
    }

    /// Shades characters by the counts in their places.
    pub fn heatmap(&mut self, plot: &Plot, heatmap: &Heatmap) {
        let (lower, upper) = heatmap.bounds;
        let mapping = Mapping::new(plot.scale, lower, upper);
        let canvas = Rect {
            x: 0.0,
            y: 0.0,
            width: self.columns as f64,
            height: 0.0,
        };
        let columns = Columns::new(heatmap.counts.len(), &canvas);
        let shades = heatmap.shades();
        let signs = if self.unicode { SHADES } else { PLAIN_SHADES };
        let colors = heatmap.palette.colors();
        for row in 0..self.rows {
            let middle = 1.0 - (row as f64 + 0.5) / self.rows as f64;
            let ends = heatmap.ticks.iter();
            let cell = ends
                .take_while(|t| mapping.fraction(t.value) <= middle)
                .count();
            for i in 0..columns.len() {
                let counts = columns.cells(i).map(|t| heatmap.counts[t][cell]);
                let Some(color) = shades.of(counts.fold(0.0, f64::max)) else {
                    continue;
                };
                let place = colors.iter().position(|c| *c == color).unwrap_or(0);
                let sign = signs[place * signs.len() / colors.len().max(1)];
                let (from, to) = columns.pixels(i);
                for x in from as usize..to as usize {
                    self.cells[row * self.columns + x] = Cell {
                        dots: 0,
                        mark: Some(sign),
                        color: Some(color.with_alpha(255)),
                    };
                }
            }
        }
    }

    /// The rows from the top, with escape sequences where the colour changes.
    pub fn rows(&self, with_color: bool) -> Vec<String> {
        let text = |cell: &Cell| match cell.dots {
            0 => cell.mark.unwrap_or(' '),
            dots => char::from_u32(0x2800 + u32::from(dots)).unwrap_or(' '),
        };
        let rows = self.cells.chunks(self.columns);
        rows.map(|cells| {
            let mut row = String::new();
            let mut current = None;
            for cell in cells {
                let color = cell.color.filter(|_| with_color);
                if color != current {
                    if current.is_some() {
                        row.push_str(RESET);
                    }
                    row.extend(color.map(paint));
                    current = color;
                }
                row.push(text(cell));
            }
            if current.is_some() {
                row.push_str(RESET);
            }
            row
        })
        .collect()
    }
}
