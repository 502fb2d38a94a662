//! Divisors: what makes whole numbers of a block's values.
//!
//! A rate is a count divided by the step and so is no short decimal; multiplied by the step it is a small whole number. A divisor is tried
//! on the values themselves: it fits only when the division gives every value back to the bit.

use hesper_model::Step;

use super::division::Divisor;
use super::planes::Lanes;
use super::whole;
use crate::fold::{Work, run_widest};

/// Divisors that can be named in a block.
pub const MAX_DIVISORS: usize = 6;

/// The largest whole numbers, 2^51: so far they are found by [`nearest_whole`].
const MAX_WHOLE: f64 = 2_251_799_813_685_248.0;

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
        let mut found = None;
        run_widest(Search {
            values,
            divisors: self,
            found: &mut found,
        });
        found
    }

    /// The divisor of a number; numbers beyond [`MAX_DIVISORS`] were refused when the block was read.
    pub fn get(&self, number: u8) -> f64 {
        self.0[usize::from(number) % MAX_DIVISORS].value()
    }

    /// The lowest and the highest of the whole numbers that the values are when multiplied by the divisor of a number.
    #[inline(always)]
    pub fn whole_range(&self, number: u8, values: &[f64]) -> Option<(i64, i64)> {
        whole_range(values, &self.0[usize::from(number) % MAX_DIVISORS])
    }

    /// Divides whole numbers by the divisor of a number.
    #[inline(always)]
    pub fn divide(&self, number: u8, lanes: &mut Lanes) {
        if number != 0 {
            self.0[usize::from(number) % MAX_DIVISORS].divide(lanes);
        }
    }
}

/// The search for the divisor of values.
struct Search<'a> {
    values: &'a [f64],
    divisors: &'a Divisors,
    found: &'a mut Option<f64>,
}

impl Work for Search<'_> {
    #[inline(always)]
    fn run(self) {
        let fit = whole::estimate(self.values, self.divisors);
        *self.found = fit.map(|fit| self.divisors.get(fit.divisor));
    }
}

/// The whole numbers that the values are when multiplied by a divisor, if each is whole and the division gives it back to the bit: the
/// lowest and the highest of them.
#[inline(always)]
fn whole_range(values: &[f64], divisor: &Divisor) -> Option<(i64, i64)> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let (chunks, rest) = values.as_chunks::<8>();
    let mut padded = [rest.first().copied().unwrap_or_default(); 8];
    padded[..rest.len()].copy_from_slice(rest);
    let rest = (!rest.is_empty()).then_some(&padded);
    for chunk in chunks.iter().chain(rest) {
        let whole = chunk.map(|v| nearest_whole(v * divisor.value()));
        let mut back = whole;
        divisor.divide(&mut back);
        let mut same = true;
        for (b, v) in back.iter().zip(chunk) {
            // −0.0 is no whole number: its whole number is 0.0.
            same &= b.to_bits() == v.to_bits() && !v.is_nan();
        }
        if !same {
            return None;
        }
        for n in whole {
            low = low.min(n);
            high = high.max(n);
        }
    }
    (low >= -MAX_WHOLE && high <= MAX_WHOLE && low <= high).then_some((low as i64, high as i64))
}

/// Among doubles of this size the whole numbers are all there are: what is added to it is rounded to one.
const SHIFT: f64 = 6_755_399_441_055_744.0;

/// The whole number nearest to one below [`MAX_WHOLE`]; of others, and of NaN, anything.
#[inline(always)]
pub fn nearest_whole(x: f64) -> f64 {
    (x + SHIFT) - SHIFT
}

/// The same as an integer. Without a conversion, of which older processors have none for vectors.
#[inline(always)]
pub fn nearest_integer(x: f64) -> i64 {
    let bits = (x + SHIFT).to_bits() as i64;
    bits.wrapping_sub(SHIFT.to_bits() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_those_nearest() {
        let far = (1i64 << 51) as f64;
        for n in [0.0, 1.0, -1.0, 7.0, -1e9, 123_456_789_012_345.0, far, -far] {
            assert_eq!(nearest_integer(n), n as i64);
            assert_eq!(nearest_whole(n), n);
        }
        assert_eq!(nearest_integer(2.999_999_999), 3);
        assert_eq!(nearest_integer(-2.000_000_001), -2);
    }
}
