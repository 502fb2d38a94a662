//! Sealed blocks: the encoded blocks of a window, one after another in the order of (name, tags).
//!
//! The order is that of history files: the blocks of a name are neighbours, so a scan runs through memory in sequence.

use std::sync::Arc;

use hesper_model::Block;
use roaring::RoaringBitmap;

use crate::codec::{Codec, Divisors, EncodedBlock, MAX_BLOCK_LEN};
use crate::fold::{Accumulator, WindowPart, Work, run_widest};
use crate::series_table::SeriesRef;

/// A place that no series has.
const NOWHERE: u32 = u32::MAX;

/// Series in the order of (name, tags). Windows with the same series share one.
#[derive(Debug, Default)]
pub struct SeriesOrder {
    refs: Vec<SeriesRef>,
    /// By the number of a series: its place in `refs`.
    places: Vec<u32>,
}

impl SeriesOrder {
    /// The order that `refs` are in.
    pub fn new(refs: Vec<SeriesRef>) -> Self {
        let capacity = refs.iter().map(|s| s.index() + 1).max().unwrap_or(0);
        let mut places = vec![NOWHERE; capacity];
        for (place, series) in refs.iter().enumerate() {
            places[series.index()] = place as u32;
        }
        Self { refs, places }
    }

    /// The series in their order.
    pub fn refs(&self) -> &[SeriesRef] {
        &self.refs
    }

    /// The place of a series.
    pub fn place(&self, series: SeriesRef) -> Option<u32> {
        let place = self.places.get(series.index());
        place.copied().filter(|p| *p != NOWHERE)
    }

    /// True when the series is one of them.
    pub fn contains(&self, series: SeriesRef) -> bool {
        self.place(series).is_some()
    }

    /// True when these, and no others, are the series.
    pub fn is_of(&self, series: &[SeriesRef]) -> bool {
        self.refs.len() == series.len() && series.iter().all(|s| self.contains(*s))
    }

    /// The places of series with their groups, in the order of the places.
    pub fn places_of(&self, series: &[(SeriesRef, u32)]) -> Vec<(u32, u32)> {
        if series.len() * 8 < self.refs.len() {
            let mut places: Vec<_> = series
                .iter()
                .filter_map(|(s, group)| Some((self.place(*s)?, *group)))
                .collect();
            places.sort_unstable();
            return places;
        }
        let mut groups = vec![NOWHERE; self.refs.len()];
        for (s, group) in series {
            if let Some(place) = self.place(*s) {
                groups[place as usize] = *group;
            }
        }
        let places = groups.iter().enumerate();
        places
            .filter(|(_, group)| **group != NOWHERE)
            .map(|(place, group)| (place as u32, *group))
            .collect()
    }
}

/// Blocks being folded.
struct Folding<'a> {
    blocks: &'a SealedBlocks,
    acc: &'a mut Accumulator,
    part: &'a WindowPart,
    places: &'a [(u32, u32)],
    divisors: &'a Divisors,
}

impl Work for Folding<'_> {
    #[inline(always)]
    fn run(self) {
        let (acc, part, divisors) = (self.acc, self.part, self.divisors);
        acc.begin_window(self.places.len());
        for (place, group) in self.places {
            let at = self.blocks.offsets[*place as usize] as usize;
            acc.fold_encoded(*group, part, &self.blocks.arena[at..], divisors);
        }
        acc.end_window(part, divisors);
    }
}

/// The encoded blocks of a shard's part of a window.
#[derive(Debug)]
pub struct SealedBlocks {
    order: Arc<SeriesOrder>,
    /// By place: where the block begins in the arena. One more at the end.
    offsets: Vec<u32>,
    arena: Vec<u8>,
}

impl SealedBlocks {
    /// Encodes the blocks of the series of an order.
    pub fn encode(
        order: Arc<SeriesOrder>,
        codec: &Codec,
        block: impl Fn(SeriesRef) -> Block,
    ) -> Self {
        let mut arena = Vec::with_capacity(order.refs.len() * 64);
        let mut offsets = Vec::with_capacity(order.refs.len() + 1);
        for series in &order.refs {
            offsets.push(arena.len() as u32);
            codec.encode(&block(*series), &mut arena);
        }
        offsets.push(u32::try_from(arena.len()).expect("a shard's window is far below 4 GiB"));
        // So that every block is followed by as much as is read at once.
        arena.resize(arena.len() + MAX_BLOCK_LEN, 0);
        arena.shrink_to_fit();
        Self {
            order,
            offsets,
            arena,
        }
    }

    /// The series and their order.
    pub fn order(&self) -> &Arc<SeriesOrder> {
        &self.order
    }

    /// Number of blocks.
    pub fn len(&self) -> usize {
        self.order.refs.len()
    }

    /// True when there is no block.
    pub fn is_empty(&self) -> bool {
        self.order.refs.is_empty()
    }

    /// The encoded block at a place.
    pub fn encoded(&self, place: u32) -> EncodedBlock<'_> {
        let place = place as usize;
        let bytes = &self.arena[self.offsets[place] as usize..self.offsets[place + 1] as usize];
        let (block, _) = EncodedBlock::read(bytes).expect("the arena holds what the codec wrote");
        block
    }

    /// The values of a series; `None` when it has no block here.
    pub fn block(&self, series: SeriesRef, codec: &Codec) -> Option<Block> {
        let place = self.order.place(series)?;
        Some(codec.decode(&self.encoded(place)))
    }

    /// Folds the blocks at places, each into its group. The places are sorted.
    pub fn fold(
        &self,
        acc: &mut Accumulator,
        part: &WindowPart,
        places: &[(u32, u32)],
        codec: &Codec,
    ) {
        run_widest(Folding {
            blocks: self,
            acc,
            part,
            places,
            divisors: codec.divisors(),
        });
    }

    /// The numbers of the series.
    pub fn series(&self) -> RoaringBitmap {
        self.order.refs.iter().map(|s| s.0).collect()
    }

    /// Bytes held, the order not included.
    pub fn size_bytes(&self) -> usize {
        self.arena.capacity() + self.offsets.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_both_ways() {
        let refs: Vec<_> = (0..100).rev().map(|i| SeriesRef(i * 2)).collect();
        let order = SeriesOrder::new(refs);
        let few = [(SeriesRef(4), 7), (SeriesRef(5), 7), (SeriesRef(198), 8)];
        assert_eq!(order.places_of(&few), [(0, 8), (97, 7)]);
        let many: Vec<_> = (0..300).map(|s| (SeriesRef(s), s % 4)).collect();
        let places = order.places_of(&many);
        assert_eq!(places.len(), 100);
        assert!(places.is_sorted());
        assert_eq!(places[97], (97, 0));
        assert!(order.is_of(&(0..100).map(|i| SeriesRef(i * 2)).collect::<Vec<_>>()));
        assert!(!order.is_of(&[SeriesRef(0)]));
    }
}
