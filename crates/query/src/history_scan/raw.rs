//! Raw files: rows of slots.

use hashbrown::HashMap;
use hesper_history::{DataFile, FileIndex};
use hesper_hot::fold::WindowPart;
use hesper_hot::groups::{GroupTable, TooManyGroups};
use hesper_hot::scan::PartialScan;
use hesper_model::{BLOCK_SLOTS, Block, Slot, Window};
use roaring::RoaringBitmap;

use super::row_groups::RowGroups;
use super::{FileError, HistoryScan, Part};
use crate::tiers::TierStats;

impl HistoryScan<'_> {
    /// Folds the rows of a file that belong to a part, or lays them over one another where more is to come.
    pub(super) async fn scan_raw(
        &self,
        file: &DataFile,
        part: &mut Part,
        found: &mut PartialScan,
    ) -> Result<TierStats, FileError> {
        let index = self.history.index(file).await?;
        let (rows, groups) = self.assign(&index, part, &mut found.groups)?;
        let mut stats = TierStats::of_rows(file, &index, rows.len());
        self.budget.take_bytes(stats.bytes)?;
        if rows.is_empty() {
            return Ok(stats);
        }
        found.acc.grow(found.groups.len());
        let layout = self.request.layout;
        let mut parts: HashMap<Window, Option<WindowPart>> = HashMap::new();
        let mut next = groups.iter();
        let acc = &mut found.acc;
        let read = self
            .history
            .read_values(file, &index, &rows, |row, values| {
                let group = *next.next().expect("a group for each row");
                let at = index.row(row);
                stats.values += values.len() as u64;
                for (window, block) in blocks(at.first, values) {
                    if self.answered(at.id, window) || !part.holds(window) {
                        continue;
                    }
                    if part.layered_windows.contains(&window) || part.lies_over_cells(at.id) {
                        part.lay(window, at.id, group, &block);
                        continue;
                    }
                    let of_window = parts
                        .entry(window)
                        .or_insert_with(|| WindowPart::of(&layout, window));
                    if let Some(of_window) = of_window {
                        acc.fold_block(group, of_window, &block);
                    }
                }
            });
        read.await?;
        Ok(stats)
    }

    /// The rows of a file that are needed, and the group of each, in their order.
    fn assign(
        &self,
        index: &FileIndex,
        part: &Part,
        groups: &mut GroupTable,
    ) -> Result<(RoaringBitmap, Vec<u32>), TooManyGroups> {
        let mut needed = RoaringBitmap::new();
        let mut assigned = Vec::new();
        let Some(mut of_rows) = RowGroups::of(index, &self.request.grouping) else {
            return Ok((needed, assigned));
        };
        for row in index.tags.matching(&self.request.query) {
            let at = index.row(row);
            let window = at.first.window();
            if !part.holds(window) || self.answered(at.id, window) {
                continue;
            }
            if let Some(group) = of_rows.group(row, groups)? {
                needed.insert(row);
                assigned.push(group);
            }
        }
        Ok((needed, assigned))
    }
}

/// The blocks that the values of a row make, by window.
fn blocks(first: Slot, values: &[f64]) -> impl Iterator<Item = (Window, Block)> {
    let mut at = first;
    let mut rest = values;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let position = at.position();
        let window = at.window();
        let n = rest.len().min(BLOCK_SLOTS - position);
        let mut block = Block::EMPTY;
        block.0[position..position + n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        at = Slot(at.0 + n as i64);
        Some((window, block))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_may_span_windows() {
        let values: Vec<f64> = (0..130).map(f64::from).collect();
        let made: Vec<_> = blocks(Slot(51), &values).collect();
        let shape: Vec<_> = made
            .iter()
            .map(|(w, b)| (w.0, b.present().count_ones()))
            .collect();
        assert_eq!(shape, [(0, 10), (1, 60), (2, 60)]);
        assert_eq!(made[0].1.0[50], 0.0);
        assert_eq!(made[1].1.0[0], 10.0);
    }
}
