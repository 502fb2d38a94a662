//! Which resolution answers which part of a query.
//!
//! A roll-up stands for a day when it was made of all raw data that the day has, no deletion is pending for it, and the query's cells are whole numbers of its
//! cells: then it answers as raw data would (see [`crate::rollup`]), and the coarsest such roll-up costs the least. Where raw data is gone a roll-up is all there
//! is, whether it fits the query's cells or not.
//!
//! Rules of retention may take the raw data of some series of a day and leave that of others. Files don't say so; but a roll-up that was made of the same rows
//! counts more datapoints then than the raw data has.

use std::collections::HashSet;
use std::sync::Arc;

use hesper_hot::fold::CellLayout;
use hesper_model::{Slot, Step, TimeRange, Window};

use crate::day::Day;
use crate::manifest::DAY_LEVEL;
use crate::{DataFile, Manifest};

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
    /// True when raw data of some series is gone, and of others there: those that have a row in a raw file of [`DAY_LEVEL`] are answered from raw data.
    pub partly: bool,
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
            partly: false,
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
        let kept = datapoints(raw.iter().filter(|f| f.level == DAY_LEVEL));
        let deleted = raw.iter().any(|f| !self.deletions_of(f).is_empty());
        let stands = |cell_slots: &u32| raw.iter().all(|f| f.rolled.contains(cell_slots));
        let rollup = there.iter().rev().find(|r| fits(r) && stands(r));
        if let Some(cell_slots) = rollup
            && !raw_only
            && !deleted
        {
            return segment(*cell_slots, true);
        }
        let more: Vec<u32> = there
            .into_iter()
            .filter(|cell_slots| datapoints(&self.files_of(*cell_slots, day)) > kept)
            .collect();
        let fitting = more.iter().rev().find(|r| fits(r));
        match fitting.or(more.first()) {
            Some(cell_slots) => Segment {
                partly: true,
                ..segment(*cell_slots, fitting.is_some())
            },
            None => segment(1, true),
        }
    }

    /// The files that together carry the tags of all series of a range, or of all time: raw data, and roll-ups of the days of which they hold more.
    pub fn tag_files(&self, range: Option<TimeRange>, step: Step) -> Vec<Arc<DataFile>> {
        let asked = range.unwrap_or(TimeRange {
            first: Slot(i64::MIN + 1),
            last: Slot(i64::MAX),
        });
        if asked.is_empty() {
            return Vec::new();
        }
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        let mut from = asked.first.window();
        let last = asked.last.window();
        while let Some(window) = self.first_window(from).filter(|w| *w <= last) {
            let day = Day::of(window, step);
            let all = day.range(step);
            let mut of_day = self.files_of(1, all);
            let merged = of_day.iter().filter(|f| f.level == DAY_LEVEL);
            let mut known = vec![datapoints(merged)];
            // A coarse one has the fewest rows to look at.
            for cell_slots in self.rollups().rev() {
                let rollup = self.files_of(cell_slots, all);
                let held = datapoints(&rollup);
                if held > known[0] && !known.contains(&held) {
                    known.push(held);
                    of_day.extend(rollup);
                }
            }
            of_day.retain(|f| f.last_slot >= asked.first.0 && f.first_slot <= asked.last.0);
            files.extend(of_day.into_iter().filter(|f| seen.insert(f.path.clone())));
            from = Window(day.windows(step).end);
        }
        files
    }
}

fn datapoints<'a>(files: impl IntoIterator<Item = &'a Arc<DataFile>>) -> u64 {
    files.into_iter().map(|f| f.datapoints).sum()
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
        file_of(day, cell_slots, level, 60)
    }

    fn file_of(day: i64, cell_slots: u32, level: u8, datapoints: u64) -> DataFile {
        let range = Day(day).range(STEP);
        let rolled: &[u32] = if cell_slots == 1 && level == DAY_LEVEL {
            &[5, 60]
        } else {
            &[]
        };
        let entry = serde_json::json!({
            "path": format!("{day}-{cell_slots}-{level}"), "tenant": "default", "step_millis": 60_000, "cell_slots": cell_slots, "sequence": 1,
            "first_slot": range.first.0, "last_slot": range.last.0, "level": level, "rolled": rolled,
            "min_name": "a", "max_name": "b", "rows": 1, "datapoints": datapoints, "bytes": 1000,
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

    #[test]
    fn a_roll_up_that_counts_more_than_raw_data_answers_for_what_is_gone() {
        let pruned = vec![file_of(1, 1, DAY_LEVEL, 40)];
        let manifest = manifest().after(&commit(2, pruned));
        let of_day = |slots_per_cell: usize, raw_only: bool| {
            let layout = CellLayout {
                first: Slot(1441),
                cells: 1440 / slots_per_cell,
                slots_per_cell,
            };
            let segment = manifest.segments(&layout, STEP, |_| raw_only)[0];
            (segment.cell_slots, segment.exact, segment.partly)
        };
        assert_eq!(of_day(60, false), (60, true, false));
        assert_eq!(of_day(60, true), (60, true, true));
        assert_eq!(of_day(1, false), (5, false, true));
    }

    #[test]
    fn tags_are_listed_from_roll_ups_where_raw_data_lacks_some() {
        let paths = |manifest: &Manifest, range: Option<TimeRange>| -> Vec<String> {
            let files = manifest.tag_files(range, STEP);
            files.iter().map(|f| f.path.clone()).collect()
        };
        let manifest = manifest();
        let day = format!("0-60-{DAY_LEVEL}");
        let kept = format!("1-1-{DAY_LEVEL}");
        assert_eq!(paths(&manifest, None), [&day, &kept, "2-1-0"]);
        let range = Some(TimeRange {
            first: Slot(10),
            last: Slot(1440),
        });
        assert_eq!(paths(&manifest, range), [&*day]);
        let pruned = vec![file_of(1, 1, DAY_LEVEL, 40)];
        let pruned = manifest.after(&commit(2, pruned));
        let rollup = format!("1-60-{DAY_LEVEL}");
        assert_eq!(paths(&pruned, None), [&day, &kept, &rollup, "2-1-0"]);
    }
}
