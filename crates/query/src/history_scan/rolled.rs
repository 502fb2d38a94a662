//! Roll-ups: rows of cells.
//!
//! A cell whose datapoints all belong to one cell of the query is folded as a whole, exactly. Of another, of which there is no raw data any more, every slot with
//! data is taken to hold the mean of the cell (or its lowest or highest, as the query consolidates): the number of datapoints and, over the whole
//! cell, their sum stay what they were.
//!
//! What came late lies over cells as the next merge will put it there, so that an answer does not change with it: where it repeats all slots of a cell it
//! takes the cell's place, else the slots that the cell lacks are added to it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use hashbrown::HashMap;
use hesper_history::FileIndex;
use hesper_history::day::Day;
use hesper_history::rollup::{CellValues, RollupCells};
use hesper_hot::fold::{Accumulator, CellLayout, FoldOp};
use hesper_hot::scan::PartialScan;
use hesper_model::{Consolidation, SeriesId, Slot, TimeRange, Window};
use roaring::RoaringBitmap;

use super::layers::Layered;
use super::raw::Needed;
use super::row_groups::RowGroups;
use super::shares::Piece;
use super::{AHEAD, FileError, HistoryOutcome, HistoryScan, Part, ScanRefused};
use crate::cells::neutral;
use crate::notice::Notice;
use crate::tiers::TierStats;

/// Values that are kept beside the accumulators until they are added to them.
const GATHERED_VALUES: usize = 1 << 21;

impl HistoryScan<'_> {
    /// Folds the cells of a part, below what `part` holds of raw data.
    pub(super) async fn scan_rolled(
        &self,
        pieces: &[Piece],
        part: &mut Part,
        found: &mut PartialScan,
        outcome: &mut HistoryOutcome,
    ) -> Result<(), ScanRefused> {
        let segment = part.segment;
        let mut rows = Rows::new(self, part);
        let (filter, values) = (rows.filter.clone(), rows.values());
        let opened = stream::iter(pieces).map(|piece| {
            let filter = &filter;
            async move { (&piece.file, self.open_cells(piece, filter, values).await) }
        });
        let mut opened = pin!(opened.buffered(AHEAD));
        while let Some((file, opened)) = opened.next().await {
            if self.cancelled.load(Ordering::Relaxed) {
                return Ok(());
            }
            let scanned = match opened {
                Ok(needed) => self.fold_cells(needed, &mut rows, found).await,
                Err(e) => Err(e),
            };
            outcome.note(file, scanned)?;
        }
        rows.gathered.add_to(&mut found.acc);
        let (coarse, late) = (rows.coarse, rows.late);
        let step = self.history.step();
        // Days expire as a whole, also what of the last is not asked for.
        let day = Day::of(segment.range.last.window(), step);
        let before = day.range(step).last.time(step);
        let cell_millis = step.millis() * i64::from(segment.cell_slots);
        if coarse {
            let notice = Notice::Coarse {
                before,
                cell_millis,
                some_series: segment.partly,
            };
            notice.add(&mut outcome.notices);
        }
        if late {
            let notice = Notice::Late {
                before,
                cell_millis,
            };
            notice.add(&mut outcome.notices);
        }
        Ok(())
    }

    async fn open_cells(
        &self,
        piece: &Piece,
        filter: &Filter<'_>,
        values: CellValues,
    ) -> Result<Needed, FileError> {
        let index = self.history.index(&piece.file).await?;
        let wanted = match RowGroups::of(&index, &self.request.grouping) {
            Some(_) => filter.wanted(self, &index, piece),
            None => RoaringBitmap::new(),
        };
        let stats = TierStats::of_rows(&piece.file, &index, wanted.len());
        self.budget.take_bytes(stats.bytes)?;
        if wanted.is_empty() {
            return Ok((stats, None));
        }
        let opened = self
            .history
            .open_rollup(&piece.file, index, &wanted, values);
        Ok((stats, Some(opened.await?)))
    }

    async fn fold_cells(
        &self,
        (mut stats, opened): Needed,
        rows: &mut Rows<'_>,
        found: &mut PartialScan,
    ) -> Result<TierStats, FileError> {
        let Some(opened) = opened else {
            return Ok(stats);
        };
        let index = opened.index.clone();
        let Some(mut groups) = RowGroups::of(&index, &self.request.grouping) else {
            return Ok(stats);
        };
        let mut refused = None;
        let read = self.history.cells_of(opened, rows.values(), |row, cells| {
            stats.values += cells.len() as u64;
            let id = index.row(row).id;
            if refused.is_some() || !rows.choose(self, id, cells) {
                return;
            }
            // A row is of a whole day: only now is known that the series has data in the range.
            match groups.group(row, &mut found.groups) {
                Ok(None) => {}
                Ok(Some(group)) => {
                    found.acc.grow(found.groups.len());
                    rows.fold(group, cells, &mut found.acc);
                }
                Err(e) => refused = Some(e),
            }
        });
        read.await?;
        match refused {
            None => Ok(stats),
            Some(e) => Err(e.into()),
        }
    }
}

/// Which rows of roll-ups are needed.
#[derive(Clone)]
struct Filter<'a> {
    with_raw: Option<&'a hashbrown::HashSet<SeriesId>>,
    /// By shard: the windows that memory answered for, and whether nothing is wanted beyond them.
    answered: Arc<[(Vec<Window>, bool)]>,
}

impl Filter<'_> {
    /// The rows of a piece that are needed.
    fn wanted(&self, scan: &HistoryScan<'_>, index: &FileIndex, piece: &Piece) -> RoaringBitmap {
        let mut rows = index.matching(&scan.request.query);
        rows.remove_range(..piece.rows.start);
        rows.remove_range(piece.rows.end..);
        let all_answered = self.answered.iter().any(|(_, all)| *all);
        if self.with_raw.is_none() && !all_answered {
            return rows;
        }
        rows.iter()
            .filter(|row| {
                let id = index.row(*row).id;
                let with_raw = self.with_raw.is_some_and(|ids| ids.contains(&id));
                !with_raw && !self.answered[id.shard(scan.shards) as usize].1
            })
            .collect()
    }
}

/// What is known while the rows of a part are folded.
struct Rows<'a> {
    op: FoldOp,
    consolidation: Consolidation,
    layout: CellLayout,
    /// The part, of which all cells are.
    range: TimeRange,
    /// True when cells may have to be taken apart: they don't fit the query's, or memory answered for a part of the range.
    apart: bool,
    filter: Filter<'a>,
    layered: &'a mut Layered,
    /// The windows that `layered` holds of a series.
    windows: HashMap<SeriesId, Vec<Window>>,
    gathered: Gathered,
    /// Of the row under way: the cells to take, and where the slots to take of each begin in `slots`; none when the cell is taken as a whole.
    chosen: Vec<Chosen>,
    slots: Vec<Slot>,
    /// A cell was taken apart.
    coarse: bool,
    /// A cell and late data were put together.
    late: bool,
}

/// A cell that is taken.
struct Chosen {
    cell: usize,
    /// The cell of the query that takes all of it; else its slots are looked at one by one.
    whole: Option<usize>,
    slots: std::ops::Range<usize>,
}

impl<'a> Rows<'a> {
    fn new(scan: &HistoryScan<'_>, part: &'a mut Part) -> Self {
        let range = part.segment.range;
        let mut windows: HashMap<SeriesId, Vec<Window>> = HashMap::new();
        for (window, id) in part.layered.keys() {
            windows.entry(*id).or_default().push(*window);
        }
        let of_shard = |shard| {
            if !scan.wanted.contains(&shard) {
                return (Vec::new(), true);
            }
            let complete = scan.complete.get(&shard).into_iter().flatten();
            let of_part = complete.filter(|w| !range.positions_in(**w).is_empty());
            let answered: Vec<Window> = of_part.copied().collect();
            let all = range.windows().all(|w| answered.contains(&w));
            (answered, all)
        };
        let answered: Arc<[_]> = (0..scan.shards).map(of_shard).collect();
        Self {
            op: scan.request.op,
            consolidation: scan.consolidation,
            layout: scan.request.layout,
            range,
            apart: !part.segment.exact || answered.iter().any(|(ws, _)| !ws.is_empty()),
            filter: Filter {
                with_raw: part.with_raw.as_ref(),
                answered,
            },
            layered: &mut part.layered,
            windows,
            gathered: Gathered::new(scan.request.op, scan.request.layout),
            chosen: Vec::new(),
            slots: Vec::new(),
            coarse: false,
            late: false,
        }
    }

    /// Which values of cells are needed.
    fn values(&self) -> CellValues {
        let (op, how) = (self.op, self.consolidation);
        // A slot of a cell that is taken apart holds what the query consolidates to.
        let apart = op != FoldOp::Count && self.apart;
        CellValues {
            sums: op == FoldOp::Sum
                || (apart && matches!(how, Consolidation::Avg | Consolidation::Sum)),
            mins: op == FoldOp::Min || (apart && how == Consolidation::Min),
            maxs: op == FoldOp::Max || (apart && how == Consolidation::Max),
        }
    }

    /// Chooses what is taken of a row; false when it is nothing.
    fn choose(&mut self, scan: &HistoryScan<'_>, id: SeriesId, cells: &RollupCells) -> bool {
        self.chosen.clear();
        self.slots.clear();
        let shard = id.shard(scan.shards) as usize;
        let plain = self.filter.answered[shard].0.is_empty() && !self.windows.contains_key(&id);
        for cell in (0..cells.len()).filter(|c| cells.counts[*c] > 0) {
            let range = cells.slots(cell);
            if range.last < self.range.first || self.range.last < range.first {
                continue;
            }
            let inside = self.range.first <= range.first && range.last <= self.range.last;
            let to = self.place(range.first);
            if plain && inside && to == self.place(range.last) {
                self.chosen.push(Chosen {
                    cell,
                    whole: Some(to),
                    slots: 0..0,
                });
                continue;
            }
            if !plain && self.replaced(id, cells, cell) {
                continue;
            }
            self.choose_slots(shard, cells, cell);
        }
        !self.chosen.is_empty()
    }

    /// The cell of the query that takes a slot of its range.
    fn place(&self, slot: Slot) -> usize {
        let at = (slot.0 - self.layout.first.0).div_euclid(self.layout.slots_per_cell as i64);
        at.max(0) as usize
    }

    fn choose_slots(&mut self, shard: usize, cells: &RollupCells, cell: usize) {
        let first = self.slots.len();
        let answered = &self.filter.answered[shard].0;
        let range = self.range;
        self.slots
            .extend(cells.slots_with_data(cell).filter(|slot| {
                (range.first..=range.last).contains(slot) && !answered.contains(&slot.window())
            }));
        let slots = &self.slots[first..];
        let (Some(from), Some(to)) = (slots.first(), slots.last()) else {
            return;
        };
        let (from, to) = (self.place(*from), self.place(*to));
        let whole = slots.len() == cells.counts[cell] as usize && from == to;
        debug_assert!(whole || self.apart, "the values for it are read");
        self.coarse |= !whole;
        self.chosen.push(Chosen {
            cell,
            whole: whole.then_some(from),
            slots: first..self.slots.len(),
        });
    }

    /// True when late data repeats all slots of a cell. If it repeats some, they are taken from it: in the cell they cannot be replaced.
    fn replaced(&mut self, id: SeriesId, cells: &RollupCells, cell: usize) -> bool {
        let Some(windows) = self.windows.get(&id) else {
            return false;
        };
        let range = cells.slots(cell);
        let touched: Vec<Window> = windows
            .iter()
            .copied()
            .filter(|w| !range.positions_in(*w).is_empty())
            .collect();
        let mut late = 0;
        for window in &touched {
            let block = &self.layered[&(*window, id)].1;
            let mut positions = range.positions_in(*window);
            late += positions.any(|p| !block.0[p].is_nan()) as usize;
        }
        if late == 0 {
            return false;
        }
        let repeats = |layered: &Layered, slot: Slot| {
            let block = layered.get(&(slot.window(), id));
            block.is_some_and(|(_, block)| !block.0[slot.position()].is_nan())
        };
        let mut held = cells.slots_with_data(cell);
        if held.all(|slot| repeats(self.layered, slot)) {
            return true;
        }
        self.late = true;
        for slot in cells.slots_with_data(cell) {
            if let Some((_, block)) = self.layered.get_mut(&(slot.window(), id)) {
                block.0[slot.position()] = f64::NAN;
            }
        }
        false
    }

    /// Folds what was chosen of a row into a group.
    fn fold(&mut self, group: u32, cells: &RollupCells, acc: &mut Accumulator) {
        let op = self.op;
        let first_window = self.layout.first.window().0;
        let (values, presence) = self.gathered.of(group, acc);
        let mut note = |slot: Slot| {
            let window = (slot.window().0 - first_window) as usize;
            presence[window] |= 1 << slot.position();
        };
        for chosen in &self.chosen {
            let cell = chosen.cell;
            let (count, sum) = (f64::from(cells.counts[cell]), cells.sums[cell]);
            if let Some(to) = chosen.whole {
                let value = match op {
                    FoldOp::Sum => sum,
                    FoldOp::Count => count,
                    FoldOp::Min => cells.mins[cell],
                    FoldOp::Max => cells.maxs[cell],
                };
                values[to] = op.merge(values[to], value);
                cells.slots_with_data(cell).for_each(&mut note);
                continue;
            }
            let value = match (op, self.consolidation) {
                (FoldOp::Count, _) => 1.0,
                (_, Consolidation::Avg | Consolidation::Sum) => sum / count,
                (_, Consolidation::Min) => cells.mins[cell],
                (_, Consolidation::Max) => cells.maxs[cell],
            };
            for slot in &self.slots[chosen.slots.clone()] {
                let at = (slot.0 - self.layout.first.0) as usize / self.layout.slots_per_cell;
                values[at] = op.merge(values[at], value);
                note(*slot);
            }
        }
    }
}

/// Values and masks by group, until they are added to the accumulators.
struct Gathered {
    op: FoldOp,
    cells: usize,
    windows: usize,
    limit: usize,
    of: HashMap<u32, (Vec<f64>, Vec<u64>)>,
}

impl Gathered {
    fn new(op: FoldOp, layout: CellLayout) -> Self {
        let windows = layout.windows();
        Self {
            op,
            cells: layout.cells,
            windows,
            limit: (GATHERED_VALUES / (layout.cells + windows)).max(1),
            of: HashMap::new(),
        }
    }

    /// Those of a group; when there are too many, the others are added to `acc` before.
    fn of(&mut self, group: u32, acc: &mut Accumulator) -> (&mut [f64], &mut [u64]) {
        if self.of.len() >= self.limit && !self.of.contains_key(&group) {
            self.add_to(acc);
        }
        let (values, presence) = self
            .of
            .entry(group)
            .or_insert_with(|| (vec![neutral(self.op); self.cells], vec![0; self.windows]));
        (values, presence)
    }

    fn add_to(&mut self, acc: &mut Accumulator) {
        for (group, (values, presence)) in self.of.drain() {
            acc.merge_group(group, &values, &presence);
        }
    }
}
