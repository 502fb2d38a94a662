//! What can go wrong in the hot tier.

use std::fmt;
use std::path::PathBuf;

use hesper_model::Window;

use crate::series_table::IdCollision;

/// What has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// What waits for the disk.
    Log,
    /// All that the store holds in memory.
    Memory,
    /// What waits to be taken to history.
    Windows,
}

impl Full {
    /// What its limit counts.
    const fn unit(self) -> &'static str {
        match self {
            Self::Log | Self::Memory => "bytes",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "the log's buffer is full, the disk is behind",
            Self::Memory => "the memory for series and datapoints is full (--max-memory)",
            Self::Windows => "datapoints come faster than they are taken to history",
        })
    }
}

/// What keeps a store from taking in more series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesBound {
    /// Their number.
    Series,
    /// Memory.
    Memory,
}

impl SeriesBound {
    /// The setting that sets it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::Series => "--max-series",
            Self::Memory => "--max-memory",
        }
    }
}

/// An error of the hot tier.
#[derive(Debug, thiserror::Error)]
pub enum HotError {
    /// The data directory was made by an incompatible store.
    #[error("{path}: {what}; start with the settings it was made with, or give another --data-dir")]
    Incompatible {
        /// The file that says so.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// The data directory is in use.
    #[error(
        "{path}: another process uses this data directory; stop it, or give another --data-dir"
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// Reading or writing a file failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A segment of the log is missing, or holds something that it should not.
    #[error(
        "{path}: damaged at byte {offset}: {what}; restore the file, or run 'hesper fsck --repair', which keeps a copy of it and gives up what cannot be read"
    )]
    DamagedLog {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file holds something that it should not.
    #[error(
        "{path}: damaged at byte {offset}: {what}; restore the file, or move it away and accept that its datapoints are lost"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The log could not be written: the store takes no more data until it is restarted.
    #[error(
        "the log could not be written and the store is read-only until it is restarted: {reason}"
    )]
    Poisoned {
        /// The first failure.
        reason: String,
    },
    /// More data arrives than there is room for.
    #[error("{what} ({limit} {}); send again later", what.unit())]
    Busy {
        /// What is full.
        what: Full,
        /// The limit, in bytes or windows.
        limit: usize,
    },
    /// The store holds as many series as it may.
    #[error(
        "the store holds {held} series and takes no more ({}); publish fewer tag values or raise it",
        bound.setting()
    )]
    TooManySeries {
        /// How many there are.
        held: usize,
        /// What keeps it from more.
        bound: SeriesBound,
    },
    /// Two series with one id.
    #[error(transparent)]
    IdCollision(#[from] IdCollision),
    /// The number of a series is not, or no longer, known.
    #[error("the series is not known any more; define it again")]
    UnknownSeries,
    /// A block in memory cannot be read: a defect of Hesper itself.
    #[error("window {window:?} holds a block that cannot be read: {what}")]
    BadBlock {
        /// The window.
        window: Window,
        /// What is wrong.
        what: String,
    },
}

impl HotError {
    /// Wraps an I/O error with the file it happened to.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
