//! What is answered where raw data has expired: coarser values, late data, and what is said of them.

use std::time::Instant;

use hesper_history::Policy;
use hesper_history::day::DAY_MILLIS;
use hesper_history::policy::{Keep, KeepRule};
use hesper_model::{Slot, TagQuery, TimeRange, Timestamp};
use hesper_query::tags::TagRequest;
use hesper_query::{Answer, QueryLimits, TierUse};
use hesper_stack::EvalContext;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::node::{Node, ask, range};

const DAY_SLOTS: i64 = 1440;

/// Raw data of days that ended that many days ago expires.
fn keep_days(days: i64) -> Policy {
    Policy {
        keep: Keep {
            raw_millis: Some(days * DAY_MILLIS),
            ..Keep::default()
        },
        ..Policy::default()
    }
}

/// A node with a day of roll-ups, of which nothing is in memory and nothing raw.
async fn rolled(points: &[(usize, i64, f64)]) -> Node {
    let mut node = Node::new().await;
    node.back_fill(points).await;
    node.maintain(2, &keep_days(0)).await;
    node.restart().await;
    node
}

fn values(answer: &Answer) -> Vec<f64> {
    let series = &answer.results[0].series;
    assert_eq!(series.len(), 1);
    series[0].values.clone()
}

fn notices(answer: &Answer) -> Vec<String> {
    answer.notices.iter().map(ToString::to_string).collect()
}

fn tiers(answer: &Answer) -> Vec<&str> {
    answer.tiers.iter().map(|t| &*t.tier).collect()
}

#[tokio::test]
async fn a_step_that_no_cell_fits_is_answered_from_cells_with_a_notice() {
    // Minutes 1, 2 and 5 of the first five, all of the next.
    let mut points: Vec<_> = [(1, 1.0), (2, 2.0), (5, 6.0)]
        .map(|(t, v)| (0, t, v))
        .into();
    points.extend((6..=10).map(|t| (0, t, 10.0)));
    let node = rolled(&points).await;
    let ask = async |program: &str, ctx: EvalContext| node.answer(program, &ctx).await;
    let minutes = |answer: &Answer| -> Vec<Option<f64>> {
        let values = values(answer);
        values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect()
    };
    let said = "raw data before 1970-01-02T00:00:00Z has expired; values are of 5 minute cells";

    let mean = ask("name,metric.0,:eq,:sum", range(1, 7, 1)).await;
    let three = [Some(3.0), Some(3.0), None, None, Some(3.0)];
    assert_eq!(minutes(&mean)[..5], three);
    assert_eq!(minutes(&mean)[5..], [Some(10.0), Some(10.0)]);
    assert_eq!(notices(&mean), [said]);
    assert_eq!((tiers(&mean), mean.missing.len()), (vec!["5m"], 0));
    let highest = ask("name,metric.0,:eq,:sum,:cf-max", range(1, 2, 1)).await;
    assert_eq!(minutes(&highest), [Some(6.0), Some(6.0)]);
    let count = ask("name,metric.0,:eq,:count", range(1, 5, 1)).await;
    assert_eq!(
        minutes(&count),
        [Some(1.0), Some(1.0), None, None, Some(1.0)]
    );
    // Every series by itself has the value of the cell too, not its highest.
    let all = ask("name,metric.0,:eq,:all", range(1, 2, 1)).await;
    assert_eq!(minutes(&all), [Some(3.0), Some(3.0)]);

    // Seven minutes: two cells, of which one is cut.
    let cut = ask("name,metric.0,:eq,:sum,:cf-sum", range(7, 1, 7)).await;
    assert_eq!(
        (minutes(&cut), notices(&cut)),
        (vec![Some(29.0)], vec![said.to_owned()])
    );
    // What fits is exact, and nothing is said.
    let exact = ask("name,metric.0,:eq,:sum,:cf-sum", range(5, 2, 5)).await;
    assert_eq!(minutes(&exact), [Some(9.0), Some(50.0)]);
    let hour = ask("name,metric.0,:eq,:sum,:cf-max", range(60, 1, 60)).await;
    assert_eq!(
        (minutes(&hour), tiers(&hour)),
        (vec![Some(10.0)], vec!["1h"])
    );
    assert!(exact.notices.is_empty() && hour.notices.is_empty());
    // Who asks for other series is told nothing.
    let other = ask("name,metric.1,:eq,:sum", range(1, 7, 1)).await;
    assert!(other.notices.is_empty(), "{:?}", other.notices);
}

#[tokio::test]
async fn tiers_meet_without_a_seam() {
    let mut node = Node::new().await;
    // Three days, of which the first is rolled up only, the second rolled up too, the third raw; and some hours of a fourth in memory.
    let first: Vec<_> = (1..=2 * DAY_SLOTS).map(|t| (0, t, 1.0)).collect();
    node.back_fill(&first).await;
    node.maintain(2, &keep_days(3)).await;
    let last = 3 * DAY_SLOTS;
    let second: Vec<_> = (2 * DAY_SLOTS + 1..=last).map(|t| (0, t, 1.0)).collect();
    node.back_fill(&second).await;
    let fourth: Vec<_> = (last + 1..=last + 200).map(|t| (0, t, 1.0)).collect();
    node.load(&fourth);
    let hours = node
        .answer("name,metric.0,:eq,:sum,:cf-sum", &range(60, 75, 60))
        .await;
    assert_eq!(values(&hours), [60.0; 75]);
    let used: Vec<_> = hours.tiers.iter().map(|t| (&*t.tier, t.rows)).collect();
    assert_eq!(used, [("raw", 24), ("1h", 2)]);
    assert_eq!((hours.stats.rows, hours.notices.len()), (26, 0));
    let minutes = node
        .answer("name,metric.0,:eq,:sum", &range(1, last + 200, 1))
        .await;
    assert_eq!(values(&minutes), vec![1.0; last as usize + 200]);
    assert_eq!(tiers(&minutes), ["raw", "5m"]);
    assert_eq!(
        notices(&minutes),
        ["raw data before 1970-01-02T00:00:00Z has expired; values are of 5 minute cells"]
    );
    // What memory holds of a day that has roll-ups lies over raw data.
    node.load(&[(0, DAY_SLOTS + 7, 5.0), (1, DAY_SLOTS + 8, 1.0)]);
    let hours = node
        .answer("name,metric.0,:eq,:sum,:cf-sum", &range(60, 75, 60))
        .await;
    let mut want = vec![60.0; 75];
    want[24] = 64.0;
    assert_eq!(values(&hours), want);
}

#[tokio::test]
async fn late_data_is_put_with_cells_as_the_next_merge_will() {
    let mut node = rolled(&[(0, 1, 1.0), (0, 2, 2.0), (0, 6, 4.0), (0, 12, 8.0)]).await;
    let fives = range(5, 4, 5);
    let program = "name,metric.0,:eq,:sum,:cf-sum";
    // To the first cell it adds a minute and repeats one; of the second it repeats all; the third is left alone, the fourth is new.
    node.load(&[
        (0, 2, 20.0),
        (0, 3, 3.0),
        (0, 6, 40.0),
        (0, 7, 1.0),
        (0, 16, 9.0),
        (2, 17, 100.0),
    ]);
    let said = [
        "data came late for a time before 1970-01-02T00:00:00Z whose raw data has expired; it is added to 5 minute cells, but replaces no value in them",
    ];
    let want = [6.0, 41.0, 8.0, 109.0];
    let late = node.answer(program, &fives).await;
    assert_eq!(
        (values(&late), notices(&late)),
        (want.into(), said.map(String::from).into())
    );
    let highest = node.answer("name,metric.0,:eq,:max,:cf-max", &fives).await;
    assert_eq!(values(&highest), [3.0, 40.0, 8.0, 100.0]);
    node.empty_memory().await;
    let flushed = node.answer(program, &fives).await;
    assert_eq!(
        (values(&flushed), tiers(&flushed)),
        (want.into(), vec!["raw", "5m"])
    );
    assert_eq!(notices(&flushed), said);
    let due = node
        .tiers
        .history
        .compact_due(Timestamp(9 * DAY_MILLIS), &keep_days(0))
        .await;
    // In the hour's cell the sixth minute is repeated, but not all.
    assert_eq!(due.expect("done").expect("due").too_late, 3);
    let merged = node.answer(program, &fives).await;
    assert_eq!((values(&merged), tiers(&merged)), (want.into(), vec!["5m"]));
    assert!(merged.notices.is_empty());
}

#[tokio::test]
async fn windows_that_memory_has_all_of_are_not_taken_from_cells_too() {
    let mut node = Node::new().await;
    let points: Vec<_> = (1..=DAY_SLOTS).map(|t| (0, t, 1.0)).collect();
    node.back_fill(&points[..600]).await;
    node.load(&points[600..]);
    node.flush(0..24).await;
    node.maintain(2, &keep_days(0)).await;
    assert_eq!(node.tiers.history.manifest().windows(1).count(), 0);
    for (ctx, cells, sum) in [
        (range(60, 24, 60), 24, 60.0),
        (range(5, 288, 5), 288, 5.0),
        (range(1, DAY_SLOTS, 1), DAY_SLOTS as usize, 1.0),
    ] {
        let answer = node.answer("name,metric.0,:eq,:sum,:cf-sum", &ctx).await;
        assert_eq!(values(&answer), vec![sum; cells]);
    }
}

#[tokio::test]
async fn where_raw_data_of_some_series_is_gone_their_cells_answer() {
    let mut node = Node::new().await;
    let points: Vec<_> = (1..=10)
        .flat_map(|t| [(0, t, t as f64), (1, t, 100.0 * t as f64)])
        .collect();
    node.back_fill(&points).await;
    let policy = Policy {
        rules: vec![KeepRule {
            query: TagQuery::Equal("node".into(), "i-00".into()),
            keep: Keep {
                raw_millis: Some(0),
                ..Keep::default()
            },
            forever: Vec::new(),
        }],
        ..Policy::default()
    };
    node.maintain(2, &policy).await;
    let minutes = async |node: &Node, program: &str| node.answer(program, &range(1, 5, 1)).await;
    let both = minutes(&node, "name,metric,:re,:sum").await;
    assert_eq!(values(&both), [103.0, 203.0, 303.0, 403.0, 503.0]);
    assert_eq!(
        notices(&both),
        [
            "raw data of some series before 1970-01-02T00:00:00Z has expired; values are of 5 minute cells"
        ]
    );
    let kept = minutes(&node, "name,metric.1,:eq,:sum").await;
    assert_eq!(values(&kept), [100.0, 200.0, 300.0, 400.0, 500.0]);
    assert!(kept.notices.is_empty());
    // Late data of both: a value is replaced where raw data is there.
    node.load(&[(0, 12, 1.0), (1, 2, 0.0)]);
    let late = node
        .answer("name,metric,:re,:sum,:cf-sum", &range(5, 3, 5))
        .await;
    assert_eq!(values(&late), [15.0 + 1300.0, 40.0 + 4000.0, 1.0]);
    assert!(late.notices.is_empty(), "{:?}", late.notices);
}

#[tokio::test]
async fn a_roll_up_that_cannot_be_read_is_said() {
    let node = rolled(&[(0, 1, 1.0), (1, DAY_SLOTS + 1, 2.0)]).await;
    let manifest = node.tiers.history.manifest();
    let day = TimeRange {
        first: Slot(1),
        last: Slot(DAY_SLOTS),
    };
    let broken = manifest.files_of(60, day)[0].path.clone();
    let path = Path::from(broken.as_str());
    node.objects
        .put(&path, "no parquet".into())
        .await
        .expect("put");
    let program = "name,metric,:re,:sum,:cf-sum";
    let answer = node.answer(program, &range(60, 48, 60)).await;
    assert_eq!(answer.missing.len(), 1);
    assert_eq!(answer.missing[0].part, broken);
    assert_eq!(values(&answer)[24], 2.0);
    let engine = node.engine(QueryLimits::default());
    let strict = ask(&engine, program, &range(60, 48, 60)).await;
    assert!(
        strict
            .expect_err("incomplete")
            .to_string()
            .contains(&broken)
    );
}

#[tokio::test]
async fn limits_hold_for_cells_too() {
    let points: Vec<_> = (0..14).map(|s| (s, 5, 1.0)).collect();
    let node = rolled(&points).await;
    let engine = node.engine(QueryLimits {
        max_lines: 10,
        ..QueryLimits::default()
    });
    let by_node = "name,metric,:re,(,node,),:by";
    let refused = ask(&engine, by_node, &range(60, 1, 60)).await;
    let refused = refused.expect_err("refused").to_string();
    assert!(refused.contains("too many lines: 11 > 10"), "{refused}");
    // A row is of a whole day: series that have nothing in the range don't count.
    let none = ask(&engine, by_node, &range(120, 1, 60)).await;
    assert!(none.expect("an answer").is_empty());
}

#[tokio::test]
async fn tags_of_roll_ups_are_listed() {
    let node = rolled(&[(0, 1, 1.0), (1, DAY_SLOTS + 1, 2.0)]).await;
    let list = async |first: i64, last: i64| {
        let request = TagRequest {
            query: TagQuery::True,
            after: None,
            limit: 100,
            range: Some(TimeRange {
                first: Slot(first),
                last: Slot(last),
            }),
        };
        let list = node.tiers.tag_values("node", &request).await;
        assert_eq!(list.missing, []);
        let texts = list.texts.iter().map(|t| t.to_string());
        texts.collect::<Vec<_>>()
    };
    assert_eq!(list(1, 10).await, ["i-00"]);
    assert_eq!(list(1, 2 * DAY_SLOTS).await, ["i-00", "i-01"]);
    assert!(list(5 * DAY_SLOTS, 6 * DAY_SLOTS).await.is_empty());
}

/// `cargo test --workspace --test same_answer -- --ignored --nocapture speed`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed_of_thirty_days_of_a_thousand_series() {
    let directory = tempfile::tempdir().expect("a directory");
    let local = hesper_history::synced_local::SyncedLocal::open(directory.path()).expect("opened");
    let mut node = Node::on(std::sync::Arc::new(local)).await;
    let (all, slots) = (1000usize, 30 * DAY_SLOTS);
    let value = |i: usize, p: i64| ((i as i64 * 31 + p * 7919) % 5000) as f64 / 60.0;
    let began = Instant::now();
    node.fill(all, slots, value).await;
    println!("loaded in {:.1} s", began.elapsed().as_secs_f64());
    let began = Instant::now();
    node.maintain(24 * 40, &Policy::default()).await;
    println!("merged in {:.1} s", began.elapsed().as_secs_f64());
    let print = |what: &str, tiers: &[TierUse], millis: &[u128]| {
        let used: Vec<_> = tiers
            .iter()
            .map(|t| format!("{} files, {} rows of {}", t.files, t.rows, t.tier))
            .collect();
        println!("{what}: {millis:?} ms ({})", used.join(", "));
    };
    for (what, program, ctx) in [
        ("1h, sum", "name,speed,:eq,:sum", range(60, 720, 60)),
        (
            "1h, max by app",
            "name,speed,:eq,:max,:cf-max,(,app,),:by",
            range(60, 720, 60),
        ),
        (
            "1h, sum of highest",
            "name,speed,:eq,:sum,:cf-max",
            range(60, 720, 60),
        ),
        ("5m, sum", "name,speed,:eq,:sum", range(5, 8640, 5)),
        (
            "1m, sum, from raw data",
            "name,speed,:eq,:sum",
            range(1, slots, 1),
        ),
    ] {
        let mut millis = Vec::new();
        let mut tiers = Vec::new();
        for _ in 0..4 {
            let began = Instant::now();
            let answer = node.answer(program, &ctx).await;
            millis.push(began.elapsed().as_millis());
            assert_eq!(answer.missing, []);
            tiers = answer.tiers;
        }
        print(what, &tiers, &millis);
    }
}
