//! Steps: the intervals that time is cut into, and amounts that are gathered step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Clock;
use crate::error::Error;

/// Number n covers the times from n × step on, up to (n + 1) × step, after which its datapoints are named.
pub(crate) type StepNumber = i64;

/// Tells which step it is.
#[derive(Clone)]
pub(crate) struct Steps {
    clock: Arc<dyn Clock>,
    step_millis: i64,
}

impl Steps {
    pub(crate) fn new(clock: Arc<dyn Clock>, step: Duration) -> Result<Self, Error> {
        let day = Duration::from_secs(86_400);
        let step_millis = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step_millis == 0 || step > day {
            return Err(Error::Step(step));
        }
        Ok(Self { clock, step_millis })
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn step_millis(&self) -> i64 {
        self.step_millis
    }

    pub(crate) fn step_secs(&self) -> f64 {
        self.step_millis as f64 / 1000.0
    }

    #[inline]
    pub(crate) fn current(&self) -> StepNumber {
        self.clock.now_millis().div_euclid(self.step_millis)
    }

    pub(crate) fn start_millis(&self, step: StepNumber) -> i64 {
        step * self.step_millis
    }

    pub(crate) fn end_millis(&self, step: StepNumber) -> i64 {
        (step + 1) * self.step_millis
    }

    /// How many whole steps there are in a time.
    pub(crate) fn count_in(&self, time: Duration) -> i64 {
        i64::try_from(time.as_millis()).unwrap_or(i64::MAX) / self.step_millis
    }
}

/// What a meter gathers within a step, in atomics that any thread may add to.
pub(crate) trait Cells: Default {
    /// The amounts as plain numbers; the default is nothing.
    type Amounts: Copy + Default;

    /// The amounts, leaving nothing behind.
    fn take(&self) -> Self::Amounts;

    /// The amounts, leaving them.
    fn peek(&self) -> Self::Amounts;

    /// Both together.
    fn sum(a: Self::Amounts, b: Self::Amounts) -> Self::Amounts;
}

/// A time that lies further back than so many steps is a new time.
const SET_BACK_STEPS: i64 = 10;

/// Amounts of the current step, of the step before, and of all time.
///
/// A recording adds to atomics. The first one in a step also moves the amounts of the step before aside; if another thread is
/// about that already, it doesn't wait.
pub(crate) struct Stepped<C: Cells> {
    cells: C,
    /// The step of the last recording.
    active: AtomicI64,
    rolled: Mutex<Rolled<C::Amounts>>,
}

struct Rolled<A> {
    /// The step in which the meter was made.
    first: StepNumber,
    /// The step that the cells belong to.
    step: StepNumber,
    /// The amounts of the step before that.
    previous: A,
    /// The amounts of all steps before the current one.
    completed: A,
}

impl<C: Cells> Stepped<C> {
    pub(crate) fn new(now: StepNumber) -> Self {
        Self {
            cells: C::default(),
            active: AtomicI64::new(now),
            rolled: Mutex::new(Rolled {
                first: now,
                step: now,
                previous: C::Amounts::default(),
                completed: C::Amounts::default(),
            }),
        }
    }

    /// The cells to add to in this step.
    #[inline]
    pub(crate) fn at(&self, now: StepNumber) -> &C {
        if self.active.load(Ordering::Relaxed) != now {
            self.enter(now);
        }
        &self.cells
    }

    #[cold]
    fn enter(&self, now: StepNumber) {
        self.active.store(now, Ordering::Relaxed);
        if let Some(mut rolled) = self.rolled.try_lock() {
            self.roll(&mut rolled, now);
        }
    }

    /// Makes `now` the step that the cells belong to.
    fn roll(&self, rolled: &mut Rolled<C::Amounts>, now: StepNumber) {
        if now > rolled.step {
            let amounts = self.cells.take();
            rolled.completed = C::sum(rolled.completed, amounts);
            rolled.previous = if now == rolled.step + 1 {
                amounts
            } else {
                C::Amounts::default()
            };
            rolled.step = now;
        } else if now < rolled.step - SET_BACK_STEPS {
            // The clock was set back. Fewer steps say nothing: `completed` runs ahead by one to publish a part of a step, and a
            // thread that was halted may come with an old time.
            rolled.previous = C::Amounts::default();
            rolled.step = now;
            rolled.first = rolled.first.min(now);
        }
    }

    /// The amounts of a step that is over, or that ends now: what is recorded later counts for the next one. `None` when a later
    /// step is over too, or the meter was made after the step.
    pub(crate) fn completed(&self, step: StepNumber) -> Option<C::Amounts> {
        let mut rolled = self.rolled.lock();
        self.roll(&mut rolled, step + 1);
        (rolled.step == step + 1 && rolled.first <= step).then_some(rolled.previous)
    }

    /// The amounts of all time.
    pub(crate) fn total(&self, now: StepNumber) -> C::Amounts {
        let mut rolled = self.rolled.lock();
        self.roll(&mut rolled, now);
        C::sum(rolled.completed, self.cells.peek())
    }

    /// The amounts of the last step that is over and of the current one.
    pub(crate) fn recent(&self, now: StepNumber) -> C::Amounts {
        let mut rolled = self.rolled.lock();
        self.roll(&mut rolled, now);
        C::sum(rolled.previous, self.cells.peek())
    }

    /// The step of the last recording, at first the one in which the meter was made.
    pub(crate) fn last_active(&self) -> StepNumber {
        self.active.load(Ordering::Relaxed)
    }
}

/// A sum of whole numbers.
#[derive(Default)]
pub(crate) struct WholeSum(AtomicU64);

impl WholeSum {
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }
}

impl Cells for WholeSum {
    type Amounts = u64;

    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }

    fn peek(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn sum(a: u64, b: u64) -> u64 {
        a.wrapping_add(b)
    }
}

/// A sum of doubles, kept as bits.
#[derive(Default)]
pub(crate) struct RealSum(AtomicU64);

impl RealSum {
    #[inline]
    pub(crate) fn add(&self, amount: f64) {
        let mut bits = self.0.load(Ordering::Relaxed);
        loop {
            let sum = (f64::from_bits(bits) + amount).to_bits();
            match self
                .0
                .compare_exchange_weak(bits, sum, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(other) => bits = other,
            }
        }
    }
}

impl Cells for RealSum {
    type Amounts = f64;

    fn take(&self) -> f64 {
        f64::from_bits(self.0.swap(0, Ordering::Relaxed))
    }

    fn peek(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn sum(a: f64, b: f64) -> f64 {
        a + b
    }
}

/// The largest of the finite doubles that were offered; none at first.
#[derive(Default)]
pub(crate) struct RealMax(AtomicU64);

/// Zero means none: it would be a NaN.
const NONE: u64 = 0;
const SIGN: u64 = 1 << 63;

impl RealMax {
    #[inline]
    pub(crate) fn offer(&self, value: f64) {
        // As unsigned numbers, doubles are in order once the sign bit of the positive ones and all bits of the others are flipped.
        let bits = value.to_bits();
        let ordered = if bits & SIGN == 0 { bits ^ SIGN } else { !bits };
        // Most values are below the maximum, and a load leaves the cache line with its other readers.
        if self.0.load(Ordering::Relaxed) < ordered {
            self.0.fetch_max(ordered, Ordering::Relaxed);
        }
    }

    fn decode(ordered: u64) -> Option<f64> {
        if ordered == NONE {
            None
        } else if ordered & SIGN == 0 {
            Some(f64::from_bits(!ordered))
        } else {
            Some(f64::from_bits(ordered ^ SIGN))
        }
    }
}

impl Cells for RealMax {
    type Amounts = Option<f64>;

    fn take(&self) -> Option<f64> {
        Self::decode(self.0.swap(NONE, Ordering::Relaxed))
    }

    fn peek(&self) -> Option<f64> {
        Self::decode(self.0.load(Ordering::Relaxed))
    }

    fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_move_from_step_to_step() {
        let sum = Stepped::<WholeSum>::new(10);
        sum.at(10).add(1);
        sum.at(11).add(2);
        assert_eq!(sum.completed(10), Some(1));
        assert_eq!(sum.completed(10), Some(1), "asking changes nothing");
        sum.at(11).add(3);
        assert_eq!(sum.completed(11), Some(5));
        assert_eq!(sum.completed(12), Some(0));
        assert_eq!(sum.total(13), 6);
        assert_eq!(sum.last_active(), 11);
    }

    #[test]
    fn a_step_that_is_past_gives_nothing() {
        let sum = Stepped::<WholeSum>::new(10);
        sum.at(10).add(1);
        sum.at(12).add(2);
        assert_eq!(sum.completed(10), None);
        assert_eq!(sum.completed(11), Some(0));
        assert_eq!(sum.completed(12), Some(2));
        assert_eq!(sum.total(12), 3);
    }

    #[test]
    fn a_meter_gives_nothing_for_steps_before_it_was_made() {
        let sum = Stepped::<WholeSum>::new(10);
        assert_eq!(sum.completed(9), None);
        assert_eq!(sum.completed(10), Some(0));
    }

    #[test]
    fn a_step_that_is_ended_early_leaves_the_rest_to_the_next() {
        let sum = Stepped::<WholeSum>::new(10);
        sum.at(10).add(1);
        assert_eq!(sum.completed(10), Some(1), "step 10 is not over yet");
        sum.at(10).add(2);
        assert_eq!(sum.total(10), 3);
        sum.at(11).add(4);
        assert_eq!(sum.completed(11), Some(6));
    }

    #[test]
    fn a_recording_with_an_old_time_counts_for_the_current_step() {
        let sum = Stepped::<WholeSum>::new(1000);
        sum.at(1000).add(1);
        sum.at(995).add(2);
        assert_eq!(sum.completed(1000), Some(3));
    }

    #[test]
    fn a_clock_that_is_set_back_loses_nothing() {
        let sum = Stepped::<WholeSum>::new(1000);
        sum.at(1000).add(1);
        sum.at(10).add(2);
        assert_eq!(sum.completed(10), Some(3));
        assert_eq!(sum.total(11), 3);
    }

    #[test]
    fn threads_lose_nothing_and_count_nothing_twice() {
        let sum = Stepped::<WholeSum>::new(0);
        let seen = std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..200_000 {
                        sum.at(i / 1000).add(1);
                    }
                });
            }
            // Threads are in different steps at times, as if their clocks differed; the total must not fall.
            let mut last = 0;
            while last < 800_000 {
                let total = sum.total(sum.last_active());
                assert!(total >= last, "{total} after {last}");
                last = total;
            }
            last
        });
        assert_eq!(seen, 800_000);
    }

    #[test]
    fn real_sums_add_under_contention() {
        let sum = RealSum::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50_000).for_each(|_| sum.add(0.5)));
            }
        });
        assert_eq!(sum.take(), 100_000.0);
        assert_eq!(sum.take(), 0.0);
    }

    #[test]
    fn steps_are_of_a_millisecond_to_a_day() {
        let clock = Arc::new(crate::clock::ManualClock::new(-1));
        for (step, fits) in [
            (0, false),
            (1, true),
            (86_400_000, true),
            (86_400_001, false),
        ] {
            let steps = Steps::new(clock.clone(), Duration::from_millis(step));
            assert_eq!(steps.is_ok(), fits, "{step}");
        }
        let steps = Steps::new(clock, Duration::from_secs(60)).expect("a minute fits");
        assert_eq!(steps.current(), -1);
        assert_eq!(steps.end_millis(-1), 0);
    }

    proptest! {
        #[test]
        fn the_maximum_is_that_of_all_values(values in proptest::collection::vec(-1e300f64..1e300, 0..20)) {
            let max = RealMax::default();
            values.iter().for_each(|value| max.offer(*value));
            let expected = values.iter().copied().reduce(f64::max);
            prop_assert_eq!(max.take(), expected);
            prop_assert_eq!(max.take(), None);
        }

        #[test]
        fn what_is_recorded_appears_once(
            recordings in proptest::collection::vec((0i64..3, 1u64..100, any::<bool>()), 0..50),
        ) {
            let sum = Stepped::<WholeSum>::new(0);
            let mut now = 0;
            let mut expected = std::collections::BTreeMap::<i64, u64>::new();
            for (later, amount, ask) in recordings {
                now += later;
                sum.at(now).add(amount);
                *expected.entry(now).or_default() += amount;
                if ask {
                    // None: a step was left out, so that a later one has taken its place.
                    let before = sum.completed(now - 1);
                    let amount = expected.get(&(now - 1)).copied().unwrap_or(0);
                    prop_assert_eq!(before, (now > 0).then_some(amount));
                }
            }
            prop_assert_eq!(sum.total(now), expected.values().sum::<u64>());
        }
    }
}
