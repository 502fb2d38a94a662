//! History: every window that has been sealed, as Parquet files on an object store, and the manifest that says which files count.
//!
//! A file becomes visible only through a commit of the manifest, and a commit is the creation of the next numbered object, so that of two
//! writers one wins and a crash leaves garbage at most. Any tool reads the files: see [`layout`] for their columns.

pub mod backup;
pub mod compaction;
pub mod day;
pub mod deletion;
pub mod encode;
pub mod error;
pub mod file_index;
pub mod layout;
pub mod load;
pub mod manifest;
mod merge;
pub mod objects;
pub mod orphans;
pub mod page_cache;
pub mod place;
pub mod policy;
pub mod read;
pub mod rollup;
mod rows;
pub mod store;
pub mod synced_local;
pub mod tiers;
pub mod verify;

pub use compaction::{Report, Work};
pub use error::HistoryError;
pub use file_index::FileIndex;
pub use load::{Loaded, Loader};
pub use manifest::{DataFile, Manifest};
pub use policy::Policy;
pub use read::OpenRows;
pub use store::{History, HistoryOptions};
pub use tiers::Segment;
