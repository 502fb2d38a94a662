//! Days: the parts of time in which files are merged, rolled up and expire.
//!
//! A window belongs to the day, in UTC, in which it begins. With a step that divides a day into whole windows, a day is the slots from
//! one past its midnight to the next midnight.

use hesper_model::{BLOCK_SLOTS, Slot, Step, TimeRange, Timestamp, Window};

use crate::HistoryError;

/// Milliseconds of a day.
pub const DAY_MILLIS: i64 = 24 * 3600 * 1000;

/// A number of days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day that a window belongs to.
    pub fn of(window: Window, step: Step) -> Self {
        let begins = window.0 * window_millis(step);
        Self(begins.div_euclid(DAY_MILLIS))
    }

    /// The windows of the day.
    pub fn windows(self, step: Step) -> std::ops::Range<i64> {
        let first = |day: i64| {
            let begins = day * DAY_MILLIS;
            // The first window that does not begin before the day.
            -((-begins).div_euclid(window_millis(step)))
        };
        first(self.0)..first(self.0 + 1)
    }

    /// The slots of the day.
    pub fn range(self, step: Step) -> TimeRange {
        let windows = self.windows(step);
        TimeRange {
            first: Window(windows.start).first_slot(),
            last: Slot(windows.end * BLOCK_SLOTS as i64),
        }
    }

    /// When the day is over.
    pub fn end(self) -> Timestamp {
        Timestamp((self.0 + 1) * DAY_MILLIS)
    }
}

fn window_millis(step: Step) -> i64 {
    step.millis() * BLOCK_SLOTS as i64
}

/// The number of slots in a cell of so many milliseconds.
///
/// # Errors
/// When slots don't fill the cells, or windows and cells not the days.
pub fn cell_slots(cell_millis: i64, step: Step) -> Result<u32, HistoryError> {
    let fits = cell_millis > step.millis()
        && cell_millis % step.millis() == 0
        && DAY_MILLIS % cell_millis == 0
        && DAY_MILLIS % window_millis(step) == 0;
    if !fits {
        let (cell, step) = (cell_millis / 1000, step.seconds());
        return Err(HistoryError::Policy {
            what: format!(
                "a roll-up of {cell} s cannot be made of a step of {step} s: the step has to divide the roll-up, and the roll-up \
                 and sixty steps a day; choose another resolution or none"
            ),
        });
    }
    Ok((cell_millis / step.millis()) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_runs_from_one_past_midnight_to_midnight() {
        let minute = Step::from_secs(60);
        let range = Day(1).range(minute);
        assert_eq!((range.first, range.last), (Slot(1441), Slot(2880)));
        assert_eq!(Day(1).windows(minute), 24..48);
        assert_eq!(Day::of(Window(24), minute), Day(1));
        assert_eq!(Day::of(Window(47), minute), Day(1));
        assert_eq!(Day::of(Window(-1), minute), Day(-1));
        let second = Step::from_secs(1);
        assert_eq!(Day(2).windows(second), 2880..4320);
        assert_eq!(Day(0).end(), Timestamp(DAY_MILLIS));
    }

    #[test]
    fn every_window_is_of_one_day_whatever_the_step() {
        for seconds in [1, 7, 13, 25, 60] {
            let step = Step::from_secs(seconds);
            for day in -2..3 {
                let windows = Day(day).windows(step);
                assert_eq!(windows.end, Day(day + 1).windows(step).start);
                for window in windows {
                    assert_eq!(Day::of(Window(window), step), Day(day), "{seconds} s");
                }
            }
        }
    }

    #[test]
    fn roll_ups_need_a_step_that_fits() {
        assert_eq!(cell_slots(300_000, Step::from_secs(60)).ok(), Some(5));
        assert_eq!(cell_slots(3_600_000, Step::from_secs(1)).ok(), Some(3600));
        for seconds in [7, 25, 50] {
            assert!(cell_slots(300_000, Step::from_secs(seconds)).is_err());
        }
        assert!(cell_slots(60_000, Step::from_secs(60)).is_err());
    }
}
