//! The range and the step that an expression is evaluated over.

use hesper_model::{Step, Timestamp};

/// A range of cells: value i of a series is at `start + i × step`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvalContext {
    /// The time of the first cell.
    pub start: Timestamp,
    /// The time one step behind the last cell.
    pub end: Timestamp,
    /// The distance between cells.
    pub step: Step,
}

impl EvalContext {
    /// The number of cells.
    pub fn cells(&self) -> usize {
        let span = self.end.millis().saturating_sub(self.start.millis());
        usize::try_from(span / self.step.millis()).unwrap_or(0)
    }

    /// The times of the cells.
    pub fn times(&self) -> impl Iterator<Item = Timestamp> + use<> {
        let (start, step) = (self.start, self.step.millis());
        (0..self.cells() as i64).map(move |i| start.plus_millis(i * step))
    }

    /// The range from which data with this offset come: earlier by the whole steps in it.
    ///
    /// What is left of an offset that is no multiple of the step is dealt with by [`data_result`](super::data_result).
    pub fn shifted(&self, offset_millis: i64) -> Self {
        let back = offset_millis / self.step.millis() * self.step.millis();
        if back < self.step.millis() {
            return *self;
        }
        Self {
            start: self.start.plus_millis(-back),
            end: self.end.plus_millis(-back),
            step: self.step,
        }
    }
}
