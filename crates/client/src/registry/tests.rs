use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use super::*;
use crate::clock::ManualClock;
use crate::measurements::Measurements;
use crate::meter::ValueKind;
use crate::percentile_buckets;

const STEP: Duration = Duration::from_secs(10);

/// A registry whose clock stands at the beginning of step 100.
fn fixture() -> (Registry, Arc<ManualClock>, Measurer) {
    fixture_with(Registry::builder())
}

fn fixture_with(builder: RegistryBuilder) -> (Registry, Arc<ManualClock>, Measurer) {
    let clock = Arc::new(ManualClock::new(1_000_000));
    let registry = builder
        .clock(clock.clone())
        .step(STEP)
        .build()
        .expect("ten seconds are a step");
    let measurer = registry.measurer();
    (registry, clock, measurer)
}

/// Name, statistic and percentile of each series, with its value.
fn table(measurements: &Measurements) -> BTreeMap<String, f64> {
    let label = |series: &Series| {
        let tags = ["name", "statistic", "percentile"];
        let values: Vec<&str> = tags.iter().filter_map(|key| series.tag(key)).collect();
        values.join("/")
    };
    measurements
        .iter()
        .map(|(series, value)| (label(series), value))
        .collect()
}

fn next(clock: &ManualClock, measurer: &mut Measurer) -> BTreeMap<String, f64> {
    clock.advance(STEP);
    table(&measurer.completed().expect("a step is over"))
}

fn expected<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values
        .map(|(label, value)| (label.to_owned(), value))
        .into()
}

#[test]
fn counters_report_rates_and_then_zero() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    counter.add(25);
    counter.increment();
    registry.counter("c").add_f64(0.5);
    for invalid in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0] {
        counter.add_f64(invalid);
    }
    assert_eq!(next(&clock, &mut measurer), expected([("c/count", 2.65)]));
    assert_eq!(next(&clock, &mut measurer), expected([("c/count", 0.0)]));
    assert_eq!(counter.total(), 26.5);
}

#[test]
fn timers_report_seconds() {
    let (registry, clock, mut measurer) = fixture();
    let timer = registry.timer("t");
    timer.record(Duration::from_millis(500));
    timer.record(Duration::from_millis(1500));
    timer.record(Duration::ZERO);
    assert_eq!(
        next(&clock, &mut measurer),
        expected([
            ("t/count", 0.3),
            ("t/max", 1.5),
            ("t/totalOfSquares", 0.25),
            ("t/totalTime", 0.2),
        ])
    );
    let zero = expected([
        ("t/count", 0.0),
        ("t/max", 0.0),
        ("t/totalOfSquares", 0.0),
        ("t/totalTime", 0.0),
    ]);
    assert_eq!(next(&clock, &mut measurer), zero);
}

#[test]
fn running_timers_use_the_clock_of_the_registry() {
    let (registry, clock, mut measurer) = fixture();
    let timer = registry.timer("t");
    let percentiles = registry.percentile_timer("p");
    let running = (timer.start(), percentiles.start());
    let cancelled = timer.start();
    clock.advance(Duration::from_secs(2));
    drop(running);
    cancelled.cancel();
    assert_eq!(timer.time(|| 7), 7);
    assert_eq!(percentiles.time(|| 8), 8);
    let values = next(&clock, &mut measurer);
    assert_eq!(values["t/count"], 0.2);
    assert_eq!(values["t/totalTime"], 0.2);
    assert_eq!(values["p/max"], 2.0);
}

#[test]
fn summaries_count_what_is_below_zero_and_ignore_what_is_not_finite() {
    let (registry, clock, mut measurer) = fixture();
    let summary = registry.distribution_summary("d");
    for amount in [3.0, 4.0, -5.0, f64::NAN, f64::INFINITY] {
        summary.record(amount);
    }
    assert_eq!(
        next(&clock, &mut measurer),
        expected([
            ("d/count", 0.3),
            ("d/max", 4.0),
            ("d/totalAmount", 0.7),
            ("d/totalOfSquares", 2.5),
        ])
    );
}

#[test]
fn gauges_repeat_until_they_age_out() {
    let ttl = Duration::from_secs(30);
    let (registry, clock, mut measurer) = fixture_with(Registry::builder().time_to_live(ttl));
    let gauge = registry.gauge("g");
    assert!(gauge.get().is_nan());
    assert_eq!(next(&clock, &mut measurer), expected([]), "not set yet");
    gauge.set(-7.5);
    for _ in 0..3 {
        assert_eq!(next(&clock, &mut measurer), expected([("g/gauge", -7.5)]));
    }
    assert_eq!(next(&clock, &mut measurer), expected([]), "30 s are over");
    gauge.set(1.0);
    assert_eq!(next(&clock, &mut measurer), expected([("g/gauge", 1.0)]));
    gauge.set(f64::NAN);
    assert_eq!(next(&clock, &mut measurer), expected([]));
}

#[test]
fn max_gauges_report_the_largest_of_a_step_alone() {
    let (registry, clock, mut measurer) = fixture();
    let gauge = registry.max_gauge("m");
    assert_eq!(next(&clock, &mut measurer), expected([]));
    for value in [-3.0, -2.0, f64::NAN, f64::INFINITY, -4.0] {
        gauge.set(value);
    }
    assert_eq!(next(&clock, &mut measurer), expected([("m/max", -2.0)]));
    assert_eq!(next(&clock, &mut measurer), expected([]));
}

#[test]
fn percentile_timers_count_per_bucket_within_their_range() {
    let (registry, clock, mut measurer) = fixture();
    let timer = registry.percentile_timer("p");
    timer.record(Duration::from_micros(1)); // Below the range, whose first bucket is 100 = 0x64.
    timer.record(Duration::from_millis(10));
    timer.record(Duration::from_secs(3600)); // Above the range, whose last bucket is 157 = 0x9D.
    let values = next(&clock, &mut measurer);
    assert_eq!(values["p/percentile/T0064"], 0.2);
    assert_eq!(values["p/percentile/T009D"], 0.1);
    assert_eq!(values["p/max"], 3600.0, "the other series take it as it is");
    assert_eq!(values.len(), 6);

    let narrow = Duration::from_secs(1)..=Duration::from_secs(1);
    registry
        .percentile_timer_in("p1", narrow)
        .record(Duration::from_secs(5));
    let bucket = percentile_buckets::index_of(1_000_000_000);
    let label = format!("p1/percentile/T{bucket:04X}");
    assert_eq!(next(&clock, &mut measurer)[&label], 0.1);
}

#[test]
fn percentile_summaries_count_per_bucket() {
    let (registry, clock, mut measurer) = fixture();
    let summary = registry.percentile_distribution_summary("p");
    for amount in [0.0, 21.9, 25.0, -1.0, f64::NAN, 1e300] {
        summary.record(amount);
    }
    let values = next(&clock, &mut measurer);
    assert_eq!(values["p/count"], 0.5);
    assert_eq!(values["p/percentile/D0000"], 0.1);
    assert_eq!(values["p/percentile/D0010"], 0.2, "from 21 to 26");
    assert_eq!(values["p/percentile/D0113"], 0.1, "the last");
    assert_eq!(values.len(), 4 + 3);
}

#[test]
fn a_timer_and_a_percentile_timer_of_one_id_share_their_series() {
    let (registry, clock, mut measurer) = fixture();
    let timer = registry.timer("t");
    let percentiles = registry.percentile_timer("t");
    timer.record(Duration::from_secs(1));
    percentiles.record(Duration::from_secs(1));
    let values = next(&clock, &mut measurer);
    assert_eq!(values["t/count"], 0.2);
    let buckets = values.iter().filter(|(label, _)| label.contains("/T"));
    assert_eq!(buckets.map(|(_, value)| value).sum::<f64>(), 0.1);
    assert_eq!(registry.meter_count(), 1);
}

#[test]
fn idle_meters_vanish_and_come_back() {
    let (registry, clock, mut measurer) = fixture();
    let kept = registry.counter("kept");
    registry.counter("lost").increment();
    kept.increment();
    for step in 0..90 {
        let values = next(&clock, &mut measurer);
        assert_eq!(values.len(), 2, "15 min aren't over after step {step}");
    }
    assert_eq!(next(&clock, &mut measurer), expected([]));
    assert_eq!(registry.meter_count(), 1, "one is held");
    kept.add(10);
    assert_eq!(next(&clock, &mut measurer), expected([("kept/count", 1.0)]));
    assert_eq!(kept.total(), 11.0);
    assert_eq!(registry.counter("lost").total(), 0.0);
}

#[test]
fn idle_buckets_vanish_on_their_own() {
    let ttl = Duration::from_secs(20);
    let (registry, clock, mut measurer) = fixture_with(Registry::builder().time_to_live(ttl));
    let timer = registry.percentile_timer("p");
    timer.record(Duration::from_secs(1));
    next(&clock, &mut measurer);
    timer.record(Duration::from_secs(2));
    assert_eq!(next(&clock, &mut measurer).len(), 6);
    timer.record(Duration::from_secs(2));
    assert_eq!(next(&clock, &mut measurer).len(), 5);
}

#[test]
fn series_keep_their_number_and_columns_are_shared() {
    let (registry, clock, mut measurer) = fixture();
    let counters: Vec<Counter> = (0..50)
        .map(|i| registry.counter(("c", [("i", &*format!("{i}"))])))
        .collect();
    let max = registry.max_gauge("m");
    clock.advance(STEP);
    let first = measurer.completed().expect("a step is over");
    counters[7].add(1);
    clock.advance(STEP);
    let second = measurer.completed().expect("a step is over");
    assert!(Arc::ptr_eq(first.series(), second.series()));
    max.set(1.0);
    registry.counter("new").increment();
    clock.advance(STEP);
    let third = measurer.completed().expect("a step is over");
    assert_eq!(third.values().len(), 52);
    for series in second.series().iter() {
        assert!(
            third
                .series()
                .iter()
                .any(|other| Arc::ptr_eq(series, other))
        );
    }
    let mut numbers: Vec<u64> = third.series().iter().map(|series| series.index()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..52).collect::<Vec<u64>>());
    assert_eq!(third.time_millis(), 1_030_000);
}

#[test]
fn each_step_is_measured_once() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    counter.add(10);
    assert!(measurer.completed().is_none(), "no step is over");
    clock.advance(STEP);
    assert!(measurer.completed().is_some());
    assert!(measurer.completed().is_none());
    clock.advance(STEP * 3);
    let later = measurer.completed().expect("a step is over");
    assert_eq!(later.skipped_steps(), 2);
    assert_eq!(later.time_millis(), 1_040_000);
    assert_eq!(later.values(), [0.0]);
    assert_eq!(counter.total(), 10.0);
}

#[test]
fn a_step_that_has_ended_comes_before_the_partial_one() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    counter.add(10);
    clock.advance(STEP);
    counter.add(20);
    let values = |m: Option<Measurements>| m.map(|m| m.values().to_vec());
    assert_eq!(values(measurer.partial()), Some(vec![1.0]));
    assert_eq!(values(measurer.partial()), Some(vec![2.0]));
    assert_eq!(values(measurer.partial()), None);
}

#[test]
fn a_partial_step_leaves_the_rest_to_the_next() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    counter.add(10);
    let partial = measurer.partial().expect("the step is under way");
    assert_eq!(
        (partial.values(), partial.time_millis()),
        (&[1.0][..], 1_010_000)
    );
    assert!(measurer.partial().is_none());
    counter.add(20);
    clock.advance(STEP);
    assert!(measurer.completed().is_none(), "it was measured as a part");
    counter.add(30);
    assert_eq!(next(&clock, &mut measurer), expected([("c/count", 5.0)]));
}

#[test]
fn a_clock_that_is_set_back_does_not_silence_the_registry() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    clock.set_millis(50_000_000);
    counter.add(1);
    next(&clock, &mut measurer);
    clock.set_millis(2_000_000);
    assert!(measurer.completed().is_none());
    counter.add(10);
    assert_eq!(next(&clock, &mut measurer), expected([("c/count", 1.0)]));
}

#[test]
fn tags_are_those_of_the_id_and_common_ones() {
    let builder = Registry::builder()
        .common_tags_from(|name| match name {
            "NETFLIX_APP" => Some("from env".to_owned()),
            "NETFLIX_CLUSTER" => Some(String::new()),
            "EC2_OWNER_ID" => Some("42".to_owned()),
            _ => None,
        })
        .common_tag("nf.node", "i-1")
        .common_tag("nf.node", "i-2")
        .common_tag("nf.zone", "z")
        .without_common_tag("nf.zone");
    let (registry, clock, mut measurer) = fixture_with(builder);
    registry.counter(("c", [("path", "/a b")])).increment();
    clock.advance(STEP);
    let measurements = measurer.completed().expect("a step is over");
    let tags: BTreeMap<&str, &str> = measurements.series()[0].tags().collect();
    let expected = [
        ("atlas.dstype", "rate"),
        ("name", "c"),
        ("nf.account", "42"),
        ("nf.app", "from_env"),
        ("nf.node", "i-2"),
        ("path", "_a_b"),
        ("statistic", "count"),
    ];
    assert_eq!(tags, BTreeMap::from(expected));
}

#[test]
fn too_many_meters_and_other_kinds_are_refused_and_counted() {
    let (registry, clock, mut measurer) = fixture_with(Registry::builder().max_meters(2));
    registry.counter("a").increment();
    registry.gauge("b").set(1.0);
    registry.counter("c").increment();
    registry.timer("d").record(STEP);
    registry.timer("d").time(|| ());
    registry.percentile_timer("d").time(|| ());
    registry.gauge("a").set(1.0);
    registry.counter("a").increment();
    assert_eq!(registry.counter("c").total(), 0.0);
    let refused = |reason| {
        let tags = [("id", "refused"), ("reason", reason)];
        registry.counter(("hesper.client.meters", tags)).total()
    };
    assert_eq!(refused("too-many"), 5.0);
    assert_eq!(refused("other-kind"), 1.0);
    let values = next(&clock, &mut measurer);
    assert_eq!(values["a/count"], 0.2);
    assert_eq!(values["b/gauge"], 1.0);
    assert!(!values.contains_key("c/count"));
}

#[test]
fn polled_gauges_of_one_id_are_added_up() {
    let (registry, clock, mut measurer) = fixture();
    let first = registry.polled_gauge("g", || 2.0);
    registry.polled_gauge("g", || 3.0);
    registry.polled_gauge("g", || f64::NAN);
    registry.polled_gauge("nothing", || f64::NAN);
    assert_eq!(next(&clock, &mut measurer), expected([("g/gauge", 5.0)]));
    first.stop();
    assert_eq!(next(&clock, &mut measurer), expected([("g/gauge", 3.0)]));
}

#[test]
fn polled_counters_report_increases() {
    let (registry, clock, mut measurer) = fixture();
    let total = Arc::new(AtomicU64::new(1000));
    let asked = total.clone();
    registry.polled_monotonic_counter("c", move || asked.load(Ordering::Relaxed) as f64);
    total.fetch_add(50, Ordering::Relaxed);
    registry.poll();
    assert_eq!(next(&clock, &mut measurer)["c/count"], 5.0);
    // The one that counts was started again.
    total.store(20, Ordering::Relaxed);
    registry.poll();
    total.store(50, Ordering::Relaxed);
    registry.poll();
    assert_eq!(next(&clock, &mut measurer)["c/count"], 3.0);
}

#[test]
fn a_polled_meter_that_panics_is_not_asked_again() {
    let (registry, clock, mut measurer) = fixture();
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    registry.polled_gauge("bad", move || {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("as planned");
    });
    registry.polled_gauge("good", || 1.0);
    for _ in 0..3 {
        assert_eq!(next(&clock, &mut measurer), expected([("good/gauge", 1.0)]));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn current_values_are_totals_and_gauges() {
    let (registry, clock, mut measurer) = fixture();
    let counter = registry.counter("c");
    let timer = registry.percentile_timer("t");
    registry.gauge("g").set(4.0);
    registry.max_gauge("m").set(5.0);
    let read = || -> BTreeMap<String, (ValueKind, f64)> {
        let values = registry.current_values();
        let label = |value: &CurrentValue| {
            let tag = |key| value.series().tag(key).unwrap_or_default();
            format!("{}/{}", tag("name"), tag("statistic"))
        };
        let entry = |value: &CurrentValue| (label(value), (value.kind(), value.value()));
        values.iter().map(entry).collect()
    };
    for _ in 0..3 {
        counter.add(5);
        timer.record(Duration::from_secs(2));
        next(&clock, &mut measurer);
    }
    counter.add(1);
    let values = read();
    assert_eq!(values["c/count"], (ValueKind::Total, 16.0));
    assert_eq!(values["t/count"], (ValueKind::Total, 3.0));
    assert_eq!(values["t/totalTime"], (ValueKind::Total, 6.0));
    assert_eq!(values["t/totalOfSquares"], (ValueKind::Total, 12.0));
    assert_eq!(values["t/percentile"], (ValueKind::Total, 3.0));
    assert_eq!(values["t/max"], (ValueKind::Gauge, 2.0));
    assert_eq!(values["g/gauge"], (ValueKind::Gauge, 4.0));
    assert!(!values.contains_key("m/max"), "it was set three steps ago");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(read()["c/count"], (ValueKind::Total, 16.0));
    assert!(!read().contains_key("g/gauge"), "it aged out");
}

#[test]
fn recording_from_many_threads_loses_nothing() {
    let (registry, clock, mut measurer) = fixture();
    let rounds = 20;
    let barrier = Barrier::new(4);
    let mut counted = 0.0;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..rounds {
                    barrier.wait();
                    for i in 0..1_000 {
                        registry.counter("c").increment();
                        let took = Duration::from_millis(10 + i * round);
                        registry.percentile_timer("t").record(took);
                    }
                }
            });
        }
        // A step ends in the middle of each round.
        for _ in 0..rounds {
            barrier.wait();
            let values = next(&clock, &mut measurer);
            counted += values.get("c/count").unwrap_or(&0.0) * 10.0;
        }
    });
    counted += next(&clock, &mut measurer)["c/count"] * 10.0;
    assert_eq!(counted.round(), 60_000.0);
    let values = registry.current_values();
    let total: f64 = values
        .iter()
        .filter(|value| value.series().tag("statistic") == Some("percentile"))
        .map(|value| value.value())
        .sum();
    assert_eq!(total, 60_000.0);
}
