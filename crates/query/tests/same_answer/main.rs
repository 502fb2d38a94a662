//! P3: an answer does not depend on where the data lies. Random data in random layouts (open, sealed, flushed, flushed and written to again,
//! dropped from memory, reopened) against a plain computation, for every aggregation, consolidation and grouping.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hesper_history::History;
use hesper_hot::directory::DiskDirectory;
use hesper_hot::log::record::ClientId;
use hesper_hot::store::InHistory;
use hesper_hot::{Batch, HotStore, StoreOptions};
use hesper_model::{ItemId, Slot, Step, TagQuery, Tags, Timestamp, Window};
use hesper_query::engine::QueryOptions;
use hesper_query::tags::TagRequest;
use hesper_query::{QueryEngine, QueryError, QueryLimits, Tiers};
use hesper_stack::{EvalContext, GraphOptions, TimeSeries, parse_graph};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

const BASE: Step = Step::from_secs(60);

/// Values by series and slot.
type Data = BTreeMap<(usize, i64), f64>;

fn tags(i: usize) -> Tags {
    let mut tags = Tags::from_pairs([
        ("name", format!("metric.{}", i % 2)),
        ("app", format!("app-{}", i % 3)),
        ("node", format!("i-{i:02}")),
    ]);
    if i % 4 < 2 {
        tags.insert("atlas.dstype", "gauge");
    }
    if !i.is_multiple_of(5) {
        tags.insert("zone", format!("z{}", i % 2));
    }
    tags
}

/// A node whose process can be ended and begun again.
struct Node {
    directory: tempfile::TempDir,
    objects: Arc<dyn ObjectStore>,
    tiers: Arc<Tiers>,
}

impl Node {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let tiers = open(&directory, &objects).await;
        Self {
            directory,
            objects,
            tiers,
        }
    }

    async fn restart(&mut self) {
        self.tiers.hot.log().commit().expect("a working disk");
        self.tiers = open(&self.directory, &self.objects).await;
    }

    fn publish(&self, points: &[(usize, i64, f64)]) {
        let hot = &self.tiers.hot;
        let mut batch = Batch::new(hot.shards());
        batch.begin(None);
        for (series, slot, value) in points {
            let handle = hot.resolve(&tags(*series)).expect("room");
            batch.push(handle, Slot(*slot).time(BASE), *value);
        }
        batch.set_origin(ClientId::NONE, 0, Timestamp(0));
        hot.append(&batch, &mut Vec::new()).expect("room");
    }

    /// Declared back-fill, which may write anything.
    fn load(&self, points: &[(usize, i64, f64)]) {
        let hot = &self.tiers.hot;
        let rows: Vec<_> = points
            .iter()
            .map(|(series, slot, value)| {
                let handle = hot.resolve(&tags(*series)).expect("room");
                (handle, Slot(*slot), vec![*value])
            })
            .collect();
        hot.load(&rows, Timestamp(0)).expect("room");
    }

    async fn flush(&self, windows: impl Iterator<Item = i64>) {
        let (hot, history) = (&self.tiers.hot, &self.tiers.history);
        let windows: BTreeSet<Window> = windows.map(Window).collect();
        if let Some(flush) = hot.seal(&windows).expect("room") {
            let encoded = history.encode_flush(hot, &flush).expect("encoded");
            history.commit_flush(encoded).await.expect("committed");
            hot.flushed(flush.id, &flush.windows);
        }
    }

    fn engine(&self, limits: QueryLimits) -> QueryEngine {
        QueryEngine::new(self.tiers.clone(), limits, 3)
    }

    async fn ask(&self, program: &str, ctx: &EvalContext) -> Vec<TimeSeries> {
        let engine = self.engine(QueryLimits::default());
        ask(&engine, program, ctx).await.expect("an answer")
    }
}

async fn ask(
    engine: &QueryEngine,
    program: &str,
    ctx: &EvalContext,
) -> Result<Vec<TimeSeries>, QueryError> {
    let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
    let options = QueryOptions {
        strict: true,
        ..QueryOptions::default()
    };
    let answer = engine.evaluate(&[&exprs[0].expr], ctx, options).await?;
    Ok(answer.results.into_iter().next().expect("one").series)
}

async fn open(directory: &tempfile::TempDir, objects: &Arc<dyn ObjectStore>) -> Arc<Tiers> {
    let history = History::open(objects.clone(), BASE, "test".to_owned(), 64 << 20);
    let history = history.await.expect("a manifest that can be read");
    let disk = DiskDirectory::open(directory.path().join("log")).expect("opened");
    let mut options = StoreOptions::new(BASE);
    options.shards = 5;
    options.hot_window_millis = 3600 * 1000;
    let in_history: InHistory = history.manifest().in_history();
    let opened = HotStore::open(Arc::new(disk), options, in_history, false);
    Arc::new(Tiers {
        hot: Arc::new(opened.expect("a store that can be opened").0),
        history: Arc::new(history),
    })
}

#[derive(Clone, Debug)]
enum Change {
    Load(Vec<(usize, i64, f64)>),
    Flush { odd: bool },
    Evict { before_slot: i64 },
    Restart,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let value = prop_oneof![
        (0i32..500).prop_map(|n| f64::from(n) / 60.0),
        (-100i32..100).prop_map(f64::from),
        -10.0f64..10.0,
    ];
    let points = prop::collection::vec((0usize..14, 1i64..301, value), 1..250);
    let change = prop_oneof![
        4 => points.prop_map(Change::Load),
        2 => any::<bool>().prop_map(|odd| Change::Flush { odd }),
        1 => (0i64..400).prop_map(|before_slot| Change::Evict { before_slot }),
        1 => Just(Change::Restart),
    ];
    prop::collection::vec(change, 1..9)
}

async fn apply(node: &mut Node, data: &mut Data, change: &Change) {
    match change {
        Change::Load(points) => {
            node.load(points);
            data.extend(points.iter().map(|(s, t, v)| ((*s, *t), *v)));
        }
        Change::Flush { odd } => node.flush((0..6).filter(|w| (w % 2 == 1) == *odd)).await,
        Change::Evict { before_slot } => {
            // The hot window is one hour: sixty slots.
            let now = Slot(before_slot + 60).time(BASE);
            node.tiers.hot.evict(now).expect("room");
        }
        Change::Restart => node.restart().await,
    }
}

const AGGREGATES: [&str; 4] = ["sum", "count", "min", "max"];
const CONSOLIDATIONS: [&str; 4] = ["avg", "sum", "min", "max"];

/// The program of a data expression.
fn program(query: &str, aggregate: &str, consolidation: &str, keys: &[&str]) -> String {
    let by = match keys {
        [] => String::new(),
        keys => format!(",(,{},),:by", keys.join(",")),
    };
    format!("{query},:{aggregate}{by},:cf-{consolidation}")
}

fn combine(how: &str, values: &[f64]) -> f64 {
    let values = values.iter().copied();
    match how {
        "min" => values.fold(f64::INFINITY, f64::min),
        "max" => values.fold(f64::NEG_INFINITY, f64::max),
        _ => values.sum(),
    }
}

/// What a data expression should give: by group, a value for each cell.
fn expected(
    data: &Data,
    matches: impl Fn(&Tags) -> bool,
    aggregate: &str,
    consolidation: &str,
    keys: &[&str],
    ctx: &EvalContext,
) -> BTreeMap<Vec<String>, Vec<f64>> {
    let m = ctx.step.millis() / BASE.millis();
    let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    let series: BTreeSet<usize> = data.keys().map(|(s, _)| *s).collect();
    for s in series {
        let tags = tags(s);
        let key: Option<Vec<String>> = keys.iter().map(|k| Some(tags.get(k)?.to_owned())).collect();
        if let (true, Some(key)) = (matches(&tags), key) {
            groups.entry(key).or_default().push(s);
        }
    }
    let cell = |members: &[usize], time: Timestamp| {
        let last = time.millis() / BASE.millis();
        let mut slots = BTreeSet::new();
        let mut of_series = Vec::new();
        for s in members {
            let found: Vec<(i64, f64)> = (last - m + 1..=last)
                .filter_map(|slot| Some((slot, *data.get(&(*s, slot))?)))
                .collect();
            slots.extend(found.iter().map(|(slot, _)| *slot));
            let values: Vec<f64> = match aggregate {
                "count" => found.iter().map(|_| 1.0).collect(),
                _ => found.iter().map(|(_, v)| *v).collect(),
            };
            if !values.is_empty() {
                of_series.push(combine(if m == 1 { "sum" } else { consolidation }, &values));
            }
        }
        if of_series.is_empty() {
            return f64::NAN;
        }
        let first = members.iter().min_by_key(|s| ItemId::of(&tags(**s)));
        let first = tags(*first.expect("a member"));
        let gauge = first.get("atlas.dstype") == Some("gauge");
        let value = combine(aggregate, &of_series);
        match consolidation {
            "avg" if m > 1 && gauge => value / slots.len() as f64,
            "avg" if m > 1 => value / m as f64,
            _ => value,
        }
    };
    let cells = |members: &[usize]| ctx.times().map(|t| cell(members, t)).collect::<Vec<_>>();
    groups
        .iter()
        .map(|(key, members)| (key.clone(), cells(members)))
        .filter(|(_, values)| values.iter().any(|v| !v.is_nan()))
        .collect()
}

fn close(a: f64, b: f64) -> bool {
    (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 + 1e-9 * a.abs().max(b.abs())
}

async fn check(node: &Node, data: &Data) {
    for (start, cells, minutes) in [
        (0i64, 300, 1u32),
        (7, 100, 1),
        (120, 40, 5),
        (0, 5, 60),
        (60, 2, 120),
    ] {
        let step = Step::from_secs(60 * minutes);
        let start = Timestamp(start * 60_000).ceil(step);
        let ctx = EvalContext {
            start,
            end: start.plus_millis(cells * step.millis()),
            step,
        };
        for aggregate in AGGREGATES {
            for consolidation in CONSOLIDATIONS {
                for keys in [&[][..], &["app"], &["zone", "name"]] {
                    let asked = program(
                        "name,metric,:re,node,i-07,:eq,:not,:and",
                        aggregate,
                        consolidation,
                        keys,
                    );
                    let got = node.ask(&asked, &ctx).await;
                    let matches = |t: &Tags| t.get("node") != Some("i-07");
                    let want = expected(data, matches, aggregate, consolidation, keys, &ctx);
                    let got: BTreeMap<Vec<String>, Vec<f64>> = got
                        .iter()
                        .filter(|s| s.tags.name() != Some("NO_DATA"))
                        .map(|s| {
                            let key = keys
                                .iter()
                                .map(|k| s.tags.get(k).expect("grouped").to_owned());
                            (key.collect(), s.values.clone())
                        })
                        .collect();
                    assert_eq!(
                        got.keys().collect::<Vec<_>>(),
                        want.keys().collect::<Vec<_>>(),
                        "{asked} at {minutes} min"
                    );
                    for (key, values) in &want {
                        let same = values.iter().zip(&got[key]).all(|(a, b)| close(*a, *b));
                        assert!(
                            same,
                            "{asked} at {minutes} min, {key:?}: {values:?} but {:?}",
                            got[key]
                        );
                    }
                }
            }
        }
    }
}

async fn check_tags(node: &Node, data: &Data) {
    let request = TagRequest {
        query: TagQuery::Equal("app".into(), "app-1".into()),
        after: None,
        limit: 100,
        range: None,
    };
    let got = node.tiers.tag_values("node", &request).await;
    let series: BTreeSet<usize> = data.keys().map(|(s, _)| *s).collect();
    let want: BTreeSet<String> = series
        .iter()
        .map(|s| tags(*s))
        .filter(|t| t.get("app") == Some("app-1"))
        .map(|t| t.get("node").expect("tagged").to_owned())
        .collect();
    let got: BTreeSet<String> = got.texts.iter().map(|t| t.to_string()).collect();
    assert_eq!(got, want);
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn answers_do_not_depend_on_where_the_data_lies(changes in changes()) {
        runtime().block_on(async {
            let mut node = Node::new().await;
            let mut data = Data::new();
            for change in &changes {
                apply(&mut node, &mut data, change).await;
            }
            check(&node, &data).await;
            check_tags(&node, &data).await;
            node.flush(0..6).await;
            node.restart().await;
            check(&node, &data).await;
            check_tags(&node, &data).await;
        });
    }
}

fn minutes(first: i64, cells: i64) -> EvalContext {
    EvalContext {
        start: Timestamp(first * 60_000),
        end: Timestamp((first + cells) * 60_000),
        step: BASE,
    }
}

#[tokio::test]
async fn a_new_series_is_in_the_next_answer() {
    let node = Node::new().await;
    node.publish(&[(1, 5, 3.0)]);
    let first = node.ask("node,i-01,:eq", &minutes(5, 1)).await;
    assert_eq!(first[0].values, [3.0]);
    node.publish(&[(2, 5, 4.0)]);
    let both = node.ask("name,:has,:sum", &minutes(5, 1)).await;
    assert_eq!(both[0].values, [7.0]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_said_and_nothing_else_is_harmed() {
    let mut node = Node::new().await;
    node.publish(&[(1, 5, 3.0)]);
    node.flush(0..1).await;
    node.publish(&[(1, 65, 4.0)]);
    node.flush(1..2).await;
    node.restart().await;
    let files: Vec<_> = node.tiers.history.manifest().files().cloned().collect();
    let broken = files
        .iter()
        .find(|f| f.first_slot == 1)
        .expect("the first window");
    let path = Path::from(broken.path.as_str());
    node.objects
        .put(&path, "no parquet".into())
        .await
        .expect("put");

    let engine = node.engine(QueryLimits::default());
    let exprs = parse_graph("name,:has,:sum", &GraphOptions::default()).expect("valid");
    let answer = engine
        .evaluate(&[&exprs[0].expr], &minutes(1, 100), QueryOptions::default())
        .await
        .expect("a partial answer");
    assert_eq!(answer.missing[0].part, broken.path);
    assert_eq!(answer.results[0].series[0].values[64], 4.0);
    let strict = ask(&engine, "name,:has,:sum", &minutes(1, 100)).await;
    let error = strict.expect_err("incomplete").to_string();
    assert!(error.contains(&broken.path), "{error}");
    let whole = ask(&engine, "name,:has,:sum", &minutes(61, 10))
        .await
        .expect("whole");
    assert_eq!(whole[0].values[4], 4.0);
}

#[tokio::test]
async fn limits_are_named() {
    let node = Node::new().await;
    let points: Vec<_> = (0..14).map(|s| (s, 5, 1.0)).collect();
    node.publish(&points);
    let limits = QueryLimits {
        max_lines: 10,
        max_datapoints: 120,
        max_broad_series: 5,
        ..QueryLimits::default()
    };
    let engine = node.engine(limits);
    let refused = async |program: &str, cells| {
        let answer = ask(&engine, program, &minutes(1, cells)).await;
        answer.expect_err("refused").to_string()
    };
    let lines = refused("name,metric,:re,(,node,),:by", 1).await;
    assert!(lines.contains("too many lines: 11 > 10"), "{lines}");
    let datapoints = refused("name,metric,:re,(,node,),:by", 13).await;
    assert!(
        datapoints.contains("too many datapoints: 130 > 120"),
        "{datapoints}"
    );
    let broad = refused("name,:has,:sum", 1).await;
    assert!(broad.contains("matches 14 series"), "{broad}");
    // What is not grouped has one line, however many series.
    let one = ask(&engine, "name,metric,:re,:sum", &minutes(5, 1)).await;
    assert_eq!(one.expect("an answer")[0].values, [14.0]);
}

#[tokio::test]
async fn the_plan_is_two_nodes() {
    let node = Node::new().await;
    let exprs = parse_graph("name,a,:eq,(,app,),:by", &GraphOptions::default()).expect("valid");
    let data = exprs[0].expr.data_exprs().remove(0);
    let engine = node.engine(QueryLimits::default());
    let plan = engine.explain(&data, &minutes(1, 10)).expect("a plan");
    let lines: Vec<_> = plan.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "MergeExec: op=Sum",
            "ScanExec: op=Sum, grouping=Keys([\"app\"]), cells=10, slots_per_cell=1, shards=5",
        ]
    );
}
