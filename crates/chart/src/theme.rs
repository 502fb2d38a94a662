//! The colours of everything that is not data.

use crate::color::Color;
use crate::error::ChartError;

/// A set of colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    #[default]
    Light,
    /// Light on dark.
    Dark,
}

/// The colours of a theme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inks {
    /// Around the canvas.
    pub image: Color,
    /// Behind the data.
    pub canvas: Color,
    /// Titles and labels.
    pub text: Color,
    /// Texts that stand back.
    pub muted: Color,
    /// Axes and their marks.
    pub axis: Color,
    /// Lines at marked values.
    pub major_grid: Color,
    /// Lines between them.
    pub minor_grid: Color,
    /// Behind warnings.
    pub warning: Color,
    /// The text of warnings.
    pub warning_text: Color,
    /// Where clocks are changed.
    pub accent: Color,
}

impl Theme {
    /// The theme with this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, ChartError> {
        match name {
            "light" => Ok(Self::Light),
            "dark" => Ok(Self::Dark),
            _ => Err(ChartError::IllegalArgument(format!(
                "invalid theme: {name}"
            ))),
        }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The palette of lines for which none was chosen.
    pub const fn primary_palette(self) -> &'static str {
        match self {
            Self::Light => "armytage",
            Self::Dark => "light24",
        }
    }

    /// The palette of lines whose data are older than the chart.
    pub const fn offset_palette(self) -> &'static str {
        match self {
            Self::Light => "bw",
            Self::Dark => "lightgray",
        }
    }

    /// The colour of a text: a name that the theme knows, or hexadecimal digits.
    ///
    /// # Errors
    /// When it is neither.
    pub fn resolve(self, text: &str) -> Result<Color, ChartError> {
        match self.named(text) {
            Some(bits) => Ok(Color::rgb(bits)),
            None => Color::parse(text),
        }
    }

    /// Three shades of six hues, the first nearest to the background.
    fn named(self, name: &str) -> Option<u32> {
        let hue = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let shade = match &name[hue.len()..] {
            "1" => 0,
            "2" => 1,
            "3" => 2,
            _ => return None,
        };
        let shades: [u32; 3] = match (self, hue) {
            (Self::Light, "blue") => [0x6baed6, 0x2171b5, 0x08306b],
            (Self::Light, "gray") => [0x888888, 0x444444, 0x000000],
            (Self::Light, "green") => [0x74c476, 0x238b45, 0x00441b],
            (Self::Light, "orange") => [0xfd8d3c, 0xd94801, 0x7f2704],
            (Self::Light, "purple") => [0x9e9ac8, 0x6a51a3, 0x3f007d],
            (Self::Light, "red") => [0xfb6a4a, 0xcb181d, 0x67000d],
            (Self::Dark, "blue") => [0xc6dbef, 0x6baed6, 0x2171b5],
            (Self::Dark, "gray") => [0xffffff, 0xbbbbbb, 0x777777],
            (Self::Dark, "green") => [0xc7e9c0, 0x74c476, 0x238b45],
            (Self::Dark, "orange") => [0xfdd0a2, 0xfd8d3c, 0xd94801],
            (Self::Dark, "purple") => [0xdadaeb, 0x9e9ac8, 0x6a51a3],
            (Self::Dark, "red") => [0xfcbba1, 0xfb6a4a, 0xcb181d],
            _ => return None,
        };
        Some(shades[shade])
    }

    pub(crate) const fn inks(self) -> Inks {
        match self {
            Self::Light => Inks {
                image: Color::rgb(0xf6f7f9),
                canvas: Color::rgb(0xffffff),
                text: Color::rgb(0x1b1f24),
                muted: Color::rgb(0x5a636e),
                axis: Color::rgb(0x3d444d),
                major_grid: Color::argb(0x38d0_4a4a),
                minor_grid: Color::argb(0x1c60_6a78),
                warning: Color::rgb(0xffd866),
                warning_text: Color::rgb(0x1b1f24),
                accent: Color::rgb(0xc62828),
            },
            Self::Dark => Inks {
                image: Color::rgb(0x14171c),
                canvas: Color::rgb(0x07090c),
                text: Color::rgb(0xe6eaf0),
                muted: Color::rgb(0x9aa4b1),
                axis: Color::rgb(0xaab4c0),
                major_grid: Color::argb(0x50e0_6666),
                minor_grid: Color::argb(0x2480_8c9c),
                warning: Color::rgb(0xffc83d),
                warning_text: Color::rgb(0x1b1f24),
                accent: Color::rgb(0xff7b72),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_the_theme() {
        let color = |theme: Theme, name| theme.resolve(name).map(|c| c.to_string());
        assert_eq!(color(Theme::Light, "blue1").as_deref(), Ok("ff6baed6"));
        assert_eq!(color(Theme::Dark, "blue1").as_deref(), Ok("ffc6dbef"));
        assert_eq!(color(Theme::Light, "f00").as_deref(), Ok("ffff0000"));
        assert!(color(Theme::Light, "blue4").is_err());
        assert_eq!(
            Theme::parse("bogus").expect_err("no theme").to_string(),
            "IllegalArgumentException: invalid theme: bogus"
        );
    }

    #[test]
    fn texts_can_be_read() {
        for theme in [Theme::Light, Theme::Dark] {
            let inks = theme.inks();
            for ground in [inks.image, inks.canvas] {
                assert!(inks.text.contrast(ground) > 7.0);
                assert!(inks.muted.contrast(ground) > 4.5);
                assert!(inks.accent.contrast(ground) > 4.5);
            }
            assert!(inks.warning_text.contrast(inks.warning) > 7.0);
        }
    }
}
