//! A program of the stack language is read, traced and normalised without a panic, and what it prints reads back to what it prints.
#![no_main]

use hesper_stack::interpreter::trace::trace;
use hesper_stack::{GraphOptions, Vocabulary, normalize, parse_graph};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|program: &str| {
    let _ = trace(program, Vocabulary::full());
    let _ = normalize(program, Vocabulary::full());
    let options = GraphOptions::default();
    if let Ok(exprs) = parse_graph(program, &options) {
        for expr in exprs {
            let printed = expr.to_string();
            let again = parse_graph(&printed, &options).expect("what was printed is a program");
            assert_eq!(again.len(), 1);
            assert_eq!(again[0].to_string(), printed);
        }
    }
});
