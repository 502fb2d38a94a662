//! The forms in which a sealed block lies in memory: estimate, choose, encode; and fold without decoding where that pays.
//!
//! ```text
//! block     = tag [mask] body
//! tag       = u8          low seven bits: the codec; high bit: a mask follows, else all sixty slots hold data
//! mask      = u64         bit n: slot n holds data
//! constant  = f64                                  one value for all slots with data
//! raw       = f64 …                                a value for each slot with data
//! scaled8   = divisor u8, base i64, u8 …           (base + element) / divisor for each slot with data
//! scaled16  = divisor u8, base i64, u16 …
//! scaled32  = divisor u8, base i64, u32 …
//! ```
//! All numbers are little-endian. Every codec gives the values back to the bit; a block without data is a mask of zero.

mod constant;
mod raw;
mod scaled;

use bytes::BufMut;
use hesper_model::block::ALL_SLOTS;
use hesper_model::{BLOCK_SLOTS, Block, Step};

pub use scaled::{Divisors, MAX_DIVISORS};

/// Set in the tag when a mask follows.
const HAS_MASK: u8 = 0x80;

const CONSTANT: u8 = 0;
const RAW: u8 = 1;
const SCALED_8: u8 = 2;
const SCALED_16: u8 = 3;
const SCALED_32: u8 = 4;

/// The numbers of a block in their stored form, with the place of their data.
#[derive(Clone, Copy, Debug)]
pub struct EncodedBlock<'a> {
    /// The slots that hold data.
    pub mask: u64,
    /// Their values, in the order of time.
    pub body: Body<'a>,
}

/// The values of the slots with data.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The same value in all.
    Constant(f64),
    /// Little-endian doubles.
    Raw(&'a [u8]),
    /// `(base + element) / divisor`, elements of one byte.
    Scaled8(Scale, &'a [u8]),
    /// The same with elements of two bytes, little-endian.
    Scaled16(Scale, &'a [u8]),
    /// The same with elements of four bytes, little-endian.
    Scaled32(Scale, &'a [u8]),
}

/// What turns the elements of a scaled block into values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The place of the divisor in [`Divisors`].
    pub divisor: u8,
    /// Added to every element.
    pub base: i64,
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

    /// The divisors of the scaled codecs.
    pub fn divisors(&self) -> &Divisors {
        &self.divisors
    }

    /// Appends the cheapest form of a block.
    pub fn encode(&self, block: &Block, out: &mut Vec<u8>) {
        let mut values = [0.0; BLOCK_SLOTS];
        let mut n = 0;
        for v in block.0 {
            values[n] = v;
            n += usize::from(!v.is_nan());
        }
        let values = &values[..n];
        let mask = block.present();
        let head = |out: &mut Vec<u8>, tag: u8| {
            if mask == ALL_SLOTS {
                out.put_u8(tag);
            } else {
                out.put_u8(tag | HAS_MASK);
                out.put_u64_le(mask);
            }
        };
        if let Some(value) = constant::estimate(values) {
            head(out, CONSTANT);
            constant::encode(value, out);
        } else if let Some(plan) = scaled::estimate(values, &self.divisors) {
            head(out, plan.tag());
            scaled::encode(values, &plan, &self.divisors, out);
        } else {
            head(out, RAW);
            raw::encode(values, out);
        }
    }

    /// The values of an encoded block.
    pub fn decode(&self, encoded: &EncodedBlock<'_>) -> Block {
        let mut values = [0.0; BLOCK_SLOTS];
        let n = encoded.mask.count_ones() as usize;
        let values = &mut values[..n];
        match encoded.body {
            Body::Constant(v) => values.fill(v),
            Body::Raw(bytes) => raw::decode(bytes, values),
            Body::Scaled8(scale, bytes) => {
                scaled::decode(
                    scale,
                    bytes.iter().map(|b| i64::from(*b)),
                    &self.divisors,
                    values,
                );
            }
            Body::Scaled16(scale, bytes) => {
                scaled::decode(scale, scaled::elements_16(bytes), &self.divisors, values);
            }
            Body::Scaled32(scale, bytes) => {
                scaled::decode(scale, scaled::elements_32(bytes), &self.divisors, values);
            }
        }
        let mut block = Block::EMPTY;
        if encoded.mask == ALL_SLOTS {
            block.0.copy_from_slice(values);
        } else {
            let mut left = encoded.mask;
            for v in values {
                block.0[left.trailing_zeros() as usize] = *v;
                left &= left - 1;
            }
        }
        block
    }
}

impl<'a> EncodedBlock<'a> {
    /// Reads the block that begins at the start of `bytes`, and gives its length.
    ///
    /// # Errors
    /// When the bytes are no block.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, usize), CodecError> {
        let mut reader = Reader {
            bytes,
            at: 0,
            tag: 0,
        };
        let tag = reader.take(1)?[0];
        reader.tag = tag & !HAS_MASK;
        let mask = if tag & HAS_MASK == 0 {
            ALL_SLOTS
        } else {
            u64::from_le_bytes(reader.array()?) & ALL_SLOTS
        };
        let n = mask.count_ones() as usize;
        let body = match reader.tag {
            CONSTANT => Body::Constant(f64::from_le_bytes(reader.array()?)),
            RAW => Body::Raw(reader.take(n * 8)?),
            SCALED_8 => Body::Scaled8(reader.scale()?, reader.take(n)?),
            SCALED_16 => Body::Scaled16(reader.scale()?, reader.take(n * 2)?),
            SCALED_32 => Body::Scaled32(reader.scale()?, reader.take(n * 4)?),
            unknown => return Err(CodecError::Unknown(unknown)),
        };
        Ok((Self { mask, body }, reader.at))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    tag: u8,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], CodecError> {
        let taken = self.bytes.get(self.at..self.at + n);
        self.at += n;
        taken.ok_or(CodecError::Truncated { tag: self.tag })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("N bytes were taken"))
    }

    fn scale(&mut self) -> Result<Scale, CodecError> {
        let divisor = self.take(1)?[0];
        if usize::from(divisor) >= MAX_DIVISORS {
            return Err(CodecError::Unknown(divisor));
        }
        let base = i64::from_le_bytes(self.array()?);
        Ok(Scale { divisor, base })
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
        assert_eq!(round_trip(&block_of(|_| 0.0)), (CONSTANT, 9));
        assert_eq!(round_trip(&Block::EMPTY), (CONSTANT, 17));
        assert_eq!(round_trip(&block_of(|i| (i % 7) as f64)), (SCALED_8, 70));
        let rate = |i: usize| (300 + i * i % 50) as f64 / 60.0;
        assert_eq!(round_trip(&block_of(rate)), (SCALED_8, 70));
        let cents = |i: usize| (100_000 + i * 31) as f64 / 100.0;
        assert_eq!(round_trip(&block_of(cents)), (SCALED_16, 130));
        let bytes = |i: usize| (i * 70_001) as f64;
        assert_eq!(round_trip(&block_of(bytes)), (SCALED_32, 250));
        let noise = |i: usize| (i as f64).sin();
        assert_eq!(round_trip(&block_of(noise)), (RAW, 481));
    }

    #[test]
    fn gaps_cost_their_mask_only() {
        let block = block_of(|i| if i % 3 == 0 { f64::NAN } else { i as f64 });
        assert_eq!(round_trip(&block), (SCALED_8, 1 + 8 + 1 + 8 + 40));
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

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok((encoded, _)) = EncodedBlock::read(&bytes) {
                codec().decode(&encoded);
            }
        }
    }
}
