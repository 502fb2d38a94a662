//! Values gathered by column of pixels, so that a line costs no more than the canvas is wide.

use crate::scene::Rect;

/// The values that share some columns of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Column {
    /// The first pixel, from the left edge of the canvas.
    pub from: f64,
    /// The pixel behind the last.
    pub to: f64,
    /// The values; `None` when there are none.
    pub values: Option<Range>,
}

/// What there is to say about some values in a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub first: f64,
    pub last: f64,
    pub low: f64,
    pub high: f64,
    /// Whether the lowest comes before the highest.
    pub low_first: bool,
}

/// How values are spread over the width of a canvas: value i belongs to the time up to its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    cells: usize,
    width: usize,
}

impl Columns {
    pub fn new(cells: usize, canvas: &Rect) -> Self {
        Self {
            cells,
            width: canvas.width as usize,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.min(self.width)
    }

    /// The pixels of a column.
    pub fn pixels(&self, i: usize) -> (f64, f64) {
        let edge = |i: usize| (i as f64 * self.width as f64 / self.len() as f64).round();
        (edge(i), edge(i + 1))
    }

    /// The cells of a column.
    pub fn cells(&self, i: usize) -> std::ops::Range<usize> {
        let edge = |i: usize| i * self.cells / self.len();
        edge(i)..edge(i + 1)
    }

    /// The values of a line, column by column.
    pub fn of<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = Column> + 'a {
        (0..self.len()).map(|i| {
            let cells = self.cells(i);
            let end = cells.end.min(values.len());
            let (from, to) = self.pixels(i);
            Column {
                from,
                to,
                values: values.get(cells.start.min(end)..end).and_then(Range::of),
            }
        })
    }
}

impl Range {
    fn of(values: &[f64]) -> Option<Self> {
        let mut range: Option<Self> = None;
        for &v in values.iter().filter(|v| !v.is_nan()) {
            let r = range.get_or_insert(Self {
                first: v,
                last: v,
                low: v,
                high: v,
                low_first: true,
            });
            r.last = v;
            if v < r.low {
                (r.low, r.low_first) = (v, false);
            }
            if v > r.high {
                (r.high, r.low_first) = (v, true);
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canvas(width: f64) -> Rect {
        Rect {
            x: 0.0,
            y: 0.0,
            width,
            height: 1.0,
        }
    }

    #[test]
    fn few_values_have_columns_of_their_own() {
        let columns = Columns::new(3, &canvas(10.0));
        let found: Vec<Column> = columns.of(&[1.0, f64::NAN]).collect();
        assert_eq!(found.len(), 3);
        assert_eq!((found[0].from, found[0].to), (0.0, 3.0));
        assert_eq!((found[2].from, found[2].to), (7.0, 10.0));
        assert_eq!(found[0].values.map(|r| r.low), Some(1.0));
        assert_eq!((found[1].values, found[2].values), (None, None));
    }

    #[test]
    fn many_values_share_columns() {
        let columns = Columns::new(6, &canvas(2.0));
        let found: Vec<Column> = columns.of(&[1.0, 5.0, 2.0, 9.0, f64::NAN, 3.0]).collect();
        let first = found[0].values.expect("values");
        assert_eq!(
            (first.first, first.last, first.low, first.high),
            (1.0, 2.0, 1.0, 5.0)
        );
        assert!(first.low_first);
        let second = found[1].values.expect("values");
        assert_eq!((second.first, second.last), (9.0, 3.0));
        assert!(!second.low_first);
    }

    proptest! {
        #[test]
        fn columns_cover_canvas_and_values(cells in 1usize..3000, width in 1u16..2000) {
            let columns = Columns::new(cells, &canvas(f64::from(width)));
            let (mut pixel, mut cell) = (0.0, 0);
            for i in 0..columns.len() {
                let (from, to) = columns.pixels(i);
                let cells = columns.cells(i);
                prop_assert!(from == pixel && to > from);
                prop_assert!(cells.start == cell && cells.end > cell);
                (pixel, cell) = (to, cells.end);
            }
            prop_assert_eq!(pixel, f64::from(width));
            prop_assert_eq!(cell, cells);
        }
    }
}
