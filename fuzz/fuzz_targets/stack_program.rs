//! A program of the stack language is read, traced, normalised and stripped without a panic, and what it prints reads back to what it prints.
#![no_main]

use hesper_stack::interpreter::trace::trace;
use hesper_stack::outdated::replace_outdated;
use hesper_stack::parse::suggestions;
use hesper_stack::strip::strip;
use hesper_stack::{GraphOptions, Vocabulary, normalize, parse_events, parse_graph};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &str| {
    let vocabulary = Vocabulary::full();
    let _ = trace(program, vocabulary);
    let _ = normalize(program, vocabulary);
    let _ = strip(program, &["name"], &["filter", "style"], vocabulary);
    let _ = replace_outdated(program, vocabulary);
    let _ = suggestions(program, vocabulary);
    let _ = parse_events(program);
    let options = GraphOptions::default();
    if let Ok(exprs) = parse_graph(program, &options) {
        for expr in exprs {
            // As in Atlas the steps that change a legend print as they are, commas and all.
            if expr.transform().is_some() {
                continue;
            }
            let printed = expr.to_string();
            // A line style, or the name of a rewrite, prints as a word, which need not be there.
            if let Ok(again) = parse_graph(&printed, &options) {
                assert_eq!(again.len(), 1);
                assert_eq!(again[0].to_string(), printed);
            }
        }
    }
});
