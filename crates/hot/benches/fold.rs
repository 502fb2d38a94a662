//! Folding sealed blocks: 100,000 series of the fleet, an hour of each, in 64 shards.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod cpu_measurement;
mod cpu_time;
mod fleet;

use std::hint::black_box;
use std::sync::Arc;

use cpu_measurement::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_hot::codec::Codec;
use hesper_hot::fold::{Accumulator, CellLayout, FoldOp, WindowPart};
use hesper_hot::series_table::SeriesRef;
use hesper_hot::window::sealed::{SealedBlocks, SeriesOrder};
use hesper_model::series::put_sort_key;
use hesper_model::{BLOCK_SLOTS, Block, SeriesId, Slot, Step, Window};

const SERIES: usize = 100_000;
const SHARDS: u32 = 64;

/// The blocks of a shard, and the number of each series in the fleet.
struct Shard {
    series: Vec<usize>,
    blocks: SealedBlocks,
}

fn shards(keep: impl Fn(usize) -> bool, gap: impl Fn(usize, usize) -> bool) -> Vec<Shard> {
    let codec = Codec::new(Step::from_secs(60));
    let mut keys: Vec<Vec<(Vec<u8>, usize)>> = (0..SHARDS).map(|_| Vec::new()).collect();
    for i in (0..SERIES).filter(|i| keep(*i)) {
        let tags = fleet::tags(i);
        let mut key = Vec::new();
        put_sort_key(tags.iter(), &mut key);
        keys[SeriesId::of(&tags).shard(SHARDS) as usize].push((key, i));
    }
    keys.into_iter()
        .map(|mut keys| {
            keys.sort();
            let series: Vec<usize> = keys.into_iter().map(|(_, i)| i).collect();
            let refs = (0..series.len() as u32).map(SeriesRef).collect();
            let blocks = SealedBlocks::encode(Arc::new(SeriesOrder::new(refs)), &codec, |s| {
                let i = series[s.index()];
                Block(std::array::from_fn(|p| match gap(i, p) {
                    true => f64::NAN,
                    false => fleet::value(i, p),
                }))
            });
            Shard { series, blocks }
        })
        .collect()
}

/// A way to group: its name, the number of groups, and the group of a series.
type Grouping = (&'static str, usize, fn(usize) -> u32);

const GROUPINGS: [Grouping; 3] = [
    ("1 group", 1, |_| 0),
    ("50 groups", 50, |i| (i / fleet::NAMES % 50) as u32),
    ("2,500 groups", SERIES / fleet::NAMES, |i| {
        (i / fleet::NAMES) as u32
    }),
];

fn fold_all(shards: &[Shard], op: FoldOp, layout: CellLayout, grouping: Grouping) -> impl FnMut() {
    let codec = Codec::new(Step::from_secs(60));
    let part = WindowPart::of(&layout, Window(0)).expect("inside");
    let places: Vec<Vec<(u32, u32)>> = shards
        .iter()
        .map(|shard| {
            let series = shard.series.iter().enumerate();
            series
                .map(|(place, i)| (place as u32, grouping.2(*i)))
                .collect()
        })
        .collect();
    let mut acc = Accumulator::new(op, layout);
    acc.grow(grouping.1);
    move || {
        for (shard, places) in shards.iter().zip(&places) {
            SealedBlocks::fold(&[(&shard.blocks, &places[..])], &mut acc, &part, &codec);
        }
        black_box(acc.values(0)[0]);
    }
}

fn fold(c: &mut Criterion<CpuTime>) {
    let minutes = CellLayout {
        first: Slot(1),
        cells: BLOCK_SLOTS,
        slots_per_cell: 1,
    };
    let fives = CellLayout {
        first: Slot(1),
        cells: BLOCK_SLOTS / 5,
        slots_per_cell: 5,
    };
    let all = shards(|_| true, |_, _| false);
    let mut group = c.benchmark_group("fold the fleet");
    group.throughput(Throughput::Elements((SERIES * BLOCK_SLOTS) as u64));
    group.sample_size(10);
    for (op, name) in [
        (FoldOp::Sum, "sum"),
        (FoldOp::Count, "count"),
        (FoldOp::Min, "min"),
        (FoldOp::Max, "max"),
    ] {
        for grouping in GROUPINGS {
            let mut fold = fold_all(&all, op, minutes, grouping);
            group.bench_function(format!("{name}, {}", grouping.0), |b| b.iter(&mut fold));
        }
    }
    for grouping in GROUPINGS {
        let mut fold = fold_all(&all, FoldOp::Sum, fives, grouping);
        group.bench_function(format!("sum over 5 slots, {}", grouping.0), |b| {
            b.iter(&mut fold)
        });
    }
    group.finish();
    let mut group = c.benchmark_group("fold a kind, 1 group");
    group.throughput(Throughput::Elements((SERIES / 4 * BLOCK_SLOTS) as u64));
    group.sample_size(10);
    for (kind, name) in ["rate", "seconds", "max", "gauge"].iter().enumerate() {
        let some = shards(|i| i % 4 == kind, |_, _| false);
        let gappy = shards(|i| i % 4 == kind, |i, p| (i + p * 7) % 11 == 0);
        for (op, op_name) in [(FoldOp::Sum, "sum"), (FoldOp::Max, "max")] {
            let mut fold = fold_all(&some, op, minutes, GROUPINGS[0]);
            group.bench_function(format!("{name}, {op_name}"), |b| b.iter(&mut fold));
            let mut fold = fold_all(&gappy, op, minutes, GROUPINGS[0]);
            group.bench_function(format!("{name} with gaps, {op_name}"), |b| {
                b.iter(&mut fold)
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = fold
}
criterion_main!(benches);
