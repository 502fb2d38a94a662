//! What the operators of an expression remember between the chunks of a range.

use std::borrow::Cow;
use std::collections::HashMap;

use hesper_model::{Step, Tags, Timestamp};
use serde::{Deserialize, Serialize};

use super::{LANES, MAX_WINDOW, Machine, Online, run_side_by_side};
use crate::error::StackError;
use crate::eval::{EvalContext, TimeSeries};
use crate::expr::StatefulOp;

/// What the operators of an expression remember, from one chunk of a range to the next.
///
/// The chunks follow each other without a gap, at one step. A series that is missing from a chunk has gaps there, and no line; one that
/// comes late is treated as if it had had nothing but gaps before. So chunks add up to the whole, as far as their lines go.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "SavedState", into = "SavedState")]
pub struct EvalState {
    /// The whole range, if it is known.
    range: Option<EvalContext>,
    /// The start of the first chunk.
    start: Option<Timestamp>,
    /// For each operator, in the order of evaluation, the machines by the tags of the series.
    operators: Vec<HashMap<Tags, Tracked>>,
    next: usize,
}

/// A machine, and since when its series is missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Tracked {
    machine: Online,
    /// How many datapoints long the series has been missing.
    missing: u64,
}

impl EvalState {
    /// The state at the start of a range that is evaluated in chunks. Without it the range is taken to start with the first chunk, and
    /// to end with the chunk at hand.
    pub fn over(range: EvalContext) -> Self {
        Self {
            range: Some(range),
            ..Self::default()
        }
    }

    pub(in crate::eval) fn begin(&mut self, ctx: &EvalContext) {
        self.start.get_or_insert(ctx.start);
        self.next = 0;
    }

    /// The range that this chunk belongs to, as far as it is known.
    pub(in crate::eval) fn range(&self, ctx: &EvalContext) -> EvalContext {
        self.range.unwrap_or(EvalContext {
            start: self.start.unwrap_or(ctx.start),
            ..*ctx
        })
    }

    /// Runs the next operator of the expression over its series.
    pub(in crate::eval) fn run(
        &mut self,
        op: StatefulOp,
        found: Vec<Cow<'_, TimeSeries>>,
        ctx: &EvalContext,
    ) -> Result<Vec<TimeSeries>, StackError> {
        if self.next == self.operators.len() {
            self.operators.push(HashMap::new());
        }
        let start = self.start.unwrap_or(ctx.start);
        let range = EvalContext { start, ..*ctx };
        let passed = ctx.start.millis().saturating_sub(start.millis()) / ctx.step.millis();
        let passed = u64::try_from(passed).unwrap_or(0);
        let mut before = std::mem::take(&mut self.operators[self.next]);
        let mut after = HashMap::with_capacity(found.len());
        let mut done: Vec<TimeSeries> = Vec::with_capacity(found.len());
        let mut found = found.into_iter().map(Cow::into_owned);
        loop {
            // A few lines at a time: what is copied is then still at hand.
            let first = done.len();
            done.extend(found.by_ref().take(LANES));
            let lines = &mut done[first..];
            if lines.is_empty() {
                break;
            }
            let mut machines = lines
                .iter()
                .map(|series| match before.remove(&series.tags) {
                    Some(tracked) => Ok(tracked.machine),
                    None => {
                        let mut machine = Online::new(op, &range)?;
                        if passed > 0 {
                            machine.pass(passed);
                        }
                        Ok(machine)
                    }
                })
                .collect::<Result<Vec<Online>, StackError>>()?;
            let columns = lines.iter_mut().map(|series| &mut series.values[..]);
            run_side_by_side(&mut machines, &mut columns.collect::<Vec<_>>());
            for (series, machine) in lines.iter_mut().zip(machines) {
                series.label_of(op.name());
                if !machine.is_empty() {
                    let missing = 0;
                    after.insert(series.tags.clone(), Tracked { machine, missing });
                }
            }
        }
        after.extend(missing_on(before, ctx.cells()));
        self.operators[self.next] = after;
        self.next += 1;
        Ok(done)
    }
}

/// The machines of series that are missing from a chunk with so many datapoints. Those that are missing for longer than any window
/// are forgotten: what they remember would never go away.
fn missing_on(
    before: HashMap<Tags, Tracked>,
    cells: usize,
) -> impl Iterator<Item = (Tags, Tracked)> {
    let mut gaps = Vec::new();
    before.into_iter().filter_map(move |(tags, mut tracked)| {
        gaps.clear();
        gaps.resize(cells, f64::NAN);
        tracked.machine.run(&mut gaps);
        tracked.missing += cells as u64;
        let kept = !tracked.machine.is_empty() && tracked.missing < MAX_WINDOW as u64;
        kept.then_some((tags, tracked))
    })
}

/// A state as it is written out.
#[derive(Serialize, Deserialize)]
struct SavedState {
    /// Start, end and step in milliseconds.
    range: Option<(i64, i64, i64)>,
    start: Option<i64>,
    operators: Vec<Vec<(Tags, Tracked)>>,
}

impl From<EvalState> for SavedState {
    fn from(state: EvalState) -> Self {
        let range = |r: EvalContext| (r.start.millis(), r.end.millis(), r.step.millis());
        let operators = state.operators.into_iter();
        Self {
            range: state.range.map(range),
            start: state.start.map(Timestamp::millis),
            operators: operators.map(|o| o.into_iter().collect()).collect(),
        }
    }
}

impl TryFrom<SavedState> for EvalState {
    type Error = String;

    fn try_from(saved: SavedState) -> Result<Self, String> {
        let range = |(start, end, step): (i64, i64, i64)| {
            Ok::<_, String>(EvalContext {
                start: Timestamp(start),
                end: Timestamp(end),
                step: Step::from_millis(step).ok_or_else(|| format!("{step} ms is no step"))?,
            })
        };
        let operators = saved.operators.into_iter();
        Ok(Self {
            range: saved.range.map(range).transpose()?,
            start: saved.start.map(Timestamp),
            operators: operators.map(|o| o.into_iter().collect()).collect(),
            next: 0,
        })
    }
}
