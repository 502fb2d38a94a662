//! The stack language: reading programs, and evaluating over what storage found.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::collections::HashMap;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::{
    DataGroup, EvalContext, GraphOptions, TimeSeriesExpr, data_result, evaluate, parse_graph,
};

const LINES: usize = 1000;
const CELLS: usize = 1440;

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse");
    for (what, program) in [
        ("a sum", "name,ipc.server.call,:eq,:sum,(,nf.app,),:by"),
        (
            "an error rate",
            "name,ipc.server.call,:eq,nf.app,api,:eq,:and,statistic,count,:eq,:and,:dup,ipc.result,failure,:eq,:cq,:swap,:div,100,:mul,(,ipc.client.app,),:by,errors+%,:legend",
        ),
        (
            "percentiles",
            "name,ipc.client.call,:eq,nf.app,api,:eq,:and,(,ipc.server.app,),:by,(,50,90,99,),:percentiles",
        ),
    ] {
        group.bench_function(what, |b| {
            b.iter(|| black_box(parse_graph(program, &GraphOptions::default())).is_ok());
        });
    }
}

fn eval(c: &mut Criterion) {
    let step = Step::from_secs(60);
    let ctx = EvalContext {
        start: Timestamp(0),
        end: Timestamp(CELLS as i64 * step.millis()),
        step,
    };
    let mut group = c.benchmark_group("evaluate 1,000 lines x 1,440 cells");
    group.throughput(Throughput::Elements((LINES * CELLS) as u64));
    for (what, program) in [
        (
            "add",
            "name,a,:eq,:sum,(,node,),:by,name,b,:eq,:sum,(,node,),:by,:add",
        ),
        ("gt", "name,a,:eq,:sum,(,node,),:by,5,:gt"),
        (
            "rolling-count",
            "name,a,:eq,:sum,(,node,),:by,5,:rolling-count",
        ),
    ] {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a program");
        let expr: &TimeSeriesExpr = &exprs[0].expr;
        let mut data = HashMap::new();
        for wanted in expr.data_exprs() {
            let groups = (0..LINES).map(|i| DataGroup {
                tags: Tags::from_pairs([("node", format!("i-{i:04}"))]),
                source: DataSource::Rate,
                values: (0..CELLS).map(|c| ((i * c) % 11) as f64).collect(),
            });
            let found = data_result(&wanted, groups.collect(), &ctx);
            data.insert(wanted, found);
        }
        group.bench_function(what, |b| {
            b.iter(|| {
                black_box(evaluate(expr, &ctx, &data).expect("it fits"))
                    .series
                    .len()
            });
        });
    }
}

criterion_group!(benches, parse, eval);
criterion_main!(benches);
