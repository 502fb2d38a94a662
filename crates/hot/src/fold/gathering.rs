//! Gathering: the blocks of a window meet slot by slot in their stored form, before anything is divided or brought into cells.
//!
//! Whole numbers of one divisor are added plane by plane: sums of bytes in sixteen bits, brought together after 256 blocks at most. The
//! lowest and highest are found among numerators, since a division keeps their order. Nothing is done value by value, but for slots
//! that lack data.

use hesper_model::block::ALL_SLOTS;

use crate::codec::planes::{ByteSums, LANES, Lanes};
use crate::codec::whole::Whole;
use crate::codec::{Body, Divisors, EncodedBlock, MAX_DIVISORS};

use super::{FoldOp, at_slots};

/// Sums of so many bytes fit sixteen bits.
const MAX_BLOCKS: u32 = 256;

/// The place of what nothing was gathered for.
const NOWHERE: u32 = u32::MAX;

/// What is gathered of a window, for each group and divisor.
#[derive(Debug)]
pub struct Gathering {
    op: FoldOp,
    on: bool,
    /// For each group, for each divisor.
    places: Vec<u32>,
    gathered: Vec<Gathered>,
    /// How many of `gathered` are in use.
    used: usize,
}

/// What is gathered of a group's blocks of one divisor.
#[derive(Debug)]
struct Gathered {
    group: u32,
    divisor: u8,
    /// Blocks in `planes`.
    blocks: u32,
    /// To be added to every slot.
    base: i64,
    /// The value of constants: their sum, or the lowest or highest.
    constant: f64,
    /// Numerators of each slot: their sum, or the lowest or highest.
    lanes: Lanes,
    /// Sums of the bytes of elements.
    planes: [ByteSums; 4],
}

impl Gathering {
    /// Nothing gathered.
    pub fn new(op: FoldOp) -> Self {
        Self {
            op,
            on: false,
            places: Vec::new(),
            gathered: Vec::new(),
            used: 0,
        }
    }

    /// Gathers from now on, for so many groups.
    pub fn begin(&mut self, groups: usize) {
        self.on = true;
        if self.places.len() < groups * MAX_DIVISORS {
            self.places.resize(groups * MAX_DIVISORS, NOWHERE);
        }
    }

    /// Gathers no more.
    pub fn leave(&mut self) {
        self.on = false;
    }

    /// True while blocks are gathered.
    #[inline(always)]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.places.capacity() * 4 + self.gathered.capacity() * size_of::<Gathered>()
    }

    /// Takes in whole numbers, each at its slot. Gives the place that has to be taken from before the next, if it is full.
    #[inline(always)]
    pub fn add_by_slot(&mut self, group: u32, mask: u64, whole: &Whole<'_>) -> Option<usize> {
        let place = self.place(group, whole.divisor);
        let gathered = &mut self.gathered[place];
        match self.op {
            FoldOp::Sum | FoldOp::Count => gathered.add_by_slot(mask, whole),
            FoldOp::Min => gathered.extreme_by_slot(mask, whole, f64::INFINITY, f64::min),
            FoldOp::Max => gathered.extreme_by_slot(mask, whole, f64::NEG_INFINITY, f64::max),
        }
        (gathered.blocks == MAX_BLOCKS).then_some(place)
    }

    /// Takes in a block. Gives the place that has to be taken from before the next, if it is full.
    pub fn add(&mut self, group: u32, block: &EncodedBlock<'_>) -> Option<usize> {
        let place = self.place(group, block.divisor());
        let gathered = &mut self.gathered[place];
        match self.op {
            FoldOp::Sum => gathered.add(block),
            FoldOp::Count => gathered.count(block.mask),
            FoldOp::Min => gathered.extreme(block, f64::INFINITY, f64::min),
            FoldOp::Max => gathered.extreme(block, f64::NEG_INFINITY, f64::max),
        }
        (gathered.blocks == MAX_BLOCKS).then_some(place)
    }

    /// Counts a block with data in the slots of a mask.
    #[inline(always)]
    pub fn count(&mut self, group: u32, mask: u64) {
        let place = self.place(group, 0);
        self.gathered[place].count(mask);
    }

    #[inline(always)]
    fn place(&mut self, group: u32, divisor: u8) -> usize {
        let at = group as usize * MAX_DIVISORS + usize::from(divisor);
        match self.places[at] {
            NOWHERE => self.new_place(at, group, divisor),
            place => place as usize,
        }
    }

    #[cold]
    fn new_place(&mut self, at: usize, group: u32, divisor: u8) -> usize {
        let place = self.used;
        let neutral = self.op.neutral();
        match self.gathered.get_mut(place) {
            Some(gathered) => {
                // What was taken from it left it empty.
                gathered.group = group;
                gathered.divisor = divisor;
            }
            None => self.gathered.push(Gathered {
                group,
                divisor,
                blocks: 0,
                base: 0,
                constant: neutral,
                lanes: [neutral; LANES],
                planes: [[0; LANES]; 4],
            }),
        }
        self.used += 1;
        self.places[at] = place as u32;
        place
    }

    /// The last place in use.
    pub fn last(&self) -> Option<usize> {
        self.used.checked_sub(1)
    }

    /// Takes the last place, which is empty, out of use.
    pub fn drop_last(&mut self) {
        self.used -= 1;
        let Gathered { group, divisor, .. } = self.gathered[self.used];
        self.places[group as usize * MAX_DIVISORS + usize::from(divisor)] = NOWHERE;
    }

    /// Empties a place: the values that it held, by slot, and the group they belong to.
    #[inline(always)]
    pub fn take(&mut self, place: usize, divisors: &Divisors, out: &mut Lanes) -> u32 {
        let neutral = self.op.neutral();
        let gathered = &mut self.gathered[place];
        match self.op {
            FoldOp::Sum | FoldOp::Count => gathered.sums(out),
            FoldOp::Min => gathered.extremes(out, f64::min),
            FoldOp::Max => gathered.extremes(out, f64::max),
        }
        if gathered.divisor != 0 {
            let by = divisors.get(gathered.divisor);
            out.iter_mut().for_each(|v| *v /= by);
        }
        gathered.lanes.fill(neutral);
        gathered.constant = neutral;
        gathered.base = 0;
        if gathered.blocks > 0 {
            gathered.blocks = 0;
            gathered.planes = [[0; LANES]; 4];
        }
        gathered.group
    }
}

impl Gathered {
    fn add(&mut self, block: &EncodedBlock<'_>) {
        match &block.body {
            Body::Whole(whole) if block.is_by_slot() => self.add_by_slot(block.mask, whole),
            Body::Constant(v) if block.is_full() => self.constant += v,
            _ => {
                let mut lanes = [0.0; LANES];
                block.numerators(0.0, &mut lanes);
                self.fold(&lanes, |a, b| a + b);
            }
        }
    }

    #[inline(always)]
    fn add_by_slot(&mut self, mask: u64, whole: &Whole<'_>) {
        let base = whole.base as f64;
        if whole.planes.width() <= 32 {
            whole.planes.add_to(&mut self.planes);
            self.base += whole.base;
            self.blocks += 1;
            // Elements of slots without data are zero; the base is not theirs.
            at_slots(ALL_SLOTS ^ mask, |slot| self.lanes[slot] -= base);
        } else {
            let mut lanes = [0.0; LANES];
            whole.numerators(&mut lanes);
            at_slots(ALL_SLOTS ^ mask, |slot| lanes[slot] = 0.0);
            self.fold(&lanes, |a, b| a + b);
        }
    }

    #[inline(always)]
    fn count(&mut self, mask: u64) {
        let gaps = ALL_SLOTS ^ mask;
        if gaps.count_ones() < mask.count_ones() {
            self.base += 1;
            at_slots(gaps, |slot| self.lanes[slot] -= 1.0);
        } else {
            at_slots(mask, |slot| self.lanes[slot] += 1.0);
        }
    }

    #[inline(always)]
    fn extreme(&mut self, block: &EncodedBlock<'_>, neutral: f64, op: impl Fn(f64, f64) -> f64) {
        match &block.body {
            Body::Constant(v) if block.is_full() => self.constant = op(self.constant, *v),
            _ => {
                let mut lanes = [0.0; LANES];
                block.numerators(neutral, &mut lanes);
                self.fold(&lanes, op);
            }
        }
    }

    #[inline(always)]
    fn extreme_by_slot(
        &mut self,
        mask: u64,
        whole: &Whole<'_>,
        neutral: f64,
        op: impl Fn(f64, f64) -> f64,
    ) {
        if whole.planes.width() == 0 && mask == ALL_SLOTS {
            self.constant = op(self.constant, whole.base as f64);
            return;
        }
        let mut lanes = [0.0; LANES];
        whole.numerators(&mut lanes);
        at_slots(ALL_SLOTS ^ mask, |slot| lanes[slot] = neutral);
        self.fold(&lanes, op);
    }

    #[inline(always)]
    fn fold(&mut self, lanes: &Lanes, op: impl Fn(f64, f64) -> f64) {
        for (held, v) in self.lanes.iter_mut().zip(lanes) {
            *held = op(*held, *v);
        }
    }

    #[inline(always)]
    fn sums(&self, out: &mut Lanes) {
        *out = self.lanes;
        // Exact while below 2^53, as any sum of doubles.
        let base = self.base as f64;
        let [p0, p1, p2, p3] = &self.planes;
        for (i, v) in out.iter_mut().enumerate() {
            let low = i32::from(p0[i]) + (i32::from(p1[i]) << 8);
            let high = i32::from(p2[i]) + (i32::from(p3[i]) << 8);
            *v += base + (f64::from(low) + f64::from(high) * 65_536.0) + self.constant;
        }
    }

    #[inline(always)]
    fn extremes(&self, out: &mut Lanes, op: impl Fn(f64, f64) -> f64) {
        for (v, lane) in out.iter_mut().zip(self.lanes) {
            *v = op(lane, self.constant);
        }
    }
}

/// One at the slots of a mask, zero at the others.
#[inline(always)]
pub fn ones(mask: u64, out: &mut Lanes) {
    for (slot, v) in out.iter_mut().enumerate() {
        *v = f64::from((mask >> slot & 1) as u8);
    }
}
