//! Takes windows to history: seals those that are due, encodes, commits, and lets go of what is no longer needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hesper_history::History;
use hesper_hot::HotStore;
use hesper_hot::store::PendingFlush;
use hesper_model::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::Instrument;

use crate::{ServerError, clock};

/// How often is looked for windows that are due.
const INTERVAL: Duration = Duration::from_secs(1);

/// After a failure the next attempt waits this long.
const RETRY: Duration = Duration::from_secs(5);

/// A checkpoint is written when the log has grown by this much since the last, even though nothing was taken to history …
const CHECKPOINT_BYTES: u64 = 1 << 30;

/// … and after a flush when it has grown by this much: reading so much back takes about a second, and a checkpoint after each flush would
/// write what is in open windows again and again while much comes.
const CHECKPOINT_AFTER_FLUSH_BYTES: u64 = 256 << 20;

/// Counters of maintenance since the node started.
#[derive(Debug, Default)]
pub struct MaintenanceStats {
    /// Flushes committed.
    pub flushes: AtomicU64,
    /// Attempts that failed.
    pub failures: AtomicU64,
    /// Time spent, from sealing to the checkpoint.
    pub millis: AtomicU64,
    /// What the last failure said.
    pub last_error: Mutex<Option<String>>,
}

/// Maintains a store.
pub struct Maintenance {
    hot: Arc<HotStore>,
    history: Arc<History>,
    stats: MaintenanceStats,
    /// The place in the log of the last checkpoint.
    checkpoint: AtomicU64,
    /// One at a time.
    running: tokio::sync::Mutex<()>,
}

impl Maintenance {
    /// Maintenance of a store with its history.
    pub fn new(hot: Arc<HotStore>, history: Arc<History>) -> Self {
        let end = hot.log().end().0;
        Self {
            hot,
            history,
            stats: MaintenanceStats::default(),
            checkpoint: AtomicU64::new(end),
            running: tokio::sync::Mutex::new(()),
        }
    }

    /// The counters.
    pub fn stats(&self) -> &MaintenanceStats {
        &self.stats
    }

    /// Runs until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut pause = INTERVAL;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            pause = match self.once(clock::now(), false).await {
                Ok(()) => INTERVAL,
                Err(_) => RETRY,
            };
        }
    }

    /// Takes what is due to history. With `ended`, also windows whose time is over.
    ///
    /// # Errors
    /// When a step fails. Nothing is lost: the next call goes on where this one stopped.
    pub async fn once(&self, now: Timestamp, ended: bool) -> Result<(), ServerError> {
        let _one = self.running.lock().await;
        let began = std::time::Instant::now();
        let done = self.flush(now, ended).await;
        match &done {
            Ok(_) => *self.stats.last_error.lock() = None,
            Err(error) => {
                tracing::error!(%error, "windows could not be taken to history; they stay in memory and in the log");
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
                *self.stats.last_error.lock() = Some(error.to_string());
            }
        }
        if done? > 0 {
            let millis = began.elapsed().as_millis() as u64;
            self.stats.millis.fetch_add(millis, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Gives the number of flushes.
    async fn flush(&self, now: Timestamp, ended: bool) -> Result<u64, ServerError> {
        let hot = self.hot.clone();
        let flushes = blocking(move || {
            let due = hot.due(now, ended);
            if !due.is_empty() {
                hot.seal(&due)?;
            }
            // The flush just sealed, and those that an earlier attempt left.
            Ok::<_, ServerError>(hot.unflushed())
        })
        .await?;
        let count = flushes.len() as u64;
        for flush in flushes {
            let span = tracing::info_span!("flush", windows = flush.windows.len());
            self.commit(flush).instrument(span).await?;
        }
        let grown = self.hot.log().end().0 - self.checkpoint.load(Ordering::Relaxed);
        if grown > CHECKPOINT_BYTES || (count > 0 && grown > CHECKPOINT_AFTER_FLUSH_BYTES) {
            self.let_go(now).await?;
        } else if count > 0 {
            let hot = self.hot.clone();
            blocking(move || hot.evict(now)).await?;
        }
        Ok(count)
    }

    async fn commit(&self, flush: PendingFlush) -> Result<(), ServerError> {
        let (hot, history) = (self.hot.clone(), self.history.clone());
        let (flush, encoded) = blocking(move || {
            let encoded = history.encode_flush(&hot, &flush)?;
            Ok::<_, ServerError>((flush, encoded))
        })
        .await?;
        self.history.commit_flush(encoded).await?;
        self.hot.flushed(flush.id, &flush.windows);
        self.stats.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Drops old windows and writes a checkpoint.
    ///
    /// # Errors
    /// When the checkpoint cannot be written.
    pub async fn let_go(&self, now: Timestamp) -> Result<(), ServerError> {
        let hot = self.hot.clone();
        let place = blocking(move || {
            hot.evict(now)?;
            Ok::<_, ServerError>(hot.checkpoint(now)?)
        })
        .await?;
        self.checkpoint.store(place.0, Ordering::Relaxed);
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("maintenance does not panic, and is never cancelled")
}
