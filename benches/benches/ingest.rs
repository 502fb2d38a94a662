//! The way of a batch: from the connection's message to the log's buffer and the open columns, without the disk; and reading JSON.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_hot::directory::DiskDirectory;
use hesper_hot::store::InHistory;
use hesper_hot::{HotStore, StoreOptions};
use hesper_ingest::Router;
use hesper_ingest::atlas::{self, Encoding};
use hesper_ingest::proto::{Batch, Hello, Series};
use hesper_ingest::stream::{Connection, pack_values};
use hesper_model::validation::Limits;
use hesper_model::{Step, Timestamp};

const SERIES: u32 = 10_000;

fn connection(directory: &tempfile::TempDir) -> (Connection, Arc<Router>) {
    let disk = DiskDirectory::open(directory.path()).expect("a directory");
    let mut options = StoreOptions::new(Step::from_secs(60));
    options.log.buffer_bytes = usize::MAX;
    let store = HotStore::open(Arc::new(disk), options, InHistory::default(), false);
    let limits = Limits {
        max_age_millis: i64::MAX,
        ..Limits::default()
    };
    let router = Arc::new(Router::new(Arc::new(store.expect("new").0), limits));
    let hello = Hello {
        client: vec![7; 16],
        ..Hello::default()
    };
    let connection = Connection::open(router.clone(), &hello).expect("a client");
    (connection, router)
}

fn native(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let (mut connection, router) = connection(&directory);
    let symbols = ["name", "metric", "node"].map(str::to_owned).into_iter();
    let nodes = (0..SERIES).map(|i| format!("i-{i}"));
    let mut first = Batch {
        sequence: 1,
        symbols: symbols.chain(nodes).collect(),
        series: (0..SERIES)
            .map(|i| Series {
                tags: vec![0, 1, 2, 3 + i],
            })
            .collect(),
        time_millis: 60_000,
        refs: (0..SERIES).collect(),
        values: pack_values(&[1.0; SERIES as usize]),
    };
    connection.take(&mut first, Timestamp(0)).expect("taken");
    let mut group = c.benchmark_group("a native batch of 10,000 known series");
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    let mut sequence = 1;
    group.bench_function("take", |b| {
        b.iter(|| {
            sequence += 1;
            let mut batch = Batch {
                sequence,
                time_millis: sequence as i64 * 60_000,
                values: pack_values(&[sequence as f64; SERIES as usize]),
                ..Batch::default()
            };
            connection.take(&mut batch, Timestamp(0)).expect("taken");
            if sequence % 64 == 0 {
                router.store().log().commit().expect("a working disk");
                let windows = router.store().due(Timestamp(0), false);
                router.store().seal(&windows).expect("a working log");
                for flush in router.store().unflushed() {
                    router.store().flushed(flush.id, &flush.windows);
                }
                router
                    .store()
                    .evict(Timestamp(i64::MAX / 2))
                    .expect("a working log");
            }
        });
    });
}

fn json(c: &mut Criterion) {
    let metrics: Vec<String> = (0..1000)
        .map(|i| {
            format!(
                r#"{{"tags":{{"name":"metric_{}","nf.app":"app","nf.node":"i-{i}","statistic":"count"}},"timestamp":1767578400000,"value":{}.5}}"#,
                i % 40,
                i
            )
        })
        .collect();
    let body = format!(
        r#"{{"tags":{{"nf.region":"us-east-1"}},"metrics":[{}]}}"#,
        metrics.join(",")
    );
    let mut group = c.benchmark_group("read Atlas JSON");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1,000 datapoints", |b| {
        b.iter(|| {
            atlas::decode(body.as_bytes(), Encoding::Json)
                .expect("valid")
                .len()
        });
    });
}

criterion_group!(benches, native, json);
criterion_main!(benches);
