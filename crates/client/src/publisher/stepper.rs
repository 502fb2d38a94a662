//! Takes the measurements of each step and queues them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::measurements::{Measurements, Measurer};
use crate::publisher::Shared;
use crate::publisher::cut::Cutter;
use crate::registry::Registry;

/// How often polled meters are asked at least.
const POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Takes steps, from the stepper's task and from flushes.
pub(super) struct StepTaker {
    taking: Mutex<Taking>,
    reporting_series: AtomicUsize,
}

struct Taking {
    measurer: Measurer,
    cutter: Cutter,
}

impl StepTaker {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            taking: Mutex::new(Taking {
                measurer: registry.measurer(),
                cutter: Cutter::default(),
            }),
            reporting_series: AtomicUsize::new(0),
        }
    }

    /// The most datapoints that the store takes in one batch.
    pub(super) fn set_max_batch_datapoints(&self, max_datapoints: usize) {
        self.taking.lock().cutter.set_max_datapoints(max_datapoints);
    }

    /// How many series reported in the last step.
    pub(super) fn reporting_series(&self) -> usize {
        self.reporting_series.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for StepTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StepTaker").finish_non_exhaustive()
    }
}

impl Shared {
    /// Queues the step that is over, unless that happened before.
    pub(super) fn take_completed_step(&self) {
        self.take_step(Measurer::completed);
    }

    /// Queues what is left of ended steps, and the present step up to now.
    pub(super) fn take_partial_step(&self) {
        // A boundary may pass while one is taken.
        while self.take_step(Measurer::partial) {}
    }

    /// False when there was nothing to queue.
    fn take_step(&self, measure: impl Fn(&mut Measurer) -> Option<Measurements>) -> bool {
        self.counters.queue(self.queue.datapoints());
        // Batches are queued under the lock, so that they are in the order of their times.
        let mut taking = self.taker.taking.lock();
        let Some(measurements) = measure(&mut taking.measurer) else {
            return false;
        };
        let skipped = measurements.skipped_steps();
        if skipped > 0 {
            tracing::warn!(skipped, "steps went by without being published");
            self.counters.skipped_steps(skipped);
        }
        let series = measurements.series().len();
        self.taker.reporting_series.store(series, Ordering::Relaxed);
        let time_millis = measurements.time_millis();
        let mut dropped = 0;
        taking.cutter.cut(measurements, |series, values| {
            dropped += self.queue.push(time_millis, series, values);
        });
        drop(taking);
        if dropped > 0 {
            tracing::warn!(
                datapoints = dropped,
                "the queue is full: the oldest datapoints were dropped"
            );
            self.counters.dropped("queue-full", dropped);
        }
        true
    }
}

/// The moment of this process within a step: from 10 % to 90 % of it, by a random number in [0, 1).
pub(super) fn offset_within(step: Duration, random: f64) -> Duration {
    step.mul_f64(0.1 + 0.8 * random)
}

/// Takes each step so long after its end, for ever.
pub(super) async fn run(shared: Arc<Shared>, offset: Duration) {
    let steps = shared.registry.steps().clone();
    let offset_millis = i64::try_from(offset.as_millis()).unwrap_or(0);
    loop {
        shared.registry.poll();
        let step = steps.current();
        let moment = steps.start_millis(step) + offset_millis;
        let next = if shared.registry.clock().now_millis() >= moment {
            shared.take_completed_step();
            moment + steps.step_millis()
        } else {
            moment
        };
        // Long waits go by in short ones: polled meters want to be asked, and the clock may be set meanwhile.
        let wait = next - shared.registry.clock().now_millis();
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(1));
        tokio::time::sleep(wait.min(POLL_INTERVAL)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_lie_between_a_tenth_and_nine_tenths() {
        let step = Duration::from_secs(10);
        assert_eq!(offset_within(step, 0.0), Duration::from_secs(1));
        assert_eq!(offset_within(step, 0.5), Duration::from_secs(5));
        assert!(offset_within(step, 0.999_999) < Duration::from_secs(9));
    }
}
