//! Writing the log: records gather in a buffer and become durable together.
//!
//! [`Log::append`] puts a record in order; [`Log::commit`] writes what has gathered and syncs it. A store runs a thread that commits at
//! most once an interval; tests commit by hand. A write or sync that fails poisons the log: nothing is known about the bytes any more, so
//! nothing is accepted or acknowledged until the store is opened again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::{Lsn, segment};
use crate::HotError;
use crate::directory::{Directory, WriteFile};
use crate::error::Full;

/// Settings of the log.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// The least time between two commits.
    pub commit_interval: Duration,
    /// A segment that has grown to this many bytes is followed by a new one.
    pub segment_bytes: u64,
    /// Batches are refused while more bytes than this wait for the disk.
    pub buffer_bytes: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            commit_interval: Duration::from_millis(20),
            segment_bytes: 64 << 20,
            buffer_bytes: 64 << 20,
        }
    }
}

/// A buffer that has grown beyond this is given back …
const MAX_SPARE_BYTES: usize = 16 << 20;

/// … and one of more than this when but a quarter of it was needed: so that what a burst took does not stay.
const MIN_SPARE_BYTES: usize = 64 << 10;

/// True when a buffer that was written is worth being kept for its room.
const fn is_worth_keeping(capacity: usize, written: usize) -> bool {
    capacity <= MIN_SPARE_BYTES || (capacity <= MAX_SPARE_BYTES && capacity / 4 <= written)
}

/// How far the log is durable.
#[derive(Clone, Debug)]
struct Durable {
    up_to: Lsn,
    poisoned: Option<Arc<str>>,
}

struct Buffer {
    bytes: Vec<u8>,
    /// The place in the log after `bytes`.
    end: Lsn,
    closed: bool,
    poisoned: Option<Arc<str>>,
}

struct Open {
    file: Box<dyn WriteFile>,
    base: Lsn,
    /// The buffer that was written last, kept for its room.
    spare: Vec<u8>,
    written: Lsn,
}

/// Counters of the log since it was opened.
#[derive(Debug, Default)]
pub struct LogStats {
    /// Commits.
    pub commits: AtomicU64,
    /// Bytes of committed records.
    pub bytes: AtomicU64,
    /// Time spent writing and syncing.
    pub commit_nanos: AtomicU64,
    /// Appends refused because the buffer was full.
    pub refused: AtomicU64,
}

/// The log of a store, open for writing.
pub struct Log {
    directory: Arc<dyn Directory>,
    options: LogOptions,
    buffer: Mutex<Buffer>,
    /// Wakes the thread that commits.
    filled: Condvar,
    open: Mutex<Open>,
    durable: watch::Sender<Durable>,
    stats: LogStats,
}

impl Log {
    /// Begins a new segment at `end`, the place after the last record of the segments before.
    ///
    /// # Errors
    /// When the segment cannot be made.
    pub fn create(
        directory: Arc<dyn Directory>,
        end: Lsn,
        options: LogOptions,
    ) -> Result<Self, HotError> {
        let file = create_segment(&*directory, end)?;
        Ok(Self {
            directory,
            options,
            buffer: Mutex::new(Buffer {
                bytes: Vec::new(),
                end,
                closed: false,
                poisoned: None,
            }),
            filled: Condvar::new(),
            open: Mutex::new(Open {
                file,
                base: end,
                spare: Vec::new(),
                written: end,
            }),
            durable: watch::Sender::new(Durable {
                up_to: end,
                poisoned: None,
            }),
            stats: LogStats::default(),
        })
    }

    /// Succeeds while there is room. A batch asks once before its first record: its records are then appended even if together they
    /// pass the limit, so that no batch is half done.
    ///
    /// # Errors
    /// [`HotError::Busy`] when too much waits for the disk, [`HotError::Poisoned`] after a failed write.
    pub fn check_room(&self) -> Result<(), HotError> {
        let buffer = self.buffer.lock();
        if let Some(reason) = &buffer.poisoned {
            return Err(poisoned(reason));
        }
        if buffer.bytes.len() > self.options.buffer_bytes {
            self.stats.refused.fetch_add(1, Ordering::Relaxed);
            return Err(HotError::Busy {
                what: Full::Log,
                limit: self.options.buffer_bytes,
            });
        }
        Ok(())
    }

    /// Puts a framed record (see [`segment::put_record`]) at the end and gives the place after it.
    ///
    /// # Errors
    /// [`HotError::Poisoned`] after a failed write.
    pub fn append(&self, framed: &[u8]) -> Result<Lsn, HotError> {
        let mut buffer = self.buffer.lock();
        if let Some(reason) = &buffer.poisoned {
            return Err(poisoned(reason));
        }
        let was_empty = buffer.bytes.is_empty();
        buffer.bytes.extend_from_slice(framed);
        buffer.end.0 += framed.len() as u64;
        let end = buffer.end;
        drop(buffer);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(end)
    }

    /// Bytes of records that wait for the disk.
    pub fn waiting_bytes(&self) -> usize {
        self.buffer.lock().bytes.len()
    }

    /// The place after the last record appended.
    pub fn end(&self) -> Lsn {
        self.buffer.lock().end
    }

    /// Everything before this place is durable.
    pub fn durable(&self) -> Lsn {
        self.durable.borrow().up_to
    }

    /// Why the log takes no more records, if so.
    pub fn poison(&self) -> Option<Arc<str>> {
        self.durable.borrow().poisoned.clone()
    }

    /// Counters since the log was opened.
    pub fn stats(&self) -> &LogStats {
        &self.stats
    }

    /// Waits until everything before `lsn` is durable.
    ///
    /// # Errors
    /// [`HotError::Poisoned`] when it will not be.
    pub async fn wait_durable(&self, lsn: Lsn) -> Result<(), HotError> {
        let mut receiver = self.durable.subscribe();
        let state = receiver
            .wait_for(|d| d.up_to >= lsn || d.poisoned.is_some())
            .await
            .expect("the sender lives in self");
        match &state.poisoned {
            Some(reason) if state.up_to < lsn => Err(poisoned(reason)),
            _ => Ok(()),
        }
    }

    /// Writes and syncs what has gathered, on the caller's thread.
    ///
    /// # Errors
    /// [`HotError::Poisoned`], now and for ever after, when the disk fails.
    pub fn commit(&self) -> Result<(), HotError> {
        let mut open = self.open.lock();
        let spare = std::mem::take(&mut open.spare);
        let (bytes, end) = {
            let mut buffer = self.buffer.lock();
            if let Some(reason) = &buffer.poisoned {
                return Err(poisoned(reason));
            }
            (std::mem::replace(&mut buffer.bytes, spare), buffer.end)
        };
        if !bytes.is_empty() {
            let began = Instant::now();
            if let Err(e) = self.write(&mut open, &bytes) {
                let reason: Arc<str> = e.to_string().into();
                tracing::error!(%reason, "the log failed; the store takes no more data");
                self.buffer.lock().poisoned = Some(reason.clone());
                self.durable
                    .send_modify(|d| d.poisoned = Some(reason.clone()));
                return Err(poisoned(&reason));
            }
            let nanos = began.elapsed().as_nanos() as u64;
            self.stats.commits.fetch_add(1, Ordering::Relaxed);
            self.stats
                .bytes
                .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            self.stats.commit_nanos.fetch_add(nanos, Ordering::Relaxed);
        }
        if is_worth_keeping(bytes.capacity(), bytes.len()) {
            open.spare = bytes;
            open.spare.clear();
        }
        open.written = end;
        drop(open);
        self.durable.send_if_modified(|d| {
            let newer = d.up_to < end;
            d.up_to = d.up_to.max(end);
            newer
        });
        Ok(())
    }

    fn write(&self, open: &mut Open, bytes: &[u8]) -> Result<(), HotError> {
        if open.written.0 - open.base.0 >= self.options.segment_bytes {
            open.file = create_segment(&*self.directory, open.written)?;
            open.base = open.written;
        }
        let path = || self.directory.path(&segment::file_name(open.base));
        open.file
            .append(bytes)
            .and_then(|()| open.file.sync())
            .map_err(|source| HotError::Io {
                path: path(),
                source,
            })
    }

    /// Removes the segments of which every record lies before `lsn`, and gives how many there were.
    ///
    /// # Errors
    /// When a segment cannot be removed.
    pub fn truncate(&self, lsn: Lsn) -> Result<usize, HotError> {
        let current = self.open.lock().base;
        let io = |name: &str| HotError::io(self.directory.path(name));
        let names = self.directory.list().map_err(io(""))?;
        let bases: Vec<Lsn> = names.iter().filter_map(|n| segment::base_of(n)).collect();
        let mut removed = 0;
        for pair in bases.windows(2) {
            if pair[1] <= lsn && pair[0] < current {
                let name = segment::file_name(pair[0]);
                self.directory.remove(&name).map_err(io(&name))?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.directory.sync().map_err(io(""))?;
        }
        Ok(removed)
    }

    /// Starts the thread that commits; it ends with [`Committer::stop`].
    pub fn start_committer(self: &Arc<Self>) -> Committer {
        let log = self.clone();
        let thread = std::thread::Builder::new()
            .name("log-commit".to_owned())
            .spawn(move || log.commit_until_closed())
            .expect("the system can start a thread");
        Committer {
            log: self.clone(),
            thread: Some(thread),
        }
    }

    fn commit_until_closed(&self) {
        let mut last = Instant::now();
        loop {
            let closed = {
                let mut buffer = self.buffer.lock();
                while buffer.bytes.is_empty() && !buffer.closed {
                    self.filled.wait(&mut buffer);
                }
                let due = last + self.options.commit_interval;
                while !buffer.closed && Instant::now() < due {
                    self.filled.wait_until(&mut buffer, due);
                }
                buffer.closed
            };
            last = Instant::now();
            if self.commit().is_err() || closed {
                return;
            }
        }
    }
}

/// The thread that commits a log.
pub struct Committer {
    log: Arc<Log>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Commits what has gathered and ends the thread.
    pub fn stop(mut self) {
        self.close();
    }

    fn close(&mut self) {
        self.log.buffer.lock().closed = true;
        self.log.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.close();
    }
}

fn create_segment(directory: &dyn Directory, base: Lsn) -> Result<Box<dyn WriteFile>, HotError> {
    let name = segment::file_name(base);
    let make = || {
        let mut file = directory.create(&name)?;
        file.append(&segment::header(base))?;
        file.sync()?;
        directory.sync()?;
        Ok(file)
    };
    make().map_err(HotError::io(directory.path(&name)))
}

fn poisoned(reason: &Arc<str>) -> HotError {
    HotError::Poisoned {
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_buffer_is_kept_while_it_is_needed() {
        let [kilobyte, megabyte] = [1 << 10, 1 << 20];
        assert!(is_worth_keeping(60 * kilobyte, 0));
        assert!(is_worth_keeping(8 * megabyte, 2 * megabyte));
        assert!(!is_worth_keeping(8 * megabyte, megabyte));
        assert!(!is_worth_keeping(17 * megabyte, 17 * megabyte));
    }
}
