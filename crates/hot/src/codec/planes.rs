//! Whole numbers of few bits, taken apart into planes: what the codecs store elements with.
//!
//! ```text
//! planes  = plane8 … [plane4] [plane2] [plane1]       for a width of 8a + 4b + 2c + d bits: a planes of bytes, lowest first, then the rest
//! plane8  = u8 …                                      eight bits of each element
//! plane4  = u8 …        byte j: four bits of element j, above them those of element j + s; s = 32
//! plane2  = u8 …        byte j: two bits of the elements j, j + s, j + 2s, j + 3s; s = 16
//! plane1  = u8 …        byte j: a bit of the elements j, j + s … j + 7s; s = 8
//! ```
//! Of a plane of n bits an element, s bytes are stored, and s is ⌈count × n / 8⌉ when count is 48 or less.
//!
//! A plane is unpacked by loads, shifts and masks of whole vectors, and sums of elements are sums of planes: nothing is done element by
//! element. Loops run over 64 lanes, a few more than a block has slots: what lies in the lanes beyond is never looked at, so that reading
//! past a plane, where there is something to read, is of no harm.

/// Lanes of a vector of elements: room for a block.
pub const LANES: usize = 64;

/// A value for each slot; those beyond a block's slots mean nothing.
pub type Lanes = [f64; LANES];

/// Bytes of an element at most.
const MAX_BYTES: usize = 8;

/// The widths of the planes that hold the bits above the last whole byte.
const SMALL: [u8; 3] = [4, 2, 1];

/// Bits that numbers up to `highest` need.
pub const fn width_of(highest: u64) -> u8 {
    (u64::BITS - highest.leading_zeros()) as u8
}

/// Bytes that `count` elements of `width` bits take.
#[inline]
pub const fn packed_len(width: u8, count: usize) -> usize {
    let small = stride(count, 4) * (width >> 2 & 1) as usize
        + stride(count, 2) * (width >> 1 & 1) as usize
        + stride(count, 1) * (width & 1) as usize;
    (width / 8) as usize * count + small
}

/// Fewer elements are packed without a gap.
const FULL_STRIDES: usize = 49;

/// Bytes of a plane of so many bits an element; also the distance of the elements that share a byte.
///
/// The strides of a full block are those of vectors: each vector of elements comes from one vector of bytes.
const fn stride(count: usize, bits: u8) -> usize {
    let per_byte = 8 / bits as usize;
    if count < FULL_STRIDES {
        count.div_ceil(per_byte)
    } else {
        LANES / per_byte
    }
}

/// Appends elements, each below 2^`width`, and no more than there are lanes.
#[inline(always)]
pub fn pack(elements: &[u64], width: u8, out: &mut Vec<u8>) {
    for k in 0..width / 8 {
        out.extend(elements.iter().map(|e| (e >> (8 * k)) as u8));
    }
    let mut shift = width / 8 * 8;
    for bits in SMALL.into_iter().filter(|bits| width & bits != 0) {
        let mut plane = [0; LANES];
        let plane = &mut plane[..stride(elements.len(), bits)];
        for (sharing, k) in elements.chunks(plane.len().max(1)).zip(0u8..) {
            for (byte, e) in plane.iter_mut().zip(sharing) {
                *byte |= ((e >> shift) as u8 & ((1 << bits) - 1)) << (k * bits);
            }
        }
        out.extend_from_slice(plane);
        shift += bits;
    }
}

/// Packed elements.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    width: u8,
    count: usize,
    /// Begins with the planes; goes on beyond them where there is something.
    bytes: &'a [u8],
}

impl<'a> Planes<'a> {
    /// The planes at the start of `bytes`; `None` when they are not all there, or for more elements or bits than there can be.
    pub fn new(width: u8, count: usize, bytes: &'a [u8]) -> Option<Self> {
        let whole = width <= 64 && count <= LANES && packed_len(width, count) <= bytes.len();
        whole.then_some(Self {
            width,
            count,
            bytes,
        })
    }

    /// Bits of an element.
    pub const fn width(&self) -> u8 {
        self.width
    }

    /// Number of elements.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Bytes of an element, the last one perhaps partly used.
    pub const fn element_bytes(&self) -> usize {
        self.width.div_ceil(8) as usize
    }

    /// Byte k of each element.
    #[inline(always)]
    fn byte(&self, k: usize) -> Words {
        let whole = usize::from(self.width / 8);
        if k < whole {
            load(&self.bytes[k * self.count..])
        } else {
            self.last_byte(whole)
        }
    }

    /// The bits above the whole bytes.
    #[inline(always)]
    fn last_byte(&self, whole: usize) -> Words {
        let rest = &self.bytes[whole * self.count..];
        match rest.first_chunk() {
            Some(rest) if self.count >= FULL_STRIDES => full_strides(self.width, rest),
            _ => self.last_byte_of_few(rest),
        }
    }

    #[cold]
    fn last_byte_of_few(&self, mut rest: &[u8]) -> Words {
        let mut out = [0; LANES];
        let mut shift = 0;
        for bits in SMALL.into_iter().filter(|bits| self.width & bits != 0) {
            let stride = stride(self.count, bits);
            let (plane, after) = rest.split_at(stride);
            for (i, o) in out.iter_mut().enumerate().take(self.count) {
                let byte = plane[i % stride] >> ((i / stride) as u8 * bits);
                *o |= (byte & ((1 << bits) - 1)) << shift;
            }
            rest = after;
            shift += bits;
        }
        load(&out)
    }

    /// Adds each byte of the elements to its sums. For elements of up to four bytes; the sums of 256 blocks fit.
    #[inline(always)]
    pub fn add_to(&self, sums: &mut [ByteSums; 4]) {
        for (k, sums) in sums.iter_mut().enumerate().take(self.element_bytes()) {
            let bytes = bytes_of(&self.byte(k));
            for (s, b) in sums.iter_mut().zip(bytes) {
                // Overflows in lanes that mean nothing.
                *s = s.wrapping_add(u16::from(b));
            }
        }
    }

    /// The elements plus `base`, exact while they are below 2^53; for elements of up to 31 bits.
    #[inline(always)]
    pub fn to_f64(&self, base: f64, out: &mut Lanes) {
        match self.element_bytes() {
            0 => out.fill(base),
            1 => {
                let b0 = bytes_of(&self.byte(0));
                for (i, v) in out.iter_mut().enumerate() {
                    *v = base + f64::from(b0[i]);
                }
            }
            2 => {
                let low = pairs(&self.byte(0), &self.byte(1));
                for (v, e) in out.iter_mut().zip(low) {
                    *v = base + f64::from(i32::from(e));
                }
            }
            3 => {
                let low = pairs(&self.byte(0), &self.byte(1));
                let high = bytes_of(&self.byte(2));
                for (i, v) in out.iter_mut().enumerate() {
                    *v = base + f64::from(i32::from(low[i]) | i32::from(high[i]) << 16);
                }
            }
            _ => {
                let low = pairs(&self.byte(0), &self.byte(1));
                let high = pairs(&self.byte(2), &self.byte(3));
                for (i, v) in out.iter_mut().enumerate() {
                    *v = base + f64::from(i32::from(low[i]) | i32::from(high[i]) << 16);
                }
            }
        }
    }

    /// The elements, of any width.
    pub fn to_u64(&self, out: &mut [u64; LANES]) {
        out.fill(0);
        for k in 0..self.element_bytes().min(MAX_BYTES) {
            for (e, b) in out.iter_mut().zip(bytes_of(&self.byte(k))) {
                *e |= u64::from(b) << (8 * k);
            }
        }
    }
}

/// A byte for each lane, in words: what compilers make vectors of without being asked.
type Words = [u64; WORDS];

/// Words of a byte for each lane.
const WORDS: usize = LANES / 8;

/// Sums of a byte of the elements, by lane.
pub type ByteSums = [u16; LANES];

/// The first bytes, a word for each eight; zeros where there are none.
#[inline(always)]
fn load<const N: usize>(bytes: &[u8]) -> [u64; N] {
    let mut words = [0; N];
    let (chunks, _) = bytes.as_chunks::<8>();
    match chunks.first_chunk::<N>() {
        Some(chunks) => {
            for (word, chunk) in words.iter_mut().zip(chunks) {
                *word = u64::from_le_bytes(*chunk);
            }
        }
        None => load_few(bytes, &mut words),
    }
    words
}

#[cold]
fn load_few(bytes: &[u8], words: &mut [u64]) {
    for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
        let mut padded = [0; 8];
        padded[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_le_bytes(padded);
    }
}

#[inline(always)]
fn bytes_of(words: &Words) -> [u8; LANES] {
    let mut out = [0; LANES];
    for (chunk, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *chunk = word.to_le_bytes();
    }
    out
}

/// Elements of two bytes.
#[inline(always)]
fn pairs(low: &Words, high: &Words) -> [u16; LANES] {
    let (low, high) = (bytes_of(low), bytes_of(high));
    let mut out = [0; LANES];
    for (i, e) in out.iter_mut().enumerate() {
        *e = u16::from(low[i]) | u16::from(high[i]) << 8;
    }
    out
}

/// The bits of a full block's elements in its small planes. Without a branch: the widths of neighbours are as good as random.
#[inline(always)]
fn full_strides(width: u8, rest: &[u8; LANES]) -> Words {
    const FOURS: u64 = 0x0F0F_0F0F_0F0F_0F0F;
    const TWOS: u64 = 0x0303_0303_0303_0303;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let mut out = [0; WORDS];
    let four = usize::from(width >> 2 & 1);
    let two = usize::from(width >> 1 & 1);
    let one = usize::from(width & 1);
    let words: [u64; 4] = load(&rest[..32]);
    let mask = FOURS * four as u64;
    for k in 0..4 {
        out[k] = words[k] & mask;
        out[k + 4] = words[k] >> 4 & mask;
    }
    let words: [u64; 2] = load(&rest[32 * four..][..16]);
    let (mask, shift) = (TWOS * two as u64, 4 * four);
    for k in 0..4 {
        for j in 0..2 {
            out[2 * k + j] |= (words[j] >> (2 * k) & mask) << shift;
        }
    }
    let [bits] = load(&rest[32 * four + 16 * two..][..8]);
    let (mask, shift) = (ONES * one as u64, shift + 2 * two);
    for (k, out) in out.iter_mut().enumerate() {
        *out |= (bits >> k & mask) << shift;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn elements() -> impl Strategy<Value = (u8, Vec<u64>, Vec<u8>)> {
        (0u8..=64, 0usize..=60).prop_flat_map(|(width, count)| {
            let element = any::<u64>().prop_map(move |e| match width {
                0 => 0,
                w => e >> (64 - w),
            });
            let beyond = prop::collection::vec(any::<u8>(), 0..80);
            (
                Just(width),
                prop::collection::vec(element, count..=count),
                beyond,
            )
        })
    }

    proptest! {
        #[test]
        fn elements_come_back((width, elements, beyond) in elements()) {
            let mut bytes = Vec::new();
            pack(&elements, width, &mut bytes);
            let count = elements.len();
            prop_assert_eq!(bytes.len(), packed_len(width, count));
            prop_assert!(Planes::new(width, count, &bytes[..bytes.len().saturating_sub(1)]).is_none() || bytes.is_empty());
            bytes.extend(beyond);
            let planes = Planes::new(width, count, &bytes).expect("just packed");
            let mut out = [0; LANES];
            planes.to_u64(&mut out);
            prop_assert_eq!(&out[..count], &elements[..]);
            if width < 32 {
                let mut lanes = [0.0; LANES];
                planes.to_f64(-7.0, &mut lanes);
                for (v, e) in lanes.iter().zip(&elements) {
                    prop_assert_eq!(*v, *e as f64 - 7.0);
                }
            }
            if width <= 32 {
                let mut sums = [[0; LANES]; 4];
                planes.add_to(&mut sums);
                planes.add_to(&mut sums);
                for (i, e) in elements.iter().enumerate() {
                    let sum: u64 = (0..4).map(|k| u64::from(sums[k][i]) << (8 * k)).sum();
                    prop_assert_eq!(sum, 2 * e);
                }
            }
        }
    }

    #[test]
    fn widths_are_those_that_are_needed() {
        assert_eq!(
            [0, 1, 2, 3, 255, 256, u64::MAX].map(width_of),
            [0, 1, 2, 2, 8, 9, 64]
        );
        assert_eq!(packed_len(0, 60), 0);
        assert_eq!(packed_len(1, 60), 8);
        assert_eq!(packed_len(11, 60), 60 + 16 + 8);
        assert_eq!(packed_len(12, 59), 59 + 32);
        assert_eq!(packed_len(7, 41), 21 + 11 + 6);
        assert_eq!(packed_len(22, 60), 120 + 32 + 16);
    }
}
