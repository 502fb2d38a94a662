//! Roll-ups against the originals: what the roll-up holds is what combining the originals gives, over all ways in, repetitions and restarts.

#[path = "support/node.rs"]
mod node;

use std::collections::BTreeMap;

use hesper_hot::log::record::ClientId;
use hesper_ingest::proto::{Batch, Hello, Series};
use hesper_ingest::roll_up::RollUpRule;
use hesper_ingest::router::Datapoint;
use hesper_ingest::stream::{Connection, pack_values};
use hesper_ingest::{IngestSettings, Reason};
use hesper_model::aggregate::{add_nan, max_nan};
use hesper_model::{Tags, Timestamp};
use node::{NOW, Node, STEP};
use proptest::prelude::*;

fn settings(keep_original: bool) -> IngestSettings {
    let mark = ("rollup".to_owned(), "node".to_owned());
    IngestSettings {
        roll_ups: vec![RollUpRule {
            query: "nf.node,:has".to_owned(),
            drop: vec!["nf.node".to_owned()],
            keep_original,
            add: keep_original.then_some(mark).into_iter().collect(),
        }],
        ..IngestSettings::default()
    }
}

fn datapoint(tags: &[(&str, &str)], time: Timestamp, value: f64) -> Datapoint {
    Datapoint {
        tags: Tags::from_pairs(tags.iter().copied()),
        time,
        value,
    }
}

fn at(steps: i64) -> Timestamp {
    NOW.plus_millis(steps * STEP.millis())
}

fn publish(node: &Node, datapoints: &[Datapoint]) {
    let published = node
        .router
        .publish(datapoints, ClientId::NONE, 0, NOW)
        .expect("room");
    assert_eq!(published.refused, []);
}

#[test]
fn rates_are_added_and_levels_keep_the_highest() {
    let node = Node::new(settings(false));
    for (i, value) in [1.0, 2.0, 4.0].into_iter().enumerate() {
        let name = format!("i-{i}");
        let of = |more: (&'static str, &'static str)| {
            let tags = [("name", "cpu"), ("nf.app", "api"), ("nf.node", &name), more];
            datapoint(&tags, at(1), value)
        };
        let all = [
            of(("statistic", "count")),
            of(("statistic", "max")),
            of(("atlas.dstype", "gauge")),
            of(("atlas.dstype", "sum")),
        ];
        publish(&node, &all);
    }
    // What has no such tag is left alone.
    publish(&node, &[datapoint(&[("name", "cpu")], at(1), 9.0)]);
    let rows = node.scan();
    let want = [
        ("atlas.dstype=gauge, name=cpu, nf.app=api", 4.0),
        (
            "atlas.dstype=gauge, name=cpu, nf.app=api, statistic=max",
            4.0,
        ),
        ("atlas.dstype=sum, name=cpu, nf.app=api", 7.0),
        (
            "atlas.dstype=sum, name=cpu, nf.app=api, statistic=count",
            7.0,
        ),
        ("name=cpu", 9.0),
    ];
    let want: BTreeMap<_, _> = want
        .map(|(tags, v)| (tags.to_owned(), [(1, v)].into()))
        .into();
    assert_eq!(rows, want);
}

#[test]
fn counters_are_added_as_rates() {
    let node = Node::new(settings(false));
    let totals = [("i-1", [600.0, 660.0, 720.0]), ("i-2", [60.0, 180.0, 0.0])];
    for step in 0..3 {
        for (name, total) in totals {
            let tags = [
                ("name", "x"),
                ("nf.node", name),
                ("atlas.dstype", "counter"),
            ];
            let mut sample = datapoint(&tags, at(step), total[step as usize]);
            sample.tags.insert("name", "requests");
            publish(&node, &[sample]);
        }
    }
    let slots = node.slots(&[("name", "requests"), ("atlas.dstype", "sum")]);
    // The second counter begins anew at the end.
    assert_eq!(slots, [(1, 3.0), (2, 1.0)].into());
}

#[test]
fn what_is_repeated_counts_once() {
    let node = Node::new(settings(false));
    let rates: Vec<_> = ["i-1", "i-2"]
        .map(|n| datapoint(&[("name", "cpu"), ("nf.node", n)], at(1), 2.0))
        .into();
    let amounts: Vec<_> = ["i-1", "i-2"]
        .map(|n| {
            let tags = [("name", "cpu"), ("nf.node", n), ("atlas.dstype", "sum")];
            let mut amount = datapoint(&tags, at(1), 2.0);
            amount.tags.insert("name", "amounts");
            amount
        })
        .into();
    for _ in 0..3 {
        // Rates without any identity, amounts in a batch with one.
        publish(&node, &rates);
        let published = node.router.publish(&amounts, ClientId([7; 16]), 1, NOW);
        published.expect("room");
    }
    let slots = |name| node.slots(&[("name", name), ("atlas.dstype", "sum")]);
    assert_eq!(slots("cpu"), [(1, 4.0)].into());
    assert_eq!(slots("amounts"), [(1, 4.0)].into());
}

#[test]
fn what_is_sent_for_the_roll_up_itself_is_added() {
    let node = Node::new(settings(false));
    let rolled = [("name", "cpu"), ("atlas.dstype", "sum")];
    publish(&node, &[datapoint(&rolled, at(1), 1.0)]);
    let original = [("name", "cpu"), ("nf.node", "i-1")];
    publish(&node, &[datapoint(&original, at(1), 2.0)]);
    publish(&node, &[datapoint(&rolled, at(1), 4.0)]);
    assert_eq!(node.slots(&rolled), [(1, 7.0)].into());
}

#[test]
fn a_full_store_adds_rates_as_they_come() {
    let node = Node::with(settings(false), |o| o.max_series = 2);
    for i in 0..5 {
        let name = format!("i-{i}");
        let tags = [("name", "cpu"), ("nf.node", name.as_str())];
        publish(&node, &[datapoint(&tags, at(1), 1.0)]);
    }
    let slots = node.slots(&[("name", "cpu"), ("atlas.dstype", "sum")]);
    assert_eq!(slots, [(1, 5.0)].into());
    // A counter cannot do without.
    let tags = [
        ("name", "cpu"),
        ("nf.node", "i-1"),
        ("atlas.dstype", "counter"),
    ];
    let published = node
        .router
        .publish(&[datapoint(&tags, at(1), 1.0)], ClientId::NONE, 0, NOW);
    let refused = &published.expect("room").refused;
    assert_eq!(refused[0].reason, Reason::SeriesLimit);
    assert!(
        refused[0].message.contains("--max-series"),
        "{}",
        refused[0].message
    );
}

const TYPES: [&str; 4] = ["rate", "gauge", "sum", "counter"];

fn original(i: usize) -> [(&'static str, String); 4] {
    [
        ("name", "cpu".to_owned()),
        ("nf.node", format!("i-{i}")),
        ("atlas.dstype", TYPES[i % 4].to_owned()),
        ("zone", format!("z{}", i % 3)),
    ]
}

/// By what way datapoints come.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tags,
    Identity,
    Stream,
}

/// Originals, each with a time within the step and a value, sent once or twice.
type Round = (Way, bool, Vec<(usize, i64, u32)>, bool);

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let way = prop_oneof![Just(Way::Tags), Just(Way::Identity), Just(Way::Stream)];
    let samples = prop::collection::vec((0usize..16, 0..STEP.millis(), 0u32..100), 1..20);
    let restart = prop::bool::weighted(0.2);
    prop::collection::vec((way, any::<bool>(), samples, restart), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// P1, P2: with the originals kept, the roll-up holds for each slot what combining the originals gives, and the same without them.
    #[test]
    fn a_roll_up_is_its_originals_combined(rounds in rounds()) {
        let mut kept = Node::new(settings(true));
        let mut gone = Node::new(settings(false));
        for (round, (way, twice, samples, restart)) in rounds.iter().enumerate() {
            for node in [&kept, &gone] {
                send(node, *way, *twice, round as i64, samples);
            }
            if *restart {
                kept.restart();
                gone.restart();
            }
        }
        let rows = kept.scan();
        let mut want: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        for i in 0..16 {
            let Some(slots) = rows.get(&Tags::from_pairs(original(i)).to_string()) else { continue };
            let mut rolled = Tags::from_pairs(original(i));
            rolled.remove("nf.node");
            let (dstype, combine): (_, fn(f64, f64) -> f64) = match TYPES[i % 4] {
                "gauge" => ("gauge", max_nan),
                _ => ("sum", add_nan),
            };
            rolled.insert("atlas.dstype", dstype);
            let of = want.entry(rolled.to_string()).or_default();
            for (slot, value) in slots {
                let held = of.entry(*slot).or_insert(f64::NAN);
                *held = combine(*held, *value);
            }
        }
        close(&gone.scan(), &want)?;
        let marked = |tags: &str| tags.contains("rollup=node");
        let rolled = rows.into_iter().filter(|(tags, _)| marked(tags));
        let rolled = rolled.map(|(tags, slots)| (tags.replace("rollup=node, ", ""), slots));
        close(&rolled.collect(), &want)?;
    }
}

fn send(node: &Node, way: Way, twice: bool, round: i64, samples: &[(usize, i64, u32)]) {
    let n = round as u64;
    let time = |offset: i64| at(round).plus_millis(offset);
    let datapoints: Vec<_> = samples
        .iter()
        .map(|(i, offset, value)| Datapoint {
            tags: Tags::from_pairs(original(*i)),
            time: time(*offset),
            value: f64::from(*value),
        })
        .collect();
    match way {
        // Amounts without identity add up when they are repeated, as in Atlas: they are sent once.
        Way::Tags => publish(node, &datapoints),
        Way::Identity => {
            for _ in 0..=usize::from(twice) {
                let published = node
                    .router
                    .publish(&datapoints, ClientId([1; 16]), n + 1, NOW);
                published.expect("room");
            }
        }
        Way::Stream => {
            let hello = Hello {
                client: vec![2; 16],
                ..Hello::default()
            };
            for _ in 0..=usize::from(twice) {
                let mut connection =
                    Connection::open(node.router.clone(), &hello).expect("a client");
                // A batch has one time and a series once in it.
                for (k, datapoint) in datapoints.iter().enumerate() {
                    let pairs = datapoint.tags.iter();
                    let symbols: Vec<_> = pairs
                        .flat_map(|(k, v)| [k.to_owned(), v.to_owned()])
                        .collect();
                    let first = 8 * k as u32;
                    let mut batch = Batch {
                        sequence: n * 100 + k as u64 + 1,
                        series: vec![Series {
                            tags: (first..first + symbols.len() as u32).collect(),
                        }],
                        symbols,
                        time_millis: datapoint.time.0,
                        refs: vec![k as u32],
                        values: pack_values(&[datapoint.value]),
                    };
                    let taken = connection.take(&mut batch, NOW).expect("room");
                    assert_eq!(taken.rejects, []);
                }
            }
        }
    }
}

/// The same series, and values that differ by no more than the order of adding explains.
fn close(
    got: &BTreeMap<String, BTreeMap<i64, f64>>,
    want: &BTreeMap<String, BTreeMap<i64, f64>>,
) -> Result<(), TestCaseError> {
    // A counter that was sent once has made a series without a value.
    let with_data = |all: &BTreeMap<String, BTreeMap<i64, f64>>| -> Vec<_> {
        let filled = all.iter().filter(|(_, slots)| !slots.is_empty());
        filled
            .map(|(tags, slots)| (tags.clone(), slots.clone()))
            .collect()
    };
    let (got, want) = (with_data(got), with_data(want));
    prop_assert_eq!(got.len(), want.len(), "{:?} {:?}", got, want);
    for ((tags, slots), (other, expected)) in got.iter().zip(&want) {
        prop_assert_eq!(tags, other);
        prop_assert_eq!(
            slots.len(),
            expected.len(),
            "{}: {:?} {:?}",
            tags,
            slots,
            expected
        );
        for ((slot, value), (_, want)) in slots.iter().zip(expected) {
            let close = (value - want).abs() <= 1e-9 * want.abs().max(1.0);
            prop_assert!(close, "{tags}, slot {slot}: {value}, not {want}");
        }
    }
    Ok(())
}
