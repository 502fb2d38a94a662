//! Where the colours of lines come from. Which colours a palette or a name stands for is the theme's matter, and the chart's.

use std::sync::Arc;

/// Where the colour of a line comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum LineColor {
    /// From the expression: eight hexadecimal digits, alpha first, or a name that the theme resolves.
    Set(String),
    /// From a palette.
    Palette {
        /// Which.
        palette: PaletteOf,
        /// How many colours of it were given to lines before this one.
        place: usize,
        /// What a palette that goes by the hash of a text goes by, instead of the place.
        key: Arc<str>,
    },
}

/// Whose palette it is. Lines with the same take their colours one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaletteOf {
    /// The request's, or else the theme's.
    Graph,
    /// The theme's for lines from earlier.
    Offset,
    /// The one that the request names for the axis with this number.
    Axis(usize),
    /// The expression's own.
    Expression,
}

/// The colours that were given to lines so far.
#[derive(Default)]
pub(super) struct ColorsGiven {
    graph: usize,
    offset: usize,
    axis: usize,
    expression: usize,
    /// The colour that all heatmaps of the axis share.
    heatmap: Option<LineColor>,
}

impl ColorsGiven {
    /// Goes on to another axis.
    pub(super) fn next_axis(&mut self) {
        self.axis = 0;
        self.heatmap = None;
    }

    /// Goes on to another expression.
    pub(super) fn next_expression(&mut self) {
        self.expression = 0;
    }

    /// The next colour of a palette.
    pub(super) fn next(&mut self, palette: PaletteOf, key: &str) -> LineColor {
        let given = match palette {
            PaletteOf::Graph => &mut self.graph,
            PaletteOf::Offset => &mut self.offset,
            PaletteOf::Axis(_) => &mut self.axis,
            PaletteOf::Expression => &mut self.expression,
        };
        let place = *given;
        *given += 1;
        LineColor::Palette {
            palette,
            place,
            key: key.into(),
        }
    }

    /// The colour of the heatmap of an axis, which is taken from the palette of its first line.
    pub(super) fn heatmap(&mut self, palette: PaletteOf, axis: usize) -> LineColor {
        if let Some(color) = &self.heatmap {
            return color.clone();
        }
        let color = self.next(palette, &format!("heatmap{axis}"));
        self.heatmap = Some(color.clone());
        color
    }
}
