//! The words that look at the range as a whole: figures of a series, and lines kept because of them.

use std::sync::Arc;

use crate::error::StackError;
use crate::expr::filter::{Others, PRIORITY_OPS, PriorityOp};
use crate::expr::rewrite::{ExprRule, Rules, rewrite};
use crate::expr::{FilterExpr, TimeSeriesExpr};
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::stats::Statistic;
use crate::value::Value;
use crate::word::{Parameter, Word, named, plain};

const SERIES: Parameter = plain(Kind::Series);

pub(super) fn words() -> Vec<Word> {
    let mut words = vec![consolidate(), stat()];
    words.extend(Statistic::ALL.map(placeholder));
    words.extend([
        Word::typed(
            "filter",
            &[named("t1", Kind::Series), named("t2", Kind::Series)],
            &[Kind::Series],
            |m| {
                let condition = m.pop_series()?;
                let input = m.pop_series()?;
                let filter = filter(m, input, &condition)?;
                m.push_expr(filter)
            },
        )
        .summary(
            "Only the lines for which the condition is true, which is neither NaN nor zero, at some time. The condition is one line for \
             all, or is grouped as the lines are. In it `:stat-avg`, `:stat-max` and so on stand for figures of the lines.",
        )
        .examples(&["name,sps,:eq,:sum,(,nf.cluster,),:by,:stat-max,30e3,:gt"]),
        stat_macro("stat-min-mf", "min", "The lowest value of each line, as a line. Short for `min,:stat`."),
        stat_macro("stat-max-mf", "max", "The highest value of each line, as a line. Short for `max,:stat`."),
        stat_macro("stat-avg-mf", "avg", "The mean of each line, as a line. Short for `avg,:stat`."),
    ]);
    words.extend(PRIORITY_OPS.iter().map(priority));
    words
}

/// The lines for which a condition holds; in it placeholders are replaced by figures of the lines.
pub(super) fn filter(
    m: &mut Machine<'_>,
    input: Arc<TimeSeriesExpr>,
    condition: &Arc<TimeSeriesExpr>,
) -> Result<TimeSeriesExpr, StackError> {
    m.spend_on_rewriting(&Value::Expr(condition.clone()))?;
    let rule: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::Filter(FilterExpr::Placeholder(stat)) => {
            Some(Ok(TimeSeriesExpr::Filter(FilterExpr::Stat {
                input: input.clone(),
                stat: stat.name().into(),
                shorthand: true,
            })))
        }
        _ => None,
    };
    let condition = rewrite(condition, &Rules::for_exprs(rule), m.vocabulary())?;
    FilterExpr::matching(input, Arc::new(condition)).map(TimeSeriesExpr::Filter)
}

fn consolidate() -> Word {
    Word::typed(
        "consolidate",
        &[
            SERIES,
            named("cf", Kind::Consolidation),
            named("newStep", Kind::Duration),
        ],
        &[Kind::Series],
        |m| {
            let step = m.pop_duration()?;
            let by = m.pop_consolidation()?;
            let input = m.pop_series()?;
            m.push_expr(TimeSeriesExpr::Filter(FilterExpr::Consolidate {
                input,
                by,
                step,
            }))
        },
    )
    .passing_style()
    .summary(
        "Makes the datapoints of longer steps one, by `avg`, `sum`, `min` or `max`, and shows the result at the times of the graph. The \
         step is rounded up to a multiple of the graph's; one that is not longer changes nothing.",
    )
    .examples(&[":random,avg,5m"])
}

fn stat() -> Word {
    Word::typed(
        "stat",
        &[SERIES, named("stat", Kind::Text)],
        &[Kind::Series],
        |m| {
            let stat = m.pop_text()?;
            let input = m.pop_series()?;
            m.push_expr(TimeSeriesExpr::Filter(FilterExpr::Stat {
                input,
                stat,
                shorthand: false,
            }))
        },
    )
    .passing_style()
    .summary(
        "A line that always has a figure of each line over the range: `avg`, `max`, `min`, `last`, `total` or `count`.",
    )
    .examples(&[
        "name,sps,:eq,:sum,avg",
        "name,sps,:eq,:sum,max",
        "name,sps,:eq,:sum,min",
        "name,sps,:eq,:sum,last",
        "name,sps,:eq,:sum,total",
        "name,sps,:eq,:sum,count",
    ])
}

fn placeholder(stat: Statistic) -> Word {
    Word::typed(
        format!("stat-{}", stat.name()),
        &[],
        &[Kind::Series],
        move |m| {
            m.push_expr(TimeSeriesExpr::Filter(FilterExpr::Placeholder(stat)))
        },
    )
    .summary(format!(
        "Within the condition of a `:filter`, stands for `{},:stat` of the lines that are filtered.",
        stat.name()
    ))
    .examples(&["", "name,sps,:eq,:sum"])
    .not_suggested()
}

fn stat_macro(name: &'static str, stat: &'static str, summary: &'static str) -> Word {
    Word::program(name, &[SERIES], &[Kind::Series], &[stat, ":stat"])
        .summary(summary)
        .examples(&["42"])
        .not_suggested()
}

fn priority(op: &'static PriorityOp) -> Word {
    let which = if op.highest { "highest" } else { "lowest" };
    let others = match op.others {
        None => String::new(),
        Some(others) => {
            let how = match others {
                Others::Of(aggregate) => aggregate.name(),
                Others::Avg => "avg",
            };
            format!(" All others are made one line by {how}, whose group is called `--others--`.")
        }
    };
    Word::typed(
        op.name,
        &[SERIES, named("stat", Kind::Text), named("k", Kind::Int)],
        &[Kind::Series],
        move |m| {
            let k = m.pop_int()?;
            let stat = m.pop_text()?;
            let input = m.pop_series()?;
            let filter = FilterExpr::priority(op, input, stat, k)?;
            m.push_expr(TimeSeriesExpr::Filter(filter))
        },
    )
    .passing_style()
    .summary(format!(
        "The lines for which a figure of `:stat` is {which}, as many as asked for.{others}"
    ))
    .examples(&["name,sps,:eq,:sum,(,nf.cluster,),:by,max,5"])
}
