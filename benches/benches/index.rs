//! The tag index: look-up of the usual queries over 100,000 series, and taking in new ones.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hesper_hot::tag_index::TagIndex;
use hesper_stack::parse_query;

const SERIES: u32 = 100_000;

fn tags(i: u32) -> Vec<(Arc<str>, Arc<str>)> {
    let (node, metric) = (i / 40, i % 40);
    let pairs = [
        ("name", format!("metric_{metric:02}")),
        ("nf.app", format!("app{:02}", node % 50)),
        ("nf.cluster", format!("app{:02}-main", node % 50)),
        ("nf.node", format!("i-{node:08x}")),
        (
            "statistic",
            ["count", "totalTime", "max", "gauge"][metric as usize % 4].to_owned(),
        ),
    ];
    pairs
        .into_iter()
        .map(|(k, v)| (k.into(), v.into()))
        .collect()
}

fn index_of(series: u32) -> TagIndex {
    let mut index = TagIndex::default();
    for i in 0..series {
        let tags = tags(i);
        index.insert(i, tags.iter().map(|(k, v)| (k, v)));
    }
    index
}

fn look_up(c: &mut Criterion) {
    let index = index_of(SERIES);
    let mut group = c.benchmark_group("index look-up, 100k series");
    for (what, query) in [
        ("name", "name,metric_07,:eq"),
        ("name and app", "name,metric_07,:eq,nf.app,app05,:eq,:and"),
        ("regex with prefix", "name,metric_0.*,:re"),
        ("regex over all nodes", "nf.node,.*7f$,:re"),
        ("not", "name,metric_07,:eq,nf.app,app05,:eq,:not,:and"),
    ] {
        let query = parse_query(query).expect("a query");
        group.bench_function(what, |b| b.iter(|| black_box(index.matching(&query)).len()));
    }
    group.bench_function("values of a key within a name", |b| {
        let matched = index.matching(&parse_query("name,metric_07,:eq").expect("a query"));
        b.iter(|| black_box(index.values("nf.app", Some(&matched), None, 1000)).len());
    });
}

fn insert(c: &mut Criterion) {
    let new: Vec<_> = (SERIES..SERIES + 1000).map(tags).collect();
    c.bench_function("index, take in 1,000 new series", |b| {
        b.iter_batched_ref(
            || index_of(10_000),
            |index| {
                for (i, tags) in new.iter().enumerate() {
                    index.insert(10_000 + i as u32, tags.iter().map(|(k, v)| (k, v)));
                }
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, look_up, insert);
criterion_main!(benches);
