//! Taking batches: 100,000 series of the fleet in batches of 10,000 over 64 shards, in the steady state: `append`, the commit of the log, and
//! sealing as windows pass.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod cpu_time;
mod fleet;
mod sink;

use std::sync::Arc;

use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_hot::directory::{Directory, DiskDirectory};
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, SeriesHandle, StoreOptions};
use hesper_model::{BLOCK_SLOTS, Slot, Step, Timestamp};
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

    fn push(&mut self, offset_millis: i64) {
        let time = Slot(self.point as i64 / 10 + 1)
            .time(STEP)
            .plus_millis(offset_millis);
        let values = &self.values[self.point / 10 % BLOCK_SLOTS];
        let first = self.point % (SERIES / BATCH) * BATCH;
        self.batch.begin(Some(time));
        for (handle, value) in self.handles[first..]
            .iter()
            .zip(&values[first..first + BATCH])
        {
            self.batch.push(*handle, time, *value);
        }
        self.sequence += 1;
        self.batch
            .set_origin(ClientId([7; 16]), self.sequence, time);
        self.point += 1;
    }

    fn append(&mut self) {
        let done = self.store.append(&self.batch, &mut self.scratch);
        assert_eq!(done.expect("room").applied.taken, BATCH as u64);
    }

    /// Every fifty batches, as often as a store commits under this load; seals and drops what has passed.
    fn maintain(&mut self) {
        if self.point % 10 == 0 {
            self.store.log().commit().expect("a working disk");
        }
        if self.point % (10 * BLOCK_SLOTS) == 10 * BLOCK_SLOTS - 1 {
            let now = Slot(self.point as i64 / 10 + 1).time(STEP);
            let due = self.store.due(now, false);
            self.store.seal(&due).expect("a working log");
            for flush in self.store.unflushed() {
                self.store.flushed(flush.id, &flush.windows);
            }
            let horizon = Timestamp(now.0 - 2 * STEP.millis() * BLOCK_SLOTS as i64);
            self.store
                .evict(horizon.plus_millis(6 * 3_600_000))
                .expect("a working log");
        }
    }
}

fn append(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("ingest");
    group.throughput(Throughput::Elements(BATCH as u64));
    let mut publisher = Publisher::new(Arc::new(Sink));
    group.bench_function("push", |b| {
        b.iter(|| {
            publisher.push(0);
            publisher.point -= 1;
        });
    });
    group.bench_function("all, without a disk", |b| {
        b.iter(|| {
            publisher.push(0);
            publisher.append();
            publisher.maintain();
        });
    });
    let mut publisher = Publisher::new(Arc::new(Sink));
    group.bench_function("all, between boundaries", |b| {
        b.iter(|| {
            publisher.push(17_000);
            publisher.append();
            publisher.maintain();
        });
    });
    let files = tempfile::tempdir_in(std::env::var("CARGO_TARGET_DIR").unwrap_or(".".into()));
    let files = files.expect("a directory");
    let disk = DiskDirectory::open(files.path()).expect("a directory");
    let mut publisher = Publisher::new(Arc::new(disk));
    group.bench_function("all, with a disk", |b| {
        b.iter(|| {
            publisher.push(0);
            publisher.append();
            publisher.maintain();
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(20);
    targets = append
}
criterion_main!(benches);
