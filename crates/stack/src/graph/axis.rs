//! What a request says about a Y axis, and what that comes to.

use std::fmt;

use super::options::{Params, double};
use crate::error::StackError;
use crate::number::JavaDouble;

/// The settings of an axis, as the request gives them. Most are read only once there is something to draw against the axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AxisOptions {
    /// The upper bound, `u`.
    pub upper: Option<String>,
    /// The lower bound, `l`.
    pub lower: Option<String>,
    /// The name of the scale, `scale`; `o=1` means `log`.
    pub scale: Option<String>,
    /// True when lines are stacked whose expression does not say how they are drawn, `stack=1`.
    pub stack: bool,
    /// The label, `ylabel`, with variables for tags.
    pub ylabel: Option<String>,
    /// How ticks are labelled, `tick_labels`.
    pub tick_labels: TickLabels,
    /// The palette for the lines of this axis, `palette.N`.
    pub palette: Option<String>,
    /// What the lines are sorted by, `sort`.
    pub sort: Option<String>,
    /// `asc` or `desc`, `order`.
    pub order: Option<String>,
    /// The settings of the heatmap.
    pub heatmap: HeatmapOptions,
}

/// The settings of the heatmap of an axis, as the request gives them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatmapOptions {
    /// The name of the scale for counts, `heatmap_scale`.
    pub scale: Option<String>,
    /// The upper bound for counts, `heatmap_u`.
    pub upper: Option<String>,
    /// The lower bound for counts, `heatmap_l`.
    pub lower: Option<String>,
    /// The palette for counts, `heatmap_palette`.
    pub palette: Option<String>,
    /// The label, `heatmap_label`.
    pub label: Option<String>,
}

impl AxisOptions {
    /// The settings of the axis with this number: `X.N` goes before `X`.
    ///
    /// # Errors
    /// When there is no such way to label ticks.
    pub(super) fn read(params: &Params<'_>, number: usize) -> Result<Self, StackError> {
        let get = |name: &str| {
            let own = params(&format!("{name}.{number}"));
            own.or_else(|| params(name))
        };
        let logarithmic = get("o").as_deref() == Some("1");
        Ok(Self {
            upper: get("u"),
            lower: get("l"),
            scale: get("scale").or_else(|| logarithmic.then(|| "log".to_owned())),
            stack: get("stack").as_deref() == Some("1"),
            ylabel: get("ylabel").filter(|label| !label.is_empty()),
            tick_labels: get("tick_labels")
                .map_or(Ok(TickLabels::default()), |mode| TickLabels::parse(&mode))?,
            palette: params(&format!("palette.{number}")),
            sort: get("sort"),
            order: get("order"),
            heatmap: HeatmapOptions {
                scale: get("heatmap_scale"),
                upper: get("heatmap_u"),
                lower: get("heatmap_l"),
                palette: get("heatmap_palette"),
                label: get("heatmap_label"),
            },
        })
    }

    /// What the settings come to.
    ///
    /// # Errors
    /// When a bound is no number, both are in the wrong order, or there is no such scale.
    pub(super) fn axis(&self, with_heatmap: bool) -> Result<Axis, StackError> {
        let bounds = Bounds::read(self.lower.as_deref(), self.upper.as_deref())?;
        let scale = Scale::read(self.scale.as_deref())?;
        let bounds = bounds.checked()?;
        let heatmap = match with_heatmap {
            false => None,
            true => {
                let scale = Scale::read(self.heatmap.scale.as_deref())?;
                let (lower, upper) = (self.heatmap.lower.as_deref(), self.heatmap.upper.as_deref());
                Some(HeatmapAxis {
                    scale,
                    bounds: Bounds::read(lower, upper)?.checked()?,
                    palette: self.heatmap.palette.clone(),
                    label: self.heatmap.label.clone(),
                })
            }
        };
        Ok(Axis {
            bounds,
            scale,
            tick_labels: self.tick_labels,
            heatmap,
        })
    }
}

/// A Y axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// The values at its ends.
    pub bounds: Bounds,
    /// How values are spread over it.
    pub scale: Scale,
    /// How ticks are labelled.
    pub tick_labels: TickLabels,
    /// How the counts of the heatmap are shown, if one is drawn.
    pub heatmap: Option<HeatmapAxis>,
}

/// How the counts of a heatmap are shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatmapAxis {
    /// How counts are spread over the colours.
    pub scale: Scale,
    /// The counts at the ends of the colours.
    pub bounds: Bounds,
    /// The colours, if they were set.
    pub palette: Option<String>,
    /// The label, if it was set.
    pub label: Option<String>,
}

/// The values at the ends of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The lower end.
    pub lower: Bound,
    /// The upper end.
    pub upper: Bound,
}

impl Bounds {
    fn read(lower: Option<&str>, upper: Option<&str>) -> Result<Self, StackError> {
        let read = |text: Option<&str>| text.map_or(Ok(Bound::AutoStyle), Bound::parse);
        Ok(Self {
            lower: read(lower)?,
            upper: read(upper)?,
        })
    }

    fn checked(self) -> Result<Self, StackError> {
        match (self.lower, self.upper) {
            // NaN is below nothing.
            (Bound::Explicit(l), Bound::Explicit(u))
                if l.partial_cmp(&u) != Some(std::cmp::Ordering::Less) =>
            {
                Err(StackError::requirement(format!(
                    "lower bound must be less than upper bound ({} >= {})",
                    JavaDouble(l),
                    JavaDouble(u)
                )))
            }
            _ => Ok(self),
        }
    }
}

/// The value at an end of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Bound {
    /// That of the data, or 0 if something is drawn as an area and the data do not reach it.
    #[default]
    AutoStyle,
    /// That of the data.
    AutoData,
    /// This one.
    Explicit(f64),
}

impl Bound {
    fn parse(text: &str) -> Result<Self, StackError> {
        match text {
            "auto-style" => Ok(Self::AutoStyle),
            "auto-data" => Ok(Self::AutoData),
            number => double(number).map(Self::Explicit),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AutoStyle => f.write_str("auto-style"),
            Self::AutoData => f.write_str("auto-data"),
            Self::Explicit(v) => JavaDouble(*v).fmt(f),
        }
    }
}

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm.
    Logarithmic,
    /// By power of ten, evenly within.
    LogLinear,
    /// By their square.
    Power2,
    /// By their square root.
    Sqrt,
}

impl Scale {
    fn read(name: Option<&str>) -> Result<Self, StackError> {
        Ok(match name {
            None | Some("linear") => Self::Linear,
            Some("log") => Self::Logarithmic,
            Some("log-linear") => Self::LogLinear,
            Some("pow2") => Self::Power2,
            Some("sqrt") => Self::Sqrt,
            Some(other) => {
                return Err(StackError::IllegalArgument(format!(
                    "unknown scale type '{other}', should be linear, log, log-linear, pow2, or sqrt"
                )));
            }
        })
    }

    /// The name in upper case, as the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "LINEAR",
            Self::Logarithmic => "LOGARITHMIC",
            Self::LogLinear => "LOG_LINEAR",
            Self::Power2 => "POWER_2",
            Self::Sqrt => "SQRT",
        }
    }
}

/// How ticks are labelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TickLabels {
    /// Not at all.
    Off,
    /// With prefixes that are powers of 1000.
    #[default]
    Decimal,
    /// With prefixes that are powers of 1024.
    Binary,
    /// As durations.
    Duration,
}

impl TickLabels {
    fn parse(mode: &str) -> Result<Self, StackError> {
        match mode.to_uppercase().as_str() {
            "OFF" => Ok(Self::Off),
            "DECIMAL" => Ok(Self::Decimal),
            "BINARY" => Ok(Self::Binary),
            "DURATION" => Ok(Self::Duration),
            _ => Err(StackError::IllegalArgument(format!(
                "tick_labels: unknown value '{mode}', acceptable values are off, decimal, and binary"
            ))),
        }
    }

    /// The name in upper case, as the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Decimal => "DECIMAL",
            Self::Binary => "BINARY",
            Self::Duration => "DURATION",
        }
    }
}
