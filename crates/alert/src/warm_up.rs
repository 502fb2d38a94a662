//! How far back the operators of an expression remember.

use hesper_model::Step;
use hesper_stack::TimeSeriesExpr;

/// The most steps that are evaluated before the one asked for. What reaches further back starts with less than it may remember.
pub const MAX_STEPS: usize = 1440;

/// The shortest step of a store: what reaches back a length of time takes the most steps there.
const SHORTEST_STEP: Step = Step::from_secs(1);

/// The number of steps before T that the operators of an expression have to see for their value at T to be right; at most
/// [`MAX_STEPS`], which also stands for those that remember everything.
pub fn steps(expr: &TimeSeriesExpr) -> usize {
    reach(expr).min(MAX_STEPS)
}

fn reach(expr: &TimeSeriesExpr) -> usize {
    match expr {
        TimeSeriesExpr::Data(_)
        | TimeSeriesExpr::Constant(_)
        | TimeSeriesExpr::Generated(_)
        | TimeSeriesExpr::Percentiles(_) => 0,
        TimeSeriesExpr::Unary { input, .. }
        | TimeSeriesExpr::Clamp { input, .. }
        | TimeSeriesExpr::Aggregate { input, .. }
        | TimeSeriesExpr::GroupBy { input, .. }
        | TimeSeriesExpr::Rename { input, .. } => reach(input),
        TimeSeriesExpr::Binary { left, right, .. } => reach(left).max(reach(right)),
        TimeSeriesExpr::NamedRewrite(named) => reach(&named.eval),
        TimeSeriesExpr::ApproxDistinct(distinct) => reach(distinct.registers()),
        TimeSeriesExpr::Stateful { op, input } => {
            let own = op.reach(SHORTEST_STEP).unwrap_or(MAX_STEPS);
            own.saturating_add(reach(input))
        }
        // Figures of a range depend on all of it.
        TimeSeriesExpr::Filter(_) => MAX_STEPS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_stack::{GraphOptions, parse_graph};

    #[test]
    fn operators_on_operators_reach_further() {
        let steps = |program: &str| {
            let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
            super::steps(&exprs[0].expr)
        };
        assert_eq!(steps("name,a,:eq,5,:gt"), 0);
        assert_eq!(steps("name,a,:eq,5,:gt,1,:rolling-count"), 0);
        assert_eq!(steps("name,a,:eq,5,:gt,5,:rolling-count,4,:gt"), 4);
        assert_eq!(
            steps("name,a,:eq,5,:rolling-count,3,:gt,10,:rolling-count"),
            13
        );
        assert_eq!(
            steps("name,a,:eq,5,:rolling-count,name,b,:eq,9,:rolling-count,:and"),
            8
        );
        assert_eq!(steps("name,a,:eq,(,k,),:by,:avg,7,:rolling-count,:abs"), 6);
        assert_eq!(steps("name,a,:eq,86400,:rolling-count"), MAX_STEPS);
    }
}
