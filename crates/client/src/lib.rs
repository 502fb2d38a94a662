//! What services use to publish metrics to Hesper.
//!
//! A [`Registry`] hands out meters, whose recordings cost a few nanoseconds; a [`Publisher`] sends what they gathered at the end of
//! each step, and keeps what the store has not acknowledged yet.
//!
//! ```no_run
//! # async fn service() -> Result<(), hesper_client::Error> {
//! use std::time::Duration;
//! use hesper_client::{Publisher, Registry};
//!
//! let registry = Registry::builder().common_tag("nf.app", "www").build()?;
//! let publisher = Publisher::builder(&registry)
//!     .endpoint("http://127.0.0.1:7102")
//!     .start()?;
//! let searches = registry.counter(("searches", [("kind", "people")]));
//! let latency = registry.percentile_timer("search.latency");
//! let found = latency.time(|| "somebody");
//! searches.increment();
//! publisher.shutdown(Duration::from_secs(5)).await?;
//! # drop(found);
//! # Ok(())
//! # }
//! ```
//!
//! A series carries what kind of numbers it has in its tags: `statistic` (`count`, `gauge`, `max`, `totalTime` …) and `atlas.dstype`
//! (`rate` or `gauge`). Counts become rates per second over the step; times are in seconds. [`meter`] says what each meter reports.
//!
//! Tools that publish what they read elsewhere use [`Connection`] directly: a stream of batches with sequence numbers and
//! acknowledgements, single calls, and back-fill. With the feature `tower` there are layers that record the metrics of calls between
//! services, `ipc`.

mod clock;
mod connection;
mod entropy;
mod error;
mod id;
#[cfg(feature = "tower")]
pub mod ipc;
mod measurements;
pub mod meter;
pub mod percentile_buckets;
mod publisher;
mod registry;
mod series;
mod step;

/// The publish protocol, as generated from `hesper/v1/ingest.proto`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    tonic::include_proto!("hesper.v1");
}

pub use clock::{Clock, ManualClock, SystemClock};
pub use connection::{
    Ack, AckReceiver, BatchSender, BatchStream, ConnectOptions, Connection, LoadStream, SeriesRef,
    pack_values,
};
pub use error::Error;
pub use id::{Id, Tag};
pub use measurements::{CurrentValue, Measurements, Measurer};
pub use publisher::{Publisher, PublisherBuilder};
pub use registry::{Registry, RegistryBuilder};
pub use series::Series;
