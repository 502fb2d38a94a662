//! What lies on the stack.

use std::fmt;
use std::sync::Arc;

use hesper_model::TagQuery;

use crate::error::StackError;
use crate::expr::{EventExpr, PrintQuery, StyleExpr, TimeSeriesExpr};

/// An item of the stack. Copies share what they hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text; numbers are texts until a word takes them for numbers.
    Text(Arc<str>),
    /// A list. Its texts are tokens: as written, not unescaped.
    List(Arc<List>),
    /// A query.
    Query(Arc<TagQuery>),
    /// An expression.
    Expr(Arc<TimeSeriesExpr>),
    /// An expression with presentation settings.
    Style(Arc<StyleExpr>),
    /// A request for events.
    Event(Arc<EventExpr>),
    /// The name of a time zone, as the variable `tz` holds it.
    Zone(Arc<str>),
}

/// The items of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct List {
    items: Vec<Value>,
    weight: usize,
}

/// The largest weight of a list: lists may hold themselves many times over.
const MAX_LIST_WEIGHT: usize = 4 * 1024 * 1024;

impl List {
    /// A list of these items, the first one first.
    ///
    /// # Errors
    /// When it would be too large to be written out.
    pub fn new(items: Vec<Value>) -> Result<Self, StackError> {
        let weight = items.iter().map(Value::weight).sum();
        if weight > MAX_LIST_WEIGHT {
            return Err(StackError::IllegalState(format!(
                "list is too large: the limit is about {MAX_LIST_WEIGHT} characters when written out"
            )));
        }
        Ok(Self { items, weight })
    }

    /// The items, the first one first.
    pub fn items(&self) -> &[Value] {
        &self.items
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// About the number of characters that it prints with.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Zone(text) => text.len() + 2,
            Self::List(list) => list.weight + 8,
            Self::Query(query) => crate::expr::query_size(query).weight(),
            Self::Expr(expr) => expr.size().weight(),
            Self::Style(style) => style.expr.size().weight() + style.settings_weight(),
            Self::Event(event) => event.size().weight(),
        }
    }

    /// The name of its type, as lists of candidates for a word show it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "String",
            Self::List(_) => "List",
            Self::Query(query) => query_type_name(query),
            Self::Expr(expr) => expr.type_name(),
            Self::Style(_) => "StyleExpr",
            Self::Event(event) => event.type_name(),
            Self::Zone(name) if name.starts_with(['+', '-']) || &**name == "Z" => "ZoneOffset",
            Self::Zone(_) => "ZoneRegion",
        }
    }

    /// The name of its class in Scala, which messages about what a graph cannot show give.
    pub(crate) fn class_name(&self) -> &'static str {
        match self {
            Self::List(list) if list.items.is_empty() => "Nil$",
            Self::List(_) => "$colon$colon",
            other => other.type_name(),
        }
    }

    /// How a listing of the stack shows it.
    pub fn stack_text(&self) -> String {
        match self {
            Self::Expr(expr) => expr.stack_text(),
            other => other.to_string(),
        }
    }
}

fn query_type_name(query: &TagQuery) -> &'static str {
    match query {
        TagQuery::True => "True$",
        TagQuery::False => "False$",
        TagQuery::Has(_) => "HasKey",
        TagQuery::Equal(..) => "Equal",
        TagQuery::LessThan(..) => "LessThan",
        TagQuery::LessThanEqual(..) => "LessThanEqual",
        TagQuery::GreaterThan(..) => "GreaterThan",
        TagQuery::GreaterThanEqual(..) => "GreaterThanEqual",
        TagQuery::Matches(_, p) if p.ignore_case() => "RegexIgnoreCase",
        TagQuery::Matches(..) => "Regex",
        TagQuery::In(..) => "In",
        TagQuery::And(..) => "And",
        TagQuery::Or(..) => "Or",
        TagQuery::Not(_) => "Not",
    }
}

/// The types of a stack, bottom first: `[Equal,String]`.
pub(crate) fn type_summary<'a>(stack: impl Iterator<Item = &'a Value>) -> String {
    let names: Vec<_> = stack.map(Value::type_name).collect();
    format!("[{}]", names.join(","))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Zone(text) => f.write_str(text),
            Self::Query(query) => PrintQuery(query).fmt(f),
            Self::Expr(expr) => expr.fmt(f),
            Self::Style(style) => style.fmt(f),
            Self::Event(event) => event.fmt(f),
            Self::List(list) => {
                f.write_str("List(")?;
                for (i, item) in list.items.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str(")")
            }
        }
    }
}
