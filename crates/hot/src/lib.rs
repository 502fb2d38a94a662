//! The hot tier: the recent window of every series in memory, and the log that brings it back.
//!
//! A store is a number of shards. A published sample is logged, normalised and written to the open columns of its window; windows are sealed
//! into encoded blocks, handed to history, and dropped when the hot window has passed. The log alone drives the state: replaying it rebuilds
//! everything, the normaliser's memory included. Knows no language and no network.

pub mod batch;
pub mod by_number;
pub mod checkpoint;
pub mod codec;
pub mod directory;
pub mod error;
pub mod feed;
pub mod fold;
pub mod groups;
pub mod log;
pub mod normaliser;
mod pages;
pub mod scan;
pub mod series_table;
pub mod shard;
pub mod store;
pub mod symbols;
pub mod tag_index;
pub mod window;

pub use batch::{Batch, SeriesHandle};
pub use error::{HotError, SeriesBound};
pub use store::{HotStore, StoreOptions};
