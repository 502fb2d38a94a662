//! How a chart looks to people who see colours otherwise.
//!
//! The matrices are those of "ColorMatrix" by ColorJack (2008), which Atlas uses too; they work on the sRGB values as they are and are an
//! approximation of more exact models (Brettel, Viénot, Mollon 1997).

use hesper_stack::graph::Vision;

use crate::color::Color;

/// Rows for red, green and blue, in thousandths.
type Matrix = [[u32; 3]; 3];

const fn matrix(vision: Vision) -> Matrix {
    match vision {
        Vision::Normal => [[1000, 0, 0], [0, 1000, 0], [0, 0, 1000]],
        Vision::Protanopia => [[567, 433, 0], [558, 442, 0], [0, 242, 758]],
        Vision::Protanomaly => [[817, 183, 0], [333, 667, 0], [0, 125, 875]],
        Vision::Deuteranopia => [[625, 375, 0], [700, 300, 0], [0, 300, 700]],
        Vision::Deuteranomaly => [[800, 200, 0], [258, 742, 0], [0, 142, 858]],
        Vision::Tritanopia => [[950, 50, 0], [0, 433, 567], [0, 475, 525]],
        Vision::Tritanomaly => [[967, 33, 0], [0, 733, 267], [0, 183, 817]],
        Vision::Achromatopsia => [[299, 587, 114]; 3],
        Vision::Achromatomaly => [[618, 320, 62], [163, 775, 62], [163, 320, 516]],
    }
}

/// The colour as it is seen; shares are rounded down.
pub fn convert(vision: Vision, c: Color) -> Color {
    let row = |[r, g, b]: [u32; 3]| {
        let sum = r * u32::from(c.red) + g * u32::from(c.green) + b * u32::from(c.blue);
        // Rows add up to 1000 at most.
        u8::try_from(sum / 1000).unwrap_or(u8::MAX)
    };
    let [red, green, blue] = matrix(vision).map(row);
    Color {
        alpha: c.alpha,
        red,
        green,
        blue,
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_keep_white_and_black() {
        for vision in Vision::ALL {
            assert_eq!(convert(vision, Color::BLACK), Color::BLACK);
            let white = convert(vision, Color::WHITE);
            assert!(white.red >= 254 && white.green >= 254 && white.blue >= 254);
        }
    }

    #[test]
    fn colours_move_together() {
        let blue = Color::rgb(0x0075dc);
        assert_eq!(
            convert(Vision::Protanopia, blue).to_string(),
            "ff3233c3",
            "as recorded"
        );
        let gray = convert(Vision::Achromatopsia, blue);
        assert!(gray.red == gray.green && gray.green == gray.blue);
        assert_eq!(convert(Vision::Tritanopia, blue.with_alpha(7)).alpha, 7);
    }
}
