//! The tree a program evaluates to: what data it needs, and what is computed from it.
//!
//! All of it is plain data. It prints as a program that yields the same tree (see `print`), and is changed by rules applied from
//! the top down (see `rewrite`).

pub mod approx_distinct;
pub mod binary;
pub mod data;
pub mod event;
pub mod filter;
pub mod generated;
pub mod percentiles;
pub mod rewrite;
pub mod stateful;
pub mod streaming;
pub mod style;
pub mod unary;

mod custom_average;
mod named;
mod print;
mod size;

use std::sync::Arc;

use hesper_model::{Aggregate, Tags};

pub use approx_distinct::ApproxDistinct;
pub use binary::BinaryOp;
pub use custom_average::CustomAverage;
pub use data::{DataAggregate, DataExpr};
pub use event::EventExpr;
pub use filter::FilterExpr;
pub use generated::{ClockReading, Generated, TimeSpan};
pub use named::{Displayed, NamedRewrite};
pub use percentiles::Percentiles;
pub use print::{PrintQuery, query_label};
pub use stateful::StatefulOp;
pub use style::StyleExpr;
pub use unary::UnaryOp;

pub(crate) use size::{Size, query_size};

use crate::error::StackError;

/// An expression whose result is a set of time series.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeSeriesExpr {
    /// Series from storage.
    Data(DataExpr),
    /// One series that always has this value.
    Constant(f64),
    /// One series made from the time.
    Generated(Generated),
    /// Every value changed by itself.
    Unary {
        /// What is done to a value.
        op: &'static UnaryOp,
        /// The series.
        input: Arc<TimeSeriesExpr>,
    },
    /// Every value held within a bound.
    Clamp {
        /// Which side is bounded.
        bound: Bound,
        /// The lowest or highest value.
        limit: f64,
        /// The series.
        input: Arc<TimeSeriesExpr>,
    },
    /// Two values made one, series by series with the same group.
    Binary {
        /// What makes one value of two.
        op: &'static BinaryOp,
        /// The left operand.
        left: Arc<TimeSeriesExpr>,
        /// The right operand.
        right: Arc<TimeSeriesExpr>,
    },
    /// All series made one.
    Aggregate {
        /// How.
        op: Aggregate,
        /// The series.
        input: Arc<TimeSeriesExpr>,
    },
    /// The series of each group made one; the input is grouped by these keys and more.
    GroupBy {
        /// How.
        op: Aggregate,
        /// The series.
        input: Arc<TimeSeriesExpr>,
        /// The keys that tell the groups apart.
        keys: Vec<Arc<str>>,
    },
    /// A tag key given another name.
    Rename {
        /// The series.
        input: Arc<TimeSeriesExpr>,
        /// The key as it was.
        from: Arc<str>,
        /// The key as it shall be.
        to: Arc<str>,
    },
    /// An expansion that prints under the name of the word that made it.
    NamedRewrite(NamedRewrite),
    /// Percentiles estimated from counts by bucket.
    Percentiles(Percentiles),
    /// Numbers of different values estimated from the registers of sketches.
    ApproxDistinct(ApproxDistinct),
    /// Values that depend on the ones before.
    Stateful {
        /// How.
        op: StatefulOp,
        /// The series.
        input: Arc<TimeSeriesExpr>,
    },
    /// Lines chosen, or made, by a look at the whole range.
    Filter(FilterExpr),
}

/// The side on which values are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// No value is lower.
    Min,
    /// No value is higher.
    Max,
}

impl TimeSeriesExpr {
    /// Both operands under an operator.
    ///
    /// # Errors
    /// When both are grouped and neither's keys are among the other's.
    pub fn binary(
        op: &'static BinaryOp,
        left: Arc<TimeSeriesExpr>,
        right: Arc<TimeSeriesExpr>,
    ) -> Result<Self, StackError> {
        if left.is_grouped() && right.is_grouped() {
            let (l, r) = (left.final_grouping(), right.final_grouping());
            let within = |a: &[Arc<str>], b: &[Arc<str>]| a.iter().all(|k| b.contains(k));
            if !within(&l, &r) && !within(&r, &l) {
                return Err(StackError::IllegalArgument(format!(
                    "both sides of binary operation must have the same grouping or one side must be a subset of the other \
                     [(,{},) ⊈ (,{},)]",
                    l.join(","),
                    r.join(",")
                )));
            }
        }
        Ok(Self::Binary { op, left, right })
    }

    /// The groups of an expression, grouped again by fewer keys.
    ///
    /// # Errors
    /// When the input is not grouped, or not by all of the keys.
    pub fn group_by(
        op: Aggregate,
        input: Arc<TimeSeriesExpr>,
        keys: Vec<Arc<str>>,
    ) -> Result<Self, StackError> {
        if !input.is_grouped() {
            return Err(StackError::requirement(
                "input expression must already be grouped with DataExpr.GroupBy",
            ));
        }
        let before = input.final_grouping();
        if !keys.iter().all(|k| before.contains(k)) {
            return Err(StackError::requirement(format!(
                "(,{},) is not a subset of (,{},)",
                keys.join(","),
                before.join(",")
            )));
        }
        Ok(Self::GroupBy { op, input, keys })
    }

    /// The data it needs, each once, in the order of first use.
    pub fn data_exprs(&self) -> Vec<DataExpr> {
        let mut all = Vec::new();
        self.visit_data(&mut |data| {
            if !all.contains(data) {
                all.push(data.clone());
            }
        });
        all
    }

    /// Calls `f` for the data it needs, as often as it is mentioned, from left to right.
    pub(crate) fn visit_data<'a>(&'a self, f: &mut dyn FnMut(&'a DataExpr)) {
        match self {
            Self::Data(data) => f(data),
            Self::Percentiles(p) => f(p.data()),
            Self::ApproxDistinct(d) => d.registers().visit_data(f),
            Self::Constant(_) | Self::Generated(_) => {}
            Self::NamedRewrite(named) => named.eval.visit_data(f),
            Self::Binary { left, right, .. } => {
                left.visit_data(f);
                right.visit_data(f);
            }
            Self::Unary { input, .. }
            | Self::Clamp { input, .. }
            | Self::Aggregate { input, .. }
            | Self::GroupBy { input, .. }
            | Self::Rename { input, .. }
            | Self::Stateful { input, .. } => input.visit_data(f),
            Self::Filter(filter) => filter.parts().for_each(|part| part.visit_data(f)),
        }
    }

    /// True when the result has a series for each group.
    pub fn is_grouped(&self) -> bool {
        match self {
            Self::Data(data) => data.group_by.is_some(),
            Self::Constant(_) | Self::Generated(_) | Self::Aggregate { .. } => false,
            Self::GroupBy { .. } | Self::Percentiles(_) => true,
            Self::ApproxDistinct(d) => !d.group_keys().is_empty(),
            Self::Binary { left, right, .. } => left.is_grouped() || right.is_grouped(),
            Self::NamedRewrite(named) => named.eval.is_grouped(),
            Self::Unary { input, .. }
            | Self::Clamp { input, .. }
            | Self::Rename { input, .. }
            | Self::Stateful { input, .. } => input.is_grouped(),
            Self::Filter(filter) => filter.input().is_some_and(|input| input.is_grouped()),
        }
    }

    /// The keys that tell the series of the result apart; none when it is not grouped.
    pub fn final_grouping(&self) -> Vec<Arc<str>> {
        match self {
            Self::Data(data) => data.group_by.clone().unwrap_or_default(),
            Self::Constant(_) | Self::Generated(_) | Self::Aggregate { .. } => Vec::new(),
            Self::GroupBy { keys, .. } => keys.clone(),
            Self::Percentiles(p) => p.data().group_by.clone().unwrap_or_default(),
            Self::ApproxDistinct(d) => d.group_keys(),
            Self::Binary { left, right, .. } => {
                let (l, r) = (left.final_grouping(), right.final_grouping());
                if r.iter().all(|k| l.contains(k)) {
                    l
                } else {
                    r
                }
            }
            Self::NamedRewrite(named) => named.eval.final_grouping(),
            Self::Rename { input, from, to } => input
                .final_grouping()
                .into_iter()
                .map(|k| if k == *from { to.clone() } else { k })
                .collect(),
            Self::Unary { input, .. }
            | Self::Clamp { input, .. }
            | Self::Stateful { input, .. } => input.final_grouping(),
            Self::Filter(filter) => filter
                .input()
                .map_or_else(Vec::new, |input| input.final_grouping()),
        }
    }

    /// The same expression over data from so much earlier.
    pub fn with_offset(&self, offset_millis: i64) -> Self {
        let shifted = |input: &Arc<Self>| Arc::new(input.with_offset(offset_millis));
        match self {
            Self::Data(data) => Self::Data(data.with_offset(offset_millis)),
            Self::Constant(_) | Self::Generated(_) => self.clone(),
            Self::Percentiles(p) => Self::Percentiles(p.with_offset(offset_millis)),
            Self::ApproxDistinct(d) => Self::ApproxDistinct(d.with_offset(offset_millis)),
            // What is displayed stays: printing adds the offset behind the name.
            Self::NamedRewrite(named) => Self::NamedRewrite(NamedRewrite {
                eval: shifted(&named.eval),
                ..named.clone()
            }),
            Self::Unary { op, input } => Self::Unary {
                op,
                input: shifted(input),
            },
            Self::Clamp {
                bound,
                limit,
                input,
            } => Self::Clamp {
                bound: *bound,
                limit: *limit,
                input: shifted(input),
            },
            Self::Binary { op, left, right } => Self::Binary {
                op,
                left: shifted(left),
                right: shifted(right),
            },
            Self::Aggregate { op, input } => Self::Aggregate {
                op: *op,
                input: shifted(input),
            },
            Self::GroupBy { op, input, keys } => Self::GroupBy {
                op: *op,
                input: shifted(input),
                keys: keys.clone(),
            },
            Self::Rename { input, from, to } => Self::Rename {
                input: shifted(input),
                from: from.clone(),
                to: to.clone(),
            },
            Self::Stateful { op, input } => Self::Stateful {
                op: *op,
                input: shifted(input),
            },
            Self::Filter(filter) => Self::Filter(filter.with_offset(offset_millis)),
        }
    }

    /// The offset that all data share, unless it is none.
    pub(crate) fn common_offset_millis(&self) -> Option<i64> {
        let mut common = None;
        let mut differs = false;
        self.visit_data(&mut |data| match common {
            None => common = Some(data.offset_millis),
            Some(offset) => differs |= offset != data.offset_millis,
        });
        common.filter(|&offset| !differs && offset != 0)
    }

    /// The name of Atlas's type for it, as messages about the stack show it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Data(data) => data.type_name(),
            Self::Constant(_) => "Constant",
            Self::Generated(generated) => generated.type_name(),
            Self::Unary { op, .. } => op.type_name,
            Self::Clamp { bound, .. } => match bound {
                Bound::Min => "ClampMin",
                Bound::Max => "ClampMax",
            },
            Self::Binary { op, .. } => op.type_name,
            Self::Aggregate { op, .. } => data::aggregate_type_name(*op),
            Self::GroupBy { .. } => "GroupBy",
            Self::Rename { .. } => "As",
            Self::NamedRewrite(_) => "NamedRewrite",
            Self::Percentiles(_) => "Percentiles",
            Self::ApproxDistinct(_) => "ApproxDistinct",
            Self::Stateful { op, .. } => op.type_name(),
            Self::Filter(filter) => filter.type_name(),
        }
    }
}

/// The key of a group as Atlas writes it, `(k1=v1 k2=v2)`; `None` when a key is missing from the tags.
pub fn group_key(keys: &[Arc<str>], tags: &Tags) -> Option<String> {
    let mut text = String::from("(");
    for key in keys {
        if text.len() > 1 {
            text.push(' ');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(tags.get(key)?);
    }
    if keys.is_empty() {
        text.clear();
    }
    text.push(')');
    Some(text)
}
