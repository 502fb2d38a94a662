//! The words that ask storage for series.

use hesper_model::{Aggregate, Consolidation};

use crate::error::StackError;
use crate::expr::rewrite::{ExprRule, Rules, rewrite};
use crate::expr::{DataAggregate, DataExpr, TimeSeriesExpr};
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::value::Value;
use crate::word::{Word, named, plain};

pub(super) fn words() -> Vec<Word> {
    let mut words = vec![
        aggregate(
            DataAggregate::All,
            "Every series that the query finds, by itself. Meant for a look at the data: nothing can be joined to it.",
        )
        .examples(&["name,sps,:eq,nf.cluster,nccp-ps3,:eq,:and"])
        .not_suggested(),
        aggregate(
            DataAggregate::Of(Aggregate::Sum),
            "The sum of the series that the query finds, where they have data. It is what a query means by itself.",
        ),
        aggregate(
            DataAggregate::Of(Aggregate::Count),
            "How many of the series that the query finds have data at a time; NaN when none has.",
        ),
        aggregate(
            DataAggregate::Of(Aggregate::Min),
            "The lowest value of the series that the query finds.",
        ),
        aggregate(
            DataAggregate::Of(Aggregate::Max),
            "The highest value of the series that the query finds.",
        ),
        Word::typed(
            "by",
            &[named("af", Kind::AggregateFunction), named("keys", Kind::TextList)],
            &[Kind::Data],
            |m| {
                let keys = m.pop_texts()?;
                let data = m.pop_data()?;
                m.push_expr(TimeSeriesExpr::Data(data.grouped(keys)))
            },
        )
        .summary("A series for each combination of values of the keys; series that lack one of the keys are left out.")
        .examples(&[
            "name,sps,:eq,(,name,)",
            "name,sps,:eq,:max,(,nf.cluster,)",
            "name,sps,:eq,nf.cluster,nccp-silverlight,:eq,:and,(,nf.asg,nf.zone,)",
        ]),
        Word::typed(
            "offset",
            &[plain(Kind::Series), named("dur", Kind::Duration)],
            &[Kind::Series],
            |m| {
                let offset = m.pop_duration()?.millis()?;
                let expr = m.pop_series()?;
                m.push_expr(expr.with_offset(offset))
            },
        )
        .passing_style()
        .summary("The same from so much earlier, shown at the times of the graph: to compare with yesterday, or last week.")
        .examples(&["name,sps,:eq,(,name,),:by,1w", "name,sps,:eq,:max,PT1H"]),
    ];
    words.extend([
        consolidation(
            Consolidation::Avg,
            "cf-avg",
            "Where the step is longer than the data's, datapoints become one by their mean.",
        ),
        consolidation(
            Consolidation::Sum,
            "cf-sum",
            "Where the step is longer than the data's, datapoints become one by their sum.",
        ),
        consolidation(
            Consolidation::Min,
            "cf-min",
            "Where the step is longer than the data's, datapoints become one by the lowest.",
        ),
        consolidation(
            Consolidation::Max,
            "cf-max",
            "Where the step is longer than the data's, datapoints become one by the highest.",
        ),
    ]);
    words
}

fn aggregate(aggregate: DataAggregate, summary: &'static str) -> Word {
    Word::typed(
        aggregate.name(),
        &[named("q", Kind::Query)],
        &[Kind::Data],
        move |m| {
            let query = m.pop_query()?;
            m.push_expr(TimeSeriesExpr::Data(DataExpr::new(query, aggregate)))
        },
    )
    .summary(summary)
    .examples(&["name,sps,:eq"])
}

fn consolidation(by: Consolidation, name: &'static str, summary: &'static str) -> Word {
    Word::typed(
        name,
        &[named("expr", Kind::Series)],
        &[Kind::Data],
        move |m| consolidate(m, by),
    )
    .summary(summary)
    .examples(&[
        "name,sps,:eq",
        "name,sps,:eq,:min",
        "name,sps,:eq,:max",
        "name,sps,:eq,:sum",
        "name,sps,:eq,:count",
    ])
    .not_suggested()
}

fn consolidate(m: &mut Machine<'_>, by: Consolidation) -> Result<(), StackError> {
    let expr = m.pop_series()?;
    m.spend_on_rewriting(&Value::Expr(expr.clone()))?;
    // A rewrite run again under its name would lose the consolidation, so that it is expanded first.
    let expand: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::NamedRewrite(named) => Some(Ok((*named.eval).clone())),
        _ => None,
    };
    let expanded = rewrite(&expr, &Rules::for_exprs(expand), m.vocabulary())?;
    let consolidate: &ExprRule<'_> = &|expr| match expr {
        TimeSeriesExpr::Data(data) if data.is_aggregate_function() => {
            Some(Ok(TimeSeriesExpr::Data(DataExpr {
                consolidation: by,
                ..data.clone()
            })))
        }
        _ => None,
    };
    let consolidated = rewrite(&expanded, &Rules::for_exprs(consolidate), m.vocabulary())?;
    m.push_expr(consolidated)
}
