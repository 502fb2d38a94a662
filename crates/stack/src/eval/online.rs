//! Operators that remember: small state machines that take a value and give one, for a range as for a live stream.
//!
//! What they remember can be written out and read back. A new one is a machine of its own, and a variant of [`Online`].

mod cumulative;
mod delay;
mod derivative;
mod des;
mod exact;
mod rolling_count;
mod rolling_extreme;
mod rolling_mean;
mod rolling_sum;
mod sliding_des;
mod state;
mod trend;
mod window;

use serde::{Deserialize, Serialize};

pub use cumulative::{CumulativeMax, Integral};
pub use delay::Delay;
pub use derivative::Derivative;
pub use des::Des;
pub use rolling_count::RollingCount;
pub use rolling_extreme::RollingExtreme;
pub use rolling_mean::RollingMean;
pub use rolling_sum::RollingSum;
pub use sliding_des::SlidingDes;
pub use state::EvalState;
pub use trend::Trend;
pub use window::MAX_WINDOW;

use super::EvalContext;
use crate::error::StackError;
use crate::expr::StatefulOp;

/// What follows one series: it takes a value for each datapoint, and gives one. It defines `next` or `run`, from which the other follows.
pub trait Machine {
    /// Takes a value, which is NaN for a gap, and gives the result for it.
    fn next(&mut self, v: f64) -> f64 {
        let mut one = [v];
        self.run(&mut one);
        one[0]
    }

    /// Takes the next values and puts the results in their place.
    fn run(&mut self, values: &mut [f64]) {
        for v in values {
            *v = self.next(*v);
        }
    }

    /// True when it remembers nothing that a new machine would not know that is told how far the range has come.
    fn is_empty(&self) -> bool;

    /// Lets so many gaps pass before the first value: the machine is then at the place in the range that comes after them.
    fn pass(&mut self, _gaps: u64) {}
}

/// A state machine that follows one series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Online {
    /// Of `:delay`.
    Delay(Delay),
    /// Of `:rolling-count`.
    RollingCount(RollingCount),
    /// Of `:rolling-min` and `:rolling-max`.
    RollingExtreme(RollingExtreme),
    /// Of `:rolling-mean`.
    RollingMean(RollingMean),
    /// Of `:rolling-sum`.
    RollingSum(RollingSum),
    /// Of `:des`.
    Des(Des),
    /// Of `:sdes`.
    SlidingDes(SlidingDes),
    /// Of `:trend`.
    Trend(Trend),
    /// Of `:trend` over less than two datapoints, which changes nothing.
    Unchanged,
    /// Of `:integral`.
    Integral(Integral),
    /// Of `:cumulative-max`.
    CumulativeMax(CumulativeMax),
    /// Of `:derivative`.
    Derivative(Derivative),
}

/// Does the same with whatever machine it is; nothing in place of that for `Unchanged`.
macro_rules! with_machine {
    ($online:expr, $machine:ident => $do:expr, $nothing:expr) => {
        match $online {
            Online::Delay($machine) => $do,
            Online::RollingCount($machine) => $do,
            Online::RollingExtreme($machine) => $do,
            Online::RollingMean($machine) => $do,
            Online::RollingSum($machine) => $do,
            Online::Des($machine) => $do,
            Online::SlidingDes($machine) => $do,
            Online::Trend($machine) => $do,
            Online::Unchanged => $nothing,
            Online::Integral($machine) => $do,
            Online::CumulativeMax($machine) => $do,
            Online::Derivative($machine) => $do,
        }
    };
}

impl Online {
    /// The machine for an operator, at the start of this range.
    ///
    /// # Errors
    /// When a parameter of the operator is out of range.
    pub fn new(op: StatefulOp, range: &EvalContext) -> Result<Self, StackError> {
        Ok(match op {
            StatefulOp::Delay { n } => Self::Delay(Delay::new(n)?),
            StatefulOp::RollingCount { window } => Self::RollingCount(RollingCount::new(window)?),
            StatefulOp::RollingMin { window } => Self::RollingExtreme(RollingExtreme::min(window)?),
            StatefulOp::RollingMax { window } => Self::RollingExtreme(RollingExtreme::max(window)?),
            StatefulOp::RollingMean { window, least } => {
                Self::RollingMean(RollingMean::new(window, least)?)
            }
            StatefulOp::RollingSum { window } => Self::RollingSum(RollingSum::new(window)?),
            StatefulOp::Des {
                training,
                alpha,
                beta,
            } => Self::Des(Des::new(training, alpha, beta)),
            StatefulOp::SlidingDes {
                training,
                alpha,
                beta,
            } => Self::SlidingDes(SlidingDes::new(training, alpha, beta, range)?),
            StatefulOp::Trend { window } => match window.millis()? / range.step.millis() {
                // As in Java, of a number too large for 32 bits only the lower ones count.
                n if n as i32 <= 1 => Self::Unchanged,
                n => Self::Trend(Trend::new(n as i32)?),
            },
            StatefulOp::Integral => Self::Integral(Integral::new()),
            StatefulOp::CumulativeMax => Self::CumulativeMax(CumulativeMax::new()),
            StatefulOp::Derivative => Self::Derivative(Derivative::new()),
        })
    }
}

impl Machine for Online {
    fn run(&mut self, values: &mut [f64]) {
        with_machine!(self, machine => machine.run(values), ());
    }

    fn is_empty(&self) -> bool {
        with_machine!(self, machine => machine.is_empty(), true)
    }

    fn pass(&mut self, gaps: u64) {
        with_machine!(self, machine => machine.pass(gaps), ());
    }
}

/// How many lines go side by side.
const LANES: usize = 4;

/// Runs the machines of an operator, [`LANES`] at most, each over its column.
///
/// Smoothing waits for the result before at every step, so that several lines are smoothed at a time.
fn run_side_by_side(machines: &mut [Online], columns: &mut [&mut [f64]]) {
    match (&mut *machines, &mut *columns) {
        (
            [
                Online::Des(a),
                Online::Des(b),
                Online::Des(c),
                Online::Des(d),
            ],
            [p, q, r, s],
        ) => {
            side_by_side([a, b, c, d], [p, q, r, s], Des::next);
        }
        (
            [
                Online::SlidingDes(a),
                Online::SlidingDes(b),
                Online::SlidingDes(c),
                Online::SlidingDes(d),
            ],
            [p, q, r, s],
        ) => side_by_side([a, b, c, d], [p, q, r, s], SlidingDes::next),
        (machines, columns) => {
            for (machine, column) in machines.iter_mut().zip(columns) {
                machine.run(column);
            }
        }
    }
}

fn side_by_side<M: Copy>(
    machines: [&mut M; LANES],
    mut columns: [&mut [f64]; LANES],
    next: impl Fn(&mut M, f64) -> f64,
) {
    let mut now = machines.each_ref().map(|m| **m);
    let cells = columns.iter().map(|c| c.len()).min().unwrap_or(0);
    for i in 0..cells {
        for (machine, column) in now.iter_mut().zip(&mut columns) {
            column[i] = next(machine, column[i]);
        }
    }
    for ((machine, mut now), column) in machines.into_iter().zip(now).zip(columns) {
        column[cells..]
            .iter_mut()
            .for_each(|v| *v = next(&mut now, *v));
        *machine = now;
    }
}

#[cfg(test)]
mod testing {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    /// Values of about the same size, a third of them gaps.
    pub fn values(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            1 => Just(f64::NAN),
            1 => (-3i32..4).prop_map(f64::from),
            1 => -1e3f64..1e3,
        ];
        proptest::collection::vec(value, len)
    }

    /// The same after it was written out and read back.
    pub fn written_out<T: Serialize + for<'de> Deserialize<'de>>(machine: &T) -> T {
        let text = serde_json::to_string(machine).expect("plain data");
        serde_json::from_str(&text).expect("just written")
    }
}
