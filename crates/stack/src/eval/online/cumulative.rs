//! What has come together since the start of a range: the sum, and the highest value.

use hesper_model::aggregate::{add_nan, max_nan};
use serde::{Deserialize, Serialize};

use super::{Machine, exact};

/// The sum of all values so far, gaps left out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Integral {
    #[serde(with = "exact")]
    sum: f64,
}

impl Integral {
    /// The sum of nothing.
    pub fn new() -> Self {
        Self { sum: f64::NAN }
    }
}

impl Machine for Integral {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        self.sum = add_nan(self.sum, v);
        self.sum
    }

    fn is_empty(&self) -> bool {
        self.sum.is_nan()
    }
}

impl Default for Integral {
    fn default() -> Self {
        Self::new()
    }
}

/// The highest of all values so far, gaps left out.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct CumulativeMax {
    #[serde(with = "exact")]
    highest: f64,
}

impl CumulativeMax {
    /// The highest of nothing.
    pub fn new() -> Self {
        Self { highest: f64::NAN }
    }
}

impl Machine for CumulativeMax {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        self.highest = max_nan(self.highest, v);
        self.highest
    }

    fn is_empty(&self) -> bool {
        self.highest.is_nan()
    }
}

impl Default for CumulativeMax {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_values_so_far_count(values in values(0..40)) {
            let (mut integral, mut max) = (Integral::new(), CumulativeMax::new());
            for i in 0..values.len() {
                let there = values[..=i].iter().copied().filter(|v| !v.is_nan());
                let sum = there.clone().reduce(|a, b| a + b).unwrap_or(f64::NAN);
                prop_assert_eq!(integral.next(values[i]).to_bits(), sum.to_bits());
                let highest = there.reduce(f64::max).unwrap_or(f64::NAN);
                let got = max.next(values[i]);
                prop_assert!(got == highest || (got.is_nan() && highest.is_nan()));
                prop_assert_eq!((integral.is_empty(), max.is_empty()), (sum.is_nan(), sum.is_nan()));
                (integral, max) = (written_out(&integral), written_out(&max));
            }
        }
    }
}
