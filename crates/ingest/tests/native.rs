//! Native connections against a real store: tables, repetition, rejects, broken batches, series that were let go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::{HotError, HotStore, StoreOptions};
use hesper_ingest::proto::{Batch, Hello, LoadRequest, LoadSeries, Series};
use hesper_ingest::router::Datapoint;
use hesper_ingest::stream::{Connection, pack_values};
use hesper_ingest::{IngestError, Reason, Router};
use hesper_model::validation::Limits;
use hesper_model::{Step, TagQuery, Tags, Timestamp, Window};
use proptest::prelude::*;

const STEP: Step = Step::from_secs(60);
const NOW: Timestamp = Timestamp(1_767_578_400_000);

struct Node {
    _directory: tempfile::TempDir,
    router: Arc<Router>,
}

impl Node {
    fn new(change: impl FnOnce(&mut StoreOptions)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = DiskDirectory::open(directory.path()).expect("opened");
        let mut options = StoreOptions::new(STEP);
        change(&mut options);
        let store = HotStore::open(Arc::new(disk), options, InHistory::default(), false);
        let store = Arc::new(store.expect("a new store").0);
        Self {
            _directory: directory,
            router: Arc::new(Router::new(store, Limits::default())),
        }
    }

    fn connect(&self, client: u8) -> Connection {
        let hello = Hello {
            client: vec![client; 16],
            ..Hello::default()
        };
        Connection::open(self.router.clone(), &hello).expect("a client")
    }

    fn count(&self, reason: Reason) -> u64 {
        let found = self.router.stats().refused().find(|(r, _)| *r == reason);
        found.expect("every reason is counted").1
    }

    fn taken(&self) -> u64 {
        self.router.store().stats().taken.load(Ordering::Relaxed)
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

/// Defines the series `cpu` and, with a forbidden character, another.
fn first_batch(sequence: u64) -> Batch {
    Batch {
        sequence,
        symbols: strings(&["name", "cpu", "node", "i-1", "a b"]),
        series: vec![
            Series {
                tags: vec![0, 1, 2, 3],
            },
            Series {
                tags: vec![0, 1, 2, 4],
            },
        ],
        time_millis: NOW.0,
        refs: vec![0, 1, 7],
        values: pack_values(&[1.0, 2.0, 3.0]),
    }
}

#[test]
fn good_datapoints_are_taken_and_bad_ones_named() {
    let node = Node::new(|_| {});
    let mut connection = node.connect(1);
    let taken = connection.take(&mut first_batch(1), NOW).expect("taken");
    let rejects: Vec<_> = taken
        .rejects
        .iter()
        .map(|r| (r.r#ref, r.reason.as_str()))
        .collect();
    assert_eq!(rejects, [(1, "ValidCharactersRule"), (7, "UnknownSeries")]);
    assert!(taken.rejects[0].message.contains("a b"));
    assert_eq!(node.taken(), 1);
    assert_eq!(node.count(Reason::UnknownSeries), 1);
    // The references of the batch before, with a value that is none.
    let mut next = Batch {
        sequence: 2,
        time_millis: NOW.0 + 60_000,
        values: pack_values(&[f64::NAN, 5.0, 6.0]),
        ..Batch::default()
    };
    let taken = connection.take(&mut next, NOW).expect("taken");
    assert_eq!((taken.rejects.len(), node.taken()), (2, 1));
}

#[test]
fn a_batch_takes_effect_once_over_all_connections() {
    let node = Node::new(|_| {});
    node.connect(1)
        .take(&mut first_batch(1), NOW)
        .expect("taken");
    let again = node
        .connect(1)
        .take(&mut first_batch(1), NOW)
        .expect("known");
    assert!(
        again.lsn > hesper_hot::log::Lsn(0),
        "acknowledged once it is durable"
    );
    assert_eq!(node.taken(), 1);
    let repeated = &node.router.store().stats().repeated;
    assert_eq!(repeated.load(Ordering::Relaxed), 1);
    // Another client's batch of the same number is another batch; its sample is a duplicate for the normaliser.
    node.connect(2)
        .take(&mut first_batch(1), NOW)
        .expect("taken");
    let duplicate = &node.router.store().stats().duplicate;
    assert_eq!(duplicate.load(Ordering::Relaxed), 1);
}

#[test]
fn old_datapoints_are_refused_one_by_one() {
    let node = Node::new(|_| {});
    let mut batch = first_batch(1);
    batch.time_millis -= 600_000;
    let taken = node.connect(1).take(&mut batch, NOW).expect("taken");
    let reasons: Vec<_> = taken.rejects.iter().map(|r| r.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["DataTooOld", "ValidCharactersRule", "UnknownSeries"]
    );
    assert_eq!(node.taken(), 0);
}

#[test]
fn a_batch_that_cannot_be_read_changes_nothing() {
    let node = Node::new(|_| {});
    let broken: [fn(&mut Batch); 5] = [
        |b| b.series[0].tags.push(0),
        |b| b.series[0].tags[0] = 99,
        |b| b.values = pack_values(&[9.0; 4]),
        |b| b.values = b.values.slice(1..),
        |b| b.values = pack_values(&[0.0; 300_000]),
    ];
    for (i, breaks) in broken.iter().enumerate() {
        let mut batch = first_batch(1);
        breaks(&mut batch);
        let error = node.connect(1).take(&mut batch, NOW).expect_err("broken");
        assert!(matches!(error, IngestError::Unreadable(_)), "{error}");
        let unreadable = &node.router.stats().unreadable;
        assert_eq!(unreadable.load(Ordering::Relaxed), i as u64 + 1);
    }
    assert_eq!(node.taken(), 0);
    let nobody = Hello::default();
    assert!(Connection::open(node.router.clone(), &nobody).is_err());
    let foreign = Hello {
        client: vec![1; 16],
        tenant: "other".to_owned(),
        ..Hello::default()
    };
    assert!(Connection::open(node.router.clone(), &foreign).is_err());
}

#[test]
fn a_full_store_refuses_new_series_by_name() {
    let node = Node::new(|options| options.max_series = 1);
    let mut connection = node.connect(1);
    let mut batch = first_batch(1);
    batch.symbols[4] = "i-2".to_owned();
    let taken = connection.take(&mut batch, NOW).expect("taken");
    assert_eq!(taken.rejects[0].reason, "SeriesLimit");
    assert!(taken.rejects[0].message.contains("--max-series"));
    assert_eq!((node.taken(), node.count(Reason::SeriesLimit)), (1, 1));
}

#[test]
fn a_full_log_refuses_the_whole_batch_for_now() {
    let node = Node::new(|options| options.log.buffer_bytes = 10);
    let mut connection = node.connect(1);
    let error = connection.take(&mut first_batch(1), NOW).expect_err("full");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(node.taken(), 0);
    node.router.store().log().commit().expect("a working disk");
    // The definitions are known already.
    let mut again = Batch {
        symbols: Vec::new(),
        series: Vec::new(),
        ..first_batch(1)
    };
    connection.take(&mut again, NOW).expect("room again");
    assert_eq!(node.taken(), 1);
}

#[test]
fn a_series_that_was_let_go_is_found_again() {
    let node = Node::new(|options| options.hot_window_millis = 0);
    let mut connection = node.connect(1);
    connection.take(&mut first_batch(1), NOW).expect("taken");
    let store = node.router.store();
    let windows: BTreeSet<Window> = store.due(NOW.plus_millis(7_200_000), true);
    let flush = store.seal(&windows).expect("room").expect("something");
    store.flushed(flush.id, &flush.windows);
    store.evict(NOW.plus_millis(86_400_000)).expect("room");
    assert_eq!(store.series_count(), 0);
    let mut next = Batch {
        sequence: 2,
        time_millis: NOW.0 + 60_000,
        values: pack_values(&[4.0, 5.0, 6.0]),
        ..Batch::default()
    };
    connection.take(&mut next, NOW).expect("taken");
    assert_eq!((node.taken(), store.series_count()), (2, 1));
}

#[test]
fn datapoints_with_full_tags_take_the_same_way() {
    let node = Node::new(|_| {});
    let datapoint = |name: &str, time| Datapoint {
        tags: Tags::from_pairs([("name", name)]),
        time,
        value: 1.0,
    };
    let all = [
        datapoint("cpu", NOW),
        datapoint("x", NOW),
        datapoint("cpu", Timestamp(5)),
    ];
    let published = node
        .router
        .publish(&all, ClientId::NONE, 0, NOW)
        .expect("taken");
    let refused: Vec<_> = published
        .refused
        .iter()
        .map(|r| (r.index, r.reason.name()))
        .collect();
    assert_eq!(published.accepted, 1);
    assert_eq!(refused, [(1, "NameValueLengthRule"), (2, "DataTooOld")]);
}

#[test]
fn back_fill_overwrites_and_must_fit_the_step() {
    let node = Node::new(|_| {});
    let series = |start: i64, step: i64| LoadSeries {
        tags: [("name".to_owned(), "old".to_owned())].into(),
        start_millis: start,
        step_millis: step,
        values: vec![1.0, f64::NAN, 3.0],
    };
    let request = LoadRequest {
        tenant: String::new(),
        series: vec![
            series(60_000, 60_000),
            series(60_001, 60_000),
            series(60_000, 10_000),
            series(i64::MAX / 60_000 * 60_000, 60_000),
            series(i64::MIN / 60_000 * 60_000, 60_000),
        ],
    };
    for _ in 0..2 {
        let checked = node.router.check_load(request.clone()).expect("a tenant");
        let loaded = node.router.load(&checked.rows, NOW).expect("taken");
        assert_eq!((loaded.datapoints, loaded.rejects.len()), (2, 0));
        let rejects: Vec<_> = checked
            .rejects
            .iter()
            .map(|r| (r.index, r.reason.as_str()))
            .collect();
        let expected = ["WrongStep", "WrongStep", "DataFromFuture", "DataTooOld"];
        assert_eq!(rejects, [1, 2, 3, 4].map(|i| (i, expected[i as usize - 1])));
    }
    assert_eq!(node.router.store().count_matching(&TagQuery::True), 1);
}

#[test]
fn a_broken_log_is_no_matter_of_time() {
    let error = IngestError::Store(HotError::Poisoned {
        reason: "the disk is gone".to_owned(),
    });
    assert!(!error.is_temporary());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_batch_makes_a_connection_panic(
        symbols in prop::collection::vec(".{0,12}", 0..6),
        series in prop::collection::vec(prop::collection::vec(0u32..8, 0..7), 0..5),
        refs in prop::collection::vec(0u32..9, 0..9),
        values in prop::collection::vec(any::<f64>(), 0..9),
        time_millis in any::<i64>(),
        sequence in any::<u64>(),
    ) {
        let node = Node::new(|_| {});
        let mut connection = node.connect(1);
        let series = series.into_iter().map(|tags| Series { tags }).collect();
        let mut batch = Batch { sequence, symbols, series, time_millis, refs, values: pack_values(&values) };
        let _ = connection.take(&mut batch, NOW);
        // Whatever came, the connection still works.
        let mut good = first_batch(u64::MAX);
        good.refs = vec![];
        good.values = pack_values(&[]);
        let _ = connection.take(&mut good, NOW);
    }
}
