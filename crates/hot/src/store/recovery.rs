//! Opening a store: the checkpoint, then the log after it.

mod rebuild;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hesper_model::Window;
use parking_lot::{Mutex, RwLock};

use super::{HotStore, StoreOptions, StoreStats};
use crate::HotError;
use crate::codec::Codec;
use crate::directory::Directory;
use crate::log::replay::Replayed;
use crate::log::writer::Log;
use crate::normaliser::Normaliser;
use crate::symbols::Symbols;
use crate::window::FlushId;
use rebuild::Rebuild;

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
        let rebuild = Rebuild {
            path: directory.path(""),
            options: &options,
            symbols: Symbols::default(),
            in_history: &in_history,
            normaliser: Normaliser::new(options.step),
            codec: Codec::new(options.step),
        };
        let rebuilt = rebuild.run(&*directory)?;
        let Rebuild { symbols, codec, .. } = rebuild;
        let series = rebuilt.shards.iter().map(|s| s.table.len()).sum();
        let feeds = rebuilt.shards.iter().map(|s| s.feeds.len()).sum();
        let log = Arc::new(Log::create(
            directory.clone(),
            rebuilt.replayed.end,
            options.log.clone(),
        )?);
        let store = Self {
            normaliser: Normaliser::new(options.step),
            codec,
            directory,
            symbols: RwLock::new(symbols),
            shards: rebuilt.shards.into_iter().map(RwLock::new).collect(),
            series: AtomicUsize::new(series),
            feeds: AtomicUsize::new(feeds),
            gone: AtomicUsize::new(0),
            memory: AtomicUsize::new(0),
            counted: Mutex::default(),
            _committer: commit.then(|| log.start_committer()),
            log,
            in_history: RwLock::new(in_history.windows),
            next_flush: AtomicU64::new(rebuilt.next_flush),
            forgetting: RwLock::new(()),
            maintenance: Mutex::new(()),
            merged: Mutex::default(),
            hold_back: super::hold_back::HoldBack::default(),
            stats: StoreStats::default(),
            listener: RwLock::default(),
            options,
        };
        let recovery = Recovery {
            replayed: rebuilt.replayed,
            checkpoint: rebuilt.checkpoint,
            series,
            elapsed: began.elapsed(),
        };
        store.count_memory();
        Ok((store, recovery))
    }

    /// The number for the next flush; for tests of recovery.
    pub fn next_flush(&self) -> FlushId {
        FlushId(self.next_flush.load(Ordering::Relaxed))
    }
}
