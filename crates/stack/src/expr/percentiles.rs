//! Percentiles estimated from series that count samples by bucket.

use std::sync::Arc;

use hesper_model::{Aggregate, TagQuery};

use super::data::{DataAggregate, DataExpr};
use crate::error::StackError;
use crate::number::JavaDouble;

/// The tag whose value names a bucket.
pub const PERCENTILE: &str = "percentile";

/// Percentiles of what a query finds, for each group.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentiles {
    data: DataExpr,
    percentiles: Vec<f64>,
}

impl Percentiles {
    /// Percentiles over a data expression; whatever its aggregate is, sums are taken, by bucket and by its own groups.
    ///
    /// # Errors
    /// When a percentile is not within 0 and 100.
    pub fn new(data: &DataExpr, percentiles: Vec<f64>) -> Result<Self, StackError> {
        if let Some(p) = percentiles.iter().find(|p| !(0.0..=100.0).contains(*p)) {
            return Err(StackError::requirement(format!(
                "invalid percentile {}, value must be 0.0 <= p <= 100.0",
                JavaDouble(*p)
            )));
        }
        let mut keys: Vec<Arc<str>> = vec![PERCENTILE.into()];
        keys.extend(data.group_by.iter().flatten().cloned());
        let mut percentiles = percentiles;
        percentiles.sort_by(f64::total_cmp);
        percentiles.dedup();
        Ok(Self {
            data: DataExpr {
                offset_millis: data.offset_millis,
                ..DataExpr::new(data.query.clone(), DataAggregate::Of(Aggregate::Sum)).grouped(keys)
            },
            percentiles,
        })
    }

    /// The counts that are needed: sums by bucket and group.
    pub fn data(&self) -> &DataExpr {
        &self.data
    }

    /// The percentiles, lowest first, each once.
    pub fn percentiles(&self) -> &[f64] {
        &self.percentiles
    }

    /// The keys of the groups, without the one of the buckets.
    pub fn group_keys(&self) -> Vec<Arc<str>> {
        let keys = self.data.group_by.iter().flatten();
        keys.filter(|k| ***k != *PERCENTILE).cloned().collect()
    }

    pub(crate) fn query(&self) -> &TagQuery {
        &self.data.query
    }

    pub(super) fn with_offset(&self, offset_millis: i64) -> Self {
        self.with_data(self.data.with_offset(offset_millis))
    }

    /// The same over other data, which are grouped by bucket as well.
    pub(super) fn with_data(&self, data: DataExpr) -> Self {
        Self {
            data,
            percentiles: self.percentiles.clone(),
        }
    }
}
