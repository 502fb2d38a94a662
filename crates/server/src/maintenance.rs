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

/// Windows that one flush brings to history at most: while it is under way others are filled, and are to be sealed soon.
const FLUSH_WINDOWS: usize = 2;

/// While more windows than this wait for history, datapoints are held back …
const WAITING_WINDOWS: usize = 8;

/// … but for no longer than this without any progress, and not after a failure: when history does not answer, it is memory that decides how
/// much is taken.
const HELD_BACK: Duration = Duration::from_secs(30);

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
        let began = std::time::Instant::now();
        let mut count = 0;
        loop {
            let now = now.plus_millis(began.elapsed().as_millis() as i64);
            let flushed = self.flush_oldest(now, ended).await;
            if !matches!(flushed, Ok(true)) {
                self.hot.let_on();
            }
            if !flushed? {
                break;
            }
            count += 1;
        }
        if count == 0 {
            self.checkpoint_when_grown(now, CHECKPOINT_BYTES).await?;
        }
        Ok(count)
    }

    /// Seals what is due, and takes the oldest of what is sealed to history; false when there is none.
    async fn flush_oldest(&self, now: Timestamp, ended: bool) -> Result<bool, ServerError> {
        let hot = self.hot.clone();
        let mut flushes = blocking(move || {
            let due = Vec::from_iter(hot.due(now, ended));
            for windows in due.chunks(FLUSH_WINDOWS) {
                hot.seal(&windows.iter().copied().collect())?;
            }
            // Those just sealed, and those that an earlier attempt left.
            Ok::<_, ServerError>(hot.unflushed())
        })
        .await?
        .into_iter();
        let Some(oldest) = flushes.next() else {
            return Ok(false);
        };
        let waiting: usize = flushes.map(|flush| flush.windows.len()).sum();
        let failed = self.stats.last_error.lock().is_some();
        match waiting > WAITING_WINDOWS && !failed {
            true => self.hot.hold_back(WAITING_WINDOWS, HELD_BACK),
            false => self.hot.let_on(),
        }
        let span = tracing::info_span!("flush", windows = oldest.windows.len());
        self.commit(oldest).instrument(span).await?;
        if !self
            .checkpoint_when_grown(now, CHECKPOINT_AFTER_FLUSH_BYTES)
            .await?
        {
            let hot = self.hot.clone();
            blocking(move || hot.evict(now)).await?;
        }
        Ok(true)
    }

    /// Lets go and writes a checkpoint when the log has grown by more than `bytes` since the last; true when it did.
    async fn checkpoint_when_grown(&self, now: Timestamp, bytes: u64) -> Result<bool, ServerError> {
        let grown = self.hot.log().end().0 - self.checkpoint.load(Ordering::Relaxed);
        if grown > bytes {
            self.let_go(now).await?;
        }
        Ok(grown > bytes)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use hesper_history::HistoryOptions;
    use hesper_history::objects::Retry;
    use hesper_history::synced_local::SyncedLocal;
    use hesper_hot::directory::DiskDirectory;
    use hesper_hot::log::record::ClientId;
    use hesper_hot::store::InHistory;
    use hesper_hot::{Batch, StoreOptions};
    use hesper_model::{Slot, Step, Tags};

    use super::*;

    const STEP: Step = Step::from_secs(60);

    /// Windows with their first two slots filled: all but the last are due.
    const WINDOWS: i64 = 12;

    struct Place {
        directory: tempfile::TempDir,
        maintenance: Maintenance,
    }

    impl Place {
        async fn new() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
            let options = StoreOptions::new(STEP);
            let opened = HotStore::open(Arc::new(disk), options, InHistory::default(), false);
            let (hot, _) = opened.expect("a new store");
            let local = SyncedLocal::open(directory.path().join("history")).expect("opened");
            let retry = Retry {
                attempts: 1,
                ..Retry::default()
            };
            let options = HistoryOptions {
                retry,
                ..HistoryOptions::new(STEP, "one".to_owned())
            };
            let history = History::open_with(Arc::new(local), options).await;
            let history = Arc::new(history.expect("a new history"));
            Self {
                directory,
                maintenance: Maintenance::new(Arc::new(hot), history),
            }
        }

        fn history_path(&self) -> PathBuf {
            self.directory.path().join("history")
        }

        fn publish(&self, slot: Slot) -> Result<(), hesper_hot::HotError> {
            let hot = &self.maintenance.hot;
            let mut batch = Batch::new(hot.shards());
            batch.begin(Some(slot.time(STEP)));
            for node in 0..5 {
                let tags = Tags::from_pairs([
                    ("name", "busy".to_owned()),
                    ("node", format!("i-{node}")),
                    ("atlas.dstype", "gauge".to_owned()),
                ]);
                batch.push(hot.resolve(&tags)?, Timestamp(0), f64::from(node));
            }
            batch.set_origin(ClientId::NONE, 0, now());
            hot.append(&batch, &mut Vec::new())?;
            Ok(())
        }

        fn fill(&self) {
            for window in 0..WINDOWS {
                for slot in 1..=2 {
                    self.publish(Slot(window * 60 + slot)).expect("room");
                }
            }
        }

        fn files(&self) -> usize {
            self.maintenance.history.manifest().files().count()
        }
    }

    fn now() -> Timestamp {
        Slot(WINDOWS * 60).time(STEP)
    }

    #[tokio::test]
    async fn many_windows_are_flushed_a_few_at_a_time() {
        let place = Place::new().await;
        place.fill();
        let done = place.maintenance.once(now(), false).await;
        done.expect("history takes all");
        assert_eq!(place.files(), WINDOWS as usize - 1);
        let flushes = place.maintenance.stats().flushes.load(Ordering::Relaxed);
        assert_eq!(
            flushes as usize,
            (WINDOWS as usize - 1).div_ceil(FLUSH_WINDOWS)
        );
        assert!(place.maintenance.hot.unflushed().is_empty());
        place.publish(Slot(WINDOWS * 60)).expect("nothing waits");
    }

    #[tokio::test]
    async fn publishers_are_let_on_while_history_takes_nothing() {
        let place = Place::new().await;
        place.fill();
        let path = place.history_path();
        std::fs::remove_dir_all(&path).expect("removed");
        std::fs::write(&path, "no directory").expect("written");
        let failed = place.maintenance.once(now(), false).await;
        failed.expect_err("history is gone");
        let waiting = place.maintenance.hot.unflushed();
        let waiting: usize = waiting.iter().map(|flush| flush.windows.len()).sum();
        assert!(waiting > WAITING_WINDOWS, "{waiting}");
        place.publish(Slot(WINDOWS * 60)).expect("let on");
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("made");
        let done = place.maintenance.once(now(), false).await;
        done.expect("history is back");
        assert_eq!(place.files(), waiting);
        place.publish(Slot(WINDOWS * 60)).expect("nothing waits");
    }
}
