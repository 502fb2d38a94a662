//! What is drawn: shapes and texts at places, in pixels from the upper left corner. A scene knows nothing of charts.

mod describe;
mod svg;

use crate::color::Color;

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The width, before it is magnified.
    pub width: f64,
    /// The height, before it is magnified.
    pub height: f64,
    /// How much the picture is magnified.
    pub zoom: f64,
    /// What is behind everything.
    pub background: Color,
    /// What is drawn, the first farthest back.
    pub elements: Vec<Element>,
}

/// Something drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A filled rectangle.
    Rect(Rect, Color),
    /// An outline, filled or stroked.
    Path(Path),
    /// A line of text.
    Text(Text),
    /// What belongs together, and is not seen outside of a rectangle if there is one.
    Group {
        /// What it is.
        name: &'static str,
        /// What is seen of it.
        clip: Option<Rect>,
        /// What is drawn.
        elements: Vec<Element>,
    },
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// The left edge.
    pub x: f64,
    /// The upper edge.
    pub y: f64,
    /// The width.
    pub width: f64,
    /// The height.
    pub height: f64,
}

impl Rect {
    /// The right edge.
    pub fn right(&self) -> f64 {
        self.x + self.width
    }

    /// The lower edge.
    pub fn bottom(&self) -> f64 {
        self.y + self.height
    }
}

/// An outline.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// How the pen moves.
    pub segments: Vec<Segment>,
    /// What is done with it.
    pub ink: Ink,
}

/// A movement of the pen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Segment {
    /// To a point, without drawing.
    Move(f64, f64),
    /// Straight to a point.
    Line(f64, f64),
    /// Level to a place from the left.
    Across(f64),
    /// Upright to a place from the top.
    Upright(f64),
    /// Back to where the outline began.
    Close,
}

/// What is done with an outline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ink {
    /// Its inside is filled; pixels are inside or not.
    Fill(Color),
    /// It is drawn along.
    Stroke {
        /// The colour.
        color: Color,
        /// How wide.
        width: f64,
        /// How long the dashes and the gaps between them are, if there are any.
        dash: Option<f64>,
    },
}

/// A line of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Where it is anchored, from the left.
    pub x: f64,
    /// Where the letters stand, from the top.
    pub y: f64,
    /// What part of it is at `x`.
    pub anchor: Anchor,
    /// The size of the font, in pixels.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
    /// The colour.
    pub color: Color,
    /// How far it is turned around its anchor, in degrees to the right.
    pub turned: f64,
    /// The text.
    pub content: String,
}

/// What part of a text is at its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The beginning.
    #[default]
    Start,
    /// The middle.
    Middle,
    /// The end.
    End,
}

impl Path {
    /// The segments of a rectangle.
    pub fn put_rect(segments: &mut Vec<Segment>, r: Rect) {
        segments.extend([
            Segment::Move(r.x, r.y),
            Segment::Across(r.right()),
            Segment::Upright(r.bottom()),
            Segment::Across(r.x),
            Segment::Close,
        ]);
    }
}

impl Text {
    /// The room it takes: left, top, width and height of the box around it.
    pub fn extent(&self) -> Rect {
        let width = crate::font::width(&self.content, self.size, self.bold);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => width / 2.0,
            Anchor::End => width,
        };
        let (ascent, descent) = (self.size * 0.8, self.size * 0.25);
        let flat = (-before, -ascent, width - before, descent);
        let (left, top, right, bottom) = match self.turned {
            t if t < 0.0 => (flat.1, -flat.2, flat.3, -flat.0),
            t if t > 0.0 => (-flat.3, flat.0, -flat.1, flat.2),
            _ => flat,
        };
        Rect {
            x: self.x + left,
            y: self.y + top,
            width: right - left,
            height: bottom - top,
        }
    }
}

/// A place with two digits behind the point, or fewer.
struct Place(f64);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (self.0 * 100.0).round() as i64;
        if hundredths < 0 {
            f.write_str("-")?;
        }
        let (whole, rest) = (
            hundredths.unsigned_abs() / 100,
            hundredths.unsigned_abs() % 100,
        );
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_short() {
        let shown = [0.0, -0.004, 12.0, -1.5, 0.05, 3.1449, -0.25].map(|v| Place(v).to_string());
        assert_eq!(shown, ["0", "0", "12", "-1.5", "0.05", "3.14", "-0.25"]);
    }
}
