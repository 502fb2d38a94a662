//! A program step by step: what is left of it, what is on the stack, what the variables hold.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Machine, Variables, tokens};
use crate::error::StackError;
use crate::kind::Kind;
use crate::value::{Value, type_summary};
use crate::vocabulary::Vocabulary;

/// The most characters, about, of all steps together.
const MAX_TRACE_WEIGHT: usize = 32 * 1024 * 1024;

/// The state before a step, or after the last one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceStep {
    /// The tokens that are still to be executed.
    pub program: Vec<String>,
    /// What the program so far has led to.
    pub context: TraceContext,
}

/// Stack and variables as texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraceContext {
    /// The stack, its top first.
    pub stack: Vec<String>,
    /// The variables.
    pub variables: BTreeMap<String, String>,
}

/// Runs a program and records its states. With another vocabulary than the standard words alone the stack has to hold what an API of
/// that vocabulary takes: one query, or expressions.
///
/// # Errors
/// When the program cannot be read, a word cannot run, the stack does not hold what it has to, or the record would be too large.
pub fn trace(program: &str, vocabulary: &Vocabulary) -> Result<Vec<TraceStep>, StackError> {
    let program = tokens(program)?;
    let mut machine = Machine::new(vocabulary, Variables::new());
    let mut steps = Vec::new();
    let mut weight = 0;
    let mut at = 0;
    loop {
        if at == program.len() {
            machine.unfreeze();
        }
        let values = machine.stack.iter().chain(machine.variables.values());
        weight += values
            .chain(&program[at..])
            .map(Value::weight)
            .sum::<usize>();
        if weight > MAX_TRACE_WEIGHT {
            return Err(StackError::IllegalState(format!(
                "program is too large to be traced: its steps take more than about {MAX_TRACE_WEIGHT} characters"
            )));
        }
        steps.push(machine.state(&program[at..]));
        if at == program.len() {
            break;
        }
        machine.step(&program, &mut at)?;
    }
    verify(vocabulary.name(), &machine.stack)?;
    Ok(steps)
}

fn verify(vocabulary: &str, stack: &[Value]) -> Result<(), StackError> {
    let expected = |what: &str| Err(StackError::IllegalArgument(format!("expected {what}")));
    match (vocabulary, stack) {
        ("std", _) | ("query", [_]) => Ok(()),
        ("query", []) => expected("a single query, stack is empty"),
        ("query", stack) => expected(&format!(
            "a single query, found {}",
            type_summary(stack.iter())
        )),
        (_, []) => expected("an expression, stack is empty"),
        (_, stack) => match stack.iter().rev().find(|v| !Kind::Style.accepts(v)) {
            Some(value) => expected(&format!(
                "an expression, found {}",
                type_summary([value].into_iter())
            )),
            None => Ok(()),
        },
    }
}

impl Machine<'_> {
    fn state(&self, rest: &[Value]) -> TraceStep {
        TraceStep {
            program: rest.iter().map(Value::to_string).collect(),
            context: TraceContext {
                stack: self.stack.iter().rev().map(Value::stack_text).collect(),
                variables: self
                    .variables
                    .iter()
                    .map(|(name, value)| (name.clone(), value.stack_text()))
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(program: &str, vocabulary: &str) -> Result<Vec<TraceStep>, String> {
        let vocabulary = Vocabulary::named(vocabulary).expect("there");
        trace(program, vocabulary).map_err(|e| e.to_string())
    }

    #[test]
    fn every_step_is_shown() {
        let steps = traced("k,(,a,),:set,b", "std").expect("valid");
        assert_eq!(steps.len(), 5);
        assert_eq!(steps[1].program, ["(", "a", ")", ":set", "b"]);
        assert_eq!(steps[2].context.stack, ["List(a)", "k"]);
        assert_eq!(steps[3].context.variables["k"], "List(a)");
        assert_eq!(
            serde_json::to_string(&steps[4]).expect("plain data"),
            r#"{"program":[],"context":{"stack":["b"],"variables":{"k":"List(a)"}}}"#
        );
    }

    #[test]
    fn the_stack_has_to_hold_what_the_vocabulary_is_for() {
        let error = |program, vocabulary| traced(program, vocabulary).expect_err("refused");
        assert!(traced("a,b", "std").is_ok());
        assert_eq!(
            error("a,b", "query"),
            "IllegalArgumentException: expected a single query, found [String,String]"
        );
        assert_eq!(
            error("", "query"),
            "IllegalArgumentException: expected a single query, stack is empty"
        );
        assert_eq!(
            error("name,a,:eq,foo,(,)", "math"),
            "IllegalArgumentException: expected an expression, found [List]"
        );
        assert_eq!(
            error("", "custom"),
            "IllegalArgumentException: expected an expression, stack is empty"
        );
    }

    #[test]
    fn clamps_are_shown_as_atlas_shows_them() {
        let shown = |program| {
            let steps = traced(program, "custom").expect("valid");
            steps[steps.len() - 1].context.stack[0].clone()
        };
        assert_eq!(shown("name,a,:eq,5,:clamp-min"), "<function1>");
        assert_eq!(
            shown("name,a,:eq,5,:clamp-max"),
            "name,a,:eq,:sum,5.0,\\u003aclamp-max"
        );
        assert_eq!(
            shown("name,a,:eq,5,:clamp-min,3,:clamp-max,:abs"),
            "name,a,:eq,:sum,5.0,:clamp-min,3.0,:clamp-max,:abs"
        );
    }

    #[test]
    fn what_was_frozen_shows_at_the_end() {
        let steps = traced("a,:freeze,b", "std").expect("valid");
        assert_eq!(steps[2].context.stack, Vec::<String>::new());
        assert_eq!(steps[3].context.stack, ["b", "a"]);
    }
}
