//! The registry: finds or makes meters by id.

mod builder;

pub use builder::RegistryBuilder;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::{DashMap, Entry};

use crate::clock::Clock;
use crate::id::{Id, Tag};
use crate::measurements::{CurrentValue, Measurer};
use crate::meter::{
    Counter, DistributionSummary, Expiry, Gauge, Kind, MaxGauge, Meter,
    PercentileDistributionSummary, PercentileTimer, PolledMeter, PolledMeters, Source, Timer,
};
use crate::series::{Series, SeriesSource};
use crate::step::{StepNumber, Steps};

/// Finds meters by id and makes those that don't exist yet. Cheap to clone; all clones are the same registry.
///
/// Asking twice for an id gives two handles of one meter. A timer and a percentile timer of one id share their plain series.
/// When an id already belongs to a meter of another kind, or there are too many meters, the handle records nothing, and
/// `hesper.client.meters` (`id=refused`) counts that.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    steps: Steps,
    expiry: Expiry,
    max_meters: usize,
    common_tags: Vec<Tag>,
    meters: DashMap<Id, Meter>,
    /// How many meters there are. The map itself would have to visit each of its parts to tell.
    meter_count: AtomicUsize,
    next_series: Arc<AtomicU64>,
    polled: Arc<PolledMeters>,
    /// The step in which the registry was made.
    first_step: StepNumber,
}

impl Registry {
    /// A builder with a step of a minute, the clock of the machine, no common tags and no limit to the number of meters.
    pub fn builder() -> RegistryBuilder {
        RegistryBuilder::default()
    }

    fn new(steps: Steps, time_to_live: Duration, max_meters: usize, common_tags: Vec<Tag>) -> Self {
        Self(Arc::new(Shared {
            expiry: Expiry {
                idle_steps: steps.count_in(time_to_live).max(1),
            },
            first_step: steps.current(),
            steps,
            max_meters,
            common_tags,
            meters: DashMap::new(),
            meter_count: AtomicUsize::new(0),
            next_series: Arc::default(),
            polled: Arc::default(),
        }))
    }

    /// Counts events.
    pub fn counter(&self, id: impl Into<Id>) -> Counter {
        self.find(&id.into())
    }

    /// Measures how long something takes.
    pub fn timer(&self, id: impl Into<Id>) -> Timer {
        self.find(&id.into())
    }

    /// Reports the value that was set last.
    pub fn gauge(&self, id: impl Into<Id>) -> Gauge {
        self.find(&id.into())
    }

    /// Reports the largest value of a step.
    pub fn max_gauge(&self, id: impl Into<Id>) -> MaxGauge {
        self.find(&id.into())
    }

    /// Measures how large something is.
    pub fn distribution_summary(&self, id: impl Into<Id>) -> DistributionSummary {
        self.find(&id.into())
    }

    /// Measures how long something takes, so that percentiles can be asked of it, from 10 ms to 1 min.
    pub fn percentile_timer(&self, id: impl Into<Id>) -> PercentileTimer {
        self.percentile_timer_in(id, PercentileTimer::DEFAULT_RANGE)
    }

    /// The same for durations of another range: up to 276 buckets. Of an id the first range stays.
    pub fn percentile_timer_in(
        &self,
        id: impl Into<Id>,
        range: RangeInclusive<Duration>,
    ) -> PercentileTimer {
        PercentileTimer::new(self.find(&id.into()), range)
    }

    /// Measures how large something is, so that percentiles can be asked of it.
    pub fn percentile_distribution_summary(
        &self,
        id: impl Into<Id>,
    ) -> PercentileDistributionSummary {
        self.percentile_distribution_summary_in(id, PercentileDistributionSummary::FULL_RANGE)
    }

    /// The same for amounts of a range, with the fewer buckets. Of an id the first range stays.
    pub fn percentile_distribution_summary_in(
        &self,
        id: impl Into<Id>,
        range: RangeInclusive<u64>,
    ) -> PercentileDistributionSummary {
        PercentileDistributionSummary::new(self.find(&id.into()), range)
    }

    /// A gauge that is asked for its value every ten seconds, every step at least. Several of one id are added up. NaN means that
    /// there is no value.
    ///
    /// The closure lives as long as the registry or until the meter is stopped: it must not hold the registry itself.
    pub fn polled_gauge(
        &self,
        id: impl Into<Id>,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> PolledMeter {
        let id = id.into();
        let source = Source::Gauge(self.find(&id), Box::new(value));
        self.0.polled.add(id, source)
    }

    /// A counter of something that counts for itself, asked for its total every ten seconds, every step at least. Increases are
    /// counted, from now on; a total that falls was set to zero, and counts from there on. Several of one id are added up.
    ///
    /// The closure lives as long as the registry or until the meter is stopped: it must not hold the registry itself.
    pub fn polled_monotonic_counter(
        &self,
        id: impl Into<Id>,
        total: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> PolledMeter {
        let id = id.into();
        let source = Source::MonotonicCounter(self.find(&id), Box::new(total));
        self.0.polled.add(id, source)
    }

    fn find<K: Kind>(&self, id: &Id) -> K {
        if let Some(meter) = self.0.meters.get(id) {
            return K::handle(&meter).unwrap_or_else(|| {
                drop(meter);
                self.refuse(id, "other-kind")
            });
        }
        if self.0.meter_count.load(Ordering::Relaxed) >= self.0.max_meters {
            return self.refuse(id, "too-many");
        }
        self.find_or_make(id)
            .unwrap_or_else(|| self.refuse(id, "other-kind"))
    }

    /// `None` when the meter is of another kind.
    fn find_or_make<K: Kind>(&self, id: &Id) -> Option<K> {
        match self.0.meters.entry(id.clone()) {
            Entry::Occupied(entry) => K::handle(entry.get()),
            Entry::Vacant(entry) => {
                let next_series = self.0.next_series.clone();
                let source = SeriesSource::new(id, &self.0.common_tags, next_series);
                let meter = K::make(self.0.steps.clone(), source);
                self.0.meter_count.fetch_add(1, Ordering::Relaxed);
                K::handle(entry.insert(meter).value())
            }
        }
    }

    fn refuse<K: Kind>(&self, id: &Id, reason: &str) -> K {
        tracing::debug!(%id, reason, "a meter was refused: what is recorded with it is lost");
        // This counter is made even when there are too many meters, so that the loss can be seen.
        let refused = Id::from((
            "hesper.client.meters",
            [("id", "refused"), ("reason", reason)],
        ));
        if let Some(counter) = self.find_or_make::<Counter>(&refused) {
            counter.increment();
        }
        K::none()
    }

    /// Asks the polled meters for their values. Measuring does so too; whoever does it every few seconds gets the increases of
    /// monotonic counters into the right step.
    pub fn poll(&self) {
        self.0.polled.poll();
    }

    /// Takes the measurements of one step after the other. Each registry should have one at most.
    pub fn measurer(&self) -> Measurer {
        Measurer::new(self.clone(), self.0.first_step - 1)
    }

    /// The present state of all series, as a page of metrics shows it: rates as totals since the meter was made, gauges as they
    /// are, maxima over the last and the current step. Series of one name may lie apart.
    pub fn current_values(&self) -> Vec<CurrentValue> {
        self.poll();
        self.remove_expired();
        let now = self.0.steps.current();
        let mut values = Vec::new();
        for meter in &self.0.meters {
            meter.observe(now, self.0.expiry, &mut |series, kind, value| {
                values.push(CurrentValue::new(series.clone(), kind, value));
            });
        }
        values
    }

    /// How many meters there are.
    pub fn meter_count(&self) -> usize {
        self.0.meter_count.load(Ordering::Relaxed)
    }

    /// The step that rates are formed over.
    pub fn step(&self) -> Duration {
        Duration::from_millis(self.0.steps.step_millis().unsigned_abs())
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.0.steps
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.steps.clock()
    }

    /// Hands each series that reports for `step` to `sink`.
    pub(crate) fn measure(&self, step: StepNumber, mut sink: impl FnMut(&Arc<Series>, f64)) {
        for meter in &self.0.meters {
            meter.measure(step, self.0.expiry, &mut sink);
        }
    }

    /// Forgets meters that were idle for longer than the time to live, unless somebody holds a handle: those begin to report
    /// again when they are used again.
    pub(crate) fn remove_expired(&self) {
        let now = self.0.steps.current();
        let expired = |meter: &Meter| {
            self.0.expiry.is_past(meter.last_active(), now) && meter.has_no_handle()
        };
        let ids: Vec<Id> = self
            .0
            .meters
            .iter()
            .filter(|entry| expired(entry.value()))
            .map(|entry| entry.key().clone())
            .collect();
        for id in ids {
            // The map hands out handles under the lock that it holds here.
            if self
                .0
                .meters
                .remove_if(&id, |_, meter| expired(meter))
                .is_some()
            {
                self.0.meter_count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("step", &self.step())
            .field("meters", &self.meter_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
