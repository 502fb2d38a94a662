//! What goes wrong while a chart is put together or drawn.

use hesper_stack::StackError;

/// A chart that cannot be made.
///
/// As in [`StackError`], the names are those of the exceptions that Atlas answers with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// A parameter with a value that it cannot take.
    #[error("IllegalArgumentException: {0}")]
    IllegalArgument(String),
    /// A text that should have been a number: the digits of a colour.
    #[error("NumberFormatException: {0}")]
    NumberFormat(String),
    /// A drawing that the renderer refuses. Other than bad parameters this is not the caller's fault.
    #[error("IllegalStateException: the picture cannot be drawn: {0}")]
    Render(String),
}

impl ChartError {
    /// A condition on an argument that does not hold, in the words of Scala's `require`.
    pub(crate) fn requirement(text: impl AsRef<str>) -> Self {
        Self::IllegalArgument(format!("requirement failed: {}", text.as_ref()))
    }

    /// A text that is no hexadecimal number.
    pub(crate) fn not_hexadecimal(text: &str) -> Self {
        Self::NumberFormat(format!("For input string: \"{text}\" under radix 16"))
    }
}

impl From<ChartError> for StackError {
    fn from(e: ChartError) -> Self {
        match e {
            ChartError::IllegalArgument(text) => Self::IllegalArgument(text),
            ChartError::NumberFormat(text) => Self::NumberFormat(text),
            ChartError::Render(text) => {
                Self::IllegalState(format!("the picture cannot be drawn: {text}"))
            }
        }
    }
}
