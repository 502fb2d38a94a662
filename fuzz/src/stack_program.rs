//! A program of the stack language is read, traced, rewritten and evaluated without a panic; an editor is told of an error when there is one,
//! and only then; what a program builds prints as a program that builds it again.

use hesper_stack::interpreter::trace::trace;
use hesper_stack::outdated::replace_outdated;
use hesper_stack::parse::{queries_of, suggestions};
use hesper_stack::strip::strip;
use hesper_stack::syntax::{SyntaxOptions, SyntaxTree};
use hesper_stack::{
    GraphOptions, StackError, StyleExpr, Vocabulary, normalize, parse_events, parse_graph,
    parse_query,
};

use super::evaluation;

/// An error is read by people.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Takes the input for a program.
pub fn run(bytes: &[u8]) {
    let Ok(program) = str::from_utf8(bytes) else {
        return;
    };
    let vocabulary = Vocabulary::full();
    explained(trace(program, vocabulary));
    explained(normalize(program, vocabulary));
    explained(queries_of(program, vocabulary));
    explained(strip(program, &["name"], &["filter", "style"], vocabulary));
    explained(replace_outdated(program, vocabulary));
    explained(suggestions(program, vocabulary));
    explained(parse_events(program));
    explained(parse_query(program));
    let exprs = explained(parse_graph(program, &GraphOptions::default()));
    let graph = exprs.as_deref().map(evaluation::graph);
    let graph = graph.and_then(explained);
    // Settings of an expression that has no lines are not looked at.
    let shown = graph.is_some() && exprs.iter().flatten().all(evaluation::has_lines);
    check_tree(program, exprs.is_some(), shown);
    exprs.iter().flatten().for_each(check_printed);
}

/// The result, if there is one; an error says what is wrong.
fn explained<T>(result: Result<T, StackError>) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error,
    };
    let message = error.message();
    assert!(!message.is_empty() && message.len() <= MAX_MESSAGE_BYTES);
    if let Some(rest) = message.strip_prefix("no matches for word ':") {
        assert!(
            rest.contains("' with stack [") && rest.contains(", candidates: ["),
            "{message}"
        );
    }
    None
}

fn check_tree(program: &str, can_run: bool, can_be_shown: bool) {
    let tree = SyntaxTree::new(program, &SyntaxOptions::default());
    let diagnostics = tree.diagnostics();
    match tree.is_valid() {
        true => assert!(can_run, "{diagnostics:?}"),
        // Settings that make no sense are an error, too.
        false => assert!(!can_be_shown, "{diagnostics:?}"),
    }
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty());
        let fixes = diagnostic.fixes.iter().map(|fix| &fix.span);
        for span in fixes.chain([&diagnostic.span]) {
            assert!(program.get(span.clone()).is_some(), "{span:?}");
        }
    }
    for token in tree.tokens() {
        assert!(program.get(token.span.clone()).is_some());
    }
    for at in 0..tree.tokens().len() {
        tree.role(at);
        tree.definition(at);
    }
}

fn check_printed(expr: &StyleExpr) {
    // As in Atlas the steps that change a legend print as they are, commas and all.
    if expr.transform().is_some() {
        return;
    }
    let printed = expr.to_string();
    // A line style, or the name of a rewrite, prints as a word, which need not be there.
    if let Ok(again) = parse_graph(&printed, &GraphOptions::default()) {
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].to_string(), printed);
    }
}
