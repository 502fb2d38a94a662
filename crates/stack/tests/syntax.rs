//! The syntax tree over the recorded cases: it finds errors in what is refused, and in nothing else.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use flate2::bufread::GzDecoder;
use hesper_stack::syntax::{SyntaxOptions, SyntaxTree};
use hesper_stack::{GraphOptions, parse_graph};
use serde_json::Value;

/// The expressions of graphs that were asked for, and whether they were answered.
fn recorded_graphs(name: &str) -> Vec<(String, bool)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(BufReader::new(file)))
        .lines()
        .filter_map(|line| {
            let case: Value =
                serde_json::from_str(&line.expect("text")).expect("a row as recorded");
            let request = &case["request"];
            let params = request["params"].as_array()?;
            let program = params.iter().find(|p| p[0] == "q")?[1].as_str()?;
            (request["path"] == "/api/v1/graph")
                .then(|| (program.to_owned(), case["status"] == 200))
        })
        .collect()
}

#[test]
fn recorded_graphs_are_judged_as_they_were() {
    let mut valid = 0;
    for name in ["cases.jsonl.gz", "docs-cases.jsonl.gz"] {
        for (program, answered) in recorded_graphs(name) {
            let tree = SyntaxTree::new(&program, &SyntaxOptions::default());
            match parse_graph(&program, &GraphOptions::default()) {
                Ok(_) if answered => {
                    assert!(tree.is_valid(), "{program}: {:?}", tree.diagnostics());
                    valid += 1;
                }
                // What else of a request was wrong is not known here.
                Ok(_) => {}
                Err(error) => assert!(!tree.is_valid(), "{program}: {error}"),
            }
        }
    }
    assert!(valid > 1_000, "{valid}");
}
