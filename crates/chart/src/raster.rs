//! From scenes to PNG.

use std::sync::LazyLock;

use resvg::{tiny_skia, usvg};

use crate::color::Color;
use crate::error::ChartError;
use crate::font;
use crate::scene::{Element, Ink, Path, Rect, Scene, Segment};

/// The renderer's settings: the bundled font, and nothing from outside.
static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| usvg::Options {
    font_family: font::FAMILY.to_owned(),
    fontdb: font::DATABASE.clone(),
    ..usvg::Options::default()
});

impl Scene {
    /// The scene as a PNG without an alpha, with texts by keyword in it (`iTXt`).
    ///
    /// # Errors
    /// When the renderer refuses the scene.
    pub fn to_png(&self, texts: &[(&str, &str)]) -> Result<Vec<u8>, ChartError> {
        let pixels = |v: f64| (v * self.zoom).round().clamp(1.0, 65_535.0) as u32;
        let (width, height) = (pixels(self.width), pixels(self.height));
        let pixmap = tiny_skia::Pixmap::new(width, height)
            .ok_or_else(|| ChartError::Render(format!("{width} × {height} pixels are too many")))?;
        let mut canvas = Canvas {
            pixmap,
            zoom: self.zoom as f32,
        };
        canvas.pixmap.fill(color(self.background));
        // No shape is in front of a text, so that shapes may be drawn without the detour over SVG, which takes most of the time.
        canvas.shapes(&self.elements, None);
        canvas.texts(self)?;
        encode(&canvas.pixmap, texts).map_err(|e| ChartError::Render(e.to_string()))
    }
}

/// What is seen of shapes.
struct Clip {
    rect: Rect,
    mask: tiny_skia::Mask,
}

struct Canvas {
    pixmap: tiny_skia::Pixmap,
    zoom: f32,
}

impl Canvas {
    fn shapes(&mut self, elements: &[Element], clip: Option<&Clip>) {
        for element in elements {
            match element {
                Element::Rect(r, fill) => self.rects(&[*r], *fill, clip),
                Element::Path(path) => match path.ink {
                    Ink::Fill(fill) => self.fill(&path.segments, fill, false, clip),
                    Ink::Stroke { color, width, dash } => {
                        self.stroke(&path.segments, color, width, dash, clip);
                    }
                },
                Element::Group { clip, elements, .. } => {
                    let clip = clip.as_ref().and_then(|r| self.clip(r));
                    self.shapes(elements, clip.as_ref());
                }
                Element::Text(_) => {}
            }
        }
    }

    fn transform(&self) -> tiny_skia::Transform {
        tiny_skia::Transform::from_scale(self.zoom, self.zoom)
    }

    fn clip(&self, rect: &Rect) -> Option<Clip> {
        let mut segments = Vec::new();
        Path::put_rect(&mut segments, *rect);
        let mut mask = tiny_skia::Mask::new(self.pixmap.width(), self.pixmap.height())?;
        let rule = tiny_skia::FillRule::Winding;
        mask.fill_path(&outline(&segments)?, rule, false, self.transform());
        Some(Clip { rect: *rect, mask })
    }

    fn fill(&mut self, segments: &[Segment], fill: Color, smooth: bool, clip: Option<&Clip>) {
        let Some(path) = outline(segments) else {
            return;
        };
        let transform = self.transform();
        let rule = tiny_skia::FillRule::Winding;
        let mask = clip.map(|c| &c.mask);
        self.pixmap
            .fill_path(&path, &paint(fill, smooth), rule, transform, mask);
    }

    /// Fills rectangles, which may overlap, as one shape.
    fn rects(&mut self, rects: &[Rect], fill: Color, clip: Option<&Clip>) {
        let zoom = f64::from(self.zoom);
        let is_whole = |v: f64| (v * zoom).fract() == 0.0;
        let are_pixels = rects
            .iter()
            .all(|r| [r.x, r.y, r.width, r.height].into_iter().all(is_whole));
        if fill.alpha == 255 && are_pixels {
            for r in rects {
                self.set(r, fill, clip);
            }
            return;
        }
        let mut segments = Vec::with_capacity(rects.len() * 5);
        for r in rects {
            Path::put_rect(&mut segments, *r);
        }
        self.fill(&segments, fill, !are_pixels, clip);
    }

    /// Sets the pixels of a rectangle, which is many times faster than to fill the outlines of thousands of them.
    fn set(&mut self, r: &Rect, fill: Color, clip: Option<&Clip>) {
        let zoom = f64::from(self.zoom);
        let (columns, rows) = (self.pixmap.width() as usize, self.pixmap.height() as usize);
        let all = Rect {
            x: 0.0,
            y: 0.0,
            width: columns as f64 / zoom,
            height: rows as f64 / zoom,
        };
        let seen = clip.map_or(&all, |c| &c.rect);
        // Numbers below zero become zero.
        let pixel = |v: f64| (v * zoom) as usize;
        let (left, right) = (pixel(r.x.max(seen.x)), pixel(r.right().min(seen.right())));
        let (top, bottom) = (pixel(r.y.max(seen.y)), pixel(r.bottom().min(seen.bottom())));
        let (right, bottom) = (right.min(columns), bottom.min(rows));
        if left >= right {
            return;
        }
        let value = color(fill).premultiply().to_color_u8();
        let pixels = self.pixmap.pixels_mut();
        for row in top..bottom {
            pixels[row * columns + left..row * columns + right].fill(value);
        }
    }

    fn stroke(
        &mut self,
        segments: &[Segment],
        color: Color,
        width: f64,
        dash: Option<f64>,
        clip: Option<&Clip>,
    ) {
        if let (None, Some(bars)) = (dash, bars(segments, width)) {
            return self.rects(&bars, color, clip);
        }
        let Some(path) = outline(segments) else {
            return;
        };
        let stroke = tiny_skia::Stroke {
            width: width as f32,
            dash: dash.and_then(|d| tiny_skia::StrokeDash::new(vec![d as f32; 2], 0.0)),
            ..tiny_skia::Stroke::default()
        };
        let transform = self.transform();
        let paint = paint(color, true);
        let mask = clip.map(|c| &c.mask);
        self.pixmap
            .stroke_path(&path, &paint, &stroke, transform, mask);
    }

    /// Texts are laid out by the SVG renderer.
    fn texts(&mut self, scene: &Scene) -> Result<(), ChartError> {
        let tree = usvg::Tree::from_str(&scene.texts_to_svg(), &OPTIONS)
            .map_err(|e| ChartError::Render(e.to_string()))?;
        resvg::render(&tree, self.transform(), &mut self.pixmap.as_mut());
        Ok(())
    }
}

fn color(c: Color) -> tiny_skia::Color {
    tiny_skia::Color::from_rgba8(c.red, c.green, c.blue, c.alpha)
}

fn paint(c: Color, smooth: bool) -> tiny_skia::Paint<'static> {
    let mut paint = tiny_skia::Paint {
        anti_alias: smooth,
        ..tiny_skia::Paint::default()
    };
    paint.set_color(color(c));
    paint
}

/// The renderer's outline of segments; `None` when there is nothing in it.
fn outline(segments: &[Segment]) -> Option<tiny_skia::Path> {
    let mut builder = tiny_skia::PathBuilder::with_capacity(segments.len(), segments.len());
    let (mut x, mut y) = (0.0, 0.0);
    for segment in segments {
        match *segment {
            Segment::Move(to_x, to_y) => {
                (x, y) = (to_x as f32, to_y as f32);
                builder.move_to(x, y);
                continue;
            }
            Segment::Line(to_x, to_y) => (x, y) = (to_x as f32, to_y as f32),
            Segment::Across(to) => x = to as f32,
            Segment::Upright(to) => y = to as f32,
            Segment::Close => {
                builder.close();
                continue;
            }
        }
        builder.line_to(x, y);
    }
    builder.finish()
}

/// The rectangles that level and upright lines of a width cover, with whole corners and without caps. `None` when there are others.
fn bars(segments: &[Segment], width: f64) -> Option<Vec<Rect>> {
    let half = width / 2.0;
    let mut bars = Vec::with_capacity(segments.len());
    let (mut x, mut y) = (0.0, 0.0);
    for (i, segment) in segments.iter().enumerate() {
        let begins = matches!(
            i.checked_sub(1).map(|i| segments[i]),
            Some(Segment::Move(..))
        );
        let ends = matches!(segments.get(i + 1), None | Some(Segment::Move(..)));
        // How far the line goes on into the corners at its two ends.
        let before = if begins { 0.0 } else { half };
        let after = if ends { 0.0 } else { half };
        match *segment {
            Segment::Move(to_x, to_y) => (x, y) = (to_x, to_y),
            Segment::Across(to) => {
                let (from, end) = ahead(x, to, before, after);
                bars.push(Rect {
                    x: from,
                    y: y - half,
                    width: end - from,
                    height: width,
                });
                x = to;
            }
            Segment::Upright(to) => {
                let (from, end) = ahead(y, to, before, after);
                bars.push(Rect {
                    x: x - half,
                    y: from,
                    width,
                    height: end - from,
                });
                y = to;
            }
            Segment::Line(..) | Segment::Close => return None,
        }
    }
    Some(bars)
}

/// The ends of a line, from low to high, drawn out at its beginning and its end.
fn ahead(from: f64, to: f64, before: f64, after: f64) -> (f64, f64) {
    if from <= to {
        (from - before, to + after)
    } else {
        (to - after, from + before)
    }
}

fn encode(
    pixmap: &tiny_skia::Pixmap,
    texts: &[(&str, &str)],
) -> Result<Vec<u8>, png::EncodingError> {
    // Backgrounds are opaque, so nothing is lost with the alpha.
    let rgb: Vec<u8> = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, pixmap.width(), pixmap.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // A few flat colours compress best as they are; higher levels gain a twentieth in size and take twice the time.
    encoder.set_deflate_compression(png::DeflateCompression::Level(3));
    encoder.set_filter(png::Filter::NoFilter);
    for (keyword, text) in texts {
        encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{chart, styled};
    use hesper_stack::expr::style::LineStyle;

    #[test]
    fn lines_cover_whole_corners() {
        let line = [
            Segment::Move(0.0, 1.5),
            Segment::Across(3.5),
            Segment::Upright(0.5),
            Segment::Across(6.0),
        ];
        let bars = bars(&line, 1.0).expect("level and upright");
        let corners: Vec<_> = bars
            .iter()
            .map(|r| (r.x, r.y, r.right(), r.bottom()))
            .collect();
        assert_eq!(
            corners,
            [
                (0.0, 1.0, 4.0, 2.0),
                (3.0, 0.0, 4.0, 2.0),
                (3.0, 0.0, 6.0, 1.0)
            ]
        );
        assert!(super::bars(&[Segment::Move(0.0, 0.0), Segment::Line(1.0, 1.0)], 1.0).is_none());
    }
    /// What a renderer of SVG makes of the document is the picture: shapes are not drawn from it.
    #[test]
    fn pictures_are_those_of_the_svg() {
        let wave = |i: i32| f64::from(i).sin() * 40.0;
        let styles = [
            LineStyle::Stack,
            LineStyle::VSpan,
            LineStyle::Area,
            LineStyle::Line,
        ];
        let lines = styles.iter().enumerate().map(|(n, style)| {
            let mut line = styled(
                *style,
                "a line",
                &(0..90).map(|i| wave(i / 7 + n as i32)).collect::<Vec<_>>(),
            );
            line.color = Color::argb([0xff99_3f00, 0x4000_0000, 0x8000_75dc, 0xff9d_cc00][n]);
            line
        });
        let mut chart = chart(lines.collect());
        (chart.width, chart.height) = (240, 120);
        for zoom in [1.0, 1.5, 2.0] {
            chart.zoom = zoom;
            let scene = chart.scene();
            let tree = usvg::Tree::from_str(&scene.to_svg(), &OPTIONS).expect("a document");
            let size = tree.size().to_int_size();
            let mut wanted = tiny_skia::Pixmap::new(size.width(), size.height()).expect("small");
            resvg::render(
                &tree,
                tiny_skia::Transform::identity(),
                &mut wanted.as_mut(),
            );
            let png = scene.to_png(&[]).expect("drawn");
            let mut reader = png::Decoder::new(std::io::Cursor::new(png))
                .read_info()
                .expect("a PNG");
            let mut found = vec![0; reader.output_buffer_size().expect("small")];
            reader.next_frame(&mut found).expect("a frame");
            assert_eq!(found.len(), wanted.pixels().len() * 3);
            let pairs = wanted.data().chunks_exact(4).zip(found.chunks_exact(3));
            let differ = pairs.filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 24));
            let share = differ.count() as f64 / wanted.pixels().len() as f64;
            // At fractions of pixels, corners and edges are rounded differently.
            assert!(
                share < if zoom == 1.5 { 0.02 } else { 0.001 },
                "{zoom}: {share}"
            );
        }
    }
}
