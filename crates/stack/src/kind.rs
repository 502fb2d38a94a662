//! The kinds of operands that words take, and what each accepts in the place of the thing itself.

use std::sync::Arc;

use hesper_model::{Consolidation, TagQuery};

use crate::expr::{DataExpr, EventExpr, StyleExpr, TimeSeriesExpr};
use crate::lexer::unescape;
use crate::number::parse_double;
use crate::span::Span;
use crate::value::{List, Value};

/// A kind of operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A whole number: a text that is one, or a constant expression, cut off behind the point.
    Int,
    /// A number: a text that is one, or a constant expression.
    Double,
    /// A list.
    List,
    /// A list of texts.
    TextList,
    /// A list of numbers.
    DoubleList,
    /// A length of time.
    Duration,
    /// A query.
    Query,
    /// An ungrouped aggregate, or a query to be summed.
    AggregateFunction,
    /// A data expression, or a query to be summed.
    Data,
    /// An expression, a query to be summed, or a number that is a constant.
    Series,
    /// An expression with settings, or anything that is an expression.
    Style,
    /// A request for events, or a query for the events themselves.
    Event,
    /// A colour: 3, 6 or 8 hexadecimal digits, or a name.
    Color,
    /// The name of a consolidation.
    Consolidation,
}

impl Kind {
    /// The name as signatures show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::Text => "String",
            Self::Int => "Int",
            Self::Double => "Double",
            Self::List => "List",
            Self::TextList => "StringList",
            Self::DoubleList => "DoubleList",
            Self::Duration => "Duration",
            Self::Query => "Query",
            Self::AggregateFunction => "AggregateFunction",
            Self::Data => "DataExpr",
            Self::Series => "TimeSeriesExpr",
            Self::Style => "StyleExpr",
            Self::Event => "EventExpr",
            Self::Color => "Color",
            Self::Consolidation => "ConsolidationFunction",
        }
    }

    /// True when the value can stand for an operand of this kind.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Text => matches!(value, Value::Text(_)),
            Self::Int => int(value).is_some(),
            Self::Double => double(value).is_some(),
            Self::List => matches!(value, Value::List(_)),
            Self::TextList => match value {
                Value::List(list) => list.items().iter().all(|v| matches!(v, Value::Text(_))),
                _ => false,
            },
            Self::DoubleList => match value {
                Value::List(list) => list.items().iter().all(|v| double(v).is_some()),
                _ => false,
            },
            Self::Duration => duration(value).is_some(),
            Self::Query => matches!(value, Value::Query(_)),
            Self::AggregateFunction => match value {
                Value::Query(_) => true,
                Value::Expr(expr) => {
                    matches!(&**expr, TimeSeriesExpr::Data(data) if data.is_aggregate_function())
                }
                _ => false,
            },
            Self::Data => match value {
                Value::Query(_) => true,
                Value::Expr(expr) => matches!(**expr, TimeSeriesExpr::Data(_)),
                _ => false,
            },
            Self::Series => match value {
                Value::Query(_) | Value::Expr(_) => true,
                Value::Text(text) => parse_double(text).is_some(),
                Value::List(_) | Value::Style(_) | Value::Event(_) | Value::Zone(_) => false,
            },
            Self::Event => event(value).is_some(),
            Self::Style => matches!(value, Value::Style(_)) || Self::Series.accepts(value),
            Self::Color => match value {
                Value::Text(text) => hex_color(text).is_some() || is_color_name(text),
                _ => false,
            },
            Self::Consolidation => consolidation(value).is_some(),
        }
    }
}

pub(crate) fn text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

pub(crate) fn int(value: &Value) -> Option<i32> {
    match value {
        Value::Text(text) => text.parse().ok(),
        other => constant(other).map(|v| v as i32),
    }
}

pub(crate) fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Text(text) => parse_double(text),
        other => constant(other),
    }
}

fn constant(value: &Value) -> Option<f64> {
    match value {
        Value::Expr(expr) => match **expr {
            TimeSeriesExpr::Constant(v) => Some(v),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn list(value: &Value) -> Option<Arc<List>> {
    match value {
        Value::List(list) => Some(list.clone()),
        _ => None,
    }
}

/// The texts of a list, unescaped.
pub(crate) fn texts(value: &Value) -> Option<Vec<Arc<str>>> {
    list(value)?
        .items()
        .iter()
        .map(|item| text(item).map(|token| unescape(&token).into()))
        .collect()
}

pub(crate) fn doubles(value: &Value) -> Option<Vec<f64>> {
    list(value)?.items().iter().map(double).collect()
}

pub(crate) fn duration(value: &Value) -> Option<Span> {
    match value {
        Value::Text(text) => Span::parse(text).ok(),
        _ => None,
    }
}

pub(crate) fn query(value: &Value) -> Option<Arc<TagQuery>> {
    match value {
        Value::Query(query) => Some(query.clone()),
        _ => None,
    }
}

pub(crate) fn data(value: &Value) -> Option<DataExpr> {
    match value {
        Value::Query(query) => Some(DataExpr::sum((**query).clone())),
        Value::Expr(expr) => match &**expr {
            TimeSeriesExpr::Data(data) => Some(data.clone()),
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn series(value: &Value) -> Option<Arc<TimeSeriesExpr>> {
    match value {
        Value::Expr(expr) => Some(expr.clone()),
        Value::Query(_) => Some(Arc::new(TimeSeriesExpr::Data(data(value)?))),
        Value::Text(text) => Some(Arc::new(TimeSeriesExpr::Constant(parse_double(text)?))),
        Value::List(_) | Value::Style(_) | Value::Event(_) | Value::Zone(_) => None,
    }
}

pub(crate) fn event(value: &Value) -> Option<EventExpr> {
    match value {
        Value::Query(query) => Some(EventExpr::Raw((**query).clone())),
        Value::Event(event) => Some((**event).clone()),
        _ => None,
    }
}

pub(crate) fn style(value: &Value) -> Option<StyleExpr> {
    match value {
        Value::Style(style) => Some((**style).clone()),
        other => Some(StyleExpr::new(series(other)?)),
    }
}

pub(crate) fn consolidation(value: &Value) -> Option<Consolidation> {
    match value {
        Value::Text(text) => [
            Consolidation::Avg,
            Consolidation::Sum,
            Consolidation::Min,
            Consolidation::Max,
        ]
        .into_iter()
        .find(|c| c.name() == &**text),
        _ => None,
    }
}

/// A colour of 3, 6 or 8 hexadecimal digits, as eight: alpha, red, green, blue.
pub fn hex_color(text: &str) -> Option<u32> {
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let digits = u32::from_str_radix(text, 16).ok()?;
    match text.len() {
        3 => {
            let nibble = |shift: u32| (digits >> shift & 0xF) * 0x11;
            Some(0xFF00_0000 | nibble(8) << 16 | nibble(4) << 8 | nibble(0))
        }
        6 => Some(0xFF00_0000 | digits),
        8 => Some(digits),
        _ => None,
    }
}

fn is_color_name(text: &str) -> bool {
    let name = text.trim_end_matches(|c: char| c.is_ascii_digit());
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::text(text)
    }

    #[test]
    fn numbers_are_texts_or_constants() {
        assert_eq!(int(&value("+5")), Some(5));
        assert_eq!(int(&value("5.0")), None);
        let constant = Value::Expr(Arc::new(TimeSeriesExpr::Constant(5.9)));
        assert_eq!(int(&constant), Some(5));
        assert_eq!(double(&value("1e3")), Some(1000.0));
        assert!(Kind::Series.accepts(&value("NaN")));
        assert!(!Kind::Series.accepts(&value("abc")));
    }

    #[test]
    fn colours_are_digits_or_names() {
        assert_eq!(hex_color("f00"), Some(0xFFFF_0000));
        assert_eq!(hex_color("40ff0000"), Some(0x40FF_0000));
        assert_eq!(hex_color("ff00"), None);
        assert!(Kind::Color.accepts(&value("blue1")));
        assert!(!Kind::Color.accepts(&value("#f00")));
        assert!(!Kind::Color.accepts(&value("1blue")));
    }

    #[test]
    fn lists_hold_tokens() {
        let list = List::new(vec![value("a\\u002cb"), value("7")]).expect("small");
        let list = Value::List(Arc::new(list));
        assert_eq!(texts(&list), Some(vec!["a,b".into(), "7".into()]));
        assert!(!Kind::DoubleList.accepts(&list));
    }
}
