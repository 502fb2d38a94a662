//! Expressions evaluated over made-up data.

use std::collections::HashMap;

use hesper_model::{DataSource, Step, Tags, Timestamp};
use hesper_stack::graph::{DisplayOptions, Graph, assemble};
use hesper_stack::{
    DataExpr, DataGroup, EvalContext, StackError, StyleExpr, TimeSeries, data_result, evaluate,
};

/// Long enough for windows to fill and to run empty.
const CTX: EvalContext = EvalContext {
    start: Timestamp(0),
    end: Timestamp(480_000),
    step: Step::from_secs(60),
};

/// The graph of expressions whose data is made up.
pub(crate) fn graph(exprs: &[StyleExpr]) -> Result<Graph, StackError> {
    assemble(exprs, &DisplayOptions::default(), &CTX, |style| {
        evaluate(&style.expr, &CTX, &found_for(style))
    })
}

/// True when an expression gives a line at least.
pub(crate) fn has_lines(style: &StyleExpr) -> bool {
    let result = evaluate(&style.expr, &CTX, &found_for(style));
    result.is_ok_and(|result| !result.series.is_empty())
}

/// Three groups, named as percentile buckets are and with a gap, or a single one.
fn found_for(style: &StyleExpr) -> HashMap<DataExpr, Vec<TimeSeries>> {
    let found = style.expr.data_exprs().into_iter().map(|expr| {
        let values = |i: usize| if i == 3 { f64::NAN } else { i as f64 };
        let groups = ["1", "D0002", "T0003"].map(|value| DataGroup {
            tags: Tags::from_pairs(expr.group_by.iter().flatten().map(|k| (k.clone(), value))),
            source: DataSource::Gauge,
            values: (0..CTX.cells()).map(values).collect(),
        });
        let count = if expr.group_by.is_some() { 3 } else { 1 };
        let result = data_result(&expr, groups.into_iter().take(count).collect(), &CTX);
        (expr, result)
    });
    found.collect()
}
