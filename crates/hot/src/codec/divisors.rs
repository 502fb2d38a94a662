//! Divisors: what makes whole numbers of a block's values.
//!
//! A rate is a count divided by the step and so is no short decimal; multiplied by the step it is a small whole number. A divisor is tried
//! on the values themselves: it fits only when the division gives every value back to the bit.

use hesper_model::Step;

use super::division::Divisor;
use super::planes::Lanes;
use super::whole;

/// Divisors that can be named in a block.
pub const MAX_DIVISORS: usize = 6;

/// Whole numbers beyond this are not all doubles.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The divisors, by the number that a block stores.
#[derive(Clone, Debug)]
pub struct Divisors([Divisor; MAX_DIVISORS]);

impl Divisors {
    /// One, the step in seconds, and powers of ten.
    pub fn new(step: Step) -> Self {
        Self([1.0, step.seconds(), 10.0, 100.0, 1e3, 1e6].map(Divisor::new))
    }

    /// The divisor that makes all values whole, at the same time close together; `None` when none does.
    pub fn for_values(&self, values: &[f64]) -> Option<f64> {
        whole::estimate(values, self).map(|fit| self.get(fit.divisor))
    }

    /// The divisor of a number; numbers beyond [`MAX_DIVISORS`] were refused when the block was read.
    pub fn get(&self, number: u8) -> f64 {
        self.0[usize::from(number) % MAX_DIVISORS].value()
    }

    /// Divides whole numbers by the divisor of a number.
    #[inline(always)]
    pub fn divide(&self, number: u8, lanes: &mut Lanes) {
        if number != 0 {
            self.0[usize::from(number) % MAX_DIVISORS].divide(lanes);
        }
    }
}

/// The value times the divisor, if it is whole and the division gives the value back to the bit.
#[inline]
pub fn numerator(value: f64, divisor: f64) -> Option<i64> {
    let whole = (value * divisor).round();
    if whole.abs() > MAX_WHOLE {
        return None;
    }
    let whole = whole as i64;
    // Through the integer, so that −0.0 is told from 0.0.
    (whole as f64 / divisor)
        .to_bits()
        .eq(&value.to_bits())
        .then_some(whole)
}
