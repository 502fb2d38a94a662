//! P3: an answer does not depend on where the data lies. Random data in random layouts (open, sealed, flushed, flushed and written to again,
//! dropped from memory, reopened; over days in `layouts`) against a plain computation, for every aggregation, consolidation and grouping.

mod layouts;
mod node;
mod plain;
mod rolled;
mod sql;

use hesper_model::{Slot, Timestamp};
use hesper_query::QueryLimits;
use hesper_query::engine::QueryOptions;
use hesper_stack::{EvalContext, GraphOptions, parse_graph};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use proptest::prelude::*;

use node::{BASE, Node, ask, range};
use plain::{AGGREGATES, CONSOLIDATIONS, Data, GROUPINGS, check_one, tags_of};

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

async fn check(node: &Node, data: &Data) {
    let none = std::collections::BTreeSet::new();
    let ranges = [
        range(0, 300, 1),
        range(7, 100, 1),
        range(120, 40, 5),
        range(0, 5, 60),
        range(60, 2, 120),
    ];
    for ctx in &ranges {
        for aggregate in AGGREGATES {
            for consolidation in CONSOLIDATIONS {
                for keys in GROUPINGS {
                    check_one(node, data, &none, aggregate, consolidation, keys, ctx).await;
                }
            }
        }
    }
    let (got, want) = tags_of(node, data).await;
    assert_eq!(got, want);
    sql::check(node, data).await;
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
            node.flush(0..6).await;
            node.restart().await;
            check(&node, &data).await;
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
    // It keeps its turn until it is written.
    drop(answer);
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
