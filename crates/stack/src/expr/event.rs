//! What is asked of a stream of events: which ones, and what of them is passed on. Only live streams have events.

use std::fmt;
use std::sync::Arc;

use hesper_model::{Aggregate, TagQuery};

use super::data::{DataAggregate, DataExpr};
use super::print::{PrintQuery, append_list};
use super::{Size, query_size};
use crate::error::StackError;

/// A request for events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventExpr {
    /// The events themselves.
    Raw(TagQuery),
    /// A row of each event.
    Table {
        /// Which events.
        query: TagQuery,
        /// What a row holds, at least one.
        columns: Vec<Arc<str>>,
    },
    /// How many events there are in each step, by group, with a row of one of them.
    Sample {
        /// Which events.
        query: TagQuery,
        /// The keys that tell the groups apart, at least one.
        sample_by: Vec<Arc<str>>,
        /// What a row holds.
        projection: Vec<Arc<str>>,
    },
}

impl EventExpr {
    /// A row of each event.
    ///
    /// # Errors
    /// When there are no columns.
    pub fn table(query: TagQuery, columns: Vec<Arc<str>>) -> Result<Self, StackError> {
        if columns.is_empty() {
            return Err(StackError::requirement("set of columns cannot be empty"));
        }
        Ok(Self::Table { query, columns })
    }

    /// Counts by group, with a row each.
    ///
    /// # Errors
    /// When there are no keys to group by.
    pub fn sample(
        query: TagQuery,
        sample_by: Vec<Arc<str>>,
        projection: Vec<Arc<str>>,
    ) -> Result<Self, StackError> {
        if sample_by.is_empty() {
            return Err(StackError::requirement("sampleBy cannot be empty"));
        }
        Ok(Self::Sample {
            query,
            sample_by,
            projection,
        })
    }

    /// Which events it is about.
    pub fn query(&self) -> &TagQuery {
        match self {
            Self::Raw(query) | Self::Table { query, .. } | Self::Sample { query, .. } => query,
        }
    }

    /// The time series that a sample makes of the events: their number by group.
    pub fn data(&self) -> Option<DataExpr> {
        match self {
            Self::Sample {
                query, sample_by, ..
            } => {
                let sum = DataAggregate::Of(Aggregate::Sum);
                Some(DataExpr::new(query.clone(), sum).grouped(sample_by.clone()))
            }
            Self::Raw(_) | Self::Table { .. } => None,
        }
    }

    /// The same for other events.
    pub(crate) fn with_query(&self, other: TagQuery) -> Self {
        let mut expr = self.clone();
        match &mut expr {
            Self::Raw(query) | Self::Table { query, .. } | Self::Sample { query, .. } => {
                *query = other;
            }
        }
        expr
    }

    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Raw(_) => "Raw",
            Self::Table { .. } => "Table",
            Self::Sample { .. } => "Sample",
        }
    }

    pub(crate) fn size(&self) -> Size {
        let lists: [&[Arc<str>]; 2] = match self {
            Self::Raw(_) => [&[], &[]],
            Self::Table { columns, .. } => [columns, &[]],
            Self::Sample {
                sample_by,
                projection,
                ..
            } => [sample_by, projection],
        };
        let keys = lists.into_iter().flatten().map(|key| key.len() + 1).sum();
        query_size(self.query()).above(Size::beside(keys))
    }
}

impl fmt::Display for EventExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |items: &[Arc<str>]| {
            let mut text = String::new();
            append_list(&mut text, items);
            text
        };
        PrintQuery(self.query()).fmt(f)?;
        match self {
            Self::Raw(_) => Ok(()),
            Self::Table { columns, .. } => write!(f, ",{},:table", list(columns)),
            Self::Sample {
                sample_by,
                projection,
                ..
            } => write!(f, ",{},{},:sample", list(sample_by), list(projection)),
        }
    }
}
