//! Which resolution answers which part of a query.
//!
//! A roll-up stands for a day when it was made of all raw data that the day has, no deletion is pending for it, and the query's cells are whole numbers of its
//! cells: then it answers as raw data would (see [`crate::rollup`]), and the coarsest such roll-up costs the least. Where raw data is gone a roll-up is all there
//! is, whether it fits the query's cells or not.

use hesper_hot::fold::CellLayout;
use hesper_model::{Slot, Step, TimeRange};

use crate::Manifest;
use crate::day::Day;
use crate::manifest::DAY_LEVEL;

/// A part of a query's range, and what answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The slots.
    pub range: TimeRange,
    /// 1 for raw data, else the slots in a cell of the roll-up.
    pub cell_slots: u32,
    /// False when raw data is gone and no roll-up fits the query's cells: the coarser cells are all there is, and the answer should say so.
    pub exact: bool,
    /// True when data came late for a day whose raw data is gone; the next merge takes it in.
    pub late: bool,
}

impl Manifest {
    /// The parts of a query's range, ascending; together they are all of it. `raw_only` says which days memory knows more of than history: for these a roll-up
    /// does not stand.
    pub fn segments(
        &self,
        layout: &CellLayout,
        step: Step,
        raw_only: impl Fn(TimeRange) -> bool,
    ) -> Vec<Segment> {
        let range = layout.range();
        let mut segments: Vec<Segment> = Vec::new();
        let mut first = range.first;
        while first <= range.last {
            let day = Day::of(first.window(), step).range(step);
            let part = TimeRange {
                first,
                last: Slot(day.last.0.min(range.last.0)),
            };
            let segment = self.segment(part, day, layout, raw_only(day));
            match segments.last_mut() {
                Some(before)
                    if (Segment {
                        range: before.range,
                        ..segment
                    }) == *before =>
                {
                    before.range.last = part.last;
                }
                _ => segments.push(segment),
            }
            first = Slot(part.last.0 + 1);
        }
        segments
    }

    fn segment(
        &self,
        part: TimeRange,
        day: TimeRange,
        layout: &CellLayout,
        raw_only: bool,
    ) -> Segment {
        let raw = self.files_of(1, day);
        let fits = |cell_slots: &u32| {
            let cell = *cell_slots as usize;
            layout.slots_per_cell.is_multiple_of(cell)
                && (layout.first.0 - 1).rem_euclid(cell as i64) == 0
        };
        let there: Vec<u32> = self
            .rollups()
            .filter(|cell_slots| !self.files_of(*cell_slots, day).is_empty())
            .collect();
        let segment = |cell_slots: u32, exact: bool| Segment {
            range: part,
            cell_slots,
            exact,
            late: false,
        };
        // Raw data of a merged day and its roll-ups come and are replaced together.
        let raw_is_gone = !there.is_empty() && raw.iter().all(|f| f.level != DAY_LEVEL);
        if raw_is_gone {
            let fitting = there.iter().rev().find(|r| fits(r));
            return Segment {
                late: !raw.is_empty(),
                ..segment(*fitting.unwrap_or(&there[0]), fitting.is_some())
            };
        }
        let deleted = raw.iter().any(|f| !self.deletions_of(f).is_empty());
        let stands = |cell_slots: &u32| raw.iter().all(|f| f.rolled.contains(cell_slots));
        let rollup = there.iter().rev().find(|r| fits(r) && stands(r));
        match rollup {
            Some(cell_slots) if !raw_only && !deleted => segment(*cell_slots, true),
            _ => segment(1, true),
        }
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::TagQuery;

    use super::*;
    use crate::DataFile;
    use crate::deletion::Deletion;
    use crate::manifest::Commit;

    const STEP: Step = Step::from_secs(60);

    fn file(day: i64, cell_slots: u32, level: u8) -> DataFile {
        let range = Day(day).range(STEP);
        let rolled: &[u32] = if cell_slots == 1 && level == DAY_LEVEL {
            &[5, 60]
        } else {
            &[]
        };
        let entry = serde_json::json!({
            "path": format!("{day}-{cell_slots}-{level}"), "tenant": "default", "step_millis": 60_000, "cell_slots": cell_slots, "sequence": 1,
            "first_slot": range.first.0, "last_slot": range.last.0, "level": level, "rolled": rolled,
            "min_name": "a", "max_name": "b", "rows": 1, "datapoints": 60, "bytes": 1000,
        });
        serde_json::from_value(entry).expect("an entry")
    }

    fn commit(number: u64, added: Vec<DataFile>) -> Commit {
        let entry = serde_json::json!({
            "version": 2, "number": number, "writer": "test", "added": added, "removed": [], "flushes": [],
        });
        serde_json::from_value(entry).expect("a commit")
    }

    /// Day 0: roll-ups alone. Day 1: all. Day 2: not merged yet.
    fn manifest() -> Manifest {
        let files = vec![
            file(0, 5, DAY_LEVEL),
            file(0, 60, DAY_LEVEL),
            file(1, 1, DAY_LEVEL),
            file(1, 5, DAY_LEVEL),
            file(1, 60, DAY_LEVEL),
            file(2, 1, 0),
        ];
        Manifest::default().after(&commit(1, files))
    }

    fn segments(manifest: &Manifest, first: i64, slots_per_cell: usize) -> Vec<(i64, u32, bool)> {
        let layout = CellLayout {
            first: Slot(first),
            cells: (3 * 1440 - first as usize + 1) / slots_per_cell,
            slots_per_cell,
        };
        let segments = manifest.segments(&layout, STEP, |_| false);
        assert_eq!(segments[0].range.first, layout.first);
        assert_eq!(segments[segments.len() - 1].range.last, layout.range().last);
        segments
            .iter()
            .map(|s| (s.range.first.0, s.cell_slots, s.exact))
            .collect()
    }

    #[test]
    fn the_coarsest_roll_up_that_fits_answers() {
        let manifest = manifest();
        assert_eq!(segments(&manifest, 1, 60), [(1, 60, true), (2881, 1, true)]);
        assert_eq!(segments(&manifest, 1, 10), [(1, 5, true), (2881, 1, true)]);
        assert_eq!(
            segments(&manifest, 31, 60),
            [(31, 5, true), (2881, 1, true)]
        );
        // A fine step, or cells that begin within those of the roll-up.
        let all = [(1, 5, false), (1441, 1, true)];
        assert_eq!(segments(&manifest, 1, 1), all);
        assert_eq!(segments(&manifest, 3, 60), [(3, 5, false), (1441, 1, true)]);
    }

    #[test]
    fn what_roll_ups_do_not_know_yet_is_answered_from_raw_data() {
        let late = manifest().after(&commit(2, vec![file(1, 1, 0), file(0, 1, 0)]));
        assert_eq!(segments(&late, 1, 60), [(1, 60, true), (1441, 1, true)]);
        let layout = CellLayout {
            first: Slot(1),
            cells: 24,
            slots_per_cell: 60,
        };
        assert!(late.segments(&layout, STEP, |_| false)[0].late);
        let layout = CellLayout {
            first: Slot(1441),
            cells: 24,
            slots_per_cell: 60,
        };
        assert_eq!(
            manifest().segments(&layout, STEP, |_| true)[0].cell_slots,
            1
        );
        let mut delete = commit(2, Vec::new());
        let day = Day(1).range(STEP);
        delete.deletions = vec![Deletion::new("d".to_owned(), TagQuery::True, day)];
        let deleted = manifest().after(&delete);
        assert_eq!(segments(&deleted, 1, 60), [(1, 60, true), (1441, 1, true)]);
    }
}
