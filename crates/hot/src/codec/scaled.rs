//! Whole numbers over a common divisor: counts, counts divided by the step (rates), decimals.
//!
//! A rate is a count divided by the step and so is no short decimal; multiplied by the step it is a small whole number. The divisor is
//! tried on the values themselves: a block is scaled only when the division gives every value back to the bit.

use bytes::BufMut;
use hesper_model::Step;

use super::{SCALED_8, SCALED_16, SCALED_32, Scale};

/// Divisors that can be named in a block.
pub const MAX_DIVISORS: usize = 6;

/// Whole numbers beyond this are not all doubles.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// The divisors, by the number that a block stores.
#[derive(Clone, Debug)]
pub struct Divisors([f64; MAX_DIVISORS]);

impl Divisors {
    /// One, the step in seconds, and powers of ten.
    pub fn new(step: Step) -> Self {
        Self([1.0, step.seconds(), 10.0, 100.0, 1e3, 1e6])
    }

    /// The divisor that makes all values whole, at the same time close together; `None` when none does.
    pub fn for_values(&self, values: &[f64]) -> Option<f64> {
        estimate(values, self).map(|plan| self.get(plan.scale.divisor))
    }

    /// The divisor of a number; numbers beyond [`MAX_DIVISORS`] were refused when the block was read.
    pub fn get(&self, number: u8) -> f64 {
        self.0[usize::from(number) % MAX_DIVISORS]
    }
}

/// How a block will be encoded.
pub struct Plan {
    scale: Scale,
    /// Highest element.
    spread: u64,
}

impl Plan {
    /// The codec's number.
    pub fn tag(&self) -> u8 {
        match self.spread {
            0..=0xFF => SCALED_8,
            0x100..=0xFFFF => SCALED_16,
            _ => SCALED_32,
        }
    }
}

/// Finds a divisor that makes all values whole and close enough together; the first that allows elements of one byte, else the one
/// with the narrowest.
pub fn estimate(values: &[f64], divisors: &Divisors) -> Option<Plan> {
    let mut best: Option<Plan> = None;
    for number in 0..MAX_DIVISORS as u8 {
        let Some((low, high)) = whole_range(values, divisors.get(number)) else {
            continue;
        };
        let spread = high.abs_diff(low);
        if spread > u64::from(u32::MAX) || best.as_ref().is_some_and(|b| b.spread <= spread) {
            continue;
        }
        let scale = Scale {
            divisor: number,
            base: low,
        };
        best = Some(Plan { scale, spread });
        if spread <= 0xFF {
            break;
        }
    }
    best
}

/// The lowest and highest of the values times the divisor, if all are whole and come back to the bit.
fn whole_range(values: &[f64], divisor: f64) -> Option<(i64, i64)> {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for &v in values {
        let whole = (v * divisor).round();
        if whole.abs() > MAX_WHOLE {
            return None;
        }
        let whole = whole as i64;
        // Through the integer, so that −0.0 is told from 0.0.
        if (whole as f64 / divisor).to_bits() != v.to_bits() {
            return None;
        }
        low = low.min(whole);
        high = high.max(whole);
    }
    (low <= high).then_some((low, high))
}

/// Appends the scale and the elements.
pub fn encode(values: &[f64], plan: &Plan, divisors: &Divisors, out: &mut Vec<u8>) {
    let Scale { divisor, base } = plan.scale;
    out.put_u8(divisor);
    out.put_i64_le(base);
    let by = divisors.get(divisor);
    let elements = values.iter().map(|v| (v * by).round() as i64 - base);
    match plan.tag() {
        SCALED_8 => elements.for_each(|e| out.put_u8(e as u8)),
        SCALED_16 => elements.for_each(|e| out.put_u16_le(e as u16)),
        _ => elements.for_each(|e| out.put_u32_le(e as u32)),
    }
}

/// The elements of two bytes.
pub fn elements_16(bytes: &[u8]) -> impl Iterator<Item = i64> + Clone + '_ {
    let (chunks, _) = bytes.as_chunks::<2>();
    chunks.iter().map(|c| i64::from(u16::from_le_bytes(*c)))
}

/// The elements of four bytes.
pub fn elements_32(bytes: &[u8]) -> impl Iterator<Item = i64> + Clone + '_ {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks.iter().map(|c| i64::from(u32::from_le_bytes(*c)))
}

/// Computes the values of elements.
pub fn decode(
    scale: Scale,
    elements: impl Iterator<Item = i64>,
    divisors: &Divisors,
    out: &mut [f64],
) {
    let by = divisors.get(scale.divisor);
    for (v, element) in out.iter_mut().zip(elements) {
        *v = scale.base.wrapping_add(element) as f64 / by;
    }
}
