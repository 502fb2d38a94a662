//! How many of the last datapoints were true.

use serde::{Deserialize, Serialize};

use super::{Machine, window::window_size};
use crate::error::StackError;
use crate::expr::binary::is_true;

/// Counts the true values of the last so many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingCount {
    /// A bit for each of the last values, in a ring.
    bits: Vec<u64>,
    window: usize,
    /// Where the oldest value lies, which the next one replaces.
    at: usize,
    count: usize,
}

impl RollingCount {
    /// A count over this many values.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn new(window: i32) -> Result<Self, StackError> {
        let window = window_size(window)?;
        Ok(Self {
            bits: vec![0; window.div_ceil(64)],
            window,
            at: 0,
            count: 0,
        })
    }
}

impl Machine for RollingCount {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        let (word, bit) = (self.at / 64, 1u64 << (self.at % 64));
        self.count -= usize::from(self.bits[word] & bit != 0);
        self.bits[word] &= !bit;
        if is_true(v) {
            self.bits[word] |= bit;
            self.count += 1;
        }
        self.at += 1;
        if self.at == self.window {
            self.at = 0;
        }
        self.count as f64
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counting_starts_at_once() {
        let mut count = RollingCount::new(3).expect("in range");
        let values = [1.0, 0.0, f64::NAN, 2.0, -1.0, 3.0, 1e-13];
        let counts: Vec<_> = values.iter().map(|v| count.next(*v)).collect();
        assert_eq!(counts, [1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 2.0]);
    }

    #[test]
    fn windows_are_limited() {
        for window in [0, -5, 86_401] {
            let e = RollingCount::new(window).expect_err("out of range");
            assert_eq!(
                e.message(),
                format!("requirement failed: window size must be between 1 and 86400: {window}")
            );
        }
    }

    proptest! {
        #[test]
        fn it_counts_as_a_window_does(window in 1usize..140, values in proptest::collection::vec(0u8..3, 0..300)) {
            let mut count = RollingCount::new(window as i32).expect("in range");
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            for i in 0..values.len() {
                let first = (i + 1).saturating_sub(window);
                let want = values[first..=i].iter().filter(|v| **v != 0.0).count();
                prop_assert_eq!(count.next(values[i]), want as f64);
                if i == values.len() / 2 {
                    let text = serde_json::to_string(&count).expect("plain data");
                    count = serde_json::from_str(&text).expect("just written");
                }
            }
        }
    }
}
