//! A program as an editor sees it: unfinished, faulty, with a cursor in it.
//!
//! [`SyntaxTree`] holds the tokens with their places in the text, and what a run found out about them: the definition each word chose,
//! where its operands come from, what is wrong. It never fails; where the interpreter would give up it reports, and goes on. A program that
//! the interpreter runs has no errors here, and one that it refuses has at least one.
//!
//! The tree is kept flat: the tokens in the order of the program, each with its depth; parentheses know their partners.

mod diagnostic;
mod fault;
mod leftover;
mod role;
mod setting;
mod similar;
mod token;
mod walk;

use std::ops::Range;

pub use diagnostic::{Diagnostic, DiagnosticCode, Fix, MAX_DIAGNOSTICS, Severity};
pub use role::Role;
pub use token::{Token, TokenKind};
pub use walk::{Call, deprecation};

use crate::interpreter::{Machine, Variables};
use crate::value::Value;
use crate::vocabulary::Vocabulary;
use crate::word::Word;
use token::Tokens;
use walk::{Record, Walk};

/// What a program is for: it decides what may be left on the stack at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A graph: everything left is an expression, with settings that make sense.
    #[default]
    Graph,
    /// A request about tags, or a common query: a single query is left.
    Query,
    /// Anything may be left.
    Any,
}

/// What a program is read with.
#[derive(Clone, Copy, Debug)]
pub struct SyntaxOptions<'a, 'v> {
    /// What the program is for.
    pub purpose: Purpose,
    /// The words it may use.
    pub vocabulary: &'v Vocabulary,
    /// The primary time zone, as the variable `tz`.
    pub time_zone: &'a str,
}

impl Default for SyntaxOptions<'_, 'static> {
    fn default() -> Self {
        Self {
            purpose: Purpose::Graph,
            vocabulary: Vocabulary::full(),
            time_zone: "UTC",
        }
    }
}

/// A program that may be unfinished or faulty, with what is known about it.
#[derive(Debug)]
pub struct SyntaxTree<'v> {
    vocabulary: &'v Vocabulary,
    variables: Variables,
    tokens: Tokens,
    values: Vec<Value>,
    record: Record<'v>,
}

impl<'v> SyntaxTree<'v> {
    /// Reads and runs a program.
    pub fn new(program: &str, options: &SyntaxOptions<'_, 'v>) -> Self {
        let tokens = Tokens::of(program);
        let values: Vec<Value> = tokens
            .tokens
            .iter()
            .map(|token| Value::Text(token.text.clone()))
            .collect();
        let zone = Value::Zone(options.time_zone.into());
        let variables = Variables::from([("tz".to_owned(), zone)]);
        let vocabulary = options.vocabulary;
        let mut walk = Walk::new(vocabulary, variables.clone(), &tokens, &values);
        walk.finish(options.purpose, program.len());
        let mut record = walk.record;
        record
            .diagnostics
            .extend(tokens.diagnostics.iter().cloned());
        record
            .diagnostics
            .sort_by_key(|d| (d.span.start, d.span.end));
        record.diagnostics.truncate(MAX_DIAGNOSTICS);
        Self {
            vocabulary,
            variables,
            tokens,
            values,
            record,
        }
    }

    /// The tokens, in the order of the program.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens.tokens
    }

    /// Where the comments are; those within a comment are part of it.
    pub fn comments(&self) -> &[Range<usize>] {
        &self.tokens.comments
    }

    /// What there is to say, in the order of the program.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.record.diagnostics
    }

    /// True when the program can be run.
    pub fn is_valid(&self) -> bool {
        let error = |d: &Diagnostic| d.severity == Severity::Error;
        !self.record.diagnostics.iter().any(error)
    }

    /// True when the text can be split into tokens: nothing is wrong with its comments.
    pub fn is_readable(&self) -> bool {
        let comment = |d: &Diagnostic| d.code == DiagnosticCode::UnclosedComment;
        !self.tokens.diagnostics.iter().any(comment)
    }

    /// The words the program may use.
    pub fn vocabulary(&self) -> &'v Vocabulary {
        self.vocabulary
    }

    /// The token that a byte of the program belongs to, or that ends right before it.
    pub fn token_at(&self, offset: usize) -> Option<usize> {
        let tokens = self.tokens();
        let behind = tokens.partition_point(|t| t.span.start <= offset);
        let at = behind.checked_sub(1)?;
        (offset <= tokens[at].span.end).then_some(at)
    }

    /// True within a comment, its marks included.
    pub fn is_in_comment(&self, offset: usize) -> bool {
        let comments = self.comments();
        let behind = comments.partition_point(|c| c.start < offset);
        // At the end of what nothing closes one is still within.
        behind > 0
            && (offset < comments[behind - 1].end || !self.is_readable_comment(behind - 1))
            && offset <= comments[behind - 1].end
    }

    fn is_readable_comment(&self, comment: usize) -> bool {
        let start = self.comments()[comment].start;
        let is_open =
            |d: &Diagnostic| d.code == DiagnosticCode::UnclosedComment && d.span.start == start;
        !self.tokens.diagnostics.iter().any(is_open)
    }

    /// How a word was run, if the run came to it and its stack fitted.
    pub fn call(&self, token: usize) -> Option<&Call<'v>> {
        self.record.calls.get(&token)
    }

    /// How many items at the bottom of the stack a token left alone; `None` when it did not run, or put the stack out of reach.
    pub fn untouched(&self, token: usize) -> Option<usize> {
        self.record.untouched.get(&token).copied()
    }

    /// What a literal is to the word that takes it. Of literals in lists that are programs it is what they seem to be.
    pub fn role(&self, token: usize) -> Role {
        if let Some(role) = self.record.roles.get(&token) {
            return *role;
        }
        self.seeming_role(token).unwrap_or_default()
    }

    /// The role that the next word in a list would give to a literal.
    fn seeming_role(&self, token: usize) -> Option<Role> {
        /// A key, a value and the word.
        const MOST_OPERANDS: usize = 3;
        let tokens = self.tokens();
        if tokens[token].depth == 0 || tokens[token].kind != TokenKind::Literal {
            return None;
        }
        let mut word = token;
        for _ in 0..MOST_OPERANDS {
            word = match (tokens[word].kind, tokens[word].partner) {
                (TokenKind::Literal, _) => word + 1,
                (TokenKind::Open, Some(close)) => close + 1,
                _ => break,
            };
            tokens.get(word)?;
        }
        let overloads = self.vocabulary.overloads(tokens[word].word()?)?;
        let operands = role::written_operands(tokens, word, MOST_OPERANDS);
        let roles = role::roles(tokens, overloads.first()?, &operands);
        roles
            .into_iter()
            .find(|(at, _)| *at == token)
            .map(|(_, role)| role)
    }

    /// Where the variable was set that a word reads, or that its name stands for: the token of the name.
    pub fn definition(&self, token: usize) -> Option<usize> {
        if let Some(definition) = self.record.definitions.get(&token) {
            return Some(*definition);
        }
        let tokens = self.tokens();
        // In a list: nobody knows when it runs.
        let text = &*tokens.get(token).filter(|t| t.depth > 0)?.text;
        let token_text = |at: usize| tokens.get(at).map(|t| &*t.text);
        let name = match text {
            ":get" | ":fcall" => token_text(token.checked_sub(1)?)?,
            name if matches!(token_text(token + 1), Some(":get" | ":fcall")) => name,
            _ => return None,
        };
        let settings = || {
            self.record
                .settings
                .iter()
                .filter(|(set, _)| **set == *name)
        };
        let before = settings().rfind(|(_, at)| *at < token);
        before.or_else(|| settings().next()).map(|(_, at)| *at)
    }

    /// The machine before a token of the program, after the errors that were recovered from. Within a list it is the one before the list.
    pub fn state_before(&self, token: usize) -> State<'v> {
        let mut walk = Walk::new(
            self.vocabulary,
            self.variables.clone(),
            &self.tokens,
            &self.values,
        );
        walk.run_to(token.min(self.values.len()));
        State {
            machine: walk.machine,
        }
    }
}

/// A machine between two tokens.
pub struct State<'v> {
    machine: Machine<'v>,
}

impl<'v> State<'v> {
    /// The stack, its top last, without what was frozen.
    pub fn stack(&self) -> &[Value] {
        self.machine.stack()
    }

    /// The variables.
    pub fn variables(&self) -> &Variables {
        self.machine.variables()
    }

    /// The words that can run here: the definition that would be chosen for each, by name.
    pub fn words(&self) -> Vec<&'v Word> {
        let vocabulary = self.machine.vocabulary();
        let mut words: Vec<&Word> = Vec::new();
        let mut tried = std::collections::HashSet::new();
        for word in vocabulary.words() {
            if !word.fits(self.stack()) || !tried.insert(word.name()) {
                continue;
            }
            let mut machine = self.machine.clone();
            let token = Value::text(format!(":{}", word.name()));
            if machine.execute(&[token]).is_ok() {
                words.push(word);
            }
        }
        words
    }
}

#[cfg(test)]
mod tests;
