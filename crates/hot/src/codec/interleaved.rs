//! Whole numbers over a common divisor as the first version stored them: read, never written.
//!
//! ```text
//! body = divisor u8, base i64, element …      (base + element) / divisor; elements of one, two or four bytes
//! ```

use super::planes::Lanes;

/// Whole numbers of a block.
#[derive(Clone, Copy, Debug)]
pub struct Interleaved<'a> {
    /// The place of the divisor in [`super::Divisors`].
    pub divisor: u8,
    /// Added to every element.
    pub base: i64,
    /// Bytes of an element.
    pub element_bytes: usize,
    /// The elements.
    pub bytes: &'a [u8],
}

impl Interleaved<'_> {
    /// The numerators: base and element added.
    pub fn numerators(&self, out: &mut Lanes) {
        let elements = self.bytes.chunks_exact(self.element_bytes);
        for (v, bytes) in out.iter_mut().zip(elements) {
            let element = bytes.iter().rev().fold(0, |e, b| e << 8 | i64::from(*b));
            *v = self.base.wrapping_add(element) as f64;
        }
    }
}
