//! The mean of the last values.

use serde::{Deserialize, Serialize};

use super::{Machine, RollingSum};
use crate::error::StackError;

/// The mean of those of the last so many values that are there, if enough are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RollingMean {
    sum: RollingSum,
    least: usize,
}

impl RollingMean {
    /// A mean over this many values, of which at least so many have to be there.
    ///
    /// # Errors
    /// When the window is not between 1 and 86,400, or the least number of values not between 1 and the window.
    pub fn new(n: i32, least: i32) -> Result<Self, StackError> {
        let sum = RollingSum::new(n)?;
        if least < 1 {
            return Err(StackError::requirement(
                "minimum number of values must be >= 1",
            ));
        }
        let least = least as usize;
        if least > sum.size() {
            return Err(StackError::requirement(
                "minimum number of values must be <= window size",
            ));
        }
        Ok(Self { sum, least })
    }
}

impl Machine for RollingMean {
    fn run(&mut self, values: &mut [f64]) {
        let least = self.least;
        self.sum.run_with(values, |sum, present| {
            if present >= least {
                // A window is short enough for 32 bits, from which the conversion is cheaper.
                sum / f64::from(present as u32)
            } else {
                f64::NAN
            }
        });
    }

    fn is_empty(&self) -> bool {
        self.sum.is_empty()
    }

    fn pass(&mut self, gaps: u64) {
        self.sum.pass(gaps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    #[test]
    fn enough_values_have_to_be_there() {
        let nan = f64::NAN;
        let mut mean = RollingMean::new(3, 2).expect("in range");
        let input = [0.0, 1.0, -1.0, nan, nan, 0.0, 1.0, 1.0];
        let means = input.map(|v| format!("{:.3}", mean.next(v)));
        assert_eq!(
            means,
            [
                "NaN", "0.500", "0.000", "0.000", "NaN", "NaN", "0.500", "0.667"
            ]
        );
    }

    #[test]
    fn the_least_number_lies_within_the_window() {
        let error = |n, least| RollingMean::new(n, least).expect_err("refused").to_string();
        assert_eq!(
            error(3, 0),
            "IllegalArgumentException: requirement failed: minimum number of values must be >= 1"
        );
        assert_eq!(
            error(3, 4),
            "IllegalArgumentException: requirement failed: minimum number of values must be <= window size"
        );
        assert_eq!(
            error(0, 0),
            "IllegalArgumentException: requirement failed: window size must be between 1 and 86400: 0"
        );
    }

    proptest! {
        #[test]
        fn it_averages_as_a_window_does(n in 1usize..20, part in 0.0f64..1.0, values in values(0..80)) {
            let least = 1 + (part * (n - 1) as f64) as usize;
            let mut mean = RollingMean::new(n as i32, least as i32).expect("in range");
            for i in 0..values.len() {
                let window = &values[(i + 1).saturating_sub(n)..=i];
                let there: Vec<f64> = window.iter().copied().filter(|v| !v.is_nan()).collect();
                let got = mean.next(values[i]);
                if there.len() < least {
                    prop_assert!(got.is_nan());
                } else {
                    let want = there.iter().sum::<f64>() / there.len() as f64;
                    prop_assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()));
                }
                mean = written_out(&mean);
            }
        }
    }
}
