//! How large a tree is. Programs can double what they have built with every word, so that its size is limited; and whatever walks a
//! tree is recursive, so that its depth is too.

use hesper_model::TagQuery;

use super::named::Displayed;
use super::{DataExpr, Generated, TimeSeriesExpr};
use crate::error::StackError;

/// The largest weight, about the number of characters that the tree prints with.
pub const MAX_WEIGHT: usize = 256 * 1024;

/// The largest depth.
pub const MAX_DEPTH: usize = 500;

/// Weight of a node by itself: about what its operator prints with.
const NODE: usize = 8;

/// The extent of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    weight: usize,
    depth: usize,
}

impl Size {
    pub(super) fn leaf(weight: usize) -> Self {
        Self {
            weight: weight + NODE,
            depth: 1,
        }
    }

    /// Of what is written beside an operator.
    pub(super) fn beside(weight: usize) -> Self {
        Self { weight, depth: 0 }
    }

    pub(super) fn above(self, other: Self) -> Self {
        Self {
            weight: self.weight + other.weight + NODE,
            depth: self.depth.max(other.depth) + 1,
        }
    }

    /// About the number of characters that it prints with.
    pub(crate) fn weight(self) -> usize {
        self.weight
    }

    /// Refuses what is too large.
    pub(crate) fn check(self) -> Result<(), StackError> {
        if self.weight > MAX_WEIGHT || self.depth > MAX_DEPTH {
            return Err(too_large());
        }
        Ok(())
    }
}

pub(super) fn too_large() -> StackError {
    StackError::IllegalState(format!(
        "expression is too large: the limits are about {MAX_WEIGHT} characters when written out, and a depth of {MAX_DEPTH}"
    ))
}

/// The extent of a query.
pub(crate) fn query_size(query: &TagQuery) -> Size {
    match query {
        TagQuery::True | TagQuery::False => Size::leaf(0),
        TagQuery::Has(k) => Size::leaf(k.len()),
        TagQuery::Equal(k, v)
        | TagQuery::LessThan(k, v)
        | TagQuery::LessThanEqual(k, v)
        | TagQuery::GreaterThan(k, v)
        | TagQuery::GreaterThanEqual(k, v) => Size::leaf(k.len() + v.len()),
        TagQuery::Matches(k, p) => Size::leaf(k.len() + p.source().len()),
        TagQuery::In(k, vs) => Size::leaf(k.len() + vs.iter().map(|v| v.len() + 1).sum::<usize>()),
        TagQuery::And(a, b) | TagQuery::Or(a, b) => query_size(a).above(query_size(b)),
        TagQuery::Not(q) => query_size(q).above(Size::default()),
    }
}

/// The weight of a request to storage.
pub(super) fn data_weight(data: &DataExpr) -> usize {
    data_size(data).weight
}

fn data_size(data: &DataExpr) -> Size {
    let keys = data.group_by.iter().flatten();
    let keys: usize = keys.map(|k| k.len() + 1).sum();
    query_size(&data.query).above(Size {
        weight: keys,
        depth: 0,
    })
}

impl TimeSeriesExpr {
    /// The extent of the tree, parts that are shared counted as often as they are used.
    pub(crate) fn size(&self) -> Size {
        match self {
            Self::Data(data) => data_size(data),
            Self::Constant(_) => Size::leaf(NODE),
            Self::Generated(Generated::TimeSpan(span)) => {
                Size::leaf(span.start.len() + span.end.len())
            }
            Self::Generated(_) => Size::leaf(NODE),
            // Both are held, and both are walked.
            Self::ApproxDistinct(d) => d.input.size().above(d.registers().size()),
            Self::Percentiles(p) => data_size(p.data()).above(Size {
                weight: p.percentiles().len() * NODE,
                depth: 0,
            }),
            Self::Binary { left, right, .. } => left.size().above(right.size()),
            Self::NamedRewrite(named) => named.eval.size().above(match &named.display {
                Displayed::Query(query) => query_size(query),
                Displayed::Expr(expr) => expr.size(),
            }),
            Self::GroupBy { input, keys, .. } => input.size().above(Size {
                weight: keys.iter().map(|k| k.len() + 1).sum(),
                depth: 0,
            }),
            Self::Rename { input, from, to } => input.size().above(Size {
                weight: from.len() + to.len(),
                depth: 0,
            }),
            Self::Unary { input, .. }
            | Self::Clamp { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Stateful { input, .. } => input.size().above(Size::default()),
            Self::Filter(filter) => filter.size(),
        }
    }
}
