//! When which time is evaluated.

use std::time::Duration;

use hesper_model::{Step, Timestamp};

/// How long after the end of the step that follows T its evaluation waits. (Clients send a step's values within the next one.)
pub const GRACE_MILLIS: i64 = 1000;

/// The most times that are caught up with; of more only the last so many are evaluated.
pub const MAX_CATCH_UP_STEPS: i64 = 120;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Evaluate this time.
    Evaluate(Timestamp),
    /// Pass over the times up to this one, without evaluating them.
    SkipUntil(Timestamp),
    /// Nothing is due for so long, unless the clock is changed.
    Wait(Duration),
}

/// The last time that is complete: T + step + [`GRACE_MILLIS`] has passed.
pub fn last_due(now: Timestamp, step: Step) -> Timestamp {
    now.plus_millis(-GRACE_MILLIS - step.millis()).floor(step)
}

/// What is to be done now, if `evaluated` is the last time that was. At the very first start the last complete time comes first.
pub fn next(evaluated: Option<Timestamp>, now: Timestamp, step: Step) -> Next {
    let due = last_due(now, step);
    let Some(evaluated) = evaluated else {
        return Next::Evaluate(due);
    };
    // The step may have been another when it was written.
    let at = evaluated.floor(step).plus_millis(step.millis());
    if at > due {
        let until = at.millis() + step.millis() + GRACE_MILLIS - now.millis();
        // A clock that is set forward has to be noticed.
        let wait = until.clamp(1, step.millis());
        return Next::Wait(Duration::from_millis(wait.unsigned_abs()));
    }
    let first = due.plus_millis(-(MAX_CATCH_UP_STEPS - 1) * step.millis());
    if at < first {
        return Next::SkipUntil(first.plus_millis(-step.millis()));
    }
    Next::Evaluate(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Step = Step::from_secs(60);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_time_is_due_one_step_and_a_second_later() {
        assert_eq!(last_due(at(180), MINUTE), at(60));
        assert_eq!(last_due(at(181), MINUTE), at(120));
        let evaluated = Some(at(60));
        assert_eq!(
            next(evaluated, at(180), MINUTE),
            Next::Wait(Duration::from_secs(1))
        );
        assert_eq!(next(evaluated, at(181), MINUTE), Next::Evaluate(at(120)));
        assert_eq!(next(None, at(200), MINUTE), Next::Evaluate(at(120)));
    }

    #[test]
    fn missed_times_are_caught_up_with_but_not_all() {
        let now = at(1_000 * 60 + 61);
        let evaluated = |minute: i64| Some(at(minute * 60));
        assert_eq!(
            next(evaluated(998), now, MINUTE),
            Next::Evaluate(at(999 * 60))
        );
        assert_eq!(
            next(evaluated(880), now, MINUTE),
            Next::Evaluate(at(881 * 60))
        );
        assert_eq!(
            next(evaluated(879), now, MINUTE),
            Next::SkipUntil(at(880 * 60))
        );
        assert_eq!(
            next(evaluated(5), now, MINUTE),
            Next::SkipUntil(at(880 * 60))
        );
    }

    #[test]
    fn a_clock_that_goes_back_makes_it_wait() {
        assert_eq!(
            next(Some(at(6000)), at(60), MINUTE),
            Next::Wait(Duration::from_secs(60))
        );
    }

    proptest! {
        #[test]
        fn every_time_is_evaluated_once_and_none_too_early(
            start in 0i64..1_000_000,
            pauses in prop::collection::vec(0i64..400_000, 1..50),
        ) {
            let (mut now, mut evaluated) = (start, None::<Timestamp>);
            for pause in pauses {
                now += pause;
                loop {
                    match next(evaluated, Timestamp(now), MINUTE) {
                        Next::Wait(_) => break,
                        Next::SkipUntil(_) => prop_assert!(false, "no pause is that long"),
                        Next::Evaluate(at) => {
                            prop_assert!(at.millis() + 61_000 <= now);
                            let before = evaluated.replace(at);
                            prop_assert!(before.is_none_or(|b| b.plus_millis(60_000) == at));
                        }
                    }
                }
                let last = evaluated.expect("one is always due");
                prop_assert!(now < last.millis() + 60_000 + 61_000);
            }
        }
    }
}
