//! Doubles as whole numbers: their bits, without the zeros that all end with, above the lowest of them.
//!
//! What is an `f32`, or has few significant bits, ends with many zeros; values of one magnitude share their first bits.
//!
//! ```text
//! body = zeros u8, base u64, width u8, planes     the bits of a value: (base + element) shifted left by zeros; high bit of the width as in whole
//! ```

use super::planes::{LANES, Lanes, Planes, width_of};

/// Doubles of a block.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    /// Zeros at the end of all.
    pub zeros: u8,
    /// Added to every element.
    pub base: u64,
    /// The elements.
    pub planes: Planes<'a>,
}

/// The zeros that all values end with, the lowest without them, and the bits that the rest need.
#[inline(always)]
pub fn estimate(values: &[f64]) -> (u8, u64, u8) {
    let all = values.iter().fold(0, |all, v| all | v.to_bits());
    let zeros = all.trailing_zeros().min(u64::BITS - 1) as u8;
    let bits = values.iter().map(|v| v.to_bits() >> zeros);
    let low = bits.clone().min().unwrap_or(0);
    let high = bits.max().unwrap_or(0);
    (zeros, low, width_of(high - low))
}

/// The elements of values.
#[inline(always)]
pub fn elements(values: &[f64], zeros: u8, base: u64) -> impl Iterator<Item = u64> {
    values.iter().map(move |v| (v.to_bits() >> zeros) - base)
}

impl Bits<'_> {
    /// The values.
    pub fn values(&self, out: &mut Lanes) {
        let mut elements = [0; LANES];
        self.planes.to_u64(&mut elements);
        for (v, element) in out.iter_mut().zip(elements) {
            *v = f64::from_bits(self.base.wrapping_add(element) << self.zeros);
        }
    }
}
