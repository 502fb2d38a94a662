//! Two smoothings that take turns, so that a prediction depends on a limited past.

use serde::{Deserialize, Serialize};

use super::{Des, Machine};
use crate::error::StackError;
use crate::eval::EvalContext;

/// Two [`Des`] that learn from the same values. One of them predicts; after so many datapoints as it takes to train one it forgets
/// everything, and the other takes its place.
///
/// Values before the first time that is a multiple of the training are ignored. The turns are counted from the start of the range all
/// the same, as in Atlas.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SlidingDes {
    /// Datapoints still to be ignored.
    ignored: u64,
    turn: u32,
    /// Datapoints of this turn so far.
    at: u32,
    predicts_first: bool,
    first: Des,
    second: Des,
}

impl SlidingDes {
    /// Smoothing over a range; see [`Des::new`].
    ///
    /// # Errors
    /// When the training is zero, as a division by it.
    pub fn new(
        training: i32,
        alpha: f64,
        beta: f64,
        range: &EvalContext,
    ) -> Result<Self, StackError> {
        let by_zero = || StackError::Arithmetic("/ by zero".to_owned());
        // As in Java, numbers too large wrap around.
        let turn_millis = range.step.millis().wrapping_mul(training.into());
        let start = range.start.millis();
        let late = start.checked_rem(turn_millis).ok_or_else(by_zero)?;
        // Java's division rounds towards zero, and its remainder has the sign of the time.
        let ignored_millis = match late {
            0 => 0,
            late => turn_millis.wrapping_sub(late),
        };
        let des = Des::new(training, alpha, beta);
        Ok(Self {
            ignored: u64::try_from((ignored_millis / range.step.millis()) as i32).unwrap_or(0),
            turn: training.unsigned_abs(),
            at: 0,
            predicts_first: true,
            first: des,
            second: des,
        })
    }
}

impl Machine for SlidingDes {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        let is_ignored = self.ignored > 0;
        self.ignored -= u64::from(is_ignored);
        let v = if is_ignored { f64::NAN } else { v };
        let (first, second) = (self.first.next(v), self.second.next(v));
        let predicted = if self.predicts_first { first } else { second };
        self.at += 1;
        if self.at == self.turn {
            self.at = 0;
            if self.predicts_first {
                self.first.reset();
            } else {
                self.second.reset();
            }
            self.predicts_first = !self.predicts_first;
        }
        predicted
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.second.is_empty()
    }

    fn pass(&mut self, gaps: u64) {
        self.ignored = self.ignored.saturating_sub(gaps);
        let datapoints = u64::from(self.at) + gaps;
        let turns = datapoints / u64::from(self.turn);
        self.at = (datapoints % u64::from(self.turn)) as u32;
        self.predicts_first ^= turns % 2 == 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::des;
    use crate::eval::online::testing::{values, written_out};
    use hesper_model::{Step, Timestamp};
    use proptest::prelude::*;

    fn range(start_minutes: i64) -> EvalContext {
        EvalContext {
            start: Timestamp(start_minutes * 60_000),
            end: Timestamp((start_minutes + 1000) * 60_000),
            step: Step::from_secs(60),
        }
    }

    #[test]
    fn a_training_of_nothing_divides_by_zero() {
        let e = SlidingDes::new(0, 0.1, 0.1, &range(0)).expect_err("refused");
        assert_eq!(e.to_string(), "ArithmeticException: / by zero");
    }

    proptest! {
        #[test]
        fn each_turn_has_learned_from_the_one_before_and_its_own(
            training in 1usize..6,
            start in 0usize..20,
            values in values(0..60),
        ) {
            let mut values = values;
            let aligned = start.next_multiple_of(training) - start;
            let ignored = aligned.min(values.len());
            let mut machine = SlidingDes::new(training as i32, 0.3, 0.2, &range(start as i64)).expect("valid");
            let got: Vec<f64> = values.iter().map(|v| {
                let predicted = machine.next(*v);
                machine = written_out(&machine);
                predicted
            }).collect();
            values[..ignored].fill(f64::NAN);
            for (i, got) in got.into_iter().enumerate() {
                // The one that predicts was reset at the end of its last turn: a turn ago, or never.
                let turn = i / training;
                let learned_from = turn.saturating_sub(1) * training;
                let want = des::tests::naive(training as i32, 0.3, 0.2, &values[learned_from..=i]);
                prop_assert_eq!(got.to_bits(), want[i - learned_from].to_bits(), "at {}", i);
            }
        }

        #[test]
        fn gaps_pass_as_if_they_were_seen(training in 1i32..6, start in 0i64..20, gaps in 0u64..30) {
            let mut seen = SlidingDes::new(training, 0.3, 0.2, &range(start)).expect("valid");
            let mut passed = seen;
            (0..gaps).for_each(|_| { seen.next(f64::NAN); });
            passed.pass(gaps);
            prop_assert_eq!(format!("{seen:?}"), format!("{passed:?}"));
        }
    }
}
