//! A store: the shards of a data directory and the log that drives them.
//!
//! A batch is checked, logged shard by shard, and applied to memory under the shard's lock, so that the order in the log is the order in which
//! it took effect. It is visible to queries at once and acknowledged when the log is durable up to it.

#[cfg(test)]
mod feed_tests;
mod flush;
mod hold_back;
mod listener;
mod maintenance;
#[cfg(test)]
mod memory_tests;
mod recovery;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hesper_model::{DataSource, SeriesId, Slot, Step, Tags, Timestamp, Window};
use parking_lot::{Mutex, RwLock};

use crate::HotError;
use crate::batch::{Batch, SeriesHandle};
use crate::codec::Codec;
use crate::directory::Directory;
use crate::error::{Full, SeriesBound};
use crate::feed::{Feed, Way};
use crate::groups::TooManyGroups;
use crate::log::Lsn;
use crate::log::record::{self, DEFAULT_TENANT, Kind, Prefix, Run};
use crate::log::segment;
use crate::log::writer::{Committer, Log, LogOptions};
use crate::normaliser::Normaliser;
use crate::scan::{FOLDED_TOGETHER, PartialScan, ScanRequest, fold_sealed};
use crate::series_table::SeriesRef;
use crate::shard::{Applied, Shard, ShardRules};
use crate::symbols::Symbols;
use crate::window::FlushId;

pub use flush::{FlushOrder, FlushRow, FlushRows, PendingFlush};
pub use listener::SeriesListener;
pub use maintenance::MemoryStats;
pub use recovery::{InHistory, Recovery};

/// Settings of a store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The distance between datapoints.
    pub step: Step,
    /// Number of shards; fixed for the life of a data directory.
    pub shards: u32,
    /// How long sealed windows stay in memory after their end, in milliseconds.
    pub hot_window_millis: i64,
    /// New series are refused beyond this many.
    pub max_series: usize,
    /// Open columns beyond this many bytes make old windows be sealed early.
    pub max_open_bytes: usize,
    /// What the store may hold in memory: see [`MemoryStats::bytes`]. Beyond it batches are refused; from nine tenths of it on, new series.
    pub max_memory_bytes: usize,
    /// Settings of the log.
    pub log: LogOptions,
}

impl StoreOptions {
    /// The defaults for a step.
    pub fn new(step: Step) -> Self {
        Self {
            step,
            shards: 64,
            hot_window_millis: 6 * 3600 * 1000,
            max_series: 10_000_000,
            max_open_bytes: 4 << 30,
            max_memory_bytes: usize::MAX,
            log: LogOptions::default(),
        }
    }
}

/// What a new series is reckoned to hold until it is counted.
const SERIES_BYTES: usize = 250;

/// Counters of a store since it was opened.
#[derive(Debug, Default)]
pub struct StoreStats {
    /// Datapoints that count.
    pub taken: AtomicU64,
    /// Datapoints ignored because their slot was closed.
    pub late: AtomicU64,
    /// Datapoints ignored because the series had one of the same time.
    pub duplicate: AtomicU64,
    /// Datapoints ignored because their batch took effect before.
    pub repeated: AtomicU64,
    /// Datapoints of declared back-fill.
    pub loaded: AtomicU64,
    /// Series refused because the store was full.
    pub series_refused: AtomicU64,
    /// Batches refused because the memory was full.
    pub memory_refused: AtomicU64,
    /// Batches refused because windows waited for history.
    pub held_back: AtomicU64,
    /// Series let go because no window held them.
    pub series_forgotten: AtomicU64,
}

/// The outcome of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// What became of the datapoints.
    pub applied: Applied,
    /// Durable when the log is durable up to here.
    pub lsn: Lsn,
}

/// A store, open.
pub struct HotStore {
    options: StoreOptions,
    directory: Arc<dyn Directory>,
    codec: Codec,
    normaliser: Normaliser,
    /// To be locked after a shard, never before one.
    symbols: RwLock<Symbols>,
    shards: Vec<RwLock<Shard>>,
    series: AtomicUsize,
    feeds: AtomicUsize,
    /// Series that were let go since the symbols were last renumbered.
    gone: AtomicUsize,
    /// Bytes held: counted now and then, and what has come since.
    memory: AtomicUsize,
    /// What was found when they were counted.
    counted: Mutex<MemoryStats>,
    log: Arc<Log>,
    /// Ends with the store.
    _committer: Option<Committer>,
    /// Windows of which history holds anything.
    in_history: RwLock<BTreeSet<Window>>,
    next_flush: AtomicU64,
    /// Held to read while handles are in use, to write while series are let go: a datapoint is never logged for a series that is gone.
    forgetting: RwLock<()>,
    /// Held while windows are sealed, dropped, or written to a checkpoint.
    maintenance: Mutex<()>,
    /// How the parts of the window that was flushed last were merged.
    merged: Mutex<Option<flush::MergedOrder>>,
    /// Whether batches are held back while windows wait for history.
    hold_back: hold_back::HoldBack,
    stats: StoreStats,
    listener: RwLock<Option<Arc<dyn SeriesListener>>>,
}

impl HotStore {
    /// The settings.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The distance between datapoints.
    pub fn step(&self) -> Step {
        self.options.step
    }

    /// Number of shards.
    pub fn shards(&self) -> u32 {
        self.options.shards
    }

    /// The block codecs of the store.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// The log.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The counters.
    pub fn stats(&self) -> &StoreStats {
        &self.stats
    }

    /// Number of series in memory.
    pub fn series_count(&self) -> usize {
        self.series.load(Ordering::Relaxed)
    }

    fn prefix(&self, shard: u32) -> Prefix {
        Prefix {
            tenant: DEFAULT_TENANT,
            step_millis: self.options.step.millis() as u32,
            shard,
        }
    }

    fn rules<'a>(&'a self, in_history: &'a dyn Fn(Window) -> bool) -> ShardRules<'a> {
        ShardRules {
            normaliser: &self.normaliser,
            codec: &self.codec,
            in_history,
            replaying: false,
        }
    }

    fn history_holds(&self, window: Window) -> bool {
        self.in_history.read().contains(&window)
    }

    /// The place of a series that is known.
    ///
    /// # Errors
    /// When another series has the same id.
    pub fn find(&self, tags: &Tags) -> Result<Option<SeriesHandle>, HotError> {
        let id = SeriesId::of(tags);
        let number = id.shard(self.options.shards);
        let shard = self.shards[number as usize].read();
        let series = shard.table.find(&self.symbols.read(), id, tags)?;
        Ok(series.map(|series| SeriesHandle {
            shard: number,
            series,
        }))
    }

    /// The place of a series, which is taken in now if it is new. It is visible to queries at once.
    ///
    /// # Errors
    /// When the store has all the series that it may or no memory for more, another series has the same id, or the log cannot be written.
    pub fn resolve(&self, tags: &Tags) -> Result<SeriesHandle, HotError> {
        let id = SeriesId::of(tags);
        let number = id.shard(self.options.shards);
        let lock = &self.shards[number as usize];
        let handle = |series| SeriesHandle {
            shard: number,
            series,
        };
        if let Some(series) = lock.read().table.find(&self.symbols.read(), id, tags)? {
            return Ok(handle(series));
        }
        let mut shard = lock.write();
        if let Some(series) = shard.table.find(&self.symbols.read(), id, tags)? {
            return Ok(handle(series));
        }
        self.check_series_room()?;
        let series = SeriesRef(shard.table.capacity() as u32);
        let mut framed = Vec::new();
        segment::put_record(&mut framed, Kind::Series as u8, |out| {
            record::put_series(out, self.prefix(number), series, tags.iter());
        });
        self.log.append(&framed)?;
        shard.add_series(&self.symbols.read(), series, tags);
        self.series.fetch_add(1, Ordering::Relaxed);
        self.memory.fetch_add(SERIES_BYTES, Ordering::Relaxed);
        self.tell(|listener| listener.added(tags));
        Ok(handle(series))
    }

    /// The way by which samples of `original` go into `target`, a series of type `sum` or `gauge` that gathers from now on; made if there is none.
    /// The handle takes the place of a series in a batch. What a feed does with samples of a type is said at [`crate::feed`].
    ///
    /// # Errors
    /// [`HotError::TooManySeries`] when series and feeds of single originals together are as many as there may be series,
    /// [`HotError::UnknownSeries`] when the target was let go, and when the log cannot be written.
    pub fn resolve_feed(
        &self,
        target: SeriesHandle,
        source: DataSource,
        original: &Tags,
    ) -> Result<SeriesHandle, HotError> {
        let way = Way::new(target.series, source, original);
        let lock = &self.shards[target.shard as usize];
        let handle = |series| SeriesHandle {
            shard: target.shard,
            series,
        };
        if let Some(known) = lock.read().feeds.find(&way) {
            return Ok(handle(known));
        }
        let mut shard = lock.write();
        if let Some(known) = shard.feeds.find(&way) {
            return Ok(handle(known));
        }
        if !shard.table.is_live(target.series) {
            return Err(HotError::UnknownSeries);
        }
        let held = self.series_count() + self.feeds.load(Ordering::Relaxed);
        let full = HotError::TooManySeries {
            held,
            bound: SeriesBound::Series,
        };
        let number = match shard.feeds.next() {
            Some(number) if !way.is_of_one() || held < self.options.max_series => number,
            _ => return Err(full),
        };
        let mut framed = Vec::new();
        segment::put_record(&mut framed, Kind::Feed as u8, |out| {
            record::put_feed(out, self.prefix(target.shard), number, &way);
        });
        self.log.append(&framed)?;
        shard.feeds.insert_at(number, Feed::new(way));
        self.feeds.fetch_add(1, Ordering::Relaxed);
        Ok(handle(number))
    }

    /// Notes that history is about to hold something of windows, so that what memory makes of them from now on is not taken for all there is;
    /// gives those of which memory holds something already.
    pub fn note_in_history(&self, windows: &BTreeSet<Window>) -> BTreeSet<Window> {
        // First: a shard that makes one of them anew sees it, any other has it already.
        self.in_history.write().extend(windows);
        let mut held = BTreeSet::new();
        for shard in &self.shards {
            let shard = shard.read();
            held.extend(windows.iter().filter(|w| shard.windows.contains_key(w)));
        }
        held
    }

    /// A number for what is brought to history past memory: above those of all flushes so far, and below those of all that come.
    pub fn reserve_flush(&self) -> FlushId {
        FlushId(self.next_flush.fetch_add(1, Ordering::Relaxed))
    }

    /// Number of feeds.
    pub fn feed_count(&self) -> usize {
        self.feeds.load(Ordering::Relaxed)
    }

    fn check_series_room(&self) -> Result<(), HotError> {
        let held = self.series.load(Ordering::Relaxed);
        // What is left is for the datapoints of those that are known.
        let most = self.options.max_memory_bytes / 10 * 9;
        let bound = if held >= self.options.max_series {
            SeriesBound::Series
        } else if self.memory_bytes() >= most {
            SeriesBound::Memory
        } else {
            return Ok(());
        };
        self.stats.series_refused.fetch_add(1, Ordering::Relaxed);
        Err(HotError::TooManySeries { held, bound })
    }

    fn check_room(&self) -> Result<(), HotError> {
        self.log.check_room()?;
        self.check_held_back()?;
        let limit = self.options.max_memory_bytes;
        if self.memory_bytes() < limit {
            return Ok(());
        }
        self.stats.memory_refused.fetch_add(1, Ordering::Relaxed);
        Err(HotError::Busy {
            what: Full::Memory,
            limit,
        })
    }

    /// Bytes held in memory, about: exact when [`Self::due`] or [`Self::evict`] was called last, and what has come since reckoned.
    pub fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed) + self.log.waiting_bytes()
    }

    /// What was held in memory when it was last counted: by [`Self::due`] or [`Self::evict`], so about every second where a store is
    /// maintained.
    pub fn counted_memory(&self) -> MemoryStats {
        *self.counted.lock()
    }

    /// True while the series of a handle is known. One that was let go has to be resolved again.
    pub fn is_live(&self, handle: SeriesHandle) -> bool {
        let shard = self.shards[handle.shard as usize].read();
        shard.is_live(handle.series)
    }

    /// Logs a batch and applies it to memory. `scratch` is overwritten and saves the allocation.
    ///
    /// Its datapoints are visible at once; it may be acknowledged when the log is durable up to the place given. A batch of a client whose
    /// sequence took effect before changes nothing.
    ///
    /// # Errors
    /// [`HotError::Busy`], when the log's buffer or the memory is full or windows wait for history, and [`HotError::UnknownSeries`] before anything has changed; [`HotError::Poisoned`] when the log is
    /// broken, after which no datapoint of the batch counts as accepted.
    pub fn append(&self, batch: &Batch, scratch: &mut Vec<u8>) -> Result<Appended, HotError> {
        self.check_room()?;
        let _none_is_let_go = self.forgetting.read();
        for (number, samples) in batch.shards() {
            let shard = self.shards[number as usize].read();
            if !samples.series.iter().all(|s| shard.is_live(*s)) {
                return Err(HotError::UnknownSeries);
            }
        }
        let mut done = Appended {
            applied: Applied::default(),
            lsn: Lsn(0),
        };
        let in_history = |window| self.history_holds(window);
        let rules = self.rules(&in_history);
        let mut grown = 0;
        for (number, samples) in batch.shards() {
            let mut shard = self.shards[number as usize].write();
            if shard.is_repeated(samples.client, samples.sequence) {
                done.applied.repeated += samples.series.len() as u64;
                // What it repeats may not be durable yet.
                done.lsn = done.lsn.max(self.log.end());
                continue;
            }
            scratch.clear();
            segment::put_record_of(scratch, |out| {
                record::put_published(out, self.prefix(number), samples) as u8
            });
            done.lsn = done.lsn.max(self.log.append(scratch)?);
            done.applied += shard.apply_samples(&rules, samples);
            grown += shard.take_grown();
            if !shard.regathered.is_empty() {
                let runs = std::mem::take(&mut shard.regathered);
                scratch.clear();
                segment::put_record(scratch, Kind::Load as u8, |out| {
                    record::put_load(out, self.prefix(number), samples.received, &runs);
                });
                done.lsn = done.lsn.max(self.log.append(scratch)?);
            }
        }
        self.memory.fetch_add(grown, Ordering::Relaxed);
        let add = |counter: &AtomicU64, n: u64| _ = counter.fetch_add(n, Ordering::Relaxed);
        add(&self.stats.taken, done.applied.taken);
        add(&self.stats.late, done.applied.late);
        add(&self.stats.duplicate, done.applied.duplicate);
        add(&self.stats.repeated, done.applied.repeated);
        Ok(done)
    }

    /// Logs declared back-fill and writes it to memory, past the normaliser; gives the number of datapoints and the place in the log.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn load(
        &self,
        rows: &[(SeriesHandle, Slot, Vec<f64>)],
        received: Timestamp,
    ) -> Result<(u64, Lsn), HotError> {
        self.check_room()?;
        let _none_is_let_go = self.forgetting.read();
        if !rows.iter().all(|(handle, ..)| self.is_live(*handle)) {
            return Err(HotError::UnknownSeries);
        }
        let mut by_shard: std::collections::BTreeMap<u32, Vec<Run>> = Default::default();
        let mut datapoints = 0;
        for (handle, first, values) in rows {
            datapoints += values.iter().filter(|v| !v.is_nan()).count() as u64;
            by_shard.entry(handle.shard).or_default().push(Run {
                series: handle.series,
                first: *first,
                values: values.clone(),
            });
        }
        let in_history = |window| self.history_holds(window);
        let rules = self.rules(&in_history);
        let mut lsn = Lsn(0);
        let mut framed = Vec::new();
        for (number, runs) in by_shard {
            let mut shard = self.shards[number as usize].write();
            framed.clear();
            segment::put_record(&mut framed, Kind::Load as u8, |out| {
                record::put_load(out, self.prefix(number), received, &runs);
            });
            lsn = lsn.max(self.log.append(&framed)?);
            shard.apply_load(&rules, received, &runs);
            self.memory.fetch_add(shard.take_grown(), Ordering::Relaxed);
        }
        self.stats.loaded.fetch_add(datapoints, Ordering::Relaxed);
        Ok((datapoints, lsn))
    }

    /// Scans shards: what memory answers for is folded, the rest is named.
    ///
    /// # Errors
    /// When there are too many groups.
    pub fn scan(
        &self,
        shards: impl IntoIterator<Item = u32>,
        request: &ScanRequest,
        found: &mut PartialScan,
    ) -> Result<(), TooManyGroups> {
        let mut shards = shards.into_iter();
        while self.scan_next(&mut shards, request, found)? {}
        Ok(())
    }

    /// Scans the next of some shards, as many as are worth folding together: see [`Self::scan`]. False when there was none.
    ///
    /// # Errors
    /// When there are too many groups.
    pub fn scan_next(
        &self,
        shards: &mut impl Iterator<Item = u32>,
        request: &ScanRequest,
        found: &mut PartialScan,
    ) -> Result<bool, TooManyGroups> {
        let mut sealed = Vec::new();
        let mut series = 0;
        for number in shards {
            let shard = self.shards[number as usize].read();
            let work = shard.scan(number, &self.symbols.read(), &self.codec, request, found)?;
            drop(shard);
            series += work.series();
            sealed.push(work);
            if series >= FOLDED_TOGETHER {
                break;
            }
        }
        fold_sealed(&sealed, &self.codec, found);
        Ok(!sealed.is_empty())
    }

    /// The windows of which a shard holds anything.
    pub fn windows(&self) -> BTreeSet<Window> {
        let mut windows = BTreeSet::new();
        for shard in &self.shards {
            windows.extend(shard.read().windows.keys().copied());
        }
        windows
    }

    /// The path of the store's files, for messages.
    pub fn path(&self) -> PathBuf {
        self.directory.path("")
    }
}
