//! The manifest: which data files count.
//!
//! ```text
//! manifest/00000000000000000007.json             commit 7: files added and removed, flushes that it brings in
//! manifest/00000000000000000064.snapshot.json    all that counts after commit 64
//! ```
//! A commit is the creation of the next number, which only one writer can win. A snapshot is written after some commits, so that opening does
//! not read them all; it is never needed while the commits before it are there.

mod format;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use hesper_hot::store::InHistory;
use hesper_hot::window::FlushId;
use hesper_model::{TimeRange, Window};

pub use format::{
    Commit, DAY_LEVEL, DataFile, FOLDER, LOADED_LEVEL, OLDEST_VERSION, ObjectKind, Retired,
    Snapshot, VERSION, commit_name, snapshot_name,
};

use crate::deletion::Deletion;

/// Removed files are remembered for this long; what of them is still there after that is found as a file that nothing names.
const RETIRED_MILLIS: i64 = 7 * 24 * 3600 * 1000;

/// The files of one resolution by window, in the order in which their rows lie over one another.
type ByWindow = BTreeMap<Window, Vec<Arc<DataFile>>>;

/// The files that count, as of a commit.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    number: u64,
    files: BTreeMap<String, Arc<DataFile>>,
    /// By slots in a cell: 1 for raw data.
    by_window: BTreeMap<u32, ByWindow>,
    flushes: HashSet<FlushId>,
    deletions: Vec<Arc<Deletion>>,
    loads: BTreeSet<String>,
    retired: BTreeMap<String, i64>,
}

impl Manifest {
    /// The manifest of a snapshot.
    pub fn of_snapshot(snapshot: Snapshot) -> Self {
        let mut manifest = Self {
            number: snapshot.number,
            ..Self::default()
        };
        for file in snapshot.files {
            manifest.add(file);
        }
        let flushes = snapshot.flushes.into_iter().map(FlushId);
        manifest.flushes.extend(flushes);
        let deletions = snapshot.deletions.into_iter().map(Arc::new);
        manifest.deletions.extend(deletions);
        manifest.loads.extend(snapshot.loads);
        let retired = snapshot.retired.into_iter().map(|r| (r.path, r.at_millis));
        manifest.retired.extend(retired);
        manifest
    }

    /// The manifest after the next commit.
    #[must_use]
    pub fn after(&self, commit: &Commit) -> Self {
        let mut next = self.clone();
        next.number = commit.number;
        for path in &commit.removed {
            if next.remove(path) {
                next.retired.insert(path.clone(), commit.at_millis);
            }
        }
        for file in &commit.added {
            // A file may be removed and added in one commit: it counts as new, and nothing else changes.
            next.retired.remove(&file.path);
            next.add(DataFile {
                commit: commit.number,
                added_millis: commit.at_millis,
                ..file.clone()
            });
        }
        next.flushes
            .extend(commit.flushes.iter().map(|f| FlushId(*f)));
        next.loads.extend(commit.loads.iter().cloned());
        let deletions = commit.deletions.iter().map(|d| Deletion {
            commit: commit.number,
            at_millis: commit.at_millis,
            ..d.clone()
        });
        next.deletions.extend(deletions.map(Arc::new));
        next.drop_final_deletions();
        let horizon = commit.at_millis - RETIRED_MILLIS;
        next.retired.retain(|_, at| *at >= horizon);
        next
    }

    /// Lets go of deletions that no file is affected by any more.
    fn drop_final_deletions(&mut self) {
        let mut deletions = std::mem::take(&mut self.deletions);
        deletions.retain(|d| {
            let mut tiers = self.by_window.values();
            tiers.any(|windows| {
                let mut files = in_range(windows, d.range());
                files.any(|f| d.affects(f))
            })
        });
        self.deletions = deletions;
    }

    fn add(&mut self, file: DataFile) {
        self.remove(&file.path);
        let file = Arc::new(file);
        let windows = self.by_window.entry(file.cell_slots).or_default();
        for window in file.range().windows() {
            let of_window = windows.entry(window).or_default();
            let at = of_window.partition_point(|f| f.sequence <= file.sequence);
            of_window.insert(at, file.clone());
        }
        self.files.insert(file.path.clone(), file);
    }

    fn remove(&mut self, path: &str) -> bool {
        let Some(file) = self.files.remove(path) else {
            return false;
        };
        let Some(windows) = self.by_window.get_mut(&file.cell_slots) else {
            return true;
        };
        for window in file.range().windows() {
            if let Some(files) = windows.get_mut(&window) {
                files.retain(|f| f.path != *path);
                if files.is_empty() {
                    windows.remove(&window);
                }
            }
        }
        if windows.is_empty() {
            self.by_window.remove(&file.cell_slots);
        }
        true
    }

    /// The number of the last commit; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// All files, roll-ups among them, in the order of their paths.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Arc<DataFile>> {
        self.files.values()
    }

    /// The file of a path, if it counts.
    pub fn file(&self, path: &str) -> Option<&Arc<DataFile>> {
        self.files.get(path)
    }

    /// True when the file counts.
    pub fn holds(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The files of raw data that cover any slot of a range, each once, in the order in which their rows lie over one another.
    pub fn files_in(&self, range: TimeRange) -> Vec<Arc<DataFile>> {
        self.files_of(1, range)
    }

    /// The same for the roll-up with so many slots in a cell. Rows of a roll-up never lie over one another.
    pub fn files_of(&self, cell_slots: u32, range: TimeRange) -> Vec<Arc<DataFile>> {
        let Some(windows) = self.by_window.get(&cell_slots) else {
            return Vec::new();
        };
        let mut seen = HashSet::new();
        let mut files: Vec<_> = in_range(windows, range)
            .filter(|file| seen.insert(&*file.path))
            .cloned()
            .collect();
        files.sort_by(|a, b| (a.sequence, &a.path).cmp(&(b.sequence, &b.path)));
        files
    }

    /// The roll-ups of which there are files, by slots in a cell, ascending.
    pub fn rollups(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.by_window.keys().copied().filter(|slots| *slots > 1)
    }

    /// True when any file of raw data covers a part of the window.
    pub fn covers(&self, window: Window) -> bool {
        let raw = self.by_window.get(&1);
        raw.is_some_and(|windows| windows.contains_key(&window))
    }

    /// The windows of which there are files with so many slots in a cell, ascending.
    pub fn windows(&self, cell_slots: u32) -> impl DoubleEndedIterator<Item = Window> {
        let windows = self.by_window.get(&cell_slots);
        windows.into_iter().flat_map(|w| w.keys().copied())
    }

    /// The first window, from this one on, of which there is a file of any resolution.
    pub fn first_window(&self, from: Window) -> Option<Window> {
        let tiers = self.by_window.values();
        let firsts = tiers.filter_map(|windows| windows.range(from..).next());
        firsts.map(|(window, _)| *window).min()
    }

    /// The deletions that files are still to be rid of.
    pub fn deletions(&self) -> &[Arc<Deletion>] {
        &self.deletions
    }

    /// The deletions whose rows a file may still hold.
    pub fn deletions_of(&self, file: &DataFile) -> Vec<Arc<Deletion>> {
        let affecting = self.deletions.iter().filter(|d| d.affects(file));
        affecting.cloned().collect()
    }

    /// Files that count no longer, with the time, in milliseconds, since when they don't.
    pub fn retired(&self) -> impl ExactSizeIterator<Item = (&str, i64)> {
        self.retired.iter().map(|(path, at)| (&**path, *at))
    }

    /// The time, in milliseconds, since when a file no longer counts.
    pub fn retired_at(&self, path: &str) -> Option<i64> {
        self.retired.get(path).copied()
    }

    /// True when the flush is in history.
    pub fn has_flush(&self, id: FlushId) -> bool {
        self.flushes.contains(&id)
    }

    /// True when something was loaded under this name.
    pub fn has_load(&self, name: &str) -> bool {
        self.loads.contains(name)
    }

    /// What the hot tier has to know. Windows of which only roll-ups are left count too: what memory takes for them is not all there is.
    pub fn in_history(&self) -> InHistory {
        let tiers = self.by_window.values();
        InHistory {
            flushes: self.flushes.clone(),
            windows: tiers.flat_map(|windows| windows.keys().copied()).collect(),
        }
    }

    /// The manifest as a snapshot.
    pub fn to_snapshot(&self) -> Snapshot {
        let mut flushes: Vec<u64> = self.flushes.iter().map(|f| f.0).collect();
        flushes.sort_unstable();
        let retired = self.retired();
        Snapshot {
            version: VERSION,
            number: self.number,
            files: self.files.values().map(|f| (**f).clone()).collect(),
            flushes,
            deletions: self.deletions.iter().map(|d| (**d).clone()).collect(),
            loads: self.loads.iter().cloned().collect(),
            retired: retired
                .map(|(path, at_millis)| Retired {
                    path: path.to_owned(),
                    at_millis,
                })
                .collect(),
        }
    }
}

fn in_range(windows: &ByWindow, range: TimeRange) -> impl Iterator<Item = &Arc<DataFile>> {
    let asked = (!range.is_empty()).then(|| range.first.window()..=range.last.window());
    let found = asked.into_iter().flat_map(|asked| windows.range(asked));
    found.flat_map(|(_, files)| files)
}

#[cfg(test)]
mod tests {
    use hesper_model::{Slot, TagQuery};

    use super::*;

    fn file(path: &str, first_slot: i64, last_slot: i64, sequence: u64) -> DataFile {
        DataFile {
            path: path.to_owned(),
            tenant: "default".to_owned(),
            step_millis: 60_000,
            cell_slots: 1,
            sequence,
            first_slot,
            last_slot,
            min_name: "a".to_owned(),
            max_name: "b".to_owned(),
            rows: 1,
            datapoints: 60,
            bytes: 1000,
            crc32c: Some(1),
            part: 0,
            level: 0,
            rolled: Vec::new(),
            pruned_millis: 0,
            pruned_by: 0,
            commit: 0,
            added_millis: 0,
        }
    }

    fn commit(number: u64, added: Vec<DataFile>, removed: &[&str]) -> Commit {
        Commit {
            version: VERSION,
            number,
            writer: "test".to_owned(),
            at_millis: number as i64,
            what: "flush".to_owned(),
            added,
            removed: removed.iter().map(|p| (*p).to_owned()).collect(),
            flushes: vec![number],
            deletions: Vec::new(),
            loads: Vec::new(),
        }
    }

    fn range(first: i64, last: i64) -> TimeRange {
        TimeRange {
            first: Slot(first),
            last: Slot(last),
        }
    }

    #[test]
    fn files_are_found_by_time_in_the_order_of_their_sequence() {
        let first = commit(
            1,
            vec![file("late", 1, 60, 9), file("early", 1, 60, 3)],
            &[],
        );
        let second = commit(
            2,
            vec![file("long", 1, 180, 5), file("far", 601, 660, 1)],
            &[],
        );
        let manifest = Manifest::default().after(&first).after(&second);
        let paths = |first: i64, last: i64| -> Vec<_> {
            let files = manifest.files_in(range(first, last));
            files.iter().map(|f| f.path.clone()).collect()
        };
        assert_eq!(paths(30, 31), ["early", "long", "late"]);
        assert_eq!(paths(61, 700), ["far", "long"]);
        assert_eq!(paths(200, 300), [""; 0]);
        assert_eq!(paths(2, 1), [""; 0]);
        assert!(manifest.covers(Window(2)) && !manifest.covers(Window(3)));
        let gone = manifest.after(&commit(3, vec![], &["long", "late"]));
        assert!(gone.holds("early") && !gone.holds("long") && !gone.covers(Window(2)));
        assert_eq!(gone.retired_at("long"), Some(3));
    }

    #[test]
    fn roll_ups_are_kept_apart_from_raw_data() {
        let mut rollup = file("rollup", 1, 1440, 3);
        rollup.cell_slots = 5;
        let added = vec![rollup, file("raw", 1, 60, 3)];
        let manifest = Manifest::default().after(&commit(1, added, &[]));
        let paths = |files: Vec<Arc<DataFile>>| -> Vec<_> {
            files.iter().map(|f| f.path.clone()).collect()
        };
        assert_eq!(paths(manifest.files_in(range(1, 1440))), ["raw"]);
        assert_eq!(paths(manifest.files_of(5, range(600, 601))), ["rollup"]);
        assert!(!manifest.covers(Window(5)));
        assert!(
            manifest.in_history().windows.contains(&Window(5)),
            "memory does not hold all of it"
        );
        assert_eq!(manifest.rollups().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_deletion_is_kept_until_no_file_from_before_it_is_left() {
        let before = Manifest::default().after(&commit(1, vec![file("old", 1, 60, 1)], &[]));
        let mut delete = commit(2, vec![], &[]);
        let everything = TagQuery::True;
        delete.deletions = vec![Deletion::new("d".to_owned(), everything, range(1, 10))];
        let deleted = before.after(&delete);
        let later = deleted.after(&commit(3, vec![file("new", 1, 60, 2)], &[]));
        let of = |path: &str| later.deletions_of(later.file(path).expect("there")).len();
        assert_eq!((of("old"), of("new")), (1, 0));
        let rewritten = later.after(&commit(4, vec![file("merged", 1, 60, 2)], &["old", "new"]));
        assert!(rewritten.deletions().is_empty());
        // A file that is added again counts as new.
        let touched = deleted.after(&commit(3, vec![file("old", 1, 60, 1)], &["old"]));
        assert!(touched.deletions().is_empty() && touched.holds("old"));
        assert_eq!(touched.retired().len(), 0);
    }

    #[test]
    fn a_snapshot_is_the_manifest() {
        let mut first = commit(1, vec![file("a", 1, 60, 1), file("b", 1, 60, 2)], &[]);
        first.loads = vec!["may.json".to_owned()];
        let all = Manifest::default().after(&first);
        let mut second = commit(2, vec![], &["b"]);
        let query = TagQuery::Equal("name".into(), "a".into());
        second.deletions = vec![Deletion::new("d".to_owned(), query, range(1, 10))];
        let manifest = all.after(&second);
        let text = serde_json::to_string(&manifest.to_snapshot()).expect("plain data");
        let read = Manifest::of_snapshot(serde_json::from_str(&text).expect("just written"));
        assert_eq!(read.to_snapshot(), manifest.to_snapshot());
        assert_eq!(read.in_history().flushes, manifest.in_history().flushes);
        assert!(read.has_load("may.json") && read.retired_at("b") == Some(2));
        assert_eq!(read.deletions().len(), 1);
        assert_eq!(read.file("a").expect("there").commit, 1);
    }
}
