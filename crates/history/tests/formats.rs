//! What earlier versions wrote stays readable: `tests/data/format-<n>` holds the history of each version of the format.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use hesper_history::rollup::CellValues;
use hesper_history::synced_local::SyncedLocal;
use hesper_history::verify::{Depth, verify};
use hesper_history::{History, HistoryOptions, Loader, Policy};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, StoreOptions};
use hesper_model::{Slot, Step, TagQuery, Tags, TimeRange, Timestamp, Window};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

const STEP: Step = Step::from_secs(60);

/// 2023-11-14T22:00Z, the end of a window.
const START: i64 = 28_333_320;

/// Some days later.
const NOW: Timestamp = Timestamp((START + 10_000) * 60_000);

/// When nothing comes any more.
const LATER: Timestamp = Timestamp(NOW.0 + 7_200_000);

/// The versions, and the number of the last commit in the history of each.
const VERSIONS: [(u32, u64); 2] = [(1, 3), (2, 6)];

fn folder(version: u32) -> PathBuf {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    data.join(format!("format-{version}"))
}

/// The flushes: each is a list of datapoints, in the order in which they came.
fn flushes() -> Vec<Vec<(Tags, i64, f64)>> {
    let series = |i: usize| {
        let mut tags = Tags::from_pairs([
            ("name", format!("metric.{}", i % 3)),
            ("nf.app", "api".to_owned()),
            ("nf.node", format!("i-{i:02}")),
            ("atlas.dstype", "gauge".to_owned()),
        ]);
        if i.is_multiple_of(4) {
            tags.insert("Zone", "upper");
            tags.insert("zone", "lower");
        }
        tags
    };
    let value = |i: usize, slot: i64| match i % 3 {
        0 => (i as f64 + (slot % 60) as f64) / 60.0,
        1 => (slot as f64 / 7.0).sin(),
        _ => i as f64,
    };
    let mut first = Vec::new();
    for slot in START + 1..=START + 120 {
        for i in (0..8).filter(|i| slot % 7 != *i as i64) {
            first.push((series(i), slot, value(i, slot)));
        }
    }
    // Late data for the first window, and a later window.
    let second = vec![
        (series(8), START + 5, 2.5),
        (series(8), START + 200, f64::INFINITY),
    ];
    let third = vec![(series(9), START + 200, -0.0)];
    vec![first, second, third]
}

async fn open(folder: PathBuf) -> History {
    let local: Arc<dyn ObjectStore> = Arc::new(SyncedLocal::open(folder).expect("opened"));
    let options = HistoryOptions {
        clock: Arc::new(|| NOW),
        ..HistoryOptions::new(STEP, "test".to_owned())
    };
    let opened = History::open_with(local, options).await;
    opened.expect("a manifest that can be read")
}

async fn contents(history: &History) -> BTreeMap<(Tags, i64), u64> {
    let everything = TimeRange {
        first: Slot(0),
        last: Slot(START * 2),
    };
    let mut found = BTreeMap::new();
    for file in history.manifest().files_in(everything) {
        let index = history.index(&file).await.expect("an index");
        let rows = index.matching(&TagQuery::True);
        let read = history.read_values(&file, &index, &rows, |row, values| {
            let first = index.row(row).first.0;
            for (slot, v) in (first..).zip(values).filter(|(_, v)| !v.is_nan()) {
                found.insert((index.tags_of(row), slot), v.to_bits());
            }
        });
        read.await.expect("whole");
    }
    found
}

#[tokio::test]
async fn histories_of_earlier_versions_are_read() {
    let expected: BTreeMap<_, _> = flushes()
        .into_iter()
        .flatten()
        .map(|(tags, slot, v)| ((tags, slot), v.to_bits()))
        .collect();
    for (version, commits) in VERSIONS {
        let copy = tempfile::tempdir().expect("a directory");
        copy_folder(&folder(version), copy.path());
        let history = open(copy.path().to_owned()).await;
        assert_eq!(history.manifest().number(), commits, "format {version}");
        assert!(history.manifest().in_history().flushes.len() >= 3);
        assert_eq!(contents(&history).await, expected, "format {version}");
        let store: Arc<dyn ObjectStore> = Arc::new(SyncedLocal::open(copy.path()).expect("opened"));
        let found = verify(&store, STEP, Depth::Rows, |_| {})
            .await
            .expect("answers");
        assert!(found.is_sound(), "format {version}: {:?}", found.findings);

        // And this version goes on with it.
        let mut merged = Vec::new();
        while let Some(report) = history
            .compact_due(LATER, &Policy::default())
            .await
            .expect("done")
        {
            merged.push(report.work);
        }
        assert!(!merged.is_empty(), "format {version}");
        assert_eq!(contents(&history).await, expected, "format {version}");
        assert_eq!(
            rolled_up(&history).await,
            expected.len() as u64,
            "format {version}"
        );
    }
}

/// Datapoints in the roll-up of an hour.
async fn rolled_up(history: &History) -> u64 {
    let mut datapoints = 0;
    let everything = TimeRange {
        first: Slot(0),
        last: Slot(START * 2),
    };
    for file in history.manifest().files_of(60, everything) {
        let index = history.index(&file).await.expect("an index");
        let rows = index.matching(&TagQuery::True);
        let read = history.read_rollup(&file, &index, &rows, CellValues::ALL, |_, cells| {
            datapoints += cells.datapoints()
        });
        read.await.expect("whole");
    }
    datapoints
}

#[tokio::test]
async fn the_history_of_version_2_has_all_kinds_of_objects() {
    let history = open(folder(2)).await;
    let manifest = history.manifest();
    assert_eq!(manifest.rollups().collect::<Vec<_>>(), [5, 60]);
    assert_eq!(manifest.deletions().len(), 1);
    assert!(manifest.has_load("again#0") && manifest.retired().len() > 0);
    assert!(rolled_up(&history).await > 0);
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Writes the history of the version that is built, for a version that comes: `cargo test -p hesper-history --test formats -- --ignored`.
#[tokio::test]
#[ignore = "writes test data"]
async fn write_a_history_of_this_version() {
    let folder = folder(hesper_history::manifest::VERSION);
    let history = open(folder.clone()).await;
    let directory = tempfile::tempdir().expect("a directory");
    let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
    let options = StoreOptions::new(STEP);
    let none = InHistory::default();
    let (hot, _) = HotStore::open(Arc::new(disk), options, none, false).expect("a new store");
    for (number, points) in flushes().into_iter().enumerate() {
        let mut batch = Batch::new(hot.shards());
        batch.begin(None);
        for (tags, slot, value) in points {
            let handle = hot.resolve(&tags).expect("room");
            batch.push(handle, Slot(slot).time(STEP), value);
        }
        batch.set_origin(ClientId::NONE, 0, Timestamp(0));
        hot.append(&batch, &mut Vec::new()).expect("room");
        let window = Slot(START).window().0;
        let windows = (window - 10..window + 10).map(Window).collect();
        let flush = hot.seal(&windows).expect("room").expect("something");
        let encoded = history.encode_flush(&hot, &flush).expect("encoded");
        history.commit_flush(encoded).await.expect("committed");
        hot.flushed(flush.id, &flush.windows);
        if number == 1 {
            let snapshot = serde_json::to_vec_pretty(&history.manifest().to_snapshot());
            let path = Path::from(hesper_history::manifest::snapshot_name(2));
            let local: Arc<dyn ObjectStore> = Arc::new(SyncedLocal::open(&folder).expect("opened"));
            let put = local.put(&path, snapshot.expect("plain data").into());
            put.await.expect("put");
        }
    }
    // The first of two days is merged; what is loaded was there already; what is deleted was not.
    let merged = history.compact_due(LATER, &Policy::default()).await;
    merged.expect("done").expect("a day is due");
    let again = flushes()[1][1].clone();
    let mut loader = Loader::new(&history, "again".to_owned(), || 4, 1 << 20);
    let pushed = loader.push(&again.0, Slot(again.1), &[again.2]).await;
    pushed.expect("taken");
    loader.finish().await.expect("loaded");
    let query = TagQuery::Equal("name".into(), "none".into());
    let range = TimeRange {
        first: Slot(again.1),
        last: Slot(again.1),
    };
    let deleted = history.delete("none".to_owned(), query, range).await;
    deleted.expect("deleted");
}
