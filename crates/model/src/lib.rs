//! The values of Hesper's world: tags and the series they name, time and steps, blocks of datapoints, tag queries,
//! aggregation functions, and the rules a published datapoint has to pass.
//!
//! Floor 1 of the house: no I/O, no async, no clock. Everything above speaks in these types.

pub mod aggregate;
pub mod block;
pub mod cores;
pub mod data_source;
pub mod invariant;
pub mod pattern;
pub mod series;
pub mod tag_query;
pub mod tags;
pub mod time;
pub mod validation;

pub use aggregate::{Aggregate, Consolidation};
pub use block::{BLOCK_SLOTS, Block};
pub use data_source::DataSource;
pub use pattern::TagPattern;
pub use series::{ItemId, SeriesId};
pub use tag_query::TagQuery;
pub use tags::Tags;
pub use time::{Slot, Step, TimeRange, Timestamp, Window};
