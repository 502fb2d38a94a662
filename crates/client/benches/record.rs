//! What a recording costs, alone and under contention, and what a step costs.

#![allow(missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_client::{Id, ManualClock, Registry};

fn registry() -> Registry {
    Registry::builder()
        .common_tag("nf.app", "www")
        .common_tag("nf.node", "i-1")
        .build()
        .expect("a minute is a step")
}

fn record(c: &mut Criterion) {
    let registry = registry();
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Elements(1));
    let counter = registry.counter("counter");
    group.bench_function("counter", |b| b.iter(|| counter.increment()));
    let gauge = registry.gauge("gauge");
    group.bench_function("gauge", |b| b.iter(|| gauge.set(black_box(1.5))));
    let max_gauge = registry.max_gauge("max_gauge");
    group.bench_function("max_gauge", |b| b.iter(|| max_gauge.set(black_box(1.5))));
    let took = Duration::from_millis(35);
    let timer = registry.timer("timer");
    group.bench_function("timer", |b| b.iter(|| timer.record(black_box(took))));
    let percentiles = registry.percentile_timer("percentile_timer");
    group.bench_function("percentile_timer", |b| {
        b.iter(|| percentiles.record(black_box(took)));
    });
    let id = Id::from(("counter", [("a", "1"), ("b", "2")]));
    group.bench_function("find a counter and count", |b| {
        b.iter(|| registry.counter(&id).increment());
    });

    let stop = Arc::new(AtomicBool::new(false));
    let other = std::thread::spawn({
        let (stop, counter, percentiles) = (stop.clone(), counter.clone(), percentiles.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                counter.increment();
                percentiles.record(took);
            }
        }
    });
    group.bench_function("counter, contended", |b| b.iter(|| counter.increment()));
    group.bench_function("percentile_timer, contended", |b| {
        b.iter(|| percentiles.record(black_box(took)));
    });
    stop.store(true, Ordering::Relaxed);
    other.join().expect("the other thread ends");
    group.finish();
}

fn measure(c: &mut Criterion) {
    const COUNTERS: u64 = 10_000;
    let clock = Arc::new(ManualClock::new(0));
    let registry = Registry::builder()
        .clock(clock.clone())
        .build()
        .expect("a minute is a step");
    let counters: Vec<_> = (0..COUNTERS)
        .map(|i| registry.counter(("counter", [("i", &*i.to_string())])))
        .collect();
    let mut measurer = registry.measurer();
    let mut group = c.benchmark_group("measure");
    group.throughput(Throughput::Elements(COUNTERS));
    group.bench_function("10,000 counters", |b| {
        b.iter(|| {
            clock.advance(Duration::from_secs(60));
            measurer.completed().expect("a step is over")
        });
    });
    drop(counters);
    group.finish();
}

criterion_group!(benches, record, measure);
criterion_main!(benches);
