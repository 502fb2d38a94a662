//! Shards out of the records of the checkpoint and the log, by several threads.
//!
//! The order of records counts within a shard only. One thread reads the files and checks them; the others have some shards each, and take
//! the records of those in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope, ScopedJoinHandle};

use hesper_model::{SeriesId, Window};

use super::InHistory;
use crate::HotError;
use crate::checkpoint::{self, Item};
use crate::codec::Codec;
use crate::directory::Directory;
use crate::feed::Feed;
use crate::log::Lsn;
use crate::log::record::{self, DEFAULT_TENANT, Prefix, Record, Samples};
use crate::log::replay::{Frame, Frames, Replayed, read_segments};
use crate::normaliser::Normaliser;
use crate::shard::{Shard, ShardRules};
use crate::store::StoreOptions;
use crate::symbols::Symbols;

/// Segments that wait for a thread: what is read ahead of it.
const QUEUED: usize = 2;

/// What all threads see.
pub struct Rebuild<'a> {
    pub path: PathBuf,
    pub options: &'a StoreOptions,
    pub symbols: Symbols,
    pub in_history: &'a InHistory,
    pub normaliser: Normaliser,
    pub codec: Codec,
}

/// What was read.
pub struct Rebuilt {
    /// By number.
    pub shards: Vec<Shard>,
    pub next_flush: u64,
    pub replayed: Replayed,
    pub checkpoint: bool,
}

/// Records of some shards.
struct Parcel {
    of: Origin,
    frames: Arc<Frames>,
    mine: Vec<Frame>,
}

#[derive(Clone, Copy)]
enum Origin {
    Checkpoint,
    Log,
}

/// A shard under way.
#[derive(Default)]
struct Recovering {
    shard: Shard,
    /// The place in the log that its checkpoint stands for.
    from: Lsn,
}

/// The shards of a thread: every so many-th.
struct Worker<'a> {
    rebuild: &'a Rebuild<'a>,
    threads: usize,
    shards: Vec<Recovering>,
    next_flush: u64,
    samples: Samples,
}

type Workers<'scope> = Vec<(
    SyncSender<Parcel>,
    ScopedJoinHandle<'scope, Result<Worker<'scope>, HotError>>,
)>;

impl Rebuild<'_> {
    /// Reads everything.
    pub fn run(&self, directory: &dyn Directory) -> Result<Rebuilt, HotError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(self.options.shards as usize).max(1);
        thread::scope(|scope| {
            let workers = (0..threads).map(|n| self.start(scope, n, threads));
            self.read(directory, workers.collect())
        })
    }

    fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        n: usize,
        threads: usize,
    ) -> (
        SyncSender<Parcel>,
        ScopedJoinHandle<'scope, Result<Worker<'scope>, HotError>>,
    ) {
        let (sender, receiver) = sync_channel(QUEUED);
        let shards = (n..self.options.shards as usize).step_by(threads);
        let worker = Worker {
            rebuild: self,
            threads,
            shards: shards.map(|_| Recovering::default()).collect(),
            next_flush: 0,
            samples: Samples::default(),
        };
        (sender, scope.spawn(|| worker.work(receiver)))
    }

    fn read(&self, directory: &dyn Directory, workers: Workers<'_>) -> Result<Rebuilt, HotError> {
        let read = self.read_files(directory, &workers);
        let mut shards = Vec::new();
        let mut next_flush = self.in_history.flushes.iter().map(|f| f.0 + 1).max();
        for (sender, thread) in workers {
            // Without it the thread comes to its end.
            drop(sender);
            let worker = thread
                .join()
                .expect("a panic of a thread is one of the opening")?;
            next_flush = next_flush.max(Some(worker.next_flush));
            shards.push(worker.shards.into_iter());
        }
        let (checkpoint, replayed) = read.map_err(|interrupted| match interrupted {
            Interrupted::Failed(error) => error,
            Interrupted::Stopped => unreachable!("a thread that stopped has said why"),
        })?;
        let threads = shards.len();
        let in_order = (0..self.options.shards as usize).map(|number| {
            let next = shards[number % threads].next();
            next.expect("each thread has every so many-th shard").shard
        });
        Ok(Rebuilt {
            shards: in_order.collect(),
            next_flush: next_flush.unwrap_or(0).max(1),
            replayed,
            checkpoint,
        })
    }

    fn read_files(
        &self,
        directory: &dyn Directory,
        workers: &Workers<'_>,
    ) -> Result<(bool, Replayed), Interrupted> {
        let from = checkpoint::read(directory, |frames| {
            self.hand_on(Origin::Checkpoint, frames, workers)
        })?;
        let replayed = read_segments(directory, from.unwrap_or_default(), |frames| {
            self.hand_on(Origin::Log, frames, workers)
        })?;
        Ok((from.is_some(), replayed))
    }

    /// Gives each thread the records of its shards.
    fn hand_on(
        &self,
        of: Origin,
        frames: Frames,
        workers: &Workers<'_>,
    ) -> Result<(), Interrupted> {
        let mut parcels: Vec<Vec<Frame>> = vec![Vec::new(); workers.len()];
        for frame in &frames.frames {
            let prefix = record::prefix_of(frames.payload(frame))
                .map_err(|e| frames.unreadable(frame, &e))?;
            let shard = self.check(prefix)?;
            parcels[shard % workers.len()].push(frame.clone());
        }
        let frames = Arc::new(frames);
        for ((sender, _), mine) in workers.iter().zip(parcels) {
            let frames = frames.clone();
            let sent = sender.send(Parcel { of, frames, mine });
            sent.map_err(|_| Interrupted::Stopped)?;
        }
        Ok(())
    }

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
            path: self.path.clone(),
            what,
        })
    }
}

/// Why reading came to an end before the files did.
enum Interrupted {
    Failed(HotError),
    /// A thread takes no more, and says itself why.
    Stopped,
}

impl From<HotError> for Interrupted {
    fn from(error: HotError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Worker<'a> {
    fn work(mut self, parcels: Receiver<Parcel>) -> Result<Self, HotError> {
        for parcel in parcels {
            let Parcel { of, frames, mine } = parcel;
            for frame in &mine {
                match of {
                    Origin::Checkpoint => self.restore(&frames, frame)?,
                    Origin::Log => self.replay(&frames, frame)?,
                }
            }
        }
        Ok(self)
    }

    fn at(&mut self, prefix: Prefix) -> &mut Recovering {
        &mut self.shards[prefix.shard as usize / self.threads]
    }

    /// Takes in a record of the checkpoint.
    fn restore(&mut self, frames: &Frames, frame: &Frame) -> Result<(), HotError> {
        let rebuild = self.rebuild;
        let (prefix, item) =
            checkpoint::read_item(frame.kind, frames.payload(frame), &rebuild.codec)
                .map_err(|e| frames.unreadable(frame, &e))?;
        let at = self.at(prefix);
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
            Item::Series(series, tags) => at.shard.add_series(&rebuild.symbols, series, &tags),
            Item::Feeds(feeds) => {
                for (number, feed) in feeds {
                    at.shard.feeds.insert_at(number, feed);
                }
            }
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
            } if rebuild.in_history.flushes.contains(&flush) => {}
            Item::Blocks {
                window,
                last_write,
                blocks,
                ..
            } => {
                let in_history = |window| rebuild.holds(window);
                let rules = rebuild.rules(&in_history);
                at.shard.apply_blocks(&rules, last_write, window, &blocks);
            }
        }
        Ok(())
    }

    /// Takes in a record of the log.
    fn replay(&mut self, frames: &Frames, frame: &Frame) -> Result<(), HotError> {
        let rebuild = self.rebuild;
        let payload = frames.payload(frame);
        let unreadable = |e| frames.unreadable(frame, &e);
        let in_history = |window| rebuild.holds(window);
        let rules = rebuild.rules(&in_history);
        let mut samples = std::mem::take(&mut self.samples);
        let published = record::read_published(frame.kind, payload, &mut samples);
        if let Some(prefix) = published {
            let at = self.at(prefix.map_err(unreadable)?);
            if frame.end > at.from {
                at.shard.apply_samples(&rules, &samples);
                // Their values were logged too and follow.
                at.shard.regathered.clear();
            }
            self.samples = samples;
            return Ok(());
        }
        self.samples = samples;
        let (prefix, record) = record::read(frame.kind, payload).map_err(unreadable)?;
        if let Record::Seal { flush, .. } = record {
            self.next_flush = self.next_flush.max(flush.0 + 1);
        }
        let at = self.at(prefix);
        if frame.end <= at.from {
            return Ok(());
        }
        let shard = &mut at.shard;
        match record {
            Record::Series { series, tags } => {
                let id = SeriesId::of(&tags);
                if shard.table.find(&rebuild.symbols, id, &tags)?.is_none() {
                    shard.add_series(&rebuild.symbols, series, &tags);
                }
            }
            Record::Samples(samples) => {
                shard.apply_samples(&rules, &samples);
                shard.regathered.clear();
            }
            Record::Load { received, runs } => shard.apply_load(&rules, received, &runs),
            Record::Seal { window, flush } => {
                if rebuild.in_history.flushes.contains(&flush) {
                    shard.drop_flushed(&rebuild.symbols, &rebuild.codec, window, flush);
                }
                // Otherwise the flush never came to an end: the columns stay open and are sealed again.
            }
            Record::Feed { number, way } => {
                if shard.feeds.find(&way).is_none() {
                    shard.feeds.insert_at(number, Feed::new(way));
                }
            }
            Record::Forget(series) => shard.forget(&series.iter().map(|s| s.0).collect()),
        }
        Ok(())
    }
}

impl Rebuild<'_> {
    fn holds(&self, window: Window) -> bool {
        self.in_history.windows.contains(&window)
    }

    fn rules<'a>(&'a self, in_history: &'a dyn Fn(Window) -> bool) -> ShardRules<'a> {
        ShardRules {
            normaliser: &self.normaliser,
            codec: &self.codec,
            in_history,
            replaying: true,
        }
    }
}
