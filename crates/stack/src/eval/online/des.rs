//! Double exponential smoothing: a prediction from the level of the values before and their trend.

use serde::{Deserialize, Serialize};

use super::{Machine, exact};

/// Double exponential smoothing. What it gives for a time is known before the value of that time is.
///
/// With the first value y: level s = y and trend b = 0. With each further one: s' = α·y + (1 − α)·(s + b) and
/// b' = β·(s' − s) + (1 − β)·b. The prediction is the level alone, as in Atlas.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Des {
    training: i32,
    #[serde(with = "exact")]
    alpha: f64,
    #[serde(with = "exact")]
    beta: f64,
    /// How many values there were, gaps left out.
    samples: i32,
    #[serde(with = "exact")]
    level: f64,
    #[serde(with = "exact")]
    trend: f64,
}

impl Des {
    /// Smoothing that predicts after so many values, which weigh by α for the level and by β for the trend.
    pub fn new(training: i32, alpha: f64, beta: f64) -> Self {
        Self {
            training,
            alpha,
            beta,
            samples: 0,
            level: f64::NAN,
            trend: f64::NAN,
        }
    }

    /// Forgets all values.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.training, self.alpha, self.beta);
    }
}

impl Machine for Des {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        let predicted = if self.samples >= self.training {
            self.level
        } else {
            f64::NAN
        };
        let (alpha, beta) = (self.alpha, self.beta);
        let (old_level, old_trend) = (self.level, self.trend);
        let level = alpha * v + (1.0 - alpha) * (old_level + old_trend);
        let trend = beta * (level - old_level) + (1.0 - beta) * old_trend;
        let is_first = self.samples == 0;
        let (level, trend) = (
            if is_first { v } else { level },
            if is_first { 0.0 } else { trend },
        );
        let is_gap = v.is_nan();
        self.level = if is_gap { old_level } else { level };
        self.trend = if is_gap { old_trend } else { trend };
        self.samples = self.samples.saturating_add(i32::from(!is_gap));
        predicted
    }

    fn is_empty(&self) -> bool {
        self.samples == 0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    /// The predictions for each of the values, computed from all values before.
    pub fn naive(training: i32, alpha: f64, beta: f64, values: &[f64]) -> Vec<f64> {
        let predicted_from = |before: &[f64]| {
            let there: Vec<f64> = before.iter().copied().filter(|v| !v.is_nan()).collect();
            let (mut s, mut b) = (f64::NAN, f64::NAN);
            for (i, y) in there.iter().enumerate() {
                let before = s;
                (s, b) = match i {
                    0 => (*y, 0.0),
                    _ => {
                        let s = alpha * y + (1.0 - alpha) * (s + b);
                        (s, beta * (s - before) + (1.0 - beta) * b)
                    }
                };
            }
            if there.len() as i64 >= i64::from(training) {
                s
            } else {
                f64::NAN
            }
        };
        (0..values.len())
            .map(|i| predicted_from(&values[..i]))
            .collect()
    }

    #[test]
    fn the_level_before_is_the_prediction() {
        let mut des = Des::new(2, 0.5, 0.5);
        let input = [1.0, f64::NAN, 3.0, 5.0, f64::NAN, 7.0];
        let predicted = input.map(|v| des.next(v).to_string());
        assert_eq!(predicted, ["NaN", "NaN", "NaN", "2", "3.75", "3.75"]);
    }

    proptest! {
        #[test]
        fn it_predicts_as_the_formula_says(
            training in -2i32..8,
            alpha in 0.0f64..=1.0,
            beta in 0.0f64..=1.0,
            values in values(0..40),
        ) {
            let want = naive(training, alpha, beta, &values);
            let mut des = Des::new(training, alpha, beta);
            for (v, want) in values.iter().zip(want) {
                prop_assert_eq!(des.next(*v).to_bits(), want.to_bits());
                des = written_out(&des);
            }
        }
    }
}
