//! All that a history holds, read through its public API.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hesper_history::rollup::{CellValues, RollupCells};
use hesper_history::{DataFile, History};
use hesper_model::{Slot, TagQuery, Tags, TimeRange};

/// Every slot that tests use.
pub const EVERYTHING: TimeRange = TimeRange {
    first: Slot(-1_000_000),
    last: Slot(100_000_000),
};

/// Values by series and slot, as bits.
pub type Contents = BTreeMap<(Tags, i64), u64>;

/// A cell: datapoints, their slots, sum, lowest and highest as bits.
pub type Cell = (u32, Vec<i64>, u64, u64, u64);

/// The raw data, later rows over earlier ones.
pub async fn raw(history: &History) -> Contents {
    raw_of(history, history.manifest().files_in(EVERYTHING)).await
}

/// The raw data of some files.
pub async fn raw_of(history: &History, files: Vec<Arc<DataFile>>) -> Contents {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in files {
        let index = history.index(&file).await.expect("an index");
        let rows = index.matching(&TagQuery::True);
        let read = history.read_values(&file, &index, &rows, |row, values| {
            let first = index.row(row).first.0;
            for (slot, v) in (first..).zip(values).filter(|(_, v)| !v.is_nan()) {
                let key = (index.tags_of(row), slot);
                // Rows of one sequence are taken to lie beside one another, and are added up.
                let first = seen.insert((key.clone(), file.sequence));
                assert!(
                    first,
                    "{key:?} is there twice with sequence {}",
                    file.sequence
                );
                found.insert(key, v.to_bits());
            }
        });
        read.await.expect("whole");
    }
    found
}

/// The cells of a roll-up that are not empty, by series and number.
pub async fn rollup(history: &History, cell_slots: u32) -> BTreeMap<(Tags, i64), Cell> {
    let mut found = BTreeMap::new();
    for file in history.manifest().files_of(cell_slots, EVERYTHING) {
        let index = history.index(&file).await.expect("an index");
        let rows = index.matching(&TagQuery::True);
        let read = history.read_rollup(&file, &index, &rows, CellValues::ALL, |row, cells| {
            assert_eq!(index.row(row).first, cells.first);
            let tags = index.tags_of(row);
            for (number, cell) in cells_of(cells) {
                let twice = found.insert((tags.clone(), number), cell);
                assert!(twice.is_none(), "a cell is there twice");
            }
        });
        read.await.expect("whole");
    }
    found
}

fn cells_of(cells: &RollupCells) -> Vec<(i64, Cell)> {
    let filled = (0..cells.len()).filter(|cell| cells.counts[*cell] > 0);
    filled
        .map(|cell| {
            let slots = cells.slots_with_data(cell).map(|s| s.0).collect();
            let value = (
                cells.counts[cell],
                slots,
                cells.sums[cell].to_bits(),
                cells.mins[cell].to_bits(),
                cells.maxs[cell].to_bits(),
            );
            (cells.first.0 + cell as i64, value)
        })
        .collect()
}
