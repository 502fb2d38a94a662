//! The lines of a graph, axis by axis, in the order in which the legend lists them.

use std::collections::BTreeMap;
use std::sync::Arc;

use hesper_model::Tags;

use crate::error::StackError;
use crate::eval::{EvalContext, ResultSet, TimeSeries};
use crate::expr::StyleExpr;
use crate::expr::style::LineStyle;
use crate::legend::{legend_text, unit_prefix};
use crate::span::ShortSpan;
use crate::stats::SummaryStats;

/// The most Y axes of a graph.
pub const MAX_AXES: usize = 5;

/// The tag that tells how much earlier the data of a line are.
pub const OFFSET_TAG: &str = "atlas.offset";

/// What a request says about an axis, as far as its lines go.
#[derive(Clone, Copy, Debug, Default)]
pub struct AxisOptions {
    /// How lines are drawn whose expression does not say.
    pub line_style: LineStyle,
    /// Whether figures in legends get binary prefixes.
    pub binary_prefixes: bool,
}

/// What is drawn against one axis.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The number of the axis.
    pub axis: usize,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
    /// What there is to say about them; one text at most.
    pub messages: Vec<String>,
}

/// A line of a graph.
#[derive(Clone, Debug)]
pub struct Line {
    /// The text of the legend.
    pub legend: String,
    /// The tags of the series, and [`OFFSET_TAG`].
    pub tags: Tags,
    /// A value for each time shown: those of the context but the first, which only warmed the operators up.
    pub values: Vec<f64>,
    /// The figures of the values.
    pub stats: SummaryStats,
    /// The expression it comes from, which all its lines share.
    pub source: Arc<LineSource>,
}

/// What the lines of an expression have in common.
#[derive(Clone, Debug)]
pub struct LineSource {
    /// The expression with its settings, as a program.
    pub query: String,
    /// The keys that tell its lines apart.
    pub group_by_keys: Vec<Arc<str>>,
    /// How they are drawn.
    pub line_style: LineStyle,
    /// How wide they are.
    pub line_width: f32,
    /// The colour, if one was set: eight hexadecimal digits, or a name.
    pub color: Option<String>,
    /// The alpha, if one was set apart from the colour.
    pub alpha: Option<u8>,
    /// The palette, if one was set.
    pub palette: Option<String>,
    /// How much earlier the data are.
    pub offset_millis: i64,
}

/// Evaluates the expressions of a graph and makes lines of their series: for each axis and expression, sorted by legend.
///
/// # Errors
/// Those of evaluation, and settings that make no sense: an axis that does not exist, an alpha that is no number and so on.
pub fn assemble(
    exprs: &[StyleExpr],
    axes: &[AxisOptions; MAX_AXES],
    ctx: &EvalContext,
    mut evaluate: impl FnMut(&StyleExpr) -> Result<ResultSet, StackError>,
) -> Result<Vec<Plot>, StackError> {
    let mut by_axis: BTreeMap<i32, Vec<&StyleExpr>> = BTreeMap::new();
    for style in exprs {
        by_axis.entry(style.axis()?).or_default().push(style);
    }
    by_axis
        .into_iter()
        .map(|(number, exprs)| {
            let axis = usize::try_from(number).ok();
            let (axis, options) = axis
                .and_then(|axis| Some((axis, axes.get(axis)?)))
                .ok_or_else(|| StackError::IllegalArgument(format!("invalid axis: {number}")))?;
            let mut plot = Plot {
                axis,
                lines: Vec::new(),
                messages: Vec::new(),
            };
            for style in exprs {
                let mut result = evaluate(style)?;
                if !result.messages.is_empty() {
                    result.messages.truncate(1);
                    plot.messages = result.messages;
                }
                plot.lines
                    .extend(lines(style, result.series, options, ctx)?);
            }
            Ok(plot)
        })
        .collect()
}

fn lines(
    style: &StyleExpr,
    series: Vec<TimeSeries>,
    options: &AxisOptions,
    ctx: &EvalContext,
) -> Result<Vec<Line>, StackError> {
    if series.is_empty() {
        return Ok(Vec::new());
    }
    let source = Arc::new(LineSource {
        query: style.to_string(),
        group_by_keys: style.expr.final_grouping(),
        line_style: style.line_style()?.unwrap_or(options.line_style),
        line_width: style.line_width()?,
        color: style.color().map(str::to_owned),
        alpha: style.alpha()?,
        palette: style.palette().map(str::to_owned),
        offset_millis: style.offset_millis(),
    });
    let offset = ShortSpan(source.offset_millis).to_string();
    let mut lines = series
        .into_iter()
        .map(|series| {
            let mut values = series.values.clone();
            values.truncate(ctx.cells());
            values.drain(..values.len().min(1));
            let stats = SummaryStats::of(&values);
            let mut tags = series.tags.clone();
            tags.insert(OFFSET_TAG, offset.as_str());
            let label = series.label();
            let legend = match style.legend() {
                Some(_) => legend_text(style, &label, &with_stats(&tags, &stats, options))?,
                None => legend_text(style, &label, &tags)?,
            };
            Ok(Line {
                legend: if legend.is_empty() {
                    label.into_owned()
                } else {
                    legend
                },
                tags,
                values,
                stats,
                source: source.clone(),
            })
        })
        .collect::<Result<Vec<_>, StackError>>()?;
    lines.sort_by(|a, b| a.legend.cmp(&b.legend));
    Ok(lines)
}

/// The tags that a legend may show besides those of the line: its figures.
fn with_stats(tags: &Tags, stats: &SummaryStats, options: &AxisOptions) -> Tags {
    let format = if options.binary_prefixes {
        unit_prefix::binary
    } else {
        unit_prefix::decimal
    };
    let mut tags = tags.clone();
    for (key, v) in [
        ("atlas.avg", stats.avg),
        ("atlas.max", stats.max),
        ("atlas.min", stats.min),
        ("atlas.last", stats.last),
        ("atlas.total", stats.total),
    ] {
        tags.insert(key, format(v));
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{GraphOptions, parse_graph};
    use hesper_model::{DataSource, Step, Timestamp};

    const CTX: EvalContext = EvalContext {
        start: Timestamp(0),
        end: Timestamp(180_000),
        step: Step::from_secs(60),
    };

    /// Two lines for every expression.
    fn plots(program: &str) -> Result<Vec<Plot>, StackError> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a valid program");
        assemble(&exprs, &[AxisOptions::default(); MAX_AXES], &CTX, |_| {
            let series = ["z", "b"].map(|k| {
                TimeSeries::new(
                    Tags::from_pairs([("k", k)]),
                    DataSource::Gauge,
                    vec![9.0, 1000.0, 2000.0],
                )
            });
            Ok(ResultSet {
                series: series.to_vec(),
                messages: vec![format!("about {program}"), "more".to_owned()],
            })
        })
    }

    fn legends(program: &str) -> Vec<String> {
        let plots = plots(program).expect("valid");
        plots
            .iter()
            .flat_map(|p| p.lines.iter().map(|l| l.legend.clone()))
            .collect()
    }

    #[test]
    fn lines_are_sorted_by_legend_within_an_expression() {
        assert_eq!(legends("a,:has,$k,:legend,1"), ["b", "z", "k=b", "k=z"]);
    }

    #[test]
    fn the_first_value_only_warms_up() {
        let plots = plots("a,:has,:area,3.5,:lw,f00,:color").expect("valid");
        let line = &plots[0].lines[0];
        assert_eq!(line.values, [1000.0, 2000.0]);
        assert_eq!(line.stats.avg, 1500.0);
        assert_eq!(line.tags.get(OFFSET_TAG), Some("0w"));
        assert_eq!(line.source.line_style, LineStyle::Area);
        assert_eq!(line.source.line_width, 3.5);
        assert_eq!(line.source.color.as_deref(), Some("ffff0000"));
        assert_eq!(plots[0].messages.len(), 1);
    }

    #[test]
    fn legends_may_show_figures() {
        assert_eq!(
            legends("a,:has,$k $atlas.avg $(atlas.max) $atlas.offset,:legend")[0],
            "b 1.5k 2.0k 0w"
        );
        assert_eq!(
            legends("a,:has,1h,:offset"),
            ["k=b (offset=1h)", "k=z (offset=1h)"]
        );
    }

    #[test]
    fn axes_come_in_order() {
        let plots = plots("1,2,:axis,1,0,:axis,1").expect("valid");
        assert_eq!(
            plots
                .iter()
                .map(|p| (p.axis, p.lines.len()))
                .collect::<Vec<_>>(),
            [(0, 4), (2, 2)]
        );
        let error = |program| {
            super::tests::plots(program)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            error("1,5,:axis"),
            "IllegalArgumentException: invalid axis: 5"
        );
        assert_eq!(
            error("1,-1,:axis"),
            "IllegalArgumentException: invalid axis: -1"
        );
        assert_eq!(
            error("1,abc,:axis"),
            "NumberFormatException: For input string: \"abc\""
        );
        assert_eq!(
            error("1,5,:alpha"),
            "IllegalArgumentException: requirement failed: value should be 2 digit hex string"
        );
        assert_eq!(
            error("1,bogus,:ls"),
            "IllegalArgumentException: No enum constant com.netflix.atlas.chart.model.LineStyle.BOGUS"
        );
    }
}
