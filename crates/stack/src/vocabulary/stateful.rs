//! The words whose values depend on the ones before.

use crate::expr::{StatefulOp, TimeSeriesExpr};
use crate::kind::Kind;
use crate::word::{Word, named, plain};

pub(super) fn words() -> Vec<Word> {
    vec![
        Word::typed(
            "rolling-count",
            &[plain(Kind::Series), named("n", Kind::Int)],
            &[Kind::Series],
            |m| {
                let window = m.pop_int()?;
                let input = m.pop_series()?;
                let op = StatefulOp::RollingCount { window };
                m.push_expr(TimeSeriesExpr::Stateful { op, input })
            },
        )
        .passing_style()
        .summary(
            "How many of the last so many datapoints are true, which is neither NaN nor zero. Used to demand that something holds for \
             a while.",
        )
        .examples(&["name,sps,:eq,0.4,:gt,5"]),
    ]
}
