//! Numbers of different values.

use crate::expr::{ApproxDistinct, DataAggregate, TimeSeriesExpr};
use crate::kind;
use crate::value::Value;
use crate::word::Word;

pub(super) fn approx_distinct() -> Word {
    let fits = |stack: &[Value]| {
        let Some(expr) = stack.last().and_then(kind::series) else {
            return false;
        };
        let (mut any, mut aggregated) = (false, true);
        expr.visit_data(&mut |data| {
            any = true;
            aggregated &= data.aggregate != DataAggregate::All;
        });
        any && aggregated
    };
    Word::own("approx-distinct", "TimeSeriesExpr -- Expr", fits, |m| {
        let input = m.pop_series()?;
        m.spend_on_rewriting(&Value::Expr(input.clone()))?;
        let distinct = ApproxDistinct::new(input, m.vocabulary())?;
        m.push_expr(TimeSeriesExpr::ApproxDistinct(distinct))
    })
    .summary(
        "Estimates how many different values were recorded in a sketch, at each time by itself, to about 13 %. Whatever the aggregate \
         is, the highest values of the registers are taken.",
    )
    .examples(&[
        "name,server.uniqueUsers,:eq",
        "name,server.uniqueUsers,:eq,(,nf.region,),:by",
    ])
}
