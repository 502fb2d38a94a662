//! The lowest or the highest of the last values.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Machine, exact, window::window_size};
use crate::error::StackError;

/// The lowest, or the highest, of the last so many values, gaps left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RollingExtreme {
    highest: bool,
    size: u64,
    /// The number of the next value.
    next: u64,
    /// The values that are, or will yet be, the extreme: each more extreme than those that came after it.
    candidates: VecDeque<Candidate>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Candidate {
    number: u64,
    #[serde(with = "exact")]
    value: f64,
}

impl RollingExtreme {
    /// The lowest of this many values.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn min(n: i32) -> Result<Self, StackError> {
        Self::new(n, false)
    }

    /// The highest of this many values.
    ///
    /// # Errors
    /// When it is not between 1 and 86,400.
    pub fn max(n: i32) -> Result<Self, StackError> {
        Self::new(n, true)
    }

    fn new(n: i32, highest: bool) -> Result<Self, StackError> {
        Ok(Self {
            highest,
            size: window_size(n)? as u64,
            next: 0,
            candidates: VecDeque::new(),
        })
    }
}

impl Machine for RollingExtreme {
    #[inline]
    fn next(&mut self, v: f64) -> f64 {
        let (number, size, highest) = (self.next, self.size, self.highest);
        self.next += 1;
        if self
            .candidates
            .front()
            .is_some_and(|c| c.number + size <= number)
        {
            self.candidates.pop_front();
        }
        if !v.is_nan() {
            let surpassed = |c: &mut Candidate| {
                if highest { c.value <= v } else { c.value >= v }
            };
            while self.candidates.pop_back_if(surpassed).is_some() {}
            self.candidates.push_back(Candidate { number, value: v });
        }
        self.candidates.front().map_or(f64::NAN, |c| c.value)
    }

    fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::online::testing::{values, written_out};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_the_window_finds(n in 1usize..20, values in values(0..80)) {
            let mut min = RollingExtreme::min(n as i32).expect("in range");
            let mut max = RollingExtreme::max(n as i32).expect("in range");
            for i in 0..values.len() {
                let window = &values[(i + 1).saturating_sub(n)..=i];
                let there = || window.iter().copied().filter(|v| !v.is_nan());
                let want = there().reduce(f64::min).unwrap_or(f64::NAN);
                let got = min.next(values[i]);
                prop_assert!(got == want || (got.is_nan() && want.is_nan()));
                let want = there().reduce(f64::max).unwrap_or(f64::NAN);
                let got = max.next(values[i]);
                prop_assert!(got == want || (got.is_nan() && want.is_nan()));
                prop_assert_eq!(max.is_empty(), want.is_nan());
                (min, max) = (written_out(&min), written_out(&max));
            }
        }
    }
}
