//! The columns of the values of a row: how they are scaled, the lists, and what they sum up to.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int32Builder, Int64Builder};
use hesper_hot::codec::planes::LANES;
use hesper_hot::codec::{Divisors, EncodedBlock};
use hesper_hot::fold::{Work, run_widest};
use hesper_model::{BLOCK_SLOTS, Block};

use super::elements::{Elements, Scale};

/// Builders of the columns from `divisor` on.
#[derive(Default)]
pub(super) struct ValueColumns {
    divisor: Float64Builder,
    base: Int64Builder,
    values: Elements,
    count: Int32Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
}

impl ValueColumns {
    /// Adds a row and gives the number of its datapoints.
    pub fn push(&mut self, block: &Block, divisors: &Divisors) -> u64 {
        let present = Present::of(&block.0);
        let divisor = divisors.for_values(present.values());
        self.append(&block.0, &present, divisor)
    }

    /// Adds a row that lies in memory, and gives the number of its datapoints.
    pub fn push_encoded(&mut self, block: &EncodedBlock<'_>, divisors: &Divisors) -> u64 {
        let mut lanes = [0.0; LANES];
        let mut present = Present::default();
        run_widest(Decoding {
            block,
            divisors,
            lanes: &mut lanes,
            present: &mut present,
        });
        let values = lanes.first_chunk().expect("more lanes than slots");
        // Sealing has searched already, with the same values.
        let divisor = block
            .searched_divisor(divisors)
            .unwrap_or_else(|| divisors.for_values(present.values()));
        self.append(values, &present, divisor)
    }

    fn append(
        &mut self,
        values: &[f64; BLOCK_SLOTS],
        present: &Present,
        divisor: Option<f64>,
    ) -> u64 {
        self.divisor.append_value(divisor.unwrap_or(1.0));
        let summary = Summary::of(present.values());
        let scale = divisor.zip(summary).map(|(divisor, summary)| Scale {
            divisor,
            base: (summary.min * divisor).round() as i64,
        });
        self.base.append_value(scale.map_or(0, |s| s.base));
        let is_full = present.count == BLOCK_SLOTS;
        self.values.push_exact(values, is_full, scale);
        self.count.append_value(present.count as i32);
        self.sum.append_option(summary.map(|s| s.sum));
        self.min.append_option(summary.map(|s| s.min));
        self.max.append_option(summary.map(|s| s.max));
        present.count as u64
    }

    /// The columns of the rows added since the last call.
    pub fn finish(&mut self, arrays: &mut Vec<ArrayRef>) {
        arrays.push(Arc::new(self.divisor.finish()));
        arrays.push(Arc::new(self.base.finish()));
        arrays.extend(self.values.finish());
        arrays.extend::<[ArrayRef; 4]>([
            Arc::new(self.count.finish()),
            Arc::new(self.sum.finish()),
            Arc::new(self.min.finish()),
            Arc::new(self.max.finish()),
        ]);
    }
}

/// A block being decoded.
struct Decoding<'a> {
    block: &'a EncodedBlock<'a>,
    divisors: &'a Divisors,
    lanes: &'a mut [f64; LANES],
    present: &'a mut Present,
}

impl Work for Decoding<'_> {
    #[inline(always)]
    fn run(self) {
        self.block.values(self.divisors, f64::NAN, self.lanes);
        let values = self.lanes.first_chunk().expect("more lanes than slots");
        if self.block.is_full() {
            self.present.values = *values;
            self.present.count = BLOCK_SLOTS;
        } else {
            *self.present = Present::of(values);
        }
    }
}

/// The values that are there, one after another.
struct Present {
    values: [f64; BLOCK_SLOTS],
    count: usize,
}

impl Default for Present {
    fn default() -> Self {
        Self {
            values: [0.0; BLOCK_SLOTS],
            count: 0,
        }
    }
}

impl Present {
    #[inline(always)]
    fn of(values: &[f64; BLOCK_SLOTS]) -> Self {
        let mut present = Self::default();
        for v in values {
            if !v.is_nan() {
                present.values[present.count] = *v;
                present.count += 1;
            }
        }
        present
    }

    fn values(&self) -> &[f64] {
        &self.values[..self.count]
    }
}

/// What the columns `sum`, `min` and `max` hold of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The sum, added in the order of time.
    pub sum: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// The summary of values without NaN; `None` for none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let (first, rest) = values.split_first()?;
        let mut sum = *first;
        // The order of additions is fixed, that of comparisons is not: several at a time.
        let (mut low, mut high) = ([*first; COMPARED], [*first; COMPARED]);
        let (chunks, last) = rest.as_chunks::<COMPARED>();
        for chunk in chunks {
            for (i, v) in chunk.iter().enumerate() {
                sum += v;
                low[i] = lower(low[i], *v);
                high[i] = higher(high[i], *v);
            }
        }
        for v in last {
            sum += v;
            low[0] = lower(low[0], *v);
            high[0] = higher(high[0], *v);
        }
        Some(Self {
            sum,
            min: low.into_iter().fold(*first, lower),
            max: high.into_iter().fold(*first, higher),
        })
    }
}

/// Values that are compared at a time.
const COMPARED: usize = 8;

/// The lower of two numbers, neither of which is NaN.
#[inline(always)]
fn lower(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

/// The higher of two numbers, neither of which is NaN.
#[inline(always)]
fn higher(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use hesper_hot::codec::Codec;
    use hesper_model::Step;
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (0i32..5000).prop_map(|n| f64::from(n) / 60.0),
            4 => (-900i32..900).prop_map(f64::from),
            1 => any::<f64>(),
            1 => Just(f64::NAN),
            1 => Just(-0.0),
        ]
    }

    /// Blocks of one kind of values, as series are, with some others among them.
    fn block() -> impl Strategy<Value = Block> {
        let few = prop::collection::vec(value(), 1..5);
        let mixed = prop::collection::vec(value(), BLOCK_SLOTS);
        let whole =
            (prop::collection::vec(0i32..100_000, BLOCK_SLOTS), 0usize..3).prop_map(|(n, by)| {
                n.iter()
                    .map(|n| f64::from(*n) / [1.0, 60.0, 10.0][by])
                    .collect()
            });
        let values = prop_oneof![few, mixed, whole];
        (values, any::<u64>(), any::<bool>()).prop_map(|(values, mask, full)| {
            let values: Vec<f64> = values;
            Block(std::array::from_fn(|p| match full || mask >> p & 1 == 1 {
                true => values[p % values.len()],
                false => f64::NAN,
            }))
        })
    }

    proptest! {
        #[test]
        fn what_lies_in_memory_becomes_the_same_row(blocks in prop::collection::vec(block(), 1..20)) {
            let codec = Codec::new(Step::from_secs(60));
            let (mut plain, mut encoded) = (ValueColumns::default(), ValueColumns::default());
            for block in &blocks {
                let mut bytes = Vec::new();
                codec.encode(block, &mut bytes);
                let (read, _) = EncodedBlock::read(&bytes).expect("just encoded");
                let divisors = codec.divisors();
                prop_assert_eq!(encoded.push_encoded(&read, divisors), plain.push(block, divisors));
            }
            let (mut a, mut b) = (Vec::new(), Vec::new());
            plain.finish(&mut a);
            encoded.finish(&mut b);
            for (a, b) in a.iter().zip(&b) {
                prop_assert_eq!(a.to_data(), b.to_data());
            }
        }

        #[test]
        fn a_summary_is_that_of_values_one_by_one(values in prop::collection::vec(-1e6f64..1e6, 1..60)) {
            let summary = Summary::of(&values).expect("there are some");
            prop_assert_eq!(summary.sum.to_bits(), values[1..].iter().fold(values[0], |a, v| a + v).to_bits());
            prop_assert_eq!(summary.min, values.iter().copied().fold(f64::INFINITY, f64::min));
            prop_assert_eq!(summary.max, values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        }
    }

    #[test]
    fn no_values_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
    }
}
