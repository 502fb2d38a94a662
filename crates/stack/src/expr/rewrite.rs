//! Changing a tree by rules: a rule that applies to a part replaces it, and nothing below is visited; otherwise the part is rebuilt
//! from its changed parts.

use std::sync::Arc;

use hesper_model::TagQuery;

use super::named::Displayed;
use super::size::{MAX_WEIGHT, data_weight, query_size, too_large};
use super::{ApproxDistinct, DataExpr, StyleExpr, TimeSeriesExpr};
use crate::error::StackError;
use crate::vocabulary::Vocabulary;

/// A rule for expressions: what to put in the place of one, if it applies.
pub type ExprRule<'a> = dyn Fn(&TimeSeriesExpr) -> Option<Result<TimeSeriesExpr, StackError>> + 'a;

/// A rule for queries: what to put in the place of each.
pub type QueryRule<'a> = dyn Fn(&TagQuery) -> Result<TagQuery, StackError> + 'a;

/// What is to be replaced.
pub struct Rules<'a> {
    expr: &'a ExprRule<'a>,
    query: Option<&'a QueryRule<'a>>,
}

impl<'a> Rules<'a> {
    /// Expressions for which the rule has a replacement.
    pub fn for_exprs(rule: &'a ExprRule<'a>) -> Self {
        Self {
            expr: rule,
            query: None,
        }
    }

    /// Every query.
    pub fn for_queries(rule: &'a QueryRule<'a>) -> Self {
        Self {
            expr: &|_| None,
            query: Some(rule),
        }
    }
}

/// The tree with the rules applied. Rewrites with a name are run again, in this vocabulary, unless a rule is about them.
///
/// # Errors
/// Those of a rule, of an operator that its changed operands do not fit, and when the tree would grow beyond the limit.
pub fn rewrite(
    expr: &TimeSeriesExpr,
    rules: &Rules<'_>,
    vocabulary: &Vocabulary,
) -> Result<TimeSeriesExpr, StackError> {
    Rewriter {
        rules,
        vocabulary,
        weight: 0,
    }
    .expr(expr)
}

/// Applies the rules to the expression within the style; its settings stay.
///
/// # Errors
/// See [`rewrite`].
pub fn rewrite_style(
    style: &StyleExpr,
    rules: &Rules<'_>,
    vocabulary: &Vocabulary,
) -> Result<StyleExpr, StackError> {
    Ok(StyleExpr {
        expr: Arc::new(rewrite(&style.expr, rules, vocabulary)?),
        settings: style.settings.clone(),
    })
}

struct Rewriter<'a> {
    rules: &'a Rules<'a>,
    vocabulary: &'a Vocabulary,
    /// Weight of the data expressions made so far.
    weight: usize,
}

impl Rewriter<'_> {
    fn shared(&mut self, expr: &Arc<TimeSeriesExpr>) -> Result<Arc<TimeSeriesExpr>, StackError> {
        self.expr(expr).map(Arc::new)
    }

    fn expr(&mut self, expr: &TimeSeriesExpr) -> Result<TimeSeriesExpr, StackError> {
        if let Some(replaced) = (self.rules.expr)(expr) {
            let replaced = replaced?;
            let mut weight = 0;
            replaced.visit_data(&mut |data| weight += data_weight(data));
            self.charge(weight)?;
            return Ok(replaced);
        }
        Ok(match expr {
            TimeSeriesExpr::Data(data) => {
                let data = self.data(data)?;
                self.charge(data_weight(&data))?;
                TimeSeriesExpr::Data(data)
            }
            TimeSeriesExpr::Constant(_) | TimeSeriesExpr::Generated(_) => expr.clone(),
            TimeSeriesExpr::ApproxDistinct(d) => TimeSeriesExpr::ApproxDistinct(
                ApproxDistinct::new(self.shared(&d.input)?, self.vocabulary)?,
            ),
            TimeSeriesExpr::Unary { op, input } => TimeSeriesExpr::Unary {
                op,
                input: self.shared(input)?,
            },
            TimeSeriesExpr::Clamp {
                bound,
                limit,
                input,
            } => TimeSeriesExpr::Clamp {
                bound: *bound,
                limit: *limit,
                input: self.shared(input)?,
            },
            TimeSeriesExpr::Binary { op, left, right } => {
                TimeSeriesExpr::binary(op, self.shared(left)?, self.shared(right)?)?
            }
            TimeSeriesExpr::Aggregate { op, input } => TimeSeriesExpr::Aggregate {
                op: *op,
                input: self.shared(input)?,
            },
            TimeSeriesExpr::GroupBy { op, input, keys } => {
                TimeSeriesExpr::group_by(*op, self.shared(input)?, keys.clone())?
            }
            TimeSeriesExpr::Rename { input, from, to } => TimeSeriesExpr::Rename {
                input: self.shared(input)?,
                from: from.clone(),
                to: to.clone(),
            },
            TimeSeriesExpr::Stateful { op, input } => TimeSeriesExpr::Stateful {
                op: *op,
                input: self.shared(input)?,
            },
            TimeSeriesExpr::Filter(filter) => {
                TimeSeriesExpr::Filter(filter.rewritten(|part| self.shared(part))?)
            }
            TimeSeriesExpr::Percentiles(p) => {
                match self.expr(&TimeSeriesExpr::Data(p.data().clone()))? {
                    TimeSeriesExpr::Data(data) if data.group_by.is_some() => {
                        TimeSeriesExpr::Percentiles(p.with_data(data))
                    }
                    _ => return Err(StackError::invalid_stack("percentiles")),
                }
            }
            TimeSeriesExpr::NamedRewrite(named) => {
                let display = match &named.display {
                    Displayed::Query(query) => Displayed::Query(Arc::new(self.query(query)?)),
                    Displayed::Expr(expr) => Displayed::Expr(self.shared(expr)?),
                };
                named.run_again(&display, self.vocabulary)?
            }
        })
    }

    fn data(&mut self, data: &DataExpr) -> Result<DataExpr, StackError> {
        // Within a group-by stands an aggregation function, which a rule may be about.
        let mut inner = data.clone();
        if let Some(keys) = inner.group_by.take() {
            match (self.rules.expr)(&TimeSeriesExpr::Data(inner.clone())) {
                Some(replaced) => match replaced? {
                    TimeSeriesExpr::Data(other) if other.is_aggregate_function() => inner = other,
                    _ => return Err(StackError::invalid_stack("by")),
                },
                None => inner.query = self.query(&inner.query)?,
            }
            inner.group_by = Some(keys);
        } else {
            inner.query = self.query(&inner.query)?;
        }
        Ok(inner)
    }

    fn query(&mut self, query: &TagQuery) -> Result<TagQuery, StackError> {
        match self.rules.query {
            Some(rule) => {
                let query = rule(query)?;
                query_size(&query).check()?;
                Ok(query)
            }
            None => Ok(query.clone()),
        }
    }

    fn charge(&mut self, weight: usize) -> Result<(), StackError> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            return Err(too_large());
        }
        Ok(())
    }
}
