//! Remote write of a fleet: series with eight labels that are sent again and again, all of one time, in requests of 10,000. The fleet is that of
//! the load generator with which peers are measured: names, labels and values. Figures are for a request; divide by 10,000 for a datapoint.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::remote_write::{RemoteWrite, RemoteWriteSettings};
use hesper_ingest::roll_up::RollUpRule;
use hesper_ingest::{IngestSettings, Router};
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};

const SERIES: usize = 100_000;
const BATCH: usize = 10_000;
const MAX_BYTES: usize = 64 << 20;
const STEP_MILLIS: i64 = 60_000;

fn put_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The labels of a series as they lie in a request.
fn labels(i: usize) -> Vec<u8> {
    let (node, m) = (i / 40, i % 40);
    let app = node % 50;
    let status = ["200", "200", "200", "400", "404", "429", "500", "503"][m % 8];
    let region = ["us-east-1", "us-west-2", "eu-west-1"][node % 3];
    let statistic = ["count", "totalTime", "max", "gauge"][m % 4];
    let labels = [
        ("__name__", format!("metric_{m:02}")),
        ("nf_app", format!("app{app:02}")),
        ("nf_asg", format!("app{app:02}-main-v{:03}", node % 3)),
        ("nf_cluster", format!("app{app:02}-main")),
        ("nf_node", format!("i-{:08x}", node * 2_654_435_761)),
        ("nf_region", region.to_owned()),
        ("statistic", statistic.to_owned()),
        ("status", status.to_owned()),
    ];
    let mut out = Vec::new();
    for (key, value) in labels {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, key.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut out, 1, &label);
    }
    out
}

/// The value of a series at a step: rates, seconds, maxima with much noise, gauges that hardly change.
fn value(i: usize, t: usize) -> f64 {
    let seed = (i as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(1);
    let mut x = seed.wrapping_add((t as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^= x >> 31;
    let u = (x >> 11) as f64 / (1u64 << 53) as f64;
    let phase = (i % 97) as f64 / 97.0;
    let wave = (2.0 * std::f64::consts::PI * (t as f64 / 1440.0 + phase)).sin();
    match i % 4 {
        0 => ((50.0 + 40.0 * wave) * 60.0 * (0.9 + 0.2 * u)).floor() / 60.0,
        1 => ((5.0 + 4.0 * wave) * (0.8 + 0.4 * u) * 1e6).round() / 1e6,
        2 => (u * u * u * 2e3).round() / 1e3,
        _ => ((seed >> 40) % 64) as f64,
    }
}

struct Fleet(Vec<Vec<u8>>);

impl Fleet {
    fn new() -> Self {
        Self((0..SERIES).map(labels).collect())
    }

    /// A request for a part of the fleet, unpacked.
    fn request(&self, part: usize, t: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(BATCH * 280);
        for i in part * BATCH..(part + 1) * BATCH {
            let mut sample = vec![0x09];
            sample.extend_from_slice(&value(i, t).to_le_bytes());
            sample.push(0x10);
            put_varint(&mut sample, (t as i64 * STEP_MILLIS) as u64);
            let mut series = self.0[i].clone();
            put_bytes(&mut series, 2, &sample);
            put_bytes(&mut out, 1, &series);
        }
        out
    }

    fn packed(&self, part: usize, t: usize) -> Vec<u8> {
        let request = self.request(part, t);
        snap::raw::Encoder::new()
            .compress_vec(&request)
            .expect("far below 4 GiB")
    }
}

fn node(directory: &tempfile::TempDir) -> (Arc<Router>, RemoteWrite) {
    node_with(directory, &IngestSettings::default())
}

fn node_with(
    directory: &tempfile::TempDir,
    settings: &IngestSettings,
) -> (Arc<Router>, RemoteWrite) {
    let disk = DiskDirectory::open(directory.path()).expect("a directory");
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.log.buffer_bytes = usize::MAX;
    let store = HotStore::open(Arc::new(disk), options, InHistory::default(), false);
    let limits = Limits {
        max_age_millis: i64::MAX,
        ..Limits::default()
    };
    let store = Arc::new(store.expect("new").0);
    let router = Router::with_settings(store, limits, settings).expect("sense");
    let router = Arc::new(router);
    let remote = RemoteWrite::new(router.clone(), settings.remote_write.clone());
    (router, remote)
}

/// Lets go of what has gathered, so that the bench does not run out of memory.
fn let_go(router: &Router) {
    let store = router.store();
    store.log().commit().expect("a working disk");
    let windows = store.due(Timestamp(0), false);
    store.seal(&windows).expect("a working log");
    for flush in store.unflushed() {
        store.flushed(flush.id, &flush.windows);
    }
    store.evict(Timestamp(i64::MAX / 2)).expect("a working log");
}

fn known_series(c: &mut Criterion) {
    let fleet = Fleet::new();
    let directory = tempfile::tempdir().expect("a directory");
    let (router, remote) = node(&directory);
    let mut group = c.benchmark_group("remote write, 10,000 known series");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.measurement_time(Duration::from_secs(8));
    let parts = SERIES / BATCH;

    let packed = fleet.packed(0, 29_000_000);
    let unpacked = fleet.request(0, 29_000_000);
    println!("{} bytes, packed {}", unpacked.len(), packed.len());
    let mut room = vec![0; unpacked.len()];
    group.bench_function("unpack", |b| {
        let mut decoder = snap::raw::Decoder::new();
        b.iter(|| {
            decoder
                .decompress(black_box(&packed), &mut room)
                .expect("a block")
        });
    });

    // Too old, so that it is read and found but goes nowhere.
    let strict = Limits::default();
    let store = router.store().clone();
    let refusing = RemoteWrite::new(
        Arc::new(Router::new(store, strict)),
        RemoteWriteSettings::default(),
    );
    for part in 0..parts {
        let now = Timestamp(29_000_000 * STEP_MILLIS);
        let packed = fleet.packed(part, 29_000_000);
        refusing.take(&packed, MAX_BYTES, now).expect("taken");
    }
    let mut part = 0;
    let late: Vec<_> = (0..parts).map(|p| fleet.packed(p, 28_000_000)).collect();
    group.bench_function("unpack, read and find", |b| {
        b.iter(|| {
            part = (part + 1) % parts;
            let now = Timestamp(29_000_000 * STEP_MILLIS);
            let done = refusing.take(&late[part], MAX_BYTES, now).expect("read");
            assert_eq!(done.accepted, 0);
        });
    });

    for part in 0..parts {
        let packed = fleet.packed(part, 29_000_000);
        remote
            .take(&packed, MAX_BYTES, Timestamp(0))
            .expect("taken");
    }
    let mut next = 0;
    group.bench_function("all but the disk", |b| {
        b.iter_batched(
            || {
                next += 1;
                if next % (parts * 64) == 0 {
                    let_go(&router);
                }
                fleet.packed(next % parts, 29_000_001 + next / parts)
            },
            |packed| {
                let done = remote
                    .take(&packed, MAX_BYTES, Timestamp(0))
                    .expect("taken");
                assert_eq!(done.accepted, BATCH as u64);
            },
            BatchSize::PerIteration,
        );
    });
    let rolled = RollUpRule {
        query: ":true".to_owned(),
        drop: vec!["nf_node".to_owned()],
        keep_original: false,
        add: BTreeMap::new(),
    };
    for (name, suffix) in [("gauges", "_total"), ("counters", "")] {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = IngestSettings {
            roll_ups: vec![rolled.clone()],
            remote_write: RemoteWriteSettings {
                counter_suffixes: vec![suffix.to_owned()],
                ..RemoteWriteSettings::default()
            },
            ..IngestSettings::default()
        };
        let (router, remote) = node_with(&directory, &settings);
        let mut next = 0;
        let name = format!("all but the disk, {name} rolled up without their node");
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    next += 1;
                    fleet.packed(next % parts, 29_000_000 + next / parts)
                },
                |packed| {
                    let done = remote
                        .take(&packed, MAX_BYTES, Timestamp(0))
                        .expect("taken");
                    assert_eq!(done.accepted, BATCH as u64);
                },
                BatchSize::PerIteration,
            );
        });
        let (series, feeds) = (router.store().series_count(), router.store().feed_count());
        println!("{series} series, {feeds} feeds");
    }
    let (series, bytes) = remote.cached();
    println!(
        "{series} series in the cache, {} bytes each",
        bytes / series.max(1)
    );
    group.finish();
}

fn new_series(c: &mut Criterion) {
    let fleet = Fleet::new();
    let mut group = c.benchmark_group("remote write, 10,000 series");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.sample_size(10);
    group.bench_function("that are new to the store", |b| {
        b.iter_batched(
            || {
                let directory = tempfile::tempdir().expect("a directory");
                let (_, remote) = node(&directory);
                (fleet.packed(0, 29_000_000), remote, directory)
            },
            |(packed, remote, directory)| {
                let done = remote
                    .take(&packed, MAX_BYTES, Timestamp(0))
                    .expect("taken");
                assert_eq!(done.accepted, BATCH as u64);
                (remote, directory)
            },
            BatchSize::PerIteration,
        );
    });
    let directory = tempfile::tempdir().expect("a directory");
    let (router, _) = node(&directory);
    group.bench_function("that are new to the cache", |b| {
        let mut t = 29_000_000;
        b.iter_batched(
            || {
                t += 1;
                let settings = RemoteWriteSettings::default();
                let remote = RemoteWrite::new(router.clone(), settings);
                (fleet.packed(0, t), remote)
            },
            |(packed, remote)| {
                let done = remote
                    .take(&packed, MAX_BYTES, Timestamp(0))
                    .expect("taken");
                assert_eq!(done.accepted, BATCH as u64);
                remote
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, known_series, new_series);
criterion_main!(benches);
