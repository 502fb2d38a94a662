//! The cells of one series.

use hesper_hot::fold::{CellLayout, FoldOp};
use hesper_model::aggregate::{max_nan, min_nan};
use hesper_model::{Slot, TimeRange};

/// Consecutive cells of a series. Cell n covers the slots `(n − 1) × cell_slots + 1 … n × cell_slots` of the store's step: the cells are the
/// slots of a longer step.
#[derive(Clone, Debug)]
pub struct RollupCells {
    /// The number of the first cell.
    pub first: Slot,
    /// Slots in a cell.
    pub cell_slots: u32,
    /// Datapoints in each cell.
    pub counts: Vec<u32>,
    /// Their sums; NaN for a cell without data.
    pub sums: Vec<f64>,
    /// The lowest of them.
    pub mins: Vec<f64>,
    /// The highest of them.
    pub maxs: Vec<f64>,
    /// For each cell as many words as its slots need: bit n % 64 of word n / 64 for slot n with data.
    present: Vec<u64>,
}

impl Default for RollupCells {
    /// No cells.
    fn default() -> Self {
        Self {
            first: Slot(1),
            cell_slots: 1,
            counts: Vec::new(),
            sums: Vec::new(),
            mins: Vec::new(),
            maxs: Vec::new(),
            present: Vec::new(),
        }
    }
}

impl RollupCells {
    /// The number of the cell that a slot lies in.
    pub fn cell_of(slot: Slot, cell_slots: u32) -> Slot {
        Slot((slot.0 - 1).div_euclid(i64::from(cell_slots)) + 1)
    }

    /// Empties the cells and makes so many of them, beginning with `first`.
    pub fn reset(&mut self, first: Slot, cell_slots: u32, cells: usize) {
        self.first = first;
        self.cell_slots = cell_slots;
        self.counts.clear();
        self.counts.resize(cells, 0);
        for column in [&mut self.sums, &mut self.mins, &mut self.maxs] {
            column.clear();
            column.resize(cells, f64::NAN);
        }
        self.present.clear();
        self.present.resize(cells * self.words(), 0);
    }

    /// Words of `present` for a cell.
    pub(crate) fn words(&self) -> usize {
        self.cell_slots.div_ceil(64) as usize
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True when there is no cell.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Datapoints in all cells.
    pub fn datapoints(&self) -> u64 {
        self.counts.iter().map(|n| u64::from(*n)).sum()
    }

    /// The slots that a cell covers.
    pub fn slots(&self, cell: usize) -> TimeRange {
        let last = (self.first.0 + cell as i64) * i64::from(self.cell_slots);
        TimeRange {
            first: Slot(last - i64::from(self.cell_slots) + 1),
            last: Slot(last),
        }
    }

    /// The slots of a cell that hold data: bit n % 64 of word n / 64 for slot n of the cell.
    pub fn present(&self, cell: usize) -> &[u64] {
        &self.present[cell * self.words()..][..self.words()]
    }

    pub(crate) fn present_mut(&mut self, cell: usize) -> &mut [u64] {
        let words = self.words();
        &mut self.present[cell * words..][..words]
    }

    /// True when the slot holds data.
    pub fn holds(&self, slot: Slot) -> bool {
        let (cell, bit) = self.place(slot);
        let cell = usize::try_from(cell).ok().filter(|c| *c < self.len());
        cell.is_some_and(|cell| self.present(cell)[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// The place of a slot's cell, which may lie outside, and of the slot in its cell.
    fn place(&self, slot: Slot) -> (i64, usize) {
        let cell_slots = i64::from(self.cell_slots);
        let cell = Self::cell_of(slot, self.cell_slots).0 - self.first.0;
        (cell, (slot.0 - 1).rem_euclid(cell_slots) as usize)
    }

    /// Adds a datapoint, at most one a slot.
    ///
    /// # Panics
    /// When its cell is not among these.
    pub fn add(&mut self, slot: Slot, value: f64) {
        let (cell, bit) = self.place(slot);
        let cell = cell as usize;
        // Not by what the sum is: +∞ − ∞ is data too.
        match self.counts[cell] {
            0 => self.sums[cell] = value,
            _ => self.sums[cell] += value,
        }
        self.counts[cell] += 1;
        self.mins[cell] = min_nan(self.mins[cell], value);
        self.maxs[cell] = max_nan(self.maxs[cell], value);
        self.present_mut(cell)[bit / 64] |= 1 << (bit % 64);
    }

    /// Empties the cells that touch a range.
    pub fn clear(&mut self, range: TimeRange) {
        for cell in 0..self.len() {
            let slots = self.slots(cell);
            if slots.first <= range.last && range.first <= slots.last {
                self.counts[cell] = 0;
                self.sums[cell] = f64::NAN;
                self.mins[cell] = f64::NAN;
                self.maxs[cell] = f64::NAN;
                self.present_mut(cell).fill(0);
            }
        }
    }

    /// Makes a cell of what `older` holds of it, which is not nothing, and of `rest`, which holds other slots.
    pub(crate) fn restore(&mut self, cell: usize, older: &Self, rest: &Self) {
        self.counts[cell] = older.counts[cell] + rest.counts[cell];
        self.sums[cell] = match rest.counts[cell] {
            0 => older.sums[cell],
            _ => older.sums[cell] + rest.sums[cell],
        };
        self.mins[cell] = min_nan(older.mins[cell], rest.mins[cell]);
        self.maxs[cell] = max_nan(older.maxs[cell], rest.maxs[cell]);
        let words = self.words();
        for word in cell * words..(cell + 1) * words {
            self.present[word] = older.present[word] | rest.present[word];
        }
    }

    /// Folds the cells into those of a query, for [`Accumulator::merge_group`](hesper_hot::fold::Accumulator::merge_group): `values` has one for each
    /// of the query's cells and holds the neutral number of `op` (0, or an infinity) before the first, `presence` one for each of its windows.
    /// Cells outside the query, or across the borders of its cells, are left out.
    pub fn fold(&self, op: FoldOp, layout: &CellLayout, values: &mut [f64], presence: &mut [u64]) {
        let first_window = layout.first.window().0;
        for cell in (0..self.len()).filter(|c| self.counts[*c] > 0) {
            let slots = self.slots(cell);
            let place =
                |slot: Slot| (slot.0 - layout.first.0).div_euclid(layout.slots_per_cell as i64);
            let to = place(slots.first);
            if to != place(slots.last) {
                continue;
            }
            let Some(value) = usize::try_from(to).ok().and_then(|to| values.get_mut(to)) else {
                continue;
            };
            *value = match op {
                FoldOp::Sum => *value + self.sums[cell],
                FoldOp::Count => *value + f64::from(self.counts[cell]),
                FoldOp::Min => value.min(self.mins[cell]),
                FoldOp::Max => value.max(self.maxs[cell]),
            };
            for slot in self.slots_with_data(cell) {
                let window = (slot.window().0 - first_window) as usize;
                presence[window] |= 1 << slot.position();
            }
        }
    }

    /// The slots of a cell that hold data.
    pub fn slots_with_data(&self, cell: usize) -> impl Iterator<Item = Slot> {
        let first = self.slots(cell).first.0;
        let words = self.present(cell).iter().enumerate();
        words.flat_map(move |(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(Slot(first + word as i64 * 64 + i64::from(bit)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use hesper_hot::fold::{Accumulator, WindowPart};
    use hesper_model::{Block, Window};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cells_are_the_slots_of_a_longer_step() {
        let cell = |slot| RollupCells::cell_of(Slot(slot), 5).0;
        assert_eq!((cell(0), cell(1), cell(5), cell(6)), (0, 1, 1, 2));
    }

    #[test]
    fn a_cell_knows_number_sum_lowest_highest_and_slots() {
        let mut cells = RollupCells::default();
        cells.reset(Slot(2), 5, 3);
        for (slot, value) in [(6, 2.0), (8, -1.0), (11, f64::INFINITY)] {
            cells.add(Slot(slot), value);
        }
        assert_eq!(cells.counts, [2, 1, 0]);
        assert_eq!(
            (cells.sums[0], cells.mins[0], cells.maxs[0]),
            (1.0, -1.0, 2.0)
        );
        assert!(cells.sums[2].is_nan());
        assert_eq!(
            cells.slots_with_data(0).collect::<Vec<_>>(),
            [Slot(6), Slot(8)]
        );
        assert!(cells.holds(Slot(8)) && !cells.holds(Slot(7)) && !cells.holds(Slot(99)));
        cells.clear(TimeRange {
            first: Slot(10),
            last: Slot(10),
        });
        assert_eq!(cells.counts, [0, 1, 0]);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            2 => Just(f64::NAN),
            3 => (-1000i32..1000).prop_map(f64::from),
            1 => Just(f64::INFINITY),
        ]
    }

    proptest! {
        /// Two series in one group, over two hours, for every way in which values meet.
        #[test]
        fn a_roll_up_is_folded_like_the_raw_data_that_it_was_made_of(
            values in prop::collection::vec(prop::collection::vec(value(), 120), 2),
            cell_slots in prop::sample::select(vec![5u32, 10, 60]),
            cells_each in 1usize..4,
            offset in 0i64..3,
        ) {
            let slots_per_cell = cells_each * cell_slots as usize;
            // The query begins with a cell, before, within or at the end of the data.
            let first = Slot(1 + (offset - 1) * i64::from(cell_slots));
            let layout = CellLayout { first, cells: 120 / slots_per_cell, slots_per_cell };
            for op in [FoldOp::Sum, FoldOp::Count, FoldOp::Min, FoldOp::Max] {
                let neutral = match op {
                    FoldOp::Sum | FoldOp::Count => 0.0,
                    FoldOp::Min => f64::INFINITY,
                    FoldOp::Max => f64::NEG_INFINITY,
                };
                let mut raw = Accumulator::new(op, layout);
                let mut rolled = Accumulator::new(op, layout);
                raw.grow(1);
                rolled.grow(1);
                for series in &values {
                    let mut cells = RollupCells::default();
                    cells.reset(Slot(1), cell_slots, 120 / cell_slots as usize);
                    for (window, of_window) in series.chunks(60).enumerate() {
                        let window = Window(window as i64);
                        let block = Block(std::array::from_fn(|p| of_window[p]));
                        if let Some(part) = WindowPart::of(&layout, window) {
                            raw.fold_block(0, &part, &block);
                        }
                        for (p, v) in of_window.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
                            cells.add(Slot(window.first_slot().0 + p as i64), *v);
                        }
                    }
                    let mut folded = vec![neutral; layout.cells];
                    let mut presence = vec![0; layout.windows()];
                    cells.fold(op, &layout, &mut folded, &mut presence);
                    rolled.merge_group(0, &folded, &presence);
                }
                prop_assert_eq!(raw.presence(0), rolled.presence(0));
                for (a, b) in raw.values(0).iter().zip(rolled.values(0)) {
                    prop_assert!(a == b || (a.is_nan() && b.is_nan()), "{:?}: {} is not {}", op, a, b);
                }
            }
        }
    }
}
