//! The forms in which a sealed block lies in memory: estimate, choose, encode; and fold without decoding where that pays.
//!
//! ```text
//! block         = tag [mask] body
//! tag           = u8          low seven bits: the codec; high bit: a mask follows, else all sixty slots hold data
//! mask          = u64         bit n: slot n holds data
//! 0 constant    = f64         one value for all slots with data
//! 1 raw         = f64 …       a value for each slot with data
//! 2, 3, 4       = …           whole numbers of the first version: see [`interleaved`]; read, not written
//! 5 whole       = …           see [`whole`]
//! 6 delta       = …           see [`delta`]
//! 7 dictionary  = …           see [`dictionary`]
//! 8 bits        = …           see [`bits`]
//! ```
//! All numbers are little-endian. Every codec gives the values back to the bit; a block without data is a mask of zero. Values lie in the
//! order of time. Elements lie one for each slot with data, or, where few slots lack data, one for each of the sixty slots, so that
//! nothing has to be moved to its place. The format, byte by byte, is in `docs/formats/blocks.md`.

pub mod bits;
mod constant;
pub mod delta;
pub mod dictionary;
mod division;
mod divisors;
mod encoder;
pub mod interleaved;
pub mod planes;
mod raw;
pub mod whole;

use hesper_model::block::ALL_SLOTS;
use hesper_model::{BLOCK_SLOTS, Block, Step};

use bits::Bits;
use delta::Delta;
use dictionary::Dictionary;
use interleaved::Interleaved;
use planes::{LANES, Lanes, Planes, packed_len};
use whole::Whole;

pub use divisors::{Divisors, MAX_DIVISORS, nearest_integer};

/// Set in the tag when a mask follows.
const HAS_MASK: u8 = 0x80;

const CONSTANT: u8 = 0;
const RAW: u8 = 1;
const INTERLEAVED_8: u8 = 2;
const INTERLEAVED_16: u8 = 3;
const INTERLEAVED_32: u8 = 4;
const WHOLE: u8 = 5;
const DELTA: u8 = 6;
const DICTIONARY: u8 = 7;
const BITS: u8 = 8;

/// Set in the width of elements when there is one for each of the sixty slots.
const BY_SLOT: u8 = 0x80;

/// Bytes of a block at most: a tag, a mask and sixty doubles.
pub const MAX_BLOCK_LEN: usize = 1 + 8 + 8 * BLOCK_SLOTS;

/// The numbers of a block in their stored form, with the place of their data.
#[derive(Clone, Copy, Debug)]
pub struct EncodedBlock<'a> {
    /// The slots that hold data.
    pub mask: u64,
    /// Their values.
    pub body: Body<'a>,
    /// True when the elements lie by slot; those of slots without data are zero.
    by_slot: bool,
}

/// The values of the slots with data.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The same value in all.
    Constant(f64),
    /// Little-endian doubles.
    Raw(&'a [[u8; 8]]),
    /// Whole numbers as the first version wrote them.
    Interleaved(Interleaved<'a>),
    /// Whole numbers.
    Whole(Whole<'a>),
    /// Differences of whole numbers.
    Delta(Delta<'a>),
    /// Few different values.
    Dictionary(Dictionary<'a>),
    /// Bits of doubles.
    Bits(Bits<'a>),
}

/// Bytes that are no block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within the block.
    #[error("a block of codec {tag} ends too early")]
    Truncated {
        /// The codec's number.
        tag: u8,
    },
    /// The number of the codec or of the divisor is not known.
    #[error("unknown block codec or divisor {0}")]
    Unknown(u8),
    /// A width or a length that no block has.
    #[error("a block of codec {tag} has an impossible width or length")]
    Impossible {
        /// The codec's number.
        tag: u8,
    },
}

/// Encodes blocks into their cheapest form.
#[derive(Clone, Debug)]
pub struct Codec {
    divisors: Divisors,
}

impl Codec {
    /// The codecs for a store of this step.
    pub fn new(step: Step) -> Self {
        Self {
            divisors: Divisors::new(step),
        }
    }

    /// The divisors of whole numbers.
    pub fn divisors(&self) -> &Divisors {
        &self.divisors
    }

    /// Appends the cheapest form of a block.
    #[inline(always)]
    pub fn encode(&self, block: &Block, out: &mut Vec<u8>) {
        let mut values = [0.0; BLOCK_SLOTS];
        let mut n = 0;
        for v in block.0 {
            if !v.is_nan() {
                values[n] = v;
                n += 1;
            }
        }
        encoder::encode(block.present(), &values[..n], &self.divisors, out);
    }

    /// The values of an encoded block.
    pub fn decode(&self, encoded: &EncodedBlock<'_>) -> Block {
        let mut lanes = [0.0; LANES];
        encoded.values(&self.divisors, f64::NAN, &mut lanes);
        Block(*lanes.first_chunk().expect("more lanes than slots"))
    }
}

impl<'a> EncodedBlock<'a> {
    /// Reads the block that begins at the start of `bytes`, and gives its length. It is read faster when `bytes` go on beyond it.
    ///
    /// # Errors
    /// When the bytes are no block.
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<(Self, usize), CodecError> {
        let mut reader = Reader { bytes, tag: 0 };
        let tag = reader.byte()?;
        reader.tag = tag & !HAS_MASK;
        let mask = if tag & HAS_MASK == 0 {
            ALL_SLOTS
        } else {
            u64::from_le_bytes(reader.array()?) & ALL_SLOTS
        };
        let n = mask.count_ones() as usize;
        let mut by_slot = false;
        let body = match reader.tag {
            WHOLE => {
                let (divisor, base) = reader.scale()?;
                let (planes, slots) = reader.elements(n)?;
                by_slot = slots;
                Body::Whole(Whole {
                    divisor,
                    base,
                    planes,
                })
            }
            CONSTANT => Body::Constant(f64::from_le_bytes(reader.array()?)),
            RAW => Body::Raw(reader.take(n * 8)?.as_chunks().0),
            DELTA => {
                let (divisor, first) = reader.scale()?;
                let length = reader.byte()?;
                let slope = reader.whole(length)?;
                let width = reader.byte()?;
                let planes = reader.planes(width, n.saturating_sub(1))?;
                Body::Delta(Delta {
                    divisor,
                    first,
                    slope,
                    planes,
                })
            }
            DICTIONARY => {
                let count = usize::from(reader.byte()?);
                let entries = reader.take(count * 8)?.as_chunks().0;
                let (planes, slots) = reader.elements(n)?;
                by_slot = slots;
                Body::Dictionary(Dictionary { entries, planes })
            }
            BITS => {
                let zeros = reader.byte()?;
                let base = u64::from_le_bytes(reader.array()?);
                let (planes, slots) = reader.elements(n)?;
                by_slot = slots;
                if u32::from(zeros) >= u64::BITS {
                    return Err(CodecError::Impossible { tag: reader.tag });
                }
                Body::Bits(Bits {
                    zeros,
                    base,
                    planes,
                })
            }
            INTERLEAVED_8 => Body::Interleaved(reader.interleaved(1, n)?),
            INTERLEAVED_16 => Body::Interleaved(reader.interleaved(2, n)?),
            INTERLEAVED_32 => Body::Interleaved(reader.interleaved(4, n)?),
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        let length = bytes.len() - reader.bytes.len();
        Ok((
            Self {
                mask,
                body,
                by_slot,
            },
            length,
        ))
    }

    /// The mask of the block at the start of `bytes`, which is known to be one.
    #[inline]
    pub fn mask_at(bytes: &[u8]) -> u64 {
        match bytes {
            [tag, rest @ ..] if tag & HAS_MASK != 0 => {
                rest.first_chunk().map_or(0, |m| u64::from_le_bytes(*m)) & ALL_SLOTS
            }
            _ => ALL_SLOTS,
        }
    }

    /// True when every slot holds data.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.mask == ALL_SLOTS
    }

    /// True when the elements are one for each slot, those of slots without data being zero.
    #[inline]
    pub const fn is_by_slot(&self) -> bool {
        self.by_slot || self.is_full()
    }

    /// The slots without data.
    #[inline]
    pub const fn gaps(&self) -> u64 {
        self.mask ^ ALL_SLOTS
    }

    /// The number of the divisor that makes values of [`Self::numerators`].
    #[inline]
    pub const fn divisor(&self) -> u8 {
        match self.body {
            Body::Whole(Whole { divisor, .. })
            | Body::Delta(Delta { divisor, .. })
            | Body::Interleaved(Interleaved { divisor, .. }) => divisor,
            Body::Constant(_) | Body::Raw(_) | Body::Dictionary(_) | Body::Bits(_) => 0,
        }
    }

    /// What [`Divisors::for_values`] finds for the values; `None` where it has to be asked.
    ///
    /// For blocks that this version has encoded: their form tells what was found then.
    pub fn searched_divisor(&self, divisors: &Divisors) -> Option<Option<f64>> {
        match self.body {
            Body::Whole(Whole { divisor, .. }) | Body::Delta(Delta { divisor, .. }) => {
                Some(Some(divisors.get(divisor)))
            }
            // They are chosen only when there is none.
            Body::Constant(_) | Body::Raw(_) | Body::Bits(_) => Some(None),
            Body::Dictionary(_) | Body::Interleaved(_) => None,
        }
    }

    /// The values times [`Self::divisor`], each at its slot; `absent` at slots without data.
    #[inline(always)]
    pub fn numerators(&self, absent: f64, out: &mut Lanes) {
        self.body.numerators(out);
        if !self.is_full() {
            self.leave_gaps(absent, out);
        }
    }

    /// The values, each at its slot; `absent` at slots without data.
    #[inline(always)]
    pub fn values(&self, divisors: &Divisors, absent: f64, out: &mut Lanes) {
        self.body.numerators(out);
        divisors.divide(self.divisor(), out);
        if !self.is_full() {
            self.leave_gaps(absent, out);
        }
    }

    /// Moves what lies one after another to its slots, and puts `absent` into the others.
    fn leave_gaps(&self, absent: f64, out: &mut Lanes) {
        if !self.is_by_slot() {
            let mut left = self.mask;
            // From the end: a value never moves down, so that none is overwritten before it has moved.
            for from in (0..self.mask.count_ones() as usize).rev() {
                let to = left.ilog2();
                out[to as usize] = out[from];
                left ^= 1 << to;
            }
        }
        let mut gaps = self.gaps();
        while gaps != 0 {
            out[gaps.trailing_zeros() as usize] = absent;
            gaps &= gaps - 1;
        }
    }
}

impl Body<'_> {
    /// The values times the divisor, where the elements lie.
    #[inline(always)]
    fn numerators(&self, out: &mut Lanes) {
        match self {
            Body::Whole(body) => body.numerators(out),
            Body::Constant(v) => out.fill(*v),
            Body::Raw(values) => raw::decode(values, out),
            Body::Interleaved(body) => body.numerators(out),
            Body::Delta(body) => body.numerators(out),
            Body::Dictionary(body) => body.values(out),
            Body::Bits(body) => body.values(out),
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    tag: u8,
}

impl<'a> Reader<'a> {
    const fn truncated(&self) -> CodecError {
        CodecError::Truncated { tag: self.tag }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        self.bytes.split_off(..n).ok_or(self.truncated())
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        self.bytes
            .split_off_first()
            .copied()
            .ok_or(self.truncated())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (array, rest) = self.bytes.split_first_chunk().ok_or(self.truncated())?;
        self.bytes = rest;
        Ok(*array)
    }

    /// A whole number in two's complement, of so many bytes.
    #[inline]
    fn whole(&mut self, length: u8) -> Result<i64, CodecError> {
        let length = usize::from(length);
        if length > 8 {
            return Err(CodecError::Impossible { tag: self.tag });
        }
        // Where there is more, a load and two shifts.
        let mut word = [0; 8];
        match self.bytes.first_chunk() {
            Some(more) => word = *more,
            None => word[..self.bytes.len()].copy_from_slice(self.bytes),
        }
        self.take(length)?;
        let unused = 64 - 8 * length as u32;
        let word = i64::from_le_bytes(word);
        Ok(word.checked_shl(unused).unwrap_or(0) >> (unused % 64))
    }

    fn scale(&mut self) -> Result<(u8, i64), CodecError> {
        let scale = self.byte()?;
        let divisor = scale & 15;
        if usize::from(divisor) >= MAX_DIVISORS {
            return Err(CodecError::Unknown(divisor));
        }
        Ok((divisor, self.whole(scale >> 4)?))
    }

    fn planes(&mut self, width: u8, count: usize) -> Result<Planes<'a>, CodecError> {
        if width > 64 {
            return Err(CodecError::Impossible { tag: self.tag });
        }
        let planes = Planes::new(width, count, self.bytes).ok_or(self.truncated())?;
        self.take(packed_len(width, count))?;
        Ok(planes)
    }

    /// Elements, and whether they lie by slot.
    fn elements(&mut self, n: usize) -> Result<(Planes<'a>, bool), CodecError> {
        let width = self.byte()?;
        let by_slot = width & BY_SLOT != 0;
        let count = if by_slot { BLOCK_SLOTS } else { n };
        Ok((self.planes(width & !BY_SLOT, count)?, by_slot))
    }

    /// Whole numbers as the first version wrote them.
    #[cold]
    fn interleaved(&mut self, bytes: usize, n: usize) -> Result<Interleaved<'a>, CodecError> {
        let divisor = self.byte()?;
        if usize::from(divisor) >= MAX_DIVISORS {
            return Err(CodecError::Unknown(divisor));
        }
        Ok(Interleaved {
            divisor,
            base: i64::from_le_bytes(self.array()?),
            element_bytes: bytes,
            bytes: self.take(n * bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codec() -> Codec {
        Codec::new(Step::from_secs(60))
    }

    fn round_trip(block: &Block) -> (u8, usize) {
        let mut bytes = vec![0xAA];
        codec().encode(block, &mut bytes);
        let (encoded, length) = EncodedBlock::read(&bytes[1..]).expect("just encoded");
        assert_eq!(length, bytes.len() - 1, "the length is the block's own");
        let decoded = codec().decode(&encoded);
        assert!(decoded.same_data(block), "{decoded:?} is not {block:?}");
        (bytes[1] & !HAS_MASK, length)
    }

    fn block_of(f: impl Fn(usize) -> f64) -> Block {
        Block(std::array::from_fn(f))
    }

    #[test]
    fn each_kind_of_series_takes_its_codec() {
        assert_eq!(round_trip(&block_of(|_| 0.0)), (WHOLE, 3));
        assert_eq!(round_trip(&block_of(|_| 7.0 / 60.0)), (WHOLE, 4));
        assert_eq!(round_trip(&block_of(|_| -0.0)), (CONSTANT, 9));
        assert_eq!(round_trip(&Block::EMPTY), (CONSTANT, 17));
        assert_eq!(
            round_trip(&block_of(|i| (i % 7) as f64)),
            (WHOLE, 3 + 16 + 8)
        );
        let rate = |i: usize| (300 + i * i % 50) as f64 / 60.0;
        assert_eq!(round_trip(&block_of(rate)), (WHOLE, 3 + 2 + 32 + 16));
        let cents = |i: usize| (100_000 + i * i * 977 % 1861) as f64 / 100.0;
        assert_eq!(round_trip(&block_of(cents)), (WHOLE, 3 + 3 + 60 + 16 + 8));
        let ramp = |i: usize| (i * 70_001) as f64;
        assert_eq!(round_trip(&block_of(ramp)), (DELTA, 7));
        let walk = |i: usize| (i * 70_001 + i * i % 7) as f64;
        assert_eq!(round_trip(&block_of(walk)), (DELTA, 7 + 8 + 16));
        let states = |i: usize| [0.0, 1e12, 3.5, 17.0][i * i % 4];
        assert_eq!(round_trip(&block_of(states)), (DICTIONARY, 3 + 2 * 8 + 8));
        let levels = |i: usize| [0.1, 0.7][i % 2] + 0.2;
        assert_eq!(round_trip(&block_of(levels)), (DICTIONARY, 3 + 2 * 8 + 8));
        let single = |i: usize| f64::from((i as f32 + 900.0).sqrt());
        let (tag, length) = round_trip(&block_of(single));
        assert!(tag == BITS && length < 170, "{tag} {length}");
        let noise = |i: usize| (i as f64).sin();
        assert_eq!(round_trip(&block_of(noise)), (RAW, 481));
    }

    #[test]
    fn gaps_cost_their_mask_only() {
        let third = block_of(|i| {
            if i % 3 == 0 {
                f64::NAN
            } else {
                (i * i % 59) as f64
            }
        });
        assert_eq!(round_trip(&third), (WHOLE, 8 + 3 + 20 + 10));
        let few = block_of(|i| {
            if i % 20 == 0 {
                f64::NAN
            } else {
                (i % 16) as f64
            }
        });
        assert_eq!(round_trip(&few), (WHOLE, 8 + 3 + 32));
    }

    /// Blocks as the first version wrote them.
    #[test]
    fn blocks_of_the_first_version_are_read() {
        let read = |bytes: &[u8]| {
            let (encoded, length) = EncodedBlock::read(bytes).expect("a block");
            assert_eq!(length, bytes.len());
            codec().decode(&encoded)
        };
        let old = |tag: u8, mask: Option<u64>, divisor: u8, base: i64, elements: &[u8]| {
            let mut bytes = vec![tag | if mask.is_some() { HAS_MASK } else { 0 }];
            bytes.extend(mask.into_iter().flat_map(u64::to_le_bytes));
            bytes.push(divisor);
            bytes.extend(base.to_le_bytes());
            bytes.extend(elements);
            bytes
        };
        let eights: Vec<u8> = (0..60).collect();
        let block = read(&old(2, None, 1, 300, &eights));
        assert!(block.same_data(&block_of(|i| (300 + i) as f64 / 60.0)));
        let sixteens: Vec<u8> = (0..60u16).flat_map(|i| (i * 1000).to_le_bytes()).collect();
        let block = read(&old(3, None, 3, -5, &sixteens));
        assert!(block.same_data(&block_of(|i| (i as f64 * 1000.0 - 5.0) / 100.0)));
        let block = read(&old(4, Some(0b1010), 0, 7, &[1, 0, 0, 0, 0, 0, 0, 0x80]));
        let mut want = Block::EMPTY;
        (want.0[1], want.0[3]) = (8.0, 7.0 + 2f64.powi(31));
        assert!(block.same_data(&want));
        let mut constant = vec![0];
        constant.extend(2.5f64.to_le_bytes());
        assert!(read(&constant).same_data(&block_of(|_| 2.5)));
        let mut raw = vec![1 | HAS_MASK];
        raw.extend((1u64 << 59).to_le_bytes());
        raw.extend(0.1f64.to_le_bytes());
        let mut want = Block::EMPTY;
        want.0[59] = 0.1;
        assert!(read(&raw).same_data(&want));
    }

    #[test]
    fn awkward_numbers_come_back_to_the_bit() {
        let awkward = [
            -0.0,
            0.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            -1.0,
            2f64.powi(53) + 2.0,
            1e300,
        ];
        round_trip(&block_of(|i| awkward[i % awkward.len()]));
        for v in awkward {
            round_trip(&block_of(|i| if i == 9 { v } else { 1.0 }));
            round_trip(&block_of(|_| v));
        }
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            3 => Just(f64::NAN),
            3 => (0i32..500).prop_map(|n| f64::from(n) / 60.0),
            3 => any::<i32>().prop_map(|n| f64::from(n) / 100.0),
            1 => any::<f32>().prop_map(f64::from),
            1 => any::<f64>(),
            1 => any::<i64>().prop_map(|n| n as f64),
        ]
    }

    proptest! {
        #[test]
        fn any_block_comes_back(values in prop::collection::vec(value(), BLOCK_SLOTS)) {
            round_trip(&block_of(|i| values[i]));
        }

        #[test]
        fn blocks_of_one_kind_come_back(
            base in any::<i32>(), spread in 1u32..1_000_000, divisor in prop::sample::select(vec![1.0, 60.0, 10.0, 1e6]),
            seed in any::<u32>(),
        ) {
            let element = |i: usize| f64::from(base) + f64::from(seed.wrapping_mul(i as u32 + 1) % spread);
            round_trip(&block_of(|i| element(i) / divisor));
        }

        /// Ramps, walks, levels, doubles of little precision, with and without gaps: what the other codecs are for.
        #[test]
        fn blocks_of_every_codec_come_back(
            kind in 0..5, gaps in prop_oneof![Just(0u64), any::<u64>(), (0u64..60, 0u64..60).prop_map(|(a, b)| 1 << a | 1 << b)],
            scale in any::<u32>(), steps in prop::collection::vec(0u32..40, BLOCK_SLOTS),
        ) {
            let mut block = block_of(|i| {
                let step = f64::from(steps[i]);
                match kind {
                    0 => f64::from(scale) * i as f64 + step,
                    1 => f64::from(scale) * (step / 4.0).floor(),
                    2 => f64::from((f64::from(scale) * step).sqrt() as f32),
                    3 => f64::from(scale).sqrt() + (step / 3.0).floor(),
                    _ => (f64::from(scale) + step).sin(),
                }
            });
            for (i, v) in block.0.iter_mut().enumerate() {
                if gaps >> i & 1 == 1 {
                    *v = f64::NAN;
                }
            }
            round_trip(&block);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            tag in 0u8..10, gappy in any::<bool>(), bytes in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let mut block = vec![tag | if gappy { HAS_MASK } else { 0 }];
            block.extend(bytes);
            if let Ok((encoded, length)) = EncodedBlock::read(&block) {
                let decoded = codec().decode(&encoded);
                prop_assert!(length <= block.len());
                prop_assert_eq!(decoded.present() & !encoded.mask, 0);
            }
        }

        #[test]
        fn what_follows_a_block_changes_nothing(values in prop::collection::vec(value(), BLOCK_SLOTS), after in prop::collection::vec(any::<u8>(), 0..90)) {
            let block = block_of(|i| values[i]);
            let mut bytes = Vec::new();
            codec().encode(&block, &mut bytes);
            let length = bytes.len();
            prop_assert!(length <= MAX_BLOCK_LEN);
            bytes.extend(after);
            let (encoded, found) = EncodedBlock::read(&bytes).expect("just encoded");
            prop_assert_eq!(found, length);
            prop_assert!(codec().decode(&encoded).same_data(&block));
        }
    }
}
