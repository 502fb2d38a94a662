//! Which colour a line gets.
//!
//! Lines without a colour of their own take the next of a palette, in the order of their labels, before they are sorted otherwise or
//! cut. One palette serves the whole chart, another all lines with data of the past; an axis or an expression with a palette
//! of its own starts it anew.

use crate::color::Color;
use crate::error::ChartError;
use crate::palette::Choice;
use crate::theme::Theme;

/// A palette, and how much of it is used up.
#[derive(Clone, Debug)]
struct Source {
    palette: Choice,
    next: usize,
}

impl Source {
    fn parse(text: &str) -> Result<Self, ChartError> {
        Ok(Self {
            palette: Choice::parse(text)?,
            next: 0,
        })
    }

    fn take(&mut self, label: &str) -> Color {
        let color = self.palette.color(self.next, label);
        self.next += 1;
        color
    }
}

/// What an expression says about the colour of its lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColorSettings<'a> {
    /// The colour: hexadecimal digits or a name.
    pub color: Option<&'a str>,
    /// The alpha.
    pub alpha: Option<u8>,
    /// The palette.
    pub palette: Option<&'a str>,
    /// True when the data are older than the chart.
    pub is_past: bool,
    /// True when the lines make a heatmap.
    pub is_heatmap: bool,
}

/// Gives out the colours of a chart: axis by axis, expression by expression, label by label.
#[derive(Debug)]
pub struct Colors {
    theme: Theme,
    primary: Source,
    past: Source,
    axis: AxisColors,
    own: Option<Source>,
}

#[derive(Debug, Default)]
struct AxisColors {
    number: usize,
    palette: Option<Source>,
    has_heatmap_palette: bool,
    heatmap: Option<Color>,
}

impl Colors {
    /// Colours of a theme, or of the palette of the request.
    ///
    /// # Errors
    /// When there is no such palette.
    pub fn new(theme: Theme, palette: Option<&str>) -> Result<Self, ChartError> {
        Ok(Self {
            theme,
            primary: Source::parse(palette.unwrap_or(theme.primary_palette()))?,
            past: Source::parse(theme.offset_palette())?,
            axis: AxisColors::default(),
            own: None,
        })
    }

    /// Goes on to an axis, which may have a palette of its own, and one for the cells of its heatmap.
    ///
    /// # Errors
    /// When there is no such palette.
    pub fn axis(
        &mut self,
        number: usize,
        palette: Option<&str>,
        has_heatmap_palette: bool,
    ) -> Result<(), ChartError> {
        self.axis = AxisColors {
            number,
            palette: palette.map(Source::parse).transpose()?,
            has_heatmap_palette,
            heatmap: None,
        };
        Ok(())
    }

    /// Goes on to an expression.
    ///
    /// # Errors
    /// When there is no palette as it names.
    pub fn expression(&mut self, settings: &ColorSettings<'_>) -> Result<(), ChartError> {
        self.own = settings.palette.map(Source::parse).transpose()?;
        Ok(())
    }

    /// The colour of the expression's next line, by label.
    ///
    /// # Errors
    /// When the colour that was set cannot be read.
    pub fn line(&mut self, settings: &ColorSettings<'_>, label: &str) -> Result<Color, ChartError> {
        let color = match settings.color {
            Some(text) => self.theme.resolve(text)?,
            None if settings.is_heatmap => self.heatmap(settings),
            None => self.source(settings).take(label),
        };
        Ok(match settings.alpha {
            Some(alpha) => color.with_alpha(alpha),
            None => color,
        })
    }

    fn source(&mut self, settings: &ColorSettings<'_>) -> &mut Source {
        match &mut self.own {
            Some(own) => own,
            None if settings.is_past => &mut self.past,
            None => self.axis.palette.as_mut().unwrap_or(&mut self.primary),
        }
    }

    /// All lines of an axis's heatmap share one colour; with a palette for the cells none is used up.
    fn heatmap(&mut self, settings: &ColorSettings<'_>) -> Color {
        if let Some(color) = self.axis.heatmap {
            return color;
        }
        let color = if self.axis.has_heatmap_palette {
            Color::BLACK
        } else {
            let label = format!("heatmap{}", self.axis.number);
            self.source(settings).take(&label)
        };
        self.axis.heatmap = Some(color);
        color
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: ColorSettings<'static> = ColorSettings {
        color: None,
        alpha: None,
        palette: None,
        is_past: false,
        is_heatmap: false,
    };

    fn take(colors: &mut Colors, settings: ColorSettings<'_>, labels: &[&str]) -> Vec<String> {
        colors.expression(&settings).expect("a palette");
        let lines = labels.iter().map(|label| colors.line(&settings, label));
        lines
            .map(|c| c.expect("a colour").to_string())
            .collect::<Vec<_>>()
    }

    #[test]
    fn one_palette_serves_all_axes_and_another_the_past() {
        let mut colors = Colors::new(Theme::Light, None).expect("a palette");
        assert_eq!(
            take(&mut colors, PLAIN, &["a", "b"]),
            ["ff0075dc", "ff993f00"]
        );
        let past = ColorSettings {
            is_past: true,
            ..PLAIN
        };
        assert_eq!(take(&mut colors, past, &["a"]), ["c0000000"]);
        colors.axis(1, None, false).expect("no palette");
        assert_eq!(take(&mut colors, PLAIN, &["c"]), ["ff9dcc00"]);
        assert_eq!(take(&mut colors, past, &["c"]), ["c0cccccc"]);
        colors.axis(2, Some("reds"), false).expect("a palette");
        assert_eq!(take(&mut colors, PLAIN, &["d"]), ["ff67000d"]);
        assert_eq!(take(&mut colors, PLAIN, &["e"]), ["ffa50f15"]);
    }

    #[test]
    fn expressions_decide_for_themselves() {
        let mut colors = Colors::new(Theme::Dark, Some("hash:armytage")).expect("a palette");
        assert_eq!(
            take(&mut colors, PLAIN, &["10", "7"]),
            ["fff0a3ff", "fff0a3ff"]
        );
        let reds = ColorSettings {
            palette: Some("reds"),
            alpha: Some(0x40),
            ..PLAIN
        };
        for _ in 0..2 {
            assert_eq!(
                take(&mut colors, reds, &["a", "b"]),
                ["4067000d", "40a50f15"]
            );
        }
        let blue = ColorSettings {
            color: Some("blue1"),
            alpha: Some(5),
            ..PLAIN
        };
        assert_eq!(take(&mut colors, blue, &["a"]), ["05c6dbef"]);
        let bad = ColorSettings {
            color: Some("bogus"),
            ..PLAIN
        };
        assert!(colors.line(&bad, "a").is_err());
    }

    #[test]
    fn a_heatmap_uses_up_one_colour_or_none() {
        let heatmap = ColorSettings {
            is_heatmap: true,
            ..PLAIN
        };
        let mut colors = Colors::new(Theme::Light, None).expect("a palette");
        assert_eq!(
            take(&mut colors, heatmap, &["a", "b"]),
            ["ff0075dc", "ff0075dc"]
        );
        assert_eq!(take(&mut colors, PLAIN, &["c"]), ["ff993f00"]);
        colors.axis(0, None, true).expect("no palette");
        assert_eq!(take(&mut colors, heatmap, &["a"]), ["ff000000"]);
        assert_eq!(take(&mut colors, PLAIN, &["c"]), ["ff9dcc00"]);
    }
}
