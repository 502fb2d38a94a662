//! What a chart shows: the definition from which pictures, texts and JSON are made.

use std::sync::Arc;

use hesper_model::{Step, Tags, Timestamp};
use hesper_stack::expr::style::LineStyle;
pub use hesper_stack::graph::{Bound, Layout, LegendType, MAX_AXES, Scale, TickLabels, Vision};
use hesper_stack::number::JavaDouble;
use hesper_stack::stats::SummaryStats;
use hesper_stack::time::TimeZone;

use crate::color::Color;
use crate::palette::Palette;
use crate::theme::Theme;
use crate::vision;

/// The widest and the highest picture, in pixels before it is magnified.
pub const MAX_SIZE: (u32, u32) = (2000, 1000);

/// The most a picture is magnified.
pub const MAX_ZOOM: f64 = 2.0;

/// The most lines that a legend lists.
pub const MAX_LEGEND_LINES: usize = 50;

/// A chart of lines over time.
///
/// Value i of every line is the value of the interval that ends at `start + i × step`.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is drawn against each Y axis, the left one first.
    pub plots: Vec<Plot>,
    /// The time of the first value.
    pub start: Timestamp,
    /// The time one step behind the last value.
    pub end: Timestamp,
    /// The distance between values.
    pub step: Step,
    /// The zones of the time axes, at least one. The first is next to the canvas.
    pub zones: Vec<Zone>,
    /// The width asked for, in pixels.
    pub width: u32,
    /// The height asked for, in pixels.
    pub height: u32,
    /// What width and height are those of.
    pub layout: Layout,
    /// How much the picture is magnified.
    pub zoom: f64,
    /// What stands above.
    pub title: Option<String>,
    /// What stands below.
    pub legend: LegendType,
    /// True to draw the canvas alone.
    pub only_graph: bool,
    /// The colours of everything but the data.
    pub theme: Theme,
    /// What the reader should know before trusting the picture.
    pub warnings: Vec<String>,
    /// What the caller of the API asked the renderer to mind.
    pub hints: Vec<String>,
    /// How long the data took to load, in milliseconds, if known.
    pub load_millis: Option<u64>,
    /// How much was looked at for the chart, if known.
    pub fetched: Option<Fetched>,
    /// Where the chart comes from, to be kept in the picture: the URI of the request.
    pub source: Option<String>,
}

/// A time zone under the name by which it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// The name.
    pub name: String,
    /// The zone.
    pub zone: TimeZone,
}

/// How much data a chart is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Series read.
    pub input_lines: u64,
    /// Datapoints read.
    pub input_datapoints: u64,
    /// Series after aggregation.
    pub output_lines: u64,
    /// Datapoints after aggregation.
    pub output_datapoints: u64,
}

/// What is drawn against one Y axis.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The data, in the order in which they are drawn and listed.
    pub items: Vec<Item>,
    /// The label of the axis.
    pub ylabel: Option<String>,
    /// The colour of the axis, unless it is the theme's.
    pub axis_color: Option<Color>,
    /// How values become positions.
    pub scale: Scale,
    /// The value at the top.
    pub upper: Bound,
    /// The value at the bottom.
    pub lower: Bound,
    /// How values are written.
    pub tick_labels: TickLabels,
    /// How the cells of a heatmap get their colours.
    pub heatmap: HeatmapSettings,
}

/// Something drawn, or said, about an axis.
#[derive(Clone, Debug)]
pub enum Item {
    /// A line over time.
    Line(Line),
    /// A stripe between two values.
    HSpan(HSpan),
    /// A stripe between two times.
    VSpan(VSpan),
    /// A text in the legend.
    Message(Message),
}

/// A line over time.
#[derive(Clone, Debug)]
pub struct Line {
    /// The text of the legend.
    pub label: String,
    /// The tags of the series.
    pub tags: Tags,
    /// The values.
    pub values: Vec<f64>,
    /// The figures of the values.
    pub stats: SummaryStats,
    /// The expression as a program, if it comes from one.
    pub query: Option<Arc<str>>,
    /// The keys that tell the lines of the expression apart.
    pub group_by_keys: Vec<Arc<str>>,
    /// The colour.
    pub color: Color,
    /// How it is drawn.
    pub style: LineStyle,
    /// How wide it is drawn, in pixels.
    pub width: f32,
}

/// A stripe between two values.
#[derive(Clone, Debug, PartialEq)]
pub struct HSpan {
    /// One value.
    pub v1: f64,
    /// The other.
    pub v2: f64,
    /// The colour.
    pub color: Color,
    /// The text of the legend, if any.
    pub label: Option<String>,
}

/// A stripe between two times.
#[derive(Clone, Debug, PartialEq)]
pub struct VSpan {
    /// The earlier time.
    pub t1: Timestamp,
    /// The later time.
    pub t2: Timestamp,
    /// The colour.
    pub color: Color,
    /// The text of the legend, if any.
    pub label: Option<String>,
}

/// A text in the legend.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The text.
    pub label: String,
    /// Its colour. Black stands for the colour of texts.
    pub color: Color,
}

/// How the cells of a heatmap get their colours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatmapSettings {
    /// How counts become places in the palette.
    pub scale: Scale,
    /// The count of the last colour.
    pub upper: Bound,
    /// The count of the first colour.
    pub lower: Bound,
    /// The colours; shades of the first line's colour when there are none.
    pub palette: Option<Palette>,
    /// The text of the legend.
    pub label: Option<String>,
}

impl Plot {
    /// A plot with the usual axis.
    pub fn new(items: Vec<Item>) -> Self {
        Self {
            items,
            ylabel: None,
            axis_color: None,
            scale: Scale::default(),
            upper: Bound::default(),
            lower: Bound::default(),
            tick_labels: TickLabels::default(),
            heatmap: HeatmapSettings::default(),
        }
    }

    /// The lines among its items.
    pub fn lines(&self) -> impl Iterator<Item = &Line> + Clone {
        self.items.iter().filter_map(|item| match item {
            Item::Line(line) => Some(line),
            _ => None,
        })
    }

    /// The lines that make up its heatmap.
    pub fn heatmap_lines(&self) -> impl Iterator<Item = &Line> + Clone {
        self.lines().filter(|l| l.style == LineStyle::Heatmap)
    }
}

impl Line {
    /// A plain line, one pixel wide, without tags.
    pub fn new(label: &str, color: Color, values: Vec<f64>) -> Self {
        Self {
            label: label.to_owned(),
            tags: Tags::empty(),
            stats: SummaryStats::of(&values),
            values,
            query: None,
            group_by_keys: Vec::new(),
            color,
            style: LineStyle::Line,
            width: 1.0,
        }
    }
}

impl Item {
    /// The text of the legend.
    pub fn label(&self) -> String {
        match self {
            Self::Line(line) => line.label.clone(),
            Self::Message(message) => message.label.clone(),
            Self::HSpan(span) => span.label.clone().unwrap_or_else(|| {
                format!(
                    "span from {} to {}",
                    JavaDouble(span.v1),
                    JavaDouble(span.v2)
                )
            }),
            Self::VSpan(span) => span.label.clone().unwrap_or_else(|| {
                let iso = |t: Timestamp| {
                    chrono::DateTime::from_timestamp_millis(t.millis())
                        .map(|t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string())
                        .unwrap_or_else(|| t.to_string())
                };
                format!("span from {} to {}", iso(span.t1), iso(span.t2))
            }),
        }
    }

    /// The colour.
    pub fn color(&self) -> Color {
        match self {
            Self::Line(line) => line.color,
            Self::HSpan(span) => span.color,
            Self::VSpan(span) => span.color,
            Self::Message(message) => message.color,
        }
    }

    fn color_mut(&mut self) -> &mut Color {
        match self {
            Self::Line(line) => &mut line.color,
            Self::HSpan(span) => &mut span.color,
            Self::VSpan(span) => &mut span.color,
            Self::Message(message) => &mut message.color,
        }
    }
}

impl Chart {
    /// A chart of plots over a time, in UTC, of the usual size.
    pub fn new(plots: Vec<Plot>, start: Timestamp, end: Timestamp, step: Step) -> Self {
        Self {
            plots,
            start,
            end,
            step,
            zones: vec![Zone {
                name: "UTC".to_owned(),
                zone: TimeZone::UTC,
            }],
            width: 700,
            height: 300,
            layout: Layout::Canvas,
            zoom: 1.0,
            title: None,
            legend: LegendType::LabelsWithStats,
            only_graph: false,
            theme: Theme::default(),
            warnings: Vec::new(),
            hints: Vec::new(),
            load_millis: None,
            fetched: None,
            source: None,
        }
    }

    /// The number of values of a line.
    pub fn cells(&self) -> usize {
        let span = self.end.millis().saturating_sub(self.start.millis());
        usize::try_from(span / self.step.millis()).unwrap_or(0)
    }

    /// True when the renderer was asked to mind something.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.hints.iter().any(|h| h == hint)
    }

    /// The chart in the colours that someone with this vision sees.
    #[must_use]
    pub fn seen_with(mut self, vision: Vision) -> Self {
        for plot in &mut self.plots {
            for item in &mut plot.items {
                let color = item.color_mut();
                *color = vision::convert(vision, *color);
            }
            plot.axis_color = plot.axis_color.map(|c| vision::convert(vision, c));
        }
        self
    }

    /// What is drawn of the size asked for, and what was taken away.
    pub(crate) fn size(&self) -> (u32, u32, f64, Vec<String>) {
        let (width, height) = MAX_SIZE;
        let mut warnings = Vec::new();
        if self.height > height {
            warnings.push(format!("Restricted graph height to {height}."));
        }
        if self.width > width {
            warnings.push(format!("Restricted graph width to {width}."));
        }
        if self.zoom > MAX_ZOOM {
            warnings.push(format!("Restricted zoom to {}.", JavaDouble(MAX_ZOOM)));
        }
        // Below a tenth, or without a number at all, nothing could be seen.
        let zoom = if self.zoom.is_nan() { 1.0 } else { self.zoom };
        (
            self.width.min(width),
            self.height.min(height),
            zoom.clamp(0.1, MAX_ZOOM),
            warnings,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let item = Item::Message(Message {
            label: "m".to_owned(),
            color: Color::rgb(0x0075dc),
        });
        let plots = vec![Plot::new(vec![item]), Plot::new(Vec::new())];
        Chart::new(
            plots,
            Timestamp(60_000),
            Timestamp(240_000),
            Step::from_secs(60),
        )
    }

    #[test]
    fn sizes_are_restricted() {
        let mut chart = chart();
        chart.width = 5000;
        chart.height = 1001;
        chart.zoom = 3.0;
        let (w, h, zoom, warnings) = chart.size();
        assert_eq!((w, h, zoom), (2000, 1000, 2.0));
        assert_eq!(
            warnings,
            [
                "Restricted graph height to 1000.",
                "Restricted graph width to 2000.",
                "Restricted zoom to 2.0."
            ]
        );
        assert_eq!(chart.cells(), 3);
    }

    #[test]
    fn axes_are_seen_like_lines() {
        let mut chart = chart();
        chart.plots[0].axis_color = Some(Color::rgb(0x0075dc));
        let chart = chart.seen_with(Vision::Achromatopsia);
        let gray = Color::rgb(0x5d5d5d);
        assert_eq!(chart.plots[0].axis_color, Some(gray));
        assert_eq!(chart.plots[0].items[0].color(), gray);
    }

    #[test]
    fn unnamed_spans_say_what_they_span() {
        let span = Item::VSpan(VSpan {
            t1: Timestamp(0),
            t2: Timestamp(60_000),
            color: Color::BLACK,
            label: None,
        });
        assert_eq!(
            span.label(),
            "span from 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z"
        );
    }
}
