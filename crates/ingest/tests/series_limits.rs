//! Limits on series: what is refused and why, what overflows, that counts go down again, and that a limit holds.

#[path = "support/node.rs"]
mod node;

use std::sync::atomic::{AtomicU64, Ordering};

use hesper_hot::log::record::ClientId;
use hesper_ingest::cardinality::{By, Order};
use hesper_ingest::proto::{Batch, Hello, LoadRequest, LoadSeries, Series};
use hesper_ingest::router::{Datapoint, Published};
use hesper_ingest::series_limits::{OverflowRule, SeriesLimitSettings};
use hesper_ingest::stream::{Connection, pack_values};
use hesper_ingest::{IngestSettings, Reason, Router};
use hesper_model::validation::Limits;
use hesper_model::{Tags, Timestamp};
use node::{NOW, Node, STEP};

fn node(series_limits: SeriesLimitSettings) -> Node {
    Node::new(IngestSettings {
        series_limits,
        ..IngestSettings::default()
    })
}

fn per_name(limit: u64) -> SeriesLimitSettings {
    SeriesLimitSettings {
        max_series_per_name: Some(limit),
        ..SeriesLimitSettings::default()
    }
}

fn tags(name: &str, app: &str, request: usize) -> Tags {
    Tags::from_pairs([
        ("name", name.to_owned()),
        ("nf.app", app.to_owned()),
        ("request", format!("r{request}")),
        ("zone", format!("z{}", request % 3)),
    ])
}

fn send(node: &Node, tags: Tags, now: Timestamp) -> Published {
    let datapoint = Datapoint {
        tags,
        time: NOW,
        value: 1.0,
    };
    let published = node.router.publish(&[datapoint], ClientId::NONE, 0, now);
    published.expect("room")
}

#[test]
fn the_message_names_the_tag_that_exploded() {
    let node = node(per_name(10));
    for i in 0..10 {
        assert_eq!(send(&node, tags("calls", "api", i), NOW).accepted, 1);
    }
    // Others have room, and what is known goes on.
    assert_eq!(send(&node, tags("other", "api", 0), NOW).accepted, 1);
    assert_eq!(send(&node, tags("calls", "api", 3), NOW).accepted, 1);
    let published = send(&node, tags("calls", "api", 10), NOW);
    let refused = &published.refused[0];
    assert_eq!(refused.reason, Reason::NameLimit);
    assert_eq!(
        refused.message,
        "the name 'calls' has 10 series, its limit (max-series-per-name); the tag 'request' has 11 different values among the new series: publish it without that tag, or roll the tag up, or raise the limit"
    );
    assert_eq!(node.refused(Reason::NameLimit), 1);
    assert_eq!(node.router.store().series_count(), 11);
}

#[test]
fn apps_and_the_store_have_limits_of_their_own() {
    let node = node(SeriesLimitSettings {
        max_series: Some(6),
        max_series_per_app: Some(4),
        ..SeriesLimitSettings::default()
    });
    for i in 0..4 {
        assert_eq!(send(&node, tags("calls", "api", i), NOW).accepted, 1);
    }
    let refused = send(&node, tags("more", "api", 0), NOW).refused;
    assert_eq!(refused[0].reason, Reason::AppLimit);
    assert!(refused[0].message.contains("the app 'api' has 4 series"));
    for i in 0..2 {
        assert_eq!(send(&node, tags("calls", "www", i), NOW).accepted, 1);
    }
    let refused = send(&node, tags("calls", "www", 2), NOW).refused;
    assert_eq!(refused[0].reason, Reason::SeriesLimit);
    assert!(refused[0].message.contains("--max-series"), "{refused:?}");
    // A series without an app counts in none.
    let node = self::node(SeriesLimitSettings {
        max_series_per_app: Some(0),
        ..SeriesLimitSettings::default()
    });
    let none = Tags::from_pairs([("name", "calls")]);
    assert_eq!(send(&node, none, NOW).accepted, 1);
}

#[test]
fn what_is_let_go_makes_room() {
    let node = node(per_name(2));
    for i in 0..2 {
        send(&node, tags("calls", "api", i), NOW);
    }
    assert_eq!(send(&node, tags("calls", "api", 2), NOW).accepted, 0);
    node.let_all_go();
    for i in 2..4 {
        assert_eq!(send(&node, tags("calls", "api", i), NOW).accepted, 1);
    }
    assert_eq!(send(&node, tags("calls", "api", 5), NOW).accepted, 0);
    assert_eq!(node.router.cardinality().series(), 2);
}

#[test]
fn a_restart_counts_what_is_there() {
    let mut node = node(per_name(2));
    for i in 0..2 {
        send(&node, tags("calls", "api", i), NOW);
    }
    node.restart();
    assert_eq!(send(&node, tags("calls", "api", 2), NOW).accepted, 0);
    assert_eq!(send(&node, tags("calls", "api", 1), NOW).accepted, 1);
    let report = node
        .router
        .cardinality()
        .report(By::Name, Order::Series, 10);
    assert_eq!(report.rows[0].counts.series, 2);
}

#[test]
fn a_rule_rolls_the_tag_up_at_the_limit() {
    let mut limits = per_name(30);
    limits.overflow = vec![OverflowRule {
        query: "name,calls,:eq".to_owned(),
        tag: "request".to_owned(),
    }];
    let node = node(limits);
    for i in 0..100 {
        assert_eq!(send(&node, tags("calls", "api", i), NOW).accepted, 1);
    }
    let store = node.router.store();
    // Thirty of their own, and one for each of the three zones.
    assert_eq!(store.series_count(), 33);
    let rolled = |zone| {
        node.slots(&[
            ("atlas.dstype", "sum"),
            ("name", "calls"),
            ("nf.app", "api"),
            ("request", "--auto-rollup--"),
            ("zone", zone),
        ])
    };
    assert_eq!(rolled("z0"), [(0, 24.0)].into());
    assert_eq!(rolled("z1"), [(0, 23.0)].into());
    // They may pass the limit by a tenth, which is used up.
    let mut elsewhere = tags("calls", "api", 100);
    elsewhere.insert("zone", "z3");
    let refused = send(&node, elsewhere, NOW).refused;
    assert_eq!(refused[0].reason, Reason::NameLimit);
    assert_eq!(send(&node, tags("others", "api", 1), NOW).accepted, 1);
}

#[test]
fn overflow_rules_without_sense_are_refused() {
    let refused = |query: &str, tag: &str| {
        let settings = IngestSettings {
            series_limits: SeriesLimitSettings {
                overflow: vec![OverflowRule {
                    query: query.to_owned(),
                    tag: tag.to_owned(),
                }],
                ..SeriesLimitSettings::default()
            },
            ..IngestSettings::default()
        };
        let node = Node::new(IngestSettings::default());
        let store = node.router.store().clone();
        let router = Router::with_settings(store, Limits::default(), &settings);
        router.err().expect("no sense").to_string()
    };
    assert!(refused("name,x", "node").contains("series-limits.overflow.query"));
    assert!(refused("name,x,:eq", "name").contains("'name'"));
}

#[test]
fn new_series_come_at_a_rate() {
    let node = node(SeriesLimitSettings {
        max_new_series_per_second: Some(10),
        new_series_burst: Some(20),
        ..SeriesLimitSettings::default()
    });
    let accepted = |from: usize, now: Timestamp| -> u64 {
        let all = (from..from + 100).map(|i| send(&node, tags("calls", "api", i), now).accepted);
        all.sum()
    };
    assert_eq!(accepted(0, NOW), 20);
    assert_eq!(accepted(100, NOW.plus_millis(1_500)), 15);
    // What is known is not held up.
    assert_eq!(accepted(0, NOW.plus_millis(1_500)), 20);
    assert_eq!(node.refused(Reason::NewSeriesRate), 80 + 85 + 80);
    let load = LoadRequest {
        series: vec![LoadSeries {
            tags: [("name".to_owned(), "old".to_owned())].into(),
            start_millis: NOW.0,
            step_millis: STEP.millis(),
            values: vec![1.0],
        }],
        ..LoadRequest::default()
    };
    let checked = node.router.check_load(load).expect("a tenant");
    let later = NOW.plus_millis(1_500);
    let loaded = node.router.load(&checked.rows, later).expect("room");
    assert_eq!(loaded.datapoints, 1, "back-fill is not held up by the rate");
}

#[test]
fn a_connection_looks_again_at_what_was_refused() {
    let node = node(SeriesLimitSettings {
        max_new_series_per_second: Some(1),
        new_series_burst: Some(1),
        ..SeriesLimitSettings::default()
    });
    let hello = Hello {
        client: vec![1; 16],
        ..Hello::default()
    };
    let mut connection = Connection::open(node.router.clone(), &hello).expect("a client");
    let names = ["name", "aa", "bb", "cc"].map(str::to_owned);
    let mut batch = Batch {
        sequence: 1,
        symbols: names.into(),
        series: (1..4).map(|v| Series { tags: vec![0, v] }).collect(),
        time_millis: NOW.0,
        refs: vec![0, 1, 2],
        values: pack_values(&[1.0; 3]),
    };
    let mut rejected = Vec::new();
    for seconds in [0, 0, 1, 2] {
        let taken = connection.take(&mut batch, NOW.plus_millis(seconds * 1_000));
        rejected.push(taken.expect("room").rejects.len());
        batch.sequence += 1;
        batch.refs = Vec::new();
        batch.symbols.clear();
        batch.series.clear();
        batch.values = pack_values(&[1.0; 3]);
    }
    assert_eq!(rejected, [2, 2, 1, 0]);
}

#[test]
fn a_limit_holds_however_many_come_at_once() {
    let node = node(per_name(50));
    let accepted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (node, accepted) = (&node, &accepted);
            scope.spawn(move || {
                for i in 0..100 {
                    // Half of them are sent by every thread.
                    let request = if i % 2 == 0 { i } else { i + thread * 1_000 };
                    let sent = send(node, tags("calls", "api", request), NOW);
                    accepted.fetch_add(sent.accepted, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(node.router.store().series_count(), 50);
    let census = node.router.cardinality();
    assert_eq!(census.series(), 50);
    let datapoints = census
        .report(By::Key, Order::Datapoints, 1)
        .total
        .datapoints;
    assert_eq!(datapoints, accepted.load(Ordering::Relaxed));
}

#[test]
fn the_settings_have_the_names_of_the_file() {
    let text = r#"{
        "series-limits": {
            "max-series": 5, "max-series-per-name": 4, "max-series-per-app": 3,
            "max-new-series-per-second": 2, "new-series-burst": 1,
            "overflow": [{"query": ":true", "tag": "nf.node"}]
        },
        "roll-ups": [{"query": ":true", "drop": ["nf.node"], "keep-original": true, "add": {"rollup": "node"}}]
    }"#;
    let settings: IngestSettings = serde_json::from_str(text).expect("valid");
    assert_eq!(settings.series_limits.new_series_burst, Some(1));
    assert!(settings.roll_ups[0].keep_original);
    let again = serde_json::to_string(&settings).expect("writable");
    let again: IngestSettings = serde_json::from_str(&again).expect("its own");
    assert_eq!(again, settings);
}
