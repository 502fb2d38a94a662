//! What a store does beside taking data: sealing windows, handing them to history, dropping them, and writing checkpoints.
//!
//! The caller drives it: [`HotStore::due`] says which windows to seal, [`HotStore::seal`] seals them for a flush, and after the manifest has
//! committed the flush, [`HotStore::flushed`], [`HotStore::evict`] and [`HotStore::checkpoint`] let go of what is no longer needed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

use hesper_model::{Timestamp, Window};

use super::HotStore;
use super::flush::{MergedOrder, PendingFlush};
use crate::HotError;
use crate::checkpoint::CheckpointWriter;
use crate::log::record::{self, Kind};
use crate::log::{Lsn, segment};
use crate::series_table::SeriesRef;
use crate::symbols::Renumbering;
use crate::window::FlushId;

/// A window is sealed when its successor has this many filled slots …
const SUCCESSOR_SLOTS: u32 = 2;
/// … or after this many steps without a write …
const IDLE_STEPS: i64 = 3;
/// … but not before this time without one.
const MIN_IDLE_MILLIS: i64 = 60_000;

/// What was last sent so long ago has left no trace in what is sent next, as a rate; and a counter that is silent for so long is gone.
const FEED_IDLE_MILLIS: i64 = 3_600_000;
/// The newest windows are kept however little memory there is.
const KEPT_WINDOWS: usize = 2;

/// Symbols are renumbered when as many series as there are were let go, but not for fewer than this.
const MIN_GONE: usize = 10_000;

/// What is held in memory. Bytes are those asked of the allocator; the index's are reckoned from what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Series.
    pub series: usize,
    /// Ways into series that gather.
    pub feeds: usize,
    /// Strings in tags.
    pub symbols: usize,
    /// Windows, over all shards.
    pub shard_windows: usize,
    /// Bytes of strings in tags and their numbers.
    pub symbol_bytes: usize,
    /// Bytes of the tables of series.
    pub table_bytes: usize,
    /// Bytes of the tag indexes.
    pub index_bytes: usize,
    /// Bytes of the normaliser's memory.
    pub normaliser_bytes: usize,
    /// Bytes of feeds.
    pub feed_bytes: usize,
    /// Bytes of what is remembered of clients.
    pub client_bytes: usize,
    /// Bytes of open columns.
    pub open_bytes: usize,
    /// Bytes of sealed blocks.
    pub sealed_bytes: usize,
    /// Bytes of the orders of sealed blocks.
    pub order_bytes: usize,
    /// Bytes of records that wait for the disk.
    pub log_bytes: usize,
}

impl MemoryStats {
    /// All bytes.
    pub const fn bytes(&self) -> usize {
        self.symbol_bytes
            + self.table_bytes
            + self.index_bytes
            + self.normaliser_bytes
            + self.feed_bytes
            + self.client_bytes
            + self.open_bytes
            + self.sealed_bytes
            + self.order_bytes
            + self.log_bytes
    }
}

/// The open columns of a window, over all shards.
#[derive(Default)]
struct OpenWindow {
    /// The slots that any shard has filled.
    filled: u64,
    /// When the last write was received, in milliseconds.
    last_write: i64,
    /// True when any shard has not sealed its part yet.
    first_seal: bool,
}

impl HotStore {
    /// What is held in memory.
    pub fn memory(&self) -> MemoryStats {
        let (symbols, symbol_bytes) = {
            let symbols = self.symbols.read();
            (symbols.len(), symbols.size_bytes())
        };
        let mut stats = MemoryStats {
            series: self.series_count(),
            feeds: self.feed_count(),
            symbols,
            symbol_bytes,
            log_bytes: self.log.waiting_bytes(),
            ..MemoryStats::default()
        };
        for shard in &self.shards {
            shard.read().add_memory(&mut stats);
        }
        let merged = self.merged.lock();
        stats.order_bytes += merged.as_ref().map_or(0, MergedOrder::size_bytes);
        stats
    }

    /// Counts what is held anew.
    pub(super) fn count_memory(&self) -> MemoryStats {
        let stats = self.memory();
        self.memory.store(stats.bytes() - stats.log_bytes, Relaxed);
        *self.counted.lock() = stats;
        stats
    }

    /// True when so much of the memory is in use that [`Self::evict`] would drop windows before their time.
    pub fn is_crowded(&self) -> bool {
        self.memory_bytes() > self.crowded_bytes()
    }

    /// Three quarters of the memory.
    const fn crowded_bytes(&self) -> usize {
        self.options.max_memory_bytes / 4 * 3
    }

    /// The windows that are to be sealed now. With `ended`, also those whose time is over by more than an idle time: for a store that
    /// is about to be closed.
    pub fn due(&self, now: Timestamp, ended: bool) -> BTreeSet<Window> {
        let memory = self.count_memory();
        let mut open: BTreeMap<Window, OpenWindow> = BTreeMap::new();
        for shard in &self.shards {
            for (window, part) in &shard.read().windows {
                if let Some(columns) = &part.open {
                    let seen = open.entry(*window).or_default();
                    seen.filled |= columns.filled();
                    seen.last_write = seen.last_write.max(part.last_write.0);
                    seen.first_seal |= part.complete && part.sealed.is_none();
                }
            }
        }
        let crowded = memory.open_bytes > self.options.max_open_bytes
            || memory.bytes() > self.crowded_bytes();
        let step = self.options.step;
        let idle_millis = (IDLE_STEPS * step.millis()).max(MIN_IDLE_MILLIS);
        let newest = open.keys().next_back().copied();
        let is_due = |window: &Window, of: &OpenWindow| {
            let successor = open.get(&window.next());
            let succeeded = successor.is_some_and(|s| s.filled.count_ones() >= SUCCESSOR_SLOTS);
            let idle = now.0.saturating_sub(of.last_write) >= idle_millis;
            let over = now.0.saturating_sub(window.last_slot().time(step).0) >= idle_millis;
            // What comes to a window that was sealed before is gathered until it rests: each flush of it is a file.
            (succeeded && of.first_seal)
                || idle
                || (ended && over)
                || (crowded && newest != Some(*window))
        };
        open.iter()
            .filter(|(window, of)| is_due(window, of))
            .map(|(window, _)| *window)
            .collect()
    }

    /// Seals windows for a flush; `None` when there was nothing to seal.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn seal(&self, windows: &BTreeSet<Window>) -> Result<Option<PendingFlush>, HotError> {
        let _one = self.maintenance.lock();
        let id = FlushId(self.next_flush.fetch_add(1, Relaxed));
        let mut flush = PendingFlush::new(id);
        let mut framed = Vec::new();
        for number in 0..self.options.shards {
            for window in windows {
                let mut shard = self.shards[number as usize].write();
                if shard.windows.get(window).is_none_or(|p| p.open.is_none()) {
                    continue;
                }
                framed.clear();
                segment::put_record(&mut framed, Kind::Seal as u8, |out| {
                    record::put_seal(out, self.prefix(number), *window, id);
                });
                self.log.append(&framed)?;
                shard.seal(&self.symbols.read(), &self.codec, *window, id);
                let part = &shard.windows[window];
                let sealed = part.unflushed.iter().find(|(flush, _)| *flush == id);
                if let Some((_, blocks)) = sealed {
                    flush.add(number, *window, blocks.clone());
                }
            }
        }
        Ok((!flush.is_empty()).then_some(flush))
    }

    /// Notes that a flush is committed to history.
    pub fn flushed(&self, id: FlushId, windows: &BTreeSet<Window>) {
        let _one = self.maintenance.lock();
        // First, so that whoever makes a window anew from now on knows that it is not all there is.
        self.in_history.write().extend(windows);
        for shard in &self.shards {
            shard.write().flushed(id);
        }
    }

    /// The oldest window of which memory holds anything.
    pub fn oldest_window(&self) -> Option<Window> {
        let oldest = self.shards.iter().filter_map(|shard| {
            let shard = shard.read();
            shard.windows.keys().next().copied()
        });
        oldest.min()
    }

    /// Drops the windows that ended before the hot window and are in history, and the series that no window holds any more. While more
    /// than three quarters of the memory are in use, further windows in history are dropped, the oldest first; the last two stay.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn evict(&self, now: Timestamp) -> Result<(), HotError> {
        let _one = self.maintenance.lock();
        let horizon = now.plus_millis(-self.options.hot_window_millis);
        let horizon = hesper_model::Slot::ending_by(horizon, self.options.step).window();
        self.evict_before(horizon, now)?;
        if self.count_memory().bytes() > self.crowded_bytes() {
            let held: BTreeSet<Window> = self
                .shards
                .iter()
                .flat_map(|shard| shard.read().windows.keys().copied().collect::<Vec<_>>())
                .collect();
            for oldest in held.iter().rev().skip(KEPT_WINDOWS).rev() {
                self.evict_before(oldest.next(), now)?;
                if self.count_memory().bytes() <= self.crowded_bytes() {
                    break;
                }
            }
        }
        if self.gone.load(Relaxed) > self.series_count().max(MIN_GONE) {
            self.renumber_symbols();
        }
        Ok(())
    }

    /// Lets the strings go that no series has any more. Nothing else happens meanwhile: some milliseconds for a million series.
    fn renumber_symbols(&self) {
        let mut shards: Vec<_> = self.shards.iter().map(|s| s.write()).collect();
        let mut symbols = self.symbols.write();
        let mut renumbering = Renumbering::new(&symbols);
        for shard in &mut shards {
            shard.table.renumber(|symbol| renumbering.number(symbol));
        }
        let renumbered = renumbering.finish();
        *symbols = renumbered;
        self.gone.store(0, Relaxed);
    }

    fn evict_before(&self, horizon: Window, now: Timestamp) -> Result<(), HotError> {
        let mut framed = Vec::new();
        for number in 0..self.options.shards {
            let _no_handle_is_in_use = self.forgetting.write();
            let mut shard = self.shards[number as usize].write();
            let idle = shard.evict(horizon);
            let feeds = shard.idle_feeds(&idle, now.plus_millis(-self.feed_idle_millis()));
            if idle.is_empty() && feeds.is_empty() {
                continue;
            }
            let series: Vec<_> = idle.iter().map(SeriesRef).collect();
            let gone = &idle | &feeds;
            let numbers: Vec<_> = gone.iter().map(SeriesRef).collect();
            framed.clear();
            segment::put_record(&mut framed, Kind::Forget as u8, |out| {
                record::put_forget(out, self.prefix(number), &numbers);
            });
            self.log.append(&framed)?;
            for gone in &series {
                let symbols = self.symbols.read();
                self.tell(|listener| listener.removed(&shard.table.tags(&symbols, *gone)));
            }
            shard.forget(&gone);
            self.feeds.fetch_sub(feeds.len() as usize, Relaxed);
            self.series.fetch_sub(series.len(), Relaxed);
            self.gone.fetch_add(series.len(), Relaxed);
            let forgotten = &self.stats.series_forgotten;
            forgotten.fetch_add(series.len() as u64, Relaxed);
        }
        Ok(())
    }

    /// How long the original of a feed may be silent before the feed is let go.
    fn feed_idle_millis(&self) -> i64 {
        FEED_IDLE_MILLIS.max(IDLE_STEPS * self.options.step.millis())
    }

    /// Writes a checkpoint and removes the segments of the log that it replaces; gives the place from which the log is needed.
    ///
    /// # Errors
    /// When a file cannot be written. The checkpoint before stays valid.
    pub fn checkpoint(&self, now: Timestamp) -> Result<Lsn, HotError> {
        let _one = self.maintenance.lock();
        let mut writer = CheckpointWriter::create(&*self.directory)?;
        for number in 0..self.options.shards {
            {
                let mut shard = self.shards[number as usize].write();
                shard.forget_clients(now);
                // Under the shard's lock: no record of it is on its way.
                let lsn = self.log.end();
                let next_flush = FlushId(self.next_flush.load(Relaxed));
                let prefix = self.prefix(number);
                let symbols = self.symbols.read();
                writer.add_shard(prefix, lsn, next_flush, &shard, &symbols, &self.codec);
            }
            writer.flush()?;
        }
        // The log must reach at least to where the checkpoint does: the next segment begins where the log ends.
        self.log.commit()?;
        let lowest = writer.finish(self.prefix(0))?;
        self.log.truncate(lowest)?;
        Ok(lowest)
    }
}
