//! From the lines of the language to a chart.

use std::collections::HashMap;
use std::sync::Arc;

use hesper_stack::graph::{self, DisplayOptions, HeatmapAxis, LineColor, LineSource, PaletteOf};
use hesper_stack::time::GraphTime;

use crate::chart::{Chart, HeatmapSettings, Item, Line, Message, Plot, Zone};
use crate::color::Color;
use crate::error::ChartError;
use crate::palette::{Choice, Palette};
use crate::theme::Theme;

/// The chart of evaluated expressions, as a request wants it.
///
/// `zones` are those of the time axes, at least one, the first next to the canvas.
///
/// # Errors
/// When there is no such theme or palette, or a colour cannot be read.
pub fn chart(
    graph: graph::Graph,
    options: &DisplayOptions,
    time: &GraphTime,
    zones: Vec<Zone>,
) -> Result<Chart, ChartError> {
    let mut colors = Colors::new(options)?;
    let plots = graph.plots.into_iter();
    let plots = plots.map(|p| plot(p, &mut colors));
    let size = |v: i32| u32::try_from(v).unwrap_or(0).max(1);
    let chart = Chart {
        plots: plots.collect::<Result<_, _>>()?,
        zones,
        title: graph.title,
        warnings: graph.warnings,
        width: size(options.width),
        height: size(options.height),
        layout: options.layout,
        zoom: options.zoom,
        legend: options.legend,
        only_graph: options.only_graph,
        theme: colors.theme,
        hints: options.hints.clone(),
        ..Chart::new(
            Vec::new(),
            time.first_shown(),
            time.context().end,
            time.step,
        )
    };
    Ok(chart.seen_with(options.vision))
}

fn plot(plot: graph::Plot, colors: &mut Colors<'_>) -> Result<Plot, ChartError> {
    colors.check(&plot)?;
    let mut items = Vec::with_capacity(plot.lines.len() + plot.messages.len());
    let mut query: Option<(Arc<LineSource>, Arc<str>)> = None;
    for line in plot.lines {
        let color = colors.of(&line)?;
        // The lines of an expression share its text.
        let text = match &query {
            Some((source, text)) if Arc::ptr_eq(source, &line.source) => text.clone(),
            _ => Arc::from(line.source.query.as_str()),
        };
        query = Some((line.source.clone(), text.clone()));
        items.push(Item::Line(Line {
            label: line.legend,
            tags: line.tags,
            values: line.values,
            stats: line.stats,
            query: Some(text),
            group_by_keys: line.source.group_by_keys.clone(),
            color,
            style: line.source.line_style,
            width: line.source.line_width,
        }));
    }
    items.extend(plot.messages.into_iter().map(|label| {
        Item::Message(Message {
            label,
            color: Color::BLACK,
        })
    }));
    let first = items.first().map(Item::color);
    Ok(Plot {
        ylabel: plot.ylabel,
        axis_color: first.filter(|_| plot.has_color_of_lines),
        scale: plot.axis.scale,
        upper: plot.axis.bounds.upper,
        lower: plot.axis.bounds.lower,
        tick_labels: plot.axis.tick_labels,
        heatmap: match plot.axis.heatmap {
            Some(axis) => heatmap(axis)?,
            None => HeatmapSettings::default(),
        },
        ..Plot::new(items)
    })
}

fn heatmap(axis: HeatmapAxis) -> Result<HeatmapSettings, ChartError> {
    Ok(HeatmapSettings {
        scale: axis.scale,
        upper: axis.bounds.upper,
        lower: axis.bounds.lower,
        palette: match axis.palette {
            Some(text) => Some(Palette::parse(&text)?),
            None => None,
        },
        label: axis.label,
    })
}

/// The colours that places in palettes, and names, stand for.
struct Colors<'a> {
    options: &'a DisplayOptions,
    theme: Theme,
    graph: Choice,
    past: Choice,
    /// Those of axes and expressions, by their texts.
    others: HashMap<String, Choice>,
}

impl<'a> Colors<'a> {
    fn new(options: &'a DisplayOptions) -> Result<Self, ChartError> {
        let theme = Theme::parse(&options.theme)?;
        let graph = options.palette.as_deref();
        Ok(Self {
            options,
            theme,
            graph: Choice::parse(graph.unwrap_or(theme.primary_palette()))?,
            past: Choice::parse(theme.offset_palette())?,
            others: HashMap::new(),
        })
    }

    /// Reads the palettes and colours that are named, also by expressions without lines.
    fn check(&mut self, plot: &graph::Plot) -> Result<(), ChartError> {
        for text in &plot.palettes {
            self.other(text)?;
        }
        for text in &plot.colors {
            self.theme.resolve(text)?;
        }
        Ok(())
    }

    fn of(&mut self, line: &graph::Line) -> Result<Color, ChartError> {
        let color = match &line.color {
            LineColor::Set(text) => self.theme.resolve(text)?,
            LineColor::Palette {
                palette,
                place,
                key,
            } => self.choice(*palette, &line.source)?.color(*place, key),
        };
        Ok(match line.source.alpha {
            Some(alpha) => color.with_alpha(alpha),
            None => color,
        })
    }

    fn choice(&mut self, of: PaletteOf, source: &LineSource) -> Result<&Choice, ChartError> {
        let own = match of {
            PaletteOf::Graph => None,
            PaletteOf::Offset => return Ok(&self.past),
            PaletteOf::Axis(number) => self
                .options
                .axes
                .get(number)
                .and_then(|axis| axis.palette.clone()),
            PaletteOf::Expression => source.palette.clone(),
        };
        match own {
            Some(text) => self.other(&text),
            None => Ok(&self.graph),
        }
    }

    fn other(&mut self, text: &str) -> Result<&Choice, ChartError> {
        if !self.others.contains_key(text) {
            self.others.insert(text.to_owned(), Choice::parse(text)?);
        }
        Ok(&self.others[text])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hesper_model::{DataSource, Step, Tags, Timestamp};
    use hesper_stack::eval::{ResultSet, TimeSeries};
    use hesper_stack::graph::assemble;
    use hesper_stack::{GraphOptions, parse_graph};

    const TIME: GraphTime = GraphTime {
        start: Timestamp(0),
        end: Timestamp(120_000),
        step: Step::from_secs(60),
    };

    /// The chart of a program whose expressions have two lines each, `a` and `b`.
    fn drawn(program: &str, params: &[(&str, &str)]) -> Result<Chart, ChartError> {
        let exprs = parse_graph(program, &GraphOptions::default()).expect("a program");
        let options = DisplayOptions::read(|name| {
            let found = params.iter().find(|(k, _)| *k == name);
            found.map(|(_, v)| (*v).to_owned())
        });
        let options = options.expect("valid parameters");
        let graph = assemble(&exprs, &options, &TIME.context(), |_| {
            let series = ["b", "a"].map(|k| {
                let tags = Tags::from_pairs([("k", k), ("name", "n")]);
                TimeSeries::new(tags, DataSource::Gauge, vec![0.0, 1.0, 2.0])
            });
            Ok(ResultSet {
                series: series.to_vec(),
                messages: vec!["1 of 2 lines matched filter".to_owned()],
            })
        });
        let utc = Zone {
            name: "UTC".to_owned(),
            zone: hesper_stack::time::TimeZone::UTC,
        };
        chart(graph.expect("valid"), &options, &TIME, vec![utc])
    }

    fn colors(chart: &Chart) -> Vec<String> {
        let lines = chart.plots.iter().flat_map(Plot::lines);
        lines.map(|l| l.color.to_string()).collect()
    }

    #[test]
    fn lines_become_items() {
        let chart = drawn("n,:has,$k,:legend", &[("w", "100")]).expect("valid");
        assert_eq!(
            (chart.start, chart.end),
            (Timestamp(60_000), Timestamp(180_000))
        );
        assert_eq!((chart.width, chart.height), (100, 300));
        let labels: Vec<String> = chart.plots[0].items.iter().map(Item::label).collect();
        assert_eq!(labels, ["a", "b", "... 1 of 2 lines matched filter ..."]);
        assert_eq!(colors(&chart), ["ff0075dc", "ff993f00"]);
        assert_eq!(chart.plots[0].axis_color, None);
    }

    #[test]
    fn palettes_are_those_of_the_chart_the_axis_or_the_expression() {
        let program = "n,:has,n,:has,reds,:palette,40,:alpha,n,:has,1h,:offset,n,:has,1,:axis,n,:has,blue1,:color";
        let chart = drawn(program, &[("palette.1", "colors:f00,0f0")]).expect("valid");
        let expected = [
            "ff0075dc", "ff993f00", "4067000d", "40a50f15", "c0000000", "c0cccccc", "ff6baed6",
            "ff6baed6", "ffff0000", "ff00ff00",
        ];
        assert_eq!(colors(&chart), expected);
        let axes: Vec<_> = chart.plots.iter().map(|p| p.axis_color).collect();
        assert_eq!(
            axes,
            [Some(Color::rgb(0x0075dc)), Some(Color::rgb(0xff0000))]
        );
        let chart = drawn(
            "n,:has,$k,:legend",
            &[("palette", "hash:reds"), ("theme", "dark")],
        );
        let by_hash = Palette::parse("reds").expect("a palette").by_hash("a");
        assert_eq!(colors(&chart.expect("valid"))[0], by_hash.to_string());
    }

    #[test]
    fn colours_are_those_that_are_seen() {
        let chart = drawn("n,:has", &[("vision", "achromatopsia")]).expect("valid");
        assert_eq!(colors(&chart), ["ff5d5d5d", "ff525252"]);
    }

    #[test]
    fn what_is_named_has_to_exist() {
        let error = |program: &str, params: &[(&str, &str)]| {
            drawn(program, params).expect_err("refused").to_string()
        };
        let no_palette = "IllegalArgumentException: invalid palette name: 'bogus'";
        assert_eq!(error("1", &[("palette", "bogus")]), no_palette);
        assert_eq!(error("1", &[("palette.0", "bogus")]), no_palette);
        assert_eq!(error("1,bogus,:palette", &[]), no_palette);
        assert_eq!(
            error("1,:heatmap", &[("heatmap_palette", "bogus")]),
            no_palette
        );
        assert_eq!(
            error("1,bogus,:color", &[]),
            "IllegalArgumentException: requirement failed: color must be hex string [AA]RRGGBB"
        );
    }
}
