//! Opening a store of 100,000 series after it was killed: seconds until it serves. `cargo bench -p hesper-hot --bench restart -- [SERIES]`

mod fleet;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, SeriesHandle, StoreOptions};
use hesper_model::{BLOCK_SLOTS, Slot, Step};

const STEP: Step = Step::from_secs(60);
const BATCH: usize = 10_000;

fn open(path: &Path, in_history: InHistory) -> HotStore {
    let began = Instant::now();
    let disk = DiskDirectory::open(path).expect("a directory");
    let opened = HotStore::open(Arc::new(disk), StoreOptions::new(STEP), in_history, false);
    let (store, recovery) = opened.expect("a whole log");
    if recovery.series > 0 {
        println!(
            "  {:.2} s: {} series, {} records of the log, checkpoint: {}",
            began.elapsed().as_secs_f64(),
            recovery.series,
            recovery.replayed.records,
            recovery.checkpoint
        );
    }
    store
}

/// What happens to each window when it is over.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Nothing: history could not be reached.
    Nothing,
    /// It is sealed and taken to history.
    Flushed,
    /// And a checkpoint is written.
    Checkpointed,
}

/// Publishes so many points into a new store and gives what history holds.
fn fill(path: &Path, series: usize, points: usize, then: Then) -> InHistory {
    let store = open(path, InHistory::default());
    let mut in_history = InHistory::default();
    let handles: Vec<SeriesHandle> = (0..series)
        .map(|i| store.resolve(&fleet::tags(i)).expect("room"))
        .collect();
    let mut batch = Batch::new(store.shards());
    for point in 0..points {
        let time = Slot(point as i64 + 1).time(STEP);
        for first in (0..series).step_by(BATCH) {
            batch.begin(Some(time));
            for (i, handle) in handles.iter().enumerate().skip(first).take(BATCH) {
                batch.push(*handle, time, fleet::value(i, point));
            }
            batch.set_origin(Default::default(), 0, time);
            store.append(&batch, &mut Vec::new()).expect("room");
            store.log().commit().expect("a working disk");
        }
        if then != Then::Nothing && (point + 1) % BLOCK_SLOTS == 0 {
            let due = store.due(time.plus_millis(10 * STEP.millis()), false);
            let flush = store.seal(&due).expect("a working log").expect("a window");
            store.flushed(flush.id, &flush.windows);
            in_history.flushes.insert(flush.id);
            in_history.windows.extend(&flush.windows);
            if then == Then::Checkpointed {
                store.checkpoint(time).expect("a working disk");
            }
        }
    }
    in_history
}

fn main() {
    let series = std::env::args()
        .find_map(|a| a.parse().ok())
        .unwrap_or(100_000);
    for (what, points, then) in [
        (
            "the log of six hours, none of them in history",
            360,
            Then::Nothing,
        ),
        ("the log of six hours, all in history", 360, Then::Flushed),
        (
            "a checkpoint and the log of 59 minutes",
            359,
            Then::Checkpointed,
        ),
    ] {
        println!("{what}");
        let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let in_history = fill(files.path(), series, points, then);
        for _ in 0..3 {
            open(files.path(), in_history.clone());
        }
    }
    println!("a checkpoint of an hour that is not sealed");
    let files = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    fill(files.path(), series, 59, Then::Nothing);
    let store = open(files.path(), InHistory::default());
    store
        .checkpoint(Slot(60).time(STEP))
        .expect("a working disk");
    drop(store);
    open(files.path(), InHistory::default());
}
