//! The steps that change a legend are read and done without a panic, and in bounded time and room.

use hesper_model::Tags;
use hesper_stack::legend::Legend;
use hesper_stack::{StyleExpr, TimeSeriesExpr};

/// The longest legend, as the language has it, and a last step that may go beyond.
const MAX_LEGEND_BYTES: usize = 128 * 1024;

/// Takes the first line for the steps, and what follows for the label.
pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let (steps, label) = text.split_once('\n').unwrap_or((text, "a label"));
    let style = StyleExpr::new(TimeSeriesExpr::Constant(1.0)).with("sed", steps);
    let Ok(legend) = Legend::new(&style, 1) else {
        return;
    };
    let tags = Tags::from_pairs([("name", "n"), ("1", "one")]);
    let text = legend.text(label, &tags);
    assert_eq!(text, legend.text(label, &tags), "the same again");
    match text {
        Ok(text) => assert!(text.len() <= MAX_LEGEND_BYTES.max(label.len())),
        Err(error) => assert!(!error.message().is_empty()),
    }
}
