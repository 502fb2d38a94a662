//! What is on the stack at the end of a program, and cannot be there.

use super::diagnostic::{Diagnostic, DiagnosticCode, Fix, MAX_DIAGNOSTICS};
use super::similar::question;
use super::token::Token;
use crate::kind::Kind;
use crate::value::{Value, type_summary};
use crate::vocabulary::Vocabulary;

/// Values of more weight are not written out.
const MAX_WEIGHT: usize = 1_000;

/// What cannot be shown in a graph, of the items with the tokens they come from.
pub(super) fn of_graph(
    items: &[(Value, usize)],
    tokens: &[Token],
    vocabulary: &Vocabulary,
) -> Vec<Diagnostic> {
    items
        .iter()
        .filter(|(value, _)| !Kind::Style.accepts(value))
        .take(MAX_DIAGNOSTICS)
        .map(|(value, at)| no_expression(value, &tokens[*at], vocabulary))
        .collect()
}

fn no_expression(value: &Value, token: &Token, vocabulary: &Vocabulary) -> Diagnostic {
    let span = token.span.clone();
    let text = match value.weight() {
        0..=MAX_WEIGHT => format!(" '{value}'"),
        _ => String::new(),
    };
    let class = value.class_name();
    let message = format!("expecting time series expr, found {class}{text}");
    match meant_word(value, vocabulary) {
        Some(name) => {
            let message = format!("{message}, {}", question(":", &[name]));
            Diagnostic {
                fixes: vec![Fix::word(span.clone(), name)],
                ..Diagnostic::error(span, DiagnosticCode::NotAnExpression, message)
            }
        }
        None => Diagnostic::error(span, DiagnosticCode::NotAnExpression, message),
    }
}

/// The word that a text would be with a colon before it.
fn meant_word<'a>(value: &'a Value, vocabulary: &Vocabulary) -> Option<&'a str> {
    match value {
        Value::Text(text) => vocabulary.overloads(text).map(|_| &**text),
        _ => None,
    }
}

/// What is wrong with the items of a program that shall leave a single query; `end` is where the program ends.
pub(super) fn of_query(items: &[(Value, usize)], tokens: &[Token], end: usize) -> Vec<Diagnostic> {
    let found = match items {
        [(Value::Query(_), _)] => return Vec::new(),
        [] => "stack is empty".to_owned(),
        items => format!("found {}", type_summary(items.iter().map(|(v, _)| v))),
    };
    let span = items
        .last()
        .map_or(0..end, |(_, at)| tokens[*at].span.clone());
    let message = format!("expected a single query, {found}");
    vec![Diagnostic::error(
        span,
        DiagnosticCode::NotAnExpression,
        message,
    )]
}
