//! Late datapoints, series by series: a few with their positions, then a block.

use hashbrown::HashMap;
use hesper_model::{BLOCK_SLOTS, Block};

use crate::series_table::SeriesRef;

/// A series with more values gets a block.
const MAX_FEW: usize = 24;

/// Bytes of a series in the table, which is filled to two thirds.
const ENTRY_BYTES: usize = (size_of::<SeriesRef>() + size_of::<Values>() + 1) * 3 / 2;

/// Values of series.
#[derive(Default)]
pub struct Late(HashMap<u32, Values>);

enum Values {
    Few(Vec<(u8, f64)>),
    Block(Box<[f64; BLOCK_SLOTS]>),
}

impl Values {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(few) => few.capacity() * size_of::<(u8, f64)>(),
            Self::Block(_) => size_of::<[f64; BLOCK_SLOTS]>(),
        }
    }

    fn block(&self) -> Block {
        match self {
            Self::Few(few) => {
                let mut block = Block::EMPTY;
                few.iter().for_each(|(p, v)| block.0[usize::from(*p)] = *v);
                block
            }
            Self::Block(values) => Block(**values),
        }
    }

    fn write(&mut self, position: usize, value: f64) {
        match self {
            Self::Few(few) => {
                let known = few.iter_mut().find(|(p, _)| usize::from(*p) == position);
                if let Some((_, held)) = known {
                    *held = value;
                } else if few.len() < MAX_FEW {
                    few.push((position as u8, value));
                } else {
                    let mut block = self.block();
                    block.0[position] = value;
                    *self = Self::Block(Box::new(block.0));
                }
            }
            Self::Block(values) => values[position] = value,
        }
    }
}

impl Late {
    /// Sets a value, and gives the bytes that are held for it beyond those held before.
    pub fn write(&mut self, series: SeriesRef, position: usize, value: f64) -> usize {
        let mut new = 0;
        let values = self.0.entry(series.0).or_insert_with(|| {
            new = ENTRY_BYTES;
            Values::Few(Vec::new())
        });
        let before = values.heap_bytes();
        values.write(position, value);
        // A series that gets a block may have held more before.
        (new + values.heap_bytes()).saturating_sub(before)
    }

    /// The series, in the order of their numbers.
    pub fn series(&self) -> impl Iterator<Item = SeriesRef> + use<> {
        let mut numbers: Vec<u32> = self.0.keys().copied().collect();
        numbers.sort_unstable();
        numbers.into_iter().map(SeriesRef)
    }

    /// True when the series has values.
    pub fn holds(&self, series: SeriesRef) -> bool {
        self.0.contains_key(&series.0)
    }

    /// The values of a series.
    pub fn block(&self, series: SeriesRef) -> Block {
        self.0.get(&series.0).map_or(Block::EMPTY, Values::block)
    }
}
