//! A shard: its series, their index, the normaliser's memory, the windows, and which batches took effect.
//!
//! Plain state, driven by the records of the log alone: what is done here to a live record is done again to the same record at replay.

mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;
use hesper_model::{Block, SeriesId, Slot, Tags, Timestamp, Window};
use roaring::RoaringBitmap;

use crate::by_number::ByNumber;
use crate::codec::Codec;
use crate::feed::{FEED, Feeds};
use crate::log::record::{ClientId, Run, Samples};
use crate::normaliser::{Normalised, Normaliser, NormaliserState};
use crate::series_table::{SeriesRef, SeriesTable};
use crate::store::MemoryStats;
use crate::symbols::Symbols;
use crate::tag_index::TagIndex;
use crate::window::sealed::SeriesOrder;
use crate::window::{FlushId, ShardWindow};
use writing::Writing;

/// A client that was not heard of for so long is forgotten; a batch that it sends again after that counts again.
const CLIENT_MEMORY_MILLIS: i64 = 24 * 3600 * 1000;

/// The last batch of a client that took effect in a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientProgress {
    /// Its number.
    pub sequence: u64,
    /// When it was received.
    pub received: Timestamp,
}

/// What became of the datapoints of a batch in a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// They count.
    pub taken: u64,
    /// Ignored: their slot, or a later sample's, is closed.
    pub late: u64,
    /// Ignored: the series has a sample of this time.
    pub duplicate: u64,
    /// Ignored: the batch took effect before.
    pub repeated: u64,
}

impl Applied {
    #[inline]
    fn count(&mut self, outcome: Normalised) {
        match outcome {
            Normalised::Taken => self.taken += 1,
            Normalised::Late => self.late += 1,
            Normalised::Duplicate => self.duplicate += 1,
        }
    }
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.taken += other.taken;
        self.late += other.late;
        self.duplicate += other.duplicate;
        self.repeated += other.repeated;
    }
}

/// What a shard needs to know of its store.
pub struct ShardRules<'a> {
    /// How samples become values of slots.
    pub normaliser: &'a Normaliser,
    /// How sealed blocks are read.
    pub codec: &'a Codec,
    /// True when history holds anything of a window: what memory makes for it from now on is not all there is.
    pub in_history: &'a dyn Fn(Window) -> bool,
    /// True while the log is read back: whole windows come then, also those that history holds.
    pub replaying: bool,
}

/// A shard.
pub struct Shard {
    /// The series.
    pub table: SeriesTable,
    /// Their index, by the number of the series.
    pub index: TagIndex,
    /// The normaliser's memory, by the number of the series.
    pub normaliser: ByNumber<NormaliserState>,
    /// The ways into series that gather.
    pub feeds: Feeds,
    /// Values of sealed windows that gathering has changed. They are to be logged as back-fill: at replay the sealed window may be in history
    /// only, and what a sample adds to is then not known.
    pub regathered: Vec<Run>,
    /// The windows in memory.
    pub windows: BTreeMap<Window, ShardWindow>,
    /// What took effect last, by client.
    pub clients: HashMap<ClientId, ClientProgress>,
    /// The order of the window that was sealed last.
    order: Option<Arc<SeriesOrder>>,
    /// Bytes that open columns have grown by since somebody asked.
    grown: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            table: SeriesTable::default(),
            index: TagIndex::default(),
            normaliser: ByNumber::new(NormaliserState::default()),
            feeds: Feeds::default(),
            regathered: Vec::new(),
            windows: BTreeMap::new(),
            clients: HashMap::new(),
            order: None,
            grown: 0,
        }
    }
}

impl Shard {
    /// Takes in a series under its number.
    pub fn add_series(&mut self, symbols: &Symbols, series: SeriesRef, tags: &Tags) {
        let id = SeriesId::of(tags);
        self.table.insert_at(symbols, series, id, tags);
        let pairs = self.table.text_pairs(symbols, series);
        self.index.insert(series.0, pairs);
    }

    /// True when a batch of the client took effect here before.
    pub fn is_repeated(&self, client: ClientId, sequence: u64) -> bool {
        client != ClientId::NONE
            && self
                .clients
                .get(&client)
                .is_some_and(|last| sequence <= last.sequence)
    }

    /// True when the number belongs to a series that is known, or to a feed into one.
    #[inline]
    pub fn is_live(&self, series: SeriesRef) -> bool {
        match series.is_feed() {
            false => self.table.is_live(series),
            true => self
                .feeds
                .get(series)
                .is_some_and(|f| self.table.is_live(f.way.target)),
        }
    }

    /// Normalises datapoints and writes them to their windows. Series that are not known are passed over: the caller checks them first.
    pub fn apply_samples(&mut self, rules: &ShardRules<'_>, samples: &Samples) -> Applied {
        let mut applied = Applied::default();
        if self.is_repeated(samples.client, samples.sequence) {
            applied.repeated = samples.series.len() as u64;
            return applied;
        }
        if samples.client != ClientId::NONE {
            let progress = ClientProgress {
                sequence: samples.sequence,
                received: samples.received,
            };
            self.clients.insert(samples.client, progress);
        }
        Writing::new(self, rules, samples.received).apply(samples, &mut applied);
        self.read_regathered();
        applied
    }

    /// Takes the values of what was gathered into sealed windows as they are now, after all samples that were added.
    fn read_regathered(&mut self) {
        for run in &mut self.regathered {
            let part = self.windows.get(&run.first.window());
            let open = part.and_then(|p| p.open.as_ref());
            let open = open.expect("what is gathered is written to open columns");
            run.values = vec![open.value(run.series, run.first.position())];
        }
    }

    /// Writes declared back-fill: values of slots, past the normaliser.
    pub fn apply_load(&mut self, rules: &ShardRules<'_>, received: Timestamp, runs: &[Run]) {
        let mut writing = Writing::new(self, rules, received);
        for run in runs {
            for (slot, value) in (run.first.0..).zip(&run.values) {
                writing.load(run.series, Slot(slot), *value);
            }
        }
    }

    /// Writes blocks of a window, past the normaliser.
    pub fn apply_blocks(
        &mut self,
        rules: &ShardRules<'_>,
        received: Timestamp,
        window: Window,
        blocks: &[(SeriesRef, Block)],
    ) {
        let mut writing = Writing::new(self, rules, received);
        for (series, block) in blocks {
            for (slot, value) in (window.first_slot().0..).zip(block.0) {
                writing.load(*series, Slot(slot), value);
            }
        }
    }

    /// Seals a window's open columns for a flush of which history is known to hold all.
    pub fn drop_flushed(
        &mut self,
        symbols: &Symbols,
        codec: &Codec,
        window: Window,
        flush: FlushId,
    ) {
        match self.windows.get_mut(&window) {
            // What history made of it since then counts, be it that nothing is left: the window was whole only as far as the log knows.
            Some(part) if part.unflushed.is_empty() => {
                part.open = None;
                part.sealed = None;
                part.complete = false;
            }
            _ => _ = self.seal(symbols, codec, window, flush),
        }
        self.flushed(flush);
    }

    /// Seals a window's open columns for a flush; false when there is nothing to seal.
    pub fn seal(
        &mut self,
        symbols: &Symbols,
        codec: &Codec,
        window: Window,
        flush: FlushId,
    ) -> bool {
        let (table, last_order) = (&self.table, &mut self.order);
        let Some(part) = self.windows.get_mut(&window) else {
            return false;
        };
        let order = std::cell::RefCell::new(last_order);
        part.seal(flush, codec, |mut refs| {
            let mut last = order.borrow_mut();
            if let Some(order) = last.as_ref().filter(|o| o.is_of(&refs)) {
                return order.clone();
            }
            refs.sort_by_cached_key(|s| sort_key(table, symbols, *s));
            let made = Arc::new(SeriesOrder::new(refs));
            **last = Some(made.clone());
            made
        })
    }

    /// Notes that a flush is in history.
    pub fn flushed(&mut self, flush: FlushId) {
        for part in self.windows.values_mut() {
            part.flushed(flush);
        }
        self.windows
            .retain(|_, part| part.complete || part.sealed.is_some() || part.open.is_some());
    }

    /// Drops complete windows that end before `horizon` and are in history, and gives the series that no window holds any more.
    pub fn evict(&mut self, horizon: Window) -> RoaringBitmap {
        let before = self.windows.len();
        self.windows
            .retain(|window, part| *window >= horizon || !part.complete || !part.is_flushed());
        if self.windows.len() == before {
            return RoaringBitmap::new();
        }
        let mut idle: RoaringBitmap = self.table.iter().map(|s| s.0).collect();
        for part in self.windows.values() {
            if let Some(open) = &part.open {
                open.series().for_each(|s| _ = idle.remove(s.0));
            }
            if let Some(sealed) = &part.sealed {
                idle -= sealed.series();
            }
        }
        idle
    }

    /// The feeds that are of no more use once the `gone` series are let go: those into them, and those whose original was last sent before
    /// `horizon`.
    pub fn idle_feeds(&self, gone: &RoaringBitmap, horizon: Timestamp) -> RoaringBitmap {
        self.feeds.idle(gone, horizon)
    }

    /// Lets series and feeds go.
    pub fn forget(&mut self, numbers: &RoaringBitmap) {
        self.feeds.remove(numbers);
        let mut series = numbers.clone();
        series.remove_range(FEED..);
        for number in &series {
            // Not to make a chunk only to empty it.
            if self.normaliser.get(number).is_some() {
                *self.normaliser.get_mut(number) = NormaliserState::default();
            }
        }
        for chunk in self.table.remove(&series) {
            self.normaliser.drop_chunk(chunk);
        }
        self.index.remove(&series);
    }

    /// Bytes that open columns have grown by since this was asked last.
    pub fn take_grown(&mut self) -> usize {
        std::mem::take(&mut self.grown)
    }

    /// Adds what is held in memory.
    pub fn add_memory(&self, stats: &mut MemoryStats) {
        stats.table_bytes += self.table.size_bytes();
        stats.index_bytes += self.index.size_bytes();
        stats.normaliser_bytes += self.normaliser.size_bytes();
        stats.feed_bytes += self.feeds.size_bytes();
        stats.client_bytes += self.clients.allocation_size();
        stats.shard_windows += self.windows.len();
        // Windows share orders: each counts once.
        let mut orders: Vec<*const SeriesOrder> = Vec::new();
        for part in self.windows.values() {
            let (open, sealed) = part.size_bytes();
            stats.open_bytes += open;
            stats.sealed_bytes += sealed;
            let unflushed = part.unflushed.iter().map(|(_, blocks)| blocks);
            for blocks in part.sealed.iter().chain(unflushed) {
                let order = Arc::as_ptr(blocks.order());
                if !orders.contains(&order) {
                    orders.push(order);
                    stats.order_bytes += blocks.order().size_bytes();
                }
            }
        }
    }

    /// Lets clients go that were not heard of for a day.
    pub fn forget_clients(&mut self, now: Timestamp) {
        self.clients
            .retain(|_, last| now.0.saturating_sub(last.received.0) < CLIENT_MEMORY_MILLIS);
    }
}

/// The order of (name, tags) as a text.
fn sort_key(table: &SeriesTable, symbols: &Symbols, series: SeriesRef) -> Vec<u8> {
    let mut key = Vec::with_capacity(128);
    hesper_model::series::put_sort_key(
        table.text_pairs(symbols, series).map(|(k, v)| (&**k, &**v)),
        &mut key,
    );
    key
}
