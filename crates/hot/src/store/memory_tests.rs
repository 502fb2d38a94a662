//! What the store holds in memory: its limit, and that what goes leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hesper_model::{Slot, TagQuery, Tags, Timestamp};

use super::tests::{FakeHistory, STEP, options};
use super::{HotStore, InHistory};
use crate::HotError;
use crate::batch::{Batch, SeriesHandle};
use crate::directory::memory::MemoryDirectory;
use crate::fold::{CellLayout, FoldOp};
use crate::groups::Grouping;
use crate::log::record::ClientId;
use crate::scan::{PartialScan, ScanRequest};

/// A store that sends every series a datapoint at slots, with history that takes every flush.
struct Crowd {
    store: HotStore,
    history: FakeHistory,
}

impl Crowd {
    fn new(max_memory_bytes: usize) -> Self {
        let mut options = options();
        options.max_memory_bytes = max_memory_bytes;
        options.hot_window_millis = 1_000_000 * STEP.millis();
        let directory = Arc::new(MemoryDirectory::default());
        let (store, _) =
            HotStore::open(directory, options, InHistory::default(), false).expect("new");
        Self {
            store,
            history: FakeHistory::default(),
        }
    }

    fn resolve(&self, i: usize) -> Result<SeriesHandle, HotError> {
        self.store.resolve(&Tags::from_pairs([
            ("name", "busy".to_owned()),
            ("node", format!("i-{i}")),
            ("atlas.dstype", "gauge".to_owned()),
        ]))
    }

    fn publish(&self, handles: &[SeriesHandle], slot: i64) -> Result<(), HotError> {
        let mut batch = Batch::new(self.store.shards());
        batch.begin(Some(Timestamp(slot * STEP.millis())));
        for (i, handle) in handles.iter().enumerate() {
            batch.push(*handle, Timestamp(0), (i as f64 + slot as f64).sqrt());
        }
        batch.set_origin(ClientId::NONE, 0, Timestamp(slot * STEP.millis()));
        self.store.append(&batch, &mut Vec::new())?;
        self.store.log().commit()
    }

    fn maintain(&mut self, slot: i64) {
        let now = Timestamp(slot * STEP.millis());
        let due = self.store.due(now, false);
        self.store.seal(&due).expect("a working log");
        for flush in self.store.unflushed() {
            self.history.commit(&self.store, &flush);
            self.store.flushed(flush.id, &flush.windows);
        }
        self.store.evict(now).expect("a working log");
    }
}

#[test]
fn old_windows_make_room_before_anything_is_refused() {
    let mut crowd = Crowd::new(4 << 20);
    let handles: Vec<_> = (0..1000).map(|i| crowd.resolve(i).expect("room")).collect();
    let mut most = 0;
    // Some half megabyte a window, that no codec makes smaller: twenty of them.
    for slot in 1..1200 {
        crowd.publish(&handles, slot).expect("room");
        if slot % 20 == 0 {
            crowd.maintain(slot);
        }
        most = most.max(crowd.store.memory().bytes());
        let reckoned = crowd.store.memory_bytes();
        assert!(
            reckoned.abs_diff(crowd.store.memory().bytes()) < 100_000,
            "{reckoned}"
        );
    }
    assert!(most > 2 << 20 && most < 4 << 20, "{most}");
    let windows = crowd.store.memory().shard_windows;
    assert!((6..30).contains(&windows), "{windows}");
    assert_eq!(crowd.history.windows.len(), 19);
}

#[test]
fn a_full_memory_refuses_new_series_then_batches_and_takes_them_again() {
    let mut crowd = Crowd::new(2 << 20);
    let mut handles = Vec::new();
    let refused = (0..).find_map(|i| match crowd.resolve(i) {
        Ok(handle) => {
            handles.push(handle);
            None
        }
        Err(e) => Some(e),
    });
    let error = refused.expect("full at some time").to_string();
    assert!(error.contains("--max-memory"), "{error}");
    assert!(handles.len() > 5000, "{}", handles.len());
    // Known series still publish, until there is no room for their columns.
    let error = (1..).find_map(|slot| crowd.publish(&handles[..500 * slot], slot as i64).err());
    let error = error.expect("full at some time");
    assert!(matches!(error, HotError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("--max-memory"), "{error}");
    assert!(crowd.store.stats().memory_refused.load(Relaxed) > 0);
    // The window is sealed when it rests, and dropped when newer ones come.
    for slot in [1000, 1070, 1140] {
        crowd.maintain(slot);
        crowd.publish(&handles[..10], slot).expect("room again");
    }
}

#[test]
fn batches_are_held_back_while_windows_wait_but_not_for_ever() {
    let crowd = Crowd::new(usize::MAX);
    let handles: Vec<_> = (0..10).map(|i| crowd.resolve(i).expect("room")).collect();
    crowd.store.hold_back(8, Duration::from_secs(600));
    let error = crowd.publish(&handles, 1).expect_err("held back");
    assert!(matches!(error, HotError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("8 windows"), "{error}");
    assert_eq!(crowd.store.stats().held_back.load(Relaxed), 1);
    crowd.store.let_on();
    crowd.publish(&handles, 1).expect("let on");
    crowd.store.hold_back(8, Duration::ZERO);
    crowd.publish(&handles, 2).expect("its time is over");
}

#[test]
fn late_datapoints_hold_little() {
    let mut crowd = Crowd::new(usize::MAX);
    let handles: Vec<_> = (0..2000).map(|i| crowd.resolve(i).expect("room")).collect();
    for slot in 1..=60 {
        crowd.publish(&handles, slot).expect("room");
    }
    crowd.publish(&handles, 70).expect("room");
    crowd.maintain(150);
    let before = crowd.store.memory();
    assert_eq!(before.open_bytes, 0);
    // One more of each, by back-fill, which goes past the normaliser.
    for (i, handle) in handles.iter().enumerate() {
        let row = (*handle, Slot(i as i64 % 60 + 1), vec![7.25]);
        crowd.store.load(&[row], Timestamp(0)).expect("room");
    }
    let late = crowd.store.memory().open_bytes;
    assert!(late > 0 && late < 2000 * 150, "{late}");
    crowd.maintain(300);
    let after = crowd.store.memory();
    assert_eq!(after.open_bytes, 0);
    let (before, after) = (before.sealed_bytes, after.sealed_bytes);
    assert!(after < before * 12 / 10, "{before}, then {after}");
}

#[test]
fn series_that_come_and_go_leave_nothing_behind() {
    let mut crowd = Crowd::new(usize::MAX);
    crowd.store.options.hot_window_millis = 60 * STEP.millis();
    let steady: Vec<_> = (0..100).map(|i| crowd.resolve(i).expect("room")).collect();
    let mut held = Vec::new();
    for round in 0..40 {
        let slot = round * 60 + 1;
        let fresh = (0..2000).map(|i| (round as usize + 1) * 10_000 + i);
        let mut handles: Vec<_> = fresh.map(|i| crowd.resolve(i).expect("room")).collect();
        handles.extend(&steady);
        crowd.publish(&handles, slot).expect("room");
        crowd.publish(&steady, slot + 1).expect("room");
        crowd.maintain(slot + 50);
        held.push(crowd.store.memory());
    }
    let (early, late) = (held[15], held[39]);
    assert_eq!(crowd.store.series_count(), late.series);
    assert!(late.series < 7000 && late.symbols < 20_000, "{late:?}");
    assert!(late.bytes() < early.bytes() * 5 / 4, "{early:?} {late:?}");
    // The steady ones are still themselves.
    for (i, handle) in steady.iter().enumerate() {
        assert_eq!(crowd.resolve(i).expect("known"), *handle);
        let query = TagQuery::Equal("node".into(), format!("i-{i}").into());
        assert_eq!(crowd.store.count_matching(&query), 1);
    }
    let request = ScanRequest {
        query: TagQuery::In("node".into(), vec!["i-3".into(), "i-7".into()]),
        grouping: Grouping::Keys(vec!["node".into()]),
        op: FoldOp::Sum,
        layout: CellLayout {
            first: Slot(39 * 60 + 1),
            cells: 2,
            slots_per_cell: 1,
        },
        max_groups: 10,
    };
    let mut found = PartialScan::new(&request);
    for shard in 0..crowd.store.shards() {
        crowd
            .store
            .scan([shard], &request, &mut found)
            .expect("two groups");
    }
    let mut nodes: Vec<_> = (0..2).map(|g| found.groups.key(g)[0].clone()).collect();
    nodes.sort();
    assert_eq!(nodes, ["i-3".into(), "i-7".into()]);
}
