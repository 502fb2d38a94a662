//! The router: validates datapoints, finds their series, and hands the store a batch.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::log::Lsn;
use hesper_hot::log::record::ClientId;
use hesper_hot::{Batch, HotError, HotStore};
use hesper_model::validation::{Limits, Rejection};
use hesper_model::{Tags, Timestamp};

use crate::cardinality::{Cardinality, Tally};
use crate::place::Unplaced;
use crate::roll_up::RollUps;
use crate::series_limits::SeriesLimits;
use crate::settings::{IngestSettings, InvalidSetting};
use crate::stats::{IngestStats, Reason};

/// How often a batch is tried again after a series it names was let go in between.
pub(crate) const ATTEMPTS: usize = 8;

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
    pub(crate) cardinality: Arc<Cardinality>,
    pub(crate) limits_on_series: SeriesLimits,
    pub(crate) roll_ups: RollUps,
}

impl Router {
    /// A router into a store, with the default settings.
    pub fn new(store: Arc<HotStore>, limits: Limits) -> Self {
        Self::with_settings(store, limits, &IngestSettings::default())
            .expect("the defaults make sense")
    }

    /// A router into a store. It hears of the store's series from now on, in the place of a router before it.
    ///
    /// # Errors
    /// When a setting has no sense.
    pub fn with_settings(
        store: Arc<HotStore>,
        limits: Limits,
        settings: &IngestSettings,
    ) -> Result<Self, InvalidSetting> {
        let cardinality = Arc::new(Cardinality::default());
        let limits_on_series =
            SeriesLimits::new(settings.series_limits.clone(), &store, cardinality.clone())?;
        let roll_ups = RollUps::new(&settings.roll_ups, &limits)?;
        store.listen(cardinality.clone());
        Ok(Self {
            store,
            limits,
            stats: IngestStats::default(),
            cardinality,
            limits_on_series,
            roll_ups,
        })
    }

    /// How many series and datapoints names, apps and keys have.
    pub fn cardinality(&self) -> &Cardinality {
        &self.cardinality
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
        self.cardinality.tick(now);
        let mut batch = Batch::new(self.store.shards());
        let mut tally = Tally::default();
        for _ in 0..ATTEMPTS {
            let mut refused = Vec::new();
            let mut accepted = 0;
            batch.begin(None);
            tally.clear();
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
                match self.place(&datapoint.tags, now) {
                    Ok(place) => {
                        place.push(&mut batch, datapoint.time, datapoint.value);
                        tally.add(place.class);
                        accepted += 1;
                    }
                    Err(Unplaced::Refused(reason, message)) => refuse(reason, message),
                    Err(Unplaced::Store(e)) => return Err(IngestError::Store(e)),
                }
            }
            batch.set_origin(client, sequence, now);
            match self.store.append(&batch, &mut Vec::new()) {
                Ok(appended) => {
                    self.cardinality.count(&tally);
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
