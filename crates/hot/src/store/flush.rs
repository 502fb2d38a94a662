//! What is taken to history: the blocks that were sealed together, as rows in the order of files.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use hesper_model::series::put_sort_key;
use hesper_model::{Tags, Window};

use super::HotStore;
use crate::codec::EncodedBlock;
use crate::series_table::SeriesRef;
use crate::window::FlushId;
use crate::window::sealed::{SealedBlocks, SeriesOrder};

/// Windows that are sealed for one manifest commit.
pub struct PendingFlush {
    /// The flush.
    pub id: FlushId,
    /// Its windows.
    pub windows: BTreeSet<Window>,
    parts: Vec<FlushPart>,
}

impl PendingFlush {
    /// A flush without blocks.
    pub(super) fn new(id: FlushId) -> Self {
        Self {
            id,
            windows: BTreeSet::new(),
            parts: Vec::new(),
        }
    }

    /// Adds what a shard has of a window.
    pub(super) fn add(&mut self, shard: u32, window: Window, blocks: Arc<SealedBlocks>) {
        self.windows.insert(window);
        self.parts.push(FlushPart {
            shard,
            window,
            blocks,
        });
    }

    /// True when it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

struct FlushPart {
    shard: u32,
    window: Window,
    blocks: Arc<SealedBlocks>,
}

/// Which series rows are of, and in which order. It is equal to another only when they are the same: all series with all their tags.
#[derive(Clone, Debug)]
pub struct FlushOrder(Arc<[u16]>);

impl PartialEq for FlushOrder {
    fn eq(&self, other: &Self) -> bool {
        // Made anew for every other order, see `HotStore::merged`; and who holds one keeps its place in memory from being used again.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The rows that a flush has of a window, sorted by (name, tags).
pub struct FlushRows<'a> {
    store: &'a HotStore,
    window: Window,
    parts: Vec<&'a FlushPart>,
    /// The part of each row.
    merged: Arc<[u16]>,
    /// True when the store remembers in which order they are.
    remembered: bool,
}

/// A row for history: one series' block of a window.
pub struct FlushRow<'a> {
    store: &'a HotStore,
    shard: u32,
    series: SeriesRef,
    /// The window.
    pub window: Window,
    /// The values.
    pub block: EncodedBlock<'a>,
}

impl FlushRow<'_> {
    /// The tags of the series.
    pub fn tags(&self) -> Tags {
        let shard = self.store.shards[self.shard as usize].read();
        shard.table.tags(&self.store.symbols.read(), self.series)
    }
}

impl FlushRows<'_> {
    /// Which series they are of; `None` when they are few beside what is flushed most, so that nobody is to remember them.
    pub fn order(&self) -> Option<FlushOrder> {
        self.remembered.then(|| FlushOrder(self.merged.clone()))
    }

    /// The keys of their tags.
    pub fn keys(&self) -> BTreeSet<Arc<str>> {
        let mut keys = BTreeSet::new();
        for part in &self.parts {
            let shard = self.store.shards[part.shard as usize].read();
            let symbols = self.store.symbols.read();
            let of_part = shard.table.all_keys(part.blocks.order().sorted());
            keys.extend(of_part.into_iter().map(|key| symbols.text(key).clone()));
        }
        keys
    }

    /// Hands the rows to `row`, one after another.
    ///
    /// # Errors
    /// Whatever `row` fails with.
    pub fn each<E>(&self, mut row: impl FnMut(FlushRow<'_>) -> Result<(), E>) -> Result<(), E> {
        // Each shard's blocks lie in the order: what is left is to take them in turns.
        let mut places = vec![0; self.parts.len()];
        for number in self.merged.iter().copied().map(usize::from) {
            let (part, place) = (self.parts[number], places[number]);
            places[number] += 1;
            row(FlushRow {
                store: self.store,
                shard: part.shard,
                series: part.blocks.order().refs()[place],
                window: self.window,
                block: part.blocks.encoded(place as u32),
            })?;
        }
        Ok(())
    }
}

/// The next series of a part that is merged with others.
struct MergeHead<'a> {
    /// What it is sorted by.
    key: Vec<u8>,
    part: &'a FlushPart,
    /// The place of the part among those that are merged.
    number: u16,
    place: usize,
}

impl PartialEq for MergeHead<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for MergeHead<'_> {}

impl PartialOrd for MergeHead<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MergeHead<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.key, self.part.shard).cmp(&(&other.key, other.part.shard))
    }
}

/// In which order the series of parts were merged.
pub(super) struct MergedOrder {
    /// By part: its shard, and its series.
    orders: Vec<(u32, Arc<SeriesOrder>)>,
    /// The part of each series.
    parts: Arc<[u16]>,
    /// Windows one after another that had other series, and fewer.
    passed_over: u32,
}

/// What comes late for windows is flushed by itself: an order of fewer series than half of those that are remembered is not remembered in their
/// place, unless so many come one after another.
const PASSED_OVER: u32 = 16;

impl MergedOrder {
    /// Bytes held, besides the orders of the parts.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&*self.parts)
    }
}

impl HotStore {
    /// The flushes that were sealed but are not known to be in history: those to be tried again after a failure.
    pub fn unflushed(&self) -> Vec<PendingFlush> {
        let mut flushes: BTreeMap<FlushId, PendingFlush> = BTreeMap::new();
        for (number, shard) in self.shards.iter().enumerate() {
            for (window, part) in &shard.read().windows {
                for (id, blocks) in &part.unflushed {
                    let flush = flushes.entry(*id).or_insert_with(|| PendingFlush::new(*id));
                    flush.add(number as u32, *window, blocks.clone());
                }
            }
        }
        flushes.into_values().collect()
    }

    /// The rows that a flush has of a window.
    pub fn flush_rows<'a>(&'a self, flush: &'a PendingFlush, window: Window) -> FlushRows<'a> {
        let parts = flush.parts.iter().filter(|part| part.window == window);
        let parts: Vec<_> = parts.collect();
        let (merged, remembered) = self.merged(&parts);
        FlushRows {
            store: self,
            window,
            parts,
            merged,
            remembered,
        }
    }

    /// In which order the series of parts are merged: the part of each. Windows mostly have the series of the one before, whose order is then
    /// used again; and whether that is remembered.
    fn merged(&self, parts: &[&FlushPart]) -> (Arc<[u16]>, bool) {
        let orders = parts.iter().map(|p| (p.shard, p.blocks.order()));
        let mut last = self.merged.lock();
        let is_same = |last: &MergedOrder| {
            let known = last.orders.iter().map(|(shard, order)| (*shard, order));
            orders.len() == known.len()
                && orders
                    .clone()
                    .zip(known)
                    .all(|((s, o), (shard, order))| s == shard && Arc::ptr_eq(o, order))
        };
        if let Some(last) = last.as_mut().filter(|last| is_same(last)) {
            last.passed_over = 0;
            return (last.parts.clone(), true);
        }
        let merging = parts.iter().zip(0..);
        let mut heads: BinaryHeap<_> = merging
            .filter_map(|(part, number)| self.head(part, number, 0, Vec::new()).map(Reverse))
            .collect();
        let mut merged = Vec::with_capacity(parts.iter().map(|p| p.blocks.len()).sum());
        while let Some(Reverse(head)) = heads.pop() {
            merged.push(head.number);
            heads.extend(
                self.head(head.part, head.number, head.place + 1, head.key)
                    .map(Reverse),
            );
        }
        let merged: Arc<[u16]> = merged.into();
        if let Some(last) = last.as_mut()
            && merged.len() * 2 < last.parts.len()
            && last.passed_over < PASSED_OVER
        {
            last.passed_over += 1;
            return (merged, false);
        }
        *last = Some(MergedOrder {
            orders: orders
                .map(|(shard, order)| (shard, order.clone()))
                .collect(),
            parts: merged.clone(),
            passed_over: 0,
        });
        (merged, true)
    }

    /// A part's series at a place of its order, to be merged with those of other parts; `None` at the end.
    fn head<'a>(
        &self,
        part: &'a FlushPart,
        number: u16,
        place: usize,
        mut key: Vec<u8>,
    ) -> Option<MergeHead<'a>> {
        let series = part.blocks.order().refs().get(place)?;
        key.clear();
        let shard = self.shards[part.shard as usize].read();
        let symbols = self.symbols.read();
        let pairs = shard.table.text_pairs(&symbols, *series);
        put_sort_key(pairs.map(|(k, v)| (&**k, &**v)), &mut key);
        Some(MergeHead {
            key,
            part,
            number,
            place,
        })
    }
}
