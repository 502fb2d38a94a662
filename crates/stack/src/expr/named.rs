//! Expansions that print under a name: `name,x,:eq,:avg` is evaluated as a sum divided by a count, and still shown as an average.

use std::sync::Arc;

use hesper_model::TagQuery;

use super::rewrite::{Rules, rewrite};
use super::{CustomAverage, TimeSeriesExpr};
use crate::error::StackError;
use crate::interpreter::run;
use crate::value::Value;
use crate::vocabulary::Vocabulary;

/// What a word was applied to, and what it expands to.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedRewrite {
    /// The word, without its colon.
    pub name: Arc<str>,
    /// What it was applied to.
    pub display: Displayed,
    /// Its numbers, between what it was applied to and the name.
    pub parameters: Vec<f64>,
    /// What is evaluated.
    pub eval: Arc<TimeSeriesExpr>,
    /// The average that the word stands for, if it is a configured one: it knows how it is grouped.
    pub average: Option<Arc<CustomAverage>>,
}

/// What a word was applied to.
#[derive(Clone, Debug, PartialEq)]
pub enum Displayed {
    /// A query: the word stands for an aggregation function.
    Query(Arc<TagQuery>),
    /// An expression.
    Expr(Arc<TimeSeriesExpr>),
}

impl NamedRewrite {
    /// The same, by group: both what is shown and what is evaluated.
    ///
    /// # Errors
    /// When the expansion cannot be grouped so.
    pub(crate) fn group_by(
        &self,
        keys: &[Arc<str>],
        vocabulary: &Vocabulary,
    ) -> Result<Self, StackError> {
        let rule = |expr: &TimeSeriesExpr| match expr {
            TimeSeriesExpr::Data(data) if data.is_aggregate_function() => {
                Some(Ok(TimeSeriesExpr::Data(data.grouped(keys.to_vec()))))
            }
            TimeSeriesExpr::Aggregate { op, input } => {
                Some(TimeSeriesExpr::group_by(*op, input.clone(), keys.to_vec()))
            }
            _ => None,
        };
        let rules = Rules::for_exprs(&rule);
        let display = match &self.display {
            Displayed::Expr(expr) if !expr.is_grouped() => {
                Displayed::Expr(Arc::new(rewrite(expr, &rules, vocabulary)?))
            }
            other => other.clone(),
        };
        // What is shown may not carry the offset; what is evaluated keeps it.
        let offset_millis = self.eval.common_offset_millis().unwrap_or(0);
        let eval = match (&self.average, &self.display) {
            (Some(average), Displayed::Query(query)) => average.by(query, keys),
            _ => rewrite(&self.eval, &rules, vocabulary)?,
        };
        let eval = eval.with_offset(offset_millis);
        Ok(Self {
            display,
            eval: Arc::new(eval),
            ..self.clone()
        })
    }

    /// Builds the rewrite anew from how it prints with another thing displayed: the word is run again.
    pub(super) fn run_again(
        &self,
        display: &Displayed,
        vocabulary: &Vocabulary,
    ) -> Result<TimeSeriesExpr, StackError> {
        let program = self.text_with(display);
        let stack = run(&program, vocabulary)?;
        match stack.as_slice() {
            [Value::Expr(expr)] if matches!(**expr, TimeSeriesExpr::NamedRewrite(_)) => {
                Ok((**expr).clone())
            }
            _ => Err(StackError::invalid_stack(&self.name)),
        }
    }
}
