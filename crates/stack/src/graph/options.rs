//! What a request says about how its graph is shown.

use super::MAX_AXES;
use super::axis::AxisOptions;
use crate::error::StackError;
use crate::number::parse_double;

/// A parameter of a request by its name: the first one with it.
pub(super) type Params<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// How a graph is shown: every parameter but those that say what is shown, and of which time.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayOptions {
    /// The settings of the axes.
    pub axes: [AxisOptions; MAX_AXES],
    /// True when each line has an axis of its own, `axis_per_line=1`.
    pub axis_per_line: bool,
    /// The title, `title`, with variables for tags.
    pub title: Option<String>,
    /// The width in pixels, `w`.
    pub width: i32,
    /// The height in pixels, `h`.
    pub height: i32,
    /// Which of width and height are meant for the image as a whole, `layout`.
    pub layout: Layout,
    /// How much larger the image is drawn, `zoom`.
    pub zoom: f64,
    /// What the legend holds, `no_legend` and `no_legend_stats`.
    pub legend: LegendType,
    /// True when nothing but the lines is drawn, `only_graph=1`.
    pub only_graph: bool,
    /// The theme, `theme`.
    pub theme: String,
    /// Whose eyes the colours are shown with, `vision`.
    pub vision: Vision,
    /// The palette, `palette`, if it is not the theme's.
    pub palette: Option<String>,
    /// Further wishes, `hints`, each once and in order.
    pub hints: Vec<String>,
}

impl Default for DisplayOptions {
    fn default() -> Self {
        Self {
            axes: Default::default(),
            axis_per_line: false,
            title: None,
            width: 700,
            height: 300,
            layout: Layout::Canvas,
            zoom: 1.0,
            legend: LegendType::LabelsWithStats,
            only_graph: false,
            theme: "light".to_owned(),
            vision: Vision::Normal,
            palette: None,
            hints: Vec::new(),
        }
    }
}

/// The themes there are.
const THEMES: [&str; 2] = ["light", "dark"];

impl DisplayOptions {
    /// The options of a request, whose first parameter of a name `param` gives.
    ///
    /// # Errors
    /// When a value makes no sense. Of bounds, scales and palettes that is told only by who draws against them.
    pub fn read(param: impl Fn(&str) -> Option<String>) -> Result<Self, StackError> {
        let param: &Params<'_> = &param;
        let is_on = |name: &str| param(name).as_deref() == Some("1");
        check_features(param)?;
        let mut axes: [AxisOptions; MAX_AXES] = Default::default();
        for (number, axis) in axes.iter_mut().enumerate() {
            *axis = AxisOptions::read(param, number)?;
        }
        let default = Self::default();
        let vision = param("vision").map_or(Ok(default.vision), |name| Vision::parse(&name))?;
        let theme = param("theme").unwrap_or(default.theme);
        let palette = param("palette");
        if palette.is_none() {
            check_theme(&theme)?;
        }
        let width = pixels(param, "w", default.width)?;
        let height = pixels(param, "h", default.height)?;
        for (name, pixels) in [("width", width), ("height", height)] {
            if pixels <= 0 {
                return Err(StackError::requirement(format!(
                    "{name} must be positive (got {pixels})"
                )));
            }
        }
        let mut hints: Vec<String> = Vec::new();
        for hint in param("hints").unwrap_or_default().split(',') {
            let hint = hint.trim_matches(|c| c <= ' ');
            if !hint.is_empty() && !hints.iter().any(|known| known == hint) {
                hints.push(hint.to_owned());
            }
        }
        Ok(Self {
            axes,
            axis_per_line: is_on("axis_per_line"),
            title: param("title").filter(|title| !title.is_empty()),
            width,
            height,
            zoom: param("zoom").map_or(Ok(default.zoom), |zoom| double(&zoom))?,
            layout: param("layout").map_or(Ok(default.layout), |name| Layout::parse(&name))?,
            legend: match (is_on("no_legend"), is_on("no_legend_stats")) {
                (true, _) => LegendType::Off,
                (false, true) => LegendType::LabelsOnly,
                (false, false) => LegendType::LabelsWithStats,
            },
            only_graph: is_on("only_graph"),
            theme,
            vision,
            palette,
            hints,
        })
    }

    /// True when this was asked for.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.hints.iter().any(|known| known == hint)
    }
}

/// Whether there is such a theme.
pub(super) fn check_theme(theme: &str) -> Result<(), StackError> {
    if THEMES.contains(&theme) {
        return Ok(());
    }
    Err(StackError::IllegalArgument(format!(
        "invalid theme: {theme}"
    )))
}

/// Features that are not stable yet may be asked for, but there are none.
fn check_features(param: &Params<'_>) -> Result<(), StackError> {
    let Some(features) = param("features") else {
        return Ok(());
    };
    match features.to_uppercase().as_str() {
        "STABLE" | "UNSTABLE" => Ok(()),
        other => Err(no_constant("core.util.Features", other)),
    }
}

fn pixels(param: &Params<'_>, name: &str, default: i32) -> Result<i32, StackError> {
    param(name).map_or(Ok(default), |text| {
        text.parse().map_err(|_| StackError::not_a_number(&text))
    })
}

/// A number with a fraction.
pub(super) fn double(text: &str) -> Result<f64, StackError> {
    if text.trim_matches(|c| c <= ' ').is_empty() {
        return Err(StackError::NumberFormat("empty String".to_owned()));
    }
    parse_double(text).ok_or_else(|| StackError::not_a_number(text))
}

fn no_constant(enumeration: &str, name: &str) -> StackError {
    StackError::IllegalArgument(format!(
        "No enum constant com.netflix.atlas.{enumeration}.{name}"
    ))
}

/// Which of width and height are those of the image, and which those of the area that lines are drawn in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Both are of the area.
    Canvas,
    /// Both are of the image.
    Image,
    /// The width is of the image.
    ImageWidth,
    /// The height is of the image.
    ImageHeight,
}

impl Layout {
    fn parse(name: &str) -> Result<Self, StackError> {
        Ok(match name {
            "canvas" => Self::Canvas,
            "image" => Self::Image,
            "iw" => Self::ImageWidth,
            "ih" => Self::ImageHeight,
            _ => {
                return Err(StackError::IllegalArgument(format!(
                    "unknown layout: {name}"
                )));
            }
        })
    }

    /// The name in upper case, as the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Canvas => "CANVAS",
            Self::Image => "IMAGE",
            Self::ImageWidth => "IMAGE_WIDTH",
            Self::ImageHeight => "IMAGE_HEIGHT",
        }
    }
}

/// What the legend holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegendType {
    /// Nothing: there is none.
    Off,
    /// The labels of lines.
    LabelsOnly,
    /// The labels of lines and their figures.
    LabelsWithStats,
}

impl LegendType {
    /// The name in upper case, as the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::LabelsOnly => "LABELS_ONLY",
            Self::LabelsWithStats => "LABELS_WITH_STATS",
        }
    }
}

/// Whose eyes colours are shown with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vision {
    /// Those of most people.
    Normal,
    /// Without red.
    Protanopia,
    /// With weak red.
    Protanomaly,
    /// Without green.
    Deuteranopia,
    /// With weak green.
    Deuteranomaly,
    /// Without blue.
    Tritanopia,
    /// With weak blue.
    Tritanomaly,
    /// Without colours.
    Achromatopsia,
    /// With weak colours.
    Achromatomaly,
}

impl Vision {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Normal,
        Self::Protanopia,
        Self::Protanomaly,
        Self::Deuteranopia,
        Self::Deuteranomaly,
        Self::Tritanopia,
        Self::Tritanomaly,
        Self::Achromatopsia,
        Self::Achromatomaly,
    ];

    fn parse(name: &str) -> Result<Self, StackError> {
        let found = Self::ALL.into_iter().find(|vision| vision.name() == name);
        found.ok_or_else(|| no_constant("chart.model.VisionType", name))
    }

    /// The name, as the API has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Protanopia => "protanopia",
            Self::Protanomaly => "protanomaly",
            Self::Deuteranopia => "deuteranopia",
            Self::Deuteranomaly => "deuteranomaly",
            Self::Tritanopia => "tritanopia",
            Self::Tritanomaly => "tritanomaly",
            Self::Achromatopsia => "achromatopsia",
            Self::Achromatomaly => "achromatomaly",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TickLabels;

    fn read(query: &str) -> Result<DisplayOptions, String> {
        let params: Vec<(&str, &str)> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        DisplayOptions::read(|name| {
            let found = params.iter().find(|(k, _)| *k == name);
            found.map(|(_, v)| (*v).to_owned())
        })
        .map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(read("").expect("valid"), DisplayOptions::default());
    }

    #[test]
    fn an_axis_goes_before_all_axes() {
        let options = read(
            "l=0&l.1=5&u.2=auto-data&o=1&scale.1=sqrt&stack.0=1&ylabel=y&ylabel.3=&tick_labels.4=Binary&palette=reds&palette.1=blues\
             &sort=max&order.0=desc",
        )
        .expect("valid");
        let [a, b, c, d, e] = &options.axes;
        assert_eq!(a.lower.as_deref(), Some("0"));
        assert_eq!(b.lower.as_deref(), Some("5"));
        assert_eq!(c.upper.as_deref(), Some("auto-data"));
        assert_eq!(
            (a.scale.as_deref(), b.scale.as_deref()),
            (Some("log"), Some("sqrt"))
        );
        assert_eq!((a.stack, b.stack), (true, false));
        assert_eq!(
            (c.ylabel.as_deref(), d.ylabel.as_deref()),
            (Some("y"), None)
        );
        assert_eq!(e.tick_labels, TickLabels::Binary);
        assert_eq!(
            (a.palette.as_deref(), b.palette.as_deref()),
            (None, Some("blues"))
        );
        assert_eq!(options.palette.as_deref(), Some("reds"));
        assert_eq!((b.sort.as_deref(), b.order.as_deref()), (Some("max"), None));
        assert_eq!(a.order.as_deref(), Some("desc"));
    }

    #[test]
    fn the_rest_is_about_the_graph() {
        let options = read(
            "w=300&h=+20&zoom=1.5&layout=iw&no_legend_stats=1&only_graph=1&axis_per_line=true&title=&hints= a,,b,a&vision=tritanopia\
             &theme=dark&features=Unstable",
        )
        .expect("valid");
        assert_eq!(
            (options.width, options.height, options.zoom),
            (300, 20, 1.5)
        );
        assert_eq!(options.layout.name(), "IMAGE_WIDTH");
        assert_eq!(options.legend.name(), "LABELS_ONLY");
        assert!(options.only_graph && !options.axis_per_line);
        assert_eq!(options.title, None);
        assert_eq!(options.hints, ["a", "b"]);
        assert!(options.has_hint("b") && !options.has_hint("c"));
        assert_eq!(
            (options.vision, options.theme.as_str()),
            (Vision::Tritanopia, "dark")
        );
        assert_eq!(
            read("no_legend=1&no_legend_stats=1").expect("valid").legend,
            LegendType::Off
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let cases = [
            (
                "w=0",
                "IllegalArgumentException: requirement failed: width must be positive (got 0)",
            ),
            (
                "h=-1",
                "IllegalArgumentException: requirement failed: height must be positive (got -1)",
            ),
            ("w=x", "NumberFormatException: For input string: \"x\""),
            ("zoom=x", "NumberFormatException: For input string: \"x\""),
            ("zoom=", "NumberFormatException: empty String"),
            ("layout=x", "IllegalArgumentException: unknown layout: x"),
            (
                "tick_labels=x",
                "IllegalArgumentException: tick_labels: unknown value 'x', acceptable values are off, decimal, and binary",
            ),
            (
                "vision=NORMAL",
                "IllegalArgumentException: No enum constant com.netflix.atlas.chart.model.VisionType.NORMAL",
            ),
            (
                "features=x",
                "IllegalArgumentException: No enum constant com.netflix.atlas.core.util.Features.X",
            ),
            ("theme=x", "IllegalArgumentException: invalid theme: x"),
        ];
        for (query, error) in cases {
            assert_eq!(read(query).expect_err(query), error);
        }
    }
}
