//! Series that gather, against a plain model: what their slots hold is the sum, or the highest, of what was made of each original, whatever is
//! sealed, flushed, written to a checkpoint, lost or sent again in between.

use std::collections::{BTreeMap, HashMap};

use hesper_model::aggregate::{add_nan, max_nan};
use hesper_model::{DataSource, Tags, Timestamp};
use proptest::prelude::*;

use super::tests::{FakeHistory, STEP, held, open};
use super::{HotStore, SeriesHandle};
use crate::HotError;
use crate::batch::Batch;
use crate::directory::memory::MemoryDirectory;
use crate::log::Lsn;
use crate::log::record::ClientId;
use crate::normaliser::{Normaliser, NormaliserState};

const ORIGINALS: usize = 9;

/// Originals of each type; those of one type go into one series.
fn source(original: usize) -> DataSource {
    DataSource::from_number(original as u8 % 4).expect("four types")
}

fn original(i: usize) -> Tags {
    Tags::from_pairs([("name", "cpu".to_owned()), ("node", format!("i-{i}"))])
}

fn target(source: DataSource) -> Tags {
    let (name, dstype) = match source {
        DataSource::Gauge => ("highest", "gauge"),
        DataSource::Sum => ("amounts", "sum"),
        DataSource::Rate | DataSource::Counter => ("rates", "sum"),
    };
    Tags::from_pairs([("name", name), ("atlas.dstype", dstype)])
}

fn combine(source: DataSource) -> fn(f64, f64) -> f64 {
    match source {
        DataSource::Gauge => max_nan,
        _ => add_nan,
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Samples of originals; with `None` of the series that gathers the amounts, by itself.
    Publish(Vec<(Option<usize>, i64, u32)>),
    /// Seals what is due; with `done` it comes into history.
    Flush {
        done: bool,
    },
    Checkpoint,
    Commit,
    Crash {
        torn: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = prop_oneof![9 => (0..ORIGINALS).prop_map(Some), 1 => Just(None)];
    let samples = prop::collection::vec((which, 0i64..900_000, 0u32..50), 1..25);
    let step = prop_oneof![
        6 => samples.prop_map(|mut samples| {
            // In about the order in which they are made.
            samples.sort_by_key(|s| s.1 / 40_000);
            Step::Publish(samples)
        }),
        3 => any::<bool>().prop_map(|done| Step::Flush { done }),
        1 => Just(Step::Checkpoint),
        2 => Just(Step::Commit),
        1 => (0usize..200).prop_map(|torn| Step::Crash { torn }),
    ];
    prop::collection::vec(step, 1..25)
}

struct Sent {
    sequence: u64,
    samples: Vec<(Option<usize>, i64, f64)>,
    lsn: Lsn,
}

struct World {
    directory: MemoryDirectory,
    history: FakeHistory,
    store: HotStore,
    sequence: u64,
    /// Added to all times: what comes after a crash is of later windows.
    offset: i64,
    unacknowledged: Vec<Sent>,
    states: HashMap<usize, NormaliserState>,
    slots: HashMap<Tags, BTreeMap<i64, f64>>,
}

impl World {
    fn new() -> Self {
        let directory = MemoryDirectory::default();
        let history = FakeHistory::default();
        Self {
            store: open(&directory, &history),
            directory,
            history,
            sequence: 0,
            offset: 0,
            unacknowledged: Vec::new(),
            states: HashMap::new(),
            slots: HashMap::new(),
        }
    }

    fn handle(&self, which: Option<usize>) -> Result<SeriesHandle, HotError> {
        let Some(i) = which else {
            return self.store.resolve(&target(DataSource::Sum));
        };
        let gathers = self.store.resolve(&target(source(i)))?;
        self.store.resolve_feed(gathers, source(i), &original(i))
    }

    fn send(&self, sequence: u64, samples: &[(Option<usize>, i64, f64)]) -> Lsn {
        // The series gathers before anything is sent for it by itself.
        let amounts = self.store.resolve(&target(DataSource::Sum)).expect("room");
        let feed = self
            .store
            .resolve_feed(amounts, DataSource::Sum, &original(0));
        feed.expect("room");
        let mut batch = Batch::new(self.store.shards());
        batch.begin(None);
        for (which, time, value) in samples {
            let handle = self.handle(*which).expect("room");
            batch.push(handle, Timestamp(*time), *value);
        }
        batch.set_origin(ClientId([1; 16]), sequence, Timestamp(0));
        let appended = self.store.append(&batch, &mut Vec::new());
        appended.expect("all is known").lsn
    }

    fn model(&mut self, samples: &[(Option<usize>, i64, f64)]) {
        let normaliser = Normaliser::new(STEP);
        for (which, time, value) in samples {
            let time = Timestamp(*time);
            let source = which.map_or(DataSource::Sum, source);
            let slots = self.slots.entry(target(source)).or_default();
            let mut add = |slot: i64, value| {
                let held = slots.entry(slot).or_insert(f64::NAN);
                *held = combine(source)(*held, value);
            };
            match source {
                DataSource::Sum | DataSource::Gauge => {
                    add(normaliser.moment(time).rounded_up().0, *value);
                }
                DataSource::Rate | DataSource::Counter => {
                    let state = self.states.entry(which.expect("an original")).or_default();
                    normaliser.apply(
                        state,
                        source,
                        &normaliser.moment(time),
                        *value,
                        |slot, v| add(slot.0, v),
                    );
                }
            }
        }
    }

    fn commit(&mut self) {
        self.store.log().commit().expect("a working disk");
        let durable = self.store.log().durable();
        self.unacknowledged.retain(|sent| sent.lsn > durable);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Publish(samples) => {
                let samples: Vec<_> = samples
                    .iter()
                    .map(|(which, time, v)| (*which, time + self.offset, f64::from(*v)))
                    .collect();
                self.offset += 20_000;
                self.sequence += 1;
                let (sequence, lsn) = (self.sequence, self.send(self.sequence, &samples));
                self.model(&samples);
                self.unacknowledged.push(Sent {
                    sequence,
                    samples,
                    lsn,
                });
            }
            Step::Flush { done } => {
                self.commit();
                let due = self.store.due(Timestamp(0), false);
                self.store.seal(&due).expect("a working log");
                for flush in self.store.unflushed().into_iter().filter(|_| *done) {
                    self.history.commit(&self.store, &flush);
                    self.store.flushed(flush.id, &flush.windows);
                }
            }
            Step::Checkpoint => {
                self.store.checkpoint(Timestamp(0)).expect("a working disk");
                self.commit();
            }
            Step::Commit => self.commit(),
            Step::Crash { torn } => self.crash(*torn),
        }
    }

    fn crash(&mut self, torn: usize) {
        // What is sent again for a window that only history holds is refused: such samples are durable before the crash.
        let is_flushed = |time: i64| {
            let slot = Normaliser::new(STEP).moment(Timestamp(time)).rounded_up();
            (-1..=1).any(|n| {
                self.history
                    .windows
                    .contains(&hesper_model::Slot(slot.0 + n).window())
            })
        };
        let mut sent = self.unacknowledged.iter().flat_map(|s| &s.samples);
        if sent.any(|(_, time, _)| is_flushed(*time)) {
            self.commit();
        }
        self.directory = self.directory.crashed(torn);
        self.store = open(&self.directory, &self.history);
        for mut sent in std::mem::take(&mut self.unacknowledged) {
            sent.lsn = self.send(sent.sequence, &sent.samples);
            self.unacknowledged.push(sent);
        }
        self.offset += 2_400_000;
    }

    fn check(&self) {
        for (target, want) in &self.slots {
            let got = held(&self.store, &self.history, target);
            let want: BTreeMap<_, _> = want.iter().filter(|(_, v)| !v.is_nan()).collect();
            assert_eq!(
                got.keys().collect::<Vec<_>>(),
                want.keys().copied().collect::<Vec<_>>(),
                "{target}"
            );
            for (slot, value) in got {
                let close = (value - want[&slot]).abs() <= 1e-9 * value.abs().max(1.0);
                assert!(close, "{target}, slot {slot}: {value}, not {}", want[&slot]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// P1, P2: every datapoint counts once in the series that gathers it.
    #[test]
    fn gathering_series_hold_what_the_model_holds(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.check();
        world.crash(5);
        world.check();
    }
}

#[test]
fn what_is_not_known_is_not_added_to() {
    let mut world = World::new();
    world.step(&Step::Publish(vec![
        (Some(2), 10_000, 5),
        (Some(2), 620_000, 1),
    ]));
    world.step(&Step::Publish(vec![(Some(2), 630_000, 1)]));
    world.step(&Step::Flush { done: true });
    world.crash(0);
    // Only history knows the first window.
    let handle = world.handle(Some(2)).expect("room");
    let mut batch = Batch::new(world.store.shards());
    batch.begin(Some(Timestamp(10_000)));
    batch.push(handle, Timestamp(0), 7.0);
    batch.set_origin(ClientId::NONE, 0, Timestamp(0));
    let appended = world.store.append(&batch, &mut Vec::new()).expect("room");
    assert_eq!((appended.applied.late, appended.applied.taken), (1, 0));
    world.check();
}

#[test]
fn feeds_go_when_their_original_or_their_target_is_gone() {
    let mut world = World::new();
    let hour = 3_600_000;
    world.step(&Step::Publish(vec![
        (Some(0), 10_000, 5),
        (Some(4), 10_000, 5),
    ]));
    let before = world.handle(Some(0)).expect("room");
    assert_eq!(
        world.store.feed_count(),
        3,
        "two rates and the shared amounts"
    );
    // The first is silent from now on, the second is not.
    world.step(&Step::Publish(vec![(Some(4), 10_000 + hour, 5)]));
    world.store.evict(Timestamp(30_000 + hour)).expect("room");
    assert_eq!(world.store.feed_count(), 2);
    assert!(!world.store.is_live(before));
    world.step(&Step::Flush { done: true });
    let (due, far) = (
        world.store.due(Timestamp(10 * hour), true),
        Timestamp(10 * hour),
    );
    let flush = world.store.seal(&due).expect("room").expect("something");
    world.store.flushed(flush.id, &flush.windows);
    world.store.evict(far).expect("room");
    assert_eq!(
        (world.store.feed_count(), world.store.series_count()),
        (0, 0)
    );
    world.store.log().commit().expect("a working disk");
    let reopened = open(&world.directory, &world.history);
    assert_eq!((reopened.feed_count(), reopened.series_count()), (0, 0));
}

#[test]
fn a_full_store_has_room_for_shared_feeds_only() {
    let directory = std::sync::Arc::new(MemoryDirectory::default());
    let mut options = super::tests::options();
    options.max_series = 1;
    let opened = HotStore::open(directory, options, Default::default(), false);
    let store = opened.expect("new").0;
    let target = store.resolve(&target(DataSource::Rate)).expect("room");
    let rate = store.resolve_feed(target, DataSource::Rate, &original(0));
    assert!(matches!(rate, Err(HotError::TooManySeries { held: 1, .. })));
    let sum = store.resolve_feed(target, DataSource::Sum, &original(0));
    let again = store.resolve_feed(target, DataSource::Sum, &original(1));
    assert_eq!(sum.expect("shared"), again.expect("shared"));
}
#[test]
fn samples_of_one_batch_for_a_sealed_slot_are_all_there_after_a_crash() {
    let mut world = World::new();
    let first = vec![
        (Some(4), 10_000, 0),
        (Some(4), 610_000, 0),
        (Some(1), 610_001, 0),
    ];
    world.step(&Step::Publish(first));
    world.step(&Step::Flush { done: true });
    world.step(&Step::Publish(vec![
        (Some(4), 230_000, 3),
        (Some(0), 230_000, 1),
    ]));
    world.check();
    world.crash(5);
    world.check();
}
