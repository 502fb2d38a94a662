//! Taking batches: 100,000 series of the fleet in batches of 10,000 over 64 shards, hour after hour: CPU nanoseconds a datapoint of each part of
//! the way, the median of the hours. `cargo bench -p hesper-hot --bench append -- [HOURS]`

mod cpu_time;
mod fleet;
mod sink;

use std::sync::Arc;
use std::time::Duration;

use hesper_hot::directory::{Directory, DiskDirectory};
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, SeriesHandle, StoreOptions};
use hesper_model::{BLOCK_SLOTS, Slot, Step};
use sink::Sink;

const STEP: Step = Step::from_secs(60);
const SERIES: usize = 100_000;
const BATCH: usize = 10_000;

/// A fleet that publishes.
struct Publisher {
    store: HotStore,
    handles: Vec<SeriesHandle>,
    /// By minute of an hour, by series.
    values: Vec<Vec<f64>>,
    batch: Batch,
    scratch: Vec<u8>,
    point: usize,
    sequence: u64,
}

impl Publisher {
    fn new(directory: Arc<dyn Directory>) -> Self {
        let options = StoreOptions::new(STEP);
        let (store, _) =
            HotStore::open(directory, options, InHistory::default(), false).expect("a new store");
        let handles = (0..SERIES).map(|i| store.resolve(&fleet::tags(i)).expect("room"));
        let handles = handles.collect();
        let values = (0..BLOCK_SLOTS)
            .map(|p| (0..SERIES).map(|i| fleet::value(i, p)).collect())
            .collect();
        store.log().commit().expect("a working disk");
        Self {
            batch: Batch::new(store.shards()),
            store,
            handles,
            values,
            scratch: Vec::new(),
            point: 0,
            sequence: 0,
        }
    }

    /// Publishes a window, and gives the CPU time of each part.
    fn hour(&mut self, offset_millis: i64) -> [Duration; PARTS.len()] {
        let mut spent = [Duration::ZERO; PARTS.len()];
        let mut timed = |part: usize, work: &mut dyn FnMut()| {
            let began = cpu_time::now();
            work();
            spent[part] += cpu_time::now() - began;
        };
        for minute in 0..BLOCK_SLOTS {
            let values = &self.values[minute];
            let time = Slot(self.point as i64 + 1)
                .time(STEP)
                .plus_millis(offset_millis);
            for first in (0..SERIES).step_by(BATCH) {
                timed(0, &mut || {
                    self.batch.begin(Some(time));
                    let values = &values[first..first + BATCH];
                    for (handle, value) in self.handles[first..].iter().zip(values) {
                        self.batch.push(*handle, time, *value);
                    }
                    self.sequence += 1;
                    let client = ClientId([7; 16]);
                    self.batch.set_origin(client, self.sequence, time);
                });
                timed(1, &mut || {
                    let done = self.store.append(&self.batch, &mut self.scratch);
                    assert_eq!(done.expect("room").applied.taken, BATCH as u64);
                });
            }
            // As often as a store commits under some million datapoints a second.
            timed(2, &mut || {
                self.store.log().commit().expect("a working disk")
            });
            self.point += 1;
        }
        let now = Slot(self.point as i64 + 1).time(STEP);
        timed(3, &mut || {
            let due = self.store.due(now.plus_millis(10 * STEP.millis()), false);
            self.store.seal(&due).expect("a working log");
        });
        timed(4, &mut || {
            for flush in self.store.unflushed() {
                self.store.flushed(flush.id, &flush.windows);
            }
            // Three hours stay.
            let hours = self.store.options().hot_window_millis - 3 * 3_600_000;
            self.store
                .evict(now.plus_millis(hours))
                .expect("a working log");
            self.store.checkpoint(now).expect("a working disk");
        });
        spent
    }
}

const PARTS: [&str; 5] = ["push", "append", "commit", "seal", "evict and checkpoint"];

fn run(what: &str, hours: usize, offset_millis: i64, directory: Arc<dyn Directory>) {
    let mut publisher = Publisher::new(directory);
    publisher.hour(offset_millis);
    let spent: Vec<_> = (0..hours).map(|_| publisher.hour(offset_millis)).collect();
    let nanos = |of: &dyn Fn(&[Duration; PARTS.len()]) -> Duration| {
        let mut all: Vec<_> = spent.iter().map(of).collect();
        all.sort();
        all[hours / 2].as_nanos() as f64 / (SERIES * BLOCK_SLOTS) as f64
    };
    print!("{what}: {:.1} ns a datapoint:", nanos(&|s| s.iter().sum()));
    for (part, name) in PARTS.iter().enumerate() {
        print!(" {name} {:.1}", nanos(&|s| s[part]));
    }
    println!();
}

fn main() {
    let hours = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(5);
    run("on boundaries, without a disk", hours, 0, Arc::new(Sink));
    run(
        "between boundaries, without a disk",
        hours,
        17_000,
        Arc::new(Sink),
    );
    // Not a file system in memory.
    let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let disk = DiskDirectory::open(files.path()).expect("a directory");
    run("on boundaries, with a disk", hours, 0, Arc::new(disk));
}
