//! Which place is to blame for the failure of a word: often not the word, but what it was given.

use super::diagnostic::{Diagnostic, DiagnosticCode, Fix};
use super::similar::{question, similar};
use super::token::{Token, TokenKind};
use crate::error::StackError;
use crate::interpreter::Variables;
use crate::vocabulary::Vocabulary;
use crate::word::Word;

/// What is known about a word that failed.
pub(super) struct Blame<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) variables: &'a Variables,
    /// The token of the word.
    pub(super) word: usize,
    /// The tokens of its operands.
    pub(super) operands: &'a [usize],
}

impl Blame<'_> {
    pub(super) fn failed(&self, error: &StackError) -> Diagnostic {
        let name = self.tokens[self.word].word().unwrap_or_default();
        if matches!(name, "re" | "reic") {
            let span = self.span(self.operands.last().copied());
            let message = format!("invalid regular expression: {}", error.message());
            return Diagnostic::error(span, DiagnosticCode::InvalidPattern, message);
        }
        if let Some(diagnostic) = self.called_word(error) {
            return diagnostic;
        }
        if matches!(name, "get" | "fcall") && matches!(error, StackError::NoSuchElement(_)) {
            return self.unset_variable(error);
        }
        let quoted = self.operands.iter().rev().copied().find(|&at| {
            let token = &self.tokens[at];
            token.kind == TokenKind::Literal && mentions(error.message(), &token.text)
        });
        Diagnostic::error(
            self.span(quoted),
            DiagnosticCode::WordFailed,
            error.message(),
        )
    }

    fn span(&self, token: Option<usize>) -> std::ops::Range<usize> {
        self.tokens[token.unwrap_or(self.word)].span.clone()
    }

    /// The word of a list that a program called, if the error is about one.
    fn called_word(&self, error: &StackError) -> Option<Diagnostic> {
        let message = error.message();
        let (code, rest) = if let Some(rest) = message.strip_prefix("unknown word ':") {
            (DiagnosticCode::UnknownWord, rest)
        } else {
            let rest = message.strip_prefix("no matches for word ':")?;
            (DiagnosticCode::NoMatch, rest)
        };
        let name = rest.split('\'').next()?;
        let called = self.tokens[..self.word]
            .iter()
            .rposition(|t| t.depth > 0 && t.word() == Some(name))?;
        let span = self.span(Some(called));
        let names = match code {
            DiagnosticCode::UnknownWord => similar(name, self.vocabulary.words().map(Word::name)),
            _ => Vec::new(),
        };
        let message = match names.as_slice() {
            [] => message.to_owned(),
            names => format!("{message}, {}", question(":", names)),
        };
        let fixes = names.iter().map(|name| Fix::word(span.clone(), name));
        Some(Diagnostic {
            fixes: fixes.collect(),
            ..Diagnostic::error(span, code, message)
        })
    }

    fn unset_variable(&self, error: &StackError) -> Diagnostic {
        let operand = self.operands.last().copied();
        let name = operand.map_or("", |at| &self.tokens[at].text);
        let span = self.span(operand);
        let names = similar(name, self.variables.keys().map(String::as_str));
        let message = match names.as_slice() {
            [] => format!("{}: no variable of this name is set", error.message()),
            names => format!("{}, {}", error.message(), question("", names)),
        };
        let fixes = names
            .iter()
            .map(|name| Fix::new(format!("Replace by '{name}'"), span.clone(), *name));
        Diagnostic {
            fixes: fixes.collect(),
            ..Diagnostic::error(span.clone(), DiagnosticCode::WordFailed, message)
        }
    }
}

/// True when the text stands in the message by itself.
fn mentions(message: &str, text: &str) -> bool {
    let within_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    message.match_indices(text).any(|(at, _)| {
        let before = message[..at].chars().next_back();
        let behind = message[at + text.len()..].chars().next();
        !within_word(before) && !within_word(behind)
    })
}
