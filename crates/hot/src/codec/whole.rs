//! Whole numbers over a common divisor: counts, counts divided by the step (rates), decimals.
//!
//! ```text
//! body  = scale, width u8, planes             (base + element) / divisor; high bit of the width: an element for each of the sixty slots
//! scale = u8, base                            low four bits: the divisor; high four bits: bytes of the base, 0 to 8
//! base  = the lowest whole number, in two's complement, little-endian, of so many bytes
//! ```

use bytes::BufMut;
use hesper_model::BLOCK_SLOTS;
use hesper_model::block::ALL_SLOTS;

use super::divisors::{Divisors, MAX_DIVISORS};
use super::planes::{LANES, Lanes, Planes, width_of};
use super::{BY_SLOT, HAS_MASK, WHOLE};

/// Bytes of scale, base and width at most.
const HEAD: usize = 10;

/// What turns elements into values, besides the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The place of the divisor in [`Divisors`].
    pub divisor: u8,
    /// The lowest whole number.
    pub base: i64,
    /// The distance of the highest from the lowest.
    pub spread: u64,
}

/// Whole numbers of a block.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The place of the divisor in [`Divisors`].
    pub divisor: u8,
    /// Added to every element.
    pub base: i64,
    /// The elements.
    pub planes: Planes<'a>,
}

/// Finds the divisor that makes all values whole and lets them lie closest together; the first of those that need the same bits.
#[inline(always)]
pub fn estimate(values: &[f64], divisors: &Divisors) -> Option<Fit> {
    let mut best: Option<Fit> = None;
    for divisor in 0..MAX_DIVISORS as u8 {
        let Some((low, high)) = divisors.whole_range(divisor, values) else {
            continue;
        };
        let spread = high.abs_diff(low);
        if best.is_none_or(|b| width_of(spread) < width_of(b.spread)) {
            best = Some(Fit {
                divisor,
                base: low,
                spread,
            });
        }
        if spread == 0 {
            break;
        }
    }
    best
}

/// Bytes of a whole number in two's complement.
pub fn whole_len(n: i64) -> usize {
    let magnitude = if n < 0 { !n } else { n } as u64;
    if n == 0 {
        return 0;
    }
    usize::from(width_of(magnitude) / 8 + 1)
}

/// Appends a divisor with a base.
pub fn put_scale(divisor: u8, base: i64, out: &mut Vec<u8>) {
    let length = whole_len(base);
    out.put_u8(divisor | (length as u8) << 4);
    out.put_slice(&base.to_le_bytes()[..length]);
}

impl<'a> Whole<'a> {
    /// Reads a block of this codec that has an element for each of the sixty slots, and gives the mask of the slots with data; `None` for
    /// any other, and where fewer bytes follow than any block has.
    ///
    /// What [`super::EncodedBlock::read`] does for any block, for those that are met most.
    #[inline(always)]
    pub fn read_by_slot(bytes: &'a [u8]) -> Option<(u64, Self)> {
        let (mask, rest): (u64, &[u8; HEAD]) = match bytes.first()? {
            &WHOLE => (ALL_SLOTS, bytes[1..].first_chunk()?),
            tag if *tag == WHOLE | HAS_MASK => {
                let (mask, rest) = bytes[1..].split_first_chunk()?;
                (u64::from_le_bytes(*mask) & ALL_SLOTS, rest.first_chunk()?)
            }
            _ => return None,
        };
        let scale = rest[0];
        let length = usize::from(scale >> 4);
        if length > 8 {
            return None;
        }
        let base = i64::from_le_bytes(*rest[1..].first_chunk()?);
        // By two shifts each, none of them of 64 bits.
        let unused = 64 - 8 * length as u32;
        let (half, other) = (unused / 2, unused - unused / 2);
        let base = base << half << other >> half >> other;
        let width = rest[1 + length];
        if mask != ALL_SLOTS && width & BY_SLOT == 0 {
            return None;
        }
        let begins = if mask == ALL_SLOTS && bytes[0] == WHOLE {
            3
        } else {
            11
        } + length;
        let planes = Planes::new(width & !BY_SLOT, BLOCK_SLOTS, &bytes[begins..])?;
        let divisor = scale & 15;
        let whole = Self {
            divisor,
            base,
            planes,
        };
        Some((mask, whole))
    }

    /// The numerators: base and element added.
    #[inline(always)]
    pub fn numerators(&self, out: &mut Lanes) {
        if self.planes.width() < 32 {
            self.planes.to_f64(self.base as f64, out);
        } else {
            self.wide_numerators(out);
        }
    }

    #[cold]
    fn wide_numerators(&self, out: &mut Lanes) {
        let mut elements = [0; LANES];
        self.planes.to_u64(&mut elements);
        for (v, e) in out.iter_mut().zip(elements) {
            *v = self.base.wrapping_add_unsigned(e) as f64;
        }
    }
}
