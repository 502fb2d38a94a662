//! The steps that change a legend are read and done without a panic, and in bounded time.
#![no_main]

use hesper_model::Tags;
use hesper_stack::legend::Legend;
use hesper_stack::{StyleExpr, TimeSeriesExpr};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (steps, label) = input;
    let style = StyleExpr::new(TimeSeriesExpr::Constant(1.0)).with("sed", steps);
    if let Ok(legend) = Legend::new(&style, 1) {
        let _ = legend.text(label, &Tags::from_pairs([("name", "n"), ("1", "one")]));
    }
});
