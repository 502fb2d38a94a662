//! Words that are defined by others, and print under their own name.

use std::sync::Arc;

use crate::expr::{Displayed, NamedRewrite, StyleExpr, TimeSeriesExpr};
use crate::kind::{self, Kind};
use crate::value::Value;
use crate::word::{Parameter, Word, plain};

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
                    average: None,
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

/// A word for an operand that expands to a program ending in its name.
pub(in crate::vocabulary) fn expansion(
    name: &'static str,
    takes: Parameter,
    program: &[&'static str],
) -> Word {
    let mut tokens = program.to_vec();
    tokens.extend([name, ":named-rewrite"]);
    Word::program(name, &[takes], &[Kind::Series], &tokens)
}

/// √((n · Σx² − (Σx)²) ÷ n²). The zero makes an aggregate explicit and leaves gaps as they are.
const STDDEV: &str = ":dup,0,:fadd,:dup,:count,:over,:dup,:mul,:sum,:mul,:over,:sum,:dup,:mul,:sub,\
                      :swap,:count,:dup,:mul,:div,:sqrt";

/// The same from what a timer or a distribution publishes: count, totalOfSquares, and totalAmount or totalTime.
const DIST_STDDEV: &str = ":dup,statistic,count,:eq,:sum,statistic,totalOfSquares,:eq,:sum,:mul,\
                           statistic,(,totalAmount,totalTime,),:in,:sum,:dup,:mul,:sub,\
                           statistic,count,:eq,:sum,:dup,:mul,:div,:sqrt,:swap,:cq";

pub(super) fn expansions() -> Vec<Word> {
    vec![
        expansion(
            "avg",
            plain(Kind::Series),
            &[":dup", ":dup", ":sum", ":swap", ":count", ":div"],
        )
        .summary("The mean of the series, or of the lines, that have data at a time.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by", "name,sps,:eq,1h,:offset"]),
        expansion(
            "stddev",
            plain(Kind::Series),
            &STDDEV.split(',').collect::<Vec<_>>(),
        )
        .summary(
            "The standard deviation of the lines that have data at a time, taken as the whole population.",
        )
        .examples(&["name,sps,:eq,(,nf.cluster,),:by"]),
        expansion(
            "pct",
            plain(Kind::Series),
            &[":dup", ":dup", ":sum", ":div", "100", ":mul"],
        )
        .summary("Each line as a percentage of the sum of all.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by"]),
        expansion(
            "dist-avg",
            plain(Kind::Query),
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
            plain(Kind::Query),
            &[":dup", "statistic", "max", ":eq", ":max", ":swap", ":cq"],
        )
        .summary("The highest that a timer or a distribution recorded.")
        .examples(&["name,playback.startLatency,:eq"]),
        expansion(
            "dist-stddev",
            plain(Kind::Query),
            &DIST_STDDEV.split(',').collect::<Vec<_>>(),
        )
        .summary("The standard deviation of what a timer or a distribution recorded.")
        .examples(&["name,playback.startLatency,:eq"]),
    ]
}
