use std::collections::BTreeMap;

use hesper_client::ManualClock;
use hesper_client::meter::ValueKind;

use super::*;

const STEP: Duration = Duration::from_secs(5);

const QUIET: Timetable = Timetable {
    first: Duration::MAX,
    lasts: Duration::ZERO,
    quiet: Duration::ZERO,
};

/// The first incident, all the time.
const SLOW: Timetable = Timetable {
    first: Duration::ZERO,
    lasts: Duration::from_secs(1_000_000),
    quiet: Duration::ZERO,
};

/// A fleet that has lived for so long.
fn lived(timetable: Timetable, seed: u64, secs: u64) -> Fleet {
    let manual = Arc::new(ManualClock::new(1_767_600_000_000));
    let clock: Arc<dyn Clock> = manual.clone();
    let mut fleet = Fleet::new(STEP, &clock, timetable, seed).expect("a step");
    let tick = Duration::from_millis(100);
    for ticks in 1..=secs * 10 {
        manual.advance(tick);
        fleet.advance(tick * ticks as u32);
    }
    fleet
}

/// The totals that the registries have, of a metric and a statistic, by a tag.
fn registered(fleet: &Fleet, name: &str, statistic: &str, key: &str) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for (_, registry) in fleet.registries() {
        for value in registry.current_values() {
            let series = value.series();
            let is = |key, wanted| series.tag(key) == Some(wanted);
            if is("name", name) && is("statistic", statistic) && value.kind() == ValueKind::Total {
                let group = series.tag(key).unwrap_or_default().to_owned();
                *sums.entry(group).or_default() += value.value();
            }
        }
    }
    sums
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}

fn calls(of: &BTreeMap<(App, &'static str), u64>, app: App, status: &'static str) -> u64 {
    of.get(&(app, status)).copied().unwrap_or(0)
}

#[test]
fn a_seed_gives_the_same_fleet_each_time() {
    let totals = |seed| lived(QUIET, seed, 20).totals().clone();
    assert_eq!(totals(7), totals(7));
    assert_ne!(totals(7), totals(8));
}

#[test]
fn it_does_not_matter_how_time_is_cut_up() {
    let manual: Arc<dyn Clock> = Arc::new(ManualClock::new(0));
    let mut fleet = Fleet::new(STEP, &manual, QUIET, 7).expect("a step");
    fleet.advance(Duration::from_secs(20));
    assert_eq!(fleet.totals(), lived(QUIET, 7, 20).totals());
}

#[test]
fn totals_are_those_of_the_registries() {
    let fleet = lived(SLOW, 1, 60);
    for expected in fleet.totals().expectations() {
        let [name, statistic] = match expected.what {
            "streams started" => ["sps", "count"],
            "calls of clients, by server" | "calls of clients, by status" => {
                ["ipc.client.call", "count"]
            }
            "calls in the buckets of percentiles, by server" => ["ipc.client.call", "percentile"],
            "seconds that clients waited, by server" => ["ipc.client.call", "totalTime"],
            "calls of servers, by app" | "calls of servers, by status" => {
                ["ipc.server.call", "count"]
            }
            "calls answered by a fallback" => {
                let by_source = registered(&fleet, "ipc.client.call", "count", "ipc.source");
                assert_eq!(by_source["fallback"], expected.totals[""]);
                continue;
            }
            other => panic!("nothing is known of {other}"),
        };
        let found = registered(&fleet, name, statistic, expected.key.unwrap_or("none"));
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.totals.keys().collect::<Vec<_>>(),
            "{}",
            expected.what
        );
        for (group, total) in &expected.totals {
            let off = (found[group] - total).abs();
            assert!(off <= 1e-9 * total, "{} {group}: {off}", expected.what);
        }
    }
}

#[test]
fn on_an_ordinary_day_streams_start() {
    let fleet = lived(QUIET, 1, 120);
    let totals = fleet.totals();
    let requests: u64 = ["success", "unavailable", "unexpected_error"]
        .map(|status| calls(&totals.server_calls, App::Edge, status))
        .iter()
        .sum();
    let rate = requests as f64 / 120.0;
    assert!((120.0..180.0).contains(&rate), "{rate} requests a second");
    assert!(share(totals.streams, requests) > 0.99);
    assert_eq!(calls(&totals.client_calls, App::Ratings, "timeout"), 0);
    let mean =
        totals.client_seconds[&App::Api] / calls(&totals.client_calls, App::Api, "success") as f64;
    assert!((0.03..0.1).contains(&mean), "{mean} s a call of the api");
}

#[test]
fn a_slow_database_is_felt_up_to_the_devices() {
    let (well, slow) = (lived(QUIET, 1, 60), lived(SLOW, 1, 60));
    let (well, slow) = (well.totals(), slow.totals());
    // Who waits for the database waits long, but not for ever.
    let mean = |totals: &Totals| {
        let done = calls(&totals.client_calls, App::Database, "success");
        totals.client_seconds[&App::Database] / done as f64
    };
    assert!(mean(slow) > 20.0 * mean(well));
    // The api gives up, tries again, and falls back.
    let timeouts = calls(&slow.client_calls, App::Ratings, "timeout");
    assert!(
        share(
            timeouts,
            timeouts + calls(&slow.client_calls, App::Ratings, "success")
        ) > 0.5
    );
    assert!(slow.fallbacks > 1000, "{}", slow.fallbacks);
    // The edge sees errors, and streams do not start.
    assert!(calls(&slow.server_calls, App::Api, "unavailable") > 1000);
    let kept = share(slow.streams, well.streams);
    assert!(
        (0.4..0.65).contains(&kept),
        "{kept} of the streams are left"
    );
}

#[test]
fn another_cluster_answers_when_one_fails() {
    // The second incident: the main cluster of ratings fails half of its calls.
    let second = Timetable {
        first: Duration::ZERO,
        lasts: Duration::from_nanos(1),
        quiet: Duration::ZERO,
    };
    let is_second = |at: u64| {
        let (_, incident) = second.at(Duration::from_nanos(at)).expect("all the time");
        matches!(incident, Incident::ClusterFails(c, _) if c.app == App::Ratings)
    };
    assert!(is_second(1));
    let mut fleet = lived(QUIET, 1, 0);
    let incident = second.at(Duration::from_nanos(1)).map(|(_, i)| i);
    let main = |app| Cluster {
        app,
        stack: Stack::Main,
    };
    let api = fleet.node_of(main(App::Api));
    let answered = (0..2000)
        .filter(|_| fleet.serve(api, Some(App::Edge), incident).status == Status::Success)
        .count();
    assert!(answered > 1980, "{answered} of 2000");
    let by_attempt = registered(&fleet, "ipc.client.call", "count", "ipc.attempt");
    assert!(by_attempt["second"] > 800.0, "{by_attempt:?}");
    let by_cluster = registered(&fleet, "ipc.client.call", "count", "ipc.server.cluster");
    assert_eq!(by_cluster["ratings-batch"], by_attempt["second"]);
}

#[test]
fn calls_have_the_tags_of_the_conventions() {
    let fleet = lived(SLOW, 1, 20);
    let common = [
        "nf.app",
        "nf.cluster",
        "nf.asg",
        "nf.node",
        "nf.region",
        "nf.zone",
    ];
    let server = ["owner", "ipc.result", "ipc.status"];
    let client = ["ipc.attempt", "ipc.attempt.final", "ipc.server.app"];
    let mut seen = 0;
    for (_, registry) in fleet.registries() {
        for value in registry.current_values() {
            let series = value.series();
            let required: &[&[&str]] = match series.tag("name") {
                Some("ipc.client.call") => &[&common, &server, &client],
                Some("ipc.server.call") => &[&common, &server],
                _ => continue,
            };
            for key in required.iter().copied().flatten() {
                assert!(series.tag(key).is_some(), "{series} has no {key}");
            }
            let failed = series.tag("ipc.result") == Some("failure");
            assert_eq!(
                failed,
                series.tag("ipc.status") != Some("success"),
                "{series}"
            );
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn there_are_about_1500_series() {
    // The machine and the node itself add some two hundred.
    let shown = Timetable {
        first: Duration::from_secs(45),
        lasts: Duration::from_secs(60),
        quiet: Duration::from_secs(150),
    };
    for (secs, expected) in [(120, 1100..1500), (1200, 1300..1700), (7200, 1400..1800)] {
        let fleet = lived(shown, 1, secs);
        let of = |(_, registry): (String, &Registry)| registry.current_values().len();
        let series: usize = fleet.registries().map(of).sum();
        assert!(expected.contains(&series), "{series} after {secs} s");
    }
}
