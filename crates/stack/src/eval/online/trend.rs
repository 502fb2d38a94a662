//! The mean of the last values, where a gap counts as zero.

use serde::{Deserialize, Serialize};

use super::{Machine, exact, window::Window};
use crate::error::StackError;

/// The sum of the last so many values divided by their number, gaps counted as zeros; NaN before there were as many, and when all are
/// gaps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trend {
    window: Window,
    #[serde(with = "exact")]
    sum: f64,
    /// Datapoints so far, up to the size of the window.
    seen: usize,
}

impl Trend {
    /// A mean over this many datapoints.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn new(n: i32) -> Result<Self, StackError> {
        Ok(Self {
            window: Window::new(n)?,
            sum: 0.0,
            seen: 0,
        })
    }
}

impl Machine for Trend {
    fn run(&mut self, values: &mut [f64]) {
        let size = self.window.size();
        let (mut sum, mut seen) = (self.sum, self.seen);
        self.window.run(values, |_, gone, v, present| {
            sum -= if gone.is_nan() { 0.0 } else { gone };
            sum += if v.is_nan() { 0.0 } else { v };
            sum = if present == 0 { 0.0 } else { sum };
            seen = size.min(seen + 1);
            if seen < size || present == 0 {
                f64::NAN
            } else {
                sum / size as f64
            }
        });
        (self.sum, self.seen) = (sum, seen);
    }

    fn is_empty(&self) -> bool {
        self.window.present() == 0
    }

    fn pass(&mut self, gaps: u64) {
        self.window.pass(gaps);
        self.seen = gaps.min(self.window.size() as u64) as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    #[test]
    fn a_gap_counts_as_zero() {
        let nan = f64::NAN;
        let mut trend = Trend::new(2).expect("in range");
        let input = [0.0, 1.0, -1.0, nan, 0.0, 1.0, nan, nan];
        let means = input.map(|v| trend.next(v).to_string());
        assert_eq!(means, ["NaN", "0.5", "0", "-0.5", "0", "0.5", "0.5", "NaN"]);
    }

    proptest! {
        #[test]
        fn it_averages_as_a_window_does(n in 1usize..20, values in values(0..80)) {
            let mut trend = Trend::new(n as i32).expect("in range");
            for i in 0..values.len() {
                let window = &values[(i + 1).saturating_sub(n)..=i];
                let there = window.iter().filter(|v| !v.is_nan());
                let got = trend.next(values[i]);
                if window.len() < n || there.clone().count() == 0 {
                    prop_assert!(got.is_nan());
                } else {
                    let want = there.sum::<f64>() / n as f64;
                    prop_assert!((got - want).abs() <= 1e-9 * (1.0 + want.abs()));
                }
                trend = written_out(&trend);
            }
        }
    }
}
