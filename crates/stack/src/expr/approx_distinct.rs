//! How many different values were recorded, estimated from the registers of a sketch.

use std::sync::Arc;

use hesper_model::Aggregate;

use super::TimeSeriesExpr;
use super::data::{DataAggregate, DataExpr};
use super::rewrite::{ExprRule, Rules, rewrite};
use crate::error::StackError;
use crate::vocabulary::Vocabulary;

/// The tag whose value names a register: a letter, and the number in hexadecimal digits.
pub const DISTINCT: &str = "distinct";

/// The number of different values in each group, from what an expression says about the registers.
#[derive(Clone, Debug, PartialEq)]
pub struct ApproxDistinct {
    /// What the word was applied to, for which it is printed.
    pub input: Arc<TimeSeriesExpr>,
    /// The same for every register by itself.
    registers: Arc<TimeSeriesExpr>,
}

impl ApproxDistinct {
    /// An estimate over an expression; whatever its aggregates are, the highest values are taken, by register and by its own groups.
    ///
    /// # Errors
    /// When the expression cannot be grouped by register, or the result would be too large.
    pub fn new(input: Arc<TimeSeriesExpr>, vocabulary: &Vocabulary) -> Result<Self, StackError> {
        let rule: &ExprRule<'_> = &|expr| match expr {
            TimeSeriesExpr::Data(data) if data.aggregate != DataAggregate::All => {
                Some(Ok(TimeSeriesExpr::Data(by_register(data))))
            }
            _ => None,
        };
        let registers = rewrite(&input, &Rules::for_exprs(rule), vocabulary)?;
        let grouping = registers.final_grouping();
        if !grouping.iter().any(|key| **key == *DISTINCT) {
            return Err(StackError::requirement(format!(
                "input must have an aggregate that can be grouped by '{DISTINCT}'"
            )));
        }
        Ok(Self {
            input,
            registers: Arc::new(registers),
        })
    }

    /// The registers: for every group of the result a line for each.
    pub fn registers(&self) -> &TimeSeriesExpr {
        &self.registers
    }

    /// The keys of the groups, without the one of the registers.
    pub fn group_keys(&self) -> Vec<Arc<str>> {
        let mut keys = self.registers.final_grouping();
        keys.retain(|key| **key != *DISTINCT);
        keys
    }

    pub(super) fn with_offset(&self, offset_millis: i64) -> Self {
        Self {
            input: Arc::new(self.input.with_offset(offset_millis)),
            registers: Arc::new(self.registers.with_offset(offset_millis)),
        }
    }
}

fn by_register(data: &DataExpr) -> DataExpr {
    let mut keys: Vec<Arc<str>> = vec![DISTINCT.into()];
    keys.extend(data.group_by.iter().flatten().cloned());
    let highest = DataExpr::new(data.query.clone(), DataAggregate::Of(Aggregate::Max));
    DataExpr {
        offset_millis: data.offset_millis,
        ..highest.grouped(keys)
    }
}
