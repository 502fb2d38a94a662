//! The words that say how an expression is shown.

use crate::error::StackError;
use crate::kind::{Kind, hex_color};
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
        setting(
            "axis",
            "The number of the Y axis, 0 to 4.",
            &["name,sps,:eq,:sum,1"],
        ),
        alpha(),
        color(),
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
            "vspan",
            "vspan",
            "Shades the times at which the line is true, which is neither NaN nor zero.",
            "name,sps,:eq,:sum,:dup,200e3,:gt",
        ),
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
