//! The lines of a graph, axis by axis, in the order in which the legend lists them, and what is to be known to draw them.

mod axis;
mod color;
mod options;
mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use hesper_model::{ItemId, Tags};

pub use axis::{Axis, AxisOptions, Bound, Bounds, HeatmapAxis, HeatmapOptions, Scale, TickLabels};
pub use color::{LineColor, PaletteOf};
pub use options::{DisplayOptions, Layout, LegendType, Vision};

use self::color::ColorsGiven;
use crate::error::StackError;
use crate::eval::{EvalContext, ResultSet, TimeSeries};
use crate::expr::StyleExpr;
use crate::expr::style::LineStyle;
use crate::legend::{Legend, substitute, unit_prefix};
use crate::span::ShortSpan;
use crate::stats::{Statistic, SummaryStats};

/// The most Y axes of a graph.
pub const MAX_AXES: usize = 5;

/// The tag that tells how much earlier the data of a line are.
pub const OFFSET_TAG: &str = "atlas.offset";

/// What the tags begin with that show the figures of a line.
const FIGURE_TAGS: &str = "atlas.";

/// The hint that axes have the colour of the theme, although there are several.
const AMBIGUOUS_AXES: &str = "ambiguous-multi-y";

/// The tag that makes the id of a line depend on its expression.
const QUERY_TAG: &str = "atlas.query";

/// All that a graph shows.
#[derive(Clone, Debug)]
pub struct Graph {
    /// What is drawn, axis by axis.
    pub plots: Vec<Plot>,
    /// The title, if there is one.
    pub title: Option<String>,
    /// What the request asked for and is not done so.
    pub warnings: Vec<String>,
}

/// What is drawn against one axis.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The axis.
    pub axis: Axis,
    /// The label of the axis, if there is one.
    pub ylabel: Option<String>,
    /// True when the axis has the colour of the first line (or message): there are several, and it tells which is whose.
    pub has_color_of_lines: bool,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
    /// What there is to say about the lines, one text at most. It stands in the legend below them.
    pub messages: Vec<String>,
    /// The palettes that the expressions name, those of expressions without lines included.
    pub palettes: Vec<String>,
    /// The colours that the expressions name, those of expressions without lines included.
    pub colors: Vec<String>,
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
    /// Where its colour comes from; an alpha may be set besides.
    pub color: LineColor,
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
    /// The alpha, if one was set apart from the colour.
    pub alpha: Option<u8>,
    /// The palette, if one was set.
    pub palette: Option<String>,
    /// How much earlier the data are.
    pub offset_millis: i64,
}

impl Line {
    /// What identifies the line: its tags and its expression.
    pub fn id(&self) -> ItemId {
        let mut tags = self.tags.clone();
        tags.insert(QUERY_TAG, self.source.query.as_str());
        ItemId::of(&tags)
    }
}

/// Evaluates the expressions of a graph and makes lines of their series.
///
/// Axis by axis, and for each expression: the lines are sorted by legend, get their colours, are sorted as the expression asks for, and
/// are as many as its limit allows; then those of the axis are sorted as the request asks for.
///
/// # Errors
/// Those of evaluation, settings of expressions that make no sense (an axis that does not exist, an alpha that is no number), and
/// settings of an axis that has something to show.
pub fn assemble(
    exprs: &[StyleExpr],
    options: &DisplayOptions,
    ctx: &EvalContext,
    mut evaluate: impl FnMut(&StyleExpr) -> Result<ResultSet, StackError>,
) -> Result<Graph, StackError> {
    let mut by_axis: BTreeMap<i32, Vec<&StyleExpr>> = BTreeMap::new();
    for style in exprs {
        by_axis.entry(style.axis()?).or_default().push(style);
    }
    options::check_theme(&options.theme)?;
    let several = by_axis.len() > 1 && !options.has_hint(AMBIGUOUS_AXES);
    let mut warnings = Vec::new();
    let mut colors = ColorsGiven::default();
    let mut plots = Vec::with_capacity(by_axis.len());
    for (number, exprs) in by_axis {
        let axis = usize::try_from(number).ok();
        let (number, axis) = axis
            .and_then(|number| Some((number, options.axes.get(number)?)))
            .ok_or_else(|| StackError::IllegalArgument(format!("invalid axis: {number}")))?;
        colors.next_axis();
        let mut content = Content::default();
        for style in exprs {
            let mut result = evaluate(style)?;
            if !result.messages.is_empty() {
                result.messages.truncate(1);
                content.messages = result.messages;
            }
            content.palettes.extend(style.palette().map(str::to_owned));
            content.colors.extend(style.color().map(str::to_owned));
            colors.next_expression();
            let mut lines = lines(style, result.series, axis, number, ctx, &mut colors)?;
            order::sort(
                &mut lines,
                style.sort(),
                style.is_descending(),
                &mut warnings,
            );
            if let Some(limit) = style.limit()? {
                lines.truncate(limit);
            }
            content.lines.extend(lines);
        }
        for message in &mut content.messages {
            *message = format!("... {message} ...");
        }
        let descending = axis.order.as_deref() == Some("desc");
        order::sort(
            &mut content.lines,
            axis.sort.as_deref(),
            descending,
            &mut warnings,
        );
        plots.push(plot(content, axis, several)?);
    }
    let all_lines = || plots.iter().flat_map(|plot| &plot.lines);
    let title = options.title.as_ref();
    let title = title.map(|title| with_tags(title, &common_tags(all_lines())));
    let mut graph = Graph {
        plots,
        title,
        warnings,
    };
    if options.axis_per_line {
        graph.plots = axis_per_line(graph.plots, options, &mut graph.warnings)?;
    }
    Ok(graph)
}

/// What is drawn against an axis, without what is said about the axis.
#[derive(Default)]
struct Content {
    lines: Vec<Line>,
    messages: Vec<String>,
    palettes: Vec<String>,
    colors: Vec<String>,
}

fn plot(content: Content, options: &AxisOptions, several: bool) -> Result<Plot, StackError> {
    let is_heatmap = |line: &Line| line.source.line_style == LineStyle::Heatmap;
    let ylabel = options.ylabel.as_ref();
    let ylabel = ylabel.map(|label| with_tags(label, &common_tags(content.lines.iter())));
    Ok(Plot {
        axis: options.axis(content.lines.iter().any(is_heatmap))?,
        ylabel,
        has_color_of_lines: several && !(content.lines.is_empty() && content.messages.is_empty()),
        lines: content.lines,
        messages: content.messages,
        palettes: content.palettes,
        colors: content.colors,
    })
}

/// An axis for each line, and for the message, if they are not too many and the expressions do not name axes themselves. The axes are
/// set up by their places, whatever their numbers were.
fn axis_per_line(
    mut plots: Vec<Plot>,
    options: &DisplayOptions,
    warnings: &mut Vec<String>,
) -> Result<Vec<Plot>, StackError> {
    if plots.is_empty() {
        return Err(StackError::NoSuchElement("head of empty list".to_owned()));
    }
    let size = plots
        .first()
        .map_or(0, |p| p.lines.len() + p.messages.len());
    if plots.len() > 1 {
        let text = "axisPerLine cannot be used with explicit multi axis";
        warnings.insert(0, text.to_owned());
    } else if size > MAX_AXES {
        let text = format!("Too many Y-axes, {size} > {MAX_AXES}, axis per line disabled.");
        warnings.insert(0, text);
    } else {
        let all = plots.remove(0);
        let (palettes, colors) = (all.palettes, all.colors);
        let one = |lines: Vec<Line>, messages: Vec<String>| Plot {
            axis: all.axis.clone(),
            ylabel: None,
            has_color_of_lines: false,
            lines,
            messages,
            palettes: palettes.clone(),
            colors: colors.clone(),
        };
        let of_lines = all
            .lines
            .into_iter()
            .map(|line| one(vec![line], Vec::new()));
        let of_messages = all
            .messages
            .into_iter()
            .map(|text| one(Vec::new(), vec![text]));
        plots = of_lines.chain(of_messages).collect();
    }
    let several = plots.len() > 1 && !options.has_hint(AMBIGUOUS_AXES);
    let with_axes = plots.into_iter().zip(&options.axes);
    with_axes
        .map(|(p, axis)| {
            let content = Content {
                lines: p.lines,
                messages: p.messages,
                palettes: p.palettes,
                colors: p.colors,
            };
            plot(content, axis, several)
        })
        .collect()
}

fn lines(
    style: &StyleExpr,
    series: Vec<TimeSeries>,
    options: &AxisOptions,
    axis: usize,
    ctx: &EvalContext,
    colors: &mut ColorsGiven,
) -> Result<Vec<Line>, StackError> {
    if series.is_empty() {
        return Ok(Vec::new());
    }
    let default_style = match options.stack {
        true => LineStyle::Stack,
        false => LineStyle::Line,
    };
    let source = Arc::new(LineSource {
        query: style.to_string(),
        group_by_keys: style.expr.final_grouping(),
        line_style: style.line_style()?.unwrap_or(default_style),
        line_width: style.line_width()?,
        alpha: style.alpha()?,
        palette: style.palette().map(str::to_owned),
        offset_millis: style.offset_millis(),
    });
    let offset_key: Arc<str> = OFFSET_TAG.into();
    let offset: Arc<str> = ShortSpan(source.offset_millis).to_string().into();
    let legend = Legend::new(style, series.len())?;
    let color = style.color().map(|color| LineColor::Set(color.to_owned()));
    let palette = if source.palette.is_some() {
        PaletteOf::Expression
    } else if source.offset_millis > 0 {
        PaletteOf::Offset
    } else if options.palette.is_some() {
        PaletteOf::Axis(axis)
    } else {
        PaletteOf::Graph
    };
    let mut lines = series
        .into_iter()
        .map(|mut series| {
            let mut values = std::mem::take(&mut series.values);
            values.truncate(ctx.cells());
            values.drain(..values.len().min(1));
            let stats = SummaryStats::of(&values);
            let label = series.label().into_owned();
            series.tags.insert(offset_key.clone(), offset.clone());
            let text = match legend.may_show(&label, FIGURE_TAGS) {
                true => legend.text(&label, &with_stats(&series.tags, &stats, options))?,
                false => legend.text(&label, &series.tags)?,
            };
            let text = match text.is_empty() {
                true => series.label().into_owned(),
                false => text,
            };
            Ok((text, series.tags, values, stats))
        })
        .collect::<Result<Vec<_>, StackError>>()?;
    lines.sort_by(|a, b| order::compare_texts(&a.0, &b.0));
    let with_colors = lines.into_iter().map(|(legend, tags, values, stats)| Line {
        color: match (&color, source.line_style) {
            (Some(color), _) => color.clone(),
            // The palette of the heatmap shows it; what stands for it in the legend is black.
            (None, LineStyle::Heatmap) if options.heatmap.palette.is_some() => {
                LineColor::Set("ff000000".to_owned())
            }
            (None, LineStyle::Heatmap) => colors.heatmap(palette, axis),
            (None, _) => colors.next(palette, &legend),
        },
        legend,
        tags,
        values,
        stats,
        source: source.clone(),
    });
    Ok(with_colors.collect())
}

/// The tags that a legend may show besides those of the line: its figures.
fn with_stats(tags: &Tags, stats: &SummaryStats, options: &AxisOptions) -> Tags {
    let format = match options.tick_labels {
        TickLabels::Binary => unit_prefix::binary,
        _ => unit_prefix::decimal,
    };
    let mut tags = tags.clone();
    for statistic in Statistic::ALL {
        // Atlas does not offer the count.
        if statistic != Statistic::Count {
            tags.insert(
                format!("{FIGURE_TAGS}{}", statistic.name()),
                format(stats.get(statistic)),
            );
        }
    }
    tags
}

/// The tags that all lines share.
fn common_tags<'a>(mut lines: impl Iterator<Item = &'a Line>) -> Tags {
    let Some(first) = lines.next() else {
        return Tags::empty();
    };
    lines.fold(first.tags.clone(), |tags, line| {
        tags.filtered(|key| tags.get(key) == line.tags.get(key))
    })
}

fn with_tags(text: &str, tags: &Tags) -> String {
    substitute(text, |key| tags.get(key).unwrap_or(key).to_owned())
}

#[cfg(test)]
mod tests;
