//! From conditions in SQL to what the storage is asked: a tag query, and bounds of time.
//!
//! SQL knows three answers: a comparison with null is neither true nor false. A condition is therefore translated twice: when it is true, and, below a
//! `NOT`, when it is false. A series that lacks the key of a comparison is in neither.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator};
use hesper_model::pattern::TagPattern;
use hesper_model::{TagQuery, TimeRange, Timestamp};

use super::columns::{Column, Columns};

/// What is asked of the storage.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The series.
    pub query: TagQuery,
    /// The times.
    pub time: TimeBounds,
}

/// The times from `first` to `last`, in milliseconds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// The earliest.
    pub first: i64,
    /// The latest.
    pub last: i64,
}

impl TimeBounds {
    /// All times.
    pub const ALL: Self = Self {
        first: i64::MIN,
        last: i64::MAX,
    };

    fn meet(self, other: Self) -> Self {
        Self {
            first: self.first.max(other.first),
            last: self.last.min(other.last),
        }
    }

    /// The slots from the first of the cell that ends at the earliest time to the last of the cell that ends at the latest, of those in `within`.
    pub fn slots(self, step: hesper_model::Step, cell_slots: u32, within: TimeRange) -> TimeRange {
        let cell = i64::from(cell_slots);
        let millis = step.millis() * cell;
        let clamped = |time: i64| {
            let (first, last) = (within.first.time(step).0, within.last.time(step).0);
            Timestamp(time.clamp(first - 2 * millis, last + 2 * millis))
        };
        let whole =
            hesper_model::Step::from_millis(millis).expect("a step times a number above zero");
        let slot = |time: Timestamp| time.0 / step.millis();
        let first = slot(clamped(self.first).ceil(whole)) - cell + 1;
        let last = slot(clamped(self.last).floor(whole));
        // Cells begin one slot behind a boundary.
        let begin = (within.first.0 - 1).div_euclid(cell) * cell + 1;
        let end = (within.last.0 - 1).div_euclid(cell) * cell + cell;
        TimeRange {
            first: hesper_model::Slot(first.max(begin)),
            last: hesper_model::Slot(last.min(end)),
        }
    }
}

impl Condition {
    /// Every series at any time.
    pub const ALL: Self = Self {
        query: TagQuery::True,
        time: TimeBounds::ALL,
    };

    /// What a condition on the columns of a table asks for, exactly; `None` when the storage cannot tell.
    pub fn of(expr: &Expr, columns: &Columns) -> Option<Self> {
        if let Some(time) = time_bounds(expr, columns) {
            return Some(Self {
                query: TagQuery::True,
                time,
            });
        }
        Some(Self {
            query: tag_query(expr, columns, true)?,
            time: TimeBounds::ALL,
        })
    }

    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            query: self.query.and(other.query),
            time: self.time.meet(other.time),
        }
    }
}

/// The series of which a condition is true, or false, as `wanted` says.
fn tag_query(expr: &Expr, columns: &Columns, wanted: bool) -> Option<TagQuery> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::And | Operator::Or) =>
        {
            let left = tag_query(left, columns, wanted)?;
            let right = tag_query(right, columns, wanted)?;
            Some(match (op == &Operator::And) == wanted {
                true => left.and(right),
                false => left.or(right),
            })
        }
        Expr::Not(inner) => tag_query(inner, columns, !wanted),
        Expr::IsNotNull(inner) => Some(when(TagQuery::Has(key(inner, columns)?), wanted)),
        Expr::IsNull(inner) => Some(when(TagQuery::Has(key(inner, columns)?), !wanted)),
        Expr::Literal(ScalarValue::Boolean(value), _) => Some(match value {
            Some(value) if *value == wanted => TagQuery::True,
            _ => TagQuery::False,
        }),
        Expr::BinaryExpr(binary) => {
            let (key, query, negated) = comparison(binary, columns)?;
            Some(of_value(key, query, negated != wanted))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let key = key(expr, columns)?;
            let values: Option<Vec<Arc<str>>> =
                list.iter().map(|e| text(e).map(Arc::from)).collect();
            let query = TagQuery::In(key.clone(), values?);
            Some(of_value(key, query, *negated != wanted))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let key = key(expr, columns)?;
            let low = TagQuery::GreaterThanEqual(key.clone(), text(low)?.into());
            let high = TagQuery::LessThanEqual(key.clone(), text(high)?.into());
            Some(of_value(key, low.and(high), *negated != wanted))
        }
        Expr::Like(Like {
            negated,
            expr,
            pattern,
            escape_char,
            case_insensitive,
        }) => {
            if escape_char.is_some_and(|c| c != '\\') {
                return None;
            }
            let key = key(expr, columns)?;
            let pattern = TagPattern::like(text(pattern)?, *case_insensitive).ok()?;
            let query = TagQuery::Matches(key.clone(), pattern);
            Some(of_value(key, query, *negated != wanted))
        }
        _ => None,
    }
}

fn when(query: TagQuery, wanted: bool) -> TagQuery {
    if wanted { query } else { query.negated() }
}

/// A condition on the value of a key, or its contrary, which asks for a value too.
fn of_value(key: Arc<str>, query: TagQuery, wanted: bool) -> TagQuery {
    match wanted {
        true => query,
        false => TagQuery::Has(key).and(query.negated()),
    }
}

/// The key, the query of a comparison with a text, and whether it is to be turned round.
fn comparison(binary: &BinaryExpr, columns: &Columns) -> Option<(Arc<str>, TagQuery, bool)> {
    let (key, op, value) = match key(&binary.left, columns) {
        Some(key) => (key, binary.op, text(&binary.right)?),
        None => (
            key(&binary.right, columns)?,
            binary.op.swap()?,
            text(&binary.left)?,
        ),
    };
    let search = |ignore_case| {
        let pattern = TagPattern::search(value, ignore_case).ok()?;
        Some(TagQuery::Matches(key.clone(), pattern))
    };
    let like = |ignore_case| {
        let pattern = TagPattern::like(value, ignore_case).ok()?;
        Some(TagQuery::Matches(key.clone(), pattern))
    };
    let of = |query: fn(Arc<str>, Arc<str>) -> TagQuery| Some(query(key.clone(), value.into()));
    let (query, negated) = match op {
        Operator::Eq => (of(TagQuery::Equal), false),
        Operator::NotEq => (of(TagQuery::Equal), true),
        Operator::Lt => (of(TagQuery::LessThan), false),
        Operator::LtEq => (of(TagQuery::LessThanEqual), false),
        Operator::Gt => (of(TagQuery::GreaterThan), false),
        Operator::GtEq => (of(TagQuery::GreaterThanEqual), false),
        Operator::RegexMatch => (search(false), false),
        Operator::RegexNotMatch => (search(false), true),
        Operator::RegexIMatch => (search(true), false),
        Operator::RegexNotIMatch => (search(true), true),
        Operator::LikeMatch => (like(false), false),
        Operator::NotLikeMatch => (like(false), true),
        Operator::ILikeMatch => (like(true), false),
        Operator::NotILikeMatch => (like(true), true),
        _ => return None,
    };
    Some((key.clone(), query?, negated))
}

/// The key of a tag column.
fn key(expr: &Expr, columns: &Columns) -> Option<Arc<str>> {
    let expr = match expr {
        Expr::Cast(cast) if is_text(cast.field.data_type()) => &cast.expr,
        expr => expr,
    };
    let Expr::Column(column) = expr else {
        return None;
    };
    match columns.named(&column.name)? {
        Column::Tag(key) => Some(key.clone()),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// A literal text.
pub fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::LargeUtf8(Some(text))
            | ScalarValue::Utf8View(Some(text)),
            _,
        ) => Some(text),
        _ => None,
    }
}

/// The times at which a condition on the time column is true.
fn time_bounds(expr: &Expr, columns: &Columns) -> Option<TimeBounds> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And,
            right,
        }) => Some(time_bounds(left, columns)?.meet(time_bounds(right, columns)?)),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (is_time(left, columns), is_time(right, columns)) {
                (true, false) => bound(*op, nanos(right)?),
                (false, true) => bound(op.swap()?, nanos(left)?),
                _ => None,
            }
        }
        Expr::Between(between) if !between.negated && is_time(&between.expr, columns) => {
            let low = bound(Operator::GtEq, nanos(&between.low)?)?;
            Some(low.meet(bound(Operator::LtEq, nanos(&between.high)?)?))
        }
        _ => None,
    }
}

/// True for the time column, also when it was cast to a type that holds all of it.
fn is_time(expr: &Expr, columns: &Columns) -> bool {
    match expr {
        Expr::Column(column) => columns.named(&column.name) == Some(&Column::Time),
        Expr::Cast(cast) => {
            matches!(
                cast.field.data_type(),
                DataType::Timestamp(
                    TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond,
                    _
                )
            ) && is_time(&cast.expr, columns)
        }
        _ => false,
    }
}

/// A literal time, in nanoseconds.
fn nanos(expr: &Expr) -> Option<i128> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    let (value, unit) = match value {
        ScalarValue::TimestampSecond(Some(v), _) => (*v, 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(v), _) => (*v, 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(v), _) => (*v, 1000),
        ScalarValue::TimestampNanosecond(Some(v), _) => (*v, 1),
        _ => return None,
    };
    Some(i128::from(value) * unit)
}

const NANOS_PER_MILLI: i128 = 1_000_000;

fn bound(op: Operator, nanos: i128) -> Option<TimeBounds> {
    let below = nanos.div_euclid(NANOS_PER_MILLI);
    let is_whole = nanos.rem_euclid(NANOS_PER_MILLI) == 0;
    // Nanoseconds are of 64 bits, milliseconds too.
    let millis = |v: i128| i64::try_from(v).unwrap_or(if v < 0 { i64::MIN } else { i64::MAX });
    let (floor, ceil) = (millis(below), millis(below + i128::from(!is_whole)));
    let all = TimeBounds::ALL;
    Some(match op {
        Operator::Eq => TimeBounds {
            first: ceil,
            last: floor,
        },
        Operator::Lt => TimeBounds {
            last: ceil.saturating_sub(1),
            ..all
        },
        Operator::LtEq => TimeBounds { last: floor, ..all },
        Operator::Gt => TimeBounds {
            first: floor.saturating_add(1),
            ..all
        },
        Operator::GtEq => TimeBounds { first: ceil, ..all },
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
