//! Which series the rows of a file belong to, and when they begin.

use std::borrow::Cow;

use hesper_model::Slot;
use roaring::RoaringBitmap;

/// The rows of the series of a file: those of a series are neighbours.
pub(super) enum SeriesRows {
    /// Each has one, as in the file of a window: so many.
    One(usize),
    Many {
        /// By series: its first row; at the end the number of rows.
        first_rows: Vec<u32>,
        /// By row.
        series_of: Vec<u32>,
    },
}

impl SeriesRows {
    /// Series that begin at these rows, of so many.
    pub fn new(first_rows: &[u32], rows: usize) -> Self {
        if first_rows.len() == rows {
            return Self::One(rows);
        }
        let mut series_of = Vec::with_capacity(rows);
        let ends = first_rows.iter().skip(1).copied().chain([rows as u32]);
        for (series, end) in (0..).zip(ends) {
            series_of.resize(end as usize, series);
        }
        Self::Many {
            first_rows: [first_rows, &[rows as u32]].concat(),
            series_of,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::One(rows) => *rows,
            Self::Many { series_of, .. } => series_of.len(),
        }
    }

    /// The series of a row.
    pub fn series_of(&self, row: u32) -> usize {
        match self {
            Self::One(_) => row as usize,
            Self::Many { series_of, .. } => series_of[row as usize] as usize,
        }
    }

    /// The first row of a series.
    pub fn first_of(&self, series: usize) -> u32 {
        match self {
            Self::One(_) => series as u32,
            Self::Many { first_rows, .. } => first_rows[series],
        }
    }

    /// The rows of series.
    pub fn of_series(&self, series: RoaringBitmap) -> RoaringBitmap {
        let first_rows = match self {
            Self::One(_) => return series,
            Self::Many { first_rows, .. } => first_rows,
        };
        let mut rows = RoaringBitmap::new();
        for series in series {
            let series = series as usize;
            rows.insert_range(first_rows[series]..first_rows[series + 1]);
        }
        rows
    }

    /// The series of rows.
    pub fn to_series(&self, rows: Cow<'_, RoaringBitmap>) -> RoaringBitmap {
        let series_of = match self {
            Self::One(_) => return rows.into_owned(),
            Self::Many { series_of, .. } => series_of,
        };
        let mut series: Vec<u32> = rows.iter().map(|row| series_of[row as usize]).collect();
        series.dedup();
        series.into_iter().collect()
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            Self::Many {
                first_rows,
                series_of,
            } => (first_rows.len() + series_of.len()) * size_of::<u32>(),
        }
    }
}

/// By row: the slot of element 0.
pub(super) enum Firsts {
    /// That of all rows, as in the file of a window.
    Same(Slot),
    ByRow(Vec<Slot>),
}

impl Firsts {
    /// The slots of all rows.
    pub fn of(slots: impl Iterator<Item = Slot> + Clone) -> Self {
        let mut rest = slots.clone();
        match rest.next() {
            Some(first) if rest.all(|slot| slot == first) => Self::Same(first),
            _ => Self::ByRow(slots.collect()),
        }
    }

    /// That of a row.
    pub fn of_row(&self, row: u32) -> Slot {
        match self {
            Self::Same(slot) => *slot,
            Self::ByRow(slots) => slots[row as usize],
        }
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Same(_) => 0,
            Self::ByRow(slots) => slots.len() * size_of::<Slot>(),
        }
    }
}
