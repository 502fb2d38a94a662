//! From a chart to a scene: where everything goes.

mod axes;
mod canvas;
pub(crate) mod columns;
mod heat;
mod legend;
mod notices;

use crate::chart::{Chart, Layout, LegendType};
use crate::color::Color;
use crate::error::ChartError;
use crate::font;
use crate::heatmap::Heatmap;
use crate::scene::{Anchor, Element, Rect, Scene, Text};
use crate::theme::Inks;

use axes::{TimeAxis, ValueAxis};

/// The size of the font of titles, of labels and of the smallest texts.
const LARGE: f64 = 14.0;
const NORMAL: f64 = 12.0;
const SMALL: f64 = 10.5;

/// What is left free at the edges of the picture.
const MARGIN: f64 = 10.0;

/// What is left free around a canvas without axes.
const BARE_MARGIN: f64 = 2.0;

/// Below this width there is no room for texts.
const MIN_TEXT_WIDTH: f64 = 108.0;

/// The smallest canvas.
const MIN_CANVAS: f64 = 64.0;

impl Chart {
    /// The shapes and texts that make up the picture.
    pub fn scene(&self) -> Scene {
        let (width, height, zoom, restrictions) = self.size();
        let mut notices = self.warnings.clone();
        notices.extend(restrictions);
        let drawing = Drawing {
            chart: self,
            inks: self.theme.inks(),
            width: f64::from(width),
            height: f64::from(height),
            zoom,
            notices,
        };
        drawing.scene()
    }

    /// The picture as the text of an SVG document.
    pub fn to_svg(&self) -> String {
        self.scene().to_svg()
    }

    /// The picture as PNG. Where the chart comes from, if known, is in it under the keyword `Source`, and its time under `Description`.
    ///
    /// # Errors
    /// When the renderer refuses the picture.
    pub fn to_png(&self) -> Result<Vec<u8>, ChartError> {
        let iso = |t: hesper_model::Timestamp| {
            chrono::DateTime::from_timestamp_millis(t.millis()).map_or_else(
                || t.to_string(),
                |t| t.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            )
        };
        let description = format!("start={}, end={}", iso(self.start), iso(self.end));
        let texts: &[(&str, &str)] = match &self.source {
            Some(source) => &[("Source", source), ("Description", &description)],
            None => &[],
        };
        self.scene().to_png(texts)
    }
}

struct Drawing<'a> {
    chart: &'a Chart,
    inks: Inks,
    width: f64,
    height: f64,
    zoom: f64,
    notices: Vec<String>,
}

/// Where the canvas is, and what is around it.
struct Frame {
    /// The canvas, on whole pixels.
    canvas: Rect,
    /// The width of the picture.
    width: f64,
    /// Whether there are axes.
    has_axes: bool,
}

impl Drawing<'_> {
    fn scene(&self) -> Scene {
        let chart = self.chart;
        let top = self.top();
        let height = self.canvas_height(top);
        let plots = chart.plots.iter().enumerate();
        let value_axes: Vec<ValueAxis> = plots
            .map(|(i, plot)| ValueAxis::new(plot, i, height, &self.inks))
            .collect();
        let frame = self.frame(&value_axes, top, height);
        let heatmaps: Vec<Option<Heatmap>> = chart
            .plots
            .iter()
            .map(|plot| Heatmap::of(chart, plot))
            .collect();
        let time_axes: Vec<TimeAxis> = chart
            .zones
            .iter()
            .map(|zone| TimeAxis::new(chart, zone, frame.canvas.width))
            .collect();

        let mut elements = Vec::new();
        self.title(&frame, &mut elements);
        self.canvas(&frame, &heatmaps, &mut elements);
        self.grid(&frame, &value_axes, &time_axes, &mut elements);
        self.emptiness(&frame, &mut elements);
        let mut bottom = frame.canvas.bottom();
        if frame.has_axes {
            self.value_axes(&frame, &value_axes, &mut elements);
            bottom = self.time_axes(&frame, &time_axes, &mut elements);
        }
        let (background, bottom) = self.below(&frame, bottom, &heatmaps, &mut elements);
        Scene {
            width: frame.width.ceil(),
            height: self.fixed_height().unwrap_or(bottom.ceil()),
            zoom: self.zoom,
            background,
            elements,
        }
    }

    /// The height of the picture, when it is given.
    fn fixed_height(&self) -> Option<f64> {
        fixes_height(self.chart.layout).then_some(self.height)
    }

    fn shows_text(&self) -> bool {
        self.width >= MIN_TEXT_WIDTH
    }

    fn shown_title(&self) -> Option<&str> {
        let fits = self.shows_text() && !self.chart.only_graph && self.has_room(LARGE + MARGIN);
        self.chart.title.as_deref().filter(|_| fits)
    }

    /// Where the canvas begins.
    fn top(&self) -> f64 {
        match self.shown_title() {
            Some(_) => 2.0 * MARGIN + LARGE,
            None if self.chart.only_graph => 0.0,
            None if self.has_room_for_axes() => MARGIN,
            None => BARE_MARGIN,
        }
    }

    fn has_room_for_axes(&self) -> bool {
        self.has_room(0.0)
    }

    /// Whether a canvas is left when the axes, and something else, have their place.
    fn has_room(&self, other: f64) -> bool {
        let axes = axes::TIME_AXIS_HEIGHT * self.chart.zones.len() as f64;
        let least = other + axes + MIN_CANVAS / 2.0 + 2.0 * MARGIN;
        self.fixed_height().is_none_or(|h| h >= least)
    }

    /// The height of a canvas that begins there.
    fn canvas_height(&self, top: f64) -> f64 {
        let chart = self.chart;
        if !fixes_height(chart.layout) {
            return self.height.max(MIN_CANVAS);
        }
        if chart.only_graph {
            return self.height;
        }
        let below = match self.has_room_for_axes() {
            true => axes::TIME_AXIS_HEIGHT * chart.zones.len() as f64 + MARGIN / 2.0,
            false => BARE_MARGIN,
        };
        (self.height - top - below).max(1.0)
    }

    /// Where the canvas is from the left, as the widths of the axes have it.
    fn frame(&self, axes: &[ValueAxis<'_>], top: f64, height: f64) -> Frame {
        let chart = self.chart;
        let framed = |x: f64, canvas: f64, width: f64, has_axes: bool| Frame {
            canvas: Rect {
                x,
                y: top,
                width: canvas.max(1.0),
                height,
            },
            width,
            has_axes,
        };
        let fixed = fixes_width(chart.layout);
        if chart.only_graph {
            let width = if fixed {
                self.width
            } else {
                self.width.max(MIN_CANVAS)
            };
            return framed(0.0, width, width, false);
        }
        let left = axes.first().map_or(axes::LEAST_WIDTH, ValueAxis::width);
        let right = match axes.get(1..) {
            Some(others) if !others.is_empty() => others.iter().map(ValueAxis::width).sum(),
            _ => axes::LAST_LABEL,
        };
        let canvas = match fixed {
            true => self.width - left - right,
            false => self.width.max(MIN_CANVAS),
        };
        if canvas >= MIN_CANVAS && self.has_room_for_axes() {
            return framed(left, canvas, left + canvas + right, true);
        }
        // The data count more than the axes.
        let width = if fixed { self.width } else { canvas };
        framed(BARE_MARGIN, width - 2.0 * BARE_MARGIN, width, false)
    }

    fn title(&self, frame: &Frame, elements: &mut Vec<Element>) {
        let Some(title) = self.shown_title() else {
            return;
        };
        let room = frame.width - 2.0 * MARGIN;
        elements.push(Element::Text(Text {
            x: (frame.width / 2.0).round(),
            y: MARGIN + LARGE - 3.0,
            anchor: Anchor::Middle,
            size: LARGE,
            bold: true,
            color: self.inks.text,
            turned: 0.0,
            content: font::fitted(title, room, LARGE, true),
        }));
    }

    /// Says so when there is nothing to be seen.
    fn emptiness(&self, frame: &Frame, elements: &mut Vec<Element>) {
        let mut lines = self.chart.plots.iter().flat_map(|p| p.lines());
        if !frame.has_axes || lines.any(|l| l.stats.count > 0) {
            return;
        }
        let canvas = &frame.canvas;
        elements.push(text(
            (canvas.x + canvas.width / 2.0).round(),
            (canvas.y + canvas.height / 2.0 + NORMAL * 0.36).round(),
            Anchor::Middle,
            NORMAL,
            self.inks.muted,
            "no data".to_owned(),
        ));
    }

    /// Draws what is below the axes; gives the background of the picture, and where it ends.
    fn below(
        &self,
        frame: &Frame,
        bottom: f64,
        heatmaps: &[Option<Heatmap>],
        elements: &mut Vec<Element>,
    ) -> (Color, f64) {
        let chart = self.chart;
        let mut y = bottom;
        if self.fixed_height().is_none() {
            if !chart.only_graph && chart.legend != LegendType::Off && self.shows_text() {
                y = self.legend(frame, y + MARGIN / 2.0, heatmaps, elements);
            }
            if !self.notices.is_empty() && self.shows_text() {
                y = self.warnings(frame, y + MARGIN, elements);
            }
            if !chart.only_graph {
                y += MARGIN;
            }
            let unsaid = !self.notices.is_empty() && !self.shows_text();
            let background = if unsaid {
                self.inks.warning
            } else {
                self.inks.image
            };
            return (background, y);
        }
        // There is no room to say what is wrong; the colour says that something is.
        let background = if self.notices.is_empty() {
            self.inks.image
        } else {
            self.inks.warning
        };
        (background, y)
    }
}

const fn fixes_width(layout: Layout) -> bool {
    matches!(layout, Layout::Image | Layout::ImageWidth)
}

const fn fixes_height(layout: Layout) -> bool {
    matches!(layout, Layout::Image | Layout::ImageHeight)
}

fn text(x: f64, y: f64, anchor: Anchor, size: f64, color: Color, content: String) -> Element {
    Element::Text(Text {
        x,
        y,
        anchor,
        size,
        bold: false,
        color,
        turned: 0.0,
        content,
    })
}

#[cfg(test)]
mod tests;
