//! The manifest: which data files count.
//!
//! ```text
//! manifest/00000000000000000007.json             commit 7: files added and removed, flushes that it brings in
//! manifest/00000000000000000064.snapshot.json    all that counts after commit 64
//! ```
//! A commit is the creation of the next number, which only one writer can win. A snapshot is written after some commits, so that opening does
//! not read them all; it is never needed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use hesper_hot::store::InHistory;
use hesper_hot::window::FlushId;
use hesper_model::{Slot, TimeRange, Window};
use serde::{Deserialize, Serialize};

/// The version of the manifest's objects.
pub const VERSION: u32 = 1;

/// The folder of the manifest's objects.
pub const FOLDER: &str = "manifest";

/// A data file, as the manifest knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it lies, below the root of the store.
    pub path: String,
    /// Whose data it holds.
    pub tenant: String,
    /// The distance between its values, in milliseconds.
    pub step_millis: i64,
    /// Of two rows of a series that both hold a time, the one with the higher sequence counts.
    pub sequence: u64,
    /// The number of the first slot that its rows cover.
    pub first_slot: i64,
    /// The number of the last slot.
    pub last_slot: i64,
    /// The lowest name.
    pub min_name: String,
    /// The highest name.
    pub max_name: String,
    /// Its rows.
    pub rows: u64,
    /// Datapoints in them.
    pub datapoints: u64,
    /// Its length.
    pub bytes: u64,
    /// CRC-32C of all its bytes.
    pub crc32c: u32,
}

impl DataFile {
    /// The slots that its rows cover.
    pub fn range(&self) -> TimeRange {
        TimeRange {
            first: Slot(self.first_slot),
            last: Slot(self.last_slot),
        }
    }
}

/// A change of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The version of the format.
    pub version: u32,
    /// The number, the same as in the object's name.
    pub number: u64,
    /// Tells whose commit it is, for a writer that does not know whether its creation succeeded.
    pub writer: String,
    /// Files that count from now on.
    pub added: Vec<DataFile>,
    /// Paths of files that no longer do.
    pub removed: Vec<String>,
    /// The flushes whose windows are among the files added.
    pub flushes: Vec<u64>,
}

/// All that counts after a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of the format.
    pub version: u32,
    /// The number of the commit.
    pub number: u64,
    /// The files.
    pub files: Vec<DataFile>,
    /// The flushes brought in so far.
    pub flushes: Vec<u64>,
}

/// The name of the object of a commit.
pub fn commit_name(number: u64) -> String {
    format!("{FOLDER}/{number:020}.json")
}

/// The name of the object of a snapshot.
pub fn snapshot_name(number: u64) -> String {
    format!("{FOLDER}/{number:020}.snapshot.json")
}

/// What an object in the manifest's folder is, by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A commit.
    Commit(u64),
    /// A snapshot.
    Snapshot(u64),
}

impl ObjectKind {
    /// Reads a file name; `None` for anything else.
    pub fn of(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".json")?;
        match stem.strip_suffix(".snapshot") {
            Some(number) => number.parse().ok().map(Self::Snapshot),
            None => stem.parse().ok().map(Self::Commit),
        }
    }
}

/// The files that count, as of a commit.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    number: u64,
    files: BTreeMap<String, Arc<DataFile>>,
    by_window: BTreeMap<Window, Vec<Arc<DataFile>>>,
    flushes: HashSet<FlushId>,
}

impl Manifest {
    /// The manifest of a snapshot.
    pub fn of_snapshot(snapshot: Snapshot) -> Self {
        let mut manifest = Self {
            number: snapshot.number,
            ..Self::default()
        };
        manifest.add(snapshot.files, snapshot.flushes);
        manifest
    }

    /// The manifest after the next commit.
    #[must_use]
    pub fn after(&self, commit: &Commit) -> Self {
        let mut next = self.clone();
        next.number = commit.number;
        for path in &commit.removed {
            if let Some(file) = next.files.remove(path) {
                for window in file.range().windows() {
                    if let Some(files) = next.by_window.get_mut(&window) {
                        files.retain(|f| f.path != *path);
                        if files.is_empty() {
                            next.by_window.remove(&window);
                        }
                    }
                }
            }
        }
        next.add(commit.added.clone(), commit.flushes.clone());
        next
    }

    fn add(&mut self, files: Vec<DataFile>, flushes: Vec<u64>) {
        for file in files {
            let file = Arc::new(file);
            for window in file.range().windows() {
                let of_window = self.by_window.entry(window).or_default();
                of_window.push(file.clone());
                // The order in which rows lie over one another.
                of_window.sort_by_key(|f| f.sequence);
            }
            self.files.insert(file.path.clone(), file);
        }
        self.flushes.extend(flushes.into_iter().map(FlushId));
    }

    /// The number of the last commit; 0 before the first.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The files, in the order of their paths.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Arc<DataFile>> {
        self.files.values()
    }

    /// True when the file counts.
    pub fn holds(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The files that cover any slot of a range, each once, in the order in which their rows lie over one another.
    pub fn files_in(&self, range: TimeRange) -> Vec<Arc<DataFile>> {
        if range.is_empty() {
            return Vec::new();
        }
        let windows = range.first.window()..=range.last.window();
        let mut seen = HashSet::new();
        let mut files: Vec<_> = self
            .by_window
            .range(windows)
            .flat_map(|(_, files)| files)
            .filter(|file| seen.insert(&*file.path))
            .cloned()
            .collect();
        files.sort_by(|a, b| (a.sequence, &a.path).cmp(&(b.sequence, &b.path)));
        files
    }

    /// True when any file covers a part of the window.
    pub fn covers(&self, window: Window) -> bool {
        self.by_window.contains_key(&window)
    }

    /// What the hot tier has to know.
    pub fn in_history(&self) -> InHistory {
        InHistory {
            flushes: self.flushes.clone(),
            windows: self.by_window.keys().copied().collect::<BTreeSet<_>>(),
        }
    }

    /// The manifest as a snapshot.
    pub fn to_snapshot(&self) -> Snapshot {
        let mut flushes: Vec<u64> = self.flushes.iter().map(|f| f.0).collect();
        flushes.sort_unstable();
        Snapshot {
            version: VERSION,
            number: self.number,
            files: self.files.values().map(|f| (**f).clone()).collect(),
            flushes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, first_slot: i64, last_slot: i64, sequence: u64) -> DataFile {
        DataFile {
            path: path.to_owned(),
            tenant: "default".to_owned(),
            step_millis: 60_000,
            sequence,
            first_slot,
            last_slot,
            min_name: "a".to_owned(),
            max_name: "b".to_owned(),
            rows: 1,
            datapoints: 60,
            bytes: 1000,
            crc32c: 1,
        }
    }

    fn commit(number: u64, added: Vec<DataFile>, removed: &[&str]) -> Commit {
        Commit {
            version: VERSION,
            number,
            writer: "test".to_owned(),
            added,
            removed: removed.iter().map(|p| (*p).to_owned()).collect(),
            flushes: vec![number],
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
            let range = TimeRange {
                first: Slot(first),
                last: Slot(last),
            };
            let files = manifest.files_in(range);
            files.iter().map(|f| f.path.clone()).collect()
        };
        assert_eq!(paths(30, 31), ["early", "long", "late"]);
        assert_eq!(paths(61, 700), ["far", "long"]);
        assert_eq!(paths(200, 300), [""; 0]);
        assert!(manifest.covers(Window(2)) && !manifest.covers(Window(3)));
        let gone = manifest.after(&commit(3, vec![], &["long", "late"]));
        assert!(gone.holds("early") && !gone.holds("long") && !gone.covers(Window(2)));
    }

    #[test]
    fn a_snapshot_is_the_manifest() {
        let manifest = Manifest::default().after(&commit(1, vec![file("a", 1, 60, 1)], &[]));
        let text = serde_json::to_string(&manifest.to_snapshot()).expect("plain data");
        let read = Manifest::of_snapshot(serde_json::from_str(&text).expect("just written"));
        assert_eq!(read.to_snapshot(), manifest.to_snapshot());
        assert_eq!(read.in_history().flushes, HashSet::from([FlushId(1)]));
    }

    #[test]
    fn object_names_are_told_apart() {
        let name = |path: String| path.rsplit('/').next().expect("a name").to_owned();
        assert_eq!(
            ObjectKind::of(&name(commit_name(7))),
            Some(ObjectKind::Commit(7))
        );
        assert_eq!(
            ObjectKind::of(&name(snapshot_name(7))),
            Some(ObjectKind::Snapshot(7))
        );
        assert_eq!(ObjectKind::of("7.json.tmp"), None);
    }
}
