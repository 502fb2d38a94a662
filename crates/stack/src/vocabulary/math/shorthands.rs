//! Words that stand for a few others, and leave no trace.

use crate::kind::Kind;
use crate::word::{Word, plain};

pub(super) fn words() -> Vec<Word> {
    let median = shorthand("median", &["(", "50", ")", ":percentiles"])
        .summary("The estimated median of a timer or a distribution that is recorded in buckets.")
        .examples(&["name,requestLatency,:eq"]);
    vec![
        median,
        shorthand("cos", &[":pi", "2", ":div", ":swap", ":sub", ":sin"])
            .summary("The cosine of every datapoint, taken as an angle in radians."),
        shorthand("tan", &[":dup", ":sin", ":swap", ":cos", ":div"])
            .summary("The tangent of every datapoint, taken as an angle in radians."),
        shorthand("cot", &[":dup", ":cos", ":swap", ":sin", ":div"])
            .summary("The cotangent of every datapoint, taken as an angle in radians."),
        shorthand("sec", &["1", ":swap", ":cos", ":div"])
            .summary("The secant of every datapoint, taken as an angle in radians."),
        shorthand("csc", &["1", ":swap", ":sin", ":div"])
            .summary("The cosecant of every datapoint, taken as an angle in radians."),
    ]
}

fn shorthand(name: &'static str, program: &[&'static str]) -> Word {
    Word::program(name, &[plain(Kind::Series)], &[Kind::Series], program)
}
