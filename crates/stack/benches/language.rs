//! The stack language by itself: reading programs up to what they ask of storage, and evaluating over what storage found.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::{
    DataExpr, DataGroup, EvalContext, GraphOptions, TimeSeries, TimeSeriesExpr, data_result,
    evaluate, parse_graph,
};

const LINES: usize = 1000;
const CELLS: usize = 1440;

/// That of the binary: columns come and go, and another would give their memory back to the system in between.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The longest programs among the recorded cases.
const LONGEST: [(&str, &str); 3] = [
    (
        "smoothings compared",
        ":true,1200,:fadd,input,:legend,:true,10,0.01,1,:des,800,:fadd,beta = 1,:legend,:true,10,0.01,0.1,:des,400,:fadd,\
         beta = 0.1,:legend,:true,10,0.01,0.01,:des,beta = 0.01,:legend,:list,\
         (,nf.cluster,alerttest,:eq,name,requestsPerSecond,:eq,:and,:cq,),:each",
    ),
    (
        "a standard deviation",
        "statistic,count,:eq,:sum,statistic,totalOfSquares,:eq,:sum,:mul,statistic,totalTime,:eq,:sum,:dup,:mul,:sub,\
         statistic,count,:eq,:sum,:dup,:mul,:div,:sqrt,nf.cluster,foo,:eq,name,http.req.latency,:eq,:and,:cq",
    ),
    (
        "rewrites run again",
        ":true,input,:legend,:true,:des-fast,des-fast,:legend,:true,:des-slower,des-slower,:legend,:true,:des-slow,des-slow,:legend,:list,\
         (,nf.cluster,alerttest,:eq,name,requestsPerSecond,:eq,:and,:cq,),:each",
    ),
];

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse and plan");
    for (what, program) in LONGEST {
        group.bench_function(what, |b| {
            b.iter(|| {
                let exprs = parse_graph(black_box(program), &GraphOptions::default());
                let exprs = exprs.expect("a valid program");
                let wanted: Vec<DataExpr> =
                    exprs.iter().flat_map(|s| s.expr.data_exprs()).collect();
                (exprs, wanted)
            });
        });
    }
}

/// What storage would have found: a thousand lines, a hundredth of the values gaps.
fn found(expr: &TimeSeriesExpr, ctx: &EvalContext) -> HashMap<DataExpr, Vec<TimeSeries>> {
    let value = |line: usize, cell: usize| match line * CELLS + cell {
        n if n % 101 == 0 => f64::NAN,
        n => (n * 7919 % 1009) as f64 / 8.0,
    };
    let result = |wanted: DataExpr| {
        let groups = (0..LINES).map(|line| DataGroup {
            tags: Tags::from_pairs([("node", format!("i-{line:04}"))]),
            source: DataSource::Rate,
            values: (0..CELLS).map(|cell| value(line, cell)).collect(),
        });
        let series = data_result(&wanted, groups.collect(), ctx);
        (wanted, series)
    };
    expr.data_exprs().into_iter().map(result).collect()
}

fn eval(c: &mut Criterion) {
    let step = Step::from_secs(60);
    let ctx = EvalContext {
        start: Timestamp(0),
        end: Timestamp(CELLS as i64 * step.millis()),
        step,
    };
    let mut group = c.benchmark_group("evaluate 1,000 lines x 1,440 cells");
    // An operation for every datapoint of the result.
    group.throughput(Throughput::Elements((LINES * CELLS) as u64));
    group.sample_size(50);
    for (what, operator) in [
        ("add", "name,b,:eq,:sum,(,node,),:by,:add"),
        ("add a constant", "5,:add"),
        ("div", "name,b,:eq,:sum,(,node,),:by,:div"),
        ("sum", ":sum"),
        ("rolling-mean", "10,5,:rolling-mean"),
        ("rolling-max", "10,:rolling-max"),
        ("rolling-count", "10,:rolling-count"),
        ("delay", "10,:delay"),
        ("des", "10,0.1,0.5,:des"),
        ("sdes", "10,0.1,0.5,:sdes"),
        ("integral", ":integral"),
    ] {
        let program = format!("name,a,:eq,:sum,(,node,),:by,{operator}");
        let exprs = parse_graph(&program, &GraphOptions::default()).expect("a valid program");
        let expr = &*exprs[0].expr;
        let data = found(expr, &ctx);
        group.bench_function(what, |b| {
            b.iter(|| evaluate(expr, &ctx, black_box(&data)).expect("it fits"));
        });
    }
}

criterion_group!(benches, read, eval);
criterion_main!(benches);
