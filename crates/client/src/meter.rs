//! The meters: handles that services record with, and what stands behind them.
//!
//! A handle is cheap to clone and meant to be kept: finding a meter by its id costs a look-up, recording costs a few atomic
//! operations. A handle of a meter that the registry refused (too many meters, or the id belongs to another kind) records nothing.

mod counter;
mod distribution;
mod gauge;
mod max_gauge;
mod percentile;
mod polled;

pub use counter::Counter;
pub use distribution::{DistributionSummary, RunningTimer, Timer};
pub use gauge::Gauge;
pub use max_gauge::MaxGauge;
pub use percentile::{PercentileDistributionSummary, PercentileTimer};
pub use polled::PolledMeter;
pub(crate) use polled::{PolledMeters, Source};

use std::sync::Arc;

use crate::meter::counter::CounterCore;
use crate::meter::distribution::{DistributionCore, Nanoseconds, Plain};
use crate::meter::gauge::GaugeCore;
use crate::meter::max_gauge::MaxGaugeCore;
use crate::series::{Series, SeriesSource};
use crate::step::{StepNumber, Steps};

/// What a current value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// The sum of everything since the meter was made. It never falls.
    Total,
    /// A value that goes up and down.
    Gauge,
}

/// When meters stop to report.
#[derive(Clone, Copy)]
pub(crate) struct Expiry {
    /// How many steps may pass without a recording.
    pub(crate) idle_steps: i64,
}

impl Expiry {
    pub(crate) fn is_past(self, last_active: StepNumber, now: StepNumber) -> bool {
        now.saturating_sub(last_active) > self.idle_steps
    }
}

/// The registry's side of a meter.
#[derive(Clone)]
pub(crate) enum Meter {
    Counter(Arc<CounterCore>),
    Timer(Arc<DistributionCore<Nanoseconds>>),
    DistributionSummary(Arc<DistributionCore<Plain>>),
    Gauge(Arc<GaugeCore>),
    MaxGauge(Arc<MaxGaugeCore>),
}

impl Meter {
    /// Hands each series that reports for `step` to `sink`, with its value.
    pub(crate) fn measure(
        &self,
        step: StepNumber,
        expiry: Expiry,
        sink: &mut impl FnMut(&Arc<Series>, f64),
    ) {
        // What was recorded in a step counts as activity at its end.
        if expiry.is_past(self.last_active(), step + 1) {
            return;
        }
        match self {
            Self::Counter(core) => core.measure(step, sink),
            Self::Timer(core) => core.measure(step, expiry, sink),
            Self::DistributionSummary(core) => core.measure(step, expiry, sink),
            Self::Gauge(core) => core.measure(sink),
            Self::MaxGauge(core) => core.measure(step, sink),
        }
    }

    /// Hands each series to `sink` with its total or its current value.
    pub(crate) fn observe(
        &self,
        now: StepNumber,
        expiry: Expiry,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        let expired = expiry.is_past(self.last_active(), now);
        match self {
            Self::Counter(core) => core.observe(now, sink),
            Self::Timer(core) => core.observe(now, sink),
            Self::DistributionSummary(core) => core.observe(now, sink),
            Self::Gauge(core) if !expired => core.observe(sink),
            Self::MaxGauge(core) if !expired => core.observe(now, sink),
            Self::Gauge(_) | Self::MaxGauge(_) => {}
        }
    }

    pub(crate) fn last_active(&self) -> StepNumber {
        match self {
            Self::Counter(core) => core.last_active(),
            Self::Timer(core) => core.last_active(),
            Self::DistributionSummary(core) => core.last_active(),
            Self::Gauge(core) => core.last_active(),
            Self::MaxGauge(core) => core.last_active(),
        }
    }

    /// Whether nobody holds a handle. New ones come from the registry alone.
    pub(crate) fn has_no_handle(&self) -> bool {
        let count = match self {
            Self::Counter(core) => Arc::strong_count(core),
            Self::Timer(core) => Arc::strong_count(core),
            Self::DistributionSummary(core) => Arc::strong_count(core),
            Self::Gauge(core) => Arc::strong_count(core),
            Self::MaxGauge(core) => Arc::strong_count(core),
        };
        count == 1
    }
}

/// A kind of meter that the registry can make and find again.
pub(crate) trait Kind: Sized {
    fn make(steps: Steps, source: SeriesSource) -> Meter;

    /// The handle, unless the meter is of another kind.
    fn handle(meter: &Meter) -> Option<Self>;

    /// A handle that records nothing.
    fn none() -> Self;
}
