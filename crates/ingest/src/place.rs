//! Where the datapoints of a series go.

use hesper_hot::series_table::SeriesRef;
use hesper_hot::{Batch, HotError, SeriesHandle};
use hesper_model::data_source::DSTYPE;
use hesper_model::{DataSource, Tags, Timestamp};

use crate::cardinality::ClassId;
use crate::roll_up::Merge;
use crate::router::Router;
use crate::series_limits::{Newcomer, Refusal};
use crate::stats::Reason;

/// The shard of no series.
const NOWHERE: u16 = u16::MAX;

/// Where the datapoints of a series go: to itself, into the series that it is rolled up into, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    first: SeriesRef,
    second: SeriesRef,
    first_shard: u16,
    second_shard: u16,
    /// What it counts as.
    pub(crate) class: ClassId,
}

fn handle(shard: u16, series: SeriesRef) -> SeriesHandle {
    SeriesHandle {
        shard: shard.into(),
        series,
    }
}

fn narrow(shard: u32) -> u16 {
    u16::try_from(shard).expect("a store has far fewer than 65,535 shards")
}

impl Place {
    fn new(first: SeriesHandle, second: Option<SeriesHandle>, class: ClassId) -> Self {
        Self {
            first: first.series,
            second: second.map_or(SeriesRef(0), |s| s.series),
            first_shard: narrow(first.shard),
            second_shard: second.map_or(NOWHERE, |s| narrow(s.shard)),
            class,
        }
    }

    /// The one or two series.
    #[inline]
    pub(crate) fn handles(&self) -> impl Iterator<Item = SeriesHandle> {
        let second = handle(self.second_shard, self.second);
        let second = (self.second_shard != NOWHERE).then_some(second);
        std::iter::once(handle(self.first_shard, self.first)).chain(second)
    }

    /// Adds a datapoint to a batch.
    #[inline]
    pub(crate) fn push(&self, batch: &mut Batch, time: Timestamp, value: f64) {
        batch.push(handle(self.first_shard, self.first), time, value);
        if self.second_shard != NOWHERE {
            batch.push(handle(self.second_shard, self.second), time, value);
        }
    }
}

/// A series that has no place.
#[derive(Debug)]
pub(crate) enum Unplaced {
    /// It may not have one.
    Refused(Reason, String),
    /// The store cannot say.
    Store(HotError),
}

impl From<Refusal> for Unplaced {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.reason, refusal.message)
    }
}

impl Router {
    /// Finds the place of a series whose tags are valid; it is taken in if it is new and may be.
    pub(crate) fn place(&self, tags: &Tags, now: Timestamp) -> Result<Place, Unplaced> {
        let class = self.cardinality.class_of(tags);
        let Some(rolled) = self.roll_ups.of(tags) else {
            return Ok(Place::new(self.own(tags, now)?, None, class));
        };
        let own = match rolled.keep_original {
            true => Some(self.own(tags, now)?),
            false => None,
        };
        let gathered = self.gathered(rolled.tags, tags, Newcomer::Published, now)?;
        Ok(match own {
            Some(own) => Place::new(own, Some(gathered), class),
            None => Place::new(gathered, None, class),
        })
    }

    /// The place of a series by itself, or of that into which it goes when a limit is reached.
    fn own(&self, tags: &Tags, now: Timestamp) -> Result<SeriesHandle, Unplaced> {
        let refused = match self.find_or_take_in(tags, Newcomer::Published, now) {
            Ok(handle) => return Ok(handle),
            Err(refused) => refused,
        };
        let overflows = matches!(
            refused,
            Unplaced::Refused(
                Reason::SeriesLimit | Reason::NameLimit | Reason::AppLimit,
                _
            )
        );
        match self.limits_on_series.overflowed(tags) {
            Some(reduced) if overflows => self.gathered(reduced, tags, Newcomer::Overflow, now),
            _ => Err(refused),
        }
    }

    /// The way of `original` into the series with the `reduced` tags.
    fn gathered(
        &self,
        mut reduced: Tags,
        original: &Tags,
        newcomer: Newcomer,
        now: Timestamp,
    ) -> Result<SeriesHandle, Unplaced> {
        let merge = Merge::of(original);
        reduced.insert(DSTYPE, merge.target());
        if let Err(r) = self.limits().check_tags(reduced.iter()) {
            return Err(Unplaced::Refused(Reason::Rule(r.rule), r.message));
        }
        let source = merge.source(original);
        let mut attempts = 0;
        loop {
            let target = self.find_or_take_in(&reduced, newcomer, now)?;
            match self.store().resolve_feed(target, source, original) {
                Ok(handle) => return Ok(handle),
                // Let go at this very moment.
                Err(HotError::UnknownSeries) if attempts < crate::router::ATTEMPTS => attempts += 1,
                // Without a memory for each original, rates are added as they come.
                Err(HotError::TooManySeries { .. }) if source == DataSource::Rate => {
                    let shared = self.store().resolve_feed(target, DataSource::Sum, original);
                    return shared.map_err(Unplaced::Store);
                }
                Err(HotError::TooManySeries { bound, .. }) => {
                    let refusal = self.limits_on_series.store_is_full(bound, original, now);
                    return Err(refusal.into());
                }
                Err(e) => return Err(Unplaced::Store(e)),
            }
        }
    }

    /// The place of a series with exactly these tags.
    pub(crate) fn find_or_take_in(
        &self,
        tags: &Tags,
        newcomer: Newcomer,
        now: Timestamp,
    ) -> Result<SeriesHandle, Unplaced> {
        let collision = |e: HotError| match e {
            HotError::IdCollision(_) => Unplaced::Refused(Reason::IdCollision, e.to_string()),
            e => Unplaced::Store(e),
        };
        if let Some(handle) = self.store().find(tags).map_err(collision)? {
            return Ok(handle);
        }
        let _admission = self.limits_on_series.admit(tags, newcomer, now)?;
        match self.store().resolve(tags) {
            Ok(handle) => Ok(handle),
            Err(HotError::TooManySeries { bound, .. }) => {
                let refusal = self.limits_on_series.store_is_full(bound, tags, now);
                Err(refusal.into())
            }
            Err(e) => Err(collision(e)),
        }
    }
}
