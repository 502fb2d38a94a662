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
                by_key.entry(group_key(&keys, &one.tags)).or_default().push(one);
            }
            found.retain(|series| {
                let of_key = by_key.get(&group_key(&keys, &series.tags));
                matches!(of_key.map(Vec::as_slice), Some([one]) if holds(one))
            });
        } else {
            let [one] = conditions.as_slice() else {
                return Err(StackError::requirement("empty result for filter expression"));
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
