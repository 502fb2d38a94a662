//! What is asked of storage: series found by a query, made one by group, consolidated to the step, from some time ago.

use std::sync::Arc;

use hesper_model::{Aggregate, Consolidation, TagQuery};

use super::print::query_label;
use crate::span::ShortSpan;

/// A request to storage. Equal requests have equal answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DataExpr {
    /// Which series.
    pub query: TagQuery,
    /// How the series of a group are made one.
    pub aggregate: DataAggregate,
    /// How the slots of a cell are made one.
    pub consolidation: Consolidation,
    /// The keys that tell the groups apart; `None` when all series are one group. A series that lacks one belongs to none.
    pub group_by: Option<Vec<Arc<str>>>,
    /// How much earlier the data are from than the times they are shown at.
    pub offset_millis: i64,
}

/// How series are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataAggregate {
    /// Not at all: every series is a result. The slots of a cell are summed.
    All,
    /// By an aggregation function.
    Of(Aggregate),
}

impl DataAggregate {
    /// The word of the language, without its colon.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Of(aggregate) => aggregate.name(),
        }
    }

    /// The consolidation that applies unless another is asked for.
    pub const fn default_consolidation(self) -> Consolidation {
        match self {
            Self::All => Consolidation::Sum,
            Self::Of(aggregate) => aggregate.default_consolidation(),
        }
    }
}

impl DataExpr {
    /// All series of a query under an aggregate, ungrouped, with the consolidation it has by itself.
    pub fn new(query: TagQuery, aggregate: DataAggregate) -> Self {
        Self {
            query,
            aggregate,
            consolidation: aggregate.default_consolidation(),
            group_by: None,
            offset_millis: 0,
        }
    }

    /// The sum of the series of a query: what a query means where an expression is expected.
    pub fn sum(query: TagQuery) -> Self {
        Self::new(query, DataAggregate::Of(Aggregate::Sum))
    }

    /// True when it yields a single series: what the language calls an aggregation function.
    pub fn is_aggregate_function(&self) -> bool {
        self.group_by.is_none() && self.aggregate != DataAggregate::All
    }

    /// The same by group.
    pub fn grouped(&self, keys: Vec<Arc<str>>) -> Self {
        Self {
            group_by: Some(keys),
            ..self.clone()
        }
    }

    /// The same from so much earlier.
    pub fn with_offset(&self, offset_millis: i64) -> Self {
        Self {
            offset_millis,
            ..self.clone()
        }
    }

    /// True when the consolidation is another than the aggregate may carry by itself; Atlas has a type of its own for it.
    pub(crate) fn consolidates_otherwise(&self) -> bool {
        match self.aggregate {
            DataAggregate::All => false,
            DataAggregate::Of(Aggregate::Sum | Aggregate::Count) => {
                !matches!(self.consolidation, Consolidation::Avg | Consolidation::Sum)
            }
            DataAggregate::Of(Aggregate::Min | Aggregate::Max) => {
                self.consolidation != self.aggregate.default_consolidation()
            }
        }
    }

    /// The label of an ungrouped result: `sum(name=x)`.
    pub(crate) fn label(&self) -> String {
        format!("{}({})", self.aggregate.name(), query_label(&self.query))
    }

    /// ` (offset=1w)`, or nothing.
    pub(crate) fn offset_label(&self) -> String {
        match self.offset_millis {
            0 => String::new(),
            millis => format!(" (offset={})", ShortSpan(millis)),
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self.aggregate {
            _ if self.group_by.is_some() => "GroupBy",
            _ if self.consolidates_otherwise() => "Consolidation",
            DataAggregate::All => "All",
            DataAggregate::Of(aggregate) => aggregate_type_name(aggregate),
        }
    }
}

pub(crate) fn aggregate_type_name(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Sum => "Sum",
        Aggregate::Count => "Count",
        Aggregate::Min => "Min",
        Aggregate::Max => "Max",
    }
}
