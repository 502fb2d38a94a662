//! From the lines of the language to a chart.

pub mod assign;
pub mod params;

use std::sync::Arc;

use hesper_model::Tags;
use hesper_stack::expr::style::LineStyle;
use hesper_stack::graph;
use hesper_stack::legend::substitute;
use hesper_stack::time::GraphTime;

use self::assign::{ColorSettings, Colors};
use self::params::{AxisParams, ChartParams};
use crate::chart::{Chart, Item, Line, MAX_AXES, Message, Plot, Zone};
use crate::color::Color;
use crate::error::ChartError;

/// The chart of evaluated expressions, as a request wants it.
///
/// `plots` come in the order of their axes, and their lines in the order in which they are shown. `zones` are those of the time axes, at
/// least one, the first next to the canvas.
///
/// # Errors
/// When a parameter of the axes, a palette or a colour makes no sense.
pub fn chart(
    params: &ChartParams,
    plots: Vec<graph::Plot>,
    time: &GraphTime,
    zones: Vec<Zone>,
) -> Result<Chart, ChartError> {
    let mut colors = Colors::new(params.theme, params.palette.as_deref())?;
    let plots = plots
        .into_iter()
        .map(|plot| {
            // There is no plot of another axis: `graph::assemble` refuses it.
            let axis = &params.axes[plot.axis.min(MAX_AXES - 1)];
            let items = items(plot, axis, &mut colors)?;
            plot_of(items, axis)
        })
        .collect::<Result<Vec<_>, ChartError>>()?;
    let mut chart = Chart {
        title: title(params, &plots),
        plots,
        zones,
        width: params.width,
        height: params.height,
        layout: params.layout,
        zoom: params.zoom,
        legend: params.legend,
        only_graph: params.only_graph,
        theme: params.theme,
        hints: params.hints.clone(),
        ..Chart::new(
            Vec::new(),
            time.first_shown(),
            time.context().end,
            time.step,
        )
    };
    chart.color_axes();
    let mut chart = chart.seen_with(params.vision);
    if params.axis_per_line {
        split_axes(&mut chart, params)?;
    }
    Ok(chart)
}

fn plot_of(items: Vec<Item>, axis: &AxisParams) -> Result<Plot, ChartError> {
    let mut plot = Plot::new(items);
    axis.apply(&mut plot)?;
    let tags = common_tags(plot.lines());
    plot.ylabel = plot.ylabel.map(|text| filled(&text, &tags));
    Ok(plot)
}

/// The lines of a plot with their colours, and what there is to say about them.
///
/// Colours are given out expression by expression in the order of labels, whatever order the lines have been put in.
fn items(
    plot: graph::Plot,
    axis: &AxisParams,
    colors: &mut Colors,
) -> Result<Vec<Item>, ChartError> {
    colors.axis(
        plot.axis,
        axis.palette.as_deref(),
        axis.heatmap_palette.is_some(),
    )?;
    let mut sources: Vec<Arc<graph::LineSource>> = Vec::new();
    for line in &plot.lines {
        if !sources.iter().any(|s| Arc::ptr_eq(s, &line.source)) {
            sources.push(line.source.clone());
        }
    }
    let mut of_line = vec![Color::BLACK; plot.lines.len()];
    for source in sources {
        let settings = ColorSettings {
            color: source.color.as_deref(),
            alpha: source.alpha,
            palette: source.palette.as_deref(),
            is_past: source.offset_millis > 0,
            is_heatmap: source.line_style == LineStyle::Heatmap,
        };
        colors.expression(&settings)?;
        let lines = plot.lines.iter().enumerate();
        let mut own: Vec<(usize, &graph::Line)> = lines
            .filter(|(_, l)| Arc::ptr_eq(&l.source, &source))
            .collect();
        own.sort_by(|(_, a), (_, b)| a.legend.cmp(&b.legend));
        for (i, line) in own {
            of_line[i] = colors.line(&settings, &line.legend)?;
        }
    }
    let mut query: Option<(Arc<graph::LineSource>, Arc<str>)> = None;
    let lines = plot.lines.into_iter().zip(of_line).map(|(line, color)| {
        let text = match &query {
            Some((source, text)) if Arc::ptr_eq(source, &line.source) => text.clone(),
            _ => Arc::from(line.source.query.as_str()),
        };
        query = Some((line.source.clone(), text.clone()));
        Item::Line(Line {
            label: line.legend,
            tags: line.tags,
            values: line.values,
            stats: line.stats,
            query: Some(text),
            group_by_keys: line.source.group_by_keys.clone(),
            color,
            style: line.source.line_style,
            width: line.source.line_width,
        })
    });
    let mut items: Vec<Item> = lines.collect();
    items.extend(plot.messages.into_iter().map(|text| {
        Item::Message(Message {
            label: format!("... {text} ..."),
            color: Color::BLACK,
        })
    }));
    Ok(items)
}

/// Gives each line an axis of its own, if there are not too many.
fn split_axes(chart: &mut Chart, params: &ChartParams) -> Result<(), ChartError> {
    let warning = match chart.plots.as_slice() {
        [] => return Ok(()),
        [plot] if plot.items.len() <= MAX_AXES => None,
        [plot] => Some(format!(
            "Too many Y-axes, {} > {MAX_AXES}, axis per line disabled.",
            plot.items.len()
        )),
        _ => Some("axisPerLine cannot be used with explicit multi axis".to_owned()),
    };
    let groups: Vec<Vec<Item>> = match &warning {
        Some(_) => chart.plots.drain(..).map(|p| p.items).collect(),
        None => {
            let items = chart.plots.drain(..).flat_map(|p| p.items);
            items.map(|item| vec![item]).collect()
        }
    };
    chart.plots = groups
        .into_iter()
        .zip(&params.axes)
        .map(|(items, axis)| plot_of(items, axis))
        .collect::<Result<_, _>>()?;
    chart.color_axes();
    if let Some(warning) = warning {
        chart.warnings.insert(0, warning);
    }
    Ok(())
}

fn title(params: &ChartParams, plots: &[Plot]) -> Option<String> {
    let tags = common_tags(plots.iter().flat_map(Plot::lines));
    params.title.as_deref().map(|text| filled(text, &tags))
}

/// A text with the tags that all lines have in common; an unknown key stands for itself.
fn filled(text: &str, tags: &Tags) -> String {
    substitute(text, |key| tags.get(key).unwrap_or(key).to_owned())
}

fn common_tags<'a>(lines: impl Iterator<Item = &'a Line>) -> Tags {
    lines
        .map(|line| line.tags.clone())
        .reduce(|a, b| a.intersection(&b))
        .unwrap_or_else(Tags::empty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::{DataSource, Step, Timestamp};
    use hesper_stack::eval::{ResultSet, TimeSeries};
    use hesper_stack::graph::{AxisOptions, assemble};
    use hesper_stack::{GraphOptions, parse_graph};

    const TIME: GraphTime = GraphTime {
        start: Timestamp(0),
        end: Timestamp(120_000),
        step: Step::from_secs(60),
    };

    /// The chart of a program whose expressions have two lines each, `a` and `b`.
    fn drawn(program: &str, params: &[(&str, &'static str)]) -> Result<Chart, ChartError> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a program");
        let ctx = TIME.context();
        let plots = assemble(&exprs, &[AxisOptions::default(); MAX_AXES], &ctx, |_| {
            let series = ["b", "a"].map(|k| {
                let tags = Tags::from_pairs([("k", k), ("name", "n")]);
                TimeSeries::new(tags, DataSource::Gauge, vec![0.0, 1.0, 2.0])
            });
            Ok(ResultSet {
                series: series.to_vec(),
                messages: vec!["1 of 2 lines matched filter".to_owned()],
            })
        });
        let params =
            ChartParams::read(|name| params.iter().find(|(k, _)| *k == name).map(|(_, v)| *v))?;
        let utc = Zone {
            name: "UTC".to_owned(),
            zone: hesper_stack::time::TimeZone::UTC,
        };
        chart(&params, plots.expect("valid"), &TIME, vec![utc])
    }

    fn colors(chart: &Chart) -> Vec<String> {
        let lines = chart.plots.iter().flat_map(Plot::lines);
        lines.map(|l| l.color.to_string()).collect()
    }

    #[test]
    fn lines_become_items() {
        let chart = drawn("n,:has,$k,:legend", &[]).expect("valid");
        assert_eq!(
            (chart.start, chart.end),
            (Timestamp(60_000), Timestamp(180_000))
        );
        let labels: Vec<String> = chart.plots[0].items.iter().map(Item::label).collect();
        assert_eq!(labels, ["a", "b", "... 1 of 2 lines matched filter ..."]);
        assert_eq!(colors(&chart), ["ff0075dc", "ff993f00"]);
    }

    #[test]
    fn texts_name_what_lines_have_in_common() {
        let params = [
            ("title", "$name of $k"),
            ("ylabel", "$(name) $x"),
            ("vision", "achromatopsia"),
        ];
        let chart = drawn("n,:has,f00,:color,n,:has,1,:axis", &params).expect("valid");
        assert_eq!(chart.title.as_deref(), Some("n of k"));
        assert_eq!(chart.plots[1].ylabel.as_deref(), Some("n x"));
        assert_eq!(
            colors(&chart),
            ["ff4c4c4c", "ff4c4c4c", "ff5d5d5d", "ff525252"]
        );
        let axes: Vec<_> = chart.plots.iter().map(|p| p.axis_color).collect();
        assert_eq!(
            axes,
            [Some(Color::rgb(0x4c4c4c)), Some(Color::rgb(0x5d5d5d))]
        );
    }

    #[test]
    fn each_line_may_have_an_axis() {
        let chart = drawn("n,:has", &[("axis_per_line", "1"), ("u.1", "9")]).expect("valid");
        assert_eq!(chart.plots.len(), 3, "the message has one too");
        assert_eq!(chart.plots[1].upper, crate::chart::Bound::Explicit(9.0));
        let chart = drawn("n,:has,:dup,:dup", &[("axis_per_line", "1")]).expect("valid");
        assert_eq!(
            chart.warnings,
            ["Too many Y-axes, 7 > 5, axis per line disabled."]
        );
        let chart = drawn("n,:has,n,:has,1,:axis", &[("axis_per_line", "1")]).expect("valid");
        assert_eq!(chart.plots.len(), 2);
        assert_eq!(
            chart.warnings,
            ["axisPerLine cannot be used with explicit multi axis"]
        );
    }

    #[test]
    fn bad_parameters_are_refused() {
        let error =
            |params: &[(&str, &'static str)]| drawn("1", params).expect_err("refused").to_string();
        assert_eq!(
            error(&[("palette", "bogus")]),
            "IllegalArgumentException: invalid palette name: 'bogus'"
        );
        assert_eq!(
            error(&[("l", "3"), ("u", "2")]),
            "IllegalArgumentException: requirement failed: lower bound must be less than upper bound (3.0 >= 2.0)"
        );
    }
}
