//! Scanning a shard: which series match, which group each belongs to, and the fold of all that memory answers for.
//!
//! Of each window, memory either holds everything, then it alone answers; or it holds what came after the window went to history,
//! then the scan hands that on as [`Overlay`]s, to be laid over what history has.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use hesper_model::{Block, SeriesId, TagQuery, Tags, Window};
use roaring::RoaringBitmap;

use crate::codec::Codec;
use crate::fold::{Accumulator, CellLayout, FoldOp, WindowPart};
use crate::groups::{GroupTable, Grouping, TooManyGroups};
use crate::series_table::{SeriesRef, SeriesTable};
use crate::shard::Shard;
use crate::symbols::{Symbol, Symbols};
use crate::window::sealed::{SealedBlocks, SeriesOrder};

/// What is asked of the storage: a partial aggregate of the matching series, by group and cell.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    /// Which series.
    pub query: TagQuery,
    /// Which series aggregate together.
    pub grouping: Grouping,
    /// How values meet in a cell.
    pub op: FoldOp,
    /// The cells.
    pub layout: CellLayout,
    /// More groups are refused.
    pub max_groups: usize,
}

/// What a series holds in memory of a window of which history holds the rest.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The series.
    pub id: SeriesId,
    /// Its tags.
    pub tags: Tags,
    /// The window.
    pub window: Window,
    /// The values; where there is one, it is newer than history's.
    pub block: Block,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanStats {
    /// Series that match, in memory.
    pub series: u64,
    /// Blocks folded, open columns included.
    pub blocks: u64,
    /// Bytes of them, about.
    pub bytes: u64,
}

impl ScanStats {
    fn note_blocks(&mut self, blocks: usize, bytes_of_block: usize) {
        self.blocks += blocks as u64;
        self.bytes += (blocks * bytes_of_block) as u64;
    }
}

/// A group with its key, in two tables.
const GROUP_BYTES: usize = 160;

/// An overlay with its tags.
const OVERLAY_BYTES: usize = size_of::<Overlay>() + 200;

/// What the scan of one or several shards found.
#[derive(Debug)]
pub struct PartialScan {
    /// The groups.
    pub groups: GroupTable,
    /// Their cells.
    pub acc: Accumulator,
    /// What was looked at.
    pub stats: ScanStats,
    /// What has to be laid over history.
    pub overlays: Vec<Overlay>,
    /// By shard: the windows of the query that memory answers for alone.
    pub complete: HashMap<u32, Vec<Window>>,
}

impl PartialScan {
    /// Nothing found yet.
    pub fn new(request: &ScanRequest) -> Self {
        Self {
            groups: GroupTable::new(request.max_groups),
            acc: Accumulator::new(request.op, request.layout),
            stats: ScanStats::default(),
            overlays: Vec::new(),
            complete: HashMap::new(),
        }
    }

    /// Takes in what another scan found of the same request, but for what it found in memory.
    ///
    /// # Errors
    /// When there are too many groups together.
    pub fn absorb_groups(&mut self, mut other: Self) -> Result<(), TooManyGroups> {
        let groups = other.groups.len();
        // The last may have been made without a value.
        other.acc.grow(groups);
        let mut numbers = Vec::with_capacity(groups);
        for group in 0..groups as u32 {
            let number = self.groups.number(other.groups.key(group))?;
            let lowest = other.groups.lowest(group);
            self.groups.lowest_mut(number).merge(lowest);
            numbers.push(number);
        }
        self.acc.grow(self.groups.len());
        for (group, number) in numbers.into_iter().enumerate() {
            let (values, presence) = (other.acc.values(group), other.acc.presence(group));
            self.acc.merge_group(number, values, presence);
        }
        Ok(())
    }

    /// Bytes held, about.
    pub fn size_bytes(&self) -> usize {
        self.acc.size_bytes()
            + self.groups.len() * GROUP_BYTES
            + self.overlays.len() * OVERLAY_BYTES
    }
}

/// Blocks are folded when so many series were found, those of several shards together: what it costs to begin and end a window is then
/// shared by many, and groups that have few blocks in a shard have enough of them to be gathered.
pub const FOLDED_TOGETHER: usize = 8192;

/// Sealed blocks of a shard, to be folded after its lock is let go.
pub struct SealedWork {
    series: Vec<(SeriesRef, u32)>,
    windows: Vec<(Window, Arc<SealedBlocks>)>,
}

impl SealedWork {
    /// Number of series that match in the shard.
    pub fn series(&self) -> usize {
        self.series.len()
    }
}

impl Shard {
    /// Finds and groups the matching series and folds the open columns. What is sealed is folded by [`fold_sealed`], without the shard.
    ///
    /// # Errors
    /// When there are too many groups.
    pub fn scan(
        &self,
        shard: u32,
        symbols: &Symbols,
        codec: &Codec,
        request: &ScanRequest,
        found: &mut PartialScan,
    ) -> Result<SealedWork, TooManyGroups> {
        let matched = self.index.matching(&request.query);
        let series = assign(&self.table, symbols, &matched, &request.grouping, found)?;
        found.acc.grow(found.groups.len());
        found.stats.series += series.len() as u64;
        let mut sealed = Vec::new();
        let mut complete = Vec::new();
        let range = request.layout.range();
        let (first, last) = (range.first.window(), range.last.window());
        let windows = (!range.is_empty()).then(|| self.windows.range(first..=last));
        let part_of = |window| WindowPart::of(&request.layout, window).expect("in the range");
        for (window, held) in windows.into_iter().flatten() {
            let window = *window;
            if !held.complete {
                for (s, _) in series.iter().filter(|(s, _)| held.holds(*s)) {
                    found.overlays.push(Overlay {
                        id: self.table.id(*s),
                        tags: self.table.tags(symbols, *s),
                        window,
                        block: held.block(*s, codec),
                    });
                }
                continue;
            }
            complete.push(window);
            match (&held.open, &held.sealed) {
                (Some(open), None) => {
                    open.fold(&mut found.acc, &part_of(window), &series);
                    found.stats.note_blocks(series.len(), size_of::<Block>());
                }
                (None, Some(blocks)) => sealed.push((window, blocks.clone())),
                (Some(_), Some(_)) => {
                    let part = part_of(window);
                    for (s, group) in &series {
                        let block = held.block(*s, codec);
                        found.acc.fold_block(*group, &part, &block);
                    }
                    found.stats.note_blocks(series.len(), size_of::<Block>());
                }
                (None, None) => {}
            }
        }
        found.complete.insert(shard, complete);
        Ok(SealedWork {
            series,
            windows: sealed,
        })
    }
}

/// Places of blocks with the groups of their series, and the order that the places are in.
type Places = (Arc<SeriesOrder>, Vec<(u32, u32)>);

/// Folds sealed blocks of several shards, window by window.
pub fn fold_sealed(work: &[SealedWork], codec: &Codec, found: &mut PartialScan) {
    let mut of_orders: Vec<Places> = Vec::new();
    // By window: the blocks of a shard, and which of `of_orders` tells the places.
    let mut windows: BTreeMap<Window, Vec<(&SealedBlocks, usize)>> = BTreeMap::new();
    for shard in work {
        let of_shard = of_orders.len();
        for (window, blocks) in &shard.windows {
            let order = blocks.order();
            // Windows of a shard mostly share their order, and then the places.
            let known = of_orders[of_shard..]
                .iter()
                .position(|(o, _)| Arc::ptr_eq(o, order));
            let places = known.map_or(of_orders.len(), |i| of_shard + i);
            if known.is_none() {
                of_orders.push((order.clone(), order.places_of(&shard.series)));
            }
            windows.entry(*window).or_default().push((blocks, places));
        }
    }
    let layout = *found.acc.layout();
    for (window, of_shards) in windows {
        let part = WindowPart::of(&layout, window).expect("in the range");
        let parts = of_shards
            .iter()
            .map(|(blocks, i)| (*blocks, &of_orders[*i].1[..]));
        let parts: Vec<_> = parts.collect();
        for (blocks, places) in &parts {
            let of_block = blocks.size_bytes() / blocks.len().max(1);
            found.stats.note_blocks(places.len(), of_block);
        }
        SealedBlocks::fold(&parts, &mut found.acc, &part, codec);
    }
}

/// Tags of so many series are read together: see [`SeriesTable::values_of_key`].
const READ_TOGETHER: usize = 64;

/// Finds the group of each matching series; in the order of the series' numbers.
fn assign(
    table: &SeriesTable,
    symbols: &Symbols,
    matched: &RoaringBitmap,
    grouping: &Grouping,
    found: &mut PartialScan,
) -> Result<Vec<(SeriesRef, u32)>, TooManyGroups> {
    let mut series = Vec::with_capacity(matched.len() as usize);
    let mut take = |found: &mut PartialScan, s: SeriesRef, group: u32| {
        let lowest = found.groups.lowest_mut(group);
        lowest.add(table.source(s), table.item_prefix(s));
        series.push((s, group));
    };
    let matched = matched.iter().map(SeriesRef);
    match grouping {
        Grouping::One => {
            // The same for all: looked up once.
            let mut group = None;
            for s in matched {
                let group = match group {
                    Some(group) => group,
                    None => *group.insert(found.groups.number(&[])?),
                };
                take(found, s, group);
            }
        }
        Grouping::Series => {
            for s in matched {
                let pairs = table.text_pairs(symbols, s);
                let key: Vec<_> = pairs.flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
                let group = found.groups.number(&key)?;
                take(found, s, group);
            }
        }
        Grouping::Keys(keys) => {
            // A key that no series has ever carried has no symbol.
            let keys: Option<Vec<Symbol>> = keys.iter().map(|k| symbols.find(k)).collect();
            let Some(keys) = keys else {
                return Ok(series);
            };
            let mut numbers: HashMap<Box<[Symbol]>, u32> = HashMap::new();
            let matched: Vec<SeriesRef> = matched.collect();
            let mut columns = vec![Vec::new(); keys.len()];
            let mut values = Vec::with_capacity(keys.len());
            for some in matched.chunks(READ_TOGETHER) {
                for (column, key) in columns.iter_mut().zip(&keys) {
                    column.clear();
                    table.values_of_key(some, *key, column);
                }
                for (i, s) in some.iter().enumerate() {
                    values.clear();
                    values.extend(columns.iter().map_while(|column| column[i]));
                    if values.len() < keys.len() {
                        continue;
                    }
                    let group = match numbers.get(&values[..]) {
                        Some(group) => *group,
                        None => {
                            let key = values.iter().map(|v| symbols.text(*v).clone());
                            let group = found.groups.number(&key.collect::<Vec<_>>())?;
                            numbers.insert(values.clone().into(), group);
                            group
                        }
                    };
                    take(found, *s, group);
                }
            }
        }
    }
    Ok(series)
}
