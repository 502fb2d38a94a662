//! The parameters of a request that decide about the drawing.

use crate::chart::{Bound, HeatmapSettings, Layout, Legend, MAX_AXES, Plot, Scale, TickLabels};
use crate::error::ChartError;
use crate::palette::Palette;
use crate::theme::Theme;
use crate::vision::Vision;
use hesper_stack::number::parse_double;

/// What a request says about the drawing.
#[derive(Clone, Debug)]
pub struct ChartParams {
    /// `w`
    pub width: u32,
    /// `h`
    pub height: u32,
    /// `layout`
    pub layout: Layout,
    /// `zoom`
    pub zoom: f64,
    /// `title`, with variables.
    pub title: Option<String>,
    /// `no_legend`, `no_legend_stats`
    pub legend: Legend,
    /// `only_graph`
    pub only_graph: bool,
    /// `axis_per_line`
    pub axis_per_line: bool,
    /// `theme`
    pub theme: Theme,
    /// `palette`
    pub palette: Option<String>,
    /// `vision`
    pub vision: Vision,
    /// `hints`
    pub hints: Vec<String>,
    /// The parameters of each axis: with `.N` behind the name, or for all of them without.
    pub axes: [AxisParams; MAX_AXES],
}

/// What a request says about the drawing of an axis. Texts are read when the axis is used.
#[derive(Clone, Debug, Default)]
pub struct AxisParams {
    /// `u`
    pub upper: Option<String>,
    /// `l`
    pub lower: Option<String>,
    /// `scale`, or `log` by `o=1`.
    pub scale: Option<String>,
    /// `ylabel`, with variables.
    pub ylabel: Option<String>,
    /// `tick_labels`
    pub tick_labels: TickLabels,
    /// `palette.N`
    pub palette: Option<String>,
    /// `heatmap_scale`
    pub heatmap_scale: Option<String>,
    /// `heatmap_u`
    pub heatmap_upper: Option<String>,
    /// `heatmap_l`
    pub heatmap_lower: Option<String>,
    /// `heatmap_palette`
    pub heatmap_palette: Option<String>,
    /// `heatmap_label`
    pub heatmap_label: Option<String>,
}

impl ChartParams {
    /// Reads the parameters; `get` gives the first value of a name.
    ///
    /// # Errors
    /// When a value makes no sense. Bounds, scales and palettes are read when they are used.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ChartError> {
        let is_on = |name| get(name) == Some("1");
        let text = |name| get(name).filter(|v| !v.is_empty()).map(str::to_owned);
        let mut axes: [AxisParams; MAX_AXES] = Default::default();
        for (number, axis) in axes.iter_mut().enumerate() {
            *axis = AxisParams::read(number, &get)?;
        }
        let vision = get("vision").map_or(Ok(Vision::Normal), Vision::parse)?;
        let theme = get("theme").map_or(Ok(Theme::Light), Theme::parse)?;
        let (width, height) = (pixels(get("w"), 700)?, pixels(get("h"), 300)?);
        Ok(Self {
            width: positive("width", width)?,
            height: positive("height", height)?,
            zoom: get("zoom").map_or(Ok(1.0), number)?,
            layout: get("layout").map_or(Ok(Layout::Canvas), Layout::parse)?,
            title: text("title"),
            legend: match (is_on("no_legend"), is_on("no_legend_stats")) {
                (true, _) => Legend::Off,
                (_, true) => Legend::Labels,
                _ => Legend::Stats,
            },
            only_graph: is_on("only_graph"),
            axis_per_line: is_on("axis_per_line"),
            theme,
            palette: get("palette").map(str::to_owned),
            vision,
            hints: hints(get("hints").unwrap_or("")),
            axes,
        })
    }
}

impl AxisParams {
    fn read<'a>(number: usize, get: &impl Fn(&str) -> Option<&'a str>) -> Result<Self, ChartError> {
        let param = |name: &str| get(&format!("{name}.{number}")).or_else(|| get(name));
        let text = |name: &str| param(name).map(str::to_owned);
        let log = || (param("o") == Some("1")).then(|| "log".to_owned());
        Ok(Self {
            upper: text("u"),
            lower: text("l"),
            scale: text("scale").or_else(log),
            ylabel: text("ylabel").filter(|v| !v.is_empty()),
            tick_labels: param("tick_labels").map_or(Ok(TickLabels::Decimal), TickLabels::parse)?,
            palette: get(&format!("palette.{number}")).map(str::to_owned),
            heatmap_scale: text("heatmap_scale"),
            heatmap_upper: text("heatmap_u"),
            heatmap_lower: text("heatmap_l"),
            heatmap_palette: text("heatmap_palette"),
            heatmap_label: text("heatmap_label"),
        })
    }

    /// Sets a plot's axis up as the parameters say. The label is taken as it is.
    ///
    /// # Errors
    /// When a bound is no number, there is no such scale or palette, or bounds are out of order.
    pub fn apply(&self, plot: &mut Plot) -> Result<(), ChartError> {
        let bound =
            |text: &Option<String>| text.as_deref().map_or(Ok(Bound::AutoStyle), Bound::parse);
        let scale = |text: &Option<String>| text.as_deref().map_or(Ok(Scale::Linear), Scale::parse);
        plot.ylabel = self.ylabel.clone();
        plot.lower = bound(&self.lower)?;
        plot.upper = bound(&self.upper)?;
        plot.scale = scale(&self.scale)?;
        plot.tick_labels = self.tick_labels;
        Bound::check(plot.lower, plot.upper)?;
        if plot.heatmap_lines().next().is_some() {
            plot.heatmap = HeatmapSettings {
                scale: scale(&self.heatmap_scale)?,
                lower: bound(&self.heatmap_lower)?,
                upper: bound(&self.heatmap_upper)?,
                palette: match &self.heatmap_palette {
                    Some(text) => Some(Palette::parse(text)?),
                    None => None,
                },
                label: self.heatmap_label.clone(),
            };
            Bound::check(plot.heatmap.lower, plot.heatmap.upper)?;
        }
        Ok(())
    }
}

fn pixels(text: Option<&str>, usual: i32) -> Result<i32, ChartError> {
    text.map_or(Ok(usual), |text| {
        text.parse().map_err(|_| ChartError::not_a_number(text))
    })
}

fn positive(what: &str, v: i32) -> Result<u32, ChartError> {
    u32::try_from(v)
        .ok()
        .filter(|v| *v > 0)
        .ok_or_else(|| ChartError::requirement(format!("{what} must be positive (got {v})")))
}

fn number(text: &str) -> Result<f64, ChartError> {
    parse_double(text).ok_or_else(|| ChartError::not_a_number(text))
}

/// A list with commas, each hint once.
fn hints(text: &str) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    for hint in text.split(',').map(str::trim).filter(|h| !h.is_empty()) {
        if !hints.iter().any(|known| known == hint) {
            hints.push(hint.to_owned());
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &[(&str, &'static str)]) -> Result<ChartParams, ChartError> {
        ChartParams::read(|name| params.iter().find(|(k, _)| *k == name).map(|(_, v)| *v))
    }

    fn error(params: &[(&str, &'static str)]) -> String {
        read(params).expect_err("refused").to_string()
    }

    #[test]
    fn there_are_defaults() {
        let params = read(&[]).expect("nothing");
        assert_eq!((params.width, params.height, params.zoom), (700, 300, 1.0));
        assert_eq!(params.legend, Legend::Stats);
        assert_eq!(params.theme, Theme::Light);
        assert!(params.palette.is_none() && params.hints.is_empty() && !params.only_graph);
    }

    #[test]
    fn axes_have_parameters_of_their_own() {
        let params = read(&[
            ("u", "5"),
            ("u.1", "6"),
            ("o.2", "1"),
            ("palette.0", "reds"),
            ("palette", "x"),
        ]);
        let axes = params.expect("valid").axes;
        let uppers: Vec<_> = axes.iter().map(|a| a.upper.as_deref()).collect();
        assert_eq!(
            uppers,
            [Some("5"), Some("6"), Some("5"), Some("5"), Some("5")]
        );
        assert_eq!(axes[2].scale.as_deref(), Some("log"));
        assert_eq!(axes[0].palette.as_deref(), Some("reds"));
        assert_eq!(axes[1].palette, None);
    }

    #[test]
    fn nonsense_is_refused() {
        assert_eq!(
            error(&[("w", "0")]),
            "IllegalArgumentException: requirement failed: width must be positive (got 0)"
        );
        assert_eq!(
            error(&[("h", "abc")]),
            "NumberFormatException: For input string: \"abc\""
        );
        assert_eq!(
            error(&[("zoom", "abc")]),
            "NumberFormatException: For input string: \"abc\""
        );
        assert_eq!(
            error(&[("layout", "x")]),
            "IllegalArgumentException: unknown layout: x"
        );
        assert_eq!(
            error(&[("theme", "x")]),
            "IllegalArgumentException: invalid theme: x"
        );
        assert_eq!(
            error(&[("tick_labels.3", "x")]),
            "IllegalArgumentException: tick_labels: unknown value 'x', acceptable values are off, decimal, and binary"
        );
        let bad_scale = read(&[("scale", "x")]).expect("read when used");
        let mut plot = Plot::new(Vec::new());
        assert_eq!(
            bad_scale.axes[0]
                .apply(&mut plot)
                .expect_err("no scale")
                .to_string(),
            "IllegalArgumentException: unknown scale type 'x', should be linear, log, log-linear, pow2, or sqrt"
        );
    }

    #[test]
    fn hints_are_a_list() {
        let params = read(&[("hints", "no-image, ,a,no-image")]).expect("valid");
        assert_eq!(params.hints, ["no-image", "a"]);
    }
}
