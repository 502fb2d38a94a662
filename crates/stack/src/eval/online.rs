//! Operators that remember: small state machines that take a value and give one, for a range as for a live stream.
//!
//! What they remember can be written out and read back. A new one is a machine of its own, and a variant of [`Online`].

mod rolling_count;

use std::collections::HashMap;

use hesper_model::Tags;
use serde::{Deserialize, Serialize};

pub use rolling_count::RollingCount;

use super::{EvalContext, TimeSeries};
use crate::error::StackError;
use crate::expr::StatefulOp;

/// A state machine that follows one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Online {
    /// Of `:rolling-count`.
    RollingCount(RollingCount),
}

impl Online {
    /// The machine for an operator, at the start of a series over this range.
    ///
    /// # Errors
    /// When a parameter of the operator is out of range.
    pub fn new(op: StatefulOp, _ctx: &EvalContext) -> Result<Self, StackError> {
        match op {
            StatefulOp::RollingCount { window } => {
                RollingCount::new(window).map(Self::RollingCount)
            }
        }
    }

    /// Takes the next values and puts the results in their place.
    pub fn run(&mut self, values: &mut [f64]) {
        match self {
            Self::RollingCount(machine) => values.iter_mut().for_each(|v| *v = machine.next(*v)),
        }
    }

    /// True when it remembers nothing that a new machine would not know.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::RollingCount(machine) => machine.is_empty(),
        }
    }
}

/// What the operators of an expression remember, from one chunk of a range to the next.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "SavedState", into = "SavedState")]
pub struct EvalState {
    /// For each operator, in the order of evaluation, the machines by the tags of the series.
    operators: Vec<HashMap<Tags, Online>>,
    next: usize,
}

/// A state as it is written out.
#[derive(Serialize, Deserialize)]
struct SavedState(Vec<Vec<(Tags, Online)>>);

impl From<EvalState> for SavedState {
    fn from(state: EvalState) -> Self {
        let operators = state.operators.into_iter();
        Self(operators.map(|o| o.into_iter().collect()).collect())
    }
}

impl From<SavedState> for EvalState {
    fn from(saved: SavedState) -> Self {
        let operators = saved.0.into_iter();
        Self {
            operators: operators.map(|o| o.into_iter().collect()).collect(),
            next: 0,
        }
    }
}

impl EvalState {
    pub(super) fn begin(&mut self) {
        self.next = 0;
    }

    /// Runs the next operator of the expression over its series.
    pub(super) fn run(
        &mut self,
        op: StatefulOp,
        mut found: Vec<TimeSeries>,
        ctx: &EvalContext,
    ) -> Result<Vec<TimeSeries>, StackError> {
        if self.next == self.operators.len() {
            self.operators.push(HashMap::new());
        }
        let mut before = std::mem::take(&mut self.operators[self.next]);
        let mut after = HashMap::with_capacity(found.len());
        for series in &mut found {
            let mut machine = match before.remove(&series.tags) {
                Some(machine) => machine,
                None => Online::new(op, ctx)?,
            };
            machine.run(&mut series.values);
            let label = format!("{}({})", op.name(), series.label());
            series.set_label(label);
            if !machine.is_empty() {
                after.insert(series.tags.clone(), machine);
            }
        }
        // Time passes for the series that are not there as well.
        let mut gap = vec![f64::NAN; ctx.cells()];
        for (tags, mut machine) in before {
            gap.fill(f64::NAN);
            machine.run(&mut gap);
            if !machine.is_empty() {
                after.insert(tags, machine);
            }
        }
        self.operators[self.next] = after;
        self.next += 1;
        Ok(found)
    }
}
