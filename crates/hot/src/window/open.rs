//! The open columns of a window: plain doubles, laid so that a whole step is written and summed in sequence.
//!
//! Series come in chunks of 64. A chunk holds sixty rows, one for each slot, of 64 values, one for each series; it is made when one of its
//! series is written first. NaN is no data.

use hesper_model::{BLOCK_SLOTS, Block};

use crate::fold::{Accumulator, WindowPart};
use crate::series_table::SeriesRef;

/// Series in a chunk.
pub const LANES: usize = 64;

struct Chunk {
    /// The series of the chunk that hold data.
    written: u64,
    rows: Box<[[f64; LANES]; BLOCK_SLOTS]>,
}

impl Chunk {
    fn empty() -> Self {
        let rows = vec![[f64::NAN; LANES]; BLOCK_SLOTS].into_boxed_slice();
        Self {
            written: 0,
            rows: rows.try_into().expect("a row for each slot"),
        }
    }
}

/// The open columns of a shard's part of a window.
#[derive(Default)]
pub struct OpenColumns {
    chunks: Vec<Option<Chunk>>,
    made: usize,
    filled: u64,
}

impl OpenColumns {
    /// Sets the value of a series at a position of the window.
    #[inline]
    pub fn write(&mut self, series: SeriesRef, position: usize, value: f64) {
        let (at, lane) = place(series);
        if at >= self.chunks.len() {
            self.chunks.resize_with(at + 1, || None);
        }
        let chunk = match &mut self.chunks[at] {
            Some(chunk) => chunk,
            empty => {
                self.made += 1;
                empty.insert(Chunk::empty())
            }
        };
        chunk.rows[position][lane] = value;
        chunk.written |= 1 << lane;
        self.filled |= 1 << position;
    }

    /// The positions that any series has written: bit n for position n.
    pub fn filled(&self) -> u64 {
        self.filled
    }

    /// The series that hold data, in the order of their numbers.
    pub fn series(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        self.chunks.iter().enumerate().flat_map(|(at, chunk)| {
            let written = chunk.as_ref().map_or(0, |c| c.written);
            (0..LANES)
                .filter(move |lane| written >> lane & 1 == 1)
                .map(move |lane| SeriesRef((at * LANES + lane) as u32))
        })
    }

    /// True when the series holds data.
    pub fn holds(&self, series: SeriesRef) -> bool {
        let (at, lane) = place(series);
        let chunk = self.chunks.get(at).and_then(Option::as_ref);
        chunk.is_some_and(|c| c.written >> lane & 1 == 1)
    }

    /// The value of a series at a position of the window; NaN when there is none.
    pub fn value(&self, series: SeriesRef, position: usize) -> f64 {
        let (at, lane) = place(series);
        match self.chunks.get(at) {
            Some(Some(chunk)) => chunk.rows[position][lane],
            _ => f64::NAN,
        }
    }

    /// The values of a series.
    pub fn block(&self, series: SeriesRef) -> Block {
        let (at, lane) = place(series);
        match self.chunks.get(at) {
            Some(Some(chunk)) => Block(std::array::from_fn(|p| chunk.rows[p][lane])),
            _ => Block::EMPTY,
        }
    }

    /// Folds the values of series, each into its group; `series` is sorted by number.
    pub fn fold(&self, acc: &mut Accumulator, part: &WindowPart, series: &[(SeriesRef, u32)]) {
        let mut rest = series;
        while let Some(((first, group), _)) = rest.split_first() {
            let (at, _) = place(*first);
            let n = rest.partition_point(|(s, _)| place(*s).0 == at);
            let (these, others) = rest.split_at(n);
            rest = others;
            let Some(Some(chunk)) = self.chunks.get(at) else {
                continue;
            };
            if these.iter().all(|(_, g)| g == group) {
                fold_rows(chunk, acc, part, *group, these);
            } else {
                fold_lanes(chunk, acc, part, these);
            }
        }
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.made * BLOCK_SLOTS * LANES * 8 + self.chunks.capacity() * size_of::<Option<Chunk>>()
    }
}

fn place(series: SeriesRef) -> (usize, usize) {
    (series.index() / LANES, series.index() % LANES)
}

/// All series of one group: row by row, in the order they lie.
fn fold_rows(
    chunk: &Chunk,
    acc: &mut Accumulator,
    part: &WindowPart,
    group: u32,
    series: &[(SeriesRef, u32)],
) {
    for p in part.positions() {
        let row = &chunk.rows[p];
        if series.len() == LANES {
            acc.fold_lanes(group, part, p, row.iter().copied());
        } else {
            acc.fold_lanes(group, part, p, series.iter().map(|(s, _)| row[place(*s).1]));
        }
    }
}

/// Series of several groups: series by series.
fn fold_lanes(
    chunk: &Chunk,
    acc: &mut Accumulator,
    part: &WindowPart,
    series: &[(SeriesRef, u32)],
) {
    for (s, group) in series {
        let (_, lane) = place(*s);
        if chunk.written >> lane & 1 == 1 {
            let block = Block(std::array::from_fn(|p| chunk.rows[p][lane]));
            acc.fold_block(*group, part, &block);
        }
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::{Slot, Window};

    use super::*;
    use crate::fold::{CellLayout, FoldOp};

    #[test]
    fn what_is_written_is_held() {
        let mut open = OpenColumns::default();
        open.write(SeriesRef(3), 0, 1.0);
        open.write(SeriesRef(200), 59, 2.0);
        open.write(SeriesRef(3), 0, 5.0);
        assert_eq!(open.series().map(|s| s.0).collect::<Vec<_>>(), [3, 200]);
        assert_eq!(open.block(SeriesRef(3)).0[0], 5.0);
        assert_eq!(open.value(SeriesRef(3), 0), 5.0);
        assert!(open.value(SeriesRef(3), 1).is_nan() && open.value(SeriesRef(999), 0).is_nan());
        assert_eq!(open.block(SeriesRef(200)).present(), 1 << 59);
        assert_eq!(open.block(SeriesRef(100)).present(), 0);
        assert_eq!(open.filled(), 1 | 1 << 59);
        assert!(open.holds(SeriesRef(200)) && !open.holds(SeriesRef(201)));
        assert!(open.size_bytes() > 2 * 60 * 64 * 8);
    }

    #[test]
    fn folding_reads_each_series_into_its_group() {
        let mut open = OpenColumns::default();
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
