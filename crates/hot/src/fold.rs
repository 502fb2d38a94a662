//! Folding blocks into cells: the partial aggregate of a query, built without a row per datapoint.
//!
//! An [`Accumulator`] holds, for each group, a value for each cell of the query and a mask of the slots in which any series had data.
//! Blocks are folded window by window. Where a group has many blocks in a window, they are first gathered slot by slot: see [`gathering`].

mod gathering;
mod prefetch;
mod widest;

use hesper_model::block::{ALL_SLOTS, slot_mask};
use hesper_model::{BLOCK_SLOTS, Block, Slot, TimeRange, Window};

use crate::codec::planes::{LANES, Lanes};
use crate::codec::whole::Whole;
use crate::codec::{Divisors, EncodedBlock};
use gathering::Gathering;

pub(crate) use prefetch::prefetch;
pub use widest::{Work, run as run_widest};

/// How values meet in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldOp {
    /// They are added.
    Sum,
    /// Each counts as one.
    Count,
    /// The lowest stays.
    Min,
    /// The highest stays.
    Max,
}

impl FoldOp {
    const fn neutral(self) -> f64 {
        match self {
            Self::Sum | Self::Count => 0.0,
            Self::Min => f64::INFINITY,
            Self::Max => f64::NEG_INFINITY,
        }
    }

    /// Combines two partial results of a cell; either may be the neutral one.
    #[inline(always)]
    pub fn merge(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum | Self::Count => a + b,
            Self::Min => a.min(b),
            Self::Max => a.max(b),
        }
    }
}

/// The cells of a query: `cells` cells of `slots_per_cell` slots each. A cell at T covers the slots up to and including T.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellLayout {
    /// The first slot of the first cell.
    pub first: Slot,
    /// Number of cells.
    pub cells: usize,
    /// Slots in a cell, at least one.
    pub slots_per_cell: usize,
}

impl CellLayout {
    /// All slots of all cells.
    pub const fn range(&self) -> TimeRange {
        TimeRange {
            first: self.first,
            last: Slot(self.first.0 + (self.cells * self.slots_per_cell) as i64 - 1),
        }
    }

    /// Number of windows that the cells touch.
    pub fn windows(&self) -> usize {
        self.range().windows().count()
    }

    fn cell_of(&self, slot: Slot) -> usize {
        (slot.0 - self.first.0) as usize / self.slots_per_cell
    }
}

/// The part of a window that lies in the query.
#[derive(Clone, Debug)]
pub struct WindowPart {
    /// The window.
    pub window: Window,
    /// Its place among the windows of the query.
    index: usize,
    positions: std::ops::Range<usize>,
    /// Positions of the first cell, whose slots may have begun in the window before.
    slots_of_first: usize,
    mask: u64,
    /// The cell of each position; only those in `positions` have one.
    cell: [u32; BLOCK_SLOTS],
}

impl WindowPart {
    /// The part of `window` that `layout` covers; `None` when they do not meet.
    pub fn of(layout: &CellLayout, window: Window) -> Option<Self> {
        let range = layout.range();
        let positions = range.positions_in(window);
        if positions.is_empty() {
            return None;
        }
        let first = window.first_slot().0;
        let mut cell = [0; BLOCK_SLOTS];
        for p in positions.clone() {
            cell[p] = layout.cell_of(Slot(first + p as i64)) as u32;
        }
        Some(Self {
            window,
            index: (window.0 - range.first.window().0) as usize,
            mask: slot_mask(positions.start, positions.end),
            slots_of_first: positions
                .clone()
                .take_while(|p| cell[*p] == cell[positions.start])
                .count(),
            positions,
            cell,
        })
    }

    /// The positions of the window that lie in the query.
    pub fn positions(&self) -> std::ops::Range<usize> {
        self.positions.clone()
    }

    /// The same as bits.
    pub const fn mask(&self) -> u64 {
        self.mask
    }
}

/// Blocks are gathered when there are this many for each group: to bring what was gathered into the cells costs a few of them.
const GATHERED_BLOCKS: usize = 16;

/// Partial aggregates of groups over cells.
#[derive(Debug)]
pub struct Accumulator {
    op: FoldOp,
    layout: CellLayout,
    windows: usize,
    groups: usize,
    /// For each group, for each cell.
    values: Vec<f64>,
    /// For each group, for each window: the slots in which any series had data.
    presence: Vec<u64>,
    /// Blocks of the window under way.
    gathering: Gathering,
}

impl Accumulator {
    /// An accumulator without groups.
    pub fn new(op: FoldOp, layout: CellLayout) -> Self {
        Self {
            op,
            layout,
            windows: layout.windows(),
            groups: 0,
            values: Vec::new(),
            presence: Vec::new(),
            gathering: Gathering::new(op),
        }
    }

    /// The cells.
    pub fn layout(&self) -> &CellLayout {
        &self.layout
    }

    /// Number of groups.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Makes room for groups 0 … `groups` − 1. Not within a window.
    pub fn grow(&mut self, groups: usize) {
        if groups <= self.groups {
            return;
        }
        self.groups = groups;
        self.values
            .resize(groups * self.layout.cells, self.op.neutral());
        self.presence.resize(groups * self.windows, 0);
    }

    /// The cells of a group. A cell whose slots all lack data holds a neutral number: see [`Self::has_data`].
    pub fn values(&self, group: usize) -> &[f64] {
        &self.values[group * self.layout.cells..][..self.layout.cells]
    }

    /// The masks of a group, one for each window.
    pub fn presence(&self, group: usize) -> &[u64] {
        &self.presence[group * self.windows..][..self.windows]
    }

    /// The cells and the masks of all groups, one after another.
    pub fn into_parts(self) -> (Vec<f64>, Vec<u64>) {
        (self.values, self.presence)
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        8 * (self.values.capacity() + self.presence.capacity()) + self.gathering.size_bytes()
    }

    fn cells_mut(&mut self, group: u32) -> &mut [f64] {
        &mut self.values[group as usize * self.layout.cells..][..self.layout.cells]
    }

    #[inline(always)]
    fn note(&mut self, group: u32, part: &WindowPart, mask: u64) {
        self.presence[group as usize * self.windows + part.index] |= mask & part.mask;
    }

    /// Adds what an accumulator of the same layout holds for one of its groups.
    pub fn merge_group(&mut self, group: u32, values: &[f64], presence: &[u64]) {
        let op = self.op;
        for (cell, v) in self.cells_mut(group).iter_mut().zip(values) {
            *cell = op.merge(*cell, *v);
        }
        let masks = &mut self.presence[group as usize * self.windows..][..self.windows];
        for (mask, m) in masks.iter_mut().zip(presence) {
            *mask |= m;
        }
    }

    /// Folds a block of plain values.
    pub fn fold_block(&mut self, group: u32, part: &WindowPart, block: &Block) {
        self.note(group, part, block.present());
        let op = self.op;
        let mut lanes = [0.0; LANES];
        for (lane, v) in lanes.iter_mut().zip(block.0) {
            *lane = match (v.is_nan(), op) {
                (true, _) => op.neutral(),
                (false, FoldOp::Count) => 1.0,
                (false, _) => v,
            };
        }
        self.fold_into_cells(group, part, &lanes);
    }

    /// Folds the values that `lanes` series, all of one group, have at one position. NaN is no data.
    pub fn fold_lanes(
        &mut self,
        group: u32,
        part: &WindowPart,
        position: usize,
        lanes: impl Iterator<Item = f64>,
    ) {
        let op = self.op;
        let cell = &mut self.cells_mut(group)[part.cell[position] as usize];
        let mut any = false;
        for v in lanes {
            if !v.is_nan() {
                fold_value(op, cell, v);
                any = true;
            }
        }
        self.note(group, part, u64::from(any) << position);
    }

    /// Begins a window of which so many blocks are to be folded. After the last of them call [`Self::end_window`].
    pub fn begin_window(&mut self, blocks: usize) {
        match blocks >= GATHERED_BLOCKS * self.groups {
            true => self.gathering.begin(self.groups),
            false => self.gathering.leave(),
        }
    }

    /// Folds the encoded block at the start of `bytes`, which is known to be one. It is folded faster when `bytes` go on beyond it.
    #[inline(always)]
    pub fn fold_encoded(
        &mut self,
        group: u32,
        part: &WindowPart,
        bytes: &[u8],
        divisors: &Divisors,
    ) {
        if self.op == FoldOp::Count {
            return self.fold_count(group, part, EncodedBlock::mask_at(bytes));
        }
        match Whole::read_by_slot(bytes) {
            Some((mask, whole)) => self.fold_by_slot(group, part, mask, &whole, divisors),
            None => self.fold_any(group, part, bytes, divisors),
        }
    }

    #[inline(always)]
    fn fold_count(&mut self, group: u32, part: &WindowPart, mask: u64) {
        self.note(group, part, mask);
        if self.gathering.is_on() {
            return self.gathering.count(group, mask);
        }
        let mut lanes = [0.0; LANES];
        gathering::ones(mask, &mut lanes);
        self.fold_into_cells(group, part, &lanes);
    }

    /// Whole numbers, each at its slot.
    #[inline(always)]
    fn fold_by_slot(
        &mut self,
        group: u32,
        part: &WindowPart,
        mask: u64,
        whole: &Whole<'_>,
        divisors: &Divisors,
    ) {
        self.note(group, part, mask);
        if self.gathering.is_on() {
            if let Some(full) = self.gathering.add_by_slot(group, mask, whole) {
                self.bring(full, part, divisors);
            }
            return;
        }
        let mut lanes = [0.0; LANES];
        whole.numerators(&mut lanes);
        divisors.divide(whole.divisor, &mut lanes);
        let neutral = self.op.neutral();
        at_slots(ALL_SLOTS ^ mask, |slot| lanes[slot] = neutral);
        self.fold_into_cells(group, part, &lanes);
    }

    /// A block of any codec.
    fn fold_any(&mut self, group: u32, part: &WindowPart, bytes: &[u8], divisors: &Divisors) {
        let (block, _) = EncodedBlock::read(bytes).expect("the caller knows that it is a block");
        self.note(group, part, block.mask);
        if self.gathering.is_on() {
            if let Some(full) = self.gathering.add(group, &block) {
                self.bring(full, part, divisors);
            }
            return;
        }
        let mut lanes = [0.0; LANES];
        block.values(divisors, self.op.neutral(), &mut lanes);
        self.fold_into_cells(group, part, &lanes);
    }

    /// Brings what was gathered into the cells.
    #[inline(always)]
    pub fn end_window(&mut self, part: &WindowPart, divisors: &Divisors) {
        while let Some(last) = self.gathering.last() {
            self.bring(last, part, divisors);
            self.gathering.drop_last();
        }
    }

    /// Brings what was gathered at a place into the cells of its group.
    #[inline(always)]
    fn bring(&mut self, place: usize, part: &WindowPart, divisors: &Divisors) {
        let mut lanes = [0.0; LANES];
        let group = self.gathering.take(place, divisors, &mut lanes);
        self.fold_into_cells(group, part, &lanes);
    }

    /// Folds a value for each slot; those without data are neutral.
    #[inline(always)]
    fn fold_into_cells(&mut self, group: u32, part: &WindowPart, lanes: &Lanes) {
        match self.op {
            FoldOp::Sum | FoldOp::Count => self.fold_with(group, part, lanes, |a, b| a + b),
            FoldOp::Min => self.fold_with(group, part, lanes, f64::min),
            FoldOp::Max => self.fold_with(group, part, lanes, f64::max),
        }
    }

    #[inline(always)]
    fn fold_with(
        &mut self,
        group: u32,
        part: &WindowPart,
        lanes: &Lanes,
        fold: impl Fn(f64, f64) -> f64,
    ) {
        let slots_per_cell = self.layout.slots_per_cell;
        let cells = self.cells_mut(group);
        let first = part.cell[part.positions.start] as usize;
        let lanes = &lanes[part.positions.clone()];
        if slots_per_cell == 1 {
            for (cell, v) in cells[first..].iter_mut().zip(lanes) {
                *cell = fold(*cell, *v);
            }
            return;
        }
        let (begun, lanes) = lanes.split_at(part.slots_of_first.min(lanes.len()));
        let runs = std::iter::once(begun).chain(lanes.chunks(slots_per_cell));
        for (cell, run) in cells[first..].iter_mut().zip(runs) {
            // By itself first: cells are then independent of each other.
            let folded = run[1..].iter().fold(run[0], |a, b| fold(a, *b));
            *cell = fold(*cell, folded);
        }
    }

    /// True when any slot of a group's cell had data.
    pub fn has_data(&self, group: usize, cell: usize) -> bool {
        slots_with_data(&self.layout, self.presence(group), cell) > 0
    }
}

/// Calls `change` for each slot of a mask.
#[inline(always)]
fn at_slots(mut mask: u64, mut change: impl FnMut(usize)) {
    while mask != 0 {
        change(mask.trailing_zeros() as usize);
        mask &= mask - 1;
    }
}

/// Calls `gap` for each cell in which no series had data, where a cell is a slot; from the masks of a group.
pub fn slots_without_data(layout: &CellLayout, presence: &[u64], mut gap: impl FnMut(usize)) {
    let range = layout.range();
    let origin = range.first.window().0;
    for (mask, window) in presence.iter().zip(origin..) {
        let positions = range.positions_in(Window(window));
        let first = Window(window).first_slot().0 - range.first.0;
        let missing = slot_mask(positions.start, positions.end) & !mask;
        at_slots(missing, |position| gap((first + position as i64) as usize));
    }
}

/// Number of slots of a cell in which any series had data, from the masks of a group.
pub fn slots_with_data(layout: &CellLayout, presence: &[u64], cell: usize) -> usize {
    let m = layout.slots_per_cell as i64;
    let first = layout.first.0 + cell as i64 * m;
    let range = TimeRange {
        first: Slot(first),
        last: Slot(first + m - 1),
    };
    let origin = layout.first.window().0;
    range
        .windows()
        .map(|w| {
            let positions = range.positions_in(w);
            let mask = slot_mask(positions.start, positions.end);
            (presence[(w.0 - origin) as usize] & mask).count_ones() as usize
        })
        .sum()
}

#[inline]
fn fold_value(op: FoldOp, cell: &mut f64, v: f64) {
    match op {
        FoldOp::Sum => *cell += v,
        FoldOp::Count => *cell += 1.0,
        FoldOp::Min => *cell = cell.min(v),
        FoldOp::Max => *cell = cell.max(v),
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::Step;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::Codec;

    const OPS: [FoldOp; 4] = [FoldOp::Sum, FoldOp::Count, FoldOp::Min, FoldOp::Max];

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            2 => Just(f64::NAN),
            4 => (0i32..500).prop_map(|n| f64::from(n) / 60.0),
            2 => (-70_000i32..70_000).prop_map(f64::from),
            1 => -1e12f64..1e12,
        ]
    }

    fn blocks() -> impl Strategy<Value = Vec<(u32, i64, Block)>> {
        let block = prop_oneof![
            prop::collection::vec(value(), BLOCK_SLOTS),
            value().prop_map(|v| vec![v; BLOCK_SLOTS]),
            prop::collection::vec((0i32..200).prop_map(f64::from), BLOCK_SLOTS),
        ];
        let block = block.prop_map(|v| Block(std::array::from_fn(|i| v[i])));
        prop::collection::vec((0u32..3, 0i64..4, block), 0..12)
    }

    /// What the cells of a group hold, computed value by value.
    fn expected(
        op: FoldOp,
        layout: &CellLayout,
        blocks: &[(u32, i64, Block)],
        group: u32,
    ) -> Vec<f64> {
        (0..layout.cells)
            .map(|cell| {
                let m = layout.slots_per_cell as i64;
                let first = layout.first.0 + cell as i64 * m;
                let mut all = blocks
                    .iter()
                    .filter(|(g, ..)| *g == group)
                    .flat_map(|(_, w, b)| {
                        let start = Window(*w).first_slot().0;
                        (0..BLOCK_SLOTS).map(move |p| (start + p as i64, b.0[p]))
                    })
                    .filter(|(slot, v)| (first..first + m).contains(slot) && !v.is_nan())
                    .map(|(_, v)| if op == FoldOp::Count { 1.0 } else { v });
                let Some(start) = all.next() else {
                    return f64::NAN;
                };
                all.fold(start, |a, b| op.merge(a, b))
            })
            .collect()
    }

    fn held(acc: &Accumulator, group: usize) -> Vec<f64> {
        (0..acc.layout().cells)
            .map(|c| match acc.has_data(group, c) {
                true => acc.values(group)[c],
                false => f64::NAN,
            })
            .collect()
    }

    fn close(a: &[f64], b: &[f64]) -> bool {
        a.iter().zip(b).all(|(a, b)| {
            (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 + 1e-9 * a.abs().max(b.abs())
        })
    }

    proptest! {
        #[test]
        fn every_way_of_folding_gives_what_adding_one_by_one_gives(
            blocks in blocks(), first in -20i64..200, cells in 1usize..90, slots_per_cell in 1usize..70,
            gathered in any::<bool>(), beyond in prop::sample::select(vec![0usize, 3, 100]),
        ) {
            let codec = Codec::new(Step::from_secs(60));
            let layout = CellLayout { first: Slot(first), cells, slots_per_cell };
            for op in OPS {
                let mut plain = Accumulator::new(op, layout);
                let mut encoded = Accumulator::new(op, layout);
                let mut lanes = Accumulator::new(op, layout);
                plain.grow(3);
                lanes.grow(3);
                encoded.grow(3);
                for window in layout.range().windows() {
                    let Some(part) = WindowPart::of(&layout, window) else { continue };
                    encoded.begin_window(if gathered { 1000 } else { 1 });
                    for (group, _, block) in blocks.iter().filter(|b| b.1 == window.0) {
                        plain.fold_block(*group, &part, block);
                        let mut bytes = Vec::new();
                        codec.encode(block, &mut bytes);
                        bytes.resize(bytes.len() + beyond, 0x5A);
                        encoded.fold_encoded(*group, &part, &bytes, codec.divisors());
                        for p in part.positions() {
                            lanes.fold_lanes(*group, &part, p, [block.0[p]].into_iter());
                        }
                    }
                    encoded.end_window(&part, codec.divisors());
                }
                for group in 0..3 {
                    let want = expected(op, &layout, &blocks, group as u32);
                    for acc in [&plain, &encoded, &lanes] {
                        let got = held(acc, group);
                        prop_assert!(close(&want, &got), "{op:?} {layout:?}: {want:?} but {got:?}");
                    }
                }
                let mut merged = Accumulator::new(op, layout);
                merged.grow(1);
                merged.merge_group(0, plain.values(0), plain.presence(0));
                merged.merge_group(0, plain.values(1), plain.presence(1));
                let both: Vec<_> = blocks.iter().map(|(g, w, b)| (g / 2, *w, *b)).collect();
                prop_assert!(close(&expected(op, &layout, &both, 0), &held(&merged, 0)));
            }
        }
    }

    proptest! {
        #[test]
        fn gaps_are_the_cells_without_data(first in -70i64..130, presence in prop::collection::vec(any::<u64>(), 5)) {
            let layout = CellLayout { first: Slot(first), cells: 200, slots_per_cell: 1 };
            let mut gaps = Vec::new();
            slots_without_data(&layout, &presence, |cell| gaps.push(cell));
            let expected = (0..200).filter(|c| slots_with_data(&layout, &presence, *c) == 0);
            prop_assert_eq!(gaps, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn large_whole_numbers_do_not_overflow() {
        let codec = Codec::new(Step::from_secs(60));
        let layout = CellLayout {
            first: Slot(1),
            cells: 60,
            slots_per_cell: 1,
        };
        let part = WindowPart::of(&layout, Window(0)).expect("inside");
        let mut acc = Accumulator::new(FoldOp::Sum, layout);
        acc.grow(1);
        let big = 9_007_199_254_740_000.0;
        let block = Block(std::array::from_fn(|i| big + i as f64));
        let mut bytes = Vec::new();
        codec.encode(&block, &mut bytes);
        acc.begin_window(2_000);
        for _ in 0..2_000 {
            acc.fold_encoded(0, &part, &bytes, codec.divisors());
        }
        acc.end_window(&part, codec.divisors());
        let want = 2_000.0 * big;
        assert!((acc.values(0)[0] - want).abs() < 1e-9 * want);
    }
}
