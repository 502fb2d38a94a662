//! The font of all charts, so that they look the same on every machine: Noto Sans, in the parts that charts use (see `fonts/OFL.txt`).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

const REGULAR: &[u8] = include_bytes!("../fonts/NotoSans-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../fonts/NotoSans-Bold.ttf");
/// Arrows, signs and shapes that the others lack.
const SYMBOLS: &[u8] = include_bytes!("../fonts/NotoSansMath-Regular.ttf");

/// The name by which the renderer finds the font.
pub(crate) const FAMILY: &str = "Noto Sans";

/// All fonts that pictures are drawn with. Those of the system are left out.
pub(crate) static DATABASE: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut database = fontdb::Database::new();
    for data in [REGULAR, BOLD, SYMBOLS] {
        database.load_font_data(data.to_vec());
    }
    database.set_sans_serif_family(FAMILY);
    Arc::new(database)
});

/// The widths of characters in a font of size 1, regular and bold.
static ADVANCES: LazyLock<[HashMap<char, f64>; 2]> =
    LazyLock::new(|| [[SYMBOLS, REGULAR], [SYMBOLS, BOLD]].map(advances));

/// What no font has is drawn as an empty box.
const BOX_ADVANCE: f64 = 0.6;

/// The widths of all characters; of those in several fonts the last counts.
fn advances(fonts: [&'static [u8]; 2]) -> HashMap<char, f64> {
    let fonts = fonts.iter().filter_map(|data| FontRef::new(data).ok());
    let of_font = fonts.flat_map(|font| {
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        let glyphs = font.charmap().mappings();
        let known = glyphs.filter_map(move |(code, glyph)| {
            let advance = metrics.advance_width(glyph)?;
            Some((char::from_u32(code)?, f64::from(advance)))
        });
        known.collect::<Vec<_>>()
    });
    of_font.collect()
}

/// The width of a text in pixels.
pub(crate) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let advances = &ADVANCES[usize::from(bold)];
    let widths = text
        .chars()
        .map(|c| advances.get(&c).unwrap_or(&BOX_ADVANCE));
    widths.sum::<f64>() * size
}

/// The text, or as much of its beginning as fits, with an ellipsis behind it.
pub(crate) fn fitted(text: &str, room: f64, size: f64, bold: bool) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let mut left = room - width("…", size, bold);
    let kept: String = text
        .chars()
        .take_while(|c| {
            left -= width(c.encode_utf8(&mut [0; 4]), size, bold);
            left >= 0.0
        })
        .collect();
    match kept.trim_end() {
        "" => String::new(),
        kept => format!("{kept}…"),
    }
}

/// The lines of a text that is broken between words, or within those that are too long, to fit.
pub(crate) fn wrapped(text: &str, room: f64, size: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_inclusive(|c: char| c.is_whitespace() || c == ',') {
        if !line.is_empty()
            && width(&line, size, false) + width(word.trim_end(), size, false) > room
        {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            let c = if c.is_control() { ' ' } else { c };
            if width(&line, size, false) + width(c.encode_utf8(&mut [0; 4]), size, false) > room
                && !line.is_empty()
                && c != ' '
            {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines.iter().map(|l| l.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_have_one_width() {
        let one = width("1", 10.0, false);
        assert!(('0'..='9').all(|c| width(&c.to_string(), 10.0, false) == one));
        assert!((width("11", 20.0, false) - 4.0 * one).abs() < 1e-6);
        assert!(width("a", 10.0, true) > width("a", 10.0, false));
        assert!(width("→∞≤■μ", 10.0, false) > 20.0);
    }

    #[test]
    fn texts_are_cut_to_fit() {
        assert_eq!(fitted("short", 100.0, 10.0, false), "short");
        let cut = fitted("rather long a text", 50.0, 10.0, false);
        assert!(
            cut.ends_with('…') && width(&cut, 10.0, false) <= 50.0,
            "{cut}"
        );
        assert_eq!(fitted("text", 3.0, 10.0, false), "");
    }

    #[test]
    fn texts_are_broken_to_fit() {
        let lines = wrapped(
            "one two, three aVeryLongWordThatDoesNotFit\nfour",
            60.0,
            10.0,
        );
        assert!(
            lines.iter().all(|l| width(l, 10.0, false) <= 60.0),
            "{lines:?}"
        );
        assert_eq!(
            lines.concat().replace(' ', ""),
            "onetwo,threeaVeryLongWordThatDoesNotFitfour"
        );
        assert_eq!(wrapped("", 60.0, 10.0), [""]);
    }
}
