//! How a chart looks to people who see colours otherwise.

use crate::color::Color;
use crate::error::ChartError;

/// A way of seeing colours.
///
/// The matrices are those of "ColorMatrix" by ColorJack (2008), which Atlas uses too; they work on the sRGB values as they are and are an
/// approximation of more exact models (Brettel, Viénot, Mollon 1997). The result is rounded down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vision {
    /// All colours.
    #[default]
    Normal,
    /// No red cones.
    Protanopia,
    /// Weak red cones.
    Protanomaly,
    /// No green cones.
    Deuteranopia,
    /// Weak green cones.
    Deuteranomaly,
    /// No blue cones.
    Tritanopia,
    /// Weak blue cones.
    Tritanomaly,
    /// No cones.
    Achromatopsia,
    /// Weak cones.
    Achromatomaly,
}

/// Rows for red, green and blue, in thousandths.
type Matrix = [[u32; 3]; 3];

impl Vision {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("normal", Self::Normal),
        ("protanopia", Self::Protanopia),
        ("protanomaly", Self::Protanomaly),
        ("deuteranopia", Self::Deuteranopia),
        ("deuteranomaly", Self::Deuteranomaly),
        ("tritanopia", Self::Tritanopia),
        ("tritanomaly", Self::Tritanomaly),
        ("achromatopsia", Self::Achromatopsia),
        ("achromatomaly", Self::Achromatomaly),
    ];

    /// The one with this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, ChartError> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, vision)| *vision).ok_or_else(|| {
            ChartError::IllegalArgument(format!(
                "No enum constant com.netflix.atlas.chart.model.VisionType.{name}"
            ))
        })
    }

    const fn matrix(self) -> Matrix {
        match self {
            Self::Normal => [[1000, 0, 0], [0, 1000, 0], [0, 0, 1000]],
            Self::Protanopia => [[567, 433, 0], [558, 442, 0], [0, 242, 758]],
            Self::Protanomaly => [[817, 183, 0], [333, 667, 0], [0, 125, 875]],
            Self::Deuteranopia => [[625, 375, 0], [700, 300, 0], [0, 300, 700]],
            Self::Deuteranomaly => [[800, 200, 0], [258, 742, 0], [0, 142, 858]],
            Self::Tritanopia => [[950, 50, 0], [0, 433, 567], [0, 475, 525]],
            Self::Tritanomaly => [[967, 33, 0], [0, 733, 267], [0, 183, 817]],
            Self::Achromatopsia => [[299, 587, 114]; 3],
            Self::Achromatomaly => [[618, 320, 62], [163, 775, 62], [163, 320, 516]],
        }
    }

    /// The colour as it is seen.
    #[must_use]
    pub fn convert(self, c: Color) -> Color {
        let row = |[r, g, b]: [u32; 3]| {
            let sum = r * u32::from(c.red) + g * u32::from(c.green) + b * u32::from(c.blue);
            // Rows add up to 1000 at most.
            u8::try_from(sum / 1000).unwrap_or(u8::MAX)
        };
        let [red, green, blue] = self.matrix().map(row);
        Color {
            alpha: c.alpha,
            red,
            green,
            blue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_keep_white_and_black() {
        for (name, vision) in Vision::ALL {
            assert_eq!(Vision::parse(name), Ok(vision));
            assert_eq!(vision.convert(Color::BLACK), Color::BLACK);
            let white = vision.convert(Color::WHITE);
            assert!(white.red >= 254 && white.green >= 254 && white.blue >= 254);
        }
        assert!(Vision::parse("bogus").is_err());
    }

    #[test]
    fn colours_move_together() {
        let blue = Color::rgb(0x0075dc);
        assert_eq!(
            Vision::Protanopia.convert(blue).to_string(),
            "ff3233c3",
            "as recorded"
        );
        let gray = Vision::Achromatopsia.convert(blue);
        assert!(gray.red == gray.green && gray.green == gray.blue);
        assert_eq!(Vision::Tritanopia.convert(blue.with_alpha(7)).alpha, 7);
    }
}
