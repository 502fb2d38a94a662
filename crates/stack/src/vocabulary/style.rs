//! The words that say how an expression is shown.

use std::sync::Arc;

use crate::error::StackError;
use crate::expr::{StyleExpr, TimeSeriesExpr};
use crate::kind::{self, Kind, hex_color};
use crate::lexer::escape;
use crate::value::Value;
use crate::word::{Parameter, Word, named, plain};

const STYLE: Parameter = plain(Kind::Style);

pub(super) fn words() -> Vec<Word> {
    let mut words = vec![
        setting(
            "legend",
            "The text of the legend. `$key` or `$(key)` stands for the value of a tag; tags are what the query fixes and the keys of \
             the grouping, and `atlas.offset`.",
            &[
                "name,sps,:eq,(,name,),:by,$name",
                "name,sps,:eq,(,nf.cluster,),:by,cluster+$nf.cluster",
                "name,sps,:eq,(,name,),:by,$(unknown)",
                "name,sps,:eq,:sum,1w,:offset,$(name)+$(atlas.offset)",
            ],
        ),
        decode(),
        search_and_replace(),
        setting(
            "axis",
            "The number of the Y axis, 0 to 4.",
            &["name,sps,:eq,:sum,1"],
        ),
        offset(),
        filter(),
        setting(
            "sort",
            "What the lines of the expression are sorted by: `legend`, or a figure of theirs, `min`, `max`, `avg`, `count`, `total` or \
             `last`. Lines without data come last.",
            &[
                "name,sps,:eq,:sum,(,nf.cluster,),:by,max",
                "name,sps,:eq,:sum,(,nf.cluster,),:by,legend",
            ],
        ),
        setting(
            "order",
            "Whether the lines of the expression are sorted upwards, `asc`, or downwards, `desc`.",
            &[
                "name,sps,:eq,:sum,(,nf.cluster,),:by,max,:sort,asc",
                "name,sps,:eq,:sum,(,nf.cluster,),:by,desc",
            ],
        ),
        setting(
            "limit",
            "How many lines of the expression are shown, counted in the order in which they are sorted.",
            &[
                "name,sps,:eq,:sum,(,nf.cluster,),:by,3",
                "name,sps,:eq,:sum,(,nf.cluster,),:by,max,:sort,desc,:order,2",
            ],
        ),
        Word::program(
            "head",
            &[STYLE, named("n", Kind::Text)],
            &[Kind::Style],
            &[":limit"],
        )
        .summary("Shows only the first lines of the expression. Another name for `:limit`.")
        .examples(&["name,sps,:eq,(,nf.cluster,),:by,2"])
        .not_suggested(),
        alpha(),
        color(),
        palette(),
        setting(
            "ls",
            "How the datapoints are drawn: `line`, `area`, `stack`, `vspan` or `heatmap`.",
            &[
                "name,sps,:eq,:sum,(,name,),:by,line",
                "name,sps,:eq,:sum,(,name,),:by,area",
                "name,sps,:eq,:sum,(,name,),:by,stack",
                "name,sps,:eq,:sum,(,name,),:by,heatmap",
                "name,sps,:eq,:sum,(,name,),:by,200e3,:gt,vspan",
            ],
        ),
        setting(
            "lw",
            "The width of the line.",
            &["name,sps,:eq,:sum,(,name,),:by,2"],
        ),
    ];
    words.extend([
        line_style(
            "area",
            "area",
            "Draws the area between the line and zero.",
            "name,sps,:eq,:sum",
        ),
        line_style("line", "line", "Draws a line.", "name,sps,:eq,:sum"),
        line_style(
            "stack",
            "stack",
            "Draws the area between the line and the stacked one before it.",
            "name,sps,:eq,(,nf.cluster,),:by",
        ),
        line_style(
            "heatmap",
            "heatmap",
            "Draws how many lines of all heatmaps of the axis have a value in each cell of time and value.",
            "name,sps,:eq,(,nf.cluster,),:by",
        ),
        Word::program(
            "percentiles-heatmap",
            &[STYLE],
            &[Kind::Style],
            &["(", "percentile", ")", ":cg", "heatmap", ":ls"],
        )
        .summary("Groups a timer or a distribution by its buckets, and draws how much is in each as a heatmap.")
        .examples(&["name,requestLatency,:eq"]),
        line_style(
            "vspan",
            "vspan",
            "Shades the times at which the line is true, which is neither NaN nor zero.",
            "name,sps,:eq,:sum,:dup,200e3,:gt",
        ),
        des_epic_viz(),
        Word::typed("strip-style", &[STYLE], &[Kind::Series], |m| {
            let style = m.pop_style()?;
            m.push(Value::Expr(style.expr));
            Ok(())
        })
        .summary("The expression without any settings of how it is shown.")
        .examples(&[
            "name,sps,:eq,:sum,ff0000,:color",
            "name,sps,:eq,:sum,custom,:legend",
        ]),
    ]);
    words
}

fn setting(name: &'static str, summary: &'static str, examples: &'static [&'static str]) -> Word {
    Word::typed(
        name,
        &[STYLE, named("v", Kind::Text)],
        &[Kind::Style],
        move |m| {
            let value = m.pop_text()?;
            let style = m.pop_style()?;
            m.push_style(style.with(name, &*value))
        },
    )
    .summary(summary)
    .examples(examples)
}

fn decode() -> Word {
    Word::typed(
        "decode",
        &[STYLE, named("mode", Kind::Text)],
        &[Kind::Style],
        |m| {
            let mode = m.pop_text()?;
            let style = m.pop_style()?;
            m.push_style(style.with_transform(&format!("{mode},:decode")))
        },
    )
    .summary(
        "Decodes the text of the legend: with `hex` an underscore and two hexadecimal digits become the character with that number, \
         with `none` nothing is changed.",
    )
    .examples(&["1,one_21_25_26_3F,:legend,hex"])
}

fn search_and_replace() -> Word {
    Word::typed(
        "s",
        &[STYLE, named("s", Kind::Text), named("r", Kind::Text)],
        &[Kind::Style],
        |m| {
            let replacement = m.pop_text()?;
            let search = m.pop_text()?;
            let style = m.pop_style()?;
            m.push_style(style.with_transform(&format!("{search},{replacement},:s")))
        },
    )
    .summary(
        "Replaces all matches of a regular expression in the text of the legend. In the replacement `$1`, `$name` or `$(name)` stand for \
         groups of the match, or else for tags.",
    )
    .examples(&[
        "name,sps,:eq,(,nf.cluster,),:by,$nf.cluster,:legend,^nccp-(.*)$,$1",
        "name,sps,:eq,(,nf.cluster,),:by,$nf.cluster,:legend,^nccp-(?<stack>.*)$,$stack",
        "name,sps,:eq,(,nf.cluster,),:by,$nf.cluster,:legend,nccp-,_",
        "name,sps,:eq,(,nf.cluster,),:by,$nf.cluster,:legend,([a-z]),_$1",
    ])
}

fn offset() -> Word {
    Word::typed(
        "offset",
        &[STYLE, named("offsets", Kind::TextList)],
        &[Kind::Style],
        |m| {
            let offsets = m.pop_texts()?;
            let style = m.pop_style()?;
            m.push_style(style.with("offset", text_of_list(&offsets)))
        },
    )
    .summary(
        "Shows the expression once for each offset of the list, `0h` being none. Outdated: copy the expression, and use `:offset` with a \
         single duration.",
    )
    .examples(&["name,sps,:eq,:sum,(,0h,1d,1w,)"])
}

/// A list as a program that pushes it.
fn text_of_list(items: &[Arc<str>]) -> String {
    let mut text = String::from("(");
    for item in items {
        text.push(',');
        text.push_str(&escape(item));
    }
    text.push_str(",)");
    text
}

fn filter() -> Word {
    let fits = |stack: &[Value]| match stack {
        [.., Value::Style(_), condition] => Kind::Series.accepts(condition),
        _ => false,
    };
    Word::own(
        "filter",
        "StyleExpr TimeSeriesExpr -- StyleExpr",
        fits,
        |m| {
            let condition = m.pop_series()?;
            let style = m.pop_style()?;
            let TimeSeriesExpr::Filter(filter) = super::filter::filter(m, style.expr, &condition)?
            else {
                return Err(StackError::invalid_stack("filter"));
            };
            m.push_style(StyleExpr {
                expr: Arc::new(TimeSeriesExpr::Filter(filter)),
                settings: style.settings,
            })
        },
    )
    .summary("The same for an expression with settings, which it keeps.")
    .examples(&["name,sps,:eq,:sum,(,nf.cluster,),:by,$nf.cluster,:legend,:stat-max,30e3,:gt"])
}

fn palette() -> Word {
    let fits = |stack: &[Value]| match stack {
        [.., style, palette] => {
            let palette = Kind::Text.accepts(palette) || Kind::TextList.accepts(palette);
            palette && Kind::Style.accepts(style)
        }
        _ => false,
    };
    Word::own(
        "palette",
        "TimeSeriesExpr String -- StyleExpr",
        fits,
        |m| {
            let palette = match m.pop()? {
                Value::Text(name) => name.to_string(),
                list => {
                    let colors = kind::texts(&list)
                        .ok_or_else(|| StackError::invalid_stack("palette"))?;
                    format!("(,{},)", colors.join(","))
                }
            };
            let style = m.pop_style()?;
            m.push_style(
                style
                    .with("palette", palette)
                    .without("color")
                    .without("alpha"),
            )
        },
    )
    .summary(
        "The colours for the lines of the expression: the name of a palette, or a list of colours. With `hash:` before the name the \
         colour of a line follows from its legend alone.",
    )
    .examples(&[
        "name,sps,:eq,:sum,reds",
        "name,sps,:eq,:sum,(,nf.cluster,),:by,reds",
        "name,sps,:eq,:sum,(,nf.cluster,),:by,(,1a9850,91cf60,d9ef8b,fee08b,fc8d59,d73027,)",
    ])
}

fn des_epic_viz() -> Word {
    let mut program = vec![
        ":des-epic-signal",
        ":vspan",
        "40",
        ":alpha",
        "triggered",
        ":legend",
    ];
    for shown in [
        "line",
        "minPredNoiseBound",
        "minPredPercentBound",
        "maxPredNoiseBound",
        "maxPredPercentBound",
    ] {
        program.extend([shown, ":get", shown, ":legend"]);
    }
    Word::free_program("des-epic-viz", &program)
        .summary(
            "Shows what `:des-epic-signal` does: the times at which it is on, the line, and the bounds that the line is held against.",
        )
        .examples(&["name,sps,:eq,:sum,10,0.1,0.5,0.2,0.2,4"])
        .not_suggested()
}

fn line_style(
    name: &'static str,
    style: &'static str,
    summary: &'static str,
    example: &'static str,
) -> Word {
    Word::program(name, &[STYLE], &[Kind::Style], &[style, ":ls"])
        .summary(summary)
        .examples(&[example])
}

fn alpha() -> Word {
    Word::typed("alpha", &[STYLE, named("v", Kind::Text)], &[Kind::Style], |m| {
        let alpha = m.pop_text()?;
        let style = m.pop_style()?;
        let color = style.color().and_then(hex_color);
        let style = match color {
            // Of a colour in digits the alpha is a part.
            Some(color) => {
                let parsed = i32::from_str_radix(&alpha, 16)
                    .map_err(|_| StackError::not_hexadecimal(&alpha))?;
                let alpha = u8::try_from(parsed).map_err(|_| {
                    StackError::IllegalArgument(
                        "Color parameter outside of expected range: Alpha".to_owned(),
                    )
                })?;
                let color = u32::from(alpha) << 24 | color & 0x00FF_FFFF;
                style.with("color", format!("{color:08x}")).without("alpha")
            }
            None => style.with("alpha", &*alpha),
        };
        m.push_style(style)
    })
    .summary("The opacity of the colour, in two hexadecimal digits: `00` is not to be seen, `ff` hides what is behind.")
    .examples(&["name,sps,:eq,:sum,:stack,40", "name,sps,:eq,:sum,:stack,f00,:color,40"])
}

fn color() -> Word {
    Word::typed("color", &[STYLE, named("v", Kind::Color)], &[Kind::Style], |m| {
        let color = m.pop_text()?;
        let style = m.pop_style()?;
        let color = match hex_color(&color) {
            Some(digits) => format!("{digits:08x}"),
            None => color.to_string(),
        };
        m.push_style(
            style
                .with("color", color)
                .without("alpha")
                .without("palette"),
        )
    })
    .summary(
        "The colour of the line: three or six hexadecimal digits for red, green and blue, eight with the alpha before them, or a name \
         of the theme, such as `blue1`.",
    )
    .examples(&[
        "name,sps,:eq,:sum,ff0000",
        "name,sps,:eq,:sum,f00",
        "name,sps,:eq,:sum,40,:alpha,f00",
    ])
}
