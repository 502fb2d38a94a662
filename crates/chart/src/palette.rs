//! The colours that lines get one after the other.

use std::sync::{Arc, LazyLock};

use crate::color::Color;
use crate::error::ChartError;

/// Colours in the order in which they are given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    colors: Arc<[Color]>,
}

/// Seven shades of a hue, dark to pale: the sequential schemes of ColorBrewer (Harrower and Brewer 2003).
const BLUES: [u32; 7] = [
    0x08306b, 0x08519c, 0x2171b5, 0x4292c6, 0x6baed6, 0x9ecae1, 0xc6dbef,
];
const GREENS: [u32; 7] = [
    0x00441b, 0x006d2c, 0x238b45, 0x41ab5d, 0x74c476, 0xa1d99b, 0xc7e9c0,
];
const ORANGES: [u32; 7] = [
    0x7f2704, 0xa63603, 0xd94801, 0xf16913, 0xfd8d3c, 0xfdae6b, 0xfdd0a2,
];
const PURPLES: [u32; 7] = [
    0x3f007d, 0x54278f, 0x6a51a3, 0x807dba, 0x9e9ac8, 0xbcbddc, 0xdadaeb,
];
const REDS: [u32; 7] = [
    0x67000d, 0xa50f15, 0xcb181d, 0xef3b2c, 0xfb6a4a, 0xfc9272, 0xfcbba1,
];

/// Colours that are told apart best: "A Colour Alphabet and the Limits of Colour Coding" (Green-Armytage 2010), in Atlas's order.
const ARMYTAGE: [u32; 24] = [
    0x0075dc, 0x993f00, 0x9dcc00, 0x4c005c, 0x00998f, 0xffa405, 0x5ef1f2, 0xf0a3ff, 0x94ffb5,
    0xff0010, 0x2bce48, 0x740aff, 0x191919, 0xff5005, 0x005c31, 0xffcc99, 0x808080, 0x8f7c00,
    0xc20088, 0x003380, 0xffa8bb, 0x426600, 0x990000, 0xffe100,
];

/// `dark.colors(24)` of the R package Polychrome (Coombes et al. 2019).
const DARK24: [u32; 24] = [
    0x2e91e5, 0x862a16, 0x1ca71c, 0x750d86, 0x00a08b, 0xeb663b, 0x511cfb, 0xda60ca, 0x6c7c32,
    0xfb0d0d, 0x0d2a63, 0xa777f1, 0x222a2a, 0xe15f99, 0x778aae, 0xb2828d, 0xda16ff, 0x620042,
    0xfc0080, 0x1616a7, 0xfb00d1, 0x6c4516, 0xaf0038, 0xb68100,
];

/// `light.colors(24)` of the R package Polychrome.
const LIGHT24: [u32; 24] = [
    0x00b5f7, 0xe48f72, 0x86ce00, 0xd626ff, 0x479b55, 0xff9616, 0x0df9ff, 0xeea6fb, 0x22ffa7,
    0xfd3216, 0x00fe35, 0x7e7dcd, 0x6e899c, 0xfc6955, 0xc9fbe5, 0xb68e00, 0xdc587d, 0xfed4c4,
    0xfe00ce, 0x6a76fc, 0xff0092, 0xe3ee9e, 0xbc7196, 0xf6f926,
];

/// Grays for data of the past, in pairs that differ.
const BW: [u32; 8] = [
    0xc000_0000,
    0xc0cc_cccc,
    0xc044_4444,
    0xc0ee_eeee,
    0xc022_2222,
    0xc0aa_aaaa,
    0xc066_6666,
    0xc088_8888,
];
const LIGHTGRAY: [u32; 8] = [
    0xffff_ffff,
    0xff77_7777,
    0xffee_eeee,
    0xff88_8888,
    0xffdd_dddd,
    0xff99_9999,
    0xffcc_cccc,
    0xffaa_aaaa,
];

/// The first colours of Highcharts 2; those of `epic` follow.
const HIGHCHARTS: [u32; 9] = [
    0x4572a7, 0xaa4643, 0x89a54e, 0x80699b, 0x3d96ae, 0xdb843d, 0x92a8cd, 0xa47d7c, 0xb5ca92,
];

/// The long palette of Netflix's Epic: primaries first, then whatever is left.
static EPIC: LazyLock<Vec<Color>> = LazyLock::new(|| {
    include_str!("../palettes/epic.txt")
        .split_whitespace()
        .filter_map(|text| Color::parse(text).ok())
        .collect()
});

/// A palette, and how a line finds its colour in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    palette: Palette,
    by_hash: bool,
}

impl Choice {
    /// Reads a palette as [`Palette::parse`]; the prefix `hash:` makes the label decide, not the place.
    ///
    /// # Errors
    /// Those of the palette.
    pub fn parse(text: &str) -> Result<Self, ChartError> {
        let (text, by_hash) = match text.strip_prefix("hash:") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Ok(Self {
            palette: Palette::parse(text)?,
            by_hash,
        })
    }

    /// The colour of the line that is the `place`th to ask, from 0, and has this label.
    pub fn color(&self, place: usize, label: &str) -> Color {
        match self.by_hash {
            true => self.palette.by_hash(label),
            false => self.palette.at(place),
        }
    }
}

impl Palette {
    /// The names of the palettes there are.
    pub const NAMES: [&str; 12] = [
        "armytage",
        "blues",
        "bw",
        "dark24",
        "epic",
        "greens",
        "highcharts",
        "light24",
        "lightgray",
        "oranges",
        "purples",
        "reds",
    ];

    /// The palette that a text describes: its name, or a list of colours as in `(,f00,0f0,)` or `colors:f00,0f0`.
    ///
    /// # Errors
    /// When there is no palette of this name, a colour cannot be read, or none is left.
    pub fn parse(text: &str) -> Result<Self, ChartError> {
        if let Some(list) = text.strip_prefix("colors:") {
            return Self::of_list(list);
        }
        if text.starts_with('(') {
            return Self::of_list(text);
        }
        let opaque = |bits: &[u32]| bits.iter().copied().map(Color::rgb).collect::<Vec<_>>();
        let exact = |bits: &[u32]| bits.iter().copied().map(Color::argb).collect::<Vec<_>>();
        Self::new(match text {
            "armytage" => opaque(&ARMYTAGE),
            "blues" => opaque(&BLUES),
            "bw" => exact(&BW),
            "dark24" => opaque(&DARK24),
            "epic" => EPIC.clone(),
            "greens" => opaque(&GREENS),
            "highcharts" => {
                let mut colors = opaque(&HIGHCHARTS);
                colors.extend_from_slice(&EPIC);
                colors
            }
            "light24" => opaque(&LIGHT24),
            "lightgray" => exact(&LIGHTGRAY),
            "oranges" => opaque(&ORANGES),
            "purples" => opaque(&PURPLES),
            "reds" => opaque(&REDS),
            _ => {
                return Err(ChartError::IllegalArgument(format!(
                    "invalid palette name: '{text}'"
                )));
            }
        })
    }

    /// A palette of these colours.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(colors: impl Into<Arc<[Color]>>) -> Result<Self, ChartError> {
        let colors = colors.into();
        if colors.is_empty() {
            return Err(ChartError::requirement(
                "palette must contain at least one color",
            ));
        }
        Ok(Self { colors })
    }

    fn of_list(text: &str) -> Result<Self, ChartError> {
        let colors = text
            .split(',')
            .map(str::trim)
            .filter(|item| !matches!(*item, "" | "(" | ")"))
            .map(Color::parse)
            .collect::<Result<Vec<_>, _>>()?;
        Self::new(colors)
    }

    /// Shades of one colour by alpha, the faintest first: fifths, or steps of the colour's own alpha.
    pub fn gradient(color: Color) -> Self {
        let step = match color.alpha {
            0 | 255 => 255 / 5,
            alpha => alpha,
        };
        let count = 255 / step;
        let colors = (0..count).map(|i| color.with_alpha(255 - step * (count - 1 - i)));
        Self {
            colors: colors.collect(),
        }
    }

    /// All its colours.
    pub fn colors(&self) -> &[Color] {
        &self.colors
    }

    /// The colour at a place; behind the last the first follows.
    pub fn at(&self, place: usize) -> Color {
        self.colors[place % self.colors.len()]
    }

    /// The colour for a label, whatever else is drawn: chosen by Java's hash of the text.
    pub fn by_hash(&self, label: &str) -> Color {
        let hash = label.encode_utf16().fold(0i32, |hash, unit| {
            hash.wrapping_mul(31).wrapping_add(i32::from(unit))
        });
        self.at(hash.unsigned_abs() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn palette(text: &str) -> Palette {
        Palette::parse(text).expect("a palette")
    }

    #[test]
    fn palettes_have_names() {
        let sizes = Palette::NAMES.map(|name| palette(name).colors().len());
        assert_eq!(sizes, [24, 7, 8, 24, 1281, 7, 1290, 24, 8, 7, 7, 7]);
        assert_eq!(palette("armytage").at(24).to_string(), "ff0075dc");
        assert_eq!(palette("bw").at(1).to_string(), "c0cccccc");
        assert_eq!(palette("epic").at(3).to_string(), "ff880000");
        assert_eq!(palette("highcharts").at(9).to_string(), "ffff0000");
    }

    #[test]
    fn palettes_may_be_lists() {
        for text in ["colors:f00,0000ff", "(,f00,00f,)", "( ,f00, 00f ,)"] {
            assert_eq!(palette(text).colors().len(), 2, "{text}");
        }
        let error = |text| Palette::parse(text).expect_err("no palette").to_string();
        assert_eq!(
            error("bogus"),
            "IllegalArgumentException: invalid palette name: 'bogus'"
        );
        assert_eq!(
            error("(f00,00f,)"),
            "IllegalArgumentException: requirement failed: color must be hex string [AA]RRGGBB"
        );
        assert_eq!(
            error("(,)"),
            "IllegalArgumentException: requirement failed: palette must contain at least one color"
        );
    }

    #[test]
    fn a_hash_chooses_as_in_java() {
        // "10".hashCode() is 1567.
        assert_eq!(
            palette("armytage").by_hash("10"),
            palette("armytage").at(1567)
        );
        assert_eq!(palette("reds").by_hash(""), palette("reds").at(0));
    }

    #[test]
    fn gradients_end_opaque() {
        let shades = |bits| {
            let gradient = Palette::gradient(Color::argb(bits));
            let alphas: Vec<u8> = gradient.colors().iter().map(|c| c.alpha).collect();
            alphas
        };
        assert_eq!(shades(0xff00_75dc), [51, 102, 153, 204, 255]);
        assert_eq!(shades(0x4000_75dc), [127, 191, 255]);
        assert_eq!(shades(0xc000_75dc), [255]);
    }

    proptest! {
        #[test]
        fn any_label_has_a_colour(label in any::<String>()) {
            let reds = palette("reds");
            prop_assert!(reds.colors().contains(&reds.by_hash(&label)));
        }

        #[test]
        fn any_alpha_has_a_gradient(alpha in any::<u8>()) {
            let gradient = Palette::gradient(Color::BLACK.with_alpha(alpha));
            prop_assert_eq!(gradient.colors().last().map(|c| c.alpha), Some(255));
        }
    }
}
