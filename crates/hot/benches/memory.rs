//! What a store holds in memory, to the byte: `cargo bench -p hesper-hot --bench memory -- fleet|series [SERIES]`.
//!
//! `fleet`: six hours of 100,000 series, all windows sealed. `series`: ten million series, without and with an open block each.

mod counting;
mod fleet;
mod sink;

use std::sync::Arc;
use std::time::Instant;

use counting::{Counting, allocated, resident};
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, SeriesHandle, StoreOptions};
use hesper_model::{BLOCK_SLOTS, Slot, Step, Timestamp};
use sink::Sink;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STEP: Step = Step::from_secs(60);
const POINTS: usize = 360;
const BATCH: usize = 10_000;

fn store() -> HotStore {
    let options = StoreOptions::new(STEP);
    let opened = HotStore::open(Arc::new(Sink), options, InHistory::default(), false);
    opened.expect("a new store").0
}

/// What was held before, to be taken off.
struct Since {
    allocated: usize,
    resident: usize,
    began: Instant,
}

impl Since {
    fn now() -> Self {
        Self {
            allocated: allocated(),
            resident: resident(),
            began: Instant::now(),
        }
    }

    fn show(&self, what: &str, store: &HotStore, per: &str, count: usize) {
        let allocated = allocated().saturating_sub(self.allocated);
        let resident = resident().saturating_sub(self.resident);
        let of = |bytes: usize| bytes as f64 / count as f64;
        let memory = store.memory();
        println!(
            "{what}, after {:.1} s, bytes a {per}:\n  resident {:.3}, allocated {:.3} beside maps, accounted for {:.3}, of which",
            self.began.elapsed().as_secs_f64(),
            of(resident),
            of(allocated),
            of(memory.bytes()),
        );
        println!(
            "  symbols {:.3}, table {:.3}, index {:.3}, normaliser {:.3}, open {:.3}, sealed {:.3}, orders {:.3}, log {:.3}",
            of(memory.symbol_bytes),
            of(memory.table_bytes),
            of(memory.index_bytes),
            of(memory.normaliser_bytes),
            of(memory.open_bytes),
            of(memory.sealed_bytes),
            of(memory.order_bytes),
            of(memory.log_bytes),
        );
    }
}

fn resolve(store: &HotStore, series: usize) -> Vec<SeriesHandle> {
    (0..series)
        .map(|i| {
            if i % BATCH == 0 {
                store.log().commit().expect("nothing to fail");
            }
            store.resolve(&fleet::tags(i)).expect("room")
        })
        .collect()
}

fn publish(store: &HotStore, handles: &[SeriesHandle], point: usize) {
    let mut batch = Batch::new(store.shards());
    let mut scratch = Vec::new();
    let time = Slot(point as i64 + 1).time(STEP);
    for (at, chunk) in handles.chunks(BATCH).enumerate() {
        batch.begin(Some(time));
        for (i, handle) in chunk.iter().enumerate() {
            batch.push(*handle, time, fleet::value(at * BATCH + i, point));
        }
        batch.set_origin(Default::default(), 0, time);
        store.append(&batch, &mut scratch).expect("room");
        store.log().commit().expect("nothing to fail");
    }
}

fn seal_all(store: &HotStore) {
    let due = store.due(Timestamp(i64::MAX / 2), false);
    store.seal(&due).expect("a working log");
    for flush in store.unflushed() {
        store.flushed(flush.id, &flush.windows);
    }
}

fn fleet_memory(series: usize) {
    let before = Since::now();
    let store = store();
    let handles = resolve(&store, series);
    before.show("series", &store, "series", series);
    for point in 0..POINTS {
        publish(&store, &handles, point);
        if (point + 1) % BLOCK_SLOTS == 0 {
            seal_all(&store);
        }
    }
    drop(handles);
    let open = store.due(Timestamp(i64::MAX / 2), false);
    assert!(open.is_empty(), "all are sealed");
    before.show("all sealed", &store, "datapoint", series * POINTS);
}

fn series_memory(series: usize) {
    let before = Since::now();
    let store = store();
    let handles = resolve(&store, series);
    drop(handles);
    before.show("new series", &store, "series", series);
    let handles = resolve(&store, series);
    publish(&store, &handles, 0);
    drop(handles);
    before.show("with an open block", &store, "series", series);
    seal_all(&store);
    before.show(
        "with a sealed block of one datapoint",
        &store,
        "series",
        series,
    );
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    let what = args.next().unwrap_or_else(|| "fleet".to_owned());
    let series = args.next().map(|n| n.parse().expect("a number of series"));
    match what.as_str() {
        "fleet" => fleet_memory(series.unwrap_or(100_000)),
        "series" => series_memory(series.unwrap_or(10_000_000)),
        other => panic!("'{other}' is neither 'fleet' nor 'series'"),
    }
}
