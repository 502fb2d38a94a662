//! Values made one over steps longer than the graph's, and shown at its times.

use hesper_model::aggregate::{add_nan, max_nan, min_nan};
use hesper_model::{Consolidation, Timestamp};

use super::{EvalContext, Evaluation, TimeSeries};
use crate::error::StackError;
use crate::expr::TimeSeriesExpr;
use crate::span::Span;

/// The most cells that are computed for a consolidation.
const MAX_CELLS: i64 = 1 << 20;

impl Evaluation<'_> {
    /// The series of an expression consolidated to a step, which is rounded up to a multiple of the context's.
    pub(super) fn consolidated(
        &mut self,
        input: &TimeSeriesExpr,
        by: Consolidation,
        step: Span,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let base = self.ctx.step.millis();
        let step = step.millis()?;
        if step <= base {
            return self.unless_shorter(input, step);
        }
        let too_long = || {
            StackError::IllegalArgument(format!(
                "step of :consolidate is too long: the limit is {MAX_CELLS} steps of the graph"
            ))
        };
        // Also keeps the times far from the end of the numbers.
        if step / base >= MAX_CELLS {
            return Err(too_long());
        }
        let step = (step + base - 1) / base * base;
        let last = self.ctx.end.plus_millis(-base);
        let wider = EvalContext {
            start: first_of_cell(self.ctx.start, step, base),
            end: cell_end(last, step).plus_millis(base),
            step: self.ctx.step,
        };
        if wider.cells() as i64 > MAX_CELLS {
            return Err(too_long());
        }
        let mut evaluation = Evaluation {
            ctx: &wider,
            range: self.range,
            data: self.data,
            state: &mut *self.state,
            message: None,
        };
        let mut found = evaluation.series(input)?;
        for series in &mut found {
            let rate = series.source.is_rate();
            series.values = shown(&series.values, &wider, self.ctx, by, step, rate);
            series.keep_label();
        }
        Ok(found)
    }

    /// A step that is not longer changes nothing, but has to divide the context's.
    fn unless_shorter(
        &mut self,
        input: &TimeSeriesExpr,
        step: i64,
    ) -> Result<Vec<TimeSeries>, StackError> {
        let mut found = self.series(input)?;
        if found.is_empty() {
            return Ok(found);
        }
        if step == 0 {
            return Err(StackError::Arithmetic("/ by zero".to_owned()));
        }
        if self.ctx.step.millis() % step != 0 {
            return Err(StackError::requirement(
                "consolidated step must be multiple of primary step",
            ));
        }
        found.iter_mut().for_each(TimeSeries::keep_label);
        Ok(found)
    }
}

/// The end of the longer step that holds a time, which is its last time.
fn cell_end(time: Timestamp, step: i64) -> Timestamp {
    match time.millis() % step {
        0 => time,
        // Rounded towards the epoch, and then up, as Atlas has it.
        _ => Timestamp(time.millis() / step * step + step),
    }
}

/// The first time of the longer step that holds a time.
fn first_of_cell(time: Timestamp, step: i64, base: i64) -> Timestamp {
    cell_end(time, step).plus_millis(base - step)
}

/// For each time of `ctx` the value of the longer step that holds it.
fn shown(
    values: &[f64],
    wider: &EvalContext,
    ctx: &EvalContext,
    by: Consolidation,
    step: i64,
    rate: bool,
) -> Vec<f64> {
    let base = ctx.step.millis();
    let slots = (step / base) as usize;
    let mut previous: Option<(Timestamp, f64)> = None;
    let times = ctx.times();
    times
        .map(|time| {
            let first = first_of_cell(time, step, base);
            if let Some((cell, value)) = previous
                && cell == first
            {
                return value;
            }
            let at = (first.millis() - wider.start.millis()) / base;
            let cell = usize::try_from(at).ok().and_then(|at| values.get(at..at + slots));
            let value = match cell {
                // Before the epoch there is nothing.
                Some(cell) if first.millis() >= 0 => made_one(cell, by, rate),
                _ => f64::NAN,
            };
            previous = Some((first, value));
            value
        })
        .collect()
}

/// The values of a longer step made one. A rate is nothing where there is no data, and is averaged over the whole step; of a gauge
/// only the values that are there are averaged.
fn made_one(values: &[f64], by: Consolidation, rate: bool) -> f64 {
    let fold = match by {
        Consolidation::Avg | Consolidation::Sum => add_nan,
        Consolidation::Min => min_nan,
        Consolidation::Max => max_nan,
    };
    let total = values.iter().fold(f64::NAN, |total, v| fold(total, *v));
    let present = values.iter().filter(|v| !v.is_nan()).count();
    match by {
        Consolidation::Avg if present > 0 => {
            total / if rate { values.len() } else { present } as f64
        }
        _ => total,
    }
}
