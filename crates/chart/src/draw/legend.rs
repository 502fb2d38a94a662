//! The legend: which colour is what, and the figures of each line.

use hesper_model::Timestamp;
use hesper_stack::expr::style::LineStyle;
use hesper_stack::span::ShortSpan;
use hesper_stack::stats::SummaryStats;

use super::{Drawing, Frame, MARGIN, NORMAL, SMALL, text};
use crate::chart::{Item, LegendType, MAX_LEGEND_LINES, Plot, TickLabels};
use crate::color::Color;
use crate::font;
use crate::heatmap::Heatmap;
use crate::scene::{Anchor, Element, Ink, Path, Rect, Segment, Text};
use crate::ticks::prefix;

/// The height of an entry.
const ROW: f64 = 17.0;

/// The width of a column of figures.
const COLUMN: f64 = 62.0;

/// The least room for labels beside figures.
const MIN_LABEL: f64 = 130.0;

/// Labels without figures are put in columns of at least so many.
const MIN_ROWS: usize = 4;

/// The size of a box with a colour, and how far labels are from the margin for it.
const BOX: f64 = 10.0;
const INDENT: f64 = BOX + 7.0;

/// The width of the colour scale of a heatmap.
const COLOR_SCALE: f64 = 350.0;

/// A figure of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Figure {
    Max,
    Min,
    Avg,
    Last,
    Total,
    Count,
}

impl Figure {
    const ALL: [Self; 6] = [
        Self::Max,
        Self::Min,
        Self::Avg,
        Self::Last,
        Self::Total,
        Self::Count,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Min => "min",
            Self::Avg => "avg",
            Self::Last => "last",
            Self::Total => "total",
            Self::Count => "count",
        }
    }

    fn write(self, stats: &SummaryStats, mode: TickLabels) -> String {
        let v = match self {
            Self::Max => stats.max,
            Self::Min => stats.min,
            Self::Avg => stats.avg,
            Self::Last => stats.last,
            Self::Total => stats.total,
            Self::Count => {
                let count = stats.count as f64;
                let prefix = prefix::decimal(count);
                return prefix.format(count, if prefix == prefix::ONE { 0 } else { 3 });
            }
        };
        match mode {
            TickLabels::Binary => prefix::binary(v).format(v, 2),
            TickLabels::Duration => prefix::duration(v).format(v, 2),
            TickLabels::Decimal | TickLabels::Off => prefix::decimal(v).format(v, 3),
        }
    }
}

/// The figures there is room for, in a room this wide; the more telling ones first.
fn figures_within(room: f64) -> Vec<Figure> {
    let count = (room / COLUMN).max(0.0) as usize;
    let dropped: &[Figure] = match count {
        0 | 1 => &Figure::ALL,
        2 => &[Figure::Count, Figure::Total, Figure::Min, Figure::Avg],
        3 => &[Figure::Count, Figure::Total, Figure::Min],
        4 => &[Figure::Count, Figure::Total],
        5 => &[Figure::Count],
        _ => &[],
    };
    let all = Figure::ALL.into_iter();
    all.filter(|f| !dropped.contains(f)).collect()
}

/// Where entries are, from the left.
#[derive(Clone, Copy)]
struct Room {
    left: f64,
    right: f64,
}

/// What a legend lists of a plot. The lines of a heatmap have one entry in common.
fn listed(plot: &Plot) -> Vec<&Item> {
    let is_listed = |item: &&Item| match item {
        Item::Line(line) => line.style != LineStyle::Heatmap,
        _ => true,
    };
    plot.items.iter().filter(is_listed).collect()
}

/// How the figures of lines are shown.
enum Figures {
    /// Not at all.
    None,
    /// In columns beside the labels.
    Beside(Vec<Figure>),
    /// Below the labels, which are too long.
    Below(Vec<Figure>),
}

impl Drawing<'_> {
    /// Draws the legend from a place down; gives where it ends.
    pub(super) fn legend(
        &self,
        frame: &Frame,
        top: f64,
        heatmaps: &[Option<Heatmap>],
        elements: &mut Vec<Element>,
    ) -> f64 {
        let chart = self.chart;
        let items: usize = chart.plots.iter().map(|p| p.items.len()).sum();
        let most = if items <= MAX_LEGEND_LINES {
            MAX_LEGEND_LINES
        } else {
            MAX_LEGEND_LINES / chart.plots.len().max(1)
        };
        let listed: Vec<Vec<&Item>> = chart.plots.iter().map(listed).collect();
        let shown = listed.iter().flat_map(|items| items.iter().take(most));
        let figures = self.figures(frame, shown.copied());
        let mut entries = Vec::new();
        let mut y = top;
        for (i, (plot, heatmap)) in chart.plots.iter().zip(heatmaps).enumerate() {
            if chart.plots.len() > 1 {
                y += 3.0;
                self.axis_name(frame, i, plot, y, &mut entries);
                if i == 0 {
                    self.column_names(frame, &figures, y, &mut entries);
                }
                y += ROW;
            }
            if let Some(heatmap) = heatmap {
                y = self.color_scale(frame, heatmap, y, &mut entries);
            }
            let has_lines = listed[i].iter().any(|item| matches!(item, Item::Line(_)));
            if chart.plots.len() == 1 && has_lines && matches!(figures, Figures::Beside(_)) {
                self.column_names(frame, &figures, y, &mut entries);
                y += ROW - 1.0;
            }
            let shown = &listed[i][..listed[i].len().min(most)];
            y = self.plot(frame, plot, shown, &figures, y, &mut entries);
            if listed[i].len() > shown.len() {
                let note = format!("... {} suppressed ...", listed[i].len() - shown.len());
                let (x, baseline) = (MARGIN + INDENT, y + 12.5);
                let color = self.inks.muted;
                entries.push(text(x, baseline, Anchor::Start, NORMAL, color, note));
                y += ROW;
            }
        }
        y += MARGIN - 2.0;
        let footer = self.footer();
        let room = frame.width - 2.0 * MARGIN;
        for line in font::wrapped(&footer, room, SMALL) {
            let baseline = y + SMALL;
            entries.push(text(
                MARGIN,
                baseline,
                Anchor::Start,
                SMALL,
                self.inks.muted,
                line,
            ));
            y += SMALL + 4.0;
        }
        elements.push(Element::Group {
            name: "legend",
            clip: None,
            elements: entries,
        });
        y
    }

    /// Which axis the entries below belong to.
    fn axis_name(&self, frame: &Frame, i: usize, plot: &Plot, y: f64, entries: &mut Vec<Element>) {
        let name = match &plot.ylabel {
            Some(label) => format!("Axis {i}: {label}"),
            None => format!("Axis {i}"),
        };
        let color = plot.axis_color.map_or(self.inks.text, |c| {
            c.readable_on(self.inks.image, self.inks.text)
        });
        let room = frame.width - 2.0 * MARGIN - COLUMN * Figure::ALL.len() as f64;
        let room = room.max(MIN_LABEL);
        entries.push(Element::Text(Text {
            x: MARGIN,
            y: y + 12.0,
            anchor: Anchor::Start,
            size: NORMAL,
            bold: true,
            color,
            turned: 0.0,
            content: font::fitted(&name, room, NORMAL, true),
        }));
    }

    /// What the columns of figures are.
    fn column_names(&self, frame: &Frame, figures: &Figures, y: f64, entries: &mut Vec<Element>) {
        let Figures::Beside(figures) = figures else {
            return;
        };
        let columns = figures.iter().rev().enumerate();
        entries.extend(columns.map(|(i, figure)| {
            text(
                frame.width - MARGIN - i as f64 * COLUMN,
                y + 12.0,
                Anchor::End,
                SMALL,
                self.inks.muted,
                figure.name().to_owned(),
            )
        }));
    }

    /// Draws the entries of a plot; gives where they end.
    fn plot(
        &self,
        frame: &Frame,
        plot: &Plot,
        shown: &[&Item],
        figures: &Figures,
        top: f64,
        entries: &mut Vec<Element>,
    ) -> f64 {
        let room = Room {
            left: MARGIN,
            right: frame.width - MARGIN,
        };
        if !matches!(figures, Figures::None) {
            return shown.iter().fold(top, |y, item| {
                self.entry(room, plot, item, figures, y, entries)
            });
        }
        // Labels alone are put in columns if there are many short ones.
        let widths = shown
            .iter()
            .map(|item| font::width(&item.label(), NORMAL, false));
        let widest = widths.fold(0.0, f64::max) + INDENT + 2.0 * MARGIN;
        let all = room.right - room.left;
        let columns = ((all / widest) as usize).clamp(1, shown.len().div_ceil(MIN_ROWS).max(1));
        let rows = shown.len().div_ceil(columns).max(1);
        let width = (all / columns as f64).floor();
        for (i, item) in shown.iter().enumerate() {
            let left = room.left + (i / rows) as f64 * width;
            let cell = Room {
                left,
                right: if columns == 1 {
                    room.right
                } else {
                    left + width - MARGIN
                },
            };
            let y = top + (i % rows) as f64 * ROW;
            self.entry(cell, plot, item, figures, y, entries);
        }
        top + shown.len().min(rows) as f64 * ROW
    }

    /// Figures stand beside the labels unless one of these is too long.
    fn figures<'i>(&self, frame: &Frame, shown: impl Iterator<Item = &'i Item> + Clone) -> Figures {
        let mut lines = shown.filter(|item| matches!(item, Item::Line(_)));
        if self.chart.legend != LegendType::LabelsWithStats || lines.clone().next().is_none() {
            return Figures::None;
        }
        let room = frame.width - 2.0 * MARGIN - INDENT;
        let beside = figures_within(room - MIN_LABEL);
        let label_room = room - beside.len() as f64 * COLUMN;
        let fits = |item: &Item| font::width(&item.label(), NORMAL, false) <= label_room;
        if !beside.is_empty() && lines.all(fits) {
            return Figures::Beside(beside);
        }
        match figures_within(room * 0.7) {
            figures if figures.is_empty() => Figures::None,
            figures => Figures::Below(figures),
        }
    }

    fn entry(
        &self,
        room: Room,
        plot: &Plot,
        item: &Item,
        figures: &Figures,
        y: f64,
        entries: &mut Vec<Element>,
    ) -> f64 {
        let baseline = y + 12.5;
        let right = room.right;
        let left = room.left + INDENT;
        let beside = match (figures, item) {
            (Figures::Beside(figures), Item::Line(_)) => figures.as_slice(),
            _ => &[],
        };
        let label_room = right - left - beside.len() as f64 * COLUMN;
        let label = font::fitted(&item.label(), label_room, NORMAL, false);
        let color = match item {
            Item::Message(message) if message.color != Color::BLACK => {
                message.color.readable_on(self.inks.image, self.inks.text)
            }
            _ => self.inks.text,
        };
        if !matches!(item, Item::Message(_)) {
            self.color_box(room.left, y + 3.0, item.color(), entries);
        }
        entries.push(text(left, baseline, Anchor::Start, NORMAL, color, label));
        let Item::Line(line) = item else {
            return y + ROW;
        };
        for (i, figure) in beside.iter().rev().enumerate() {
            entries.push(text(
                right - i as f64 * COLUMN,
                baseline,
                Anchor::End,
                SMALL,
                self.inks.text,
                figure.write(&line.stats, plot.tick_labels),
            ));
        }
        let Figures::Below(figures) = figures else {
            return y + ROW;
        };
        let cell = ((right - left) / figures.len() as f64)
            .min(1.7 * COLUMN)
            .floor();
        for (i, figure) in figures.iter().enumerate() {
            let x = left + i as f64 * cell;
            let name = figure.name();
            let baseline = baseline + ROW - 2.0;
            entries.push(text(
                x,
                baseline,
                Anchor::Start,
                SMALL,
                self.inks.muted,
                name.to_owned(),
            ));
            entries.push(text(
                x + font::width(name, SMALL, false).round() + 5.0,
                baseline,
                Anchor::Start,
                SMALL,
                self.inks.text,
                figure.write(&line.stats, plot.tick_labels),
            ));
        }
        y + 2.0 * ROW
    }

    /// A box of a colour as it is seen on the canvas.
    fn color_box(&self, x: f64, y: f64, color: Color, entries: &mut Vec<Element>) {
        let seen = color.over(self.inks.canvas);
        let square = |inset: f64| Rect {
            x: x + inset,
            y: y + inset,
            width: BOX - 2.0 * inset,
            height: BOX - 2.0 * inset,
        };
        // What is hardly seen has an outline.
        if seen.contrast(self.inks.image) < 1.6 {
            entries.push(Element::Rect(square(0.0), self.inks.muted));
            entries.push(Element::Rect(square(1.0), seen));
        } else {
            entries.push(Element::Rect(square(0.0), seen));
        }
    }

    /// The colours of a heatmap, and the counts between them.
    fn color_scale(
        &self,
        frame: &Frame,
        heatmap: &Heatmap,
        y: f64,
        entries: &mut Vec<Element>,
    ) -> f64 {
        let left = MARGIN + INDENT;
        let room = frame.width - MARGIN - left;
        entries.push(text(
            left,
            y + 12.5,
            Anchor::Start,
            NORMAL,
            self.inks.text,
            font::fitted(heatmap.label(), room, NORMAL, false),
        ));
        if self.chart.legend != LegendType::LabelsWithStats {
            return y + ROW;
        }
        let colors = heatmap.palette.colors();
        let width = (room.min(COLOR_SCALE) / colors.len() as f64)
            .floor()
            .max(1.0);
        let top = y + ROW + 1.0;
        for (i, color) in colors.iter().enumerate() {
            let rect = Rect {
                x: left + i as f64 * width,
                y: top,
                width,
                height: BOX,
            };
            entries.push(Element::Rect(rect, color.over(self.inks.canvas)));
        }
        let bottom = top + BOX;
        let end = left + colors.len() as f64 * width;
        let mut segments = vec![Segment::Move(left, bottom + 0.5), Segment::Across(end)];
        let last = heatmap.color_ticks.len().saturating_sub(1);
        let mut free = f64::MIN;
        let mut labels = Vec::new();
        for (i, tick) in heatmap.color_ticks.iter().enumerate() {
            let x = (left + i as f64 * width).min(end - 1.0) + 0.5;
            segments.push(Segment::Move(x, bottom));
            segments.push(Segment::Upright(bottom + 4.0));
            let half = font::width(&tick.label, SMALL, false) / 2.0;
            let last_half = font::width(&heatmap.color_ticks[last].label, SMALL, false) / 2.0;
            // The last label counts more than those before it.
            let runs_into_last = i != last && x + half + 6.0 > end - last_half;
            if x - half >= free && !runs_into_last {
                free = x + half + 6.0;
                labels.push(text(
                    x,
                    bottom + 4.0 + SMALL,
                    Anchor::Middle,
                    SMALL,
                    self.inks.text,
                    tick.label.clone(),
                ));
            }
        }
        entries.push(Element::Path(Path {
            segments,
            ink: Ink::Stroke {
                color: self.inks.axis,
                width: 1.0,
                dash: None,
            },
        }));
        entries.extend(labels);
        bottom + 4.0 + SMALL + 6.0
    }

    /// What time the chart shows, and what it took.
    fn footer(&self) -> String {
        let chart = self.chart;
        let cells = chart.cells() as i64;
        let frame = ShortSpan(cells * chart.step.millis());
        let end = chart.end.plus_millis(-chart.step.millis());
        let step = ShortSpan(chart.step.millis());
        let mut footer = format!("Frame: {frame}, End: {}, Step: {step}", self.end_text(end));
        if let Some(millis) = chart.load_millis.filter(|millis| *millis > 0) {
            footer.push_str(&format!(", Fetch: {millis}ms"));
            if let Some(f) = chart.fetched.filter(|f| f.input_lines > 0) {
                let lines: usize = chart.plots.iter().map(|p| p.items.len()).sum();
                let short = |v: f64| prefix::decimal(v).format(v, 1);
                footer.push_str(&format!(
                    " (L: {}, {}, {}; D: {}, {}, {})",
                    short(f.input_lines as f64),
                    short(f.output_lines as f64),
                    short(lines as f64),
                    short(f.input_datapoints as f64),
                    short(f.output_datapoints as f64),
                    short((lines * chart.cells()) as f64),
                ));
            }
        }
        footer
    }

    /// A time on the clocks of the first zone: `2026-01-05T06:00:00+01:00[Europe/Berlin]`.
    fn end_text(&self, time: Timestamp) -> String {
        let zone = &self.chart.zones.first();
        let seconds = zone.map_or(0, |z| z.zone.offset_seconds(time.millis()));
        let name = zone.map_or("UTC", |z| z.name.as_str());
        let offset = chrono::FixedOffset::east_opt(seconds);
        let utc = chrono::DateTime::from_timestamp_millis(time.millis());
        match (offset, utc) {
            (Some(offset), Some(utc)) => {
                let local = utc.with_timezone(&offset);
                let iso = local.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
                format!("{iso}[{name}]")
            }
            _ => time.to_string(),
        }
    }
}
