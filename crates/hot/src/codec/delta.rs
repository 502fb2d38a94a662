//! Differences of whole numbers over a common divisor: ramps and slow walks, of which neighbours are closer than the extremes.
//!
//! ```text
//! body  = scale, slope, width u8, planes      the first whole number is the base of the scale; each next adds the slope and its element
//! slope = length u8, whole number             the lowest difference, of so many bytes
//! ```
//! There is one element less than there are values.

use super::planes::{LANES, Lanes, Planes, width_of};

/// Differences of a block.
#[derive(Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// The place of the divisor in [`super::Divisors`].
    pub divisor: u8,
    /// The first whole number.
    pub first: i64,
    /// Added to every element.
    pub slope: i64,
    /// What the differences are above the slope.
    pub planes: Planes<'a>,
}

/// The lowest difference of neighbours, and the bits that the rest of the differences need.
#[inline(always)]
pub fn estimate(whole: &[i64]) -> Option<(i64, u8)> {
    let differences = whole.windows(2).map(|w| w[1].wrapping_sub(w[0]));
    let (low, high) = (differences.clone().min()?, differences.max()?);
    Some((low, width_of(high.wrapping_sub(low) as u64)))
}

/// What the differences are above the slope.
#[inline(always)]
pub fn elements(whole: &[i64], slope: i64) -> impl Iterator<Item = u64> {
    let differences = whole.windows(2).map(|w| w[1].wrapping_sub(w[0]));
    differences.map(move |d| d.wrapping_sub(slope) as u64)
}

impl Delta<'_> {
    /// The numerators, one after another.
    pub fn numerators(&self, out: &mut Lanes) {
        let mut elements = [0; LANES];
        self.planes.to_u64(&mut elements);
        let mut whole = self.first;
        for (v, element) in out.iter_mut().zip(elements) {
            *v = whole as f64;
            whole = whole
                .wrapping_add(self.slope)
                .wrapping_add_unsigned(element);
        }
    }
}
