//! Keeps history tidy: merges the files of days that are over, rolls up, lets expire, and deletes objects that nothing needs any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hesper_history::{History, HistoryError, Policy};
use hesper_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument;

use crate::clock;

/// How often is looked for work.
const INTERVAL: Duration = Duration::from_secs(60);

/// How often all objects are listed to find those that nothing needs.
const COLLECT_INTERVAL_MILLIS: i64 = 3_600_000;

/// Counters of compaction since the node started.
#[derive(Debug, Default)]
pub struct CompactionStats {
    /// Pieces of work committed.
    pub done: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Files that were replaced or dropped.
    pub files_removed: AtomicU64,
    /// Bytes of new files.
    pub bytes_written: AtomicU64,
    /// Datapoints left out because their time was over.
    pub expired: AtomicU64,
    /// Datapoints left out because they were deleted.
    pub deleted: AtomicU64,
    /// Time spent.
    pub millis: AtomicU64,
    /// Objects deleted that nothing needed any more.
    pub collected: AtomicU64,
    /// What the last failure said.
    pub last_error: Mutex<Option<String>>,
}

/// Compacts a history.
pub struct Compaction {
    history: Arc<History>,
    policy: Policy,
    stats: CompactionStats,
}

impl Compaction {
    /// Compaction of a history by a policy.
    pub fn new(history: Arc<History>, policy: Policy) -> Self {
        Self {
            history,
            policy,
            stats: CompactionStats::default(),
        }
    }

    /// The counters.
    pub fn stats(&self) -> &CompactionStats {
        &self.stats
    }

    /// Runs until told to stop. What is under way then is given up: it leaves files that nothing names.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn work(&self) {
        let mut collected = clock::now();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = clock::now();
            self.once(now).await;
            if now.0 - collected.0 >= COLLECT_INTERVAL_MILLIS {
                collected = now;
                let done = self.history.collect_orphans(now, &self.policy).await;
                let objects = done.map(|c| c.retired + c.orphans + c.manifest);
                let add = |objects| self.stats.collected.fetch_add(objects, Ordering::Relaxed);
                self.note(objects.map(add));
            }
        }
    }

    /// Does all that is due.
    pub async fn once(&self, now: Timestamp) {
        loop {
            let work = self.history.compact_due(now, &self.policy);
            match work.instrument(tracing::info_span!("compaction")).await {
                Ok(None) => return,
                Ok(Some(report)) => {
                    tracing::info!(?report, "compacted");
                    let add = |counter: &AtomicU64, n| _ = counter.fetch_add(n, Ordering::Relaxed);
                    add(&self.stats.done, 1);
                    add(&self.stats.files_removed, report.files_before);
                    add(&self.stats.bytes_written, report.bytes_after);
                    add(&self.stats.expired, report.expired);
                    add(&self.stats.deleted, report.deleted);
                    add(&self.stats.millis, report.took.as_millis() as u64);
                    self.note(Ok(()));
                }
                // The day is left alone for a while; the rest comes with the next call.
                Err(error) => {
                    self.note::<()>(Err(error));
                    return;
                }
            }
        }
    }

    fn note<T>(&self, done: Result<T, HistoryError>) {
        let failure = done.err().map(|error| {
            tracing::error!(%error, "history could not be compacted; nothing is lost, and it is tried again");
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            error.to_string()
        });
        *self.stats.last_error.lock() = failure;
    }
}
