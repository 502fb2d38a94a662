//! Deletion by query: what is deleted is hidden at once, and gone when its files are merged.
//!
//! A deletion is a record of the manifest. It affects the files of the commits before its own: readers leave out what it names, and whoever
//! merges such a file writes what is left. Files that come later are not affected, so that data may be loaded anew after a deletion. When no
//! affected file is left the record goes too.
//!
//! A cell of a roll-up that the deletion covers in part is hidden as a whole; where raw data is kept, the merge makes it anew of what is left.

mod query_json;

use hesper_model::{Slot, TagQuery, TimeRange};
use serde::{Deserialize, Serialize};

use crate::DataFile;

/// A deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// What it is called, for people.
    pub id: String,
    /// The series.
    #[serde(with = "query_json")]
    pub query: TagQuery,
    /// The number of the first slot, of the store's step.
    pub first_slot: i64,
    /// The number of the last slot.
    pub last_slot: i64,
    /// The commit that brought it; only in snapshots.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub commit: u64,
    /// The time of that commit, in milliseconds; only in snapshots.
    #[serde(default, skip_serializing_if = "is_no_time")]
    pub at_millis: i64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn is_no_time(millis: &i64) -> bool {
    *millis == 0
}

impl Deletion {
    /// A deletion that is to be committed.
    pub fn new(id: String, query: TagQuery, range: TimeRange) -> Self {
        Self {
            id,
            query,
            first_slot: range.first.0,
            last_slot: range.last.0,
            commit: 0,
            at_millis: 0,
        }
    }

    /// The slots whose values are deleted.
    pub fn range(&self) -> TimeRange {
        TimeRange {
            first: Slot(self.first_slot),
            last: Slot(self.last_slot),
        }
    }

    /// True when the file is from before the deletion and covers any of its slots.
    pub fn affects(&self, file: &DataFile) -> bool {
        file.commit < self.commit
            && self.first_slot <= file.last_slot
            && self.last_slot >= file.first_slot
    }
}
