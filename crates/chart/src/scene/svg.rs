//! A scene as SVG.

use std::fmt::{self, Write};

use super::{Anchor, Element, Ink, Path, Place, Rect, Scene, Segment, Text};
use crate::color::Color;

/// The font that measures were taken with, and what comes nearest.
const FONT_FAMILY: &str = "'Noto Sans', 'Noto Sans Math', 'Open Sans', 'DejaVu Sans', sans-serif";

impl Scene {
    /// The scene as the text of an SVG document.
    pub fn to_svg(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let mut writer = Writer {
            out: &mut out,
            clips: 0,
        };
        // Writing to a string does not fail.
        let _ = writer.scene(self);
        out
    }

    /// The texts of the scene alone, not magnified and on no ground.
    pub(crate) fn texts_to_svg(&self) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let mut writer = Writer {
            out: &mut out,
            clips: 0,
        };
        let _ = writer.texts(self);
        out
    }
}

struct Writer<'a> {
    out: &'a mut String,
    clips: usize,
}

impl Writer<'_> {
    fn scene(&mut self, scene: &Scene) -> fmt::Result {
        let (w, h) = (Place(scene.width), Place(scene.height));
        writeln!(
            self.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"{FONT_FAMILY}\" xml:space=\"preserve\">",
            Place(scene.width * scene.zoom),
            Place(scene.height * scene.zoom),
        )?;
        let all = Rect {
            x: 0.0,
            y: 0.0,
            width: scene.width,
            height: scene.height,
        };
        self.rect(&all, scene.background)?;
        self.elements(&scene.elements)?;
        self.out.write_str("</svg>\n")
    }

    fn texts(&mut self, scene: &Scene) -> fmt::Result {
        writeln!(
            self.out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"{FONT_FAMILY}\" xml:space=\"preserve\">",
            Place(scene.width),
            Place(scene.height),
        )?;
        self.texts_among(&scene.elements)?;
        self.out.write_str("</svg>\n")
    }

    fn texts_among(&mut self, elements: &[Element]) -> fmt::Result {
        elements.iter().try_for_each(|element| match element {
            Element::Text(text) => self.text(text),
            Element::Group { elements, .. } => self.texts_among(elements),
            Element::Rect(..) | Element::Path(_) => Ok(()),
        })
    }

    fn elements(&mut self, elements: &[Element]) -> fmt::Result {
        elements.iter().try_for_each(|element| match element {
            Element::Rect(rect, color) => self.rect(rect, *color),
            Element::Path(path) => self.path(path),
            Element::Text(text) => self.text(text),
            Element::Group {
                name,
                clip,
                elements,
            } => self.group(name, clip.as_ref(), elements),
        })
    }

    fn rect(&mut self, r: &Rect, color: Color) -> fmt::Result {
        write!(
            self.out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" shape-rendering=\"crispEdges\"",
            Place(r.x),
            Place(r.y),
            Place(r.width),
            Place(r.height)
        )?;
        self.color("fill", color)?;
        self.out.write_str("/>\n")
    }

    fn path(&mut self, path: &Path) -> fmt::Result {
        self.out.write_str("<path")?;
        match path.ink {
            Ink::Fill(color) => {
                self.color("fill", color)?;
                self.out.write_str(" shape-rendering=\"crispEdges\"")?;
            }
            Ink::Stroke { color, width, dash } => {
                self.out.write_str(" fill=\"none\"")?;
                self.color("stroke", color)?;
                if width != 1.0 {
                    write!(self.out, " stroke-width=\"{}\"", Place(width))?;
                }
                if let Some(dash) = dash {
                    write!(self.out, " stroke-dasharray=\"{}\"", Place(dash))?;
                }
            }
        }
        self.out.write_str(" d=\"")?;
        for segment in &path.segments {
            match segment {
                Segment::Move(x, y) => write!(self.out, "M{} {}", Place(*x), Place(*y)),
                Segment::Line(x, y) => write!(self.out, "L{} {}", Place(*x), Place(*y)),
                Segment::Across(x) => write!(self.out, "H{}", Place(*x)),
                Segment::Upright(y) => write!(self.out, "V{}", Place(*y)),
                Segment::Close => self.out.write_char('Z'),
            }?;
        }
        self.out.write_str("\"/>\n")
    }

    fn text(&mut self, text: &Text) -> fmt::Result {
        let (x, y) = (Place(text.x), Place(text.y));
        write!(
            self.out,
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\"",
            Place(text.size)
        )?;
        match text.anchor {
            Anchor::Start => {}
            Anchor::Middle => self.out.write_str(" text-anchor=\"middle\"")?,
            Anchor::End => self.out.write_str(" text-anchor=\"end\"")?,
        }
        if text.bold {
            self.out.write_str(" font-weight=\"bold\"")?;
        }
        if text.turned != 0.0 {
            write!(
                self.out,
                " transform=\"rotate({} {x} {y})\"",
                Place(text.turned)
            )?;
        }
        self.color("fill", text.color)?;
        self.out.write_char('>')?;
        self.escaped(&text.content)?;
        self.out.write_str("</text>\n")
    }

    fn group(&mut self, name: &str, clip: Option<&Rect>, elements: &[Element]) -> fmt::Result {
        write!(self.out, "<g class=\"{name}\"")?;
        match clip {
            None => self.out.write_str(">\n")?,
            Some(r) => {
                self.clips += 1;
                writeln!(
                    self.out,
                    " clip-path=\"url(#c{id})\"><clipPath id=\"c{id}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
                    Place(r.x),
                    Place(r.y),
                    Place(r.width),
                    Place(r.height),
                    id = self.clips,
                )?;
            }
        }
        self.elements(elements)?;
        self.out.write_str("</g>\n")
    }

    fn color(&mut self, attribute: &str, c: Color) -> fmt::Result {
        let (r, g, b) = (c.red, c.green, c.blue);
        write!(self.out, " {attribute}=\"#{r:02x}{g:02x}{b:02x}\"")?;
        if c.alpha < 255 {
            let opacity = Place((f64::from(c.alpha) / 255.0 * 1000.0).round() / 1000.0);
            write!(self.out, " {attribute}-opacity=\"{opacity}\"")?;
        }
        Ok(())
    }

    /// Characters that XML does not have are replaced.
    fn escaped(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '<' => self.out.write_str("&lt;"),
            '>' => self.out.write_str("&gt;"),
            '&' => self.out.write_str("&amp;"),
            '\t' | '\n' | '\r' => self.out.write_char(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                self.out.write_char('\u{fffd}')
            }
            c => self.out.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let text = Text {
            x: 1.0,
            y: 2.25,
            anchor: Anchor::End,
            size: 10.0,
            bold: true,
            color: Color::argb(0x8000_00ff),
            turned: -90.0,
            content: "a<b> & \"c\"\u{0}\n".to_owned(),
        };
        let scene = Scene {
            width: 20.0,
            height: 10.0,
            zoom: 2.0,
            background: Color::WHITE,
            elements: vec![Element::Text(text)],
        };
        let svg = scene.to_svg();
        assert!(
            svg.contains("width=\"40\" height=\"20\" viewBox=\"0 0 20 10\""),
            "{svg}"
        );
        assert!(
            svg.contains(
                "<text x=\"1\" y=\"2.25\" font-size=\"10\" text-anchor=\"end\" font-weight=\"bold\" \
                 transform=\"rotate(-90 1 2.25)\" fill=\"#0000ff\" fill-opacity=\"0.5\">a&lt;b&gt; &amp; \"c\"\u{fffd} </text>"
            ),
            "{svg}"
        );
    }
}
