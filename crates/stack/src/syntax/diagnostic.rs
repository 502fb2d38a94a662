//! What there is to say about a place in a program, and what can be done about it.

use std::ops::Range;

/// The most characters of a message.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The most diagnostics of a program; what comes behind them is not looked at.
pub const MAX_DIAGNOSTICS: usize = 100;

/// Something wrong, or doubtful, about a place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The place, in bytes.
    pub span: Range<usize>,
    /// Whether the program can be run all the same.
    pub severity: Severity,
    /// The kind of the fault.
    pub code: DiagnosticCode,
    /// What is wrong; Atlas's text where Atlas has one.
    pub message: String,
    /// Changes that may put it right, the likeliest first.
    pub fixes: Vec<Fix>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The program is refused.
    Error,
    /// The program can be run, but may not mean what was meant.
    Warning,
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosticCode {
    /// A comment without an end, or an end without a comment.
    UnclosedComment,
    /// A parenthesis without its partner.
    UnmatchedParenthesis,
    /// A word that does not exist.
    UnknownWord,
    /// A text that would be a word with a colon instead of a semicolon.
    Semicolon,
    /// A word whose definitions all take something else than what is on the stack.
    NoMatch,
    /// A word that fits the stack, but cannot run on it.
    WordFailed,
    /// A text that is no regular expression.
    InvalidPattern,
    /// A word that is still there, but should not be used any more.
    Deprecated,
    /// Something on the stack, at the end, that cannot be shown.
    NotAnExpression,
    /// A limit that the program exceeds.
    Limit,
}

impl DiagnosticCode {
    /// The code as editors show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnclosedComment => "unclosed-comment",
            Self::UnmatchedParenthesis => "unmatched-parenthesis",
            Self::UnknownWord => "unknown-word",
            Self::Semicolon => "semicolon",
            Self::NoMatch => "no-match",
            Self::WordFailed => "word-failed",
            Self::InvalidPattern => "invalid-pattern",
            Self::Deprecated => "deprecated",
            Self::NotAnExpression => "not-an-expression",
            Self::Limit => "limit",
        }
    }
}

/// A change to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What the change does, as a command.
    pub title: String,
    /// What is replaced, in bytes.
    pub span: Range<usize>,
    /// By what.
    pub text: String,
}

impl Fix {
    pub(super) fn new(
        title: impl Into<String>,
        span: Range<usize>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            span,
            text: text.into(),
        }
    }

    /// A token replaced by a word.
    pub(super) fn word(span: Range<usize>, name: &str) -> Self {
        Self::new(format!("Replace by ':{name}'"), span, format!(":{name}"))
    }
}

impl Diagnostic {
    pub(super) fn error(
        span: Range<usize>,
        code: DiagnosticCode,
        message: impl Into<String>,
    ) -> Self {
        Self {
            span,
            severity: Severity::Error,
            code,
            message: shortened(message.into()),
            fixes: Vec::new(),
        }
    }

    pub(super) fn parenthesis(span: Range<usize>, message: &str) -> Self {
        Self::error(span, DiagnosticCode::UnmatchedParenthesis, message)
    }

    pub(super) fn warning(
        span: Range<usize>,
        code: DiagnosticCode,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, code, message)
        }
    }
}

/// A text without what goes beyond the limit: expressions may be very large.
fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}
