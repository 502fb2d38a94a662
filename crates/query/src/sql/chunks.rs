//! A scan in chunks: parts of the range and of the shards, each small enough to be held in memory as cells.
//!
//! How much a part holds is reckoned from the index of memory and those of the files. Where that was too little, a chunk is halved when it is found to hold
//! more than it may.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::AtomicBool;

use hesper_hot::fold::{CellLayout, FoldOp};
use hesper_hot::groups::Grouping;
use hesper_hot::scan::{PartialScan, ScanRequest, ScanStats};
use hesper_model::block::BLOCK_SLOTS;
use hesper_model::{Consolidation, Slot, TagQuery, TimeRange, Window};

use crate::budget::Budget;
use crate::history_scan::{HistoryOutcome, HistoryScan, ScanRefused, may_hold_name};
use crate::tiers::Tiers;

/// Cells that a chunk is made to hold at most, by what is reckoned.
const MAX_CELLS: u64 = 1 << 22;

/// Chunks are not made smaller than this many cells to keep all partitions busy.
const MIN_CELLS: u64 = 1 << 16;

/// Cells that a chunk may hold when it is read: more than is reckoned, since series that come and go hold cells for all of its range.
const CELLS_LIMIT: usize = 4 << 20;

/// A part of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The slots, whole cells.
    pub range: TimeRange,
    /// The shards whose series are wanted.
    pub shards: Range<u32>,
}

/// What a scan asks for.
#[derive(Clone, Debug)]
pub struct SeriesRequest {
    /// The series.
    pub query: TagQuery,
    /// Slots in a cell.
    pub cell_slots: u32,
    /// What is made of the datapoints of a cell, at least one thing. Where a cell is one slot, all are the datapoint.
    pub ops: Vec<FoldOp>,
}

/// What was found for a chunk.
pub struct Found {
    /// The cells of each series, for each operation that was asked for.
    pub scans: Vec<PartialScan>,
    /// Looked at in memory.
    pub memory: ScanStats,
    /// What history answered.
    pub history: Vec<HistoryOutcome>,
}

impl SeriesRequest {
    /// The range of everything there is, memory and history; `None` when there is nothing.
    pub fn whole_range(tiers: &Tiers) -> Option<TimeRange> {
        let windows = tiers.hot.windows();
        let of_memory = windows.first().zip(windows.last());
        let of_memory = of_memory.map(|(first, last)| (first.first_slot(), last.last_slot()));
        let manifest = tiers.history.manifest();
        let of_files = manifest.files().map(|f| (f.range().first, f.range().last));
        let all = of_files.chain(of_memory);
        let (first, last) = all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        Some(TimeRange { first, last })
    }

    /// The chunks of a range of whole cells, ascending in time, for so many partitions to work on.
    pub async fn chunks(&self, tiers: &Tiers, range: TimeRange, partitions: usize) -> Vec<Chunk> {
        let units = self.series_by_unit(tiers, range).await;
        let unit_slots = self.unit_slots();
        let cells_of_unit = (unit_slots / i64::from(self.cell_slots)) as u64;
        let all: u64 = units.values().map(|series| series * cells_of_unit).sum();
        let target = (all / partitions.max(1) as u64).clamp(MIN_CELLS, MAX_CELLS);
        let shards = tiers.hot.shards();
        let mut chunks: Vec<Chunk> = Vec::new();
        // The last chunk, while it may be added to: the unit behind it, and its cells.
        let mut open: Option<(i64, u64)> = None;
        for (unit, series) in units {
            let part = unit_range(unit, unit_slots, range);
            if part.is_empty() {
                continue;
            }
            let cells = series * cells_of_unit;
            if cells > MAX_CELLS {
                let parts = cells.div_ceil(MAX_CELLS).min(u64::from(shards)) as u32;
                chunks.extend((0..parts).map(|i| Chunk {
                    range: part,
                    shards: i * shards / parts..(i + 1) * shards / parts,
                }));
                open = None;
                continue;
            }
            match (chunks.last_mut(), open) {
                (Some(last), Some((next, held))) if next == unit && held + cells <= target => {
                    last.range.last = part.last;
                    open = Some((unit + 1, held + cells));
                }
                _ => {
                    chunks.push(Chunk {
                        range: part,
                        shards: 0..shards,
                    });
                    open = Some((unit + 1, cells));
                }
            }
        }
        chunks
    }

    /// Slots of a unit: whole windows, and whole cells.
    fn unit_slots(&self) -> i64 {
        let (window, cell) = (BLOCK_SLOTS as i64, i64::from(self.cell_slots));
        let mut unit = window.max(cell);
        while unit % window != 0 || unit % cell != 0 {
            unit += window.max(cell);
        }
        unit
    }

    /// About how many series have data, by unit; units without data are left out.
    async fn series_by_unit(&self, tiers: &Tiers, range: TimeRange) -> BTreeMap<i64, u64> {
        let unit_slots = self.unit_slots();
        let mut units: BTreeMap<i64, u64> = BTreeMap::new();
        let mut add = |windows: &mut dyn Iterator<Item = Window>, series: u64| {
            let units_of = windows.map(|w| (w.first_slot().0 - 1).div_euclid(unit_slots));
            for unit in units_of.collect::<BTreeSet<i64>>() {
                let known = units.entry(unit).or_default();
                *known = (*known).max(series);
            }
        };
        // Memory before the manifest, as in every scan: what leaves memory in between is found in history.
        let mut held = tiers.hot.windows();
        held.retain(|w| !range.positions_in(*w).is_empty());
        if !held.is_empty() {
            add(&mut held.into_iter(), tiers.hot.count_matching(&self.query));
        }
        let manifest = tiers.history.manifest();
        let mut files = manifest.files_in(range);
        for cell_slots in manifest.rollups() {
            files.extend(manifest.files_of(cell_slots, range));
        }
        for file in files.iter().filter(|f| may_hold_name(f, &self.query)) {
            let covered = TimeRange {
                first: range.first.max(file.range().first),
                last: range.last.min(file.range().last),
            };
            // A file that cannot be read is scanned nevertheless: the scan says so.
            let series = match tiers.history.index(file).await {
                Ok(index) => {
                    let rows = index.matching(&self.query).len();
                    let windows = file.range().windows().count() as u64;
                    // A row of raw data is a window, that of a roll-up a day at most.
                    match file.is_raw() {
                        true => rows.div_ceil(windows.max(1)),
                        false => rows,
                    }
                }
                Err(_) => 1,
            };
            if series > 0 {
                add(&mut covered.windows(), series);
            }
        }
        units
    }

    /// Reads a chunk. Keeps a core busy; `runtime` reads the files. `budget` is that of the chunk: what it holds is gone before the next.
    ///
    /// # Errors
    /// When the chunk holds more series than it may, and is to be [halved](Self::halves); when it reads more than a query may.
    pub fn read(
        &self,
        tiers: &Tiers,
        chunk: &Chunk,
        cancelled: &AtomicBool,
        budget: &Budget,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Found, ScanRefused> {
        let slots_per_cell = self.cell_slots as usize;
        let cells = chunk.range.len() / slots_per_cell;
        let mut all = Found {
            scans: Vec::new(),
            memory: ScanStats::default(),
            history: Vec::new(),
        };
        for op in &self.ops {
            let request = ScanRequest {
                query: self.query.clone(),
                grouping: Grouping::Series,
                op: *op,
                layout: CellLayout {
                    first: chunk.range.first,
                    cells,
                    slots_per_cell,
                },
                max_groups: (CELLS_LIMIT / cells.max(1)).max(1),
            };
            let mut found = PartialScan::new(&request);
            let shards = chunk.shards.clone();
            tiers.hot.scan(shards, &request, &mut found)?;
            let scan = HistoryScan {
                history: &tiers.history,
                request: &request,
                consolidation: of_slot(*op, self.cell_slots),
                shards: tiers.hot.shards(),
                wanted: chunk.shards.clone(),
                complete: std::mem::take(&mut found.complete),
                overlays: std::mem::take(&mut found.overlays),
                cancelled,
                budget,
                runtime,
            };
            let history = scan.run(&mut found)?;
            all.memory.series += found.stats.series;
            all.memory.blocks += found.stats.blocks;
            all.history.push(history);
            all.scans.push(found);
        }
        Ok(all)
    }

    /// A chunk in two; `None` when it cannot be made smaller.
    pub fn halves(&self, chunk: &Chunk) -> Option<[Chunk; 2]> {
        let unit_slots = self.unit_slots();
        let unit = |slot: Slot| (slot.0 - 1).div_euclid(unit_slots);
        let (first, last) = (unit(chunk.range.first), unit(chunk.range.last));
        if first < last {
            let middle = Slot((first + last + 1) / 2 * unit_slots);
            let (mut before, mut after) = (chunk.clone(), chunk.clone());
            before.range.last = middle;
            after.range.first = Slot(middle.0 + 1);
            return Some([before, after]);
        }
        if chunk.shards.len() < 2 {
            return None;
        }
        let middle = (chunk.shards.start + chunk.shards.end) / 2;
        let (mut before, mut after) = (chunk.clone(), chunk.clone());
        before.shards.end = middle;
        after.shards.start = middle;
        Some([before, after])
    }
}

/// The part of a range that lies in a unit.
fn unit_range(unit: i64, unit_slots: i64, range: TimeRange) -> TimeRange {
    TimeRange {
        first: Slot(range.first.0.max(unit * unit_slots + 1)),
        last: Slot(range.last.0.min((unit + 1) * unit_slots)),
    }
}

/// What a slot is taken to hold where only a cell of a roll-up that does not fit is known of it.
fn of_slot(op: FoldOp, cell_slots: u32) -> Consolidation {
    match op {
        _ if cell_slots == 1 => Consolidation::Avg,
        FoldOp::Sum | FoldOp::Count => Consolidation::Avg,
        FoldOp::Min => Consolidation::Min,
        FoldOp::Max => Consolidation::Max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(cell_slots: u32) -> SeriesRequest {
        SeriesRequest {
            query: TagQuery::True,
            cell_slots,
            ops: vec![FoldOp::Max],
        }
    }

    #[test]
    fn units_are_whole_windows_and_whole_cells() {
        let unit = |cell_slots| request(cell_slots).unit_slots();
        assert_eq!([1, 5, 60, 90, 720].map(unit), [60, 60, 60, 180, 720]);
    }

    #[test]
    fn halves_are_all_of_a_chunk() {
        let request = request(1);
        let mut chunks = vec![Chunk {
            range: TimeRange {
                first: Slot(50),
                last: Slot(200),
            },
            shards: 0..5,
        }];
        let mut smallest = Vec::new();
        while let Some(chunk) = chunks.pop() {
            match request.halves(&chunk) {
                Some(halves) => chunks.extend(halves),
                None => smallest.push(chunk),
            }
        }
        let mut parts: Vec<_> = smallest
            .iter()
            .map(|c| {
                (
                    c.range.first.0,
                    c.range.last.0,
                    c.shards.start,
                    c.shards.end,
                )
            })
            .collect();
        parts.sort_unstable();
        let windows = [(50, 60), (61, 120), (121, 180), (181, 200)];
        let all = windows.map(|(first, last)| (0..5).map(move |s| (first, last, s, s + 1)));
        assert_eq!(parts, all.into_iter().flatten().collect::<Vec<_>>());
    }
}
