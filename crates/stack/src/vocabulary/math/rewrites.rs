//! Words that are defined by others, and print under their own name.

use std::sync::Arc;

use crate::expr::{Displayed, NamedRewrite, StyleExpr, TimeSeriesExpr};
use crate::kind::{self, Kind};
use crate::value::Value;
use crate::word::{Word, plain};

pub(super) fn named_rewrite() -> Word {
    let fits = |stack: &[Value]| match stack {
        [.., original, rewritten, Value::Text(_)] => match (original, rewritten) {
            (Value::Style(_), Value::Style(_)) => true,
            (Value::Style(_), rewritten) => Kind::Series.accepts(rewritten),
            (original, rewritten) => {
                Kind::Series.accepts(original) && Kind::Series.accepts(rewritten)
            }
        },
        _ => false,
    };
    Word::own(
        "named-rewrite",
        "original:TimeSeriesExpr rewritten:TimeSeriesExpr name:String -- TimeSeriesExpr",
        fits,
        |m| {
            let name = m.pop_text()?;
            let eval = m.pop_style()?.expr;
            let original = m.pop()?;
            let named = |display| {
                TimeSeriesExpr::NamedRewrite(NamedRewrite {
                    name,
                    display,
                    parameters: Vec::new(),
                    eval,
                })
            };
            match original {
                // Settings of what is displayed stay; those of the expansion do not count.
                Value::Style(style) => m.push_style(StyleExpr {
                    expr: Arc::new(named(Displayed::Expr(style.expr.clone()))),
                    settings: style.settings.clone(),
                }),
                Value::Query(query) => m.push_expr(named(Displayed::Query(query))),
                other => {
                    let display = kind::series(&other)
                        .ok_or_else(|| crate::error::StackError::invalid_stack("named-rewrite"))?;
                    m.push_expr(named(Displayed::Expr(display)))
                }
            }
        },
    )
    .summary(
        "Evaluates the second operand, and shows the first one followed by the name. For words that are defined by others; a program \
         that is printed and read again needs a word of that name.",
    )
}

/// A word for an expression that expands to a program ending in its name.
fn expansion(name: &'static str, takes: Kind, program: &[&'static str]) -> Word {
    let mut tokens = program.to_vec();
    tokens.extend([name, ":named-rewrite"]);
    Word::program(name, &[plain(takes)], &[Kind::Series], &tokens)
}

pub(super) fn expansions() -> Vec<Word> {
    vec![
        expansion(
            "avg",
            Kind::Series,
            &[":dup", ":dup", ":sum", ":swap", ":count", ":div"],
        )
        .summary("The mean of the series, or of the lines, that have data at a time.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by", "name,sps,:eq,1h,:offset"]),
        expansion(
            "pct",
            Kind::Series,
            &[":dup", ":dup", ":sum", ":div", "100", ":mul"],
        )
        .summary("Each line as a percentage of the sum of all.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by"]),
        expansion(
            "dist-avg",
            Kind::Query,
            &[
                ":dup",
                "statistic",
                "(",
                "totalTime",
                "totalAmount",
                ")",
                ":in",
                ":sum",
                "statistic",
                "count",
                ":eq",
                ":sum",
                ":div",
                ":swap",
                ":cq",
            ],
        )
        .summary(
            "The mean of what a timer or a distribution recorded: its total divided by its count.",
        )
        .examples(&["name,playback.startLatency,:eq"]),
        expansion(
            "dist-max",
            Kind::Query,
            &[":dup", "statistic", "max", ":eq", ":max", ":swap", ":cq"],
        )
        .summary("The highest that a timer or a distribution recorded.")
        .examples(&["name,playback.startLatency,:eq"]),
    ]
}
