//! Remote write against a real store: what comes out, what is refused, what is sent again, and bytes that make no sense.

#[path = "support/node.rs"]
mod node;
#[path = "support/write_request.rs"]
mod write_request;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use hesper_ingest::remote_write::{RemoteWrite, RemoteWriteSettings, RemoteWritten};
use hesper_ingest::series_limits::SeriesLimitSettings;
use hesper_ingest::{IngestError, IngestSettings, Reason};
use hesper_model::Tags;
use node::{NOW, Node, STEP};
use proptest::prelude::*;
use prost::Message;
use write_request::{Label, Sample, TimeSeries, WriteRequest};

const MAX_BYTES: usize = 1 << 20;

/// The mark of a series that ends.
const STALE: u64 = 0x7FF0_0000_0000_0002;

/// A series with samples at so many steps after [`NOW`].
fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    let sample = |(steps, value): &(i64, f64)| Sample {
        value: *value,
        timestamp: NOW.0 + steps * STEP.millis(),
    };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        histograms: Vec::new(),
    }
}

fn pack(request: &[u8]) -> Vec<u8> {
    let mut encoder = snap::raw::Encoder::new();
    encoder.compress_vec(request).expect("far below 4 GiB")
}

fn body(timeseries: Vec<TimeSeries>) -> Vec<u8> {
    let request = WriteRequest {
        timeseries,
        metadata: vec![Label::default()],
    };
    pack(&request.encode_to_vec())
}

struct Remote {
    node: Node,
    write: RemoteWrite,
}

impl Remote {
    fn new(settings: IngestSettings) -> Self {
        let node = Node::new(settings.clone());
        Self {
            write: RemoteWrite::new(node.router.clone(), settings.remote_write),
            node,
        }
    }

    fn take(&self, timeseries: Vec<TimeSeries>) -> RemoteWritten {
        let taken = self.write.take(&body(timeseries), MAX_BYTES, NOW);
        taken.expect("a store with room")
    }
}

#[test]
fn counters_become_rates_and_gauges_stay() {
    let remote = Remote::new(IngestSettings::default());
    let requests: [&[(&str, &str)]; 2] = [
        &[("__name__", "http_requests_total"), ("path", "/a b")],
        &[("__name__", "queue"), ("name", "jobs")],
    ];
    for step in 0..3 {
        let value = f64::from(step as i32);
        let done = remote.take(vec![
            series(requests[0], &[(step, 60.0 * value)]),
            series(requests[1], &[(step, value)]),
        ]);
        assert_eq!((done.accepted, done.status()), (2, 204));
        assert_eq!(done.message(), "");
    }
    let rates = remote.node.slots(&[
        ("atlas.dstype", "counter"),
        ("name", "http_requests_total"),
        ("path", "_a_b"),
    ]);
    assert_eq!(rates, [(1, 1.0), (2, 1.0)].into());
    let gauge = remote.node.slots(&[
        ("atlas.dstype", "gauge"),
        ("exported_name", "jobs"),
        ("name", "queue"),
    ]);
    assert_eq!(gauge, [(0, 0.0), (1, 1.0), (2, 2.0)].into());
}

#[test]
fn several_samples_of_a_series_are_taken_in_order() {
    let remote = Remote::new(IngestSettings::default());
    let labels = [("__name__", "x_total")];
    let samples: Vec<_> = (0..5).map(|i| (i, 60.0 * (i * i) as f64)).collect();
    remote.take(vec![
        series(&labels, &samples[..2]),
        series(&labels, &samples[2..]),
    ]);
    let rates = remote
        .node
        .slots(&[("atlas.dstype", "counter"), ("name", "x_total")]);
    assert_eq!(rates, [(1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)].into());
}

#[test]
fn nan_is_no_data_and_makes_no_series() {
    let remote = Remote::new(IngestSettings::default());
    let stale = f64::from_bits(STALE);
    let done = remote.take(vec![
        series(
            &[("__name__", "ends")],
            &[(0, 1.0), (1, stale), (2, f64::NAN)],
        ),
        series(&[("__name__", "never_was")], &[(0, stale)]),
    ]);
    assert_eq!((done.accepted, done.no_data, done.status()), (1, 3, 204));
    assert_eq!(remote.node.series(), ["atlas.dstype=gauge, name=ends"]);
    let stats = remote.node.router.stats();
    assert_eq!(stats.no_data.load(Ordering::Relaxed), 3);
    assert_eq!(stats.received.load(Ordering::Relaxed), 4);
}

#[test]
fn what_is_wrong_is_refused_and_the_rest_taken() {
    let remote = Remote::new(IngestSettings::default());
    let mut histogram = series(&[("__name__", "native")], &[]);
    histogram.histograms = vec![vec![1, 2, 3], vec![]];
    let long = "v".repeat(121);
    for _ in 0..2 {
        let done = remote.take(vec![
            series(&[("__name__", "good")], &[(0, 1.0), (-2000, 1.0)]),
            series(&[("path", "/")], &[(0, 1.0)]),
            series(
                &[("__name__", "long"), ("path", &long)],
                &[(0, 1.0), (1, 2.0)],
            ),
            histogram.clone(),
        ]);
        assert_eq!((done.accepted, done.status()), (1, 400));
        let refused: BTreeMap<_, _> = done.refused.iter().map(|(r, n)| (r.name(), *n)).collect();
        let want = [
            ("DataTooOld", 1),
            ("HasKeyRule", 1),
            ("NameValueLengthRule", 2),
            ("NativeHistogram", 2),
        ];
        assert_eq!(refused, want.into());
        let message = done.message();
        assert!(
            message.starts_with("6 samples were refused, 1 taken"),
            "{message}"
        );
        assert!(
            message.contains("missing key 'name' (tags: path=_)"),
            "{message}"
        );
        assert!(message.contains("data is too old"), "{message}");
    }
    assert_eq!(remote.node.refused(Reason::NativeHistogram), 4);
    assert_eq!(remote.node.series(), ["atlas.dstype=gauge, name=good"]);
}

#[test]
fn settings_change_what_labels_and_names_mean() {
    let remote = Remote::new(IngestSettings {
        remote_write: RemoteWriteSettings {
            counter_suffixes: vec!["_made".to_owned()],
            rename_labels: [("job".to_owned(), "nf.app".to_owned())].into(),
            ..RemoteWriteSettings::default()
        },
        ..IngestSettings::default()
    });
    remote.take(vec![
        series(&[("__name__", "a_total"), ("job", "api")], &[(0, 1.0)]),
        series(&[("__name__", "a_made")], &[(0, 1.0), (1, 7.0)]),
    ]);
    assert_eq!(
        remote.node.series(),
        [
            "atlas.dstype=counter, name=a_made",
            "atlas.dstype=gauge, name=a_total, nf.app=api"
        ]
    );
}

#[test]
fn more_new_series_than_may_come_is_a_matter_of_time() {
    let remote = Remote::new(IngestSettings {
        series_limits: SeriesLimitSettings {
            max_new_series_per_second: Some(2),
            new_series_burst: Some(2),
            ..SeriesLimitSettings::default()
        },
        ..IngestSettings::default()
    });
    let request = || -> Vec<_> {
        let names = ["aa", "bb", "cc", "dd"];
        names
            .iter()
            .map(|n| series(&[("__name__", n)], &[(0, 1.0)]))
            .collect()
    };
    let first = remote.take(request());
    assert_eq!((first.accepted, first.status()), (2, 429));
    assert!(first.message().contains("max-new-series-per-second"));
    let again = remote
        .write
        .take(&body(request()), MAX_BYTES, NOW.plus_millis(1_000));
    let again = again.expect("room");
    assert_eq!((again.accepted, again.status()), (4, 204));
    assert_eq!(
        remote
            .node
            .slots(&[("atlas.dstype", "gauge"), ("name", "aa")]),
        [(0, 1.0)].into()
    );
    assert_eq!(remote.node.refused(Reason::NewSeriesRate), 2);
}

#[test]
fn what_cannot_be_read_changes_nothing() {
    let remote = Remote::new(IngestSettings::default());
    let good = WriteRequest {
        timeseries: vec![series(&[("__name__", "good")], &[(0, 1.0)])],
        metadata: Vec::new(),
    };
    let good = good.encode_to_vec();
    let packed = pack(&good);
    // A block that says it unpacks to 4 GiB, and one that does unpack to more than may be.
    let claims = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00, 0x00];
    let bomb = pack(&vec![0; MAX_BYTES + 1]);
    // The second of two new series has a label that is no text.
    let mut other = series(&[("__name__", "okay")], &[(0, 1.0)]).encode_to_vec();
    let at = other.iter().position(|b| *b == b'k').expect("a letter");
    other[at] = 0xFF;
    let other = [&good[..], &[0x0A, other.len() as u8], &other[..]].concat();
    let broken: [(&[u8], &str); 8] = [
        (&[], "snappy"),
        (b"hello", "snappy"),
        (&packed[..packed.len() - 1], "snappy"),
        (&claims, "more than"),
        (&bomb, "--max-body-bytes"),
        (&pack(&good[..good.len() - 1]), "cut short"),
        (&pack(&[&good[..], &[0x08, 1]].concat()), "wrong type"),
        (&pack(&other), "not UTF-8"),
    ];
    for (bytes, want) in broken {
        let error = remote.write.take(bytes, MAX_BYTES, NOW).expect_err(want);
        assert!(matches!(error, IngestError::Unreadable(_)), "{error}");
        assert!(error.to_string().contains(want), "{error}");
    }
    let stats = remote.node.router.stats();
    assert_eq!(stats.unreadable.load(Ordering::Relaxed), 8);
    assert_eq!(stats.received.load(Ordering::Relaxed), 0);
    assert!(remote.node.series().is_empty());
}

#[test]
fn a_full_log_is_a_matter_of_time() {
    let node = Node::with(IngestSettings::default(), |o| o.log.buffer_bytes = 10);
    let write = RemoteWrite::new(node.router.clone(), RemoteWriteSettings::default());
    let body = body(vec![series(&[("__name__", "good")], &[(0, 1.0)])]);
    let error = write.take(&body, MAX_BYTES, NOW).expect_err("full");
    assert!(error.is_temporary(), "{error}");
    node.router.store().log().commit().expect("a working disk");
    assert_eq!(write.take(&body, MAX_BYTES, NOW).expect("room").accepted, 1);
}

#[test]
fn series_that_were_let_go_are_found_again() {
    let remote = Remote::new(IngestSettings::default());
    let request = |step| {
        let names = ["aa", "bb"];
        let all = names
            .iter()
            .map(|n| series(&[("__name__", n)], &[(step, 1.0)]));
        all.collect::<Vec<_>>()
    };
    remote.take(request(0));
    remote.node.let_all_go();
    for step in [61, 62] {
        assert_eq!(remote.take(request(step)).accepted, 2);
    }
    assert_eq!(remote.node.router.store().series_count(), 2);
    assert_eq!(remote.write.cached().0, 2);
}

#[test]
fn the_cache_forgets_and_finds_again() {
    let remote = Remote::new(IngestSettings {
        remote_write: RemoteWriteSettings {
            max_cached_series: 8,
            ..RemoteWriteSettings::default()
        },
        ..IngestSettings::default()
    });
    for step in 0..6 {
        // Two fleets in turn, so that each has left the young generation when it comes again.
        let fleet = step % 2;
        let all = (0..5).map(|i| {
            let node = format!("i-{fleet}-{i}");
            series(&[("__name__", "cpu"), ("node", &node)], &[(step, 1.0)])
        });
        assert_eq!(remote.take(all.collect()).accepted, 5);
        assert!(remote.write.cached().0 <= 10, "{:?}", remote.write.cached());
    }
    assert_eq!(remote.node.series().len(), 10);
    assert!(remote.node.scan().values().all(|slots| slots.len() == 3));
    // Much later only what is sent is left.
    let later = NOW.plus_millis(3_600_000);
    let one = body(vec![series(
        &[("__name__", "cpu"), ("node", "i-0-0")],
        &[(60, 1.0)],
    )]);
    for _ in 0..3 {
        remote.write.take(&one, MAX_BYTES, later).expect("room");
    }
    assert!(remote.write.cached().0 <= 6);
}

#[test]
fn senders_at_the_same_time_see_the_same_series() {
    let remote = Remote::new(IngestSettings::default());
    let request = |from: usize, step: i64| {
        let all = (from..from + 200).map(|i| {
            let node = format!("i-{i}");
            series(&[("__name__", "cpu"), ("node", &node)], &[(step, i as f64)])
        });
        body(all.collect())
    };
    std::thread::scope(|scope| {
        for sender in 0..4 {
            let (request, write) = (&request, &remote.write);
            scope.spawn(move || {
                for step in 0..10 {
                    let body = request(sender * 100, step);
                    let done = write.take(&body, MAX_BYTES, NOW).expect("room");
                    assert_eq!(done.accepted, 200);
                }
            });
        }
    });
    let all = remote.node.scan();
    assert_eq!(all.len(), 500);
    for (tags, slots) in all {
        let (_, node) = tags.rsplit_once("i-").expect("a node");
        let want: f64 = node.parse().expect("a number");
        assert_eq!(slots.len(), 10);
        assert!(slots.values().all(|v| *v == want), "{tags}: {slots:?}");
    }
}

#[test]
fn labels_behind_samples_are_read_too() {
    let remote = Remote::new(IngestSettings::default());
    let whole = series(&[("__name__", "cpu"), ("node", "i-1")], &[(0, 1.0)]);
    let begins_alike = series(&[("__name__", "cpu")], &[(0, 5.0)]);
    // Protobuf lets a message come in parts, whose lists are put together.
    let (mut first, mut second) = (whole.clone(), whole);
    first.labels.truncate(1);
    second.labels.remove(0);
    second.samples[0].timestamp += STEP.millis();
    let parts = [first.encode_to_vec(), second.encode_to_vec()].concat();
    let mut request = vec![0x0A, parts.len() as u8];
    request.extend(parts);
    remote.take(vec![begins_alike]);
    for _ in 0..2 {
        let taken = remote.write.take(&pack(&request), MAX_BYTES, NOW);
        assert_eq!(taken.expect("room").accepted, 2);
    }
    let slots = remote
        .node
        .slots(&[("atlas.dstype", "gauge"), ("name", "cpu"), ("node", "i-1")]);
    assert_eq!(slots, [(0, 1.0), (1, 1.0)].into());
    let alike = remote
        .node
        .slots(&[("atlas.dstype", "gauge"), ("name", "cpu")]);
    assert_eq!(alike, [(0, 5.0)].into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is sent in whatever order, over whatever requests: a gauge holds for each slot the highest that was sent.
    #[test]
    fn every_sample_comes_to_its_series(
        requests in prop::collection::vec(
            prop::collection::vec((0usize..12, prop::collection::vec((0i64..2, -9i32..9), 0..3)), 0..12),
            1..8,
        ),
        max_cached_series in 0usize..30,
    ) {
        let settings = IngestSettings {
            remote_write: RemoteWriteSettings { max_cached_series, ..RemoteWriteSettings::default() },
            ..IngestSettings::default()
        };
        let remote = Remote::new(settings);
        let tags = |i: usize| [("__name__", "cpu".to_owned()), ("zone", format!("z{}", i % 3)), ("node", format!("i-{i}"))];
        let mut want: BTreeMap<String, BTreeMap<i64, f64>> = BTreeMap::new();
        for request in requests {
            let mut sent = 0;
            let all: Vec<_> = request.iter().map(|(i, samples)| {
                let tags = tags(*i);
                let labels: Vec<_> = tags.iter().map(|(k, v)| (*k, v.as_str())).collect();
                let samples: Vec<_> = samples.iter().map(|(s, v)| (*s, f64::from(*v))).collect();
                let mut pairs = labels.clone();
                pairs[0].0 = "name";
                pairs.push(("atlas.dstype", "gauge"));
                for (slot, value) in &samples {
                    sent += 1;
                    let slots = want.entry(Tags::from_pairs(pairs.iter().copied()).to_string()).or_default();
                    let held = slots.entry(*slot).or_insert(*value);
                    *held = held.max(*value);
                }
                series(&labels, &samples)
            }).collect();
            prop_assert_eq!(remote.take(all).accepted, sent);
        }
        prop_assert_eq!(remote.node.scan(), want);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let remote = Remote::new(IngestSettings::default());
        let _ = remote.write.take(&bytes, MAX_BYTES, NOW);
        let _ = remote.write.take(&pack(&bytes), MAX_BYTES, NOW);
        // Whatever came, it still works.
        let done = remote.take(vec![series(&[("__name__", "good")], &[(0, 1.0)])]);
        prop_assert_eq!(done.accepted, 1);
    }
}

#[test]
fn the_settings_have_the_names_of_the_file() {
    let text = r#"{"remote-write": {"counter-suffixes": ["_n"], "rename-labels": {"job": "nf.app"}, "max-cached-series": 5}}"#;
    let settings: IngestSettings = serde_json::from_str(text).expect("valid");
    assert_eq!(settings.remote_write.max_cached_series, 5);
    assert!(serde_json::from_str::<IngestSettings>(r#"{"remote-wrote": {}}"#).is_err());
}
