//! Time: timestamps, the step of a store, the slots it divides time into, and the windows of sixty slots.
//!
//! A datapoint at time T covers (T − step, T]: a timestamp names the **end** of its interval. Slot n ends at n × step. Window w
//! holds the slots 60w + 1 … 60w + 60, so that at a step of one minute it covers …:01 to …:00, as an Atlas block of an hour does.

use std::fmt;

use crate::block::BLOCK_SLOTS;

/// A point in time: milliseconds since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// A time given in seconds since the epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs * 1000)
    }

    /// Milliseconds since the epoch.
    #[inline]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time so many milliseconds later (or earlier).
    #[inline]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The last boundary of `step` that is not after this time; where none can be told in milliseconds any more, the first that can.
    #[inline]
    pub const fn floor(self, step: Step) -> Self {
        match self.0.checked_sub(self.0.rem_euclid(step.0)) {
            Some(millis) => Self(millis),
            None => Self(i64::MIN / step.0 * step.0),
        }
    }

    /// The first boundary of `step` that is not before this time; where none can be told in milliseconds any more, the last that can.
    #[inline]
    pub const fn ceil(self, step: Step) -> Self {
        let behind = self.0.rem_euclid(step.0);
        if behind == 0 {
            return self;
        }
        match self.0.checked_add(step.0 - behind) {
            Some(millis) => Self(millis),
            None => Self(i64::MAX / step.0 * step.0),
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A distance between datapoints: milliseconds, above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step(i64);

impl Step {
    /// A step of so many milliseconds; `None` unless above zero.
    pub const fn from_millis(millis: i64) -> Option<Self> {
        if millis > 0 { Some(Self(millis)) } else { None }
    }

    /// A step of so many seconds.
    ///
    /// # Panics
    /// When `secs` is zero; for literals and values checked before.
    pub const fn from_secs(secs: u32) -> Self {
        assert!(secs > 0, "a step is longer than nothing");
        Self(secs as i64 * 1000)
    }

    /// The step in milliseconds.
    #[inline]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The step in seconds, fractions included.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// How many times `base` fits into this step; `None` when it does not fit evenly.
    pub const fn multiple_of(self, base: Step) -> Option<usize> {
        if self.0 % base.0 == 0 {
            Some((self.0 / base.0) as usize)
        } else {
            None
        }
    }
}

/// The number of a step since the epoch: slot n is the interval that **ends** at n × step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub i64);

impl Slot {
    /// The slot that ends at `time`, or the one before it when `time` is not on a boundary.
    #[inline]
    pub const fn ending_by(time: Timestamp, step: Step) -> Self {
        Self(time.0.div_euclid(step.0))
    }

    /// The end of the slot.
    #[inline]
    pub const fn time(self, step: Step) -> Timestamp {
        Timestamp(self.0 * step.0)
    }

    /// The window the slot lies in.
    #[inline]
    pub const fn window(self) -> Window {
        Window((self.0 - 1).div_euclid(BLOCK_SLOTS as i64))
    }

    /// The place of the slot in its window, 0 … 59.
    #[inline]
    pub const fn position(self) -> usize {
        (self.0 - 1).rem_euclid(BLOCK_SLOTS as i64) as usize
    }
}

/// Sixty slots of time: window w holds the slots 60w + 1 … 60w + 60.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window(pub i64);

impl Window {
    /// The first slot of the window.
    #[inline]
    pub const fn first_slot(self) -> Slot {
        Slot(self.0 * BLOCK_SLOTS as i64 + 1)
    }

    /// The last slot of the window.
    #[inline]
    pub const fn last_slot(self) -> Slot {
        Slot((self.0 + 1) * BLOCK_SLOTS as i64)
    }

    /// The window after this one.
    #[inline]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The slots from `first` to `last`, both included; empty when `last` is before `first`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first slot.
    pub first: Slot,
    /// The last slot.
    pub last: Slot,
}

impl TimeRange {
    /// The slots that end after `start`, and not after `end`.
    pub const fn between(start: Timestamp, end: Timestamp, step: Step) -> Self {
        Self {
            first: Slot(Slot::ending_by(start, step).0 + 1),
            last: Slot::ending_by(end, step),
        }
    }

    /// Number of slots.
    pub const fn len(self) -> usize {
        if self.last.0 < self.first.0 {
            0
        } else {
            (self.last.0 - self.first.0 + 1) as usize
        }
    }

    /// True when the range holds no slot.
    pub const fn is_empty(self) -> bool {
        self.last.0 < self.first.0
    }

    /// The windows that the range touches.
    pub fn windows(self) -> impl DoubleEndedIterator<Item = Window> + Clone {
        let (first, last) = if self.is_empty() {
            (0, -1)
        } else {
            (self.first.window().0, self.last.window().0)
        };
        (first..=last).map(Window)
    }

    /// The positions within `window` that lie in the range, as a half-open interval; empty when they do not meet.
    pub fn positions_in(self, window: Window) -> std::ops::Range<usize> {
        let first = self.first.0.max(window.first_slot().0);
        let last = self.last.0.min(window.last_slot().0);
        if self.is_empty() || last < first {
            return 0..0;
        }
        Slot(first).position()..Slot(last).position() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Step = Step::from_secs(60);

    #[test]
    fn floor_and_ceil_meet_on_boundaries() {
        assert_eq!(Timestamp(120_000).floor(MINUTE), Timestamp(120_000));
        assert_eq!(Timestamp(120_000).ceil(MINUTE), Timestamp(120_000));
        assert_eq!(Timestamp(120_001).ceil(MINUTE), Timestamp(180_000));
        assert_eq!(Timestamp(179_999).floor(MINUTE), Timestamp(120_000));
        assert_eq!(Timestamp(-1).floor(MINUTE), Timestamp(-60_000));
        assert_eq!(Timestamp(-1).ceil(MINUTE), Timestamp(0));
        assert_eq!(Timestamp(-60_001).ceil(MINUTE), Timestamp(-60_000));
    }

    #[test]
    fn there_is_a_boundary_for_every_time() {
        for step in [1, 7, 60_000, i64::MAX - 1, i64::MAX] {
            let step = Step::from_millis(step).expect("above zero");
            for time in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX].map(Timestamp) {
                assert_eq!(time.floor(step).0 % step.0, 0, "{time} by {step:?}");
                assert_eq!(time.ceil(step).0 % step.0, 0, "{time} by {step:?}");
            }
        }
        let first = Timestamp(i64::MIN / 60_000 * 60_000);
        assert_eq!(Timestamp(i64::MIN).floor(MINUTE), first);
        assert_eq!(Timestamp(i64::MIN).ceil(MINUTE), first);
    }

    #[test]
    fn a_window_runs_from_one_past_the_hour_to_the_hour() {
        let at = |minutes: i64| Slot::ending_by(Timestamp(minutes * 60_000), MINUTE);
        assert_eq!(at(1).window(), Window(0));
        assert_eq!(at(60).window(), Window(0));
        assert_eq!(at(61).window(), Window(1));
        assert_eq!(at(0).window(), Window(-1));
        assert_eq!((at(1).position(), at(60).position()), (0, 59));
        assert_eq!(Window(1).first_slot().time(MINUTE), Timestamp(61 * 60_000));
        assert_eq!(Window(1).last_slot(), at(120));
    }

    #[test]
    fn a_range_knows_its_part_of_each_window() {
        let range = TimeRange {
            first: Slot(59),
            last: Slot(122),
        };
        let parts: Vec<_> = range
            .windows()
            .map(|w| (w.0, range.positions_in(w)))
            .collect();
        assert_eq!(parts, [(0, 58..60), (1, 0..60), (2, 0..2)]);
        assert_eq!(range.len(), 64);
        assert_eq!(range.positions_in(Window(7)), 0..0);
    }
}
