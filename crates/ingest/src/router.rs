//! The router: validates datapoints, finds their series, and hands the store a batch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::log::Lsn;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotError, HotStore, SeriesHandle};
use hesper_model::validation::{Limits, Rejection};
use hesper_model::{Tags, Timestamp};

use crate::stats::{IngestStats, Reason};

/// How often a batch is tried again after a series it names was let go in between.
const RESOLVE_ATTEMPTS: usize = 8;

/// A datapoint with its tags in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Datapoint {
    /// The series.
    pub tags: Tags,
    /// The end of its interval.
    pub time: Timestamp,
    /// The value.
    pub value: f64,
}

/// A datapoint that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// Its place among those that arrived together.
    pub index: usize,
    /// Why.
    pub reason: Reason,
    /// What was wrong, for people.
    pub message: String,
}

/// What became of datapoints that arrived together.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Handed to the store.
    pub accepted: u64,
    /// Refused.
    pub refused: Vec<Refused>,
    /// The accepted are durable when the log is durable up to here.
    pub lsn: Lsn,
}

/// Why nothing of a batch was taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// What arrived cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The tenant is not known.
    #[error("unknown tenant '{0}'; leave it empty for the default tenant")]
    UnknownTenant(String),
    /// The store cannot take it now.
    #[error(transparent)]
    Store(HotError),
}

impl IngestError {
    /// True when sending it again later may succeed.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(HotError::Busy { .. }))
    }
}

/// Takes datapoints into a store.
pub struct Router {
    store: Arc<HotStore>,
    limits: Limits,
    stats: IngestStats,
}

impl Router {
    /// A router into a store.
    pub fn new(store: Arc<HotStore>, limits: Limits) -> Self {
        Self {
            store,
            limits,
            stats: IngestStats::default(),
        }
    }

    /// The store.
    pub fn store(&self) -> &Arc<HotStore> {
        &self.store
    }

    /// The rules.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The counters.
    pub fn stats(&self) -> &IngestStats {
        &self.stats
    }

    /// The only tenant so far has no name, or `default`.
    ///
    /// # Errors
    /// For any other.
    pub fn check_tenant(&self, tenant: &str) -> Result<(), IngestError> {
        match tenant {
            "" | "default" => Ok(()),
            other => Err(IngestError::UnknownTenant(other.to_owned())),
        }
    }

    /// Finds the place of a series; a refusal comes with its reason.
    pub(crate) fn resolve(&self, tags: &Tags) -> Result<SeriesHandle, ResolveError> {
        let refused = |reason, e: HotError| Err(ResolveError::Refused(reason, e.to_string()));
        match self.store.resolve(tags) {
            Ok(handle) => Ok(handle),
            Err(e @ HotError::TooManySeries { .. }) => refused(Reason::SeriesLimit, e),
            Err(e @ HotError::IdCollision(_)) => refused(Reason::IdCollision, e),
            Err(e) => Err(ResolveError::Store(e)),
        }
    }

    pub(crate) fn check(
        &self,
        tags: &Tags,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        self.limits.check_age(time, now)?;
        self.limits.check_tags(tags.iter())
    }

    /// Takes datapoints with full tags. With a client, the same sequence takes effect once.
    ///
    /// # Errors
    /// When the store cannot take any of them; nothing has changed then.
    pub fn publish(
        &self,
        datapoints: &[Datapoint],
        client: ClientId,
        sequence: u64,
        now: Timestamp,
    ) -> Result<Published, IngestError> {
        self.stats
            .received
            .fetch_add(datapoints.len() as u64, Ordering::Relaxed);
        self.stats.batches.fetch_add(1, Ordering::Relaxed);
        let mut batch = Batch::new(self.store.shards());
        for _ in 0..RESOLVE_ATTEMPTS {
            let mut refused = Vec::new();
            batch.begin(None);
            for (index, datapoint) in datapoints.iter().enumerate() {
                let mut refuse = |reason, message| {
                    refused.push(Refused {
                        index,
                        reason,
                        message,
                    });
                };
                if let Err(r) = self.check(&datapoint.tags, datapoint.time, now) {
                    refuse(Reason::Rule(r.rule), r.message);
                    continue;
                }
                match self.resolve(&datapoint.tags) {
                    Ok(handle) => batch.push(handle, datapoint.time, datapoint.value),
                    Err(ResolveError::Refused(reason, message)) => refuse(reason, message),
                    Err(ResolveError::Store(e)) => return Err(IngestError::Store(e)),
                }
            }
            batch.set_origin(client, sequence, now);
            match self.store.append(&batch, &mut Vec::new()) {
                Ok(appended) => {
                    let accepted = batch.len() as u64;
                    self.stats.accepted.fetch_add(accepted, Ordering::Relaxed);
                    refused.iter().for_each(|r| self.stats.refuse(r.reason, 1));
                    return Ok(Published {
                        accepted,
                        refused,
                        lsn: appended.lsn,
                    });
                }
                // A series was let go between finding and writing it.
                Err(HotError::UnknownSeries) => {}
                Err(e) => return Err(IngestError::Store(e)),
            }
        }
        Err(IngestError::Store(HotError::UnknownSeries))
    }
}

/// A series that has no place.
pub(crate) enum ResolveError {
    /// It may not have one.
    Refused(Reason, String),
    /// The store cannot say.
    Store(HotError),
}
