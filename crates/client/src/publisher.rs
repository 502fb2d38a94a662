//! The publisher: sends what the meters of a registry gathered, at the end of each step, over one stream.
//!
//! ```text
//! registry ── step over ──▶ stepper ── batches ──▶ queue ──▶ sender ── stream ──▶ store
//!                                                    ▲          │
//!                                                    └── acks ──┘
//! ```
//!
//! A batch stays queued until the store acknowledges it. When the connection breaks, the batches that were not acknowledged are sent
//! again over the next one with the same sequence numbers, by which the store recognises them.

mod backoff;
mod builder;
mod counters;
mod cut;
mod queue;
mod sender;
mod stepper;

pub use builder::PublisherBuilder;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::error::Error;
use crate::publisher::counters::Counters;
use crate::publisher::queue::BatchQueue;
use crate::publisher::stepper::StepTaker;
use crate::registry::Registry;

/// Publishes a registry for as long as it lives.
///
/// It counts what becomes of the datapoints in the same registry, as `hesper.client.measurements`:
///
/// | `id` | other tag | datapoints that |
/// |---|---|---|
/// | `sent` | | the store has made durable |
/// | `rejected` | `reason` | the store refused by one of its rules |
/// | `dropped` | `error` | were given up: `queue-full`, `too-large`, `refused` (the store breaks off at their batch) |
/// | `resent` | | were sent again after a connection broke |
///
/// Further, `hesper.client.queue` is the number of datapoints that wait for their acknowledgement, `hesper.client.steps` (`id=skipped`)
/// counts steps that nobody took in time, and `hesper.client.connections` (`id=opened`, `failed`, `lost`) what happened to
/// connections.
///
/// Dropping a publisher ends it at once; [`shutdown`](Self::shutdown) publishes what is there before.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    tasks: [AbortHandle; 2],
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    queue: BatchQueue,
    taker: StepTaker,
    counters: Counters,
    /// Ends a wait before the next attempt to connect.
    hurry: Notify,
}

impl Publisher {
    /// A builder; it needs an endpoint.
    pub fn builder(registry: &Registry) -> PublisherBuilder {
        PublisherBuilder::new(registry.clone())
    }

    /// Publishes the step that is over, if that didn't happen yet, and the present one up to now, and waits until the store has
    /// acknowledged everything. What is recorded afterwards counts for the next step, so that frequent flushes blur the steps: this
    /// is for short-lived jobs and the end of a process.
    ///
    /// # Errors
    /// [`Error::NotAcknowledged`] when that takes longer than `timeout`. The datapoints stay queued.
    pub async fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.shared.take_completed_step();
        self.shared.take_partial_step();
        self.shared.hurry.notify_one();
        let queue = &self.shared.queue;
        tokio::time::timeout(timeout, queue.settled(queue.last_sequence()))
            .await
            .map_err(|_| Error::NotAcknowledged {
                datapoints: queue.datapoints(),
                timeout,
            })
    }

    /// Publishes what is there, as [`flush`](Self::flush) does, and ends.
    ///
    /// # Errors
    /// [`Error::NotAcknowledged`] when that takes longer than `timeout`. The datapoints that were not acknowledged are lost.
    pub async fn shutdown(self, timeout: Duration) -> Result<(), Error> {
        self.flush(timeout).await
    }

    /// How many datapoints wait for their acknowledgement.
    pub fn queued_datapoints(&self) -> usize {
        self.shared.queue.datapoints()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
