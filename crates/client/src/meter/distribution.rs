//! Timers and distribution summaries: how often, how much in all, how spread, and the largest.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::meter::percentile::PercentileCounters;
use crate::meter::{Expiry, Kind, Meter, ValueKind};
use crate::series::{DSTYPE, STATISTIC, Series, SeriesSource};
use crate::step::{Cells, RealMax, RealSum, StepNumber, Stepped, Steps, WholeSum};

/// Measures how long something takes. Reports calls per second (`count`), seconds and squared seconds spent per second (`totalTime`,
/// `totalOfSquares`), and the longest call in seconds (`max`).
#[derive(Clone)]
pub struct Timer(Option<Arc<DistributionCore<Nanoseconds>>>);

impl Timer {
    /// Records one call.
    #[inline]
    pub fn record(&self, duration: Duration) {
        if let Some(core) = &self.0 {
            core.record_nanos(nanos(duration), core.steps.current());
        }
    }

    /// Runs and measures `work`.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let _running = self.start();
        work()
    }

    /// Starts to measure: what comes back records when it is dropped, so that it can be kept over an `await`.
    pub fn start(&self) -> RunningTimer {
        RunningTimer {
            started_nanos: self.0.as_ref().map(|core| core.monotonic_nanos()),
            target: Target::Plain(self.clone()),
        }
    }
}

/// A measurement under way; it is recorded when this is dropped.
#[must_use = "a timer that is dropped at once measures nothing"]
pub struct RunningTimer {
    /// `None` for a timer that records nothing, or no longer.
    started_nanos: Option<u64>,
    target: Target,
}

pub(super) enum Target {
    Plain(Timer),
    Percentile(super::PercentileTimer),
}

impl RunningTimer {
    pub(super) fn for_percentiles(timer: super::PercentileTimer, started_nanos: u64) -> Self {
        Self {
            started_nanos: Some(started_nanos),
            target: Target::Percentile(timer),
        }
    }

    /// Ends the measurement without recording it.
    pub fn cancel(mut self) {
        self.started_nanos = None;
    }
}

impl Drop for RunningTimer {
    fn drop(&mut self) {
        let core = match &self.target {
            Target::Plain(timer) => timer.0.as_ref(),
            Target::Percentile(timer) => timer.core(),
        };
        if let (Some(started), Some(core)) = (self.started_nanos, core) {
            let took = Duration::from_nanos(core.monotonic_nanos().saturating_sub(started));
            match &self.target {
                Target::Plain(timer) => timer.record(took),
                Target::Percentile(timer) => timer.record(took),
            }
        }
    }
}

/// Measures how large something is. Reports how many per second (`count`), their sum and the sum of their squares per second
/// (`totalAmount`, `totalOfSquares`), and the largest (`max`). Give it base units, such as bytes.
#[derive(Clone)]
pub struct DistributionSummary(Option<Arc<DistributionCore<Plain>>>);

impl DistributionSummary {
    /// Records one amount. One that isn't finite is ignored; one below zero is counted, but adds nothing.
    #[inline]
    pub fn record(&self, amount: f64) {
        if let Some(core) = &self.0
            && amount.is_finite()
        {
            core.record_amount(amount, core.steps.current());
        }
    }
}

/// The nanoseconds of a duration.
#[inline]
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is measured.
pub(crate) trait Unit {
    /// Gathers the sum.
    type Total: Cells;
    const TOTAL_STATISTIC: &'static str;
    /// How many make one of the unit that is reported.
    const PER_REPORTED: f64;
    /// The first letter of the percentile tag.
    const BUCKET_PREFIX: char;

    fn to_f64(total: <Self::Total as Cells>::Amounts) -> f64;
}

pub(crate) struct Nanoseconds;

impl Unit for Nanoseconds {
    type Total = WholeSum;
    const TOTAL_STATISTIC: &'static str = "totalTime";
    const PER_REPORTED: f64 = 1e9;
    const BUCKET_PREFIX: char = 'T';

    fn to_f64(total: u64) -> f64 {
        total as f64
    }
}

pub(crate) struct Plain;

impl Unit for Plain {
    type Total = RealSum;
    const TOTAL_STATISTIC: &'static str = "totalAmount";
    const PER_REPORTED: f64 = 1.0;
    const BUCKET_PREFIX: char = 'D';

    fn to_f64(total: f64) -> f64 {
        total
    }
}

pub(crate) struct DistributionCore<U: Unit> {
    pub(super) steps: Steps,
    amounts: Stepped<DistributionCells<U>>,
    count: Arc<Series>,
    total: Arc<Series>,
    total_of_squares: Arc<Series>,
    max: Arc<Series>,
    pub(super) source: SeriesSource,
    /// Present once somebody asked for percentiles. A plain timer of the same id doesn't feed them.
    percentiles: OnceLock<PercentileCounters>,
}

struct DistributionCells<U: Unit> {
    count: WholeSum,
    total: U::Total,
    squares: RealSum,
    max: RealMax,
}

impl<U: Unit> Default for DistributionCells<U> {
    fn default() -> Self {
        Self {
            count: WholeSum::default(),
            total: U::Total::default(),
            squares: RealSum::default(),
            max: RealMax::default(),
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Amounts<T> {
    count: u64,
    total: T,
    squares: f64,
    max: Option<f64>,
}

impl<U: Unit> Cells for DistributionCells<U> {
    type Amounts = Amounts<<U::Total as Cells>::Amounts>;

    fn take(&self) -> Self::Amounts {
        Amounts {
            count: self.count.take(),
            total: self.total.take(),
            squares: self.squares.take(),
            max: self.max.take(),
        }
    }

    fn peek(&self) -> Self::Amounts {
        Amounts {
            count: self.count.peek(),
            total: self.total.peek(),
            squares: self.squares.peek(),
            max: self.max.peek(),
        }
    }

    fn sum(a: Self::Amounts, b: Self::Amounts) -> Self::Amounts {
        Amounts {
            count: WholeSum::sum(a.count, b.count),
            total: U::Total::sum(a.total, b.total),
            squares: RealSum::sum(a.squares, b.squares),
            max: RealMax::sum(a.max, b.max),
        }
    }
}

impl DistributionCore<Nanoseconds> {
    #[inline]
    pub(super) fn record_nanos(&self, nanos: u64, now: StepNumber) {
        let cells = self.amounts.at(now);
        cells.count.add(1);
        if nanos > 0 {
            let real = nanos as f64;
            cells.total.add(nanos);
            cells.squares.add(real * real);
            cells.max.offer(real);
        }
    }
}

impl DistributionCore<Plain> {
    #[inline]
    pub(super) fn record_amount(&self, amount: f64, now: StepNumber) {
        let cells = self.amounts.at(now);
        cells.count.add(1);
        if amount > 0.0 {
            cells.total.add(amount);
            cells.squares.add(amount * amount);
            cells.max.offer(amount);
        }
    }
}

impl<U: Unit> DistributionCore<U> {
    fn new(steps: Steps, source: SeriesSource) -> Arc<Self> {
        let series = |statistic: &'static str, dstype: &'static str| {
            source.replacing([(STATISTIC, statistic.into()), (DSTYPE, dstype.into())])
        };
        Arc::new(Self {
            amounts: Stepped::new(steps.current()),
            steps,
            count: series("count", "rate"),
            total: series(U::TOTAL_STATISTIC, "rate"),
            total_of_squares: series("totalOfSquares", "rate"),
            max: series("max", "gauge"),
            source,
            percentiles: OnceLock::new(),
        })
    }

    /// The counters by bucket, for amounts from `lowest` to `highest`; what was asked for first stays.
    pub(super) fn with_percentiles(&self, lowest: u64, highest: u64) -> &PercentileCounters {
        self.percentiles
            .get_or_init(|| PercentileCounters::new(lowest, highest))
    }

    pub(super) fn percentiles(&self) -> Option<&PercentileCounters> {
        self.percentiles.get()
    }

    pub(super) fn monotonic_nanos(&self) -> u64 {
        self.steps.clock().monotonic_nanos()
    }

    pub(super) fn measure(
        &self,
        step: StepNumber,
        expiry: Expiry,
        sink: &mut impl FnMut(&Arc<Series>, f64),
    ) {
        if let Some(amounts) = self.amounts.completed(step) {
            let secs = self.steps.step_secs();
            self.report(&amounts, &mut |series, kind, value| match kind {
                ValueKind::Total => sink(series, value / secs),
                ValueKind::Gauge => sink(series, value),
            });
        }
        if let Some(percentiles) = self.percentiles() {
            percentiles.measure(step, self.steps.step_secs(), expiry, sink);
        }
    }

    pub(super) fn observe(
        &self,
        now: StepNumber,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        let mut amounts = self.amounts.total(now);
        amounts.max = self.amounts.recent(now).max;
        self.report(&amounts, sink);
        if let Some(percentiles) = self.percentiles() {
            percentiles.observe(now, sink);
        }
    }

    fn report(
        &self,
        amounts: &Amounts<<U::Total as Cells>::Amounts>,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        let unit = U::PER_REPORTED;
        let total = U::to_f64(amounts.total) / unit;
        let squares = amounts.squares / (unit * unit);
        sink(&self.count, ValueKind::Total, amounts.count as f64);
        sink(&self.total, ValueKind::Total, total);
        sink(&self.total_of_squares, ValueKind::Total, squares);
        // A step without a call has a longest call of 0, so that the series goes on.
        let max = amounts.max.unwrap_or(0.0) / unit;
        sink(&self.max, ValueKind::Gauge, max);
    }

    pub(super) fn last_active(&self) -> StepNumber {
        self.amounts.last_active()
    }
}

impl Kind for Timer {
    fn make(steps: Steps, source: SeriesSource) -> Meter {
        Meter::Timer(DistributionCore::new(steps, source))
    }

    fn handle(meter: &Meter) -> Option<Self> {
        match meter {
            Meter::Timer(core) => Some(Self(Some(core.clone()))),
            _ => None,
        }
    }

    fn none() -> Self {
        Self(None)
    }
}

impl Kind for DistributionSummary {
    fn make(steps: Steps, source: SeriesSource) -> Meter {
        Meter::DistributionSummary(DistributionCore::new(steps, source))
    }

    fn handle(meter: &Meter) -> Option<Self> {
        match meter {
            Meter::DistributionSummary(core) => Some(Self(Some(core.clone()))),
            _ => None,
        }
    }

    fn none() -> Self {
        Self(None)
    }
}

impl Timer {
    pub(super) fn core(&self) -> Option<&Arc<DistributionCore<Nanoseconds>>> {
        self.0.as_ref()
    }
}

impl DistributionSummary {
    pub(super) fn core(&self) -> Option<&Arc<DistributionCore<Plain>>> {
        self.0.as_ref()
    }
}
