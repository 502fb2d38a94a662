//! A run of a program, token by token, that goes on after errors.
//!
//! After an error nobody knows what the stack should hold. Everything on it then counts as unsure, and so does what later words make of
//! that. An error of a word that takes something unsure is not reported: it may be no more than a consequence.

use std::collections::HashMap;
use std::sync::Arc;

use super::Purpose;
use super::diagnostic::{Diagnostic, DiagnosticCode, Fix, MAX_DIAGNOSTICS, Severity};
use super::fault::Blame;
use super::leftover;
use super::role::{Role, parameters, roles};
use super::setting;
use super::similar::{question, similar};
use super::token::{TokenKind, Tokens};
use crate::error::StackError;
use crate::expr::StyleExpr;
use crate::interpreter::stepping::Checkpoint;
use crate::interpreter::{Machine, Variables};
use crate::parse::check_weight;
use crate::value::{List, Value};
use crate::vocabulary::Vocabulary;
use crate::word::Word;

/// How much of a stack is compared to find out what a word has moved.
const MAX_MOVED: usize = 64;

/// A word that ran.
#[derive(Clone, Debug)]
pub struct Call<'v> {
    /// The definition that was the first to fit.
    pub word: &'v Word,
    /// The tokens that its operands come from, in the order of the signature; empty when the signature does not tell the operands.
    pub operands: Vec<usize>,
}

/// What was found out on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Record<'v> {
    pub(super) diagnostics: Vec<Diagnostic>,
    /// By token.
    pub(super) calls: HashMap<usize, Call<'v>>,
    /// By token.
    pub(super) roles: HashMap<usize, Role>,
    /// From where the value of a variable is used to where it was set; both are the tokens of the variable's name, or the word.
    pub(super) definitions: HashMap<usize, usize>,
    /// By token: how many items at the bottom of the stack it left alone.
    pub(super) untouched: HashMap<usize, usize>,
    /// The names that variables were set by, with the tokens, in the order of the run.
    pub(super) settings: Vec<(Arc<str>, usize)>,
}

/// The state of a run.
pub(super) struct Walk<'v, 't> {
    pub(super) machine: Machine<'v>,
    pub(super) record: Record<'v>,
    /// The settings that words made, with the tokens that are to blame for them.
    made: HashMap<(&'static str, String), usize>,
    vocabulary: &'v Vocabulary,
    tokens: &'t Tokens,
    values: &'t [Value],
    /// The token to be executed next.
    at: usize,
    /// For each item of the stack the token that put it there.
    origins: Vec<usize>,
    frozen_origins: Vec<usize>,
    /// How many items of the stack, from the bottom, are unsure.
    unsure: usize,
    unsure_frozen: usize,
    /// The diagnostic that made them so.
    cause: Option<usize>,
    /// The variables that the program has set, by the tokens of their names.
    variables: HashMap<Arc<str>, usize>,
    stopped: bool,
}

impl<'v, 't> Walk<'v, 't> {
    pub(super) fn new(
        vocabulary: &'v Vocabulary,
        variables: Variables,
        tokens: &'t Tokens,
        values: &'t [Value],
    ) -> Self {
        Self {
            machine: Machine::at_start(vocabulary, variables),
            record: Record::default(),
            made: HashMap::new(),
            vocabulary,
            tokens,
            values,
            at: 0,
            origins: Vec::new(),
            frozen_origins: Vec::new(),
            unsure: 0,
            unsure_frozen: 0,
            cause: None,
            variables: HashMap::new(),
            stopped: false,
        }
    }

    /// Runs up to a token.
    pub(super) fn run_to(&mut self, end: usize) {
        while self.at < end && !self.stopped {
            let at = self.at;
            self.at += 1;
            match self.tokens.tokens[at].kind {
                TokenKind::Literal => self.literal(at),
                TokenKind::Word => self.word(at),
                TokenKind::Open => self.list(at),
                // A partner was passed over with its list.
                TokenKind::Close => self.make_unsure(None),
            }
            if self.record.diagnostics.len() >= MAX_DIAGNOSTICS {
                self.stopped = true;
            }
        }
    }

    /// Runs to the end, and looks at what is left there.
    pub(super) fn finish(&mut self, purpose: Purpose, end: usize) {
        self.run_to(self.tokens.tokens.len());
        // What is left of half a program says nothing.
        if self.stopped {
            return;
        }
        let items = self.items();
        let left = match purpose {
            Purpose::Any => Vec::new(),
            Purpose::Query if self.has_errors() && items.len() < 2 => Vec::new(),
            Purpose::Query => leftover::of_query(&items, &self.tokens.tokens, end),
            Purpose::Graph => leftover::of_graph(&items, &self.tokens.tokens, self.vocabulary),
        };
        for diagnostic in left {
            let doubted = self
                .record
                .diagnostics
                .iter_mut()
                .find(|d| d.code == DiagnosticCode::Semicolon && d.span == diagnostic.span);
            match doubted {
                Some(doubted) => doubted.severity = Severity::Error,
                None => self.record.diagnostics.push(diagnostic),
            }
        }
        if purpose == Purpose::Graph {
            self.check_graph();
        }
    }

    /// What lies on the stack, the frozen items included, with the tokens it comes from; after errors without what is unsure.
    pub(super) fn items(&self) -> Vec<(Value, usize)> {
        let (unsure, unsure_frozen) = match self.has_errors() {
            true => (self.unsure, self.unsure_frozen),
            false => (0, 0),
        };
        let frozen = self.machine.frozen().iter().zip(&self.frozen_origins);
        let stack = self.machine.stack().iter().zip(&self.origins);
        frozen
            .skip(unsure_frozen)
            .chain(stack.skip(unsure))
            .map(|(value, origin)| (value.clone(), *origin))
            .collect()
    }

    fn has_errors(&self) -> bool {
        let error = |d: &Diagnostic| d.severity == Severity::Error;
        self.tokens.diagnostics.iter().any(error) || self.record.diagnostics.iter().any(error)
    }

    fn literal(&mut self, at: usize) {
        if let Err(error) = self.machine.execute(&self.values[at..=at]) {
            return self.stop(at, &error);
        }
        self.record.untouched.insert(at, self.origins.len());
        self.origins.push(at);
        let token = &self.tokens.tokens[at];
        if let Some(name) = token.text.strip_prefix(';')
            && self.vocabulary.overloads(name).is_some()
        {
            let message = format!("{} (semicolon instead of colon)", question(":", &[name]));
            let mut diagnostic =
                Diagnostic::warning(token.span.clone(), DiagnosticCode::Semicolon, message);
            diagnostic.fixes = vec![Fix::word(token.span.clone(), name)];
            self.record.diagnostics.push(diagnostic);
            self.make_unsure(Some(self.record.diagnostics.len() - 1));
        }
    }

    fn list(&mut self, at: usize) {
        let executed = match self.tokens.tokens[at].partner {
            Some(close) => {
                self.at = close + 1;
                self.machine.execute(&self.values[at..=close])
            }
            None => {
                let end = self.tokens.list_end(at);
                self.at = end;
                List::new(self.values[at + 1..end].to_vec())
                    .map(|list| self.machine.push(Value::List(Arc::new(list))))
            }
        };
        match executed {
            Ok(()) => {
                self.record.untouched.insert(at, self.origins.len());
                self.origins.push(at);
            }
            Err(error) => self.stop(at, &error),
        }
        if self.tokens.tokens[at].partner.is_none() {
            self.make_unsure(None);
        }
    }

    fn word(&mut self, at: usize) {
        let Some(overloads) = self.tokens.tokens[at]
            .word()
            .and_then(|name| self.vocabulary.overloads(name))
        else {
            return self.unknown_word(at);
        };
        let stack = self.machine.stack();
        let Some(word) = overloads.iter().find(|word| word.fits(stack)) else {
            return self.no_match(at, overloads);
        };
        let before = self.machine.checkpoint();
        let call = self.call(word);
        match self.machine.execute(&self.values[at..=at]) {
            Ok(()) => {
                self.note_setting(at, &call);
                self.note(at, call);
                self.settle(at, &before);
                self.warn_if_deprecated(at);
            }
            Err(error) if self.machine.is_exhausted() => self.stop(at, &error),
            Err(error) => {
                let touched = match parameters(&word.signature()) {
                    Some(parameters) => parameters.len(),
                    None => before.stack().len(),
                };
                self.machine.restore(&before);
                let diagnostic = Blame {
                    tokens: &self.tokens.tokens,
                    vocabulary: self.vocabulary,
                    variables: self.machine.variables(),
                    word: at,
                    operands: &call.operands,
                }
                .failed(&error);
                self.note(at, call);
                self.fail(touched, diagnostic);
            }
        }
    }

    /// The definition and where its operands come from.
    fn call(&self, word: &'v Word) -> Call<'v> {
        let count = match word.name() {
            "fcall" => 1,
            _ => parameters(&word.signature()).map_or(0, |p| p.len()),
        };
        let first = self.origins.len().saturating_sub(count);
        Call {
            word,
            operands: self.origins[first..].to_vec(),
        }
    }

    fn note(&mut self, at: usize, call: Call<'v>) {
        let tokens = &self.tokens.tokens;
        for (operand, role) in roles(tokens, call.word, &call.operands) {
            self.record.roles.insert(operand, role);
            if role == Role::Variable {
                let name = &tokens[operand].text;
                if matches!(call.word.name(), "set" | "sset") {
                    self.variables.insert(name.clone(), operand);
                    self.record.settings.push((name.clone(), operand));
                } else if let Some(&definition) = self.variables.get(name) {
                    self.record.definitions.insert(operand, definition);
                    self.record.definitions.insert(at, definition);
                }
            }
        }
        self.record.calls.insert(at, call);
    }

    /// Finds out which tokens the items come from, now that a word has run.
    fn settle(&mut self, at: usize, before: &Checkpoint) {
        let (old, new) = (before.stack(), self.machine.stack());
        let frozen = self.machine.frozen().len();
        let freezes = self.tokens.tokens[at].word() == Some("freeze");
        if freezes || frozen > self.frozen_origins.len() {
            if self.unsure > 0 {
                self.unsure_frozen = frozen;
            }
            self.frozen_origins.append(&mut self.origins);
            self.frozen_origins.resize(frozen, at);
            self.origins = vec![at; new.len()];
            self.unsure = 0;
            self.variables.clear();
            return;
        }
        let kept = old.iter().zip(new).take_while(|(a, b)| same(a, b)).count();
        self.record.untouched.insert(at, kept);
        let old_origins = self.origins.split_off(kept);
        let few = old.len() - kept <= MAX_MOVED && new.len() - kept <= MAX_MOVED;
        for value in &new[kept..] {
            let from = old[kept..]
                .iter()
                .position(|moved| few && same(moved, value));
            self.origins.push(from.map_or(at, |from| old_origins[from]));
        }
        self.unsure = if kept < self.unsure {
            new.len()
        } else {
            self.unsure.min(new.len())
        };
    }

    fn unknown_word(&mut self, at: usize) {
        let token = &self.tokens.tokens[at];
        let name = token.word().unwrap_or_default();
        let mut names = similar(name, self.vocabulary.words().map(Word::name));
        names.sort_by_key(|name| self.first_fit(name, self.machine.stack()).is_none());
        let mut message = format!("unknown word ':{name}'");
        if !names.is_empty() {
            message = format!("{message}, {}", question(":", &names));
        }
        let mut diagnostic =
            Diagnostic::error(token.span.clone(), DiagnosticCode::UnknownWord, message);
        diagnostic.fixes = names
            .iter()
            .map(|name| Fix::word(token.span.clone(), name))
            .collect();
        self.record.diagnostics.push(diagnostic);
        let cause = Some(self.record.diagnostics.len() - 1);
        // Most likely the nearest name was meant. What it leaves is as unsure as anything else.
        let before = self.machine.checkpoint();
        for name in names {
            let meant = Value::text(format!(":{name}"));
            if self.machine.execute(std::slice::from_ref(&meant)).is_ok() {
                if let Some(word) = self.first_fit(name, before.stack()) {
                    let call = self.call(word);
                    self.note(at, call);
                }
                self.settle(at, &before);
                break;
            }
            self.machine.restore(&before);
        }
        self.make_unsure(cause);
    }

    fn first_fit(&self, name: &str, stack: &[Value]) -> Option<&'v Word> {
        let overloads = self.vocabulary.overloads(name)?;
        overloads
            .iter()
            .find(|word| word.fits(stack))
            .map(|word| &**word)
    }

    fn no_match(&mut self, at: usize, overloads: &[Arc<Word>]) {
        let Err(error) = self.machine.execute(&self.values[at..=at]) else {
            return;
        };
        if self.machine.is_exhausted() {
            return self.stop(at, &error);
        }
        let touched = overloads
            .iter()
            .map(|word| parameters(&word.signature()).map_or(usize::MAX, |p| p.len()))
            .max();
        let span = self.tokens.tokens[at].span.clone();
        let diagnostic = Diagnostic::error(span, DiagnosticCode::NoMatch, error.message());
        self.fail(touched.unwrap_or(0), diagnostic);
    }

    /// Reports the error of a word that looked at so many items, unless it may be the consequence of another one.
    fn fail(&mut self, touched: usize, diagnostic: Diagnostic) {
        let consequence = self.machine.stack().len() < self.unsure.saturating_add(touched);
        if self.unsure > 0 && consequence {
            // A doubt that makes the program fail is an error.
            if let Some(cause) = self.cause {
                self.record.diagnostics[cause].severity = Severity::Error;
            }
            return self.make_unsure(self.cause);
        }
        self.record.diagnostics.push(diagnostic);
        self.make_unsure(Some(self.record.diagnostics.len() - 1));
    }

    fn make_unsure(&mut self, cause: Option<usize>) {
        self.unsure = self.machine.stack().len();
        self.cause = cause;
    }

    fn stop(&mut self, at: usize, error: &StackError) {
        let span = self.tokens.tokens[at].span.clone();
        self.record.diagnostics.push(Diagnostic::error(
            span,
            DiagnosticCode::Limit,
            error.message(),
        ));
        self.stopped = true;
    }

    fn note_setting(&mut self, at: usize, call: &Call<'v>) {
        let Some(name) = setting::changed_by(call.word.name()) else {
            return;
        };
        let Some(Value::Style(style)) = self.machine.stack().last() else {
            return;
        };
        if let Some(value) = style.settings.get(name) {
            let blamed = call.operands.last().copied().unwrap_or(at);
            self.made.entry((name, value.clone())).or_insert(blamed);
        }
    }

    /// Why what is left makes no graph although it consists of expressions: settings that make no sense, and too much of everything.
    fn check_graph(&mut self) {
        let frozen = self.machine.frozen().iter().zip(&self.frozen_origins);
        let items = frozen.chain(self.machine.stack().iter().zip(&self.origins));
        let mut found: Vec<Diagnostic> = Vec::new();
        for (value, origin) in items {
            let Value::Style(style) = value else {
                continue;
            };
            let faults = self.faults(style, *origin);
            found.extend(faults.filter(|d| !found.contains(d)).collect::<Vec<_>>());
        }
        self.record.diagnostics.append(&mut found);
        let values = self.machine.frozen().iter().chain(self.machine.stack());
        if let Err(error) = check_weight(values)
            && let Some(last) = self.tokens.tokens.len().checked_sub(1)
        {
            self.stop(last, &error);
        }
    }

    fn faults(&self, style: &StyleExpr, origin: usize) -> impl Iterator<Item = Diagnostic> {
        setting::faults(style).map(move |(name, error)| {
            let made = (name, style.settings[name].clone());
            let blamed = self.made.get(&made).copied().unwrap_or(origin);
            Diagnostic::error(
                self.tokens.tokens[blamed].span.clone(),
                DiagnosticCode::WordFailed,
                error.message(),
            )
        })
    }

    fn warn_if_deprecated(&mut self, at: usize) {
        let Some(instead) = self.record.calls.get(&at).and_then(|c| deprecation(c.word)) else {
            return;
        };
        let token = &self.tokens.tokens[at];
        self.record.diagnostics.push(Diagnostic::warning(
            token.span.clone(),
            DiagnosticCode::Deprecated,
            format!("'{}' is deprecated: {instead}", token.text),
        ));
    }
}

/// What to use instead of a definition that is still there, but should not be used any more.
pub fn deprecation(word: &Word) -> Option<&'static str> {
    match word.name() {
        "trend" => Some("use ':rolling-mean'"),
        "offset" if word.signature().contains("List") => {
            Some("use ':offset' with a duration, once for each line")
        }
        _ => None,
    }
}

/// True when both are the very same thing, not just equal.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) | (Value::Zone(a), Value::Zone(b)) => Arc::ptr_eq(a, b),
        (Value::List(a), Value::List(b)) => Arc::ptr_eq(a, b),
        (Value::Query(a), Value::Query(b)) => Arc::ptr_eq(a, b),
        (Value::Expr(a), Value::Expr(b)) => Arc::ptr_eq(a, b),
        (Value::Style(a), Value::Style(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
