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
            let cell = usize::try_from(at)
                .ok()
                .and_then(|at| values.get(at..at + slots));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::{DataGroup, data_result, evaluate};
    use crate::parse::{GraphOptions, parse_graph};
    use hesper_model::{DataSource, Step, Tags};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn minutes(from: i64, to: i64) -> EvalContext {
        EvalContext {
            start: Timestamp(from * 60_000),
            end: Timestamp(to * 60_000),
            step: Step::from_secs(60),
        }
    }

    fn result(
        program: &str,
        ctx: &EvalContext,
        source: DataSource,
        values: &[f64],
    ) -> Result<Vec<TimeSeries>, String> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        let expr = &exprs[0].expr;
        let data: HashMap<_, _> = expr
            .data_exprs()
            .into_iter()
            .map(|data| {
                let group = DataGroup {
                    tags: Tags::empty(),
                    source,
                    values: values.to_vec(),
                };
                let found = data_result(&data, vec![group], ctx);
                (data, found)
            })
            .collect();
        evaluate(expr, ctx, &data)
            .map(|found| found.series)
            .map_err(|e| e.to_string())
    }

    fn shown_values(
        program: &str,
        ctx: &EvalContext,
        source: DataSource,
        values: &[f64],
    ) -> Vec<String> {
        let found = result(program, ctx, source, values).expect("valid");
        found[0].values.iter().map(f64::to_string).collect()
    }

    const NAN: f64 = f64::NAN;

    #[test]
    fn longer_steps_are_stairs() {
        let ctx = minutes(3, 9);
        let values = [3.0, 4.0, 5.0, NAN, 7.0, 8.0];
        let of = |cf: &str, source| {
            shown_values(
                &format!("a,:has,{cf},3m,:consolidate"),
                &ctx,
                source,
                &values,
            )
        };
        // 1 to 3, 4 to 6 and 7 to 9, of which 1, 2 and 9 are not in the range.
        assert_eq!(
            of("sum", DataSource::Gauge),
            ["3", "9", "9", "9", "15", "15"]
        );
        assert_eq!(
            of("avg", DataSource::Gauge),
            ["3", "4.5", "4.5", "4.5", "7.5", "7.5"]
        );
        assert_eq!(of("avg", DataSource::Rate), ["1", "3", "3", "3", "5", "5"]);
        assert_eq!(of("max", DataSource::Rate), ["3", "5", "5", "5", "8", "8"]);
        // Rounded up to a multiple of the step.
        let rounded = shown_values(
            "a,:has,sum,121s,:consolidate",
            &ctx,
            DataSource::Gauge,
            &values,
        );
        assert_eq!(rounded, of("sum", DataSource::Gauge));
    }

    #[test]
    fn what_is_a_function_of_time_goes_on_outside_of_the_range() {
        let ctx = minutes(3, 5);
        let of = |program: &str| shown_values(program, &ctx, DataSource::Gauge, &[3.0, 4.0]);
        assert_eq!(of("1,sum,3m,:consolidate"), ["3", "3"]);
        // NaN is not above 2, but 0 is a value.
        assert_eq!(
            of("a,:has,2,:gt,avg,3m,:consolidate")[0],
            (1.0f64 / 3.0).to_string()
        );
        // A sum of lines is there within the range only, and so is what depends on values before.
        assert_eq!(of("a,:has,2,:gt,:sum,avg,3m,:consolidate"), ["1", "1"]);
        assert_eq!(of("1,2,:rolling-count,sum,3m,:consolidate"), ["1", "2"]);
        // A figure is of the range, and holds everywhere.
        assert_eq!(of("1,count,:stat,sum,3m,:consolidate"), ["6", "6"]);
        assert_eq!(of("gs,ge,:time-span,sum,3m,:consolidate"), ["1", "2"]);
        assert_eq!(of("ge-1m,ge,:time-span,sum,3m,:consolidate"), ["0", "2"]);
        // A longer step of longer steps, which reach beyond it.
        assert_eq!(of("1,sum,2m,:consolidate,sum,3m,:consolidate"), ["6", "6"]);
    }

    #[test]
    fn shorter_steps_change_nothing_but_have_to_fit() {
        let ctx = minutes(3, 5);
        let of = |step: &str| {
            let program = format!("a,:has,sum,{step},:consolidate");
            let found = result(&program, &ctx, DataSource::Gauge, &[3.0, 4.0])?;
            Ok::<_, String>(found[0].values.clone())
        };
        assert_eq!(of("30s"), Ok(vec![3.0, 4.0]));
        assert_eq!(of("PT-1M"), Ok(vec![3.0, 4.0]));
        assert_eq!(
            of("7s").expect_err("no divisor"),
            "IllegalArgumentException: requirement failed: consolidated step must be multiple of primary step"
        );
        assert_eq!(
            of("0s").expect_err("no step"),
            "ArithmeticException: / by zero"
        );
        assert!(of("9999y").expect_err("too long").contains("too long"));
    }

    proptest! {
        #[test]
        fn it_does_what_looking_at_every_time_does(
            values in proptest::collection::vec(prop_oneof![3 => -9.0..9.0, 1 => Just(NAN)], 1..24),
            from in 0i64..12,
            slots in 2i64..8,
            rate: bool,
            word in 0usize..4,
        ) {
            let ctx = minutes(from, from + values.len() as i64);
            let by = [Consolidation::Avg, Consolidation::Sum, Consolidation::Min, Consolidation::Max][word];
            let source = if rate { DataSource::Rate } else { DataSource::Gauge };
            let program = format!("a,:has,{},{slots}m,:consolidate", by.name());
            let got = result(&program, &ctx, source, &values).expect("valid");
            if values.iter().all(|v| v.is_nan()) {
                return Ok(());
            }
            let at = |minute: i64| {
                let i = usize::try_from(minute - from).ok();
                i.and_then(|i| values.get(i)).copied().unwrap_or(NAN)
            };
            for (i, got) in got[0].values.iter().enumerate() {
                let end = (from + i as i64 + slots - 1) / slots * slots;
                // Atlas leaves out the step that ends at the epoch.
                let cell: Vec<f64> = match end {
                    0 => Vec::new(),
                    end => (end - slots + 1..=end).map(at).filter(|v| !v.is_nan()).collect(),
                };
                let sum: f64 = cell.iter().sum();
                let want = match by {
                    _ if cell.is_empty() => NAN,
                    Consolidation::Avg if rate => sum / slots as f64,
                    Consolidation::Avg => sum / cell.len() as f64,
                    Consolidation::Sum => sum,
                    Consolidation::Min => cell.iter().copied().fold(f64::INFINITY, f64::min),
                    Consolidation::Max => cell.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                };
                prop_assert!((got.is_nan() && want.is_nan()) || (got - want).abs() < 1e-9, "{} at {}: {} {}", program, i, got, want);
            }
        }
    }
}
