//! The words that look at the range as a whole: figures of a series, and which lines are kept because of them.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use hesper_model::{Aggregate, Consolidation};

use super::{Size, TimeSeriesExpr};
use crate::error::StackError;
use crate::lexer::escape;
use crate::span::Span;
use crate::stats::Statistic;

/// An expression whose values at a time depend on those at all times.
#[derive(Clone, Debug, PartialEq)]
pub enum FilterExpr {
    /// Lines that always have one figure of the series.
    Stat {
        /// The series.
        input: Arc<TimeSeriesExpr>,
        /// Which figure. Checked when it is evaluated.
        stat: Arc<str>,
        /// True when it came from a placeholder, as which it prints.
        shorthand: bool,
    },
    /// Stands, in the condition of a filter, for a figure of what is filtered. Anywhere else it has no lines.
    Placeholder(Statistic),
    /// The lines for which a condition is true at some time.
    Matching {
        /// The lines.
        input: Arc<TimeSeriesExpr>,
        /// The condition: of one line, or grouped as the input is.
        condition: Arc<TimeSeriesExpr>,
    },
    /// The lines with the highest or lowest figures.
    Priority {
        /// Which of them, and what becomes of the others.
        op: &'static PriorityOp,
        /// The lines.
        input: Arc<TimeSeriesExpr>,
        /// Which figure. Checked when it is evaluated.
        stat: Arc<str>,
        /// How many lines are kept; above 0.
        k: i32,
    },
    /// Values made one over longer steps, shown at the times of the graph.
    Consolidate {
        /// The series.
        input: Arc<TimeSeriesExpr>,
        /// How values are made one.
        by: Consolidation,
        /// The length of a longer step, rounded up to a multiple of the graph's.
        step: Span,
    },
}

/// Which lines are kept, and what becomes of the others. Equal when the name is.
pub struct PriorityOp {
    /// The word of the language, without its colon.
    pub name: &'static str,
    /// The name of Atlas's type for it.
    pub type_name: &'static str,
    /// True when the highest are kept, false when the lowest are. NaN is above every number.
    pub highest: bool,
    /// How the others are made one line; `None` when they are dropped.
    pub others: Option<Others>,
}

/// How the lines that are not kept are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// By an aggregation function.
    Of(Aggregate),
    /// By the mean of those that have data at a time.
    Avg,
}

macro_rules! priority {
    ($name:literal, $type_name:literal, $highest:expr, $others:expr) => {
        PriorityOp {
            name: $name,
            type_name: $type_name,
            highest: $highest,
            others: $others,
        }
    };
}

const MIN: Option<Others> = Some(Others::Of(Aggregate::Min));
const MAX: Option<Others> = Some(Others::Of(Aggregate::Max));
const SUM: Option<Others> = Some(Others::Of(Aggregate::Sum));
const AVG: Option<Others> = Some(Others::Avg);

/// All of them.
pub static PRIORITY_OPS: [PriorityOp; 10] = [
    priority!("bottomk", "BottomK", false, None),
    priority!("bottomk-others-min", "BottomKOthersMin", false, MIN),
    priority!("bottomk-others-max", "BottomKOthersMax", false, MAX),
    priority!("bottomk-others-sum", "BottomKOthersSum", false, SUM),
    priority!("bottomk-others-avg", "BottomKOthersAvg", false, AVG),
    priority!("topk", "TopK", true, None),
    priority!("topk-others-min", "TopKOthersMin", true, MIN),
    priority!("topk-others-max", "TopKOthersMax", true, MAX),
    priority!("topk-others-sum", "TopKOthersSum", true, SUM),
    priority!("topk-others-avg", "TopKOthersAvg", true, AVG),
];

impl PartialEq for PriorityOp {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for PriorityOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FilterExpr {
    /// The lines for which a condition is true at some time.
    ///
    /// # Errors
    /// When the condition is grouped and the lines are not.
    pub fn matching(
        input: Arc<TimeSeriesExpr>,
        condition: Arc<TimeSeriesExpr>,
    ) -> Result<Self, StackError> {
        Self::Matching { input, condition }.checked()
    }

    /// The lines with the highest or lowest figures.
    ///
    /// # Errors
    /// When none is to be kept.
    pub fn priority(
        op: &'static PriorityOp,
        input: Arc<TimeSeriesExpr>,
        stat: Arc<str>,
        k: i32,
    ) -> Result<Self, StackError> {
        Self::Priority { op, input, stat, k }.checked()
    }

    fn checked(self) -> Result<Self, StackError> {
        match &self {
            Self::Matching { input, condition }
                if !input.is_grouped() && condition.is_grouped() =>
            {
                Err(StackError::requirement(
                    "filter grouping must match expr grouping",
                ))
            }
            Self::Priority { k, .. } if *k <= 0 => Err(StackError::requirement(format!(
                "k must be positive ({k} <= 0)"
            ))),
            _ => Ok(self),
        }
    }

    /// What the lines come from; `None` for a placeholder.
    pub fn input(&self) -> Option<&Arc<TimeSeriesExpr>> {
        match self {
            Self::Placeholder(_) => None,
            Self::Stat { input, .. }
            | Self::Matching { input, .. }
            | Self::Priority { input, .. }
            | Self::Consolidate { input, .. } => Some(input),
        }
    }

    /// All that is evaluated for it, from left to right.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Arc<TimeSeriesExpr>> {
        let condition = match self {
            Self::Matching { condition, .. } => Some(condition),
            _ => None,
        };
        self.input().into_iter().chain(condition)
    }

    /// The same over other parts.
    fn with_parts<E>(
        &self,
        mut f: impl FnMut(&Arc<TimeSeriesExpr>) -> Result<Arc<TimeSeriesExpr>, E>,
    ) -> Result<Self, E> {
        let mut other = self.clone();
        match &mut other {
            Self::Placeholder(_) => {}
            Self::Matching { input, condition } => {
                *input = f(input)?;
                *condition = f(condition)?;
            }
            Self::Stat { input, .. }
            | Self::Priority { input, .. }
            | Self::Consolidate { input, .. } => *input = f(input)?,
        }
        Ok(other)
    }

    /// The same over parts that were rewritten.
    ///
    /// # Errors
    /// Those of the rewriting, and when a condition no longer fits what it is about.
    pub(super) fn rewritten(
        &self,
        f: impl FnMut(&Arc<TimeSeriesExpr>) -> Result<Arc<TimeSeriesExpr>, StackError>,
    ) -> Result<Self, StackError> {
        self.with_parts(f)?.checked()
    }

    pub(super) fn with_offset(&self, offset_millis: i64) -> Self {
        let Ok(other) =
            self.with_parts(|part| Ok::<_, Infallible>(Arc::new(part.with_offset(offset_millis))));
        other
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Stat { .. } => "Stat",
            Self::Placeholder(Statistic::Avg) => "StatAvg$",
            Self::Placeholder(Statistic::Max) => "StatMax$",
            Self::Placeholder(Statistic::Min) => "StatMin$",
            Self::Placeholder(Statistic::Last) => "StatLast$",
            Self::Placeholder(Statistic::Count) => "StatCount$",
            Self::Placeholder(Statistic::Total) => "StatTotal$",
            Self::Matching { .. } => "Filter",
            Self::Priority { op, .. } => op.type_name,
            Self::Consolidate { .. } => "Consolidate",
        }
    }

    pub(super) fn size(&self) -> Size {
        match self {
            Self::Placeholder(_) => Size::leaf(0),
            Self::Stat { input, stat, .. } | Self::Priority { input, stat, .. } => {
                input.size().above(Size::beside(stat.len()))
            }
            Self::Matching { input, condition } => input.size().above(condition.size()),
            Self::Consolidate { input, .. } => input.size().above(Size::default()),
        }
    }

    pub(super) fn append(&self, out: &mut String) {
        match self {
            Self::Placeholder(stat) => out.push_str(&format!(":stat-{}", stat.name())),
            Self::Stat {
                stat,
                shorthand: true,
                ..
            } => out.push_str(&format!(":stat-{stat}")),
            Self::Stat { input, stat, .. } => {
                input.append(out);
                out.push_str(&format!(",{},:stat", escape(stat)));
            }
            Self::Matching { input, condition } => {
                input.append(out);
                out.push(',');
                condition.append(out);
                out.push_str(",:filter");
            }
            Self::Priority { op, input, stat, k } => {
                input.append(out);
                out.push_str(&format!(",{},{k},:{}", escape(stat), op.name));
            }
            Self::Consolidate { input, by, step } => {
                input.append(out);
                out.push_str(&format!(",{},{step},:consolidate", by.name()));
            }
        }
    }
}
