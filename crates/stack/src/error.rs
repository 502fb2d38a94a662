//! What goes wrong while a program is read or evaluated.

use hesper_model::pattern::{InvalidPattern, PatternFault};

/// A program that cannot be read or evaluated.
///
/// The variants are the exceptions that Atlas answers with: an API shows their names, and the HTTP status follows from
/// them. The text says what is wrong with the program, and is Atlas's where Atlas has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// A value that the word, or the request, cannot take.
    #[error("IllegalArgumentException: {0}")]
    IllegalArgument(String),
    /// A program that does not fit together: unknown words, missing operands, unbalanced parentheses, limits.
    #[error("IllegalStateException: {0}")]
    IllegalState(String),
    /// A regular expression for legends that cannot be read.
    #[error("PatternSyntaxException: {0}")]
    PatternSyntax(String),
    /// A text that should have been a number.
    #[error("NumberFormatException: {0}")]
    NumberFormat(String),
    /// A variable, vocabulary or format that does not exist.
    #[error("NoSuchElementException: {0}")]
    NoSuchElement(String),
    /// A place on the stack, or in a list, that does not exist.
    #[error("IndexOutOfBoundsException: {0}")]
    IndexOutOfBounds(String),
    /// A place in an array that does not exist: a bucket number out of range.
    #[error("ArrayIndexOutOfBoundsException: {0}")]
    ArrayIndexOutOfBounds(String),
    /// A pattern that ends in the middle of an operator.
    #[error("StringIndexOutOfBoundsException: {0}")]
    StringIndexOutOfBounds(String),
    /// A number that does not fit: a duration beyond the range of milliseconds.
    #[error("ArithmeticException: {0}")]
    Arithmetic(String),
    /// A duration in ISO form that cannot be read.
    #[error("DateTimeParseException: {0}")]
    DateTimeParse(String),
    /// A field of the clock that cannot be shown as a number.
    #[error("UnsupportedTemporalTypeException: {0}")]
    UnsupportedTemporalType(String),
    /// A case that Atlas fails to provide for.
    #[error("MatchError: {0}")]
    Match(String),
    /// A time zone that is no zone at all.
    #[error("DateTimeException: {0}")]
    DateTime(String),
    /// A time zone that does not exist.
    #[error("ZoneRulesException: {0}")]
    ZoneRules(String),
}

impl StackError {
    /// The name of the exception, as the API shows it.
    pub fn class(&self) -> &'static str {
        match self {
            Self::IllegalArgument(_) => "IllegalArgumentException",
            Self::IllegalState(_) => "IllegalStateException",
            Self::PatternSyntax(_) => "PatternSyntaxException",
            Self::NumberFormat(_) => "NumberFormatException",
            Self::NoSuchElement(_) => "NoSuchElementException",
            Self::IndexOutOfBounds(_) => "IndexOutOfBoundsException",
            Self::ArrayIndexOutOfBounds(_) => "ArrayIndexOutOfBoundsException",
            Self::StringIndexOutOfBounds(_) => "StringIndexOutOfBoundsException",
            Self::Arithmetic(_) => "ArithmeticException",
            Self::DateTimeParse(_) => "DateTimeParseException",
            Self::UnsupportedTemporalType(_) => "UnsupportedTemporalTypeException",
            Self::Match(_) => "MatchError",
            Self::DateTime(_) => "DateTimeException",
            Self::ZoneRules(_) => "ZoneRulesException",
        }
    }

    /// The text without the name of the exception.
    pub fn message(&self) -> &str {
        match self {
            Self::IllegalArgument(text)
            | Self::IllegalState(text)
            | Self::PatternSyntax(text)
            | Self::NumberFormat(text)
            | Self::NoSuchElement(text)
            | Self::IndexOutOfBounds(text)
            | Self::ArrayIndexOutOfBounds(text)
            | Self::StringIndexOutOfBounds(text)
            | Self::Arithmetic(text)
            | Self::DateTimeParse(text)
            | Self::UnsupportedTemporalType(text)
            | Self::Match(text)
            | Self::DateTime(text)
            | Self::ZoneRules(text) => text,
        }
    }

    /// A condition on an argument that does not hold, in the words of Scala's `require`.
    pub(crate) fn requirement(text: impl AsRef<str>) -> Self {
        Self::IllegalArgument(format!("requirement failed: {}", text.as_ref()))
    }

    /// A text that is no number.
    pub(crate) fn not_a_number(text: &str) -> Self {
        Self::NumberFormat(format!("For input string: \"{text}\""))
    }

    /// A text that is no hexadecimal number.
    pub(crate) fn not_hexadecimal(text: &str) -> Self {
        Self::NumberFormat(format!("For input string: \"{text}\" under radix 16"))
    }

    /// An operand that is not what the word's own test let through.
    pub(crate) fn invalid_stack(word: &str) -> Self {
        Self::IllegalState(format!("invalid stack for :{word}"))
    }
}

impl From<InvalidPattern> for StackError {
    fn from(invalid: InvalidPattern) -> Self {
        let text = invalid.cause().to_owned();
        match invalid.fault() {
            PatternFault::Malformed => Self::IllegalArgument(text),
            PatternFault::NotANumber => Self::NumberFormat(text),
            PatternFault::EndsEarly => Self::StringIndexOutOfBounds(text),
        }
    }
}
