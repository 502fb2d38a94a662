//! The sum of the last values.

use hesper_model::aggregate::add_nan;
use serde::{Deserialize, Serialize};

use super::{exact, window::Window};
use crate::error::StackError;

/// Sums the last so many values, gaps left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RollingSum {
    window: Window,
    /// Of the values in the window, kept up by what comes and goes.
    #[serde(with = "exact")]
    sum: f64,
}

/// The sum is made anew when its exponent moves by as much: what comes or goes is then so much larger or smaller than the rest that
/// digits were lost.
const EXPONENT_MOVES: i32 = 15;

impl RollingSum {
    /// A sum of this many values.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn new(n: i32) -> Result<Self, StackError> {
        let window = Window::new(n)?;
        Ok(Self { window, sum: 0.0 })
    }

    /// Takes a value and gives the sum with it; NaN when all of the window are gaps.
    #[inline]
    pub fn next(&mut self, v: f64) -> f64 {
        self.push(v);
        if self.window.present() > 0 {
            self.sum
        } else {
            f64::NAN
        }
    }

    /// True when all of the window are gaps.
    pub fn is_empty(&self) -> bool {
        self.window.present() == 0
    }

    /// Lets gaps pass before the first value.
    pub(super) fn pass(&mut self, gaps: u64) {
        self.window.pass(gaps);
    }

    /// Takes a value.
    #[inline]
    pub(super) fn push(&mut self, v: f64) {
        let gone = self.window.push(v);
        match (gone.is_nan(), v.is_nan()) {
            (false, false) => self.change_by(-gone + v),
            (false, true) => self.change_by(-gone),
            (true, false) => self.change_by(v),
            (true, true) => {}
        }
        if self.window.present() == 0 {
            self.sum = 0.0;
        }
    }

    /// The sum, if there is any value, and how many there are.
    #[inline]
    pub(super) fn sum_and_count(&self) -> (f64, usize) {
        (self.sum, self.window.present())
    }

    /// How many values the window spans.
    pub(super) fn size(&self) -> usize {
        self.window.size()
    }

    #[inline]
    fn change_by(&mut self, delta: f64) {
        let sum = add_nan(self.sum, delta);
        let moved = (exponent(self.sum) - exponent(sum)).abs();
        self.sum = if moved < EXPONENT_MOVES {
            sum
        } else {
            self.window.sum()
        };
    }
}

/// The exponent of a number to the base of two; 0 for zero.
#[inline]
fn exponent(v: f64) -> i32 {
    const BIAS: i32 = 1023;
    match (v.to_bits() >> 52 & 0x7FF) as i32 {
        0 => 0,
        biased => biased - BIAS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    #[test]
    fn gaps_do_not_count() {
        let nan = f64::NAN;
        let mut sum = RollingSum::new(3).expect("in range");
        let input = [0.0, 1.0, -1.0, nan, nan, nan, 1.0, 1.0, 1.0, 0.0];
        let sums = input.map(|v| sum.next(v).to_string());
        assert_eq!(sums, ["0", "1", "0", "0", "-1", "NaN", "1", "2", "3", "2"]);
    }

    #[test]
    fn what_is_small_survives_what_is_large() {
        let mut sum = RollingSum::new(2).expect("in range");
        let sums = [1.0, 1e18, 3.0, 0.25].map(|v| sum.next(v));
        assert_eq!(sums, [1.0, 1e18, 1e18, 3.25]);
    }

    proptest! {
        #[test]
        fn it_sums_as_a_window_does(n in 1usize..20, values in values(0..80)) {
            let mut sum = RollingSum::new(n as i32).expect("in range");
            for i in 0..values.len() {
                let there = values[(i + 1).saturating_sub(n)..=i].iter().filter(|v| !v.is_nan());
                let want = there.copied().reduce(|a, b| a + b);
                let got = sum.next(values[i]);
                match want {
                    None => prop_assert!(got.is_nan()),
                    Some(want) => prop_assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs())),
                }
                prop_assert_eq!(sum.is_empty(), want.is_none());
                sum = written_out(&sum);
            }
        }
    }
}
