//! The change from one value to the next.

use serde::{Deserialize, Serialize};

use super::{Machine, exact};

/// Each value less the one before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Derivative {
    #[serde(with = "exact")]
    before: f64,
}

impl Derivative {
    /// Before the first value.
    pub fn new() -> Self {
        Self { before: f64::NAN }
    }
}

impl Machine for Derivative {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        v - std::mem::replace(&mut self.before, v)
    }

    fn is_empty(&self) -> bool {
        self.before.is_nan()
    }
}

impl Default for Derivative {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::written_out;

    #[test]
    fn a_gap_makes_two() {
        let mut machine = Derivative::new();
        let changes = [1.0, 3.0, f64::NAN, 4.0, 3.5].map(|v| {
            let change = machine.next(v).to_string();
            machine = written_out(&machine);
            change
        });
        assert_eq!(changes, ["NaN", "2", "NaN", "NaN", "-0.5"]);
        machine.next(f64::NAN);
        assert!(machine.is_empty());
    }
}
