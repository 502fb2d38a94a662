//! Folding blocks into cells: the partial aggregate of a query, built without a row per datapoint.
//!
//! An [`Accumulator`] holds, for each group, a value for each cell of the query and a mask of the slots in which any series had data.
//! Blocks are folded window by window: whole numbers of one divisor are added as integers and divided once at the end of the window.

use hesper_model::block::{ALL_SLOTS, slot_mask};
use hesper_model::{BLOCK_SLOTS, Block, Slot, TimeRange, Window};

use crate::codec::{Body, Divisors, EncodedBlock, MAX_DIVISORS, Scale};

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
    #[inline]
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

/// Integer sums are kept for this many groups; with more the sums no longer stay in the cache and gain nothing.
const MAX_INTEGER_GROUPS: usize = 64;

/// A base beyond this could overflow the integer sums.
const MAX_INTEGER_BASE: i64 = 1 << 31;

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
    /// For each group, for each divisor, for each slot of the window under way; empty unless integers are summed.
    integers: Vec<i64>,
    /// For each group, the divisors with something in `integers`.
    touched: Vec<u8>,
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
            integers: Vec::new(),
            touched: Vec::new(),
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
        if groups <= MAX_INTEGER_GROUPS && matches!(self.op, FoldOp::Sum | FoldOp::Count) {
            self.integers.resize(groups * MAX_DIVISORS * BLOCK_SLOTS, 0);
            self.touched.resize(groups, 0);
        } else {
            self.integers = Vec::new();
            self.touched = Vec::new();
        }
    }

    /// The cells of a group. A cell whose slots all lack data holds a neutral number: see [`Self::has_data`].
    pub fn values(&self, group: usize) -> &[f64] {
        &self.values[group * self.layout.cells..][..self.layout.cells]
    }

    /// The masks of a group, one for each window.
    pub fn presence(&self, group: usize) -> &[u64] {
        &self.presence[group * self.windows..][..self.windows]
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        8 * (self.values.capacity() + self.presence.capacity() + self.integers.capacity())
    }

    fn cells_mut(&mut self, group: u32) -> &mut [f64] {
        &mut self.values[group as usize * self.layout.cells..][..self.layout.cells]
    }

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
        let mask = block.present();
        self.note(group, part, mask);
        let op = self.op;
        let cells = self.cells_mut(group);
        for p in part.positions() {
            let v = block.0[p];
            if !v.is_nan() {
                fold_value(op, &mut cells[part.cell[p] as usize], v);
            }
        }
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

    /// Folds an encoded block. After the last block of a window call [`Self::end_window`].
    pub fn fold_encoded(
        &mut self,
        group: u32,
        part: &WindowPart,
        block: &EncodedBlock<'_>,
        divisors: &Divisors,
    ) {
        self.note(group, part, block.mask);
        if !self.integers.is_empty() && self.fold_integers(group, block) {
            return;
        }
        let op = self.op;
        let mut positions = Positions(block.mask);
        let cells = self.cells_mut(group);
        let mut fold = |v: f64| {
            let p = positions.next().expect("a position for each value");
            if part.mask >> p & 1 == 1 {
                fold_value(op, &mut cells[part.cell[p] as usize], v);
            }
        };
        match block.body {
            Body::Constant(v) => {
                for p in Positions(block.mask & part.mask) {
                    fold_value(op, &mut cells[part.cell[p] as usize], v);
                }
            }
            Body::Raw(bytes) => {
                let (chunks, _) = bytes.as_chunks::<8>();
                chunks.iter().for_each(|c| fold(f64::from_le_bytes(*c)));
            }
            Body::Scaled8(scale, bytes) => {
                let value = value_of(scale, divisors);
                bytes.iter().for_each(|e| fold(value(i64::from(*e))));
            }
            Body::Scaled16(scale, bytes) => {
                let value = value_of(scale, divisors);
                let (chunks, _) = bytes.as_chunks::<2>();
                chunks
                    .iter()
                    .for_each(|c| fold(value(i64::from(u16::from_le_bytes(*c)))));
            }
            Body::Scaled32(scale, bytes) => {
                let value = value_of(scale, divisors);
                let (chunks, _) = bytes.as_chunks::<4>();
                chunks
                    .iter()
                    .for_each(|c| fold(value(i64::from(u32::from_le_bytes(*c)))));
            }
        }
    }

    /// Adds a block as integers; false when it has to be added as doubles.
    fn fold_integers(&mut self, group: u32, block: &EncodedBlock<'_>) -> bool {
        if self.op == FoldOp::Count {
            let sums = self.integers_of(group, 0);
            if block.mask == ALL_SLOTS {
                sums.iter_mut().for_each(|s| *s += 1);
            } else {
                Positions(block.mask).for_each(|p| sums[p] += 1);
            }
            return true;
        }
        let scale = match block.body {
            Body::Scaled8(scale, _) | Body::Scaled16(scale, _) => scale,
            Body::Constant(_) | Body::Raw(_) | Body::Scaled32(..) => return false,
        };
        let base = scale.base;
        if base.abs() > MAX_INTEGER_BASE {
            return false;
        }
        let mask = block.mask;
        let sums = self.integers_of(group, scale.divisor);
        match block.body {
            Body::Scaled8(_, bytes) => match bytes.first_chunk::<BLOCK_SLOTS>() {
                Some(elements) if mask == ALL_SLOTS => {
                    for (s, e) in sums.iter_mut().zip(elements) {
                        *s += base + i64::from(*e);
                    }
                }
                _ => add_gappy(sums, mask, base, bytes.iter().map(|e| i64::from(*e))),
            },
            Body::Scaled16(_, bytes) => {
                let (elements, _) = bytes.as_chunks::<2>();
                let elements = elements.iter().map(|e| i64::from(u16::from_le_bytes(*e)));
                if mask == ALL_SLOTS {
                    for (s, e) in sums.iter_mut().zip(elements) {
                        *s += base + e;
                    }
                } else {
                    add_gappy(sums, mask, base, elements);
                }
            }
            Body::Constant(_) | Body::Raw(_) | Body::Scaled32(..) => {}
        }
        true
    }

    fn integers_of(&mut self, group: u32, divisor: u8) -> &mut [i64; BLOCK_SLOTS] {
        let group = group as usize;
        self.touched[group] |= 1 << divisor;
        let at = (group * MAX_DIVISORS + usize::from(divisor)) * BLOCK_SLOTS;
        self.integers[at..]
            .first_chunk_mut()
            .expect("room for every group and divisor")
    }

    /// Brings what was added as integers into the cells. Call it after the blocks of each window.
    pub fn end_window(&mut self, part: &WindowPart, divisors: &Divisors) {
        for group in 0..self.touched.len() {
            let mut touched = std::mem::take(&mut self.touched[group]);
            while touched != 0 {
                let divisor = touched.trailing_zeros() as u8;
                touched &= touched - 1;
                let by = divisors.get(divisor);
                let at = (group * MAX_DIVISORS + usize::from(divisor)) * BLOCK_SLOTS;
                let cells = &mut self.values[group * self.layout.cells..][..self.layout.cells];
                let sums = &mut self.integers[at..at + BLOCK_SLOTS];
                for p in part.positions() {
                    cells[part.cell[p] as usize] += sums[p] as f64 / by;
                }
                sums.fill(0);
            }
        }
    }

    /// True when any slot of a group's cell had data.
    pub fn has_data(&self, group: usize, cell: usize) -> bool {
        slots_with_data(&self.layout, self.presence(group), cell) > 0
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

fn value_of(scale: Scale, divisors: &Divisors) -> impl Fn(i64) -> f64 {
    let by = divisors.get(scale.divisor);
    move |element| scale.base.wrapping_add(element) as f64 / by
}

fn add_gappy(
    sums: &mut [i64; BLOCK_SLOTS],
    mask: u64,
    base: i64,
    elements: impl Iterator<Item = i64>,
) {
    for (p, e) in Positions(mask).zip(elements) {
        sums[p] += base + e;
    }
}

/// The numbers of the bits set in a mask.
struct Positions(u64);

impl Iterator for Positions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let position = self.0.trailing_zeros() as usize;
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            position
        })
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
            many_groups in any::<bool>(),
        ) {
            let codec = Codec::new(Step::from_secs(60));
            let layout = CellLayout { first: Slot(first), cells, slots_per_cell };
            for op in OPS {
                let mut plain = Accumulator::new(op, layout);
                let mut encoded = Accumulator::new(op, layout);
                let mut lanes = Accumulator::new(op, layout);
                plain.grow(3);
                lanes.grow(3);
                encoded.grow(if many_groups { 100 } else { 3 });
                for window in layout.range().windows() {
                    let Some(part) = WindowPart::of(&layout, window) else { continue };
                    for (group, _, block) in blocks.iter().filter(|b| b.1 == window.0) {
                        plain.fold_block(*group, &part, block);
                        let mut bytes = Vec::new();
                        codec.encode(block, &mut bytes);
                        let (e, _) = EncodedBlock::read(&bytes).expect("just encoded");
                        encoded.fold_encoded(*group, &part, &e, codec.divisors());
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
        let (encoded, _) = EncodedBlock::read(&bytes).expect("just encoded");
        for _ in 0..2_000 {
            acc.fold_encoded(0, &part, &encoded, codec.divisors());
        }
        acc.end_window(&part, codec.divisors());
        let want = 2_000.0 * big;
        assert!((acc.values(0)[0] - want).abs() < 1e-9 * want);
    }
}
