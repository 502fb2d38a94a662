//! What is told about a word, in completion, on hover and in signature help.

use hesper_stack::syntax::deprecation;
use hesper_stack::word::Word;

use crate::markup::Markup;

/// The most examples of a word that are shown.
const MAX_EXAMPLES: usize = 5;

/// A word with its signature.
pub(crate) fn title(word: &Word) -> String {
    format!(":{}  {}", word.name(), word.signature())
}

/// What a word does, and examples.
pub(crate) fn explain(markup: &mut Markup, word: &Word) {
    markup.paragraph(word.summary_text());
    if let Some(instead) = deprecation(word) {
        markup.paragraph(&format!("Deprecated: {}.", instead.replace('\'', "`")));
    }
    let examples: Vec<String> = word
        .example_stacks()
        .take(MAX_EXAMPLES)
        .map(|example| example_text(word, example))
        .collect();
    if !examples.is_empty() {
        markup.paragraph("Examples").code(&examples.join("\n"));
    }
}

fn example_text(word: &Word, stack: &str) -> String {
    let (stack, remark) = match stack.strip_prefix("ERROR:") {
        Some(stack) => (stack, "  /* is refused */"),
        None => (stack, ""),
    };
    let comma = if stack.is_empty() { "" } else { "," };
    format!("{stack}{comma}:{}{remark}", word.name())
}
