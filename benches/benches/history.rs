//! Reading history: a day of 1,000 series, all rows and one row of each, folded into one line.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_history::{History, Loader};
use hesper_hot::fold::{Accumulator, CellLayout, FoldOp, WindowPart};
use hesper_model::{BLOCK_SLOTS, Block, Slot, Step, Tags};
use object_store::memory::InMemory;
use roaring::RoaringBitmap;
use tokio::runtime::{Builder, Runtime};

const SERIES: usize = 1000;
const SLOTS: usize = 1440;

/// A number that looks random, below `below`.
fn noise(series: usize, slot: usize, below: u64) -> u64 {
    let x = (series as u64) << 32 | slot as u64;
    let x = x.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((x ^ x >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) % below
}

/// Rates, seconds to the microsecond, and gauges that hardly change.
fn value(series: usize, slot: usize) -> f64 {
    match series % 3 {
        0 => (3000 + noise(series, slot, 512)) as f64 / 60.0,
        1 => (4_000_000 + noise(series, slot, 1 << 20)) as f64 / 1e6,
        _ => noise(series, 0, 64) as f64,
    }
}

async fn history() -> History {
    let step = Step::from_secs(60);
    let history = History::open(
        Arc::new(InMemory::new()),
        step,
        "bench".to_owned(),
        64 << 20,
    );
    let history = history.await.expect("an empty history");
    let mut loader = Loader::new(&history, "bench".to_owned(), || 1, usize::MAX / 2);
    for series in 0..SERIES {
        let (name, node) = (format!("metric.{}", series % 40), format!("i-{series:05}"));
        let tags = [("name", &*name), ("nf.app", "www"), ("nf.node", &*node)];
        let tags: Tags = tags.into_iter().collect();
        let values: Vec<f64> = (0..SLOTS).map(|slot| value(series, slot)).collect();
        loader.push(&tags, Slot(1), &values).await.expect("memory");
    }
    loader.finish().await.expect("memory");
    history
}

fn fold(runtime: &Runtime, history: &History, every: u32) -> f64 {
    let layout = CellLayout {
        first: Slot(1),
        cells: SLOTS,
        slots_per_cell: 1,
    };
    let mut acc = Accumulator::new(FoldOp::Sum, layout);
    acc.grow(1);
    runtime.block_on(async {
        for file in history.manifest().files() {
            let index = history.index(file).await.expect("a file");
            let rows: RoaringBitmap = (0..index.len() as u32).step_by(every as usize).collect();
            let read = history.read_values(file, &index, &rows, |row, values| {
                let first = index.row(row).first;
                let mut block = Block::EMPTY;
                block.0[..values.len()].copy_from_slice(values);
                if let Some(part) = WindowPart::of(&layout, first.window()) {
                    acc.fold_block(0, &part, &block);
                }
            });
            read.await.expect("a file");
        }
    });
    acc.values(0).iter().sum()
}

fn reading(c: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let history = runtime.block_on(history());
    let mut group = c.benchmark_group("history");
    let windows = (SLOTS / BLOCK_SLOTS) as u32;
    for (what, every) in [("fold a day", 1), ("fold an hour of a day", windows)] {
        let values = SERIES * SLOTS / every as usize;
        group.throughput(Throughput::Elements(values as u64));
        group.bench_function(what, |b| b.iter(|| fold(&runtime, &history, every)));
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
