//! Axes, their marks and the grid.

use super::canvas::Rows;
use super::{Drawing, Frame, MARGIN, NORMAL, SMALL, text};
use crate::bounds::bounds;
use crate::chart::{Chart, Plot, TickLabels, Zone};
use crate::color::Color;
use crate::font;
use crate::scene::{Anchor, Element, Ink, Path, Segment, Text};
use crate::theme::Inks;
use crate::ticks::time::{Change, TimeTick, clock_changes, time_ticks};
use crate::ticks::{LABEL_DISTANCE, Tick, value_ticks};
use chrono::{Offset, TimeZone as _};
use hesper_model::Timestamp;
use hesper_stack::time::TimeZone;

/// The height of a time axis.
pub(super) const TIME_AXIS_HEIGHT: f64 = 21.0;

/// What is left free on the right, where there is no axis, for half of the last label.
pub(super) const LAST_LABEL: f64 = 26.0;

/// The length of a mark.
const MARK: f64 = 4.0;

/// The room for labels that all axes have, so that charts with other values are as wide.
const LABEL_WIDTH: f64 = 42.0;

/// The width of a Y axis without a label of its own.
pub(super) const LEAST_WIDTH: f64 = MARGIN + LABEL_WIDTH + 2.0 * MARK;

/// The room for the label of an axis.
const YLABEL_HEIGHT: f64 = 18.0;

/// The smallest distance between two labels of a Y axis.
const LABEL_HEIGHT: f64 = 12.0;

/// The smallest distance between lines of the grid.
const GRID_DISTANCE: f64 = 5.0;

/// The pixels that there are at least between two labels of a Y axis without a heatmap.
const DENSE_DISTANCE: u32 = 32;

/// How far from the canvas the name of a time zone ends, so that the first label has room.
const ZONE_DISTANCE: f64 = 22.0;

/// The room that a label of the time axis takes.
const TIME_LABEL_WIDTH: f64 = 52.0;

/// A Y axis.
pub(super) struct ValueAxis<'a> {
    plot: &'a Plot,
    /// Its place: the first is on the left.
    place: usize,
    ticks: Vec<Tick>,
    shows_labels: bool,
    label_width: f64,
    color: Color,
    text_color: Color,
}

impl<'a> ValueAxis<'a> {
    pub fn new(plot: &'a Plot, place: usize, height: f64, inks: &Inks) -> Self {
        let bounds = bounds(plot);
        // The cells of a heatmap are those between the marks that the API tells of.
        let is_heatmap = plot.heatmap_lines().next().is_some();
        let distance = if is_heatmap {
            LABEL_DISTANCE
        } else {
            DENSE_DISTANCE
        };
        let mut ticks = value_ticks(plot, bounds, height as u32, distance);
        if !ticks.iter().any(|t| t.is_major) {
            ticks = ends(plot, bounds);
        }
        spell_out_offsets(plot, &mut ticks);
        shorten(&mut ticks);
        let shows_labels = plot.tick_labels != TickLabels::Off;
        let widths = ticks
            .iter()
            .filter(|t| t.is_major && shows_labels)
            .map(|t| font::width(&t.label, SMALL, false));
        let color = plot.axis_color.map_or(inks.axis, |c| c.with_alpha(255));
        Self {
            plot,
            place,
            shows_labels,
            // On the left there is also the name of the time zone.
            label_width: if shows_labels || place == 0 {
                widths.fold(LABEL_WIDTH, f64::max).ceil()
            } else {
                0.0
            },
            ticks,
            color,
            text_color: match plot.axis_color {
                Some(c) => c.readable_on(inks.image, inks.text),
                None => inks.text,
            },
        }
    }

    /// The width it takes beside the canvas.
    pub fn width(&self) -> f64 {
        let label = self.plot.ylabel.as_ref().map_or(0.0, |_| YLABEL_HEIGHT);
        MARGIN + label + self.label_width + 2.0 * MARK
    }
}

/// Marks at the bounds, for want of others.
fn ends(plot: &Plot, (lower, upper): (f64, f64)) -> Vec<Tick> {
    let tick = |value: f64| Tick {
        value,
        offset: 0.0,
        is_major: true,
        label: exact(plot, value, upper - lower),
    };
    vec![tick(lower), tick(upper)]
}

/// Labels that only say how far values are from some other are replaced by the values.
fn spell_out_offsets(plot: &Plot, ticks: &mut [Tick]) {
    let majors: Vec<f64> = ticks
        .iter()
        .filter(|t| t.is_major)
        .map(|t| t.value)
        .collect();
    let steps = majors.windows(2).map(|pair| pair[1] - pair[0]);
    let step = steps.fold(f64::INFINITY, f64::min);
    for tick in ticks.iter_mut().filter(|t| t.offset != 0.0) {
        tick.label = exact(plot, tick.value, step);
    }
}

/// A value with all digits that tell it from one that is a step away.
fn exact(plot: &Plot, v: f64, step: f64) -> String {
    let digits = -step.abs().log10().floor();
    let unit = match plot.tick_labels {
        TickLabels::Duration => "s",
        _ => "",
    };
    let magnitude = v.abs();
    if magnitude >= 1e16 || (magnitude > 0.0 && magnitude < 1e-6) {
        return format!("{v:.3e}{unit}");
    }
    let digits = if digits.is_finite() {
        digits.clamp(0.0, 12.0) as usize
    } else {
        0
    };
    format!("{v:.digits$}{unit}")
}

/// Takes zeros away that all labels end with, and what is behind a zero.
fn shorten(ticks: &mut [Tick]) {
    let zeros = |label: &str| {
        let (_, fraction) = label.split_once('.')?;
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let significant = fraction[..digits].trim_end_matches('0').len();
        Some(digits - significant)
    };
    let majors = ticks.iter().filter(|t| t.is_major);
    let Some(common) = majors.filter_map(|t| zeros(&t.label)).min() else {
        return;
    };
    for tick in ticks.iter_mut() {
        if tick.value == 0.0 {
            tick.label = "0".to_owned();
        } else if let Some(point) = tick.label.find('.') {
            let fraction = &tick.label[point + 1..];
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let kept = digits.saturating_sub(common);
            let unit = fraction[digits..].to_owned();
            let end = if kept == 0 { point } else { point + 1 + kept };
            tick.label.truncate(end);
            tick.label.push_str(&unit);
        }
    }
}

/// A time axis.
pub(super) struct TimeAxis {
    ticks: Vec<TimeTick>,
    changes: Vec<Change>,
    name: String,
}

impl TimeAxis {
    pub fn new(chart: &Chart, zone: &Zone, width: f64) -> Self {
        let start = chart.start.plus_millis(-chart.step.millis());
        let end = chart.end.plus_millis(-chart.step.millis());
        let n = (width / TIME_LABEL_WIDTH) as usize;
        Self {
            ticks: time_ticks(start, end, &zone.zone, n),
            changes: clock_changes(start, end, &zone.zone),
            name: abbreviation(zone, start),
        }
    }
}

/// The short name of a zone at a time: `PST`, `+02:00`.
fn abbreviation(zone: &Zone, time: Timestamp) -> String {
    match &zone.zone {
        TimeZone::Fixed(offset) => offset.fix().to_string(),
        TimeZone::Named(tz) => chrono::DateTime::from_timestamp_millis(time.millis()).map_or_else(
            || zone.name.clone(),
            |t| {
                tz.from_utc_datetime(&t.naive_utc())
                    .format("%Z")
                    .to_string()
            },
        ),
    }
}

impl Drawing<'_> {
    /// Draws lines at the marks of the first time axis and the first Y axis, over the data: areas would hide them.
    pub(super) fn grid(
        &self,
        frame: &Frame,
        value_axes: &[ValueAxis<'_>],
        time_axes: &[TimeAxis],
        elements: &mut Vec<Element>,
    ) {
        let canvas = &frame.canvas;
        let times = time_axes.first().map_or(&[][..], |axis| &axis.ticks);
        let upright = times
            .iter()
            .map(|t| (self.x_of(t.time.millis(), canvas), t.is_major));
        let inside = |x: f64| x > canvas.x && x < canvas.right() - 1.0;
        let upright: Vec<_> = upright.filter(|(x, _)| inside(*x)).collect();
        let level: Vec<_> = value_axes.first().map_or(Vec::new(), |axis| {
            let rows = Rows::new(axis.plot, canvas);
            let places = axis.ticks.iter().map(|t| (rows.row(t.value), t.is_major));
            places
                .filter(|(y, _)| *y > canvas.y && *y < canvas.bottom() - 1.0)
                .collect()
        });
        let mut lines = Vec::new();
        for (is_major, color) in [(false, self.inks.minor_grid), (true, self.inks.major_grid)] {
            let mut segments = Vec::new();
            for x in spaced(&upright, is_major) {
                segments.push(Segment::Move(x + 0.5, canvas.y));
                segments.push(Segment::Upright(canvas.bottom()));
            }
            for y in spaced(&level, is_major) {
                segments.push(Segment::Move(canvas.x, y + 0.5));
                segments.push(Segment::Across(canvas.right()));
            }
            if !segments.is_empty() {
                lines.push(Element::Path(Path {
                    segments,
                    ink: Ink::Stroke {
                        color,
                        width: 1.0,
                        dash: None,
                    },
                }));
            }
        }
        elements.push(Element::Group {
            name: "grid",
            clip: None,
            elements: lines,
        });
    }

    /// Draws the Y axes: the first on the left, the others on the right.
    pub(super) fn value_axes(
        &self,
        frame: &Frame,
        axes: &[ValueAxis<'_>],
        elements: &mut Vec<Element>,
    ) {
        let mut right = frame.canvas.right();
        for axis in axes {
            if axis.place == 0 {
                self.value_axis(frame, axis, frame.canvas.x, -1.0, elements);
            } else {
                self.value_axis(frame, axis, right, 1.0, elements);
                right += axis.width();
            }
        }
    }

    /// Draws an axis at a place from the left, with its marks to the left (−1) or the right (1).
    fn value_axis(
        &self,
        frame: &Frame,
        axis: &ValueAxis<'_>,
        x: f64,
        side: f64,
        elements: &mut Vec<Element>,
    ) {
        let canvas = &frame.canvas;
        let rows = Rows::new(axis.plot, canvas);
        let line = x + side * 0.5;
        let mut segments = vec![
            Segment::Move(line, canvas.y),
            Segment::Upright(canvas.bottom() + if side < 0.0 { 1.0 } else { 0.0 }),
        ];
        let mut labels = Vec::new();
        let mut last: Option<f64> = None;
        for tick in axis.ticks.iter().filter(|t| t.is_major) {
            let y = rows.row(tick.value);
            if last.is_some_and(|last| (last - y).abs() < LABEL_HEIGHT) {
                continue;
            }
            last = Some(y);
            segments.push(Segment::Move(line, y + 0.5));
            segments.push(Segment::Across(x + side * (MARK + 1.0)));
            if axis.shows_labels {
                labels.push(text(
                    x + side * 2.0 * MARK,
                    y + 0.5 + SMALL * 0.36,
                    if side < 0.0 {
                        Anchor::End
                    } else {
                        Anchor::Start
                    },
                    SMALL,
                    axis.text_color,
                    tick.label.clone(),
                ));
            }
        }
        if let Some(label) = &axis.plot.ylabel {
            // The letters' feet are on the side of the canvas, their heads at the margin.
            let baseline = axis.width() - MARGIN / 2.0 - NORMAL * 0.8;
            labels.push(Element::Text(Text {
                x: x + side * baseline,
                y: (canvas.y + canvas.height / 2.0).round(),
                anchor: Anchor::Middle,
                size: NORMAL,
                bold: false,
                color: axis.text_color,
                turned: side * 90.0,
                content: font::fitted(label, canvas.height, NORMAL, false),
            }));
        }
        let mut parts = vec![Element::Path(Path {
            segments,
            ink: Ink::Stroke {
                color: axis.color,
                width: 1.0,
                dash: None,
            },
        })];
        parts.extend(labels);
        elements.push(Element::Group {
            name: "y-axis",
            clip: None,
            elements: parts,
        });
    }

    /// Draws the time axes one below the other; gives where they end.
    pub(super) fn time_axes(
        &self,
        frame: &Frame,
        axes: &[TimeAxis],
        elements: &mut Vec<Element>,
    ) -> f64 {
        let mut y = frame.canvas.bottom();
        for axis in axes {
            self.time_axis(frame, axis, y, elements);
            y += TIME_AXIS_HEIGHT;
        }
        y
    }

    fn time_axis(&self, frame: &Frame, axis: &TimeAxis, y: f64, elements: &mut Vec<Element>) {
        let canvas = &frame.canvas;
        let place = |t: Timestamp| self.x_of(t.millis(), canvas);
        let baseline = y + MARK + 2.0 + SMALL;
        let mut segments = vec![
            Segment::Move(canvas.x, y + 0.5),
            Segment::Across(canvas.right()),
        ];
        // The name of the zone and changes of the clocks come first. Labels that would run into them or each other are left out.
        let name_end = canvas.x - ZONE_DISTANCE;
        let name = font::fitted(&axis.name, name_end - MARK, SMALL, false);
        let mut taken: Vec<(f64, f64)> = vec![(0.0, name_end + 1.0)];
        let mut labels = vec![text(
            name_end,
            baseline,
            Anchor::End,
            SMALL,
            self.inks.muted,
            name,
        )];
        let mut put = |x: f64, content: String, color: Color, labels: &mut Vec<Element>| {
            let half = font::width(&content, SMALL, false) / 2.0 + 1.5;
            let room = (x - half, x + half);
            let is_free = taken
                .iter()
                .all(|(from, to)| room.1 <= *from || room.0 >= *to);
            if is_free && room.1 <= frame.width {
                taken.push(room);
                labels.push(text(x, baseline, Anchor::Middle, SMALL, color, content));
            }
        };
        let mut change_marks = Vec::new();
        for change in axis.changes.iter().take(8) {
            let x = place(change.time);
            change_marks.push(Segment::Move(x + 0.5, y));
            change_marks.push(Segment::Upright(y + MARK + 2.0));
            put(
                x + 0.5,
                change_label(change.seconds),
                self.inks.accent,
                &mut labels,
            );
        }
        for tick in axis.ticks.iter().filter(|t| t.is_major) {
            // The axis ends with the last pixel.
            let x = place(tick.time).min(canvas.right() - 1.0);
            segments.push(Segment::Move(x + 0.5, y));
            segments.push(Segment::Upright(y + MARK + 1.0));
            put(x + 0.5, tick.label.clone(), self.inks.text, &mut labels);
        }
        let stroke = |segments, color| {
            Element::Path(Path {
                segments,
                ink: Ink::Stroke {
                    color,
                    width: 1.0,
                    dash: None,
                },
            })
        };
        let mut parts = vec![stroke(segments, self.inks.axis)];
        if !change_marks.is_empty() {
            parts.push(stroke(change_marks, self.inks.accent));
        }
        parts.extend(labels);
        elements.push(Element::Group {
            name: "time-axis",
            clip: None,
            elements: parts,
        });
    }
}

/// By how much clocks are changed: `+1h`, `−30m`.
fn change_label(seconds: i32) -> String {
    let sign = if seconds < 0 { '−' } else { '+' };
    let span = hesper_stack::span::ShortSpan(i64::from(seconds.abs()) * 1000);
    format!("{sign}{span}")
}

/// The lines of one kind that are not too close to others: majors count first.
fn spaced(places: &[(f64, bool)], majors: bool) -> Vec<f64> {
    let mut kept: Vec<f64> = Vec::new();
    let all_majors: Vec<f64> = places.iter().filter(|p| p.1).map(|p| p.0).collect();
    for (place, is_major) in places {
        let near = |other: &f64| (other - place).abs() < GRID_DISTANCE;
        let crowded = kept.iter().any(near) || (!majors && all_majors.iter().any(near));
        if *is_major == majors && !crowded {
            kept.push(*place);
        }
    }
    kept
}
