//! From a data expression to what is asked of the storage.

use hesper_hot::fold::{CellLayout, FoldOp};
use hesper_hot::groups::Grouping;
use hesper_hot::scan::ScanRequest;
use hesper_model::{Aggregate, Consolidation, Slot, Step};
use hesper_stack::{DataAggregate, DataExpr, EvalContext};

use crate::error::QueryError;

/// How a data expression is answered.
#[derive(Clone, Debug)]
pub struct DataPlan {
    /// What the leaf folds.
    pub scan: ScanRequest,
    /// How slots meet in a cell; where only the cell of a roll-up is known of a slot, what it is taken to hold.
    pub consolidation: Consolidation,
    /// What the cells are divided by.
    pub divide: Divide,
    /// The second step of an expression whose consolidation and aggregation do not commute: the leaf consolidates series by series,
    /// and this aggregates them.
    pub regroup: Option<Regroup>,
}

/// What the cells are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divide {
    /// Nothing.
    No,
    /// The number of slots: all for rates, those with data for gauges.
    BySlots,
}

/// An aggregation of consolidated series.
#[derive(Clone, Debug)]
pub struct Regroup {
    /// The groups.
    pub grouping: Grouping,
    /// How series meet.
    pub op: FoldOp,
    /// True when every series with data counts as one, whatever its cell holds.
    pub count: bool,
}

impl DataPlan {
    /// The plan for a data expression over a range, its offset applied. `series_limit` bounds the series that are consolidated one by one.
    ///
    /// # Errors
    /// When the step is not a multiple of the store's.
    pub fn new(
        expr: &DataExpr,
        ctx: &EvalContext,
        base: Step,
        max_groups: usize,
        series_limit: usize,
    ) -> Result<Self, QueryError> {
        let layout = cell_layout(&ctx.shifted(expr.offset_millis), base)?;
        let several = layout.slots_per_cell > 1;
        let grouping = match (&expr.group_by, expr.aggregate) {
            (Some(keys), _) => Grouping::Keys(keys.clone()),
            (None, DataAggregate::All) => Grouping::Series,
            (None, DataAggregate::Of(_)) => Grouping::One,
        };
        let cells = cell_op(expr.consolidation);
        let (op, regroup) = match expr.aggregate {
            DataAggregate::All => (if several { cells } else { FoldOp::Max }, None),
            DataAggregate::Of(aggregate) => {
                let series = series_op(aggregate);
                // Adding the slots of a series and then the series is adding everything; likewise the lowest of the lowest.
                let commute = !several || cells == meet(series);
                if commute {
                    (series, None)
                } else {
                    let count = series == FoldOp::Count;
                    let regroup = Regroup {
                        grouping: grouping.clone(),
                        op: meet(series),
                        count,
                    };
                    (if count { FoldOp::Count } else { cells }, Some(regroup))
                }
            }
        };
        let average = expr.consolidation == Consolidation::Avg && several;
        let max_groups = match (&regroup, &grouping) {
            (Some(_), _) => series_limit,
            (None, Grouping::One) => 1,
            (None, _) => max_groups,
        };
        Ok(Self {
            scan: ScanRequest {
                query: expr.query.clone(),
                grouping: match regroup {
                    Some(_) => Grouping::Series,
                    None => grouping,
                },
                op,
                layout,
                max_groups,
            },
            consolidation: expr.consolidation,
            divide: if average { Divide::BySlots } else { Divide::No },
            regroup,
        })
    }
}

/// The cells of a range: the first ends at its start.
fn cell_layout(ctx: &EvalContext, base: Step) -> Result<CellLayout, QueryError> {
    let refused = |text: &str| QueryError::Step(format!("requirement failed: {text}"));
    if ctx.step < base {
        return Err(refused("step for query must be >= step for the database"));
    }
    let slots_per_cell = ctx
        .step
        .multiple_of(base)
        .ok_or_else(|| refused("consolidated step must be multiple of db step"))?;
    let last_of_first = Slot::ending_by(ctx.start.floor(ctx.step), base).0;
    Ok(CellLayout {
        first: Slot(last_of_first - slots_per_cell as i64 + 1),
        cells: ctx.cells(),
        slots_per_cell,
    })
}

/// How the slots of a cell meet; an average is a sum, divided at the end.
fn cell_op(consolidation: Consolidation) -> FoldOp {
    match consolidation {
        Consolidation::Avg | Consolidation::Sum => FoldOp::Sum,
        Consolidation::Min => FoldOp::Min,
        Consolidation::Max => FoldOp::Max,
    }
}

fn series_op(aggregate: Aggregate) -> FoldOp {
    match aggregate {
        Aggregate::Sum => FoldOp::Sum,
        Aggregate::Count => FoldOp::Count,
        Aggregate::Min => FoldOp::Min,
        Aggregate::Max => FoldOp::Max,
    }
}

/// How partial results of an operation meet: counts are added.
fn meet(op: FoldOp) -> FoldOp {
    match op {
        FoldOp::Count => FoldOp::Sum,
        op => op,
    }
}

#[cfg(test)]
mod tests {
    use hesper_model::Timestamp;
    use hesper_stack::{GraphOptions, parse_graph};

    use super::*;

    fn plan(program: &str, step_minutes: u32) -> Result<DataPlan, QueryError> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        let expr = exprs[0].expr.data_exprs().remove(0);
        let step = Step::from_secs(60 * step_minutes);
        let ctx = EvalContext {
            start: Timestamp(0).ceil(step).plus_millis(20 * step.millis()),
            end: Timestamp(0).plus_millis(24 * step.millis()),
            step,
        };
        DataPlan::new(&expr, &ctx, Step::from_secs(60), 1024, 1_000_000)
    }

    #[test]
    fn cells_end_at_their_time() {
        let layout = plan("name,a,:eq", 5).expect("a multiple").scan.layout;
        assert_eq!(
            (layout.first, layout.cells, layout.slots_per_cell),
            (Slot(96), 4, 5)
        );
    }

    #[test]
    fn only_what_does_not_commute_is_done_in_two_steps() {
        let two_steps = |program: &str, minutes| {
            let plan = plan(program, minutes).expect("a multiple");
            plan.regroup.map(|r| (plan.scan.op, r.op, r.count))
        };
        assert_eq!(two_steps("name,a,:eq,:sum", 5), None);
        assert_eq!(two_steps("name,a,:eq,:count,:cf-sum", 5), None);
        assert_eq!(two_steps("name,a,:eq,:max", 5), None);
        assert_eq!(two_steps("name,a,:eq,:sum,:cf-max", 1), None);
        assert_eq!(
            two_steps("name,a,:eq,:sum,:cf-max", 5),
            Some((FoldOp::Max, FoldOp::Sum, false))
        );
        assert_eq!(
            two_steps("name,a,:eq,:max,:cf-avg", 5),
            Some((FoldOp::Sum, FoldOp::Max, false))
        );
        assert_eq!(
            two_steps("name,a,:eq,:count,:cf-max", 5),
            Some((FoldOp::Count, FoldOp::Sum, true))
        );
    }

    #[test]
    fn averages_are_divided_only_over_several_slots() {
        let divide = |program: &str, minutes| plan(program, minutes).expect("a multiple").divide;
        assert_eq!(divide("name,a,:eq", 1), Divide::No);
        assert_eq!(divide("name,a,:eq", 5), Divide::BySlots);
        assert_eq!(divide("name,a,:eq,:max", 5), Divide::No);
        assert_eq!(divide("name,a,:eq,:cf-sum", 5), Divide::No);
    }

    #[test]
    fn a_step_below_the_stores_is_refused() {
        let exprs = parse_graph("name,a,:eq", &GraphOptions::default()).expect("valid");
        let expr = exprs[0].expr.data_exprs().remove(0);
        let ctx = EvalContext {
            start: Timestamp(0),
            end: Timestamp(60_000),
            step: Step::from_secs(90),
        };
        let refused = |base| {
            DataPlan::new(&expr, &ctx, base, 1, 1)
                .expect_err("refused")
                .to_string()
        };
        assert!(refused(Step::from_secs(60)).contains("multiple of db step"));
        assert!(refused(Step::from_secs(300)).contains(">= step for the database"));
    }
}
