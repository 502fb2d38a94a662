//! What the objects of the manifest hold, as JSON. The page `docs/formats/history.md` describes them for other programs.

use hesper_model::{Slot, TimeRange};
use serde::{Deserialize, Serialize};

use crate::deletion::Deletion;

/// The version of the manifest's objects that is written.
pub const VERSION: u32 = 2;

/// The lowest version that is read.
pub const OLDEST_VERSION: u32 = 1;

/// The folder of the manifest's objects.
pub const FOLDER: &str = "manifest";

/// The level of a file that was loaded: sorted over its part of a load.
pub const LOADED_LEVEL: u8 = 1;

/// The level of a file that was merged from all files of its day.
pub const DAY_LEVEL: u8 = 100;

const fn one() -> u32 {
    1
}

fn is_one(n: &u32) -> bool {
    *n == 1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A data file, as the manifest knows it. Fields without a comment on older versions are in all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Where it lies, below the root of the store.
    pub path: String,
    /// Whose data it holds.
    pub tenant: String,
    /// The distance between its values, in milliseconds: the store's step, or the length of a roll-up's cells.
    pub step_millis: i64,
    /// Slots of the store's step in each of its values: 1 for raw data (and in version 1), more for a roll-up.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub cell_slots: u32,
    /// Of two rows of a series that both hold a time, the one with the higher sequence counts.
    pub sequence: u64,
    /// The number of the first slot, of the store's step, that its rows cover.
    pub first_slot: i64,
    /// The number of the last slot.
    pub last_slot: i64,
    /// The lowest name.
    pub min_name: String,
    /// The highest name.
    pub max_name: String,
    /// Its rows.
    pub rows: u64,
    /// Datapoints in them; of a roll-up those that went into its cells.
    pub datapoints: u64,
    /// Its length.
    pub bytes: u64,
    /// CRC-32C of all its bytes. Without one the bytes cannot be verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<u32>,
    /// Its place among the files that one writer made of the same rows: they lie sorted over these. Absent in version 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub part: u32,
    /// 0 as flushed, [`LOADED_LEVEL`] as loaded, more after merges of a part of its day, [`DAY_LEVEL`] when merged with all of its day.
    #[serde(default, skip_serializing_if = "is_default")]
    pub level: u8,
    /// `cell_slots` of the roll-ups that were made of the same rows, in the commit that brought this file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled: Vec<u32>,
    /// The time, in milliseconds, as of which retention was applied to its rows.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pruned_millis: i64,
    /// Tells by which rules.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pruned_by: u32,
    /// The commit that brought it; only in snapshots, where a commit's number is not at hand.
    #[serde(default, skip_serializing_if = "is_default")]
    pub commit: u64,
    /// The time of that commit, in milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub added_millis: i64,
}

impl DataFile {
    /// The slots that its rows cover.
    pub fn range(&self) -> TimeRange {
        TimeRange {
            first: Slot(self.first_slot),
            last: Slot(self.last_slot),
        }
    }

    /// True for raw data, false for a roll-up.
    pub fn is_raw(&self) -> bool {
        self.cell_slots == 1
    }
}

/// A file that counts no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Where it lies, or lay.
    pub path: String,
    /// The time of the commit that removed it, in milliseconds.
    pub at_millis: i64,
}

/// A change of the manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Commit {
    /// The version of the format.
    pub version: u32,
    /// The number, the same as in the object's name.
    pub number: u64,
    /// Tells whose commit it is, for a writer that does not know whether its creation succeeded.
    pub writer: String,
    /// The time, in milliseconds; 0 in version 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub at_millis: i64,
    /// What was done, for people: `flush`, `merge`, `expire`, `delete`, `load`, `forget`. Empty in version 1.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// Files that count from now on.
    pub added: Vec<DataFile>,
    /// Paths of files that no longer do.
    pub removed: Vec<String>,
    /// The flushes whose windows are among the files added.
    pub flushes: Vec<u64>,
    /// Deletions that take effect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
    /// What was loaded, by the loader's own name, so that it is not loaded twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<String>,
}

/// All that counts after a commit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version of the format.
    pub version: u32,
    /// The number of the commit.
    pub number: u64,
    /// The files.
    pub files: Vec<DataFile>,
    /// The flushes brought in so far.
    pub flushes: Vec<u64>,
    /// The deletions that files are still to be rid of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deletions: Vec<Deletion>,
    /// What was loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<String>,
    /// Files that were removed not long ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn an_entry_of_version_1_is_raw_data_as_flushed() {
        let entry = r#"{"path": "raw/a", "tenant": "default", "step_millis": 60000, "sequence": 3, "first_slot": 1, "last_slot": 60,
            "min_name": "a", "max_name": "b", "rows": 1, "datapoints": 60, "bytes": 1000}"#;
        let file: DataFile = serde_json::from_str(entry).expect("an entry");
        assert!(file.is_raw() && file.level == 0 && file.crc32c.is_none());
    }
}
