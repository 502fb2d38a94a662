//! Asks the query engine what rules say at a time.
//!
//! Rules are asked for together, so that data that several use are read once. A rule that fails does not take others with it: then
//! each is asked for alone, and it stays alone until it has an answer again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hesper_model::Timestamp;
use hesper_query::engine::QueryOptions;
use hesper_query::{QueryEngine, QueryError};
use hesper_stack::{EvalContext, EvalState, ResultSet, TimeSeriesExpr};

use crate::rule::Rule;
use crate::signal::{self, Answer};

/// The most rules that are asked for together.
const MAX_TOGETHER: usize = 64;

/// Steps that are evaluated at once to warm operators up: bounded so that many lines do not meet the limit of a query.
const WARM_UP_CHUNK: usize = 60;

/// An answer that lacks a part is an error: it could lack the part that matters.
const OPTIONS: QueryOptions<'_> = QueryOptions {
    strict: true,
    all: false,
    caller: "alerts",
};

/// What came of a rule.
pub struct Outcome {
    /// What it says, or why it says nothing.
    pub answer: Result<Answer, String>,
    /// How long that took; of rules asked for together each has the same share.
    pub elapsed: Duration,
}

/// What the operators of a rule remember.
struct Operators {
    state: EvalState,
    /// The last time they saw.
    at: Timestamp,
}

/// Evaluates rules, which are always given in the same order.
pub struct Evaluator {
    engine: Arc<QueryEngine>,
    operators: Vec<Option<Operators>>,
}

impl Evaluator {
    pub fn new(engine: Arc<QueryEngine>, rules: usize) -> Self {
        Self {
            engine,
            operators: (0..rules).map(|_| None).collect(),
        }
    }

    /// What each rule says at a time. Those for which `is_alone` is true are asked for one by one.
    pub async fn evaluate(
        &mut self,
        rules: &[Rule],
        at: Timestamp,
        is_alone: impl Fn(&Rule) -> bool,
    ) -> Vec<Outcome> {
        let mut outcomes: Vec<Option<Outcome>> = rules.iter().map(|_| None).collect();
        let (mut together, mut alone) = (Vec::new(), Vec::new());
        for (i, rule) in rules.iter().enumerate() {
            let began = Instant::now();
            match self.warm_up(i, rule, at).await {
                Ok(()) if is_alone(rule) => alone.push(i),
                Ok(()) => together.push(i),
                Err(error) => outcomes[i] = Some(failed(&error, began)),
            }
        }
        for batch in together.chunks(MAX_TOGETHER) {
            let began = Instant::now();
            match self.ask(rules, batch, at).await {
                Ok(answers) => {
                    let elapsed = began.elapsed() / batch.len() as u32;
                    for (i, answer) in batch.iter().zip(answers) {
                        let answer = Ok(answer);
                        outcomes[*i] = Some(Outcome { answer, elapsed });
                    }
                }
                Err(_) => alone.extend(batch),
            }
        }
        for i in alone {
            let began = Instant::now();
            outcomes[i] = Some(match self.ask(rules, &[i], at).await {
                Ok(mut answers) => Outcome {
                    answer: Ok(answers.remove(0)),
                    elapsed: began.elapsed(),
                },
                Err(error) => failed(&error, began),
            });
        }
        let outcomes = outcomes.into_iter();
        outcomes
            .map(|o| o.expect("each rule failed to warm up, or is in one of the lists"))
            .collect()
    }

    /// Makes the operators of a rule know the time before `at`, by evaluating earlier steps if they do not.
    async fn warm_up(&mut self, i: usize, rule: &Rule, at: Timestamp) -> Result<(), QueryError> {
        let step = self.engine.tiers().hot.step();
        let before = at.plus_millis(-step.millis());
        let is_warm = self.operators[i].as_ref().is_some_and(|o| o.at == before);
        if rule.warm_up_steps() == 0 || is_warm {
            return Ok(());
        }
        let mut state = [EvalState::default()];
        let mut left = rule.warm_up_steps();
        while left > 0 {
            let cells = left.min(WARM_UP_CHUNK);
            let ctx = EvalContext {
                start: at.plus_millis(-(left as i64) * step.millis()),
                end: at.plus_millis(-((left - cells) as i64) * step.millis()),
                step,
            };
            let exprs = [rule.expr()];
            self.engine
                .evaluate_chunk(&exprs, &mut state, &ctx, OPTIONS)
                .await?;
            left -= cells;
        }
        let [state] = state;
        self.operators[i] = Some(Operators { state, at: before });
        Ok(())
    }

    /// What some rules say, if all of them say something. Their operators remember it then.
    async fn ask(
        &mut self,
        rules: &[Rule],
        which: &[usize],
        at: Timestamp,
    ) -> Result<Vec<Answer>, QueryError> {
        let step = self.engine.tiers().hot.step();
        let ctx = EvalContext {
            start: at,
            end: at.plus_millis(step.millis()),
            step,
        };
        let mut exprs: Vec<&TimeSeriesExpr> = Vec::new();
        let mut states: Vec<EvalState> = Vec::new();
        for i in which {
            exprs.push(rules[*i].expr());
            let operators = self.operators[*i].as_ref();
            states.push(operators.map(|o| o.state.clone()).unwrap_or_default());
        }
        let inputs = |rule: &Rule| match signal::needs_inputs(rule) {
            true => rule.inputs().len(),
            false => 0,
        };
        for i in which {
            exprs.extend(&rules[*i].inputs()[..inputs(&rules[*i])]);
        }
        states.resize_with(exprs.len(), EvalState::default);
        let answer = self
            .engine
            .evaluate_chunk(&exprs, &mut states, &ctx, OPTIONS)
            .await?;
        let mut rest: &[ResultSet] = &answer.results[which.len()..];
        let mut answers = Vec::with_capacity(which.len());
        for ((i, result), state) in which.iter().zip(&answer.results).zip(states) {
            let rule = &rules[*i];
            let (own, others) = rest.split_at(inputs(rule));
            rest = others;
            answers.push(Answer::new(rule, result, own));
            if rule.warm_up_steps() > 0 {
                self.operators[*i] = Some(Operators { state, at });
            }
        }
        Ok(answers)
    }
}

fn failed(error: &QueryError, began: Instant) -> Outcome {
    Outcome {
        answer: Err(error.to_string()),
        elapsed: began.elapsed(),
    }
}
