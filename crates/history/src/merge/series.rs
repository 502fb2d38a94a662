//! What a merge decides of a series, and the cells that it makes of it.

use std::sync::Arc;

use hesper_model::{BLOCK_SLOTS, Block, Slot, Step, Tags, TimeRange, Window};

use crate::DataFile;
use crate::day::Day;
use crate::deletion::Deletion;
use crate::policy::Rules;
use crate::rollup::RollupCells;

/// What deletions and retention say of a series.
pub(super) struct Decisions<'a> {
    tags: Tags,
    rules: &'a Rules,
    /// The deletions whose query it fits.
    deletions: Vec<Arc<Deletion>>,
    keeps_raw: bool,
}

impl<'a> Decisions<'a> {
    /// Of a series in a day that ended so long ago.
    pub fn new(tags: Tags, rules: &'a Rules, deletions: &[Arc<Deletion>], age: i64) -> Self {
        let fitting = deletions.iter().filter(|d| d.query.matches(&tags));
        Self {
            deletions: fitting.cloned().collect(),
            keeps_raw: rules.keep_of(1, &tags).is_none_or(|keep| keep > age),
            tags,
            rules,
        }
    }

    pub fn tags(&self) -> &Tags {
        &self.tags
    }

    /// True when the raw data is kept.
    pub fn keeps_raw(&self) -> bool {
        self.keeps_raw
    }

    /// How long a resolution is kept.
    pub fn keep_of(&self, cell_slots: u32) -> Option<i64> {
        self.rules.keep_of(cell_slots, &self.tags)
    }

    /// The slots of a file's rows that are deleted.
    pub fn hidden(&self, file: &DataFile) -> impl Iterator<Item = TimeRange> {
        let deletions = self.deletions.iter().filter(|d| d.affects(file));
        deletions.map(|d| d.range())
    }

    /// Takes what is deleted out of a block of a file; gives the number of datapoints.
    pub fn delete(&self, file: &DataFile, window: Window, block: &mut Block) -> u64 {
        let mut deleted = 0;
        for range in self.hidden(file) {
            for position in range.positions_in(window) {
                deleted += u64::from(!block.0[position].is_nan());
                block.0[position] = f64::NAN;
            }
        }
        deleted
    }
}

/// The cells of a series under way, for each roll-up.
pub(super) struct SeriesCells {
    day: TimeRange,
    rollups: Vec<Cells>,
}

struct Cells {
    cell_slots: u32,
    /// Of all raw data.
    whole: RollupCells,
    /// What the roll-up held before.
    older: Option<RollupCells>,
    /// Of the raw data in slots that it did not hold.
    rest: RollupCells,
}

impl SeriesCells {
    /// Cells of a day, for roll-ups of so many slots in a cell.
    pub fn new(day: Day, step: Step, rollups: &[u32]) -> Self {
        let cells = |cell_slots: &u32| Cells {
            cell_slots: *cell_slots,
            whole: RollupCells::default(),
            older: None,
            rest: RollupCells::default(),
        };
        let mut all = Self {
            day: day.range(step),
            rollups: rollups.iter().map(cells).collect(),
        };
        all.reset();
        all
    }

    /// Empties all cells.
    pub fn reset(&mut self) {
        for cells in &mut self.rollups {
            cells.older = None;
            cells.clear(self.day);
        }
    }

    /// Takes over what the roll-up held of the series, but for what is deleted. Comes before any block of the series.
    pub fn set_older(&mut self, read: &RollupCells, hidden: impl Iterator<Item = TimeRange>) {
        let rollup = self
            .rollups
            .iter_mut()
            .find(|c| c.cell_slots == read.cell_slots);
        let Some(cells) = rollup else {
            return;
        };
        let mut older = read.clone();
        hidden.for_each(|range| older.clear(range));
        let same_cells = older.first == cells.whole.first && older.len() == cells.whole.len();
        if same_cells && older.datapoints() > 0 {
            cells.older = Some(older);
        }
    }

    /// Adds a block of raw data.
    pub fn add(&mut self, window: Window, block: &Block) {
        let first = window.first_slot().0;
        for cells in &mut self.rollups {
            for position in 0..BLOCK_SLOTS {
                let value = block.0[position];
                if value.is_nan() {
                    continue;
                }
                let slot = Slot(first + position as i64);
                cells.whole.add(slot, value);
                if cells.older.as_ref().is_some_and(|older| !older.holds(slot)) {
                    cells.rest.add(slot, value);
                }
            }
        }
    }

    /// Brings together what the roll-ups held and what raw data says. Gives, for each roll-up, its number here and how many datapoints could not be
    /// taken in.
    ///
    /// As long as raw data is kept it says all that the roll-up held, and replaces it: late data counts as it should. When raw data is gone, what comes
    /// late is added, and a value for a slot that had one is ignored: what it would replace can't be taken out of a sum.
    pub fn finish(&mut self) -> Vec<(usize, u64)> {
        let mut outcome = Vec::with_capacity(self.rollups.len());
        for (number, cells) in self.rollups.iter_mut().enumerate() {
            let mut too_late = 0;
            if let Some(older) = &cells.older {
                for cell in 0..older.len() {
                    let present = older.present(cell).iter().zip(cells.whole.present(cell));
                    let raw_has_all = present.clone().all(|(older, raw)| older & !raw == 0);
                    if !raw_has_all {
                        let both = present.map(|(older, raw)| (older & raw).count_ones());
                        too_late += u64::from(both.sum::<u32>());
                        cells.whole.restore(cell, older, &cells.rest);
                    }
                }
            }
            outcome.push((number, too_late));
        }
        outcome
    }

    /// The cells of a roll-up.
    pub fn cells(&self, number: usize) -> &RollupCells {
        &self.rollups[number].whole
    }
}

impl Cells {
    fn clear(&mut self, day: TimeRange) {
        let first = RollupCells::cell_of(day.first, self.cell_slots);
        let last = RollupCells::cell_of(day.last, self.cell_slots);
        let count = (last.0 - first.0 + 1) as usize;
        self.whole.reset(first, self.cell_slots, count);
        self.rest.reset(first, self.cell_slots, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Step = Step::from_secs(60);

    fn block(values: &[(usize, f64)]) -> Block {
        let mut block = Block::EMPTY;
        for (position, value) in values {
            block.0[*position] = *value;
        }
        block
    }

    fn rolled(blocks: &[Block], older: Option<&RollupCells>) -> (RollupCells, u64) {
        let mut cells = SeriesCells::new(Day(0), STEP, &[5]);
        if let Some(older) = older {
            cells.set_older(older, std::iter::empty());
        }
        for (window, block) in blocks.iter().enumerate() {
            cells.add(Window(window as i64), block);
        }
        let too_late = cells.finish()[0].1;
        (cells.cells(0).clone(), too_late)
    }

    #[test]
    fn raw_data_that_is_still_there_replaces_the_roll_up() {
        let (older, _) = rolled(&[block(&[(0, 1.0), (1, 2.0)])], None);
        let (new, too_late) = rolled(&[block(&[(0, 1.0), (1, 5.0), (2, 1.0)])], Some(&older));
        assert_eq!((new.counts[0], new.sums[0], new.maxs[0]), (3, 7.0, 5.0));
        assert_eq!(too_late, 0);
    }

    #[test]
    fn late_data_is_added_where_raw_data_is_gone() {
        let (older, _) = rolled(&[block(&[(0, 1.0), (1, 2.0), (7, 9.0)])], None);
        let (new, too_late) = rolled(&[block(&[(1, 5.0), (2, 1.0), (12, 3.0)])], Some(&older));
        // Slot 1 had a value, which stays; slot 2 is added.
        assert_eq!((new.counts[0], new.sums[0], new.maxs[0]), (3, 4.0, 2.0));
        assert_eq!((new.counts[1], new.counts[2]), (1, 1));
        assert_eq!(too_late, 1);
    }
}
