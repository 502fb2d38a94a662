//! Blocks: writing open columns, sealing them, and folding sealed and open ones.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hesper_hot::codec::Codec;
use hesper_hot::fold::{Accumulator, CellLayout, FoldOp, WindowPart};
use hesper_hot::series_table::SeriesRef;
use hesper_hot::window::open::OpenColumns;
use hesper_hot::window::sealed::{SealedBlocks, SeriesOrder};
use hesper_model::{BLOCK_SLOTS, Slot, Step, Window};

const SERIES: u32 = 4096;
const STEP: Step = Step::from_secs(60);

/// A kind of series: its value at a slot.
type Kind = (&'static str, fn(u32, usize) -> f64);

const KINDS: [Kind; 4] = [
    ("rate", |s, p| {
        f64::from((s * 31 + p as u32 * 17) % 200 + 300) / 60.0
    }),
    ("constant", |s, _| f64::from(s % 64)),
    ("decimal", |s, p| {
        f64::from((s * 7919 + p as u32 * 104_729) % 50_000) / 100.0
    }),
    ("noise", |s, p| (f64::from(s) * 0.37 + p as f64).sin()),
];

fn filled(value: fn(u32, usize) -> f64) -> OpenColumns {
    let mut open = OpenColumns::default();
    for p in 0..BLOCK_SLOTS {
        for s in 0..SERIES {
            open.write(SeriesRef(s), p, value(s, p));
        }
    }
    open
}

fn order() -> Arc<SeriesOrder> {
    Arc::new(SeriesOrder::new((0..SERIES).map(SeriesRef).collect()))
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append a step to open columns");
    group.throughput(Throughput::Elements(u64::from(SERIES)));
    group.bench_function("4096 series", |b| {
        let mut open = filled(KINDS[0].1);
        let mut p = 0;
        b.iter(|| {
            p = (p + 1) % BLOCK_SLOTS;
            for s in 0..SERIES {
                open.write(SeriesRef(s), p, f64::from(s));
            }
        });
    });
}

fn seal(c: &mut Criterion) {
    let codec = Codec::new(STEP);
    let mut group = c.benchmark_group("seal a window");
    group.throughput(Throughput::Elements(u64::from(SERIES) * BLOCK_SLOTS as u64));
    for (kind, value) in KINDS {
        let open = filled(value);
        let order = order();
        group.bench_function(kind, |b| {
            b.iter(|| SealedBlocks::encode(order.clone(), &codec, |s| open.block(s)).size_bytes());
        });
    }
}

fn fold(c: &mut Criterion) {
    let codec = Codec::new(STEP);
    let layout = CellLayout {
        first: Slot(1),
        cells: BLOCK_SLOTS,
        slots_per_cell: 1,
    };
    let part = WindowPart::of(&layout, Window(0)).expect("inside");
    let one: Vec<(u32, u32)> = (0..SERIES).map(|s| (s, 0)).collect();
    let fifty: Vec<(u32, u32)> = (0..SERIES).map(|s| (s, s % 50)).collect();
    let new = |op, groups| {
        let mut acc = Accumulator::new(op, layout);
        acc.grow(groups);
        acc
    };
    let mut group = c.benchmark_group("fold a sealed window");
    group.throughput(Throughput::Elements(u64::from(SERIES) * BLOCK_SLOTS as u64));
    for (kind, value) in KINDS {
        let open = filled(value);
        let sealed = SealedBlocks::encode(order(), &codec, |s| open.block(s));
        for (what, op, places, groups) in [
            ("sum", FoldOp::Sum, &one, 1),
            ("sum by 50", FoldOp::Sum, &fifty, 50),
            ("max", FoldOp::Max, &one, 1),
        ] {
            group.bench_function(format!("{kind}, {what}"), |b| {
                b.iter_batched_ref(
                    || new(op, groups),
                    |acc| {
                        SealedBlocks::fold(&[(&sealed, &places[..])], acc, &part, &codec);
                        black_box(acc.values(0)[0])
                    },
                    BatchSize::SmallInput,
                );
            });
        }
    }
    let series: Vec<(SeriesRef, u32)> = (0..SERIES).map(|s| (SeriesRef(s), 0)).collect();
    let open = filled(KINDS[0].1);
    group.bench_function("open columns, sum", |b| {
        b.iter_batched_ref(
            || new(FoldOp::Sum, 1),
            |acc| open.fold(acc, &part, &series),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, append, seal, fold);
criterion_main!(benches);
