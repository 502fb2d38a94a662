//! Division of whole numbers, to the bit what the processor's instruction gives, but by multiplications, of which many fit into its time.
//!
//! The quotient is guessed with the rounded reciprocal; its remainder is exact, since the product with the divisor is taken in two parts of
//! few enough bits; the correction by it is rounded once. That it is rounded as the true quotient: of whole numbers up to 2^53 and a
//! divisor of up to 21 significant bits, a quotient lies never nearer to the middle of two doubles than 2^-22 of their distance (unless on
//! it), and the correction errs by far less.

/// Bits of a divisor, and of the lower part of a guess.
const SHORT: u32 = 21;

/// A divisor.
#[derive(Clone, Copy, Debug)]
pub struct Divisor {
    value: f64,
    reciprocal: f64,
    /// True when it has so few bits that the product with a part of a guess is exact.
    short: bool,
}

impl Divisor {
    /// To divide by a value above zero.
    pub fn new(value: f64) -> Self {
        let below = (1 << (f64::MANTISSA_DIGITS - SHORT)) - 1;
        Self {
            value,
            reciprocal: 1.0 / value,
            short: value.to_bits() & below == 0,
        }
    }

    /// The divisor.
    pub const fn value(&self) -> f64 {
        self.value
    }

    /// Divides whole numbers, none of them above 2^53.
    #[inline(always)]
    pub fn divide(&self, numbers: &mut [f64]) {
        if self.short {
            numbers.iter_mut().for_each(|n| *n = self.quotient(*n));
        } else {
            numbers.iter_mut().for_each(|n| *n /= self.value);
        }
    }

    #[inline(always)]
    fn quotient(&self, n: f64) -> f64 {
        let guess = n * self.reciprocal;
        let high = f64::from_bits(guess.to_bits() & !((1 << SHORT) - 1));
        let low = guess - high;
        let remainder = (n - high * self.value) - low * self.value;
        guess + remainder * self.reciprocal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn divisors() -> impl Strategy<Value = f64> {
        prop_oneof![
            prop::sample::select(vec![1.0, 5.0, 10.0, 60.0, 100.0, 1e3, 1e6, 0.25, 1.5, 0.1]),
            (1u32..2_000_000).prop_map(f64::from),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn quotients_are_those_of_the_processor(n in -(1i64 << 53)..=1 << 53, shift in 0u32..53, by in divisors()) {
            let mut number = [(n >> shift) as f64];
            let want = number[0] / by;
            Divisor::new(by).divide(&mut number);
            prop_assert_eq!(number[0].to_bits(), want.to_bits(), "{} / {}", n >> shift, by);
        }
    }

    #[test]
    fn quotients_of_small_numbers_are_those_of_the_processor() {
        for by in [60.0, 10.0, 1e6, 7.0, 1.5, 2_097_151.0] {
            let divisor = Divisor::new(by);
            for n in -70_000..70_000 {
                let mut number = [f64::from(n)];
                divisor.divide(&mut number);
                assert_eq!(
                    number[0].to_bits(),
                    (f64::from(n) / by).to_bits(),
                    "{n} / {by}"
                );
            }
        }
    }
}
