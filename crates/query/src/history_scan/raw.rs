//! Raw files: rows of slots.

use hashbrown::HashMap;
use hesper_history::{FileIndex, OpenRows, Segment};
use hesper_hot::fold::WindowPart;
use hesper_hot::scan::PartialScan;
use hesper_model::{BLOCK_SLOTS, Block, Slot, Window};
use roaring::RoaringBitmap;

use super::layers::Pick;
use super::row_groups::RowGroups;
use super::shares::Piece;
use super::{FileError, HistoryScan, Part};
use crate::tiers::TierStats;

/// Rows of a file that are needed, with the first of them fetched; none when no row is.
pub(super) type Needed = (TierStats, Option<OpenRows>);

impl HistoryScan<'_> {
    /// Finds the rows of a piece that belong to a segment, and fetches the first of them.
    pub(super) async fn open_raw(
        &self,
        piece: &Piece,
        segment: Segment,
        pick: Pick<'_>,
    ) -> Result<Needed, FileError> {
        let index = self.history.index(&piece.file).await?;
        let rows = self.needed(&index, piece, segment, pick);
        let stats = TierStats::of_rows(&piece.file, &index, rows.len());
        self.budget.take_bytes(stats.bytes)?;
        if rows.is_empty() {
            return Ok((stats, None));
        }
        let opened = self.history.open_values(&piece.file, index, &rows).await?;
        Ok((stats, Some(opened)))
    }

    fn needed(
        &self,
        index: &FileIndex,
        piece: &Piece,
        segment: Segment,
        pick: Pick<'_>,
    ) -> RoaringBitmap {
        let mut rows = index.matching(&self.request.query);
        rows.remove_range(..piece.rows.start);
        rows.remove_range(piece.rows.end..);
        let Some(groups) = RowGroups::of(index, &self.request.grouping) else {
            return RoaringBitmap::new();
        };
        let is_needed = |row: &u32| {
            let at = index.row(*row);
            let window = at.first.window();
            !segment.range.positions_in(window).is_empty()
                && !self.answered(at.id, window)
                && pick.takes((window, at.id))
                && groups.has_group(*row)
        };
        let needed = rows.iter().filter(is_needed);
        RoaringBitmap::from_sorted_iter(needed).expect("ascending as they were")
    }

    /// Folds rows, or lays them over one another where more is to come. `windows` remembers where windows lie in the query.
    pub(super) async fn fold_raw(
        &self,
        (mut stats, rows): Needed,
        pick: Pick<'_>,
        part: &mut Part,
        windows: &mut HashMap<Window, Option<WindowPart>>,
        found: &mut PartialScan,
    ) -> Result<TierStats, FileError> {
        let Some(rows) = rows else {
            return Ok(stats);
        };
        let index = rows.index.clone();
        let Some(mut groups) = RowGroups::of(&index, &self.request.grouping) else {
            return Ok(stats);
        };
        let layout = self.request.layout;
        let range = part.segment.range;
        let mut refused = None;
        let read = self.history.values_of(rows, |row, values| {
            // Of which all data were deleted: it does not decide what its group is.
            if values.iter().all(|v| v.is_nan()) {
                return;
            }
            let group = match groups.group(row, &mut found.groups) {
                Ok(Some(group)) => group,
                Ok(None) => return,
                Err(e) => return refused = Some(e),
            };
            found.acc.grow(found.groups.len());
            let at = index.row(row);
            stats.values += values.len() as u64;
            for (window, block) in blocks(at.first, values) {
                if range.positions_in(window).is_empty() || self.answered(at.id, window) {
                    continue;
                }
                if pick.lays((window, at.id)) || part.lies_over_cells(at.id) {
                    part.lay(window, at.id, group, &block);
                    continue;
                }
                let of_window = windows
                    .entry(window)
                    .or_insert_with(|| WindowPart::of(&layout, window));
                if let Some(of_window) = of_window {
                    found.acc.fold_block(group, of_window, &block);
                }
            }
        });
        read.await?;
        match refused {
            None => Ok(stats),
            Some(e) => Err(e.into()),
        }
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
