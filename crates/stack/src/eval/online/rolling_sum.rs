//! The sum of the last values.

use std::cell::Cell;
use std::ops::Range;

use hesper_model::aggregate::add_nan;
use serde::{Deserialize, Serialize};

use super::window::{Window, sum};
use super::{Machine, exact};
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

    /// How many values the window spans.
    pub(super) fn size(&self) -> usize {
        self.window.size()
    }

    /// Takes the next values and puts in their place what `f` makes of the sum and the number of those in the window that are there.
    #[inline]
    pub(super) fn run_with(&mut self, values: &mut [f64], f: impl Fn(f64, usize) -> f64) {
        let mut sum = Sum::of(self.sum);
        self.window.run(values, |ring, gone, v, present| {
            sum = sum.changed(ring, gone, v, present);
            f(sum.value, present)
        });
        self.sum = sum.value;
    }
}

impl Machine for RollingSum {
    fn run(&mut self, values: &mut [f64]) {
        self.run_with(
            values,
            |sum, present| {
                if present > 0 { sum } else { f64::NAN }
            },
        );
    }

    fn is_empty(&self) -> bool {
        self.window.present() == 0
    }

    fn pass(&mut self, gaps: u64) {
        self.window.pass(gaps);
    }
}

/// A sum and its exponent, which that of the next is compared with.
#[derive(Clone, Copy)]
struct Sum {
    value: f64,
    exponent: i32,
}

impl Sum {
    fn of(value: f64) -> Self {
        let exponent = match biased_exponent(value) {
            // Of zero.
            0 => BIAS,
            exponent => exponent,
        };
        Self { value, exponent }
    }

    /// The sum after one value left the ring and another came.
    #[inline]
    fn changed(self, ring: &[Cell<f64>], gone: f64, v: f64, present: usize) -> Self {
        if present == 0 {
            return Self::of(0.0);
        }
        let or_zero = |v: f64| if v.is_nan() { 0.0 } else { v };
        let change = or_zero(v) - or_zero(gone);
        let value = self.value + change;
        let exponent = biased_exponent(value);
        let is_near = (self.exponent - exponent).abs() < EXPONENT_MOVES;
        if is_near && NORMAL.contains(&exponent) {
            return Self { value, exponent };
        }
        let now = Self::of(add_nan(self.value, change));
        if (self.exponent - now.exponent).abs() < EXPONENT_MOVES {
            now
        } else {
            Self::of(sum(ring))
        }
    }
}

/// What the exponent of a double to the base of two is stored with.
const BIAS: i32 = 1023;

/// The stored exponents of numbers that are neither zero (or next to it) nor infinite nor NaN.
const NORMAL: Range<i32> = 1..2047;

#[inline]
fn biased_exponent(v: f64) -> i32 {
    (v.to_bits() >> 52 & 0x7FF) as i32
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
