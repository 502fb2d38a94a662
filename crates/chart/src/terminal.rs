//! A chart as text, for terminals.

mod grid;

use hesper_stack::expr::style::LineStyle;

use crate::bounds::bounds;
use crate::chart::{Chart, Item, LegendType, MAX_LEGEND_LINES, Plot, TickLabels};
use crate::color::Color;
use crate::heatmap::Heatmap;
use crate::scale::Mapping;
use crate::ticks::time::time_ticks;
use crate::ticks::{prefix, value_ticks};
use grid::Grid;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextOptions {
    /// The characters in a line, at least 20.
    pub width: usize,
    /// The lines of the canvas, at least 3. Title, axis and legend come on top.
    pub height: usize,
    /// Whether there are more characters than those of ASCII: lines are then drawn in dots of two by four a character.
    pub unicode: bool,
    /// Whether colours are shown, by the escape sequences for 24 bits.
    pub color: bool,
}

impl Default for TextOptions {
    fn default() -> Self {
        Self {
            width: 80,
            height: 16,
            unicode: true,
            color: false,
        }
    }
}

/// The room for a label of the time axis.
const TIME_LABEL: usize = 9;

/// What tells lines apart that have no colours.
const MARKS: [char; 10] = ['*', '+', 'o', 'x', '#', '@', '%', '&', '=', '~'];

impl Chart {
    /// The chart as lines of text, each ended by a line feed.
    pub fn to_text(&self, options: &TextOptions) -> String {
        let options = TextOptions {
            width: options.width.clamp(20, 1000),
            height: options.height.clamp(3, 500),
            ..*options
        };
        Page {
            chart: self,
            options,
            lines: Vec::new(),
        }
        .write()
    }
}

struct Page<'a> {
    chart: &'a Chart,
    options: TextOptions,
    lines: Vec<String>,
}

impl Page<'_> {
    fn write(mut self) -> String {
        let width = self.options.width;
        if let Some(title) = &self.chart.title {
            let title = cut(title, width);
            let indent = (width - title.chars().count()) / 2;
            self.lines.push(format!("{:indent$}{title}", ""));
        }
        self.canvas();
        if self.chart.legend != LegendType::Off {
            self.legend();
        }
        self.lines
            .extend(self.chart.warnings.iter().map(|w| format!("! {w}")));
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn canvas(&mut self) {
        let TextOptions {
            width,
            height,
            unicode,
            ..
        } = self.options;
        // Every other line may have a label.
        let labels = self.chart.plots.first().map_or(Vec::new(), |plot| {
            let bounds = bounds(plot);
            let mapping = Mapping::new(plot.scale, bounds.0, bounds.1);
            let ticks = value_ticks(plot, bounds, height as u32, 2).into_iter();
            let ticks = ticks.filter(|t| t.is_major && plot.tick_labels != TickLabels::Off);
            let row = |v: f64| ((1.0 - mapping.fraction(v)) * (height - 1) as f64).round() as usize;
            ticks.map(|t| (row(t.value), t.label)).collect()
        });
        let label_width = labels.iter().map(|(_, l)| l.chars().count()).max();
        let label_width = label_width.unwrap_or(0).min(width / 3);
        let columns = width - label_width - 2;
        let mut grid = Grid::new(columns, height, unicode);
        for (i, plot) in self.chart.plots.iter().enumerate() {
            if let Some(heatmap) = Heatmap::of(self.chart, plot) {
                grid.heatmap(plot, &heatmap);
            }
            let before: usize = self.chart.plots[..i].iter().map(|p| p.items.len()).sum();
            grid.plot(self.chart, plot, |item| mark(before + item));
        }
        for (row, cells) in grid.rows(self.options.color).into_iter().enumerate() {
            let label = labels.iter().find(|(r, _)| *r == row).map(|(_, l)| l);
            let (line, dash) = match (unicode, label) {
                (true, Some(_)) => ('┤', ""),
                (true, None) => ('│', ""),
                (false, Some(_)) => ('+', ""),
                (false, None) => ('|', ""),
            };
            let label = cut(label.map_or("", String::as_str), label_width);
            self.lines
                .push(format!("{label:>label_width$} {dash}{line}{cells}"));
        }
        self.time_axis(label_width, columns);
    }

    fn time_axis(&mut self, label_width: usize, columns: usize) {
        let chart = self.chart;
        let Some(zone) = chart.zones.first() else {
            return;
        };
        let start = chart.start.plus_millis(-chart.step.millis());
        let end = chart.end.plus_millis(-chart.step.millis());
        let ticks = time_ticks(start, end, &zone.zone, columns / TIME_LABEL);
        let span = (end.millis() - start.millis()).max(1) as f64;
        let (corner, level, tick_mark) = match self.options.unicode {
            true => ('└', '─', '┬'),
            false => ('+', '-', '+'),
        };
        let mut axis = vec![level; columns];
        let indent = label_width + 2;
        let mut labels = vec![' '; indent + columns];
        let mut free = 0;
        for tick in ticks.iter().filter(|t| t.is_major) {
            let share = (tick.time.millis() - start.millis()) as f64 / span;
            let x = ((share * columns as f64) as usize).min(columns.saturating_sub(1));
            axis[x] = tick_mark;
            let label: Vec<char> = tick.label.chars().collect();
            let from = (indent + x).saturating_sub(label.len() / 2);
            let to = from + label.len();
            if from >= free && to <= labels.len() {
                labels[from..to].copy_from_slice(&label);
                free = to + 1;
            }
        }
        let axis: String = axis.into_iter().collect();
        self.lines
            .push(format!("{:label_width$} {corner}{axis}", ""));
        self.lines.push(labels.into_iter().collect());
    }

    fn legend(&mut self) {
        self.lines.push(String::new());
        let several = self.chart.plots.len() > 1;
        let mut index = 0;
        let mut lines = Vec::new();
        for (i, plot) in self.chart.plots.iter().enumerate() {
            if several {
                let (lower, upper) = bounds(plot);
                let label = plot
                    .ylabel
                    .as_ref()
                    .map_or(String::new(), |l| format!(": {l}"));
                let ends = [lower, upper].map(|v| short(plot, v));
                lines.push(format!("Axis {i}{label} ({} to {})", ends[0], ends[1]));
            }
            if let Some(first) = plot.heatmap_lines().next() {
                let label = plot.heatmap.label.as_deref().unwrap_or("Heatmap");
                let count = plot.heatmap_lines().count();
                let sign = self.painted(self.sign(0), first.color);
                lines.push(format!("{sign} {label} ({count} lines)"));
            }
            let is_listed =
                |item: &Item| !matches!(item, Item::Line(l) if l.style == LineStyle::Heatmap);
            let total = plot.items.iter().filter(|item| is_listed(item)).count();
            let mut listed = 0;
            for item in &plot.items {
                index += 1;
                if is_listed(item) && listed < MAX_LEGEND_LINES {
                    lines.push(self.entry(plot, item, index - 1));
                    listed += 1;
                }
            }
            if total > listed {
                lines.push(format!("  ... {} suppressed ...", total - listed));
            }
        }
        self.lines.append(&mut lines);
    }

    fn entry(&self, plot: &Plot, item: &Item, index: usize) -> String {
        let label = item.label();
        let sign = match item {
            Item::Message(_) => return format!("  {}", cut(&label, self.options.width - 2)),
            Item::Line(line) if line.style == LineStyle::VSpan && !self.options.unicode => ':',
            _ => self.sign(index),
        };
        let sign = self.painted(sign, item.color());
        let figures = match (self.chart.legend, item) {
            (LegendType::LabelsWithStats, Item::Line(line)) => {
                let s = &line.stats;
                let figures = [
                    ("max", s.max),
                    ("last", s.last),
                    ("avg", s.avg),
                    ("min", s.min),
                ];
                // The more telling ones first, as there is room.
                let count = (self.options.width / 3 / 14).clamp(1, figures.len());
                let texts = figures.map(|(name, v)| format!("{name} {:<8}", short(plot, v)));
                texts[..count].join(" ")
            }
            _ => String::new(),
        };
        let room = self.options.width - 2;
        let taken = figures.chars().count();
        if taken + 12 > room {
            return format!("{sign} {}", cut(&label, room));
        }
        let room = room - taken - usize::from(taken > 0);
        format!("{sign} {:<room$} {figures}", cut(&label, room))
    }

    fn sign(&self, index: usize) -> char {
        match (self.options.unicode, self.options.color) {
            (true, true) => '■',
            (true, false) => '•',
            _ => mark(index),
        }
    }

    fn painted(&self, sign: char, color: Color) -> String {
        match self.options.color {
            true => format!("{}{sign}{RESET}", paint(color)),
            false => sign.to_string(),
        }
    }
}

/// The sequence that ends a colour.
const RESET: &str = "\x1b[0m";

/// The sequence that begins a colour.
fn paint(c: Color) -> String {
    format!("\x1b[38;2;{};{};{}m", c.red, c.green, c.blue)
}

fn mark(index: usize) -> char {
    MARKS[index % MARKS.len()]
}

/// A number in a few characters.
fn short(plot: &Plot, v: f64) -> String {
    match plot.tick_labels {
        TickLabels::Binary => prefix::binary(v).format(v, 2),
        TickLabels::Duration => prefix::duration(v).format(v, 2),
        TickLabels::Decimal | TickLabels::Off => prefix::decimal(v).format(v, 2),
    }
}

/// As much of a text as fits, without what would move the cursor.
fn cut(text: &str, width: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= width {
        return text.chars().map(clean).collect();
    }
    let kept = text.chars().take(width.saturating_sub(1)).map(clean);
    kept.chain((width > 0).then_some('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{chart, chart_of, line, styled};
    use proptest::prelude::*;

    const SMALL: TextOptions = TextOptions {
        width: 40,
        height: 6,
        unicode: false,
        color: false,
    };

    #[test]
    fn lines_are_drawn_in_marks() {
        let mut chart = chart(vec![
            line("up", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            line("down", &[5.0, 4.0, f64::NAN, 2.0, 1.0, 0.0]),
        ]);
        chart.title = Some("A title".to_owned());
        let text = chart.to_text(&SMALL);
        assert_eq!(text, include_str!("terminal/lines.txt"), "{text}");
    }

    #[test]
    fn areas_and_spans_are_filled() {
        let chart = chart(vec![
            styled(LineStyle::VSpan, "alarm", &[0.0, 0.0, 1.0, 1.0]),
            styled(LineStyle::Stack, "a", &[1.0, 2.0, 1.0, 3.0]),
            styled(LineStyle::Stack, "b", &[1.0, 1.0, 2.0, -1.0]),
        ]);
        let text = chart.to_text(&SMALL);
        assert_eq!(text, include_str!("terminal/areas.txt"), "{text}");
    }

    #[test]
    fn dots_and_colours_need_a_terminal_for_them() {
        let chart = chart(vec![line("up", &[0.0, 1.0, 2.0])]);
        let dots = chart.to_text(&TextOptions {
            unicode: true,
            ..SMALL
        });
        assert!(
            dots.contains('⠤') || dots.contains('⣀') || dots.contains('⠉'),
            "{dots}"
        );
        assert!(!dots.contains('\u{1b}'));
        let colored = chart.to_text(&TextOptions {
            unicode: true,
            color: true,
            ..SMALL
        });
        assert!(colored.contains("\u{1b}[38;2;0;117;220m"));
    }

    proptest! {
        #[test]
        fn any_chart_fits(
            values in proptest::collection::vec(any::<f64>(), 0..50),
            label in any::<String>(),
            style in 0usize..5,
            width in 0usize..90,
            height in 0usize..20,
            unicode in any::<bool>(),
        ) {
            let style = [LineStyle::Line, LineStyle::Area, LineStyle::Stack, LineStyle::VSpan, LineStyle::Heatmap][style];
            let chart = chart_of(Plot::new(vec![
                Item::Line(styled(style, &label, &values)),
                Item::Line(line("other", &[1.0, f64::INFINITY])),
            ]));
            let text = chart.to_text(&TextOptions { width, height, unicode, color: false });
            for line in text.lines() {
                prop_assert!(line.chars().count() <= width.max(20), "{line:?}");
            }
        }
    }
}
