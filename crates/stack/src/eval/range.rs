//! Cells outside of the range that was asked for.
//!
//! Where values are made one over longer steps, the first and the last of these reach beyond the range. Data, and what is computed from
//! all series or from values before, are not there (NaN); functions of the time, and what is computed value by value, are. So the input
//! of a consolidation is evaluated over a wider range, and what belongs to the range alone is cut to it and set in again.

use super::{Evaluation, TimeSeries};
use crate::error::StackError;
use crate::expr::TimeSeriesExpr;

/// The most values of all series of an operator outside of the range; they are counted only when there are any.
const MAX_VALUES: usize = 1 << 25;

impl Evaluation<'_> {
    /// The series of an expression, over the range alone.
    pub(super) fn series_in_range(
        &mut self,
        expr: &TimeSeriesExpr,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let mut found = self.series(expr)?;
        if self.ctx != self.range {
            for series in &mut found {
                series.values = self.in_range(&series.values).to_vec();
            }
        }
        Ok(found)
    }

    /// The values of the range, of those that are computed.
    pub(super) fn in_range<'v>(&self, values: &'v [f64]) -> &'v [f64] {
        let before = self.cells_before().min(values.len());
        let end = (before + self.range.cells()).min(values.len());
        &values[before..end]
    }

    /// Series over the range alone as series over all cells, NaN outside of the range.
    pub(super) fn widened(
        &self,
        mut found: Vec<TimeSeries>,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let (before, cells) = (self.cells_before(), self.ctx.cells());
        if self.ctx == self.range {
            return Ok(found);
        }
        if found.len().saturating_mul(cells) > MAX_VALUES {
            return Err(StackError::IllegalArgument(format!(
                "too many values to be consolidated: {} lines of {cells} steps; the limit is {MAX_VALUES} values, \
                 so ask :consolidate for a shorter step",
                found.len()
            )));
        }
        for series in &mut found {
            let mut values = vec![f64::NAN; cells];
            for (to, from) in values.iter_mut().skip(before).zip(&series.values) {
                *to = *from;
            }
            series.values = values;
        }
        Ok(found)
    }

    fn cells_before(&self) -> usize {
        let span = self.range.start.millis() - self.ctx.start.millis();
        usize::try_from(span / self.range.step.millis()).unwrap_or(0)
    }
}
