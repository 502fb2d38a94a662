//! The open columns of a window: plain doubles, laid so that a whole step is written and summed in sequence.
//!
//! Series come in chunks of sixteen, neighbours in number. A chunk holds sixty rows, one for each slot, of sixteen values, one for each series; it is made when one
//! of its series is written first. NaN is no data.
//!
//! What comes for a window that was sealed before comes for few series: it is kept series by series, so that a late datapoint costs some
//! hundred bytes and not a chunk.

mod late;
mod slabs;

use hesper_model::Block;

use crate::fold::{Accumulator, WindowPart};
use crate::series_table::SeriesRef;
use late::Late;
use slabs::{Slabs, row_place};

pub use slabs::RowPlace;

/// Series in a chunk.
pub const LANES: usize = 16;

/// Chunks in a page.
const PAGE: usize = 64;

/// The chunk that is not made.
const NOT_MADE: u32 = u32::MAX;

/// Neighbouring chunks, as far as they are made.
struct Page {
    /// By chunk: the series that hold data.
    written: [u16; PAGE],
    /// By chunk: its number in the slabs.
    chunks: [u32; PAGE],
}

impl Page {
    const EMPTY: Self = Self {
        written: [0; PAGE],
        chunks: [NOT_MADE; PAGE],
    };
}

/// The open columns of a shard's part of a window.
#[derive(Default)]
pub struct OpenColumns {
    pages: Vec<Option<Box<Page>>>,
    slabs: Slabs,
    /// What is kept series by series; then there are no chunks.
    late: Option<Late>,
    filled: u64,
    /// Bytes of pages and of what is late.
    bytes: usize,
}

impl OpenColumns {
    /// Columns above sealed blocks: few of their series are expected.
    pub fn late() -> Self {
        Self {
            late: Some(Late::default()),
            ..Self::default()
        }
    }

    /// Sets the value of a series at a position of the window.
    #[inline]
    pub fn write(&mut self, series: SeriesRef, position: usize, value: f64) {
        let (number, lane) = (series.0 / LANES as u32, series.index() % LANES);
        match self.row(number, position) {
            Some(row) => {
                self.set(row, lane, value);
                self.note(number, position, 1 << lane);
            }
            None => {
                let late = self.late.get_or_insert_default();
                self.bytes += late.write(series, position, value);
                self.filled |= 1 << position;
            }
        }
    }

    /// The place of a row of a chunk, which is made if need be. `None` where series are kept one by one.
    ///
    /// After [`Self::set`], say with [`Self::note`] what was set.
    #[inline]
    pub fn row(&mut self, number: u32, position: usize) -> Option<RowPlace> {
        let (page, at) = (number as usize / PAGE, number as usize % PAGE);
        match self.pages.get(page) {
            Some(Some(page)) if page.chunks[at] != NOT_MADE => {
                Some(row_place(page.chunks[at], position))
            }
            _ if self.late.is_some() => None,
            _ => Some(row_place(self.make(page, at), position)),
        }
    }

    /// Brings a row of a chunk near, if there is one; what is given means nothing.
    #[inline(always)]
    pub fn fetch(&self, number: u32, position: usize) -> u8 {
        let (page, at) = (number as usize / PAGE, number as usize % PAGE);
        match self.pages.get(page) {
            Some(Some(page)) if page.chunks[at] != NOT_MADE => {
                self.slabs.fetch(row_place(page.chunks[at], position))
            }
            _ => 0,
        }
    }

    #[cold]
    fn make(&mut self, page: usize, at: usize) -> u32 {
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
            self.bytes += size_of::<Page>();
            Box::new(Page::EMPTY)
        });
        page.chunks[at] = self.slabs.make();
        page.chunks[at]
    }

    /// Sets a value of a row.
    #[inline(always)]
    pub fn set(&mut self, row: RowPlace, lane: usize, value: f64) {
        self.slabs.set(row, lane, value);
    }

    /// Sets those values of a row whose lanes are set in `lanes`.
    #[inline(always)]
    pub fn set_lanes(&mut self, row: RowPlace, lanes: u16, values: &[f64; LANES]) {
        self.slabs.set_lanes(row, lanes, values);
    }

    /// Notes that lanes of a chunk were set at a position.
    #[inline]
    pub fn note(&mut self, number: u32, position: usize, lanes: u16) {
        self.filled |= 1 << position;
        let (page, at) = (number as usize / PAGE, number as usize % PAGE);
        if let Some(Some(page)) = self.pages.get_mut(page) {
            page.written[at] |= lanes;
        }
    }

    /// The positions that any series has written: bit n for position n.
    pub fn filled(&self) -> u64 {
        self.filled
    }

    /// The chunk of a series, and the lanes in it that hold data.
    fn chunk(&self, series: SeriesRef) -> Option<(u32, u16)> {
        let number = series.index() / LANES;
        let page = self.pages.get(number / PAGE)?.as_ref()?;
        let at = number % PAGE;
        (page.chunks[at] != NOT_MADE).then_some((page.chunks[at], page.written[at]))
    }

    /// The series that hold data, in the order of their numbers.
    pub fn series(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        let pages = self.pages.iter().enumerate();
        let chunks = pages.flat_map(|(at, page)| {
            let written = page.iter().flat_map(|p| p.written);
            (at * PAGE..).zip(written)
        });
        let dense = chunks.flat_map(|(at, written)| {
            (0..LANES)
                .filter(move |lane| written >> lane & 1 == 1)
                .map(move |lane| SeriesRef((at * LANES + lane) as u32))
        });
        dense.chain(self.late.iter().flat_map(Late::series))
    }

    /// True when the series holds data.
    pub fn holds(&self, series: SeriesRef) -> bool {
        match self.chunk(series) {
            Some((_, written)) => written >> (series.index() % LANES) & 1 == 1,
            None => self.late.as_ref().is_some_and(|l| l.holds(series)),
        }
    }

    /// The value of a series at a position of the window; NaN when there is none.
    pub fn value(&self, series: SeriesRef, position: usize) -> f64 {
        match (self.chunk(series), &self.late) {
            (Some((chunk, _)), _) => self.slabs.row(chunk, position)[series.index() % LANES],
            (None, Some(late)) => late.block(series).0[position],
            (None, None) => f64::NAN,
        }
    }

    /// The values of a series.
    pub fn block(&self, series: SeriesRef) -> Block {
        match (self.chunk(series), &self.late) {
            (Some((chunk, _)), _) => Block(self.slabs.lane(chunk, series.index() % LANES)),
            (None, Some(late)) => late.block(series),
            (None, None) => Block::EMPTY,
        }
    }

    /// Folds the values of series, each into its group; `series` is sorted by number.
    pub fn fold(&self, acc: &mut Accumulator, part: &WindowPart, series: &[(SeriesRef, u32)]) {
        let mut rest = series;
        while let Some(((first, group), _)) = rest.split_first() {
            let number = first.index() / LANES;
            let n = rest.partition_point(|(s, _)| s.index() / LANES == number);
            let (these, others) = rest.split_at(n);
            rest = others;
            match self.chunk(*first) {
                Some((chunk, _)) if these.iter().all(|(_, g)| g == group) => {
                    self.fold_rows(acc, part, *group, chunk, these);
                }
                Some((_, 0)) => {}
                Some(_) => self.fold_series(acc, part, these),
                None if self.late.is_some() => self.fold_series(acc, part, these),
                None => {}
            }
        }
    }

    /// All series of one group: row by row, in the order they lie.
    fn fold_rows(
        &self,
        acc: &mut Accumulator,
        part: &WindowPart,
        group: u32,
        chunk: u32,
        series: &[(SeriesRef, u32)],
    ) {
        for p in part.positions() {
            let row = self.slabs.row(chunk, p);
            if series.len() == LANES {
                acc.fold_lanes(group, part, p, row.iter().copied());
            } else {
                let lanes = series.iter().map(|(s, _)| row[s.index() % LANES]);
                acc.fold_lanes(group, part, p, lanes);
            }
        }
    }

    /// Series of several groups: series by series.
    fn fold_series(&self, acc: &mut Accumulator, part: &WindowPart, series: &[(SeriesRef, u32)]) {
        for (s, group) in series.iter().filter(|(s, _)| self.holds(*s)) {
            acc.fold_block(*group, part, &self.block(*s));
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.slabs.size_bytes() + self.bytes + self.pages.capacity() * size_of::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::{Slot, Window};

    use super::*;
    use crate::fold::{CellLayout, FoldOp};

    fn both() -> [OpenColumns; 2] {
        [OpenColumns::default(), OpenColumns::late()]
    }

    #[test]
    fn what_is_written_is_held() {
        for mut open in both() {
            open.write(SeriesRef(5000), 59, 2.0);
            open.write(SeriesRef(3), 0, 1.0);
            open.write(SeriesRef(3), 0, 5.0);
            assert_eq!(open.series().map(|s| s.0).collect::<Vec<_>>(), [3, 5000]);
            assert_eq!(open.block(SeriesRef(3)).0[0], 5.0);
            assert_eq!(open.value(SeriesRef(3), 0), 5.0);
            assert!(open.value(SeriesRef(3), 1).is_nan());
            assert!(open.value(SeriesRef(99_999), 0).is_nan());
            assert_eq!(open.block(SeriesRef(5000)).present(), 1 << 59);
            assert_eq!(open.block(SeriesRef(100)).present(), 0);
            assert_eq!(open.filled(), 1 | 1 << 59);
            assert!(open.holds(SeriesRef(5000)) && !open.holds(SeriesRef(5001)));
        }
    }

    #[test]
    fn a_late_datapoint_costs_little() {
        let [mut dense, mut late] = both();
        for s in 0..1000 {
            dense.write(SeriesRef(s * 64), 7, 1.0);
            late.write(SeriesRef(s * 64), 7, 1.0);
        }
        assert!(dense.size_bytes() > 1000 * 60 * LANES * 8);
        assert!(late.size_bytes() < 1000 * 150, "{}", late.size_bytes());
        for p in 0..60 {
            (0..1000).for_each(|s| late.write(SeriesRef(s * 64), p, 1.0));
        }
        assert!(late.size_bytes() < 1000 * 650, "{}", late.size_bytes());
        assert_eq!(late.block(SeriesRef(640)).present(), (1 << 60) - 1);
    }

    #[test]
    fn folding_reads_each_series_into_its_group() {
        for mut open in both() {
            for s in 0..300u32 {
                if s % 3 != 0 {
                    open.write(SeriesRef(s), (s % 60) as usize, f64::from(s));
                }
            }
            let layout = CellLayout {
                first: Slot(1),
                cells: 1,
                slots_per_cell: 60,
            };
            let part = WindowPart::of(&layout, Window(0)).expect("inside");
            let sum = |keep: &dyn Fn(u32) -> bool| -> f64 {
                (0..300u32)
                    .filter(|s| s % 3 != 0 && keep(*s))
                    .map(f64::from)
                    .sum()
            };
            let fold = |groups: usize, series: Vec<(SeriesRef, u32)>| {
                let mut acc = Accumulator::new(FoldOp::Sum, layout);
                acc.grow(groups);
                open.fold(&mut acc, &part, &series);
                (0..groups).map(|g| acc.values(g)[0]).collect::<Vec<_>>()
            };
            let one = fold(1, (0..300).map(|s| (SeriesRef(s), 0)).collect());
            assert_eq!(one, [sum(&|_| true)]);
            let some = fold(1, (100..140).map(|s| (SeriesRef(s), 0)).collect());
            assert_eq!(some, [sum(&|s| (100..140).contains(&s))]);
            let two = fold(2, (0..400).map(|s| (SeriesRef(s), s % 2)).collect());
            assert_eq!(two, [sum(&|s| s % 2 == 0), sum(&|s| s % 2 == 1)]);
        }
    }
}
