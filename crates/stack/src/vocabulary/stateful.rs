//! The words whose values depend on the ones before.

mod smoothing;

use crate::error::StackError;
use crate::expr::{StatefulOp, TimeSeriesExpr};
use crate::interpreter::Machine;
use crate::kind::Kind;
use crate::word::{Parameter, Word, named, plain};

pub(super) fn words() -> Vec<Word> {
    let window = named("n", Kind::Int);
    let mut words = vec![
        stateful("delay", &[window], |m| {
            let n = m.pop_int()?;
            Ok(StatefulOp::Delay { n })
        })
        .summary("The values so many datapoints later: to compare with what was a while ago.")
        .examples(&["name,requestsPerSecond,:eq,:sum,5"]),
        stateful("rolling-count", &[window], |m| {
            let window = m.pop_int()?;
            Ok(StatefulOp::RollingCount { window })
        })
        .summary(
            "How many of the last so many datapoints are true, which is neither NaN nor zero. Used to demand that something holds for \
             a while.",
        )
        .examples(&[":random,0.4,:gt,5"]),
        stateful("rolling-min", &[window], |m| {
            let window = m.pop_int()?;
            Ok(StatefulOp::RollingMin { window })
        })
        .summary("The lowest of the last so many datapoints, gaps left out.")
        .examples(&["name,sps,:eq,:sum,5"]),
        stateful("rolling-max", &[window], |m| {
            let window = m.pop_int()?;
            Ok(StatefulOp::RollingMax { window })
        })
        .summary("The highest of the last so many datapoints, gaps left out.")
        .examples(&["name,sps,:eq,:sum,5"]),
        stateful("rolling-mean", &[window, named("minNumValues", Kind::Int)], |m| {
            let least = m.pop_int()?;
            let window = m.pop_int()?;
            Ok(StatefulOp::RollingMean { window, least })
        })
        .summary("The mean of those of the last so many datapoints that have a value; NaN when fewer than the least number have.")
        .examples(&["name,sps,:eq,:sum,5,3"]),
        stateful("rolling-sum", &[window], |m| {
            let window = m.pop_int()?;
            Ok(StatefulOp::RollingSum { window })
        })
        .summary("The sum of the last so many datapoints, gaps left out; NaN when all are gaps.")
        .examples(&["name,sps,:eq,:sum,5,3"]),
    ];
    words.extend(smoothing::words());
    words.extend([
        stateful("trend", &[named("window", Kind::Duration)], |m| {
            let window = m.pop_duration()?;
            Ok(StatefulOp::Trend { window })
        })
        .summary(
            "The mean over a length of time, where gaps count as zeros; NaN before there were datapoints for all of it. `:rolling-mean` \
             is the better word.",
        )
        .examples(&[":random,PT5M", ":random,20m"]),
        stateful("integral", &[], |_| Ok(StatefulOp::Integral))
            .summary("The sum of all datapoints since the start of the graph, gaps left out. Of a rate, take it `:per-step` first.")
            .examples(&["1", "name,requestsPerSecond,:eq,:sum,:per-step"]),
        stateful("cumulative-max", &[], |_| Ok(StatefulOp::CumulativeMax))
            .summary("The highest of all datapoints since the start of the graph, gaps left out.")
            .examples(&["1", "name,activeUsers,:eq,:sum"]),
        stateful("derivative", &[], |_| Ok(StatefulOp::Derivative))
            .summary("The change from one datapoint to the next; NaN if one of them is a gap.")
            .examples(&["1", "1,:integral"]),
        super::math::rewrites::expansion(
            "approx-distinct-cumulative",
            plain(Kind::Series),
            &[":dup", ":cumulative-max", ":approx-distinct"],
        )
        .summary("Estimates how many different values were recorded in a sketch since the start of the graph; see `:approx-distinct`.")
        .examples(&[
            "name,server.uniqueUsers,:eq",
            "name,server.uniqueUsers,:eq,(,nf.region,),:by",
        ]),
    ]);
    words.extend(smoothing::presets());
    words
}

/// A word for an operator, whose parameters `read` takes off the stack.
fn stateful(
    name: &'static str,
    parameters: &[Parameter],
    read: impl Fn(&mut Machine<'_>) -> Result<StatefulOp, StackError> + Send + Sync + 'static,
) -> Word {
    let takes = [&[plain(Kind::Series)], parameters].concat();
    Word::typed(name, &takes, &[Kind::Series], move |m| {
        let op = read(m)?;
        let input = m.pop_series()?;
        m.push_expr(TimeSeriesExpr::Stateful { op, input })
    })
    .passing_style()
}
