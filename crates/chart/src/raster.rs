//! From scenes to PNG.

use std::sync::LazyLock;

use resvg::{tiny_skia, usvg};

use crate::error::ChartError;
use crate::font;
use crate::scene::Scene;

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
        let tree = usvg::Tree::from_str(&self.to_svg(), &OPTIONS)
            .map_err(|e| ChartError::Render(e.to_string()))?;
        let pixels = |v: f64| (v * self.zoom).round().clamp(1.0, 65_535.0) as u32;
        let (width, height) = (pixels(self.width), pixels(self.height));
        let mut pixmap = tiny_skia::Pixmap::new(width, height)
            .ok_or_else(|| ChartError::Render(format!("{width} × {height} pixels are too many")))?;
        let zoom = self.zoom as f32;
        // The tree already has the magnified size.
        let size = tree.size();
        let fit = |want: f64, have: f32| (want as f32 * zoom) / have;
        let transform = tiny_skia::Transform::from_scale(
            fit(self.width, size.width()),
            fit(self.height, size.height()),
        );
        resvg::render(&tree, transform, &mut pixmap.as_mut());
        encode(&pixmap, texts).map_err(|e| ChartError::Render(e.to_string()))
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
    encoder.set_compression(png::Compression::Balanced);
    for (keyword, text) in texts {
        encoder.add_itxt_chunk((*keyword).to_owned(), (*text).to_owned())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(out)
}
