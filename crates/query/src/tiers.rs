//! Where the data lies: the store in memory and history. A plan's leaf finds them in the session.

use std::sync::Arc;

use hesper_history::{DataFile, FileIndex, History};
use hesper_hot::HotStore;
use serde::Serialize;

/// The tiers of a node.
pub struct Tiers {
    /// The recent windows in memory.
    pub hot: Arc<HotStore>,
    /// Everything that was flushed.
    pub history: Arc<History>,
}

/// A part of the data that an answer lacks (promise P4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPart {
    /// Which: the path of a file.
    pub part: String,
    /// Why.
    pub reason: String,
}

impl std::fmt::Display for MissingPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.part, self.reason)
    }
}

/// What was looked at of a resolution in history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierStats {
    /// Files of which rows were read.
    pub files: u64,
    /// Rows read.
    pub rows: u64,
    /// Bytes of them in the files, about.
    pub bytes: u64,
    /// Slots or cells in them, with or without data.
    pub values: u64,
}

impl TierStats {
    /// Those of so many rows of a file, the values of which are not known yet. The file is counted by whom it is read for.
    pub(crate) fn of_rows(file: &DataFile, index: &FileIndex, rows: u64) -> Self {
        let all = index.len().max(1) as u64;
        Self {
            files: 0,
            rows,
            bytes: file.bytes / all * rows + file.bytes % all * rows / all,
            values: 0,
        }
    }
}

impl std::ops::AddAssign for TierStats {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.values += other.values;
    }
}

/// A resolution of history that an answer was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TierUse {
    /// `raw`, or the length of the cells of a roll-up, as in `5m` and `1h`.
    pub tier: String,
    /// Files of which rows were read.
    pub files: u64,
    /// Rows read.
    pub rows: u64,
    /// Bytes of them in the files, about.
    pub bytes: u64,
    /// Slots or cells in them, with or without data.
    pub values: u64,
}
