//! The store against a plain model: random batches, back-fill, seals, flushes, evictions, checkpoints and crashes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hesper_model::series::put_sort_key;
use hesper_model::{
    BLOCK_SLOTS, Block, DataSource, SeriesId, Slot, Step, TagQuery, Tags, Timestamp, Window,
};
use proptest::prelude::*;

use super::{HotStore, InHistory, PendingFlush, StoreOptions};
use crate::HotError;
use crate::batch::Batch;
use crate::directory::memory::MemoryDirectory;
use crate::fold::{CellLayout, FoldOp};
use crate::groups::Grouping;
use crate::log::Lsn;
use crate::log::record::ClientId;
use crate::normaliser::{Normaliser, NormaliserState};
use crate::scan::{PartialScan, ScanRequest};
use crate::window::FlushId;

pub(super) const STEP: Step = Step::from_secs(10);
const SERIES: usize = 12;

fn tags(i: usize) -> Tags {
    let source = ["rate", "gauge", "sum", "counter"][i % 4];
    Tags::from_pairs([
        ("name", format!("metric.{}", i % 5)),
        ("node", format!("i-{i:02}")),
        ("atlas.dstype", source.to_owned()),
    ])
}

pub(super) fn options() -> StoreOptions {
    let mut options = StoreOptions::new(STEP);
    options.shards = 3;
    options.hot_window_millis = 5 * STEP.millis();
    options.log.segment_bytes = 2_000;
    options
}

/// History as the store sees it: rows by window and series, later rows over earlier ones.
#[derive(Clone, Default)]
pub(super) struct FakeHistory {
    rows: HashMap<(Window, SeriesId), Block>,
    flushes: Vec<FlushId>,
    pub(super) windows: BTreeSet<Window>,
}

impl FakeHistory {
    pub(super) fn commit(&mut self, store: &HotStore, flush: &PendingFlush) {
        for window in &flush.windows {
            let mut last = Vec::new();
            let rows = store.flush_rows(flush, *window);
            if rows.order().is_some() {
                assert_eq!(rows.order(), store.flush_rows(flush, *window).order());
            }
            let done: Result<(), ()> = rows.each(|row| {
                assert_eq!(row.window, *window);
                let tags = row.tags();
                let mut key = Vec::new();
                put_sort_key(tags.iter(), &mut key);
                assert!(last < key, "rows are sorted, each series once");
                last = key;
                let block = self.rows.entry((row.window, SeriesId::of(&tags)));
                let values = store.codec().decode(&row.block);
                block.or_insert(Block::EMPTY).overwrite_with(&values);
                Ok(())
            });
            done.expect("nothing to fail");
        }
        self.flushes.push(flush.id);
        self.windows.extend(&flush.windows);
    }

    fn summary(&self) -> InHistory {
        InHistory {
            flushes: self.flushes.iter().copied().collect(),
            windows: self.windows.clone(),
        }
    }
}

/// What every slot should hold.
#[derive(Default)]
struct Model {
    states: HashMap<usize, NormaliserState>,
    slots: BTreeMap<(usize, i64), f64>,
}

impl Model {
    fn publish(&mut self, samples: &[(usize, i64, f64)]) {
        let normaliser = Normaliser::new(STEP);
        for &(series, time, value) in samples {
            let state = self.states.entry(series).or_default();
            let source = DataSource::of_tag(tags(series).get("atlas.dstype"));
            let moment = normaliser.moment(Timestamp(time));
            normaliser.apply(state, source, &moment, value, |slot, v| {
                if !v.is_nan() {
                    self.slots.insert((series, slot.0), v);
                }
            });
        }
    }
}

#[derive(Clone, Debug)]
enum Step_ {
    Publish {
        client: u8,
        samples: Vec<(usize, i64, f64)>,
    },
    Load {
        series: usize,
        slot: i64,
        values: Vec<f64>,
    },
    Commit,
    Flush {
        fail: bool,
    },
    Evict,
    Checkpoint,
    Crash {
        torn: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step_>> {
    let sample = (0..SERIES, 0i64..200_000, 0u32..50);
    let samples = prop::collection::vec(sample, 1..30).prop_map(|mut samples| {
        // Mostly in order, as clients publish.
        samples.sort_by_key(|s| s.1 / 30_000);
        samples
            .into_iter()
            .map(|(s, t, v)| (s, t, f64::from(v) / 10.0))
            .collect()
    });
    let step = prop_oneof![
        6 => (0u8..3, samples).prop_map(|(client, samples)| Step_::Publish { client, samples }),
        1 => (0..SERIES, 0i64..300, prop::collection::vec(-5.0f64..5.0, 1..80))
            .prop_map(|(series, slot, values)| Step_::Load { series, slot, values }),
        4 => Just(Step_::Commit),
        2 => any::<bool>().prop_map(|fail| Step_::Flush { fail }),
        1 => Just(Step_::Evict),
        1 => Just(Step_::Checkpoint),
        1 => (0usize..300).prop_map(|torn| Step_::Crash { torn }),
    ];
    prop::collection::vec(step, 1..40)
}

struct Sent {
    client: u8,
    sequence: u64,
    samples: Vec<(usize, i64, f64)>,
    lsn: Lsn,
}

/// A store with its disk, its history and its clients.
struct World {
    directory: MemoryDirectory,
    history: FakeHistory,
    store: HotStore,
    model: Model,
    now: i64,
    offset: i64,
    sequences: [u64; 3],
    /// Published, but not known to be durable: sent again after a crash.
    unacknowledged: Vec<Sent>,
}

pub(super) fn open(directory: &MemoryDirectory, history: &FakeHistory) -> HotStore {
    let directory = Arc::new(directory.clone());
    let opened = HotStore::open(directory, options(), history.summary(), false);
    opened.expect("a store that can be opened").0
}

impl World {
    fn new() -> Self {
        let directory = MemoryDirectory::default();
        let history = FakeHistory::default();
        Self {
            store: open(&directory, &history),
            directory,
            history,
            model: Model::default(),
            now: 0,
            offset: 0,
            sequences: [0; 3],
            unacknowledged: Vec::new(),
        }
    }

    fn send(&self, client: u8, sequence: u64, samples: &[(usize, i64, f64)]) -> Lsn {
        let mut batch = Batch::new(self.store.shards());
        loop {
            batch.begin(None);
            for &(series, time, value) in samples {
                let handle = self
                    .store
                    .resolve(&tags(series))
                    .expect("room for the series");
                batch.push(handle, Timestamp(time), value);
            }
            batch.set_origin(ClientId([client + 1; 16]), sequence, Timestamp(self.now));
            match self.store.append(&batch, &mut Vec::new()) {
                Ok(appended) => return appended.lsn,
                Err(HotError::UnknownSeries) => {}
                Err(e) => panic!("{e}"),
            }
        }
    }

    fn acknowledge(&mut self) {
        let durable = self.store.log().durable();
        self.unacknowledged.retain(|sent| sent.lsn > durable);
    }

    fn step(&mut self, step: &Step_) {
        self.now += STEP.millis();
        match step {
            Step_::Publish { client, samples } => {
                self.offset += 20_000;
                let samples: Vec<_> = samples
                    .iter()
                    .map(|(s, t, v)| (*s, t + self.offset, *v))
                    .collect();
                let sequence = &mut self.sequences[usize::from(*client)];
                *sequence += 1;
                let sequence = *sequence;
                let lsn = self.send(*client, sequence, &samples);
                self.model.publish(&samples);
                // A client that is not sure sends again.
                self.send(*client, sequence, &samples);
                let (client, samples) = (*client, samples);
                self.unacknowledged.push(Sent {
                    client,
                    sequence,
                    samples,
                    lsn,
                });
            }
            Step_::Load {
                series,
                slot,
                values,
            } => {
                let handle = self.store.resolve(&tags(*series)).expect("room");
                let rows = [(handle, Slot(*slot), values.clone())];
                self.store.load(&rows, Timestamp(self.now)).expect("room");
                self.store.log().commit().expect("a working disk");
                self.acknowledge();
                for (i, v) in values.iter().enumerate() {
                    self.model.slots.insert((*series, slot + i as i64), *v);
                }
            }
            Step_::Commit => {
                self.store.log().commit().expect("a working disk");
                self.acknowledge();
            }
            Step_::Flush { fail } => self.flush(*fail),
            Step_::Evict => {
                self.store.evict(Timestamp(self.offset)).expect("room");
                // With a series goes what the normaliser remembers of it.
                let store = &self.store;
                self.model.states.retain(|series, _| {
                    let node = tags(*series).get_shared("node").expect("tagged").clone();
                    store.count_matching(&TagQuery::Equal("node".into(), node)) == 1
                });
            }
            Step_::Checkpoint => {
                self.store
                    .checkpoint(Timestamp(self.now))
                    .expect("a working disk");
                self.acknowledge();
            }
            Step_::Crash { torn } => self.crash(*torn),
        }
    }

    fn flush(&mut self, fail: bool) {
        for flush in self.store.unflushed() {
            self.history.commit(&self.store, &flush);
            self.store.flushed(flush.id, &flush.windows);
        }
        // Every second window, so that open ones stay beside sealed ones.
        let all = -10..60;
        let windows: BTreeSet<_> = all
            .filter(|w| w % 2 == self.now / 10_000 % 2)
            .map(Window)
            .collect();
        if let Some(flush) = self.store.seal(&windows).expect("room")
            && !fail
        {
            self.history.commit(&self.store, &flush);
            self.store.flushed(flush.id, &flush.windows);
        }
    }

    /// The process dies; it is opened again and the clients send again what was not acknowledged, in order.
    fn crash(&mut self, torn: usize) {
        self.directory = self.directory.crashed(torn);
        self.store = open(&self.directory, &self.history);
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        for mut sent in unacknowledged {
            sent.lsn = self.send(sent.client, sent.sequence, &sent.samples);
            self.unacknowledged.push(sent);
        }
    }

    fn check(&self) {
        for series in 0..SERIES {
            let tags = tags(series);
            let want = self.model.slots.iter();
            let want: BTreeMap<i64, f64> = want
                .filter(|((s, slot), _)| *s == series && SLOTS.contains(slot))
                .map(|((_, slot), v)| (*slot, *v))
                .collect();
            let got = held(&self.store, &self.history, &tags);
            assert_eq!(got, want, "series {series} ({tags})");
        }
    }
}

/// The slots that are looked at.
const SLOTS: std::ops::Range<i64> = -60..2340;

/// What the slots of a series hold, in memory and history together.
pub(super) fn held(store: &HotStore, history: &FakeHistory, tags: &Tags) -> BTreeMap<i64, f64> {
    let layout = CellLayout {
        first: Slot(SLOTS.start),
        cells: (SLOTS.end - SLOTS.start) as usize,
        slots_per_cell: 1,
    };
    let request = ScanRequest {
        query: TagQuery::True,
        grouping: Grouping::Series,
        op: FoldOp::Max,
        layout,
        max_groups: 1000,
    };
    let id = SeriesId::of(tags);
    let shard = id.shard(store.shards());
    let mut found = PartialScan::new(&request);
    store
        .scan([shard], &request, &mut found)
        .expect("few series");
    let key: Vec<Arc<str>> = tags
        .pairs()
        .iter()
        .flat_map(|(k, v)| [k.clone(), v.clone()])
        .collect();
    let group = (0..found.groups.len()).find(|g| *found.groups.key(*g as u32) == key[..]);
    let mut held = BTreeMap::new();
    for window in layout.range().windows() {
        let mut block = Block::EMPTY;
        if found.complete[&shard].contains(&window) {
            let Some(group) = group else { continue };
            for p in 0..BLOCK_SLOTS {
                let cell = (window.first_slot().0 + p as i64 - layout.first.0) as usize;
                if cell < layout.cells && found.acc.has_data(group, cell) {
                    block.0[p] = found.acc.values(group)[cell];
                }
            }
        } else {
            if let Some(rows) = history.rows.get(&(window, id)) {
                block.overwrite_with(rows);
            }
            let overlays = found.overlays.iter();
            for overlay in overlays.filter(|o| o.id == id && o.window == window) {
                block.overwrite_with(&overlay.block);
            }
        }
        for (slot, value) in (window.first_slot().0..).zip(block.0) {
            if SLOTS.contains(&slot) && !value.is_nan() {
                held.insert(slot, value);
            }
        }
    }
    held
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// P1, P2, P3: whatever happens in between, every acknowledged or sent-again datapoint counts once.
    #[test]
    fn the_store_holds_what_the_model_holds(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.check();
        world.crash(7);
        world.check();
    }
}

#[test]
fn a_store_with_other_settings_is_refused() {
    let directory = MemoryDirectory::default();
    let history = FakeHistory::default();
    let store = open(&directory, &history);
    store.resolve(&tags(1)).expect("room");
    store.checkpoint(Timestamp(0)).expect("a working disk");
    let mut other = options();
    other.step = Step::from_secs(60);
    let opened = HotStore::open(Arc::new(directory), other, history.summary(), false);
    let error = opened.err().expect("another step");
    assert!(matches!(error, HotError::Incompatible { .. }), "{error}");
}

#[test]
fn a_full_store_refuses_new_series_and_takes_known_ones() {
    let mut options = options();
    options.max_series = 2;
    let directory = Arc::new(MemoryDirectory::default());
    let (store, _) = HotStore::open(directory, options, InHistory::default(), false).expect("new");
    let known = store.resolve(&tags(0)).expect("room");
    store.resolve(&tags(1)).expect("room");
    assert!(matches!(
        store.resolve(&tags(2)),
        Err(HotError::TooManySeries { held: 2, .. })
    ));
    assert_eq!(store.resolve(&tags(0)).expect("known"), known);
}

#[test]
fn a_new_series_is_visible_at_once() {
    let store = open(&MemoryDirectory::default(), &FakeHistory::default());
    store.resolve(&tags(3)).expect("room");
    let query = TagQuery::Equal("node".into(), "i-03".into());
    assert_eq!(store.count_matching(&query), 1);
    assert_eq!(
        store.tag_values("node", &TagQuery::True, None, 10),
        ["i-03".into()]
    );
    assert_eq!(
        store.tag_keys(&query, Some("atlas.dstype"), 1),
        ["name".into()]
    );
}

#[test]
fn windows_are_due_when_their_successor_fills_or_nothing_comes() {
    let store = open(&MemoryDirectory::default(), &FakeHistory::default());
    let publish = |slot: i64, now: i64| {
        let mut batch = Batch::new(store.shards());
        batch.begin(Some(Timestamp(slot * STEP.millis())));
        batch.push(store.resolve(&tags(1)).expect("room"), Timestamp(0), 1.0);
        batch.set_origin(ClientId::NONE, 0, Timestamp(now));
        store.append(&batch, &mut Vec::new()).expect("room");
    };
    let due = |now: i64| store.due(Timestamp(now), false);
    publish(60, 600_000);
    publish(61, 610_000);
    assert!(due(610_000).is_empty());
    publish(62, 620_000);
    assert_eq!(due(620_000), BTreeSet::from([Window(0)]));
    assert_eq!(due(680_000), BTreeSet::from([Window(0), Window(1)]));
    let flush = store.seal(&due(620_000)).expect("room").expect("something");
    assert!(due(620_000).is_empty());
    assert_eq!(store.unflushed().len(), 1);
    store.flushed(flush.id, &flush.windows);
    assert!(store.unflushed().is_empty());
    assert_eq!(
        store.due(Timestamp(10_000_000), true),
        BTreeSet::from([Window(1)])
    );
}

#[test]
fn a_listener_hears_of_every_series_once() {
    #[derive(Default)]
    struct Heard(parking_lot::Mutex<BTreeMap<Tags, i32>>);
    impl super::SeriesListener for Heard {
        fn added(&self, tags: &Tags) {
            *self.0.lock().entry(tags.clone()).or_default() += 1;
        }
        fn removed(&self, tags: &Tags) {
            *self.0.lock().entry(tags.clone()).or_default() -= 1;
        }
    }
    let store = open(&MemoryDirectory::default(), &FakeHistory::default());
    store.resolve(&tags(1)).expect("room");
    let heard = Arc::new(Heard::default());
    store.listen(heard.clone());
    let handle = store.resolve(&tags(2)).expect("room");
    store.resolve(&tags(2)).expect("known");
    assert_eq!(store.find(&tags(2)).expect("no collision"), Some(handle));
    assert_eq!(store.find(&tags(3)).expect("no collision"), None);
    let counts = || heard.0.lock().clone();
    assert_eq!(counts(), [(tags(1), 1), (tags(2), 1)].into());
    // Windows that hold the second only, and then none of both.
    let mut batch = Batch::new(store.shards());
    for slot in [1, 100] {
        batch.begin(Some(Timestamp(slot * STEP.millis())));
        batch.push(handle, Timestamp(0), 1.0);
        batch.set_origin(ClientId::NONE, 0, Timestamp(0));
        store.append(&batch, &mut Vec::new()).expect("room");
    }
    for window in [0, 1] {
        let flush = store.seal(&BTreeSet::from([Window(window)]));
        let flush = flush.expect("room").expect("something");
        store.flushed(flush.id, &flush.windows);
    }
    store.evict(Timestamp(1_000_000_000)).expect("room");
    assert_eq!(counts().values().sum::<i32>(), store.series_count() as i32);
    assert_eq!(counts()[&tags(2)], 0);
}

#[test]
fn what_history_has_let_go_since_a_flush_does_not_come_back() {
    let directory = MemoryDirectory::default();
    let mut history = FakeHistory::default();
    let store = open(&directory, &history);
    let handle = store.resolve(&tags(1)).expect("room");
    let mut batch = Batch::new(store.shards());
    batch.begin(Some(Timestamp(STEP.millis())));
    batch.push(handle, Timestamp(0), 1.0);
    batch.set_origin(ClientId::NONE, 0, Timestamp(0));
    store.append(&batch, &mut Vec::new()).expect("room");
    let flush = store.seal(&BTreeSet::from([Window(0)]));
    let flush = flush.expect("room").expect("something");
    history.commit(&store, &flush);
    store.flushed(flush.id, &flush.windows);
    store.log().commit().expect("room");
    drop(store);
    // A deletion has emptied the window; the flush stays known.
    history.rows.clear();
    history.windows.clear();
    let store = open(&directory, &history);
    let request = ScanRequest {
        query: TagQuery::True,
        grouping: Grouping::One,
        op: FoldOp::Sum,
        layout: CellLayout {
            first: Slot(1),
            cells: 1,
            slots_per_cell: 1,
        },
        max_groups: 10,
    };
    let mut found = PartialScan::new(&request);
    for shard in 0..store.shards() {
        store
            .scan([shard], &request, &mut found)
            .expect("one group");
    }
    assert_eq!(found.stats.blocks, 0);
    assert!(found.overlays.is_empty());
    let answered: usize = found.complete.values().map(Vec::len).sum();
    assert!(
        answered < store.shards() as usize,
        "history is asked about the window"
    );
}
