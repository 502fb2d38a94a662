//! An expression with how it is to be shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TimeSeriesExpr;
use crate::error::StackError;
use crate::lexer;
use crate::span::Span;

/// An expression with its presentation settings, by the name of the word that sets them.
#[derive(Clone, Debug, PartialEq)]
pub struct StyleExpr {
    /// What is shown.
    pub expr: Arc<TimeSeriesExpr>,
    /// How: `legend`, `axis`, `ls`, `lw`, `color`, `alpha` and so on.
    pub settings: BTreeMap<String, String>,
}

/// How the datapoints of a line are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineStyle {
    /// As a line.
    #[default]
    Line,
    /// As the area below a line.
    Area,
    /// As an area that starts where the one before ends.
    Stack,
    /// As a stripe over the whole height wherever the value is true.
    VSpan,
    /// As counts in cells of time and value.
    Heatmap,
}

impl LineStyle {
    /// The style with this name, in upper or lower case.
    ///
    /// # Errors
    /// When there is none.
    pub fn parse(name: &str) -> Result<Self, StackError> {
        let upper = name.to_uppercase();
        Ok(match upper.as_str() {
            "LINE" => Self::Line,
            "AREA" => Self::Area,
            "STACK" => Self::Stack,
            "VSPAN" => Self::VSpan,
            "HEATMAP" => Self::Heatmap,
            _ => {
                return Err(StackError::IllegalArgument(format!(
                    "No enum constant com.netflix.atlas.chart.model.LineStyle.{upper}"
                )));
            }
        })
    }

    /// The name in upper case, as the API writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Line => "LINE",
            Self::Area => "AREA",
            Self::Stack => "STACK",
            Self::VSpan => "VSPAN",
            Self::Heatmap => "HEATMAP",
        }
    }
}

impl StyleExpr {
    /// An expression without any setting.
    pub fn new(expr: impl Into<Arc<TimeSeriesExpr>>) -> Self {
        Self {
            expr: expr.into(),
            settings: BTreeMap::new(),
        }
    }

    /// The same with one setting changed.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.insert(key.to_owned(), value.into());
        self
    }

    /// The same without a setting.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.settings.remove(key);
        self
    }

    /// The same with one more step that changes the legend, see [`transform`](Self::transform).
    #[must_use]
    pub fn with_transform(self, step: &str) -> Self {
        let steps = match self.transform() {
            Some(before) => format!("{before},{step}"),
            None => step.to_owned(),
        };
        self.with("sed", steps)
    }

    /// About the number of characters that the settings print with.
    pub(crate) fn settings_weight(&self) -> usize {
        let settings = self.settings.iter();
        settings
            .map(|(key, value)| key.len() + value.len() + 3)
            .sum()
    }

    fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// The template of the legend, if one was set.
    pub fn legend(&self) -> Option<&str> {
        self.setting("legend")
    }

    /// What is done to the legend after it was filled in, step by step, as the words that ask for it are written.
    pub fn transform(&self) -> Option<&str> {
        self.setting("sed")
    }

    /// The number of the Y axis; 0 unless set.
    ///
    /// # Errors
    /// When it is no number. Whether there is such an axis is for the caller to say.
    pub fn axis(&self) -> Result<i32, StackError> {
        self.setting("axis").map_or(Ok(0), |v| {
            v.parse().map_err(|_| StackError::not_a_number(v))
        })
    }

    /// How the lines are drawn, if that was set.
    ///
    /// # Errors
    /// When there is no such style.
    pub fn line_style(&self) -> Result<Option<LineStyle>, StackError> {
        self.setting("ls").map(LineStyle::parse).transpose()
    }

    /// The width of the lines; 1 unless set.
    ///
    /// # Errors
    /// When it is no number.
    pub fn line_width(&self) -> Result<f32, StackError> {
        self.setting("lw").map_or(Ok(1.0), |v| {
            crate::number::parse_double(v)
                .map(|width| width as f32)
                .ok_or_else(|| StackError::not_a_number(v))
        })
    }

    /// The colour: eight hexadecimal digits, alpha first, or a name that the theme resolves.
    pub fn color(&self) -> Option<&str> {
        self.setting("color")
    }

    /// The alpha of the colours that are chosen automatically, or by name.
    ///
    /// # Errors
    /// When it is not two hexadecimal digits.
    pub fn alpha(&self) -> Result<Option<u8>, StackError> {
        let Some(v) = self.setting("alpha") else {
            return Ok(None);
        };
        if v.encode_utf16().count() != 2 {
            return Err(StackError::requirement(
                "value should be 2 digit hex string",
            ));
        }
        u8::from_str_radix(v, 16)
            .map(Some)
            .map_err(|_| StackError::not_hexadecimal(v))
    }

    /// The palette for the lines of this expression.
    pub fn palette(&self) -> Option<&str> {
        self.setting("palette")
    }

    /// What the lines are sorted by, if that was set.
    pub fn sort(&self) -> Option<&str> {
        self.setting("sort")
    }

    /// True when the lines are sorted downwards.
    pub fn is_descending(&self) -> bool {
        self.setting("order") == Some("desc")
    }

    /// How many lines are shown at most, if that was set; none when it is below 1.
    ///
    /// # Errors
    /// When it is no number.
    pub fn limit(&self) -> Result<Option<usize>, StackError> {
        let limit = self.setting("limit").map(|v| {
            let limit: i32 = v.parse().map_err(|_| StackError::not_a_number(v))?;
            Ok(usize::try_from(limit).unwrap_or(0))
        });
        limit.transpose()
    }

    /// The offsets of the outdated list form of `:offset`; none when it was not used, or the list is empty.
    ///
    /// # Errors
    /// When one of them is no duration.
    pub fn offsets(&self) -> Result<Vec<Span>, StackError> {
        let Some(list) = self.setting("offset") else {
            return Ok(Vec::new());
        };
        let tokens = lexer::tokens(list)?;
        let items = tokens.iter().filter(|t| !matches!(t.as_str(), "(" | ")"));
        items.map(|t| Span::parse(&lexer::unescape(t))).collect()
    }

    /// The same without the list of offsets.
    #[must_use]
    pub fn without_offsets(self) -> Self {
        self.without("offset")
    }

    /// The expressions that are shown for it: itself, or a copy for each offset of its list.
    ///
    /// # Errors
    /// When one of the offsets is no duration.
    pub fn per_offset(self) -> Result<Vec<Self>, StackError> {
        let offsets = self.offsets()?;
        if offsets.is_empty() {
            return Ok(vec![self]);
        }
        let style = self.without_offsets();
        let copies = offsets.into_iter().map(|offset| {
            Ok(Self {
                expr: Arc::new(style.expr.with_offset(offset.millis()?)),
                settings: style.settings.clone(),
            })
        });
        copies.collect()
    }

    /// The smallest offset of the data it uses; 0 without data.
    pub fn offset_millis(&self) -> i64 {
        let mut smallest = None;
        self.expr.visit_data(&mut |data| {
            let offset = data.offset_millis;
            smallest = Some(smallest.map_or(offset, |s: i64| s.min(offset)));
        });
        smallest.unwrap_or(0)
    }
}
