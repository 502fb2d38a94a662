//! A run word by word, for tools that look at the machine between two words and go on after errors.

use super::{MAX_STACK, MAX_WORK, Machine, Variables};
use crate::error::StackError;
use crate::value::Value;
use crate::vocabulary::Vocabulary;

/// What a word that fails is undone with. Variables it set stay.
pub(crate) struct Checkpoint {
    stack: Vec<Value>,
    frozen: usize,
}

impl Checkpoint {
    /// The stack as it was, its top last.
    pub(crate) fn stack(&self) -> &[Value] {
        &self.stack
    }
}

impl<'v> Machine<'v> {
    /// A machine within a program that has not executed anything yet.
    pub(crate) fn at_start(vocabulary: &'v Vocabulary, variables: Variables) -> Self {
        let mut machine = Self::new(vocabulary, variables);
        machine.call_depth = 1;
        machine
    }

    /// The stack, its top last.
    pub(crate) fn stack(&self) -> &[Value] {
        &self.stack
    }

    /// What was frozen; it lies below the stack.
    pub(crate) fn frozen(&self) -> &[Value] {
        &self.frozen
    }

    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// True when nothing more can be executed: the program has done too much, or the stack has grown too large.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.work > MAX_WORK || self.stack.len() > MAX_STACK
    }

    /// Executes one token, or one list with its parentheses.
    pub(crate) fn execute(&mut self, tokens: &[Value]) -> Result<(), StackError> {
        self.step(tokens, &mut 0)?;
        self.check_stack()
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            stack: self.stack.clone(),
            frozen: self.frozen.len(),
        }
    }

    /// Undoes what was executed since, as far as the stack goes.
    pub(crate) fn restore(&mut self, checkpoint: &Checkpoint) {
        self.stack.clone_from(&checkpoint.stack);
        self.frozen.truncate(checkpoint.frozen);
        self.call_depth = 1;
    }
}
