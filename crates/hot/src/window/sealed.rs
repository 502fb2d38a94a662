//! Sealed blocks: the encoded blocks of a window, one after another in the order of (name, tags).
//!
//! The order is that of history files: the blocks of a name are neighbours, so a scan runs through memory in sequence.

use std::sync::Arc;

use hesper_model::Block;
use roaring::RoaringBitmap;

use crate::codec::planes::LANES;
use crate::codec::{Codec, Divisors, EncodedBlock};
use crate::fold::{Accumulator, WindowPart, Work, prefetch, run_widest};
use crate::pages::PageBytes;
use crate::series_table::SeriesRef;

/// A place that no series has.
const NOWHERE: u32 = u32::MAX;

/// Series in the order of (name, tags). Windows with the same series share one.
#[derive(Debug, Default)]
pub struct SeriesOrder {
    refs: Box<[SeriesRef]>,
    /// Places in `refs`, in the order of the numbers of the series.
    by_number: Box<[u32]>,
}

impl SeriesOrder {
    /// The order that `refs` are in.
    pub fn new(refs: Vec<SeriesRef>) -> Self {
        let mut by_number: Vec<u32> = (0..refs.len() as u32).collect();
        by_number.sort_unstable_by_key(|place| refs[*place as usize]);
        Self {
            refs: refs.into(),
            by_number: by_number.into(),
        }
    }

    /// The series in their order.
    pub fn refs(&self) -> &[SeriesRef] {
        &self.refs
    }

    /// The series in the order of their numbers.
    pub fn sorted(&self) -> impl ExactSizeIterator<Item = SeriesRef> + Clone + '_ {
        self.by_number.iter().map(|p| self.refs[*p as usize])
    }

    /// The place of a series.
    pub fn place(&self, series: SeriesRef) -> Option<u32> {
        let number_at = |i: usize| self.refs[self.by_number[i] as usize].0;
        let last = self.by_number.len().checked_sub(1)?;
        let (lowest, highest) = (number_at(0), number_at(last));
        if !(lowest..=highest).contains(&series.0) {
            return None;
        }
        // Numbers are dense: of those below this one hardly any is missing.
        let least = last.saturating_sub((highest - series.0) as usize);
        let most = last.min((series.0 - lowest) as usize);
        let found =
            self.by_number[least..=most].binary_search_by_key(&series, |p| self.refs[*p as usize]);
        found.ok().map(|i| self.by_number[least + i])
    }

    /// True when the series is one of them.
    pub fn contains(&self, series: SeriesRef) -> bool {
        self.place(series).is_some()
    }

    /// True when these, which are sorted by number, and no others, are the series.
    pub fn is_of(&self, series: &[SeriesRef]) -> bool {
        self.sorted().eq(series.iter().copied())
    }

    /// The places of series, sorted by number, with their groups; in the order of the places.
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
        let mut wanted = series.iter().peekable();
        for place in &self.by_number {
            let number = self.refs[*place as usize];
            while wanted.next_if(|(s, _)| *s < number).is_some() {}
            if let Some((_, group)) = wanted.next_if(|(s, _)| *s == number) {
                groups[*place as usize] = *group;
            }
        }
        let places = groups.iter().enumerate();
        places
            .filter(|(_, group)| **group != NOWHERE)
            .map(|(place, group)| (place as u32, *group))
            .collect()
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        4 * (self.refs.len() + self.by_number.len())
    }
}

/// Where blocks begin, in the order of their places: two bytes each, and four for every so many.
#[derive(Debug)]
struct Offsets {
    anchors: Box<[u32]>,
    /// Counted from the anchor.
    within: Box<[u16]>,
}

/// Blocks of an anchor: together they are below 64 KiB.
const ANCHORED: usize = 64;

impl Offsets {
    fn new(offsets: &[u32]) -> Self {
        let anchors = offsets.iter().step_by(ANCHORED).copied();
        let within = offsets.chunks(ANCHORED).flat_map(|chunk| {
            let distance = chunk.iter().map(|at| at - chunk[0]);
            distance.map(|d| u16::try_from(d).expect("blocks are below a kilobyte"))
        });
        Self {
            anchors: anchors.collect(),
            within: within.collect(),
        }
    }

    #[inline(always)]
    fn get(&self, place: u32) -> usize {
        let place = place as usize;
        self.anchors[place / ANCHORED] as usize + usize::from(self.within[place])
    }

    fn size_bytes(&self) -> usize {
        4 * self.anchors.len() + 2 * self.within.len()
    }
}

/// Blocks being encoded.
struct Encoding<'a, F> {
    order: &'a SeriesOrder,
    codec: &'a Codec,
    block: F,
    arena: &'a mut Vec<u8>,
    offsets: &'a mut Vec<u32>,
}

impl<F: Fn(SeriesRef) -> Block> Work for Encoding<'_, F> {
    #[inline(always)]
    fn run(self) {
        for series in self.order.refs() {
            let at = u32::try_from(self.arena.len());
            self.offsets
                .push(at.expect("a shard's window is below 4 GiB"));
            self.codec.encode(&(self.block)(*series), self.arena);
        }
    }
}

/// Blocks of a shard, and the places of those that are meant, sorted, each with the group of its series.
pub type Chosen<'a> = (&'a SealedBlocks, &'a [(u32, u32)]);

/// How many blocks before its turn a block is asked for: a fold is about as long as it takes memory to answer a few times over.
const AHEAD: usize = 4;

/// Blocks being folded.
struct Folding<'a> {
    chosen: &'a [Chosen<'a>],
    acc: &'a mut Accumulator,
    part: &'a WindowPart,
    divisors: &'a Divisors,
}

impl Work for Folding<'_> {
    #[inline(always)]
    fn run(self) {
        let (acc, part, divisors) = (self.acc, self.part, self.divisors);
        acc.begin_window(self.chosen.iter().map(|(_, places)| places.len()).sum());
        for (blocks, places) in self.chosen {
            let arena: &[u8] = &blocks.arena;
            for (i, (place, group)) in places.iter().enumerate() {
                if let Some((later, _)) = places.get(i + AHEAD) {
                    prefetch(&arena[blocks.offsets.get(*later)..]);
                }
                let at = blocks.offsets.get(*place);
                acc.fold_encoded(*group, part, &arena[at..], divisors);
            }
        }
        acc.end_window(part, divisors);
    }
}

/// The encoded blocks of a shard's part of a window.
#[derive(Debug)]
pub struct SealedBlocks {
    order: Arc<SeriesOrder>,
    offsets: Offsets,
    arena: PageBytes,
}

impl SealedBlocks {
    /// Encodes the blocks of the series of an order.
    pub fn encode(
        order: Arc<SeriesOrder>,
        codec: &Codec,
        block: impl Fn(SeriesRef) -> Block,
    ) -> Self {
        let mut arena = Vec::with_capacity(order.refs.len() * 96);
        let mut offsets = Vec::with_capacity(order.refs.len());
        run_widest(Encoding {
            order: &order,
            codec,
            block,
            arena: &mut arena,
            offsets: &mut offsets,
        });
        // So that every block is followed by as much as is read at once.
        arena.resize(arena.len() + LANES, 0);
        Self {
            order,
            offsets: Offsets::new(&offsets),
            arena: PageBytes::copy_of(&arena),
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
        let bytes = &self.arena[self.offsets.get(place)..];
        let (block, _) = EncodedBlock::read(bytes).expect("the arena holds what the codec wrote");
        block
    }

    /// The bytes of the encoded block at a place.
    pub fn bytes(&self, place: u32) -> &[u8] {
        let bytes = &self.arena[self.offsets.get(place)..];
        let (_, length) = EncodedBlock::read(bytes).expect("the arena holds what the codec wrote");
        &bytes[..length]
    }

    /// The values of a series; `None` when it has no block here.
    pub fn block(&self, series: SeriesRef, codec: &Codec) -> Option<Block> {
        let place = self.order.place(series)?;
        Some(codec.decode(&self.encoded(place)))
    }

    /// Folds blocks of a window, of one shard or of several, each into its group.
    pub fn fold(chosen: &[Chosen<'_>], acc: &mut Accumulator, part: &WindowPart, codec: &Codec) {
        run_widest(Folding {
            chosen,
            acc,
            part,
            divisors: codec.divisors(),
        });
    }

    /// The numbers of the series.
    pub fn series(&self) -> RoaringBitmap {
        self.order.refs.iter().map(|s| s.0).collect()
    }

    /// Bytes held, the order not included.
    pub fn size_bytes(&self) -> usize {
        self.arena.len() + self.offsets.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_found_at_its_place() {
        let codec = Codec::new(hesper_model::Step::from_secs(60));
        let value = |s: SeriesRef, p: usize| (f64::from(s.0 * 61) + p as f64).sin();
        let block = |s| Block(std::array::from_fn(|p| value(s, p)));
        let order = Arc::new(SeriesOrder::new((0..500).map(SeriesRef).collect()));
        let blocks = SealedBlocks::encode(order, &codec, block);
        for s in (0..500).map(SeriesRef) {
            let held = blocks.block(s, &codec).expect("encoded");
            assert!(held.same_data(&block(s)), "{s:?}");
            let mut alone = Vec::new();
            codec.encode(&block(s), &mut alone);
            assert_eq!(blocks.bytes(s.0), alone);
        }
        assert!(blocks.block(SeriesRef(500), &codec).is_none());
        // Doubles in the worst form, and what it takes to find them.
        assert!(blocks.size_bytes() < 500 * (481 + 3) + 100);
    }

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
        assert_eq!(
            (order.place(SeriesRef(4)), order.place(SeriesRef(5))),
            (Some(97), None)
        );
        assert!(!order.is_of(&[SeriesRef(0)]));
    }
}
