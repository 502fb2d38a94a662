//! What is flushed is read back; what is broken is an error that names the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hesper_history::History;
use hesper_history::synced_local::SyncedLocal;
use hesper_history::verify::{Depth, verify};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::window::FlushId;
use hesper_hot::{Batch, HotStore, StoreOptions};
use hesper_model::{Slot, Step, TagPattern, TagQuery, Tags, TimeRange, Timestamp, Window};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

const STEP: Step = Step::from_secs(60);

struct Node {
    _directory: tempfile::TempDir,
    hot: HotStore,
}

fn node(in_history: InHistory) -> Node {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
    let options = StoreOptions::new(STEP);
    let (hot, _) = HotStore::open(Arc::new(disk), options, in_history, false).expect("a new store");
    Node {
        _directory: directory,
        hot,
    }
}

async fn history(store: &Arc<dyn ObjectStore>, writer: &str) -> History {
    let opened = History::open(store.clone(), STEP, writer.to_owned(), 64 << 20).await;
    opened.expect("a manifest that can be read")
}

fn publish(hot: &HotStore, points: &[(Tags, i64, f64)]) {
    let mut batch = Batch::new(hot.shards());
    batch.begin(None);
    for (tags, slot, value) in points {
        let handle = hot.resolve(tags).expect("room");
        batch.push(handle, Slot(*slot).time(STEP), *value);
    }
    batch.set_origin(ClientId::NONE, 0, Timestamp(0));
    hot.append(&batch, &mut Vec::new()).expect("room");
}

/// Flushes everything there is.
async fn flush(hot: &HotStore, history: &History) {
    let windows: BTreeSet<Window> = (-10..1000).map(Window).collect();
    if let Some(flush) = hot.seal(&windows).expect("room") {
        let encoded = history.encode_flush(hot, &flush).expect("encoded");
        history.commit_flush(encoded).await.expect("committed");
        hot.flushed(flush.id, &flush.windows);
    }
}

/// All that history holds, later rows over earlier ones.
async fn contents(history: &History) -> BTreeMap<(Tags, i64), f64> {
    let everything = TimeRange {
        first: Slot(-10_000),
        last: Slot(100_000),
    };
    let mut found = BTreeMap::new();
    for file in history.manifest().files_in(everything) {
        let index = history.index(&file).await.expect("an index");
        let rows = index.matching(&TagQuery::True);
        assert_eq!(rows.len(), file.rows);
        let mut keys = history.keys(&file).await.expect("keys");
        keys.push("name".into());
        keys.sort_unstable();
        assert_eq!(keys, index.keys(None, None, usize::MAX));
        let read = history.read_values(&file, &index, &rows, |row, values| {
            let first = index.row(row).first.0;
            for (slot, v) in (first..).zip(values).filter(|(_, v)| !v.is_nan()) {
                found.insert((index.tags_of(row), slot), *v);
            }
        });
        read.await.expect("whole");
    }
    found
}

fn tags(i: usize) -> Tags {
    let mut tags = Tags::from_pairs([
        ("name", format!("metric.{}", i % 3)),
        ("nf.app", "api".to_owned()),
        ("node", format!("i-{i:03}")),
        ("atlas.dstype", "gauge".to_owned()),
    ]);
    if i.is_multiple_of(2) {
        tags.insert("Zone", "upper");
        tags.insert("zone", "lower");
    }
    tags
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_flushed_is_read_back_to_the_bit(
        rounds in prop::collection::vec(
            prop::collection::vec((0usize..20, 1i64..200, prop_oneof![
                any::<f64>().prop_filter("a number", |v| !v.is_nan()),
                (0i32..1000).prop_map(|n| f64::from(n) / 60.0),
                (0i32..100_000).prop_map(|n| f64::from(n) / 100.0),
            ]), 1..120),
            1..4,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let history = history(&store, "one").await;
            let node = node(InHistory::default());
            let mut model = BTreeMap::new();
            let mut last = BTreeMap::new();
            for mut round in rounds {
                // In order of time, one datapoint a slot, so that the normaliser keeps every value as it is.
                round.sort_by_key(|p| p.1);
                round.retain(|(series, slot, _)| {
                    let newer = last.get(series).is_none_or(|l| slot > l);
                    if newer { last.insert(*series, *slot); }
                    newer
                });
                let points: Vec<_> = round.iter().map(|(s, t, v)| (tags(*s), *t, *v)).collect();
                publish(&node.hot, &points);
                model.extend(points.into_iter().map(|(tags, slot, v)| ((tags, slot), v)));
                flush(&node.hot, &history).await;
            }
            let bits = |m: &BTreeMap<(Tags, i64), f64>| -> Vec<_> {
                m.iter().map(|(k, v)| (k.clone(), v.to_bits())).collect()
            };
            assert_eq!(bits(&contents(&history).await), bits(&model));
            // Another process sees the same.
            let again = super_open(&store).await;
            assert_eq!(bits(&contents(&again).await), bits(&model));
            assert_eq!(again.in_history_flushes(), history.in_history_flushes());
        });
    }
}

async fn super_open(store: &Arc<dyn ObjectStore>) -> History {
    history(store, "two").await
}

trait Flushes {
    fn in_history_flushes(&self) -> BTreeSet<u64>;
}

impl Flushes for History {
    fn in_history_flushes(&self) -> BTreeSet<u64> {
        let in_history = self.manifest().in_history();
        in_history.flushes.iter().map(|f| f.0).collect()
    }
}

#[tokio::test]
async fn writers_that_race_all_commit() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut tasks = Vec::new();
    for writer in 0..4i64 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let history = history(&store, &format!("writer-{writer}")).await;
            // The numbers of flushes are told apart in a history, by whoever writes them.
            let flushes = [FlushId(100 * writer as u64)].into();
            let node = node(InHistory {
                flushes,
                ..InHistory::default()
            });
            for round in 0..5 {
                let slot = 1 + 60 * (writer * 10 + round);
                publish(&node.hot, &[(tags(writer as usize), slot, 1.0)]);
                flush(&node.hot, &history).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    let all = history(&store, "reader").await;
    assert_eq!(all.manifest().number(), 20);
    assert_eq!(all.in_history_flushes().len(), 20);
    assert_eq!(contents(&all).await.len(), 20);
}

#[tokio::test]
async fn many_commits_leave_snapshots_that_open_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = SyncedLocal::open(directory.path().join("history")).expect("opened");
    let store: Arc<dyn ObjectStore> = Arc::new(local);
    let history = history(&store, "one").await;
    let node = node(InHistory::default());
    for i in 0..70 {
        publish(&node.hot, &[(tags(1), 1 + 60 * i, i as f64)]);
        flush(&node.hot, &history).await;
    }
    // What the snapshot holds is not needed as commits any more.
    for number in 1..=64 {
        let path = Path::from(format!("manifest/{number:020}.json"));
        store.delete(&path).await.expect("deleted");
    }
    let again = super_open(&store).await;
    assert_eq!(again.manifest().number(), 70);
    assert_eq!(contents(&again).await.len(), 70);
    let (bytes, datapoints) = again.size();
    assert!(bytes > 0 && datapoints == 70);
}

#[tokio::test]
async fn windows_of_the_same_series_and_of_others_are_read_back() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let one = history(&store, "one").await;
    let node = node(InHistory::default());
    let mut want = BTreeMap::new();
    // The same series again and again, some of them late, then others in place of a few, then fewer.
    let rounds = [
        (0, 0..300),
        (1, 0..300),
        (0, 7..9),
        (2, 0..300),
        (3, 50..350),
        (4, 50..350),
        (5, 50..60),
        (6, 50..350),
    ];
    for (round, (window, series)) in rounds.into_iter().enumerate() {
        let slot = 1 + 60 * window + round as i64;
        let points: Vec<_> = series
            .map(|i| (tags(i), slot, i as f64 + slot as f64 / 60.0))
            .collect();
        // Past the normaliser, which takes nothing so late.
        let rows = points.iter().map(|(tags, slot, v)| {
            let handle = node.hot.resolve(tags).expect("room");
            (handle, Slot(*slot), vec![*v])
        });
        let loaded = node.hot.load(&rows.collect::<Vec<_>>(), Timestamp(0));
        loaded.expect("room");
        flush(&node.hot, &one).await;
        want.extend(points.into_iter().map(|(tags, slot, v)| ((tags, slot), v)));
    }
    assert_eq!(contents(&one).await, want);
    let found = verify(&store, STEP, Depth::Rows, |_| {}).await;
    let found = found.expect("a store that answers");
    assert!(found.is_sound(), "{:?}", found.findings);
}

/// The length of a Parquet file's footer, which stands before the magic word at its end.
fn footer_bytes(file: &[u8]) -> usize {
    let length = file[file.len() - 8..].first_chunk().expect("eight bytes");
    u32::from_le_bytes(*length) as usize
}

#[tokio::test]
async fn broken_files_are_errors_that_name_the_file() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let one = history(&store, "one").await;
    let node = node(InHistory::default());
    let points: Vec<_> = (0..500)
        .map(|i| (tags(i), 1 + i as i64 % 60, (i as f64).sin()))
        .collect();
    publish(&node.hot, &points);
    flush(&node.hot, &one).await;
    let manifest = one.manifest();
    let file = manifest.files().next().expect("a file").clone();
    let path = Path::from(file.path.as_str());
    let whole = store
        .get(&path)
        .await
        .expect("there")
        .bytes()
        .await
        .expect("read");
    let mut noticed = 0;
    // The footer, which says what all other bytes mean, is tried more closely.
    let footer = whole.len() - 8 - footer_bytes(&whole);
    let pages = (0..footer).step_by(97);
    for at in pages.chain((footer..whole.len()).step_by(7)) {
        let mut broken = whole.to_vec();
        broken[at] ^= 0x40;
        store.put(&path, broken.into()).await.expect("put");
        let fresh = history(&store, "two").await;
        let read = async {
            let index = fresh.index(&file).await?;
            let rows = index.matching(&TagQuery::True);
            fresh.read_values(&file, &index, &rows, |_, _| {}).await
        };
        if let Err(error) = read.await {
            assert!(error.to_string().contains(&file.path), "{error}");
            assert_eq!(
                fresh
                    .stats()
                    .files_failed
                    .load(std::sync::atomic::Ordering::Relaxed),
                1
            );
            noticed += 1;
        }
    }
    assert!(noticed > 10, "only {noticed} changes were noticed");
    store.delete(&path).await.expect("deleted");
    let gone = history(&store, "three").await.index(&file).await;
    assert!(gone.err().expect("gone").to_string().contains(&file.path));
}

fn queries() -> impl Strategy<Value = TagQuery> {
    let key = || prop::sample::select(vec!["name", "nf.app", "node", "zone", "Zone", "missing"]);
    let value = || {
        prop::sample::select(vec![
            "", "metric.0", "metric.1", "api", "i-003", "i-011", "i-1", "lower", "upper", "zz",
        ])
    };
    let pattern = prop::sample::select(vec![
        "i-0",
        "i-.1",
        ".*er$",
        "metric.(0|2)",
        "^up.*|^lo",
        "",
    ]);
    let clause = prop_oneof![
        Just(TagQuery::True),
        Just(TagQuery::False),
        key().prop_map(|k| TagQuery::Has(k.into())),
        (key(), value(), 0..5).prop_map(|(k, v, n)| {
            let (k, v) = (k.into(), v.into());
            match n {
                0 => TagQuery::Equal(k, v),
                1 => TagQuery::LessThan(k, v),
                2 => TagQuery::LessThanEqual(k, v),
                3 => TagQuery::GreaterThan(k, v),
                _ => TagQuery::GreaterThanEqual(k, v),
            }
        }),
        (key(), prop::collection::vec(value(), 0..4))
            .prop_map(|(k, vs)| TagQuery::In(k.into(), vs.into_iter().map(Into::into).collect())),
        (key(), pattern).prop_map(|(k, p)| {
            let pattern = TagPattern::new(p, false).expect("valid");
            TagQuery::Matches(k.into(), pattern)
        }),
    ];
    clause.prop_recursive(3, 12, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone()
                .prop_map(|(a, b)| TagQuery::And(Box::new(a), Box::new(b))),
            two.prop_map(|(a, b)| TagQuery::Or(Box::new(a), Box::new(b))),
            inner.prop_map(|q| TagQuery::Not(Box::new(q))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_index_finds_what_the_tags_say(
        series in prop::collection::btree_set(0usize..400, 1..200),
        windows in 1i64..3,
        asked in prop::collection::vec(queries(), 1..20),
        after in prop::option::of(prop::sample::select(vec!["", "api", "i-1", "node", "zone"])),
        limit in 1usize..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let history = history(&store, "one").await;
            let node = node(InHistory::default());
            for window in 0..windows {
                // Some series are in one window only.
                let here = series.iter().filter(|i| window == 0 || *i % 3 > 0);
                let points: Vec<_> = here.map(|i| (tags(*i), window * 60 + 1, 1.0)).collect();
                publish(&node.hot, &points);
                flush(&node.hot, &history).await;
            }
            let everything = TimeRange { first: Slot(-10_000), last: Slot(100_000) };
            for file in history.manifest().files_in(everything) {
                let index = history.index(&file).await.expect("an index");
                let rows: Vec<Tags> = (0..index.len() as u32).map(|row| index.tags_of(row)).collect();
                for query in &asked {
                    let found = index.matching(query);
                    let expected: Vec<u32> = (0u32..).zip(&rows).filter(|(_, t)| query.matches(t)).map(|(row, _)| row).collect();
                    prop_assert!(found.iter().eq(expected.iter().copied()), "{query:?}");
                    let matched = || expected.iter().map(|row| &rows[*row as usize]);
                    let later = |text: &str| after.is_none_or(|after| text > after);
                    let keys: BTreeSet<_> = matched().flat_map(|t| t.pairs()).map(|(k, _)| k.clone()).collect();
                    let keys: Vec<_> = keys.into_iter().filter(|k| later(k)).take(limit).collect();
                    prop_assert_eq!(index.keys(Some(&found), after, limit), keys);
                    let values: BTreeSet<_> = matched().filter_map(|t| t.get_shared("node").cloned()).collect();
                    let values: Vec<_> = values.into_iter().filter(|v| later(v)).take(limit).collect();
                    prop_assert_eq!(index.values("node", Some(&found), after, limit), values);
                }
                let all: BTreeSet<_> = rows.iter().filter_map(|t| t.get_shared("node").cloned()).collect();
                let all: Vec<_> = all.into_iter().take(limit).collect();
                prop_assert_eq!(index.values("node", None, None, limit), all);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn an_index_takes_little_more_than_a_number_a_tag() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let history = history(&store, "one").await;
    let node = node(InHistory::default());
    let series = 20_000;
    let tags = |i: usize| {
        Tags::from_pairs([
            ("name", format!("metric.{}", i % 40)),
            ("nf.app", "api".to_owned()),
            ("node", format!("i-{:05}", i / 40)),
            ("atlas.dstype", "gauge".to_owned()),
        ])
    };
    let points: Vec<_> = (0..series).map(|i| (tags(i), 1, 1.0)).collect();
    publish(&node.hot, &points);
    flush(&node.hot, &history).await;
    for file in history.manifest().files_in(TimeRange {
        first: Slot(1),
        last: Slot(1),
    }) {
        assert_eq!(history.index(&file).await.expect("an index").len(), series);
    }
    // The id of a series has 8 bytes, the number of its node two, the others one; texts and the footer are little beside them.
    let each = history.kept_bytes().0 as f64 / series as f64;
    assert!((12.0..25.0).contains(&each), "{each} bytes a series");
}
