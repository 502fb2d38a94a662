//! The rules in `deploy/rules` against a fleet: www calls search and reviews, which is called by www and mobile.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use hesper_alert::phase::State;
use hesper_alert::{AlertRunner, RuleSet, Severity};
use hesper_client::percentile_buckets;
use hesper_model::{Step, Timestamp};
use hesper_query::QueryLimits;

use crate::node::Node;

fn rules() -> RuleSet {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/rules");
    RuleSet::load(&directory, hesper_stack::Vocabulary::full()).unwrap_or_else(|e| panic!("{e}"))
}

const MINUTES: i64 = 60;
const INCIDENT: Range<i64> = 35..47;

/// What goes wrong from minute 35 to 47.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Incident {
    Nothing,
    /// Calls to search take a second.
    Slow,
    /// A tenth of what mobile calls fails.
    Errors,
    /// One call to reviews in thirty times out.
    Timeouts,
    /// A quarter of the calls to search is served by a fallback.
    Failover,
    /// Half of the streams do not start.
    FewerStreams,
    /// No client reports anything any more.
    NoStreams,
    /// All of it, but on purpose.
    Injected,
    /// All of it, but it happens to one call in ten minutes.
    Few,
}

struct Fleet<'a> {
    node: &'a Node,
    incident: Incident,
}

impl Fleet<'_> {
    fn slots_per_minute(&self) -> i64 {
        60_000 / self.node.step.millis()
    }

    /// Writes a series that has one value in good times and another in the incident, with a bit of noise.
    fn series(&self, tags: &[(&str, &str)], good: f64, bad: f64) {
        let first = 60;
        let slots = MINUTES * self.slots_per_minute();
        let values: Vec<f64> = (0..slots)
            .map(|i| {
                let noise = 1.0 + 0.05 * ((i * 7) % 5 - 2) as f64 / 2.0;
                let minute = i / self.slots_per_minute();
                noise
                    * if INCIDENT.contains(&minute) {
                        bad
                    } else {
                        good
                    }
            })
            .collect();
        self.node.load(tags, first, &values);
    }

    /// Calls per second of a kind, with the statistics that a percentile timer has.
    fn calls(&self, tags: &[(&str, &str)], latency_secs: f64, good: f64, bad: f64) {
        let series = |statistic: &[(&str, &str)], factor: f64| {
            let all: Vec<_> = tags.iter().chain(statistic).copied().collect();
            self.series(&all, good * factor, bad * factor);
        };
        series(&[("statistic", "count")], 1.0);
        series(&[("statistic", "totalTime")], latency_secs);
        series(
            &[("statistic", "totalOfSquares")],
            latency_secs * latency_secs,
        );
        let bucket = percentile_buckets::index_of_f64(latency_secs * 1e9);
        let bucket = format!("T{bucket:04X}");
        series(&[("statistic", "percentile"), ("percentile", &bucket)], 1.0);
    }

    fn write(&self) {
        let is = |incident: Incident| self.incident == incident;
        let good = [("ipc.result", "success"), ("ipc.status", "success")];
        let timeout = [("ipc.result", "failure"), ("ipc.status", "timeout")];
        let error = [
            ("ipc.result", "failure"),
            ("ipc.status", "unexpected_error"),
        ];
        let fallback = [("ipc.source", "fallback")];
        let injected = [("ipc.failure.injected", "delay_and_failure")];
        for (app, rate) in [("search", 100.0), ("reviews", 30.0)] {
            let call = [
                ("name", "ipc.client.call"),
                ("nf.app", "www"),
                ("ipc.server.app", app),
            ];
            let calls = |kind: &[&[(&str, &str)]], latency_secs: f64, good: f64, bad: f64| {
                let tags: Vec<_> = [&call[..], &kind.concat()].concat();
                self.calls(&tags, latency_secs, good, bad);
            };
            let slow = is(Incident::Slow) && app == "search";
            calls(&[&good], 0.02, rate, if slow { rate / 2.0 } else { rate });
            calls(
                &[&good, &[("ipc.failure.injected", "none")]],
                0.02,
                1.0,
                1.0,
            );
            calls(
                &[&good, &[("http.status", "200")]],
                1.0,
                0.0,
                if slow { rate / 2.0 } else { 0.0 },
            );
            let timeouts = is(Incident::Timeouts) && app == "reviews";
            calls(
                &[&timeout],
                0.3,
                0.01,
                if timeouts { rate / 30.0 } else { 0.01 },
            );
            let failover = is(Incident::Failover) && app == "search";
            if failover {
                calls(&[&good, &fallback], 0.05, f64::NAN, rate / 3.0);
            }
            if is(Incident::Injected) {
                calls(&[&timeout, &fallback, &injected], 2.0, 0.0, rate);
            }
        }
        for (app, rate) in [("www", 100.0), ("mobile", 40.0)] {
            let call = [
                ("name", "ipc.server.call"),
                ("nf.app", "reviews"),
                ("ipc.client.app", app),
            ];
            let calls = |kind: &[&[(&str, &str)]], good: f64, bad: f64| {
                let tags: Vec<_> = [&call[..], &kind.concat()].concat();
                self.calls(&tags, 0.01, good, bad);
            };
            calls(&[&good], rate, rate);
            let errors = is(Incident::Errors) && app == "mobile";
            calls(&[&error], 0.02, if errors { rate / 9.0 } else { 0.02 });
            if is(Incident::Injected) {
                calls(&[&error, &injected], 0.0, rate);
            }
        }
        if is(Incident::Few) {
            let client = [("name", "ipc.client.call"), ("ipc.server.app", "rare")];
            let server = [("name", "ipc.server.call"), ("ipc.client.app", "rare")];
            let rate = 1.0 / 600.0;
            self.calls(
                &[&client[..], &timeout, &fallback].concat(),
                3.0,
                rate,
                rate,
            );
            self.calls(&[&server[..], &error].concat(), 3.0, rate, rate);
        }
        for device in ["tv", "phone"] {
            let streams = match self.incident {
                Incident::FewerStreams => 25.0,
                Incident::NoStreams => f64::NAN,
                _ => 50.0,
            };
            self.series(
                &[("name", "sps"), ("device", device), ("statistic", "count")],
                50.0,
                streams,
            );
        }
    }
}

/// The alerts that fire over the hour, in the incident and never without, and are over at its end.
async fn alerts(step: Step, incident: Incident) -> BTreeSet<String> {
    let node = Node::new(step).await;
    let fleet = Fleet {
        node: &node,
        incident,
    };
    fleet.write();
    let engine = node.engine(QueryLimits::default());
    let clock = Arc::new(|| Timestamp(0));
    let runner = AlertRunner::new(engine, rules(), None, clock).expect("rules that fit");
    let mut fired = BTreeSet::new();
    for slot in 60..60 + MINUTES * fleet.slots_per_minute() {
        let transitions = runner.evaluate_at(node.time(slot)).await;
        for t in transitions.expect("a later time") {
            let minute = (slot - 60) / fleet.slots_per_minute();
            if t.to == State::Firing {
                assert!(INCIDENT.contains(&minute), "minute {minute}: {t:?}");
                assert!(
                    minute <= INCIDENT.start + 3,
                    "late, in minute {minute}: {t:?}"
                );
                assert!(fired.insert(t.summary.clone()), "twice: {t:?}");
            }
            if t.to == State::Resolved {
                assert!(minute >= INCIDENT.end, "early, in minute {minute}: {t:?}");
                assert!(
                    minute <= INCIDENT.end + 4,
                    "late, in minute {minute}: {t:?}"
                );
            }
        }
    }
    let status = runner.status();
    let errors: Vec<_> = status
        .rules
        .iter()
        .filter_map(|r| r.last_error.as_ref())
        .collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(status.firing, 0, "at the end");
    fired
}

async fn check(incident: Incident, expected: &[&str]) {
    for step in [Step::from_secs(5), Step::from_secs(60)] {
        let fired = alerts(step, incident).await;
        let fired: Vec<_> = fired.iter().map(String::as_str).collect();
        assert_eq!(fired, expected, "{incident:?} at {step:?}");
    }
}

#[test]
fn they_say_whom_they_wake_and_why() {
    let rules = rules();
    let names: Vec<_> = rules.rules().iter().map(|r| r.name()).collect();
    assert_eq!(
        names,
        [
            "downstream-latency-p99",
            "upstream-error-rate",
            "downstream-timeouts",
            "failover",
            "streams-fell"
        ]
    );
    for rule in rules.rules() {
        let definition = rule.definition();
        assert!(definition.summary.is_some() && !definition.labels.is_empty());
        assert_eq!(
            definition.severity == Severity::Ticket,
            rule.name() == "failover"
        );
        for step in [5, 60] {
            rule.check_step(Step::from_secs(step)).expect("it fits");
        }
    }
}

#[tokio::test]
async fn in_good_times_nothing_fires() {
    check(Incident::Nothing, &[]).await;
}

#[tokio::test]
async fn slow_calls_fire() {
    let summary = "Calls to search are slow, the slowest in a hundred take more than half a second";
    check(Incident::Slow, &[summary]).await;
}

#[tokio::test]
async fn failing_calls_fire() {
    let summary = "More than 5 % of the calls that come from mobile fail";
    check(Incident::Errors, &[summary]).await;
}

#[tokio::test]
async fn calls_that_time_out_fire() {
    let summary = "More than 1 % of the calls to reviews time out";
    check(Incident::Timeouts, &[summary]).await;
}

#[tokio::test]
async fn calls_that_fail_over_fire() {
    let summary = "More than 10 % of the calls to search are served by a fallback";
    check(Incident::Failover, &[summary]).await;
}

#[tokio::test]
async fn streams_that_do_not_start_fire() {
    let summary = "Fewer streams start than some minutes ago, by 30 % or more";
    check(Incident::FewerStreams, &[summary]).await;
    check(Incident::NoStreams, &[summary]).await;
}

#[tokio::test]
async fn what_is_injected_or_rare_does_not_fire() {
    check(Incident::Injected, &[]).await;
    check(Incident::Few, &[]).await;
}
