//! From what storage found to what an expression says.
//!
//! A series is a dense column, one value a cell. The range may come in chunks: what operators remember is then kept from one chunk to
//! the next in an [`EvalState`].

mod aggregate;
mod consolidate;
mod context;
mod data;
mod distinct;
mod filter;
mod join;
pub mod online;
mod percentiles;
mod priority;
mod range;
mod series;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hesper_model::{DataSource, Tags};

pub use context::EvalContext;
pub use data::{DataGroup, data_result};
pub use online::EvalState;
pub use series::TimeSeries;

use crate::error::StackError;
use crate::expr::{Bound, DataExpr, Generated, TimeSeriesExpr, group_key};
use crate::number::JavaDouble;

/// The upper ends of the buckets that samples are counted in.
#[cfg(test)]
pub(crate) fn buckets() -> &'static [f64] {
    &percentiles::BUCKETS
}

/// The series that an expression yields.
#[derive(Clone, Debug, Default)]
pub struct ResultSet {
    /// The series, in the order in which they are found.
    pub series: Vec<TimeSeries>,
    /// What there is to say about them.
    pub messages: Vec<String>,
}

/// Evaluates an expression over a whole range at once.
///
/// `data` holds the result of every data expression of it, as [`data_result`] makes it; one that is missing counts as without series.
///
/// # Errors
/// When series do not fit the operators that are applied to them.
pub fn evaluate(
    expr: &TimeSeriesExpr,
    ctx: &EvalContext,
    data: &HashMap<DataExpr, Vec<TimeSeries>>,
) -> Result<ResultSet, StackError> {
    evaluate_chunk(expr, ctx, data, &mut EvalState::default())
}

/// Evaluates an expression over the next chunk of a range. The state is that which the chunk before left.
///
/// # Errors
/// When series do not fit the operators that are applied to them.
pub fn evaluate_chunk(
    expr: &TimeSeriesExpr,
    ctx: &EvalContext,
    data: &HashMap<DataExpr, Vec<TimeSeries>>,
    state: &mut EvalState,
) -> Result<ResultSet, StackError> {
    state.begin(ctx);
    let mut evaluation = Evaluation {
        ctx,
        range: ctx,
        data,
        state,
        message: None,
    };
    let series = evaluation.series(expr)?;
    let message = evaluation.message.filter(|_| filter::is_last(expr));
    Ok(ResultSet {
        series,
        messages: message.into_iter().collect(),
    })
}

/// As [`evaluate_chunk`], for an expression whose data no other needs after it: what storage found is not copied but taken, where it is the
/// result as it is.
///
/// # Errors
/// As [`evaluate_chunk`].
pub fn evaluate_chunk_last(
    expr: &TimeSeriesExpr,
    ctx: &EvalContext,
    data: &mut HashMap<DataExpr, Vec<TimeSeries>>,
    state: &mut EvalState,
) -> Result<ResultSet, StackError> {
    match expr {
        TimeSeriesExpr::Data(wanted) => {
            state.begin(ctx);
            Ok(ResultSet {
                series: data.remove(wanted).unwrap_or_default(),
                messages: Vec::new(),
            })
        }
        TimeSeriesExpr::NamedRewrite(named) => evaluate_chunk_last(&named.eval, ctx, data, state),
        expr => evaluate_chunk(expr, ctx, data, state),
    }
}

struct Evaluation<'a> {
    /// The cells that are computed: those of the range, and around it what a consolidation to longer steps takes in.
    ctx: &'a EvalContext,
    /// The range that was asked for. Outside of it there are no data, and figures do not count what is there.
    range: &'a EvalContext,
    data: &'a HashMap<DataExpr, Vec<TimeSeries>>,
    state: &'a mut EvalState,
    /// What the filter evaluated last says.
    message: Option<String>,
}

impl<'a> Evaluation<'a> {
    fn series(&mut self, expr: &TimeSeriesExpr) -> Result<Vec<TimeSeries>, StackError> {
        match expr {
            TimeSeriesExpr::Data(data) => {
                self.widened(self.data.get(data).cloned().unwrap_or_default())
            }
            TimeSeriesExpr::Constant(v) => Ok(vec![self.constant(*v)]),
            TimeSeriesExpr::Generated(generated) => self.generated(generated),
            TimeSeriesExpr::Unary { op, input } => {
                let step = self.ctx.step;
                self.each(input, |values| (op.apply)(values, step))
            }
            TimeSeriesExpr::Clamp {
                bound,
                limit,
                input,
            } => self.each(input, |values| clamp(values, *bound, *limit)),
            TimeSeriesExpr::Binary { op, left, right } => {
                let l = self.operand(left)?;
                let r = self.operand(right)?;
                join::join(op, left, l, right, r)
            }
            TimeSeriesExpr::Aggregate { op, input } => {
                let found = self.operand_in_range(input)?;
                self.widened(vec![match found.first() {
                    None => TimeSeries::no_data(self.range),
                    Some(first) => {
                        let tags = match input.data_exprs().first() {
                            Some(data) => {
                                let exact = data.query.exact_tags();
                                first.tags.filtered(|k| exact.get(k).is_some())
                            }
                            None => first.tags.clone(),
                        };
                        let label = format!("{}({})", op.name(), series::tag_label(&tags));
                        TimeSeries::labelled(tags, label, first.source, aggregate::all(*op, found))
                    }
                }])
            }
            TimeSeriesExpr::GroupBy { op, input, keys } => {
                let found = self.operand_in_range(input)?;
                let kept = common_exact_keys(input);
                let kept = |k: &str| kept.contains(k) || keys.iter().any(|key| **key == *k);
                let groups = grouped(found, |s| group_key(keys, &s.tags)).into_iter();
                let made_one = groups.map(|(key, group)| {
                    let first = &group[0];
                    let (tags, source) = (first.tags.filtered(&kept), first.source);
                    TimeSeries::labelled(tags, key, source, aggregate::all(*op, group))
                });
                self.widened(made_one.collect())
            }
            TimeSeriesExpr::Rename { input, from, to } => {
                let mut found = self.series(input)?;
                for series in &mut found {
                    series.rename_tag(from, to);
                }
                Ok(found)
            }
            TimeSeriesExpr::NamedRewrite(named) => self.series(&named.eval),
            TimeSeriesExpr::Percentiles(p) => {
                let found = self.data.get(p.data()).map_or(&[][..], Vec::as_slice);
                self.widened(percentiles::percentiles(p, found, self.range)?)
            }
            TimeSeriesExpr::ApproxDistinct(d) => {
                let found = self.series_in_range(d.registers())?;
                self.widened(distinct::distinct(d, &found, self.range)?)
            }
            TimeSeriesExpr::Stateful { op, input } => {
                let found = self.operand_in_range(input)?;
                let found = self.state.run(*op, found, self.range)?;
                self.widened(found)
            }
            TimeSeriesExpr::Filter(filter) => self.filter(filter),
        }
    }

    /// The series of an operand. Those that storage found are not copied.
    fn operand(&mut self, expr: &TimeSeriesExpr) -> Result<Vec<Cow<'a, TimeSeries>>, StackError> {
        match expr {
            TimeSeriesExpr::Data(data) if self.ctx == self.range => {
                let found = self.data.get(data).map_or(&[][..], Vec::as_slice);
                Ok(found.iter().map(Cow::Borrowed).collect())
            }
            TimeSeriesExpr::NamedRewrite(named) => self.operand(&named.eval),
            _ => Ok(self.series(expr)?.into_iter().map(Cow::Owned).collect()),
        }
    }

    /// The series of an operand, over the range alone.
    fn operand_in_range(
        &mut self,
        expr: &TimeSeriesExpr,
    ) -> Result<Vec<Cow<'a, TimeSeries>>, StackError> {
        if self.ctx == self.range {
            return self.operand(expr);
        }
        let found = self.series_in_range(expr)?;
        Ok(found.into_iter().map(Cow::Owned).collect())
    }

    fn generated(&self, generated: &Generated) -> Result<Vec<TimeSeries>, StackError> {
        let values = generated.values(self.ctx, &self.state.range(self.range))?;
        let label = generated.label();
        let tags = Tags::from_pairs([("name", label.as_str())]);
        let line = TimeSeries::labelled(tags, label, DataSource::Gauge, values);
        Ok(vec![line])
    }

    fn constant(&self, v: f64) -> TimeSeries {
        let name = JavaDouble(v).to_string();
        let tags = Tags::from_pairs([("name", name.as_str())]);
        TimeSeries::labelled(tags, name, DataSource::Gauge, vec![v; self.ctx.cells()])
    }

    fn each(
        &mut self,
        input: &TimeSeriesExpr,
        f: impl Fn(&mut [f64]),
    ) -> Result<Vec<TimeSeries>, StackError> {
        let found = self.operand(input)?.into_iter();
        let changed = found.map(|series| {
            let mut series = series.into_owned();
            f(&mut series.values);
            series.label_by_tags();
            series
        });
        Ok(changed.collect())
    }
}

fn clamp(values: &mut [f64], bound: Bound, limit: f64) {
    for v in values {
        let beyond = match bound {
            Bound::Min => *v < limit,
            Bound::Max => *v > limit,
        };
        *v = if beyond { limit } else { *v };
    }
}

/// The keys that every query of an expression fixes.
fn common_exact_keys(expr: &TimeSeriesExpr) -> BTreeSet<Arc<str>> {
    let mut common: Option<BTreeSet<Arc<str>>> = None;
    expr.visit_data(&mut |data| {
        let exact = data.query.exact_tags();
        let keys: BTreeSet<_> = exact.pairs().iter().map(|(k, _)| k.clone()).collect();
        common = Some(match common.take() {
            Some(before) => before.intersection(&keys).cloned().collect(),
            None => keys,
        });
    });
    common.unwrap_or_default()
}

/// The series by key, sorted by it; series without a key are left out.
fn grouped<S>(found: Vec<S>, key: impl Fn(&S) -> Option<String>) -> BTreeMap<String, Vec<S>> {
    let mut groups = BTreeMap::<String, Vec<S>>::new();
    for series in found {
        if let Some(key) = key(&series) {
            groups.entry(key).or_default().push(series);
        }
    }
    groups
}
