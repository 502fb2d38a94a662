//! Opening a store: the checkpoint, then the log after it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hesper_model::{SeriesId, Timestamp, Window};
use parking_lot::{Mutex, RwLock};

use super::{HotStore, StoreOptions, StoreStats};
use crate::HotError;
use crate::checkpoint::{self, Item};
use crate::codec::Codec;
use crate::directory::Directory;
use crate::log::Lsn;
use crate::log::record::{DEFAULT_TENANT, Prefix, Record, Run};
use crate::log::replay::{Replayed, replay};
use crate::log::writer::Log;
use crate::normaliser::Normaliser;
use crate::shard::{Shard, ShardRules};
use crate::symbols::Symbols;
use crate::window::FlushId;

/// What history holds, as far as the store has to know.
#[derive(Clone, Debug, Default)]
pub struct InHistory {
    /// The flushes whose commits it has.
    pub flushes: HashSet<FlushId>,
    /// The windows of which it holds anything.
    pub windows: BTreeSet<Window>,
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// What the log gave.
    pub replayed: Replayed,
    /// True when there was a checkpoint.
    pub checkpoint: bool,
    /// Series in memory.
    pub series: usize,
    /// How long it took.
    pub elapsed: Duration,
}

/// A shard under way, with the place in the log that its checkpoint stands for.
#[derive(Default)]
struct Recovering {
    shard: Shard,
    from: Lsn,
}

struct Recoverer<'a> {
    directory: &'a dyn Directory,
    options: &'a StoreOptions,
    symbols: Symbols,
    shards: Vec<Recovering>,
    in_history: &'a InHistory,
    normaliser: Normaliser,
    codec: Codec,
    next_flush: u64,
}

impl HotStore {
    /// Opens the store in a directory: reads the checkpoint, replays the log, and begins a new segment. With `commit` a thread
    /// commits the log; without it the caller does.
    ///
    /// # Errors
    /// When a file is damaged, cannot be read, or belongs to a store with other settings.
    pub fn open(
        directory: Arc<dyn Directory>,
        options: StoreOptions,
        in_history: InHistory,
        commit: bool,
    ) -> Result<(Self, Recovery), HotError> {
        let began = Instant::now();
        let mut recoverer = Recoverer {
            directory: &*directory,
            options: &options,
            symbols: Symbols::default(),
            shards: (0..options.shards).map(|_| Recovering::default()).collect(),
            in_history: &in_history,
            normaliser: Normaliser::new(options.step),
            codec: Codec::new(options.step),
            next_flush: in_history.flushes.iter().map(|f| f.0).max().unwrap_or(0) + 1,
        };
        let codec = recoverer.codec.clone();
        let from = checkpoint::read(&*directory, &codec, |prefix, item| {
            recoverer.restore(prefix, item)
        })?;
        let replayed = replay(
            &*directory,
            from.unwrap_or_default(),
            |end, prefix, record| recoverer.apply(end, prefix, record),
        )?;
        let (symbols, next_flush) = (recoverer.symbols, recoverer.next_flush);
        let shards: Vec<Shard> = recoverer.shards.into_iter().map(|r| r.shard).collect();
        let series = shards.iter().map(|s| s.table.len()).sum();
        let log = Arc::new(Log::create(
            directory.clone(),
            replayed.end,
            options.log.clone(),
        )?);
        let store = Self {
            normaliser: Normaliser::new(options.step),
            codec,
            directory,
            symbols,
            shards: shards.into_iter().map(RwLock::new).collect(),
            series: AtomicUsize::new(series),
            _committer: commit.then(|| log.start_committer()),
            log,
            in_history: RwLock::new(in_history.windows),
            next_flush: AtomicU64::new(next_flush),
            forgetting: RwLock::new(()),
            maintenance: Mutex::new(()),
            stats: StoreStats::default(),
            options,
        };
        let recovery = Recovery {
            replayed,
            checkpoint: from.is_some(),
            series,
            elapsed: began.elapsed(),
        };
        Ok((store, recovery))
    }

    /// Notes that history holds something of a window that did not pass through this store.
    pub fn note_in_history(&self, window: Window) {
        self.in_history.write().insert(window);
    }

    /// The number for the next flush; for tests of recovery.
    pub fn next_flush(&self) -> FlushId {
        FlushId(self.next_flush.load(Ordering::Relaxed))
    }
}

impl Recoverer<'_> {
    fn check(&self, prefix: Prefix) -> Result<usize, HotError> {
        let step = self.options.step.millis();
        let what = if prefix.tenant != DEFAULT_TENANT {
            format!("it holds data of tenant {}", prefix.tenant)
        } else if i64::from(prefix.step_millis) != step {
            format!("its step is {} ms, not {step} ms", prefix.step_millis)
        } else if prefix.shard >= self.options.shards {
            format!("it has more than {} shards", self.options.shards)
        } else {
            return Ok(prefix.shard as usize);
        };
        Err(HotError::Incompatible {
            path: self.directory.path(""),
            what,
        })
    }

    fn restore(&mut self, prefix: Prefix, item: Item) -> Result<(), HotError> {
        let number = self.check(prefix)?;
        let at = &mut self.shards[number];
        match item {
            Item::Shard {
                lsn,
                next_series,
                next_flush,
            } => {
                at.from = lsn;
                at.shard.table.reserve_numbers(next_series);
                self.next_flush = self.next_flush.max(next_flush.0);
            }
            Item::Series(series, tags) => at.shard.add_series(&self.symbols, series, &tags),
            Item::Clients(clients) => at.shard.clients.extend(clients),
            Item::Normaliser(states) => {
                for (series, state) in states {
                    if at.shard.table.is_live(series) {
                        *at.shard.normaliser.get_mut(series.0) = state;
                    }
                }
            }
            Item::Blocks {
                flush: Some(flush), ..
            } if self.in_history.flushes.contains(&flush) => {}
            Item::Blocks {
                last_write, values, ..
            } => {
                let runs: Vec<Run> = values
                    .into_iter()
                    .map(|(series, first, value)| Run {
                        series,
                        first,
                        values: vec![value],
                    })
                    .collect();
                self.load(number, last_write, &runs);
            }
        }
        Ok(())
    }

    fn load(&mut self, number: usize, received: Timestamp, runs: &[Run]) {
        let in_history = |window| self.in_history.windows.contains(&window);
        let rules = ShardRules {
            normaliser: &self.normaliser,
            in_history: &in_history,
        };
        self.shards[number].shard.apply_load(&rules, received, runs);
    }

    fn apply(&mut self, end: Lsn, prefix: Prefix, record: Record) -> Result<(), HotError> {
        let number = self.check(prefix)?;
        if let Record::Seal { flush, .. } = record {
            self.next_flush = self.next_flush.max(flush.0 + 1);
        }
        if end <= self.shards[number].from {
            return Ok(());
        }
        let in_history = |window| self.in_history.windows.contains(&window);
        let rules = ShardRules {
            normaliser: &self.normaliser,
            in_history: &in_history,
        };
        let shard = &mut self.shards[number].shard;
        match record {
            Record::Series { series, tags } => {
                let known = shard
                    .table
                    .find(&self.symbols, SeriesId::of(&tags), &tags)?;
                if known.is_none() {
                    shard.add_series(&self.symbols, series, &tags);
                }
            }
            Record::Samples(samples) => _ = shard.apply_samples(&rules, &samples),
            Record::Load { received, runs } => shard.apply_load(&rules, received, &runs),
            Record::Seal { window, flush } => {
                if self.in_history.flushes.contains(&flush) {
                    shard.seal(&self.symbols, &self.codec, window, flush);
                    shard.flushed(flush);
                }
                // Otherwise the flush never came to an end: the columns stay open and are sealed again.
            }
            Record::Forget(series) => shard.forget(&series.iter().map(|s| s.0).collect()),
        }
        Ok(())
    }
}
