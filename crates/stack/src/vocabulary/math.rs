//! The words that compute: constants, arithmetic, aggregation of results, grouping, and the named expansions of these.

mod distinct;
mod grouping;
pub(super) mod rewrites;
mod sample_count;
mod shorthands;
mod sources;

use std::sync::Arc;

use hesper_model::Aggregate;

use crate::expr::binary::BINARY_OPS;
use crate::expr::unary::UNARY_OPS;
use crate::expr::{BinaryOp, Bound, DataAggregate, Percentiles, TimeSeriesExpr, UnaryOp};
use crate::kind::{self, Kind};
use crate::value::Value;
use crate::word::{Parameter, Word, named, plain};

const SERIES: Parameter = plain(Kind::Series);

pub(super) fn words() -> Vec<Word> {
    let mut words = vec![
        Word::typed(
            "as",
            &[
                SERIES,
                named("original", Kind::Text),
                named("replacement", Kind::Text),
            ],
            &[Kind::Series],
            |m| {
                let to = m.pop_text()?;
                let from = m.pop_text()?;
                let input = m.pop_series()?;
                m.push_expr(TimeSeriesExpr::Rename { input, from, to })
            },
        )
        .summary("Gives a tag key another name, in the tags and in the grouping.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by,nf.cluster,c"]),
        grouping::by(),
        sources::constant(),
        sources::pi(),
        sources::random(),
        sources::seeded_random(),
        sources::time(),
        sources::time_span(),
        grouping::common_group_by(),
        rewrites::named_rewrite(),
        clamp(
            Bound::Min,
            &[SERIES, named("min", Kind::Double)],
            "clamp-min",
            "Raises every datapoint that is lower to this value.",
        ),
        clamp(
            Bound::Max,
            &[SERIES, named("max", Kind::Double)],
            "clamp-max",
            "Lowers every datapoint that is higher to this value.",
        ),
    ];
    words.extend(UNARY_OPS.iter().map(unary));
    words.extend(BINARY_OPS.iter().map(binary));
    words.extend([
        aggregate(
            Aggregate::Sum,
            "The sum of all lines of the expression, where they have data.",
        ),
        aggregate(
            Aggregate::Count,
            "How many lines of the expression have data at a time; NaN when none has.",
        ),
        aggregate(
            Aggregate::Min,
            "The lowest value of all lines of the expression.",
        ),
        aggregate(
            Aggregate::Max,
            "The highest value of all lines of the expression.",
        ),
        percentiles(),
        distinct::approx_distinct(),
        sample_count::in_range(),
        sample_count::of_all(),
    ]);
    words.extend(rewrites::expansions());
    words.extend(shorthands::words());
    words
}

fn unary(op: &'static UnaryOp) -> Word {
    Word::typed(op.name, &[SERIES], &[Kind::Series], move |m| {
        let input = m.pop_series()?;
        m.push_expr(match *input {
            TimeSeriesExpr::Constant(v) if op.folds => {
                let mut values = [v];
                // Any step does: the result does not depend on it.
                (op.apply)(&mut values, hesper_model::Step::from_secs(1));
                TimeSeriesExpr::Constant(values[0])
            }
            _ => TimeSeriesExpr::Unary { op, input },
        })
    })
    .passing_style()
    .summary(op.summary)
    .examples(&["0", "64", "-64"])
}

fn binary(op: &'static BinaryOp) -> Word {
    let parameters = [named("t1", Kind::Series), named("t2", Kind::Series)];
    Word::typed(op.name, &parameters, &[Kind::Series], move |m| {
        let right = m.pop_series()?;
        let left = m.pop_series()?;
        m.push_expr(match (&*left, &*right) {
            (TimeSeriesExpr::Constant(l), TimeSeriesExpr::Constant(r)) => {
                TimeSeriesExpr::Constant((op.one)(*l, *r))
            }
            _ => TimeSeriesExpr::binary(op, left, right)?,
        })
    })
    .passing_style()
    .summary(op.summary)
    .examples(&[
        "name,sps,:eq,42",
        "name,sps,:eq,:sum,name,requestsPerSecond,:eq,:max,(,name,),:by",
    ])
}

fn clamp(
    bound: Bound,
    parameters: &[Parameter],
    name: &'static str,
    summary: &'static str,
) -> Word {
    Word::typed(name, parameters, &[Kind::Series], move |m| {
        let limit = m.pop_double()?;
        let input = m.pop_series()?;
        m.push_expr(TimeSeriesExpr::Clamp {
            bound,
            limit,
            input,
        })
    })
    .passing_style()
    .summary(summary)
    .examples(&["name,sps,:eq,:sum,200e3"])
}

fn aggregate(op: Aggregate, summary: &'static str) -> Word {
    Word::typed(op.name(), &[SERIES], &[Kind::Series], move |m| {
        let input = m.pop_series()?;
        match &*input {
            // A single line is its own sum, minimum and maximum.
            TimeSeriesExpr::Data(data)
                if data.is_aggregate_function() && op != Aggregate::Count =>
            {
                m.push(Value::Expr(input));
                Ok(())
            }
            _ => m.push_expr(TimeSeriesExpr::Aggregate { op, input }),
        }
    })
    .passing_style()
    .summary(summary)
    .examples(&["name,sps,:eq,:sum", "name,sps,:eq,:max,(,nf.cluster,),:by"])
}

fn percentiles() -> Word {
    let fits = |stack: &[Value]| match stack {
        [.., below, top] => {
            Kind::DoubleList.accepts(top)
                && kind::data(below).is_some_and(|data| data.aggregate != DataAggregate::All)
        }
        _ => false,
    };
    Word::own("percentiles", "DataExpr percentiles:List -- Expr", fits, |m| {
        let percentiles = m.pop_doubles()?;
        let data = m.pop_data()?;
        m.push_expr(TimeSeriesExpr::Percentiles(Percentiles::new(
            &data,
            percentiles,
        )?))
    })
    .summary(
        "Estimates percentiles of a timer or a distribution that is recorded in buckets; whatever the aggregate is, sums are taken. \
         The percentile is in the tag `percentile`, for the legend.",
    )
    .examples(&["name,requestLatency,:eq,(,25,50,90,)"])
}

/// The operand below the topmost, if the topmost is a list of keys and it is an expression without settings.
fn expression_below_keys(stack: &[Value]) -> Option<Arc<TimeSeriesExpr>> {
    match stack {
        [.., below, top] if Kind::TextList.accepts(top) => kind::series(below),
        _ => None,
    }
}
