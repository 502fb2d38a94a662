//! A scene as lines of text, to be compared with one written down before.

use std::fmt::Write;

use super::{Anchor, Element, Ink, Path, Place, Rect, Scene, Segment};

/// Outlines with more movements than this are told by their extent and a hash.
const MAX_SEGMENTS: usize = 24;

impl Scene {
    /// The scene as text: an element a line, indented by group.
    pub fn describe(&self) -> String {
        let mut out = format!(
            "scene {}x{} zoom {} {}\n",
            Place(self.width),
            Place(self.height),
            Place(self.zoom),
            self.background
        );
        describe(&self.elements, 1, &mut out);
        out
    }
}

fn describe(elements: &[Element], depth: usize, out: &mut String) {
    for element in elements {
        out.extend(std::iter::repeat_n("  ", depth));
        // Writing to a string does not fail.
        let _ = match element {
            Element::Rect(r, color) => writeln!(out, "rect {} {color}", corners(r)),
            Element::Path(path) => writeln!(out, "{}", outline(path)),
            Element::Text(text) => {
                let anchor = match text.anchor {
                    Anchor::Start => "from",
                    Anchor::Middle => "around",
                    Anchor::End => "to",
                };
                let bold = if text.bold { " bold" } else { "" };
                let turned = match text.turned {
                    0.0 => String::new(),
                    turned => format!(" turned {}", Place(turned)),
                };
                writeln!(
                    out,
                    "text {anchor} {},{} size {}{bold}{turned} {} {:?}",
                    Place(text.x),
                    Place(text.y),
                    Place(text.size),
                    text.color,
                    text.content
                )
            }
            Element::Group {
                name,
                clip,
                elements,
            } => {
                let clip = clip.map_or(String::new(), |r| format!(" within {}", corners(&r)));
                let result = writeln!(out, "{name}{clip}");
                describe(elements, depth + 1, out);
                result
            }
        };
    }
}

fn corners(r: &Rect) -> String {
    format!(
        "{},{} to {},{}",
        Place(r.x),
        Place(r.y),
        Place(r.right()),
        Place(r.bottom())
    )
}

fn outline(path: &Path) -> String {
    let ink = match path.ink {
        Ink::Fill(color) => format!("fill {color}"),
        Ink::Stroke { color, width, dash } => {
            let dash = dash.map_or(String::new(), |d| format!(" dashed {}", Place(d)));
            format!("stroke {color} {}{dash}", Place(width))
        }
    };
    let mut moves = String::new();
    for segment in &path.segments {
        let _ = match segment {
            Segment::Move(x, y) => write!(moves, " M{},{}", Place(*x), Place(*y)),
            Segment::Line(x, y) => write!(moves, " L{},{}", Place(*x), Place(*y)),
            Segment::Across(x) => write!(moves, " H{}", Place(*x)),
            Segment::Upright(y) => write!(moves, " V{}", Place(*y)),
            Segment::Close => write!(moves, " Z"),
        };
    }
    let count = path.segments.len();
    if count <= MAX_SEGMENTS {
        return format!("path {ink}{moves}");
    }
    let hash = xxhash_rust::xxh3::xxh3_64(moves.as_bytes());
    format!(
        "path {ink} {count} segments within {} hash {hash:016x}",
        extent(&path.segments)
    )
}

fn extent(segments: &[Segment]) -> String {
    let (mut x, mut y) = ((f64::MAX, f64::MIN), (f64::MAX, f64::MIN));
    let widen = |range: &mut (f64, f64), v: f64| *range = (range.0.min(v), range.1.max(v));
    for segment in segments {
        match segment {
            Segment::Move(px, py) | Segment::Line(px, py) => {
                widen(&mut x, *px);
                widen(&mut y, *py);
            }
            Segment::Across(px) => widen(&mut x, *px),
            Segment::Upright(py) => widen(&mut y, *py),
            Segment::Close => {}
        }
    }
    format!(
        "{},{} to {},{}",
        Place(x.0),
        Place(y.0),
        Place(x.1),
        Place(y.1)
    )
}
