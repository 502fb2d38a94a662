//! Ingest: from what arrives on the wire to validated batches in the shards.
//!
//! Every way in ends at the [`Router`]: it validates, finds the series, and hands the store one batch. [`atlas`] reads Atlas's JSON, [`stream`]
//! keeps the tables of a native connection, [`load`] takes declared back-fill. What is refused is counted by reason and named to the sender;
//! nothing is half done.
//!
//! Which series a datapoint goes to is decided in one place ([`Router`], by `place`): [`roll_up`] takes tags away, [`series_limits`] says
//! whether a new series may come, [`cardinality`] counts what is there.

pub mod atlas;
pub mod cardinality;
pub mod load;
mod place;
pub mod roll_up;
pub mod router;
pub mod series_limits;
pub mod settings;
pub mod stats;
pub mod stream;

pub use router::{IngestError, Router};
pub use settings::{IngestSettings, InvalidSetting};
pub use stats::{IngestStats, Reason};

/// The messages of the native protocol and the stub of its server.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("hesper.v1");
}
