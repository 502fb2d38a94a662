//! Colours with an alpha.

use std::fmt;

use crate::error::ChartError;

/// A colour in sRGB, and how opaque it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color {
    /// From 0, invisible, to 255, opaque.
    pub alpha: u8,
    /// The share of red.
    pub red: u8,
    /// The share of green.
    pub green: u8,
    /// The share of blue.
    pub blue: u8,
}

impl Color {
    /// Opaque black.
    pub const BLACK: Self = Self::argb(0xff00_0000);
    /// Opaque white.
    pub const WHITE: Self = Self::argb(0xffff_ffff);

    /// The colour of a number with the alpha in its highest byte, then red, green and blue.
    pub const fn argb(bits: u32) -> Self {
        let [alpha, red, green, blue] = bits.to_be_bytes();
        Self {
            alpha,
            red,
            green,
            blue,
        }
    }

    /// The opaque colour of a number with red, green and blue in its lower three bytes.
    pub const fn rgb(bits: u32) -> Self {
        Self::argb(bits | 0xff00_0000)
    }

    /// Reads three, six or eight hexadecimal digits: RGB, RRGGBB or AARRGGBB.
    ///
    /// # Errors
    /// When the text has another length or another digit.
    pub fn parse(text: &str) -> Result<Self, ChartError> {
        let hexadecimal = |digits: &str| {
            u32::from_str_radix(digits, 16).map_err(|_| ChartError::not_hexadecimal(digits))
        };
        match text.chars().count() {
            3 => {
                let doubled: String = text.chars().flat_map(|c| [c, c]).collect();
                hexadecimal(&doubled).map(Self::rgb)
            }
            6 => hexadecimal(text).map(Self::rgb),
            8 => hexadecimal(text).map(Self::argb),
            _ => Err(ChartError::requirement(
                "color must be hex string [AA]RRGGBB",
            )),
        }
    }

    /// The same colour with another alpha.
    #[must_use]
    pub const fn with_alpha(self, alpha: u8) -> Self {
        Self { alpha, ..self }
    }

    /// What is seen of it on an opaque ground.
    #[must_use]
    pub fn over(self, ground: Self) -> Self {
        let a = f64::from(self.alpha) / 255.0;
        let mix = |c: u8, g: u8| (f64::from(c) * a + f64::from(g) * (1.0 - a)).round() as u8;
        Self {
            alpha: 255,
            red: mix(self.red, ground.red),
            green: mix(self.green, ground.green),
            blue: mix(self.blue, ground.blue),
        }
    }

    /// Relative luminance, 0 to 1 (WCAG 2.1, "relative luminance").
    fn luminance(self) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 {
                c / 12.92
            } else {
                ((c + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue)
    }

    /// How well it stands out from another: 1 to 21 (WCAG 2.1, "contrast ratio").
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        (a / b).max(b / a)
    }

    /// The colour, opaque, and moved towards `ink` as far as a text of it needs to be read on `ground`.
    #[must_use]
    pub(crate) fn readable_on(self, ground: Self, ink: Self) -> Self {
        let opaque = self.with_alpha(255);
        (0..=10u8)
            .map(|tenths| opaque.with_alpha(255 - tenths * 25).over(ink))
            .find(|c| c.contrast(ground) >= 3.0)
            .unwrap_or(ink)
    }
}

/// Eight hexadecimal digits, alpha first.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u32::from_be_bytes([self.alpha, self.red, self.green, self.blue]);
        write!(f, "{bits:08x}")
    }
}

impl serde::Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_hexadecimal() {
        let shown = |text| Color::parse(text).map(|c| c.to_string());
        assert_eq!(shown("f00").as_deref(), Ok("ffff0000"));
        assert_eq!(shown("6BAED6").as_deref(), Ok("ff6baed6"));
        assert_eq!(shown("40ff0080").as_deref(), Ok("40ff0080"));
        let error = |text| Color::parse(text).expect_err("no colour").to_string();
        assert_eq!(
            error("bogus"),
            "IllegalArgumentException: requirement failed: color must be hex string [AA]RRGGBB"
        );
        assert_eq!(
            error("ggg"),
            "NumberFormatException: For input string: \"gggggg\" under radix 16"
        );
        assert!(Color::parse("é€éabc").is_err());
    }

    #[test]
    fn colours_mix_and_stand_out() {
        let half = Color::argb(0x80ff_0000);
        assert_eq!(half.over(Color::WHITE).to_string(), "ffff7f7f");
        assert!((Color::BLACK.contrast(Color::WHITE) - 21.0).abs() < 1e-9);
        let pale = Color::rgb(0x94ffb5);
        let text = pale.readable_on(Color::WHITE, Color::BLACK);
        assert!(text.contrast(Color::WHITE) >= 3.0);
        let strong = Color::rgb(0x0075dc);
        assert_eq!(strong.readable_on(Color::WHITE, Color::BLACK), strong);
    }
}
