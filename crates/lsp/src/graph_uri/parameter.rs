//! The parameters of a graph: what each means, and what values it takes.
//!
//! Source: Atlas's graph API, and what Hesper adds to it.

/// A parameter that a graph takes.
#[derive(Debug, PartialEq)]
pub(crate) struct ParameterKind {
    pub(crate) name: &'static str,
    /// Whether it may be given for one axis, as `name.N`.
    pub(crate) per_axis: bool,
    /// Whether it may be given several times.
    pub(crate) repeatable: bool,
    pub(crate) summary: &'static str,
    pub(crate) default: &'static str,
    pub(crate) values: Values,
}

/// The values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Values {
    /// A program that leaves expressions.
    Expression,
    /// A program that leaves a single query.
    Query,
    /// A time, relative to others or not.
    Time,
    /// The name of a time zone.
    Zone,
    /// A length of time.
    Duration,
    /// A whole number of at least one.
    Pixels,
    /// A number.
    Number,
    /// 1 for on.
    Switch,
    /// A number, or how to find one.
    Bound,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// One of these, but others are taken as the default, with a warning.
    Preferably(&'static [&'static str]),
    /// Some of these, with commas between.
    SomeOf(&'static [&'static str]),
    /// The name of a palette, a list of colours, or one of these with how it is applied.
    Palette,
    /// Any text.
    Text,
}

pub(crate) const PALETTES: [&str; 12] = [
    "armytage",
    "blues",
    "bw",
    "dark24",
    "epic",
    "greens",
    "highcharts",
    "light24",
    "lightgray",
    "oranges",
    "purples",
    "reds",
];

/// What a bound may be besides a number.
pub(crate) const BOUNDS: [&str; 2] = ["auto-style", "auto-data"];

const SCALES: &[&str] = &["linear", "log", "log-linear", "pow2", "sqrt"];

const fn kind(
    name: &'static str,
    values: Values,
    default: &'static str,
    summary: &'static str,
) -> ParameterKind {
    ParameterKind {
        name,
        per_axis: false,
        repeatable: false,
        summary,
        default,
        values,
    }
}

const fn of_axis(
    name: &'static str,
    values: Values,
    default: &'static str,
    summary: &'static str,
) -> ParameterKind {
    ParameterKind {
        per_axis: true,
        ..kind(name, values, default, summary)
    }
}

/// All parameters, the most used ones first.
pub(crate) const PARAMETERS: &[ParameterKind] = &[
    kind(
        "q",
        Values::Expression,
        "",
        "What is shown: an expression of the stack language.",
    ),
    kind(
        "s",
        Values::Time,
        "e-3h",
        "The start. `e` stands for the end: `e-3h`, `now-1d`, `2026-01-05T12:00`, seconds since 1970.",
    ),
    kind(
        "e",
        Values::Time,
        "now",
        "The end. `s` stands for the start: `now`, `s%2B1h` (an encoded plus sign), `2026-01-05T12:00`, seconds since 1970.",
    ),
    ParameterKind {
        repeatable: true,
        ..kind(
            "tz",
            Values::Zone,
            "UTC",
            "The time zone: `US/Pacific`, `Europe/Berlin`, `+02:00`. Of several each gets a time axis, and the first is what times without a zone are in.",
        )
    },
    kind(
        "step",
        Values::Duration,
        "by the width",
        "The least distance between datapoints: `1m`, `PT5M`.",
    ),
    kind(
        "format",
        Values::OneOf(&[
            "png",
            "svg",
            "json",
            "std.json",
            "stats.json",
            "csv",
            "txt",
            "v2.json",
        ]),
        "png",
        "How the answer is written.",
    ),
    kind(
        "cq",
        Values::Query,
        "",
        "A query that narrows every query of the expression, as `:cq` does.",
    ),
    kind(
        "w",
        Values::Pixels,
        "700",
        "The width in pixels; more than 2000 is cut off.",
    ),
    kind(
        "h",
        Values::Pixels,
        "300",
        "The height in pixels; more than 1000 is cut off.",
    ),
    kind(
        "layout",
        Values::OneOf(&["canvas", "image", "iw", "ih"]),
        "canvas",
        "What width and height are of: the canvas, the whole image, or one of each.",
    ),
    kind(
        "zoom",
        Values::Number,
        "1.0",
        "How much larger all is drawn, 2 at most.",
    ),
    kind(
        "title",
        Values::Text,
        "",
        "A title. `$key` stands for a tag that all lines have in common.",
    ),
    kind(
        "theme",
        Values::OneOf(&["light", "dark"]),
        "light",
        "The colours of all but the lines.",
    ),
    of_axis(
        "palette",
        Values::Palette,
        "the theme's",
        "The colours of the lines: a palette by name, `hash:NAME`, `colors:RRGGBB,…` or `(,f00,0f0,)`.",
    ),
    kind(
        "vision",
        Values::OneOf(&[
            "normal",
            "protanopia",
            "protanomaly",
            "deuteranopia",
            "deuteranomaly",
            "tritanopia",
            "tritanomaly",
            "achromatopsia",
            "achromatomaly",
        ]),
        "normal",
        "How the image looks to eyes that see colours in another way.",
    ),
    kind("no_legend", Values::Switch, "0", "1 leaves the legend out."),
    kind(
        "no_legend_stats",
        Values::Switch,
        "0",
        "1 leaves the figures of the legend out.",
    ),
    kind(
        "axis_per_line",
        Values::Switch,
        "0",
        "1 gives each line an axis of its own.",
    ),
    kind(
        "only_graph",
        Values::Switch,
        "0",
        "1 leaves all but the canvas out.",
    ),
    of_axis(
        "u",
        Values::Bound,
        "auto-style",
        "The upper bound of the axis.",
    ),
    of_axis(
        "l",
        Values::Bound,
        "auto-style",
        "The lower bound of the axis.",
    ),
    of_axis(
        "scale",
        Values::OneOf(SCALES),
        "linear",
        "How values are laid out along the axis.",
    ),
    of_axis(
        "o",
        Values::Switch,
        "0",
        "1 is the old way to ask for `scale=log`.",
    ),
    of_axis(
        "stack",
        Values::Switch,
        "0",
        "1 stacks the lines that do not say how they are drawn.",
    ),
    of_axis("ylabel", Values::Text, "", "The label of the axis."),
    of_axis(
        "tick_labels",
        Values::OneOf(&["decimal", "binary", "duration", "off"]),
        "decimal",
        "How the numbers of the axis are written.",
    ),
    of_axis(
        "sort",
        Values::Preferably(&["legend", "min", "max", "avg", "count", "total", "last"]),
        "as in the expression",
        "What lines are sorted by in the legend.",
    ),
    of_axis(
        "order",
        Values::Preferably(&["asc", "desc"]),
        "asc",
        "Whether lines are sorted upwards or downwards.",
    ),
    of_axis(
        "heatmap_scale",
        Values::OneOf(SCALES),
        "linear",
        "How counts are laid out along the colours.",
    ),
    of_axis(
        "heatmap_u",
        Values::Bound,
        "auto-style",
        "The count of the last colour.",
    ),
    of_axis(
        "heatmap_l",
        Values::Bound,
        "auto-style",
        "The count of the first colour.",
    ),
    of_axis(
        "heatmap_palette",
        Values::Palette,
        "by the line",
        "The colours of the counts.",
    ),
    of_axis(
        "heatmap_label",
        Values::Text,
        "",
        "The label of the counts in the legend.",
    ),
    kind(
        "hints",
        Values::SomeOf(&["no-image", "presentation-metadata", "ambiguous-multi-y"]),
        "",
        "What the answer shall have, or shall not.",
    ),
    kind(
        "features",
        Values::OneOf(&["stable", "unstable"]),
        "stable",
        "Whether words may be used that may still change.",
    ),
    kind(
        "id",
        Values::Text,
        "",
        "Who asks, for the node's own metrics.",
    ),
    kind(
        "strict",
        Values::Switch,
        "0",
        "1 fails if a part of the data is missing, instead of telling it.",
    ),
    kind(
        "all",
        Values::Switch,
        "0",
        "1 shows all lines, beyond the limit for graphs.",
    ),
];

/// The parameter with this name, and the axis it is for.
///
/// # Errors
/// When there is none.
pub(crate) fn find(name: &str) -> Option<(&'static ParameterKind, Option<&str>)> {
    let named = |name: &str| PARAMETERS.iter().find(|kind| kind.name == name);
    if let Some(kind) = named(name) {
        return Some((kind, None));
    }
    let (name, axis) = name.split_once('.')?;
    named(name)
        .filter(|kind| kind.per_axis)
        .map(|kind| (kind, Some(axis)))
}
