//! History: every window that has been sealed, as Parquet files on an object store, and the manifest that says which files count.
//!
//! A file becomes visible only through a commit of the manifest, and a commit is the creation of the next numbered object, so that of two
//! writers one wins and a crash leaves garbage at most. Any tool reads the files: see [`layout`] for their columns.

pub mod deletion;
pub mod encode;
pub mod error;
pub mod file_index;
pub mod layout;
pub mod manifest;
pub mod objects;
pub mod read;
pub mod store;
pub mod synced_local;

pub use error::HistoryError;
pub use file_index::FileIndex;
pub use manifest::{DataFile, Manifest};
pub use store::{History, HistoryOptions};
