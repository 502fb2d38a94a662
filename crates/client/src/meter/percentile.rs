//! Percentile timers and percentile distribution summaries: counters by bucket beside the four plain series.

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::meter::distribution::{DistributionCore, Nanoseconds, Plain, RunningTimer, Unit, nanos};
use crate::meter::{DistributionSummary, Expiry, Timer, ValueKind};
use crate::percentile_buckets;
use crate::series::{DSTYPE, PERCENTILE, STATISTIC, Series, SeriesSource};
use crate::step::{StepNumber, Stepped, WholeSum};

/// A timer that percentiles can be asked of: beside what a [`Timer`] reports it counts calls per bucket, as
/// `statistic=percentile`, `percentile=T0064` for the bucket 0x64 of nanoseconds.
#[derive(Clone)]
pub struct PercentileTimer(Timer);

impl PercentileTimer {
    /// The range whose bounds are told apart unless another is asked for; 58 buckets.
    pub const DEFAULT_RANGE: RangeInclusive<Duration> =
        Duration::from_millis(10)..=Duration::from_secs(60);

    pub(crate) fn new(timer: Timer, range: RangeInclusive<Duration>) -> Self {
        if let Some(core) = timer.core() {
            core.with_percentiles(nanos(*range.start()), nanos(*range.end()));
        }
        Self(timer)
    }

    /// Records one call. What lies outside the timer's range counts for the bucket at its end; the other statistics take the
    /// duration as it is.
    #[inline]
    pub fn record(&self, duration: Duration) {
        if let Some(core) = self.0.core() {
            let nanos = nanos(duration);
            let now = core.steps.current();
            core.record_nanos(nanos, now);
            if let Some(percentiles) = core.percentiles() {
                let bucket = percentile_buckets::index_of(nanos);
                percentiles.count::<Nanoseconds>(bucket, now, &core.source);
            }
        }
    }

    /// Runs and measures `work`.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let _running = self.start();
        work()
    }

    /// Starts to measure: what comes back records when it is dropped, so that it can be kept over an `await`.
    pub fn start(&self) -> RunningTimer {
        match self.0.core() {
            Some(core) => RunningTimer::for_percentiles(self.clone(), core.monotonic_nanos()),
            None => self.0.start(),
        }
    }

    pub(super) fn core(&self) -> Option<&Arc<DistributionCore<Nanoseconds>>> {
        self.0.core()
    }
}

/// A distribution summary that percentiles can be asked of: beside what a [`DistributionSummary`] reports it counts amounts per
/// bucket, as `statistic=percentile`, `percentile=D0064` for the bucket 0x64.
#[derive(Clone)]
pub struct PercentileDistributionSummary(DistributionSummary);

impl PercentileDistributionSummary {
    /// All 276 buckets.
    pub const FULL_RANGE: RangeInclusive<u64> = 0..=i64::MAX as u64;

    pub(crate) fn new(summary: DistributionSummary, range: RangeInclusive<u64>) -> Self {
        if let Some(core) = summary.core() {
            core.with_percentiles(*range.start(), *range.end());
        }
        Self(summary)
    }

    /// Records one amount, as [`DistributionSummary::record`] does. One below zero counts for no bucket; one outside the summary's
    /// range counts for the bucket at its end.
    #[inline]
    pub fn record(&self, amount: f64) {
        if let Some(core) = self.0.core()
            && amount.is_finite()
        {
            let now = core.steps.current();
            core.record_amount(amount, now);
            if let Some(percentiles) = core.percentiles()
                && amount >= 0.0
            {
                let bucket = percentile_buckets::index_of_f64(amount);
                percentiles.count::<Plain>(bucket, now, &core.source);
            }
        }
    }
}

/// A counter for each bucket of a range, made when the bucket is first hit.
pub(super) struct PercentileCounters {
    /// The bucket of the first counter.
    first: usize,
    counters: Box<[OnceLock<Box<BucketCounter>>]>,
}

struct BucketCounter {
    count: Stepped<WholeSum>,
    series: Arc<Series>,
}

impl PercentileCounters {
    pub(super) fn new(lowest: u64, highest: u64) -> Self {
        let first = percentile_buckets::index_of(lowest.min(highest));
        let last = percentile_buckets::index_of(highest);
        Self {
            first,
            counters: (first..=last).map(|_| OnceLock::new()).collect(),
        }
    }

    #[inline]
    fn count<U: Unit>(&self, bucket: usize, now: StepNumber, source: &SeriesSource) {
        let last = self.first + self.counters.len() - 1;
        let bucket = bucket.clamp(self.first, last);
        let counter = self.counters[bucket - self.first].get_or_init(|| {
            let tag = format!("{}{bucket:04X}", U::BUCKET_PREFIX);
            Box::new(BucketCounter {
                count: Stepped::new(now),
                series: source.replacing([
                    (STATISTIC, "percentile".into()),
                    (PERCENTILE, tag.into()),
                    (DSTYPE, "rate".into()),
                ]),
            })
        });
        counter.count.at(now).add(1);
    }

    fn made(&self) -> impl Iterator<Item = &BucketCounter> {
        self.counters
            .iter()
            .filter_map(|counter| counter.get().map(|counter| &**counter))
    }

    pub(super) fn measure(
        &self,
        step: StepNumber,
        step_secs: f64,
        expiry: Expiry,
        sink: &mut impl FnMut(&Arc<Series>, f64),
    ) {
        for counter in self.made() {
            // Buckets fall silent one by one, each as a counter of its own would.
            if !expiry.is_past(counter.count.last_active(), step + 1)
                && let Some(amount) = counter.count.completed(step)
            {
                sink(&counter.series, amount as f64 / step_secs);
            }
        }
    }

    pub(super) fn observe(
        &self,
        now: StepNumber,
        sink: &mut impl FnMut(&Arc<Series>, ValueKind, f64),
    ) {
        for counter in self.made() {
            let total = counter.count.total(now) as f64;
            sink(&counter.series, ValueKind::Total, total);
        }
    }
}
