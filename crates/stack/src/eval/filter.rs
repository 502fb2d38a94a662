//! Lines chosen, or made, by a look at the whole range.

use std::collections::HashMap;

use super::{Evaluation, TimeSeries};
use crate::error::StackError;
use crate::expr::binary::is_true;
use crate::expr::{FilterExpr, TimeSeriesExpr, group_key};
use crate::stats::{Statistic, SummaryStats};

impl Evaluation<'_> {
    pub(super) fn filter(&mut self, expr: &FilterExpr) -> Result<Vec<TimeSeries>, StackError> {
        match expr {
            FilterExpr::Placeholder(_) => Ok(Vec::new()),
            FilterExpr::Stat { input, stat, .. } => self.stat(input, stat),
            FilterExpr::Matching { input, condition } => self.matching(input, condition),
            FilterExpr::Priority { op, input, stat, k } => {
                self.priority(op, input, stat, usize::try_from(*k).unwrap_or(0))
            }
            FilterExpr::Consolidate { input, by, step } => self.consolidated(input, *by, *step),
        }
    }

    fn stat(&mut self, input: &TimeSeriesExpr, stat: &str) -> Result<Vec<TimeSeries>, StackError> {
        let found = self.series(input)?;
        let cells = self.ctx.cells();
        found
            .into_iter()
            .map(|series| {
                let figure = SummaryStats::of(self.in_range(&series.values)).get(statistic(stat)?);
                let label = format!("stat-{stat}({})", series.label());
                let source = hesper_model::DataSource::Gauge;
                Ok(TimeSeries::labelled(
                    series.tags,
                    label,
                    source,
                    vec![figure; cells],
                ))
            })
            .collect()
    }

    fn matching(
        &mut self,
        input: &TimeSeriesExpr,
        condition: &TimeSeriesExpr,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let mut found = self.series(input)?;
        let conditions = self.series(condition)?;
        let lines = found.len();
        let holds = |series: &TimeSeries| self.in_range(&series.values).iter().any(|v| is_true(*v));
        if condition.is_grouped() {
            let keys = input.final_grouping();
            let mut by_key: HashMap<Option<String>, Vec<&TimeSeries>> = HashMap::new();
            for one in &conditions {
                by_key
                    .entry(group_key(&keys, &one.tags))
                    .or_default()
                    .push(one);
            }
            found.retain(|series| {
                let of_key = by_key.get(&group_key(&keys, &series.tags));
                matches!(of_key.map(Vec::as_slice), Some([one]) if holds(one))
            });
        } else {
            let [one] = conditions.as_slice() else {
                return Err(StackError::requirement(
                    "empty result for filter expression",
                ));
            };
            if !holds(one) {
                found.clear();
            }
        }
        self.message = Some(format!("{} of {lines} lines matched filter", found.len()));
        Ok(found)
    }
}

/// The figure with this name.
///
/// # Errors
/// When there is none.
pub(super) fn statistic(name: &str) -> Result<Statistic, StackError> {
    Statistic::named(name)
        .ok_or_else(|| StackError::IllegalArgument(format!("unknown statistic: {name}")))
}

/// True when the last that happens to the lines of an expression is that some are left out by a condition. Only then is there something
/// to say about it.
pub(super) fn is_last(expr: &TimeSeriesExpr) -> bool {
    match expr {
        TimeSeriesExpr::NamedRewrite(named) => is_last(&named.eval),
        TimeSeriesExpr::Filter(FilterExpr::Matching { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::eval::{DataGroup, EvalContext, ResultSet, data_result, evaluate};
    use crate::expr::DataAggregate;
    use crate::parse::{GraphOptions, parse_graph};
    use hesper_model::{DataSource, Step, Tags, Timestamp};
    use std::collections::HashMap;

    /// Lines `k=1` to `k=4` with values 10·k and 10·k + 1; `k=4` has no data at first.
    fn result(program: &str) -> Result<ResultSet, String> {
        let ctx = EvalContext {
            start: Timestamp(0),
            end: Timestamp(120_000),
            step: Step::from_secs(60),
        };
        let exprs = parse_graph(program, &GraphOptions::default()).map_err(|e| e.to_string())?;
        let data: HashMap<_, _> = exprs[0]
            .expr
            .data_exprs()
            .into_iter()
            .map(|data| {
                let several = data.group_by.is_some() || data.aggregate == DataAggregate::All;
                let lines = if several { 1..5 } else { 1..2 };
                let groups = lines.map(|k| DataGroup {
                    tags: Tags::from_pairs([("k", k.to_string())]),
                    source: DataSource::Gauge,
                    values: match k {
                        4 => vec![f64::NAN, 41.0],
                        k => vec![f64::from(k) * 10.0, f64::from(k) * 10.0 + 1.0],
                    },
                });
                let found = data_result(&data, groups.collect(), &ctx);
                (data, found)
            })
            .collect();
        evaluate(&exprs[0].expr, &ctx, &data).map_err(|e| e.to_string())
    }

    /// The group of each line and its last value.
    fn lines(program: &str) -> Vec<String> {
        let result = result(program).expect("valid");
        let show =
            |s: &crate::TimeSeries| format!("{} {}", s.tags.get("k").unwrap_or("-"), s.values[1]);
        result.series.iter().map(show).collect()
    }

    #[test]
    fn a_figure_is_a_line() {
        assert_eq!(
            lines("a,:has,(,k,),:by,avg,:stat"),
            ["1 10.5", "2 20.5", "3 30.5", "4 41"]
        );
        assert_eq!(
            lines("a,:has,(,k,),:by,count,:stat"),
            ["1 2", "2 2", "3 2", "4 1"]
        );
        let label = result("a,:has,(,k,),:by,max,:stat").expect("valid").series[0]
            .label()
            .into_owned();
        assert_eq!(label, "stat-max((k=1))");
        assert_eq!(
            result("a,:has,x,:stat").expect_err("unknown"),
            "IllegalArgumentException: unknown statistic: x"
        );
        assert!(lines(":stat-max").is_empty());
    }

    #[test]
    fn lines_stay_whose_condition_is_true_at_some_time() {
        assert_eq!(
            lines("a,:has,(,k,),:by,:dup,20,:gt,:filter"),
            ["2 21", "3 31", "4 41"]
        );
        assert_eq!(
            lines("a,:has,(,k,),:by,:stat-min,20,:gt,:filter"),
            ["3 31", "4 41"]
        );
        assert_eq!(lines("a,:has,(,k,),:by,0,:filter"), [""; 0]);
        assert_eq!(lines("a,:has,(,k,),:by,a,:has,10,:gt,:filter").len(), 4);
        assert_eq!(
            result("a,:has,(,k,),:by,:stat-max,:filter")
                .expect("valid")
                .messages,
            ["4 of 4 lines matched filter"]
        );
        let messages = |program: &str| result(program).expect("valid").messages;
        assert_eq!(
            messages("a,:has,(,k,),:by,:stat-max,20,:gt,:filter"),
            ["3 of 4 lines matched filter"]
        );
        assert!(messages("a,:has,(,k,),:by,:stat-max,20,:gt,:filter,1,:add").is_empty());
    }

    #[test]
    fn a_condition_has_to_fit() {
        assert_eq!(
            result("a,:has,a,:has,(,k,),:by,:filter").expect_err("grouped"),
            "IllegalArgumentException: requirement failed: filter grouping must match expr grouping"
        );
        assert_eq!(
            result("a,:has,(,k,),:by,:stat-max,:sum,:filter").map(|r| r.series.len()),
            Ok(4)
        );
        assert_eq!(
            result("a,:has,b,:has,:all,:filter").expect_err("several lines"),
            "IllegalArgumentException: requirement failed: empty result for filter expression"
        );
        // A placeholder within what has a name is not replaced, and has no lines.
        assert!(result("a,:has,:stat-max,:avg,:filter").is_ok_and(|r| r.series.is_empty()));
    }

    #[test]
    fn the_first_lines_stay_and_the_others_become_one() {
        let of = |word: &str| lines(&format!("a,:has,(,k,),:by,max,2,:{word}"));
        let mut top = of("topk");
        top.sort();
        assert_eq!(top, ["3 31", "4 41"]);
        assert_eq!(of("topk-others-sum")[0], "--others-- 32");
        assert_eq!(of("topk-others-avg")[0], "--others-- 16");
        assert_eq!(of("bottomk-others-min")[0], "--others-- 31");
        assert_eq!(of("bottomk-others-max").len(), 3);
        assert_eq!(lines("a,:has,(,k,),:by,max,9,:topk-others-sum").len(), 4);
        assert_eq!(
            result("a,:has,max,0,:topk").expect_err("none"),
            "IllegalArgumentException: requirement failed: k must be positive (0 <= 0)"
        );
    }
}
