//! Made-up results for whatever data an expression needs.

use std::collections::HashMap;

use hesper_model::{DataSource, Tags};
use hesper_stack::expr::StyleExpr;
use hesper_stack::{DataGroup, EvalContext, TimeSeries, data_result};

/// Three groups, named as percentile buckets are, or a single one.
pub fn found_for(
    style: &StyleExpr,
    ctx: &EvalContext,
) -> HashMap<hesper_stack::DataExpr, Vec<TimeSeries>> {
    style
        .expr
        .data_exprs()
        .into_iter()
        .map(|expr| {
            let groups = ["1", "D0002", "T0003"].map(|value| DataGroup {
                tags: Tags::from_pairs(expr.group_by.iter().flatten().map(|k| (k.clone(), value))),
                source: DataSource::Gauge,
                values: (0..ctx.cells()).map(|i| i as f64).collect(),
            });
            let groups = groups
                .into_iter()
                .take(if expr.group_by.is_some() { 3 } else { 1 });
            let result = data_result(&expr, groups.collect(), ctx);
            (expr, result)
        })
        .collect()
}
