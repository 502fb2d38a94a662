//! Grouping what is computed: pushed down to the data, or again by fewer keys.

use std::sync::Arc;

use super::expression_below_keys;
use crate::error::StackError;
use crate::expr::rewrite::{ExprRule, Rules, rewrite};
use crate::expr::{Displayed, NamedRewrite, StyleExpr, TimeSeriesExpr};
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use crate::word::Word;

pub(super) fn by() -> Word {
    Word::own(
        "by",
        "TimeSeriesExpr keys:List -- TimeSeriesExpr",
        |stack| expression_below_keys(stack).is_some(),
        |m| {
            let keys = m.pop_texts()?;
            let expr = m.pop_series()?;
            m.spend_on_rewriting(&Value::Expr(expr.clone()))?;
            let grouped = group(&expr, keys, m)?;
            m.push_expr(grouped)
        },
    )
    .summary(
        "Groups an expression by the keys. One that is not grouped is computed for each group; one that is, is summed by fewer of its \
         keys, or made one by the aggregate it ends with.",
    )
    .examples(&["name,sps,:eq,:avg,(,nf.cluster,)"])
}

fn group(
    expr: &Arc<TimeSeriesExpr>,
    keys: Vec<Arc<str>>,
    m: &Machine<'_>,
) -> Result<TimeSeriesExpr, StackError> {
    if let TimeSeriesExpr::Aggregate { op, input } = &**expr
        && input.is_grouped()
    {
        return TimeSeriesExpr::group_by(*op, input.clone(), keys);
    }
    if expr.is_grouped() {
        return TimeSeriesExpr::group_by(hesper_model::Aggregate::Sum, expr.clone(), keys);
    }
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::NamedRewrite(named) => Some(
            named
                .group_by(&keys, m.vocabulary())
                .map(TimeSeriesExpr::NamedRewrite),
        ),
        TimeSeriesExpr::Data(data) if data.is_aggregate_function() => {
            Some(Ok(TimeSeriesExpr::Data(data.grouped(keys.clone()))))
        }
        TimeSeriesExpr::Aggregate { op, input } if input.is_grouped() => {
            Some(TimeSeriesExpr::group_by(*op, input.clone(), keys.clone()))
        }
        _ => None,
    };
    rewrite(expr, &Rules::for_exprs(rule), m.vocabulary())
}

pub(super) fn common_group_by() -> Word {
    let fits = |stack: &[Value]| match stack {
        [.., below, top] => Kind::TextList.accepts(top) && Kind::Style.accepts(below),
        _ => false,
    };
    Word::own("cg", "Expr keys:List -- Expr", fits, |m| {
        let keys = m.pop_texts()?;
        let value = m.pop()?;
        m.spend_on_rewriting(&value)?;
        match value {
            Value::Style(style) => {
                let expr = with_common_keys(&style.expr, &keys, m.vocabulary())?;
                m.push_style(StyleExpr {
                    expr: Arc::new(expr),
                    settings: style.settings.clone(),
                })
            }
            other => {
                m.push(other);
                let expr = m.pop_series()?;
                let expr = with_common_keys(&expr, &keys, m.vocabulary())?;
                m.push_expr(expr)
            }
        }
    })
    .summary(
        "Adds keys to every grouping within an expression; what is not grouped is grouped by them.",
    )
    .examples(&[
        "name,sps,:eq,(,nf.region,)",
        "name,bar,:eq,(,nf.node,),:by,(,nf.region,)",
    ])
}

fn merged(first: &[Arc<str>], more: &[Arc<str>]) -> Vec<Arc<str>> {
    let added = more.iter().filter(|k| !first.contains(k));
    first.iter().chain(added).cloned().collect()
}

fn with_common_keys(
    expr: &TimeSeriesExpr,
    keys: &[Arc<str>],
    vocabulary: &Vocabulary,
) -> Result<TimeSeriesExpr, StackError> {
    let below = |input: &TimeSeriesExpr| with_common_keys(input, keys, vocabulary).map(Arc::new);
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::NamedRewrite(named) if matches!(named.display, Displayed::Query(_)) => {
            let grouped = if named.eval.is_grouped() {
                below(&named.eval).map(|eval| NamedRewrite {
                    eval,
                    ..named.clone()
                })
            } else {
                named.group_by(keys, vocabulary)
            };
            Some(grouped.map(TimeSeriesExpr::NamedRewrite))
        }
        TimeSeriesExpr::Data(data) => match &data.group_by {
            Some(own) => Some(Ok(TimeSeriesExpr::Data(data.grouped(merged(own, keys))))),
            None if data.is_aggregate_function() => {
                Some(Ok(TimeSeriesExpr::Data(data.grouped(keys.to_vec()))))
            }
            None => None,
        },
        TimeSeriesExpr::Aggregate { op, input } => {
            Some(below(input).and_then(|input| TimeSeriesExpr::group_by(*op, input, keys.to_vec())))
        }
        TimeSeriesExpr::GroupBy {
            op,
            input,
            keys: own,
        } => Some(
            below(input).and_then(|input| TimeSeriesExpr::group_by(*op, input, merged(own, keys))),
        ),
        _ => None,
    };
    rewrite(expr, &Rules::for_exprs(rule), vocabulary)
}
